"""Prints what a Python layer and a net see, for test_engines.py: engine_script.py [standin].

With that argument of the numpy stand-in, otherwise of real Caffe.
"""

import importlib
import os
import shutil
import sys
import tempfile
import types

import numpy as np

if sys.argv[1:] == ["standin"]:
    from caffe_pylayer.checks import standin

    standin.install()
os.environ["GLOG_minloglevel"] = "2"
import caffe  # noqa: E402

sys.modules.setdefault("engine_script", sys.modules["__main__"])
MESSAGES = {TypeError, IndexError, RuntimeError, ValueError}  # the same on every Python


def say(name, function):
    try:
        found = repr(function())
    except Exception as error:
        message = (
            str(error).split(" object of type")[0] if type(error) in MESSAGES else ""
        )
        found = "%s %s" % (type(error).__name__, message)
    print("%s: %s" % (name, found))


class Describes(caffe.Layer):
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
        say(
            "shape",
            lambda: (list(bottom[0].shape), len(bottom[0].shape), bottom[0].shape[0]),
        )
        say("shape part", lambda: list(bottom[0].shape[1:]))
        say("shape is a tuple", lambda: bottom[0].shape == tuple(bottom[0].shape))
        say("shape plus tuple", lambda: bottom[0].shape + (1,))
        say("shapes equal", lambda: bottom[0].shape == bottom[0].shape)
        say("zeros of shape", lambda: np.zeros(bottom[0].shape).shape)
        say(
            "legacy",
            lambda: [
                getattr(bottom[0], n) for n in "num channels height width".split()
            ],
        )
        say("count", lambda: (bottom[0].count, top[0].count))
        say("dtype", lambda: (bottom[0].data.dtype, bottom[0].diff.dtype))
        say("initial", lambda: (bottom[0].data.tolist(), bottom[0].diff.tolist()))
        say("set data", lambda: setattr(bottom[0], "data", 1))
        say("reshape to numpy", lambda: top[0].reshape(np.int64(3)))
        say("reshape to float", lambda: top[0].reshape(3.0))
        say("reshape to tuple", lambda: top[0].reshape((2, 3)))
        say("reshape to True", lambda: (top[0].reshape(True), list(top[0].shape)))
        say("reshape keyword", lambda: top[0].reshape(num=1))
        say(
            "reshape to scalar",
            lambda: (top[0].reshape(), top[0].data.shape, top[0].count),
        )
        say("add_blob", lambda: (self.blobs.add_blob(2, 3), len(self.blobs)))
        say("add_blob tuple", lambda: self.blobs.add_blob((2, 3)))
        say(
            "weights",
            lambda: [(blob.data.tolist(), list(blob.shape)) for blob in self.blobs],
        )
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


def contents(blobs):
    return [
        (list(blob.shape), blob.data.tolist(), blob.diff.tolist()) for blob in blobs
    ]


class Weighted(Copy):
    """Has two weights, and keeps a view of the first."""

    def setup(self, bottom, top):
        print("setup with", contents(self.blobs))
        if len(self.blobs) == 0:
            self.blobs.add_blob(2)
            self.blobs.add_blob()
            self.blobs[0].data[...] = 1
        self.view = self.blobs[0].data

    def forward(self, bottom, top):
        print("forward with", self.view.tolist(), contents(self.blobs))


class Again(Copy):
    """Makes its weight without a look at what is there."""

    def setup(self, bottom, top):
        self.blobs.add_blob(2)


class Turned(Copy):
    """Has weights of the size of those of Weighted, but of other shapes."""

    def setup(self, bottom, top):
        self.blobs.add_blob(1, 2)
        self.blobs.add_blob(1)


class Assigns(Copy):
    def setup(self, bottom, top):
        self.blobs = []


def python(name, rest="", module="engine_script", bottoms=("a",), top="t"):
    bottoms = " ".join("bottom: '%s'" % bottom for bottom in bottoms)
    return "layer { type: 'Python' name: '%s' %s top: '%s' %s python_param { %s } }\n" % (
        top, bottoms, top, rest, "module: '%s' layer: '%s'" % (module, name)
    )  # fmt: skip


def source(kind, name, dims):
    dims = " ".join("dim: %d" % dim for dim in dims)
    return "layer { type: '%s' name: '%s' top: '%s' %s_param { shape { %s } } }\n" % (
        kind, name, name, kind.lower(), dims
    )  # fmt: skip


def load(text, *args, **options):
    handle, path = tempfile.mkstemp()
    with os.fdopen(handle, "wb") as stream:
        stream.write(text.encode("utf-8"))
    try:
        return caffe.Net(path, *(args or (caffe.TRAIN,)), **options)
    finally:
        os.remove(path)


