"""Copied checks of several versions, installed ones, and projects that have none, in one pytest."""

import os
import shutil
import subprocess
import sys

import pytest

from support import environments
from support.project import PROJECT

LAYERS = {"copied_one": "copied", "copied_two": "copied", "installed_one": "installed"}
UNRELATED_CONFTEST = """
import pytest


def pytest_addoption(parser):
    parser.addoption("--seed", default="ours")


@pytest.fixture
def check(request):
    return request.config.getoption("--seed")
"""
UNRELATED_TEST = """
import sys


def test_unrelated(check):
    assert check == "ours"
    assert not {"numpy", "caffe"} & set(sys.modules)
"""


@pytest.fixture
def folder(bake, tmp_path):
    for name, checks in LAYERS.items():
        bake(out=tmp_path, layer_name=name, checks=checks)
    return tmp_path


@pytest.fixture(scope="session")
def pip_installed(tmp_path_factory):
    """The folder into which pip has installed caffe-pylayer; PYTHONPATH has to name it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        PROJECT / "caffe_pylayer", source / "caffe_pylayer", ignore=unwanted
    )
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, source)
    environments.pip("install", "--no-deps", "--target", target, source)
    return target


def run(folder, *arguments, **environment):
    """pytest with the plugins that are installed, in a process of its own."""
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "CI": "", **environment}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    command += ["-p", "no:hypothesispytest"]  # takes a second, in each process
    environment = {**os.environ, "CAFFE_ENGINE": "standin", **environment}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment
    )


def say(harness, words):
    """Have the check `load` of these checks fail, with words that say whose it is."""
    file = harness / "checks.py"
    text = file.read_text()
    line = '    """The fragment loads as it stands."""\n'
    assert text.count(line) == 1
    file.write_text(text.replace(line, f'{line}    raise CheckFailed("{words}")\n'))


@pytest.mark.parametrize("arguments", [[], ["installed_one", "copied_two"]])
def test_each_layer_has_its_own_checks(folder, own_tests, arguments):
    say(folder / "copied_one" / "tests" / "harness", "one's own check")
    say(folder / "copied_two" / "tests" / "harness", "two's own check")
    found = own_tests("standin", folder, *arguments, installed=True)
    assert found.exit_code == 1
    named = arguments[:1] == ["installed_one"]
    asked_for = {"installed_one", "copied_two"} if named else set(LAYERS)
    assert {name.split("[")[0][len("test_") :] for name in found} == asked_for
    assert found.output.count("one's own check") == (not named)
    assert found.output.count("two's own check") == 1
    assert found["test_installed_one[load]"] == "passed"
    assert found.output.count("caffe: numpy stand-in") == 1


def test_options_reach_all_of_them(folder, own_tests):
    for name in LAYERS:
        module = folder / name / f"{name}.py"
        text = module.read_text()
        assert "= top[0].diff" in text
        module.write_text(text.replace("= top[0].diff", "= 2 * top[0].diff"))
    arguments = ["-k", "gradient", "--seed=5", "--seeds=2"]
    found = own_tests("standin", folder, *arguments, installed=True)
    assert found.red == sorted(f"test_{name}[gradient]" for name in LAYERS)
    assert found.output.count("with --seed=5: ") == len(LAYERS)


def test_copies_alone_need_nothing_installed(folder, own_tests):
    copied = [name for name, checks in LAYERS.items() if checks == "copied"]
    found = own_tests("standin", folder, *copied)
    assert (found.exit_code, found.red) == (0, []), found.output
    assert {name.split("[")[0] for name in found} == {f"test_{c}" for c in copied}


def test_checks_import_nothing_from_outside_their_folder(tmp_path, own_tests, bake):
    """As a copy without the package, and as what numpy and pytest alone are enough for."""
    bake(out=tmp_path)
    script = (
        "import sys\n"
        "def test_modules():\n"
        "    assert not [name for name in sys.modules if name.startswith('caffe_pylayer')]\n"
    )
    (tmp_path / "test_z.py").write_text(script)
    found = own_tests("standin", tmp_path)
    assert (found.exit_code, found.red) == (0, []), found.output
    assert "test_modules" in found and len(found) > 5


def test_a_project_without_layers_sees_nothing_of_it(tmp_path, pip_installed):
    (tmp_path / "conftest.py").write_text(UNRELATED_CONFTEST)
    (tmp_path / "test_unrelated.py").write_text(UNRELATED_TEST)
    found = run(tmp_path, PYTHONPATH=str(pip_installed), CAFFE_ENGINE="real")
    assert found.returncode == 0 and "1 passed" in found.stdout, found.stdout
    header, said = found.stdout.split("collected")
    assert "caffe-pylayer-" in header  # pytest's own list of plugins
    assert "caffe" not in said.lower() + found.stderr and "arning" not in said


def test_pip_installs_the_plugin(folder, pip_installed):
    found = run(folder, "--seeds=2", PYTHONPATH=str(pip_installed))
    assert found.returncode == 0, found.stdout
    assert "caffe-pylayer-" in found.stdout and "caffe: numpy stand-in" in found.stdout
    without = run(folder, "installed_one")
    assert without.returncode == 1 and "fixture 'check' not found" in without.stdout


@pytest.mark.proof
def test_xdist(folder, pip_installed):
    path = str(pip_installed)
    few = ["-n2", "--seeds=2", "-k", "load or gradient"]
    found = run(folder, *few, PYTHONPATH=path)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{2 * len(LAYERS)} passed" in found.stdout
    found = run(folder, "-n2", "--caffe=real", "-k", "shapes", PYTHONPATH=path)
    assert found.returncode == 1 and f"{len(LAYERS)} failed" in found.stdout
    assert "\nreal Caffe was asked for, but import caffe fails" in found.stdout
