# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The fragment, and nets of its one layer, built the same on both engines."""

import copy
import json
import os
import tempfile

import numpy as np

from . import params, prototxt

# Fields that place the layer in its author's net; in nets of its own they are set anew.
PLACE = ("bottom", "top", "propagate_down", "loss_weight", "include", "exclude")


COPY = "layer { name: 'copy of %s' type: 'Power' bottom: '%s' top: '%s' }\n"


class CheckFailed(Exception):
    """A check found the layer wrong; the message is all that the user sees."""


class Fragment(object):
    """The one `layer { ... }` of a prototxt file; CheckFailed where there is none.

    `layer` is its prototxt.Message, `python` that of python_param; `bottoms` and `tops`
    are names, `wanted` says for each bottom whether it gets a gradient, `phase` is 0
    for TRAIN and 1 for TEST, `params` the dict in param_str (JSON, Python, YAML).
    """

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as stream:
            self.text = stream.read()
        name = os.path.basename(path)
        try:
            layers = prototxt.load(path).all("layer")
        except ValueError as error:
            raise CheckFailed(str(error).replace(path, name))
        types = ", ".join(str(layer.get("type")) for layer in layers)
        if types != "Python":
            raise CheckFailed(
                "%s: expected one layer { } of type Python, got %s"
                % (name, types or "none")
            )
        self.layer = layers[0]
        self.bottoms = self.layer.all("bottom")
        self.tops = self.layer.all("top")
        self.python = self.layer.get("python_param", prototxt.Message())
        for field in ("module", "layer"):
            if not self.python.get(field):
                raise CheckFailed(
                    "%s: expected a %s in python_param { }" % (name, field)
                )
        flags = self.layer.all("propagate_down") or [True] * len(self.bottoms)
        if len(flags) != len(self.bottoms):
            raise CheckFailed(
                "%s: expected a propagate_down for each of %d bottoms or none, got %d"
                % (name, len(self.bottoms), len(flags))
            )
        self.wanted = [prototxt.boolean(flag) for flag in flags]
        self.in_place = [
            i
            for i, pair in enumerate(zip(self.bottoms, self.tops))
            if len(set(pair)) == 1
        ]
        self.phase = int(
            any(rule.get("phase") == "TEST" for rule in self.layer.all("include"))
        )
        found = params.parse(self.python.get("param_str", ""))
        self.params, self.write_params = found or ({}, json.dumps)

    def gets_diff(self, j):
        """Whether Caffe gives top j a diff, not only others that have a loss_weight."""
        weights = self.layer.all("loss_weight")
        known = len(weights) == len(self.tops) and any(weights)
        return not known or weights[j] != 0

    def with_params(self, values):
        """Return its message with another param_str, JSON or Python as it was."""
        python = self.python.without("param_str")
        python.fields.append(("param_str", self.write_params(values)))
        layer = self.layer.without("python_param")
        layer.fields.append(("python_param", python))
        return layer


def load(caffe, text, phase):
    """Return the caffe.Net that the text of a prototxt, in bytes, describes."""
    handle, path = tempfile.mkstemp(suffix=".prototxt")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text)
        return caffe.Net(path, phase)
    finally:
        os.remove(path)


def source(kind, blob, shape):
    """Return the text of an Input or Parameter layer that gives one blob."""
    dims = " ".join("dim: %d" % dim for dim in shape)
    field = "%s_param { shape { %s } }" % (kind.lower(), dims)
    text = "layer { name: 'source of %s' type: '%s' top: '%s' %s }\n"
    return text % (blob, kind, blob, field)


