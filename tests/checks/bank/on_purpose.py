"""What is right in Caffe though it is not the slope, keeps state, or needs a word from outside."""

LAYERS = {
    "uses_up_its_buffer": dict(  # Caffe runs forward before every backward
        body="""
class SmoothL1(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs")

    def reshape(self, bottom, top):
        self.diff = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        a = np.abs(self.diff)
        top[0].data[...] = np.where(a < 1, 0.5 * a ** 2, a - 0.5).sum() / bottom[0].num

    def backward(self, top, propagate_down, bottom):
        np.clip(self.diff, -1, 1, out=self.diff)
        self.diff *= top[0].diff[0]
        self.diff /= bottom[0].num
        if propagate_down[0]:
            bottom[0].diff[...] = self.diff
        if propagate_down[1]:
            bottom[1].diff[...] = -self.diff
""",
        blobs='bottom: "bbox_pred" bottom: "targets" top: "loss" loss_weight: 1',
        bottoms="2 * rng.randn(batch, 8), rng.randn(batch, 8)",
        tops=None,
        twins=[
            (
                "top diff ignored",
                "        self.diff *= top[0].diff[0]\n",
                "",
                "gradient",
                "top's diff is ignored",
            ),
            (
                "top diff ignored, number of rows twice",
                ("        self.diff *= top[0].diff[0]\n", "/= bottom[0].num"),
                ("", "/= bottom[0].num ** 2"),
                "gradient",
                "gradient of bottom bbox_pred",
            ),
        ],
    ),
    "gradient_reversal": dict(
        body="""
class GradientReversal(caffe.Layer):
    def setup(self, bottom, top):
        self.lam = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = -self.lam * top[0].diff
""",
        blobs='bottom: "feature" top: "reversed"',
        param_str="0.4",
        test="""
def make_bottoms(rng, batch):
    return [rng.randn(batch, 5)]


def expected_tops(bottoms, params):
    return [bottoms[0]]


def expected_diffs(bottoms, params, top_diffs):
    return [-0.4 * top_diffs[0]]
""",
        check="expected_diffs=expected_diffs",
        twins=[
            ("not reversed", "-self.lam", "self.lam", "gradient", "expected_diffs"),
            (
                "adds to the diff",
                "diff[...] = -self.lam * top",
                "diff[...] -= self.lam * top",
                "gradient",
                "adds to what is in the diff",
            ),
            (
                "writes when it is off",
                "if propagate_down[0]:",
                "if True:",
                "propagate_down",
                "backward wrote the diff",
            ),
            (
                "nothing said of it",
                "check(make_bottoms, expected_tops, expected_diffs=expected_diffs)",
                "check(make_bottoms, expected_tops)",
                "gradient",
                "-0.4 times|expected_diffs",
            ),
        ],
    ),
    "straight_through": dict(
        body="""
class BinaryActivation(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = np.where(bottom[0].data >= 0, 1, -1)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            inside = np.abs(bottom[0].data) <= 1
            bottom[0].diff[...] = top[0].diff * inside
""",
        blobs='bottom: "x" top: "sign"',
        test="""
def make_bottoms(rng, batch):
    return [rng.randn(batch, 3, 4)]


def expected_tops(bottoms, params):
    return [np.where(bottoms[0] >= 0, 1, -1)]


def expected_diffs(bottoms, params, top_diffs):
    return [top_diffs[0] * (np.abs(bottoms[0]) <= 1)]
""",
        check="expected_diffs=expected_diffs",
        twins=[
            (
                "not clipped",
                "top[0].diff * inside",
                "top[0].diff",
                "gradient",
                "expected_diffs",
            ),
            (
                "nothing said of it",
                "check(make_bottoms, expected_tops, expected_diffs=expected_diffs)",
                "check(make_bottoms, expected_tops)",
                "gradient",
                "small changes change nothing",
            ),
        ],
    ),
    "backward_of_one_of_two": dict(  # the teacher gets none by design
        body="""
class Distill(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.d = bottom[0].data - bottom[1].data
        top[0].data[...] = np.mean(self.d ** 2)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2. * self.d * top[0].diff[0] / self.d.size
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs='bottom: "student" bottom: "teacher" top: "loss" loss_weight: 1',
        test="""
def make_bottoms(rng, batch):
    return [rng.randn(batch, 6), rng.randn(batch, 6)]


def expected_tops(bottoms, params):
    return [np.mean((bottoms[0] - bottoms[1]) ** 2)]


def expected_diffs(bottoms, params, top_diffs):
    d = bottoms[0] - bottoms[1]
    return [2 * d * top_diffs[0] / d.size, np.zeros(d.shape)]
""",
        check="expected_diffs=expected_diffs",
        twins=[
            (
                "left out",
                "bottom[1].diff[...] = 0",
                "pass",
                "gradient",
                "left 24 of 24 elements of the diff of bottom teacher",
            ),
            (
                "twice",
                "= 2. * self.d",
                "= 4. * self.d",
                "gradient",
                "expected_diffs",
            ),
        ],
    ),
    "running_mean": dict(  # TRAIN takes the batch's mean, TEST what was kept
        body="""
class Center(caffe.Layer):
    def setup(self, bottom, top):
        self.mean = np.zeros(bottom[0].channels, np.float32)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        if self.phase == 0:
            mean = bottom[0].data.mean(0)
            self.mean = 0.9 * self.mean + 0.1 * mean
        else:
            mean = self.mean
        top[0].data[...] = bottom[0].data - mean

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            d = top[0].diff
            bottom[0].diff[...] = d - d.mean(0) if self.phase == 0 else d
""",
        blobs='bottom: "x" top: "centered"',
        bottoms="1 + rng.randn(batch, 6)",
        tops="bottoms[0] - bottoms[0].mean(0)",
        check="stateful=True",
        twins=[
            (
                "mean taken for a constant",
                "d - d.mean(0) if self.phase == 0 else d",
                "d",
                "gradient",
                "gradient of bottom x",
            ),
            (
                "crashes in TEST",
                "mean = self.mean\n",
                "mean = self.means\n",
                "any",
                "TEST",
            ),
        ],
    ),
    "warms_up": dict(  # another top at each forward
        body="""
class AnnealedLoss(caffe.Layer):
    def setup(self, bottom, top):
        self.iter = 0

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.iter += 1
        self.w = min(1., self.iter / 10.)
        top[0].data[...] = self.w * 0.5 * np.sum(bottom[0].data ** 2)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = self.w * top[0].diff[0] * bottom[0].data
""",
        blobs='bottom: "x" top: "loss" loss_weight: 1',
        bottoms="rng.randn(batch, 5)",
        tops=None,
        check="stateful=True",
        twins=[
            (
                "nothing said of it",
                "check(make_bottoms, expected_tops, stateful=True)",
                "check(make_bottoms, expected_tops)",
                "forward",
                "stateful=True",
            ),
            (
                "changes its bottom",
                "self.iter += 1",
                "bottom[0].data[...] *= 0.9",
                "forward",
                "forward changed its bottom",
            ),
        ],
    ),
    "label_with_force_backward": dict(
        body="""
class HingeLoss(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise ValueError("HingeLoss wants scores and labels of 1 and -1")

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.left = 1 - bottom[0].data * bottom[1].data
        top[0].data[...] = np.maximum(self.left, 0).sum() / len(self.left)

    def backward(self, top, propagate_down, bottom):
        g = -bottom[1].data * (self.left > 0) * (top[0].diff[0] / len(self.left))
        if propagate_down[0]:
            bottom[0].diff[...] = g
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs="""bottom: "scores" bottom: "label" top: "loss" loss_weight: 1
  propagate_down: true propagate_down: false""",
        bottoms="rng.randn(batch, 4), rng.choice([-1, 1], (batch, 4))",
        tops="np.maximum(1 - bottoms[0] * bottoms[1], 0).sum() / len(bottoms[0])",
        twins=[
            (
                "aborts",
                "bottom[1].diff[...] = 0",
                "raise Exception('cannot backpropagate to label')",
                "force_backward --strict",
                "force_backward",
            ),
            (
                "label without propagate_down",
                (
                    "  propagate_down: true propagate_down: false",
                    "bottom[1].diff[...] = 0",
                ),
                ("", "pass"),
                "gradient",
                "bottom label.*propagate_down: false",
            ),
            (
                "sign",
                "g = -bottom[1]",
                "g = bottom[1]",
                "gradient",
                "the sign is wrong",
            ),
        ],
    ),
    "class_weights_from_outside": dict(
        body="""
class WeightedError(caffe.Layer):
    def setup(self, bottom, top):
        self._weights = None

    def set_weights(self, weights):
        self._weights = np.asarray(weights, np.float32)

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.d = self._weights * (bottom[0].data - bottom[1].data)
        top[0].data[...] = 0.5 * np.sum(self.d ** 2)

    def backward(self, top, propagate_down, bottom):
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self._weights * self.d * top[0].diff[0]
""",
        blobs='bottom: "pred" bottom: "target" top: "loss" loss_weight: 1',
        test="""
def make_bottoms(rng, batch):
    return [rng.randn(batch, 3), rng.randn(batch, 3)]


def expected_tops(bottoms, params):
    return [0.5 * np.sum(([1, 2, 5] * (bottoms[0] - bottoms[1])) ** 2)]


def prepare(net):
    for layer in list(net.layers):
        if hasattr(layer, "set_weights"):
            layer.set_weights([1, 2, 5])
""",
        check="prepare=prepare",
        twins=[
            (
                "weights only once",
                "sign * self._weights * self.d",
                "sign * self.d",
                "gradient",
                "gradient of bottom pred",
            ),
        ],
    ),
}
