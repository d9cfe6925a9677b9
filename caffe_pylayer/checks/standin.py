# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""A numpy stand-in for `import caffe`: what a Python layer and its tests see of it.

It keeps Caffe's rules and its pitfalls: blobs are float32, bottoms cannot be iterated,
shapes are no tuples, reshape takes plain ints, memory is neither cleared nor shrunk,
diffs stay as they were. A file of weights is JSON, not Caffe's: pairs of a layer's name
and its weights' [shape, values].
"""

import importlib
import json
import sys
import traceback
from collections import OrderedDict

import numpy as np

from . import caffe_names, prototxt
from .caffe_names import CaffeAborted, NotInStandin

__version__ = "stand-in"
TRAIN, TEST = 0, 1
DTYPE = np.float32  # of new blobs; double.py has them in float64
PHASES = {"TRAIN": TRAIN, "TEST": TEST}

NO_INT = (
    "No registered converter was able to produce a C++ rvalue of type int "
    "from this Python object of type %s"
)
RULE = {"enum": "phase", "number": "min_level max_level", "string": "stage not_stage"}
FIELDS = {  # of each message, by type; others, such as loss_param, are not looked into
    "net": {"string": "name", "message": "layer", "bool": "force_backward"},
    "layer": {
        "string": "name type bottom top",
        "number": "loss_weight",
        "bool": "propagate_down",
        "enum": "phase",
        "message": "param blobs include exclude python_param loss_param "
        "transform_param input_param parameter_param",
    },
    "blobs": {
        "message": "shape",
        "number": "data diff double_data double_diff num channels height width",
    },
    "python_param": {"string": "module layer param_str", "bool": "share_in_parallel"},
    "param": {"string": "name", "enum": "share_mode", "number": "lr_mult decay_mult"},
    "include": RULE,
    "exclude": RULE,
    "input_param": {"message": "shape"},
    "parameter_param": {"message": "shape"},
    "shape": {"number": "dim"},
}
OLD_SHAPE = ("num", "channels", "height", "width")


def _require(condition, message):
    if not condition:
        raise CaffeAborted("Check failed: " + message)


def _count(shape):
    count = 1
    for dim in shape:
        count *= dim
    return count


class _Memory(object):
    """The memory of one blob: it grows, anew and with zeros, and never shrinks."""

    def __init__(self):
        self.shape, self.capacity, self.dtype = (), 0, DTYPE
        self.arrays = {"data": None, "diff": None}

    def view(self, which):
        _require(self.arrays[which] is not None, which + "_")
        return self.arrays[which][: _count(self.shape)].reshape(self.shape)

    def reshape(self, shape):
        self.shape = tuple(int(dim) for dim in shape)
        if _count(shape) > self.capacity:
            self.capacity = _count(shape)
            self.arrays = {
                which: np.zeros(self.capacity, self.dtype) for which in self.arrays
            }

    def share(self, which, other):
        """Use another blob's memory from now on; earlier views go stale."""
        self.arrays[which] = other.arrays[which]


class Blob(object):
    """caffe.Blob: every look-up gives a new one, so what a layer sets on it is lost."""

    def __init__(self, memory):
        self._memory = memory

    data = property(lambda self: self._memory.view("data"))
    diff = property(lambda self: self._memory.view("diff"))
    shape = property(lambda self: IntVec(self._memory.shape))
    num = property(lambda self: self._legacy(0))
    channels = property(lambda self: self._legacy(1))
    height = property(lambda self: self._legacy(2))
    width = property(lambda self: self._legacy(3))

    @property
    def count(self):
        return _count(self._memory.shape) if self._memory.capacity else 0

    def _legacy(self, axis):
        shape = self._memory.shape
        _require(len(shape) <= 4, "num_axes() <= 4")
        return shape[axis] if axis < len(shape) else 1

    def reshape(self, *shape, **kwargs):
        if kwargs:
            raise RuntimeError("Blob.reshape takes no kwargs")
        for dim in shape:
            if not isinstance(dim, int):
                raise TypeError(NO_INT % type(dim).__name__)
            _require(dim >= 0, "shape[i] >= 0")
        self._memory.reshape(shape)


