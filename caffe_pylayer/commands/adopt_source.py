"""What the source of a layer tells `caffe-pylayer adopt`: blobs, kind and keys of param_str."""

import ast
import json
import keyword
import math
import re
from collections import Counter

from .python_layers import BLOB, LIST, SIGNATURES, name_of, nodes, values

BLOB_NAME = re.compile(r"[A-Za-z0-9_./-]{1,64}")
# What the fragment carries for a key whose value nothing says, by type: as the template does,
# which an installed package cannot import.
PLACEHOLDERS = {
    "int": 1,
    "float": 1.0,
    "bool": True,
    "str": "value",
    "list": [1.0],
    "dict": {},
}


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
