"""The README and the guides tell the truth: each command is run, and prints what the page shows.

A page is one shell session. In its ```console fences a line `$ COMMAND`, with its here-document, is
run, and what stands below is all that it prints, or `...` for lines that are left out; answers are
typed at the prompts that are shown. A ```diff fence goes through `patch -p1`. `<!-- $ COMMAND -->`
is run and not shown; a ```sh fence, for other machines than ours, is not run.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
import yaml

from support.project import PROJECT
from support.tools import need

DOCS = PROJECT / "docs"
PYPROJECT = (PROJECT / "pyproject.toml").read_text()
CHECKS = PROJECT / "caffe_pylayer" / "checks"
PAGES = [
    "README.md",
    *(f"docs/{page}.md" for page in ("index", "loss", "data", "gradient", "team")),
    *(f"docs/{page}.md" for page in ("audit", "train", "caffe", "opencv", "reference")),
]
HOME = "/home/you"
MARK = "@@@ exit code"
FAILS = re.compile(
    r"\d+ failed|FAILURE|; try |✗|^diff -r "
)  # what a page shows of a failure
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
PROMPT = re.compile(r"^ +(?:\[\d+/\d+\] |Type its name ).*\(.*\):(.*)$")
# The programs of the pages: our template, and Caffe where scripts/with-caffe has it.
WITH_CAFFE = """\
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$SITE:$QUICK_PYCAFFE"
HOME=$OUR_HOME PATH=$OUR_PATH exec "$WITH_CAFFE" --bind "$HOME" --bind "$SITE" \
--bind "$QUICK_PYCAFFE" """
PROGRAMS = {
    "pipx": '[ "$1" = run ] && shift && exec "$@"',
    "cookiecutter": 'exec "$OUR_PYTHON" -c "$RUN" "$TEMPLATE" cookiecutter "$@"',
    "cruft": 'exec "$OUR_PYTHON" -c "$RUN" "$UPSTREAM" cruft "$@"',
    "git": '[ "$*" = "clone https://github.com/org/caffe-pylayer" ] && '
    'set -- clone "$UPSTREAM" caffe-pylayer\nPATH=$OUR_PATH exec git "$@"',
    "python": 'PYTHONPATH="$PYTHONPATH:$SITE" exec "$OUR_PYTHON" "$@"',  # where no Caffe is
    "python3": WITH_CAFFE + 'python3 "$@"',
    "caffe": WITH_CAFFE + 'caffe "$@"',
    "caffe-pylayer": WITH_CAFFE + 'python3 -m caffe_pylayer "$@"',
    "mpirun": "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n"
    'set -- $(printf "%s " "$@" | sed "s/ caffe-pylayer / python3 -m caffe_pylayer /")\n'
    + WITH_CAFFE
    + 'mpirun --oversubscribe "$@"',
}
RUN = """
import builtins, os, runpy, sys

def ask(prompt="", typed=input):
    answer = typed(prompt)
    print(answer)  # as it is seen at a terminal
    return answer

builtins.input = ask
os.environ["COLUMNS"] = "120"
template, program, *words = sys.argv[1:]
sys.argv[1:] = [template if word == "gh:org/caffe-pylayer" else word for word in words]
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


@dataclass
class Step:
    """A command of a page and the lines below it."""

    command: str
    shown: list


def steps(page):
    """Return the Steps of a page."""
    found = []
    fences = r"^```(console|diff)\n(.*?)^```$|^<!-- \$ (.*?) -->$"
    for kind, body, hidden in re.findall(fences, page, re.M | re.S):
        if kind == "diff":
            found.append(
                Step(
                    f"patch -p1 -F0 --no-backup-if-mismatch <<'EOT'\n{body}EOT", ["..."]
                )
            )
        elif hidden:
            found.append(Step(hidden, ["..."]))
        else:
            for line in body.splitlines():
                if line.startswith("$ "):
                    found.append(Step(line[2:], []))
                elif unfinished(found[-1].command):
                    found[-1].command += "\n" + line
                else:
                    found[-1].shown.append(line)
    return found


def unfinished(command):
    """Whether a line or a here-document of a command goes on below it."""
    here = re.search(r"<<'?(\w+)", command)
    return command.endswith("\\") or (here and not command.endswith("\n" + here[1]))


