"""On the PYTHONPATH of the children of `caffe-pylayer doctor`: nothing else may lie here."""
