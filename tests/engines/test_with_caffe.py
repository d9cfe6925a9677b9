"""scripts/with-caffe: runs a command where real Caffe is, and sets that up when it is nowhere.

All but the last two tests run on a machine of little scripts: its whole PATH is made here.
"""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.project import PROJECT
from support.tools import need

SCRIPT = PROJECT / "scripts" / "with-caffe"

REAL_TOOLS = [
    "bash",
    "cat",
    "cksum",
    "cut",
    "dirname",
    "env",
    "find",
    "flock",
    "mkdir",
    "mv",
    "readlink",
]
REAL_TOOLS += [
    "grep",
    "head",
    "rm",
    "sed",
    "sh",
    "sleep",
    "sort",
    "tail",
    "tar",
    "touch",
    "true",
]

REAL_CAFFE = {
    "__init__.py": "from caffe._caffe import Layer, Net\n__version__ = '1.0.0'\n",
    "_caffe.py": "class Net: pass\nclass Layer: pass\n",
}
PLACEHOLDER = {"__init__.py": "__version__ = '0.1.0'\n"}

SKIP_OPTIONS_AND_RUN = 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"'

# Python finds in a sandbox what lies in usr/caffe of the root that is bound.
BWRAP = """
echo "$@" >>CALLS/bwrap
while [ "$1" != -- ]; do
    if [ "$1 $3" = "--ro-bind /usr" ]; then export PYTHONPATH=$2/caffe; fi
    shift
done
shift
exec "$@"
"""

MMDEBSTRAP = """
echo "$@" >>CALLS/mmdebstrap
echo "I: extracting archives..." >&2
sleep 0.3
while [ "$1" != bullseye ]; do shift; done
if [ "$2" = - ]; then tar -c -C SEED .; else tar -c -C SEED . | tar -x -C "$2"; fi
"""

FAILING_MMDEBSTRAP = """
echo "I: downloading packages with apt..." >&2
echo "E: the mirror is on fire" >&2
exit 25
"""

GONE = """
case "$*" in *//archive.debian.invalid*) ;; *)
    echo "Err:2 http://deb.debian.invalid/debian bullseye Release" >&2
    echo "  404  Not Found" >&2
    exit 25
esac
"""


