"""caffe-pylayer audit: what each finding sees and what it leaves alone, and what a layer is."""

import shutil
from pathlib import Path

import pytest

from caffe_pylayer.commands.audit import COLUMNS, ROWS, Audit, Folder
from checks import mutants
from support.audited import RIGHT, audit, marks, write
from support.project import PROJECT

DATA, EXAMPLES = Path(__file__).with_name("audit"), PROJECT / "examples"
JUDGED = [code for code, row in ROWS.items() if row.function]

SETUP = "        self.params = json.loads(self.param_str)\n"
CHECK = SETUP + "".join(RIGHT["scale.py"].splitlines(True)[8:10])
BUFFER = "        self.buffer = np.zeros(bottom[0].data.shape)\n"
SHAPE = "        top[0].reshape(*bottom[0].data.shape)\n"
FORWARD = "        top[0].data[...] = self.buffer\n"
LOOP = "".join(RIGHT["scale.py"].splitlines(True)[-3:])
SETUP_RESHAPE = "".join(RIGHT["scale.py"].splitlines(True)[7:14])
USE = "        top[0].reshape(self.n)\n"
WRITE = '                bottom[i].diff[...] = self.params["scale"] * top[0].diff\n'
ASKED = "            if propagate_down[i]:\n" + WRITE
CLASS = "class ScaleLayer(caffe.Layer):\n"
NO_CLASS = "class ScaleLayer(caffe.Layer):  # <-\n"
TEST = RIGHT["tests/test_scale.py"]
WHOLE_SETUP = "    def setup(self, bottom, top):\n" + CHECK
BACKWARD = "propagate_down, bottom):\n" + LOOP
CALL = "                self.go(top, bottom)\n\n    def go(self, tops, bots):\n        "

