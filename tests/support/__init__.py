"""What the rooms share: baking layers, running their tests, Caffe, tools; no tests here."""
