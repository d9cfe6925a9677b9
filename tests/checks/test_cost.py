"""The gradient check of a right layer costs a few forwards, whatever its size and kinks."""

import pytest

from caffe_pylayer.checks import checks, engine, net
from caffe_pylayer.checks.net import LayerNet
from caffe_pylayer.checks.subject import Author
from support import bank

RIGHT = {planted.layer: planted for planted in bank.read()[0]}
MOST = {  # forwards of one seed, both precisions, all draws and variables
    "batch_norm": 75,
    "max_pool_loops": 110,  # ties
    "sort_with_ties": 110,
    "median": 110,
    "roi_pool": 75,
    "bilinear_sampler": 110,  # two bottoms
    "l1_of_equal_rows": 200,  # two bottoms, kinks at half of their elements
    "relu_of_zeros": 110,
    "tanh_of_images": 22,
    "twenty_bottoms": 660,
    "softmax_lead_20": 230,
}


MOST_NETS = 6  # one for each batch size, two new ones to compare with, one in float64


@pytest.fixture
def forwards(tmp_path, monkeypatch):
    """A function that runs the check on a layer of the bank: its outcome and forwards."""
    count, forward, load = [0, 0], LayerNet.forward, net.load

    def counting(self, arrays):
        count[0] += 1
        return forward(self, arrays)

    def counting_nets(*arguments):
        count[1] += 1
        return load(*arguments)

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
        monkeypatch.setattr(net, "load", counting_nets)
        with engine.running("standin", str(folder)) as caffe:
            outcome = checks.run("gradient", caffe, path, author, [0])
        assert count[1] <= MOST_NETS
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
    assert count <= 75


def test_a_loss_of_many_elements_needs_no_closer_look(forwards):
    outcome, count = forwards(
        "squares_near_100", lambda rng, batch: [rng.randn(batch, 200000)]
    )
    assert outcome[0] == "pass", outcome
    assert count <= 22