class IntVec(object):
    """A blob's shape: no tuple, and equal to nothing but itself."""

    def __init__(self, items):
        self._items = list(items)

    def __len__(self):
        return len(self._items)

    def __iter__(self):
        return iter(self._items)

    def __getitem__(self, index):
        items = self._items[index]
        return IntVec(items) if isinstance(index, slice) else items


class RawBlobVec(object):
    """Bottoms or tops: indexed and measured, not iterated."""

    def __init__(self, memories):
        self._memories = memories

    def __len__(self):
        return len(self._memories)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(self._memories[index])
        if not isinstance(index, int):
            raise TypeError("Invalid index type")
        if not -len(self) <= index < len(self):
            raise IndexError("Index out of range")
        return Blob(self._memories[index])

    def __setitem__(self, index, value):
        raise TypeError("Invalid assignment")

    def __iter__(self):
        if self._memories:
            raise TypeError(
                "No to_python (by-value) converter found for C++ type: "
                "caffe::Blob<float>*"
            )
        return iter(())


class BlobVec(RawBlobVec):
    """A layer's weights: these can be iterated, and added to."""

    def __iter__(self):
        return iter([Blob(memory) for memory in self._memories])

    def add_blob(self, *shape):
        memory = _Memory()
        Blob(memory).reshape(*shape)
        self._memories.append(memory)


class Layer(object):
    """caffe.Layer, the base class of Python layers."""

    type = "Python"

    def __init__(self, layer_param):
        self._blobs = BlobVec(
            [_from_prototxt(message) for message in layer_param.all("blobs")]
        )

    blobs = property(lambda self: self._blobs)

    def setup(self, bottom, top):
        raise CaffeAborted("%s has no method setup" % type(self).__name__)

    def reshape(self, bottom, top):
        raise CaffeAborted("%s has no method reshape" % type(self).__name__)


def _from_prototxt(message):
    """Return the _Memory that `blobs { }` in a prototxt describes."""
    memory, old = _Memory(), [message.all(name) for name in OLD_SHAPE]
    shape = message.get("shape", prototxt.Message()).all("dim")
    shape = [(dims or [0])[-1] for dims in old] if any(old) else shape
    Blob(memory).reshape(*shape)
    for which in ("data", "diff"):
        values = message.all("double_" + which) or message.all(which)
        if values or which == "data":
            text = "count_ == proto.%s_size() (%d vs. %d)"
            _require(
                _count(shape) == len(values), text % (which, _count(shape), len(values))
            )
            with np.errstate(over="ignore"):
                memory.view(which).flat = np.array(values, np.float64)
    return memory


class _Input(Layer):
    """Caffe's Input layer: tops of given shapes, filled by the user."""

    field = "input_param"

    def setup(self, bottom, top):
        for i, shape in enumerate(self.message.get(self.field).all("shape")):
            top[i].reshape(*shape.all("dim"))

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


class _Power(Layer):
    """Caffe's Power layer as it is by default: a copy."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff


class _Parameter(_Input):
    """Caffe's Parameter layer: a weight; its top shares it after the first forward."""

    field = "parameter_param"

    def setup(self, bottom, top):
        _Input.setup(self, bottom, top)
        if len(self.blobs) == 0:
            self.blobs.add_blob(*top[0].shape)

    def forward(self, bottom, top):
        _require(top[0].count == self.blobs[0].count, "count_ == other.count()")
        for which in ("data", "diff"):
            top[0]._memory.share(which, self.blobs[0]._memory)


class _Node(object):
    """A layer in its place in the net."""

    def __init__(self, name, layer, bottoms, tops):
        self.name, self.layer = name, layer
        self.bottoms, self.tops = RawBlobVec(bottoms), RawBlobVec(tops)


