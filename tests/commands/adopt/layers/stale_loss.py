import caffe
import numpy as np
import json


class StaleLossLayer(caffe.Layer):
    def setup(self, bottom, top):
        self.margin = json.loads(self.param_str)['margin']
        if len(bottom) != 2:
            raise Exception('Need two inputs')
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data - self.margin
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if propagate_down[i]:
                sign = 1 if i == 0 else -1
                bottom[i].diff[...] = top[0].diff * sign * self.diff / bottom[i].num
