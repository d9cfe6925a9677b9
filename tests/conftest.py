"""What the project's tests share: baking a layer, and running its own tests on both engines."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from support import python27
from support.commands import QUICK_PYCAFFE
from support.project import PROJECT, WHOLE

# In the background of a shell SIGINT is ignored, also by all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Of each pytest that tests start, a second would be the import of hypothesis.
os.environ["PYTEST_ADDOPTS"] = (
    os.environ.get("PYTEST_ADDOPTS", "") + " -p no:hypothesispytest"
)
# Modules all of whose tests are slow, the slowest first; others say so at the test.
SLOW = """
    test_bank test_doctor test_guides test_dockerfile test_pasted test_own_options test_grid
    test_trace test_adopt test_train test_most test_python27 test_example_net test_team_repository
    test_team test_bad_answers test_side_by_side test_examples test_activate test_many
    test_gradient_plot test_make_new test_all_or_nothing test_docs_site test_own_runs test_data
    test_splice test_one_process test_new_kind test_damaged_nets test_old_cookiecutter
""".split()


def pytest_collection_modifyitems(config, items):
    """Mark what is slow, and what needs real Caffe as far as fixtures and parameters tell.

    What is slow comes first, so that no worker is left alone with it at the end.
    """
    if not WHOLE:
        left = [item for item in items if item.get_closest_marker("proof")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker("slow")
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "with_caffe" in item.fixturenames or params.get("engine") == "real":
            item.add_marker("caffe")
    rank = {name: i for i, name in enumerate(SLOW)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(SLOW)))


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    """A cookiecutter configuration that keeps out of the user's own."""
    folder = tmp_path_factory.mktemp("cookiecutter")
    path = folder / "config.yaml"
    path.write_text(
        f"cookiecutters_dir: {folder}/templates\nreplay_dir: {folder}/replay\n"
    )
    return path


@pytest.fixture(scope="session")
def bake(config_file, tmp_path_factory):
    """A function of answers that generates a layer and returns its folder.

    cookiecutter runs once for the same answers; each caller has a copy.
    """
    known = {}

    def generate(out=None, **answers):
        key = repr(sorted(answers.items()))
        if key not in known:
            known[key] = Path(
                cookiecutter(
                    str(PROJECT),
                    no_input=True,
                    extra_context=answers,
                    output_dir=str(tmp_path_factory.mktemp("baked")),
                    config_file=str(config_file),
                )
            )
        out = Path(out or tmp_path_factory.mktemp("out"))
        return shutil.copytree(known[key], out / known[key].name)

    return generate


@pytest.fixture(scope="session")
def with_caffe():
    """A function that runs a command where real Caffe is, in a folder that the command may write.

    Where real Caffe cannot be set up the tests that need it fail in CI and are skipped elsewhere.
    """
    script = PROJECT / "scripts" / "with-caffe"
    setup = subprocess.run([script, "--setup"], capture_output=True, text=True)
    if setup.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(setup.stderr)
    # To look anew whether this machine's Python has a Caffe takes longer than many a command.
    if made := re.search(r": Debian 11 in (.*)\n\Z", setup.stderr):
        os.environ["CAFFE_ROOT"] = made[1]

    def run(folder, *command, **environment):
        return subprocess.run(
            [script, *command],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )

    # The command writes no bytecode, and would be compiled at each of its starts there.
    run(PROJECT, "python3", "-m", "compileall", "-q", "caffe_pylayer")
    return run


@pytest.fixture(scope="session")
def quick_pycaffe(tmp_path_factory):
    """A folder for PYTHONPATH: what imports at once, in place of half of pycaffe's time.

    With it a process takes half of the memory, and each check's fork less time.
    """
    folder = tmp_path_factory.mktemp("quick_pycaffe")
    for name, text in QUICK_PYCAFFE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text + "\n")
    return folder


@pytest.fixture(scope="session")
def packages():
    """The folder with numpy and pytest for Python 2.7."""
    return python27.packages()


@pytest.fixture(scope="session")
def run_script(bake, with_caffe, quick_pycaffe, tmp_path_factory):
    """A function that runs a script on real Caffe, beside a generated layer, for what it prints."""

    def run(script, **answers):
        folder = tmp_path_factory.mktemp(answers["layer_kind"])
        bake(out=folder, **answers)
        (folder / "script.py").write_text(script)
        command = ["--bind", quick_pycaffe, "python3", "script.py"]
        result = with_caffe(folder, *command, PYTHONPATH=str(quick_pycaffe))
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


class Verdicts(dict):
    """What pytest said of each test, by its name; with its exit code and output."""

    def __init__(self, folder, exit_code, output):
        super().__init__()
        self.exit_code, self.output = exit_code, output
        report = Path(folder) / "report.xml"
        if report.exists():
            for case in ElementTree.parse(report).iter("testcase"):
                outcomes = [
                    child.tag for child in case if child.tag not in ("properties",)
                ]
                outcomes = [tag for tag in outcomes if not tag.startswith("system-")]
                self[case.get("name")] = outcomes[0] if outcomes else "passed"
            report.unlink()

    @property
    def red(self):
        """The names of the tests that did not pass."""
        return sorted(name for name, outcome in self.items() if outcome != "passed")


@pytest.fixture(scope="session")
def warm_python(request, tmp_path_factory):
    """A function that runs `python3 ...` on an engine: [exit code, stdout, stderr].

    One process an engine imports Caffe and pytest, and forks for each run.
    """
    processes, said = {}, tmp_path_factory.mktemp("warm_python")

    def start(engine):
        command = [sys.executable, "tests/support/warm_python.py", "numpy", "pytest"]
        if engine == "real":
            request.getfixturevalue("with_caffe")
            quick = request.getfixturevalue("quick_pycaffe")
            there = ["scripts/with-caffe", "--bind", tmp_path_factory.getbasetemp()]
            command[:1] = [*there, "env", f"PYTHONPATH={quick}", "python3"]
            command.append("caffe")
        # In CI pytest would say all of it twice.
        options = {"env": {**os.environ, "CI": ""}, "cwd": PROJECT, "text": True}
        pipe = subprocess.PIPE
        with open(said / engine, "w") as stderr:
            return subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=stderr, **options
            )

    def run(engine, folder, *arguments, **environment):
        if engine not in processes:
            processes[engine] = start(engine)
        process, arguments = processes[engine], [str(word) for word in arguments]
        environment = {"CAFFE_ENGINE": engine, **environment}
        question = [str(folder), arguments, environment]
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            code = processes.pop(engine).wait()  # the next run starts another
            pytest.fail(f"warm Python: exit code {code}: {(said / engine).read_text()}")
        return json.loads(answer)

    yield run
    for process in processes.values():
        process.stdin.close()
        process.wait()


@pytest.fixture(scope="session")
def own_tests(warm_python):
    """A function that runs the tests of a generated folder on an engine: its Verdicts.

    `installed` gives it the checks of this project, where the layers have no copies.
    """

    def run(engine, folder, *arguments, installed=False, **environment):
        options = ["-p", "no:cacheprovider", *arguments]
        options += ["--junitxml=report.xml", "-o", "junit_family=xunit2"]
        if installed:
            options += ["-p", "caffe_pylayer.plugin"]
            paths = [environment.get("PYTHONPATH", ""), str(PROJECT)]
            environment["PYTHONPATH"] = ":".join(paths)
        quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # such as hypothesis, a second
        environment = {**quick, **environment}
        code, out, err = warm_python(
            engine, folder, "-m", "pytest", *options, **environment
        )
        return Verdicts(folder, code, out + err)

    return run
