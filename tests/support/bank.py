"""Plants the layers of checks/bank in a folder and runs their tests there."""

import collections
import importlib
import os
import re
import signal
import subprocess
import sys
import zlib

from support.project import ENGINES, PROJECT

ROOMS = (
    "in_place counts on_purpose data imports weights kinks losses large numerics words"
)
HEAD = "import caffe\nimport numpy as np\n"
FRAGMENT = """layer {
  name: "%(name)s"
  type: "Python"
  %(blobs)s
  python_param { module: "%(module)s" layer: "%(layer)s"%(param_str)s }
}
"""
FUNCTIONS = """
def make_bottoms(rng, batch):
    return [%s]


def expected_tops(bottoms, params):
    return %s
"""
TEST = """import numpy as np


def test_%s(check):
    check(%s)

%s"""
CONFTEST = f"""import os
import sys
import time

sys.path.insert(0, {str(PROJECT)!r})
pytest_plugins = ["caffe_pylayer.checks.pytest_plugin"]


def command(pid):
    try:
        with open("/proc/%s/cmdline" % pid) as stream:
            return stream.read()
    except (IOError, OSError):
        return None


def pytest_unconfigure():
    def children():
        pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
        return [p for p in pids if int(p) != me and command(p) == command(me)]

    me, end = os.getpid(), time.time() + 5
    while os.environ.get("BANK_ALONE") and children() and time.time() < end:
        time.sleep(0.1)
    if os.environ.get("BANK_ALONE"):
        print("\\nprocesses left behind: %d" % len(children()))
"""
# They take seconds each: `make proof` alone has them (WHOLE=yes).
LONG = {
    "a_million_relus", "a_million_relus: slope forgotten",
    "tanh_of_images: one pixel", "tanh_of_images: one pixel of each map",
    "squares_near_100: twice", "bilinear_sampler: one row too low",
    "roi_pool: takes the first map", "roi_pool: the last of them only",
}  # fmt: skip
LIMIT = 200  # seconds for a run of its own, which asks the checks for less


class Planted(
    collections.namedtuple("Planted", "layer twin files check options words")
):
    """A right layer, or its wrong twin, in files of its own.

    `files` are module, fragment and test; of a twin `check` is the one that must be red ("any"
    of them) and `words` the pattern of its message.
    """

    def __str__(self):
        return f"{self.layer}: {self.twin}" if self.twin else self.layer

    @property
    def folder(self):
        twin = re.sub(r"\W+", "_", self.twin or "")
        return f"twin_{self.layer}__{twin}" if twin else f"right_{self.layer}"

    @property
    def engine(self):
        """The one of two that `make test` runs it on."""
        return ENGINES[zlib.crc32(str(self).encode()) % len(ENGINES)]

    @property
    def alone(self):
        """Whether it may end or stop the process that tests it, or needs files of its own."""
        return "=" in self.options

    def measured(self, engine):
        """Whether its gradient must be checked: no word of "what the stand-in cannot do"."""
        return (self.layer, engine) != ("caffe_proto_used", "standin")

    def verdicts(self, outcomes):
        """Return the outcome of each of its checks, by the check's name."""
        return of_layer(outcomes, self.folder)


def of_layer(outcomes, name):
    """Return the outcome of each check of one layer, by the check's name."""
    prefix = f"test_{name}["
    return {
        test[len(prefix) : -1]: outcome
        for test, outcome in outcomes.items()
        if test.startswith(prefix)
    }


def _files(name, row):
    """Return the texts of module, fragment and test of a right layer."""
    param_str = row.get("param_str")
    fragment = FRAGMENT % dict(
        name=name,
        blobs=row["blobs"],
        module=name,
        layer=re.findall(r"class (\w+)\(.*Layer\)", row["body"])[-1],
        param_str="" if param_str is None else ' param_str: "%s"' % param_str,
    )
    tops = row.get("tops")
    functions = row.get("test") or FUNCTIONS % (
        row["bottoms"],
        tops if tops is None else "[%s]" % tops,
    )
    arguments = ["make_bottoms", "expected_tops", *filter(None, [row.get("check")])]
    test = TEST % ("FOLDER", ", ".join(arguments), functions)
    return HEAD + row["body"], fragment, test


