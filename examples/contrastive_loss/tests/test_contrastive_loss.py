"""What only the layer's author knows; the other tests are in conftest.py and harness/."""

import math


def test_contrastive_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    a = rng.randn(batch, 4)
    b = a + rng.uniform(0, 1, (batch, 1)) * rng.randn(
        batch, 4
    )  # within the margin and beyond
    similar = rng.randint(0, 2, batch)
    b[0], similar[0] = a[0], 0  # no direction to part in
    return [a, b, similar]


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
    loss = 0
    for a, b, similar in zip(*bottoms):
        d = math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)))
        loss += d**2 if similar else max(0, params["margin"] - d) ** 2
    return [loss / (2 * len(bottoms[0]))]