class Net(object):
    """caffe.Net of Input, Parameter and Python layers.

    `Net(file, phase)`, `Net(file, phase, weights=file)` and, the older form of it,
    `Net(file, weights, phase)`.
    """

    def __init__(self, network_file, phase, level=0, stages=None, weights=None):
        if isinstance(phase, str):
            weights, phase, level = phase, level, 0
            _check_file(weights)
        if level or stages:
            raise NotInStandin("caffe.Net with level or stages")
        _check_file(network_file)
        try:
            net = prototxt.load(network_file)
        except ValueError as error:
            raise CaffeAborted("Check failed: ReadProtoFromTextFile: %s" % error)
        _check_fields(net, "net")
        self._memories, self._nodes = OrderedDict(), []
        self.params = OrderedDict()
        needs = {}
        for message in net.all("layer"):
            if _is_included(message, phase):
                self._append(message, phase, needs)
        self._skip_backward_without_loss()
        self.blobs = OrderedDict(
            (name, Blob(memory)) for name, memory in self._memories.items()
        )
        if weights is not None:
            _check_file(weights)
            self.copy_from(weights)

    layers = property(lambda self: [node.layer for node in self._nodes])
    _layer_names = property(lambda self: [node.name for node in self._nodes])
    layer_dict = property(lambda self: OrderedDict(zip(self._layer_names, self.layers)))

    def save(self, path):
        layers = []
        for node in self._nodes:
            weights = [
                (list(blob.shape), blob.data.ravel().tolist())
                for blob in node.layer.blobs
            ]
            layers.append((node.name, weights))
        try:
            with open(path, "w") as stream:
                json.dump(layers, stream)
        except IOError as error:
            raise CaffeAborted(
                "Check failed: proto.SerializeToOstream(&output) %s" % error
            )

    def copy_from(self, path):
        try:
            with open(path) as stream:
                layers = json.load(stream)
        except (IOError, ValueError) as error:
            raise CaffeAborted(
                "Check failed: no file that the stand-in saved: %s: %s" % (path, error)
            )
        for name, weights in layers:
            name = name.encode("utf-8") if str is bytes else name
            targets = self._weights(name, [tuple(shape) for shape, _ in weights])
            for target, (_, values) in zip(targets, weights):
                target.view("data").flat = values

    def share_with(self, other):
        for node in other._nodes:
            sources = node.layer.blobs._memories
            targets = self._weights(node.name, [source.shape for source in sources])
            for target, source in zip(targets, sources):
                target.share("data", source)

    def _weights(self, name, shapes):
        """Return the memories of the first layer of a name; shapes must be these."""
        for node in self._nodes:
            if node.name == name:
                found = node.layer.blobs._memories
                text = "Incompatible number of blobs for layer %s (%d vs. %d)"
                _require(
                    len(found) == len(shapes), text % (name, len(found), len(shapes))
                )
                for memory, shape in zip(found, shapes):
                    text = "shape mismatch of the weights of layer %s (%s vs. %s)"
                    _require(memory.shape == shape, text % (name, memory.shape, shape))
                return found
        return []

    def reshape(self):
        for node in self._nodes:
            node.layer.reshape(node.bottoms, node.tops)

    def forward(self, *args, **kwargs):
        if args or kwargs:
            raise NotInStandin("caffe.Net.forward with arguments")
        for node in self._nodes:
            node.layer.reshape(node.bottoms, node.tops)
            node.layer.forward(node.bottoms, node.tops)

    def backward(self, *args, **kwargs):
        if args or kwargs:
            raise NotInStandin("caffe.Net.backward with arguments")
        for node in reversed(self._nodes):
            if node.needs_backward:
                node.layer.backward(node.tops, list(node.propagate_down), node.bottoms)

    def _append(self, message, phase, needs):
        name, bottoms, tops = (
            message.get("name", ""),
            message.all("bottom"),
            message.all("top"),
        )
        for bottom in bottoms:
            _require(bottom in self._memories, "Unknown bottom blob '%s'" % bottom)
        for i, top in enumerate(tops):
            if bottoms[i : i + 1] != [top]:  # not in place
                _require(
                    top not in self._memories,
                    "top '%s' produced by several layers" % top,
                )
                self._memories[top] = _Memory()
        flags, weights = message.all("propagate_down"), message.all("loss_weight")
        _require(
            len(flags) in (0, len(bottoms)),
            "propagate_down for each bottom or for none",
        )
        layer = _make_layer(message)
        layer.message, layer.phase = message, PHASES.get(message.get("phase"), phase)
        memories = [[self._memories[x] for x in blobs] for blobs in (bottoms, tops)]
        node = _Node(name, layer, *memories)
        layer.setup(node.bottoms, node.tops)
        layer.reshape(node.bottoms, node.tops)
        _require(len(weights) in (0, len(tops)), "loss_weight for each top or for none")
        node.loss = [bool(float(weight)) for weight in weights] or [False] * len(tops)
        for top, weight in zip(range(len(tops)), weights):
            if float(weight):
                node.tops[top].diff[...] = weight
        params = message.all("param")
        _require(
            len(params) <= len(layer.blobs),
            "Too many params specified for layer " + name,
        )
        node.propagate_down = [prototxt.boolean(flag) for flag in flags]
        node.propagate_down = node.propagate_down or [
            needs[bottom] for bottom in bottoms
        ]
        rates = [param.get("lr_mult", 1) for param in params] + [1] * len(layer.blobs)
        trained = any(float(rate) for rate in rates[: len(layer.blobs)])
        node.needs_backward = any([needs[blob] for blob in bottoms]) or trained
        needs.update((top, node.needs_backward) for top in tops)
        node.names = bottoms, tops
        self._nodes.append(node)
        if len(layer.blobs):
            self.params[name] = layer.blobs

    def _skip_backward_without_loss(self):
        under_loss, skipped = set(), set()
        for node in reversed(self._nodes):
            bottoms, tops = node.names
            losses = [loss or top in under_loss for loss, top in zip(node.loss, tops)]
            if not any(loss and top not in skipped for loss, top in zip(losses, tops)):
                node.needs_backward = False
            if any(losses):
                under_loss |= set(bottoms)
            flags = zip(bottoms, node.propagate_down)
            skipped |= {
                bottom for bottom, flag in flags if not (flag and node.needs_backward)
            }


