# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The check of lines that never run: what no other check has looked at."""

import ast
import os
import sys
import traceback

import numpy as np

from .net import CheckFailed
from .subject import BATCHES, DRAWS

MOST_LINES = 3  # that a message shows
METHODS = ("forward", "backward")
EXITS = ("exit", "_exit", "abort")  # what never returns; and functions that only raise


def check_lines(subject):
    """Each line of forward and backward runs, in one phase or the other."""
    count = len(subject.fragment.bottoms)
    layer = subject.net(subject.bottoms(BATCHES[0])).layer
    codes = [getattr(getattr(layer, name, None), "__code__", None) for name in METHODS]
    path = next((code.co_filename for code in codes if code), "")
    if not os.path.isfile(path):
        return
    methods, seen = statements(path), set()
    for draw in range(DRAWS):
        for options in (
            {},
            {"flags": [True] * count},
            {"flags": [False] * count},
            {"phase": 1},
        ):
            with Traced(path, seen):
                run(subject, draw, options)
        ran = [lines for lines in methods if any(seen & part for part in lines)]
        never = [part for lines in ran for part in lines if not seen & part]
        if not never:
            return
    raise CheckFailed(message(path, sorted(map(min, never))))


def message(path, numbers):
    """Return the message for lines of these numbers."""
    with open(path, "rb") as stream:
        text = stream.read().decode("utf-8", "replace").splitlines()
    name = os.path.basename(path)
    lines = [
        "%s:%d: %s" % (name, number, text[number - 1].strip())
        for number in numbers[:MOST_LINES]
    ]
    more = len(numbers) - MOST_LINES
    if more > 0:
        lines.append("and %d more" % more)
    lines.insert(0, "no check looks at what never ran; does make_bottoms reach it?")
    return "\n  ".join(lines)


class Traced(object):
    """While it is entered, the numbers of a file's lines that run come into a set."""

    def __init__(self, path, seen):
        self.path, self.seen, self.before = path, seen, None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._enter_function)

    def __exit__(self, *_):
        sys.settrace(self.before)

    def _enter_function(self, frame, _, __):
        return self._note if frame.f_code.co_filename == self.path else None

    def _note(self, frame, _, __):
        self.seen.add(frame.f_lineno)
        return self._note


def run(subject, draw, options):
    """Run forward and backward; what fails here is told by another check."""
    try:
        arrays = subject.bottoms(BATCHES[draw % len(BATCHES)], draw)
        layer_net = subject.net(arrays, **options)
        tops = subject.forward(layer_net, arrays)
        layer_net.backward(subject.top_diffs(tops), subject.diffs_like(arrays))
    except (Exception, SystemExit):
        pass


def statements(path):
    """Return for each of those methods the lines of each of its statements, as sets."""
    with open(path, "rb") as stream:
        nodes = list(ast.walk(ast.parse(stream.read())))
    bodies = [node for node in nodes if isinstance(getattr(node, "body", None), list)]
    refusals = set(EXITS)
    for node in bodies:
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Raise):
            refusals.add(node.name)
    found = []
    for node in bodies:
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            if getattr(method, "name", None) in METHODS:
                found.append([lines_of(x) for x in simple(method.body, refusals)])
    return found


def simple(block, refusals):
    """Yield the statements in a block and its blocks, but none that refuse."""
    call = getattr(getattr(block[-1], "value", None), "func", None)
    name = getattr(call, "attr", getattr(call, "id", None))
    if isinstance(block[-1], ast.Raise) or name in refusals:
        return
    for node in block:
        blocks = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
        if any(blocks):
            for inner in blocks:
                for statement in simple(inner, refusals) if inner else ():
                    yield statement
        elif not isinstance(node, (ast.Pass, ast.Global)) and not is_text(node):
            yield node


def is_text(node):
    """Whether a statement is only a text, such as a docstring."""
    value = getattr(node, "value", None)
    return isinstance(node, ast.Expr) and type(value).__name__ in ("Str", "Constant")


def lines_of(statement):
    """Return the numbers of a statement's lines."""
    numbers = [getattr(node, "lineno", 0) for node in ast.walk(statement)]
    numbers = [number for number in numbers if number]
    return set(range(min(numbers), max(numbers) + 1))


def is_refusal(trace):
    """Whether an exception is of a `raise` of the author's, not of numpy or Python."""
    path, line = traceback.extract_tb(trace)[-1][:2]
    if path.startswith(os.path.dirname(np.__file__)) or not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        nodes = ast.walk(ast.parse(stream.read()))
    raises = [lines_of(node) for node in nodes if isinstance(node, ast.Raise)]
    return any(line in lines for lines in raises)
