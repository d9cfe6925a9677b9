"""Generated layers on Python 2.7, numpy 1.16 and pytest 4.6, with the stand-in.

Python 2.7 is that of the Debian 11 with Caffe; the packages are cached beside it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from generated.test_grid import GRID
from support.project import PROJECT
from template_spec.kinds import KINDS

REQUIREMENTS = PROJECT / "tests" / "support" / "requirements-python2.7.txt"
TARGET = ["--python-version=27", "--abi=cp27mu", "--platform=manylinux1_x86_64"]
KEYS = "x=1, s='größe', margin:float"


@pytest.fixture(scope="session")
def packages():
    """The folder with the packages for Python 2.7, made once for all runs and workers."""
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
                install(building)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return folder


def install(folder):
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


LAYERS = {f"a_{kind}": dict(layer_kind=kind, param_str_keys=KEYS) for kind in KINDS}
LAYERS |= {name: answers for name, answers in GRID.items() if name.endswith("_plain")}


def test_every_kind_and_example_is_green(
    bake, own_tests, with_caffe, packages, tmp_path
):
    for name, answers in LAYERS.items():
        bake(out=tmp_path, layer_name=name, **answers)
    shutil.copytree(PROJECT / "examples", tmp_path / "examples")
    pytest_27 = ["python2.7", "-B", "-m", "pytest", "-p", "no:cacheprovider"]
    result = with_caffe(
        tmp_path,
        "--bind",
        str(packages),
        *pytest_27,
        *LAYERS,
        "examples",
        PYTHONPATH=str(packages),
        CAFFE_ENGINE="standin",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Python 2.7" in result.stdout and "pytest-4.6" in result.stdout
    assert "numpy stand-in" in result.stdout
    assert f" {len(own_tests('standin', tmp_path))} passed" in result.stdout
