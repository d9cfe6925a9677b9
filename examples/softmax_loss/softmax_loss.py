"""A Python layer for Caffe; softmax_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"ignore_label": -1, "normalization": "VALID"}


class SoftmaxLossLayer(caffe.Layer):
    """Cross-entropy of the softmax over axis 1 and a label, as Caffe's SoftmaxWithLoss.

    Bottoms:
        scores: (N, C, ...); any real numbers
        label: (N, ...) or (N, 1, ...); a class from 0 to C - 1, or ignore_label
    Top:
        softmax_loss: a scalar, in nats

    E = -sum log p_label / M over the labels that are not ignored, where
    p_c = exp(s_c) / sum_k exp(s_k). normalization chooses M: the number of labels that
    are not ignored, at least 1 (VALID), of all labels (FULL), N (BATCH_SIZE), 1 (NONE).

    Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs,
    1990.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 2:
            self.refuse("expected 2 bottoms (scores, label), got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (softmax_loss), got %d", len(top))
        self.params = self.read_params()
        known = "VALID, FULL, BATCH_SIZE, NONE"
        if self.params["normalization"] not in known.split(", "):
            text = "normalization must be one of %s, got %r"
            self.refuse(text, known, self.params["normalization"])

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: scores without classes, or not one label for all classes.
        """
        scores, label = bottom[0].data, bottom[1].data
        if scores.ndim < 2 or scores.size != label.size * scores.shape[1]:
            text = "scores must be (N, C, ...) and label (N, ...), got %s and %s"
            self.refuse(text, scores.shape, label.shape)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep p, the labels and M for backward.

        After the largest score is subtracted, exp does not overflow and the sum of exp
        is 1 or more, so that log p is finite where p is too small for a float.

        Raises:
            ValueError: a label is no class and not ignored.
        """
        scores, ignore_label = by_class(bottom[0].data), self.params["ignore_label"]
        n, classes = scores.shape[:2]
        label = bottom[1].data.astype(int).reshape(n, 1, -1)
        self.valid = label != ignore_label
        wrong = label[self.valid & ((label < 0) | (label >= classes))]
        if len(wrong):
            text = "label must be 0 to %d, or ignore_label (%d), got %d"
            self.refuse(text, classes - 1, ignore_label, wrong[0])
        log_p = scores - np.max(scores, axis=1, keepdims=True)
        log_p -= np.log(np.sum(np.exp(log_p), axis=1, keepdims=True))
        self.p = np.exp(log_p)
        self.is_label = label == np.arange(classes)[:, np.newaxis]  # (N, C, ...)
        counts = {"VALID": np.sum(self.valid), "FULL": label.size, "BATCH_SIZE": n}
        self.count = max(1, counts.get(self.params["normalization"], 1))
        top[0].data[...] = -np.sum(log_p[self.is_label & self.valid]) / self.count

    def backward(self, top, propagate_down, bottom):
        """Compute dE/ds_c = dE/dloss * (p_c - [c is the label]) / M; ignored, 0."""
        if propagate_down[0]:
            scale = top[0].diff / self.count * self.valid
            by_class(bottom[0].diff)[...] = scale * (self.p - self.is_label)
        if propagate_down[1]:
            bottom[1].diff[...] = 0

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


def by_class(array):
    """Return a view of shape (N, C, all other axes)."""
    return array.reshape(array.shape[0], array.shape[1], -1)
