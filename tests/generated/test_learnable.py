"""The weights of a learnable layer on real Caffe: saved, loaded, shared and trained."""

import json

import pytest

SCRIPT = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
sys.path.insert(0, "channels")
text = open("channels/channels.prototxt").read().replace("bottom_0", "x")
head = "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 dim: 4 } } }"
open("net.prototxt", "w").write(head + text)

def weights(net, name="channels"):
    return [blob.data.tolist() for blob in net.params[name]]


found = {}
net = caffe.Net("net.prototxt", caffe.TRAIN)
found["initial"] = weights(net)
net.params["channels"][0].data[...] = [2, 3, 4]
net.params["channels"][1].data[...] = [5, 6, 7]
net.forward()
found["after forward"] = weights(net)
net.save("net.caffemodel")
loaded = caffe.Net("net.prototxt", caffe.TEST, weights="net.caffemodel")
loaded.forward()
found["loaded"] = weights(loaded)
other = caffe.Net("net.prototxt", caffe.TEST)
other.share_with(net)
net.params["channels"][0].data[...] = 9
found["shared"] = weights(other)
other.blobs["x"].data[...] = 1
other.forward()
found["top of shared"] = other.blobs["channels"].data[0].tolist()
net.blobs["x"].data[...] = 1
net.forward()
found["top"] = net.blobs["channels"].data[0].tolist()
blobs = "".join("blobs { shape { dim: 3 } data: [%d, 2, 3] } " % first for first in (4, 5))
open("given.prototxt", "w").write(head + text.replace("python_param", blobs + "python_param"))
given = caffe.Net("given.prototxt", caffe.TRAIN)
given.forward()
found["given"] = weights(given)
given.save("given.caffemodel")
net.copy_from("given.caffemodel")
found["copied"] = weights(net)
open("flat.prototxt", "w").write(head.replace("dim: 3 dim: 4", "") + text)
try:
    caffe.Net("flat.prototxt", caffe.TRAIN)
except ValueError as error:
    found["flat"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(run_script):
    return json.loads(run_script(SCRIPT, layer_name="channels", layer_kind="learnable"))


def test_weights_begin_as_one_and_biases_as_zero(found):
    assert found["initial"] == [[1, 1, 1], [0, 0, 0]]


def test_weights_are_made_once_and_kept_by_passes_and_files(found):
    assert found["after forward"] == found["loaded"] == [[2, 3, 4], [5, 6, 7]]


def test_weights_are_shared_with_another_net(found):
    assert found["shared"] == [[9, 9, 9], [5, 6, 7]]
    assert found["top of shared"] == [[14] * 4, [15] * 4, [16] * 4]


def test_weights_in_the_prototxt_are_kept(found):
    assert found["given"] == found["copied"] == [[4, 2, 3], [5, 2, 3]]


def test_top_is_weight_times_bottom_plus_bias(found):
    assert found["top"] == [[14] * 4, [15] * 4, [16] * 4]


def test_a_bottom_without_channels_is_refused(found):
    assert found["flat"] == "ChannelsLayer: bottom 0 must be (N, C, ...), got (2,)"
