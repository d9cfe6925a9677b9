import caffe
import numpy as np


class AbsoluteLossLayer(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = np.sum(np.abs(bottom[0].data - bottom[1].data))

    def backward(self, top, propagate_down, bottom):
        sign = np.sign(bottom[0].data - bottom[1].data) * top[0].diff[0]
        if propagate_down[0]:
            bottom[0].diff[...] = sign
        if propagate_down[1]:
            bottom[1].diff[...] = -sign


class ErrorLayer(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = np.mean(np.abs(bottom[0].data - bottom[1].data))

    def backward(self, top, propagate_down, bottom):
        pass
