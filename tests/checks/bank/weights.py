"""Weights that only some values are right for."""

LAYERS = {
    "positive_weight": dict(
        body="""
class LearnedTemperature(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 0.05

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        t = self.blobs[0].data[0]
        if not t > 0:
            raise ValueError("the temperature must stay positive, got %g" % t)
        top[0].data[...] = bottom[0].data / t

    def backward(self, top, propagate_down, bottom):
        t = self.blobs[0].data[0]
        self.blobs[0].diff[0] += -np.sum(top[0].diff * bottom[0].data) / t ** 2
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff / t
""",
        blobs='bottom: "x" top: "y" param { lr_mult: 1 }',
        bottoms="rng.randn(batch, 5)",
        tops="bottoms[0] / 0.05",
        twins=[
            ("not squared", "/ t ** 2", "/ t", "gradient", "weight 0"),
            (
                "overwrites",
                "diff[0] += -np",
                "diff[0] = -np",
                "gradient",
                "must add to the diff",
            ),
        ],
    ),
    "weight_from_0_to_1": dict(
        body="""
class Gate(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1, 3)
        self.blobs[0].data[...] = [[0.02, 0.5, 0.99]]

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        w = self.blobs[0].data
        if w.min() < 0 or w.max() > 1:
            raise ValueError("a gate is between 0 and 1")
        top[0].data[...] = w * bottom[0].data + (1 - w) * bottom[1].data

    def backward(self, top, propagate_down, bottom):
        w = self.blobs[0].data
        d = top[0].diff
        self.blobs[0].diff[...] += ((bottom[0].data - bottom[1].data) * d).sum(0, keepdims=True)
        if propagate_down[0]:
            bottom[0].diff[...] = w * d
        if propagate_down[1]:
            bottom[1].diff[...] = (1 - w) * d
""",
        blobs='bottom: "a" bottom: "b" top: "y" param { name: "gate" }',
        bottoms="rng.randn(batch, 3), rng.randn(batch, 3)",
        tops="[0.02, 0.5, 0.99] * bottoms[0] + [0.98, 0.5, 0.01] * bottoms[1]",
        twins=[
            ("b gets a's", "(1 - w) * d", "w * d", "gradient", "bottom b"),
            (
                "b is added",
                "- bottom[1].data) * d",
                "+ bottom[1].data) * d",
                "gradient",
                "weight 0",
            ),
        ],
    ),
    "root_of_a_weight": dict(  # gives nan, and says nothing, where the weight is negative
        body="""
class InverseDeviation(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(4)
        self.blobs[0].data[...] = [0.01, 0.1, 1, 4]

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.s = np.sqrt(self.blobs[0].data)
        top[0].data[...] = bottom[0].data * self.s

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += np.sum(top[0].diff * bottom[0].data, 0) / (2 * self.s)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.s
""",
        blobs='bottom: "x" top: "y" param { lr_mult: 0.1 decay_mult: 0 }',
        bottoms="rng.randn(batch, 4)",
        tops="bottoms[0] * [0.1, 0.1 ** 0.5, 1, 2]",
        twins=[
            (
                "half forgotten",
                "/ (2 * self.s)",
                "/ self.s",
                "gradient",
                "2 times",
            ),
        ],
    ),
    "mask_of_rate_0": dict(  # a weight where forward refuses keeps its value
        body="""
class MaskedScale(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(6)
        self.blobs.add_blob(6)
        self.blobs[0].data[...] = 1.5
        self.blobs[1].data[...] = [1, 0, 1, 1, 0, 1]

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        w, m = self.blobs[0].data, self.blobs[1].data
        if not np.all((m == 0) | (m == 1)):
            raise ValueError("the mask holds 0 and 1 only")
        top[0].data[...] = bottom[0].data * w * m

    def backward(self, top, propagate_down, bottom):
        w, m = self.blobs[0].data, self.blobs[1].data
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0) * m
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * w * m
""",
        blobs='bottom: "x" top: "y" param { lr_mult: 1 } param { lr_mult: 0 }',
        bottoms="rng.randn(batch, 6)",
        tops="bottoms[0] * 1.5 * np.array([1, 0, 1, 1, 0, 1])",
        twins=[
            ("mask forgotten", ".sum(0) * m", ".sum(0)", "gradient", "weight 0"),
            (
                "mask forgotten below",
                "diff * w * m",
                "diff * w",
                "gradient",
                "bottom x",
            ),
        ],
    ),
    "prelu": dict(
        body="""
class PReLU(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = 0.25

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        a = self.blobs[0].data[:, np.newaxis, np.newaxis]
        top[0].data[...] = np.maximum(x, 0) + a * np.minimum(x, 0)

    def backward(self, top, propagate_down, bottom):
        x, d = bottom[0].data, top[0].diff
        a = self.blobs[0].data[:, np.newaxis, np.newaxis]
        self.blobs[0].diff[...] += (d * np.minimum(x, 0)).sum(axis=(0, 2, 3))
        if propagate_down[0]:
            bottom[0].diff[...] = np.where(x > 0, d, a * d)
""",
        blobs='bottom: "conv" top: "prelu" param { decay_mult: 0 }',
        bottoms="rng.randn(batch, 3, 4, 4)",
        tops="np.maximum(bottoms[0], 0) + 0.25 * np.minimum(bottoms[0], 0)",
        twins=[
            (
                "last row of the map",
                "(d * np.minimum(x, 0)).sum",
                "(d * np.minimum(x, 0))[:, :, :-1].sum",
                "gradient",
                "weight 0",
            ),
            (
                "slope for the other side",
                "x > 0, d, a * d",
                "x > 0, a * d, d",
                "gradient",
                "bottom conv",
            ),
        ],
    ),
}