class Machine:
    """A machine where we are root, with apt-get and every tool, but without Caffe."""

    def __init__(self, folder):
        self.bin, self.calls, self.seed = (
            folder / "bin",
            folder / "calls",
            folder / "seed",
        )
        self.cache = folder / "cache" / "caffe-pylayer"
        self.project = folder / "project"
        for made in (self.bin, self.calls, self.project):
            made.mkdir()
        for tool in REAL_TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.tool(
            "python3", f'exec {sys.executable} -S "$@"'
        )  # -S: not this machine's packages
        self.tool("id", "echo 0")
        self.tool("unshare", SKIP_OPTIONS_AND_RUN)
        self.tool("bwrap", BWRAP)
        self.tool("mmdebstrap", MMDEBSTRAP)
        self.tool("apt-get", 'echo "$@" >>CALLS/apt-get')
        self.tool(
            "sudo", '[ "$1" = -n ] && shift && echo "$@" >>CALLS/sudo && exec "$@"'
        )
        self.tool("gpg", "exit 0")
        self.tool("newuidmap", "exit 0")
        write_package(self.seed / "usr" / "caffe" / "caffe", REAL_CAFFE)

    def tool(self, name, script):
        script = script.replace("CALLS", str(self.calls)).replace(
            "SEED", str(self.seed)
        )
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def remove(self, *names):
        for name in names:
            (self.bin / name).unlink()

    def user(self):
        self.tool("id", "echo 1000")

    def start(
        self,
        *args,
        script=SCRIPT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **env,
    ):
        return subprocess.Popen(
            [str(script), *map(str, args)],
            cwd=self.project,
            env={
                "PATH": str(self.bin),
                "HOME": str(self.project),
                "XDG_CACHE_HOME": str(self.cache.parent),
                **{name: str(value) for name, value in env.items()},
            },
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def run(self, *args, **options):
        return finish(self.start(*args, **options))

    def called(self, name):
        path = self.calls / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_mmdebstrap(self):
        wait_until(lambda: self.called("mmdebstrap"))

    def roots(self):
        """What is in the cache apart from the lock, the log and matplotlib's fonts."""
        if not self.cache.exists():
            return []
        return [
            path.name
            for path in self.cache.iterdir()
            if path.name not in ("lock", "setup.log", "matplotlib")
        ]


def write_package(folder, files):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def finish(process):
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited 10 s in vain"
        time.sleep(0.01)


def assert_refused(result, *words):
    """Exit code 3, and every line says who speaks."""
    assert result.returncode == 3, result.stderr
    assert all(line.startswith("with-caffe: ") for line in result.stderr.splitlines())
    for word in words:
        assert word in result.stderr


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


PRINT_VERSION = ("python3", "-c", "import caffe; print(caffe.__version__)")


# Where Caffe is already


def test_own_caffe_is_used(machine, tmp_path):
    write_package(tmp_path / "own" / "caffe", REAL_CAFFE)
    result = machine.run(*PRINT_VERSION, PYTHONPATH=tmp_path / "own")
    assert (result.returncode, result.stdout, result.stderr) == (0, "1.0.0\n", "")
    assert not machine.called("bwrap")

    setup = machine.run("--setup", PYTHONPATH=tmp_path / "own")
    assert setup.stderr == "with-caffe: real Caffe 1.0.0: this machine's own python3\n"


def test_the_placeholder_from_pypi_is_not_caffe(machine, tmp_path):
    write_package(tmp_path / "own" / "caffe", PLACEHOLDER)
    result = machine.run(*PRINT_VERSION, PYTHONPATH=tmp_path / "own")
    assert result.stdout == "1.0.0\n"
    assert len(machine.called("mmdebstrap")) == 1


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(
            {"__init__.py": "class Net: pass\nclass Layer: pass"}, id="stand-in"
        ),
        pytest.param(
            {
                "__init__.py": "from caffe._caffe import Net",
                "_caffe.py": "class Net: pass",
            },
            id="built without Python layers",
        ),
    ],
)
def test_what_only_resembles_caffe_is_not_taken_for_it(machine, tmp_path, package):
    write_package(tmp_path / "own" / "caffe", package)
    machine.run("true", PYTHONPATH=tmp_path / "own")
    assert len(machine.called("mmdebstrap")) == 1


def test_caffe_python_names_the_python_to_ask_and_comes_first(machine, tmp_path):
    write_package(tmp_path / "own" / "caffe", REAL_CAFFE)
    other = tmp_path / "other"
    other.mkdir()
    machine.tool(
        "python3.5", f'PYTHONPATH={tmp_path}/own exec {sys.executable} -S "$@"'
    )
    (machine.bin / "python3.5").rename(other / "python3")
    result = machine.run(*PRINT_VERSION, CAFFE_PYTHON=other / "python3")
    assert (result.stdout, result.stderr) == ("1.0.0\n", "")


def test_caffe_root_names_a_root_and_is_preferred(machine, tmp_path):
    write_package(tmp_path / "own" / "caffe", REAL_CAFFE)
    result = machine.run(
        *PRINT_VERSION, CAFFE_ROOT=machine.seed, PYTHONPATH=tmp_path / "own"
    )
    assert result.stdout == "1.0.0\n"
    assert f"--ro-bind {machine.seed}/usr /usr" in machine.called("bwrap")[-1]
    assert not machine.called("mmdebstrap")


def test_a_caffe_root_that_holds_nothing_is_refused(machine, tmp_path):
    assert_refused(
        machine.run("true", CAFFE_ROOT=tmp_path / "nothing"), "CAFFE_ROOT", "nothing"
    )


# Making the root


