import caffe
import numpy as np


class DiceLoss(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.eps = params.get('eps', 1.0)
        if len(bottom) != 2:
            raise Exception("need two bottoms")

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        p, t = bottom[0].data, bottom[1].data
        self.both = np.sum(p * t) + self.eps
        self.sums = np.sum(p) + np.sum(t) + 2 * self.eps
        top[0].data[0] = 1 - 2 * self.both / self.sums

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            slope = 2 * (self.both / self.sums ** 2 - bottom[1].data / self.sums)
            bottom[0].diff[...] = top[0].diff[0] * slope
