"""What cookiecutter loads: the filters of the templates, and a guard.

cookiecutter.json checks each answer right after its prompt with the filter `check`; the templates
read all of them with `cookiecutter|layer_spec`. What an answer may be: template_spec/answers.py.
"""

import functools
import json
import os
import re
import shlex
import sys
from importlib.util import cache_from_source
from pathlib import Path
from tempfile import gettempdir

import click
from jinja2 import pass_environment
from jinja2.bccache import FileSystemBytecodeCache
from jinja2.ext import Extension

from needs_cookiecutter_2_6 import take_ours
from template_spec import command_line
from template_spec.answers import (
    CHECKS,
    DELIMITERS,
    class_name,
    layer_spec,
    refuse_delimiters,
    text_of,
)
from template_spec.errors import AnswerError, refuse
from template_spec.kinds import KINDS
from template_spec.layout import filled, net_spec, params_source, to_source
from template_spec.literals import escaped, fence, markdown_text, to_json, to_markdown

HERE = Path(__file__).resolve().parent
FOLDER = "<<cookiecutter.layer_name>>"


@pass_environment
def check(environment, answers, *variables):
    """Refuse a bad answer, or ask for another one at the prompt; render as nothing.

    For Enter that is what the message proposes, or the prompt's default.
    """
    for variable in variables:
        while True:
            try:
                CHECKS[variable](answers)
                if variable == "checks":
                    command_line.refuse_without_hooks(answers["checks"])
                break
            except AnswerError as error:
                if variable.startswith("_") or not command_line.asks():
                    raise
                click.echo(error)
                default = environment.from_string(settings()[variable])
                answers[variable] = command_line.ask_again(
                    variable,
                    settings()["__prompts__"],
                    error.proposal() or default.render(cookiecutter=answers),
                )
    return ""


def checked_name(answers):
    """Return the layer_name when all answers are good; the first thing that files are made from.

    A replay comes here unchecked.
    """
    for variable in CHECKS:
        if variable not in answers:  # an answer is rendered here, not the folder
            refuse_delimiters("an answer", FOLDER)
    name = layer_spec(answers).name
    if not os.path.isdir(gettempdir()):  # in which cookiecutter puts the hooks
        raise AnswerError(
            f"{gettempdir()}, the folder for temporary files, is gone; make it again"
        )
    out = answers.get("_output_dir", ".")
    refuse_delimiters("the output folder", out)
    command_line.refuse_without_hooks(answers["checks"])
    command_line.refuse_to_overwrite(
        os.path.join(command_line.option("output_dir") or out, name)
    )
    return name


def default_count(kind, variable):
    """Return the count of bottoms or tops that a kind has by default."""
    return getattr(KINDS[kind], f"default_{variable}")


def command(answers):
    """Return the words of the command that gives these answers."""
    template = re.sub(r"^(\w+://)(?!git@)[^/]*@", r"\1", str(answers.get("_template")))
    if not re.fullmatch(
        r"((gh|gl|bb):|https://|(ssh://)?git@|ssh://)[\w.:/~+-]+", template
    ):
        template = "gh:org/caffe-pylayer"
    unasked = {"checks": "copied", "_author": "", "_license": "", "_header": ""}
    words = [
        shlex.quote(f"{variable}={answers[variable]}")
        for variable in CHECKS
        if answers[variable] != unasked.get(variable)
    ]
    return [f"cookiecutter --no-input {template}", *words]


def key_types(answers):
    """Return the names of the keys, each with its type, in one line."""
    return ", ".join(f"{key.name} ({key.type})" for key in layer_spec(answers).keys)


def root(_):
    """Return the absolute path of the template."""
    return str(HERE)


def version(_):
    """Return the version of this template."""
    text = (HERE / "caffe_pylayer" / "__init__.py").read_text(encoding="utf-8")
    return re.search('__version__ = "(.*)"', text).group(1)


FILTERS = (
    check, checked_name, class_name, command, default_count, escaped, fence, filled, key_types,
    layer_spec, markdown_text, net_spec, params_source, root, to_json, to_markdown,
    to_source, version,
)  # fmt: skip


class Answers(Extension):
    """The filters, and the guard: no answer is rendered that could be a template."""

    def __init__(self, environment):
        super().__init__(environment)
        environment.bytecode_cache = cache_of_templates()
        take_ours()  # the next template may have others of these names
        for name, value in (
            *settings()["_jinja2_env_vars"].items(),
            ("line_statement_prefix", None),
            ("line_comment_prefix", None),
        ):
            if getattr(environment, name) != value:
                refuse("_jinja2_env_vars", f"{name} is not {value!r}", "take it out")
        command_line.refuse_unknown_names()
        refuse_no_texts(given_to(environment))
        for function in FILTERS:
            environment.filters[function.__name__] = function

    def preprocess(self, source, name, filename=None):
        """Refuse a template that is none of ours; cookiecutter renders the answers, too."""
        if name is not None or not any(mark in source for mark in DELIMITERS):
            return source
        if source == FOLDER:
            return "<<cookiecutter|checked_name>>"
        if source not in own_templates():
            refuse_delimiters("an answer", source)
        return source


def given_to(environment):
    """Return the answers as config files and callers gave them.

    cookiecutter tells them to the constructor of the environment, which keeps nothing of them.
    """
    frame = sys._getframe()
    while frame:
        if frame.f_locals.get("self") is environment and "context" in frame.f_locals:
            return frame.f_locals["context"].get("cookiecutter", {})
        frame = frame.f_back
    return {}


def refuse_no_texts(given):
    """Refuse what cookiecutter fails on, or asks as another kind of question."""
    for name, answer in given.items():
        try:
            json.dumps(answer, default=str, skipkeys=True)
        except ValueError:
            refuse(
                name,
                "a number of thousands of digits, or a list that holds itself",
                "write it in quotes, as one string",
            )
        if name in CHECKS and isinstance(answer, (dict, list)):
            text_of(given, name)


@functools.lru_cache(maxsize=None)
def cache_of_templates():
    """Return where Jinja keeps compiled templates: beside what Python keeps of this module."""
    folder = os.path.dirname(cache_from_source(__file__))
    if sys.dont_write_bytecode or not os.access(folder, os.W_OK):
        return None
    return FileSystemBytecodeCache(folder)


@functools.lru_cache(maxsize=None)
def settings():
    """Return what is in cookiecutter.json."""
    return json.loads((HERE / "cookiecutter.json").read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=None)
def own_templates():
    """Return the texts of the template that cookiecutter renders, but for the files."""
    texts = {value for value in settings().values() if isinstance(value, str)}
    texts |= {
        hook.read_text(encoding="utf-8") for hook in (HERE / "hooks").glob("*.py")
    }
    folder = HERE / FOLDER
    return texts | {str(path.relative_to(folder)) for path in folder.rglob("*")}
