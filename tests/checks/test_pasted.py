"""A real layer pasted over the stub is green if it is right, though it never heard of this project.

Each is written as Caffe users write them: other checks, other exceptions, weights, no param_str.
Each runs on one of the engines, with WHOLE=yes (`make proof`) on both.
"""

import pytest

from support import bank
from support.project import ENGINES, in_turn

MODULE = """
import caffe
import numpy as np


class Pasted(caffe.Layer):
"""
FRAGMENT = """
layer {
  name: 'pasted'
  type: 'Python'
  %s
  python_param { module: 'pasted' layer: 'Pasted' }
}
"""
FUNCTIONS = """

def make_bottoms(rng, batch):
    return [%s]


def expected_tops(bottoms, params):
    return [%s]
"""
LAYERS = {
    # name: (class body, bottoms and tops, make_bottoms, expected_tops)
    "euclid": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 2 or len(top) != 1:
            raise Exception("Need two inputs and one output")

    def reshape(self, bottom, top):
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff ** 2) / bottom[0].num / 2.

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            sign = 1 if i == 0 else -1
            bottom[i].diff[...] = sign * self.diff * top[0].diff[0] / bottom[i].num
''',
        "bottom: 'a' bottom: 'b' top: 'loss' loss_weight: 0.3",
        "rng.randn(batch, 7), rng.randn(batch, 7)",
        "np.sum((bottoms[0] - bottoms[1]) ** 2) / 2 / len(bottoms[0])",
    ),
    "softmax cross-entropy": (
        '''
    def setup(self, bottom, top):
        assert len(bottom) == 2 and len(top) == 1

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        e = np.exp(bottom[0].data - bottom[0].data.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        self.y = bottom[1].data.astype(int).ravel()
        self.rows = np.arange(len(self.y))
        top[0].data[0] = -np.log(np.maximum(self.p[self.rows, self.y], 1e-20)).mean()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise Exception("cannot backpropagate to labels")
        if propagate_down[0]:
            g = self.p.copy()
            g[self.rows, self.y] -= 1
            bottom[0].diff[...] = g * top[0].diff[0] / len(self.y)
''',
        "bottom: 'x' bottom: 'y' top: 'loss' loss_weight: 1 "
        "propagate_down: true propagate_down: false",
        "3 * rng.randn(batch, 5), rng.randint(0, 5, batch)",
        "np.mean([np.log(np.sum(np.exp(x))) - x[int(y)] for x, y in zip(*bottoms)])",
    ),
    "leaky relu in place": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise ValueError("one in, one out")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        self.slope = np.where(x > 0, 1, 0.1)
        top[0].data[...] = x * self.slope

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.slope
''',
        "bottom: 'x' top: 'x'",
        "rng.randint(-2, 3, (batch, 4, 3))",
        "np.maximum(bottoms[0], 0.1 * bottoms[0])",
    ),
    "eltwise of any number": (
        '''
    def setup(self, bottom, top):
        if len(top) != 1:
            raise ValueError("one top")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 0
        for i in range(len(bottom)):
            top[0].data[...] += (i + 1) * bottom[i].data

    def backward(self, top, propagate_down, bottom):
        for i in range(len(bottom)):
            if propagate_down[i]:
                bottom[i].diff[...] = (i + 1) * top[0].diff
''',
        "bottom: 'a' bottom: 'b' bottom: 'c' top: 'sum'",
        "1e3 * rng.randn(batch, 3), rng.randn(batch, 3), 1e-3 * rng.randn(batch, 3)",
        "bottoms[0] + 2 * bottoms[1] + 3 * bottoms[2]",
    ),
    "inner product": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one bottom, one top")
        self.blobs.add_blob(4, 6)
        self.blobs.add_blob(4)
        self.blobs[0].data[...] = np.random.randn(4, 6) * 0.1

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, 4)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data.dot(self.blobs[0].data.T) + self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.T.dot(bottom[0].data)
        self.blobs[1].diff[...] += top[0].diff.sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff.dot(self.blobs[0].data)
