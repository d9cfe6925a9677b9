import caffe
import yaml


class YamlScale(caffe.Layer):
    def setup(self, bottom, top):
        layer_params = yaml.safe_load(self.param_str)
        self.factor = layer_params['factor']

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff
