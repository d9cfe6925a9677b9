"""Loads the checks of this repository, where caffe-pylayer is not installed."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
pytest_plugins = ["caffe_pylayer.checks.pytest_plugin"]