@pytest.fixture(scope="module")
def shared(with_caffe, tmp_path_factory):
    """The folders that all pages use: programs, the package, the template and its git."""
    shared = tmp_path_factory.mktemp("shared")
    programs, site, template = folders = [
        shared / name for name in ("programs", "site", "template")
    ]
    for folder in folders:
        folder.mkdir()
    for program, command in PROGRAMS.items():
        (programs / program).write_text(f"#!/bin/sh\n{command}\n")
        (programs / program).chmod(0o755)
    (template / "caffe-pylayer").symlink_to(PROJECT)
    make_upstream(template / "upstream")
    install_package(site)
    assert with_caffe(site, "python3", "-m", "compileall", "-q", ".").returncode == 0
    return folders


@pytest.fixture
def run(with_caffe, quick_pycaffe, shared, tmp_path):
    """A function that runs Steps in a shell: for each its exit code and what it prints."""
    programs, site, template = shared
    here, typed = tmp_path / "here", tmp_path / "typed"
    here.mkdir()
    typed.mkdir()
    theirs = ("CAFFE_ENGINE", "COOKIECUTTER_CONFIG", "GIT_", "XDG_CONFIG_HOME")
    environment = {
        **{
            name: text
            for name, text in os.environ.items()
            if not name.startswith(theirs)
        },
        "COLUMNS": "80",
        "HOME": str(here),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTEST_ADDOPTS": os.environ["PYTEST_ADDOPTS"] + " -p no:cacheprovider",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OUR_HOME": os.environ["HOME"],
        "OUR_PATH": os.environ["PATH"],
        "OUR_PYTHON": sys.executable,
        "QUICK_PYCAFFE": str(quick_pycaffe),
        "RUN": RUN,
        "SITE": str(site),
        "TEMPLATE": str(template / "caffe-pylayer"),
        "UPSTREAM": str(template / "upstream"),
        "WITH_CAFFE": str(PROJECT / "scripts" / "with-caffe"),
    }

    def run(page):
        script = "set -o pipefail\n"
        for i, step in enumerate(page):
            answers = [
                match[1].strip() for match in map(PROMPT.match, step.shown) if match
            ]
            (typed / str(i)).write_text("".join(answer + "\n" for answer in answers))
            script += f"{{ {step.command}\n}} 2>&1 <'{typed}/{i}'\nprintf '\\n{MARK} %d\\n' $?\n"
        (tmp_path / "page.sh").write_text(script)
        command = ["bash", tmp_path / "page.sh"]
        done = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True
        )
        assert done.stderr == ""
        parts = re.split(rf"\n{MARK} (\d+)\n", done.stdout.replace(str(here), HOME))
        return [(int(code), printed) for printed, code in zip(parts[::2], parts[1::2])]

    return run


def make_upstream(folder):
    """Make a git repository of the template; its branch `later` has a better check."""
    away = shutil.ignore_patterns(".git", ".venv", "*cache*", "layers", "site")
    shutil.copytree(PROJECT, folder, symlinks=True, ignore=away)
    check = folder / "caffe_pylayer" / "checks" / "checks.py"
    better = check.read_text()
    for text, commands in (
        (better + "# It finds less.\n", ["init -b main", "config user.name us",
         "config user.email us@localhost", "add .", "commit -m Before"]),
        (better, ["commit -a -m After", "branch later", "reset --hard HEAD~"]),
    ):  # fmt: skip
        check.write_text(text)
        for command in commands:
            command = [need("git"), *command.split()]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)


def install_package(site):
    """Put the package into a folder for PYTHONPATH, as pip does, with its plugin of pytest."""
    away = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "caffe_pylayer", site / "caffe_pylayer", ignore=away)
    about = site / "caffe_pylayer-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: caffe-pylayer\nVersion: 1\n")
    plugin = re.search(r"^\[project.entry-points.pytest11\]\n(.*)$", PYPROJECT, re.M)[1]
    (about / "entry_points.txt").write_text(
        "[pytest11]\n" + plugin.replace('"', "") + "\n"
    )


