"""A team's repository, whole: made, six layers added, tested, cloned, updated; on real engines.

git and pip take the address of the project from a repository beside it, in two versions.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import caffe_pylayer
from support import environments
from support.project import PROJECT, usually
from support.tools import need
from template_spec.kinds import KINDS

LAYERS = [
    *(f"name=a_{kind} kind={kind}" for kind in KINDS),
    "name=focal_loss kind=loss bottoms=scores,label",
]
VERSION = caffe_pylayer.__version__
NEWER = "99.0.0"
FINDS_MORE = """
def check_never(subject):
    raise CheckFailed("found by the next version")


CHECKS = (
    ("never", check_never, always, FAULT),"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """git, to which the project's address is a folder, and a venv with what the project needs."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "gitconfig").write_text(
        f'[url "file://{folder}/caffe-"]\n'
        "    insteadOf = https://github.com/org/caffe-\n"
        "[user]\n    name = team\n    email = team@localhost\n[advice]\n    detachedHead = false\n"
    )
    programs = environments.make(folder / "venv")
    variables = {name: text for name, text in os.environ.items() if name[:4] != "GIT_"}
    path = [programs, Path(sys.executable).parent, os.environ["PATH"]]
    return folder, {
        **variables,
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "file",
        "HOME": str(folder),
        "PATH": ":".join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CAFFE_ENGINE": "standin",
        "PYTEST_ADDOPTS": os.environ["PYTEST_ADDOPTS"] + " -p no:cacheprovider",
    }


