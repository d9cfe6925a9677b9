"""Plain cookiecutter over a layer that is there: what its author wrote stays."""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time

import pytest

from support.project import PROJECT, WHOLE

AUTHORS = {  # of my_layer, each with an edit
    "my_layer.py": '"""A Python layer',
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
    """A layer of an earlier day, with edits everywhere."""
    folder = bake(out=tmp_path)
    for file, old in AUTHORS.items():
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, "# mine\n" + old, 1))
    (folder / "notes.txt").write_text("mine")
    (folder / "tests" / "harness" / "checks.py").write_text("# of an earlier day\n")
    (folder / "tests" / "harness" / "gone.py").write_text("# of an earlier day\n")
    (folder / "tests" / "conftest.py").write_text("# of an earlier day\n")
    (folder / "activate.sh").unlink()
    return folder


def run(command, folder, **options):
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, **options
    )


def test_force_and_skip_keep_what_is_there_and_renew_the_checks(command, edited, bake):
    before, fresh = files(edited), files(bake())
    done = run([*command, "-f", "-s"], edited.parent)
    assert (done.returncode, done.stderr) == (0, "")
    kept = [*AUTHORS, "notes.txt"]
    assert files(edited) == {**fresh, **{file: before[file] for file in kept}}


@pytest.mark.parametrize("replay", [False, True])
def test_force_alone_is_refused(command, edited, tmp_path, replay):
    before = files(edited)
    if replay:
        (tmp_path / "other").mkdir()
        run(command, tmp_path / "other")  # so that there is something to replay
        command = [word for word in command if word != "--no-input"] + ["--replay"]
    done = run([*command, "-f"], edited.parent)
    assert done.returncode == 1
    assert done.stdout == (
        "./my_layer: -f alone would overwrite what you wrote; to keep it and renew the "
        "copied checks, try cookiecutter -f -s\n"
    )
    assert files(edited) == before


def test_force_alone_may_make_a_new_layer(command, tmp_path):
    assert run([*command, "-f"], tmp_path).returncode == 0
    assert (tmp_path / "my_layer" / "my_layer.py").exists()


def test_without_force_nothing_is_touched(command, edited):
    before = files(edited)
    done = run(command, edited.parent)
    assert done.returncode == 1 and "already exists" in done.stdout + done.stderr
    assert files(edited) == before


def test_with_installed_checks_nothing_is_copied(command, tmp_path):
    done = run([*command, "checks=installed"], tmp_path)
    assert [path.name for path in (tmp_path / "my_layer" / "tests").iterdir()] == [
        "test_my_layer.py"
    ]
    assert "  pip install git+https://github.com/" in done.stdout


@pytest.mark.parametrize("size", [2000, 9000, 20000])
def test_a_full_disk_leaves_the_old_checks_or_the_new(command, edited, bake, size):
    """A limit on the size of files makes some write fail, as a full disk does."""
    before, fresh = files(edited), files(bake())

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = run([*command, "-f", "-s"], edited.parent, preexec_fn=limit)
    assert done.returncode != 0
    check_no_mixture(before, files(edited), fresh)
    assert run([*command, "-f", "-s"], edited.parent).returncode == 0
    check_no_mixture(fresh, files(edited), fresh)


def check_no_mixture(before, after, fresh):
    """The author's files are there, and tests/harness is the old one or the new one, whole."""
    assert {file: after[file] for file in AUTHORS if file in before} == {
        file: before[file] for file in AUTHORS if file in before
    } or before is fresh
    found, old, new = (
        {file: text for file, text in each.items() if "tests/harness/" in file}
        for each in (after, before, fresh)
    )
    assert new and found in (old, new)


def test_killed_at_any_moment_leaves_no_mixture(command, edited, bake):
    before, fresh = files(edited), files(bake())
    moments = 8 if WHOLE else 4
    for i in range(moments):
        process = subprocess.Popen(
            [*command, "-f", "-s"],
            cwd=edited.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(0.3 + i * 0.8 / moments)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        check_no_mixture(before, files(edited), fresh)


@pytest.mark.parametrize("output", ["/dev/full", "nobody reads", "closed"])
def test_output_that_fails_keeps_the_layer(command, tmp_path, output):
    where = {"nobody reads": "| true", "closed": ">&-"}.get(output, f">{output}")
    done = run(["sh", "-c", f"{shlex.join(command)} {where}"], tmp_path)
    assert done.stderr == "" and (tmp_path / "my_layer" / "tests" / "harness").exists()


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_any_locale_will_do(command, tmp_path, locale):
    folder = tmp_path / "größe 漢"
    folder.mkdir()
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0"}
    environment["PYTHONIOENCODING"] = "ascii"
    done = run(command, folder, env={**environment, "PWD": "/"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "/gr\\" in done.stdout and (folder / "my_layer" / "my_layer.py").exists()


def test_nothing_of_ours_stays_in_the_folder_for_temporary_files(command, tmp_path):
    (tmp_path / "tmp").mkdir()
    done = run(command, tmp_path, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    assert done.returncode == 0
    left = os.listdir(tmp_path / "tmp")
    assert all(name.startswith("tmp") and name.endswith(".py") for name in left), left
