"""Bottoms to test TripletLossLayer with, and what it must give for them."""


def test_triplet_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    anchor, positive, negative = 0.5 * rng.randn(3, batch, 4)
    return [anchor, positive, negative]  # some keep the margin, some do not


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    loss = 0
    for a, p, n in zip(*bottoms):
        near = sum((x - y) ** 2 for x, y in zip(a, p))
        far = sum((x - y) ** 2 for x, y in zip(a, n))
        loss += max(0, near - far + params["margin"])
    return [loss / len(bottoms[0])]
