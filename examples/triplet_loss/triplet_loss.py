"""A Python layer for Caffe; triplet_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"margin": 0.2}


class TripletLossLayer(caffe.Layer):
    """Triplet loss: an anchor is nearer to its positive than to its negative.

    Bottoms:
        anchor (a): (N, ...); the embeddings
        positive (p): the same shape; of the anchor's class
        negative (n): the same shape; of another class
    Top:
        triplet_loss: a scalar

    E = sum max(0, |a - p|^2 - |a - n|^2 + margin) / N.

    Schroff, Kalenichenko, Philbin, FaceNet: A Unified Embedding for Face Recognition
    and Clustering, CVPR 2015, arXiv:1503.03832, section 3.1; there it is the sum, of
    embeddings of length 1 (see l2_normalize).
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 3:
            self.refuse(
                "expected 3 bottoms (anchor, positive, negative), got %d", len(bottom)
            )
        if len(top) != 1:
            self.refuse("expected 1 top (triplet_loss), got %d", len(top))
        self.params = self.read_params()

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: the bottoms have different shapes.
        """
        shapes = [bottom[i].data.shape for i in range(3)]
        if len(set(shapes)) > 1:
            self.refuse("the bottoms must have one shape, got %s, %s, %s", *shapes)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep a - p and a - n for backward, and what is active.

        A triplet is active when it does not keep the margin.
        """
        a, p, n = [by_sample(bottom[i].data) for i in range(3)]
        self.near, self.far = a - p, a - n
        loss = np.sum(self.near**2 - self.far**2, axis=1, keepdims=True)
        loss += self.params["margin"]
        self.active = loss > 0
        top[0].data[...] = np.sum(loss[self.active]) / len(loss)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/da = c (n - p), dE/dp = c (p - a) and dE/dn = c (a - n).

        c = dE/dloss * 2 / N for an active triplet, 0 for another.
        """
        scale = 2 * top[0].diff / len(self.active) * self.active
        if propagate_down[0]:
            by_sample(bottom[0].diff)[...] = scale * (self.near - self.far)
        if propagate_down[1]:
            by_sample(bottom[1].diff)[...] = -scale * self.near
        if propagate_down[2]:
            by_sample(bottom[2].diff)[...] = scale * self.far

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
