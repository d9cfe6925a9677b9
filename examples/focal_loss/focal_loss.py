"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
import numpy as np


class FocalLossLayer(caffe.Layer):
    """Focal loss: sigmoid cross-entropy that gives easy examples little weight.

    Bottoms:
        scores: (N, ...); before the sigmoid, one for each anchor and class
        label: the same shape; 1, 0 or -1 (ignored)
    Top:
        focal_loss: a scalar, in nats

    E = -sum alpha_t (1 - p_t)^gamma log p_t / M, where p = sigmoid(score), p_t is p for label 1 and
    1 - p for label 0, alpha_t is alpha and 1 - alpha, and M is the number of labels 1, at least 1.

    Lin, Goyal, Girshick, He, Dollar, Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equation (5); M as in section 4.1.
    """

    BOTTOMS = ["scores", "label"]
    TOPS = ["focal_loss"]
    # The keys of param_str: (type, default), or (type,) where the key is required.
    PARAMS = {
        "gamma": (float, 2.0),
        "alpha": (float, 0.25),
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
        """Make the loss a scalar and the buffers as large as the scores.

        The buffers are self.miss for 1 - p_t, self.entropy for -log p_t and self.weight for
        alpha_t (1 - p_t)^gamma. Caffe calls this before every forward.

        Raises:
            ValueError: scores and label are of different shapes.
        """
        shape, other = bottom[0].data.shape, bottom[1].data.shape
        if shape != other:
            raise ValueError(
                "%s: expected %s and %s of one shape, got %s and %s"
                % (type(self).__name__, self.BOTTOMS[0], self.BOTTOMS[1], shape, other)
            )
        if np.shape(getattr(self, "miss", None)) != shape:
            self.miss, self.entropy, self.weight = np.zeros((3,) + shape, np.float32)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss from z, which is -s for label 1 and s for label 0, where s is the score.

        -log p_t = log(1 + exp(z)) and log(1 - p_t) = z + log p_t neither overflow nor lose a small
        p_t or 1 - p_t.

        Raises:
            ValueError: a label other than 1, 0 and -1.
        """
        label = bottom[1].data
        positive, ignored = label == 1, label == -1
        wrong = label[~(positive | ignored | (label == 0))]
        if wrong.size:
            raise ValueError(
                "%s: expected %s to be 1, 0 or -1 (ignored), got %g"
                % (type(self).__name__, self.BOTTOMS[1], wrong[0])
            )
        self.miss[...] = bottom[0].data
        np.negative(self.miss, out=self.miss, where=positive)
        np.logaddexp(0, self.miss, out=self.entropy)
        self.miss -= self.entropy
        np.exp(self.miss, out=self.miss)
        np.power(self.miss, self.params["gamma"], out=self.weight)
        self.weight *= np.where(
            positive, self.params["alpha"], 1 - self.params["alpha"]
        )
        self.weight[ignored] = 0
        self.count = max(1, np.sum(positive))
        top[0].data[...] = np.vdot(self.weight, self.entropy) / self.count

    def backward(self, top, propagate_down, bottom):
        """Compute dE/ds = dE/dloss * dloss/dz * dz/ds, with dz/ds -1 for label 1 and 1 for label 0.

        dloss/dz = alpha_t (1 - p_t)^gamma (1 - p_t - gamma p_t log p_t) / M, as in appendix B.

        Raises:
            ValueError: the label wants a gradient.
        """
        if propagate_down[1]:
            raise ValueError(
                "%s: expected propagate_down: false for %s, got true"
                % (type(self).__name__, self.BOTTOMS[1])
            )
        if propagate_down[0]:
            diff, scale = bottom[0].diff, top[0].diff / self.count
            np.subtract(1, self.miss, out=diff)
            diff *= self.entropy
            diff *= self.params["gamma"]
            diff += self.miss
            diff *= self.weight
            diff *= np.where(bottom[1].data == 1, -scale, scale)


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
