"""Two published gradient checks, to compare ours with: every top element by every bottom element.

Written from their descriptions: the utility for Python layers of BVLC/caffe pull request 5157, and
Caffe's C++ GradientChecker (test_gradient_check_util.hpp) without its option for kinks. Both take
twice a top's element as the loss, ask backward for its gradient, and compare each element of it
with a central difference; an error is relative to the larger gradient, but at least to 1.

Where the originals differ from each other in what has nothing to do with the method, the kinder
way is taken here: weights' diffs are cleared before a backward, only the bottoms that the fragment
wants a gradient for are on, moved elements are put back exactly, and sums are in float64.
"""

import collections

import numpy as np

LOSS_WEIGHT = 2.0

Method = collections.namedtuple("Method", "step threshold random_weights")
METHODS = {
    "pull request 5157": Method(0.05, 0.25, random_weights=True),
    "C++ GradientChecker": Method(0.01, 0.001, random_weights=False),
}


def check(layer_net, wanted, arrays, method, rng, stop):
    """Return where a gradient is first found wrong, as a text, or None.

    Args:
        layer_net: a caffe_pylayer.checks.net.LayerNet.
        wanted: for each bottom whether it gets a gradient.
        arrays: the bottoms.
        method: a row of METHODS.
        rng: numpy.random.RandomState for the weights.
        stop: whether to end there, or to go through all elements.
    """
    layer_net.forward(arrays)  # makes a Parameter layer's top its weight
    if method.random_weights:
        for weight in layer_net.weights:
            weight.data[...] = rng.randn(*weight.data.shape)
    blobs = [layer_net.net.blobs[name] for name in layer_net.bottoms]
    checked = [blob for blob, want in zip(blobs, wanted) if want] + list(
        layer_net.weights
    )
    layer, wrong = len(layer_net.net.layers) - 1, None
    for top in [layer_net.net.blobs[name] for name in layer_net.tops]:
        for j in range(top.count):
            layer_net.net._forward(layer, layer)
            for name in layer_net.tops:
                layer_net.net.blobs[name].diff[...] = 0
            top.diff.flat[j] = LOSS_WEIGHT
            for weight in layer_net.weights:
                weight.diff[...] = 0
            layer_net.net._backward(layer, layer)
            for number, blob in enumerate(checked):
                found = _first_wrong(layer_net.net, layer, top, j, blob, method, stop)
                if found and not wrong:
                    wrong = "top element %d, variable %d, %s" % (j, number, found)
                if wrong and stop:
                    return wrong
    return wrong


def _first_wrong(net, layer, top, j, blob, method, stop):
    """Compare the diff of one blob, element by element, with differences of the top's element j."""
    wrong = None
    value, computed, output = (
        blob.data.reshape(-1),
        blob.diff.reshape(-1),
        top.data.reshape(-1),
    )
    for i, gradient in enumerate(computed.astype(np.float64)):
        before, ends = value[i], []
        for step in (method.step, -method.step):
            value[i] = before + step
            net._forward(layer, layer)
            ends.append(LOSS_WEIGHT * float(output[j]))
        value[i] = before
        estimated = (ends[0] - ends[1]) / (2 * method.step)
        scale = max(abs(gradient), abs(estimated), 1.0)
        if not abs(gradient - estimated) <= method.threshold * scale:
            wrong = wrong or "element %d: %g instead of %g" % (i, gradient, estimated)
            if stop:
                break
    return wrong
