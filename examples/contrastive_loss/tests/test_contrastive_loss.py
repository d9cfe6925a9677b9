"""Bottoms to test ContrastiveLossLayer with, and what it must give for them."""

import math


def test_contrastive_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    a = rng.randn(batch, 4)
    far = rng.uniform(0, 1, (batch, 1))  # some within the margin, some beyond
    b = a + far * rng.randn(batch, 4)
    similar = rng.randint(0, 2, batch)
    b[0], similar[0] = a[0], 0  # no direction to part in
    return [a, b, similar]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    loss = 0
    for a, b, similar in zip(*bottoms):
        d = math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)))
        loss += d**2 if similar else max(0, params["margin"] - d) ** 2
    return [loss / (2 * len(bottoms[0]))]
