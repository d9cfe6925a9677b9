"""Losses and metrics of papers: masks, batches that are right already, TEST, a batch of one."""

SOFTMAX = """
class SoftmaxLoss(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        x = bottom[0].data
        label = bottom[1].data.ravel().astype(int)
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        self.at = np.arange(len(x)), label
        top[0].data[...] = -np.log(np.maximum(self.p[self.at], 1e-20)).sum() / len(x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            g = self.p.copy()
            g[self.at] -= 1
            bottom[0].diff[...] = g * (top[0].diff[0] / len(g))
        if propagate_down[1]:
            bottom[1].diff[...] = 0
"""
LEAD = """
def make_bottoms(rng, batch):
    scores, label = rng.randn(batch, 5), rng.randint(0, 5, batch)
    scores[np.arange(batch), label] = scores.max(1) + %s
    return [scores, label.reshape(batch, 1, 1, 1)]


def expected_tops(bottoms, params):
    return None
"""
TWO = """bottom: "scores" bottom: "label" top: "loss" loss_weight: 1
  propagate_down: true propagate_down: false"""

LAYERS = {
    "softmax_lead_12": dict(
        body=SOFTMAX,
        blobs=TWO,
        test=LEAD % "12",
        twins=[
            (
                "label forgotten",
                "            g[self.at] -= 1\n",
                "",
                "gradient",
                "bottom scores",
            ),
            ("twice", "g * (top", "2 * g * (top", "gradient", "2 times"),
        ],
    ),
    "softmax_lead_16": dict(
        body=SOFTMAX,
        blobs=TWO,
        test=LEAD % "16",
        twins=[
            ("sign", "g * (top", "-g * (top", "gradient", "sign is wrong"),
        ],
    ),
    "softmax_lead_20": dict(body=SOFTMAX, blobs=TWO, test=LEAD % "20", twins=[]),
    "softmax_lead_40": dict(  # the gradient is 1e-17
        body=SOFTMAX, blobs=TWO, test=LEAD % "40", twins=[]
    ),
    "softmax_some_right": dict(
        body=SOFTMAX,
        blobs=TWO,
        test=LEAD % "rng.choice([-1, 2, 14], batch)",
        twins=[
            ("count forgotten", " / len(g))", ")", "gradient", "times the right one"),
        ],
    ),
    "sigmoid_right_by_12": dict(
        body="""
class SigmoidLoss(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        x, t = bottom[0].data, bottom[1].data
        self.p = 1. / (1. + np.exp(-x))
        top[0].data[...] = -(t * np.log(self.p) + (1 - t) * np.log(1 - self.p)).mean()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = (self.p - bottom[1].data) * top[0].diff[0] / self.p.size
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs=TWO,
        test="""
def make_bottoms(rng, batch):
    label = rng.randint(0, 2, (batch, 4))
    return [(2 * label - 1) * rng.uniform(11, 13, label.shape), label]


def expected_tops(bottoms, params):
    return None
""",
        twins=[
            (
                "not the label",
                "(self.p - bottom[1].data)",
                "self.p",
                "gradient",
                "bottom scores",
            ),
        ],
    ),
    "temperature_4": dict(
        body="""
class SoftTarget(caffe.Layer):
    def setup(self, bottom, top):
        self.T = 4.

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        z = bottom[0].data / self.T
        e = np.exp(z - z.max(1)[:, None])
        self.p = e / e.sum(1)[:, None]
        top[0].data[...] = -(bottom[1].data * np.log(self.p)).sum()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            g = self.p * bottom[1].data.sum(1)[:, None] - bottom[1].data
            bottom[0].diff[...] = g / self.T * top[0].diff[0]
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs='bottom: "student" bottom: "teacher" top: "loss" loss_weight: 1 '
        "propagate_down: true propagate_down: false",
        bottoms="3 * rng.randn(batch, 6), rng.dirichlet(np.ones(6), batch)",
        tops=None,
        twins=[
            (
                "temperature forgotten",
                "g / self.T *",
                "g *",
                "gradient",
                r"^(?!.*batch size).*4 times the right one",
            ),
        ],
    ),
    "ignores_255": dict(
        body="""
class SegmentationLoss(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        x = bottom[0].data
        label = bottom[1].data.astype(int)
        self.mask = label != 255
        e = np.exp(x - x.max(1)[:, None])
        self.p = e / e.sum(1)[:, None]
        self.hot = np.arange(x.shape[1])[:, None, None] == label
        picked = np.where(self.hot, np.log(np.maximum(self.p, 1e-30)), 0).sum(1)
        self.count = max(self.mask.sum(), 1)
        top[0].data[...] = -picked.sum() / self.count

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            g = (self.p - self.hot) * self.mask
            bottom[0].diff[...] = g * (top[0].diff[0] / self.count)
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs=TWO,
        test="""
def make_bottoms(rng, batch):
    label = rng.choice([0, 1, 2, 255], (batch, 1, 3, 3))
    return [rng.randn(batch, 3, 3, 3), label]


def expected_tops(bottoms, params):
    return None
""",
        twins=[
            ("also where it ignores", " * self.mask\n", "\n", "gradient", "255"),
            (
                "by all pixels",
                "(top[0].diff[0] / self.count)",
                "(top[0].diff[0] / self.mask.size)",
                "gradient",
                "bottom scores",
            ),
        ],
    ),
    "weighs_by_frequency": dict(
        body="""
class BalancedError(caffe.Layer):
    shape = None

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        label = bottom[1].data
        positive = label.mean()
        self.w = np.where(label > 0, 1 - positive, positive)
        self.d = bottom[0].data - label
        top[0].data[...] = (self.w * self.d ** 2).sum()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * self.w * self.d * top[0].diff[0]
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs=TWO,
        bottoms="rng.randn(batch, 6), rng.rand(batch, 6) > 0.7",
        tops=None,
        twins=[
            (
                "kept for the shape",
                "        self.w = np",
                "        if self.shape != label.shape:\n"
                "            self.shape = label.shape\n            self.w = np",
                "any",
                "same shape|stale|earlier batch",
            ),
            (
                "kept in backward, for the shape",
                "            bottom[0].diff[...] = 2 * self.w",
                "            if self.shape != self.d.shape:\n"
                "                self.shape, self.kept = self.d.shape, self.w\n"
                "            bottom[0].diff[...] = 2 * self.kept",
                "forward",
                "backward after one on other bottoms of the same shape.*earlier batch",
            ),
            (
                "made in reshape, for the shape",
                ("        self.w = np", "        top[0].reshape(1)\n"),
                (
                    "        pass\n        w = np",
                    "        top[0].reshape(1)\n        label = bottom[1].data\n"
                    "        if self.shape != label.shape:\n"
                    "            self.shape = label.shape\n"
                    "            self.w = np.where(label > 0, 1 - label.mean(), label.mean())\n",
                ),
                "any",
                "same shape|stale|earlier batch",
            ),
        ],
    ),
    "class_level_cache": dict(
        body="""
class CenterPrior(caffe.Layer):
    _cache = {}

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def window(self, bottom):
        key = bottom[0].data.shape
        if key not in self._cache:
            n = key[1]
            self._cache[key] = np.exp(-np.square(np.arange(n) - n / 2.) / n)
        return self._cache[key]

    def forward(self, bottom, top):
        self.w = self.window(bottom)
        top[0].data[...] = bottom[0].data * self.w

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.w
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 6)",
        tops=None,
        twins=[
            (
                "of the data",
                "np.exp(-np.square(np.arange(n) - n / 2.) / n)",
                "1. / (1 + bottom[0].data ** 2).mean(0)",
                "any",
                "same shape|stale|earlier batch",
            ),
            (
                "fails with one sample",  # numpy raises the ValueError, nobody refuses it
                "key = bottom[0].data.shape",
                "_, _ = key = bottom[0].data.squeeze().shape",
                "batch_of_one",
                "with a batch of one: not enough values",
            ),
        ],
    ),
    "refuses_one_sample": dict(
        body="""
class Centered(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        if bottom[0].num < 2:
            raise ValueError(
                "two samples or more, got %d"
                % bottom[0].num
            )
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data - bottom[0].data.mean(0)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff - top[0].diff.mean(0)
""",
        blobs='bottom: "x" top: "centered"',
        bottoms="rng.randn(batch, 5)",
        tops="bottoms[0] - bottoms[0].mean(0)",
        twins=[
            (
                "of one only",
                "bottom[0].num < 2",
                "bottom[0].num > 1",
                "load",
                r"two samples or more.*x \(4, 5\)",
            ),
        ],
    ),
    "dropout": dict(
        body="""
class Dropout(caffe.Layer):
    def setup(self, bottom, top):
        self.ratio = 0.4

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        if self.phase == caffe.TRAIN:
            self.mask = (np.random.rand(*bottom[0].data.shape) > self.ratio) / (1 - self.ratio)
            top[0].data[...] = bottom[0].data * self.mask
        else:
            top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.mask
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 6)",
        tops=None,
        twins=[
            (
                "typo in TEST",
                "else:\n            top[0].data[...] = bottom[0].data",
                "else:\n            top[0].data[...] = bottom[0].dta",
                "any",
                "TEST",
            ),
            (
                "writes nothing in TEST",
                "        else:\n            top[0].data[...] = bottom[0].data\n",
                "",
                "any",
                "TEST",
            ),
            (
                "another mask in backward",
                "= top[0].diff * self.mask",
                "= top[0].diff * (np.random.rand(*self.mask.shape) > self.ratio)",
                "gradient",
                "backward|bottom x",
            ),
        ],
    ),
    "labels_one_by_one": dict(
        body="""
class NLL(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.labels = bottom[1].data.ravel()
        loss = 0.
        for i, l in enumerate(self.labels):
            loss -= bottom[0].data[i, int(l)]
        top[0].data[...] = loss / bottom[0].num

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            for i, l in enumerate(self.labels):
                bottom[0].diff[i, int(l)] = -top[0].diff[0] / bottom[0].num
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs=TWO,
        bottoms="rng.randn(batch, 4), rng.randint(0, 4, (batch, 1, 1, 1))",
        tops=None,
        twins=[
            (
                "squeezed",
                "data.ravel()",
                "data.squeeze()",
                "any",
                r"batch( of)? (1\b|one)",
            ),
            (
                "the first of them only",
                "bottom[0].diff[i, int(l)] =",
                "bottom[0].diff[0, int(l)] =",
                "gradient",
                "^(?!.*only ind).*bottom scores",
            ),
        ],
    ),
    "softmax_over_channels": dict(
        body="""
class Softmax(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        top[0].data[...] = self.p

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            d = top[0].diff
            p = top[0].data
            bottom[0].diff[...] = p * (d - (p * d).sum(axis=1, keepdims=True))
""",
        blobs='bottom: "x" top: "p"',
        bottoms="rng.randn(batch, 3, 4)",
        tops="np.exp(bottoms[0]) / np.exp(bottoms[0]).sum(1)[:, None]",
        twins=[
            (
                "wrong axis at a batch of one",
                "x = bottom[0].data\n",
                "x = bottom[0].data.squeeze()\n",
                "any",
                r"batch( of)? (1\b|one)",
            ),
            (
                "diagonal only",
                "p * (d - (p * d).sum(axis=1, keepdims=True))",
                "p * (1 - p) * d",
                "gradient",
                "bottom x",
            ),
        ],
    ),
    "accuracy": dict(
        body="""
class Accuracy(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        right = bottom[0].data.argmax(1) == bottom[1].data.ravel()
        top[0].data[...] = right.mean()

    def backward(self, top, propagate_down, bottom):
        pass
""",
        blobs="""bottom: "scores" bottom: "label" top: "accuracy"
  propagate_down: false propagate_down: false""",
        bottoms="rng.randn(batch, 3), rng.randint(0, 3, batch)",
        tops=None,
        twins=[
            (
                "of sample 0 only",
                "right.mean()",
                "right[0]",
                "any --strict",
                "sample",
            ),
            (
                "of all but the last",
                "right.mean()",
                "right[:-1].mean()",
                "any --strict",
                "sample",
            ),
        ],
    ),
    "focal_with_ignored": dict(
        body="""
class FocalLoss(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.gamma = params['gamma']
        self.ignore_label = params['ignore_label']

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        t = np.where(bottom[1].data > 0, 1., -1.)
        self.valid = bottom[1].data != self.ignore_label
        self.t = t
        self.p = 1. / (1. + np.exp(-t * bottom[0].data))
        loss = -(1 - self.p) ** self.gamma * np.log(self.p)
        top[0].data[...] = (loss * self.valid).sum()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            p, g = self.p, self.gamma
            slope = (1 - p) ** g * (g * p * np.log(p) - (1 - p))
            bottom[0].diff[...] = self.t * slope * self.valid * top[0].diff[0]
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs=TWO,
        param_str="{'gamma': 2.0, 'ignore_label': -1}",
        bottoms="rng.randn(batch, 6), rng.choice([-1, 0, 1], (batch, 6))",
        tops=None,
        twins=[
            (
                "labels that never are the ignored one",
                "rng.choice([-1, 0, 1], (batch, 6))",
                "rng.choice([0, 1], (batch, 6))",
                "keys --strict",
                "ignore_label.*other values change nothing",
            ),
            (
                "ignore_label unused",
                "self.valid = bottom[1].data != self.ignore_label",
                "self.valid = 1",
                "keys --strict",
                "ignore_label.*other values change nothing",
            ),
            (
                "gamma forgotten",
                "(g * p * np.log(p)",
                "(p * np.log(p)",
                "gradient",
                "bottom scores",
            ),
        ],
    ),
    "two_branches": dict(
        body="""
class RobustLoss(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.far = np.abs(bottom[0].data) > 3
        top[0].data[...] = np.where(
            self.far, 6 * np.abs(bottom[0].data) - 9, bottom[0].data ** 2).sum()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff[0]
            if self.far.any():
                clipped = 6 * np.sign(bottom[0].data[self.far])
                bottom[0].diff[self.far] = clipped * top[0].diff[0]
""",
        blobs='bottom: "x" top: "loss" loss_weight: 1',
        bottoms="3 * rng.randn(batch, 5)",
        tops=None,
        twins=[
            (
                "never far",
                "3 * rng.randn(batch, 5)",
                "rng.uniform(-1, 1, (batch, 5))",
                "any --strict",
                "never r[au]n",
            ),
            ("wrong when far", "clipped = 6", "clipped = 5", "gradient", "bottom x"),
        ],
    ),
    "normalize_with_eps": dict(
        body="""
class L2Norm(caffe.Layer):
    def setup(self, bottom, top):
        self.eps = 1e-2

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        self.norm = np.sqrt((x ** 2).sum(1, keepdims=True) + self.eps)
        top[0].data[...] = x / self.norm

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, d = top[0].data, top[0].diff
            bottom[0].diff[...] = (d - y * (y * d).sum(1, keepdims=True)) / self.norm
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 6)",
        tops="bottoms[0] / np.sqrt((bottoms[0] ** 2).sum(1)[:, None] + 1e-2)",
        twins=[
            (
                "eps forgotten",
                (
                    "keepdims=True) + self.eps)",
                    "bottoms[0] ** 2).sum(1)[:, None] + 1e-2",
                ),
                ("keepdims=True))", "bottoms[0] ** 2).sum(1)[:, None]"),
                "any",
                "zero",
            ),
            (
                "projection forgotten",
                "(d - y * (y * d).sum(1, keepdims=True)) /",
                "d /",
                "gradient",
                "bottom x",
            ),
        ],
    ),
    "weighted_mean_of_labels": dict(  # all labels 0 is a batch as any other
        body="""
class PositiveLoss(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.n = max(bottom[1].data.sum(), 1)
        top[0].data[...] = (bottom[1].data * bottom[0].data ** 2).sum() / self.n

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * bottom[1].data * bottom[0].data * top[0].diff[0] / self.n
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs=TWO,
        bottoms="rng.randn(batch, 6), rng.randint(0, 2, (batch, 6))",
        tops=None,
        twins=[
            (
                "no positives",
                "max(bottom[1].data.sum(), 1)",
                "bottom[1].data.sum()",
                "any",
                "zero|equal|label",
            ),
        ],
    ),
    "whole_valued_scores": dict(
        body="""
class Product(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * bottom[1].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = bottom[1].data * top[0].diff
        if propagate_down[1]:
            bottom[1].diff[...] = bottom[0].data * top[0].diff
""",
        blobs='bottom: "votes" bottom: "weight" top: "y"',
        bottoms="rng.randint(-9, 10, (batch, 5)), rng.randn(batch, 5)",
        tops="bottoms[0] * bottoms[1]",
        twins=[
            (
                "twice",
                "= bottom[1].data * top[0].diff",
                "= 2 * bottom[1].data * top[0].diff",
                "gradient",
                r"^(?!.*propagate_down).*2 times",
            ),
        ],
    ),
    "count_of_wrong_elements": dict(
        body="""
class Square(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data ** 2

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.uniform(0.5, 2, (batch, 60)) * np.tile([1, -1], (batch, 30))",
        tops="bottoms[0] ** 2",
        twins=[
            (
                "half of them",
                "2 * bottom[0].data * top[0].diff",
                "(2 + (bottom[0].data > 0)) * bottom[0].data * top[0].diff",
                "gradient",
                "120 of 240|at least",
            ),
            (
                "nan at one",
                "2 * bottom[0].data * top[0].diff",
                "@\n            bottom[0].diff[0, 3] = np.nan",
                "gradient",
                r"^(?!.*np\.int64).*not finite",
            ),
        ],
    ),
}
