"""splice on nets after published ones, run by real Caffe: the identity changes nothing."""

import json
import re
import shutil
from pathlib import Path

import pytest

from support.commands import caffe_pylayer

NETS = {path.stem: path for path in (Path(__file__).parent / "nets").glob("*.prototxt")}
PROBE = Path(__file__).with_name("splice_probe.py")


@pytest.fixture(scope="module")
def layer(bake):
    return bake(layer_name="my_layer")


def splice(layer, net, *arguments):
    command = ["splice", net, "--layer", layer, *arguments]
    return caffe_pylayer(*command, text=False, check=True).stdout


def blobs(net):
    """The blobs of a net, by the left margin of no parser."""
    return sorted(set(re.findall(r'\b(?:top|input): "(.*?)"', net.read_text())))


def compare(with_caffe, layer, pairs):
    """Return, for each (net, spliced, blob) and each phase, what differs on real Caffe."""
    shutil.copy(PROBE, layer)
    lines = "".join(json.dumps([str(part) for part in pair]) + "\n" for pair in pairs)
    (layer / "pairs").write_text(lines)
    done = with_caffe(layer, "sh", "-c", "python3 splice_probe.py <pairs")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("net", NETS)
def test_behind_every_blob_in_turn(layer, with_caffe, net):
    pairs = []
    for i, blob in enumerate(blobs(NETS[net])):
        spliced = layer / f"{net}_{i}.prototxt"
        splice(layer, NETS[net], "--after", blob, "-o", spliced)
        assert (
            splice(layer, spliced, "--remove", "my_layer", "-o", "-")
            == NETS[net].read_bytes()
        )
        pairs.append((shutil.copy(NETS[net], layer), spliced, blob))
    assert len(pairs) >= 8
    assert compare(with_caffe, layer, pairs) == [[]] * 2 * len(pairs)


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
}  # fmt: skip
LOAD = """import itertools, sys, caffe
for phase, stage in itertools.product((caffe.TRAIN, caffe.TEST), sys.argv[1:]):
    caffe.Net("spliced.prototxt", phase, stages=[stage])
"""


@pytest.mark.parametrize("case", PHASED)
def test_loads_in_every_phase(bake, with_caffe, case):
    name, arguments, stages, net = PHASED[case]
    answers = (
        {"bottoms": "2"}
        if name == "two"
        else {"layer_kind": "data", "tops": "data,label"}
    )
    folder = bake(layer_name=name, **answers)
    (folder / "net.prototxt").write_text(net)
    spliced = folder / "spliced.prototxt"
    splice(folder, folder / "net.prototxt", *arguments, "-o", spliced)
    done = with_caffe(folder, "python3", "-c", LOAD, *stages)
    assert done.returncode == 0, done.stderr
    assert splice(folder, spliced, "--remove", name, "-o", "-").decode() == net
