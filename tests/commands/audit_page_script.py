"""Run by Caffe's Python: what happens there with the layers of docs/audit.md.

Its argument is a folder with a module CODE_wrong.py or CODE_right.py for each; it prints a line of
JSON for each: what the run printed, tracebacks too, and the numbers that the page speaks of.
"""

import json
import os
import sys
import tempfile
import traceback

os.environ["GLOG_minloglevel"] = "2"
import caffe  # noqa: E402
import numpy as np  # noqa: E402

NET = """
layer { name: "data" type: "Parameter" top: "x" parameter_param { shape { dim: 2 dim: 3 } } }
layer { name: "layer" type: "Python" bottom: "x" top: "y" loss_weight: %(weight)g %(more)s
  python_param { module: "%(module)s" layer: "%(layer)s" param_str: '{"scale": 2}' } }
layer { name: "other" type: "Power" bottom: "x" top: "z" loss_weight: 1 }
"""


def run(module, code):
    """Return the numbers that the page speaks of, for a module."""
    more = "propagate_down: false" if code == "CPL107" else ""
    layer = "Scale" if module == "CPL103_wrong" else "ScaleLayer"

    def net_of(weight=1.0):
        net = tempfile.NamedTemporaryFile("w", suffix=".prototxt")
        net.write(
            NET % {"weight": weight, "more": more, "module": module, "layer": layer}
        )
        net.flush()
        net = caffe.Net(net.name, caffe.TRAIN)
        net.forward()
        net.params["data"][0].data[...] = [[1, 2, 3], [4, 5, 6]]
        net.forward()
        net.backward()
        return net

    def gradient(net):
        return net.params["data"][0].diff.tolist()

    net = net_of()
    found = {"x": gradient(net), "z": net.blobs["z"].data.tolist()}
    found["weighted"] = gradient(net_of(weight=5.0))
    weights = net.params.get("layer", [])
    found["weights"] = [blob.diff.tolist() for blob in weights]
    net.params["data"][0].diff[...] = 0
    net.backward()
    found["x again"] = gradient(net)
    found["weights again"] = [blob.diff.tolist() for blob in weights]
    net.params["data"][0].reshape(5, 3)
    net.blobs["x"].reshape(5, 3)
    net.forward()
    assert net.blobs["y"].data.shape == np.shape(net.blobs["x"].data)
    return found


def child(path, module):
    """Run one, with all that it prints in a file."""
    with open(path, "w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            print(json.dumps(run(module, module.split("_")[0])))
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


sys.path.insert(0, sys.argv[1])
for name in sorted(os.listdir(sys.argv[1])):
    stem, suffix = os.path.splitext(name)
    if suffix == ".py":
        path = os.path.join(sys.argv[1], stem + ".log")
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            child(path, stem)
        os.waitpid(pid, 0)
        with open(path) as stream:
            print(json.dumps([stem, stream.read()]))
