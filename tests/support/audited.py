"""A layer with nothing to find, and the audit of a folder in this process."""

import os

from caffe_pylayer.commands.audit import Audit, Folder
from support.commands import caffe_pylayer

# A layer, its part of a net and its tests, with nothing to find.
RIGHT = {
    "scale.py": """import json
import caffe
import numpy as np


class ScaleLayer(caffe.Layer):
    def setup(self, bottom, top):
        self.params = json.loads(self.param_str)
        if sorted(self.params) != ["scale"]:
            raise ValueError("ScaleLayer: expected the key scale, got %s" % self.params)

    def reshape(self, bottom, top):
        self.buffer = np.zeros(bottom[0].data.shape)
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        np.multiply(bottom[0].data, self.params["scale"], out=self.buffer)
        top[0].data[...] = self.buffer

    def backward(self, top, propagate_down, bottom):
        for i in range(len(bottom)):
            if propagate_down[i]:
                bottom[i].diff[...] = self.params["scale"] * top[0].diff
""",
    "scale.prototxt": """layer {
  name: "scale"
  type: "Python"
  bottom: "x"
  top: "y"
  python_param {
    module: "scale"
    layer: "ScaleLayer"
  }
}
""",
    "tests/test_scale.py": "def test_scale():\n    pass\n",
}


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def audit(folder):
    return Audit(Folder(str(folder)))


def marks(folder):
    """Return the row of marks of each layer."""
    done = audit(folder)
    return {x.name: "".join(y.values()) for x, y in zip(done.folder.layers, done.marks)}


def run(*arguments, **environment):
    """Run the command."""
    options = {"encoding": "utf-8", "timeout": 60, "env": {**os.environ, **environment}}
    return caffe_pylayer("audit", *arguments, **options)
