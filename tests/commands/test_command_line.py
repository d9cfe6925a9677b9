"""caffe-pylayer: the ways to start it, --layer, help, errors and exit codes, and installing it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv

import pytest

import caffe_pylayer as package
from caffe_pylayer.commands import doctor
from caffe_pylayer.commands.command_line import COMMANDS
from caffe_pylayer.commands.layer_folder import layer_names
from support import environments
from support.commands import HERE, PACKAGE, caffe_pylayer, where_caffe_is
from support.project import PROJECT, WHOLE

NAMES = [name for name, _, _ in COMMANDS]
NET = 'layer { name: "data" type: "Input" top: "data" }\n'
NEWER = ["audit.py", "findings.py", "net_blobs.py", "python_layers.py"]
NEWER += ["adopt.py", "adopt_module.py", "adopt_plan.py", "adopt_source.py"]
FOR_A_LAYER = {"doctor": [], "trace": [], "splice": ["net.prototxt", "--after", "data"]}


@pytest.fixture(scope="module")
def baked(bake):
    return bake(layer_name="my_layer")


@pytest.fixture
def folder(tmp_path):
    """A folder with a net and no layer."""
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path


def refused(done):
    """Return the one line that a command ends with."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("caffe-pylayer")
    return done.stderr


# Starting it


