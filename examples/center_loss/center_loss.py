"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class CenterLossLayer(caffe.Layer):
    """Center loss: draws features to the center of their class; the centers are learned.

    Bottoms:
        features: (N, ...); D numbers for each sample
        label: (N,) or (N, 1, ...); a class from 0 to classes - 1
    Top:
        center_loss: a scalar; its loss_weight is the paper's lambda
    Weights:
        self.blobs[0]: (classes, D); a center for each class, 0 at first

    E = sum |x - c_label|^2 / 2N.

    Wen, Zhang, Li, Qiao, A Discriminative Feature Learning Approach for Deep Face Recognition,
    ECCV 2016, equation (2), here over N. The diff of center j is the derivative of E,
    loss_weight * sum_j (c_j - x) / N over the samples of class j; the paper's own update (4) is
    sum_j (c_j - x) / (1 + their number), which neither N nor lambda makes smaller.
    """

    BOTTOMS = ["features", "label"]
    TOPS = ["center_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "classes": (int,),
    }

    def setup(self, bottom, top):
        """Check the counts of bottoms and tops; parse param_str into the dict self.params.

        Makes the weights, unless the net's file brings them.

        Raises:
            ValueError: another count, or a param_str that does not fit PARAMS.
        """
        _check_count(self, "bottoms", bottom, self.BOTTOMS)
        _check_count(self, "tops", top, self.TOPS)
        self.params = _parse_param_str(self)
        if self.params["classes"] < 1:
            raise ValueError(
                "%s: expected classes of 1 or more, got %d"
                % (type(self).__name__, self.params["classes"])
            )
        if len(self.blobs) == 0:
            self.blobs.add_blob(
                self.params["classes"], _by_sample(bottom[0].data).shape[1]
            )
            self.blobs[0].data[...] = 0

    def reshape(self, bottom, top):
        """Make the loss a scalar and the buffer self.difference as large as the features.

        Caffe calls this before every forward.

        Raises:
            ValueError: another D than that of the centers, or not one label for each sample.
        """
        shape, labels = _by_sample(bottom[0].data).shape, bottom[1].count
        dims = self.blobs[0].shape[1]
        if shape != (labels, dims):
            raise ValueError(
                "%s: expected %s of shape (N, %d) and N of %s, got %s and %d"
                % (
                    type(self).__name__,
                    self.BOTTOMS[0],
                    dims,
                    self.BOTTOMS[1],
                    shape,
                    labels,
                )
            )
        if np.shape(getattr(self, "difference", None)) != shape:
            self.difference = np.zeros(shape, np.float32)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep x - c_label and the labels for backward.

        Raises:
            ValueError: a label is no class.
        """
        centers = self.blobs[0].data
        self.label = bottom[1].data.astype(int).ravel()
        wrong = self.label[(self.label < 0) | (self.label >= len(centers))]
        if wrong.size:
            raise ValueError(
                "%s: expected %s from 0 to %d, got %d"
                % (type(self).__name__, self.BOTTOMS[1], len(centers) - 1, wrong[0])
            )
        np.subtract(
            _by_sample(bottom[0].data), centers[self.label], out=self.difference
        )
        top[0].data[...] = np.vdot(self.difference, self.difference) / (
            2.0 * len(self.label)
        )

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dx = dE/dloss * (x - c_label) / N; add -dE/dx to the diff of c_label.

        Raises:
            ValueError: the label wants a gradient.
        """
        if propagate_down[1]:
            raise ValueError(
                "%s: expected propagate_down: false for %s, got true"
                % (type(self).__name__, self.BOTTOMS[1])
            )
        scale = top[0].diff / len(self.label)
        if propagate_down[0]:
            np.multiply(self.difference, scale, out=_by_sample(bottom[0].diff))
        centers_diff = self.blobs[0].diff
        for j, difference in zip(self.label, self.difference):
            centers_diff[j] -= scale * difference


def _by_sample(array):
    """Return a view of shape (N, all the rest)."""
    return array.reshape(array.shape[0], -1)


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
