"""bad_answers.yaml: each answer is refused, and nothing of it is executed.

The first of a message and what is no text come by every way in, the others by one of them in turn;
with WHOLE=yes (`make proof`) all come by every way.
"""

import logging
import sys
from pathlib import Path

import pytest
import yaml

from support.project import WHOLE
from support.ways_in import (
    DEFAULTS,
    PROMPTS,
    WAYS,
    at_prompt,
    check_refusal,
    generate,
    in_replay,
    on_command_line,
    run,
)

CORPUS = yaml.safe_load(Path(__file__).with_name("bad_answers.yaml").read_text())
BAD = [
    (variable, expected, answer, i == 0)
    for variable, groups in CORPUS.items()
    for expected, answers in groups.items()
    for i, answer in enumerate(answers)
]


def whole(answer):
    """The answer itself; a mapping with `times` stands for a long one."""
    if isinstance(answer, dict) and "times" in answer:
        middle = answer["text"] * answer["times"]
        return answer.get("before", "") + middle + answer.get("after", "")
    return answer


def can_be_given(way, variable, answer):
    """Whether this answer can come this way."""
    if way is at_prompt:  # which takes an empty line for the default, and strips
        if variable not in PROMPTS or not isinstance(answer, str):
            return False
        return answer.strip() == answer != "" and "\n" not in answer
    if way is on_command_line:
        return isinstance(answer, str)
    if isinstance(answer, float):  # which cookiecutter makes text
        return way is in_replay or variable not in PROMPTS
    return True


def is_given(way, i):
    """Whether the answer of this number comes this way."""
    variable, _, answer, is_first = BAD[i]
    answer = whole(answer)
    ways = [way for way in WAYS if can_be_given(way, variable, answer)]
    if WHOLE or is_first or not isinstance(answer, str):
        return way in ways
    return way is ways[i % len(ways)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variable", DEFAULTS)
def test_bad_answers_are_refused(way, variable, tmp_path, monkeypatch, record_property):
    monkeypatch.chdir(tmp_path)
    wrong, given = [], 0
    for i, (name, expected, answer, _) in enumerate(BAD):
        answer = whole(answer)
        if name == variable and is_given(way, i):
            given += 1
            (tmp_path / str(i)).mkdir()
            outcome = generate(way, {variable: answer}, tmp_path / str(i))
            lines = outcome.output.splitlines()
            try:
                check_refusal(outcome, expected)
                assert way is at_prompt or len(lines) == 1
            except (AssertionError, IndexError):
                wrong.append((ascii(answer)[:60], expected, lines[-1:]))
    record_property("count", ["answers", way.__name__, given - len(wrong), given])
    assert wrong == []
    assert given > 0 or (way is at_prompt and variable not in PROMPTS)
    assert not list(tmp_path.rglob("executed"))


def test_the_corpus_covers_every_prompt():
    answers = [(variable, repr(answer)) for variable, _, answer, _ in BAD]
    assert len(answers) == len(set(answers)) > 600
    assert set(CORPUS) == set(DEFAULTS)
    assert all(answers for groups in CORPUS.values() for answers in groups.values())


LONG = "0x" + "f" * 3900  # more digits than Python writes from 3.11 on


@pytest.mark.parametrize(
    "text, words",
    [
        (LONG, "a number of thousands of digits"),
        (f"[1, {LONG}]", "a number of thousands of digits"),
        (f"{{a: {LONG}}}", "a number of thousands of digits"),
        ("&a [*a]", "a list that holds itself"),
        ("{a: 1}", "{'a': 1} is no text"),
        ("[]", "[] is no text"),
    ],
    ids=lambda text: text[:10],
)
@pytest.mark.parametrize("variable", ["bottoms", "param_str_keys", "_author"])
def test_what_cookiecutter_cannot_render(tmp_path, monkeypatch, variable, text, words):
    # pytest would write cookiecutter's debug messages, which a user does not see
    monkeypatch.setattr(logging.root.manager, "disable", logging.DEBUG)

    def from_yaml(answers, command, folder):
        with (folder / "config.yaml").open("a") as config:
            config.write(f"default_context:\n  {variable}: {text}\n")
        return run([*command, "--no-input"])

    outcome = generate(from_yaml, {}, tmp_path)
    if text == LONG and not hasattr(sys, "get_int_max_str_digits"):
        words = "more than 4000 characters"
    check_refusal(outcome, words)
    assert outcome.output.startswith(f"{variable}: ")
    assert len(outcome.output.splitlines()) == 1
