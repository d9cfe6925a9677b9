import ast
import caffe
import numpy as np


class LiteralClip(caffe.Layer):
    def setup(self, bottom, top):
        p = ast.literal_eval(self.param_str)
        self.low, self.high = p['low'], p.get('high', 1.0)
        self.inside = p.get('inside', True)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = np.clip(bottom[0].data, self.low - 2, self.high)

    def backward(self, top, propagate_down, bottom):
        x = bottom[0].data
        bottom[0].diff[...] = top[0].diff * ((x > self.low - 2) & (x < self.high))
