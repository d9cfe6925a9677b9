"""The numpy stand-in is seen by a layer and by a net exactly as real Caffe is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_pylayer.checks import caffe_names, standin
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


def test_standin_has_every_public_name_of_pycaffe(seen):
    real, found = [set(engine["names"]) for engine in seen]
    assert len(real) > 250
    assert sorted(real - found) == []
    table = {
        f"{module} {name}"
        for module, names in caffe_names.MODULES.items()
        for name in names.split()
        if not name.startswith("_")
    }
    assert sorted(table - real) == []


USES = {  # of what the stand-in lacks: how a layer would use it
    "caffe.io.load_image": lambda caffe: caffe.io.load_image("cat.jpg"),
    "caffe.proto.caffe_pb2.Datum": lambda caffe: caffe.proto.caffe_pb2.Datum(),
    "caffe.proto.caffe_pb2.Datum.FromString": (
        lambda caffe: caffe.proto.caffe_pb2.Datum.FromString(b"")
    ),
    "caffe.layers.Pooling": lambda caffe: caffe.layers.Pooling(),
    "caffe.params.Pooling.MAX": lambda caffe: list(caffe.params.Pooling.MAX),
    "caffe.SGDSolver": lambda caffe: type("Mine", (caffe.SGDSolver,), {})("s.prototxt"),
    "caffe.Net.inputs": lambda caffe: caffe.Net.inputs[0],
    "caffe.coord_map.PASS_THROUGH_LAYERS": (
        lambda caffe: len(caffe.coord_map.PASS_THROUGH_LAYERS)
    ),
}


@pytest.mark.parametrize("name", USES)
def test_what_the_standin_cannot_do_says_so_when_used(name):
    with pytest.raises(standin.NotInStandin) as error:
        USES[name](standin)
    assert str(error.value) == (
        f"the stand-in cannot do {name}: use real Caffe, --caffe=real"
    )


def test_script_covers_all_sections(seen):
    assert list(seen[0]) == list(seen[1])
    assert len(seen[0]) == 10
