"""Every layer of the grid is green as it is generated, on real Caffe and on the stand-in.

The grid lies in one folder and one pytest tests it from above, so that it also shows that layers
do not get into each other's way.
"""

import itertools

import pytest

from conftest import ENGINES
from local_extensions import KINDS

SEEDS = 3  # `make proof` runs 200
PARAMS = {"plain": "", "keys": "x1=1, x2=2, margin:float, mode:str='mean', on=true, w=[1, 2], d={}"}

GRID = {
    f"{kind}_{bottoms}_{tops}_{params}": dict(
        layer_kind=kind, bottoms=bottoms, tops=tops, param_str_keys=PARAMS[params]
    )
    for kind, bottoms, tops, params in itertools.product(KINDS, range(5), range(5), PARAMS)
    if bottoms in KINDS[kind].bottoms and tops in KINDS[kind].tops
}


@pytest.fixture(scope="module")
def grid(bake, tmp_path_factory):
    out = tmp_path_factory.mktemp("grid")
    for name, answers in GRID.items():
        bake(out=out, layer_name=name, **answers)
    return out


@pytest.fixture(scope="module")
def verdicts(grid, own_tests):
    folders = list(GRID)
    return {engine: own_tests(engine, grid, f"--seeds={SEEDS}", *folders) for engine in ENGINES}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", GRID)
def test_layer_is_green(verdicts, engine, name):
    checks = {"load", "shapes", "forward", "batch", "expected_tops", "counts"}
    if KINDS[GRID[name]["layer_kind"]].wanted:
        checks |= {"gradient", "propagate_down"}
    if GRID[name]["param_str_keys"]:
        checks |= {"param_str"}
    own = {test: outcome for test, outcome in verdicts[engine].items() if f"_{name}[" in test}
    assert own == {f"test_{name}[{check}]": "passed" for check in checks}, verdicts[engine].output


@pytest.mark.parametrize("engine", ENGINES)
def test_each_layer_tests_itself(grid, own_tests, engine):
    """A neighbour that is broken turns only its own tests red."""
    module = grid / "identity_1_1_plain" / "identity_1_1_plain.py"
    right = module.read_text()
    module.write_text(right.replace("= top[0].diff", "= 2 * top[0].diff"))
    try:
        found = own_tests(engine, grid, "identity_1_1_plain", "identity_1_1_keys")
    finally:
        module.write_text(right)
    assert found.exit_code == 1
    assert found.red == ["test_identity_1_1_plain[gradient]"]


def test_both_engines_say_the_same(verdicts):
    assert verdicts["real"] == verdicts["standin"]
    assert verdicts["real"].exit_code == verdicts["standin"].exit_code == 0