# What a layer may keep in setup: what changes with the batch, and what does not.
BATCH_SIZES = (
    "bottom[0].num  # <-",
    "bottom[0].count  # <-",
    "float(bottom[0].shape[0])  # <-",
    "1.0 / bottom[1].data.shape[0]  # <-",
    "bottom[0].data.shape  # <-",
    "len(bottom[0].data)  # <-",
    "size  # <-",
    "np.shape(bottom[0].data)[0]  # <-",
    "bottom[0].data[:].shape[0]  # <-",
    "x.shape[0]  # <-",
    "x.size  # <-",
    "len(x)  # <-",
    "blob.num  # <-",
    "blob.count / width  # <-",
    "rows  # <-",
)
SAMPLE_SIZES = (
    "bottom[0].channels",
    "bottom[0].data.shape[1]",
    "bottom[0].height * bottom[0].width",
    "bottom[0].shape[1:]",
    "bottom[0].shape[self.params['axis']]",
    "len(bottom[0].data.shape)",
    "bottom[0].data.ndim, len(bottom)",
    "bottom[0].data[0].size",
    "bottom[0].count // bottom[0].num",
    "count / float(size)",
    "np.zeros((3, count / size))",
    "bottom[0].data.reshape(size, -1).shape[1]",
    "np.zeros(shape[1], bottom[0].data.dtype)",
    "bottom[0].shape == bottom[1].shape",
    "c",
    "np.shape(bottom[0].data)[1]",
    "bottom[0].data[:2].shape[0]",
    "bottom[0].data[:].shape[1:]",
    "x.shape[1]",
    "x[0].size",
    "len(x[0])",
    "len(np.shape(x))",
    "x.size // blob.num",
    "np.zeros(3, x.dtype)",
    "other.shape[0]",
    "columns",
)
# Arrays of the size of a bottom, and what goes through blobs.
ARRAYS = (
    "np.meshgrid(np.linspace(-1, 1, bottom[0].width), x)",
    "np.indices(bottom[0].data.shape[2:])",
    "np.mgrid[0 : bottom[0].height, 0 : bottom[0].width]",
    "np.pad(bottom[0].data, 1)",
    "np.stack([bottom[0].data, bottom[0].data])",
    "np.eye(bottom[0].num)",
)
# How a layer writes its bottom, and what looks like it and is none.
WRITES_BOTTOM = (
    "bottom[0].data[...] = 1  # <-",
    "bottom[0].data[bottom[0].data < 0] = 0  # <-",
    "bottom[0].data[0, 1] += 1  # <-",
    "x = bottom[0].data; x -= x.mean()  # <-",
    "x = bottom[0].data; x[...] = 0  # <-",
    "x = bottom[0].data.reshape(2, -1); x[0] = 1  # <-",
    "x = bottom[0].data; x = x.reshape(-1); x -= 1  # <-",
    "x = bottom[0].data[:, 1:]; x *= 2  # <-",
    "x, y = top[0].data, bottom[0].data.T; y *= 2  # <-",
    "bots = bottom; b = bots[0]; x = b.data; y = x; y /= 2  # <-",
    "self.x = bottom[0].data; self.x += 1  # <-",
    "np.maximum(bottom[0].data, 0, out=bottom[0].data)  # <-",
    "np.random.shuffle(bottom[0].data)  # <-",
    "np.add.at(bottom[0].data, [0, 0], 1)  # <-",
    "x = bottom[0].data; x.sort()  # <-",
    "x = bottom[0].data; x.fill(0)  # <-",
    "for x in bottom[0].data: x -= 1  # <-",
    "for i, x in enumerate(bottom[0].data): x -= i  # <-",
    "for i in range(2): x = bottom[0].data[i]; x -= 1  # <-",
    "self.go(bottom[0].data)\n\n    def go(self, x):\n        x += 1  # <-",
    "self.go(x=bottom[0])\n\n    def go(self, x):\n        y = x.data; y += 1  # <-",
)
LEAVES_BOTTOM = (
    "x = bottom[0].data.copy(); x -= 1",
    "x = np.array(bottom[0].data); x -= 1",
    "x = bottom[0].data - 1; x -= 1",
    "x = bottom[0].data; x = x - 1; x -= 1",
    "x = bottom[0].data; y = x; x = x * 2; x -= 1",
    "x = bottom[0].data[bottom[0].data > 0]; x -= 1",
    "keep = [0]; x = bottom[0].data[keep]; x -= 1",
    "x = bottom[0].data[0, 0, 0, 0] * 1; x -= 1",
    "x = top[0].data; x -= 1",
    "x = bottom[0].data if len(top) else top[0].data; x -= 1",
    "np.sort(bottom[0].data), bottom[0].data.sum()",
    "np.multiply(bottom[0].data, 2, out=top[0].data)",
    "self.x = bottom[0].data; self.y = self.x",
    "self.x = bottom[0].data; self.x = self.x + 1; self.x += 1",
    "f = lambda bottom: bottom.sort(); f([1])",
    "bottom = [np.zeros(3)]; bottom[0][...] = 1",
    "self.go(bottom[0].data); self.go(top[0].data)\n\n    def go(self, x):\n        x += 1",
    "for i, x in enumerate(bottom[0].data): i -= 1",
    "t = np.zeros(1); t.data[...] = 1; self.data = 1; self.data += 1",
)
ADDS_TO_DIFF = (
    "bottom[i].diff[...] += top[0].diff  # <-",
    "bottom[i].diff[0] -= top[0].diff[0]  # <-",
    "d = bottom[i].diff; d += top[0].diff  # <-",
    "d = bottom[i].diff.reshape(-1); d[0] += top[0].diff[0]  # <-",
    "np.add.at(bottom[i].diff, [0, 0], top[0].diff[0])  # <-",
    "bottom[0].diff[...] = 0; bottom[1].diff[...] += top[0].diff  # <-",
)
SETS_DIFF = (
    "bottom[i].diff[...] = 0; bottom[i].diff[...] += top[0].diff",
    "bottom[i].diff.fill(0); bottom[i].diff[0] += top[0].diff[0]",
    "d = bottom[i].diff; d[...] = 0; d[...] += top[0].diff",
    "bottom[1].diff[...] = 0; bottom[1].diff[...] += top[0].diff",
    "d = np.zeros(3); d += top[0].diff; bottom[i].diff[...] = d",
    "np.copyto(bottom[i].diff, top[0].diff); bottom[i].diff[...] += 1 * top[0].diff",
    "self.clear(bottom[i]); bottom[i].diff[...] += top[0].diff\n\n"
    "    def clear(self, blob):\n        blob.diff[...] = 0",
    "top[0].diff[...] += 1; bottom[i].diff[...] = top[0].diff",
)
REPLACES = (
    "self.blobs[0].diff[...] = top[0].diff.sum()  # <-",
    "self.blobs[0].diff[0] = top[0].diff.sum()  # <-",
    "w = self.blobs[0].diff; w[...] = top[0].diff.sum()  # <-",
    "w = self.blobs[0]; w.diff.fill(top[0].diff.sum())  # <-",
    "np.sum(top[0].diff, axis=0, out=self.blobs[0].diff)  # <-",
    "self.blobs[0].diff.fill(0)  # <-; self.blobs[0].diff[...] += 1 * top[0].diff",
    "self.grow(top)\n\n    def grow(self, top):\n"
    "        self.blobs[0].diff[...] = top[0].diff.sum()  # <-",
)
ADDS = (
    "self.blobs[0].diff[...] += top[0].diff.sum()",
    "self.blobs[0].diff[...] = self.blobs[0].diff + top[0].diff.sum()",
    "np.add(self.blobs[0].diff, 1, out=self.blobs[0].diff)",
    "np.add.at(self.blobs[0].diff, [0, 0], 1)",
    "self.blobs[0].diff[...] = 0",
    "self.blobs[0].diff.fill(0)",
    "self.blobs[0].data[...] = 1",
)
SETS_ATTRIBUTE = (
    "top[0].data = self.buffer  # <-",
    "top[0].data += 1  # <-",
    "t = top[0]; t.data = 1  # <-",
    "for i in range(2): top[i].diff = 0  # <-",
    "self.blobs[0].data = 1  # <-",
)
SHAPES_TOP = (
    "top[0].reshape(*bottom[0].data.shape)",
    "for i in range(len(top)): top[i].reshape(2)",
    "t = top[0]; t.reshape(2)",
    "tops = top; tops[0].reshape(2)",
    "top[0].reshape_like(bottom[0])",
    "team.shape(top)",
    "team.shape(top[0], 2)",
    "self.shape(top)\n\n    def shape(self, tops):\n        tops[0].reshape(2)",
)
SHAPES_NUMPY = (
    "self.x = bottom[0].data.reshape(2, -1)",
    "self.x = top[0].data.reshape(2, -1)",
    "t = top[0].data; t.reshape(2, -1)",
    "self.x = np.reshape(bottom[0].data, (2, -1)).reshape(-1)",
    "bottom[0].reshape(2)",
    "self.n = len(top)",
)
ITERATED = (
    "sorted(top, key=id)",
    "max(bottom, key=id)",
    "min(bottom)",
    "all(bottom)",
    "[x for x in bottom[1:]]",
    "a, b = bottom[:2]",
    "itertools.chain(bottom, [])",
    "bots = bottom; list(bots)",
    "bots = bottom[1:]; more = bots; list(more)",
    "self.bots = bottom; self.show()",
)


def indented(spaces, text):
    """Return statements in lines of their own; the text behind the first line break as it is."""
    first, *rest = text.split("\n", 1)
    if not first.startswith("for "):
        first = first.replace("; ", f"\n{spaces}")
    return "\n".join([spaces + first, *rest]) + "\n"


IN_WRITE, IN_FORWARD = " " * 16, " " * 8


def reshaped(use, mark="  # <-"):
    """Return the text from setup to reshape with a top that setup shapes, and this in reshape."""
    text = SETUP_RESHAPE.replace(SHAPE, indented(IN_FORWARD, use))
    return text.replace(SETUP, SETUP + SHAPE[:-1] + mark + "\n")


def kept(size, use):
    """Return the text from setup to reshape with a size in self.n, and this use of it."""
    local = "        shape, count = bottom[0].shape, bottom[0].count\n"
    local += "        size, c = bottom[0].shape[:2]\n        x = bottom[0].data\n"
    local += "        blob = bottom[0]\n        width = blob.width\n"
    local += "        rows, columns, _, _ = np.shape(x)\n"
    local += (
        "        other = bottom[0].data\n        other = self.table\n        self.n = "
    )
    return SETUP_RESHAPE.replace(SETUP, SETUP + local + size + "\n").replace(SHAPE, use)


