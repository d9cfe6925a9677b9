"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class TripletLossLayer(caffe.Layer):
    """Triplet loss: an anchor is to be nearer to its positive than to its negative, by a margin.

    Bottoms:
        anchor: (N, ...); the embeddings
        positive: the same shape; of the anchor's class
        negative: the same shape; of another class
    Top:
        triplet_loss: a scalar

    E = sum max(0, |a - p|^2 - |a - n|^2 + margin) / N.

    Schroff, Kalenichenko, Philbin, FaceNet: A Unified Embedding for Face Recognition and
    Clustering, CVPR 2015, arXiv:1503.03832, section 3.1; there it is the sum, of embeddings of
    length 1 (see l2_normalize).
    """

    BOTTOMS = ["anchor", "positive", "negative"]
    TOPS = ["triplet_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "margin": (float, 0.2),
    }

    def setup(self, bottom, top):
        """Check the counts of bottoms and tops; parse param_str into the dict self.params.

        Raises:
            ValueError: another count, or a param_str that does not fit PARAMS.
        """
        _check_count(self, "bottoms", bottom, self.BOTTOMS)
        _check_count(self, "tops", top, self.TOPS)
        self.params = _parse_param_str(self)

    def reshape(self, bottom, top):
        """Make the loss a scalar, and buffers for a - p and a - n.

        Caffe calls this before every forward.

        Raises:
            ValueError: the bottoms are not all of one shape.
        """
        shapes = [bottom[i].data.shape for i in range(len(self.BOTTOMS))]
        if len(set(shapes)) > 1:
            raise ValueError(
                "%s: expected %s, %s and %s of one shape, got %s, %s and %s"
                % tuple([type(self).__name__] + self.BOTTOMS + shapes)
            )
        shape = _by_sample(bottom[0].data).shape
        if np.shape(getattr(self, "positive", None)) != shape:
            self.positive, self.negative = np.zeros((2,) + shape, np.float32)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep a - p, a - n and which triplets are active for backward."""
        a, p, n = [_by_sample(bottom[i].data) for i in range(len(self.BOTTOMS))]
        np.subtract(a, p, out=self.positive)
        np.subtract(a, n, out=self.negative)
        loss = np.einsum("nd,nd->n", self.positive, self.positive)
        loss -= np.einsum("nd,nd->n", self.negative, self.negative)
        loss += self.params["margin"]
        self.active = loss > 0
        top[0].data[...] = np.sum(loss[self.active]) / len(loss)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/da = c (n - p), dE/dp = c (p - a) and dE/dn = c (a - n).

        c = dE/dloss * 2 / N for an active triplet and 0 for one that keeps the margin.
        """
        scale = (self.active * (2 * top[0].diff / len(self.active)))[:, np.newaxis]
        diffs = [_by_sample(bottom[i].diff) for i in range(len(self.BOTTOMS))]
        if propagate_down[0]:
            np.subtract(self.positive, self.negative, out=diffs[0])
            diffs[0] *= scale
        if propagate_down[1]:
            np.multiply(self.positive, -scale, out=diffs[1])
        if propagate_down[2]:
            np.multiply(self.negative, scale, out=diffs[2])


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
