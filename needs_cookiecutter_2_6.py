"""Loaded first: stops a cookiecutter before 2.6, and loads the modules that are beside it.

A cookiecutter before 2.1 does not find this file, and shows its name.
"""

import contextlib
import importlib
import py_compile
import sys
from importlib.util import cache_from_source
from pathlib import Path

from cookiecutter import __version__
from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

if [int(part) for part in __version__.split(".")[:2]] < [2, 6]:
    raise FailedHookException(
        f"caffe-pylayer needs cookiecutter 2.6 or newer, this is {__version__}: "
        "pip install --upgrade cookiecutter"
    )

HERE = Path(__file__).resolve().parent
LOADED = "modules of caffe-pylayer's template"


def take_ours():
    """Return and take out of sys.modules what has the name of a module of ours."""
    names = "local_extensions", "needs_cookiecutter_2_6", "template_spec"
    found = [name for name in sys.modules if name.split(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}


def keep_bytecode(files):
    """Compile each file of which no bytecode is kept, where Python may keep it."""
    if sys.dont_write_bytecode:
        return
    for file in files:
        if not Path(cache_from_source(str(file))).exists():
            by_source = py_compile.PycInvalidationMode.CHECKED_HASH
            with contextlib.suppress(OSError):  # read-only, or the disk is full
                py_compile.compile(str(file), invalidation_mode=by_source, quiet=2)


class Enough(Extension):
    """Sees to it that the `local_extensions` of this folder is what is imported next.

    cookiecutter puts a template's folder last on sys.path, and Python keeps modules by their
    names and bytecode by time and size: another template's could win, or another version's.
    So bytecode is kept by what the source is, which Python compares.
    """

    def __init__(self, environment):
        super().__init__(environment)
        take_ours()
        files = [
            HERE / "local_extensions.py",
            *sorted((HERE / "template_spec").glob("*.py")),
        ]
        sources = [(file, file.read_bytes()) for file in files]
        if sys.modules.get(LOADED, (None,))[0] != sources:
            keep_bytecode(files)
            kept = sys.dont_write_bytecode, sys.path
            sys.dont_write_bytecode, sys.path = True, [str(HERE), *sys.path]
            try:
                # Not invalidate_caches: to list all other folders again takes 40 ms.
                for folder in (HERE, HERE / "template_spec"):
                    sys.path_importer_cache.pop(str(folder), None)
                importlib.import_module("local_extensions")
            finally:
                sys.dont_write_bytecode, sys.path = kept
            sys.modules[LOADED] = sources, take_ours()
        sys.modules.update(sys.modules[LOADED][1])
