"""What only the layer's author knows; the other tests are in conftest.py and harness/."""


def test_triplet_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    anchor, positive, negative = 0.5 * rng.randn(3, batch, 4)
    return [anchor, positive, negative]  # some keep the margin, some do not


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
    loss = 0
    for a, p, n in zip(*bottoms):
        near = sum((x - y) ** 2 for x, y in zip(a, p))
        far = sum((x - y) ** 2 for x, y in zip(a, n))
        loss += max(0, near - far + params["margin"])
    return [loss / len(bottoms[0])]
