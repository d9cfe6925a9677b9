"""Bottom and top are one blob, or are not."""

LAYERS = {
    "cube": dict(
        body="""
class Cube(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data ** 3

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 3 * bottom[0].data ** 2 * top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 5)",
        tops="bottoms[0] ** 3",
        twins=[
            ("in place", '"y"', '"x"', "gradient", "in place"),
            ("power forgotten", "3 * bottom", "bottom", "gradient", "0.3333 times"),
        ],
    ),
    "relu_in_place": dict(
        body="""
class ReLULayer(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = np.maximum(bottom[0].data, 0)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * (top[0].data > 0)
""",
        blobs='bottom: "conv1" top: "conv1"',
        bottoms="rng.randn(batch, 3, 4, 4)",
        tops="np.maximum(bottoms[0], 0)",
        twins=[
            ("passes where it is off", "data > 0", "data >= 0", "gradient", "conv1"),
            (
                "clears the diff first",
                "            bottom[0].diff[...] = top",
                "            bottom[0].diff[...] = 0\n            bottom[0].diff[...] += top",
                "gradient",
                "in place",
            ),
        ],
    ),
    "sigmoid_in_place": dict(
        body="""
class Sigmoid(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one blob, please")

    def reshape(self, bottom, top):
        if bottom[0].data.shape != top[0].data.shape:
            top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 1. / (1. + np.exp(-bottom[0].data))

    def backward(self, top, propagate_down, bottom):
        y = top[0].data
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * y * (1 - y)
""",
        blobs='bottom: "fc" top: "fc"',
        bottoms="rng.randn(batch, 6)",
        tops="1 / (1 + np.exp(-bottoms[0]))",
        twins=[
            (
                "from the bottom's data",
                "y = top[0].data",
                "y = 1. / (1. + np.exp(-bottom[0].data))",
                "gradient",
                "in place",
            ),
        ],
    ),
    "scale_all_in_place": dict(
        body="""
class ScaleAll(caffe.Layer):
    def setup(self, bottom, top):
        self.factors = [0.5 * i + 0.75 for i in range(len(bottom))]

    def reshape(self, bottom, top):
        for i in range(len(bottom)):
            top[i].reshape(*bottom[i].data.shape)

    def forward(self, bottom, top):
        for i, f in enumerate(self.factors):
            top[i].data[...] = f * bottom[i].data

    def backward(self, top, propagate_down, bottom):
        for i, f in enumerate(self.factors):
            if propagate_down[i]:
                bottom[i].diff[...] = f * top[i].diff
""",
        blobs='bottom: "a" bottom: "b" top: "a" top: "b2"',
        bottoms="rng.randn(batch, 4), rng.randn(batch, 2, 3)",
        tops="0.75 * bottoms[0], 1.25 * bottoms[1]",
        twins=[
            (
                "copies before it scales",
                "            top[i].data[...] = f * bottom[i].data",
                "            top[i].data[...] = bottom[i].data\n"
                "            bottom[i].data[...] *= f",
                "any",
                "forward changed its bottom",
            ),
        ],
    ),
}