''',
        "bottom: 'x' top: 'y' param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }",
        "rng.randn(batch, 6)",
        "None",
    ),
    "batch norm with running statistics": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one bottom, one top")
        if not len(self.blobs):
            self.blobs.add_blob(3)
            self.blobs.add_blob(3)
            self.blobs.add_blob()
            self.blobs[2].data[...] = 0.9
            self.blobs[1].data[...] = 1

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        mean, variance = x.mean(axis=0), x.var(axis=0)
        for blob, new in zip(self.blobs, (mean, variance)):
            if self.phase == caffe.TRAIN:
                blob.data[...] += (1 - self.blobs[2].data) * (new - blob.data)
        if self.phase == caffe.TEST:
            mean, variance = self.blobs[0].data, self.blobs[1].data
            if np.min(variance) < 0:
                raise ValueError("a variance cannot be negative")
        self.scale = 1 / np.sqrt(variance + 1e-5)
        self.y = (x - mean) * self.scale
        top[0].data[...] = self.y

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dy = top[0].diff
            if self.phase == caffe.TRAIN:
                dy = dy - dy.mean(axis=0) - self.y * (dy * self.y).mean(axis=0)
            bottom[0].diff[...] = dy * self.scale
''',
        "bottom: 'x' top: 'y' param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }",
        "5 * rng.randn(batch + 4, 3) + 2",
        "(bottoms[0] - bottoms[0].mean(axis=0)) / np.sqrt(bottoms[0].var(axis=0) + 1e-5)",
    ),
    "choice of columns, with weights made in reshape": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one bottom, one top")

    def reshape(self, bottom, top):
        if len(self.blobs) == 0:
            self.blobs.add_blob()
            self.blobs.add_blob(1, 1, bottom[0].shape[1], 1, 1)
            self.blobs[0].data[...] = 3
            self.blobs[1].data.flat = np.random.permutation(bottom[0].shape[1])
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        columns = self.blobs[1].data.ravel()
        if np.any(columns != columns.astype(int)):
            raise ValueError("no numbers of columns")
        self.columns = columns.astype(int)
        top[0].data[...] = self.blobs[0].data * bottom[0].data[:, self.columns]

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += np.sum(top[0].diff * bottom[0].data[:, self.columns])
        if propagate_down[0]:
            bottom[0].diff[:, self.columns] = self.blobs[0].data * top[0].diff
''',
        "bottom: 'x' top: 'y' param { lr_mult: 1 } param { lr_mult: 0 }",
        "rng.randn(batch, 5)",
        "None",
    ),
    "bias, with its values in the fragment": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1 or len(self.blobs) != 1:
            raise Exception("one bottom, one top, one weight")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff
''',
        "bottom: 'x' top: 'y' param { } blobs { shape { dim: 3 } data: 0 data: 1.5 data: 2 }",
        "rng.randn(batch, 3)",
        "bottoms[0] + [0, 1.5, 2]",
    ),
    "embedding of many words": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one bottom, one top")
        if len(self.blobs) == 0:
            self.blobs.add_blob(40000, 3)

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, 3)

    def forward(self, bottom, top):
        self.words = bottom[0].data.astype(int)
        top[0].data[...] = self.blobs[0].data[self.words]

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            raise Exception("no gradient for words")
        np.add.at(self.blobs[0].diff, self.words, top[0].diff)
