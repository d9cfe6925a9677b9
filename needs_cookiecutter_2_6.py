"""Loaded first: stops a cookiecutter before 2.6, and loads the modules that are beside it.

A cookiecutter before 2.1 does not find this file, and shows its name.
"""

import importlib
import os
import sys

from cookiecutter import __version__
from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

if [int(part) for part in __version__.split(".")[:2]] < [2, 6]:
    raise FailedHookException(
        f"caffe-pylayer needs cookiecutter 2.6 or newer, this is {__version__}: "
        "pip install --upgrade cookiecutter"
    )


class Enough(Extension):
    """Sees to it that `local_extensions` is ours.

    cookiecutter puts a template's folder last on sys.path, and Python keeps modules by name and
    bytecode by time and size: another template's would win, or our own of another version.
    """

    def __init__(self, environment):
        super().__init__(environment)
        for name in list(sys.modules):
            if name.split(".")[0] in ("local_extensions", "template_spec"):
                del sys.modules[name]
        here = os.path.dirname(os.path.abspath(__file__))
        kept = sys.dont_write_bytecode, sys.path
        sys.dont_write_bytecode, sys.path = True, [here, *sys.path]
        try:
            importlib.invalidate_caches()
            importlib.import_module("local_extensions")
        finally:
            sys.dont_write_bytecode, sys.path = kept
