"""Bottoms to test L2NormalizeLayer with, and what it must give for them."""

import math

import numpy as np


def test_l2_normalize(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    return [rng.randn(batch, 5, 2, 3)]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    tops = [np.zeros(bottoms[0].shape)]
    for x, y in zip(bottoms[0], tops[0]):
        for place in np.ndindex(x.shape[1:]):
            channels = [x[(c,) + place] for c in range(len(x))]
            length = math.sqrt(sum(value**2 for value in channels) + params["eps"])
            for c, value in enumerate(channels):
                y[(c,) + place] = value / length
    return tops
