"""A Python layer for Caffe; l2_normalize.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"eps": 1e-10}


class L2NormalizeLayer(caffe.Layer):
    """Scale the channels at each place to length 1: y = x / sqrt(sum_c x_c^2 + eps).

    Bottom:
        features (x): (N, C, ...)
    Top:
        normalized (y): the same shape

    With eps a place where every channel is 0 stays 0.

    Liu, Rabinovich, Berg, ParseNet: Looking Wider to See Better, 2015,
    arXiv:1506.04579, section 3.3, without its learned scale; for shape (N, C) the
    embedding of FaceNet, arXiv:1503.03832.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 1:
            self.refuse("expected 1 bottom (features), got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (normalized), got %d", len(top))
        self.params = self.read_params()

    def reshape(self, bottom, top):
        """Give the top the shape of the bottom; Caffe calls this before forward.

        Raises:
            ValueError: the features have no channels.
        """
        shape = bottom[0].data.shape
        if len(shape) < 2:
            self.refuse("features must be (N, C, ...), got %s", shape)
        top[0].reshape(*shape)

    def forward(self, bottom, top):
        """Compute y = x / n; keep n = sqrt(sum_c x_c^2 + eps) for backward."""
        x = bottom[0].data
        total = np.sum(x**2, axis=1, keepdims=True)
        self.norm = np.sqrt(total + self.params["eps"])
        top[0].data[...] = x / self.norm

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dx = (dE/dy - x sum_c(x_c dE/dy_c) / n^2) / n.

        From x, not from y: a layer above may have changed the top in place.
        """
        if propagate_down[0]:
            x, dy = bottom[0].data, top[0].diff
            along = np.sum(x * dy, axis=1, keepdims=True) / self.norm**2
            bottom[0].diff[...] = (dy - along * x) / self.norm

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
