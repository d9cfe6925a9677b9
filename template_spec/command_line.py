"""What cookiecutter's command line was told, and asking there again."""

import os
import sys

import click
from cookiecutter.prompt import read_user_variable

from template_spec.answers import CHECKS
from template_spec.errors import AnswerError, nearest, refuse


def option(name):
    """Return the value of an option; None where cookiecutter's command line does not run."""
    context = click.get_current_context(silent=True)
    cli = sys.modules.get("cookiecutter.cli")
    if context is None or cli is None or context.command is not cli.main:
        return None
    return context.params.get(name)


def asks():
    """Whether the answers are typed at prompts."""
    replayed = option("replay") or option("replay_file")
    return option("no_input") is False and not replayed


def ask_again(variable, prompts, default):
    """Return a further answer to the prompt."""
    prefix = f"  [dim][{list(prompts).index(variable) + 1}/{len(prompts)}][/] "
    return read_user_variable(variable, default, prompts, prefix)


def refuse_unknown_names():
    """Refuse an answer on the command line to what is not asked; cookiecutter drops it."""
    for name, answer in (option("extra_context") or {}).items():
        if name not in CHECKS:
            near = nearest(name, CHECKS)
            raise AnswerError(f"{name}: there is no such variable; try {near}={answer}")


def refuse_without_hooks(checks):
    """Refuse to copy the checks where the hook that does it would not run."""
    accept = option("accept_hooks")
    if checks == "copied" and accept in ("no", "ask"):
        refuse(
            "checks",
            f"a hook copies them, and --accept-hooks {accept} can leave it out",
            "take that option away, or try checks=installed",
        )


def refuse_to_overwrite(folder):
    """Refuse -f without -s on a folder that is there: it would overwrite its author's files."""
    force, keep = option("overwrite_if_exists"), option("skip_if_file_exists")
    if force and not keep and os.path.lexists(folder):
        raise AnswerError(
            f"{folder}: -f alone would overwrite what you wrote; to keep it and renew the copied "
            "checks, try cookiecutter -f -s"
        )
