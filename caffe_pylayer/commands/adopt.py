"""Make a folder with tests around a Python layer that you have; its module stays as it is."""

import ast
import contextlib
import importlib.util
import json
import keyword
import logging
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections import Counter

from .. import __version__
from ..checks import params as param_strs
from ..checks import prototxt
from . import CommandError, net_blobs, net_text, shapes
from .audit import WRONG, Audit, printable
from .python_layers import (
    BLOB,
    LIST,
    SIGNATURES,
    Folder,
    Unparsable,
    name_of,
    nodes,
    parse,
    read,
    values,
)

EXAMPLES = """examples:
  caffe-pylayer adopt dice_loss.py --net train_val.prototxt
  caffe-pylayer adopt pyloss.py --class EuclideanLossLayer --name euclidean
  caffe-pylayer adopt dice_loss.py --shape bottom_0=8,2,32,32 --print
  caffe-pylayer adopt ~/caffe/python --yes --out layers

A line that begins with ? is a guess: look at it first.
Exit codes: 0 fine, 1 not made, or something is wrong with the layer, 2 wrong usage.
"""
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PUBLISHED = "gh:org/caffe-pylayer"
MOST_FILES = 100  # that a module imports from beside it
OTHERS = {"caffe", "google", "numpy"}  # packages that are never the layer's own
SECONDS = 60  # that Caffe may take to load the net
LABEL = re.compile(r"label|target|truth|(^|_)(gt|cls|class|index)(_|$)", re.IGNORECASE)
BLOB_NAME = re.compile(r"[A-Za-z0-9_./-]{1,64}")
# What the fragment carries for a key whose value nothing says, by type.
PLACEHOLDERS = {
    "int": 1,
    "float": 1.0,
    "bool": True,
    "str": "value",
    "list": [1.0],
    "dict": {},
}
SURE, GUESS = " ", "?"


# The module, and what it imports


def module_files(path, parts=None):
    """Return the folder to import from, and {path below it: path} of the module and its own.

    `parts` are those of the name by which a net imports it; None where no net does.
    """
    path = os.path.abspath(path)
    root = os.path.dirname(path)
    levels = [
        node.level for node in imports_of(path) if isinstance(node, ast.ImportFrom)
    ]
    if parts:
        up = len(parts) - 1
    else:
        up = max([0, *levels])
        while up and os.path.exists(os.path.join(ancestor(root, up), "__init__.py")):
            up += 1
    root = ancestor(root, up)
    found, todo = {}, [path]
    for file in todo:
        inside = os.path.relpath(file, root)
        if inside in found or inside.startswith(os.pardir):
            continue
        found[inside] = file
        if len(found) > MOST_FILES:
            text = "it imports more than %d files of %s: adopt is for a layer that stands alone"
            raise CommandError(f"{path}: " + text % (MOST_FILES, root))
        todo += imported(file, root)
        folder = os.path.dirname(file)
        while folder.startswith(root + os.sep):
            init = os.path.join(folder, "__init__.py")
            todo += [init] if os.path.isfile(init) else []
            folder = os.path.dirname(folder)
    return root, found


def ancestor(folder, levels):
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder


def imports_of(path):
    try:
        return nodes(parse(read(path)), ast.Import, ast.ImportFrom)
    except Unparsable:
        return []


def imported(path, root):
    """Return the files below root that a file imports."""
    here, found = os.path.dirname(path), []
    for node in imports_of(path):
        names = [alias.name for alias in node.names]
        start = root
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{name}".strip(".") for name in names)]
            start = ancestor(here, node.level - 1) if node.level else root
        for name in filter(None, names):
            parts = name.split(".")
            if parts[0] in OTHERS and not getattr(node, "level", 0):
                continue
            for folder in dict.fromkeys([start, here]):  # the second as in Python 2
                base = os.path.join(folder, *parts)
                files = [base + ".py", os.path.join(base, "__init__.py")]
                files = [file for file in files if os.path.isfile(file)]
                if files:
                    found += files[:1]
                    break
    return found


