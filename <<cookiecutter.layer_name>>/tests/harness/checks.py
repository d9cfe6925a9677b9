"""What holds for any correct Caffe layer: a table of checks, each a function of a Subject.

A check raises Failure with a text for the author of the layer, and knows of the layer only what
its fragment says.
"""

import contextlib
import importlib
import itertools
import os
import random
import sys
import textwrap
import traceback

import numpy as np

from . import diagnosis, engine, gradient, net, plot
from .net import Failure

BATCHES = (4, 7, 2)  # the first, a larger and a smaller one
DRAWS = 2 * len(BATCHES)  # of bottoms and top diffs, for each gradient
MOST_COMBINATIONS = 4  # wanted bottoms up to which every combination of propagate_down is tried
EPOCH = 7  # batches in an epoch, where the layer lets us say so: the last round is not full
FEW = 6  # batches looked at where it does not
ROWS = 5  # of a table in a message
EXACT = itertools.repeat(0.0)  # tolerances of `same`, one after the other
GUARD = "make and fill weights in setup, only if len(self.blobs) == 0"
KEEP = "only setup fills weights, only Caffe changes them; statistics want param { lr_mult: 0 }"
STALE = "every pass must look into self.blobs anew: kept copies and views of weights go stale"


class Unchecked(Exception):
    """The author left nothing to check."""


