# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The check of example/: its net has the layer as it is now, and Caffe runs it."""

import os

from . import prototxt
from .net import CheckFailed

FILE = os.path.join("example", "train_val.prototxt")
CHANGE = "change it as you changed the prototxt"


def path_of(fragment):
    """Return the path of the example's net, whether it is there or not."""
    return os.path.join(os.path.dirname(os.path.abspath(fragment.path)), FILE)


def has_example(fragment):
    return os.path.isfile(path_of(fragment))


def check_example(subject):
    """example/ has the layer with the blobs and keys it has now, and Caffe runs it.

    The stand-in only compares: it has no layers but Python ones.
    """
    fragment, path = subject.fragment, path_of(subject.fragment)
    try:
        layers = prototxt.load(path).all("layer")
    except ValueError as error:
        raise CheckFailed(str(error).replace(path, FILE))
    module = fragment.python.get("module")
    found = [layer for layer in layers if module_of(layer) == module]
    if not found:
        raise CheckFailed("%s has no layer of module %s: %s" % (FILE, module, CHANGE))
    for layer in found:
        compare(fragment, layer)
    if "InnerProduct" in subject.caffe.layer_type_list():
        run(subject, path)


def module_of(layer):
    return layer.get("python_param", prototxt.Message()).get("module")


def compare(fragment, layer):
    """Raise CheckFailed where a layer of the example is not as the fragment says."""
    python = layer.get("python_param")
    pairs = [
        ("class", python.get("layer"), fragment.python.get("layer")),
        ("number of bottoms", len(layer.all("bottom")), len(fragment.bottoms)),
        ("number of tops", len(layer.all("top")), len(fragment.tops)),
    ]
    for what, there, here in pairs:
        if there != here:
            text = "%s: the %s of layer %s is %s, that of the prototxt is %s: %s"
            raise CheckFailed(
                text % (FILE, what, layer.get("name"), there, here, CHANGE)
            )


def run(subject, path):
    """Load and run the net in both phases, from the layer's folder."""
    before = os.getcwd()
    os.chdir(os.path.dirname(os.path.dirname(path)))
    try:
        for phase in (0, 1):
            subject.reseed()
            subject.caffe.Net(path, phase).forward()
    except Exception as error:
        text = "%s does not run in phase %s: %s: %s; %s"
        kind = type(error).__name__
        raise CheckFailed(text % (FILE, ("TRAIN", "TEST")[phase], kind, error, CHANGE))
    finally:
        os.chdir(before)
