"""Of a program that generates layers: other templates beside ours, other versions, and its end."""

import os
import shutil
import subprocess
import sys

import pytest

from support.project import PROJECT

OTHER = """
from jinja2.ext import Extension

class Other(Extension):
    def __init__(self, environment):
        super().__init__(environment)
        environment.filters["other"] = lambda text: "other " + text
"""
BEGIN = """
import os, sys
from cookiecutter.main import cookiecutter
from cookiecutter.exceptions import CookiecutterException

def ours(out, **answers):
    return cookiecutter(OURS, no_input=True, output_dir=out, default_config=True,
                        extra_context={"checks": "installed", **answers})

def other(out):
    cookiecutter("other", no_input=True, output_dir=out, default_config=True)
    assert open(out + "/x/file").read() == "other x", out
"""


@pytest.fixture
def run(tmp_path):
    """run(script) runs Python in a folder with a second template, other/."""
    folder = tmp_path / "other" / "{{cookiecutter.name}}"
    folder.mkdir(parents=True)
    (folder / "file").write_text("{{cookiecutter.name|other}}")
    (folder.parent / "local_extensions.py").write_text(OTHER)
    settings = '{"name": "x", "_extensions": ["local_extensions.Other"]}'
    (folder.parent / "cookiecutter.json").write_text(settings)
    (tmp_path / "home").mkdir()

    def run(script, ours=PROJECT, **given):
        environment = {**os.environ, "HOME": str(tmp_path / "home"), **given}
        if "PYTHONDONTWRITEBYTECODE" not in given:
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            [sys.executable, "-c", f"OURS = {str(ours)!r}\n{BEGIN}\n{script}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.mark.parametrize(
    "script", ["ours('a'); other('b'); ours('c')", "other('a'); ours('b'); other('c')"]
)
def test_a_template_with_its_own_local_extensions(run, tmp_path, script):
    run(script)
    assert sorted(path.name for path in tmp_path.glob("[abc]")) == ["a", "b", "c"]
    assert list(tmp_path.glob("b/*"))


def test_modules_of_the_same_names_on_pythonpath(run, tmp_path):
    (tmp_path / "first" / "template_spec").mkdir(parents=True)
    (tmp_path / "first" / "template_spec" / "__init__.py").write_text("1 / 0")
    (tmp_path / "first" / "local_extensions.py").write_text("1 / 0")
    run("ours('a')", PYTHONPATH=str(tmp_path / "first"))
    assert (tmp_path / "a" / "my_layer").is_dir()


def test_two_versions_in_one_folder_in_one_second(run, tmp_path):
    """As `cruft update` makes them: of the same path, time and size."""
    names = ("needs_cookiecutter_2_6.py", "local_extensions.py", "cookiecutter.json")
    folders = ("caffe_pylayer", "hooks", "templates", "template_spec")
    (tmp_path / "template").mkdir()
    for name in (*names, *folders, "<<cookiecutter.layer_name>>"):
        command = ["cp", "-r", str(PROJECT / name), str(tmp_path / "template")]
        subprocess.run(command, check=True)
    for folder in list((tmp_path / "template").rglob("__pycache__")):
        shutil.rmtree(folder)
    run(
        """
path = OURS + "/template_spec/answers.py"
times = os.stat(path).st_mtime_ns,
ours("a", layer_class="xLayer")
text = open(path).read()
assert text.count("[A-Za-z_][A-Za-z0-9_]*") == 1
open(path, "w").write(text.replace("[A-Za-z_][A-Za-z0-9_]*", "[A-Z--_][A-Za-z0-9_]*"))
os.utime(path, ns=times * 2)
try:
    ours("b", layer_class="xLayer")
    sys.exit("not refused")
except CookiecutterException as error:
    assert "is no Python class name" in str(error)
open(path, "w").write(text)
os.utime(path, ns=times * 2)
ours("c", layer_class="xLayer")
assert not [name for name in sys.modules if name.split(".")[0] in
            ("local_extensions", "template_spec", "needs_cookiecutter_2_6")]
""",
        ours=tmp_path / "template",
    )
    (kept,) = (tmp_path / "template" / "template_spec").glob("__pycache__/answers*")
    assert kept.read_bytes()[4:8] == b"\3\0\0\0"  # compared with the source (PEP 552)