class Subject(object):
    """The layer under test: its fragment, the engine, and what its author wrote."""

    def __init__(self, caffe, fragment, make_bottoms, expected_tops, seed, pictures=None):
        self.caffe, self.fragment, self.seed = caffe, fragment, seed
        self.pictures = pictures
        self._make_bottoms, self._expected_tops = make_bottoms, expected_tops
        self.rng = np.random.RandomState(seed % 2**32)

    def bottoms(self, batch, draw=0):
        """Return the author's bottoms as float32 arrays, the same ones for the same arguments."""
        rng = np.random.RandomState((self.seed * 1000003 + draw) % 2**32)
        arrays = self._make_bottoms(rng, batch)
        need_list("make_bottoms", arrays, self.fragment.bottoms)
        return [np.array(array, np.float32) for array in arrays]

    def expected(self, layer_net, arrays):
        """Return the author's list of expected tops, None where unchecked."""
        params = dict(layer_net.params(), **self.fragment.params)
        tops = self._expected_tops([array.astype(np.float64) for array in arrays], params)
        if tops is None:
            raise Unchecked("expected_tops returns None: the values of the tops are unchecked")
        need_list("expected_tops", tops, self.fragment.tops)
        return tops

    def net(self, arrays, **options):
        """Return a LayerNet for such bottoms; random numbers start anew."""
        self.reseed()
        return net.LayerNet(self.caffe, self.fragment, arrays, **options)

    def forward(self, layer_net, arrays):
        """Return the tops; random numbers start anew, so that dropout drops the same."""
        self.reseed()
        return layer_net.forward(arrays)

    def reseed(self):
        random.seed(self.seed)
        np.random.seed(self.seed % 2**32)
        self.caffe.set_random_seed(self.seed % 2**31 + 1)

    def epoch(self, size=None):
        """Return the layer with a short epoch, its batch_size, and how many batches that has.

        Where there are no such keys the epoch is unknown: the layer as it is, None, some batches.
        """
        keys = dict(self.net([]).params(), **self.fragment.params)
        if not all(type(keys.get(key)) is int for key in ("batch_size", "samples")):
            return self.fragment.layer, None, FEW
        size = size or keys["batch_size"]
        short = dict(batch_size=size, samples=EPOCH * size + size // 2)
        return self.fragment.with_params(dict(self.fragment.params, **short)), size, EPOCH

    def sequence(self, count, **options):
        """Return the tops of so many forwards of a new net of a layer without bottoms."""
        layer_net = self.net([], **options)
        return [self.forward(layer_net, []) for _ in range(count)]

    def diffs_like(self, arrays):
        """Return random diffs between 0.5 and 1.5 of either sign."""
        return [
            self.rng.uniform(0.5, 1.5, array.shape) * self.rng.choice([-1, 1], array.shape)
            for array in arrays
        ]

    def top_diffs(self, tops, draw=0):
        """Return random top diffs; every top weighs the same, scalars change sign with the draw."""
        diffs = []
        for top, diff in zip(tops, self.diffs_like(tops)):
            size = np.sqrt(np.mean(np.square(top))) if top.size else 0
            diff = np.abs(diff) * (-1) ** draw if top.size == 1 else diff
            diffs.append((diff / (size if 1e-6 < size < 1e6 else 1.0)).astype(np.float32))
        return diffs

    def backward(self, layer_net, top_diffs, arrays):
        """Return the diffs of bottoms and weights, once it is sure that they are well defined.

        Backward must give the same twice, write each diff of a wanted bottom, whatever was in it,
        and add to those of weights, over which Caffe sums (iter_size).
        """
        garbage, other = self.diffs_like(arrays), self.diffs_like(arrays)
        diffs = layer_net.backward(top_diffs, garbage)
        other_top_diffs = self.diffs_like(top_diffs)
        second = layer_net.backward(other_top_diffs, other)
        again = layer_net.backward(top_diffs, garbage)
        what = "backward run again after the same forward gave another diff of"
        same(what, layer_net.variables, again, diffs)
        bottoms = len(arrays)
        offsets = [1 + np.max(np.abs(diff)) for diff in diffs[bottoms:]]
        again = layer_net.backward(top_diffs, other, offsets)
        for i in range(bottoms):
            if self.fragment.wanted[i]:
                written(layer_net.variables[i], diffs[i], again[i], garbage[i], other[i])
        what = "backward must add to the diff, over which Caffe sums, not overwrite it, of"
        limits = [np.float64(1e-5 * offset) for offset in offsets]
        same(what, layer_net.variables[bottoms:], again[bottoms:], diffs[bottoms:], limits)
        self.forward(layer_net, arrays)
        first = layer_net.backward(other_top_diffs, self.diffs_like(arrays))
        what = (
            "backward after one with other top diffs gave another than after forward, the diff of"
        )
        wanted = [i for i in range(len(first)) if i >= bottoms or self.fragment.wanted[i]]
        rows = [[values[i] for i in wanted] for values in (layer_net.variables, second, first)]
        same(what, *rows)
        return diffs


def written(name, diff, again, garbage, other):
    """Raise Failure unless a diff was written, both times, over the garbage that was there."""
    left = (diff == garbage.astype(np.float32)) & (again == other.astype(np.float32))
    if np.any(left):
        raise Failure(
            "backward left %d of %d elements of the diff of %s as they were, such as %s: "
            "it must write them all" % (np.sum(left), left.size, name, show(np.argwhere(left)[0]))
        )
    if not np.allclose(again, diff) and np.allclose(again - diff, other - garbage, 1e-3, 1e-3):
        raise Failure(
            "backward adds to what is in the diff of %s: it must overwrite it, "
            "Caffe does not clear it" % name
        )
    same("backward depends on what was in the diff of", [name], [again], [diff])


def need_list(function, arrays, names):
    """Raise Failure unless the author's function returned a list with an array for each name."""
    is_list = isinstance(arrays, (list, tuple))
    if not is_list or len(arrays) != len(names):
        got = "%d" % len(arrays) if is_list else type(arrays).__name__
        raise Failure(
            "%s: expected a list with an array for each blob in the prototxt (%s), got %s"
            % (function, ", ".join(names), got)
        )


def check_load(subject):
    """The fragment loads as it stands."""
    fragment, arrays = subject.fragment, subject.bottoms(BATCHES[0])
    text = "".join(
        net.source("Input", blob, array.shape)
        for blob, array in zip(unique_bottoms(fragment), arrays)
    )
    subject.reseed()
    net.load(subject.caffe, text.encode("utf-8") + fragment.text, fragment.phase)


def unique_bottoms(fragment):
    """Return each bottom's name once: a layer may take a blob twice."""
    return sorted(set(fragment.bottoms), key=fragment.bottoms.index)


def check_shapes(subject):
    """Every top has a shape and finite numbers at every batch size."""
    for batch in BATCHES:
        arrays = subject.bottoms(batch)
        layer_net = subject.net(arrays)
        for name, top in zip(layer_net.tops, subject.forward(layer_net, arrays)):
            if not top.size:
                raise Failure(
                    "batch %d: top %s has no elements, its shape is %s" % (batch, name, top.shape)
                )
            if not np.all(np.isfinite(top)):
                where = tuple(np.argwhere(~np.isfinite(top))[0])
                raise Failure("batch %d: top %s is %s at %s" % (batch, name, top[where], where))


def check_forward(subject):
    """Forward leaves its bottoms alone and depends on nothing else; nets do not share state."""
    for draw in range(0, DRAWS, 2):
        arrays, others = [subject.bottoms(BATCHES[0], i) for i in (draw, draw + 1)]
        check_forward_of(subject, arrays, others)


def check_forward_of(subject, arrays, others):
    """Run forward on two different draws of bottoms, in two nets, and compare."""
    layer_net, other_net = subject.net(arrays), subject.net(arrays)
    first = subject.forward(layer_net, arrays)
    same("forward changed its bottom", layer_net.bottoms, layer_net.bottom_data(), arrays, EXACT)
    diffs = subject.top_diffs(first), subject.diffs_like(arrays)
    gradient_before = layer_net.backward(*diffs)
    for what, run in (
        ("forward run again", layer_net),
        ("forward after one on other bottoms", layer_net),
        ("forward of a second net of the same layer", other_net),
    ):
        found = subject.forward(run, arrays)
        same(what + " gave another top for the same bottoms:", run.tops, found, first)
        subject.forward(layer_net, others)
    subject.forward(layer_net, arrays)
    subject.forward(other_net, others)
    same(
        "after a forward of a second net of the same layer, backward gave another diff of",
        layer_net.variables,
        layer_net.backward(*diffs),
        gradient_before,
    )
    keeps_loss_weight(subject, layer_net, arrays)


def keeps_loss_weight(subject, layer_net, arrays):
    """Raise Failure if a pass writes the diff of a loss, where Caffe keeps loss_weight."""
    weights = subject.fragment.layer.all("loss_weight")
    losses = [i for i, weight in enumerate(weights) if weight]
    names = [layer_net.tops[i] for i in losses]
    kept = [np.float32(subject.rng.rand(*layer_net.top_diff(name).shape)) for name in names]
    for what, run in (
        ("forward", lambda: subject.forward(layer_net, arrays)),
        ("backward", layer_net.net.backward),
    ):
        for name, diff in zip(names, kept):
            layer_net.top_diff(name)[...] = diff
        run()
        found = [layer_net.top_diff(name) for name in names]
        text = "%s wrote the diff, in which Caffe keeps loss_weight, of top" % what
        same(text, names, found, kept, EXACT, ("after", "before"))


def check_batch(subject):
    """The same net follows a larger and a smaller batch, forward and backward."""
    layer_net = subject.net(subject.bottoms(BATCHES[0]))
    for before, batch in zip(BATCHES, BATCHES[1:] + BATCHES[:1]):
        subject.forward(layer_net, subject.bottoms(before, draw=before))
        arrays = subject.bottoms(batch, draw=batch)
        fresh = subject.net(arrays)
        what = "after batch %d, at batch %d, " % (before, batch)
        tops = subject.forward(fresh, arrays)
        same(
            what + "another top than in a new net",
            fresh.tops,
            subject.forward(layer_net, arrays),
            tops,
        )
        if any(subject.fragment.wanted):
            diffs = subject.top_diffs(tops), subject.diffs_like(arrays)
            same(
                what + "another gradient than in a new net, of",
                fresh.variables,
                layer_net.backward(*diffs),
                fresh.backward(*diffs),
            )


def check_sequence(subject):
    """Every new net of a layer without bottoms gives the same tops, forward after forward."""
    layer, _, epoch = subject.epoch()
    first = subject.sequence(2 * epoch + 1, layer=layer)
    nets = [subject.net([], layer=layer) for _ in range(2)]
    for step, tops in enumerate(first):
        what = "forward %d of a second net gave something else than that of the first:" % step
        for other in nets:
            same(what, other.tops, subject.forward(other, []), tops, EXACT)


def check_phases(subject):
    """TRAIN and TEST work, and do not give the same samples."""
    layer, size, epoch = subject.epoch()
    train, test = [subject.sequence(epoch, layer=layer, phase=phase) for phase in (0, 1)]
    changes = any(not all_equal(tops, train[0]) for tops in train)
    same_batches = changes and all(all_equal(*tops) for tops in zip(train, test))
    if same_batches or same_samples(train, test, size):
        raise Failure(
            "TRAIN and TEST give the same %s: use self.phase, or have one layer for each with "
            "include { phase: ... }; a net tested on what it is trained on shows nothing"
            % ("batches" if same_batches else "samples")
        )


def same_samples(train, test, size):
    """Whether most samples of an epoch in TRAIN are in one in TEST, too, and differ."""
    samples = []
    for batches in (train, test):
        tops = [[t for t in tops if t.ndim and len(t) == size] for tops in batches]
        rows = [[t[i].tobytes() for t in batch] for batch in tops for i in range(size or 0)]
        samples.append(set(tuple(row) for row in rows if row))
    distinct = len(samples[0]) > 0.9 * len(train) * (size or len(train))
    return distinct and len(samples[0] & samples[1]) > 0.5 * len(samples[0])


def check_ranks(subject):
    """Batch k of rank r of n solvers is batch k n + r of one solver alone."""
    layer, size, epoch = subject.epoch()
    alone = subject.sequence(2 * epoch, layer=layer)
    for count in (2, 3):
        rounds = epoch // count
        for rank in range(count):
            with solver(subject.caffe, rank, count):
                batches = subject.sequence(2 * rounds if size else rounds, layer=layer)
            for k, tops in enumerate(batches):
                index = k // rounds * epoch + k % rounds * count + rank
                what = "forward %d of rank %d of %d is not batch %d of one solver alone:" % (
                    k, rank, count, index
                )  # fmt: skip
                same(what, subject.fragment.tops, tops, alone[index], EXACT, ("rank", "alone"))


@contextlib.contextmanager
def solver(caffe, rank, count):
    """Let Caffe say that this process is one of several solvers."""
    try:
        before = caffe.solver_rank(), caffe.solver_count()
        caffe.set_multiprocess(True)
    except AttributeError:
        raise Unchecked("this Caffe knows of no solver_rank")
    try:
        caffe.set_solver_rank(rank)
        caffe.set_solver_count(count)
        yield
    finally:
        caffe.set_multiprocess(False)
        caffe.set_solver_rank(before[0])
        caffe.set_solver_count(before[1])


def check_batch_size(subject):
    """The tops follow the key batch_size."""
    _, size, _ = subject.epoch()
    usual = subject.sequence(1)[0]
    for other in (1, size + 1):
        layer, _, _ = subject.epoch(other)
        for name, before, top in zip(
            subject.fragment.tops, usual, subject.sequence(1, layer=layer)[0]
        ):
            if before.shape[:1] == (size,) and top.shape[:1] != (other,):
                raise Failure(
                    "with batch_size %d top %s has the shape %s, with %d it has %s"
                    % (other, name, top.shape, size, before.shape)
                )


def check_expected_tops(subject):
    """Forward gives what the author's expected_tops says."""
    for draw, batch in enumerate(BATCHES):
        arrays = subject.bottoms(batch, draw)
        layer_net = subject.net(arrays)
        tops = subject.forward(layer_net, arrays)
        for name, top, expected in zip(layer_net.tops, tops, subject.expected(layer_net, arrays)):
            if expected is None:
                continue
            expected = np.asarray(expected, np.float64)
            if expected.size == top.size == 1:
                expected = expected.reshape(top.shape)
            if expected.shape != top.shape:
                raise Failure(
                    "top %s has the shape %s, expected_tops says %s"
                    % (name, top.shape, expected.shape)
                )
            tolerance = 1e-4 * np.abs(expected) + 3e-6 * np.max(np.abs(expected))
            same(
                "forward and expected_tops differ in top",
                [name],
                [top],
                [expected],
                [tolerance + 1e-7],
                ("forward", "expected"),
            )


def check_gradient(subject):
    """Backward gives the slopes of forward, for every wanted bottom and every weight."""
    for draw in range(DRAWS):
        batch = BATCHES[draw % len(BATCHES)]
        arrays = subject.bottoms(batch, draw)
        layer_net = subject.net(arrays)
        if draw:
            move_weights(layer_net, subject.rng)
        tops = subject.forward(layer_net, arrays)
        same(
            "the gradient cannot be measured: the same bottoms gave another top",
            layer_net.tops,
            subject.forward(layer_net, arrays),
            tops,
        )
        top_diffs, data = subject.top_diffs(tops, draw), layer_net.bottom_data()
        instead = other_top_diffs(layer_net.tops, tops, top_diffs)
        diffs = subject.backward(layer_net, top_diffs, arrays)
        after = layer_net.bottom_data()
        same("backward changed the data of bottom", layer_net.bottoms, after, data, EXACT)
        for i, value in enumerate(arrays + [w.data.copy() for w in layer_net.weights]):
            if i >= len(arrays) or subject.fragment.wanted[i]:
                run = forward_of(subject, layer_net, arrays, i)
                if subject.pictures and not draw:
                    name, layer = layer_net.variables[i], subject.fragment.layer.get("name")
                    measured = gradient.measure(run, value, diffs[i], tops, top_diffs, subject.rng)
                    plot.save(subject.pictures, layer, name, diffs[i], measured)
                found = gradient.check(
                    run, value, diffs[i], tops, top_diffs, subject.rng, [v for _, v in instead]
                )
                if found:
                    lines = [gradient_table(layer_net.variables[i], value, found)]
                    if found.measured is not None:
                        instead = [(text, m) for (text, _), m in zip(instead, found.instead)]
                        names = zip(layer_net.variables, diffs)
                        others = [row for j, row in enumerate(names) if j != i]
                        numbers = numbers_of(subject.fragment, batch, value)
                        case = diagnosis.Case(diffs[i], found, instead, others, numbers)
                        lines += diagnosis.explain(case)
                    raise Failure("\n  ".join(lines))


def move_weights(layer_net, rng):
    """Move the weights off their initial values, at which a mistake may not show."""
    for weight in layer_net.weights:
        size = max(1.0, np.sqrt(np.mean(np.square(weight.data))))
        weight.data[...] += 0.1 * size * rng.randn(*weight.data.shape)


def forward_of(subject, layer_net, arrays, i):
    """Return forward as a function of variable i alone: a bottom, or one of the weights."""

    def of_bottom(array):
        return subject.forward(layer_net, arrays[:i] + [array] + arrays[i + 1 :])

    def of_weight(array):
        weight = layer_net.weights[i - len(arrays)]
        before = weight.data.copy()
        weight.data[...] = array
        tops = subject.forward(layer_net, arrays)
        weight.data[...] = before
        return tops

    return of_bottom if i < len(arrays) else of_weight


def other_top_diffs(names, tops, top_diffs):
    """Return pairs: what a layer may take for the top diffs by mistake, in words and as arrays."""
    found = [
        ("the top's diff is ignored: it is right for a top diff of ones", np.ones_like),
        ("the top's diff is squared", np.square),
        ("it uses the absolute value of the top's diff", np.abs),
    ]
    found = [(text, [change(diff) for diff in top_diffs]) for text, change in found]
    found.append(("it uses the top's data instead of its diff", tops))
    if 1 < len(tops) <= MOST_COMBINATIONS:
        for forgotten, name in enumerate(names):
            others = [diff * (j != forgotten) for j, diff in enumerate(top_diffs)]
            found.append(("the diff of top %s is forgotten" % name, others))
    return found


def numbers_of(fragment, batch, array):
    """Return pairs: what a wrong factor may come from, in words and as a number."""
    shape = array.shape
    found = [("the batch size", batch)]
    found += [("the length of axis %d" % i, n) for i, n in enumerate(shape) if i or n != batch]
    last = len(shape) - 1
    found += [("the product of axes %d to %d" % (i, last), np.prod(shape[i:])) for i in range(last)]
    found += [("loss_weight", weight) for weight in fragment.layer.all("loss_weight")]
    found += [("the key %s" % key, value) for key, value in sorted(fragment.params.items())]
    found += [("the number of bottoms", len(fragment.bottoms))]
    found += [("the number of tops", len(fragment.tops))]
    numbers = [(name, n) for name, n in found if isinstance(n, (int, float, np.integer))]
    return [(name, abs(float(n))) for name, n in numbers if n not in (0, 1, -1)]


def gradient_table(name, array, found):
    """Return the message for a wrong gradient."""
    lines = ["the gradient of %s is wrong: %s" % (name, found.count)]
    lines.append("  %-16s %13s %13s %11s %8s" % ("index", "backward", "measured", "error", "ratio"))
    for index, slope in found.rows[:ROWS]:
        ratio = slope.layers / slope.measured if slope.measured else np.inf
        where = "direction" if index is None else show(index)
        lines.append(
            "  %-16s %13.6g %13.6g %11.3g %8.4g"
            % (where, slope.layers, slope.measured, -slope.residual, ratio)
        )
    if name.startswith("bottom ") and np.all(array == np.round(array)):
        lines.append("  %s holds whole numbers; labels want propagate_down: false" % name)
    return "\n".join(lines)


def check_propagate_down(subject):
    """A bottom that is off keeps its diff, and all others get the same gradient as before."""
    arrays, wanted = subject.bottoms(BATCHES[0]), subject.fragment.wanted
    complete = subject.net(arrays)
    tops = subject.forward(complete, arrays)
    top_diffs, garbage = subject.top_diffs(tops), subject.diffs_like(arrays)
    diffs = complete.backward(top_diffs, garbage)
    for flags in combinations(wanted):
        layer_net = subject.net(arrays, flags=flags)
        subject.forward(layer_net, arrays)
        found = layer_net.backward(top_diffs, garbage)
        what = "with propagate_down %s, " % ", ".join(str(flag).lower() for flag in flags)
        for i, name in enumerate(layer_net.variables):
            if i >= len(arrays) or flags[i]:
                same(what + "another gradient of", [name], [found[i]], [diffs[i]])
            else:
                kept, columns = garbage[i].astype(np.float32), ("after", "before")
                same(
                    what + "backward wrote the diff of", [name], [found[i]], [kept], EXACT, columns
                )


def combinations(wanted):
    """Return the propagate_downs to try: of many wanted bottoms none, all, each on, each off."""
    on = [i for i, want in enumerate(wanted) if want]
    if len(on) <= MOST_COMBINATIONS:
        chosen = [c for n in range(len(on) + 1) for c in itertools.combinations(on, n)]
    else:
        chosen = [(), tuple(on)] + [(i,) for i in on] + [tuple(set(on) - {i}) for i in on]
    return [[i in some for i in range(len(wanted))] for some in chosen]


def check_weights(subject):
    """The layer takes the weights it is given, keeps them, and computes with them alone."""
    arrays = subject.bottoms(BATCHES[0])
    first, kept, loaded, changed, sharing, keeper = [subject.net(arrays) for _ in range(6)]
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
    keeper.net.share_with(sharing.net)  # or else the memory that stale views show is freed
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
    count, before = len(layer_net.all_weights), [w.data.copy() for w in layer_net.weights]

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


def check_counts(subject):
    """Another number of bottoms or tops is refused, or it makes a difference."""
    arrays, tops = subject.bottoms(BATCHES[0]), len(subject.fragment.tops)
    reference = subject.forward(subject.net(arrays), arrays)
    extra = arrays[-1] if arrays else np.zeros((BATCHES[0], 3), np.float32)
    for changed in (arrays + [extra], arrays[:-1]):
        if len(changed) != len(arrays):
            what = "%d bottoms instead of %d" % (len(changed), len(arrays))
            refused(what, subject, changed, tops, reference)
    for count in (tops + 1, tops - 1):
        what = "%d tops instead of %d" % (count, tops)
        refused(what, subject, arrays, count, reference)


def refused(what, subject, arrays, tops, reference):
    """Raise Failure if the layer takes these counts without a word and without using them."""
    try:
        layer_net = subject.net(arrays, tops=tops)
        used = [layer_net.net.blobs[top].count for top in layer_net.tops]
        found = subject.forward(layer_net, arrays) if all(used) else []
        if len(arrays) > len(subject.fragment.bottoms):
            moved = [arrays[:-1] + [arrays[-1] + shift] for shift in (1, -1)]
            moved = [subject.forward(subject.net(m, tops=tops), m) for m in moved]
            used = [any(not all_equal(found, other) for other in moved)]
        elif len(arrays) < len(subject.fragment.bottoms):
            used = [not all_equal(found, reference)]
    except Exception:
        return
    if not all(used):
        raise Failure("the layer takes %s and ignores it: setup must check the counts" % what)


def all_equal(left, right):
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right))


