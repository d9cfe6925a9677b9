"""splice on nets after published ones, run by real Caffe: the identity changes nothing."""

import json
import re
import shutil
from pathlib import Path

import pytest

from caffe_pylayer.commands import command_line, made_bottoms

NETS = {path.stem: path for path in (Path(__file__).parent / "nets").glob("*.prototxt")}
COMPARE = Path(__file__).with_name("compare_values.py")


@pytest.fixture(scope="module")
def layer(bake):
    return bake(layer_name="my_layer")


@pytest.fixture(scope="module", autouse=True)
def no_look_at_the_layer_s_test():
    """A process for each splice, of which test_splice.py has the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_bottoms, "compare", lambda *_: [])
        yield


def splice(layer, net, *arguments, to=None):
    """Return the net as splice changes it, in this process; a path `to` keeps it."""
    to = to or layer / "out.prototxt"
    given = ["splice", net, "--layer", layer, *arguments, "-o", to]
    assert command_line.main([str(word) for word in given]) == 0
    return to.read_bytes()


def blobs(net):
    """The blobs of a net, by the left margin of no parser."""
    return sorted(set(re.findall(r'\b(?:top|input): "(.*?)"', net.read_text())))


def compare(warm_python, layer, pairs):
    """Return, for each (net, spliced, blob) and each phase, what differs on real Caffe."""
    lines = "".join(json.dumps([str(part) for part in pair]) + "\n" for pair in pairs)
    (layer / "pairs").write_text(lines)
    paths = {"PYTHONPATH": str(layer)}
    code, out, err = warm_python("real", layer, COMPARE, "pairs", **paths)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def load(warm_python):
    """A function that loads the spliced net of a folder, for stages, on real Caffe."""

    def load(folder, *stages):
        (folder / "load.py").write_text(LOAD)
        paths = {"PYTHONPATH": str(folder)}
        code, _, err = warm_python("real", folder, "load.py", *stages, **paths)
        assert code == 0, err

    return load


@pytest.mark.caffe
@pytest.mark.parametrize("net", NETS)
def test_behind_every_blob_in_turn(layer, warm_python, net):
    pairs = []
    for i, blob in enumerate(blobs(NETS[net])):
        spliced = layer / f"{net}_{i}.prototxt"
        splice(layer, NETS[net], "--after", blob, to=spliced)
        assert splice(layer, spliced, "--remove", "my_layer") == NETS[net].read_bytes()
        pairs.append((shutil.copy(NETS[net], layer), spliced, blob))
    assert len(pairs) >= 8
    assert compare(warm_python, layer, pairs) == [[]] * 2 * len(pairs)


@pytest.mark.caffe
def test_between_a_layer_and_the_one_in_place_behind_it(layer, warm_python):
    """All values are as before; what was conv1 is now the layer's top, the ReLU in place on it."""
    spliced = layer / "between.prototxt"
    arguments = ["--after", "conv1", "--before", "relu1"]
    splice(layer, NETS["caffenet"], *arguments, to=spliced)
    pair = (shutil.copy(NETS["caffenet"], layer), spliced, "conv1")
    assert compare(warm_python, layer, [pair]) == [["conv1"]] * 2
    back = splice(layer, spliced, "--remove", "my_layer")
    assert back == NETS["caffenet"].read_bytes()


@pytest.mark.caffe
@pytest.mark.parametrize("in_place", [False, True])
def test_module_in_a_package(bake, tmp_path, load, in_place):
    """module: "layers.my_layer.my_layer", with PYTHONPATH the folder of the repository."""
    (tmp_path / "layers").mkdir()
    folder = bake(layer_name="my_layer", out=tmp_path / "layers")
    fragment = folder / "my_layer.prototxt"
    text = fragment.read_text()
    text = text.replace('module: "', 'module: "layers.my_layer.')
    text = text.replace('top: "my_layer"', 'top: "bottom_0"') if in_place else text
    fragment.write_text(text)
    (tmp_path / "net.prototxt").write_text(DATA % "" + P)
    spliced = tmp_path / "spliced.prototxt"
    splice(folder, tmp_path / "net.prototxt", "--after", "data", to=spliced)
    assert 'module: "layers.my_layer.my_layer"' in spliced.read_text()
    load(tmp_path, "")
    back = splice(folder, spliced, "--remove", "my_layer")
    assert back.decode() == DATA % "" + P


# Nets that differ between phases or stages: layers, what comes after NET, stages and the net.
DATA = """layer { name: "data" type: "DummyData" top: "data" top: "label" include { %s }
  dummy_data_param { shape { dim: 16 dim: 8 } shape { dim: 16 dim: 8 } } }
"""
UNLABELLED = """layer { name: "data" type: "Input" top: "data" include { %s }
  input_param { shape { dim: 16 dim: 8 } } }
"""
IP = """layer { name: "ip" type: "InnerProduct" bottom: "p" top: "ip" include { %s }
  inner_product_param { num_output: 8 } }
"""
P = 'layer { name: "p" type: "Power" bottom: "data" top: "p" }\n'
LOSS = """layer { name: "loss" type: "SoftmaxWithLoss" bottom: "p" bottom: "one" include { %s } }
"""
ONE = """layer { name: "one" type: "DummyData" top: "one" dummy_data_param { shape { dim: 16 } } }
"""
UNFED = """layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
POOLED = """layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 2 dim: 8 dim: 8 } shape { dim: 4 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { global_pooling: true } }
layer { name: "fc" type: "Convolution" bottom: "pool" top: "fc"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { min: - 1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" loss_param { }
  softmax_param { axis: 1 } }
"""
TRAIN, TEST, DEPLOY = "phase: TRAIN", "phase: TEST", 'stage: "deploy"'
AFTER_P = ["--after", "p", "--bottom", "label"]
SPLIT = ["--split", "loss", "--bottom", "label"]
PHASED = {
    "a reader of each phase": (
        "two", AFTER_P, [""], DATA % TRAIN + UNLABELLED % TEST + P + IP % TRAIN + IP % TEST,
    ),
    "stages, as DIGITS does": (
        "two", AFTER_P, ["fit", "deploy"],
        DATA % 'stage: "fit"' + UNLABELLED % DEPLOY + P + IP % 'stage: "fit"',
    ),
    "a split": ("two", SPLIT, [""], DATA % TRAIN + UNLABELLED % TEST + ONE + P + LOSS % TRAIN),
    "a source": ("src", [], [""], UNFED),
    "a split behind global pooling": ("one", ["--split", "loss"], [""], POOLED),
}  # fmt: skip
LOAD = """import itertools, sys, caffe
for phase, stage in itertools.product((caffe.TRAIN, caffe.TEST), sys.argv[1:]):
    caffe.Net("spliced.prototxt", phase, stages=[stage]).forward()
"""


@pytest.mark.caffe
@pytest.mark.parametrize("case", PHASED)
def test_loads_in_every_phase(bake, load, case):
    name, arguments, stages, net = PHASED[case]
    source = {"layer_kind": "data", "tops": "data,label"}
    answers = {"two": {"bottoms": "2"}, "src": source, "one": {}}[name]
    folder = bake(layer_name=name, **answers)
    (folder / "net.prototxt").write_text(net)
    spliced = folder / "spliced.prototxt"
    splice(folder, folder / "net.prototxt", *arguments, to=spliced)
    load(folder, *stages)
    assert splice(folder, spliced, "--remove", name).decode() == net
