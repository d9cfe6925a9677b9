"""What only the layer's author knows; the other tests are in conftest.py and harness/."""

import math

import numpy as np


def test_l2_normalize(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    return [rng.randn(batch, 5, 2, 3)]


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
    tops = [np.zeros(bottoms[0].shape)]
    for x, y in zip(bottoms[0], tops[0]):
        for place in np.ndindex(x.shape[1:]):
            channels = [x[(c,) + place] for c in range(len(x))]
            length = math.sqrt(sum(value**2 for value in channels) + params["eps"])
            for c, value in enumerate(channels):
                y[(c,) + place] = value / length
    return tops
