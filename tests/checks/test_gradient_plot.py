"""--gradient-plot=DIR writes a picture for each bottom with a gradient and each weight."""

import os

import numpy as np
import pytest

from support.project import ENGINES, usually


@pytest.fixture
def folder(bake, tmp_path):
    bake(out=tmp_path, layer_name="pair", layer_kind="loss", bottoms="fc/8,label")
    bake(out=tmp_path, layer_name="channels", layer_kind="learnable", bottoms="x")
    return tmp_path


@pytest.mark.parametrize("engine", usually("real"))
def test_pictures_of_right_and_wrong_gradients(folder, own_tests, engine):
    gradient = "pair", "channels", "-k", "gradient"
    found = own_tests(engine, folder, "--gradient-plot=a/b", *gradient)
    assert found.exit_code == 0, found.output
    names = ["channels-bottom_x.png", "channels-weight_0.png", "channels-weight_1.png"]
    assert sorted(os.listdir(folder / "a" / "b")) == [*names, "pair-bottom_fc_8.png"]
    right = red_and_blue(folder / "a" / "b" / "pair-bottom_fc_8.png")
    module, before = folder / "pair" / "pair.py", "bottom[0].diff[...] = "
    assert before in module.read_text()
    module.write_text(module.read_text().replace(before, before + "2 * "))
    found = own_tests(engine, folder, "--gradient-plot=wrong", *gradient)
    assert "test_pair[gradient]" in found.red
    assert red_and_blue(folder / "wrong" / "pair-bottom_fc_8.png") > right + 10000


@pytest.mark.proof
@pytest.mark.parametrize("engine", ENGINES)
def test_picture_of_a_wrong_layer_is_of_the_draw_that_failed(folder, own_tests, engine):
    own_tests(engine, folder, "--gradient-plot=right", "channels", "-k", "gradient")
    module, before = folder / "channels" / "channels.py", "[:, np.newaxis] * dy"
    text = module.read_text()
    assert text.count(before) == 1
    for name, factor in (("seven", "(1 + (len(dy) == 7))"), ("nan", "np.nan")):
        module.write_text(text.replace(before, f"{before} * {factor}"))
        arguments = [f"--gradient-plot={name}", "channels", "-k", "gradient"]
        found = own_tests(engine, folder, *arguments)
        assert found.red == ["test_channels[gradient]"], found.output
    pictures = [folder / f / "channels-bottom_x.png" for f in ("right", "seven")]
    assert red_and_blue(pictures[1]) > red_and_blue(pictures[0]) + 10000
    for picture, batch in zip(pictures, (4, 7)):
        assert b"batch %d, draw " % batch in picture.read_bytes()


def red_and_blue(picture):
    """Count the pixels that say: here backward gives too much, or too little."""
    import matplotlib.image  # which takes half a second, in each worker

    red, _, blue, _ = np.moveaxis(matplotlib.image.imread(picture), 2, 0)
    return np.sum(abs(red - blue) > 0.3)


def test_without_matplotlib_it_is_one_line_and_exit_code_4(
    folder, own_tests, monkeypatch
):
    (folder / "matplotlib.py").write_text(
        "raise ImportError('No module named matplotlib')"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    assert own_tests("standin", folder, "pair").exit_code == 0
    found = own_tests("standin", folder, "--gradient-plot=pictures", "pair")
    assert found.exit_code == 4
    assert "ERROR: --gradient-plot: No module named matplotlib" in found.output
    assert not (folder / "pictures").exists()


def test_a_file_in_its_place_is_one_line_and_exit_code_4(folder, own_tests):
    (folder / "pictures").touch()
    found = own_tests("standin", folder, "--gradient-plot=pictures/here", "pair")
    assert found.exit_code == 4
    assert (
        "ERROR: --gradient-plot: " in found.output and "Traceback" not in found.output
    )