def test_nothing_acts_when_the_process_ends(run, tmp_path):
    """A run is interrupted, the layer is made and edited from elsewhere, the process ends."""
    run(
        """
import atexit, signal
from unittest import mock
before = dict(os.environ), [signal.getsignal(n) for n in signal.valid_signals()]
with mock.patch("cookiecutter.generate.generate_file", side_effect=KeyboardInterrupt), \\
        mock.patch("atexit.register", side_effect=AssertionError):
    try:
        ours("out")
        sys.exit("not interrupted")
    except KeyboardInterrupt:
        pass
assert before == (dict(os.environ), [signal.getsignal(n) for n in signal.valid_signals()])
os.makedirs("out/my_layer", exist_ok=True)
open("out/my_layer/my_layer.py", "w").write("the author's")
"""
    )
    assert (tmp_path / "out" / "my_layer" / "my_layer.py").read_text() == "the author's"


def test_a_refusal_is_an_ordinary_exception(run):
    run(
        """
import asyncio

async def bad():
    ours("a", layer_name="Foo")

async def both():
    return await asyncio.gather(bad(), asyncio.sleep(0, "done"), return_exceptions=True)

refused, done = asyncio.run(both())
assert done == "done" and isinstance(refused, CookiecutterException), refused
assert not isinstance(refused, SystemExit)
assert str(refused).startswith("layer_name: 'Foo' is not snake_case"), refused
"""
    )


@pytest.mark.parametrize("module", ["shutil", "shlex", "re"])
def test_the_hook_runs_no_module_from_the_folder_for_temporary_files(
    run, tmp_path, module
):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / f"{module}.py").write_text(
        "open('/'.join(__file__.split('/')[:-1]) + '/executed', 'w')\n"
    )
    again = "OURS, no_input=True, output_dir='a b', overwrite_if_exists=True"
    script = f"ours('a b', checks='copied')\ncookiecutter({again}, default_config=True)"
    done = run(script, TMPDIR=str(tmp_path / "tmp"))  # the second removes old checks
    assert done.stdout.count("/my_layer' && ") == 2  # quoted by shlex
    assert not (tmp_path / "tmp" / "executed").exists()


def test_the_folder_for_temporary_files_is_removed_between_two_runs(run, tmp_path):
    """Python goes on using it, and cookiecutter would stop in the middle of a layer."""
    (tmp_path / "tmp").mkdir()
    run(
        """
import shutil
ours("a")
shutil.rmtree("tmp")
try:
    ours("b")
    sys.exit("not refused")
except CookiecutterException as error:
    assert str(error).endswith("/tmp, the folder for temporary files, is gone; make it again")
assert not os.path.exists("b") or not os.listdir("b")
os.mkdir("tmp")
ours("b")
""",
        TMPDIR=str(tmp_path / "tmp"),
    )


@pytest.mark.proof
def test_compiled_templates_are_kept_where_python_keeps_modules(run, tmp_path):
    script = "import os; ours(OUT); print(sorted(os.listdir(OUT + '/my_layer')))"
    kept = tmp_path / "kept"

    def compiled(out, **environment):
        run(f"OUT = {out!r}\n{script}", PYTHONPYCACHEPREFIX=str(kept), **environment)
        return {path: path.stat().st_mtime_ns for path in kept.rglob("*.cache")}

    assert not compiled("no", PYTHONDONTWRITEBYTECODE="1")
    compiled("first")  # Python makes the folder, Jinja finds it
    assert (files := compiled("second")) and compiled("third") == files
    for path in (tmp_path / "no" / "my_layer").rglob("*.*"):
        for other in ("second", "third"):
            same = tmp_path / other / path.relative_to(tmp_path / "no")
            assert path.read_bytes() == same.read_bytes()
