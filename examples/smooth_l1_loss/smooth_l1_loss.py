"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class SmoothL1LossLayer(caffe.Layer):
    """Smooth L1 loss of bounding box regression, with weights, over the batch size N.

    Bottoms:
        bbox_pred: (N, ...)
        bbox_targets: the same shape
        bbox_inside_weights: the same shape; 1 for the coordinates that count, 0 for the others
        bbox_outside_weights: the same shape; the weight of each coordinate in the sum
    Top:
        smooth_l1_loss: a scalar

    E = sum w_out f(w_in (pred - target)) / N, where f(x) = sigma^2 x^2 / 2 if |x| < 1 / sigma^2,
    else |x| - 1 / (2 sigma^2).

    Girshick, Fast R-CNN, ICCV 2015, arXiv:1504.08083, equation (3), which has sigma = 1; sigma and
    the weights are those of py-faster-rcnn's SmoothL1Loss, whose RPN has sigma = 3.
    """

    BOTTOMS = [
        "bbox_pred",
        "bbox_targets",
        "bbox_inside_weights",
        "bbox_outside_weights",
    ]
    TOPS = ["smooth_l1_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "sigma": (float, 3.0),
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
        """Make the loss a scalar and the buffers self.half and self.rest as large as the bottoms.

        Caffe calls this before every forward.

        Raises:
            ValueError: the bottoms are not all of one shape.
        """
        shape = bottom[0].data.shape
        for i in range(1, len(self.BOTTOMS)):
            other = bottom[i].data.shape
            if shape != other:
                raise ValueError(
                    "%s: expected %s and %s of one shape, got %s and %s"
                    % (
                        type(self).__name__,
                        self.BOTTOMS[0],
                        self.BOTTOMS[i],
                        shape,
                        other,
                    )
                )
        if np.shape(getattr(self, "half", None)) != shape:
            self.half, self.rest = np.zeros((2,) + shape, np.float32)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss: with h = x / 2 clipped to 1 / (2 sigma^2), f(x) is 2 sigma^2 h (x - h).

        Keep h, times the outside weights, for backward.
        """
        sigma2 = self.params["sigma"] ** 2
        np.subtract(bottom[0].data, bottom[1].data, out=self.rest)
        self.rest *= bottom[2].data
        np.multiply(self.rest, 0.5, out=self.half)
        np.clip(self.half, -0.5 / sigma2, 0.5 / sigma2, out=self.half)
        self.rest -= self.half
        self.half *= bottom[3].data
        top[0].data[...] = 2 * sigma2 * np.vdot(self.half, self.rest) / len(self.half)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dpred = dE/dloss * w_in w_out f'(x) / N with f'(x) = 2 sigma^2 h.

        Raises:
            ValueError: targets or weights want a gradient.
        """
        for i in range(1, len(self.BOTTOMS)):
            if propagate_down[i]:
                raise ValueError(
                    "%s: expected propagate_down: false for %s, got true"
                    % (type(self).__name__, self.BOTTOMS[i])
                )
        if propagate_down[0]:
            diff = bottom[0].diff
            np.multiply(self.half, bottom[2].data, out=diff)
            diff *= top[0].diff * 2 * self.params["sigma"] ** 2 / len(diff)


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
