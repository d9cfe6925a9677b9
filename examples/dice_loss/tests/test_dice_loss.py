"""Bottoms to test DiceLossLayer with, and what it must give for them."""


def test_dice_loss(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    prob = rng.uniform(0, 1, (batch, 1, 3, 4))
    label = rng.rand(batch, 1, 3, 4) < 0.4
    prob[0] = label[0] = 0  # an image without foreground
    return [prob, label]


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    losses = []
    for prob, label in zip(*bottoms):
        overlap = total = params["eps"]
        for p, g in zip(prob.ravel(), label.ravel()):
            overlap += 2 * p * g
            total += p * p + g * g
        losses.append(1 - overlap / total)
    return [sum(losses) / len(losses)]
