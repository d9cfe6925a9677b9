import caffe


class SplitParams(caffe.Layer):
    def setup(self, bottom, top):
        self.a, self.b = [float(x) for x in self.param_str.split(',')]

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.a * bottom[0].data + self.b

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.a * top[0].diff
