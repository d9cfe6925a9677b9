"""_author, _license and _header, and the command in the README that repeats all answers."""

import ast
import shlex
import subprocess
import sys

import pytest
import yaml

from caffe_pylayer import __version__
from local_extensions import command
from support.project import PROJECT
from support.ways_in import DEFAULTS

HEADER = "Copyright 2026 Jürg 李\n  All rights reserved.\n\nSee LICENSE."
COMMENTS = "# Copyright 2026 Jürg 李\n#   All rights reserved.\n#\n# See LICENSE.\n\n"
CODING = "# -*- coding: utf-8 -*-\n"
ANSWERS = {
    "layer_name": "crit",
    "layer_kind": "loss",
    "bottoms": "scores,label",
    "param_str_keys": "s='it\\'s `ü` $HOME', x=1",
    "_author": 'Jürg "J" 李',
    "_license": "BSD-2-Clause",
    "_header": HEADER,
}
OWNED = {  # what the author owns, and edits
    "crit.py",
    "crit.prototxt",
    "tests/test_crit.py",
    "example/train_val.prototxt",
    "example/solver.prototxt",
}


@pytest.fixture(scope="module")
def plain(bake):
    return bake(layer_name="crit")


@pytest.fixture(scope="module")
def layer(bake):
    return bake(**ANSWERS)


def files(folder):
    paths = [
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
    ]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_header_stands_on_what_the_author_owns_and_on_nothing_else(bake, layer):
    without, found = files(bake(**{**ANSWERS, "_header": ""})), files(layer)
    assert OWNED < found.keys() == without.keys()
    for file in OWNED:
        coding = CODING * file.endswith(".py")
        assert found[file] == coding + COMMENTS + without[file]
        assert not coding or ast.get_docstring(ast.parse(found[file]))
    changed = {file for file in found if found[file] != without[file]}
    assert changed == OWNED | {"README.md"}  # which has the command
    assert COMMENTS not in found["README.md"]


def test_copied_checks_are_byte_for_byte_ours(layer):
    package = PROJECT / "caffe_pylayer"
    names = {path.name for path in (package / "checks").glob("*.py")}
    copies = layer / "tests" / "harness"
    assert {path.name for path in copies.iterdir()} == names
    for name in names:
        original = package / "checks" / name
        assert (copies / name).read_bytes() == original.read_bytes()
    conftest = (layer / "tests" / "conftest.py").read_bytes()
    assert conftest == (package / "copied_conftest.py").read_bytes()


def test_an_ascii_header_needs_no_coding(bake, plain):
    found, without = (
        files(bake(layer_name="crit", _header="Copyright us")),
        files(plain),
    )
    for file in OWNED:
        assert found[file] == "# Copyright us\n\n" + without[file]


@pytest.mark.parametrize("engine", ["real", "standin"])
def test_a_layer_with_a_header_passes_its_own_tests(layer, own_tests, engine):
    found = own_tests(engine, layer)
    assert (found.exit_code, found.red) == (0, []), found.output


def test_author_and_license_stand_in_the_module(layer, plain):
    values = {
        node.targets[0].id: node.value
        for node in ast.parse((layer / "crit.py").read_text()).body
        if isinstance(node, ast.Assign)
    }
    assert values.keys() == {"__author__", "__license__", "PARAMS"}
    assert ast.literal_eval(values["__license__"]) == "BSD-2-Clause"
    assert "BSD-2-Clause" in (layer / "README.md").read_text()
    assert "__author__" not in (plain / "crit.py").read_text()


def test_from_a_config_file(config_file, tmp_path):
    context = {name: ANSWERS[name] for name in ("_author", "_license", "_header")}
    config = {**yaml.safe_load(config_file.read_text()), "default_context": context}
    (tmp_path / "team.yaml").write_text(yaml.dump(config))
    words = ["--no-input", "--config-file", "team.yaml", str(PROJECT)]
    run = [sys.executable, "-m", "cookiecutter", *words]
    subprocess.run(run, cwd=tmp_path, check=True)
    module = (tmp_path / "my_layer" / "my_layer.py").read_text()
    assert module.startswith(CODING + COMMENTS) and "__author__ = " in module


@pytest.mark.parametrize("fixture", ["plain", "layer"])
def test_command_in_the_readme_makes_the_layer_again(
    request, fixture, config_file, tmp_path
):
    folder = request.getfixturevalue(fixture)
    readme = (folder / "README.md").read_text()
    (text,) = [part for part in readme.split("```") if part.startswith("sh\ncookiecut")]
    words = shlex.split(text[2:].replace("\\\n", " "))
    assert words[:3] == ["cookiecutter", "--no-input", "gh:org/caffe-pylayer"]
    options = ["--config-file", config_file, PROJECT]
    run = [sys.executable, "-m", *words[:2], *options, *words[3:]]
    subprocess.run(run, cwd=tmp_path, check=True)
    assert files(tmp_path / "crit") == files(folder)


def test_readme_names_the_version(layer):
    assert f"caffe-pylayer {__version__}" in (layer / "README.md").read_text()


@pytest.mark.parametrize(
    "template, shown",
    [
        ("gh:us/caffe-pylayer", "gh:us/caffe-pylayer"),
        ("https://git.example/a/b.git", "https://git.example/a/b.git"),
        ("https://me:s3cret@git.example/a.git", "https://git.example/a.git"),
        ("https://s3cret@git.example:8443/a", "https://git.example:8443/a"),
        ("https://me:s3%40cr@et@git.example/a", "https://git.example/a"),
        ("https://me:s3/cret@git.example/a", "gh:org/caffe-pylayer"),
        ("https://git.example/a?token=s3cret", "gh:org/caffe-pylayer"),
        ("https://git.example/a#s3cret", "gh:org/caffe-pylayer"),
        ("ssh://git@git.example/a", "ssh://git@git.example/a"),
        ("ssh://git:s3cret@git.example/a", "ssh://git.example/a"),
        ("ssh://me:s3cret@git.example/a", "ssh://git.example/a"),
        ("git@git.example:a/b.git", "git@git.example:a/b.git"),
        ("me:s3cret@git.example:a/b.git", "gh:org/caffe-pylayer"),
        ("/home/s3cret/caffe-pylayer", "gh:org/caffe-pylayer"),
    ],
)
def test_command_shows_the_template_without_credentials(template, shown):
    words = command({**DEFAULTS, "_template": template})
    assert words[0] == f"cookiecutter --no-input {shown}"
    assert "s3" not in words[0]
