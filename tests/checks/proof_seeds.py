"""`make proof`: no correct layer has a false alarm, on both engines.

The examples and one stub of each kind are run with 200 seeds, the other stubs of the grid, which
differ in their counts only, with 20.
"""

import shutil

import pytest

from support.grid import GRID
from support.mistakes import EXAMPLES, NAMES
from support.project import ENGINES
from template_spec.kinds import KINDS

OFTEN = [name for name in NAMES if (EXAMPLES / name).exists()]
OFTEN += [
    f"{name}_{min(kind.bottoms)}_{min(kind.tops)}_keys" for name, kind in KINDS.items()
]
SEEDS = {**dict.fromkeys(GRID, 20), **dict.fromkeys(OFTEN, 200)}


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
@pytest.mark.parametrize("name, seeds", SEEDS.items())
def test_no_false_alarm(lay_out, own_tests, record_property, engine, name, seeds):
    found = own_tests(engine, lay_out(name), f"--seeds={seeds}", installed=True)
    record_property("count", ["alarms", name, len(found.red), seeds])
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len(found) >= 6
