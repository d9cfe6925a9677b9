"""The layer that gives the bottoms in the nets of `caffe-pylayer doctor`; it needs Caffe."""

from caffe_pylayer_child import make_source

Source = make_source()