def test_the_root_is_made_once(machine):
    first = machine.run(*PRINT_VERSION)
    assert (first.returncode, first.stdout) == (0, "1.0.0\n")
    assert "about a minute, 790 MB" in first.stderr

    second = machine.run(*PRINT_VERSION)
    assert (second.returncode, second.stdout, second.stderr) == (0, "1.0.0\n", "")
    assert len(machine.called("mmdebstrap")) == len(machine.roots()) == 1

    setup = machine.run("--setup")
    assert setup.stderr == (
        f"with-caffe: real Caffe 1.0.0: Debian 11 in {machine.cache}/{machine.roots()[0]}\n"
    )


def test_another_package_list_makes_another_root(machine, tmp_path):
    machine.run("--setup")
    changed = tmp_path / "changed"
    changed.write_text(
        SCRIPT.read_text().replace(",python2.7", ",python2.7,python3-yaml")
    )
    changed.chmod(0o755)
    machine.run("--setup", script=changed)
    assert len(machine.called("mmdebstrap")) == len(machine.roots()) == 2


def test_two_at_once_make_it_once(machine):
    both = [machine.start(*PRINT_VERSION) for _ in range(2)]
    results = [finish(process) for process in both]
    assert [(r.returncode, r.stdout) for r in results] == [(0, "1.0.0\n")] * 2
    assert sum("another with-caffe" in r.stderr for r in results) == 1
    assert len(machine.called("mmdebstrap")) == len(machine.roots()) == 1


def test_a_long_command_of_the_first_does_not_hold_the_second_up(machine):
    first = machine.start("sleep", "30")
    machine.wait_for_mmdebstrap()
    assert machine.run(*PRINT_VERSION).stdout == "1.0.0\n"
    assert first.poll() is None
    os.killpg(first.pid, signal.SIGKILL)
    finish(first)


@pytest.mark.parametrize(("user", "mode"), [(0, "root"), (1000, "unshare")])
def test_an_ordinary_user_can_make_it_too(machine, user, mode):
    machine.tool("id", f"echo {user}")
    assert machine.run(*PRINT_VERSION).stdout == "1.0.0\n"
    assert machine.called("mmdebstrap")[0].endswith(f" --mode={mode}")


def test_as_root_mmdebstrap_mounts_in_namespaces_of_its_own(machine):
    machine.tool("unshare", f'echo "$@" >>CALLS/unshare\n{SKIP_OPTIONS_AND_RUN}')
    machine.run("true")
    assert "--mount-proc --pid" in machine.called("unshare")[0]


def test_mirror_is_passed_on(machine):
    machine.run("true", CAFFE_DEBIAN_MIRROR="http://mirror.invalid/debian")
    assert machine.called("mmdebstrap")[0].endswith(
        f"bullseye {machine.cache}/building/root http://mirror.invalid/debian --mode=root"
    )


def test_a_failed_build_shows_the_log_and_leaves_no_root(machine):
    machine.tool("mmdebstrap", FAILING_MMDEBSTRAP)
    result = machine.run("true")
    assert_refused(result, "E: the mirror is on fire", f"{machine.cache}/setup.log")
    assert "on fire" in (machine.cache / "setup.log").read_text()
    assert machine.roots() == []

    machine.tool("mmdebstrap", MMDEBSTRAP)
    assert machine.run(*PRINT_VERSION).stdout == "1.0.0\n"


@pytest.mark.parametrize("mirror", ["", "http://ftp.xy.debian.invalid/debian"])
def test_what_has_left_the_mirror_comes_from_the_archive(machine, mirror):
    machine.tool("mmdebstrap", GONE + MMDEBSTRAP)
    result = machine.run(*PRINT_VERSION, CAFFE_DEBIAN_MIRROR=mirror)
    assert result.stdout == "1.0.0\n", result.stderr
    assert "archive, http://archive.debian.invalid/debian\n" in result.stderr
    assert len(machine.called("mmdebstrap")) == 1  # the first did not come so far