class LayerNet(object):
    """A net of the fragment's layer, as Caffe trains it.

    Bottoms that get a gradient come from Parameter layers, the others from Input
    layers, and each top has a loss_weight, so that Caffe itself asks the layer for the
    gradients wanted. `flags` is another propagate_down, `layer` another message and
    `phase` another phase than the fragment's; with other counts of bottoms or tops no
    gradient is asked for. `variables` names the bottoms, then the trained weights.
    """

    def __init__(
        self, caffe, fragment, arrays, flags=None, layer=None, tops=None, phase=None
    ):
        trained = tops is None and len(arrays) == len(fragment.bottoms)
        self.bottoms = unique(fragment.bottoms, len(arrays), ())
        self.in_place = fragment.in_place if trained else []
        count = len(fragment.tops) if tops is None else tops
        self.tops = unique(fragment.tops, count, self.bottoms)
        for i in self.in_place:
            self.tops[i] = self.bottoms[i]
        text = ""
        message = (layer or fragment.layer).without(*PLACE)
        for i, (blob, array) in enumerate(zip(self.bottoms, arrays)):
            wanted = trained and fragment.wanted[i]
            kind = "Parameter" if wanted else "Input"
            if i in self.in_place:  # a copy, or else the Parameter would be changed
                text += source(kind, given(blob), array.shape)
                text += COPY % (blob, given(blob), blob)
            else:
                text += source(kind, blob, array.shape)
            message.fields.append(("bottom", blob))
            if trained:
                flag = "true" if (flags or fragment.wanted)[i] else "false"
                message.fields.append(("propagate_down", prototxt.Word(flag)))
        for j, blob in enumerate(self.tops):
            message.fields.append(("top", blob))
            if trained:
                message.fields.append(("loss_weight", int(fragment.gets_diff(j))))
        text += str(prototxt.Message([("layer", message)]))
        text = (
            text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        )
        self.net = load(caffe, text, fragment.phase if phase is None else phase)
        self.state = None
        rates = [param.get("lr_mult", 1) for param in fragment.layer.all("param")]
        self.all_weights = self.net.params.get(message.get("name", ""), ())
        count = len(self.all_weights)
        trained = [i for i in range(count) if i >= len(rates) or rates[i] != 0]
        self.weights = [self.all_weights[i] for i in trained]
        self.fixed = [self.all_weights[i] for i in range(count) if i not in trained]
        self.variables = ["bottom " + blob for blob in self.bottoms]
        self.variables += ["weight %d" % i for i in trained]

    def forward(self, arrays):
        """Run forward on the bottoms given; return copies of the tops in float64."""
        self._put_back_state()
        self._fill(arrays)
        self.net.forward()  # a Parameter's top becomes its weight here
        return [self.net.blobs[top].data.astype(np.float64) for top in self.tops]

    def reshape(self, arrays):
        """Have Caffe call reshape alone, with the bottoms given."""
        self._fill(arrays)
        for blob, array in zip(self._sources(), arrays):
            self.net.blobs[blob].data[...] = array
        self.net.reshape()

    def backward(self, top_diffs, bottom_diffs, weight_diffs=None):
        """Run backward; return a float64 array for each of `variables`.

        They are the bottoms' diffs and what was added to the weights' diffs. Before,
        the diffs are those given, the weights' zero if not given.
        """
        weight_diffs = weight_diffs or [0.0] * len(self.weights)
        for blob, diff in zip(self.bottoms, bottom_diffs):
            self.net.blobs[blob].diff[...] = diff
        for top, diff in zip(self.tops, top_diffs):  # after: in place it is the bottom
            self.net.blobs[top].diff[...] = diff
        for weight, diff in zip(self.weights, weight_diffs):
            weight.diff[...] = diff
        self.net.backward()
        diffs = [self.net.blobs[blob].diff.astype(np.float64) for blob in self.bottoms]
        return diffs + [
            w.diff.astype(np.float64) - d for w, d in zip(self.weights, weight_diffs)
        ]

    def values(self):
        """Return copies of all weights' data, of those of rate 0 too."""
        return [weight.data.copy() for weight in self.all_weights]

    def set_values(self, values):
        """Set all weights' data."""
        for weight, value in zip(self.all_weights, values):
            weight.data[...] = value

    def load(self, other):
        """Load what another net saves."""
        handle, path = tempfile.mkstemp(suffix=".caffemodel")
        os.close(handle)
        try:
            other.net.save(path)
            self.net.copy_from(path)
        finally:
            os.remove(path)

    def top_diff(self, top):
        """Return a view of the diff of a top."""
        return self.net.blobs[top].diff

    @property
    def layer(self):
        """The layer's Python object."""
        return self.net.layers[len(self.net.layers) - 1]

    def params(self):
        """Return self.params of the layer, with its defaults, or {}."""
        params = getattr(self.layer, "params", None)
        return params if isinstance(params, dict) else {}

    def bottom_data(self):
        """Return copies of the bottoms' data, in place of what was there before."""
        return [self.net.blobs[blob].data.copy() for blob in self._sources()]

    def keep_state(self):
        """From now on put the layer's state back, as it is now, before each forward."""
        self.state = copied(vars(self.layer)), self.values()

    def _put_back_state(self):
        if self.state:
            attributes, weights = self.state
            vars(self.layer).clear()
            vars(self.layer).update(copied(attributes))
            self.set_values(weights)

    def _sources(self):
        """Return for each bottom the blob that is filled."""
        return [
            given(blob) if i in self.in_place else blob
            for i, blob in enumerate(self.bottoms)
        ]

    def _fill(self, arrays):
        for blob, array in zip(self._sources(), arrays):
            blobs = self._bottom_blobs(blob)
            for target in blobs:
                if tuple(target.shape) != array.shape:
                    target.reshape(*array.shape)
            blobs[-1].data[...] = array

    def _bottom_blobs(self, blob):
        """Return a bottom's blob and, of a Parameter layer, which never reshapes, its
        weight, whose values the blob has from forward on."""
        weights = self.net.params.get("source of " + blob)
        return [self.net.blobs[blob]] + ([weights[0]] if weights else [])


def given(blob):
    """Return the name of the blob that a layer in place gets a copy of."""
    return blob + " as given"


def copied(attributes):
    """Return a copy of a dict of attributes; what cannot be copied is shared."""
    copies = {}
    for name, value in attributes.items():
        try:
            copies[name] = copy.deepcopy(value)
        except Exception:  # a lock, a file, a process
            copies[name] = value
    return copies


def unique(names, count, taken):
    """Return `count` blob names, those given first, none of them taken or twice."""
    result = []
    for i in range(count):
        name = names[i] if i < len(names) else "extra_%d" % i
        while name in result or name in taken:
            name += "_"
        result.append(name)
    return result
