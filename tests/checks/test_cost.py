"""The gradient check of a right layer costs a few forwards, whatever its size and kinks."""

import pytest

from caffe_pylayer.checks import checks, engine
from caffe_pylayer.checks.net import LayerNet
from caffe_pylayer.checks.subject import Author
from support import bank

RIGHT = {planted.layer: planted for planted in bank.read()[0]}
MOST = {  # forwards of one seed, both precisions, all draws and variables
    "batch_norm": 120,
    "max_pool_loops": 150,  # ties
    "sort_with_ties": 150,
    "median": 150,
    "roi_pool": 150,
    "bilinear_sampler": 200,  # two bottoms
    "l1_of_equal_rows": 300,  # two bottoms, kinks at half of their elements
    "relu_of_zeros": 150,
    "tanh_of_images": 60,
    "twenty_bottoms": 1000,
    "softmax_lead_20": 400,
}


@pytest.fixture
def forwards(tmp_path, monkeypatch):
    """A function that runs the check on a layer of the bank: its outcome and forwards."""
    count, forward = [0], LayerNet.forward

    def counting(self, arrays):
        count[0] += 1
        return forward(self, arrays)

    def run(name, make_bottoms=None):
        planted = RIGHT[name]
        bank.plant(tmp_path, [planted])
        folder = tmp_path / planted.folder
        functions = {}
        exec(planted.files[2].replace("FOLDER", "it"), functions)
        make_bottoms = make_bottoms or functions["make_bottoms"]
        author = Author(make_bottoms, None, None, False, False, None)
        path = str(next(folder.glob("*.prototxt")))
        monkeypatch.setattr(LayerNet, "forward", counting)
        with engine.running("standin", str(folder)) as caffe:
            outcome = checks.run("gradient", caffe, path, author, [0])
        return outcome, count[0]

    return run


@pytest.mark.parametrize("name", MOST)
def test_right_layer_costs_few_forwards(forwards, name):
    outcome, count = forwards(name)
    assert outcome[0] == "pass", outcome
    assert count <= MOST[name]


@pytest.mark.parametrize("size", [10, 1000, 100000])
def test_cost_does_not_grow_with_kinks(forwards, size):
    outcome, count = forwards(
        "a_million_relus", lambda rng, batch: [rng.randn(batch, size)]
    )
    assert outcome[0] == "pass", outcome
    assert count <= 150
