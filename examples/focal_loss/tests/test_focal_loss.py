"""Bottoms to test FocalLossLayer with, and what it must give for them."""

import math


def test_focal_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    scores = 6 * rng.randn(batch, 5, 3)
    label = rng.choice([1, 0, -1], scores.shape, p=[0.2, 0.7, 0.1])
    return [scores, label]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    loss, positives = 0, 0
    for score, label in zip(bottoms[0].ravel(), bottoms[1].ravel()):
        p = 1 / (1 + math.exp(-score))
        if label == 1:
            loss -= params["alpha"] * (1 - p) ** params["gamma"] * math.log(p)
            positives += 1
        elif label == 0:
            loss -= (1 - params["alpha"]) * p ** params["gamma"] * math.log(1 - p)
    return [loss / max(1, positives)]
