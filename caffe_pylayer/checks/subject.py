# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The layer under test, and what its checks have in common."""

import collections
import itertools
import os
import random

import numpy as np

from . import engine, net, net_shapes, standin
from .gradient import signs, uniform
from .net import CheckFailed

BATCHES = (4, 7, 2)  # the first, a larger and a smaller one
DRAWS = 2 * len(BATCHES)  # of bottoms and top diffs, for each gradient
EPOCH_BATCHES = 7  # in an epoch, where a layer has keys for it; no multiple of 2 or 3
BATCHES_WITHOUT_EPOCH = 6  # looked at where it has none
TABLE_ROWS = 5  # of a table in a message
EXACT = itertools.repeat(0.0)  # tolerances of `assert_same`, one after the other


class CheckSkipped(Exception):
    """The author left nothing to check; the message says what is unchecked."""


# What the author gives to `check`: make_bottoms, expected_tops, expected_diffs
# and prepare, the last three or None; the bools stateful and one_solver.
Author = collections.namedtuple(
    "Author",
    "make_bottoms expected_tops expected_diffs stateful one_solver prepare",
)


class Subject(object):
    """The layer under test: its fragment, the engine, and what its author wrote.

    `advice` is the list of what is no fault in Caffe, but worth a word. `shapes` are
    those that a net has for the bottoms, None for those of make_bottoms.
    """

    def __init__(self, caffe, fragment, author, seed, pictures=None, shapes=None):
        self.caffe, self.fragment, self.author, self.seed = (
            caffe,
            fragment,
            author,
            seed,
        )
        self.pictures, self.shapes, self.advice = pictures, shapes, []
        self._made, self._own = {}, {}
        self.rng = np.random.RandomState(seed % 2**32)

    def advise(self, text):
        """Tell the author something that is no fault in Caffe."""
        if text not in self.advice:
            self.advice.append(text)

    def bottoms(self, batch, draw=0):
        """Return the author's bottoms, float32, the same for the same arguments.

        Raises CheckFailed where make_bottoms does not return an array for each.
        """
        if (batch, draw) not in self._made:
            rng = np.random.RandomState((self.seed * 1000003 + draw) % 2**32)

            def make():
                arrays = self.author.make_bottoms(rng, batch)
                assert_list("make_bottoms", arrays, self.fragment.bottoms)
                made = [np.array(array, np.float32) for array in arrays]
                own.append([array.shape for array in made])
                return made

            own = []
            arrays = (
                net_shapes.fitted(make, self.shapes, batch) if self.shapes else make()
            )
            self._made[batch, draw] = arrays
            self._own[tuple(array.shape for array in arrays)] = own[0]
        return [array.copy() for array in self._made[batch, draw]]

    def expected(self, layer_net, arrays):
        """Return the author's list of expected tops, or None where there is none.

        Raises CheckFailed where it is no list with an array, or None, for each top.
        """
        if self.author.expected_tops is None:
            return None
        bottoms = self._as_author_made(arrays)
        tops = self.author.expected_tops(bottoms, self.params(layer_net))
        if tops is not None:
            assert_list("expected_tops", tops, self.fragment.tops)
        return tops

    def expected_diffs(self, layer_net, arrays, top_diffs):
        """Return the author's expected diffs, None for each bottom without one.

        Raises CheckFailed where it is no list with an array, or None, for each bottom.
        """
        if self.author.expected_diffs is None:
            return [None] * len(arrays)
        bottoms = self._as_author_made(arrays)
        tops = [diff.astype(np.float64) for diff in top_diffs]
        diffs = self.author.expected_diffs(bottoms, self.params(layer_net), tops)
        assert_list("expected_diffs", diffs, self.fragment.bottoms)
        return [
            diff if diff is None else reshaped(diff, array.shape)
            for diff, array in zip(diffs, arrays)
        ]

    def _as_author_made(self, arrays):
        """Return bottoms in float64, in make_bottoms' shapes where these have room."""
        own = self._own.get(
            tuple(array.shape for array in arrays), itertools.repeat(())
        )
        return [
            reshaped(array.astype(np.float64), shape)
            for array, shape in zip(arrays, own)
        ]

    def params(self, layer_net):
        """Return the dict of param_str, with the layer's own defaults."""
        return dict(layer_net.params(), **self.fragment.params)

    def net(self, arrays, caffe=None, **options):
        """Return a LayerNet for such bottoms; random numbers start anew."""
        self.reseed(caffe)
        made = net.LayerNet(caffe or self.caffe, self.fragment, arrays, **options)
        if self.author.prepare:
            self.author.prepare(made.net)
        if self.author.stateful:
            made.keep_state()
        return made

    def fresh_net(self, arrays):
        """Return a LayerNet of the layer's module as it is when newly imported."""
        kind = "standin" if self.caffe is standin else "real"
        folder = os.path.dirname(os.path.abspath(self.fragment.path))
        with engine.running(kind, folder) as caffe:
            return self.net(arrays, caffe)

    def forward(self, layer_net, arrays):
        """Return the tops; random numbers start anew: dropout drops the same."""
        self.reseed()
        return layer_net.forward(arrays)

    def reseed(self, caffe=None):
        random.seed(self.seed)
        np.random.seed(self.seed % 2**32)
        (caffe or self.caffe).set_random_seed(self.seed % 2**31 + 1)

    def epoch(self, size=None):
        """Return the layer with a short epoch, its batch_size and number of batches.

        Where there are no such keys the epoch is unknown: the layer as it is, None, and
        BATCHES_WITHOUT_EPOCH.
        """
        keys = dict(self.net([]).params(), **self.fragment.params)
        if not all(type(keys.get(key)) is int for key in ("batch_size", "samples")):
            return self.fragment.layer, None, BATCHES_WITHOUT_EPOCH
        size = size or keys["batch_size"]
        short = dict(batch_size=size, samples=EPOCH_BATCHES * size + size // 2)
        return (
            self.fragment.with_params(dict(self.fragment.params, **short)),
            size,
            EPOCH_BATCHES,
        )

    def sequence(self, count, **options):
        """Return the tops of `count` forwards of a new net without bottoms."""
        layer_net = self.net([], **options)
        return [self.forward(layer_net, []) for _ in range(count)]

    def diffs_like(self, arrays):
        """Return random diffs between 0.5 and 1.5 of either sign."""
        return [
            uniform(self.rng, 0.5, 1.5, array.shape) * signs(self.rng, array.shape)
            for array in arrays
        ]

    def top_diffs(self, tops, draw=0):
        """Return random float32 diffs for the tops, such that each top counts.

        That of a scalar changes its sign from draw to draw.
        """
        diffs = []
        for j, (top, diff) in enumerate(zip(tops, self.diffs_like(tops))):
            size = np.sqrt(np.mean(np.square(top))) if top.size else 0
            diff = np.abs(diff) * (-1) ** draw if top.size == 1 else diff
            diff = diff / (size if 1e-6 < size < 1e6 else 1.0)
            diffs.append(np.float32(diff * self.fragment.gets_diff(j)))
        return diffs

    def checked(self, layer_net):
        """Return the indices of the variables with a gradient that is checked."""
        wanted = self.fragment.wanted + [True] * len(layer_net.weights)
        return [i for i, flag in enumerate(wanted) if flag]

    def backward(self, layer_net, top_diffs, arrays, forward=None):
        """Return the diffs of all variables, after a forward on these bottoms.

        With `forward`, a function that runs it once more, they are known to be well
        defined: backward must give the same twice, write each diff of a wanted bottom,
        whatever was in it, and add to those of weights, over which Caffe sums
        (iter_size). Raises CheckFailed where it does not.
        """
        garbage, bottoms = self.diffs_like(arrays), len(arrays)
        diffs = layer_net.backward(top_diffs, garbage)
        if not forward:
            return diffs

        def after_forward(*diffs):
            forward()  # Caffe runs one before every backward
            return layer_net.backward(*diffs)

        checked, names = self.checked(layer_net), layer_net.variables
        other_top_diffs = self.diffs_like(top_diffs)
        other = self.diffs_like(arrays)
        second = after_forward(other_top_diffs, other)
        offsets = [1 + np.max(np.abs(diff)) for diff in diffs[bottoms:]]
        limits = [None] * bottoms + [np.float64(1e-5 * offset) for offset in offsets]
        again = after_forward(top_diffs, other, offsets)
        rows = [[row[i] for i in checked] for row in (names, again, diffs, limits)]
        differs = not is_same(*rows)
        if differs:
            same = after_forward(top_diffs, garbage)
            assert_same("backward run again gave another diff of", names, same, diffs)
        fresh = self.net(arrays)
        fresh.set_values(layer_net.values())
        self.forward(fresh, arrays)
        first = fresh.backward(other_top_diffs, other)
        what = (
            "backward after one with other top diffs gave another than in a new net, "
        )
        rows = [[row[i] for i in checked] for row in (names, second, first)]
        assert_same(what + "the diff of", *rows)
        for i in range(bottoms) if differs else ():
            if self.fragment.wanted[i] and i not in layer_net.in_place:
                assert_written(names[i], diffs[i], again[i], garbage[i], other[i])
        what = (
            "backward must add to the diff, over which Caffe sums, not overwrite it, of"
        )
        rows = [row[bottoms:] for row in (names, again, diffs, limits)]
        assert_same(what, *rows)
        return diffs


def assert_written(name, diff, again, garbage, other):
    """Raise CheckFailed unless a diff was written, both times, over what was in it."""
    left = (diff == garbage.astype(np.float32)) & (again == other.astype(np.float32))
    if np.any(left):
        text = (
            "backward left %d of %d elements of the diff of %s as they were, "
            "such as %s: it must write them all"
        )
        if np.all(left):
            text += ", or the prototxt must say propagate_down: false, as for labels"
        first = show(np.argwhere(left)[0])
        raise CheckFailed(text % (np.sum(left), left.size, name, first))
    if not np.allclose(again, diff) and np.allclose(
        again - diff, other - garbage, 1e-3, 1e-3
    ):
        raise CheckFailed(
            "backward adds to what is in the diff of %s: it must overwrite it, "
            "Caffe does not clear it" % name
        )
    assert_same("backward depends on what was in the diff of", [name], [again], [diff])


def reshaped(array, shape):
    """Return an array in another shape, as it is where that has another size."""
    array = np.asarray(array)
    return array.reshape(shape) if array.size == np.prod(shape) else array


def assert_list(function, arrays, names):
    """Raise CheckFailed unless the author's function gave an array for each name."""
    is_list = isinstance(arrays, (list, tuple))
    if not is_list or len(arrays) != len(names):
        got = "%d" % len(arrays) if is_list else type(arrays).__name__
        raise CheckFailed(
            "%s: expected a list with an array for each blob in the prototxt (%s), "
            "got %s" % (function, ", ".join(names), got)
        )


def assert_same(
    what, names, found, expected, tolerances=None, columns=("now", "before")
):
    """Raise CheckFailed with a table where an array is not the one expected.

    Without tolerances arrays may differ by rounding, as sums in other memory do: by
    1e-6 of their own size and of the largest.

    Args:
        what: the message up to the name.
        names, found, expected: a name and two arrays for each comparison.
        tolerances: absolute ones, a number or an array for each comparison.
        columns: what the two columns of the table are called.
    """
    for name, left, right, limit in zip(
        names, found, expected, tolerances or itertools.repeat(None)
    ):
        if np.array_equal(left, right):
            continue
        left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
        if left.shape != right.shape:
            raise CheckFailed(
                "%s %s: the shape %s instead of %s"
                % (what, name, left.shape, right.shape)
            )
        if limit is None:
            finite = np.abs(right[np.isfinite(right)])
            limit = 1e-6 * (np.abs(right) + (np.max(finite) if finite.size else 0.0))
        equal = (left == right) | (np.isnan(left) & np.isnan(right))
        with np.errstate(invalid="ignore"):
            errors = np.abs(left - right)
        wrong = ~(equal | (errors <= limit))
        if np.any(wrong):
            lines = [
                "%s %s: %d of %d elements" % (what, name, np.sum(wrong), wrong.size)
            ]
            lines.append("  %-16s %13s %13s %11s" % (("index",) + columns + ("error",)))
            errors = np.where(
                wrong, np.where(np.isnan(errors), np.inf, errors), -1
            ).ravel()
            for flat in np.argsort(-errors)[: min(TABLE_ROWS, int(np.sum(wrong)))]:
                index = np.unravel_index(flat, wrong.shape)
                lines.append(
                    "  %-16s %13.6g %13.6g %11.3g"
                    % (
                        show(index),
                        left[index],
                        right[index],
                        left[index] - right[index],
                    )
                )
            raise CheckFailed("\n".join(lines))


def is_same(names, *arguments):
    """Whether assert_same raises nothing."""
    try:
        assert_same("", names, *arguments)
    except CheckFailed:
        return False
    return True


def all_equal(left, right):
    """Whether two lists of arrays are equal."""
    return len(left) == len(right) and all(
        np.array_equal(a, b) for a, b in zip(left, right)
    )


def show(index):
    return "[" + ", ".join(str(i) for i in index) + "]"
