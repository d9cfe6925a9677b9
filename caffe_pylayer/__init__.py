"""Checks and commands for Python layers of Caffe."""

__version__ = "0.2.0"
__owner__ = "org"  # on GitHub; make owner NAME=... changes it everywhere