# The check that has to speak; whose name it says and what; the file, what stands there, what is
# put there: the line of the finding is the one marked.
BROKEN = [
    ("CPL201", "ScaleLayer: no test_*.py", "scale.py", CLASS, NO_CLASS,
     {"tests/test_scale.py": ""}),
    ("CPL201", "ScaleLayer", "scale.py", CLASS, NO_CLASS, {"tests/test_scale.py": "x = 1"}),
    ("CPL103", 'no class Scale in a module "scale" here: write layer: "ScaleLayer"',
     "scale.prototxt", '{\n    module: "scale"\n    layer: "ScaleLayer"',
     '{  # <-\n    module: "scale"\n    layer: "Scale"', {}),
    ("CPL103", 'no class ScaleLayer in a module "scael" here: write module: "scale"',
     "scale.prototxt", '{\n    module: "scale"', '{  # <-\n    module: "scael"', {}),
    ("CPL202", "ScaleLayer.setup: uses param_str unchecked", "scale.py",
     CHECK, SETUP[:-1] + "  # <-\n", {}),
    ("CPL202", "ScaleLayer.setup", "scale.py", CHECK,
     "        if len(bottom) != 1:\n            raise ValueError('one')\n"
     "        self.params = json.loads(self.param_str)  # <-\n", {}),
    ("CPL202", "ScaleLayer.read", "scale.py", CHECK,
     "        self.params = self.read()\n\n    def read(self):\n"
     "        return json.loads(self.param_str)  # <-\n", {}),
    ("CPL104", "param_str_ is no attribute", "scale.py", SETUP,
     "        self.params = json.loads(self.param_str_)  # <-\n", {}),
    ("CPL203", "ScaleLayer.setup: eval runs", "scale.py", SETUP,
     "        self.params = eval(self.param_str)  # <-\n", {}),
    ("CPL203", "builtins.eval runs", "scale.py", SETUP,
     "        import builtins as b\n        self.params = b.eval(self.param_str)  # <-\n", {}),
    ("CPL203", "exec runs", "scale.py", FORWARD, "        exec('x = 1')  # <-\n" + FORWARD, {}),
    ("CPL203", "read: eval runs", "scale.py", CHECK, "        self.params = read(self)\n" +
     CHECK + "\n\ndef read(layer):\n    return eval(layer.param_str)  # <-\n\n\nclass Rest:\n", {}),
    ("CPL203", "use safe_load", "scale.py", SETUP,
     "        import yaml as y\n        self.params = y.load(self.param_str)  # <-\n", {}),
    ("CPL203", "use safe_load", "scale.py", SETUP,
     "        import yaml\n"
     "        self.params = yaml.load(self.param_str, Loader=yaml.Loader)  # <-\n", {}),
    ("CPL203", "yaml.unsafe_load", "scale.py", SETUP,
     "        import yaml\n        self.params = yaml.unsafe_load(self.param_str)  # <-\n", {}),
    ("CPL203", "cPickle.loads runs", "scale.py", SETUP,
     "        import cPickle as p\n        self.params = p.loads(self.param_str)  # <-\n", {}),
    ("CPL203", "eval runs", "scale.py", SETUP,
     "        e = eval\n        self.params = e(self.param_str)  # <-\n", {}),
    ("CPL203", "eval runs", "scale.py", SETUP,
     "        self.params = list(map(eval, self.param_str.split()))  # <-\n", {}),
    ("CPL203", "execfile runs", "scale.py", FORWARD, "        execfile('a')  # <-\n" + FORWARD, {}),
    ("CPL203", "setup: eval runs", "scale.py", WHOLE_SETUP,
     "    setup = lambda self, bottom, top: setattr(self, 'params', eval(self.param_str))  # <-\n",
     {}),
    ("CPL105", "ScaleLayer.backward: ignores top[0].diff", "scale.py", WRITE,
     '                bottom[i].diff[...] = self.params["scale"]  # <-\n', {}),
    ("CPL105", "ignores", "scale.py", WRITE,
     "                bottom[i].diff[...] = top[0].data / len(top)  # <-\n", {}),
    ("CPL105", "ignores", "scale.py", WRITE,
     "                diff = bottom[i].diff  # <-\n                diff[...] = self.buffer\n", {}),
    ("CPL105", "ignores", "scale.py", WRITE,
     "                np.multiply(2, self.buffer, out=bottom[i].diff)  # <-\n", {}),
    ("CPL105", "ignores", "scale.py", WRITE,
     "                bottom[i].diff[...] = np.ones(top[0].diff.shape)  # <-\n", {}),
    ("CPL105", "ignores", "scale.py", WRITE,
     "                n = top[0].diff.shape[0] + len(top[0].diff)\n"
     "                bottom[i].diff[...] = n * np.ones_like(top[0].diff)  # <-\n", {}),
    ("CPL105", "ignores", "scale.py", WRITE,
     "                bottom[i].diff[...] *= 2  # <-\n", {}),
    ("CPL105", "ScaleLayer.go: ignores top[0].diff", "scale.py", WRITE,
     CALL + "bots[0].diff[...] = self.buffer * len(tops)  # <-\n", {}),
    ("CPL105", "ignores", "scale.py", BACKWARD,
     BACKWARD.replace("):\n", ", check=False):\n", 1).replace(
         WRITE, "                bottom[i].diff[...] = 1  # <-\n"), {}),
    ("CPL106", "forward: blobs can be indexed but not iterated", "scale.py", FORWARD,
     FORWARD + "        for b in bottom:  # <-\n            b.data\n", {}),
    ("CPL106", "range(len(top))", "scale.py", FORWARD,
     FORWARD + "        shapes = [t.data.shape for t in top]  # <-\n", {}),
    ("CPL106", "setup: blobs", "scale.py", SETUP,
     SETUP + "        for i, b in enumerate(bottom):  # <-\n            b.data\n", {}),
    ("CPL106", "reshape: blobs", "scale.py", SHAPE, SHAPE + "        a, b = bottom  # <-\n", {}),
    ("CPL106", "reshape: blobs", "scale.py", SHAPE, SHAPE + "        max(*bottom)  # <-\n", {}),
    *(("CPL106", "blobs can be indexed but not iterated", "scale.py", FORWARD,
       FORWARD + f"        import itertools\n        {x}  # <-\n", {}) for x in ITERATED[:-1]),
    ("CPL106", "show: blobs can be indexed but not iterated", "scale.py", FORWARD,
     FORWARD + f"        {ITERATED[-1]}\n\n    def show(self):\n"
     "        for x in self.bots:  # <-\n            x.data\n", {}),
    ("CPL106", "backward: blobs", "scale.py", BACKWARD,
     BACKWARD.replace("):\n", ", *rest):\n        list(bottom)  # <-\n", 1), {}),
    ("CPL107", "backward: writes every bottom's diff unasked", "scale.py", LOOP,
     LOOP.replace("):\n", "):  # <-\n", 1).replace(ASKED, WRITE[4:]), {}),
    ("CPL107", "unasked", "scale.py", LOOP,
     "        i = len(bottom)\n        while i:  # <-\n            i -= 1\n"
     "            np.multiply(2, top[0].diff, out=bottom[i].diff[...])\n", {}),
    ("CPL107", "unasked", "scale.py", LOOP,
     "        for i in range(len(bottom)):  # <-\n"
     "            np.copyto(bottom[i].diff, top[0].diff)\n", {}),
    ("CPL107", "unasked", "scale.py", LOOP,
     "        for j in range(2):  # <-\n"
     "            top[0].diff.sum()\n            bottom[j].diff.fill(1)\n", {}),
    ("CPL106", "total: blobs", "scale.py", FORWARD,
     FORWARD + "        self.total(top, blobs=bottom)\n\n    def total(self, tops, blobs):\n"
     "        return sum(b.count for b in blobs)  # <-\n", {}),
    ("CPL106", "deeper: blobs", "scale.py", FORWARD,
     FORWARD + "        total(top, bottom)\n\n\ndef total(tops, blobs):\n    deeper(blobs)\n"
     "\n\ndef deeper(xs):\n    for x in xs:  # <-\n        x.data\n\n\nclass Rest:\n", {}),
    ("CPL107", "forward writes every bottom's diff", "scale.py", FORWARD,
     FORWARD + "        for i in range(len(bottom)):  # <-\n"
     "            bottom[i].diff[...] = 0\n", {}),
    ("CPL112", "setup: self.buffer keeps the shape of the first batch", "scale.py", SETUP,
     SETUP + BUFFER[:-1] + "  # <-\n", {"": BUFFER}),
    ("CPL112", "self.rest keeps", "scale.py", SETUP,
     SETUP + "        n, c, h, w = bottom[0].data.shape\n        size = n * h\n"
     "        self.rest = np.zeros((size, c))  # <-\n", {}),
    ("CPL112", "self.rest keeps", "scale.py", SETUP,
     SETUP + "        self.n = bottom[0].num\n        self.rest = np.arange(self.n)  # <-\n", {}),
    ("CPL112", "self.rest keeps", "scale.py", SETUP,
     SETUP + "        self.rest = bottom[1].data.copy()  # <-\n", {}),
    *(("CPL113", "ScaleLayer.setup: the top keeps the shape", "scale.py", SETUP_RESHAPE,
       reshaped(x), {}) for x in SHAPES_NUMPY),
    ("CPL102", "ScaleLayer: has Caffe's four methods", "scale.py", CLASS,
     "class ScaleLayer(object):  # <-\n", {}),
    ("CPL102", "write class ScaleLayer(caffe.Layer):", "scale.py", CLASS,
     "class ScaleLayer:  # <-\n", {}),
    *(("CPL108", "writes a bottom", "scale.py", FORWARD, FORWARD + indented(IN_FORWARD, x), {})
      for x in WRITES_BOTTOM),
    *(("CPL109", "adds to a bottom's diff", "scale.py", WRITE, indented(IN_WRITE, x), {})
      for x in ADDS_TO_DIFF),
    *(("CPL110", "replaces a weight's diff", "scale.py", WRITE, WRITE + indented(IN_WRITE, x), {})
      for x in REPLACES),
    *(("CPL111", "cannot be set", "scale.py", FORWARD, FORWARD + indented(IN_FORWARD, x), {})
      for x in SETS_ATTRIBUTE),
    ("CPL113", "the top keeps the shape", "scale.py", SETUP,
     SETUP + SHAPE[:-1] + "  # <-\n", {"": SHAPE}),
    ("CPL112", "ScaleLayer.alloc: self.buffer keeps", "scale.py", SETUP,
     SETUP + "        self.alloc(bottom)\n\n    def alloc(self, blobs):\n"
     "        self.buffer = np.zeros(blobs[0].data.shape)  # <-\n\n    def rest(self):\n"
     "        pass\n", {"": BUFFER}),
    ("CPL112", "alloc: self.buffer keeps", "scale.py", SETUP,
     SETUP + "        self.alloc(bottom[0].data.shape)\n\n    def alloc(self, shape):\n"
     "        self.buffer = np.zeros(shape)  # <-\n\n    def rest(self):\n"
     "        pass\n", {"": BUFFER}),
    ("CPL112", "self.noise keeps", "scale.py", SETUP,
     SETUP + "        self.noise = np.random.rand(*bottom[0].data.shape)  # <-\n", {}),
    *(("CPL112", "self.rest keeps", "scale.py", SETUP,
       SETUP + f"        self.rest = {x}  # <-\n", {}) for x in ARRAYS),
    ("CPL112", "self.buffer keeps", "scale.py", WHOLE_SETUP, WHOLE_SETUP.replace(
        "top):\n", "top, check=False):\n" + BUFFER[:-1] + "  # <-\n"), {"": BUFFER}),
    *(("CPL112", "self.n keeps", "scale.py", SETUP_RESHAPE, kept(size, USE), {})
      for size in BATCH_SIZES),
    ("CPL112", "self.n keeps", "scale.py", SETUP_RESHAPE,
     kept("bottom[0].num  # <-", "        top[0].data[: self.n] = 1\n"), {}),
    ("CPL204", "ScaleLayer.forward: prints in every pass", "scale.py", FORWARD,
     FORWARD + "        print(top[0].data)  # <-\n", {}),
    ("CPL204", "ScaleLayer.forward", "scale.py", FORWARD,
     FORWARD + "        import sys\n        sys.stderr.write('x')  # <-\n", {}),
    ("CPL204", "ScaleLayer.forward", "scale.py", FORWARD,
     FORWARD + "        from sys import stdout as s\n        s.write('x')  # <-\n", {}),
    ("CPL204", "ScaleLayer.backward", "scale.py", WRITE,
     WRITE + "                print(bottom[i].diff)  # <-\n", {}),
    ("CPL204", "ScaleLayer.show", "scale.py", FORWARD,
     FORWARD + "        self.show()\n\n    def show(self):\n        print(self)  # <-\n", {}),
    ("CPL204", "ScaleLayer.reshape", "scale.py", SHAPE,
     SHAPE + "        from pprint import pprint as p\n        p(top)  # <-\n", {}),
]  # fmt: skip

