# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The check of layers with weights, self.blobs: kept, loaded, shared and used."""

import numpy as np

from .net import CheckFailed
from .subject import BATCHES, EXACT, assert_same

GUARD = "make and fill weights in setup, only if len(self.blobs) == 0"
KEEP = (
    "only setup fills weights, only Caffe changes them; "
    "statistics want param { lr_mult: 0 }"
)
STALE = (
    "every pass must look into self.blobs anew: "
    "kept copies and views of weights go stale"
)


def check_weights(subject):
    """The layer takes the weights it is given, keeps them, and uses them alone."""
    arrays = subject.bottoms(BATCHES[0])
    first, kept, loaded, changed, sharing, keeper = [
        subject.net(arrays) for _ in range(6)
    ]
    values = new_weights(subject, keeper, arrays)
    kept.set_values(values)
    assert_keeps_weights(subject, kept)
    made = subject.net(arrays)
    diffs = subject.top_diffs(subject.forward(kept, arrays)), subject.diffs_like(arrays)
    expected = []
    for _ in range(2):
        made.set_values(values)  # again, since a pass may change those of rate 0
        expected.append((subject.forward(made, arrays), made.backward(*diffs)))
    for layer_net in (changed, sharing):
        subject.forward(layer_net, arrays)
    keeper.net.share_with(sharing.net)  # keeps the memory that stale views show
    sharing.net.share_with(first.net)
    first.set_values(values)
    for layer_net in (loaded, changed):
        layer_net.load(first)
    for what, layer_net, (tops, gradients) in (
        ("loaded", loaded, expected[0]),
        ("changed", changed, expected[1]),
        ("shared", sharing, expected[1]),
    ):
        for kind, names, found, wanted in (
            ("top", layer_net.tops, subject.forward(layer_net, arrays), tops),
            ("diff", layer_net.variables, layer_net.backward(*diffs), gradients),
        ):
            text = "%s weights give another %s than those set by hand:" % (what, kind)
            assert_same_or_advise(
                STALE, text, names, found, wanted, None, (what, "set")
            )


def assert_same_or_advise(advice, *arguments):
    """Call assert_same and add a line with advice to its CheckFailed."""
    try:
        assert_same(*arguments)
    except CheckFailed as error:
        raise CheckFailed("%s\n  %s" % (error, advice))


def move_weights(subject, layer_net, arrays):
    """Move the weights off their initial values, at which a mistake may not show.

    Positive ones get smaller, by a part of themselves: they may have to be positive, or
    at most 1. A weight keeps its value where forward refuses another.
    """
    values = []
    for weight in layer_net.weights:
        shape = weight.data.shape
        if weight.data.size and np.min(weight.data) > 0:
            values.append(weight.data * subject.rng.uniform(0.7, 0.95, shape))
        else:
            size = max(1.0, np.sqrt(np.mean(np.square(weight.data))))
            values.append(weight.data + 0.1 * size * subject.rng.randn(*shape))
    change(subject, layer_net, arrays, layer_net.weights, values)


def change(subject, layer_net, arrays, weights, values):
    """Give weights these values, all of them or those that forward takes."""
    before = [weight.data.copy() for weight in weights]
    for chosen in [range(len(weights))] + [[i] for i in range(len(weights))]:
        for i in chosen:
            weights[i].data[...] = values[i]
        taken = values if is_usable(subject, layer_net, arrays) else before
        for i in chosen:
            weights[i].data[...] = taken[i]  # again, since forward may change them
        if len(chosen) == len(weights) and taken is values:
            break


def is_usable(subject, layer_net, arrays):
    """Whether forward gives finite tops."""
    try:
        tops = subject.forward(layer_net, arrays)
    except Exception:
        return False
    return all(np.all(np.isfinite(top)) for top in tops)


def new_weights(subject, layer_net, arrays):
    """Return other values for all weights, for those of rate 0 too, if forward can."""
    move_weights(subject, layer_net, arrays)
    fixed = layer_net.fixed  # running means, masks, tables
    moves = [0.1 * np.abs(subject.rng.randn(*weight.data.shape)) for weight in fixed]
    values = [weight.data + move for weight, move in zip(fixed, moves)]
    if fixed:
        change(subject, layer_net, arrays, fixed, values)
    return [np.nan_to_num(value) for value in layer_net.values()]


def assert_keeps_weights(subject, layer_net):
    """Raise CheckFailed if a pass makes weights, or changes those that are trained."""
    count = len(layer_net.all_weights)
    before = [weight.data.copy() for weight in layer_net.weights]

    def assert_unchanged(what):
        if len(layer_net.all_weights) != count:
            text = "%s made weights, %d instead of %d\n  %s"
            raise CheckFailed(text % (what, len(layer_net.all_weights), count, GUARD))
        names = layer_net.variables[len(layer_net.bottoms) :]
        found = [weight.data for weight in layer_net.weights]
        assert_same_or_advise(KEEP, what + " changed", names, found, before, EXACT)

    for batch in BATCHES:
        arrays = subject.bottoms(batch)
        layer_net.reshape(arrays)
        assert_unchanged("reshape")
        tops = subject.forward(layer_net, arrays)
        assert_unchanged("forward")
        layer_net.backward(subject.top_diffs(tops), subject.diffs_like(arrays))
        assert_unchanged("backward")
