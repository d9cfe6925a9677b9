"""bad_answers.yaml: each answer is refused at every way in, and nothing of it is executed."""

from pathlib import Path

import pytest
import yaml

from support.ways_in import (
    DEFAULTS,
    PROMPTS,
    WAYS,
    at_prompt,
    check_refusal,
    generate,
    in_replay,
    on_command_line,
)

CORPUS = yaml.safe_load(Path(__file__).with_name("bad_answers.yaml").read_text())
BAD = [
    (variable, expected, answer)
    for variable, groups in CORPUS.items()
    for expected, answers in groups.items()
    for answer in answers
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
    return answer != []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variable", DEFAULTS)
def test_bad_answers_are_refused(way, variable, tmp_path, monkeypatch, record_property):
    monkeypatch.chdir(tmp_path)
    wrong, given = [], 0
    for i, (name, expected, answer) in enumerate(BAD):
        answer = whole(answer)
        if name == variable and can_be_given(way, variable, answer):
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
    answers = [(variable, repr(answer)) for variable, _, answer in BAD]
    assert len(answers) == len(set(answers)) > 600
    assert set(CORPUS) == set(DEFAULTS)
    assert all(answers for groups in CORPUS.values() for answers in groups.values())
