"""The packages for the Python 2.7 of the Debian 11 with Caffe: numpy 1.16 and pytest 4.6."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from support.project import PROJECT

REQUIREMENTS = PROJECT / "tests" / "support" / "requirements-python2.7.txt"
TARGET = ["--python-version=27", "--abi=cp27mu", "--platform=manylinux1_x86_64"]


def packages():
    """Return the folder with the packages for Python 2.7, made once for all runs and workers."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        / "caffe-pylayer"
    )
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = cache / f"python2.7-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "python2.7.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            building = Path(tempfile.mkdtemp(dir=cache, prefix="building-python2.7-"))
            try:
                _install(building)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return folder


def _install(folder):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    only = [
        "--only-binary=:all:",
        "--implementation=cp",
        "--no-deps",
        "--target",
        str(folder),
    ]
    subprocess.run(
        [*pip, "install", *TARGET, *only, "-r", str(REQUIREMENTS)], check=True
    )
    source = [
        "--no-deps",
        "--no-binary=:all:",
        "--dest",
        str(folder),
        "scandir==1.10.0",
    ]
    subprocess.run([*pip, "download", *source], check=True)
    (archive,) = folder.glob("scandir-*.tar.gz")
    with tarfile.open(archive) as tar:
        member = next(name for name in tar.getnames() if name.endswith("/scandir.py"))
        (folder / "scandir.py").write_bytes(tar.extractfile(member).read())
