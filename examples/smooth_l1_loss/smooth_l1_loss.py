"""A Python layer for Caffe; smooth_l1_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"sigma": 3.0}


class SmoothL1LossLayer(caffe.Layer):
    """Smooth L1 loss of bounding box regression, with weights, over the batch size N.

    Bottoms:
        bbox_pred: (N, ...)
        bbox_targets: the same shape
        bbox_inside_weights: the same shape; 1 for a coordinate that counts, else 0
        bbox_outside_weights: the same shape; the weight of a coordinate in the sum
    Top:
        smooth_l1_loss: a scalar

    E = sum w_out f(x) / N, where x = w_in (pred - target), f(x) is sigma^2 x^2 / 2 for
    |x| < 1 / sigma^2, and |x| - 1 / (2 sigma^2) beyond.

    Girshick, Fast R-CNN, ICCV 2015, arXiv:1504.08083, equation (3), with sigma = 1;
    sigma and the weights are those of py-faster-rcnn's SmoothL1Loss, whose RPN has
    sigma = 3. As there, the weights get no gradient.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 4:
            self.refuse("expected 4 bottoms, got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (smooth_l1_loss), got %d", len(top))
        self.params = self.read_params()

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: the bottoms have different shapes.
        """
        shapes = [bottom[i].data.shape for i in range(4)]
        if len(set(shapes)) > 1:
            self.refuse("the bottoms must have one shape, got %s, %s, %s, %s", *shapes)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss; keep x for backward."""
        pred, target, inside, outside = [bottom[i].data for i in range(4)]
        sigma2 = self.params["sigma"] ** 2
        self.x = inside * (pred - target)
        size = np.abs(self.x)
        f = np.where(size < 1 / sigma2, sigma2 / 2 * size**2, size - 1 / (2 * sigma2))
        top[0].data[...] = np.sum(outside * f) / len(f)

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dpred = dE/dloss * w_out w_in f'(x) / N; dE/dtarget = -dE/dpred.

        f'(x) is sigma^2 x, and beyond 1 / sigma^2 the sign of x.
        """
        inside, outside = bottom[2].data, bottom[3].data
        slope = np.clip(self.params["sigma"] ** 2 * self.x, -1, 1)
        gradient = top[0].diff / len(slope) * outside * inside * slope
        if propagate_down[0]:
            bottom[0].diff[...] = gradient
        if propagate_down[1]:
            bottom[1].diff[...] = -gradient
        for i in (2, 3):
            if propagate_down[i]:
                bottom[i].diff[...] = 0

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
