import caffe
import numpy as np


class UnweightedLoss(caffe.Layer):
    """Forgets loss_weight, as many do."""

    def setup(self, bottom, top):
        assert len(bottom) == 2

    def reshape(self, bottom, top):
        self.diff = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate([1, -1]):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self.diff / bottom[i].num