class Module:
    """A module that is to be adopted: its files, and its layers."""

    def __init__(self, path, parts=None):
        self.path = path
        self.stem = os.path.splitext(os.path.basename(path))[0]
        if os.path.isdir(path) or not path.endswith(".py"):
            raise CommandError(
                f"{path}: expected a Python file, NAME.py, or a folder of them"
            )
        if not os.path.isfile(path):
            raise CommandError(f"{path}: there is no such file")
        if not self.stem.isidentifier():
            raise CommandError(
                f"{path}: Python imports no module of that name: rename it"
            )
        try:
            self.root, files = module_files(path, parts)
            self.files = {inside: contents(file) for inside, file in files.items()}
            inside = os.path.relpath(os.path.abspath(path), self.root)
            self.inside = inside
            self.dotted = ".".join(inside[: -len(".py")].split(os.sep))
            with tempfile.TemporaryDirectory() as folder:
                write_all(folder, self.files)
                staged = os.path.join(folder, inside)
                self.folder = Folder(folder)
            wrong = [x for x in self.folder.unparsable if x.path == staged]
            if wrong:
                raise CommandError(f"{path}:{wrong[0].line}: {wrong[0].text}")
        except Unparsable as problem:
            raise CommandError(
                f"{path}:{problem.args[0]}: {problem.args[1]}"
            ) from problem
        self.layers = [x for x in self.folder.layers if x.source.path == staged]

    def layer(self, wanted, of_net):
        """Return the layer of a class, of the one that the net uses, or the only one."""
        names = [layer.name for layer in self.layers]
        if not names:
            raise CommandError(
                f"{self.path}: there is no layer in it, that is a class of caffe.Layer"
            )
        if wanted and wanted not in names:
            raise CommandError(
                f"{self.path}: there is no layer {wanted} in it: type --class {' or '.join(names)}"
            )
        left = [wanted] if wanted else [x for x in names if x in of_net] or names
        if len(set(left)) > 1:
            raise CommandError(
                f"{self.path}: there are {len(left)} layers in it: "
                f"type --class {' or '.join(left)}"
            )
        return [layer for layer in self.layers if layer.name == left[0]][-1]


def contents(path):
    with open(path, "rb") as stream:
        return stream.read()


def write_all(folder, files):
    """Write {path below the folder: bytes}."""
    for inside, data in files.items():
        path = os.path.join(folder, inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)


# The net


def read_net(path):
    """Return the net_text.Net in a file."""
    if not os.path.isfile(path):
        raise CommandError(f"{path}: there is no such file")
    return net_text.Net(contents(path).decode("latin-1"), path)


def uses(net, stem):
    """Return (index, layer, module's parts, class) of the net's layers of modules of that name."""
    found = []
    for index, layer in enumerate(net.layers if net else ()):
        python = layer.message.get("python_param")
        if layer.type == "Python" and isinstance(python, prototxt.Message):
            parts = str(python.get("module", "")).split(".")
            if parts[-1] == stem and all(part.isidentifier() for part in parts):
                found.append((index, layer, parts, str(python.get("layer", ""))))
    return found


# What the layer is


def count_of(layer, blobs):
    """Return how many bottoms or tops a layer wants, and whether that is a guess."""
    exact, indices, mentioned = [], [], False
    for function, names in layer.handed(*SIGNATURES):
        for node in nodes(function, ast.Compare, ast.Subscript, ast.Name):
            if isinstance(node, ast.Compare) and isinstance(
                node.ops[0], (ast.Eq, ast.NotEq)
            ):
                left, right = node.left, node.comparators[0]
                for call, number in ((left, right), (right, left)):
                    if is_length(layer, function, call, blobs) and is_count(number):
                        exact.append(number.value)
            elif isinstance(node, ast.Subscript):
                part = layer.part(function, node.value)
                if part and part.level == LIST and part.blobs == blobs:
                    indices += [node.slice.value] if is_count(node.slice) else []
            elif isinstance(node, ast.Name) and names.get(node.id) == blobs:
                mentioned = True
    if exact:
        return max(exact), False
    if indices:
        return max(indices) + 1, True
    return int(mentioned or blobs == "top"), mentioned or blobs == "top"


def is_count(node):
    return (
        isinstance(node, ast.Constant)
        and type(node.value) is int
        and 0 <= node.value < 64
    )


def is_length(layer, function, node, blobs):
    if not isinstance(node, ast.Call) or name_of(node.func) != "len" or not node.args:
        return False
    part = layer.part(function, node.args[0])
    return bool(part) and part.level == LIST and part.blobs == blobs


def blob_of(layer, function, value):
    """Return what a value is made of, as bottom[0].data.astype(int) is: blobs, index, astype's."""
    cast = ""
    while isinstance(value, (ast.Attribute, ast.Subscript, ast.Call)):
        if isinstance(value, ast.Subscript) and is_count(value.slice):
            part = layer.part(function, value.value)
            if part and part.level == LIST:
                return part.blobs, value.slice.value, cast
        if isinstance(value, ast.Call):
            if name_of(value.func) == "astype" and value.args:
                argument = value.args[0]
                cast = str(getattr(argument, "value", "")) + name_of(argument)
            value = value.func
        else:
            value = value.value
    return None, None, cast


