"""pytest's fixture `check`, its options, and the line that says which Caffe runs.

It is loaded by every pytest where it is installed: numpy and Caffe are imported only where
a test has the fixture `check`.
"""

import importlib
import os

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
UNLOADABLE = set()  # fragments whose check `load` failed

OPTIONS = (
    (
        "--caffe",
        {
            "choices": ("real", "standin"),
            "help": "run on real Caffe or on the numpy stand-in",
        },
    ),
    (
        "--seed",
        {"type": int, "default": 0, "help": "first seed of the random numbers (0)"},
    ),
    (
        "--seeds",
        {"type": int, "default": 1, "help": "how many seeds to run, in turn (1)"},
    ),
    (
        "--gradient-plot",
        {"metavar": "DIR", "help": "write a picture of each gradient into DIR"},
    ),
)


def pytest_addoption(parser):
    group = parser.getgroup("caffe", "Caffe Python layer")
    for name, settings in OPTIONS:
        try:
            group.addoption(name, **settings)
        except ValueError:  # the plugin or another layer's conftest.py was first
            pass


def pytest_configure(config):
    if config.getoption("--seeds", 1) < 1:
        raise pytest.UsageError("expected --seeds of 1 or more")
    pictures = config.getoption("--gradient-plot", None)
    if pictures:
        try:
            importlib.import_module("matplotlib")
            if not os.path.isdir(pictures):
                os.makedirs(pictures)
        except (ImportError, OSError) as error:
            raise pytest.UsageError("--gradient-plot: %s" % error)


def pytest_generate_tests(metafunc):
    """Make a test of each check that applies, unless the layer has its own copy of them."""
    test_file = metafunc.module.__file__
    if "check" in metafunc.fixturenames and is_ours(test_file):
        from . import checks

        metafunc.parametrize("check", checks.names(fragment(test_file)), indirect=True)


def is_ours(test_file):
    """Whether a test is for these checks, and not for a copy of them beside the test."""
    copied = os.path.join(os.path.dirname(os.path.abspath(test_file)), "harness")
    return not os.path.isdir(copied) or os.path.realpath(copied) == os.path.realpath(
        HERE
    )


def pytest_collection_modifyitems(config, items):
    """Choose the engine; end with exit code 4 where the one asked for is not there."""
    if getattr(config, "caffe_engine", None) or not any(map(is_check, items)):
        return
    from . import engine

    wanted = config.getoption("--caffe", None) or os.environ.get("CAFFE_ENGINE") or None
    try:
        config.caffe_engine = engine.choose(wanted)
    except engine.NoCaffe as error:
        raise pytest.UsageError(str(error))
    config.caffe_lines = ["caffe: %s" % config.caffe_engine[1]]


def is_check(item):
    return "check" in getattr(item, "fixturenames", ())


def pytest_report_collectionfinish(config):
    """Say once which Caffe runs, and why."""
    lines = getattr(config, "caffe_lines", [])
    config.caffe_lines = []  # the other layers' conftest.py need not say it again
    return lines


def fragment(test_file):
    """Return the prototxt that tests/test_NAME.py tests: NAME.prototxt in the folder above."""
    folder, file = os.path.split(os.path.abspath(test_file))
    name = os.path.splitext(file)[0][len("test_") :]
    return os.path.join(os.path.dirname(folder), name + ".prototxt")


@pytest.fixture
def check(request):
    """Return a function of make_bottoms and expected_tops that runs one check."""
    from . import checks, engine

    name, config = request.param, request.config
    kind = config.caffe_engine[0]
    path = fragment(request.module.__file__)
    first = config.getoption("--seed", 0)
    seeds = range(first, first + config.getoption("--seeds", 1))
    pictures = config.getoption("--gradient-plot", None)

    def run(make_bottoms, expected_tops):
        def verdict():
            with engine.running(kind, os.path.dirname(path)) as caffe:
                return checks.run(
                    name, caffe, path, make_bottoms, expected_tops, seeds, pictures
                )

        if path in UNLOADABLE:
            pytest.fail("not run: the layer does not load, see [load]", pytrace=False)
        outcome, text = engine.isolated(verdict) if kind == "real" else verdict()
        if outcome == "skip":
            pytest.skip(text)
        if outcome == "fail":
            if name == "load":
                UNLOADABLE.add(path)
            pytest.fail(text, pytrace=False)

    return run