# The check that has to stay silent, where, and what is put there instead.
SILENT = [
    ("tests", "tests/test_scale.py", TEST, "from scale import ScaleLayer as L\n"),
    ("tests", "tests/test_scale.py", TEST, "NET = 'module: \"scale\" layer: \"ScaleLayer\"'\n"),
    ("tests", "tests/test_scale.py", TEST, "class TestScale:\n    def test_it(self):\n        1\n"),
    ("fragment", "scale.prototxt", '"scale"\n    layer', "'caffe.' 'layers.other'\n    layer_"),
    ("params", "scale.py", CHECK, SETUP + "        assert 'scale' in self.params\n"),
    ("params", "scale.py", CHECK,
     SETUP + "        for key in self.params:\n            if key not in KEYS:\n"
     "                raise KeyError(key)\n"),
    ("params", "scale.py", CHECK,
     SETUP + "        scale = self.params.get('scale')\n        if scale is None:\n"
     "            raise ValueError('scale')\n"),
    ("params", "scale.py", CHECK,
     SETUP + "        try:\n            float(self.params['scale'])\n"
     "        except (KeyError, ValueError):\n            raise ValueError('scale')\n"),
    ("params", "scale.py", CHECK,
     SETUP + "        check(self.params)\n\n\ndef check(given):\n    assert set(given) == {'scale'}"
     "\n\n\nclass Rest:\n"),
    ("eval", "scale.py", FORWARD, FORWARD + "        self.model.eval()\n        eval = 1\n"),
    ("eval", "scale.py", FORWARD, FORWARD + "        import yaml\n        yaml.safe_load('1')\n"),
    ("eval", "scale.py", FORWARD,
     FORWARD + "        import yaml\n        yaml.load('1', yaml.SafeLoader)\n"),
    ("eval", "scale.py", FORWARD,
     FORWARD + "        import ast, pickle\n        e = ast.literal_eval\n        e('1')\n"
     "        pickle.load(open('a'))\n        pickle.loads(self.record)\n"),
    ("top diff", "scale.py", WRITE, "                bottom[i].diff[...] = 0\n"),
    ("top diff", "scale.py", WRITE, "                n = bottom[i].diff.shape[0]\n"),
    ("top diff", "scale.py", WRITE,
     "                dy = np.zeros_like(bottom[i].diff) + top[0].diff.reshape(-1)\n"
     "                bottom[i].diff[...] = dy\n"),
    ("top diff", "scale.py", WRITE, "                bottom[i].diff.fill(0.0)\n"),
    ("eval", "scale.py", FORWARD, FORWARD + "        list(map(len, self.evals))\n        map()\n"),
    ("top diff", "scale.py", WRITE, "                bottom[i].diff[...] *= 0\n"),
    ("top diff", "scale.py", WRITE, "                bottom[i].diff[...] = 0 * self.buffer\n"),
    ("top diff", "scale.py", WRITE, "                np.diff(self.buffer)\n"),
    ("top diff", "scale.py", WRITE, CALL + "bots[0].diff[...] = tops[0].diff\n"),
    ("top diff", "scale.py", WRITE, CALL.replace("(top,", "(top[0].diff,", 1) +
     "bots[0].diff[...] = tops\n"),
    ("top diff", "scale.py", WRITE, CALL + "bots[0].diff[...] = self.slope(tops)\n"),
    ("top diff", "scale.py", WRITE,
     CALL.replace("bottom)", "1)", 1) + "bots.diff = self.buffer\n"),
    ("top diff", "scale.py", WRITE, "                self.gradient(bottom[i].diff, top)\n"),
    ("top diff", "scale.py", WRITE,
     "                dy = [top[j].diff for j in range(len(top))]\n"
     "                bottom[i].diff[...] = dy[0]\n"),
    ("top diff", "scale.py", WRITE, "                raise NotImplementedError\n"),
    ("blobs", "scale.py", FORWARD,
     FORWARD + "        for i in reversed(range(len(bottom))):\n            bottom[i].data\n"),
    ("blobs", "scale.py", FORWARD, FORWARD + "        list(reversed(bottom))\n"),
    ("blobs", "scale.py", FORWARD, FORWARD + "        list(bottom[0].data), max(len(top), 1)\n"),
    ("blobs", "scale.py", FORWARD, FORWARD + "        bots = bottom\n        if len(bots) > 2:\n"
     "            bots = [bots[0], bots[2]]\n        list(bots)\n"),
    ("blobs", "scale.py", FORWARD,
     FORWARD + "        self.bots = bottom\n        self.show([])\n\n"
     "    def show(self, x):\n        self.bots = x or self.bots\n        list(self.bots)\n"),
    ("blobs", "scale.py", FORWARD,
     "        bottom = [bottom[0], bottom[1]]\n        for b in bottom:\n            b.data\n"),
    ("blobs", "scale.py", FORWARD,
     FORWARD + "        show(bottom[0], [bottom[0]])\n        blobs = [top[0]]\n"
     "        show(0, blobs)\n\n\n"
     "def show(top, bottom):\n    for b in bottom:\n        b.data\n\n\nclass Rest:\n"),
    ("blobs", "scale.py", FORWARD,
     "        bottom = [bottom[0], bottom[1]]\n        self.show(bottom)\n\n"
     "    def show(self, blobs):\n        for b in blobs:\n            b.data\n"),
    ("blobs", "scale.py", FORWARD,
     FORWARD + "        Table(bottom).show(['a'])\n\n\nclass Table:\n"
     "    def __init__(self, blobs):\n        self.blob = blobs[0]\n\n"
     "    def show(self, names):\n        for name in names:\n            name\n\n\nclass Rest:\n"),
    ("blobs", "scale.py", LOOP,
     LOOP.replace("bottom[i].diff[...] =", "bottom[i].diff.fill(1)\n                x =")),
    ("blobs", "scale.py", FORWARD, FORWARD + "        for w in self.blobs:\n            w\n"),
    ("blobs", "scale.py", ASKED, "            bottom[0].diff[i] = top[0].diff[i]\n"),
    ("blobs", "scale.py", LOOP,
     "        for j in [0]:\n            for i in range(2):\n"
     "                bottom[j].diff[i] = top[0].diff[i]\n"),
    ("blobs", "scale.py", ASKED,
     "            if not propagate_down[i]:\n                continue\n" + WRITE[4:]),
    ("setup", "scale.py", SETUP, SETUP + BUFFER + SHAPE),
    ("setup", "scale.py", SETUP, SETUP + "        self.mean = np.zeros(bottom[0].channels)\n"),
    ("setup", "scale.py", SETUP,
     SETUP + "        n, c, h, w = bottom[0].shape\n        self.mean = np.zeros(c)\n"),
    ("setup", "scale.py", SETUP,
     SETUP + "        self.blobs.add_blob(*bottom[0].data.shape)\n"
     "        self.blobs[0].data[...] = np.ones(bottom[0].data.shape)\n"),
    *(("setup", "scale.py", SETUP_RESHAPE, kept(size, USE)) for size in SAMPLE_SIZES),
    ("setup", "scale.py", SETUP_RESHAPE, kept("bottom[0].num", SHAPE)),
    ("setup", "scale.py", SETUP_RESHAPE,
     kept("bottom[0].shape", "        top[0].reshape(self.n[1], *self.n[2:])\n")),
    ("setup", "scale.py", SETUP_RESHAPE,
     kept("bottom[0].num", "        self.n = bottom[0].num\n" + USE)),
    ("setup", "scale.py", SETUP_RESHAPE,
     kept("bottom[0].num", "        if bottom[0].num != self.n:\n"
          "            raise ValueError\n" + USE)),
    ("setup", "scale.py", SETUP_RESHAPE,
     kept("len(bottom)\n        self.alloc(bottom)", SHAPE + "        self.alloc(bottom)\n\n"
          "    def alloc(self, blobs):\n        self.rest = np.zeros(blobs[0].data.shape)\n")),
    ("setup", "scale.py", SETUP_RESHAPE,
     kept("table()", SHAPE + "\n\ndef table():\n    size = 10\n    return np.zeros(size)\n\n\n"
          "class Rest:\n")),
    ("base", "scale.py", CLASS, "class ScaleLayer(object, caffe.Layer):\n"),
    *(("blobs", "scale.py", FORWARD, FORWARD + indented(IN_FORWARD, x)) for x in LEAVES_BOTTOM),
    *(("blobs", "scale.py", WRITE, indented(IN_WRITE, x)) for x in SETS_DIFF),
    *(("weights", "scale.py", WRITE, WRITE + indented(IN_WRITE, x)) for x in ADDS),
    *(("setup", "scale.py", SETUP_RESHAPE, reshaped(x, "")) for x in SHAPES_TOP),
    ("prints", "scale.py", FORWARD, FORWARD + "        if DEBUG:\n            print(top)\n"),
    ("prints", "scale.py", SETUP, SETUP + "        print(self.params)\n"),
]  # fmt: skip

