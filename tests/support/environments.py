"""Virtual environments into which pip installs the project in a second.

They see the packages of this Python, pip and what the project needs, and a setuptools that is
cached: pip neither makes an environment for each build nor downloads anything.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

SETUPTOOLS = "setuptools==75.3.2"  # builds wheels by itself
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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    cache = cache / "caffe-pylayer"
    folder = cache / SETUPTOOLS.replace("==", "-")
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "setuptools.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            building = Path(tempfile.mkdtemp(dir=cache, prefix="building-setuptools-"))
            pip = [sys.executable, "-m", "pip", "--quiet", "install", "--no-deps"]
            try:
                subprocess.run([*pip, "--target", building, SETUPTOOLS], check=True)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return folder
