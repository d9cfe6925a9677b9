from caffe import Layer
import numpy


class Square(Layer):
    def setup(self, bottom, top): pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = numpy.square(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff
