"""The numpy stand-in is seen by a layer and by a net exactly as real Caffe is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.project import PROJECT

SCRIPT = Path(__file__).with_name("engine_script.py")


@pytest.fixture(scope="module")
def seen(with_caffe, tmp_path_factory):
    """What the script prints: by real Caffe and by the stand-in, section by section."""
    folder = tmp_path_factory.mktemp("script")
    shutil.copy(SCRIPT, folder)
    real = with_caffe(folder, "python3", SCRIPT.name)
    standin = subprocess.run(
        [sys.executable, SCRIPT.name, "standin"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    return [sections(result) for result in (real, standin)]


def sections(result):
    assert result.returncode == 0, result.stdout + result.stderr
    parts = [part.split("\n", 1) for part in result.stdout.split("== ")[1:]]
    return {name: text.splitlines() for name, text in parts}


@pytest.mark.parametrize(
    "section",
    ["the layer's view", "memory", "who gets a gradient", "phases", "Parameter", "text format",
     "exceptions", "aborts", "weights"],
)  # fmt: skip
def test_standin_behaves_like_caffe(seen, section):
    real, standin = seen
    assert len(real[section]) > 2
    assert standin[section] == real[section]


def test_script_covers_all_sections(seen):
    assert list(seen[0]) == list(seen[1])
    assert len(seen[0]) == 9
