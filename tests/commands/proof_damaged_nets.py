"""`make proof`: 5,000 damaged nets read, and layers taken out of 10,000, without a traceback."""

import pytest

from support.damaged_nets import read_damaged, take_out_of_damaged

CASES = [(read_damaged, 5000), (take_out_of_damaged, 10000)]
PARTS = 10  # which several processes share


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("run, count", CASES)
def test_damaged_nets(run, count, part):
    for seed in range(part, count, PARTS):
        run(seed)