def test_a_mirror_of_ones_own_has_no_archive(machine):
    machine.tool("mmdebstrap", GONE.replace("deb.debian", "mirror.own"))
    result = machine.run("true")
    assert_refused(result, "404  Not Found", "mmdebstrap could not make")
    assert "archive" not in result.stderr


@pytest.mark.slow
def test_a_mirror_that_never_answers_names_the_variable(tmp_path):
    """For real, up to apt: it gives up after 20 seconds, here after 2."""
    need("bwrap")
    need("mmdebstrap")
    script = SCRIPT.read_text()
    assert script.count(':Timeout "10"') == 2
    impatient = tmp_path / "with-caffe"
    impatient.write_text(script.replace(':Timeout "10"', ':Timeout "1"'))
    impatient.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/debian"
        environment = {"CAFFE_DEBIAN_MIRROR": url, "XDG_CACHE_HOME": str(tmp_path)}
        begin = time.monotonic()
        result = subprocess.run(
            [impatient, "--setup"],
            env={
                **os.environ,
                "CAFFE_PYTHON": "false",
                "CAFFE_ROOT": "",
                **environment,
            },
            capture_output=True,
            text=True,
        )
    assert_refused(result, "does not answer (CAFFE_DEBIAN_MIRROR=URL names another)")
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("args", [["--setup"], PRINT_VERSION])
def test_a_damaged_root_is_named_for_deletion(machine, args):
    machine.run("--setup")
    [root] = machine.roots()
    (machine.cache / root / "usr" / "caffe" / "caffe" / "_caffe.py").unlink()
    result = machine.run(*args)
    assert result.returncode == 3
    assert f"Caffe fails in {machine.cache}/{root}: delete that folder" in result.stderr


def test_a_command_that_fails_in_a_whole_root_costs_no_import_of_caffe(machine):
    machine.run("--setup")
    before = len(machine.called("bwrap"))
    assert machine.run("sh", "-c", "exit 7").returncode == 7
    calls = machine.called("bwrap")[before:]
    assert [call.split(" -- ")[-1] for call in calls] == ["true", "sh -c exit 7"]


@pytest.mark.parametrize("user", [0, 1000])
def test_a_root_that_came_whole_from_a_failed_build_is_no_root(machine, user):
    machine.tool("id", f"echo {user}")
    machine.tool("mmdebstrap", MMDEBSTRAP + "\nexit 1")
    assert_refused(machine.run("true"), "mmdebstrap could not")
    assert machine.roots() == []


def test_a_root_whose_caffe_does_not_import_is_no_root(machine):
    (machine.seed / "usr" / "caffe" / "caffe" / "_caffe.py").write_text(
        "import no_such_library\n"
    )
    assert_refused(machine.run("true"), "Caffe fails", "no_such_library")
    assert machine.roots() == []


def test_a_killed_build_is_redone(machine):
    machine.tool("mmdebstrap", MMDEBSTRAP.replace("sleep 0.3", "sleep 30"))
    process = machine.start("true")
    machine.wait_for_mmdebstrap()
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    assert machine.roots() == ["building"]
    (machine.cache / "building" / "root" / "half").touch()

    machine.tool("mmdebstrap", MMDEBSTRAP)
    assert machine.run(*PRINT_VERSION).stdout == "1.0.0\n"
    assert len(machine.called("mmdebstrap")) == 2
    assert len(machine.roots()) == 1
    assert not list(machine.cache.glob("*/half"))


def test_a_build_that_outlives_its_killed_with_caffe_is_waited_for(machine):
    process = machine.start("true")
    machine.wait_for_mmdebstrap()
    process.kill()
    result = machine.run(*PRINT_VERSION)
    assert "waiting" in result.stderr
    assert result.stdout == "1.0.0\n"
    assert len(machine.roots()) == 1
    finish(process)