''',
        "bottom: 'words' top: 'y' propagate_down: false param { }",
        "rng.randint(0, 40000, batch)",
        "np.zeros((len(bottoms[0]), 3))",
    ),
    "dropout": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one bottom, one top")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.mask = 2.0 * (np.random.rand(*bottom[0].data.shape) > 0.5)
        if self.phase == caffe.TEST:
            self.mask[...] = 1
        top[0].data[...] = bottom[0].data * self.mask

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.mask
''',
        "bottom: 'x' top: 'y'",
        "rng.randn(batch, 2, 3, 1, 2)",
        "None",
    ),
    "max-pool with ties, log and top-k": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 2 or len(top) != 2:
            raise Exception("two bottoms, two tops")

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].data.shape[0])
        top[1].reshape(*bottom[1].data.shape)

    def forward(self, bottom, top):
        self.best = bottom[0].data.argmax(axis=1)
        self.rows = np.arange(len(self.best))
        top[0].data[...] = bottom[0].data[self.rows, self.best]
        if bottom[1].data.min() <= 0:
            raise Exception("probabilities must be positive")
        top[1].data[...] = np.log(bottom[1].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            bottom[0].diff[self.rows, self.best] = top[0].diff
        if propagate_down[1]:
            bottom[1].diff[...] = top[1].diff / bottom[1].data
''',
        "bottom: 'x' bottom: 'p' top: 'max' top: 'log'",
        "rng.randint(0, 9, (batch, 12)), rng.dirichlet([0.2] * 5, batch) + 1e-5",
        "np.max(bottoms[0], axis=1), np.log(bottoms[1])",
    ),
    "cross-entropy of clipped probabilities": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 2 or len(top) != 1:
            raise Exception("prob and target")

    def reshape(self, bottom, top):
        top[0].reshape()

    def forward(self, bottom, top):
        self.p = np.clip(bottom[0].data, 1e-7, 1 - 1e-7)
        t = bottom[1].data
        top[0].data[...] = -np.mean(t * np.log(self.p) + (1 - t) * np.log(1 - self.p))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise Exception("no gradient to the target")
        if propagate_down[0]:
            p, t = self.p, bottom[1].data
            inside = p == bottom[0].data
            bottom[0].diff[...] = inside * (p - t) / (p * (1 - p)) * top[0].diff / t.size
''',
        "bottom: 'p' bottom: 't' top: 'loss' loss_weight: 1 "
        "propagate_down: true propagate_down: false",
        "1 / (1 + np.exp(-5 * rng.randn(batch, 6))), rng.randint(0, 2, (batch, 6))",
        "None",
    ),
    "log-sum-exp far from zero": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 1 or len(top) != 1:
            raise Exception("one bottom, one top")

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].data.shape[0])

    def forward(self, bottom, top):
        x = bottom[0].data
        most = x.max(axis=1)
        self.share = np.exp(x - most[:, np.newaxis])
        total = self.share.sum(axis=1)
        self.share /= total[:, np.newaxis]
        top[0].data[...] = most + np.log(total)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff[:, np.newaxis] * self.share
''',
        "bottom: 'x' top: 'y'",
        "1000 + rng.randn(batch, 12)",
        "None",
    ),
    "Huber loss": (
        '''
    def setup(self, bottom, top):
        if len(bottom) != 2 or len(top) != 1:
            raise Exception("two bottoms, one top")

    def reshape(self, bottom, top):
        top[0].reshape()

    def forward(self, bottom, top):
        d = self.d = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(np.where(abs(d) < 1, d**2 / 2, abs(d) - 0.5)) / len(d)

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if propagate_down[i]:
                diff = np.clip(self.d, -1, 1) * top[0].diff / len(self.d)
                bottom[i].diff[...] = diff if i == 0 else -diff