A, W = source("Input", "a", (2, 3)), source("Parameter", "w", (2, 3))
TEXTS = {
    "comments and quotes": A + '''# a comment with "quotes" and { braces
        layer{name:"t"type:'Python'bottom:"a"top:"t"python_param<module:'engine_script' # and here
        layer:"Copy";param_str:'{"a": "#\\'"}',> }''',
    "escapes": A + python("Copy").replace(
        "layer: '", "param_str: 'tab\\t nl\\n q\\' dq\\\" oct\\101 hex\\x42 bs\\\\ ü' layer: '"),
    "strings side by side": A + python("Copy").replace(
        "layer: '", "param_str: 'a' \"b\"\n'c' layer: '"),
    "list of names": A + W + "layer { name: 't' type: 'Python' bottom: ['a', 'w'] top: 't' "
        "python_param: { module: 'engine_script' layer: 'Copy' } }",
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
    "too many propagate_down": A
    + python("Copy", "propagate_down: true propagate_down: true"),
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
    "assigns to blobs": A + python("Assigns"),
}

TWO = "blobs { shape { dim: 2 } data: 3 data: 4 } blobs { data: 5 }"
BLOBS = {
    "two": TWO,
    "of rate 0": TWO + " param { lr_mult: 0 } param { lr_mult: 0 }",
    "with diffs": "blobs { shape { dim: 2 } data: [3, 4] diff: [6, 7] } blobs { data: 5 diff: 8 }",
    "of doubles": "blobs { shape { dim: 2 } double_data: [3, 4] data: 1 } blobs { double_data: 5 }",
    "as of old": "blobs { num: 1 channels: 1 height: 1 width: 2 shape { dim: 2 } data: [3, 4] }",
    "not finite": "blobs { shape { dim: 4 } data: [1e50, inf, nan, 1e-50] }",
    "one": "blobs { shape { dim: 1 dim: 2 } data: 0.1 data: 1e-3 }",
}
BLOBS_ABORT = {
    "no data": "blobs { shape { dim: 2 } }",
    "too few data": "blobs { shape { dim: 2 } data: 1 }",
    "too many data": "blobs { shape { dim: 2 } data: [1, 2, 3] }",
    "too few diffs": "blobs { shape { dim: 2 } data: [1, 2] diff: 1 }",
    "too few doubles": "blobs { shape { dim: 2 } data: [1, 2] double_data: 1 }",
    "part of an old shape": "blobs { num: 1 width: 2 data: [1, 2] }",
    "of size 0": "blobs { shape { dim: 0 } }",
    "of negative size": "blobs { shape { dim: -2 } data: [1, 2] }",
    "unknown blobs field": "blobs { dim: 1 data: 1 }",
    "no number in blobs": "blobs { data: 'a' }",
    "more params than blobs": TWO + 3 * "param { } ",
}
WEIGHTED = A + python("Weighted")
CLASHES = {  # with a Weighted of the same name
    "too few weights": A + python("Again"),
    "no weights": A + python("Copy"),
    "other shapes": A + python("Turned"),
}


