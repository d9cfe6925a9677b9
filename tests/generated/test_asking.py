"""At the prompts a refused answer is asked again; on the command line a name must be known."""

import os
import pty
import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner
from cookiecutter.cli import main

from support.project import PROJECT
from support.ways_in import PROMPTS


@pytest.fixture
def run(tmp_path, config_file):
    """run(...) is what cookiecutter's command line gives in tmp_path/out."""

    def run(*arguments, typed=None):
        (tmp_path / "out").mkdir(exist_ok=True)
        options = ["-o", str(tmp_path / "out"), "--config-file", str(config_file)]
        return CliRunner().invoke(
            main, [str(PROJECT), *options, *arguments], input=typed
        )

    return run


def lines(**answers):
    return "".join(f"{answers.get(variable, '')}\n" for variable in PROMPTS)


@pytest.mark.parametrize(
    "bad, good",
    [
        ({"layer_name": "Foo"}, "my_layer"),
        ({"layer_class": "1"}, "Mine"),
        ({"layer_kind": "Loss"}, "loss"),
        ({"bottoms": "x y"}, "x,y"),
        ({"tops": "1.5"}, "1"),
        ({"param_str_keys": "x=mean"}, "x='mean'"),
        ({"checks": "no"}, "installed"),
    ],
    ids=str,
)
def test_a_refused_answer_is_asked_again(run, tmp_path, bad, good):
    ((variable, answer),) = bad.items()
    typed = lines(**{variable: f"{answer}\n{good}"})
    result = run(typed=typed)
    assert result.exit_code == 0, result.output
    number = f"[{PROMPTS.index(variable) + 1}/{len(PROMPTS)}]"
    before, after = re.split(rf"\b{variable}: ", result.output, maxsplit=1)
    assert before.count(number) == after.count(number) == 1
    assert "; try " in after.splitlines()[0]
    readme = (tmp_path / "out" / "my_layer" / "README.md").read_text()
    assert shlex.quote(f"{variable}={good}") in readme


def test_it_is_asked_until_it_is_good(run, tmp_path):
    result = run(typed=lines(layer_name="A\nB\nnumpy\ngood"))
    assert result.exit_code == 0, result.output
    assert result.output.count("[1/7]") == 4
    assert os.listdir(tmp_path / "out") == ["good"]


def test_enter_takes_what_is_proposed(run, tmp_path):
    """The default, where the message proposes several answers or none."""
    bad = {
        "layer_name": "MyLoss",
        "layer_kind": "Loss",
        "bottoms": "x y",
        "tops": "x,x",
    }
    bad["param_str_keys"] = "x="
    result = run(typed=lines(**{name: f"{text}\n" for name, text in bad.items()}))
    assert result.exit_code == 0, result.output
    defaults = "my_layer my_loss MyLossLayer identity loss 2 2 1 1 copied".split()
    assert re.findall(r"\((\w+)\):", result.output) == defaults
    assert "layer_kind=loss" in (tmp_path / "out/my_loss/README.md").read_text()


def test_the_end_of_the_answers_is_exit_code_1(run, tmp_path):
    result = run(typed="A\n")
    assert result.exit_code == 1 and result.output.endswith("Aborted!\n")
    assert os.listdir(tmp_path / "out") == []


def test_where_nobody_types_it_is_refused(run):
    result = run("--no-input", "layer_kind=Loss", typed=lines())
    assert result.exit_code == 1
    assert result.output == (
        "layer_kind: 'Loss' is none of identity, loss, learnable, data, metric; try loss\n"
    )


def test_what_is_not_asked_is_refused_at_prompts_too(run, tmp_path):
    result = run("_author=a\x07b", typed=lines())
    assert result.exit_code == 1
    assert result.output.startswith("_author: ") and result.output.count("\n") == 1


def test_in_a_terminal(tmp_path, config_file):
    """The second prompt has no default: Enter does not bring the refused answer back."""
    command = [sys.executable, "-m", "cookiecutter", str(PROJECT), "-o", str(tmp_path)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command, "--config-file", str(config_file), "layer_name=Foo"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
    )
    os.close(theirs)
    os.write(ours, ("\nfoo\n" + "\n" * 6).encode())
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:  # how Linux says that the other end is closed
        pass
    assert process.wait(timeout=30) == 0, seen
    assert b"layer_name: 'Foo' is not snake_case" in seen
    assert (tmp_path / "foo").is_dir()


@pytest.mark.parametrize(
    "given, nearest",
    [
        ("kind=loss", "layer_kind=loss"),
        ("bottom=a,b", "bottoms=a,b"),
        ("top=1", "tops=1"),
        ("name=x", "layer_name=x"),
        ("Layer_Name=x", "layer_name=x"),
        ("author=me", "_author=me"),
        ("header=me", "_header=me"),
        ("__layer_name=x", "layer_name=x"),
        ("__tops=", "tops="),
    ],
)
def test_unknown_names_on_the_command_line_are_refused(run, tmp_path, given, nearest):
    result = run("--no-input", given)
    assert result.exit_code == 1
    name = given.split("=")[0]
    assert result.output == f"{name}: there is no such variable; try {nearest}\n"
    assert os.listdir(tmp_path / "out") == []


def test_unknown_names_in_a_config_file_are_of_other_templates(run, tmp_path):
    config = f"replay_dir: {tmp_path}/r\ndefault_context:\n  kind: loss\n"
    (tmp_path / "other.yaml").write_text(config)
    result = run("--no-input", "--config-file", str(tmp_path / "other.yaml"))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("accept", ["no", "ask"])
def test_checks_are_not_copied_without_hooks(run, tmp_path, accept):
    result = run("--no-input", "--accept-hooks", accept, typed="y\n")
    assert result.exit_code == 1
    assert f"checks: a hook copies them, and --accept-hooks {accept}" in result.output
    assert result.output.endswith("; take that option away, or try checks=installed\n")
    assert os.listdir(tmp_path / "out") == []
    result = run(
        "--no-input", "--accept-hooks", accept, "checks=installed", typed="y\n"
    )
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "out" / "my_layer" / "tests" / "harness").exists()
