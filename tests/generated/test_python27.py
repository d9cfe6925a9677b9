"""Generated layers on Python 2.7, numpy 1.16 and pytest 4.6, with the stand-in.

Python 2.7 is that of the Debian 11 with Caffe; the packages are cached beside it.
"""

import re
import shutil

from support.grid import GRID
from support.project import PROJECT, WHOLE
from template_spec.kinds import KINDS

KEYS = "x=1, s='größe', margin:float"
LAYERS = {f"a_{kind}": dict(layer_kind=kind, param_str_keys=KEYS) for kind in KINDS}
if WHOLE:
    LAYERS |= {name: GRID[name] for name in GRID if re.search("_[03]_3_plain", name)}


def test_every_kind_and_example_is_green(
    bake, own_tests, with_caffe, packages, tmp_path
):
    """Every other layer has its checks copied, the others and the examples have them installed."""
    for i, (name, answers) in enumerate(LAYERS.items()):
        checks = ("copied", "installed")[i % 2]
        bake(out=tmp_path, layer_name=name, checks=checks, **answers)
    ours = shutil.ignore_patterns("conftest.py", "pytest.ini")
    shutil.copytree(PROJECT / "examples", tmp_path / "examples", ignore=ours)
    command = ["--bind", packages, "--bind", PROJECT, "python2.7", "-B", "-m", "pytest"]
    command += ["-p", "no:cacheprovider", "-p", "caffe_pylayer.plugin"]
    result = with_caffe(
        tmp_path,
        *command,
        *LAYERS,
        "examples",
        PYTHONPATH=f"{packages}:{PROJECT}",
        CAFFE_ENGINE="standin",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Python 2.7" in result.stdout and "pytest-4.6" in result.stdout
    assert "numpy stand-in" in result.stdout
    here = own_tests("standin", tmp_path, "--collect-only", installed=True).output
    count = re.search(r"(\d+) tests collected", here)[1]
    assert f"= {count} passed" in result.stdout
