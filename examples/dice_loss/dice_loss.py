"""A Python layer for Caffe; dice_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"eps": 1e-06}


class DiceLossLayer(caffe.Layer):
    """One minus the Dice coefficient D of a segmentation and the truth.

    Bottoms:
        prob (p): (N, ...); the probability of foreground at each pixel or voxel
        label (g): the same shape; 1 for foreground, 0 for background, or between
    Top:
        dice_loss: a scalar from 0 (perfect) to 1

    D = (2 sum p g + eps) / (sum p^2 + sum g^2 + eps) for each sample; E is the mean of
    1 - D over the N samples. With eps, D is 1 where nothing is and nothing is found.

    Milletari, Navab, Ahmadi, V-Net: Fully Convolutional Neural Networks for Volumetric
    Medical Image Segmentation, 3DV 2016, arXiv:1606.04797, section 3; there D is
    maximised, without eps.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 2:
            self.refuse("expected 2 bottoms (prob, label), got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (dice_loss), got %d", len(top))
        self.params = self.read_params()

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: prob and label have different shapes.
        """
        shapes = bottom[0].data.shape, bottom[1].data.shape
        if shapes[0] != shapes[1]:
            self.refuse("prob and label must have one shape, got %s and %s", *shapes)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep D and its denominator for backward.

        Raises:
            ValueError: a label below 0 or above 1.
        """
        p, g = by_sample(bottom[0].data), by_sample(bottom[1].data)
        wrong = g[~((g >= 0) & (g <= 1))]
        if len(wrong):
            self.refuse("label must be 0 to 1, got %g", wrong[0])
        eps = self.params["eps"]
        self.total = np.sum(p**2 + g**2, axis=1, keepdims=True) + eps
        self.dice = (2 * np.sum(p * g, axis=1, keepdims=True) + eps) / self.total
        top[0].data[...] = 1 - np.mean(self.dice)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dp = dE/dloss * 2 (D p - g) / (sum p^2 + sum g^2 + eps) / N.

        dE/dg is the same with p and g exchanged.
        """
        p, g = by_sample(bottom[0].data), by_sample(bottom[1].data)
        scale = 2 * top[0].diff / (len(p) * self.total)
        if propagate_down[0]:
            by_sample(bottom[0].diff)[...] = scale * (self.dice * p - g)
        if propagate_down[1]:
            by_sample(bottom[1].diff)[...] = scale * (self.dice * g - p)

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
