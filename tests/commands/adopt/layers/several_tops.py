import caffe
import numpy as np


class HalvesLayer(caffe.Layer):
    def setup(self, bottom, top):
        if len(top) != 2:
            raise Exception("two tops")

    def reshape(self, bottom, top):
        shape = list(bottom[0].shape)
        self.at = shape[1] // 2
        top[0].reshape(shape[0], self.at, *shape[2:])
        top[1].reshape(shape[0], shape[1] - self.at, *shape[2:])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data[:, :self.at]
        top[1].data[...] = bottom[0].data[:, self.at:]

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[:, :self.at] = top[0].diff
        bottom[0].diff[:, self.at:] = top[1].diff
