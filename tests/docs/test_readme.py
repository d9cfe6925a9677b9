"""The README tells the truth: its session is run again, its tables are compared."""

import json
import re

import pytest

from support.project import PROJECT
from template_spec.kinds import KINDS

README = (PROJECT / "README.md").read_text()
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text()
ANSWERS = {
    "layer_name": "focal_loss",
    "layer_kind": "loss",
    "bottoms": "scores,label",
    "param_str_keys": "gamma=2.0, alpha=0.25",
}


@pytest.fixture
def layer(bake, tmp_path):
    return bake(out=tmp_path, **ANSWERS)


def section(title):
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_session_shows_the_prompts_of_today():
    prompts = json.loads((PROJECT / "cookiecutter.json").read_text())["__prompts__"]
    session = section("A session")
    for number, (variable, prompt) in enumerate(prompts.items(), 1):
        sentences = [prompt] if isinstance(prompt, str) else list(prompt.values())
        assert f"[{number}/{len(prompts)}] {sentences[0]}" in session, variable
        assert all(sentence in session for sentence in sentences)
    assert all(answer in session for answer in ANSWERS.values() if answer != "loss")


def test_session_is_what_pytest_prints_on_real_caffe(layer, with_caffe):
    command = ["python3", "-m", "pytest", "-p", "no:cacheprovider"]
    shown = [
        line for line in section("A session").splitlines() if "test_focal_loss[" in line
    ]
    shown += [
        line for line in README.splitlines() if line.startswith("caffe: real Caffe")
    ]
    printed = with_caffe(layer, *command, "-v").stdout.splitlines()
    assert len(shown) == 10
    assert set(shown) <= set(printed)
    module = layer / "focal_loss.py"
    wrong = module.read_text().replace(
        "top[0].diff / len(self.difference)", "top[0].diff"
    )
    module.write_text(wrong)
    failure = README.split("$ python3 -m pytest\n")[1].split("```")[0]
    assert len(failure.splitlines()) == 8
    assert rounded(failure) in rounded(with_caffe(layer, *command).stdout)


def rounded(text):
    """Three digits of each number: the last ones differ from machine to machine."""
    return re.sub(r" *(-?\d+\.\d+)", lambda match: f" {float(match[1]):.3g}", text)


def test_tables_name_everything():
    settings = json.loads((PROJECT / "cookiecutter.json").read_text())
    variables = [name for name in settings if not name.startswith("_")]
    assert re.findall(r"^\| `(\w+)` \|", section("The prompts"), re.M) == variables
    assert re.findall(r"^\| `(\w+)` \|", section("The kinds"), re.M) == list(KINDS)
    checks = PROJECT / "<<cookiecutter.layer_name>>" / "tests" / "harness" / "checks.py"
    names = re.findall(
        r'^    \("(\w+)", (?:sources\.)?check_', checks.read_text(), re.M
    )
    assert re.findall(r"^\| `(\w+)` \|", section("The checks"), re.M) == names
    targets = re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), re.M)
    for target in re.findall(r"`make (\w+)", README):
        assert target in targets
    shown = re.findall(r"^\| `make (\w+)", CONTRIBUTING, re.M)
    assert set(targets) - set(shown) == {"help", "clean"}


def test_contributing_says_what_the_templates_ask_of_a_kind():
    asked = set()
    for pattern in ("*", "example/*", "tests/test_*"):
        for path in (PROJECT / "<<cookiecutter.layer_name>>").glob(pattern):
            if path.is_file():
                asked |= set(
                    re.findall(r"(?<!layer\.)\bkind\.([a-z]\w+)", path.read_text())
                )
    told = CONTRIBUTING.split("\n## A new kind of layer\n")[1]
    assert set(re.findall(r"`(\w+)(?:\(layer|` \()", told)) == asked


def test_error_is_the_one_that_is_printed(bake):
    line = next(
        line for line in README.splitlines() if line.startswith("    layer_name: ")
    )
    with pytest.raises(Exception, match=re.escape(line.strip())):
        bake(layer_name="FocalLoss")
