"""What pytest loads where caffe-pylayer is installed, in every project.

The checks' own plugin comes after the conftest.py of a project, whose options and
fixtures may have the same names: they win. A conftest.py that wants the checks itself
says pytest_plugins = ["caffe_pylayer.checks.pytest_plugin"].
"""

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config):
    yield
    early_config.pluginmanager.import_plugin("caffe_pylayer.checks.pytest_plugin")