# Where the text does not tell.
OPEN = [
    ("params", "scale.py", CHECK, "        from team import check\n" + SETUP +
     "        check(self.params)\n"),
    ("params", "scale.py", CHECK, SETUP + "        team.check(self)\n"),
    ("params", "scale.py", CHECK, SETUP + "        self.inherited(self.params)\n"),
    ("params", "scale.py", CHECK, SETUP + "        SCHEMA.validate(self.params)\n"),
    ("top diff", "scale.py", "self, top, propagate_down, bottom", "self, *blobs"),
    ("top diff", "scale.py", "propagate_down, bottom):", "propagate_down, bottom, check):"),
    ("tests", "tests/test_scale.py", TEST, "def test_scale(:"),
]  # fmt: skip


def edited(folder, name, old, new):
    """Write RIGHT with an edit."""
    assert RIGHT[name].count(old) == 1, old
    return write(folder, {**RIGHT, name: RIGHT[name].replace(old, new)})


def found(folder, name):
    """Return the findings of the layer of this name."""
    (layer,) = [x for x in Folder(str(folder)).layers if x.name == name]
    return Audit.judge(None, layer)[1]


def mark(folder, name, column):
    return marks(folder)[name][COLUMNS.index(column)]


def marked(folder):
    """Return (path, line, words) for each line that is marked as one of a finding."""
    found = []
    for path in sorted(folder.rglob("*.*")):
        for number, line in enumerate(
            path.read_bytes().decode("latin-1").split("\n"), 1
        ):
            if "# <-" in line:
                found.append((str(path), number, line.split("# <-")[1].strip()))
    return found