''',
        "bottom: 'a' bottom: 'b' top: 'loss' loss_weight: 2",
        "3 * rng.randn(batch, 20), rng.randn(batch, 20)",
        "None",
    ),
}  # fmt: skip
# Broken: (layer, what stands there, what is put there, words of the failure)
BROKEN = [
    ("euclid", "sign = 1 if i == 0 else -1", "sign = 1", "the gradient of bottom b is wrong"),
    ("euclid", "def reshape", "def rehape", "to have the method reshape"),
    ("euclid", "for i in range(2):", "for i, blob in enumerate(bottom):", "use range(len(bottom))"),
    ("euclid", "top[0].reshape(1)", "pass", "reshape must give every top its shape"),
    ("euclid", "top[0].diff[0]", "abs(top[0].diff[0])", "the gradient of bottom a is wrong"),
    ("softmax cross-entropy", "self.y] -= 1", "self.y] -= 0.99", "the gradient of bottom x"),
    ("leaky relu in place", "0.1)\n", "0.1)\n        x[...] = abs(x)\n", "bottom x is wrong"),
    ("eltwise of any number", "= 0\n", "= 0\n        bottom[0].data[...] *= 2\n",
     "changed its bottom"),
    ("leaky relu in place", "self.slope\n\n", "self.slope\n        exit()\n\n", "SystemExit"),
    ("eltwise of any number", "= (i + 1) * top", "= top", "the gradient of bottom b is wrong"),
    ("inner product", "[0].diff[...] += ", "[0].diff[...] = ", "not overwrite it, of weight 0"),
    ("inner product", "self.blobs[0].diff[...] +=", "0 *", "the gradient of weight 0 is wrong"),
    ("inner product", "diff.sum(axis=0)", "diff.mean(axis=0)", "the gradient of weight 1 is wrong"),
    ("choice of columns, with weights made in reshape", "len(self.blobs) == 0", "True",
     "reshape made weights, 4 instead of 2"),
    ("dropout", "np.random.rand(", "np.random.RandomState().rand(", "forward run again gave"),
    ("dropout", "diff * self.mask", "diff * (self.mask > 0)", "the gradient of bottom x is wrong"),
    ("max-pool with ties, log and top-k", "[0].diff[...] = 0", "[0].diff[0] = 0", "as they were"),
    ("max-pool with ties, log and top-k", "diff / bottom[1]", "diff / 1.01 / bottom[1]", "ratio"),
    ("cross-entropy of clipped probabilities", "inside *", "1.1 * inside *", "is wrong"),
    ("log-sum-exp far from zero", " * self.share", " * self.share * 1.2", "the gradient of"),
    ("Huber loss", "* top[0].diff / len", "* top[0].diff * 2 / len", "it is 2 times the right one"),
    ("Huber loss", "* top[0].diff / len", "* -top[0].diff / len", "the sign is wrong"),
]  # fmt: skip


CASES = [(name, "", "", None) for name in LAYERS] + BROKEN
NAMES = [
    f"pasted_{'broken' if case[3] else 'right'}_{i}" for i, case in enumerate(CASES)
]
# Of a broken layer these are asked, of a right one all.
CHECKS = "right or load or forward or gradient or weights"


@pytest.fixture(scope="module")
def verdicts(bake, own_tests, tmp_path_factory):
    """What each engine says of its CASES: Verdicts and messages."""
    stub, found = bake(layer_name="pasted", checks="installed"), {}
    for engine in ENGINES:
        out = tmp_path_factory.mktemp(engine)
        for i, on in in_turn(range(len(CASES))):
            if on == engine:
                paste(stub, out / NAMES[i], *CASES[i][:3])
        of_all = own_tests(engine, out, "-k", CHECKS, installed=True)
        found[engine] = of_all, bank.messages(of_all.output)
    return found


def paste(stub, folder, name, before, after):
    """Paste one of LAYERS, changed, over a copy of a stub of another name."""
    body, blobs, bottoms, tops = LAYERS[name]
    assert before in body
    (folder / "tests").mkdir(parents=True)
    (folder / f"{folder.name}.py").write_text(MODULE + body.replace(before, after, 1))
    fragment = FRAGMENT.replace("'pasted'", repr(folder.name)) % blobs
    (folder / f"{folder.name}.prototxt").write_text(fragment)
    test = (stub / "tests" / "test_pasted.py").read_text()
    head = test.split("\n\ndef make_bottoms")[0].replace("pasted", folder.name)
    head = head.replace('"""\n', '"""\n\nimport numpy as np\n', 1)
    test = folder / "tests" / f"test_{folder.name}.py"
    test.write_text(head + FUNCTIONS % (bottoms, tops))


@pytest.mark.parametrize(
    "case, engine",
    in_turn(range(len(CASES))),
    ids=lambda value: str(CASES[value][:3]) if isinstance(value, int) else value,
)
def test_right_layer_is_green_and_broken_one_red(verdicts, engine, case):
    (of_all, said), words = verdicts[engine], CASES[case][3]
    found = bank.of_layer(of_all, NAMES[case])
    red = [check for check in found if found[check] not in ("passed", "skipped")]
    texts = [said[f"test_{NAMES[case]}[{check}]"] for check in red]
    if words:
        assert any(words in text for text in texts), found
    else:
        assert not red, texts
        checked = ["gradient", "propagate_down", "counts", "batch"]
        assert all(found[check] == "passed" for check in checked)