def held(layer, blobs):
    """Return {index: name of the variable that holds its data}, and the indices cast to int."""
    names, whole = {}, set()
    for function in layer.reach():
        for target, value in values(function):
            of, index, _ = blob_of(layer, function, value)
            data = value is not None and "data" in attributes_of(value)
            name = getattr(target, "attr", getattr(target, "id", ""))
            if of == blobs and data and len(name) > 2 and BLOB_NAME.fullmatch(name):
                names.setdefault(index, name)
        for call in nodes(function, ast.Call):
            of, index, cast = blob_of(layer, function, call)
            if of == blobs and "int" in cast:
                whole.add(index)
    return names, whole


def attributes_of(node):
    return {x.attr for x in nodes(node, ast.Attribute)}


def names_in_source(layer, blobs, count):
    """Return names for so many bottoms or tops: those of the variables that hold their data."""
    found, _ = held(layer, blobs)
    names = [found.get(i, f"{blobs}_{i}") for i in range(count)]
    many = Counter(names)
    return [x if many[x] == 1 else f"{blobs}_{i}" for i, x in enumerate(names)]


def makes_scalar(layer):
    """Whether the tops get the shape of one number."""
    for function in layer.reach("setup", "reshape", "forward"):
        for call in nodes(function, ast.Call):
            if name_of(call.func) == "reshape" and isinstance(call.func, ast.Attribute):
                part = layer.part(function, call.func.value)
                if part and part.blobs == "top" and part.level == BLOB:
                    sizes = [getattr(x, "value", None) for x in call.args]
                    if all(size == 1 for size in sizes):
                        return True
    return False


def has_backward(layer):
    """Whether backward does anything."""
    function = layer.methods.get("backward")
    idle = (ast.Pass, ast.Raise)
    return function is not None and not all(
        isinstance(node, idle)
        or isinstance(node, (ast.Expr, ast.Return))
        and isinstance(node.value, (ast.Constant, type(None)))
        for node in function.body
    )


def calls(layer):
    """Return the last words of all that the layer calls."""
    return {name_of(x.func) for f in layer.reach() for x in nodes(f, ast.Call)}


def kind_of(layer, bottoms, tops, weights):
    """Return the kind, and why."""
    if not bottoms:
        return "data", "it has no bottom"
    if "add_blob" in calls(layer):
        return "learnable", "it adds weights"
    if len(tops) == 1 and any(weights):
        return "loss", "it has a loss_weight"
    if len(tops) == 1 and makes_scalar(layer):
        if has_backward(layer):
            return "loss", "its top is one number, and it has a backward"
        return "metric", "its top is one number, and its backward does nothing"
    return "identity", "it turns bottoms into tops"


# param_str


def understood_keys(layer, given):
    """Return {key: (its text in param_str_keys, its value)}; None for a text if it can have none.

    The value is that of the net, else the default, else a placeholder.
    """
    found = {}
    defaults = layer.keys()
    for key in [*defaults, *(x for x in given if x not in defaults)]:
        shown = defaults.get(key, "")
        default = literal(shown[1:]) if shown.startswith("=") else None
        kind = shown[2:] if shown[2:] in PLACEHOLDERS else None
        value = given.get(key, default)
        if kind is None:
            kind = type(default if default is not None else value).__name__
            kind = kind if kind in PLACEHOLDERS else "float"
        if kind == "int" and isinstance(value, float):
            kind = "float"
        text = f"{key}:{kind}"
        if default is not None:
            text = f"{key}={json.dumps(default)}"
            if kind != type(default).__name__:
                text = f"{key}:{kind}={json.dumps(default)}"
        if not is_key(key) or not is_plain(default) or re.search("<[<%#]", text):
            text = None
        found[key] = text, PLACEHOLDERS[kind] if value is None else value
    return found


def literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def is_key(name):
    attributes = {"blobs", "phase", "param_str", "type", *SIGNATURES}
    taken = keyword.iskeyword(name) or name in attributes | {"exec", "print"}
    return name.isidentifier() and name.isascii() and name[:2] != "__" and not taken


