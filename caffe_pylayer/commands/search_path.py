"""Whose modules come first on sys.path: Python's own, or those on PYTHONPATH.

What somebody calls random.py or json.py, in the current folder or beside a layer, whose folder is
on PYTHONPATH, must not stop a command: it imports Python's modules before it looks at the user's.
"""

import os
import sys

from . import CommandError


def put_python_first():
    first = sys.path[:1] + os.environ.get("PYTHONPATH", "").split(os.pathsep)
    late = _absolute(entry for entry in first if entry)
    sys.path.sort(key=lambda entry: os.path.abspath(entry) in late)


def put_pythonpath_first():
    """Let imports find what `caffe` finds."""
    value = os.environ.get("PYTHONPATH")
    first = _absolute(value.split(os.pathsep) if value else [])
    sys.path.sort(key=lambda entry: os.path.abspath(entry) not in first)


def import_numpy():
    """Return numpy, as `caffe` finds it; no more modules of Python's own are imported then."""
    put_pythonpath_first()
    try:
        import numpy
    except ImportError as error:
        raise CommandError(
            "it needs numpy: %s -m pip install numpy (%s)" % (sys.executable, error)
        )
    return numpy


def _absolute(entries):
    return [os.path.abspath(entry) for entry in entries]
