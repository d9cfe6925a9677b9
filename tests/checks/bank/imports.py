"""What strangers import from caffe; the layer behind it is the same."""

BODY = """
%s


class Halve(%s):
    def setup(self, bottom, top):
        %s

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data / 2

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff / 2
"""
IMPORTS = {
    # name: (imports, base class, setup)
    "from_caffe_layer": ("from caffe import Layer", "Layer", "pass"),
    "caffe_pycaffe": (
        "from caffe._caffe import Layer, RawBlobVec\nimport caffe._caffe",
        "Layer",
        "assert isinstance(bottom, caffe._caffe.RawBlobVec)",
    ),
    "caffe_io": (
        "import caffe.io\nfrom caffe.io import Transformer, load_image",
        "caffe.Layer",
        "self.load = caffe.io.load_image",
    ),
    "caffe_layers": (
        "from caffe import layers as L, params as P, to_proto, NetSpec",
        "caffe.Layer",
        "self.make = lambda: L.Pooling",
    ),
    "caffe_proto": (
        "from caffe.proto import caffe_pb2\nimport caffe.proto.caffe_pb2",
        "caffe.Layer",
        "self.make = lambda: caffe_pb2.NetParameter()",
    ),
    "caffe_proto_used": (
        "from caffe.proto import caffe_pb2",
        "caffe.Layer",
        "self.datum = caffe_pb2.Datum()",
    ),
    "caffe_solvers": (
        "from caffe import SGDSolver, AdamSolver, get_solver, Net, TRAIN, TEST",
        "caffe.Layer",
        "caffe.set_mode_cpu()",
    ),
    "caffe_tools": (
        "import caffe.pycaffe\nimport caffe.classifier\nfrom caffe import Classifier, Detector",
        "caffe.Layer",
        "pass",
    ),
}
LAYERS = {
    name: dict(
        body=BODY % words,
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 4)",
        tops="bottoms[0] / 2",
        twins=[]
        if name == "caffe_proto_used"
        else [
            (
                "not halved",
                "top[0].diff / 2",
                "top[0].diff",
                "gradient",
                "2 times the right one",
            ),
        ],
    )
    for name, words in IMPORTS.items()
}
