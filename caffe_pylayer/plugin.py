"""What pytest loads where caffe-pylayer is installed, in every project.

The checks' own plugin comes after the conftest.py of a project, whose options and
fixtures may have the same names: they win.
"""

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config):
    yield
    early_config.pluginmanager.import_plugin("caffe_pylayer.checks.pytest_plugin")