def test_every_way_to_start_it_is_the_same(tmp_path):
    (tmp_path / "link").symlink_to(PACKAGE)
    for command, cwd in (
        ([PACKAGE], tmp_path),
        (["link"], tmp_path),
        ([os.path.relpath(PACKAGE, tmp_path)], tmp_path),
        (["."], PACKAGE),
        ([PACKAGE / "__main__.py"], tmp_path),
        (["-m", "caffe_pylayer"], PROJECT),
    ):
        done = subprocess.run(
            [sys.executable, "-B", *command, "--version"],
            cwd=cwd,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"caffe-pylayer {package.__version__}\n", done.stderr


def test_modules_of_the_package_have_no_name_of_their_own(baked, tmp_path):
    layer = shutil.copytree(baked, tmp_path / "my_layer")
    for name in ("plugin", "checks", "doctor", "net_text"):
        (layer / "my_layer.py").write_text(f"import {name}\n")
        assert f"No module named '{name}'" in refused_by_trace(layer)


def refused_by_trace(layer):
    done = caffe_pylayer("trace", "--caffe=standin", cwd=layer)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("way", ["-m", "folder"])
def test_files_of_the_names_of_python_s_modules_do_not_stop_it(folder, baked, way):
    for name in "argparse difflib json random shlex tempfile".split():
        (folder / f"{name}.py").write_text("raise RuntimeError('not this one')\n")
    if way == "folder":
        start, path = HERE, str(folder)
    else:
        start, path = (
            [sys.executable, "-B", "-m", "caffe_pylayer"],
            f"{PROJECT}:{folder}",
        )
    done = subprocess.run(
        [*start, "splice", "net.prototxt", "--after", "data", "--layer", baked],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("given", ["--help", "splice", "doctor", "audit"])
def test_only_the_module_of_the_command_is_imported(given):
    code = f"""import atexit, sys
sys.argv = ["caffe-pylayer", {given!r}, "--help"]
sys.path.insert(0, {str(PROJECT)!r})
atexit.register(lambda: print(*sys.modules))
from caffe_pylayer.__main__ import main
main()"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True
    )
    modules = done.stdout.splitlines()[-1].split()
    assert "caffe_pylayer.commands.command_line" in modules
    commands = {name for name in NAMES if f"caffe_pylayer.commands.{name}" in modules}
    assert commands == {given} & set(NAMES) and "numpy" not in modules


# Help, and wrong usage


def test_help_lists_the_commands_with_examples():
    done = caffe_pylayer("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, summary, _ in COMMANDS:
        assert re.search(rf"^  {name} +{re.escape(summary)}$", done.stdout, re.M)
        assert re.search(rf"^  .*caffe-pylayer {name} ", done.stdout, re.M)
    assert "\n  caffe-pylayer doctor  " in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_has_an_example(name):
    done = caffe_pylayer(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: caffe-pylayer {name} [-h]")
    examples = done.stdout.split("\nexample")[1]
    assert re.search(rf"^  .*caffe-pylayer {name} ", examples, re.M)


@pytest.mark.parametrize(
    "given, problem",
    [
        ([], "expected a COMMAND: " + ", ".join(NAMES)),
        (["docter"], "there is no command docter; the nearest is doctor"),
        (
            ["Splice", "net.prototxt"],
            "there is no command Splice; the nearest is splice",
        ),
        (["--frobnicate"], "expected a COMMAND: " + ", ".join(NAMES)),
    ],
)
def test_wrong_usage(given, problem):
    done = caffe_pylayer(*given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"caffe-pylayer: error: {problem}"


def test_a_file_that_is_not_there_is_one_line(baked):
    error = refused(
        caffe_pylayer("splice", "no.prototxt", "--after", "x", "--layer", baked)
    )
    assert error == "caffe-pylayer splice: no.prototxt: No such file or directory\n"


def test_a_folder_that_was_deleted(tmp_path):
    words = " ".join(map(str, HERE))
    shell = f"mkdir gone && cd gone && rmdir ../gone && {words} --help"
    done = subprocess.run(
        ["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True
    )
    assert "the current folder was deleted" in refused(done)


@pytest.mark.parametrize("given", [["--help"], ["doctor", "--help"], ["audit", "."]])
def test_a_reader_that_has_seen_enough(tmp_path, given):
    words = " ".join(map(str, [*HERE, *given]))
    shell = ["bash", "-c", f"{words} | true; echo ${{PIPESTATUS[0]}}"]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_full_disk_is_said(folder, baked):
    command = [*HERE, "splice", "net.prototxt", "--after", "data", "--layer", baked]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr == "caffe-pylayer splice: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("command", ["doctor", "trace"])
def test_ctrl_c(baked, tmp_path, command):
    """The command ends with 130 and without a word, and so does what it has started."""
    layer = shutil.copytree(baked, tmp_path / "my_layer")
    started = tmp_path / "started"
    hang = f"open({str(started)!r}, 'w').write(str(__import__('os').getpid()))\n"
    hang += "__import__('time').sleep(60)\n"
    if command == "trace":
        module = (layer / "my_layer.py").read_text()
        (layer / "my_layer.py").write_text(module + hang)
    (tmp_path / "path").mkdir()
    if command == "doctor":
        (tmp_path / "path" / "numpy.py").write_text(hang)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "path")}
    process = subprocess.Popen(
        [*HERE, command],
        cwd=layer,
        env={**environment, "CAFFE_ENGINE": "standin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while process.poll() is None and not (started.exists() and started.read_text()):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    assert (process.communicate()[1], process.returncode) == ("", 130)
    end = time.time() + 20
    with pytest.raises(ProcessLookupError):
        while time.time() < end:
            os.kill(int(started.read_text()), 0)
            time.sleep(0.01)


# The layer


@pytest.mark.parametrize("command", FOR_A_LAYER)
def test_a_folder_without_a_layer_says_what_to_type(folder, command):
    error = refused(caffe_pylayer(command, *FOR_A_LAYER[command], cwd=folder))
    found = f"there is no layer in {folder}, no NAME.py beside a NAME.prototxt"
    assert error == f"caffe-pylayer {command}: {found}: type --layer DIR\n"


@pytest.mark.parametrize("command", FOR_A_LAYER)
def test_a_layer_in_the_folder_below_is_named(folder, baked, command):
    shutil.copytree(baked, folder / "my layer")
    error = refused(caffe_pylayer(command, *FOR_A_LAYER[command], cwd=folder))
    assert error.endswith(": type --layer 'my layer'\n")


@pytest.mark.parametrize("command", FOR_A_LAYER)
def test_of_several_layers_one_is_named_by_its_prototxt(folder, baked, command):
    several = shutil.copytree(baked, folder / "several")
    for suffix in (".py", ".prototxt"):
        (several / f"other{suffix}").write_text(
            (baked / f"my_layer{suffix}").read_text()
        )
    given = FOR_A_LAYER[command]
    error = refused(caffe_pylayer(command, *given, "--layer=several", cwd=folder))
    choices = "several/my_layer.prototxt or several/other.prototxt"
    text = f"there are 2 layers in {several}: type --layer {choices}\n"
    assert error == f"caffe-pylayer {command}: {text}"
    done = caffe_pylayer(
        command, *given, "--layer=several/my_layer.prototxt", cwd=folder
    )
    assert "my_layer" in done.stdout and "there are" not in done.stderr


def test_a_net_of_another_folder_needs_no_layer_here(folder):
    done = caffe_pylayer("trace", "net.prototxt", "--caffe=standin", cwd=folder)
    assert "a net needs real Caffe" in refused(done)
    text = (
        NET + "# caffe-pylayer splice --remove x takes this out\nlayer { name: 'x' }\n"
    )
    (folder / "net.prototxt").write_text(text)
    done = caffe_pylayer(
        "splice", "net.prototxt", "--remove", "x", "-o", "-", cwd=folder
    )
    assert (done.stdout, done.returncode) == (NET, 0), done.stderr


@pytest.mark.parametrize(
    "files, names",
    [
        (["a.py", "a.prototxt"], ["a"]),
        (["a.prototxt", "tests/test_a.py"], ["a"]),
        (["a.py", "tests/test_a.py"], ["a"]),  # the doctor says what is missing
        (["a.py", "a.prototxt", "b.py", "tests/test_b.py", "net.prototxt"], ["a"]),
        (["a.py", "setup.py", "net.prototxt"], []),
        (["a.py", "a.prototxt", "b.py", "b.prototxt"], ["a", "b"]),
    ],
)
def test_what_a_layer_is(tmp_path, files, names):
    (tmp_path / "tests").mkdir()
    for file in files:
        (tmp_path / file).touch()
    assert layer_names(str(tmp_path)) == names


# Pythons


def test_a_numpy_that_is_missing_is_one_line(baked, tmp_path):
    """And it is that of PYTHONPATH, where that has one, as in `caffe`."""
    (tmp_path / "numpy.py").write_text("raise ImportError('no numpy here')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    error = refused(caffe_pylayer("trace", cwd=baked, env=environment))
    fix = f"it needs numpy: {sys.executable} -m pip install numpy"
    assert error == f"caffe-pylayer trace: {fix} (no numpy here)\n"


def test_python_2(baked, with_caffe):
    python2 = where_caffe_is("python2.7")
    done = with_caffe(baked, *python2, "--help")
    assert (done.returncode, done.stderr) == (0, "") and "splice" in done.stdout
    done = with_caffe(baked, *python2, "docter")
    assert done.returncode == 2 and "the nearest is doctor" in done.stderr
    needs = "it needs Python 3.8 or newer, this is 2.7: /usr/bin/python2.7"
    assert refused(with_caffe(baked, *python2, "audit", ".")).endswith(f": {needs}\n")
    done = with_caffe(baked, *python2, "trace")
    assert "it needs numpy: /usr/bin/python2.7 -m pip install numpy" in refused(done)
    done = with_caffe(baked, *python2, "doctor")
    assert done.returncode == 1 and "+ fragment " in done.stdout
    done = with_caffe(baked.parent, *python2, "doctor")
    assert refused(done).endswith(": type --layer my_layer\n")


def test_all_that_python_2_runs_compiles_there(with_caffe):
    paths = [
        *PACKAGE.glob("c*/*.py"),
        *PACKAGE.glob("c*/*/*.py"),
        PACKAGE / "__main__.py",
    ]
    paths = [path for path in paths if path.name not in NEWER]
    assert len(paths) > 20
    command = "import sys; [compile(open(p).read(), p, 'exec') for p in sys.argv[1:]]"
    done = with_caffe(PROJECT, "python2.7", "-c", command, *paths)
    assert done.returncode == 0, done.stderr


# Installing it


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The bin folder of a fresh environment, into which pip has installed the project.

    In `make proof` as a stranger's pip does it, which also downloads what it builds with.
    """
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"  # pip writes into it
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    ours = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, source / "caffe_pylayer", ignore=ours)
    if WHOLE:
        venv.create(folder / "venv", with_pip=True)
    else:
        environments.make(folder / "venv")
    pip = [folder / "venv" / "bin" / "pip", "install", source]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin"


def run_installed(command, folder):
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONPATH"
    }
    environment.update(CAFFE_ENGINE="standin", PYTHONPATH=str(folder))
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment
    )


