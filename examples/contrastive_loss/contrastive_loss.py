"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class ContrastiveLossLayer(caffe.Layer):
    """Contrastive loss: draws similar pairs together and pushes others a margin apart.

    Bottoms:
        a: (N, ...); the embeddings of one side
        b: the same shape; of the other side
        similar: (N,) or (N, 1, ...); 1 for a similar pair, 0 for a dissimilar one
    Top:
        contrastive_loss: a scalar

    E = sum (s d^2 + (1 - s) max(0, margin - d)^2) / 2N, where d = |a - b| and s is similar.

    Hadsell, Chopra, LeCun, Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006,
    equation (4), whose Y is 1 - s; the same as Caffe's ContrastiveLoss.
    """

    BOTTOMS = ["a", "b", "similar"]
    TOPS = ["contrastive_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "margin": (float, 1.0),
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
        """Make the loss a scalar, and a buffer for a - b.

        Caffe calls this before every forward.

        Raises:
            ValueError: a and b are of different shapes, or there is not one similar for each pair.
        """
        a, b, similar = [bottom[i].data.shape for i in range(len(self.BOTTOMS))]
        if a != b or bottom[2].count != a[0]:
            raise ValueError(
                "%s: expected %s and %s of one shape (N, ...) and N of %s, got %s, %s and %s"
                % tuple([type(self).__name__] + self.BOTTOMS + [a, b, similar])
            )
        shape = _by_sample(bottom[0].data).shape
        if np.shape(getattr(self, "difference", None)) != shape:
            self.difference = np.zeros(shape, np.float32)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep a - b and the pull on each pair for backward.

        The pull is 1 on a similar pair and -max(0, margin - d) / d on a dissimilar one, of which
        d = 0 gets none: it has no direction in which to part.

        Raises:
            ValueError: similar is neither 0 nor 1.
        """
        similar = bottom[2].data.ravel()
        wrong = similar[(similar != 0) & (similar != 1)]
        if wrong.size:
            raise ValueError(
                "%s: expected %s to be 0 or 1, got %g"
                % (type(self).__name__, self.BOTTOMS[2], wrong[0])
            )
        a, b = _by_sample(bottom[0].data), _by_sample(bottom[1].data)
        np.subtract(a, b, out=self.difference)
        d = np.sqrt(np.einsum("nd,nd->n", self.difference, self.difference))
        missing = np.maximum(0, self.params["margin"] - d)
        push = np.divide(missing, d, out=np.zeros_like(d), where=d > 0)
        self.pull = np.where(similar == 1, 1, -push)
        top[0].data[...] = np.sum(np.where(similar == 1, d, missing) ** 2) / (
            2.0 * len(d)
        )

    def backward(self, top, propagate_down, bottom):
        """Compute dE/da = dE/dloss * pull (a - b) / N, and dE/db = -dE/da.

        Raises:
            ValueError: similar wants a gradient.
        """
        if propagate_down[2]:
            raise ValueError(
                "%s: expected propagate_down: false for %s, got true"
                % (type(self).__name__, self.BOTTOMS[2])
            )
        scale = (self.pull * top[0].diff / len(self.pull))[:, np.newaxis]
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                np.multiply(
                    self.difference, sign * scale, out=_by_sample(bottom[i].diff)
                )


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