def is_plain(value):
    """Whether JSON gives back a value as it was."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(x, str) and is_plain(y) for x, y in value.items())
    return value is None or isinstance(value, (bool, int, str))


def write_params(layer, params):
    """Return a param_str for the layer: JSON where it reads that or YAML, else Python."""
    wanted = {"loads", "load", "safe_load"}
    return json.dumps(params) if wanted & calls(layer) else repr(params)


# The folder


class Plan:
    """What was understood of a layer, and the folder that is to be made of it.

    `rows` are (SURE or GUESS, what, text), to be printed.
    """

    def __init__(self, path, options, net=None, ask=None):
        self.rows, self.net, self.ask = [], net, ask
        stem = os.path.splitext(os.path.basename(path))[0]
        found = uses(net, stem)
        parts = found[0][2] if found else None
        self.module = Module(path, parts)
        self.layer = self.module.layer(options.layer_class, {use[3] for use in found})
        found = [use for use in found if use[3] == self.layer.name]
        if net and not found:
            raise CommandError(
                f"{net.path}: no layer {{ }} of it has module: {stem!r} and "
                f"layer: {self.layer.name!r}; leave out --net, or name the net that uses it"
            )
        self.index, self.of_net = found[0][:2] if found else (None, None)
        self.name = options.name or self.default_name()
        self.say(SURE, "class", f"{self.layer.name}, line {self.layer.node.lineno}")
        if self.layer.elsewhere:
            self.say(GUESS, "base class", "it is not here: what it does is not known")
        others = sorted(set(self.module.files) - {self.module.inside})
        if others:
            self.say(SURE, "files", "with " + ", ".join(others))
        self.find_blobs()
        if len(found) > 1:
            text = (
                f"{len(found)} layers of the net are of this class; the first is taken"
            )
            self.say(GUESS, "net", text)
        weights = self.of_net.message.all("loss_weight") if self.of_net else []
        self.kind, why = kind_of(self.layer, self.bottoms, self.tops, weights)
        self.say(
            SURE if any(weights) or not self.bottoms else GUESS,
            "kind",
            f"{self.kind}: {why}",
        )
        self.find_params()
        self.find_shapes(options.shape)
        self.find_gradients()

    def say(self, mark, what, text):
        self.rows.append((mark, what, printable(text)))

    def default_name(self):
        """Return a name for the folder: the module's, or the class's where it is one of several."""
        text = self.module.stem
        if len(self.module.layers) > 1:
            text = re.sub(r"Layer$", "", self.layer.name) or self.layer.name
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", text)
        name = "_".join(words).lower()
        name = re.sub(r"^[0-9_]+|_test$", "", name)
        return re.sub(r"^test_", "", name)[:64].strip("_") or "my_layer"

    def find_blobs(self):
        if self.of_net:
            self.bottoms = [bottom.value for bottom in self.of_net.bottoms]
            self.tops = [top.value for top in self.of_net.tops]
            where = f", of the layer {self.of_net.name!r} of the net"
            marks = SURE, SURE
        else:
            (bottoms, guess), (tops, guess_tops) = [
                count_of(self.layer, blobs) for blobs in ("bottom", "top")
            ]
            self.bottoms = names_in_source(self.layer, "bottom", bottoms)
            self.tops = names_in_source(self.layer, "top", tops)
            self.tops = [f"{x}_out" if x in self.bottoms else x for x in self.tops]
            if len(self.tops) == 1 and self.tops != [self.name]:
                self.tops = [self.name if self.name not in self.bottoms else "top_0"]
            where, marks = "", (GUESS if guess else SURE, GUESS if guess_tops else SURE)
        if not self.tops:
            raise CommandError(
                f"{self.module.path}: {self.layer.name} has no top, so the checks have nothing "
                "to look at"
            )
        self.say(marks[0], "bottoms", (", ".join(self.bottoms) or "none") + where)
        self.say(marks[1], "tops", ", ".join(self.tops))

    def find_params(self):
        python = self.of_net.message.get("python_param") if self.of_net else None
        text = python.get("param_str", "") if python else ""
        text = text if isinstance(text, str) else ""
        given = (param_strs.parse(text) or (None,))[0]
        self.keys = understood_keys(self.layer, given or {})
        self.param_str = None
        params = {key: value for key, (_, value) in self.keys.items()}
        if text and given is None:
            self.say(GUESS, "param_str", f"{text!r} is no dict; it stays as it is")
        elif self.keys:
            unknown = [x for x in self.keys if x not in self.layer.keys()]
            defaults = self.layer.keys()
            shown = [f"{x}{defaults.get(x, '')}" for x in self.keys if x not in unknown]
            if shown:
                self.say(SURE, "param_str", ", ".join(shown))
            if unknown:
                self.say(
                    GUESS,
                    "param_str",
                    f"in the net, not in the source: {', '.join(unknown)}",
                )
            if not self.of_net:
                self.param_str = write_params(self.layer, params)
                open_keys = [
                    x for x in self.keys if not defaults.get(x, "").startswith("=")
                ]
                open_keys += [x for x in self.keys if defaults.get(x) == "=..."]
                if open_keys:
                    text = f"values to replace in the fragment: {', '.join(open_keys)}"
                    self.say(GUESS, "param_str", text)
        elif not self.of_net and self.reads_param_str():
            self.say(
                GUESS,
                "param_str",
                "it is read, but not by keys: write it into the fragment",
            )

    def reads_param_str(self):
        return any(
            x.attr in ("param_str", "param_str_")
            for f in self.layer.reach()
            for x in nodes(f, ast.Attribute)
        )

    def find_shapes(self, given):
        """Find a shape for each bottom: as it is given, or of Caffe, the net, or a guess."""
        wrong = [name for name in given if name not in self.bottoms]
        if wrong:
            raise CommandError(
                f"--shape {wrong[0]}: there is no such bottom: {', '.join(self.bottoms)}"
            )
        caffe = self.caffe_shapes() if self.bottoms and self.of_net else None
        of_net = shapes.with_guesses(self.net, self.index) if self.of_net else {}
        _, whole = held(self.layer, "bottom")
        labels = {
            x for i, x in enumerate(self.bottoms) if LABEL.search(x) or i in whole
        }
        labels |= net_blobs.labels(self.net) if self.of_net else set()
        self.labels = [x for i, x in enumerate(self.bottoms) if x in labels and i]
        self.shapes = []
        for i, name in enumerate(self.bottoms):
            mark, why = SURE, "given"
            shape = given.get(name)
            if shape is None and caffe:
                shape, why = caffe[i], "Caffe"
            if shape is None and name in of_net:
                shape, guessed = of_net[name]
                mark, why = (
                    (GUESS, "the net, partly a guess") if guessed else (SURE, "the net")
                )
            if shape is None:
                shape, mark, why = self.guess_shape(i), GUESS, "a guess"
                if self.ask:
                    shape, why = self.ask(name, shape), "typed"
            self.shapes.append(tuple(shape))
            self.say(
                mark,
                "shape",
                f"{name} {'x'.join(map(str, shape)) or 'one number'}: {why}",
            )
        if self.labels:
            self.say(
                GUESS, "values", f"whole numbers from 0 on: {', '.join(self.labels)}"
            )

    def guess_shape(self, i):
        if self.bottoms[i] in self.labels:
            return self.shapes[0][:1]
        for function in self.layer.reach():
            for node in nodes(
                function, ast.Assign
            ):  # n, c, h, w = bottom[0].data.shape
                sizes = getattr(node.targets[0], "elts", [])
                if getattr(node.value, "attr", "") == "shape" and 1 < len(sizes) < 6:
                    if not any(isinstance(x, ast.Starred) for x in sizes):
                        return (4, 3, 5, 6, 2)[: len(sizes)]
        spatial = {"height", "width", "channels"}
        attributes = {
            x.attr for f in self.layer.reach() for x in nodes(f, ast.Attribute)
        }
        indices = {
            getattr(x.slice, "value", 0)
            for f in self.layer.reach()
            for x in nodes(f, ast.Subscript)
        }
        return (4, 3, 5, 6) if spatial & attributes or {2, 3} & indices else (4, 3)

    def caffe_shapes(self):
        """Return the shapes that real Caffe gives the bottoms, None where it cannot."""
        if (
            importlib.util.find_spec("caffe") is None
            or importlib.util.find_spec("numpy") is None
        ):
            return None
        from ..checks import engine, isolation, net_shapes

        class Bottoms:  # what net_shapes asks of a fragment
            python = self.of_net.message.get("python_param")
            bottoms = list(self.bottoms)
            phase = int(
                any("TEST" in map(str, x.all("phase")) for _, x in self.of_net.rules)
            )

        def load():
            caffe, missing = engine.find_caffe()
            if missing:
                return None
            os.chdir(os.path.dirname(os.path.abspath(self.net.path)))
            sys.path.insert(0, self.module.root)
            path = os.path.abspath(self.net.path)
            return net_shapes.bottom_shapes(caffe, path, Bottoms)

        try:
            return isolation.run_in_child(load, SECONDS, self.module.root)
        except Exception:  # whatever stops Caffe: the net itself is read instead
            return None

    def find_gradients(self):
        """Find the bottoms that get a gradient."""
        message = self.of_net.message if self.of_net else prototxt.Message()
        self.flags = [prototxt.boolean(x) for x in message.all("propagate_down")]
        self.add_flags = False
        if len(self.flags) != len(self.bottoms):
            learned = (
                net_blobs.with_gradient(self.net, self.index) if self.of_net else set()
            )
            mark, why = SURE, "nothing learns above the others in the net"
            wanted = [x in learned for x in self.bottoms]
            if self.kind == "metric":
                wanted, mark, why = (
                    [False] * len(self.bottoms),
                    GUESS,
                    "its backward does nothing",
                )
            elif not any(wanted):
                wanted = [x not in self.labels for x in self.bottoms]
                mark, why = GUESS, "by their names"
            self.flags, self.add_flags = wanted, not all(wanted)
            if self.add_flags:
                got = [x for x, flag in zip(self.bottoms, wanted) if flag]
                self.say(mark, "gradient", f"to {', '.join(got) or 'none'}: {why}")

    # What is generated

    def answers(self):
        """Return the answers for cookiecutter."""
        bottoms, tops = (
            self.sanitized(self.bottoms, "bottom"),
            self.sanitized(self.tops, "top"),
        )
        tops = [f"{x[:60]}_out" if x in bottoms else x for x in tops]
        keys = [text for text, _ in self.keys.values() if text]
        if self.kind == "data":  # which has keys of its own, of other ranges
            keys = [x for x in keys if not re.match("(batch_size|samples|seed)[:=]", x)]
        return {
            "layer_name": self.name,
            "layer_class": self.layer.name,
            "layer_kind": self.kind,
            "bottoms": ",".join(bottoms) or "0",
            "tops": ",".join(tops),
            "param_str_keys": ", ".join(keys),
        }

    def sanitized(self, names, blobs):
        many = Counter(names)
        return [
            x
            if BLOB_NAME.fullmatch(x)
            and many[x] == 1
            and not x.replace(".", "").isdigit()
            else f"{blobs}_{i}"
            for i, x in enumerate(names)
        ]

    def fragment(self):
        """Return the fragment: the net's own layer { }, or one that the source tells."""
        if not self.of_net:
            python = [("module", self.module.dotted), ("layer", self.layer.name)]
            python += [("param_str", self.param_str)] if self.param_str else []
            fields = [("name", self.name), ("type", "Python")]
            fields += [("bottom", x) for x in self.bottoms] + [
                ("top", x) for x in self.tops
            ]
            fields += [("loss_weight", 1)] if self.kind == "loss" else []
            fields += self.flag_fields()
            fields.append(("python_param", prototxt.Message(python)))
            return as_fragment(fields)
        whole = self.net.text
        start = whole.rfind("\n", 0, self.of_net.start) + 1
        lines = whole[start : self.of_net.end].splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        lines = [x[indent:] if not x[:indent].strip() else x for x in lines]
        alone = (
            r"\s*(bottom|top|propagate_down)\s*:\s*(\"[^\"]*\"|'[^']*'|\w+)\s*(#.*)?"
        )
        at = [i for i, x in enumerate(lines) if re.fullmatch(alone, x)]
        fields = [x for x, _ in self.of_net.message.fields]
        blobs = sum(x in ("bottom", "top", "propagate_down") for x in fields)
        if len(at) != blobs or not lines[0].startswith("layer"):
            kept = self.of_net.message
            kept = kept.without("propagate_down") if self.add_flags else kept
            return as_fragment(kept.fields + self.flag_fields())
        if self.add_flags:
            if "propagate_down" in fields:
                lines = [x for x in lines if not re.match(r"\s*propagate_down\b", x)]
                at = [i for i, x in enumerate(lines) if re.fullmatch(alone, x)]
            before = re.match(r"\s*", lines[at[-1]])[0]
            added = [
                f"{before}propagate_down: {flag}" for _, flag in self.flag_fields()
            ]
            lines[at[-1] + 1 : at[-1] + 1] = added
        return ("\n".join(lines) + "\n").encode("latin-1")

    def flag_fields(self):
        words = [prototxt.Word(str(flag).lower()) for flag in self.flags]
        return [("propagate_down", word) for word in words] if self.add_flags else []

    def values(self):
        """Yield for each bottom the Python that makes it."""
        learned = (
            net_blobs.probabilities(self.net, self.index) if self.of_net else set()
        )
        batch = Counter(shape[:1] for shape in self.shapes if shape).most_common(1)
        for name, shape in zip(self.bottoms, self.shapes):
            sizes = [str(n) for n in shape]
            if shape and shape[:1] == batch[0][0]:
                sizes[0] = "batch"
            if name in self.labels:
                first = self.shapes[0]
                apart = len(first) > 1 and first != shape and first[1] > 1
                top = first[1] if apart else 2
                yield f"rng.randint(0, {top}, {as_tuple(sizes)})"
            elif name in learned:
                yield f"rng.uniform(0.1, 0.9, {as_tuple(sizes)})"
            else:
                yield f"rng.randn({', '.join(sizes)})"

    def test(self, generated):
        """Return tests/test_NAME.py, with the header of the generated one."""
        head = generated.split('"""')[0]
        makers = "".join(f"        {code},\n" for code in self.values())
        made = f"[\n{makers}    ]" if makers else "[]"
        return TEST.format(head=head, name=self.name, layer=self.layer.name, made=made)

    def readme(self, generated):
        """Return README.md: of the generated one, what does not depend on a stub."""
        rows = [f"| bottom {i} | `{x}` |" for i, x in enumerate(self.bottoms)]
        rows += [f"| top {i} | `{x}` |" for i, x in enumerate(self.tops)]
        keys = []
        for key, shown in self.layer.keys().items():
            keys.append(
                f"| `{key}` | `{shown.strip('=: ')}` |" if shown else f"| `{key}` | |"
            )
        if keys:
            keys = ["", "| param_str key | default or type |", "|---|---|", *keys]
        about = README.format(
            name=self.name,
            layer=self.layer.name,
            module=self.module.inside.replace(os.sep, "/"),
            rows=printable("\n".join(rows + keys)),
        )
        rest = re.search(
            r"^## Test\n.*?(?=^In a net|^## Origin|\Z)", generated, re.M | re.S
        )
        rest = rest[0] if rest else ""
        rest = re.sub(r" and example/", "", rest)
        rest = re.sub(r"^    caffe train .*\n", "", rest, flags=re.M)
        end = f"## Origin\n\nAdopted by caffe-pylayer {__version__} from a module that was there.\n"
        return about + rest + end


