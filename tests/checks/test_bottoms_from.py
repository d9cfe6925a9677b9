"""--bottoms-from: a layer's bottoms have the shapes that a net gives it."""

import numpy as np
import pytest

from caffe_pylayer.checks import engine, net, net_shapes
from caffe_pylayer.checks.net import CheckFailed
from support.project import ENGINES

SCORES = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 6 dim: 3 } } }
layer { name: "y" type: "Input" top: "label" input_param { shape { dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5
  weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }
layer { name: "loss" type: "Python" bottom: "fc" bottom: "label" top: "loss" loss_weight: 1
  python_param { module: "flat" layer: "Flat" } }
layer { name: "more" type: "Python" bottom: "loss" top: "more"
  python_param { module: "no_such_module" layer: "Other" } }
"""
INPUTS = """layer { name: "a" type: "Input" top: "score" input_param {
  shape { dim: 6 dim: 2 dim: 5 } } }
layer { name: "b" type: "Input" top: "label" input_param { shape { dim: 6 dim: 1 } } }
layer { name: "d" type: "Python" bottom: "score" top: "double"
  python_param { module: "flat" layer: "Double" } }
"""
FILES = {
    "flat.py": """import caffe
import numpy as np


class Flat(caffe.Layer):
    def setup(self, bottom, top):
        print("shapes:", [tuple(bottom[i].shape) for i in range(2)])
        if len(bottom[0].shape) == 1:
            raise ValueError("scores of one axis")

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = np.sum(bottom[0].data ** 2) + np.sum(bottom[1].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff[0]


class Double(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*[2 * n for n in bottom[0].shape])

    def forward(self, bottom, top):
        pass
""",
    "flat.prototxt": """layer {
  name: "loss"
  type: "Python"
  bottom: "score"
  bottom: "label"
  top: "loss"
  loss_weight: 1
  propagate_down: true
  propagate_down: false
  python_param { module: "flat" layer: "Flat" }
}
""",
    "tests/test_flat.py": """import numpy as np


def test_flat(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    return [rng.randn(batch, 5), rng.randint(0, 5, batch)]


def expected_tops(bottoms, params):
    assert bottoms[1].ndim == 1, bottoms[1].shape
    return [np.sum(bottoms[0] ** 2) + np.sum(bottoms[1])]
""",
    "conftest.py": 'pytest_plugins = ["caffe_pylayer.checks.pytest_plugin"]\n',
    "scores.prototxt": SCORES,
    "inputs.prototxt": INPUTS,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flat")
    (folder / "tests").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def run(own_tests, engine, folder, file, *options):
    option = f"--bottoms-from={folder}/{file}"
    return own_tests(engine, folder, option, "-rs", "-s", *options, installed=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_shapes_are_the_nets_and_the_values_make_bottoms(folder, own_tests, engine):
    found = run(own_tests, engine, folder, "inputs.prototxt")
    assert not found.red and found.exit_code == 0, found.output
    assert "shapes: [(4, 2, 5), (4, 1)]" in found.output
    assert "shapes: [(7, 2, 5), (7, 1)]" in found.output
    assert "shapes: [(4, 5)" not in found.output


def test_real_caffe_gives_the_shapes_of_any_layer(folder, own_tests):
    found = run(own_tests, "real", folder, "scores.prototxt", "-k", "load or gradient")
    assert not found.red, found.output
    assert "shapes: [(4, 5), (4,)]" in found.output


def test_a_layer_that_the_standin_lacks_is_one_line(folder, own_tests):
    found = run(own_tests, "standin", folder, "scores.prototxt")
    assert set(found.values()) == {"skipped"}, found.output
    words = "the stand-in cannot do a layer of type InnerProduct, in scores.prototxt"
    assert f"{words}: use real Caffe, --caffe=real" in found.output


def test_bottoms_that_the_layer_refuses_are_red(folder, own_tests):
    one = INPUTS.replace(" dim: 2 dim: 5", "")
    (folder / "one.prototxt").write_text(one)
    found = run(own_tests, "standin", folder, "one.prototxt")
    assert [name for name in found if found[name] == "failure"] == ["test_flat[load]"]
    assert "ValueError: scores of one axis" in found.output
    assert "bottoms: score (4,), label (4, 1)" in found.output


def test_no_file_is_one_line_and_exit_code_4(folder, own_tests):
    found = run(own_tests, "standin", folder, "no.prototxt")
    assert found.exit_code == 4
    line = f"ERROR: --bottoms-from: there is no file {folder}/no.prototxt"
    assert [row for row in found.output.splitlines() if row] == [line]


@pytest.fixture
def shapes(folder, tmp_path):
    """A function that returns the shapes that a net gives the layer on the stand-in."""

    def of(text):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        fragment = net.Fragment(str(folder / "flat.prototxt"))
        with engine.running("standin", str(folder)) as caffe:
            return net_shapes.bottom_shapes(caffe, str(path), fragment)

    return of


def test_the_nets_own_layer_says_which_blobs_they_are(shapes):
    own = 'bottom: "double" bottom: "label" top: "l" python_param { module: "flat" layer: "Flat" }'
    assert shapes(INPUTS + 'layer { type: "Python" %s }' % own) == [(12, 4, 10), (6, 1)]
    assert shapes(INPUTS) == [(6, 2, 5), (6, 1)]


UNCLEAR = {  # what is wrong with a net, and the message
    "has no blob label, for a bottom": INPUTS.replace('"label"', '"labels"'),
    "net.prototxt:5:49: expected": INPUTS[:-4],
    "does not load: CaffeAborted: ": INPUTS + INPUTS,
    "does not load: SystemError: ": INPUTS.replace('top: "label"', 'top: "l"').replace(
        'top: "double"\n  python_param { module: "flat"',
        'top: "label"\n  python_param { module: "no_such_module"',
    ),
}


@pytest.mark.parametrize("message", UNCLEAR)
def test_a_net_without_these_shapes_is_one_line(shapes, message):
    with pytest.raises(CheckFailed) as error:
        shapes(UNCLEAR[message])
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_more_elements_are_of_more_calls_of_make_bottoms():
    rng = np.random.RandomState(0)
    made = net_shapes.fitted(
        lambda: [rng.randn(4, 3), rng.randint(0, 3, 4)], [(9, 40), (9, 2, 2)], 4
    )
    assert [array.shape for array in made] == [(4, 40), (4, 2, 2)]
    assert len(set(made[0].ravel())) == 160
    assert set(made[1].ravel()) == {0, 1, 2}
