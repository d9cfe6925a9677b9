"""A metric on real Caffe: only in TEST, and a gradient is refused where one is asked for."""

import pytest

SCRIPT = """
import os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
sys.path.insert(0, "error")
text = open("error/error.prototxt").read()
head = "layer { name: '%s' type: 'Parameter' top: '%s' parameter_param { shape { dim: 2 } } }"
head = "".join(head % (name, name) for name in ("scores", "label"))


def load(text, phase):
    open("net.prototxt", "w").write(head + text)
    return caffe.Net("net.prototxt", phase)


print(list(load(text, caffe.TRAIN).blobs), list(load(text, caffe.TEST).blobs))
for flag in ("false", "true"):
    asked = text.replace("propagate_down: false", "propagate_down: " + flag + " loss_weight: 1", 1)
    net = load(asked, caffe.TEST)
    net.params["scores"][0].data[...] = [1, -3]
    net.forward()
    try:
        net.backward()
        print(flag, net.blobs["error"].data)
    except ValueError as error:
        print(flag, error)
"""


@pytest.fixture(scope="module")
def said(run_script):
    answers = {"layer_name": "error", "layer_kind": "metric", "bottoms": "scores,label"}
    return run_script(SCRIPT, **answers).splitlines()


def test_is_there_in_test_only(said):
    assert said[0] == "['scores', 'label'] ['scores', 'label', 'error']"


def test_is_silent_when_no_gradient_is_asked_for(said):
    assert said[1] == "false 2.0"


def test_refuses_a_gradient(said):
    assert said[2] == (
        "true ErrorLayer: expected propagate_down: false for scores, got true: "
        "a metric has no gradient"
    )
