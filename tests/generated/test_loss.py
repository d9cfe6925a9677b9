"""A loss on real Caffe: the gradients of both bottoms, where a net asks for them."""

import pytest

SCRIPT = """
import os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
sys.path.insert(0, "distance")
text = open("distance/distance.prototxt").read()
head = "layer { name: '%s' type: 'Parameter' top: '%s' parameter_param { shape { dim: 2 } } }"
head = "".join(head % (name, name) for name in ("scores", "target"))
for lines in (text, text.replace("propagate_down: false", "propagate_down: true")):
    open("net.prototxt", "w").write(head + lines)
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.params["scores"][0].data[...] = [1, -3]
    net.forward()
    net.backward()
    diffs = [net.params[name][0].diff for name in ("scores", "target")]
    print(net.blobs["distance"].data, *diffs)
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
    assert said[0] == "2.5 [ 0.5 -1.5] [0. 0.]"


def test_gives_the_second_its_own_where_it_is_asked_for(said):
    assert said[1] == "2.5 [ 0.5 -1.5] [-0.5  1.5]"