# The checks, one by one


def test_the_right_layer_has_nothing_but_ticks(tmp_path):
    assert marks(write(tmp_path, RIGHT)) == {"ScaleLayer": "✓" * 7 + "-✓✓"}


@pytest.mark.parametrize(
    "code, words, name, old, new, more", BROKEN, ids=[row[0] for row in BROKEN]
)
def test_broken(code, words, name, old, new, more, tmp_path):
    edited(tmp_path, name, old, new)
    for other, text in more.items():
        if other:
            write(tmp_path, {other: text})
        else:  # and what is put there is taken from its old place, the last one
            head, there, tail = (tmp_path / name).read_text().rpartition(text)
            write(tmp_path, {name: head + tail.lstrip("\n") if there else ""})
    findings = found(tmp_path, "ScaleLayer")
    (finding,) = [x for x in findings if x.code == code]
    ((path, line, _),) = marked(tmp_path)
    assert (finding.path, finding.line) == (path, line)
    assert words in f"{finding.who}: {finding.text}"
    assert {x.code for x in findings} <= {code, TOO.get(code)}
    cross = "!" if code.startswith("CPL2") else "✗"
    assert mark(tmp_path, "ScaleLayer", ROWS[code].name) == cross


# What is found as well, of the same line.
TOO = {"CPL203": "CPL202"}


@pytest.mark.parametrize("column, name, old, new", SILENT)
def test_silent(column, name, old, new, tmp_path):
    edited(tmp_path, name, old, new)
    assert mark(tmp_path, "ScaleLayer", column) in "✓-"


@pytest.mark.parametrize("column, name, old, new", OPEN)
def test_open(column, name, old, new, tmp_path):
    edited(tmp_path, name, old, new)
    assert mark(tmp_path, "ScaleLayer", column) == "?"


def test_what_does_not_apply(tmp_path):
    write(tmp_path, {"a.py": "import caffe\nclass A(caffe.Layer):\n    pass\n"})
    assert marks(tmp_path) == {"A": "!-✓-✓-✓---"}