def lines(text):
    """Return the lines that are not empty, with blanks, rulers and times made equal."""
    text = re.sub(r"\b\d+\.\d+s\b", "0.00s", text)
    text = re.sub(r"[ \t]+|(?<==)=+|(?<=_)_+", " ", text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def agree(shown, printed):
    """Whether the shown lines, `...` among them, are the printed ones."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(agree(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return (
        bool(printed) and same(shown[0], printed[0]) and agree(shown[1:], printed[1:])
    )


def same(shown, printed):
    """Whether two lines agree, numbers to three digits: the last ones differ among machines."""
    numbers = [
        [float(number) for number in NUMBER.findall(line)] for line in (shown, printed)
    ]
    equal_text = NUMBER.split(shown) == NUMBER.split(printed)
    return equal_text and numbers[0] == pytest.approx(numbers[1], rel=5e-3)


@pytest.mark.parametrize("page", PAGES)
def test_each_command_prints_what_the_page_shows(run, page):
    todo = steps((PROJECT / page).read_text())
    assert todo
    done = run(todo)
    assert len(done) == len(todo)
    for step, (code, printed) in zip(todo, done):
        shown = lines("\n".join(step.shown))
        fails = any(FAILS.search(line) for line in shown)
        if not agree(shown, lines(printed)) or bool(code) != fails:
            text = f"{page}: exit code {code} of\n$ {step.command}\nwhich prints\n{printed}"
            pytest.fail(text, pytrace=False)


def test_team_file_names_variables_of_the_template():
    answers = yaml.safe_load((DOCS / "team.yaml").read_text())["default_context"]
    assert {"_author", "_license", "_header", "checks"} == set(answers)
    assert set(answers) <= set(json.loads((PROJECT / "cookiecutter.json").read_text()))


def test_chinese_loss_guide_has_the_same_commands_and_output():
    english, chinese = [(DOCS / f"loss{page}.md").read_text() for page in ("", ".zh")]
    fences = re.compile(r"^```.*?^```$", re.M | re.S)
    assert fences.findall(english)
    assert fences.findall(chinese) == fences.findall(english)
    assert chinese.count("\n#") == english.count("\n#")


def functions(file):
    """Return the nodes of the functions of a file of the checks, by name."""
    nodes = ast.parse((CHECKS / file).read_text()).body
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}


def sentences(node):
    """Return the sentences in the source of a function or module, as regular expressions."""
    docstring = ast.get_docstring(node, clean=False)
    texts = [getattr(part, "value", None) for part in ast.walk(node)]
    return {
        re.sub(r"%(\\.\d)?\w", ".*", re.escape(text))
        for text in texts
        if isinstance(text, str) and text != docstring and len(text.split()) > 1
    }


def diagnoses():
    """Return the sentences that may stand below the table, by the function that says them."""
    here, source = functions("diagnosis.py"), (CHECKS / "diagnosis.py").read_text()
    table = re.search(r"^HYPOTHESES = \((.*?)\)$", source, re.M | re.S)[1]
    names = *re.findall(r"\w+", table), "times", "of_one_value", "of_some_indices"
    nodes = [here[name] for name in names]
    nodes = [node for node in nodes if node.name != "top_diff"]
    nodes.append(functions("checks.py")["top_diff_mistakes"])
    return {node.name: sentences(node) for node in nodes}


def messages(page):
    """Return the first column of a page's tables that has no code in it."""
    return re.findall(r"^\| ([^`|]*?) \|.*\n(?!\|-)", (DOCS / page).read_text(), re.M)


def test_gradient_guide_explains_every_diagnosis():
    table = "\n".join(messages("gradient.md"))
    for function, told in diagnoses().items():
        assert told, function
        assert [text for text in told if not re.search(text, table)] == []


def test_gradient_guide_explains_only_what_is_said():
    files = [
        CHECKS / f"{name}.py" for name in ("checks", "diagnosis", "gradient", "subject")
    ]
    said = set().union(*(sentences(ast.parse(file.read_text())) for file in files))
    told = messages("gradient.md")
    assert told
    for message in told:
        parts = [text for text in said if re.search(text, message)]
        known = max(len(re.sub(r"\.\*|\\", "", text)) for text in parts)
        assert known > len(message) / 3, message


def test_chinese_gradient_guide_explains_the_same_messages():
    english = messages("gradient.md")
    assert english
    assert messages("gradient.zh.md") == english
