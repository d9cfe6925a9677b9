import sys
try:
    import caffe
except ImportError:
    sys.path.insert(0, 'python')
    import caffe
Base = caffe.Layer


class OddImport(Base):
    def setup(self, bottom, top):
        import caffe as c
        self.blob = c.Net

    def reshape(self, bottom, top):
        n, ch, h, w = bottom[0].shape
        top[0].reshape(n, ch * h * w)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data.reshape(top[0].shape)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff.reshape(bottom[0].shape)
