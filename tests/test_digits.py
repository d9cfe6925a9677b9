"""Training on scikit-learn's digits with real Caffe: the identity layer changes no bit of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

PROBE = Path(__file__).with_name("digits_probe.py")


@pytest.fixture(scope="module")
def curves(bake, with_caffe, tmp_path_factory):
    """The losses as exact hexadecimal numbers, and the layers: without and with the layer."""
    folder = tmp_path_factory.mktemp("digits")
    shutil.copy(PROBE, folder)
    bake(out=folder)
    digits = load_digits()
    np.savez(folder / "digits.npz", data=digits.data, target=digits.target)
    found = []
    for arguments in ([], ["my_layer"]):
        result = with_caffe(folder, "python3", PROBE.name, *arguments)
        assert result.returncode == 0, result.stderr
        *losses, layers = result.stdout.splitlines()
        found.append((losses, layers))
    return found


def test_loss_curves_are_equal_to_the_last_bit(curves):
    (without, layers_without), (with_layer, layers_with) = curves
    assert "my_layer" in layers_with and "my_layer" not in layers_without
    assert len(without) == 200
    assert with_layer == without


def test_the_net_learns(curves):
    losses = [float.fromhex(loss) for loss in curves[1][0]]
    assert losses[0] > 1.5
    assert np.mean(losses[-10:]) < 0.2 * losses[0]


def test_a_layer_that_changes_the_gradient_changes_the_curve(bake, with_caffe, curves, tmp_path):
    """So that the equality above can fail."""
    shutil.copy(PROBE, tmp_path)
    module = bake(out=tmp_path) / "my_layer.py"
    module.write_text(module.read_text().replace("= top[0].diff", "= 1.001 * top[0].diff"))
    digits = load_digits()
    np.savez(tmp_path / "digits.npz", data=digits.data, target=digits.target)
    result = with_caffe(tmp_path, "python3", PROBE.name, "my_layer")
    losses = result.stdout.splitlines()[:-1]
    assert losses[0] == curves[0][0][0]
    assert losses != curves[0][0]
