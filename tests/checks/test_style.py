"""The checks are copied into other people's layers: tidy by any formatter, with our notice."""

import subprocess
import sys

import pytest

from support.project import PROJECT

PACKAGE = PROJECT / "caffe_pylayer"
COPIED = [PACKAGE / "copied_conftest.py", *sorted((PACKAGE / "checks").glob("*.py"))]
NOTICE = "# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see "


def run(*command):
    return subprocess.run(
        [sys.executable, "-m", *command, *COPIED], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "command",
    [
        ["black", "--check", "--diff"],
        ["ruff", "format", "--isolated", "--check", "--diff"],
        ["ruff", "check", "--isolated"],
        [
            "ruff",
            "check",
            "--ignore-noqa",
            "--ignore=B904,B905",
        ],  # those of this project
    ],
    ids=" ".join,
)
def test_nothing_is_changed_or_found(command):
    found = run(*command)
    assert found.returncode == 0, found.stdout + found.stderr
    assert len(COPIED) > 10


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.name)
def test_lines_fit_and_the_notice_stands_on_top(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 88
    if path.name == "__init__.py":
        assert lines[:2] == ["# ruff: noqa", "# This folder is from caffe-pylayer."]
    else:
        place = "harness/" if path.name == "copied_conftest.py" else "__init__.py"
        assert lines[:2] == [NOTICE + place, "# ruff: noqa"]


def test_the_licence_is_in_the_folder():
    comments = [
        line[2:] if line.startswith("# ") else line[1:]
        for line in (PACKAGE / "checks" / "__init__.py").read_text().splitlines()
        if line.startswith("#")
    ]
    assert (PROJECT / "LICENSE").read_text().strip() in "\n".join(comments)