def test_every_finding_is_broken_and_silent_here():
    assert {row[0] for row in BROKEN} == set(JUDGED)
    assert {row[0] for row in SILENT} == set(COLUMNS)


# What is a layer, and which one


@pytest.mark.parametrize(
    "text",
    [
        "import caffe\nclass A(caffe.Layer): pass",
        "import caffe as c\nclass A(c.Layer): pass",
        "from caffe import Layer\nclass A(Layer): pass",
        "from caffe import Layer as L\nclass A(object, L): pass",
        "from caffe import *\nclass A(Layer): pass",
        "import caffe\nBase = caffe.Layer\nclass A(Base): pass",
        "import caffe._caffe\nclass A(caffe._caffe.Layer): pass",
        "from fast_rcnn import caffe\nclass A(caffe.Layer): pass",
        "try:\n    import caffe\nexcept ImportError:\n    caffe = None\nclass A(caffe.Layer): pass",
        "import caffe\nif caffe:\n    class A(caffe.Layer): pass",
        b"\xef\xbb\xbfimport caffe\r\nclass A(caffe.Layer): pass\r\n",
        b"# coding: latin-1\nimport caffe\nclass A(caffe.Layer): '\xe9'\n",
        "import caffe\rclass A(caffe.Layer): print 'x'\r",
    ],
)
def test_layers(text, tmp_path):
    assert list(marks(write(tmp_path, {"a.py": text}))) == ["A"]


@pytest.mark.parametrize(
    "text",
    [
        "import caffe\nclass A(caffe.Net): pass",
        "import keras as caffe\nclass A(caffe.Layer): pass",
        "from keras import Layer\nimport caffe\nclass A(Layer): pass",
        "# caffe.Layer\nclass A(object): pass",
        "import caffe\nclass A(A): Layer = 1",
        "def make():\n    import caffe\n    class A(caffe.Layer): pass\n    return A",
    ],
)
def test_no_layers(text, tmp_path):
    assert marks(write(tmp_path, {"a.py": text})) == {}


def test_layers_that_derive_from_one_of_the_file_have_its_methods(tmp_path):
    text = RIGHT["scale.py"].replace(
        SETUP, "        self.params = eval(self.param_str)\n"
    )
    text += "\n\nclass Other(ScaleLayer):\n    def forward(self, bottom, top):\n        print(1)\n"
    done = audit(write(tmp_path, {"scale.py": text}))
    evals = [x for x in done.findings if x.code == "CPL203"]
    assert [x.who for x in evals] == ["ScaleLayer.setup"]  # once, though both have it
    assert "Other.forward" in [x.who for x in done.findings]


@pytest.mark.parametrize("call", ["super()", "super(Other, self)"])
def test_what_a_base_class_does_is_seen(call, tmp_path):
    text = RIGHT["scale.py"].replace(SETUP, SETUP + BUFFER)
    text += f"\n\nclass Other(ScaleLayer):\n    def reshape(self, bottom, top):\n        {call}"
    write(tmp_path, {**RIGHT, "scale.py": text + ".reshape(bottom, top)\n"})
    assert mark(tmp_path, "Other", "setup") == "✓"


@pytest.mark.parametrize(
    "text",
    [
        "from base import Base\nclass D(Base):\n",
        "from .base import Base as B\nclass D(object, B):\n",
        "import lib.base as b\nclass D(b.Base):\n",
        "from . import base\nclass D(base.Base):\n",
        "from lib import Base\nclass D(Base):\n",
        "from mid import Mid\nclass D(Mid):\n",
        "from base import Base\nclass C(Base): pass\nclass D(C):\n",
    ],
)
def test_layers_that_derive_from_one_of_another_file(text, tmp_path):
    text += "    def forward(self, bottom, top):\n        list(bottom)\n"
    base = "import caffe\nclass Base(caffe.Layer): pass\n"
    write(
        tmp_path, {"lib/base.py": base, "lib/__init__.py": "from .base import Base\n"}
    )
    write(tmp_path, {"lib/mid.py": "from base import Base\nclass Mid(Base): pass\n"})
    assert marks(write(tmp_path, {"lib/d.py": text}))["D"] == "!-✓-✓-✗--✓"
    setup = "    def setup(self, bottom, top): self.param_str\n"
    write(tmp_path, {"lib/d.py": text + setup})
    assert marks(tmp_path)["D"] == "!-✓!✓-✗-✓✓"
    write(
        tmp_path, {"lib/d.py": text, "lib/base.py": base.replace("pass", "\n" + setup)}
    )
    assert marks(tmp_path)["D"] == "!-✓!✓-✗-✓✓"


EVALS = "    def setup(self, bottom, top):\n        eval(self.param_str)\n"
GRANDCHILDREN = [
    {"a.py": "import caffe\nclass A(caffe.Layer):\n" + EVALS,
     "b.py": "from a import A\nclass B(A): pass\n", "c.py": "import b\nclass C(b.B): pass\n"},
    {"a.py": "import caffe\nclass C_(caffe.Layer): pass\nclass B(C_):\n" + EVALS
     + "class A(B): pass\nclass C(A): pass\n"},
    {"a.py": "import caffe\nclass A(object):\n" + EVALS
     + "class B(A): pass\nclass C(B, caffe.Layer): pass\n"},
    {"a.py": "import caffe\nclass A(caffe.Layer):\n    def setup(self, bottom, top):\n"
     "        self.read()\n    def read(self):\n        read(self)\n"
     "def read(layer):\n    eval(layer.param_str)\n",
     "b.py": "from a import A\nclass B(A): pass\n",
     "c.py": "from b import B\ndef read(layer): pass\nclass C(B): pass\n"},
]  # fmt: skip


@pytest.mark.parametrize("files", GRANDCHILDREN)
def test_a_grandchild_has_the_setup_that_it_inherits(files, tmp_path):
    findings = found(write(tmp_path, files), "C")
    (finding,) = [x for x in findings if x.code == "CPL203"]
    assert finding.path == str(tmp_path / "a.py")
    line = files["a.py"].splitlines()[finding.line - 1]
    assert "eval" in line and finding.who.split(".")[-1] in ("setup", "read")


def test_which_of_two_bases_the_text_does_not_tell(tmp_path):
    base = "import caffe\nclass A(caffe.Layer): pass\n"
    files = {
        "x/a.py": base,
        "y/a.py": base,
        "c.py": "from a import A\nclass C(A): pass\n",
    }
    assert marks(write(tmp_path, files))["C"] == "!-????????"


