"""`make proof`: every layer of the grid with 200 seeds on both engines, without a false alarm."""

import pytest

from conftest import ENGINES
from test_grid import GRID

SEEDS = 200


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", GRID)
def test_no_false_alarm(bake, own_tests, tmp_path, engine, name):
    layer = bake(out=tmp_path, layer_name=name, **GRID[name])
    found = own_tests(engine, layer, f"--seeds={SEEDS}")
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len(found) >= 6
