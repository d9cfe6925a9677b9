# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The layer once more in double precision, on the stand-in: a second opinion.

float32 cannot tell a slope from a kink that is near, nor 1 - p from 0 where p is almost
1. The same code in float64 can: its steps are a million times smaller.
"""

import contextlib
import os

import numpy as np

from . import engine, gradient, standin


@contextlib.contextmanager
def double_precision():
    """Let new blobs of the stand-in hold float64, and np.float32 be float64.

    So the buffers that a layer makes as np.float32 are of float64, too.
    """
    single = np.float32
    standin.DTYPE = np.float32 = np.float64
    try:
        yield
    finally:
        standin.DTYPE = np.float32 = single


class Passes(object):
    """Forward and backward of a LayerNet, by the values of its variables.

    `values` are those of its bottoms and trained weights; the weights have these after
    each pass. `precision` is a context manager in which passes run.
    """

    def __init__(self, subject, layer_net, arrays, caffe=None, precision=None):
        self.subject, self.net, self.caffe = subject, layer_net, caffe
        self.precision, self.count = precision or unchanged, len(arrays)
        self.values = arrays + [weight.data.copy() for weight in layer_net.weights]

    def tops(self, values):
        """Return the tops for these values."""
        with self.precision(), self._weights(values):
            self.subject.reseed(self.caffe)
            return self.net.forward(values[: self.count])

    def diffs(self, values, top_diffs):
        """Return the diffs of all variables and the tops, for these values."""
        tops = self.tops(values)
        with self.precision(), self._weights(values):
            return self.net.backward(top_diffs, [0.0] * self.count), tops

    def point(self, i, top_diffs, others, found):
        """Return the gradient.Point of variable i; `found` is its diff and the tops."""

        def all_values(array):
            return self.values[:i] + [array] + self.values[i + 1 :]

        def run(array):
            return self.tops(all_values(array))

        def backward(array, top_diffs):
            diffs, tops = self.diffs(all_values(array), top_diffs)
            return diffs[i], tops

        rng = self.subject.rng
        arguments = run, backward, self.values[i], top_diffs, rng, others, found
        return gradient.Point(*arguments)

    @contextlib.contextmanager
    def _weights(self, values):
        """Let the weights have these values for a while."""
        weights = self.net.weights
        try:
            for weight, value in zip(weights, values[self.count :]):
                weight.data[...] = value
            yield
        finally:
            for weight, value in zip(weights, self.values[self.count :]):
                weight.data[...] = value


@contextlib.contextmanager
def unchanged():
    yield


class Doubles(object):
    """The Points in float64 of the variables of a LayerNet, made when first wanted.

    Args:
        subject: the Subject.
        layer_net: the LayerNet in float32.
        arrays, tops, top_diffs: lists of arrays, its bottoms, tops and tops' diffs.
        others: function that returns further lists of top diffs.
        nets: a list of the LayerNet in float64, once it is made; it is reshaped.
    """

    def __init__(self, subject, layer_net, arrays, tops, top_diffs, others, nets):
        self.subject, self.arrays, self.tops = subject, arrays, tops
        self.weights, self.others = layer_net.values(), others
        self.top_diffs = [np.asarray(diff, np.float64) for diff in top_diffs]
        self._nets, self._passes = nets, None

    def point(self, i):
        """Return the Point of variable i, None where the layer does not run so."""
        if self._passes is None:
            try:
                self._passes = self._make()
            except (Exception, standin.CaffeAborted):
                self._passes = False
        if not self._passes:
            return None
        found = self.diffs[i], self.found_tops
        if not np.all(np.isfinite(found[0])):
            return None
        return self._passes.point(i, self.top_diffs, self.others, found)

    def _make(self):
        """Return the Passes, or False where forward gives something else in float64."""
        arrays = [np.asarray(array, np.float64) for array in self.arrays]
        if not self._nets:
            folder = os.path.dirname(os.path.abspath(self.subject.fragment.path))
            with engine.running("standin", folder) as caffe, double_precision():
                self._nets.append(self.subject.net(arrays, caffe))
        layer_net = self._nets[0]
        layer_net.set_values(self.weights)
        if self.subject.author.stateful:
            layer_net.keep_state()
        made = Passes(self.subject, layer_net, arrays, standin, double_precision)
        self.diffs, self.found_tops = made.diffs(made.values, self.top_diffs)
        same = all(map(is_near, self.tops, self.found_tops))
        return same and made


def is_near(single, double):
    """Whether tops in float32 and float64 are the same, but for rounding."""
    if single.shape != double.shape:
        return False
    limit = 1e-2 * np.linalg.norm(single) + 1e-5 * np.sqrt(single.size)
    return np.linalg.norm(single - double) <= limit