def as_tuple(sizes):
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


TEST = '''\
{head}"""Bottoms to test {layer} with, and what it must give for them."""


def test_{name}(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    return {made}


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    return None
'''
README = """\
# {name}

`{layer}`, a Python layer for [Caffe](https://github.com/BVLC/caffe):
[{module}]({module}) is the layer as it was, and
[{name}.prototxt]({name}.prototxt) is its part of a net.

| blob | name |
|---|---|
{rows}

"""


def as_fragment(fields):
    text = "\n  ".join(str(prototxt.Message(fields)).split("\n"))
    return (f"layer {{\n  {text}\n}}\n").encode("utf-8", "surrogateescape")


def template_of(options):
    if options.template:
        return options.template
    own = os.path.isfile(os.path.join(PROJECT, "cookiecutter.json"))
    return PROJECT if own else PUBLISHED


def command_of(plan, options):
    """Return the cookiecutter command, for a shell."""
    template = options.template or PUBLISHED
    words = ["cookiecutter", "--no-input", template]
    words += [f"{name}={answer}" for name, answer in plan.answers().items()]
    return " ".join(map(shlex.quote, words))


def make_folder(plan, options):
    """Make the folder, all of it or nothing; return its path."""
    folder = os.path.join(options.out, plan.name)
    if os.path.lexists(folder):
        raise CommandError(
            f"{folder} exists already and is left as it is: type --name NAME or --out DIR"
        )
    os.makedirs(options.out, exist_ok=True)
    working = os.path.join(options.out, f".caffe-pylayer-{uuid.uuid4().hex}")
    try:
        os.mkdir(working)
        made = generate(template_of(options), plan.answers(), working)
        test = os.path.join("tests", f"test_{plan.name}.py")
        written = {}
        for inside, change in ((test, plan.test), ("README.md", plan.readme)):
            text = contents(os.path.join(made, inside)).decode("utf-8")
            written[inside] = change(text).encode("utf-8", "surrogateescape")
        os.remove(os.path.join(made, f"{plan.name}.py"))
        shutil.rmtree(os.path.join(made, "example"), ignore_errors=True)
        taken = [x for x in plan.module.files if os.path.lexists(os.path.join(made, x))]
        if taken:
            raise CommandError(
                f"the layer imports {taken[0]}, which a layer's folder has already"
            )
        written[f"{plan.name}.prototxt"] = plan.fragment()
        write_all(made, {**written, **plan.module.files})
        os.rename(made, folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return folder


def generate(template, answers, out):
    """Run the template; return the folder that it made."""
    try:
        from click import ClickException
        from cookiecutter.exceptions import CookiecutterException, RepositoryNotFound
        from cookiecutter.main import cookiecutter
        from requests import RequestException
    except ImportError as error:
        text = f"it needs cookiecutter: {sys.executable} -m pip install cookiecutter"
        raise CommandError(f"{text} ({error})") from error
    logging.getLogger("cookiecutter").addHandler(logging.NullHandler())
    try:
        with quiet():
            return cookiecutter(
                template, no_input=True, extra_context=answers, output_dir=out
            )
    except (
        RepositoryNotFound,
        subprocess.CalledProcessError,  # of git
        RequestException,
    ) as error:
        raise CommandError(
            f"{template}: no template can be had there: type --template DIR, a clone of "
            "caffe-pylayer"
        ) from error
    except ClickException as error:
        raise CommandError(error.format_message()) from error
    except (CookiecutterException, ValueError, UnicodeError) as error:
        raise CommandError(f"{template}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def quiet():
    """Keep from the terminal what the template's hook says next, which is for a stub."""
    sys.stdout.flush()
    saved, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nothing)


# What is printed


def show(plan, path):
    print(f"{printable(path)}: what adopt understood, and guessed (?)")
    for mark, what, text in plan.rows:
        print(f"{mark} {what:<10} {text}")


def judge(folder):
    """Audit the layer and run its tests, print the summaries; return whether all is fine."""
    audit = Audit(Folder(folder))
    for x in audit.findings:
        print(printable(f"  {x.path}:{x.line}: {x.code} {x.text}"))
    wrong = audit.count(WRONG)
    print(f"audit: {len(audit.findings)} findings, {wrong} of them wrong in Caffe")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""},
    )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    for line in lines:
        if line.startswith(("caffe: ", "FAILED ")):
            print("  " + printable(line))
    print("tests: " + printable(lines[-1] if lines else "no output"))
    return not done.returncode and not audit.count(WRONG)


