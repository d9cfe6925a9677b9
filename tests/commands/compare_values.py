"""Load nets on real Caffe, without and with a layer spliced in, and print where they differ."""

import functools
import json
import os
import sys

os.environ["GLOG_minloglevel"] = "2"
import caffe
import numpy as np


@functools.lru_cache(maxsize=4)
def passed(path, phase):
    """Return the net after a forward and a backward pass, the same random numbers for all."""
    caffe.set_random_seed(7)
    net = caffe.Net(path, phase)
    rng = np.random.RandomState(7)
    for name in net.inputs:
        shape = net.blobs[name].data.shape
        net.blobs[name].data[...] = (
            rng.randn(*shape) if len(shape) > 1 else rng.randint(0, 5, shape)
        )
    net.forward()
    net.backward()
    return net


def differences(before, after, blob):
    """Return the blobs and weights that differ, and the layer's top if it is not what it reads."""
    names = [name for name in before.blobs if "_split_" not in name]
    wrong = [
        name for name in names if not same(before.blobs[name], after.blobs.get(name))
    ]
    for name, weights in before.params.items():
        for i, weight in enumerate(weights):
            other = after.params[name][i]
            if not same(weight, other) or not np.array_equal(weight.diff, other.diff):
                wrong.append("%s[%d]" % (name, i))
    if blob in names and not same(before.blobs[blob], after.blobs.get("my_layer")):
        wrong.append("my_layer")
    return wrong


def same(blob, other):
    return other is not None and np.array_equal(blob.data, other.data)


# The nets without and with the layer, and the blob after which it stands.
for line in open(sys.argv[1]):
    original, spliced, blob = json.loads(line)
    for phase in (caffe.TRAIN, caffe.TEST):
        print(
            json.dumps(
                differences(passed(original, phase), passed(spliced, phase), blob)
            )
        )