def test_a_helper_with_the_four_methods_is_no_layer(tmp_path):
    text = FOUR.replace("ScaleLayer", "Helper").replace("(Base)", "(object)")
    text = "import caffe\n" + text + "class A(Helper, caffe.Layer): pass\n"
    assert list(marks(write(tmp_path, {"a.py": text}))) == ["A"]
    text = text.replace("Helper", "_Helper").replace("(_Helper, ", "(")
    assert list(marks(write(tmp_path, {"a.py": text}))) == ["A"]


FOUR = RIGHT["scale.py"].replace("caffe.Layer", "Base").replace("import caffe\n", "")
ELSEWHERE = [
    ("from outside import Base\n" + FOUR, {"ScaleLayer": "!-?✓✓✓✓?✓✓"}),
    ("from outside import Base\n" + FOUR.replace(CHECK, SETUP), {"ScaleLayer": "!-??✓✓✓?✓✓"}),
    ("from outside import Base\n" + FOUR.replace(BUFFER, "").replace(CHECK, CHECK + BUFFER),
     {"ScaleLayer": "!-?✓✓✓✓??✓"}),
    ("from outside import Base\n" + FOUR.replace("def setup", "def start"), {}),
    ("from outside import Base\n" + FOUR.replace("self, bottom, top", "self, x"), {}),
    ("class Base(object):\n    pass\n" + FOUR, {"ScaleLayer": "!-✗✓✓✓✓-✓✓"}),
    ("import torch\n" + FOUR.replace("(Base)", ""), {"ScaleLayer": "!-✗✓✓✓✓-✓✓"}),
    ("from outside import Base\n" + FOUR + "(", {}),
    ("from b import B\nfrom a import A\nclass B(A): pass\nclass A(B): pass\n", {}),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", ELSEWHERE)
def test_layers_that_derive_from_what_is_not_here(text, expected, tmp_path):
    assert (
        marks(
            write(tmp_path, {"a.py": text, "b.py": "from a import A\nclass B(A): pass"})
        )
        == expected
    )
    assert Folder(str(tmp_path)).unparsable == []


def test_a_class_of_the_same_name_elsewhere(tmp_path):
    def tests_of(**files):
        write(tmp_path, {f"{name}.py": text for name, text in files.items()})
        return [row["tests"] for row in audit(tmp_path).marks]

    text = "import caffe\nclass A(caffe.Layer): pass\n"
    assert tests_of(a=text, b=text) == ["!", "!"]
    assert tests_of(test_c="from both import A") == ["✓", "✓"]
    assert tests_of(test_c="from b import A") == ["!", "✓"]
    assert tests_of(test_a="from both import A") == ["✓", "✓"]
    assert tests_of(test_a="", test_c=text + "A()") == ["!", "!", "✓"]


@pytest.mark.parametrize("module", ["layer", "roi.layer", "lib.roi.layer"])
def test_modules_of_packages(module, tmp_path):
    net = f'layer {{ python_param {{ module: "{module}" layer: "A" }} }}'
    text = "import caffe\nclass A(caffe.Layer): pass"
    write(tmp_path, {"lib/roi/layer.py": text, "models/net.prototxt": net})
    assert marks(tmp_path)["A"][1] == "✓"
    write(tmp_path, {"models/net.prototxt": net.replace('"A"', '"B"')})
    assert marks(tmp_path)["A"][1] == "✗"


def test_a_class_that_a_package_hands_on_is_no_finding(tmp_path):
    text = "import caffe\nclass A(caffe.Layer): pass"
    net = 'layer { python_param { module: "team" layer: "A" } }'
    write(
        tmp_path,
        {"team/a.py": text, "team/__init__.py": "from .a import A", "n.prototxt": net},
    )
    assert marks(tmp_path)["A"][1] == "-"


# Layers in the manner of public projects

PROJECTS = {
    "RoIDataLayer": "!✓✓✗!-✓-✓✓",
    "ProposalTargetLayer": "!✗✓!!-✓-✓✓",
    "VOCSegDataLayer": "!✗✓!!-✓-✓✓",
    "SBDDSegDataLayer": "!✓✓!!-✓-✓!",
    "PascalMultilabelDataLayerSync": "!-✓✓!-✓-✓✓",
    "Accuracy": "✓-✓-✓-✓-✓✓",
    "RunningNorm": "✓-✓-✓✓✓✓✓✓",
    "StopGradient": "✓-✓-✓-✓-✗✓",
    "LossBase": "✓-✓-✓-✓--✓",
    "HingeLoss": "✓-✓?✓✓✓-✓✓",
    "CosineLoss": "!-✓✓✓✓✗-✓✓",
    "EuclideanLossLayer": "✓-✓-✓✗✓-✓✓",
    "TripletLayer": "!-✓!✓✓✗-✗!",
    "TripletSelectLayer": "!-✓✓✓-✗-✓✓",
}


@pytest.fixture
def projects(tmp_path):
    for path in DATA.rglob("*.txt"):
        target = tmp_path / path.relative_to(DATA).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_marks_of_projects(projects):
    assert marks(projects) == PROJECTS
    assert Folder(str(projects)).unparsable == []


def test_findings_of_projects(projects):
    said = [(x.path, x.line, x.code) for x in audit(projects).findings]
    expected = [
        (path, line, code)
        for path, line, codes in marked(projects)
        for code in codes.split()
    ]
    assert sorted(said) == sorted(expected)


def test_the_projects_run_on_python_2(projects, with_caffe):
    command = "import sys; [compile(open(p).read(), p, 'exec') for p in sys.argv[1:]]"
    paths = [path.relative_to(projects) for path in projects.rglob("*.py")]
    assert len(paths) > 8
    done = with_caffe(projects, "python2.7", "-c", command, *map(str, paths))
    assert done.returncode == 0, done.stderr


def test_no_finding_in_what_we_generate(bake, tmp_path):
    for name, answers in mutants.STUBS.items():
        bake(out=tmp_path, layer_name=name, param_str_keys="x1=1, x2=2", **answers)
    rows = marks(tmp_path)
    assert len(rows) == len(mutants.STUBS)
    assert set("".join(rows.values())) <= set("✓-")


def test_no_finding_in_the_examples():
    assert len(marks(EXAMPLES)) == 8
    assert set("".join(marks(EXAMPLES).values())) <= set("✓-")
