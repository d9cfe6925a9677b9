# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The layer once more in double precision, on the stand-in: a second opinion.

float32 cannot tell a slope from a kink that is near, nor 1 - p from 0 where p is almost
1. The same code in float64 can: its steps are a million times smaller.
"""

import contextlib
import os

import numpy as np

from . import engine, standin


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


class DoubleLayer(object):
    """The layer in float64, with the same bottoms, weights and top diffs.

    Args:
        subject: the Subject.
        arrays: a list of arrays, one per bottom.
        weights: a list of arrays, one per weight of self.blobs.
        top_diffs: a list of arrays, one per top.
    """

    def __init__(self, subject, arrays, weights, top_diffs):
        self.subject = subject
        self.arrays = [np.asarray(array, np.float64) for array in arrays]
        self.top_diffs = [np.asarray(diff, np.float64) for diff in top_diffs]
        folder = os.path.dirname(os.path.abspath(subject.fragment.path))
        with engine.running("standin", folder) as caffe, double_precision():
            self.net = subject.net(self.arrays, caffe)
            self.net.set_values(weights)
            if subject.author.stateful:
                self.net.keep_state()
        self.tops = self.forward(self.net, self.arrays)
        with double_precision():
            nothing = [np.zeros_like(array) for array in self.arrays]
            self.diffs = self.net.backward(self.top_diffs, nothing)

    def forward(self, _, arrays):
        """Return the tops, as Subject.forward does."""
        with double_precision():
            self.subject.reseed(standin)
            return self.net.forward(arrays)