def ends(name, function):
    """Print the signal that ends a process which calls function, 0 if none does."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            function()
        except Exception as error:
            print(type(error).__name__)
            sys.stdout.flush()
            os._exit(1)
        except BaseException:
            os.abort()
        os._exit(0)
    print(name, os.waitpid(child, 0)[1] & 127)


def weights():
    """Print what becomes of weights that are saved, loaded, shared and given in a prototxt."""
    saved, none, missing = "saved", "none", "no/such"
    net = load(WEIGHTED)
    net.params["t"][0].data[...] = [2, 1.0 / 3]
    net.params["t"][0].diff[...] = 7
    net.params["t"][1].data[...] = 9
    say("save", lambda: net.save(saved))
    load(A + python("Copy")).save(none)
    for name, args, options in (
        ("weights", (caffe.TRAIN,), {"weights": saved}),
        ("weights and TEST", (caffe.TEST,), {"weights": saved}),
        ("no weights", (caffe.TRAIN,), {"weights": None}),
        ("five arguments", (caffe.TRAIN, 0, None, saved), {}),
        ("older form", (saved, caffe.TEST), {}),
        ("no such weights", (caffe.TRAIN,), {"weights": missing}),
        ("no such weights, older form", (missing, caffe.TRAIN), {}),
    ):
        say(name, lambda: contents(load(WEIGHTED, *args, **options).params["t"]))  # noqa: B023
    say("no such net", lambda: caffe.Net(missing, caffe.TRAIN))

    print("by name")
    other = load(
        A + python("Weighted", top="u") + python("Again") + python("Weighted", top="v")
    )
    other.params["v"][0].data[...] = 8
    other.save("other")
    mixed = load(A + W + python("Weighted", top="v") + python("Weighted", top="y"))
    mixed.params["w"][0].data[...] = 6
    mixed.copy_from("other")
    print([(name, contents(blobs)) for name, blobs in mixed.params.items()])
    mixed.share_with(net)
    mixed.share_with(other)
    other.params["v"][0].data[...] = [10, 11]
    print([(name, contents(blobs)) for name, blobs in mixed.params.items()])

    print("sharing")
    one, two, keeper = load(WEIGHTED), load(WEIGHTED), load(WEIGHTED)
    one.params["t"][0].data[...] = 4
    two.params["t"][0].data[...] = 5
    keeper.share_with(two)  # or else the memory that two had is freed
    say("share_with", lambda: two.share_with(one))
    one.params["t"][0].data[...] = 12
    one.params["t"][0].diff[...] = 13
    two.forward()
    print("keeper", contents(keeper.params["t"]))
    two.copy_from(saved)
    one.forward()
    say("reshape", lambda: two.reshape())

    print("in the prototxt")
    for name, rest in BLOBS.items():
        print(name)
        found = load(A + python("Weighted", rest))
        print(contents(found.params["t"]))
        found.forward()
    again = load(A + python("Again", TWO))
    print("again", contents(again.params["t"]))
    sources = "layer { type: '%s' name: 's' top: 's' %s_param { shape { dim: 2 } } %s }"
    for kind in ("Input", "Parameter"):
        found = load(sources % (kind, kind.lower(), TWO))
        found.forward()
        print(kind, contents(found.params["s"]), found.blobs["s"].data.tolist())
    for rest in ("param { lr_mult: 0 }", "param { lr_mult: 0 } param { lr_mult: 0 }"):
        print("backward", rest)
        found = load(A + python("Weighted", "loss_weight: 1 " + rest))
        found.backward()

    print("what ends the process")
    say("of other names", lambda: load(A + python("Again", top="u")).copy_from(saved))
    for name, text in CLASHES.items():
        ends("copy_from into " + name, lambda: load(text).copy_from(saved))  # noqa: B023
        ends("share_with from " + name, lambda: load(WEIGHTED).share_with(load(text)))  # noqa: B023
        ends("share_with of " + name, lambda: load(text).share_with(net))  # noqa: B023
    ends("copy_from of no weights", lambda: net.copy_from(none))
    ends("copy_from of no file", lambda: net.copy_from(missing))
    ends("save to no folder", lambda: net.save(missing))
    for name, rest in BLOBS_ABORT.items():
        ends(name, lambda: load(A + python("Weighted", rest)))  # noqa: B023


MODULES = """caffe caffe._caffe caffe.pycaffe caffe.io caffe.net_spec caffe.proto
    caffe.proto.caffe_pb2 caffe.classifier caffe.detector caffe.draw caffe.coord_map""".split()
# What these modules import from elsewhere, and nobody from them.
FOREIGN = """Counter OrderedDict division enum_type_wrapper izip_longest protobuf pydot
    six""".split()


def names():
    """Print all public names of pycaffe: of modules, then of the classes that layers meet."""
    sys.modules.setdefault("pydot", types.ModuleType("pydot"))  # for caffe.draw
    modules = [importlib.import_module(name) for name in MODULES]
    for where, module in zip(MODULES, modules):
        for name in dir(module):
            if not name.startswith("_") and name not in FOREIGN:
                print(where, name)
    classes = "Layer Blob RawBlobVec BlobVec IntVec".split()
    things = [(name, getattr(caffe._caffe, name)) for name in classes]
    for kind, thing in things + [("Net", load(A))]:
        for name in dir(thing):
            if not name.startswith("_"):
                print(kind, name)


def main():
    print("== names")
    names()

    print("== the layer's view")
    net = load(A + W + python("Describes", "loss_weight: 2.5", bottoms="aw"))
    net.forward()
    net.blobs["a"].diff[...] = 7
    net.backward()
    print(
        "top",
        net.blobs["t"].data.ravel()[:2].tolist(),
        list(net.blobs),
        list(net.params),
    )

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
    for rule in (
        "include { phase: TEST }",
        "exclude { phase: TEST }",
        "phase: TEST",
        "",
    ):
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
    net.blobs["w"].diff[...] = 7
    print(net.blobs["w"].data.tolist(), net.params["w"][0].diff.tolist())

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
        ends(name, lambda: load(text))  # noqa: B023

    print("== weights")
    before, folder = os.getcwd(), tempfile.mkdtemp()
    os.chdir(folder)
    try:
        weights()
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
