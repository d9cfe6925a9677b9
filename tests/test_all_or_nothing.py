"""Plain cookiecutter: a layer that is cut short leaves nothing, and -f keeps what was written."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from conftest import PROJECT

AUTHORS = {  # of my_layer, each with an edit
    "my_layer.py": '"""A Caffe Python layer',
    "my_layer.prototxt": "layer {",
    "README.md": "# my_layer",
    "Dockerfile": "FROM ",
    "example/train_val.prototxt": "layer {",
    "example/solver.prototxt": "net:",
    "tests/test_my_layer.py": "def make_bottoms(rng, batch):",
}


@pytest.fixture
def command(config_file):
    begin = [sys.executable, "-m", "cookiecutter", str(PROJECT), "--no-input"]
    return [*begin, "--config-file", str(config_file)]


def files(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def edited(bake, tmp_path):
    """A layer of an earlier day, with edits everywhere; the text of its author's files."""
    folder = bake(out=tmp_path)
    for file, old in AUTHORS.items():
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, "# mine\n" + old, 1))
    (folder / "notes.txt").write_text("mine")
    (folder / "tests" / "harness" / "checks.py").write_text("# of an earlier day\n")
    (folder / "tools" / "splice.py").unlink()
    return folder


def test_force_keeps_what_the_author_wrote_and_renews_the_rest(command, edited, bake):
    before, fresh = files(edited), files(bake())
    done = subprocess.run([*command, "-f"], cwd=edited.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    kept = [*AUTHORS, "notes.txt"]
    assert files(edited) == {**fresh, **{file: before[file] for file in kept}}
    assert f"kept {', '.join(sorted(AUTHORS))}\n" in done.stdout


def test_without_force_nothing_is_touched(command, edited):
    before = files(edited)
    done = subprocess.run(command, cwd=edited.parent, capture_output=True, text=True)
    assert done.returncode == 1 and "already exists" in done.stdout + done.stderr
    assert files(edited) == before


@pytest.mark.parametrize("size", [1000, 4000, 9000])
def test_full_disk_leaves_nothing(command, tmp_path, size):
    """A limit on the size of files makes some write fail, as a full disk does."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, preexec_fn=limit)
    assert done.returncode != 0
    assert os.listdir(tmp_path) == []


def test_full_disk_keeps_an_older_layer(command, edited):
    before = files(edited)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

    done = subprocess.run(
        [*command, "-f"], cwd=edited.parent, capture_output=True, preexec_fn=limit
    )
    assert done.returncode != 0
    assert {file: files(edited)[file] for file in AUTHORS} == {f: before[f] for f in AUTHORS}


def test_interrupt_leaves_nothing(command, tmp_path):
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "my_layer" / "tests").exists() and time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert os.listdir(tmp_path) == []


def test_nothing_of_ours_stays_in_the_folder_for_temporary_files(command, tmp_path):
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 0
    assert not [file for file in os.listdir(tmp_path / "tmp") if "caffe" in file]
