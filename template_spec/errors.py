"""The one exception for an answer that is refused."""

import re

import click
from cookiecutter.exceptions import FailedHookException


class AnswerError(FailedHookException, click.ClickException):
    """A bad answer; cookiecutter prints the message in one line and exits with code 1.

    So does every other command line that click runs.
    """

    def proposal(self):
        """Return the one answer that the message proposes, None where it proposes none."""
        match = re.search(r"; try (\S+)$", str(self))
        return match and match[1]


def refuse(variable, problem, advice):
    """Raise AnswerError: what is wrong with the answer to a prompt, and what to type."""
    raise AnswerError(f"{variable}: {problem}; {advice}")


def shown(answer):
    """Return an answer as it stands in a message: in quotes, in ASCII, not too long."""
    text = ascii(answer)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word, words):
    """Return which of the words is most like the given one."""
    import difflib  # here, because it takes time

    return difflib.get_close_matches(word[:40], words, 1, 0)[0]