def adopt(path, options, net_path=None, ask=None):
    """Adopt one layer; return whether all is fine with it."""
    plan = Plan(path, options, read_net(net_path) if net_path else None, ask)
    if options.print:
        print(command_of(plan, options))
        return True
    show(plan, path)
    folder = make_folder(plan, options)
    shown = printable(os.path.normpath(folder))
    print(f"made {shown}")
    fine = judge(folder)
    print(f"next: cd {shlex.quote(shown)} && python3 -m pytest")
    return fine


def typed(question):
    """Return what is typed; CommandError where nobody is there."""
    try:
        return input(question).strip()
    except EOFError as error:
        raise CommandError(
            "no answer: type --yes to take all without asking"
        ) from error


def ask_shape(name, guess):
    """Return the shape that is typed for a bottom, the guess for Enter."""
    while True:
        answer = typed(f"shape of {name} [{','.join(map(str, guess))}]: ")
        try:
            return shape_of(answer) if answer else guess
        except ValueError:
            print("sizes with commas between, such as 8,3,32,32")


def shape_of(text):
    shape = tuple(int(part) for part in text.split(","))
    if not shapes.is_shape(shape) or math.prod(shape) > 10**8:
        raise ValueError(text)
    return shape


def adopt_folder(options):
    """Adopt the layers under a folder, those that are asked for."""
    folder = Folder(os.path.normpath(options.path))
    if not folder.layers:
        raise CommandError(
            f"{options.path}: there is no layer under it, a class of caffe.Layer"
        )
    fine = True
    for layer in folder.layers:
        path = layer.source.path
        stem = os.path.splitext(os.path.basename(path))[0]
        home = os.path.dirname(path)
        if os.path.isfile(os.path.join(home, "tests", f"test_{stem}.py")):
            continue  # a layer's folder already
        if not options.yes:
            answer = typed(
                f"adopt {printable(layer.name)} of {printable(path)}? [y/n] "
            )
            if answer.lower() not in ("y", "yes"):
                continue
        nets = [
            x.path
            for x in folder.fragments
            if x.layer == layer.name and x.module.split(".")[-1] == stem
        ]
        options.layer_class = layer.name
        try:
            fine &= adopt(path, options, options.net or next(iter(nets), None))
        except CommandError as error:
            fine = False
            sys.stdout.flush()
            sys.stderr.write(f"caffe-pylayer adopt: {printable(str(error))}\n")
    return fine


