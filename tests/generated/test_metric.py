"""A metric on real Caffe: only in TEST, and its gradient is zero where one is asked for."""

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
    net.params["scores"][0].diff[...] = 7
    net.backward()
    print(flag, net.blobs["error"].data, net.params["scores"][0].diff)
"""


@pytest.fixture(scope="module")
def said(run_script):
    answers = {"layer_name": "error", "layer_kind": "metric", "bottoms": "scores,label"}
    return run_script(SCRIPT, **answers).splitlines()


def test_is_there_in_test_only(said):
    assert said[0] == "['scores', 'label'] ['scores', 'label', 'error']"


def test_writes_nothing_when_no_gradient_is_asked_for(said):
    assert said[1] == "false 2.0 [7. 7.]"


def test_gives_zeros_where_one_is_asked_for(said):
    assert said[2] == "true 2.0 [0. 0.]"
