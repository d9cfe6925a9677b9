"""The keys of param_str: `name[:type][=default], ...`, the grammar of Python's parameters."""

import ast
import json
import keyword
import math
import re
import warnings
from dataclasses import dataclass, replace

from template_spec.errors import refuse, shown
from template_spec.literals import to_json

# The types of keys, with the value that the fragment carries for a required one.
TYPES = {
    "int": 1,
    "float": 1.0,
    "bool": True,
    "str": "value",
    "list": [1.0],
    "dict": {},
}
KEYWORDS = {*keyword.kwlist, "exec", "print"}  # of Python 3 and 2
LAYER_ATTRIBUTES = {
    "blobs", "phase", "param_str", "type", "setup", "reshape", "forward", "backward",
}  # fmt: skip
JSON_WORDS = {"true": True, "false": False, "null": None}
DEEPEST = 20
UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)
SIGNATURE = "def f(*, {}): 0"


@dataclass(frozen=True)
class Key:
    """A param_str key: `value` is its default, or what the fragment carries if it is required."""

    name: str
    type: str
    required: bool
    value: object


def read_keys(text, preset=(), kind_name=""):
    """Return the Keys that the answer lists, after those that every layer of the kind has."""
    keys = {key.name: key for key in preset}
    given = set()
    for key in parse(text):
        if key.name in given:
            fail(f"the key {key.name} stands twice", "take one of them out")
        given.add(key.name)
        known = keys.get(key.name, key)
        if known.type != key.type:
            fail(
                f"{key.name} of the kind {kind_name} is {known.type}, not {key.type}",
                f"try {key.name}:{known.type}={to_json(known.value)}",
            )
        keys[key.name] = replace(key, value=known.value) if key.required else key
    return tuple(keys.values())


def parse(text):
    """Return the Keys in text, read by Python's parser."""
    if not text.strip():
        return []
    source = SIGNATURE.format(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except UNREADABLE:
        refuse_keywords(text)
        fail_to_read(text)
    function = tree.body[0]
    lines = source.splitlines()
    whole = (
        len(tree.body) == len(function.body) == 1
        and isinstance(function.body[0], ast.Expr)
        and isinstance(function.body[0].value, ast.Constant)
        and function.end_lineno == len(lines)
        and function.end_col_offset == len(lines[-1].encode("utf-8"))
        and function.returns is None
        and function.args.kwarg is None
    )
    if not whole:  # the text has a ) or a # of its own
        fail_to_read(text)
    for node in ast.walk(function.args):
        part = text_of(node, source)
        if isinstance(node, (ast.arg, ast.Name)) and not part.isascii():
            fail(f"{shown(part)} has other letters than A-Z and a-z", "try x1=1")
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults)
    return [key_of(argument, default, source) for argument, default in pairs]


def key_of(argument, default, source):
    """Return the Key of one parameter."""
    name, annotation = argument.arg, argument.annotation
    if len(name) > 64:
        fail(f"the key {shown(name)} has more than 64 characters", f"try {name[:8]}")
    if name in KEYWORDS or name in LAYER_ATTRIBUTES or name.startswith("__"):
        refuse_name(name)
    type_name = annotation and text_of(annotation, source)
    if annotation and type_name not in TYPES:
        few = ", ".join(TYPES)
        fail(
            f"{name} has the type {shown(type_name)}, which is none of {few}",
            f"try {name}:float",
        )
    if default is None:
        type_name = type_name or "float"
        return Key(name, type_name, True, TYPES[type_name])
    value = value_of(name, default, source)
    natural = type(value).__name__
    if type_name in (None, natural):
        return Key(name, natural, False, value)
    if (type_name, natural) == ("float", "int") and abs(value) <= 2**1023:
        return Key(name, "float", False, float(value))
    fail(
        f"the default {shown(text_of(default, source))} of {name} is {natural}, not {type_name}",
        f"try {name}:{type_name}={to_json(TYPES[type_name])}",
    )


def value_of(name, node, source):
    """Return the value of a default: of JSON, or of a Python literal with JSON's words."""
    text, value = text_of(node, source), ...
    for read in (json.loads, lambda _: ast.literal_eval(JsonWords().visit(node))):
        try:
            value = read(text)
            break
        except UNREADABLE:
            continue
    if type(value).__name__ not in TYPES or not is_plain(value):
        example = (
            f"'{text}'" if re.fullmatch("[A-Za-z][A-Za-z0-9_ ]{,20}", text) else 1.0
        )
        fail(
            f"the default {shown(text)} of {name} is no finite number, true, false, text in "
            "quotes, list, or dict with text as keys",
            f"try {name}={example}",
        )
    return value


class JsonWords(ast.NodeTransformer):
    """Puts the values of true, false and null in their places."""

    def visit_Name(self, node):
        return ast.Constant(JSON_WORDS[node.id]) if node.id in JSON_WORDS else node


def is_plain(value, depth=DEEPEST):
    """Whether a value comes back the same from JSON and from a Python literal."""
    if isinstance(value, list):
        return depth > 0 and all(is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return (
            depth > 0
            and all(isinstance(key, str) and is_plain(key) for key in value)
            and all(is_plain(item, depth - 1) for item in value.values())
        )
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 10**4000  # Python writes at most 4300 digits
    return value is None


def text_of(node, source):
    """Return what stands in the source for a node."""
    return ast.get_source_segment(source, node) or ""


def refuse_keywords(text):
    """Refuse the Python keyword that stands where a name must, if there is one."""
    for name in re.findall(r"(?:^|,)\s*([A-Za-z]+)\s*(?=[:=,]|$)", text):
        if name in KEYWORDS:
            refuse_name(name)


def refuse_name(name):
    """Refuse a name that a key cannot have."""
    what = "an attribute of caffe.Layer"
    if name in KEYWORDS:
        what = "a Python keyword"
    elif name not in LAYER_ATTRIBUTES:
        what = "a name that Python keeps for itself"
    fail(f"{shown(name)} is {what}", f"try {name.strip('_') or 'key'}_1")


def fail_to_read(text):
    """Refuse what is no list of keys."""
    fail(
        f"{shown(text)} does not read as name:type=default with commas between",
        "try x1=1, mode:str='mean'",
    )


def fail(problem, advice):
    """Refuse the answer."""
    refuse("param_str_keys", problem, advice)
