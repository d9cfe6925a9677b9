"""Plain cookiecutter: a layer that is cut short leaves nothing, and -f keeps what was written."""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time

import pytest

from support.project import PROJECT

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
    return {
        str(p.relative_to(folder)): p.read_text()
        for p in folder.rglob("*")
        if p.is_file()
    }


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
    done = subprocess.run(
        [*command, "-f"], cwd=edited.parent, capture_output=True, text=True
    )
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
    assert {file: files(edited)[file] for file in AUTHORS} == {
        f: before[f] for f in AUTHORS
    }


def test_interrupt_leaves_nothing(command, tmp_path):
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while (
        not (tmp_path / "my_layer" / "tests").exists() and time.monotonic() < deadline
    ):
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert os.listdir(tmp_path) == []


def test_terminated_leaves_nothing_or_what_was_there(command, edited, tmp_path):
    before = files(edited)
    process = subprocess.Popen(
        [*command, "-f"],
        cwd=edited.parent,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while (edited / "README.md").exists() and time.monotonic() < deadline:
        pass
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert {file: files(edited)[file] for file in AUTHORS} == {
        f: before[f] for f in AUTHORS
    }
    assert (
        not list(edited.rglob("*.kept*"))
        and not (edited / ".github" / "workflows").is_file()
    )


def test_force_leaves_files_of_the_author_that_are_called_kept(command, edited):
    for folder in (edited, edited / "tests"):
        (folder / "weights").write_text("newer")
        (folder / "weights.kept").write_text("older")
    subprocess.run([*command, "-f"], cwd=edited.parent, check=True)
    assert (
        (edited / "weights").read_text()
        == (edited / "tests" / "weights").read_text()
        == "newer"
    )


@pytest.mark.parametrize("in_the_way", ["a leftover", "a folder"])
def test_force_stops_before_anything_where_it_cannot_keep_a_file(
    command, edited, in_the_way
):
    if in_the_way == "a folder":
        (edited / "README.md").unlink()
        (edited / "README.md").mkdir()
    else:
        (edited / "my_layer.py.kept-by-caffe-pylayer").write_text(
            "of a run that was killed"
        )
    before = files(edited)
    done = subprocess.run(
        [*command, "-f"], cwd=edited.parent, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert len(done.stdout.splitlines()) == 1 and ": expected " in done.stdout
    assert files(edited) == before


@pytest.mark.parametrize("output", ["/dev/full", "nobody reads"])
def test_output_that_fails_keeps_the_layer(command, tmp_path, output):
    script = f"{shlex.join(command)} " + (
        "| true" if output[0] == "n" else f">{output}"
    )
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, stderr=subprocess.PIPE)
    assert done.stderr == b"" and (tmp_path / "my_layer" / "activate.sh").exists()


def test_skipping_files_that_are_there_writes_no_second_header(command, tmp_path):
    for _ in range(3):
        subprocess.run([*command, "-f", "-s", "header=mine"], cwd=tmp_path, check=True)
    assert (tmp_path / "my_layer" / "tools" / "splice.py").read_text().count(
        "# mine\n"
    ) == 1


def test_nothing_of_ours_stays_in_the_folder_for_temporary_files(command, tmp_path):
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 0
    assert not [file for file in os.listdir(tmp_path / "tmp") if "caffe" in file]
