"""Prints what a Python layer and a net see, for test_engines.py: python engine_probe.py [HARNESS].

With the path of a generated tests/harness the numpy stand-in is probed, otherwise real Caffe.
"""

import importlib
import os
import sys
import tempfile
import types

import numpy as np

if len(sys.argv) > 1:
    package = types.ModuleType("harness")
    package.__path__ = [sys.argv[1]]
    sys.modules["harness"] = package
    importlib.import_module("harness.standin").install()
os.environ["GLOG_minloglevel"] = "2"
import caffe  # noqa: E402

sys.modules.setdefault("engine_probe", sys.modules["__main__"])
MESSAGES = {TypeError, IndexError, RuntimeError, ValueError}  # the same on every Python


def say(name, function):
    try:
        found = repr(function())
    except Exception as error:
        message = str(error).split(" object of type")[0] if type(error) in MESSAGES else ""
        found = "%s %s" % (type(error).__name__, message)
    print("%s: %s" % (name, found))


class Probe(caffe.Layer):
    """Says what it is given."""

    def setup(self, bottom, top):
        say("param_str", lambda: (type(self.param_str).__name__, self.param_str))
        say("phase", lambda: (type(self.phase).__name__, self.phase))
        say("type", lambda: self.type)
        say("iterate bottoms", lambda: [blob for blob in bottom])
        say("list of tops", lambda: list(top))
        say("len", lambda: (len(bottom), len(top), len(self.blobs)))
        say("index too large", lambda: bottom[9])
        say("index -1", lambda: list(bottom[-1].shape))
        say("index of numpy", lambda: bottom[np.int64(0)])
        say("index of string", lambda: bottom["x"])
        say("slice", lambda: len(bottom[:1]))
        say("assign", lambda: bottom.__setitem__(0, 1))
        say("same object", lambda: bottom[0] is bottom[0])
        say("shape", lambda: (list(bottom[0].shape), len(bottom[0].shape), bottom[0].shape[0]))
        say("shape part", lambda: list(bottom[0].shape[1:]))
        say("shape is a tuple", lambda: bottom[0].shape == tuple(bottom[0].shape))
        say("shape plus tuple", lambda: bottom[0].shape + (1,))
        say("shapes equal", lambda: bottom[0].shape == bottom[0].shape)
        say("zeros of shape", lambda: np.zeros(bottom[0].shape).shape)
        say("legacy", lambda: [getattr(bottom[0], n) for n in "num channels height width".split()])
        say("count", lambda: (bottom[0].count, top[0].count))
        say("dtype", lambda: (bottom[0].data.dtype, bottom[0].diff.dtype))
        say("initial", lambda: (bottom[0].data.tolist(), bottom[0].diff.tolist()))
        say("set data", lambda: setattr(bottom[0], "data", 1))
        say("reshape to numpy", lambda: top[0].reshape(np.int64(3)))
        say("reshape to float", lambda: top[0].reshape(3.0))
        say("reshape to tuple", lambda: top[0].reshape((2, 3)))
        say("reshape to True", lambda: (top[0].reshape(True), list(top[0].shape)))
        say("reshape keyword", lambda: top[0].reshape(num=1))
        say("reshape to scalar", lambda: (top[0].reshape(), top[0].data.shape, top[0].count))
        say("add_blob", lambda: (self.blobs.add_blob(2, 3), len(self.blobs)))
        say("add_blob tuple", lambda: self.blobs.add_blob((2, 3)))
        say("weights", lambda: [(blob.data.tolist(), list(blob.shape)) for blob in self.blobs])
        bottom[0].note = 1
        say("note on a blob", lambda: bottom[0].note)

    def reshape(self, bottom, top):
        print("reshape")
        for i in range(len(top)):
            top[i].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        say("forward", lambda: (len(bottom), len(top)))
        for i in range(len(top)):
            top[i].data[...] = np.float64(1) / 3

    def backward(self, top, propagate_down, bottom):
        flags = [flag for flag in propagate_down]
        say("backward", lambda: (len(propagate_down), flags, type(flags[0]).__name__))
        say("top diff", lambda: top[0].diff.ravel()[:2].tolist())
        say("bottom diffs", lambda: [bottom[i].diff.ravel().tolist() for i in range(2)])


class Copy(caffe.Layer):
    """Prints its param_str; grows and shrinks with its bottom."""

    def setup(self, bottom, top):
        print("param_str", repr(self.param_str), "phase", self.phase)
        sys.stdout.flush()

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        print("backward of Copy", list(propagate_down))


class Unready(Copy):
    """Reads the memory of a top that has none."""

    def setup(self, bottom, top):
        print(top[0].data)


class Negative(Copy):
    """Asks for a negative size."""

    def reshape(self, bottom, top):
        top[0].reshape(2, -1)


class Deep(Copy):
    """Asks for the height of a blob of five axes."""

    def reshape(self, bottom, top):
        top[0].reshape(1, 1, 1, 1, 1)
        print(top[0].height)


class Raises(Copy):
    def setup(self, bottom, top):
        raise KeyError("from setup")


def python(name, rest="", module="engine_probe", bottoms=("a",), top="t"):
    bottoms = " ".join("bottom: '%s'" % bottom for bottom in bottoms)
    return "layer { type: 'Python' name: '%s' %s top: '%s' %s python_param { %s } }\n" % (
        top, bottoms, top, rest, "module: '%s' layer: '%s'" % (module, name)
    )  # fmt: skip


