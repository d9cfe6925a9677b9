"""A Python layer for Caffe; focal_loss.prototxt is its part of a net."""

import ast
import difflib
import json
import sys

import caffe
import numpy as np

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = {"gamma": 2.0, "alpha": 0.25}


class FocalLossLayer(caffe.Layer):
    """Focal loss: sigmoid cross-entropy in which easy examples weigh little.

    Bottoms:
        scores: (N, ...); before the sigmoid, one for each anchor and class
        label: the same shape; 1, 0 or -1 (ignored)
    Top:
        focal_loss: a scalar, in nats

    E = -sum alpha_t (1 - p_t)^gamma log p_t / M, where p = sigmoid(score); for label 1
    p_t is p and alpha_t is alpha, for label 0 p_t is 1 - p and alpha_t is 1 - alpha;
    M is the number of labels 1, at least 1.

    Lin, Goyal, Girshick, He, Dollar, Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equation (5); M as in section 4.1.
    """

    def setup(self, bottom, top):
        """Check the counts, read param_str.

        Raises:
            ValueError: a wrong count or param_str.
        """
        if len(bottom) != 2:
            self.refuse("expected 2 bottoms (scores, label), got %d", len(bottom))
        if len(top) != 1:
            self.refuse("expected 1 top (focal_loss), got %d", len(top))
        self.params = self.read_params()

    def reshape(self, bottom, top):
        """Make the top a scalar; Caffe calls this before forward.

        Raises:
            ValueError: scores and label have different shapes.
        """
        shapes = bottom[0].data.shape, bottom[1].data.shape
        if shapes[0] != shapes[1]:
            self.refuse("scores and label must have one shape, got %s and %s", *shapes)
        top[0].reshape()

    def forward(self, bottom, top):
        """Compute the loss from z, which is -score for label 1 and score for label 0.

        -log p_t = log(1 + exp(z)) and log(1 - p_t) = z + log p_t are exact where p_t is
        almost 0 or 1.

        Raises:
            ValueError: a label other than 1, 0 and -1.
        """
        scores, label = bottom[0].data, bottom[1].data
        positive, negative = label == 1, label == 0
        wrong = label[~(positive | negative | (label == -1))]
        if len(wrong):
            self.refuse("label must be 1, 0 or -1 (ignored), got %g", wrong[0])
        z = np.where(positive, -scores, scores)
        self.entropy = np.logaddexp(0, z)  # -log p_t
        self.miss = np.exp(z - self.entropy)  # 1 - p_t
        alpha = self.params["alpha"]
        self.weight = alpha * positive + (1 - alpha) * negative  # 0 where ignored
        self.weight *= self.miss ** self.params["gamma"]
        self.count = max(1, np.sum(positive))
        top[0].data[...] = np.sum(self.weight * self.entropy) / self.count

    def backward(self, top, propagate_down, bottom):
        """Compute dE/dscore = dE/dloss * dloss/dz * dz/dscore; dz/dscore is -1 or 1.

        dloss/dz = alpha_t (1 - p_t)^gamma (1 - p_t - gamma p_t log p_t) / M, as in
        appendix B.
        """
        if propagate_down[0]:
            p = 1 - self.miss
            slope = self.weight * (self.miss + self.params["gamma"] * p * self.entropy)
            sign = np.where(bottom[1].data == 1, -1, 1)
            bottom[0].diff[...] = top[0].diff / self.count * sign * slope
        if propagate_down[1]:
            bottom[1].diff[...] = 0

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
