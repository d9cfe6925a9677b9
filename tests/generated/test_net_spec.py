"""The README's line for caffe.NetSpec makes the layer that is in the prototxt."""

import json
import re

import pytest

pytestmark = pytest.mark.caffe

LAYERS = {
    "plain": dict(layer_kind="identity"),
    "keys": dict(
        layer_kind="loss", param_str_keys="margin=1.0, mode='größe\"\\'', w=[1, 2]"
    ),
    "names": dict(
        layer_kind="identity", bottoms="a/1,lambda,to_proto", tops="b.c,tops,x"
    ),
    "weights": dict(layer_kind="learnable", bottoms="scores", tops="names"),
    "batches": dict(layer_kind="data"),
    "accuracy": dict(
        layer_kind="metric", bottoms="scores,label", param_str_keys="top_k:int"
    ),
}
SCRIPT = """
import ast, json, os, sys
import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2
from google.protobuf import text_format

for name, (bottoms, line) in sorted(json.load(open("lines.json")).items()):
    n = caffe.NetSpec()
    for bottom in bottoms:
        n[bottom] = L.Input(name=bottom)
    exec(line, {"n": n, "L": L, "caffe": caffe})
    nets = [n.to_proto(), caffe_pb2.NetParameter()]
    text_format.Parse(open(os.path.join(name, name + ".prototxt")).read(), nets[1])
    made, written = [[x for x in net.layer if x.type == "Python"] for net in nets]
    for layer in made + written:
        text = layer.python_param.param_str
        layer.python_param.param_str = repr(text and sorted(json.loads(text).items()))
    assert len(made) == 1
    print(name, made == written, "" if made == written else "%s%s" % (made, written))
"""


def line_of(readme):
    """Return the Python that a README gives for a NetSpec."""
    (line,) = re.findall(
        r"with `from caffe import layers as L`:\n\n((?:    .*\n)+)", readme
    )
    return re.sub("^    ", "", line, flags=re.M)


def test_net_spec_gives_the_layer_of_the_fragment(bake, with_caffe, tmp_path):
    lines = {}
    for name, answers in LAYERS.items():
        layer = bake(out=tmp_path, layer_name=name, checks="installed", **answers)
        fragment = (layer / f"{name}.prototxt").read_text(encoding="utf-8")
        line = line_of((layer / "README.md").read_text(encoding="utf-8"))
        lines[name] = [re.findall('bottom: "(.*)"', fragment), line]
    (tmp_path / "lines.json").write_text(json.dumps(lines))
    (tmp_path / "script.py").write_text(SCRIPT)
    result = with_caffe(tmp_path, "python3", "script.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:-1] == [
        f"{name} True " for name in sorted(LAYERS)
    ]
