"""Numbers of bottoms and tops, tops that are only watched, keys, and how a layer refuses."""

LAYERS = {
    "loss_and_worst": dict(
        body="""
class LossAndWorst(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)
        top[1].reshape(1)

    def forward(self, bottom, top):
        self.d = bottom[0].data - bottom[1].data
        top[0].data[0] = np.sum(self.d ** 2) / 2. / len(self.d)
        top[1].data[0] = np.abs(self.d).max()   # only to look at

    def backward(self, top, propagate_down, bottom):
        g = self.d * top[0].diff[0] / len(self.d)
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * g
""",
        blobs="""bottom: "pred" bottom: "target" top: "loss" top: "worst"
  loss_weight: 1 loss_weight: 0""",
        bottoms="rng.randn(batch, 7), rng.randn(batch, 7)",
        tops="np.sum((bottoms[0] - bottoms[1]) ** 2) / 2 / len(bottoms[0]), "
        "np.abs(bottoms[0] - bottoms[1]).max()",
        twins=[
            (
                "watched top gets a weight",
                "loss_weight: 0",
                "loss_weight: 1",
                "gradient",
                "top worst is forgotten",
            ),
            (
                "top diff ignored",
                "self.d * top[0].diff[0]",
                "self.d",
                "gradient",
                "top's diff is ignored",
            ),
        ],
    ),
    "mask_and_count": dict(  # takes a second top, and one more, and ignores it
        body="""
class MaskedL1(caffe.Layer):
    def setup(self, bottom, top):
        print('Setting up the masked L1')

    def reshape(self, bottom, top):
        top[0].reshape(1)
        for i in range(1, len(top)):
            top[i].reshape(1)

    def forward(self, bottom, top):
        self.m = bottom[2].data > 0.5
        self.n = max(self.m.sum(), 1)
        top[0].data[...] = (np.abs(bottom[0].data - bottom[1].data) * self.m).sum() / self.n

    def backward(self, top, propagate_down, bottom):
        g = np.sign(bottom[0].data - bottom[1].data) * self.m * (top[0].diff[0] / self.n)
        if propagate_down[0]:
            bottom[0].diff[...] = g
        if propagate_down[1]:
            bottom[1].diff[...] = -g
        if propagate_down[2]:
            bottom[2].diff[...] = 0
""",
        blobs="""bottom: "a" bottom: "b" bottom: "mask" top: "l1" loss_weight: 2
  propagate_down: true propagate_down: true propagate_down: false""",
        bottoms="rng.randn(batch, 5), rng.randn(batch, 5), rng.rand(batch, 5) > 0.3",
        tops="np.sum(np.abs(bottoms[0] - bottoms[1]) * bottoms[2]) / bottoms[2].sum()",
        twins=[
            (
                "mask forgotten in backward",
                "* self.m * (top",
                "* (top",
                "gradient",
                "does not depend",
            ),
            ("b has a's sign", "= -g", "= g", "gradient", "the sign is wrong"),
        ],
    ),
    "exits_for_a_count": dict(
        body="""
class WeightedSum(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2 or len(top) != 1:
            print("Need two inputs and one output")
            exit(-1)

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            exit("inputs must have the same dimension")
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 0.75 * bottom[0].data + 0.25 * bottom[1].data

    def backward(self, top, propagate_down, bottom):
        for i, w in enumerate((0.75, 0.25)):
            if propagate_down[i]:
                bottom[i].diff[...] = w * top[0].diff
""",
        blobs='bottom: "a" bottom: "b" top: "sum"',
        bottoms="rng.randn(batch, 2, 3), rng.randn(batch, 2, 3)",
        tops="0.75 * bottoms[0] + 0.25 * bottoms[1]",
        twins=[
            ("exits always", "!= 2", "!= 3", "load", "exit|SystemExit"),
            (
                "exits for a batch",
                "bottom[0].count != bottom[1].count",
                "bottom[0].num > 6",
                "any",
                "exit|SystemExit",
            ),
        ],
    ),
    "takes_any_keys": dict(
        body="""
class Power(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.scale = float(params.get('scale', 1))
        self.shift = float(params.get('shift', 0))

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = (self.scale * bottom[0].data + self.shift) ** 2

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            inner = self.scale * bottom[0].data + self.shift
            bottom[0].diff[...] = 2 * self.scale * inner * top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        param_str="{'scale': 0.3, 'shift': 3}",
        bottoms="rng.randn(batch, 6)",
        tops="(params['scale'] * bottoms[0] + params['shift']) ** 2",
        twins=[
            ("scale forgotten", "2 * self.scale", "2", "gradient", "the key scale"),
            (
                "scale never read",
                "params.get('scale', 1)",
                "0.3",
                "keys --strict",
                "scale.*other values change nothing",
            ),
        ],
    ),
    "twenty_bottoms": dict(
        body="""
class Blend(caffe.Layer):
    def setup(self, bottom, top):
        self.w = np.linspace(0.2, 2.1, len(bottom))

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 0
        for i in range(len(bottom)):
            top[0].data[...] += self.w[i] * np.tanh(bottom[i].data)

    def backward(self, top, propagate_down, bottom):
        for i in range(len(bottom)):
            if propagate_down[i]:
                y = np.tanh(bottom[i].data)
                bottom[i].diff[...] = self.w[i] * (1 - y ** 2) * top[0].diff
""",
        blobs=" ".join('bottom: "x%d"' % i for i in range(20)) + ' top: "y"',
        bottoms="rng.randn(batch, 3, 4) for _ in range(20)",
        tops="sum(w * np.tanh(x) for w, x in zip(np.linspace(0.2, 2.1, 20), bottoms))",
        twins=[
            (
                "the 14th has its neighbour's weight",
                "self.w[i] * (1",
                "self.w[i - (i == 13)] * (1",
                "gradient",
                "bottom x13",
            ),
            (
                "the last is forgotten",
                "            if propagate_down[i]:",
                "            if propagate_down[i] and i < 19:",
                "gradient",
                "bottom x19",
            ),
        ],
    ),
    "plain_numbers_as_param_str": dict(
        body="""
class Affine(caffe.Layer):
    def setup(self, bottom, top):
        a, b = self.param_str.split(',')
        self.a, self.b = float(a), float(b)

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, bottom[0].channels)

    def forward(self, bottom, top):
        top[0].data[...] = self.a * bottom[0].data + self.b

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = self.a * top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        param_str="0.3,2",
        bottoms="rng.randn(batch, 6)",
        tops="0.3 * bottoms[0] + 2",
        twins=[
            ("adds b", "= self.a * top[0].diff", "@ + self.b", "gradient", "plus 2")
        ],
    ),
    "loss_weight_in_its_fragment": dict(
        body="""
class EuclideanLossLayer(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            sign = 1 if i == 0 else -1
            bottom[i].diff[...] = sign * self.diff * top[0].diff[0] / bottom[i].num
""",
        blobs='bottom: "pred" bottom: "label" top: "loss" loss_weight: 1',
        bottoms="rng.randn(batch, 3), rng.randn(batch, 3)",
        tops="np.sum((bottoms[0] - bottoms[1]) ** 2) / len(bottoms[0]) / 2",
        twins=[
            ("no loss_weight", "loss_weight: 1", "", "any --strict", "loss_weight"),
            (
                "top diff ignored",
                " * top[0].diff[0] /",
                " /",
                "gradient",
                "top's diff is ignored",
            ),
            (
                "refuses its own shapes",
                "bottom[0].count != bottom[1].count",
                "bottom[0].channels != 4",
                "load",
                r"\(4, 3\)",
            ),
        ],
    ),
    "scores_of_a_net": dict(  # the net gives a column, make_bottoms a row
        body="""
class SquaredError(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        self.diff = np.zeros(bottom[0].data.size, np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data.ravel() - bottom[1].data.ravel()
        top[0].data[...] = np.sum(self.diff ** 2)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff.flat = 2 * self.diff * top[0].diff[0]
        if propagate_down[1]:
            bottom[1].diff.flat = -2 * self.diff * top[0].diff[0]
""",
        blobs='bottom: "score" bottom: "y" top: "loss" loss_weight: 1',
        bottoms="rng.randn(batch), rng.randn(batch)",
        tops="np.sum((bottoms[0] - bottoms[1]) ** 2)",
        net="""
layer { name: "a" type: "Input" top: "score" input_param { shape { dim: 6 dim: 1 } } }
layer { name: "b" type: "Input" top: "y" input_param { shape { dim: 6 } } }
""",
        options="--bottoms-from=net.prototxt",
        twins=[
            (
                "only for scores of one axis",
                "bottom[0].data.ravel()",
                "bottom[0].data",
                "any --bottoms-from=net.prototxt",
                r"\(6, 1\)|broadcast",
            ),
        ],
    ),
}
