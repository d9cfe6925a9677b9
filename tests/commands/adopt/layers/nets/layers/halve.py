import caffe
from ..tools import half
from . import names


class HalveLayer(caffe.Layer):
    def setup(self, bottom, top):
        self.title = names.TITLE

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = half(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = half(top[0].diff)
