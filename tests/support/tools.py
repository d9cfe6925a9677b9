"""Programs that tests need."""

import os
import shutil

import pytest


def need(program):
    """A machine without the program skips its tests, CI must have it."""
    if shutil.which(program) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{program} is not installed"
        )
    return program
