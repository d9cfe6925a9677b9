"""bad_answers.yaml: each answer is refused at every way in, and nothing of it is executed."""

from pathlib import Path

import pytest
import yaml

from support.ways_in import (
    DEFAULTS,
    WAYS,
    at_prompt,
    check_refusal,
    generate,
    in_config_file,
    in_replay,
    on_command_line,
    through_the_api,
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
    """Whether this answer can come this way; cookiecutter itself asks for the kind in some."""
    if (
        variable == "layer_kind"
    ):  # where cookiecutter offers a choice, it refuses by itself
        return way is in_replay
    if way is on_command_line:
        return isinstance(answer, str)
    if way is at_prompt:  # which takes an empty line for the default, and strips
        return (
            isinstance(answer, str)
            and answer.strip() == answer != ""
            and "\n" not in answer
        )
    if way in (
        in_config_file,
        through_the_api,
    ):  # where a number is text, a list offers choices
        return isinstance(answer, (str, bool)) or (isinstance(answer, list) and answer)
    return True


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
    assert not list(tmp_path.rglob("executed"))


def test_the_corpus_covers_every_prompt():
    answers = [(variable, repr(answer)) for variable, _, answer in BAD]
    assert len(answers) == len(set(answers)) > 600
    assert set(CORPUS) == set(DEFAULTS)
