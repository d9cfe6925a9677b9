"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class L2NormalizeLayer(caffe.Layer):
    """Scales the channels at each place to length 1: y = x / sqrt(sum_c x_c^2 + eps).

    Bottom:
        features: (N, C, ...)
    Top:
        normalized: the same shape

    With eps a place where every channel is 0 stays 0.

    Liu, Rabinovich, Berg, ParseNet: Looking Wider to See Better, 2015, arXiv:1506.04579, section
    3.3, without its learned scale; for shape (N, C) the embedding of FaceNet, arXiv:1503.03832.
    """

    BOTTOMS = ["features"]
    TOPS = ["normalized"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "eps": (float, 1e-10),
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
        """Give the top the shape of the bottom; make self.norm, with a length for each place.

        Caffe calls this before every forward.

        Raises:
            ValueError: the features have no axis 1.
        """
        shape = bottom[0].data.shape
        if len(shape) < 2:
            raise ValueError(
                "%s: expected %s of shape (N, C, ...), got %s"
                % (type(self).__name__, self.BOTTOMS[0], shape)
            )
        if np.shape(getattr(self, "norm", None)) != shape[:1] + shape[2:]:
            self.norm = np.zeros(shape[:1] + shape[2:], np.float32)
        top[0].reshape(*shape)

    def forward(self, bottom, top):
        """Compute y = x / n and keep the lengths n = sqrt(sum_c x_c^2 + eps) for backward."""
        x = bottom[0].data
        np.einsum("nc...,nc...->n...", x, x, out=self.norm)
        self.norm += self.params["eps"]
        np.sqrt(self.norm, out=self.norm)
        np.divide(x, self.norm[:, np.newaxis], out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dx = (dE/dy - x sum_c(x_c dE/dy_c) / n^2) / n.

        From x, not from y: a layer above may have changed the top in place.
        """
        if propagate_down[0]:
            x, dy, dx = bottom[0].data, top[0].diff, bottom[0].diff
            along = np.einsum("nc...,nc...->n...", x, dy) / self.norm**2
            np.multiply(x, along[:, np.newaxis], out=dx)
            np.subtract(dy, dx, out=dx)
            dx /= self.norm[:, np.newaxis]


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
