"""What only the layer's author knows; the other tests are in conftest.py and harness/."""


def test_dice_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
    prob = rng.uniform(0, 1, (batch, 1, 3, 4))
    label = rng.rand(batch, 1, 3, 4) < 0.4
    prob[0] = label[0] = 0  # an image without foreground
    return [prob, label]


def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
    losses = []
    for prob, label in zip(*bottoms):
        overlap = total = params["eps"]
        for p, g in zip(prob.ravel(), label.ravel()):
            overlap += 2 * p * g
            total += p * p + g * g
        losses.append(1 - overlap / total)
    return [sum(losses) / len(losses)]