def source(kind, name, dims):
    dims = " ".join("dim: %d" % dim for dim in dims)
    return "layer { type: '%s' name: '%s' top: '%s' %s_param { shape { %s } } }\n" % (
        kind, name, name, kind.lower(), dims
    )  # fmt: skip


def load(text, phase=caffe.TRAIN):
    handle, path = tempfile.mkstemp()
    with os.fdopen(handle, "wb") as stream:
        stream.write(text.encode("utf-8"))
    try:
        return caffe.Net(path, phase)
    finally:
        os.remove(path)


A, W = source("Input", "a", (2, 3)), source("Parameter", "w", (2, 3))
TEXTS = {
    "comments and quotes": A + '''# a comment with "quotes" and { braces
        layer{name:"t"type:'Python'bottom:"a"top:"t"python_param<module:'engine_probe' # and here
        layer:"Copy";param_str:'{"a": "#\\'"}',> }''',
    "escapes": A + python("Copy").replace(
        "layer: '", "param_str: 'tab\\t nl\\n q\\' dq\\\" oct\\101 hex\\x42 bs\\\\ ü' layer: '"),
    "strings side by side": A + python("Copy").replace(
        "layer: '", "param_str: 'a' \"b\"\n'c' layer: '"),
    "list of names": A + W + "layer { name: 't' type: 'Python' bottom: ['a', 'w'] top: 't' "
        "python_param: { module: 'engine_probe' layer: 'Copy' } }",
}  # fmt: skip
ABORTS = {
    "unallocated": A + python("Unready"),
    "negative": A + python("Negative"),
    "five axes": A + python("Deep"),
    "too many params": A + python("Copy", "param { lr_mult: 1 }"),
    "one name for two tops": A + python("Copy") + python("Copy"),
    "unknown bottom": python("Copy"),
    "unknown field": A + python("Copy", "botom: 'a'"),
    "unknown python field": A + python("Copy").replace("module:", "modul:"),
    "unknown type": A + python("Copy").replace("'Python'", "'Pyton'"),
    "too many propagate_down": A + python("Copy", "propagate_down: true propagate_down: true"),
    "too many loss_weight": A + python("Copy", "loss_weight: 1 loss_weight: 1"),
    "does not parse": A + "layer { name: ",
    "unquoted": A + python("Copy", "name: t"),
    "no number": A + python("Copy", "loss_weight: 'a'"),
    "no bool": A + python("Copy", "propagate_down: maybe"),
    "no message": A + python("Copy", "include: TEST"),
}
RAISES = {
    "no module": A + python("Copy", module="no_such_module"),
    "no class": A + python("NoSuchClass"),
    "no layer": A + python("say"),
    "raises": A + python("Raises"),
}


def main():
    print("== the layer's view")
    net = load(A + W + python("Probe", "loss_weight: 2.5", bottoms="aw"))
    net.forward()
    net.blobs["a"].diff[...] = 7
    net.backward()
    print("top", net.blobs["t"].data.ravel()[:2].tolist(), list(net.blobs), list(net.params))

    print("== memory")
    net = load(source("Input", "a", (4,)) + python("Copy"))
    net.forward()
    blob = net.blobs["t"]
    blob.data[...] = range(4)
    for size in (2, 3, 4):
        net.blobs["a"].reshape(size)
        net.forward()
        print(size, blob.data.tolist())

    print("== who gets a gradient")
    for bottoms, rest, after in (
        ("aw", "loss_weight: 1", ""), ("a", "loss_weight: 1", ""), ("w", "", ""),
        ("aw", "loss_weight: 1 propagate_down: true propagate_down: true", ""),
        ("aw", "loss_weight: 1 propagate_down: true propagate_down: false", ""),
        ("aw", "loss_weight: 1 propagate_down: false propagate_down: false", ""),
        ("w", "", python("Copy", "loss_weight: 1", bottoms="t", top="u")),
        ("a", "", python("Copy", "loss_weight: 1", bottoms="t", top="u")),
        ("w", "", python("Copy", "loss_weight: 1 propagate_down: false", bottoms="t", top="u")),
        ("w", "loss_weight: 0", ""),
        ("w", "loss_weight: 1 propagate_down: 1", ""),
        ("w", "loss_weight: 1 propagate_down: f", ""),
    ):  # fmt: skip
        print(bottoms, rest, after)
        net = load(A + W + python("Copy", rest, bottoms=bottoms) + after)
        net.forward()
        net.backward()

    print("== phases")
    for rule in ("include { phase: TEST }", "exclude { phase: TEST }", "phase: TEST", ""):
        for phase in (caffe.TRAIN, caffe.TEST):
            print(rule, list(load(A + python("Copy", rule), phase).blobs))

    print("== Parameter")
    net = load(W)
    net.params["w"][0].data[...] = 5
    print(net.blobs["w"].data[0].tolist())
    net.forward()
    print(net.blobs["w"].data[0].tolist())
    for target in (net.params["w"][0], net.blobs["w"]):
        target.reshape(4, 3)
    net.params["w"][0].data[...] = 6
    net.forward()
    print(net.blobs["w"].data.tolist())

    print("== text format")
    for name, text in TEXTS.items():
        print(name)
        load(text)

    print("== exceptions")
    for name, text in RAISES.items():
        try:
            print(name, load(text))
        except Exception as error:
            print(name, type(error).__name__)

    print("== aborts")
    for name, text in ABORTS.items():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                load(text)
            except Exception as error:
                print(type(error).__name__)
                sys.stdout.flush()
                os._exit(1)
            except BaseException:
                os.abort()
            os._exit(0)
        print(name, os.waitpid(child, 0)[1] & 127)


if __name__ == "__main__":
    main()
