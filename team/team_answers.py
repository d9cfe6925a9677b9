"""What cookiecutter loads for the template of a team's repository: its answers are checked."""

import re
from pathlib import Path

import click
from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

PACKAGE = Path(__file__).resolve().parent.parent / "caffe_pylayer"


class AnswerError(FailedHookException, click.ClickException):
    """An answer that the files cannot hold; cookiecutter ends with its message alone."""


def repository(answer):
    """Refuse what is no name of a Python distribution and of a folder; render as nothing."""
    if not re.fullmatch("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", answer):
        expected = "expected letters, digits, '.', '_' and '-'"
        raise AnswerError(
            f"repository: {expected}, got {answer[:60]!r}; try caffe-layers"
        )
    return ""


def author(answer):
    """Refuse what is not one line of text; render as nothing."""
    if not answer.strip() or not answer.isprintable():
        text = f"author: expected a name in one line, got {answer[:60]!r}; try 'Vision Group'"
        raise AnswerError(text)
    return ""


def caffe_pylayer(_):
    """Return the version of the package beside this template."""
    text = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    return re.search('__version__ = "(.*)"', text).group(1)


class Checked(Extension):
    """The functions above as filters."""

    def __init__(self, environment):
        super().__init__(environment)
        for function in (repository, author, caffe_pylayer):
            environment.filters[function.__name__] = function
