"""Layers with as many bottoms and tops as there can be are green.

Two of them, with WHOLE=yes (`make proof`) of each kind on both engines.
"""

import itertools

import pytest

from support.project import ENGINES, WHOLE
from template_spec.kinds import KINDS, MOST_BLOBS

MOST = {kind: (row.bottoms[-1], row.tops[-1]) for kind, row in KINDS.items()}


def test_most_is_64():
    assert {count for counts in MOST.values() for count in counts} == {0, 1, 64}
    assert MOST_BLOBS == 64


@pytest.mark.parametrize(
    "engine, kind",
    list(itertools.product(ENGINES, MOST))
    if WHOLE
    else [("standin", "metric"), ("real", "data")],
)
def test_layer_is_green(bake, own_tests, engine, kind):
    bottoms, tops = MOST[kind]
    layer = bake(layer_name="most", layer_kind=kind, bottoms=bottoms, tops=tops)
    found = own_tests(engine, layer)
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len(found) >= 6
