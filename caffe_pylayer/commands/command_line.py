"""The table of the commands, and what they have in common: help, errors and exit codes."""

import argparse
import difflib
import errno
import importlib
import os
import sys

from .. import __version__
from . import CommandError, words_of

COMMANDS = (  # name, what it does, the oldest Python that runs it
    ("doctor", "say why Caffe does not load a layer, and what to do about it", (2, 7)),
    ("trace", "show what is in every bottom, top and weight", (2, 7)),
    ("splice", "put a layer into a net, or take it out again", (2, 7)),
    (
        "audit",
        "list the Python layers under a folder, and what is wrong with them",
        (3, 8),
    ),
    ("adopt", "make a folder with tests around a layer that you have", (3, 8)),
    ("train", "train as caffe train does, by mpirun in several processes", (2, 7)),
)
EXAMPLES = """examples:
  caffe-pylayer doctor                               in a layer's folder
  caffe-pylayer doctor --layer focal_loss net.prototxt
  caffe-pylayer trace net.prototxt --phase TEST
  caffe-pylayer splice net.prototxt --after conv1    shows what would change
  caffe-pylayer audit ~/caffe/python
  caffe-pylayer train solver.prototxt                mpirun -n 4 before it: four processes
  caffe-pylayer adopt dice_loss.py --net train_val.prototxt
  caffe-pylayer trace --help                         the options of a command

Not installed? python3 CLONE/caffe_pylayer COMMAND is the same.
Exit codes: 0 fine, 1 something is wrong, 2 wrong usage, 130 stopped by Ctrl-C.
"""


def main(given):
    """Run the command that the list `given` names; return the exit code."""
    name = " ".join(["caffe-pylayer"] + [word for word in given[:1] if word in names()])
    try:
        try:
            return run(name, given)
        finally:
            sys.stdout.flush()
    except CommandError as error:
        problem = str(error)
    except KeyboardInterrupt:
        return 130
    except EnvironmentError as error:
        if error.errno in (errno.EPIPE, errno.ENOSPC):  # what is left is not written
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:  # the reader, such as head, has seen enough
            return 0
        problem = words_of(error)
    sys.stderr.write("%s: %s\n" % (name, problem))
    return 1


def names():
    return [name for name, _, _ in COMMANDS]


def run(prog, given):
    """Import the one module that is asked for, and run it."""
    if not given or given[0] not in names():
        return parse_without_command(given)
    ((name, summary, oldest),) = [row for row in COMMANDS if row[0] == given[0]]
    if sys.version_info < oldest:
        text = "it needs Python %d.%d or newer, this is %d.%d: %s"
        raise CommandError(text % (oldest + sys.version_info[:2] + (sys.executable,)))
    module = importlib.import_module("caffe_pylayer.commands." + name)
    parser = argparse.ArgumentParser(
        prog=prog,
        description=module.__doc__,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return module.main(parser, given[1:])


def parse_without_command(given):
    """Print the help or the version, or end with what is wrong."""
    rows = "".join("  %-8s  %s\n" % (name, summary) for name, summary, _ in COMMANDS)
    parser = argparse.ArgumentParser(
        prog="caffe-pylayer",
        usage="caffe-pylayer COMMAND [OPTION ...] [ARGUMENT ...]",
        description="For Python layers of Caffe.\n\ncommands:\n" + rows,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version="caffe-pylayer " + __version__
    )
    parser.add_argument("command", metavar="COMMAND", nargs="?", help=argparse.SUPPRESS)
    wrong = parser.parse_known_args(given)[0].command
    if wrong is None:
        parser.error("expected a COMMAND: %s" % ", ".join(names()))
    near = difflib.get_close_matches(wrong, names(), 1, 0)[0]
    parser.error("there is no command %s; the nearest is %s" % (wrong, near))
