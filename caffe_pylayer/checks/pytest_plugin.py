# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The fixture `check` of pytest, its options, and the line that says which Caffe runs.

Every pytest loads this where it is installed: only a test that has this fixture makes
it import numpy and Caffe. A layer may have a copy of it beside the installed one, and
other layers other copies: each test has its fixture from one of them, which alone makes
its checks; the first says the line.
"""

import importlib
import os

import pytest

SECONDS = 120  # that a check may take
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
        "--timeout",
        {
            "type": float,
            "metavar": "SECONDS",
            "help": "end a check that takes longer (120)",
        },
    ),
    (
        "--bottoms-from",
        {
            "metavar": "NET.prototxt",
            "help": "give the layer bottoms of the shapes that it gets in this net",
        },
    ),
    (
        "--gradient-plot",
        {"metavar": "DIR", "help": "write a picture of each gradient into DIR"},
    ),
)


class CaffeAdvice(pytest.PytestWarning):
    """What is no fault in Caffe, but worth a word; with --strict it is one."""


@pytest.hookimpl(trylast=True)  # pytest-timeout has an option of that name, too
def pytest_addoption(parser):
    group = parser.getgroup("caffe", "Caffe Python layer")
    for name, settings in OPTIONS:
        if not is_taken(parser, name):
            group.addoption(name, **settings)


def is_taken(parser, option):
    """Whether another copy of this, or the project's own conftest.py, was first."""
    try:
        _, unknown = parser.parse_known_and_unknown_args([option + "=0"])
    except pytest.UsageError:  # it wants another value
        return True
    return not unknown


def pytest_configure(config):
    if number(config, "--seeds", 1) < 1:
        raise pytest.UsageError("expected --seeds of 1 or more")
    net_file = config.getoption("--bottoms-from", None)
    if net_file and not os.path.isfile(net_file):
        raise pytest.UsageError("--bottoms-from: there is no file %s" % net_file)
    pictures = config.getoption("--gradient-plot", None)
    if pictures:
        try:
            importlib.import_module("matplotlib.backends.backend_agg")
            if not os.path.isdir(pictures):
                os.makedirs(pictures)
        except (ImportError, OSError) as error:
            raise pytest.UsageError("--gradient-plot: %s" % error)


def number(config, option, default):
    """Return the value of an option, the default where it is no int of ours."""
    value = config.getoption(option, default)
    return value if isinstance(value, int) else default


def has_check(fixtures):
    """Whether the fixture `check`, of which a project may have its own, is this one.

    `fixtures` is a dict of lists of fixture definitions.
    """
    definitions = fixtures.get("check")
    return bool(definitions) and definitions[-1].func.__module__ == __name__


def pytest_generate_tests(metafunc):
    """Make a test of each check that applies to the layer."""
    if has_check(metafunc._arg2fixturedefs):
        from . import checks

        names = checks.names(fragment(metafunc.module.__file__))
        metafunc.parametrize("check", names, indirect=True)


def pytest_collection_modifyitems(config, items):
    """Choose the engine; end with exit code 4 where the one asked for is not there."""
    fixtures = [item._fixtureinfo for item in items if hasattr(item, "_fixtureinfo")]
    ours = any(has_check(info.name2fixturedefs) for info in fixtures)
    if not ours or getattr(config, "caffe_engine", None):
        return
    from . import engine

    wanted = config.getoption("--caffe", None) or os.environ.get("CAFFE_ENGINE") or None
    try:
        config.caffe_engine = engine.choose(wanted)
    except engine.EngineUnavailable as error:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(str(error))
        config.caffe_engine = None, str(error)  # pytest-xdist would hide a UsageError
    config.caffe_lines = ["caffe: %s" % config.caffe_engine[1]]


def pytest_report_collectionfinish(config):
    """Say once which Caffe runs, and why."""
    lines, config.caffe_lines = getattr(config, "caffe_lines", []), []
    return lines


def fragment(test_file):
    """Return the path of the fragment for tests/test_NAME.py, ../NAME.prototxt."""
    folder, file = os.path.split(os.path.abspath(test_file))
    name = os.path.splitext(file)[0][len("test_") :]
    return os.path.join(os.path.dirname(folder), name + ".prototxt")


@pytest.fixture
def check(request):
    """A function of make_bottoms and expected_tops that runs one check on the layer."""
    from . import checks, engine, hints, isolation, net_shapes, subject

    name, config = request.param, request.config
    kind, why = config.caffe_engine
    path = fragment(request.module.__file__)
    first = number(config, "--seed", 0)
    seeds = range(first, first + number(config, "--seeds", 1))
    pictures = config.getoption("--gradient-plot", None)
    net_file = config.getoption("--bottoms-from", None)
    known = config.__dict__.setdefault("caffe_shapes", {})
    not_run = config.__dict__.setdefault("caffe_not_run", {})
    seconds = config.getoption("--timeout", None) or SECONDS

    def run(
        make_bottoms,
        expected_tops=None,
        expected_diffs=None,
        stateful=False,
        one_solver=False,
        prepare=None,
    ):
        """Run the check.

        Args:
            make_bottoms, expected_tops: the author's functions.
            expected_diffs: function of bottoms, params and top_diffs that returns what
                backward must give, an array for each bottom, None for the slope; for a
                backward that is not the slope of forward on purpose.
            stateful: forward may keep state, such as a running mean.
            one_solver: the layer is not for several solvers.
            prepare: function of the caffe.Net, called when it is loaded.
        """
        author = subject.Author(
            make_bottoms, expected_tops, expected_diffs, stateful, one_solver, prepare
        )

        def shapes(caffe, fragment):
            if fragment.bottoms and not known.get(path):
                known[path] = net_shapes.bottom_shapes(caffe, net_file, fragment)
            return known.get(path)

        def verdict():
            with engine.running(kind, os.path.dirname(path)) as caffe:
                of_net = shapes if net_file else None
                return [
                    checks.run(name, caffe, path, author, seeds, pictures, of_net),
                    known.get(path),
                ]

        if kind is None:
            pytest.fail(why, pytrace=False)
        if path in not_run:
            pytest.skip("not run: the layer %s, see [%s]" % not_run[path])
        try:
            (outcome, text, advice), known[path] = isolation.run_in_child(
                verdict, seconds, os.path.dirname(path)
            )
        except isolation.ChildEnded as error:
            outcome, advice = "fail", []
            text = hints.with_hint("the check %s: %s" % (name, error))
            if checks.is_advice(name):
                outcome, advice = "pass", [text]
            if isinstance(error, isolation.TookTooLong):
                not_run[path] = "takes too long", name
        if outcome == "fail":
            if name == "load":
                not_run[path] = "does not load", name
            pytest.fail(text, pytrace=False)
        if advice and is_strict(config):
            text = "\n".join(["advice, red with --strict:"] + advice)
            pytest.fail(text, pytrace=False)
        for words in advice:
            request.node.warn(CaffeAdvice(words))
        if outcome == "skip":
            pytest.skip(text)

    return run


def is_strict(config):
    """Whether pytest was started with --strict, an option of its own.

    Before pytest 6.1 it is another name of --strict-markers.
    """
    if config.getoption("strict", config.getoption("strict_markers", False)):
        return True
    try:
        return bool(config.getini("strict"))
    except (KeyError, ValueError):  # an older pytest has no such setting
        return False
