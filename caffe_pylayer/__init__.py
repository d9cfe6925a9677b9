"""Checks and commands for Python layers of Caffe."""

__version__ = "0.2.0"
