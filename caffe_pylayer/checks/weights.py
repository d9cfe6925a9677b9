"""The check of layers with weights, self.blobs: kept, loaded, shared and used."""

import numpy as np

from .net import Failure
from .subject import BATCHES, EXACT, same

GUARD = "make and fill weights in setup, only if len(self.blobs) == 0"
KEEP = "only setup fills weights, only Caffe changes them; statistics want param { lr_mult: 0 }"
STALE = "every pass must look into self.blobs anew: kept copies and views of weights go stale"


def check_weights(subject):
    """The layer takes the weights it is given, keeps them, and computes with them alone."""
    arrays = subject.bottoms(BATCHES[0])
    first, kept, loaded, changed, sharing, keeper = [
        subject.net(arrays) for _ in range(6)
    ]
    values = new_weights(subject, keeper, arrays)
    kept.set_values(values)
    keeps_weights(subject, kept)
    made = subject.net(arrays)
    diffs = subject.top_diffs(subject.forward(kept, arrays)), subject.diffs_like(arrays)
    expected = []
    for _ in range(2):
        made.set_values(values)  # again, since a pass may change those of rate 0
        expected.append((subject.forward(made, arrays), made.backward(*diffs)))
    for layer_net in (changed, sharing):
        subject.forward(layer_net, arrays)
    keeper.net.share_with(
        sharing.net
    )  # or else the memory that stale views show is freed
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
            advised(STALE, text, names, found, wanted, None, (what, "set"))


def advised(advice, *arguments):
    """Call `same` and add a line with advice to its Failure."""
    try:
        same(*arguments)
    except Failure as error:
        raise Failure("%s\n  %s" % (error, advice))


def move_weights(layer_net, rng):
    """Move the weights off their initial values, at which a mistake may not show."""
    for weight in layer_net.weights:
        size = max(1.0, np.sqrt(np.mean(np.square(weight.data))))
        weight.data[...] += 0.1 * size * rng.randn(*weight.data.shape)


def new_weights(subject, layer_net, arrays):
    """Return other values for all weights; those of rate 0 stay where forward refuses others."""
    move_weights(layer_net, subject.rng)
    values = layer_net.values()
    for weight in layer_net.fixed:  # running means, masks, tables
        weight.data[...] += 0.1 * np.abs(subject.rng.randn(*weight.data.shape))
    others = layer_net.values()
    try:
        tops = subject.forward(layer_net, arrays)
        usable = all(np.all(np.isfinite(top)) for top in tops)
    except Exception:
        usable = False
    return [np.nan_to_num(value) for value in (others if usable else values)]


def keeps_weights(subject, layer_net):
    """Raise Failure if a pass at any batch size makes weights or changes those that are trained."""
    count, before = (
        len(layer_net.all_weights),
        [w.data.copy() for w in layer_net.weights],
    )

    def need_same(what):
        if len(layer_net.all_weights) != count:
            text = "%s made weights, %d instead of %d\n  %s"
            raise Failure(text % (what, len(layer_net.all_weights), count, GUARD))
        names = layer_net.variables[len(layer_net.bottoms) :]
        found = [weight.data for weight in layer_net.weights]
        advised(KEEP, what + " changed", names, found, before, EXACT)

    for batch in BATCHES:
        arrays = subject.bottoms(batch)
        layer_net.reshape(arrays)
        need_same("reshape")
        tops = subject.forward(layer_net, arrays)
        need_same("forward")
        layer_net.backward(subject.top_diffs(tops), subject.diffs_like(arrays))
        need_same("backward")
