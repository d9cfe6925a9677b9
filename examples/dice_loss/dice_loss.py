"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class DiceLossLayer(caffe.Layer):
    """One minus the Dice coefficient D of a segmentation and the truth, over the batch.

    Bottoms:
        prob: (N, ...); the probability of foreground at each pixel or voxel
        label: the same shape; 1 for foreground, 0 for background
    Top:
        dice_loss: a scalar from 0 (perfect) to 1

    D = (2 sum p g + eps) / (sum p^2 + sum g^2 + eps) for each sample; E is the mean of 1 - D over
    the N samples. With eps, nothing segmented where nothing is has D = 1.

    Milletari, Navab, Ahmadi, V-Net: Fully Convolutional Neural Networks for Volumetric Medical
    Image Segmentation, 3DV 2016, arXiv:1606.04797, section 3; there D is maximised, without eps.
    """

    BOTTOMS = ["prob", "label"]
    TOPS = ["dice_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "eps": (float, 1e-06),
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
        """Make the loss a scalar and self.dice and self.total hold a number for each sample.

        Caffe calls this before every forward.

        Raises:
            ValueError: prob and label are of different shapes.
        """
        shape, other = bottom[0].data.shape, bottom[1].data.shape
        if shape != other:
            raise ValueError(
                "%s: expected %s and %s of one shape, got %s and %s"
                % (type(self).__name__, self.BOTTOMS[0], self.BOTTOMS[1], shape, other)
            )
        if np.shape(getattr(self, "dice", None)) != shape[:1]:
            self.dice, self.total = np.zeros((2, shape[0]))
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss and keep D and its denominator for backward.

        Raises:
            ValueError: a label below 0 or above 1.
        """
        prob, label = _by_sample(bottom[0].data), _by_sample(bottom[1].data)
        if not (np.min(label) >= 0 and np.max(label) <= 1):
            raise ValueError(
                "%s: expected %s from 0 to 1, got %g to %g"
                % (type(self).__name__, self.BOTTOMS[1], np.min(label), np.max(label))
            )
        eps = self.params["eps"]
        for i, (p, g) in enumerate(zip(prob, label)):
            self.total[i] = np.vdot(p, p) + np.vdot(g, g) + eps
            self.dice[i] = (2 * np.vdot(p, g) + eps) / self.total[i]
        top[0].data[...] = 1 - np.mean(self.dice)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dp = dE/dloss * 2 (D p - g) / (sum p^2 + sum g^2 + eps) / N.

        Raises:
            ValueError: the label wants a gradient.
        """
        if propagate_down[1]:
            raise ValueError(
                "%s: expected propagate_down: false for %s, got true"
                % (type(self).__name__, self.BOTTOMS[1])
            )
        if propagate_down[0]:
            diff = _by_sample(bottom[0].diff)
            np.multiply(_by_sample(bottom[0].data), self.dice[:, np.newaxis], out=diff)
            diff -= _by_sample(bottom[1].data)
            diff *= 2 * top[0].diff / (len(diff) * self.total[:, np.newaxis])


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
