"""`make owner NAME=...` on a copy of the project."""

import re
import subprocess

import pytest

from caffe_pylayer import __owner__
from support.project import PROJECT

MENTION = re.compile(rb"(?:gh:|github\.com/)([\w-]+)/caffe-")


def git(folder, *arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True
    )
    return done.stdout.decode()


@pytest.fixture
def copy(tmp_path):
    """A copy of what git knows."""
    for name in git(PROJECT, "ls-files", "-z").split("\0")[:-1]:
        if not (PROJECT / name).is_symlink():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "--all", "--force")
    return tmp_path


def owner(folder, name):
    return subprocess.run(
        ["make", "-s", "owner", f"NAME={name}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def owners(folder):
    """The owners that each file names."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".git/" not in str(p))
    found = {
        str(path.relative_to(folder)): set(MENTION.findall(path.read_bytes()))
        for path in files
    }
    return {path: names for path, names in found.items() if names}


def test_every_file_names_the_new_owner_and_the_way_back_is_exact(copy):
    before = owners(copy)
    assert len(before) > 25
    assert {"README.md", "docs/loss.md", "hooks/post_gen_project.py"} <= set(before)
    old = __owner__.encode()
    done = owner(copy, "some-Body9")
    assert (done.returncode, done.stderr) == (0, "")
    expected = {
        path: {b"some-Body9" if name == old else name for name in names}
        for path, names in before.items()
    }
    assert owners(copy) == expected
    for file in git(copy, "ls-files", "-z").split("\0")[:-1]:
        text = (copy / file).read_bytes() if (copy / file).is_file() else b""
        assert not re.search(rb"(gh:|github\.com/)%s\b" % old, text), file
    assert (
        '__owner__ = "some-Body9"' in (copy / "caffe_pylayer/__init__.py").read_text()
    )
    assert owner(copy, __owner__).returncode == 0
    assert git(copy, "diff", "--name-only") == ""


def test_all_mentions_are_of_the_owner():
    named = set().union(
        *owners(PROJECT / "docs").values(), *owners(PROJECT / "team").values()
    )
    assert named == {__owner__.encode()}


@pytest.mark.parametrize("name", ["", "two words", "a/b", "-x", "$(id)"])
def test_what_is_no_name_is_refused_and_nothing_changes(copy, name):
    done = owner(copy, name)
    assert done.returncode != 0 and "is no name on GitHub" in done.stderr
    assert git(copy, "diff", "--name-only") == ""
