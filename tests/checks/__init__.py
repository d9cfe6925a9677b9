"""The checks of a layer find what is wrong in Caffe and leave alone what is right."""
