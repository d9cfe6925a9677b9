"""Mistakes planted in correct layers: the rows of checks/mutants.py, and edits of other tests."""

import collections
import contextlib
import re
import shutil
import zlib

from checks import mutants
from support.project import ENGINES, PROJECT

EXAMPLES = PROJECT / "examples"
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


def read_module(layers, mutant):
    return (layers[mutant.layer] / f"{mutant.layer}.py").read_text()


def plant(layers, out, wanted):
    """Write mutants, each as a layer of its own name, for installed checks, into a folder."""
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
    assert "Traceback" not in message and "caffe_pylayer" not in message, message
    assert max(len(line) for line in message.splitlines()) <= 100, message
    assert mutant.diagnosis is None or mutant.diagnosis in message, message


def red(layer, own_tests, tmp_path, engine, edits, checks):
    """Return what a copy of the layer says, edited, of which these checks must be red."""
    folder = tmp_path / "broken"
    shutil.copytree(layer, folder)
    module = folder / "broken.py"
    text = module.read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    module.write_text(text)
    found = own_tests(
        engine, folder, "--strict", "-k", " or ".join(sorted(checks)), installed=True
    )
    assert found.exit_code == 1, found.output
    assert {f"test_broken[{check}]" for check in checks} <= set(found.red), found.output
    message = found.output.split("= FAILURES =")[1].split("- generated xml")[0]
    message = message.split("= warnings summary =")[0]
    assert "Traceback" not in message
    assert "Fatal Python error" not in found.output  # of pytest, where Caffe aborts
    assert max(len(line) for line in message.splitlines()) <= 100
    return message