def changed(files, before, after):
    """Return the files with each text replaced, which stands once in one of them."""
    pairs = [(before, after)] if isinstance(before, str) else zip(before, after)
    for old, new in pairs:
        counts = [text.count(old) for text in files]
        assert sum(counts) == 1, f"{counts} times in module, fragment, test: {old}"
        files = [text.replace(old, new.replace("@", old)) for text in files]
    compile(files[0], "module", "exec")
    compile(files[2], "test", "exec")
    return files


def read():
    """Return a list of Planted: right layers, and their twins."""
    right, twins = [], []
    for room in ROOMS.split():
        for name, row in importlib.import_module(f"checks.bank.{room}").LAYERS.items():
            files, net = _files(name, row), row.get("net", "")
            options = row.get("options", "")
            right.append(Planted(name, None, (*files, net), None, options, None))
            for twin, before, after, check, words in row["twins"]:
                check, _, options = check.partition(" ")
                texts = (*changed(files, before, after), net)
                twins.append(Planted(name, twin, texts, check, options, words))
    return right, twins


def advised(right, twins):
    """Return the right ones of twins that get advice, which they must not get.

    `ranks` is advice to right ones, too: nobody can tell what ranks are to give; `phases` is
    not asked of one for TRAIN only.
    """
    of_name = {planted.layer: planted for planted in right}
    return [
        of_name[twin.layer]._replace(
            options="--strict", words=twin.words, check=twin.check
        )
        for twin in twins
        if twin.options == "--strict" and twin.check not in ("ranks", "phases")
    ]


def plant(out, wanted):
    """Write layers, each into a folder of its own, and what loads the checks."""
    (out / "conftest.py").write_text(CONFTEST)
    (out / "pytest.ini").write_text("[pytest]\n")
    for planted in wanted:
        folder, name = out / planted.folder, planted.folder
        (folder / "tests").mkdir(parents=True)
        module, fragment, test, net = planted.files
        (folder / f"{planted.layer}.py").write_text(module)
        (folder / f"{name}.prototxt").write_text(fragment)
        (folder / "tests" / f"test_{name}.py").write_text(test.replace("FOLDER", name))
        if net:
            (folder / "net.prototxt").write_text(net)


def own_checks(wanted):
    """Return arguments for pytest: of a right layer all checks, of a twin the one to be red."""
    texts = [
        p.folder if p.check in (None, "any") else f"({p.folder} and {p.check})"
        for p in wanted
    ]
    return ["-k", " or ".join(texts)]


def messages(output):
    """Return what each red test says, on one line, by its name."""
    report = re.split("^=+ FAILURES =+$", output, flags=re.M)[-1]
    report = re.split(
        "^[=-]+ (?:warnings|generated xml|short test)", report, flags=re.M
    )[0]
    parts = re.split(r"^_+ (\w+\[\w+\]) _+\n", report, flags=re.M)
    return {
        name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2])
    }


class Stuck(Exception):
    """A run of its own that did not end."""


def run_alone(engine, out, planted, quick_pycaffe):
    """Run pytest on one layer in a process group of its own; return its output."""
    command = [sys.executable, "-m", "pytest"]
    if engine == "real":
        script = PROJECT / "scripts" / "with-caffe"
        command = [script, "--bind", PROJECT, "--bind", quick_pycaffe]
        command += ["env", f"PYTHONPATH={quick_pycaffe}", "python3", "-m", "pytest"]
    options = planted.options.replace(
        "net.prototxt", f"{out}/{planted.folder}/net.prototxt"
    )
    command += [
        "-p",
        "no:cacheprovider",
        "-v",
        *options.split(),
        *own_checks([planted]),
    ]
    process = subprocess.Popen(
        [*command, planted.folder],
        cwd=out,
        env={
            **os.environ,
            "CAFFE_ENGINE": engine,
            "BANK_ALONE": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        raise Stuck(f"pytest, or what it started, still ran after {LIMIT} s") from None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def outcomes(output):
    """Return the outcome of each test in the output of `pytest -v`, by its name."""
    found = re.findall(r"::(\w+\[\w+\]) (PASSED|FAILED|SKIPPED|ERROR)", output)
    words = {
        "PASSED": "passed",
        "FAILED": "failure",
        "SKIPPED": "skipped",
        "ERROR": "error",
    }
    found += [
        (name, "FAILED")
        for name in re.findall(r"^FAILED \S+::(\w+\[\w+\])", output, re.M)
    ]
    return {name: words[outcome] for name, outcome in found}
