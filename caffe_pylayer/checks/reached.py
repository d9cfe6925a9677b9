# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The check of lines that never run: what no other check has looked at."""

import ast
import os
import sys

from .net import CheckFailed
from .subject import BATCHES, DRAWS

MOST_LINES = 3  # that a message shows
METHODS = ("forward", "backward")


def check_lines(subject):
    """Each line of forward and backward runs, in one phase or the other."""
    count = len(subject.fragment.bottoms)
    layer = subject.net(subject.bottoms(BATCHES[0])).layer
    codes = [getattr(getattr(layer, name, None), "__code__", None) for name in METHODS]
    path = next((code.co_filename for code in codes if code), "")
    if not os.path.isfile(path):
        return
    with Traced(path) as seen:
        for draw in range(DRAWS):
            for options in (
                {},
                {"flags": [True] * count},
                {"flags": [False] * count},
                {"phase": 1},
            ):
                run(subject, draw, options)
    never = [range_of for range_of in statements(path, seen) if not seen & range_of]
    if never:
        raise CheckFailed(message(path, sorted(min(lines) for lines in never)))


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
    """While it is entered, the set of numbers of a file's lines that ran."""

    def __init__(self, path):
        self.path, self.seen, self.before = path, set(), None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._enter_function)
        return self.seen

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


def statements(path, seen):
    """Return the lines of each statement in those methods that were called, as sets."""
    with open(path, "rb") as stream:
        tree = ast.parse(stream.read())
    found = []
    for node in ast.walk(tree):
        for method in (
            getattr(node, "body", ()) if isinstance(node, ast.ClassDef) else ()
        ):
            if getattr(method, "name", None) in METHODS:
                inside = [lines_of(statement) for statement in simple(method.body)]
                found += inside if any(lines & seen for lines in inside) else []
    return found


def simple(block):
    """Yield the statements in a block and its blocks, not those that refuse."""
    if isinstance(block[-1], ast.Raise):
        return
    for node in block:
        blocks = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
        if any(blocks):
            for inner in blocks:
                for statement in simple(inner) if inner else ():
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
