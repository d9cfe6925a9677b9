"""Trains a small net on digits.npz with real Caffe: python digits_probe.py [LAYER], prints losses.

Without LAYER Softmax is followed by MultinomialLogisticLoss; with it the fragment of the identity
layer in the folder LAYER stands between them.
"""

import os
import sys

os.environ["GLOG_minloglevel"] = "2"
import caffe  # noqa: E402
import numpy as np  # noqa: E402

NET = """
layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 64 dim: 64 } } }
layer { name: 'label' type: 'Input' top: 'label' input_param { shape { dim: 64 } } }
layer { name: 'fc1' type: 'InnerProduct' bottom: 'data' top: 'fc1'
  inner_product_param { num_output: 32 weight_filler { type: 'xavier' } } }
layer { name: 'relu1' type: 'ReLU' bottom: 'fc1' top: 'fc1' }
layer { name: 'fc2' type: 'InnerProduct' bottom: 'fc1' top: 'fc2'
  inner_product_param { num_output: 10 weight_filler { type: 'xavier' } } }
layer { name: 'prob' type: 'Softmax' bottom: 'fc2' top: 'prob' }
%s
layer { name: 'loss' type: 'MultinomialLogisticLoss' bottom: '%s' bottom: 'label' top: 'loss' }
"""
SOLVER = """
net: 'net.prototxt' base_lr: 0.1 momentum: 0.9 lr_policy: 'fixed' random_seed: 7 max_iter: 500
snapshot_after_train: false
"""


def main():
    fragment, scores = "", "prob"
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
        with open(os.path.join(sys.argv[1], "my_layer.prototxt")) as stream:
            fragment = stream.read().replace("bottom_0", "prob")
        scores = "my_layer"
    with open("net.prototxt", "w") as stream:
        stream.write(NET % (fragment, scores))
    with open("solver.prototxt", "w") as stream:
        stream.write(SOLVER)
    digits = np.load("digits.npz")
    solver = caffe.SGDSolver("solver.prototxt")
    order = np.random.RandomState(0)
    for _ in range(200):
        batch = order.choice(len(digits["data"]), 64, replace=False)
        solver.net.blobs["data"].data[...] = digits["data"][batch] / 16.0
        solver.net.blobs["label"].data[...] = digits["target"][batch]
        solver.step(1)
        print(float(solver.net.blobs["loss"].data).hex())
    print(list(solver.net._layer_names))


if __name__ == "__main__":
    main()
