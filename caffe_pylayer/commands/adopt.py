"""Make a folder with tests around a Python layer that you have; its module stays as it is."""

import contextlib
import logging
import math
import os
import shlex
import shutil
import subprocess
import sys
import uuid

from . import CommandError, shapes
from .adopt_module import contents, read_net, write_all
from .adopt_plan import Plan
from .audit import WRONG, Audit, printable
from .python_layers import Folder

EXAMPLES = """examples:
  caffe-pylayer adopt dice_loss.py --net train_val.prototxt
  caffe-pylayer adopt pyloss.py --class EuclideanLossLayer --name euclidean
  caffe-pylayer adopt dice_loss.py --shape bottom_0=8,2,32,32 --print
  caffe-pylayer adopt ~/caffe/python --yes --out layers

A line that begins with ? is a guess: look at it first.
Exit codes: 0 fine, 1 not made, or something is wrong with the layer, 2 wrong usage.
"""
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PUBLISHED = "gh:org/caffe-pylayer"


def template_of(options):
    if options.template:
        return options.template
    own = os.path.isfile(os.path.join(PROJECT, "cookiecutter.json"))
    return PROJECT if own else PUBLISHED


def command_of(plan, options):
    """Return the cookiecutter command, for a shell."""
    template = options.template or PUBLISHED
    words = ["cookiecutter", "--no-input", template]
    words += [f"{name}={answer}" for name, answer in plan.answers().items()]
    return " ".join(map(shlex.quote, words))


def make_folder(plan, options):
    """Make the folder, all of it or nothing; return its path."""
    folder = os.path.join(options.out, plan.name)
    if os.path.lexists(folder):
        raise CommandError(
            f"{folder} exists already and is left as it is: type --name NAME or --out DIR"
        )
    os.makedirs(options.out, exist_ok=True)
    working = os.path.join(options.out, f".caffe-pylayer-{uuid.uuid4().hex}")
    try:
        os.mkdir(working)
        made = generate(template_of(options), plan.answers(), working)
        test = os.path.join("tests", f"test_{plan.name}.py")
        written = {}
        for inside, change in ((test, plan.test), ("README.md", plan.readme)):
            text = contents(os.path.join(made, inside)).decode("utf-8")
            written[inside] = change(text).encode("utf-8", "surrogateescape")
        os.remove(os.path.join(made, f"{plan.name}.py"))
        shutil.rmtree(os.path.join(made, "example"), ignore_errors=True)
        taken = [x for x in plan.module.files if os.path.lexists(os.path.join(made, x))]
        if taken:
            raise CommandError(
                f"the layer imports {taken[0]}, which a layer's folder has already"
            )
        written[f"{plan.name}.prototxt"] = plan.fragment()
        write_all(made, {**written, **plan.module.files})
        os.rename(made, folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return folder


def generate(template, answers, out):
    """Run the template; return the folder that it made."""
    try:
        from click import ClickException
        from cookiecutter.exceptions import CookiecutterException, RepositoryNotFound
        from cookiecutter.main import cookiecutter
        from requests import RequestException
    except ImportError as error:
        text = f"it needs cookiecutter: {sys.executable} -m pip install cookiecutter"
        raise CommandError(f"{text} ({error})") from error
    logging.getLogger("cookiecutter").addHandler(logging.NullHandler())
    try:
        with quiet():
            return cookiecutter(
                template, no_input=True, extra_context=answers, output_dir=out
            )
    except (
        RepositoryNotFound,
        subprocess.CalledProcessError,  # of git
        RequestException,
    ) as error:
        raise CommandError(
            f"{template}: no template can be had there: type --template DIR, a clone of "
            "caffe-pylayer"
        ) from error
    except ClickException as error:
        raise CommandError(error.format_message()) from error
    except (CookiecutterException, ValueError, UnicodeError) as error:
        raise CommandError(f"{template}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def quiet():
    """Keep from the terminal what the template's hook says next, which is for a stub."""
    sys.stdout.flush()
    saved, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nothing)


# What is printed


def show(plan, path):
    print(f"{printable(path)}: what adopt understood, and guessed (?)")
    for mark, what, text in plan.rows:
        print(f"{mark} {what:<10} {text}")


def judge(folder):
    """Audit the layer and run its tests, print the summaries; return whether all is fine."""
    audit = Audit(Folder(folder))
    for x in audit.findings:
        print(printable(f"  {x.path}:{x.line}: {x.code} {x.text}"))
    wrong = audit.count(WRONG)
    print(f"audit: {len(audit.findings)} findings, {wrong} of them wrong in Caffe")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""},
    )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    for line in lines:
        if line.startswith(("caffe: ", "FAILED ")):
            print("  " + printable(line))
    print("tests: " + printable(lines[-1] if lines else "no output"))
    return not done.returncode and not audit.count(WRONG)


