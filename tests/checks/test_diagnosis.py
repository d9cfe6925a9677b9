"""A wrong gradient is explained: the hypotheses of checks/diagnosis.py, each in a real failure."""

import shutil

import numpy as np
import pytest

from caffe_pylayer.checks import gradient
from support.project import usually

LAYERS = {
    "loss": dict(layer_kind="loss", bottoms="scores,label", param_str_keys="gamma=5.0"),
    "pair": dict(bottoms="a,b", tops="2"),
    "copies": dict(bottoms="1", tops="x,y"),
    "square": dict(bottoms="x"),
    "channels": dict(layer_kind="learnable"),
}
SCALE = "gradient = top[0].diff / len(self.difference) * self.difference"
WRITE = "bottom[0].diff[...] = gradient"
ROWS = WRITE + "\n            bottom[0].diff[%s] *= %s"
COPY = "bottom[i].diff[...] = top[i].diff"
ONE = "bottom[0].diff[...] = top[0].diff"
# (layer, what stands in the module, what is put there, what the failure says)
WRONG = [
    ("loss", SCALE, SCALE + " * len(self.difference)",
     "it is 4 times the right one: 4 is the batch size"),
    ("loss", SCALE, SCALE + " * 4", "it is 4 times the right one: 4 is the length of axis 2"),
    ("loss", SCALE, SCALE + " / 12", "times the right one: 12 is the product of axes 1 to 2"),
    ("loss", SCALE, SCALE + " / 3", "0.3333 times the right one: 3 is the length of axis 1"),
    ("loss", SCALE, SCALE + " * self.params['gamma']", "5 times the right one: 5 is the key gamma"),
    ("loss", SCALE, SCALE + " * 2", "it is 2 times the right one: 2 is the exponent of a square"),
    ("loss", SCALE, SCALE + " * -1", "it is -1 times the right one: the sign is wrong"),
    ("loss", SCALE, SCALE + " * 1.01", "it is 1.01 times the right one"),
    ("loss", SCALE, SCALE.replace("top[0].diff", "1.0"), "the top's diff is ignored"),
    ("loss", SCALE, SCALE.replace("top[0].diff", "top[0].diff**2"), "the top's diff is squared"),
    ("loss", SCALE, SCALE.replace("top[0].diff", "top[0].data"), "top's data instead of its diff"),
    ("loss", SCALE, SCALE.replace("top[0].diff", "abs(top[0].diff)"), "the absolute value of"),
    ("loss", WRITE, "bottom[0].diff[...] = 0", "the diff is zero everywhere: is it written?"),
    ("loss", WRITE, WRITE + " + 0.1", "the right one plus"),
    ("loss", WRITE, "bottom[0].diff[...] = np.round(gradient, 1)", "to 1 decimal"),
    ("loss", WRITE, ROWS % ("1:3", "0"), "the diff is zero wherever it is wrong"),
    ("loss", WRITE, ROWS % ("1:3", "0"), "only indices 1, 2 of axis 0 are wrong"),
    ("loss", WRITE, ROWS % (":, 2", "3"), "where it is wrong, it is 3 times the right one"),
    ("loss", WRITE, ROWS % (":, 2", "3"), "only index 2 of axis 1 is wrong"),
    ("loss", WRITE, ROWS % ("1:", "np.arange(2.0, 14).reshape(3, 4)"), "only index 0 of axis 0"),
    ("pair", COPY, "bottom[i].diff[...] = top[1 - i].diff", "the right one is in the diff of"),
    ("pair", COPY, "bottom[i].diff[...] = top[1].diff", "it is the diff of bottom b"),
    ("copies", "len(top), len(bottom)):", "1):", "the diff of top y is forgotten"),
    ("square", ONE, ONE.replace("top[0].diff", "top[0].diff.swapaxes(1, 2)"),
     "it is the right one transposed, with the axes in the order (0, 2, 1)"),
    ("channels", "self.blobs[0].diff[...] += ", "self.blobs[0].diff[...] += -1 * ",
     "it is -1 times the right one: the sign is wrong"),
    ("channels", "np.sum(dy, axis=(0, 2))", "0", "the diff is zero everywhere: is it written?"),
]  # fmt: skip


@pytest.fixture(scope="module")
def failures(bake, own_tests, tmp_path_factory):
    """For each engine, what pytest says of each of WRONG: text by folder."""
    out = tmp_path_factory.mktemp("wrong")
    for name, answers in LAYERS.items():
        bake(out=out, layer_name=name, checks="installed", **answers)
    test = out / "square" / "tests" / "test_square.py"
    test.write_text(test.read_text().replace("batch, 3, 4", "batch, 4, 4"))
    for i, (name, before, after, _) in enumerate(WRONG):
        module = shutil.copytree(out / name, out / f"wrong_{i}" / name) / f"{name}.py"
        text = module.read_text()
        assert text.count(before) == 1
        module.write_text(text.replace(before, after))
    folders = [f"wrong_{i}" for i in range(len(WRONG))]

    def run(engine):
        arguments = ["--import-mode=importlib", "-k", "gradient", *folders]
        output = own_tests(engine, out, *arguments, installed=True).output
        return output.split("= FAILURES =")[1].split("\n____")[1:]

    return {engine: run(engine) for engine in usually("real")}


@pytest.mark.caffe
@pytest.mark.parametrize("engine", usually("real"))
@pytest.mark.parametrize("number", range(len(WRONG)))
def test_failure_says_why(failures, engine, number):
    assert len(failures[engine]) == len(WRONG)
    message = failures[engine][number]
    assert WRONG[number][3] in message
    lines = message.split("\n=====")[0].split("\n- generated")[0].splitlines()
    assert len(lines) <= 12 and max(len(line) for line in lines) <= 100


@pytest.mark.parametrize("kinks, count", [(0, "240 of 240"), (5, "at least 7 of 240")])
def test_count_is_right_or_says_at_least(kinks, count):
    """At kinks among the worst elements it is not clear which of the others are wrong."""
    rng = np.random.RandomState(0)
    bottom = rng.uniform(0.2, 0.4, 240) * rng.choice([-1, 1], 240)
    bottom[:kinks] = 0

    def forward(x):
        return [3 * abs(x)]

    def backward(x, _):
        return np.where(x, 3.3 * np.sign(x), 9), forward(x)

    point = gradient.Point(forward, backward, bottom, [np.ones(240)], rng)
    survey = gradient.Survey(point, gradient.step_sizes(bottom), rng)
    assert survey.finding(()).count == f"{count} elements"
