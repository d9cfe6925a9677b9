"""Virtual environments into which pip installs the project in a second.

They see the packages of this Python, pip and what the project needs, and a setuptools that is
cached: pip neither makes an environment for each build nor downloads anything.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from support.cache import made_once

SETUPTOOLS = "setuptools==75.3.2"  # builds wheels by itself
# Of pip's variables that begin with PIP_NO_, 0 is the one that says no.
PIP = """#!/bin/sh
export PIP_NO_BUILD_ISOLATION=0 PIP_DISABLE_PIP_VERSION_CHECK=1
exec "${0%/*}/python" -m pip "$@"
"""


def make(folder):
    """Make a virtual environment; return its folder bin, with `python` and `pip`."""
    venv.create(folder)
    (packages,) = Path(folder).glob("lib/python*/site-packages")
    paths = [setuptools(), sysconfig.get_path("purelib")]
    (packages / "ours.pth").write_text("".join(f"{path}\n" for path in paths))
    pip = Path(folder) / "bin" / "pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    return pip.parent


def pip(*arguments):
    """Run pip of this Python, which must succeed."""
    quick = {"PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": str(setuptools())}
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True, env={**os.environ, **quick})


def setuptools():
    """Return the folder with setuptools, made once for all runs and workers."""

    def install(folder):
        pip = [sys.executable, "-m", "pip", "--quiet", "install", "--no-deps"]
        subprocess.run([*pip, "--target", folder, SETUPTOOLS], check=True)

    return made_once(SETUPTOOLS.replace("==", "-"), install)
