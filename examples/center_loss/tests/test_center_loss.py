"""Bottoms to test CenterLossLayer with, and what it must give for them."""


def test_center_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    label = rng.randint(0, 4, batch)  # several samples of one class
    return [rng.randn(batch, 6), label]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    features = bottoms[0]  # the centers begin as 0
    return [sum(x**2 for x in features.ravel()) / (2 * len(features))]
