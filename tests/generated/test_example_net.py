"""The net in example/ trains with `caffe train`, and its loss goes down, whatever the counts.

Of the counts a part, with WHOLE=yes (`make proof`) all.
"""

import re

import pytest

from support.project import WHOLE
from template_spec.kinds import KINDS

COUNTS = [(0, 1), (0, 64), (1, 1), (2, 1), (2, 5), (64, 64)]
if WHOLE:
    COUNTS += [(0, 2), (5, 2), (1, 64), (64, 1)]
LAYERS = {
    f"{kind}_{bottoms}_{tops}": dict(layer_kind=kind, bottoms=bottoms, tops=tops)
    for kind in KINDS
    for bottoms, tops in COUNTS
    if bottoms in KINDS[kind].bottoms and tops in KINDS[kind].tops
}
# Blobs and a layer that are named as the net would name its own.
LAYERS["loss"] = dict(bottoms="input,hidden,slice", tops="output,target,loss_")
TRAIN = ". ./activate.sh && caffe train -solver example/solver.prototxt"


@pytest.fixture
def caffe_train(with_caffe, quick_pycaffe):
    """A function that runs `caffe train` on the example in a folder."""

    def run(folder):
        command = ["--bind", quick_pycaffe, "bash", "-c", TRAIN]
        return with_caffe(folder, *command, PYTHONPATH=str(quick_pycaffe))

    return run


@pytest.fixture
def train(caffe_train):
    """A function that trains the example in a folder: the losses that `caffe train` prints."""

    def run(folder):
        before = files(folder)
        result = caffe_train(folder)
        assert result.returncode == 0, result.stderr
        assert files(folder) == before
        log = result.stderr
        assert "Optimization Done" in log
        return [
            float(loss) for loss in re.findall(r"Iteration \d+ \(.*loss = (\S+)", log)
        ]

    return run


def files(folder):
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("name", LAYERS)
def test_loss_goes_down(bake, train, tmp_path, name):
    answers = {"param_str_keys": "margin, mode:str='mean'", **LAYERS[name]}
    losses = train(bake(out=tmp_path, layer_name=name, **answers))
    assert len(losses) == 10
    assert losses[-1] < 0.01 * losses[0]


def test_loss_does_not_go_down_through_a_wrong_backward(bake, train):
    layer = bake(layer_name="wrong")
    module = layer / "wrong.py"
    module.write_text(module.read_text().replace("= top[0].diff", "= -top[0].diff"))
    losses = train(layer)
    assert not losses[-1] < losses[0]


def test_metric_is_shown_in_test(bake, caffe_train):
    layer = bake(layer_name="error", layer_kind="metric")
    log = caffe_train(layer).stderr
    shown = [
        float(value)
        for value in re.findall(r"Test net output #\d+: error = (\S+)", log)
    ]
    assert len(shown) == 3
    assert shown[-1] < 0.1 * shown[0]
    assert "Train net output #0: error" not in log


def test_fragment_stands_in_the_net_as_it_is(bake):
    for kind in KINDS:
        layer = bake(layer_name="in_place", layer_kind=kind, param_str_keys="margin")
        fragment = (layer / "in_place.prototxt").read_text()
        assert fragment in (layer / "example" / "train_val.prototxt").read_text()


REFUSALS = {  # method: what is changed in which file, and what must be in the log
    "setup": (
        "example/train_val.prototxt",
        'bottom: "bottom_1"\n  top: "refusing"',
        'top: "refusing"',
        "RefusingLayer: expected 2 bottoms (bottom_0, bottom_1), got 1",
    ),
    "reshape": (
        "example/train_val.prototxt",
        'num_output: 4 weight_filler { type: "xavier" }',
        'num_output: 3 weight_filler { type: "xavier" }',
        "RefusingLayer: bottoms 0 and 1 must have one shape, got (32, 3) and (32, 4)",
    ),
    "backward": (
        "refusing.py",
        "        gradient = top[0].diff",
        "        self.refuse('%s is no weight', top[0].diff)\n        gradient = top[0].diff",
        "RefusingLayer: 1.0 is no weight",
    ),
}


def test_what_a_layer_refuses_is_in_the_log_of_caffe(bake, caffe_train):
    """`caffe train` itself shows nothing of an exception."""
    layer = bake(layer_name="refusing", layer_kind="loss")
    for method, (path, before, after, words) in REFUSALS.items():
        text = (layer / path).read_text().replace("propagate_down: ", "# ")
        assert text.count(before) == 1, method
        (layer / path).write_text(text.replace(before, after))
        result = caffe_train(layer)
        (layer / path).write_text(text)
        assert result.returncode != 0, method
        assert words in result.stderr.splitlines(), result.stderr