# What stands in for a value of another type, such that no conversion takes it by accident.
MISTYPED = ((bool, "no"), ((int, float), {}), (list, 7), (dict, 7), (object, []))


def check_param_str(subject):
    """Unknown and mistyped keys are refused; a missing key is, or the layer works without it."""
    fragment, arrays = subject.fragment, subject.bottoms(BATCHES[0])
    cases = [("the unknown key no_such_key", dict(fragment.params, no_such_key=1))]
    for key, value in fragment.params.items():
        other = next(other for kind, other in MISTYPED if isinstance(value, kind))
        cases.append(
            (
                "%r for %r instead of %r" % (other, str(key), value),
                dict(fragment.params, **{str(key): other}),
            )
        )
    for what, params in cases:
        try:
            layer_net = subject.net(arrays, layer=fragment.with_params(params))
            subject.forward(layer_net, arrays)
        except Exception:
            continue
        raise Failure("param_str with %s was taken: expected an exception" % what)
    for key in fragment.params:
        params = dict(fragment.params)
        del params[key]
        try:
            layer_net = subject.net(arrays, layer=fragment.with_params(params))
        except Exception:
            continue
        try:
            subject.forward(layer_net, arrays)
        except Exception as error:
            raise Failure(
                "param_str without %r loads and fails in forward: expected an exception "
                "from setup, or a default (%s: %s)" % (str(key), type(error).__name__, error)
            )


