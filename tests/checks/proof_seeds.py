"""`make proof`: every correct layer with 200 seeds on both engines, without a false alarm."""

import shutil

import pytest

from checks.test_mutants import EXAMPLES, HARNESS, NAMES
from generated.test_grid import GRID
from support.project import ENGINES

SEEDS = 200
LAYERS = [*GRID, *(name for name in NAMES if (EXAMPLES / name).exists())]


@pytest.fixture
def lay_out(bake, tmp_path):
    """A function that makes a layer of the grid or of the examples and returns its folder."""

    def make(name):
        if name in GRID:
            return bake(out=tmp_path, layer_name=name, **GRID[name])
        shutil.copytree(EXAMPLES / name, tmp_path / name)
        shutil.copytree(HARNESS / "harness", tmp_path / "harness")
        shutil.copy(HARNESS / "conftest.py", tmp_path)
        return tmp_path

    return make


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LAYERS)
def test_no_false_alarm(lay_out, own_tests, record_property, engine, name):
    found = own_tests(engine, lay_out(name), f"--seeds={SEEDS}")
    record_property("count", ["alarms", name, len(found.red), SEEDS])
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len(found) >= 6