def _make_layer(message):
    kind = message.get("type")
    if kind == "Python":
        param = message.get("python_param", prototxt.Message())
        try:
            module = importlib.import_module(param.get("module", ""))
            layer = getattr(module, param.get("layer", ""))(message)
        except Exception:
            traceback.print_exc()
            raise SystemError(
                "Boost.Python.function returned NULL without setting an error"
            )
        _require(isinstance(layer, Layer), "%s is a caffe.Layer" % param.get("layer"))
        layer.param_str = param.get("param_str", "")
        return layer
    layers = {"Input": _Input, "Parameter": _Parameter, "Power": _Power}
    if kind not in layers:
        raise NotInStandin("a layer of type %s" % kind)
    return layers[kind](message)


def _check_file(path):
    try:
        open(path).close()
    except IOError:
        raise RuntimeError("Could not open file %s" % path)


def _is_included(message, phase):
    included, excluded = [
        [PHASES.get(rule.get("phase"), phase) == phase for rule in message.all(field)]
        for field in ("include", "exclude")
    ]
    return not any(excluded) and (any(included) or not included)


def _check_fields(message, kind):
    for name, value in message.fields:
        types = [type for type, names in FIELDS[kind].items() if name in names.split()]
        _require(
            types and prototxt.fits(value, types[0]), "%s { } with %s" % (kind, name)
        )
        if isinstance(value, prototxt.Message) and name in FIELDS:
            _check_fields(value, name)


def layer_type_list():
    return ["Input", "Parameter", "Power", "Python"]


_solver = {"count": 1, "rank": 0}


def solver_count():
    return _solver["count"]


def solver_rank():
    return _solver["rank"]


def set_solver_count(count):
    _solver["count"] = count


def set_solver_rank(rank):
    _solver["rank"] = rank


def has_nccl():
    return False


def _ignore(*args):
    """Settings that mean nothing here: modes, devices, logs, random numbers."""


set_mode_cpu = set_mode_gpu = set_device = set_random_seed = set_multiprocess = _ignore
log = init_log = _ignore
MODULES = caffe_names.modules(sys.modules[__name__])


def install():
    """Put the stand-in where `import caffe` and `import caffe.io` find it."""
    sys.modules.update(MODULES)
