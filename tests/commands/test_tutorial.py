"""The tutorial that this project automates, from an empty folder to 500 iterations of training."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from support.commands import caffe_pylayer

FILES = Path(__file__).parent / "tutorial"
TO_HDF5 = """
import h5py, numpy
digits = numpy.load("digits.npz")
for name, part in (("train", slice(0, 1500)), ("test", slice(1500, 1797))):
    with h5py.File(name + ".h5", "w") as file:
        for key in ("data", "label"):
            file[key] = digits[key][part]
    with open(name + ".txt", "w") as file:
        file.write(name + ".h5")
"""
SPLIT = """layer {
  name: "output_2"
  type: "Softmax"
  bottom: "fc8_2"
  top: "output_2"
}
layer {
  name: "loss"
  type: "MultinomialLogisticLoss"
  bottom: "output_2"
"""
TRAIN = "caffe train -solver solver.prototxt"
ACTIVATED = f". my_layer/activate.sh && {TRAIN}"


@pytest.fixture(scope="module")
def digits(with_caffe, tmp_path_factory):
    """A folder with scikit-learn's digits in HDF5, the tutorial's net and a solver for it."""
    folder = tmp_path_factory.mktemp("digits")
    for file in FILES.iterdir():
        shutil.copy(file, folder)
    from sklearn.datasets import load_digits  # which takes two seconds, in each worker

    images = load_digits()
    data, label = (images.data / 16).astype("f4"), images.target.astype("f4")
    np.savez(folder / "digits.npz", data=data, label=label)
    assert with_caffe(folder, "python3", "-c", TO_HDF5).returncode == 0
    return folder


@pytest.fixture
def folder(digits, bake, tmp_path):
    """A copy of it, with the layer of the tutorial inside."""
    folder = Path(shutil.copytree(digits, tmp_path / "digits"))
    bake(out=folder, layer_name="my_layer", param_str_keys="x1=1, x2=2")
    return folder


@pytest.fixture
def train(with_caffe):
    """A function that trains in a folder: the losses and accuracies that Caffe logs, as text."""

    def run(folder, command=ACTIVATED):
        done = with_caffe(folder, "bash", "-c", command)
        assert done.returncode == 0, done.stderr
        assert "Optimization Done" in done.stderr
        found = re.findall(r"] +(.*(?:loss|accuracy) = \S+)", done.stderr)
        lines = [re.sub(r"\(\S+ iter/s, .*?\), ", "", line) for line in found]
        assert len(lines) == 15, lines
        return lines

    return run


def splice(folder, *arguments):
    command = [
        "splice",
        "train_val.prototxt",
        "--layer",
        "my_layer",
        "--in-place",
        *arguments,
    ]
    return caffe_pylayer(*command, cwd=folder, check=True).stderr


def split_by_hand(folder):
    net = folder / "train_val.prototxt"
    loss = 'layer {\n  name: "loss"\n  type: "SoftmaxWithLoss"\n  bottom: "fc8_2"\n'
    assert loss in net.read_text()
    net.write_text(net.read_text().replace(loss, SPLIT))


def losses(lines):
    return [float(line.split()[-1]) for line in lines if "loss = " in line]


def test_the_identity_changes_no_digit_of_the_losses(digits, folder, train, tmp_path):
    by_hand = Path(shutil.copytree(digits, tmp_path / "by_hand"))
    split_by_hand(by_hand)
    done = splice(folder, "--split", "loss")
    assert done == (
        "train_val.prototxt: my_layer between Softmax and loss\n"
        "train_val.prototxt: output_2 is (?, 10), make_bottoms makes (2, 3, 4): test the layer "
        "with pytest --bottoms-from=train_val.prototxt\n"
    )
    with_layer = train(folder)
    assert with_layer == train(by_hand, TRAIN)
    unsplit = train(digits, TRAIN)
    assert losses(with_layer) == pytest.approx(losses(unsplit), rel=1e-4)
    assert losses(with_layer)[-1] < 0.2 * losses(with_layer)[0] + 0.1
    can_differ(folder, train, with_layer)
    splice(folder, "--remove", "my_layer")
    net = "train_val.prototxt"
    assert (folder / net).read_bytes() == (digits / net).read_bytes()


def can_differ(folder, train, right):
    """A layer that changes the gradient changes the losses: the equality can fail."""
    module = folder / "my_layer" / "my_layer.py"
    module.write_text(
        module.read_text().replace("= top[0].diff", "= 1.001 * top[0].diff")
    )
    wrong = train(folder)
    assert wrong[:3] == right[:3]
    assert wrong != right


def test_without_activation_caffe_does_not_find_the_layer(folder, with_caffe):
    splice(folder, "--split", "loss")
    done = with_caffe(folder, "sh", "-c", TRAIN)
    assert done.returncode != 0
    assert "Optimization Done" not in done.stderr