def same(what, names, found, expected, tolerances=None, columns=("now", "before")):
    """Raise Failure with a table where an array is not the one expected.

    Without tolerances arrays may differ by rounding, as sums do in another place in memory.
    """
    for name, left, right, limit in zip(
        names, found, expected, tolerances or itertools.repeat(None)
    ):
        left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
        if left.shape != right.shape:
            raise Failure(
                "%s %s: the shape %s instead of %s" % (what, name, left.shape, right.shape)
            )
        if limit is None:
            finite = np.abs(right[np.isfinite(right)])
            limit = 1e-6 * (np.abs(right) + (np.max(finite) if finite.size else 0.0))
        equal = (left == right) | (np.isnan(left) & np.isnan(right))
        wrong = ~(equal | (np.abs(left - right) <= limit))
        if np.any(wrong):
            lines = ["%s %s: %d of %d elements" % (what, name, np.sum(wrong), wrong.size)]
            lines.append("  %-16s %13s %13s %11s" % (("index",) + columns + ("error",)))
            errors = np.abs(left - right)
            errors = np.where(wrong, np.where(np.isnan(errors), np.inf, errors), -1).ravel()
            for flat in np.argsort(-errors)[: min(ROWS, int(np.sum(wrong)))]:
                index = np.unravel_index(flat, wrong.shape)
                lines.append(
                    "  %-16s %13.6g %13.6g %11.3g"
                    % (show(index), left[index], right[index], left[index] - right[index])
                )
            raise Failure("\n".join(lines))


