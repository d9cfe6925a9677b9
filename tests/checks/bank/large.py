"""Large bottoms, and values far from 1."""

MEAN = """
class Centered(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        top[0].data[...] = x - x.mean(1, keepdims=True)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            d = top[0].diff
            bottom[0].diff[...] = d - d.mean(1, keepdims=True)
"""
SQUARES = """
class HalfSquares(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = 0.5 * np.sum(bottom[0].data.astype(np.float64) ** 2)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = bottom[0].data * top[0].diff[0]
"""

LAYERS = {
    "tanh_of_images": dict(
        body="""
class TanH(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = np.tanh(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            diff = top[0].diff * (1 - top[0].data ** 2)
            bottom[0].diff[...] = diff
""",
        blobs='bottom: "image" top: "y"',
        bottoms="rng.randn(batch, 3, 112, 112)",
        tops="np.tanh(bottoms[0])",
        twins=[
            (
                "one pixel of each map",
                "            bottom[0].diff[...] = diff",
                "            diff[:, :, -1, -1] = 0\n@",
                "gradient",
                "bottom image",
            ),
            (
                "one pixel",
                "            bottom[0].diff[...] = diff",
                "            diff[-1, 1, 50, 60] = 0\n@",
                "gradient",
                "bottom image",
            ),
            ("not squared", "data ** 2)", "data)", "gradient", "bottom image"),
        ],
    ),
    "a_million_relus": dict(
        body="""
class LeakyReLU(caffe.Layer):
    def setup(self, bottom, top):
        self.slope = 0.1

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        top[0].data[...] = np.where(x > 0, x, self.slope * x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = np.where(bottom[0].data > 0, 1, self.slope) * top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 250000).astype(np.float32)",
        tops=None,
        twins=[
            (
                "slope forgotten",
                "1, self.slope) * top",
                "1, 0) * top",
                "gradient",
                "bottom x",
            ),
        ],
    ),
    "values_near_1e6": dict(
        body=MEAN,
        blobs='bottom: "x" top: "y"',
        bottoms="1e6 + 100 * rng.randn(batch, 5)",
        tops=None,
        twins=[
            (
                "mean forgotten",
                "d - d.mean(1, keepdims=True)",
                "d",
                "gradient",
                "bottom x",
            ),
        ],
    ),
    "squares_near_100": dict(
        body=SQUARES,
        blobs='bottom: "x" top: "loss" loss_weight: 1',
        bottoms="100 + rng.randn(batch, 1000)",
        tops="0.5 * np.sum(bottoms[0] ** 2)",
        twins=[
            (
                "twice",
                "= bottom[0].data * top",
                "= 2 * bottom[0].data * top",
                "gradient",
                "2 times",
            ),
        ],
    ),
    "timestamps": dict(
        body="""
class Decay(caffe.Layer):
    def setup(self, bottom, top):
        self.now = 1000050000.

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num)

    def forward(self, bottom, top):
        value, stamp = bottom[0].data[:, 0], bottom[0].data[:, 1].astype(np.float64)
        self.w = np.exp((stamp - self.now) / 1e5)
        top[0].data[...] = value * self.w

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[:, 0] = self.w * top[0].diff
            bottom[0].diff[:, 1] = top[0].data * top[0].diff / 1e5
""",
        blobs='bottom: "events" top: "y"',
        bottoms="np.stack([rng.randn(batch), 1e9 + 1e5 * rng.rand(batch)], 1)",
        tops="bottoms[0][:, 0] * np.exp((bottoms[0][:, 1] - 1.00005e9) / 1e5)",
        twins=[
            (
                "values twice",
                "= self.w * top",
                "= 2 * self.w * top",
                "gradient",
                "bottom events",
            ),
            (
                "stamps' sign",
                "= top[0].data * top",
                "= -top[0].data * top",
                "gradient",
                "bottom events",
            ),
        ],
    ),
}
