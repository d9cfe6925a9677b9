"""pytest in generated layers: its options, its header, its exit codes; checks copied or installed.

pytest runs without Caffe here, if a test does not say otherwise.
"""

import pytest

from support.project import WHOLE

NO_CAFFE = "import caffe fails: No module named 'caffe'"


@pytest.fixture(scope="module", params=["copied", "installed"])
def checks(request):
    """The answer to the prompt of that name."""
    return request.param


@pytest.fixture
def run(checks, own_tests):
    """A function that runs pytest in a folder of layers without Caffe: its Verdicts."""

    def without_caffe(folder, *arguments, **options):
        options = {"CAFFE_ENGINE": "", "installed": checks == "installed", **options}
        return own_tests("standin", folder, *arguments, **options)

    return without_caffe


# Where it does not matter whether they are copied.
once = pytest.mark.parametrize(
    "checks", ["copied", "installed"] if WHOLE else ["installed"], indirect=True
)
LOAD = ("-k", "load")  # where it is not the checks that matter


@pytest.fixture(scope="module")
def folder(bake, checks, tmp_path_factory):
    out = tmp_path_factory.mktemp("side by side")
    bake(out=out, layer_name="first", checks=checks)
    bake(out=out, layer_name="second", layer_kind="loss", checks=checks)
    return out


@pytest.fixture
def layer(bake, checks, tmp_path):
    return bake(out=tmp_path, checks=checks)


@pytest.fixture
def pypi_caffe(tmp_path):
    """What `pip install caffe` gives: an empty package."""
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").touch()
    return tmp_path


def edit(path, before, after):
    text = path.read_text()
    assert text.count(before) == 1, text
    path.write_text(text.replace(before, after))


def test_header_says_which_engine_and_why(folder, run, pypi_caffe):
    found = run(folder / "first", *LOAD)
    assert found.exit_code == 0
    assert found.output.count(f"caffe: numpy stand-in, because {NO_CAFFE}") == 1
    found = run(folder / "first", *LOAD, "--caffe=standin")
    assert "caffe: numpy stand-in, as asked for" in found.output
    found = run(folder / "first", *LOAD, PYTHONPATH=str(pypi_caffe))
    assert found.exit_code == 0
    assert "is not Caffe (PyPI's caffe is an empty placeholder)" in found.output


@pytest.mark.caffe
def test_header_on_real_caffe(folder, checks, own_tests):
    installed = checks == "installed"
    found = own_tests("real", folder, *LOAD, installed=installed, CAFFE_ENGINE="")
    assert found.exit_code == 0
    assert found.output.count("caffe: real Caffe 1.0") == 1


@pytest.mark.parametrize("arguments", [["--caffe=real"], []])
def test_real_caffe_asked_for_and_not_there_is_one_line_and_exit_code_4(
    folder, run, arguments
):
    found = run(folder / "first", *arguments, CAFFE_ENGINE="real")
    assert found.exit_code == 4
    said = [line for line in found.output.splitlines() if "real Caffe" in line]
    assert len(said) == 1 and NO_CAFFE in said[0]
    assert "Traceback" not in found.output


def test_option_wins_over_the_variable(folder, run):
    found = run(folder / "first", *LOAD, "--caffe=standin", CAFFE_ENGINE="real")
    assert found.exit_code == 0


def test_unknown_engine_is_refused(folder, run):
    found = run(folder / "first", CAFFE_ENGINE="fake")
    assert found.exit_code == 4
    words = "expected CAFFE_ENGINE to be real or standin, got 'fake'"
    assert words in found.output
    assert run(folder / "first", "--caffe=fake").exit_code == 4


def test_options_are_in_the_help(folder, run):
    text = run(folder / "first", "--help").output
    for option in ("--caffe=", "--seed=", "--seeds=", "--gradient-plot=", "stand-in"):
        assert option in text


@pytest.mark.parametrize(
    "arguments",
    [[], ["first", "second"], ["first/tests"], ["--caffe=standin", "first", "second"]],
)
def test_layers_side_by_side_are_tested_from_above(folder, run, arguments):
    found = run(folder, *LOAD, *arguments)
    assert (found.exit_code, found.red) == (0, []), found.output
    tested = {name.split("[")[0] for name in found}
    alone = arguments == ["first/tests"]
    assert tested == ({"test_first"} if alone else {"test_first", "test_second"})
    assert found.output.count("caffe: numpy stand-in") == 1


def test_the_variable_works_from_above(folder, run):
    found = run(folder, CAFFE_ENGINE="real")
    assert found.exit_code == 4 and "real Caffe was asked for" in found.output


