"""Bottoms to test SmoothL1LossLayer with, and what it must give for them."""


def test_smooth_l1_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    pred, targets = 0.2 * rng.randn(2, batch, 8)  # 1 / sigma^2 is 0.11
    inside = rng.choice([0, 0.5, 1], pred.shape)
    outside = rng.uniform(0, 2, pred.shape)
    return [pred, targets, inside, outside]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    loss, sigma2 = 0, params["sigma"] ** 2
    for pred, target, inside, outside in zip(*[bottom.ravel() for bottom in bottoms]):
        x = abs(inside * (pred - target))
        loss += outside * (0.5 * sigma2 * x * x if x < 1 / sigma2 else x - 0.5 / sigma2)
    return [loss / len(bottoms[0])]
