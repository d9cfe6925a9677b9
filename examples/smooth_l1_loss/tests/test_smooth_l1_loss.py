"""What only the layer's author knows; the other tests are in conftest.py and harness/."""


def test_smooth_l1_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    pred, targets = 0.2 * rng.randn(2, batch, 8)  # 1 / sigma^2 is 0.11
    return [
        pred,
        targets,
        rng.choice([0, 0.5, 1], pred.shape),
        rng.uniform(0, 2, pred.shape),
    ]


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
    loss, sigma2 = 0, params["sigma"] ** 2
    for pred, target, inside, outside in zip(*[bottom.ravel() for bottom in bottoms]):
        x = abs(inside * (pred - target))
        loss += outside * (0.5 * sigma2 * x * x if x < 1 / sigma2 else x - 0.5 / sigma2)
    return [loss / len(bottoms[0])]