def test_options_from_above_without_a_name_of_a_layer(folder, run, checks):
    """pytest reads its options before it looks for a conftest.py that far down."""
    found = run(folder, *LOAD, "--seeds=2")
    if checks == "installed":
        assert (found.exit_code, found.red) == (0, []), found.output
    else:
        assert found.exit_code == 4
        assert "unrecognized arguments: --seeds=2" in found.output
    assert run(folder, *LOAD, "--seeds=2", "first", "second").exit_code == 0


@once
def test_seeds_draw_other_numbers_and_say_which_failed(layer, run):
    wrong_sometimes = "= top[0].diff * (1 if abs(bottom[0].data).max() < 3 else 2)"
    edit(layer / "my_layer.py", "= top[0].diff", wrong_sometimes)
    found = run(layer, "-k", "gradient", "--seeds=40")
    assert found.exit_code == 1
    lines = found.output.splitlines()
    (line,) = [line for line in lines if line.startswith("with --seed=")]
    seed = int(line.split()[1].rstrip(":").split("=")[1])
    assert run(layer, "-k", "gradient", f"--seed={seed}").exit_code == 1
    assert seed == 0 or run(layer, "-k", "gradient", f"--seeds={seed}").exit_code == 0


@once
def test_the_first_seed_is_0(layer, run):
    edit(layer / "my_layer.py", "= top[0].diff", "= 2 * top[0].diff")
    tables = [
        run(layer, "-k", "gradient", *seed)
        .output.split("FAILURES")[1]
        .split("- gen")[0]
        for seed in ([], ["--seed=0"], ["--seed=1"])
    ]
    assert tables[0] == tables[1] != tables[2]


def test_less_than_one_seed_is_refused(folder, run):
    found = run(folder / "first", "--seeds=0")
    assert found.exit_code == 4 and "expected --seeds of 1 or more" in found.output


@once
def test_author_mistakes_are_told_apart(bake, checks, run, tmp_path):
    layer = bake(out=tmp_path, bottoms="2", checks=checks)
    test = layer / "tests" / "test_my_layer.py"
    text = test.read_text()
    for before, after, words in (
        ("range(2)", "range(3)", "make_bottoms: expected a list with an array"),
        ("return bottoms[:1]", "return bottoms", "expected_tops: expected a list with"),
        ("return bottoms[:1]", "return bottoms[0]", "expected_tops: expected a list"),
        ("bottoms[:1]", "[bottoms[0].ravel()]", "expected_tops says (48,)"),
        ("return bottoms[:1]", "return [1 / 0]", "ZeroDivisionError"),
    ):
        assert before in text
        test.write_text(text.replace(before, after))
        found = run(layer)
        assert found.exit_code == 1 and words in found.output, found.output


@once
def test_unchecked_tops(layer, run):
    test = layer / "tests" / "test_my_layer.py"
    text = test.read_text()
    for unchecked, outcome in (
        ("return None", "skipped"),
        ("return [None]", "passed"),
        ("pass", "skipped"),
    ):
        test.write_text(text.replace("return bottoms", unchecked))
        found = run(layer)
        assert found.exit_code == 0
        assert found["test_my_layer[expected_tops]"] == outcome
        assert set(found.values()) == {"passed", outcome}


@once
def test_a_gradient_that_cannot_be_measured_is_skipped_and_says_so(layer, run):
    only_of_zeros = "abs(bottom[0].data) / (not bottom[0].data.any())"
    edit(layer / "my_layer.py", "= bottom[0].data\n", f"= {only_of_zeros}\n")
    edit(layer / "my_layer.py", "= top[0].diff", "= 7 * top[0].diff")
    test = layer / "tests" / "test_my_layer.py"
    edit(test, "rng.randn(", "0 * rng.randn(")
    found = run(layer, "-rs")
    assert found.exit_code == 0
    skipped = [name for name, outcome in found.items() if outcome == "skipped"]
    assert skipped == ["test_my_layer[gradient]"]
    said = " ".join(found.output.split())
    words = "the gradient of bottom bottom_0 cannot be measured"
    assert words in said


def test_a_layer_that_does_not_load_is_one_failure_with_a_reason(layer, run):
    edit(layer / "my_layer.py", "class MyLayer", "class OtherLayer")
    found = run(layer)
    assert found.exit_code == 1
    failed = [name for name, outcome in found.items() if outcome == "failure"]
    assert failed == ["test_my_layer[load]"]
    assert set(found.values()) == {"failure", "skipped"}
    assert "expected the class MyLayer in the module my_layer" in found.output


def test_nothing_is_left_in_the_layer(layer, run, tmp_path):
    def files():
        """All but what Python keeps, and .gitignore leaves out."""
        return {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts}

    before = files()
    assert run(layer).exit_code == 0
    assert files() == before
