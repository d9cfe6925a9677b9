"""Strings as param_str: setup takes each, or raises a ValueError of one short line."""

import pytest

from support.param_strs import LAYERS, check, draw
from support.project import WHOLE

DRAWN = 1_000 if WHOLE else 300


@pytest.fixture(scope="module", params=LAYERS)
def layer(request, bake):
    return bake(**LAYERS[request.param])


def test_setup_takes_a_param_str_or_raises_a_value_error(
    layer, with_caffe, record_property
):
    counts = check(layer, draw(DRAWN, 0), with_caffe, record_property)
    for of_python in counts.values():
        assert of_python["taken"] > DRAWN / 50 and of_python["refused"] > DRAWN / 2
