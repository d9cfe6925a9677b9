"""Bottoms to test SoftmaxLossLayer with, and what it must give for them."""

import math

import numpy as np


def test_softmax_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    scores = 3 * rng.randn(batch, 5, 2, 3)
    scores[0] += 100  # exp of it is more than a float32 holds
    label = rng.randint(0, 5, (batch, 1, 2, 3))
    label[rng.rand(*label.shape) < 0.2] = -1
    return [scores, label]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    loss, count = 0, 0
    for scores, label in zip(*bottoms):
        for place in np.ndindex(scores.shape[1:]):
            s = [scores[(c,) + place] for c in range(len(scores))]
            y = label[(0,) + place]
            if y != params["ignore_label"]:
                loss += math.log(sum(math.exp(other - s[int(y)]) for other in s))
                count += 1
    return [loss / max(1, count)]