def main(parser, given):
    sys.stdout.reconfigure(errors="backslashreplace")
    parser.add_argument(
        "path", metavar="FILE.py", help="the layer's module, or a folder of them"
    )
    parser.add_argument("--net", metavar="NET", help="a net that uses it")
    parser.add_argument(
        "--class",
        dest="layer_class",
        metavar="CLASS",
        help="which, if several are in the file",
    )
    parser.add_argument("--name", help="of the layer's folder, if not the module's")
    parser.add_argument(
        "--out", metavar="DIR", default=".", help="where the folder is made"
    )
    parser.add_argument(
        "--shape",
        metavar="BLOB=N,N",
        action="append",
        default=[],
        help="the shape of a bottom, the batch first",
    )
    parser.add_argument("--template", help="another than this project's own")
    parser.add_argument(
        "--print", action="store_true", help="only the cookiecutter command"
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing: take all, and guess"
    )
    options = parser.parse_args(given)
    for field in ("path", "net", "out"):
        value = getattr(options, field)
        setattr(options, field, os.path.expanduser(value) if value else value)
    try:
        pairs = [text.rpartition("=") for text in options.shape]
        options.shape = {name: shape_of(text) for name, _, text in pairs}
    except ValueError:
        parser.error("expected --shape BLOB=N,N such as score=8,3,32,32")
    ask = (
        ask_shape if sys.stdin.isatty() and not (options.yes or options.print) else None
    )
    try:
        if os.path.isdir(options.path):
            if options.name or options.layer_class or options.shape:
                parser.error("--name, --class and --shape are for one FILE.py")
            return int(not adopt_folder(options))
        return int(not adopt(options.path, options, options.net, ask))
    except (RecursionError, MemoryError) as error:
        raise CommandError(
            f"{options.path}: is nested too deep to be read: split it"
        ) from error