def adopt(path, options, net_path=None, ask=None):
    """Adopt one layer; return whether all is fine with it."""
    plan = Plan(path, options, read_net(net_path) if net_path else None, ask)
    if options.print:
        print(command_of(plan, options))
        return True
    show(plan, path)
    folder = make_folder(plan, options)
    shown = printable(os.path.normpath(folder))
    print(f"made {shown}")
    fine = judge(folder)
    print(f"next: cd {shlex.quote(shown)} && python3 -m pytest")
    return fine


def typed(question):
    """Return what is typed; CommandError where nobody is there."""
    try:
        return input(question).strip()
    except EOFError as error:
        raise CommandError(
            "no answer: type --yes to take all without asking"
        ) from error


def ask_shape(name, guess):
    """Return the shape that is typed for a bottom, the guess for Enter."""
    while True:
        answer = typed(f"shape of {name} [{','.join(map(str, guess))}]: ")
        try:
            return shape_of(answer) if answer else guess
        except ValueError:
            print("sizes with commas between, such as 8,3,32,32")


def shape_of(text):
    shape = tuple(int(part) for part in text.split(","))
    if not shapes.is_shape(shape) or math.prod(shape) > 10**8:
        raise ValueError(text)
    return shape


def adopt_folder(options):
    """Adopt the layers under a folder, those that are asked for."""
    folder = Folder(os.path.normpath(options.path))
    if not folder.layers:
        raise CommandError(
            f"{options.path}: there is no layer under it, a class of caffe.Layer"
        )
    fine = True
    for layer in folder.layers:
        path = layer.source.path
        stem = os.path.splitext(os.path.basename(path))[0]
        home = os.path.dirname(path)
        if os.path.isfile(os.path.join(home, "tests", f"test_{stem}.py")):
            continue  # a layer's folder already
        if not options.yes:
            answer = typed(
                f"adopt {printable(layer.name)} of {printable(path)}? [y/n] "
            )
            if answer.lower() not in ("y", "yes"):
                continue
        nets = [
            x.path
            for x in folder.fragments
            if x.layer == layer.name and x.module.split(".")[-1] == stem
        ]
        options.layer_class = layer.name
        try:
            fine &= adopt(path, options, options.net or next(iter(nets), None))
        except CommandError as error:
            fine = False
            sys.stdout.flush()
            sys.stderr.write(f"caffe-pylayer adopt: {printable(str(error))}\n")
    return fine


def main(parser, given):
    sys.stdout.reconfigure(errors="backslashreplace")
    parser.add_argument(
        "path", metavar="FILE.py", help="the layer's module, or a folder of them"
    )
    parser.add_argument("--net", metavar="NET", help="a net that uses it")
    parser.add_argument(
        "--class",
        dest="layer_class",
        metavar="CLASS",
        help="which, if several are in the file",
    )
    parser.add_argument("--name", help="of the layer's folder, if not the module's")
    parser.add_argument(
        "--out", metavar="DIR", default=".", help="where the folder is made"
    )
    parser.add_argument(
        "--shape",
        metavar="BLOB=N,N",
        action="append",
        default=[],
        help="the shape of a bottom, the batch first",
    )
    parser.add_argument("--template", help="another than this project's own")
    parser.add_argument(
        "--print", action="store_true", help="only the cookiecutter command"
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing: take all, and guess"
    )
    options = parser.parse_args(given)
    for field in ("path", "net", "out"):
        value = getattr(options, field)
        setattr(options, field, os.path.expanduser(value) if value else value)
    try:
        pairs = [text.rpartition("=") for text in options.shape]
        options.shape = {name: shape_of(text) for name, _, text in pairs}
    except ValueError:
        parser.error("expected --shape BLOB=N,N such as score=8,3,32,32")
    ask = (
        ask_shape if sys.stdin.isatty() and not (options.yes or options.print) else None
    )
    try:
        if os.path.isdir(options.path):
            if options.name or options.layer_class or options.shape:
                parser.error("--name, --class and --shape are for one FILE.py")
            return int(not adopt_folder(options))
        return int(not adopt(options.path, options, options.net, ask))
    except (RecursionError, MemoryError) as error:
        raise CommandError(
            f"{options.path}: is nested too deep to be read: split it"
        ) from error
