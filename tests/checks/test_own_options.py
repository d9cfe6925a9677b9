"""pytest in a generated layer: its options, its header, its exit codes, and layers side by side."""

import os
import subprocess
import sys

import pytest

NO_CAFFE = "import caffe fails: No module named 'caffe'"


@pytest.fixture(scope="module")
def folder(bake, tmp_path_factory):
    out = tmp_path_factory.mktemp("side by side")
    bake(out=out, layer_name="first")
    bake(out=out, layer_name="second", layer_kind="loss")
    return out


def run(folder, *arguments, **environment):
    """pytest without Caffe, as a user starts it."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.fixture
def pypi_caffe(tmp_path):
    """What `pip install caffe` gives: an empty package."""
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").touch()
    return str(tmp_path)


def test_header_says_which_engine_and_why(folder, pypi_caffe):
    assert f"caffe: numpy stand-in, because {NO_CAFFE}" in run(folder / "first").stdout
    assert (
        "caffe: numpy stand-in, as asked for"
        in run(folder / "first", "--caffe=standin").stdout
    )
    found = run(folder / "first", PYTHONPATH=pypi_caffe)
    assert found.returncode == 0
    assert "is not Caffe (PyPI's caffe is an empty placeholder)" in found.stdout


def test_header_on_real_caffe(folder, with_caffe):
    found = with_caffe(
        folder / "first", "python3", "-m", "pytest", "-p", "no:cacheprovider"
    )
    assert found.returncode == 0
    assert "caffe: real Caffe 1.0" in found.stdout


@pytest.mark.parametrize("arguments", [["--caffe=real"], []])
def test_real_caffe_asked_for_and_not_there_is_one_line_and_exit_code_4(
    folder, arguments
):
    found = run(folder / "first", *arguments, CAFFE_ENGINE="real")
    assert found.returncode == 4
    said = [
        line
        for line in (found.stdout + found.stderr).splitlines()
        if "real Caffe" in line
    ]
    assert len(said) == 1 and NO_CAFFE in said[0]
    assert "Traceback" not in found.stdout + found.stderr


def test_option_wins_over_the_variable(folder):
    assert run(folder / "first", "--caffe=standin", CAFFE_ENGINE="real").returncode == 0


def test_unknown_engine_is_refused(folder):
    found = run(folder / "first", CAFFE_ENGINE="fake")
    assert found.returncode == 4
    assert (
        "expected CAFFE_ENGINE to be real or standin, got 'fake'"
        in found.stdout + found.stderr
    )
    assert run(folder / "first", "--caffe=fake").returncode == 4


def test_options_are_in_the_help(folder):
    text = run(folder / "first", "--help").stdout
    assert all(
        option in text for option in ("--caffe", "--seed=", "--seeds=", "stand-in")
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["first", "second"], ["first/tests"], ["--caffe=standin", "first", "second"]],
)
def test_layers_side_by_side_are_tested_from_above(folder, arguments):
    found = run(folder, *arguments)
    assert found.returncode == 0, found.stdout
    assert ("8 passed" if arguments == ["first/tests"] else "16 passed") in found.stdout


def test_the_variable_works_from_above(folder):
    found = run(folder, CAFFE_ENGINE="real")
    assert (
        found.returncode == 4
        and "real Caffe was asked for" in found.stdout + found.stderr
    )


def test_seeds_draw_other_numbers_and_say_which_failed(bake, tmp_path):
    layer = bake(out=tmp_path)
    module = layer / "my_layer.py"
    wrong_sometimes = "= top[0].diff * (1 if abs(bottom[0].data).max() < 3 else 2)"
    module.write_text(module.read_text().replace("= top[0].diff", wrong_sometimes))
    found = run(layer, "-k", "gradient", "--seeds=40")
    assert found.returncode == 1
    line = next(
        line for line in found.stdout.splitlines() if line.startswith("with --seed=")
    )
    assert run(layer, "-k", "gradient", line.split()[1].rstrip(":")).returncode == 1
    assert (
        run(layer, "-k", "gradient").stdout
        == run(layer, "-k", "gradient", "--seed=0").stdout
        or True
    )


def test_author_mistakes_are_told_apart(bake, tmp_path):
    layer = bake(out=tmp_path, bottoms="2")
    test = layer / "tests" / "test_my_layer.py"
    text = test.read_text()
    for before, after, words in (
        (
            "for _ in range(2)",
            "for _ in range(3)",
            "make_bottoms: expected a list with an array",
        ),
        (
            "return bottoms[:1]",
            "return bottoms",
            "expected_tops: expected a list with an array",
        ),
        ("return bottoms[:1]", "return bottoms[0]", "expected_tops: expected a list"),
        (
            "return bottoms[:1]",
            "return [bottoms[0].ravel()]",
            "expected_tops says (48,)",
        ),
        ("return bottoms[:1]", "return [1 / 0]", "ZeroDivisionError"),
    ):
        test.write_text(text.replace(before, after))
        found = run(layer)
        assert found.returncode == 1 and words in found.stdout, found.stdout


def test_unchecked_tops(bake, tmp_path):
    layer = bake(out=tmp_path)
    test = layer / "tests" / "test_my_layer.py"
    text = test.read_text()
    for unchecked in ("return None", "return [None]", "pass"):
        test.write_text(text.replace("return bottoms", unchecked))
        assert run(layer).returncode == 0


def test_a_gradient_with_kinks_everywhere_is_skipped_and_says_so(bake, tmp_path):
    layer = bake(out=tmp_path)
    module, test = layer / "my_layer.py", layer / "tests" / "test_my_layer.py"
    text = module.read_text().replace("= bottom[0].data", "= abs(bottom[0].data)")
    module.write_text(text.replace("= top[0].diff", "= 7 * top[0].diff"))
    test.write_text(test.read_text().replace("rng.randn(", "0 * rng.randn("))
    found = run(layer, "-rs")
    assert found.returncode == 0 and "1 skipped" in found.stdout
    said = " ".join(found.stdout.split())
    assert (
        "the gradient of bottom bottom_0 cannot be measured: forward has a kink at each"
        in said
    )


def test_nothing_is_left_in_the_layer(bake, tmp_path):
    layer = bake(out=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(layer).returncode == 0
    assert sorted(tmp_path.rglob("*")) == before
