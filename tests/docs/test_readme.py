"""The tables of README, reference and CONTRIBUTING name all that there is, and nothing else."""

import json
import re

import pytest

from caffe_pylayer.checks import checks, pytest_plugin
from support.project import PROJECT
from template_spec.kinds import KINDS

README, CONTRIBUTING, SECURITY, REFERENCE = [
    (PROJECT / page).read_text()
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/reference.md")
]
SETTINGS = json.loads((PROJECT / "cookiecutter.json").read_text())
PROMPTS = SETTINGS["__prompts__"]


def section(page, title):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def named(text, pattern=r"\w+"):
    """Return what stands in code at the beginning of each row of a table."""
    return re.findall(rf"^\| `({pattern})` \|", text, re.M)


def test_readme_is_short():
    assert len(README.splitlines()) <= 120
    assert len(SECURITY.splitlines()) <= 60


def test_prompts():
    unasked = [name for name in SETTINGS if re.match("_[a-z]", name)]
    unasked = [name for name in unasked if isinstance(SETTINGS[name], str)]
    assert unasked
    assert named(section(REFERENCE, "The prompts")) == [*PROMPTS, *unasked]
    count = "zero one two three four five six seven eight nine ten".split()
    assert f"asks for {count[len(PROMPTS)]} values" in REFERENCE


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    kind, table = KINDS[name], section(REFERENCE, "The kinds")
    assert named(table) == list(KINDS)
    counts = re.search(rf"^\| `{name}` \| [^|]* \| ([^|]*) \| ([^|]*) \|", table, re.M)
    for shown, allowed in zip(counts.groups(), (kind.bottoms, kind.tops), strict=True):
        least, most = allowed[0], allowed[-1]
        text = f"{least} to {most}" if least < most else str(most or "none")
        assert shown == text


def test_checks():
    names = [name for name, _, _ in checks.CHECKS]
    assert named(section(REFERENCE, "The checks")) == names


def test_options_of_pytest():
    options = [option for option, _ in pytest_plugin.OPTIONS]
    assert named(section(REFERENCE, "Options of pytest"), r"--[\w-]+") == options


@pytest.mark.parametrize("page", [README, section(REFERENCE, "The commands")])
def test_commands(page):
    folder = PROJECT / "caffe_pylayer" / "commands"
    modules = {
        path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text()
    }
    shown = re.findall(r"^\| `(?:caffe-pylayer )?([a-z]+) [^`]*` \|", page, re.M)
    assert set(shown) == modules - {"command_line"}


def test_commands_of_make():
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.M)
    shown = re.findall(r"^\| `make ([\w-]+)", CONTRIBUTING, re.M)
    assert sorted([*shown, "help"]) == sorted(targets)
    told = re.findall(r"`make\s([\w-]+)", README + REFERENCE + SECURITY + CONTRIBUTING)
    assert set(told) <= set(targets)


def test_rooms_of_tests():
    folders = sorted(path.parent.name for path in PROJECT.glob("tests/*/__init__.py"))
    assert folders
    assert sorted(named(section(CONTRIBUTING, "The tests"))) == folders


def test_files_that_contributing_names_exist():
    roots = (
        "benchmarks|caffe_pylayer|docs|examples|scripts|template_spec|templates|tests"
    )
    paths = re.findall(rf"`((?:{roots})/[\w./-]+)`", CONTRIBUTING)
    assert paths
    assert [
        path for path in paths if not list(PROJECT.glob(path.replace("KIND", "*")))
    ] == []


def test_contributing_says_what_the_templates_ask_of_a_kind():
    asked = set()
    for pattern in ("*", "example/*", "tests/test_*"):
        for path in (PROJECT / "<<cookiecutter.layer_name>>").glob(pattern):
            if path.is_file():
                asked |= set(
                    re.findall(r"(?<!layer\.)\bkind\.([a-z]\w+)", path.read_text())
                )
    told = section(CONTRIBUTING, "A new kind of layer")
    assert set(re.findall(r"`(\w+)(?:\(layer|` \()", told)) == asked
