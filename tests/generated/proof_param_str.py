"""`make proof`: 100,000 strings as param_str for each layer of support/param_strs.py."""

import pytest

from support.param_strs import LAYERS, check, draw


@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("name", LAYERS)
def test_a_value_error_or_none(bake, with_caffe, record_property, name, part):
    check(bake(**LAYERS[name]), draw(10_000, part), with_caffe, record_property)
