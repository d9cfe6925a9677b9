"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class SoftmaxLossLayer(caffe.Layer):
    """Cross-entropy of the softmax over axis 1 and a label, as Caffe's SoftmaxWithLoss.

    Bottoms:
        scores: (N, C, ...); any real numbers
        label: (N, ...) or (N, 1, ...); a class from 0 to C - 1, or ignore_label
    Top:
        softmax_loss: a scalar, in nats

    E = -sum log p_label / M over the labels that are not ignored; p_c = exp(s_c) / sum_k exp(s_k).
    normalization chooses M, at least 1: how many labels are not ignored (VALID), how many there are
    (FULL), N (BATCH_SIZE), or 1 (NONE).

    Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990.
    """

    BOTTOMS = ["scores", "label"]
    TOPS = ["softmax_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "ignore_label": (int, -1),
        "normalization": (str, "VALID"),
    }
    NORMALIZATIONS = ("VALID", "FULL", "BATCH_SIZE", "NONE")

    def setup(self, bottom, top):
        """Check the counts of bottoms and tops; parse param_str into the dict self.params.

        Raises:
            ValueError: another count, or a param_str that does not fit PARAMS.
        """
        _check_count(self, "bottoms", bottom, self.BOTTOMS)
        _check_count(self, "tops", top, self.TOPS)
        self.params = _parse_param_str(self)
        self.normalization = str(self.params["normalization"])
        if self.normalization not in self.NORMALIZATIONS:
            raise ValueError(
                "%s: expected normalization to be one of %s, got %.60r"
                % (
                    type(self).__name__,
                    ", ".join(self.NORMALIZATIONS),
                    self.normalization,
                )
            )

    def reshape(self, bottom, top):
        """Make the loss a scalar and the buffer self.prob as large as the scores: N, C, the rest.

        Caffe calls this before every forward.

        Raises:
            ValueError: the scores have no axis 1, or there is not one label for each C of them.
        """
        scores, label = bottom[0].data.shape, bottom[1].data.shape
        if len(scores) < 2 or bottom[1].count * scores[1] != bottom[0].count:
            raise ValueError(
                "%s: expected %s of shape (N, C, ...) and %s of shape (N, ...), got %s and %s"
                % (type(self).__name__, self.BOTTOMS[0], self.BOTTOMS[1], scores, label)
            )
        shape = _by_class(bottom[0].data).shape
        if np.shape(getattr(self, "prob", None)) != shape:
            self.prob = np.zeros(shape, np.float32)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep the softmax and the labels for backward.

        With the largest score subtracted exp does not overflow, and log p = s - log sum_c exp(s_c)
        does not take the log of a p that has become zero.

        Raises:
            ValueError: a label is no class and not ignored.
        """
        scores, ignore_label = _by_class(bottom[0].data), self.params["ignore_label"]
        label = bottom[1].data.astype(int).reshape(len(scores), 1, -1)
        self.valid = label != ignore_label
        self.label, last = np.where(self.valid, label, 0), scores.shape[1] - 1
        wrong = self.label[(self.label < 0) | (self.label > last)]
        if wrong.size:
            raise ValueError(
                "%s: expected %s from 0 to %d, or the ignore_label %d, got %d"
                % (type(self).__name__, self.BOTTOMS[1], last, ignore_label, wrong[0])
            )
        np.subtract(scores, np.max(scores, axis=1, keepdims=True), out=self.prob)
        log_p = np.take_along_axis(self.prob, self.label, axis=1)
        np.exp(self.prob, out=self.prob)
        total = np.sum(self.prob, axis=1, keepdims=True)
        self.prob /= total
        log_p -= np.log(total)
        counts = np.sum(self.valid), self.valid.size, len(scores), 1
        self.count = max(1, counts[self.NORMALIZATIONS.index(self.normalization)])
        top[0].data[...] = -np.sum(log_p[self.valid]) / self.count

    def backward(self, top, propagate_down, bottom):
        """Compute dE/ds_c = dE/dloss * (p_c - [c is the label]) / M, zero where it is ignored.

        Raises:
            ValueError: the label wants a gradient.
        """
        if propagate_down[1]:
            raise ValueError(
                "%s: expected propagate_down: false for %s, got true"
                % (type(self).__name__, self.BOTTOMS[1])
            )
        if propagate_down[0]:
            diff = _by_class(bottom[0].diff)
            diff[...] = self.prob
            p = np.take_along_axis(self.prob, self.label, axis=1)
            np.put_along_axis(diff, self.label, p - 1, axis=1)
            diff *= self.valid * (top[0].diff / self.count)


def _by_class(array):
    """Return a view of shape (N, C, all the rest)."""
    return array.reshape(array.shape[0], array.shape[1], -1)


def _check_count(layer, what, blobs, names):
    """Raise ValueError unless there are as many blobs as names."""
    if len(blobs) != len(names):
        raise ValueError(
            "%s: expected %d %s (%s), got %d"
            % (type(layer).__name__, len(names), what, ", ".join(names), len(blobs))
        )


def _parse_param_str(layer):
    """Return the layer's param_str, in JSON or as a Python literal, with the defaults filled in.

    Raises:
        ValueError: not a dict, or one with an unknown, missing or mistyped key.
    """
    prefix = "%s: param_str" % type(layer).__name__
    given = _parse_literal(layer.param_str.strip() or "{}")
    if not isinstance(given, dict):
        text = "%s: expected a dict in JSON, or in Python of at most 20000 characters, got %.60r"
        raise ValueError(text % (prefix, layer.param_str))
    for key in given:
        if key not in layer.PARAMS:
            near = difflib.get_close_matches(
                "%.60s" % (key,), sorted(layer.PARAMS), 1, 0
            )
            expected = "%r, the nearest known key" % near[0] if near else "no keys"
            raise ValueError(
                "%s: expected %s, got the unknown %.60r" % (prefix, expected, key)
            )
    params = {}
    for key, row in layer.PARAMS.items():
        kind = row[0]
        expected = "%s: expected a value of type %s for the key %r" % (
            prefix,
            kind.__name__,
            key,
        )
        if key not in given and len(row) == 1:
            raise ValueError("%s, got none" % expected)
        value = given[key] if key in given else copy.deepcopy(row[1])
        if not _fits(value, kind):
            raise ValueError(
                "%s, got %.60r (%s)" % (expected, value, type(value).__name__)
            )
        params[key] = float(value) if kind is float else value
    return params


def _fits(value, kind):
    """Whether value is of one of the types int, float, bool, str, list, dict.

    A bool is no number, an int is a float, a float is finite, a Python 2 unicode is a str.
    """
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real) and abs(value) <= sys.float_info.max
    types = {int: numbers.Integral, str: (str, type(b"".decode()))}
    return isinstance(value, types.get(kind, kind))


def _parse_literal(text):
    """Return the value of text in JSON or as a Python literal, None if it is neither.

    Longer texts are not parsed: huge numbers take minutes, deep literals exhaust the stack.
    """
    for parse, most in ((json.loads, 200000), (ast.literal_eval, 20000)):
        try:
            if len(text) <= most:
                return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RuntimeError):
            pass
    return None
