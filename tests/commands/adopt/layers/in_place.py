import caffe
import numpy as np


class LeakyLayer(caffe.Layer):
    def setup(self, bottom, top):
        self.slope = json_of(self.param_str).get("slope", 0.25)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        top[0].data[...] = np.where(x > 0, x, self.slope * x)

    def backward(self, top, propagate_down, bottom):
        positive = top[0].data > 0
        bottom[0].diff[...] = top[0].diff * np.where(positive, 1, self.slope)


def json_of(text):
    import json
    return json.loads(text or "{}")
