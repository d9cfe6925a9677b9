"""Every layer of the grid is green as it is generated, on real Caffe or on the stand-in.

The grid lies in one folder and one pytest tests it from above, so that it also shows that layers
do not get into each other's way. Those with keys or two tops have the checks installed, the others
copies. Each runs on one of the engines, with WHOLE=yes (`make proof`) on both.
"""

import pytest

from support.bank import of_layer
from support.grid import GRID, UP_TO_2
from support.project import ENGINES, WHOLE, in_turn
from template_spec.kinds import KINDS

pytestmark = pytest.mark.caffe

# Of each pair, with keys and without, one; in `make proof` both.
SOME = [name for i, name in enumerate(UP_TO_2) if WHOLE or i % 4 in (0, 3)]
# Sorted, so that of the layers with keys and of those without half are on real Caffe.
CASES = in_turn(sorted(SOME, key=lambda name: name.endswith("plain")))


@pytest.fixture(scope="module")
def verdicts(bake, own_tests, request, tmp_path_factory):
    """What an engine says of its layers of the grid that are asked for (-k)."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {(c.params.get("name"), c.params.get("engine")) for c in calls if c}
    asked = {
        engine: [name for name, on in CASES if on == engine and (name, on) in wanted]
        for engine in ENGINES
    }
    out = tmp_path_factory.mktemp("grid")
    for name in sorted({*asked["real"], *asked["standin"]}):
        answers = GRID[name]
        installed = answers["param_str_keys"] or answers["tops"] == 2
        checks = "installed" if installed else "copied"
        bake(out=out, layer_name=name, checks=checks, **answers)
    return {
        engine: own_tests(engine, out, *names, installed=True)
        for engine, names in asked.items()
        if names
    }


def checks_of(name):
    """The checks that apply to a layer of the grid."""
    answers = GRID[name]
    kind_name, bottoms = answers["layer_kind"], answers["bottoms"]
    kind = KINDS[kind_name]
    checks = {"load", "shapes", "expected_tops", "counts", "example"}
    if kind_name != "metric":
        checks |= {"test_phase"}
    if bottoms:
        checks |= {"forward", "batch", "batch_of_one", "samples", "edges", "lines"}
        if kind.wanted:
            checks |= {"gradient", "propagate_down"}
            checks |= set() if kind.loss_weight else {"loss_weight"}
        if bottoms > kind.wanted:
            checks |= {"force_backward"}
        if kind_name == "learnable":
            checks |= {"weights"}
    else:
        checks |= {"sequence", "phases", "ranks"}
        if "batch_size" in kind.keys:
            checks |= {"batch_size"}
    if answers["param_str_keys"] or kind.keys:
        checks |= {"param_str", "keys"}
    return checks


@pytest.mark.parametrize("name, engine", CASES)
def test_layer_is_green(verdicts, engine, name):
    expected = dict.fromkeys(checks_of(name), "passed")
    assert of_layer(verdicts[engine], name) == expected, verdicts[engine].output


def test_nothing_else_is_red(verdicts):
    assert {engine: found.red for engine, found in verdicts.items()} == {
        engine: [] for engine in ENGINES
    }
    assert {found.exit_code for found in verdicts.values()} == {0}