def test_an_interrupted_mmdebstrap_can_clean_up_behind_itself(machine):
    cleaning = "trap 'echo I: unmounting >&2; touch CALLS/clean; exit 1' INT"
    machine.tool("mmdebstrap", MMDEBSTRAP.replace("sleep 0.3", f"{cleaning}\nsleep 30"))
    process = machine.start("true")
    machine.wait_for_mmdebstrap()
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    assert finish(process).returncode != 0
    assert (machine.calls / "clean").exists()
    assert "unmounting" in (machine.cache / "setup.log").read_text()


def test_a_terminal_sees_the_stages_live(machine):
    ours, theirs = pty.openpty()
    process = machine.start("true", stderr=theirs)
    process.wait(timeout=30)
    os.close(theirs)
    assert "\rwith-caffe: 0 s: extracting archives..." in os.read(
        ours, 9999
    ).decode().replace("\033[K", "")
    os.close(ours)
    process.stdout.close()


# What it needs


def test_missing_tools_are_installed_by_root(machine):
    machine.remove("bwrap", "mmdebstrap")
    machine.tool("ready-bwrap", BWRAP)
    machine.tool("ready-mmdebstrap", MMDEBSTRAP)
    bin_ = machine.bin
    machine.tool(
        "apt-get",
        f"""echo "$@" >>CALLS/apt-get
        [ "$1" = update ] || mv {bin_}/ready-bwrap {bin_}/bwrap
        [ "$1" = update ] || mv {bin_}/ready-mmdebstrap {bin_}/mmdebstrap""",
    )
    assert machine.run(*PRINT_VERSION).stdout == "1.0.0\n"
    update, install = machine.called("apt-get")
    assert update == "update"
    assert install.startswith(
        "install -y --no-install-recommends bubblewrap mmdebstrap"
    )


def test_a_user_installs_through_sudo_where_that_asks_no_password(machine):
    machine.user()
    machine.remove("newuidmap")
    assert machine.run(*PRINT_VERSION).stdout == "1.0.0\n"
    assert "apt-get update" in machine.called("sudo")
    assert machine.called("apt-get")[-1].endswith("uidmap")


@pytest.mark.parametrize("sudo", ["none", "asks for a password"])
def test_a_user_without_sudo_is_told_what_to_run(machine, sudo):
    machine.user()
    machine.remove("mmdebstrap", "bwrap", "sudo")
    if sudo != "none":
        machine.tool("sudo", "exit 1")
    result = machine.run("true")
    assert_refused(
        result, "sudo apt-get update && sudo apt-get install -y bubblewrap mmdebstrap"
    )
    assert not machine.called("apt-get")


def test_a_failing_apt_get_shows_its_words(machine):
    machine.remove("mmdebstrap")
    machine.tool("apt-get", "echo E: no network; exit 100")
    assert_refused(machine.run("true"), "could not install mmdebstrap", "E: no network")


def test_without_apt_the_other_ways_are_named(machine):
    machine.remove("mmdebstrap", "apt-get")
    result = machine.run("true")
    assert_refused(result, "mmdebstrap", "no apt-get", "CAFFE_ROOT", "stand-in")
    assert len(result.stderr.splitlines()) == 1


def test_without_root_and_namespaces_nothing_is_built(machine):
    machine.user()
    machine.tool(
        "bwrap", "echo bwrap: setting up uid map: Permission denied >&2; exit 1"
    )
    result = machine.run("true")
    assert_refused(
        result, "setting up uid map: Permission denied", "user namespaces", "stand-in"
    )
    assert len(result.stderr.splitlines()) == 1
    assert not machine.called("mmdebstrap")


def test_mounts_that_come_and_go_elsewhere_do_no_harm(machine):
    """bwrap fails at a mount that ends while it binds /: see a container end, once in a hundred."""
    machine.run("true")
    calls = machine.called("bwrap")
    assert calls and not [call for call in calls if "bind / " in call]


def test_a_cache_that_cannot_be_written_is_named(machine):
    machine.cache.parent.write_text("a file")
    result = machine.run("true")
    assert result.returncode == 3
    assert "XDG_CACHE_HOME" in result.stderr


