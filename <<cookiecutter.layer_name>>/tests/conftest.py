"""The fixture `check` and pytest's options; the same file in every generated layer."""

import importlib
import os
import sys
import types

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))


def load_harness():
    """Return harness/ as a package under a name of its own: other layers bring theirs along."""
    name = "harness_%x" % (hash(TESTS) & sys.maxsize)
    package = types.ModuleType(name)
    package.__path__ = [os.path.join(TESTS, "harness")]
    sys.modules[name] = package
    return [importlib.import_module(name + "." + part) for part in ("checks", "engine")]


checks, engine = load_harness()
UNLOADABLE = set()  # fragments whose check `load` failed

OPTIONS = (
    ("--caffe", {"choices": engine.NAMES, "help": "run on real Caffe or on the numpy stand-in"}),
    ("--seed", {"type": int, "default": 0, "help": "first seed of the random numbers (0)"}),
    ("--seeds", {"type": int, "default": 1, "help": "how many seeds to run, one after the other"}),
    ("--gradient-plot", {"metavar": "DIR", "help": "write a picture of each gradient into DIR"}),
)


def pytest_addoption(parser):
    group = parser.getgroup("caffe", "Caffe Python layer")
    for name, settings in OPTIONS:
        try:
            group.addoption(name, **settings)
        except ValueError:  # another layer's conftest.py was first
            pass


def pytest_configure(config):
    wanted = config.getoption("--caffe", None) or os.environ.get("CAFFE_ENGINE") or None
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
    try:
        config.caffe_engine = engine.choose(wanted)
    except engine.NoCaffe as error:
        config.caffe_engine = None, str(error)


def pytest_report_header(config):
    kind, why = config.caffe_engine
    lines = getattr(config, "caffe_header", ["caffe: %s" % why] if kind else [])
    config.caffe_header = []  # the other layers' conftest.py need not say it again
    return lines


def pytest_collection_modifyitems(config):
    """End with exit code 4 where the engine asked for is not to be had."""
    kind, why = config.caffe_engine
    if not kind:
        raise pytest.UsageError(why)


def pytest_generate_tests(metafunc):
    if "check" in metafunc.fixturenames:
        metafunc.parametrize(
            "check", checks.names(fragment(metafunc.module.__file__)), indirect=True
        )


def fragment(test_file):
    """Return the prototxt that tests/test_NAME.py tests: NAME.prototxt in the folder above."""
    folder, file = os.path.split(os.path.abspath(test_file))
    name = os.path.splitext(file)[0][len("test_") :]
    return os.path.join(os.path.dirname(folder), name + ".prototxt")


@pytest.fixture
def check(request):
    """Return a function of make_bottoms and expected_tops that runs one check."""
    name, config = request.param, request.config
    kind = config.caffe_engine[0]
    path = fragment(request.module.__file__)
    first = config.getoption("--seed", 0)
    seeds = range(first, first + config.getoption("--seeds", 1))
    pictures = config.getoption("--gradient-plot", None)

    def run(make_bottoms, expected_tops):
        def verdict():
            with engine.running(kind, os.path.dirname(path)) as caffe:
                return checks.run(name, caffe, path, make_bottoms, expected_tops, seeds, pictures)

        if path in UNLOADABLE:
            pytest.fail("not run, because the layer does not load: see [load]", pytrace=False)
        outcome, text = engine.isolated(verdict) if kind == "real" else verdict()
        if outcome == "skip":
            pytest.skip(text)
        if outcome == "fail":
            if name == "load":
                UNLOADABLE.add(path)
            pytest.fail(text, pytrace=False)

    return run
