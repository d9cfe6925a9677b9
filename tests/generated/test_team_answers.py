"""author, license, header, github_actions, and the command in the README that repeats them all."""

import ast
import shlex
import subprocess
import sys

import pytest
import yaml

from support.project import PROJECT

HEADER = "Copyright 2026 Jürg 李\n  All rights reserved.\n\nSee LICENSE."
COMMENTS = "# Copyright 2026 Jürg 李\n#   All rights reserved.\n#\n# See LICENSE.\n\n"
CODING = "# -*- coding: utf-8 -*-\n"
ANSWERS = {
    "layer_name": "crit",
    "layer_kind": "loss",
    "bottoms": "scores,label",
    "param_str_keys": "s='it\\'s `ü` $HOME', x=1",
    "author": 'Jürg "J" 李',
    "license": "BSD-2-Clause",
    "header": HEADER,
    "github_actions": "yes",
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


def without_readme(folder):
    return {file: text for file, text in files(folder).items() if file != "README.md"}


def below_header(text, header):
    """A text with the header on top, or below its #! line."""
    start = text.index("\n") + 1 if text.startswith("#!") else 0
    return text[:start] + header + text[start:]


def test_header_stands_on_top_of_every_source_file(bake, layer):
    without = files(bake(**{**ANSWERS, "header": ""}))
    for file, text in files(layer).items():
        if file in ("README.md", ".dockerignore"):
            assert COMMENTS not in text
        else:
            assert text == below_header(
                without[file], CODING * file.endswith(".py") + COMMENTS
            )
            assert not file.endswith(".py") or ast.get_docstring(ast.parse(text))


def test_an_ascii_header_needs_no_coding(bake, plain):
    found = without_readme(bake(layer_name="crit", header="Copyright us"))
    for file, text in without_readme(plain).items():
        if file.endswith(".py"):
            assert found[file] == below_header(text, "# Copyright us\n\n")


def test_a_layer_with_a_header_passes_its_own_tests(layer, own_tests):
    for engine in ("real", "standin"):
        found = own_tests(engine, layer)
        assert (found.exit_code, found.red) == (0, []), found.output


def test_scripts_with_a_header_run(layer, with_caffe, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text('layer { name: "in" type: "Input" top: "a" top: "b" }\n')
    script = f". {layer}/activate.sh; python2.7 {layer}/tools/splice.py net.prototxt "
    script += (
        "--after a --bottom b --in-place && python2.7 -c 'import sys; print(sys.path)'"
    )
    done = with_caffe(
        layer, "--bind", str(tmp_path), "sh", "-c", f"cd {tmp_path}; {script}"
    )
    assert done.returncode == 0 and str(layer) in done.stdout, done.stderr
    assert 'layer: "CritLayer"' in net.read_text()


def test_author_and_license_stand_in_the_readme_and_the_module(layer):
    assert (
        'Written by Jürg "J" 李. License: BSD-2-Clause.\n'
        in (layer / "README.md").read_text()
    )
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse((layer / "crit.py").read_text()).body
        if isinstance(node, ast.Assign)
    }
    assert values == {
        "__author__": ANSWERS["author"],
        "__license__": ANSWERS["license"],
    }


def test_without_answers_nothing_is_there(plain):
    found = files(plain)
    assert not [file for file in found if "github" in file]
    assert (
        "__author__" not in found["crit.py"] and "Written by" not in found["README.md"]
    )


def test_workflow_runs_what_the_dockerfile_says(layer):
    workflow = yaml.safe_load(
        (layer / ".github" / "workflows" / "tests.yml").read_text()
    )
    assert set(workflow) == {
        "name",
        True,
        "permissions",
        "jobs",
    }  # YAML 1.1 takes on for True
    steps = workflow["jobs"]["tests"]["steps"]
    said = (layer / "Dockerfile").read_text()
    assert [step["run"] for step in steps[1:]] == [
        "docker build -t crit .",
        "docker run --rm crit",
    ]
    assert all(f"#     {step['run']}\n" in said for step in steps[1:])


def test_workflow_has_the_form_that_github_wants(layer):
    command = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    workflow = layer / ".github" / "workflows" / "tests.yml"
    done = subprocess.run(
        [sys.executable, "-m", *command, workflow], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    wrong = workflow.read_text().replace("runs-on", "runs_on")
    done = subprocess.run(
        [sys.executable, "-m", *command, "-"],
        input=wrong,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1


@pytest.mark.parametrize("fixture", ["plain", "layer"])
def test_command_in_the_readme_makes_the_layer_again(
    request, fixture, config_file, tmp_path
):
    folder = request.getfixturevalue(fixture)
    readme = (folder / "README.md").read_text()
    command = readme.split("made this folder:\n\n```sh\n")[1].split("\n```")[0]
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["cookiecutter", "--no-input", "gh:org/caffe-pylayer"]
    words = [
        sys.executable,
        "-m",
        *words[:2],
        "--config-file",
        config_file,
        PROJECT,
        *words[3:],
    ]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert files(tmp_path / "crit") == files(folder)


def test_readme_names_the_version(layer):
    (line,) = [
        x
        for x in (PROJECT / "cookiecutter.json").read_text().split("\n")
        if "__version" in x
    ]
    assert (
        f"Version {line.split()[1][1:-2]} of the template"
        in (layer / "README.md").read_text()
    )


def test_force_gives_the_header_to_what_is_renewed_and_to_nothing_else(
    bake, config_file, tmp_path
):
    folder = bake(out=tmp_path, **ANSWERS)
    (folder / "crit.py").write_text("mine = 1\n")
    (folder / "tools" / "mine.py").write_text("mine = 2\n")
    (folder / ".github" / "workflows" / "tests.yml").write_text("name: mine\n")
    (folder / "tools" / "splice.py").unlink()
    before = files(folder)
    words = [f"{variable}={answer}" for variable, answer in ANSWERS.items()]
    words[-1] = "github_actions=no"
    command = [sys.executable, "-m", "cookiecutter", str(PROJECT), "--no-input", "-f"]
    command += ["--config-file", str(config_file), *words]
    subprocess.run(command, cwd=tmp_path, check=True)
    after = files(folder)
    assert after.pop("tools/splice.py").startswith(
        f"#!/usr/bin/env python3\n{CODING}{COMMENTS}"
    )
    assert after == before
