# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The engine, real Caffe or stand-in, and how a check is kept from spoiling others."""

import contextlib
import importlib
import os
import sys

from . import standin

NAMES = ("real", "standin")
FORGOTTEN = []  # modules, which Python 2 would empty while nets still run them


class EngineUnavailable(Exception):
    """The engine asked for is none, or is not there; the message says why."""


def choose(wanted=None):
    """Return the name of the engine, real or standin, and a line that says why.

    `wanted` is one of these names, or None for real Caffe where it is there. Raises
    EngineUnavailable.
    """
    if wanted not in (None,) + NAMES:
        raise EngineUnavailable(
            "expected CAFFE_ENGINE to be real or standin, got %r" % wanted
        )
    if wanted == "standin":
        return "standin", "numpy stand-in, as asked for"
    caffe, missing = find_caffe()
    if not missing:
        version = getattr(caffe, "__version__", "")
        return "real", "real Caffe %s, %s" % (version, os.path.dirname(caffe.__file__))
    if wanted == "real":
        raise EngineUnavailable("real Caffe was asked for, but %s" % missing)
    return "standin", "numpy stand-in, because %s" % missing


def find_caffe():
    """Return the module caffe and None, or None and why it is not real Caffe."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import caffe
    except Exception as error:
        return None, "import caffe fails: %s" % error
    where = getattr(caffe, "__file__", None)
    where = where or list(getattr(caffe, "__path__", ["?"]))[0]
    if not hasattr(caffe, "Net") or not hasattr(caffe, "Layer"):
        why = "the caffe in %s is not Caffe (PyPI's caffe is an empty placeholder)"
        return None, why % where
    if "Python" not in caffe.layer_type_list():
        return None, "the Caffe in %s is built without WITH_PYTHON_LAYER := 1" % where
    return caffe, None


@contextlib.contextmanager
def running(engine, folder):
    """Give the module caffe of an engine, and import the modules in a folder afresh.

    At the end they are forgotten, and so is what the layer did to sys.path.
    """
    path, writes = list(sys.path), sys.dont_write_bytecode
    names = [file[:-3] for file in os.listdir(folder) if file.endswith(".py")]
    shadowed = {name: sys.modules.pop(name, None) for name in names}
    shadowed.update((name, sys.modules.get(name)) for name in standin.MODULES)
    if engine == "standin":
        standin.install()
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    sys.path_importer_cache.pop(folder, None)  # what was written into it is found
    try:
        yield importlib.import_module("caffe")
    finally:
        sys.path[:], sys.dont_write_bytecode = path, writes
        for name, module in shadowed.items():
            FORGOTTEN.append(sys.modules.pop(name, None))
            if module:
                sys.modules[name] = module
