"""cookiecutter before 2.6: one line says what is needed, nothing is asked and nothing written.

Debian 12 packages 1.7. The old versions are cached, each with what it needs beyond a new one.
"""

import hashlib
import os
import subprocess
import sys

import pytest

from support.cache import made_once
from support.project import PROJECT

FIRST = "2.6.0"  # that is new enough
PACKAGES = {
    "1.7.3": ["jinja2-time==0.2.0", "poyo==0.5.0", "six==1.17.0"],
    "2.1.1": ["jinja2-time==0.2.0"],
    "2.5.0": [],
    FIRST: [],
}
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
# 1.7 cannot load a module of a template, so that the name of one has to say it.
LINES = {
    "1.7.3": "Unable to load extension: No module named 'needs_cookiecutter_2_6'",
    **{
        version: f"caffe-pylayer needs cookiecutter 2.6 or newer, this is {version}: "
        "pip install --upgrade cookiecutter"
        for version in ("2.1.1", "2.5.0")
    },
}
API = (
    "import sys; from cookiecutter.main import cookiecutter; cookiecutter(sys.argv[1])"
)


@pytest.fixture(scope="session")
def versions():
    """The folder with the old versions, made once for all runs and workers."""

    def install(folder):
        for version, others in PACKAGES.items():
            target = ["--no-deps", "--target", str(folder / version)]
            subprocess.run(
                [*PIP, *target, f"cookiecutter=={version}", *others], check=True
            )

    digest = hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]
    return made_once(f"old-cookiecutter-{digest}", install)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def python(versions, here):
    """python(version, ...) runs Python with that cookiecutter in the empty folder `here`."""

    def run(version, *arguments, typed=""):
        environment = {**os.environ, "HOME": str(here.parent)}
        environment["PYTHONPATH"] = str(versions / version)
        environment.pop("COOKIECUTTER_CONFIG", None)
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=here,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("version", LINES)
@pytest.mark.parametrize("options", [["--no-input"], []], ids=str)
def test_one_line_instead_of_prompts(python, here, version, options):
    done = python(
        version, "-m", "cookiecutter", str(PROJECT), *options, typed="a_layer\n" * 9
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, LINES[version] + "\n", "")
    assert os.listdir(here) == []


@pytest.mark.parametrize("version", ["2.1.1", "2.5.0"])
def test_one_line_instead_of_a_replay(python, here, bake, config_file, version):
    bake()
    replay = config_file.with_name("replay") / f"{PROJECT.name}.json"
    done = python(
        version, "-m", "cookiecutter", str(PROJECT), "--replay-file", str(replay)
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, LINES[version] + "\n", "")
    assert os.listdir(here) == []


@pytest.mark.parametrize("version", LINES)
def test_the_api_raises_it(python, here, version):
    done = python(version, "-c", API, str(PROJECT))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f": {LINES[version]}")
    assert os.listdir(here) == []


def test_the_first_that_is_new_enough_generates_the_same(python, here, bake):
    answers = {
        "layer_name": "focal_loss",
        "layer_kind": "loss",
        "param_str_keys": "gamma=2.0",
    }
    given = [f"{name}={answer}" for name, answer in answers.items()]
    done = python(FIRST, "-m", "cookiecutter", str(PROJECT), "--no-input", *given)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(here / "focal_loss") == files(bake(**answers))


def files(folder):
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }
