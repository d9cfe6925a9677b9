"""The option --layer: a layer's folder, and the name of the layer in it."""

import collections
import os

from . import CommandError

try:
    from shlex import quote
except ImportError:  # Python 2
    from pipes import quote

SUFFIX = ".prototxt"
Layer = collections.namedtuple("Layer", "folder name")


def add_layer_option(parser):
    parser.add_argument(
        "--layer",
        metavar="DIR",
        help="the folder of the layer, if not the current one; its prototxt if there are several",
    )


def find_layer(path=None):
    """Return the Layer in a folder, the current one for None, or that of a prototxt.

    Raises CommandError where there is none, or are several.
    """
    path = os.path.expanduser(path or os.curdir)
    if path.endswith(SUFFIX) and os.path.isfile(path):
        folder, file = os.path.split(os.path.abspath(path))
        return Layer(folder, file[: -len(SUFFIX)])
    names, folder = layer_names(path), os.path.abspath(path)
    if len(names) == 1:
        return Layer(folder, names[0])
    found, choices = "there are %d layers in %s" % (len(names), folder), []
    if names:
        choices = [name + SUFFIX for name in names]
    else:
        found = "there is no layer in %s, no NAME.py beside a NAME.prototxt" % folder
        folders = [name for name in sorted(os.listdir(path)) if name[0] != "."]
        folders = [name for name in folders if os.path.isdir(os.path.join(path, name))]
        choices = [name for name in folders if layer_names(os.path.join(path, name))]
    choices = [
        quote(os.path.normpath(os.path.join(path, name))) for name in choices[:3]
    ]
    raise CommandError("%s: type --layer %s" % (found, " or ".join(choices) or "DIR"))


def layer_names(folder):
    """Return the names of the layers in a folder.

    A layer is NAME.prototxt with NAME.py or tests/test_NAME.py; only where there is none, the
    latter two without a prototxt, so that the doctor can say that it is missing.
    """
    files, tests = os.listdir(folder), os.path.join(folder, "tests")
    files += os.listdir(tests) if os.path.isdir(tests) else []
    stems = sorted(set(os.path.splitext(file)[0] for file in files))
    parts = [
        (stem, [stem + SUFFIX, stem + ".py", "test_%s.py" % stem]) for stem in stems
    ]
    there = [(stem, [part in files for part in row]) for stem, row in parts]
    found = [
        stem
        for stem, (fragment, module, test) in there
        if fragment and (module or test)
    ]
    return found or [stem for stem, (_, module, test) in there if module and test]
