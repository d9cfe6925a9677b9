"""`make new`: a whole layer in OUT, or nothing."""

import itertools
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from support.project import PROJECT, WHOLE


@pytest.fixture
def new(tmp_path, config_file):
    """A function that runs scripts/new, as `make new` does."""
    command = [sys.executable, str(PROJECT / "scripts" / "new")]
    environment = {
        **os.environ,
        "COOKIECUTTER_CONFIG": str(config_file),
        "PWD": str(tmp_path),
    }
    environment["HOME"] = str(tmp_path / "home")

    def run(*arguments, start=subprocess.run, **options):
        if start is subprocess.run:
            options |= {"capture_output": True, "timeout": 60}
        options = {"text": True, "cwd": tmp_path, "env": environment, **options}
        return start([*command, *arguments], **options)

    run.environment = environment
    return run


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_generates_into_out(new, tmp_path):
    result = new("made/here", "--no-input", "layer_name=focal_loss", "layer_kind=loss")
    assert result.returncode == 0, result.stderr
    assert left(tmp_path / "made" / "here") == ["focal_loss"]
    assert "cd made/here/focal_loss && python3 -m pytest" in result.stdout
    assert os.access(tmp_path / "made" / "here" / "focal_loss" / "activate.sh", os.X_OK)


def test_tilde_is_the_home_folder(new, tmp_path):
    (tmp_path / "home").mkdir()
    assert new("~/caffe", "--no-input").returncode == 0
    assert left(tmp_path / "home" / "caffe") == ["my_layer"]


def test_asks_the_prompts(new, tmp_path):
    result = new("out", input="smooth_l1\n\nloss\n\n\nsigma=1.0\n\n")
    assert result.returncode == 0, result.stderr
    assert "Kind of layer" in result.stdout
    fragment = (tmp_path / "out" / "smooth_l1" / "smooth_l1.prototxt").read_text()
    assert '"sigma": 1.0' in fragment and "SmoothL1Layer" in fragment


def test_existing_layer_is_left_alone(new, tmp_path):
    (tmp_path / "out" / "my_layer").mkdir(parents=True)
    (tmp_path / "out" / "my_layer" / "mine").write_text("mine")
    result = new("out", "--no-input")
    assert result.returncode == 1
    assert result.stderr == (
        "make new: out/my_layer exists already and is left as it is; take another name\n"
    )
    assert result.stdout == ""
    assert left(tmp_path / "out") == ["my_layer"]
    assert left(tmp_path / "out" / "my_layer") == ["mine"]


def test_refused_answer_leaves_nothing(new, tmp_path):
    result = new("out", "--no-input", "layer_name=Focal")
    assert result.returncode == 1
    assert result.stdout.startswith("layer_name: 'Focal' is not snake_case")
    assert left(tmp_path / "out") == []


@pytest.mark.parametrize("size", [10, 4000, 9000])
def test_full_disk_leaves_nothing(new, tmp_path, size):
    """A limit on the size of files makes some write fail, as a full disk does."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    result = new("out", "--no-input", preexec_fn=limit)
    assert result.returncode == 1
    assert re.fullmatch("(make new|cannot copy the checks): .*\n", result.stderr)
    assert "Traceback" not in result.stdout
    assert left(tmp_path / "out") == []


SIGNALS = [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize("sent, code", SIGNALS)
@pytest.mark.parametrize("typed", ["", "focal_loss\n\nloss\n1\n"])
def test_interrupt_leaves_nothing(new, tmp_path, sent, code, typed):
    process = new(
        "out",
        start=subprocess.Popen,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(typed)
    process.stdin.flush()
    seen = ""
    wanted = "Tops" if typed else "[1/7]"
    stuck = threading.Timer(30, process.kill)  # or else reading would wait for ever
    stuck.start()
    while wanted not in seen and (character := process.stdout.read(1)):
        seen += character
    stuck.cancel()
    process.send_signal(sent)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert errors == "make new: interrupted, nothing is left behind\n"
    assert left(tmp_path / "out") == []


# Has Python wait, once, before it opens or makes the next file when a certain one is there.
WAITS = """
import glob, sys, time

def look(event, _):
    if waits and event in ("open", "os.mkdir") and glob.glob(FILE):
        waits.clear()
        open(WAITING, "w").close()
        time.sleep(30)

