"""What only the layer's author knows; the other tests are in conftest.py and harness/."""

import math


def test_focal_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    scores = 6 * rng.randn(batch, 5, 3)
    label = rng.choice([1, 0, -1], scores.shape, p=[0.2, 0.7, 0.1])
    return [scores, label]


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
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
