# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Shapes of a layer's bottoms, taken from the net that it is for (--bottoms-from)."""

import os

import numpy as np

from . import net, prototxt, standin
from .net import CheckFailed

MOST_CALLS = 100  # of make_bottoms, for the values of one bottom
FIELDS = ("layer", "layers")  # of a net, the second in old ones


def bottom_shapes(caffe, path, fragment):
    """Return a tuple for each bottom of a Fragment: the shape that a net gives it.

    They are the bottoms of the net's layer of this module and class, or, where it has
    none, the blobs of these names. Only what they need of the net is loaded.

    Raises:
        CheckFailed: the net has no such blobs, or does not load.
        NotInStandin: the net has layers that the stand-in has not.
    """
    name = os.path.basename(path)
    try:
        message = prototxt.load(path)
    except (IOError, OSError, ValueError) as error:
        raise CheckFailed(str(error).replace(path, name))
    layers = [value for field, value in message.fields if field in FIELDS]
    bottoms = bottoms_in(layers, fragment)
    part = needed(message, bottoms)
    types = [layer.get("type") for field, layer in part.fields if field in FIELDS]
    for kind in types if caffe is standin else ():
        if kind not in standin.layer_type_list():
            raise standin.NotInStandin("a layer of type %s, in %s" % (kind, name))
    try:
        loaded = net.load(caffe, encoded(str(part)), fragment.phase)
    except (Exception, standin.CaffeAborted) as error:
        text = "%s, as far as it gives %s, does not load: %s: %s"
        kind = type(error).__name__
        raise CheckFailed(text % (name, " and ".join(bottoms), kind, error))
    missing = [blob for blob in bottoms if blob not in loaded.blobs]
    if missing:
        text = "%s has no blob %s, for a bottom of the layer"
        raise CheckFailed(text % (name, " and no blob ".join(missing)))
    return [tuple(loaded.blobs[blob].shape) for blob in bottoms]


def encoded(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def bottoms_in(layers, fragment):
    """Return the names of the layer's bottoms in a net of these layers."""
    wanted = [fragment.python.get(field) for field in ("module", "layer")]
    for layer in layers:
        python = layer.get("python_param", prototxt.Message())
        bottoms = layer.all("bottom")
        same = wanted == [python.get(field) for field in ("module", "layer")]
        if same and len(bottoms) == len(fragment.bottoms):
            return bottoms
    return fragment.bottoms


def needed(message, blobs):
    """Return a net's message without the layers that these blobs do not need."""
    wanted, fields = set(blobs), []
    for field, value in reversed(message.fields):
        if field in FIELDS:
            if not wanted & set(value.all("top")):
                continue
            wanted |= set(value.all("bottom"))
        fields.append((field, value))
    return prototxt.Message(reversed(fields))


def fitted(make, shapes, batch):
    """Return what `make()` returns, arrays of a batch, each in a shape of a net.

    The first axis stays the batch. Where a net's bottom has more elements, `make` is
    called again for their values.
    """
    made = [make()]
    found = []
    for i, shape in enumerate(shapes):
        first = made[0][i]
        if first.shape[:1] == (batch,) and shape:
            shape = (batch,) + tuple(shape[1:])
        count = int(np.prod(shape))
        calls = min(-(-count // max(first.size, 1)), MOST_CALLS)
        while len(made) < calls:
            made.append(make())
        values = [arrays[i].ravel() for arrays in made[:calls]] or [first.ravel()]
        found.append(np.resize(np.concatenate(values), shape))
    return found
