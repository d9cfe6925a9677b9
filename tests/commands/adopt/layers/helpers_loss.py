import numpy as np
import caffe
import loss_tools

SCALE = 0.5


def squared(x):
    return SCALE * np.sum(x ** 2)


class HelpersLoss(caffe.Layer):
    def setup(self, bottom, top):
        loss_tools.need(bottom, 1)

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = squared(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * SCALE * bottom[0].data * top[0].diff[0]
