"""No net ends in a traceback, however damaged: each is read, or refused in one line.

`make proof` reads thousands (proof_damaged_nets.py), and here (WHOLE=yes) each value.
"""

import random

import pytest

from support.damaged_nets import (
    SMALL,
    read,
    read_damaged,
    take_out_of_damaged,
    with_other_values,
)
from support.project import WHOLE

SEEDS = 150


@pytest.mark.parametrize("run", [read_damaged, take_out_of_damaged])
def test_damaged_nets(run):
    done = sum(run(seed) for seed in range(SEEDS))
    assert (
        SEEDS / 10 < done < SEEDS * 0.9
    )  # damage that does no harm, and damage that does


def test_each_value_of_another_kind():
    rng, step = random.Random(0), 1 if WHOLE else 6
    done = [read(rng, text) for text in list(with_other_values(SMALL))[::step]]
    assert len(done) > 700 // step and len(set(done)) == 2
