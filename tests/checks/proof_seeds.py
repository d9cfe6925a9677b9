"""`make proof`: every correct layer with 200 seeds on both engines, without a false alarm."""

import shutil

import pytest

from support.grid import GRID
from support.mistakes import EXAMPLES, NAMES
from support.project import ENGINES

SEEDS = 200
LAYERS = [*GRID, *(name for name in NAMES if (EXAMPLES / name).exists())]


@pytest.fixture
def lay_out(bake, tmp_path):
    """A function that makes a layer of the grid or of the examples and returns its folder."""

    def make(name):
        if name in GRID:
            answers = {"checks": "installed", **GRID[name]}
            return bake(out=tmp_path, layer_name=name, **answers)
        return shutil.copytree(EXAMPLES / name, tmp_path / name)

    return make


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LAYERS)
def test_no_false_alarm(lay_out, own_tests, record_property, engine, name):
    found = own_tests(engine, lay_out(name), f"--seeds={SEEDS}", installed=True)
    record_property("count", ["alarms", name, len(found.red), SEEDS])
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len(found) >= 6
