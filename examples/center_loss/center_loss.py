"""A Python layer for Caffe; center_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"classes": int}


class CenterLossLayer(caffe.Layer):
    """Center loss: draws features to the center of their class, which is learned.

    Bottoms:
        features (x): (N, ...); D numbers for each sample
        label: (N,) or (N, 1, ...); a class from 0 to classes - 1
    Top:
        center_loss: a scalar; its loss_weight is the paper's lambda
    Weights:
        blobs[0]: c, (classes, D), a center for each class, 0 at first

    E = sum |x - c_label|^2 / 2N.

    Wen, Zhang, Li, Qiao, A Discriminative Feature Learning Approach for Deep Face
    Recognition, ECCV 2016, equation (2), here over N. The diff of center j is the
    derivative of E, loss_weight * sum_j (c_j - x) / N over the samples of class j; the
    paper's own update (4) is sum_j (c_j - x) / (1 + their number), which neither N nor
    lambda makes smaller.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str, make the centers if there are none.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 2:
            self.refuse("expected 2 bottoms (features, label), got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (center_loss), got %d", len(top))
        self.params = self.read_params()
        classes = self.params["classes"]
        if classes < 1:
            self.refuse("classes must be 1 or more, got %d", classes)
        if len(self.blobs) == 0:
            self.blobs.add_blob(classes, by_sample(bottom[0].data).shape[1])
            self.blobs[0].data[...] = 0

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: features do not fit the centers, or not one label for each.
        """
        n, d = by_sample(bottom[0].data).shape
        if d != self.blobs[0].data.shape[1]:
            text = "features must be (N, ...) with %d numbers for each sample, got %s"
            self.refuse(text, self.blobs[0].data.shape[1], bottom[0].data.shape)
        if bottom[1].count != n:
            self.refuse("label must be (%d,), got %s", n, bottom[1].data.shape)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep x - c_label and the labels for backward.

        Raises:
            ValueError: a label is no class.
        """
        centers = self.blobs[0].data
        self.label = bottom[1].data.astype(int).ravel()
        wrong = self.label[(self.label < 0) | (self.label >= len(centers))]
        if len(wrong):
            self.refuse("label must be 0 to %d, got %d", len(centers) - 1, wrong[0])
        self.difference = by_sample(bottom[0].data) - centers[self.label]
        top[0].data[...] = np.sum(self.difference**2) / (2 * len(self.label))

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dx = dE/dloss * (x - c_label) / N; add -dE/dx to c_label's."""
        gradient = top[0].diff / len(self.label) * self.difference
        if propagate_down[0]:
            by_sample(bottom[0].diff)[...] = gradient
        if propagate_down[1]:
            bottom[1].diff[...] = 0
        centers_diff = self.blobs[0].diff
        for j, row in zip(self.label, gradient):
            centers_diff[j] -= row

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