# The command


def test_arguments_stdin_and_exit_code_pass_through(machine):
    program = "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    with open(machine.project / "in", "w+") as stdin:
        stdin.write("from stdin")
        stdin.seek(0)
        result = machine.run(
            "python3", "-c", program, "two words", "", "$HOME *", stdin=stdin
        )
    assert result.stdout == "['two words', '', '$HOME *'] from stdin\n"
    assert result.returncode == 7


def test_numpy_has_one_thread_unless_told(machine):
    machine.run("true", OMP_NUM_THREADS="2")
    options = machine.called("bwrap")[-1]
    assert "--setenv OMP_NUM_THREADS 2" in options
    assert "--setenv OPENBLAS_NUM_THREADS 1" in options


def test_folders_are_bound_after_the_new_tmp(machine, tmp_path):
    (tmp_path / "with space").mkdir()
    machine.run("--bind", tmp_path / "with space", "--bind", "../seed", "true")
    options = machine.called("bwrap")[-1]
    for folder in (machine.project, tmp_path / "with space", machine.seed):
        assert options.index("--tmpfs /tmp") < options.index(
            f"--bind {folder} {folder}"
        )


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ([], "no command"),
        (["--bind"], "--bind"),
        (["--bind", "nowhere", "true"], "nowhere"),
        (["--bind", "/usr", "true"], "/usr"),
        (["--bind", "/", "true"], "system"),
        (["--setup", "true"], "--setup"),
        (["--frobnicate", "true"], "--frobnicate"),
    ],
)
def test_wrong_usage_is_exit_code_2(machine, args, word):
    result = machine.run(*args)
    assert result.returncode == 2
    assert word in result.stderr
    assert result.stderr.startswith("with-caffe: ")
    assert not machine.called("mmdebstrap")


def test_help_shows_an_example(machine):
    result = machine.run("--help")
    assert "scripts/with-caffe python3 -m pytest" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")


# For real

SEE_AND_WRITE = """
import os, caffe
print(caffe.__version__, caffe.Layer.__name__, os.getcwd(), os.environ["GREETING"])
for folder in [".", os.environ["BOUND"], "/tmp", os.environ["HOME"]]:
    open(os.path.join(folder, "written"), "w").close()
for folder in ["/", "/etc", "/usr/lib", "/usr/lib/python3/dist-packages/caffe"]:
    try:
        open(os.path.join(folder, "written"), "w")
    except OSError as error:
        print(folder, error.strerror)
"""


@pytest.mark.caffe
def test_real_caffe_with_writable_folders_on_a_read_only_root(tmp_path):
    project, bound = tmp_path / "project", tmp_path / "bound folder"
    project.mkdir()
    bound.mkdir()
    result = subprocess.run(
        [SCRIPT, "--bind", bound, "python3", "-c", SEE_AND_WRITE],
        cwd=project,
        # CAFFE_PYTHON: the root also where this machine has Caffe of its own
        env={
            **os.environ,
            "CAFFE_PYTHON": "false",
            "CAFFE_ROOT": "",
            "BOUND": str(bound),
            "GREETING": "hello there",
        },
        stdout=subprocess.PIPE,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        f"1.0.0 Layer {project} hello there",
        "/ Read-only file system",
        "/etc Read-only file system",
        "/usr/lib Read-only file system",
        "/usr/lib/python3/dist-packages/caffe Read-only file system",
    ]
    assert (project / "written").exists()
    assert (bound / "written").exists()
    assert not Path("/tmp/written").exists()


@pytest.mark.caffe
def test_folders_of_the_caller_are_not_looked_for_inside(with_caffe, tmp_path):
    """Matplotlib, which Caffe imports, would say that it cannot write there."""
    done = with_caffe(
        tmp_path, "python3", "-c", "import caffe", XDG_CONFIG_HOME="/nowhere"
    )
    assert (done.returncode, done.stderr) == (0, "")
