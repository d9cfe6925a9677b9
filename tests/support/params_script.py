"""Load generated layers: for each folder in stdin print self.params of its setup, or the error.

With real Caffe the fragment is loaded into a net; elsewhere (Python 2.7 has no numpy there) the
module is executed with a caffe.Layer that does nothing, for the param_str of the fragment.
"""

from __future__ import print_function

import imp
import json
import os
import sys
import types

REAL = sys.version_info > (3,)
os.environ["GLOG_minloglevel"] = "2"
if REAL:
    import caffe
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format
else:
    sys.modules["caffe"] = types.ModuleType("caffe")
    sys.modules["caffe"].Layer = object
    sys.modules["numpy"] = types.ModuleType("numpy")


def in_caffe(folder, name):
    with open(os.path.join(folder, name + ".prototxt"), "rb") as file:
        net = text_format.Parse(file.read().decode("utf-8"), caffe_pb2.NetParameter())
    for blob in net.layer[0].bottom:
        source = net.layer.add(name="source of " + blob, type="Input", top=[blob])
        source.input_param.shape.add(dim=[2, 3, 4])
    net.layer.extend([net.layer[0]])
    del net.layer[0]
    path = os.path.join(folder, "alone.prototxt")
    with open(path, "wb") as file:
        file.write(text_format.MessageToString(net, as_utf8=True).encode("utf-8"))
    sys.path.insert(0, folder)
    try:
        loaded = caffe.Net(path, caffe.TEST)
        layer = loaded.layers[list(loaded._layer_names).index(name)]
        return getattr(layer, "params", {})
    finally:
        del sys.path[0]
        sys.modules.pop(name, None)


def by_hand(folder, name):
    prototxt = imp.load_source(
        "prototxt", os.path.join(folder, "tests", "harness", "prototxt.py")
    )
    fragment = prototxt.load(os.path.join(folder, name + ".prototxt")).get("layer")
    module = imp.load_source(name, os.path.join(folder, name + ".py"))
    (kind,) = [value for value in vars(module).values() if hasattr(value, "refuse")]
    layer = kind()
    layer.param_str = str(fragment.get("python_param").get("param_str", ""))  # in bytes
    return layer.read_params() if hasattr(layer, "read_params") else {}


for line in iter(sys.stdin.readline, ""):
    try:
        print(json.dumps((in_caffe if REAL else by_hand)(*json.loads(line))))
    except Exception as error:
        print(json.dumps("%s: %s" % (type(error).__name__, error)))
    sys.stdout.flush()
