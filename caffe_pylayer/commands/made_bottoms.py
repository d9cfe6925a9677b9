"""Whether a net gives a layer bottoms of the shapes that make_bottoms of its test makes."""

import collections
import importlib
import os
import sys

from ..checks import isolation
from . import shapes
from .layer_folder import quote
from .net_text import included

SECONDS = 20  # that make_bottoms may take
Bottom = collections.namedtuple("Bottom", "index blob shape")  # None: not known


def in_text(net, layers):
    """Return the Bottoms of layers of a net, as far as its text tells their shapes."""
    found = []
    for layer in layers:
        for state in [state for state in net.states if included(layer.rules, state)]:
            known = shapes.of_blobs(net, state, net.layers.index(layer))
            names = [bottom.value for bottom in layer.bottoms]
            found += [Bottom(i, x, known.get(x)) for i, x in enumerate(names)]
    return found


def compare(found, layer, net, seconds=SECONDS):
    """Return lines that say which of these Bottoms have other shapes than a Layer's test makes.

    `net` is the path of their net.
    """
    known = [bottom for bottom in found if bottom.shape is not None]
    tested = (known and of_test(layer, seconds)) or []
    text = (
        "%s is %s, make_bottoms makes %s: test the layer with pytest --bottoms-from=%s"
    )
    lines = []
    for index, blob, shape in known:
        made = tested[index] if index < len(tested) else shape
        if shapes.differ(shape, made):
            both = shapes.written(shape), shapes.written(made)
            lines.append(text % ((blob,) + both + (quote(net),)))
    return sorted(set(lines), key=lines.index)


def of_test(layer, seconds=SECONDS):
    """Return the shapes of what make_bottoms gives, None where it gives nothing."""

    def run():
        os.dup2(2, 1)  # what the test prints is not part of the net
        sys.stdout = open(os.devnull, "w")
        sys.dont_write_bytecode = True
        sys.path[:0] = [os.path.join(layer.folder, "tests"), layer.folder]
        numpy = importlib.import_module("numpy")
        test = importlib.import_module("test_" + layer.name)
        made = test.make_bottoms(numpy.random.RandomState(0), 2)
        return [[int(size) for size in numpy.shape(array)] for array in made]

    try:
        return isolation.run_in_child(run, seconds, layer.folder)
    except isolation.ChildEnded:
        return None