@pytest.fixture(scope="module")
def run(environment):
    """run(folder, words) is what a shell prints, and must succeed, or must not."""
    _, variables = environment

    def run(folder, words, succeeds=True):
        done = subprocess.run(
            ["bash", "-c", words],
            cwd=folder,
            env={**variables, "PWD": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode == 0) == succeeds, f"{words}:\n{done.stdout}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def upstream(environment, run):
    """The project in git, as the address gives it: this version and a newer one."""
    need("git")
    folder, _ = environment
    project = folder / "caffe-pylayer"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, check=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for file in files:
        if (
            file
            and (PROJECT / file).exists()
            and not file.startswith(("tests/", "docs/"))
        ):
            (project / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / file, project / file, follow_symlinks=False)
    (folder / "caffe-pylayer.git").symlink_to(project)
    commit = "git add -A && git commit -qm next && git tag"
    run(project, f"git init -qb main && {commit} v{VERSION}")
    for name, old, new in (
        ("__init__.py", f'"{VERSION}"', f'"{NEWER}"'),
        ("checks/checks.py", "\nCHECKS = (", FINDS_MORE),
    ):
        file = project / "caffe_pylayer" / name
        assert file.read_text().count(old) == 1
        file.write_text(file.read_text().replace(old, new))
    run(project, f"{commit} v{NEWER} && git checkout -q v{VERSION}")
    return project


@pytest.fixture(scope="module")
def team(environment, run, upstream):
    """The team's repository with six layers."""
    folder, _ = environment
    answers = "repository=vision-layers author='Vision Group'"
    make = "cookiecutter --no-input gh:org/caffe-pylayer --directory team"
    run(folder, f"{make} --checkout v{VERSION} {answers}")
    team = folder / "vision-layers"
    run(team, "git init -q && pip install -q .")
    for layer in LAYERS:
        run(team, f"make layer {layer}")
    run(team, "git add -A && git commit -qm 'Six layers'")
    return team


def test_it_is_small(team, run):
    files = run(team, "git ls-files").splitlines()
    assert len(files) <= 80
    assert sum(len((team / file).read_text().splitlines()) for file in files) <= 3000


def test_layers_have_what_the_team_has_in_common(team):
    for layer in LAYERS:
        name = re.search("name=(\\w+)", layer)[1]
        module = (team / "layers" / name / f"{name}.py").read_text()
        assert module.startswith("# Copyright Vision Group. See LICENSE.\n")
        assert '__author__ = "Vision Group"\n__license__ = "BSD-2-Clause"\n' in module
        assert not (team / "layers" / name / "tests" / "harness").exists()
    assert "Vision Group" in (team / "LICENSE").read_text()


def test_readme_has_a_row_for_each_layer(team):
    table = (
        (team / "README.md")
        .read_text()
        .split("<!-- layers -->")[1]
        .split("<!-- end -->")[0]
    )
    assert table.count("\n| [") == len(LAYERS)
    assert "[FocalLossLayer](layers/focal_loss/focal_loss.py)" in table
    assert "`batch_size=16`, `samples=960`, `seed=0`" in table


@pytest.mark.parametrize("engine", usually("real"))
def test_one_pytest_tests_all_layers(team, own_tests, engine):
    found = own_tests(engine, team, installed=True)
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len({name.split("[")[0] for name in found}) == len(LAYERS)


def test_audit_and_make_test_are_green(team, run):
    assert "6 layers, 0 findings" in run(team, "caffe-pylayer audit layers")
    assert re.search(r"=== \d+ passed in ", run(team, "make test"))


def test_strict_is_set(team, run):
    clone = team.with_name("advised")
    run(team.parent, f"git clone -q {team} {clone}")
    module = clone / "layers" / "focal_loss" / "focal_loss.py"
    count = re.compile(
        r"        if len\(top\) != 1:\n.*\n(            .*\n            \)\n)?"
    )
    text = module.read_text()
    module.write_text(count.sub("", text))
    assert module.read_text() != text
    assert "advice, red with --strict" in run(
        clone, "python3 -m pytest layers/focal_loss", succeeds=False
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash"])
def test_all_layers_are_activated_at_once(team, run, shell):
    need(shell)
    path = run(team, f"{shell} -c '. ./activate.sh && echo $PYTHONPATH'")
    folders = [Path(folder).name for folder in path.strip().split(":")]
    assert set(folders) == {re.search("name=(\\w+)", layer)[1] for layer in LAYERS}


def test_make_image_takes_another_base(team, run):
    first = run(team, "make -n image ARGS=--build-arg=BASE=debian@sha256:0")
    assert "docker build --build-arg=BASE=debian@sha256:0 -t " in first


def test_workflow_runs_the_image(team):
    workflow = yaml.safe_load(
        (team / ".github" / "workflows" / "layers.yml").read_text()
    )
    steps = workflow["jobs"]["layers"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make image"]
    assert [
        step["with"]["persist-credentials"] for step in steps if "uses" in step
    ] == [False]


@pytest.mark.parametrize(
    "answer, message",
    [
        ("author=", "author: expected a name in one line, got ''; try 'Vision Group'\n"),
        ("repository='a b'", "repository: expected letters, digits, '.', '_' and '-', "
                             "got 'a b'; try caffe-layers\n"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_one_line(run, tmp_path, answer, message):
    make = f"cookiecutter --no-input --directory team {PROJECT}"
    assert run(tmp_path, f"{make} {answer}", succeeds=False) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("license_name", ["BSD-2-Clause", "MIT", "proprietary"])
def test_license_is_the_chosen_one(run, tmp_path, license_name):
    run(
        tmp_path,
        f"cookiecutter --no-input --directory team {PROJECT} license={license_name}",
    )
    text = (tmp_path / "caffe-layers" / "LICENSE").read_text()
    first = {"BSD-2-Clause": "BSD 2-Clause License", "MIT": "MIT License"}
    assert text.startswith(first.get(license_name, "Copyright (c) 20"))
    assert "The authors of caffe-layers" in text and "\n\n\n" not in text
    assert (
        f'_license: "{license_name}"'
        in (tmp_path / "caffe-layers" / "team.yaml").read_text()
    )


def test_a_newer_version_is_one_line(team, run):
    """The last test: it changes what is installed."""
    clone = team.with_name("second")
    run(team.parent, f"git clone -q {team} {clone}")
    run(clone, f"sed -i 's/@v{VERSION}/@v{NEWER}/' pyproject.toml")
    run(clone, "pip install -q --upgrade .")
    said = run(clone, "python3 -m pytest layers/focal_loss", succeeds=False)
    assert "found by the next version" in said
    assert run(clone, "git diff --numstat").split() == ["1", "1", "pyproject.toml"]
