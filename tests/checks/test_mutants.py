"""Every mistake of mutants.py is found, here on one engine each; `make proof` takes both."""

import collections
import contextlib
import re
import shutil
import zlib

import pytest

from checks import mutants
from support.project import ENGINES, PROJECT

EXAMPLES, HARNESS = (
    PROJECT / "examples",
    PROJECT / "<<cookiecutter.layer_name>>" / "tests",
)
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/answers.yaml")) + list(
    mutants.STUBS
)


class Mutant(
    collections.namedtuple(
        "Mutant", "mistake layer name before after check words diagnosis"
    )
):
    """A row of the table and the class of mistake it stands under."""

    def __str__(self):
        return f"{self.layer}, {self.mistake}: {self.name}"

    @property
    def folder(self):
        return f"mutant_{zlib.crc32(str(self).encode()):08x}"

    @property
    def engine(self):
        """The one of two that `make test` runs it on."""
        return ENGINES[zlib.crc32(str(self).encode()) % len(ENGINES)]

    def of(self, module):
        """Return the text of the module with the mistake."""
        befores, afters = [
            [text] if isinstance(text, str) else text
            for text in (self.before, self.after)
        ]
        for before, after in zip(befores, afters):
            assert module.count(before) == 1, (
                f"{module.count(before)} times in it: {before}"
            )
            module = module.replace(before, after.replace("@", before))
        compile(module, "the mutant", "exec")
        return module


MUTANTS = [
    Mutant(mistake, *row) for mistake, rows in mutants.MUTANTS.items() for row in rows
]


@pytest.fixture(scope="session")
def layers(bake, tmp_path_factory):
    """The folder of each correct layer, by its name."""
    out = tmp_path_factory.mktemp("stubs")
    stubs = {
        name: bake(out=out, layer_name=name, **answers)
        for name, answers in mutants.STUBS.items()
    }
    return {name: stubs.get(name, EXAMPLES / name) for name in NAMES}


def read_module(layers, mutant):
    return (layers[mutant.layer] / f"{mutant.layer}.py").read_text()


def plant(layers, out, wanted):
    """Write mutants, each as a layer of its own name, into a folder with a harness for all."""
    shutil.copy(HARNESS / "conftest.py", out)
    shutil.copytree(
        HARNESS / "harness", out / "harness", ignore=lambda *_: ["__pycache__"]
    )
    for mutant in wanted:
        source, folder, name = layers[mutant.layer], out / mutant.folder, mutant.layer
        with contextlib.suppress(
            AssertionError, SyntaxError
        ):  # the mutant's own test says so
            module = mutant.of(read_module(layers, mutant))
            (folder / "tests").mkdir(parents=True)
            (folder / f"{name}.py").write_text(module)
            shutil.copy(
                source / f"{name}.prototxt", folder / f"{mutant.folder}.prototxt"
            )
            tests = (source / "tests" / f"test_{name}.py").read_text()
            tests = tests.replace(f"def test_{name}(", f"def test_{mutant.folder}(")
            (folder / "tests" / f"test_{mutant.folder}.py").write_text(tests)


def own_checks(wanted):
    """Return arguments for pytest: of each mutant only the check that must be red."""
    return [
        "-k",
        " or ".join(f"{mutant.folder} and {mutant.check}" for mutant in wanted),
    ]


def messages(found):
    """Return what each red test says, by its name."""
    report = re.split("^=+ FAILURES =+$", found.output, flags=re.M)[-1]
    report = re.split("^[=-]+ (?:warnings summary|generated xml)", report, flags=re.M)[
        0
    ]
    parts = re.split(r"^_+ (\w+\[\w+\]) _+\n", report, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def checks_of(verdicts, mutant):
    """Return the outcome of each check of a mutant, by its name."""
    prefix = f"test_{mutant.folder}["
    return {
        name[len(prefix) : -1]: outcome
        for name, outcome in verdicts.items()
        if name.startswith(prefix)
    }


def assert_found(mutant, found, said):
    """Fail unless the mutant's check is red, for its reason, in a readable message."""
    assert checks_of(found, mutant).get(mutant.check) == "failure", checks_of(
        found, mutant
    )
    message = said[f"test_{mutant.folder}[{mutant.check}]"]
    assert mutant.words is None or mutant.words in message, message
    assert "Traceback" not in message and "harness" not in message, message
    assert max(len(line) for line in message.splitlines()) <= 100, message
    assert mutant.diagnosis is None or mutant.diagnosis in message, message


@pytest.fixture(scope="module")
def verdicts(layers, own_tests, request, tmp_path_factory):
    """What one engine says of each mutant that is asked for (-k), and in which words."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {call.params.get("mutant") for call in calls if call}
    results = {}
    for engine in ENGINES:
        out = tmp_path_factory.mktemp(engine)
        planted = [m for m in MUTANTS if m in wanted and m.engine == engine]
        plant(layers, out, planted)
        found = own_tests(engine, out, *own_checks(planted))
        results[engine] = found, messages(found)
    return results


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_red(layers, verdicts, mutant):
    mutant.of(read_module(layers, mutant))
    assert_found(mutant, *verdicts[mutant.engine])


def test_table_is_complete():
    assert len(MUTANTS) >= 130
    assert len({mutant.folder for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.layer for mutant in MUTANTS} == set(NAMES)
    assert {
        name: len(rows) for name, rows in mutants.MUTANTS.items() if len(rows) < 3
    } == {}
    per_engine = collections.Counter(mutant.engine for mutant in MUTANTS)
    assert min(per_engine.values()) >= len(MUTANTS) // 3