def show(index):
    return "[" + ", ".join(str(i) for i in index) + "]"


def always(fragment):
    return True


def has_bottoms(fragment):
    return bool(fragment.bottoms)


def is_source(fragment):
    return not fragment.bottoms


def wants_gradient(fragment):
    return any(fragment.wanted) or bool(fragment.layer.all("param"))


# name of the check, its function, whether it applies to a fragment
CHECKS = (
    ("load", check_load, always),
    ("shapes", check_shapes, always),
    ("forward", check_forward, has_bottoms),
    ("batch", check_batch, has_bottoms),
    ("sequence", check_sequence, is_source),
    ("phases", check_phases, lambda f: is_source(f) and not f.layer.all("include")),
    ("ranks", check_ranks, lambda f: is_source(f) and f.phase == 0),
    ("batch_size", check_batch_size, lambda f: is_source(f) and "batch_size" in f.params),
    ("expected_tops", check_expected_tops, always),
    ("gradient", check_gradient, wants_gradient),
    ("propagate_down", check_propagate_down, wants_gradient),
    ("weights", check_weights, lambda fragment: bool(fragment.layer.all("param"))),
    ("counts", check_counts, always),
    ("param_str", check_param_str, lambda fragment: bool(fragment.params)),
)


def names(path):
    """Return the names of the checks that apply to the fragment in a file."""
    try:
        fragment = net.Fragment(path)
    except Exception:
        return ["load"]
    return [name for name, _, applies in CHECKS if applies(fragment)]


