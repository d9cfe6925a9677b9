"""What only the layer's author knows; the other tests are in conftest.py and harness/."""


def test_center_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    return [
        rng.randn(batch, 6),
        rng.randint(0, 4, batch),
    ]  # several samples of one class


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
    features = bottoms[0]  # the centers begin as 0
    return [sum(x**2 for x in features.ravel()) / (2 * len(features))]
