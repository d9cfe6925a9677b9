"""The packages for the Python 2.7 of the Debian 11 with Caffe: numpy 1.16 and pytest 4.6."""

import hashlib
import subprocess
import sys
import tarfile

from support.cache import made_once
from support.project import PROJECT

REQUIREMENTS = PROJECT / "tests" / "support" / "requirements-python2.7.txt"
TARGET = ["--python-version=27", "--abi=cp27mu", "--platform=manylinux1_x86_64"]


def packages():
    """Return the folder with the packages for Python 2.7, made once for all runs and workers."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return made_once(f"python2.7-{digest}", _install)


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
