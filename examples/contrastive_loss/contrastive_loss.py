"""A Python layer for Caffe; contrastive_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"margin": 1.0}


class ContrastiveLossLayer(caffe.Layer):
    """Contrastive loss: draws similar pairs together, pushes others a margin apart.

    Bottoms:
        a: (N, ...); the embeddings of one side
        b: the same shape; of the other side
        similar (s): (N,) or (N, 1, ...); 1 for a similar pair, 0 for another
    Top:
        contrastive_loss: a scalar

    E = sum (s d^2 + (1 - s) max(0, margin - d)^2) / 2N, where d = |a - b|.

    Hadsell, Chopra, LeCun, Dimensionality Reduction by Learning an Invariant Mapping,
    CVPR 2006, equation (4), whose Y is 1 - s; the same as Caffe's ContrastiveLoss.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 3:
            self.refuse("expected 3 bottoms (a, b, similar), got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (contrastive_loss), got %d", len(top))
        self.params = self.read_params()

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: a and b have different shapes, or similar not one for each pair.
        """
        a, b, similar = [bottom[i].data.shape for i in range(3)]
        if a != b:
            self.refuse("a and b must have one shape, got %s and %s", a, b)
        if bottom[2].count != a[0]:
            self.refuse("similar must be (%d,), got %s", a[0], similar)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep a - b and the pull on each pair for backward.

        The pull is 1 on a similar pair and -max(0, margin - d) / d on another; where
        d = 0 that is 0: there is no direction in which to part.

        Raises:
            ValueError: similar is neither 0 nor 1.
        """
        similar = bottom[2].data.reshape(-1, 1)
        wrong = similar[(similar != 0) & (similar != 1)]
        if len(wrong):
            self.refuse("similar must be 0 or 1, got %g", wrong[0])
        self.difference = by_sample(bottom[0].data) - by_sample(bottom[1].data)
        d = np.sqrt(np.sum(self.difference**2, axis=1, keepdims=True))
        missing = np.maximum(0, self.params["margin"] - d)
        push = missing / np.where(d > 0, d, np.inf)
        self.pull = np.where(similar == 1, 1, -push)
        loss = np.where(similar == 1, d, missing) ** 2
        top[0].data[...] = np.sum(loss) / (2 * len(loss))

    def backward(self, top, propagate_down, bottom):
        """Compute dE/da = dE/dloss * pull (a - b) / N and dE/db = -dE/da."""
        gradient = top[0].diff / len(self.pull) * self.pull * self.difference
        if propagate_down[0]:
            by_sample(bottom[0].diff)[...] = gradient
        if propagate_down[1]:
            by_sample(bottom[1].diff)[...] = -gradient
        if propagate_down[2]:
            bottom[2].diff[...] = 0

    def refuse(self, text, *values):
        """Raise ValueError(text % values); print it too, as `caffe train` does not."""
        message = type(self).__name__ + ": " + text % values
        sys.stderr.write(message + "\n")
        raise ValueError(message)

    def read_params(self):
        """Return the dict in param_str, JSON or Python, with the defaults filled in."""
        given = None
        for parse in (json.loads, ast.literal_eval):
            try:
                given = given or parse(self.param_str or "{}")
            except (MemoryError, RuntimeError, SyntaxError, TypeError, ValueError):
                pass
        if not isinstance(given, dict):
            self.refuse("expected a dict in param_str, got %.60r", self.param_str)
        for key in given:
            if key not in PARAMS:
                near = difflib.get_close_matches(str(key), PARAMS, 1, 0)[0]
                self.refuse("param_str has no key %r; the nearest is %r", key, near)
        params = {}
        for key, default in PARAMS.items():
            kind = default if isinstance(default, type) else type(default)
            value = given.get(key, default)
            if value is kind:
                self.refuse("param_str needs the key %r of type %s", key, kind.__name__)
            accepted = {float: (int, float), str: (str, type(b"".decode()))}
            fits = isinstance(value, accepted.get(kind, kind))
            if not fits or isinstance(value, bool) != (kind is bool):
                text = "expected type %s for the key %r of param_str, got %.60r"
                self.refuse(text, kind.__name__, key, value)
            params[key] = float(value) if kind is float else value
        return params


def by_sample(array):
    """Return a view of shape (N, all other axes)."""
    return array.reshape(array.shape[0], -1)