@pytest.mark.slow
def test_pip_install_gives_the_command(installed, baked):
    command = installed / "caffe-pylayer"
    assert "\n  splice " in run_installed([command, "--help"], baked).stdout
    rows = run_installed([command, "doctor"], baked).stdout.splitlines()
    wrong = [row for row in rows if row[0] == "✗"]
    assert [row.split()[1] for row in wrong] == ["caffe"]
    assert f"module          my_layer is {baked}/my_layer.py" in "".join(rows)
    assert "my_layer (Python)" in run_installed([command, "trace"], baked).stdout
    assert (
        "1 layers, 0 findings" in run_installed([command, "audit", "."], baked).stdout
    )
    module = [installed / "python", "-m", "caffe_pylayer", "--version"]
    version = f"caffe-pylayer {package.__version__}\n"
    assert run_installed(module, baked).stdout == version


@pytest.mark.slow
def test_pip_install_gives_the_plugin(installed, bake):
    layer = bake(layer_name="my_layer", checks="installed")
    done = run_installed([installed / "python", "-m", "pytest", "--seed=3"], layer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caffe: numpy stand-in, as asked for" in done.stdout


def test_what_to_type_is_what_runs_here(monkeypatch, tmp_path):
    """In the doctor's fixes: caffe-pylayer only where a shell finds this one."""
    script = tmp_path / "caffe-pylayer"
    script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert doctor.command() == str(script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert doctor.command() == "caffe-pylayer"
    monkeypatch.setattr(sys, "argv", [str(PACKAGE)])
    monkeypatch.chdir(PROJECT)
    assert doctor.command() == f"{sys.executable} caffe_pylayer"
