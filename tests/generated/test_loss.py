"""A loss on real Caffe: it trains its first bottom, and refuses a gradient it does not have."""

import pytest

SCRIPT = """
import os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
sys.path.insert(0, "distance")
text = open("distance/distance.prototxt").read()
head = "layer { name: '%s' type: 'Parameter' top: '%s' parameter_param { shape { dim: 2 } } }"
head = "".join(head % (name, name) for name in ("scores", "target"))
lines = [line for line in text.splitlines() if "propagate_down" not in line]
for lines in (text.splitlines(), lines):
    open("net.prototxt", "w").write(head + " ".join(lines))
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.params["scores"][0].data[...] = [1, -3]
    net.forward()
    try:
        net.backward()
        print(net.blobs["distance"].data, net.params["scores"][0].diff)
    except ValueError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def said(run_script):
    answers = {
        "layer_name": "distance",
        "layer_kind": "loss",
        "bottoms": "scores,target",
    }
    return run_script(SCRIPT, **answers).splitlines()


def test_gives_its_first_bottom_a_gradient(said):
    assert said[0] == "2.5 [ 0.5 -1.5]"


def test_refuses_a_gradient_to_the_second_where_the_prototxt_forgets_to_say_so(said):
    assert said[1] == (
        "DistanceLayer: expected propagate_down: false for target, got true: "
        "only scores has a gradient"
    )