waits = [True]
sys.addaudithook(look)
"""


PLACES = ["my_layer", "my_layer/README.md", "my_layer/tests/*"]
# Each signal and each place once; with WHOLE=yes each signal at each place.
BOTH = itertools.product if WHOLE else zip
MOMENTS = 8 if WHOLE else 4


@pytest.mark.parametrize("signal_and_code, file", [*BOTH(SIGNALS, PLACES)])
def test_two_signals_while_files_are_written_leave_nothing(
    new, tmp_path, signal_and_code, file
):
    sent, code = signal_and_code
    waiting = tmp_path / "waiting"
    text = WAITS.replace("FILE", repr(f"{tmp_path}/out/.caffe-*/{file}"))
    text = text.replace("WAITING", repr(str(waiting)))
    (tmp_path / "sitecustomize.py").write_text(text)
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    options["env"] = {**new.environment, "PYTHONPATH": str(tmp_path)}
    process = new("out", "--no-input", start=subprocess.Popen, **options)
    deadline = time.monotonic() + 30
    while not waiting.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode in (code, 130)
    assert errors == "make new: interrupted, nothing is left behind\n"
    assert left(tmp_path / "out") == []


def test_a_signal_at_any_moment_leaves_a_whole_layer_or_nothing(new, tmp_path):
    whole = tmp_path / "whole"
    took = time.monotonic()
    assert new(str(whole), "--no-input").returncode == 0
    took = time.monotonic() - took
    files = sorted(str(path.relative_to(whole)) for path in whole.rglob("*"))
    codes = set()
    for i in range(1, 10 * MOMENTS):  # until one is whole before the signal
        out = tmp_path / str(i)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = new(str(out), "--no-input", start=subprocess.Popen, **quiet)
        time.sleep(took * i / MOMENTS)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        codes.add(process.returncode)
        found = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
        assert found in {0: [files], 143: [[]], -15: [files, []]}[process.returncode]
        if process.returncode == 0:
            break
    assert {0} < codes


def test_unwritable_out_is_one_line(new):
    result = new("/proc/out", "--no-input")
    assert result.returncode == 1
    assert (
        result.stderr.startswith("make new: ") and len(result.stderr.splitlines()) == 1
    )


def test_unknown_option_is_one_line(new, tmp_path):
    result = new("out", "--no-imput")
    assert result.returncode == 2
    assert (
        result.stderr.startswith("make new: No such option")
        and left(tmp_path / "out") == []
    )


def test_help(new):
    result = new("--help")
    assert result.returncode == 0 and "OUT" in result.stdout
    assert new().returncode == 2


@pytest.fixture
def make(tmp_path, config_file):
    """A function that runs `make new` with this Python in place of .venv."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "venv" / "new").touch()

    def run(*arguments):
        command = ["make", "--no-print-directory", "-C", str(PROJECT), "new"]
        command += [f"VENV={tmp_path}/venv", f"OUT={tmp_path}/out", *arguments]
        command += ["-o", f"{tmp_path}/venv/new"]
        environment = {**os.environ, "COOKIECUTTER_CONFIG": str(config_file)}
        environment.pop("MAKEFLAGS", None)
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60
        )

    return run


def test_makes_variables_are_answers(make, tmp_path):
    keys = "s='it\\'s a \"b\"', x=1"
    given = [
        "layer_name=x",
        "layer_kind=loss",
        "bottoms=a, b",
        f"param_str_keys={keys}",
    ]
    result = make("ARGS=--no-input", *given)
    assert result.returncode == 0, result.stderr
    fragment = (tmp_path / "out" / "x" / "x.prototxt").read_text()
    assert 'bottom: "a"\n  bottom: "b"\n' in fragment and "loss_weight" in fragment
    assert r"""'{"s": "it\'s a \\"b\\"", "x": 1}'""" in fragment


def test_an_unknown_variable_of_make_is_refused(make, tmp_path):
    result = make("ARGS=--no-input", "kind=loss")
    assert result.returncode != 0
    assert result.stdout == "kind: there is no such variable; try layer_kind=loss\n"
    assert left(tmp_path / "out") == []


def test_answers_among_the_arguments(make, tmp_path):
    result = make("ARGS=--no-input layer_name=focal_loss layer_kind=loss")
    assert result.returncode == 0, result.stderr
    assert left(tmp_path / "out") == ["focal_loss"]
