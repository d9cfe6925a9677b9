"""The stand-in is seen as real Caffe is, and real Caffe is set up everywhere."""
