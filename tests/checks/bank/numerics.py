"""Layers that differences of forward are hard on: float32 inside, ties, zeros, tiny slopes."""

LAYER = """
class %s(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(%s)

    def forward(self, bottom, top):
%s

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
%s
"""
ONE = 'bottom: "x" top: "y"'
LOSS = 'bottom: "x" top: "loss" loss_weight: 1'
SHAPE = "*bottom[0].data.shape"


def layer(name, shape, forward, backward):
    """Return the text of a module: lines of forward and backward, indented."""
    lines = [
        "\n".join(" " * indent + line for line in text.strip().split("\n"))
        for indent, text in ((8, forward), (12, backward))
    ]
    return LAYER % (name, shape, *lines)


LAYERS = {
    "float32_inside": dict(  # which float64 bottoms do not make any finer
        body=layer(
            "Swish",
            SHAPE,
            """
x = bottom[0].data.astype('float32')
self.s = (1 / (1 + np.exp(-x))).astype('float32')
top[0].data[...] = x * self.s
""",
            """
x, s = bottom[0].data.astype('float32'), self.s
bottom[0].diff[...] = top[0].diff * (s + x * s * (1 - s))
""",
        ),
        blobs=ONE,
        bottoms="rng.randn(batch, 3, 5)",
        tops="bottoms[0] / (1 + np.exp(-bottoms[0]))",
        twins=[("s for 1 - s", "s * (1 - s)", "s * s", "gradient", "bottom x")],
    ),
    "float32_buffer_of_values_near_1000": dict(
        body=layer(
            "Centered",
            SHAPE,
            """
self.x = np.array(bottom[0].data, dtype='float32')
top[0].data[...] = self.x - self.x.mean(1, keepdims=True)
""",
            """
d = top[0].diff
bottom[0].diff[...] = d - d.mean(1, keepdims=True)
""",
        ),
        blobs=ONE,
        bottoms="1000 + rng.randn(batch, 6)",
        tops=None,
        twins=[
            (
                "mean forgotten",
                "d - d.mean(1, keepdims=True)",
                "d",
                "gradient",
                "bottom x",
            )
        ],
    ),
    "relu_of_zeros": dict(  # half of its bottom is what another ReLU cut off
        body=layer(
            "ReLU",
            SHAPE,
            "top[0].data[...] = np.maximum(bottom[0].data, 0)",
            "bottom[0].diff[...] = top[0].diff * (bottom[0].data > 0)",
        ),
        blobs=ONE,
        bottoms="np.maximum(rng.randn(batch, 4, 5), 0)",
        tops="bottoms[0]",
        twins=[
            ("twice", "= top[0].diff *", "= 2 * top[0].diff *", "gradient", "2 tim")
        ],
    ),
    "distances_of_all_pairs": dict(
        body=layer(
            "Distances",
            "bottom[0].num, bottom[0].num",
            """
x = bottom[0].data
self.d = x[:, None] - x[None]
self.r = np.sqrt((self.d ** 2).sum(2) + 1e-8)
top[0].data[...] = self.r
""",
            """
g = (top[0].diff / self.r)[:, :, None] * self.d
bottom[0].diff[...] = g.sum(1) - g.sum(0)
""",
        ),
        blobs=ONE,
        bottoms="rng.randn(batch, 3)",
        tops=None,
        twins=[("one side", "g.sum(1) - g.sum(0)", "g.sum(1)", "gradient", "bottom x")],
    ),
    "batch_norm": dict(
        body=layer(
            "BatchNorm",
            SHAPE,
            """
x = bottom[0].data
self.s = np.sqrt(x.var(0) + 1e-5)
self.y = (x - x.mean(0)) / self.s
top[0].data[...] = self.y
""",
            """
d = top[0].diff
bottom[0].diff[...] = (d - d.mean(0) - self.y * (d * self.y).mean(0)) / self.s
""",
        ),
        blobs=ONE,
        bottoms="3 + 2 * rng.randn(batch, 4)",
        tops=None,
        twins=[
            (
                "variance for a constant",
                " - self.y * (d * self.y).mean(0)",
                "",
                "gradient",
                "bottom x",
            )
        ],
    ),
    "hardest_negatives": dict(  # the k largest, by a threshold that may be shared
        body=layer(
            "TopLoss",
            "1",
            """
x = bottom[0].data.ravel()
self.best = np.argsort(-x, kind='mergesort')[:x.size // 3]
top[0].data[...] = (x[self.best] ** 2).sum()
""",
            """
bottom[0].diff[...] = 0
x = bottom[0].data.ravel()
bottom[0].diff.reshape(-1)[self.best] = 2 * x[self.best] * top[0].diff[0]
""",
        ),
        blobs=LOSS,
        bottoms="np.round(4 * rng.rand(batch, 6)) / 4 + 0.25",
        tops=None,
        twins=[
            ("not squared", "= 2 * x[self.best] *", "= 2 *", "gradient", "bottom x")
        ],
    ),
    "tiny_tops": dict(
        body=layer(
            "Tiny",
            SHAPE,
            "top[0].data[...] = 1e-5 * np.tanh(bottom[0].data)",
            "bottom[0].diff[...] = 1e-5 / np.cosh(bottom[0].data) ** 2 * top[0].diff",
        ),
        blobs=ONE,
        bottoms="rng.randn(batch, 6)",
        tops="1e-5 * np.tanh(bottoms[0])",
        twins=[("1 % off", "= 1e-5 /", "= 1.01e-5 /", "gradient", "1.01 times")],
    ),
    "log_loss_of_the_sure": dict(  # p of the label between 1 - 1e-9 and 1 - 1e-13
        body=layer(
            "Logistic",
            "1",
            """
x = bottom[0].data
self.p = 1 / (1 + np.exp(-x))
top[0].data[...] = -np.log(self.p).mean()
""",
            "bottom[0].diff[...] = (self.p - 1) * top[0].diff[0] / self.p.size",
        ),
        blobs=LOSS,
        bottoms="rng.uniform(20, 30, (batch, 3))",
        tops=None,
        twins=[],
    ),
    "softmax_with_floor": dict(  # an approximation in forward that backward leaves out
        body=layer(
            "Entropy",
            "1",
            """
x = bottom[0].data
e = np.exp(x - x.max(1)[:, None])
self.p = e / e.sum(1)[:, None]
self.l = np.log(self.p + 1e-9)
top[0].data[...] = -(self.p * self.l).sum()
""",
            """
h = (self.p * self.l).sum(1)[:, None]
bottom[0].diff[...] = -self.p * (self.l - h) * top[0].diff[0]
""",
        ),
        blobs=LOSS,
        bottoms="2 * rng.randn(batch, 5)",
        tops=None,
        twins=[
            ("no mean", "(self.l - h)", "self.l", "gradient", "bottom x"),
            ("overflows", "x - x.max(1)[:, None]", "x", "any --strict", "up to 300"),
        ],
    ),
    "roots_and_powers": dict(  # of values over six orders of magnitude
        body=layer(
            "Root",
            SHAPE,
            "top[0].data[...] = np.sqrt(bottom[0].data)",
            "bottom[0].diff[...] = 0.5 / top[0].data * top[0].diff",
        ),
        blobs=ONE,
        bottoms="10 ** rng.uniform(-3, 3, (batch, 5))",
        tops="np.sqrt(bottoms[0])",
        twins=[("half forgotten", "= 0.5 /", "= 1 /", "gradient", "2 times")],
    ),
    "max_of_two": dict(
        body="""
class Max(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.first = bottom[0].data >= bottom[1].data
        top[0].data[...] = np.where(self.first, bottom[0].data, bottom[1].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.first
        if propagate_down[1]:
            bottom[1].diff[...] = top[0].diff * ~self.first
""",
        blobs='bottom: "a" bottom: "b" top: "y"',
        bottoms="np.round(rng.randn(batch, 6)), np.round(rng.randn(batch, 6))",
        tops="np.maximum(*bottoms)",
        twins=[("to both", "diff * ~self.first", "diff", "gradient", "bottom b")],
    ),
    "mean_of_the_greatest": dict(  # several share a maximum, each gets its part
        body=layer(
            "SharedMax",
            "bottom[0].num",
            """
x = bottom[0].data
self.mask = x == x.max(1)[:, None]
top[0].data[...] = x.max(1)
""",
            """
m = self.mask / self.mask.sum(1)[:, None].astype(float)
bottom[0].diff[...] = m * top[0].diff[:, None]
""",
        ),
        blobs=ONE,
        bottoms="np.round(rng.randn(batch, 6))",
        tops="bottoms[0].max(1)",
        twins=[
            (
                "not shared",
                " / self.mask.sum(1)[:, None].astype(float)",
                "",
                "any",
                "ties|equal",
            )
        ],
    ),
}