def run(name, caffe, path, make_bottoms, expected_tops, seeds, pictures=None):
    """Run one check on every seed; return [outcome, text], the outcome pass, skip or fail.

    `pictures` is the folder for pictures of the gradients, if they are wanted.
    """
    function = dict((check, function) for check, function, _ in CHECKS)[name]
    again = ""
    try:
        fragment = net.Fragment(path)
        import_layer(caffe, fragment)
        for seed in seeds:
            again = "with --seed=%d: " % seed if len(seeds) > 1 else ""
            function(Subject(caffe, fragment, make_bottoms, expected_tops, seed, pictures))
    except KeyboardInterrupt:
        raise
    except Unchecked as reason:
        return ["skip", str(reason)]
    except BaseException as error:
        return ["fail", wrapped(again + describe(error, os.path.dirname(path)))]
    return ["pass", ""]


def wrapped(text):
    """Return a text with lines that fit into 100 columns, further lines indented."""
    lines = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())] + "  "
        lines += (
            textwrap.wrap(
                line, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )
            if len(line) > 100
            else [line]
        )
    return "\n".join(lines)


def import_layer(caffe, fragment):
    """Import the module and class that the fragment names; Caffe's own messages hide the reason."""
    module, name = fragment.python.get("module"), fragment.python.get("layer")
    place = "%s: expected the class %s in the module %s" % (
        os.path.basename(fragment.path),
        name,
        module,
    )
    try:
        layer = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise Failure(place + ", but importing it fails: %s" % error)
    if layer is None:
        raise Failure(place + ", which has none of that name")
    if not isinstance(layer, type) or not issubclass(layer, caffe.Layer):
        raise Failure(place + " to be a caffe.Layer")
    own = [base for base in layer.__mro__ if base not in caffe.Layer.__mro__]
    for method in ("setup", "reshape", "forward"):
        if not any(method in vars(base) for base in own):
            raise Failure(place + " to have the method " + method)


def describe(error, folder):
    """Return a message, for an exception from the author's files with the lines it came from."""
    if isinstance(error, Failure):
        return str(error)
    lines = ["%s: %s" % (type(error).__name__, error)]
    frames = traceback.extract_tb(sys.exc_info()[2])
    harness = os.path.dirname(os.path.abspath(__file__))
    own = [f for f in frames if f[0].startswith(folder) and not f[0].startswith(harness)]
    if not own and frames[-1][0].startswith(harness):
        own = frames[-1:]
    for path, line, function, text in own:
        lines.append("  %s:%d in %s: %s" % (os.path.relpath(path, folder), line, function, text))
    return engine.with_hint("\n".join(lines))
