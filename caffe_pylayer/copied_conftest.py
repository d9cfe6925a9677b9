# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see harness/
# ruff: noqa
"""Loads the checks in harness/: pytest's fixture `check`, and its options."""

import importlib
import os
import re
import sys
import types

TESTS = os.path.dirname(os.path.abspath(__file__))


def load_plugin():
    """Return harness/pytest_plugin.py, in a package of this layer's own.

    All layers in one pytest have a harness/, of different versions.
    """
    package = types.ModuleType("harness_of" + re.sub(r"\W", "_", TESTS))
    package.__path__ = [os.path.join(TESTS, "harness")]
    sys.modules[package.__name__] = package
    return importlib.import_module(package.__name__ + ".pytest_plugin")


plugin = load_plugin()
check = plugin.check
pytest_addoption = plugin.pytest_addoption
pytest_collection_modifyitems = plugin.pytest_collection_modifyitems
pytest_configure = plugin.pytest_configure
pytest_generate_tests = plugin.pytest_generate_tests
pytest_report_collectionfinish = plugin.pytest_report_collectionfinish
