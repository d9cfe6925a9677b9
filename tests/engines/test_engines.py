"""The numpy stand-in is seen by a layer and by a net exactly as real Caffe is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("engine_probe.py")


@pytest.fixture(scope="module")
def seen(bake, with_caffe, tmp_path_factory):
    """What the probe prints: by real Caffe and by the stand-in, section by section."""
    folder = tmp_path_factory.mktemp("probe")
    shutil.copy(PROBE, folder)
    real = with_caffe(folder, "python3", PROBE.name)
    harness = bake() / "tests" / "harness"
    command = [sys.executable, PROBE.name, str(harness)]
    standin = subprocess.run(command, cwd=folder, capture_output=True, text=True)
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


def test_probe_covers_all_sections(seen):
    assert list(seen[0]) == list(seen[1])
    assert len(seen[0]) == 9
