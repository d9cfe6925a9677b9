"""caffe-pylayer doctor: ticks where all is well, and a cross with its fix for each thing broken."""

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

import numpy
import pytest

from support.commands import PACKAGE, QUICK_PYCAFFE
from support.project import PROJECT
from template_spec.kinds import KINDS

TOPICS = ["Python", "numpy", "caffe", "Python layers", "caffe command", "PYTHONPATH"]
TOPICS += ["module", "class", "fragment", "net in pycaffe", "net in caffe"]
EXAMPLES = PROJECT / "examples"
BREAKAGES = {}

# A caffe that runs Python layers on the stand-in: for Pythons that have no real one.
STANDIN = """
import importlib, sys, types
package = types.ModuleType("checks_of_caffe")
package.__path__ = [{!a}]
sys.modules[package.__name__] = package
standin = importlib.import_module("checks_of_caffe.standin")
globals().update((name, value) for name, value in vars(standin).items() if name[0] != "_")
__version__ = "1.0.0"
""".format(str(PACKAGE / "checks"))
# What imports at once, in place of what takes its time.
QUICK_NUMPY = {"numpy/__init__.py": "__version__, ndarray = '2', None"}
MOCK_CAFFE = """__version__ = "1.0.0"
class Layer(object): pass
class Net(object): pass
def layer_type_list(): return ["Python"]
"""


class Report(dict):
    """What the doctor said: (mark, text) by topic, the first row of each."""

    def __init__(self, done):
        super().__init__()
        self.code, self.output = done.returncode, done.stdout
        assert done.stderr == "" and "Traceback" not in done.stdout
        for line in done.stdout.splitlines():
            mark, topic, text = re.fullmatch(r"(\S) (.*?)  +(.*)", line).groups()
            self.setdefault(topic, (mark, text))

    def marked(self, mark):
        return [topic for topic, row in self.items() if row[0] == mark]


class Patient:
    """A layer as it is generated, its folder on PYTHONPATH, and where the doctor looks at it."""

    def __init__(self, layer, with_caffe=None):
        self.layer, self.tmp, self.with_caffe = layer, layer.parent, with_caffe
        self.cwd, self.package = layer, PACKAGE
        self.python = "/usr/bin/python3" if with_caffe else sys.executable
        self.other, self.bin = self.tmp / "other", self.tmp / "bin"
        for folder in (self.other, self.bin, self.tmp / "temporary"):
            folder.mkdir()
        self.env = {
            "PYTHONPATH": layer,
            "PATH": self.bin,
            "TMPDIR": self.tmp / "temporary",
        }
        self.env["LC_ALL"] = "C.UTF-8"
        self.crosses, self.options = [], []

    def show_caffe_command(self):
        self.env["PATH"] = f"{self.bin}:/usr/local/bin:/usr/bin:/bin"

    def only_caffe(self):
        """Take the layer off PYTHONPATH, after which nothing of it is asked."""
        self.env["PYTHONPATH"] = self.tmp / "quick"
        self.crosses = ["PYTHONPATH"]

    def write(self, path, text=""):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def hide(self, files):
        """Put files on PYTHONPATH, after the layer."""
        for path, text in files.items():
            self.write(self.tmp / "quick" / path, text)
        self.env["PYTHONPATH"] = f"{self.layer}:{self.tmp / 'quick'}"

    def command(self, name, script):
        """Put a shell script on PATH, before all others."""
        self.write(self.bin / name, f"#!/bin/sh\n{script}\n").chmod(0o755)

    def shadow(self, path, text=""):
        """Put a file on PYTHONPATH, before the layer."""
        self.write(self.other / path, text)
        self.env["PYTHONPATH"] = f"{self.other}:{self.env['PYTHONPATH']}"

    def edit(self, path, old, new):
        text = (self.layer / path).read_text()
        assert old in text
        (self.layer / path).write_text(text.replace(old, new, 1))

    def net(self, text, name="net"):
        """Write a net and return its name."""
        return self.write(self.layer / f"{name}.prototxt", text).name

    def run(self, *command):
        env = {key: str(value) for key, value in self.env.items()}
        if self.with_caffe:
            env = [f"{key}={value}" for key, value in env.items()]
            return self.with_caffe(
                self.cwd, "--bind", self.tmp, "--bind", PROJECT, "env", *env, *command
            )
        return subprocess.run(
            command,
            cwd=self.cwd,
            env=env,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
        )

    @property
    def doctor(self):
        """The command; --layer says where the layer is, if not in the current folder."""
        command = [self.python, self.package, "doctor"]
        if self.cwd != self.layer:
            command += ["--layer", os.path.relpath(self.layer, self.cwd)]
        return command + self.options

    def examine(self, *nets):
        return Report(self.run(*self.doctor, *nets))


@pytest.fixture(scope="module")
def baked(bake):
    return bake(layer_name="my_layer", param_str_keys="x1=1, x2=2")


@pytest.fixture
def here(baked, tmp_path):
    """A patient on this machine's Python, without Caffe."""
    patient = Patient(shutil.copytree(baked, tmp_path / "my_layer"))
    patient.hide(QUICK_NUMPY)
    return patient


@pytest.fixture
def mock(here):
    """A patient with a caffe that can be imported, and no more."""
    here.hide({"caffe.py": MOCK_CAFFE})
    return here


@pytest.fixture
def real(baked, tmp_path, with_caffe):
    """A patient where real Caffe is; what takes time is hidden, also its command."""
    patient = Patient(shutil.copytree(baked, tmp_path / "my_layer"), with_caffe)
    patient.hide(QUICK_PYCAFFE)
    return patient


@pytest.fixture
def whole(real):
    """A patient where real Caffe is, with its command."""
    real.show_caffe_command()
    return real


def shell(*command):
    return " ".join(shlex.quote(str(part)) for part in command)


def breaks(where, topics, finding, fix):
    """Mark a function that breaks a patient, and may return nets: the crosses that must follow."""

    def register(function):
        BREAKAGES[function.__name__] = (
            where,
            topics.split(", "),
            f"{finding} -> {fix}",
            function,
        )
        return function

    return register


# All is well


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_only_ticks(bake, tmp_path, with_caffe, kind):
    name = f"my_{kind}"
    layer = bake(
        out=tmp_path, layer_name=name, layer_kind=kind, param_str_keys="margin"
    )
    if kind == "loss":  # a finished one
        example = EXAMPLES / "center_loss"
        shutil.copy(example / "center_loss.py", layer / "my_loss.py")
        shutil.copy(
            example / "tests/test_center_loss.py", layer / "tests/test_my_loss.py"
        )
        fragment = (example / "center_loss.prototxt").read_text()
        (layer / "my_loss.prototxt").write_text(
            fragment.replace('"center_loss"', '"my_loss"')
        )
    patient = Patient(layer, with_caffe)
    patient.hide(QUICK_PYCAFFE)
    patient.show_caffe_command()
    before = sorted(tmp_path.rglob("*"))
    nets = ["example/train_val.prototxt"] if kind == "metric" else []
    done = patient.run(*patient.doctor, *nets)
    report = Report(done)
    topics = TOPICS + ["train_val.prototxt"] * len(nets)
    assert (report.marked("✓"), report.code) == (topics, 0)
    assert report["caffe"][1] == "1.0.0, /usr/lib/python3/dist-packages/caffe"
    assert report["caffe command"][1] == "/usr/bin/caffe 1.0.0, with Python 3.9"
    assert report["module"][1] == f"{name} is {layer}/{name}.py"
    if nets:
        assert report["train_val.prototxt"][1].endswith(f"Layer in {layer}/{name}.py")
        assert done.stdout.endswith(
            "✓ train_val.prototxt  loads and runs in TRAIN and TEST\n"
        )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "value", ["{0}/../my_layer/", "../my_layer", "{1}/link", ":/nowhere", "/x:{0}:/y"]
)
def test_any_way_to_write_pythonpath_is_right(here, value):
    (here.tmp / "link").symlink_to(here.layer)
    here.env["PYTHONPATH"] = value.format(here.layer, here.tmp)
    report = here.examine()
    assert (report["PYTHONPATH"][0], report["module"][0]) == ("✓", "✓")
    only_from_here = value in ("../my_layer", ":/nowhere")
    assert (
        report["PYTHONPATH"][1].endswith("only from here: it is relative")
        == only_from_here
    )


def test_a_layer_that_starts_a_process_has_only_ticks(whole):
    start = "from multiprocessing import Process; from time import sleep\n        "
    start += "Process(target=sleep, args=(600,)).start()\n        "
    whole.edit("my_layer.py", "self.params = ", start + "self.params = ")
    report = whole.examine()
    assert (report.marked("✓"), report.code) == (TOPICS, 0)


# Broken, on real Caffe

OFF_PYTHONPATH = "rename it or take {other} off PYTHONPATH"
SAYS_MORE = "mend it; {python} -m pytest says more"
AT_IMPORT = (
    "look at what my_layer.py does where it is imported: {python} -c 'import my_layer'"
)
SHOWS_WHERE = "* trace --layer {layer} shows where"
PLACEHOLDER = "{other}/caffe is PyPI's empty placeholder"
NETS = "net in pycaffe, net in caffe"


@breaks("mock", "PYTHONPATH", "lacks {layer}", ". ./activate.sh")
def pythonpath_without_the_folder(patient):
    patient.env["PYTHONPATH"] = patient.tmp / "quick"


@breaks("here", "PYTHONPATH", "lacks {layer}", ". {layer}/activate.sh")
def pythonpath_with_the_folder_above(patient):
    patient.env["PYTHONPATH"] = patient.cwd = patient.tmp


@breaks("mock", "module", "my_layer is {other}/my_layer.py", OFF_PYTHONPATH)
def another_module_first_on_pythonpath(patient):
    patient.shadow("my_layer.py")


@breaks("here", "module", "my_layer is {other}/my_layer", OFF_PYTHONPATH)
def a_package_of_that_name_first_on_pythonpath(patient):
    patient.shadow("my_layer/__init__.py")


@breaks(
    "here",
    "module",
    "my_layer is {other}/my_layer.py",
    "rename it or leave this directory",
)
def another_module_in_the_current_folder(patient):
    patient.write(patient.other / "my_layer.py")
    patient.cwd = patient.other


@breaks("here", "module", "my_layer is {other}/my_layer.pyc", "delete this left-over")
def a_left_over_pyc(patient):
    patient.shadow("my_layer.py")
    compile_it = "import py_compile; py_compile.compile('my_layer.py', 'my_layer.pyc')"
    patient.cwd = patient.other
    patient.run(patient.python, "-c", compile_it)
    patient.cwd = patient.layer
    (patient.other / "my_layer.py").unlink()


@breaks("here", "module", "{layer}/my_layer.py is missing", "put it back")
def no_module(patient):
    (patient.layer / "my_layer.py").unlink()


@breaks(
    "mock",
    "module",
    "{layer}/my_layer.py is missing",
    "rename My_layer.py to my_layer.py",
)
def a_module_in_the_wrong_case(patient):
    (patient.layer / "my_layer.py").rename(patient.layer / "My_layer.py")


@breaks(
    "mock",
    "class",
    'SyntaxError: * File "{layer}/my_layer.py", line 1',
    "mend my_layer.py",
)
def a_module_that_does_not_compile(patient):
    patient.write(patient.layer / "my_layer.py", "class MyLayer(caffe.Layer:\n")


@breaks(
    "mock",
    "class",
    "ModuleNotFoundError: No module named 'no_such' (my_layer.py, line *)",
    "{python} -m pip install no_such, or see PYTHONPATH",
)
def a_module_that_imports_what_is_not_there(patient):
    patient.edit("my_layer.py", "import caffe\n", "import caffe\nimport no_such\n")


@breaks(
    "mock",
    "class",
    "it dies of signal 6",
    AT_IMPORT,
)
def a_module_that_aborts(patient):
    patient.edit("my_layer.py", "import caffe\n", "import os\nos.abort()\n")


@breaks("mock", "class", "SystemExit: 0 (my_layer.py, line *)", "mend my_layer.py")
def a_module_that_exits(patient):
    patient.edit("my_layer.py", "import caffe\n", "import sys\nsys.exit(0)\n")


@breaks(
    "mock",
    "class",
    "importing my_layer ends Python, as os._exit(0) does",
    AT_IMPORT,
)
def a_module_that_ends_python(patient):
    patient.edit(
        "my_layer.py", "import caffe\n", "import caffe\nimport os\nos._exit(0)\n"
    )


@breaks(
    "mock",
    "class",
    "none in my_layer.py is a caffe.Layer",
    "write class NAME(caffe.Layer):",
)
def a_class_that_is_no_layer(patient):
    patient.edit("my_layer.py", "(caffe.Layer)", "(object)")


@breaks(
    "mock",
    "fragment",
    "my_layer.prototxt names the class MyLayer",
    'write layer: "YourLayer"',
)
def a_class_of_another_name(patient):
    patient.edit("my_layer.py", "class MyLayer", "class YourLayer")


@breaks(
    "mock",
    "fragment",
    "my_layer.prototxt names the module your_layer",
    'write module: "my_layer"',
)
def a_fragment_of_another_module(patient):
    patient.edit("my_layer.prototxt", 'module: "my', 'module: "your')


@breaks(
    "real",
    "net in pycaffe",
    "ValueError: MyLayer: param_str has no key 'x3'; the nearest is 'x?' (my_layer.py, line *)",
    SAYS_MORE,
)
def a_param_str_that_the_layer_refuses(patient):
    patient.edit("my_layer.prototxt", '"x1"', '"x3"')


@breaks(
    "real", "net in pycaffe", "ZeroDivisionError: * (my_layer.py, line *)", SAYS_MORE
)
def a_backward_that_raises(patient):
    patient.edit(
        "my_layer.py",
        "bottom[0].diff[...] =",
        "1 / 0\n            bottom[0].diff[...] =",
    )


@breaks("whole", NETS, "Check failed: d*", "reshape must give every top its shape")
def a_layer_that_makes_caffe_abort(patient):
    patient.edit(
        "my_layer.py", "    def reshape(", "    def reshape(*_): pass\n    def unused("
    )


@breaks(
    "real",
    "net in pycaffe",
    "AttributeError: the class MyLayer has no method reshape",
    SHOWS_WHERE,
)
def a_layer_without_reshape(patient):
    patient.edit("my_layer.py", "    def reshape(", "    def unused(")


@breaks(
    "whole",
    NETS,
    "ValueError: 2 bottoms in my_layer.prototxt, 1 from make_bottoms in tests",
    SHOWS_WHERE,
)
def a_fragment_with_a_bottom_too_many(patient):
    patient.edit("my_layer.prototxt", "  bottom:", '  bottom: "b"\n  bottom:')


@breaks("whole", NETS, "it ends Python, as os._exit(0) does", SHOWS_WHERE)
def a_forward_that_ends_python(patient):
    forward = "def forward(self, bottom, top):\n"
    patient.edit(
        "my_layer.py", forward, forward + "        __import__('os')._exit(0)\n"
    )


@breaks("whole", NETS, "it dies of signal 6", SHOWS_WHERE)
def a_forward_that_aborts(patient):
    """After it the log has the net, whose lines say nothing."""
    forward = "def forward(self, bottom, top):\n"
    patient.edit("my_layer.py", forward, forward + "        __import__('os').abort()\n")


@breaks(
    "here",
    "fragment",
    "my_layer.prototxt:*: expected a string in quotes, got {{*",
    "correct it there",
)
def a_message_where_a_string_belongs(patient):
    patient.edit("my_layer.prototxt", "param_str: '", "param_str { } #")


@breaks(
    "real",
    "net in pycaffe",
    "my_layer.prototxt, bottoms: *: Message type * has no field named *bottoms*",
    "write bottom",
)
def a_field_that_caffe_does_not_know(patient):
    patient.edit("my_layer.prototxt", "  bottom:", '  bottoms: "x"\n  bottom:')


@breaks(
    "whole",
    "net in caffe",
    "RuntimeError: not in caffe (my_layer.py, line *)",
    SAYS_MORE,
)
def a_layer_that_only_pycaffe_can_run(patient):
    patient.edit(
        "my_layer.py",
        "def forward(self, bottom, top):",
        "def forward(self, bottom, top):\n"
        "        if sys.argv[0] != '-c':\n"
        "            raise RuntimeError('not in caffe')",
    )


@breaks("here", "caffe", PLACEHOLDER, "{python} -m pip uninstall caffe")
def the_placeholder_first_on_pythonpath(patient):
    patient.shadow("caffe/__init__.py")
    patient.shadow("caffe-0.1.0.dist-info/METADATA")


@breaks("whole", "caffe, caffe command", "*caffe*", "{python} -m pip uninstall caffe")
def the_placeholder_in_both(patient):
    patient.only_caffe()
    the_placeholder_first_on_pythonpath(patient)


@breaks(
    "here",
    "caffe",
    "{other}/caffe.py is not Caffe",
    "rename it or leave this directory",
)
def a_script_named_caffe_in_the_current_folder(patient):
    patient.write(patient.other / "caffe.py", "import caffe\ncaffe.Net()\n")
    patient.cwd = patient.other


@breaks(
    "here",
    "numpy",
    "{other}/numpy.py is not numpy",
    "rename it or leave this directory",
)
def a_script_named_numpy_in_the_current_folder(patient):
    patient.write(patient.other / "numpy.py")
    patient.cwd = patient.other


@breaks(
    "mock",
    "caffe command",
    "{bin}/caffe: it loads no net",
    "is it Caffe's? put the right one first on PATH",
)
def a_command_that_does_nothing(patient):
    patient.only_caffe()
    patient.command("caffe", "exit 0")


@breaks(
    "mock",
    "caffe command",
    "{bin}/caffe: unknown command time",
    "is it Caffe's? put the right one first on PATH",
)
def a_command_that_is_another(patient):
    patient.only_caffe()
    patient.command("caffe", "echo unknown command $1; exit 2")


@breaks(
    "mock",
    "caffe command",
    "{bin}/caffe: Exec format error",
    "is it Caffe's? put the right one first on PATH",
)
def a_command_that_cannot_run(patient):
    patient.only_caffe()
    patient.write(patient.bin / "caffe", "\0").chmod(0o755)


@breaks(
    "whole",
    "caffe command",
    "{bin}/caffe: Check failed: registry.count(type) == 1 (0 vs. 1) Unknown layer type: Python *",
    "set WITH_PYTHON_LAYER := 1 in Makefile.config, make clean, make all pycaffe",
)
def a_command_without_python_layers(patient):
    """Real Caffe, asked for a type it does not have, with that type's name changed in its log."""
    patient.only_caffe()
    patient.command(
        "caffe",
        "sed 's/type: .Python./type: \"Pythin\"/' <$3 >$3.other\n"
        "/usr/bin/caffe time -model $3.other 2>&1 | sed s/Pythin/Python/; exit 134",
    )


@breaks(
    "whole",
    "caffe command",
    "{bin}/caffe has Python 2.7, this is 3.9",
    "use python2.7, or caffe and python from one place",
)
def a_command_with_another_python(patient):
    patient.only_caffe()
    patient.command("caffe", "python2.7 -B -c 'import caffe_pylayer_source'")


@breaks(
    "whole",
    "caffe command",
    "{bin}/caffe is Caffe 1.0.0-rc3, the module 1.0.0",
    "take both from one place: see PATH and PYTHONPATH",
)
def a_command_of_another_caffe(patient):
    patient.only_caffe()
    patient.command(
        "caffe",
        '[ "$1" != --version ] || { echo caffe version 1.0.0-rc3; exit; }\n'
        'exec /usr/bin/caffe "$@"',
    )


@breaks(
    "here",
    "caffe command",
    "{bin}/caffe: ModuleNotFoundError: No module named 'caffe'",
    "see docs/caffe.md of caffe-pylayer",
)
def a_command_whose_python_has_no_pycaffe(patient):
    patient.command("caffe", f"exec {sys.executable} -c 'import caffe_pylayer_source'")


# Broken, without Caffe


@breaks("here", "caffe", "none for this Python", "see docs/caffe.md of caffe-pylayer")
def no_caffe(patient):
    pass


@breaks("here", "caffe", "none for this Python", "use {bin}/python2, which has one")
def no_caffe_but_for_another_python(patient):
    patient.command("python2", "exit 0")


@breaks(
    "here",
    "caffe",
    "none for this Python",
    "make pycaffe, export PYTHONPATH={tmp}/src/python:$PYTHONPATH",
)
def no_caffe_but_its_source(patient):
    patient.write(patient.tmp / "src/build/tools/caffe", "#!/bin/sh\n").chmod(0o755)
    (patient.tmp / "src/python/caffe").mkdir(parents=True)
    (patient.bin / "caffe").symlink_to(patient.tmp / "src/build/tools/caffe")


@breaks(
    "here", "caffe", "{tmp}/caffe is not Caffe", "rename it or leave this directory"
)
def a_folder_named_caffe_in_the_current_folder(patient):
    (patient.tmp / "caffe").mkdir()
    patient.cwd = patient.tmp


@breaks("here", "caffe", "{other}/caffe is not Caffe", OFF_PYTHONPATH)
def a_folder_named_caffe_on_pythonpath(patient):
    patient.shadow("caffe/notes.txt")


@breaks(
    "here",
    "caffe",
    "{other}/caffe is Caffe's source",
    "make pycaffe, export PYTHONPATH={other}/caffe/python:$PYTHONPATH",
)
def the_source_of_caffe_on_pythonpath(patient):
    patient.shadow("caffe/python/caffe/__init__.py")


@breaks(
    "here",
    "caffe",
    "ModuleNotFoundError: No module named 'caffe._caffe'",
    "build it: make pycaffe",
)
def a_caffe_that_is_not_built(patient):
    patient.shadow("caffe/__init__.py", "from .pycaffe import Net")
    patient.shadow("caffe/pycaffe.py", "from ._caffe import Net")


@breaks(
    "here",
    "caffe",
    "{other}/caffe is built for Python 3.4",
    "use python3.4, or another Caffe",
)
def a_caffe_for_another_python(patient):
    a_caffe_that_is_not_built(patient)
    patient.shadow("caffe/_caffe.cpython-34m.so")


@breaks(
    "here",
    "caffe",
    "ImportError: numpy.core.multiarray failed to import",
    "build it for this numpy: make pycaffe",
)
def a_caffe_for_an_older_numpy(patient):
    raising = "raise ImportError('numpy.core.multiarray failed to import')"
    patient.shadow("caffe/__init__.py", raising)
    patient.shadow("caffe/pycaffe.py")


@breaks(
    "here",
    "caffe",
    "SystemError: initialization of _caffe raised unreported exception",
    "{python} -m pip install 'numpy<2'",
)
def a_caffe_for_numpy_1(patient):
    raising = "print('AttributeError: _ARRAY_API not found')\n"
    raising += (
        "raise SystemError('initialization of _caffe raised unreported exception')"
    )
    patient.shadow("caffe/__init__.py", raising)
    patient.shadow("caffe/pycaffe.py")


@breaks(
    "here",
    "caffe",
    "TypeError: Descriptors cannot be created directly. If this call",
    "{python} -m pip install 'protobuf<4'",
)
def a_caffe_for_an_older_protobuf(patient):
    raising = (
        "raise TypeError('Descriptors cannot be created directly.\\nIf this call')"
    )
    patient.shadow("caffe/__init__.py", raising)
    patient.shadow("caffe/pycaffe.py")


@breaks("here", "caffe", "it dies of signal 11", "install Caffe again")
def a_caffe_that_dies(patient):
    patient.shadow("caffe/__init__.py", "import os; os.kill(os.getpid(), 11)")
    patient.shadow("caffe/pycaffe.py")


@breaks(
    "here",
    "Python layers",
    "not built in",
    "set WITH_PYTHON_LAYER := 1 in Makefile.config, make clean, make all pycaffe",
)
def a_caffe_without_python_layers(patient):
    patient.shadow("caffe.py", MOCK_CAFFE.replace("Python", "Input"))


@breaks(
    "here",
    "caffe",
    "ImportError: cannot import name 'deepcopy' from 'wave' *",
    "rename {layer}/wave.py, Python has a module of that name",
)
def a_module_of_python_s_own_name_beside_the_layer(patient):
    patient.write(patient.layer / "wave.py")
    patient.shadow("caffe/__init__.py", "from wave import deepcopy")
    patient.shadow("caffe/pycaffe.py")


@breaks("here", "numpy", "RuntimeError: broken (or so)", OFF_PYTHONPATH)
def a_numpy_that_does_not_import(patient):
    patient.shadow("numpy/__init__.py", "raise RuntimeError('broken\\n(or so)')")


@breaks("here", "numpy", "it hangs: stopped after 5 s", OFF_PYTHONPATH)
def a_numpy_that_hangs(patient):
    patient.options = ["--timeout", "5"]
    patient.shadow("numpy/__init__.py", "import time; time.sleep(600)")


SHADOW = "rename {%s}/%s.py, Python has a module of that name"


@breaks("mock", "Python", "*json*", SHADOW % ("other", "json"))
def a_script_named_json_in_the_current_folder(patient):
    patient.write(patient.other / "json.py")
    patient.cwd = patient.other


@breaks("mock", "Python", "*json*", SHADOW % ("layer", "json"))
def a_script_named_json_beside_the_layer(patient):
    patient.write(patient.layer / "json.py")


@breaks("mock", "Python", "*random*", SHADOW % ("layer", "random"))
def a_script_named_random_beside_the_layer(patient):
    patient.write(patient.layer / "random.py")


@breaks("whole", "numpy, caffe command", "*'decimal'*", SHADOW % ("layer", "decimal"))
def a_script_of_a_name_that_only_numpy_imports(patient):
    patient.write(patient.layer / "decimal.py")


@breaks(
    "here", "fragment", "my_layer.prototxt:3:9: expected *, got }}", "correct it there"
)
def a_fragment_that_does_not_parse(patient):
    patient.edit("my_layer.prototxt", '"Python"', "}")


@breaks(
    "here",
    "fragment",
    "my_layer.prototxt: expected one layer {{ }} of type Python, got python",
    'write one, with type: "Python"',
)
def a_fragment_of_another_type(patient):
    patient.edit("my_layer.prototxt", "Python", "python")


@breaks(
    "here",
    "fragment",
    "my_layer.prototxt: expected one layer {{ }} of type Python, got Python, Python",
    'write one, with type: "Python"',
)
def a_fragment_of_two_layers(patient):
    path = patient.layer / "my_layer.prototxt"
    path.write_text(path.read_text() * 2)


@breaks(
    "here",
    "fragment",
    "my_layer.prototxt names the module None",
    'write module: "my_layer"',
)
def a_fragment_without_python_param(patient):
    patient.edit("my_layer.prototxt", "python_param", "python_params")


@breaks("here", "fragment", "{layer}/my_layer.prototxt is missing", "put it back")
def no_fragment(patient):
    (patient.layer / "my_layer.prototxt").unlink()


def marks(name):
    found = {"real": [pytest.mark.caffe], "whole": [pytest.mark.caffe]}.get(
        BREAKAGES[name][0], []
    )
    return found + [pytest.mark.slow] * (name == "a_numpy_that_hangs")


@pytest.mark.parametrize("name", [pytest.param(x, marks=marks(x)) for x in BREAKAGES])
def test_a_cross_and_its_fix_for(request, name):
    where, topics, expected, break_it = BREAKAGES[name]
    patient = request.getfixturevalue(where)
    nets = break_it(patient) or []
    report = patient.examine(*nets)
    assert report.code == 1
    python = "python3" if where == "whole" else patient.python
    names = {"python": python, "layer": patient.layer, "tmp": patient.tmp}
    pattern = expected.format(**names, other=patient.other, bin=patient.bin)
    for topic in topics:
        mark, text = report[topic]
        assert fnmatch.fnmatchcase(text, pattern.replace("[", "[[]")), text
        assert mark == "✗"
    if where != "here":
        assert report.marked("✗") == topics + patient.crosses


# What cannot be known


def test_what_needs_caffe_is_a_question_without_it(here):
    done = here.run(*here.doctor, "example/train_val.prototxt")
    report = Report(done)
    assert (report.marked("✗"), report.code) == (["caffe"], 1)
    assert {topic: report[topic][1] for topic in report.marked("?")} == {
        "Python layers": "cannot be asked before caffe is right",
        "caffe command": "none on PATH; the module caffe does without",
        "class": "cannot be asked before caffe is right",
        "net in pycaffe": "cannot be asked before Python layers is right",
        "net in caffe": "cannot be asked before caffe command is right",
        "train_val.prototxt": "layer my_layer: cannot be asked before caffe is right",
    }
    assert done.stdout.endswith(
        "whether it loads and runs can be asked on real Caffe only\n"
    )


def test_bottoms_that_the_author_does_not_make_are_a_question(real):
    real.edit("tests/test_my_layer.py", "def make_bottoms", "def make_no_bottoms")
    report = real.examine()
    why = "no bottoms from make_bottoms in tests: KeyError: 'make_bottoms'"
    assert report["net in pycaffe"] == ("?", why)
    assert report.code == 0


# Nets: all in one look


LAYER = "layer { name: 'a' type: 'Python' python_param { module: '%s' layer: '%s' } }\n"
HALF = "layer { name: 'a' type: 'Python' python_param { module: 'my_layer' } }"
WRONG_NETS = {  # its text, and the cross
    "no_module": (
        LAYER % ("no_such", "X"),
        "layer a: ModuleNotFoundError: No module named 'no_such' -> "
        "put the folder of no_such.py on PYTHONPATH",
    ),
    "near": (
        LAYER % ("near", "X"),
        "layer a: ModuleNotFoundError: No module named 'near' -> "
        "export PYTHONPATH={tmp}:$PYTHONPATH",
    ),
    "folder": (
        LAYER % ("far", "X"),
        "layer a: far is only a folder, {other}/far -> put the folder of *",
    ),
    "no_class": (
        LAYER % ("my_layer", "Mine") * 2,
        'layers a, a: no caffe.Layer Mine in {layer}/my_layer.py -> write layer: "MyLayer"',
    ),
    "abort": (
        LAYER % ("bad", "X"),
        "layer a: it dies of signal 6 -> look at what {other}/bad.py does * 'import bad'",
    ),
    "raises": (
        LAYER % ("raises", "X"),
        "layer a: ZeroDivisionError: * -> mend {other}/raises.py",
    ),
    "syntax": (
        LAYER % ("syntax", "X"),
        "layer a: SyntaxError: * -> mend {other}/syntax.py",
    ),
    "path": (LAYER % ("{other}/there", "X"), '*-> write module: "there"'),
    "py": (LAYER % ("there.py", "X"), '*-> write module: "there"'),
    "dotted": (LAYER % ("pack.there", "X"), '*-> write module: "there"'),
    "absolute": (
        LAYER % ("{tmp}/deep/ml", "X"),
        '*-> write module: "ml", export PYTHONPATH={tmp}/deep:$PYTHONPATH',
    ),
    "above": (
        LAYER % ("packs.deep.mine", "X"),
        "*-> export PYTHONPATH={tmp}:$PYTHONPATH",
    ),
    "loss": (
        LAYER % ("good_loss", "Loss") + "layer {{ name: 'f' type: 'InnerProduct' }}",
        "nothing trains: in TRAIN no top has a loss_weight -> write loss_weight: 1 in layer a",
    ),
    "half": (HALF, "layer a: no module or no layer in python_param -> write both"),
    "type": (
        HALF.replace("Pyt", "pyt"),
        'layer a is of type python -> write type: "Python"',
    ),
    "braces": (
        "layer {\n% }",
        "braces.prototxt:2:1: expected *, got % }} -> correct it there",
    ),
    "mark": (
        "\ufefflayer {}",
        "mark.prototxt:1:1: expected *a byte order mark* -> correct it there",
    ),
    "solver": ("net: 'a.prototxt'", "it is a solver -> name its net, a.prototxt"),
    "inside": (
        "net_param { }",
        "it is a solver -> move what its net_param {{ }} holds to a file",
    ),
    "lfs": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "it is a git-lfs pointer -> get the file by git lfs pull",
    ),
    "binary": (
        "\n\x08CaffeNet\x00",
        "it is binary, as a caffemodel -> name the prototxt of the net",
    ),
    "blank": (" # nothing\n", "it is an empty file -> name the file of a net"),
    "level": (
        "layer { include { min_level: 'a' } }",
        "level.prototxt:1:30: expected a whole number, got 'a' -> correct it there",
    ),
    "empty": ("name: 'net'", "it has no layer {{ }} -> name a net"),
    "old": (
        "layers { type: DATA }",
        "it has the layers {{ }} of an old Caffe -> run upgrade_net_proto_text OLD NEW",
    ),
    "nowhere": (
        None,
        "{layer}/nowhere.prototxt: No such file or directory -> name a file *",
    ),
}


def looked_at(patient, nets):
    """Return the rows of nets and of the rest, lists by their names."""
    texts = {name: text for name, text in nets.items() if text is not None}
    for name, text in texts.items():
        patient.net(text, name)
    done = patient.run(
        *patient.doctor,
        *(f"{patient.layer}/{name}.prototxt" for name in nets),
    )
    assert done.stderr == ""
    rows = [
        re.fullmatch(r"(\S) (.*?)  +(.*)", line).groups()
        for line in done.stdout.splitlines()
    ]
    found = {}
    for mark, topic, text in rows:
        found.setdefault(topic.replace(".prototxt", ""), []).append((mark, text))
    return found


def places(text, patient):
    """Return the text of a net with the patient's folders in it."""
    folders = {"{other}": patient.other, "{tmp}": patient.tmp, "{{": "{", "}}": "}"}
    for name, folder in folders.items():
        text = text.replace(name, str(folder))
    return text


def matches(text, pattern, patient):
    pattern = pattern.format(layer=patient.layer, other=patient.other, tmp=patient.tmp)
    return fnmatch.fnmatchcase(text, pattern)


@pytest.fixture(scope="module")
def wrong_nets(baked, tmp_path_factory):
    """A patient with a mock of caffe, and the rows of all WRONG_NETS."""
    tmp = tmp_path_factory.mktemp("nets")
    patient = Patient(shutil.copytree(baked, tmp / "my_layer"))
    patient.hide({**QUICK_NUMPY, "caffe.py": MOCK_CAFFE})
    patient.shadow("far/__pycache__/x")
    patient.shadow("bad.py", "import os\nos.abort()\n")
    patient.shadow("raises.py", "1 / 0\n")
    patient.shadow("syntax.py", "class X(\n")
    patient.shadow("good_loss.py", "import caffe\nclass Loss(caffe.Layer): pass\n")
    patient.shadow("there.py", "import caffe\nclass X(caffe.Layer): pass\n")
    patient.write(tmp / "deep/ml.py")
    patient.write(tmp / "packs/deep/mine.py")
    patient.cwd = tmp
    patient.write(tmp / "near.py", "import caffe\nclass X(caffe.Layer): pass\n")
    return patient, looked_at(
        patient,
        {
            name: text and places(text, patient)
            for name, (text, _) in WRONG_NETS.items()
        },
    )


@pytest.mark.parametrize("name", WRONG_NETS)
def test_a_cross_and_its_fix_for_a_net_of(wrong_nets, name):
    patient, rows = wrong_nets
    mark, text = rows[name][-1]
    if mark == "?":  # that it cannot be run here
        mark, text = rows[name][-2]
    assert matches(text, WRONG_NETS[name][1], patient), text
    assert mark == "✗"


THREE = (
    "layer { name: 'd' type: 'DummyData' top: 'd' dummy_data_param { shape { %s } } }\n"
)
DATA = THREE % "dim: 2 dim: 3 dim: 4"  # as make_bottoms
SOURCE = (
    "layer { name: 'd' type: '%s' top: 'd' %s { source: 'missing' batch_size: 2 %s } }"
)
MINE = """layer { name: 'b' type: 'Python' bottom: 'd' top: 'b' loss_weight: 1
  python_param { module: 'my_layer' layer: 'MyLayer' %s } }\n"""
RESHAPED = """layer { name: 'e' type: 'Reshape' bottom: 'd' top: 'e'
  reshape_param { axis: 1 shape { dim: -1 } } }\n"""
OTHER = MINE.replace("name: 'b'", "name: 'c' %s").replace("top: 'b'", "top: 'c'")
MENDED = "says more"
LOADED = {  # its text, and what comes of loading it
    "shape": (
        THREE % "dim: 7 dim: 3 dim: 2" + RESHAPED + MINE % ""
        + OTHER.replace("'d'", "'e'") % ("", ""),
        "?",
        "e is *",
    ),
    "same_shape": (THREE % "dim: 7 dim: 3 dim: 4" + MINE % "", "✓", "loads and runs in TRAIN"),
    "train_only": (
        DATA.replace("top", "include { phase: TRAIN } top"), "✓", "loads and runs in TRAIN"
    ),
    "key": (
        DATA + MINE % "param_str: '{\"x3\": 1}'",
        "✗",
        "TRAIN: layer b: ValueError: MyLayer: param_str has no key 'x3'; * -> mend it; *"
        "caffe_pylayer trace {layer}/key.prototxt --phase TRAIN says more",
    ),
    "dies": (
        DATA + (MINE % "").replace("my_layer", "dies").replace("MyLayer", "Dies"),
        "✗",
        "TRAIN: layer b*signal 6* -> *caffe_pylayer trace {layer}/dies.prototxt --phase TRAIN "
        "shows where",
    ),
    "bottom": (
        DATA + OTHER.replace("'d'", "'e'") % ("include { phase: TEST }", ""),
        "✗",
        "TEST: *Unknown bottom blob 'e' (layer 'c', bottom index 0) -> write *",
    ),
    "field": (
        DATA + MINE.replace("top", "topp") % "",
        "✗",
        'TRAIN: 2:*: Message type * has no field named "topp". -> write top',
    ),
    "in_place": (
        DATA.replace("'d' d", "'id' d")
        + MINE.replace("bottom: 'd' top: 'b'", "bottom: 'id' top: 'id'") % "",
        "✓",
        "loads and runs in TRAIN",
    ),
    "nearest": (
        DATA + MINE.replace("bottom: 'd'", "bottom: 'dd'") % "",
        "✗",
        "TRAIN: *Unknown bottom blob 'dd' * -> write bottom: \"d\"",
    ),
    "mean": (
        "layer { name: 'd' type: 'ImageData' top: 'd' top: 'l' image_data_param { source: 'a.txt' "
        "batch_size: 2 } transform_param { mean_file: 'm.binaryproto' } }",
        "✗",
        "TRAIN: *-> no a.txt (source of layer d): a path starts where you run caffe",
    ),
    "fork": (
        DATA + MINE.replace("bottom", "resize_param { prob: 1 } bottom") % "",
        "✗",
        "TRAIN: *has no field named \"resize_param\". -> the net is for another Caffe (a fork)*",
    ),
    "lmdb": (
        SOURCE % ("Data", "data_param", "backend: LMDB"),
        "✗",
        "TRAIN: layer d: Check failed: mdb_status == 0 (2 vs. 0) No such * -> no missing (source "
        "of layer d): a path *",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def loaded(baked, tmp_path_factory, with_caffe):
    """A patient where real Caffe is, and the rows of all nets of LOADED."""
    tmp = tmp_path_factory.mktemp("loaded")
    patient = Patient(shutil.copytree(baked, tmp / "my_layer"), with_caffe)
    patient.hide(QUICK_PYCAFFE)
    patient.shadow(
        "dies.py",
        "import os, caffe\nclass Dies(caffe.Layer):\n def setup(self, *_): os.abort()\n"
        " reshape = forward = backward = setup\n",
    )
    return patient, looked_at(patient, {name: row[0] for name, row in LOADED.items()})


@pytest.mark.parametrize("name", LOADED)
def test_a_net_is_loaded_and_run(loaded, name):
    patient, rows = loaded
    mark, text = rows[name][-1]
    assert matches(text, LOADED[name][2], patient), text
    assert mark == LOADED[name][1]


BOTTOM = "d is %s, make_bottoms makes (2, 3, 4): test the layer with pytest --bottoms-from=%s"


def test_bottoms_of_other_shapes_than_in_the_test_are_a_question(loaded):
    """As real Caffe gives them, also where the text does not tell them."""
    patient, rows = loaded
    path = patient.layer / "shape.prototxt"
    assert rows["shape"][1:] == [
        ("✓", "loads and runs in TRAIN"),
        ("?", BOTTOM % ("(7, 3, 2)", path)),
        ("?", BOTTOM.replace("d is", "e is") % ("(7, 6)", path)),
    ]
    assert all("make_bottoms" not in text for _, text in rows["same_shape"])


def test_bottoms_of_other_shapes_are_told_by_the_text_without_caffe(mock):
    mock.env["PYTHONPATH"] += f":{os.path.dirname(os.path.dirname(numpy.__file__))}"
    shutil.rmtree(mock.tmp / "quick/numpy")
    rows = looked_at(mock, {"net": LOADED["shape"][0]})["net"]
    assert [row for row in rows if "make_bottoms" in row[1]] == [
        ("?", BOTTOM % ("(7, 3, 2)", mock.layer / "net.prototxt"))
    ]


def test_a_python_layer_in_place_is_told_what_backward_sees(loaded):
    marks = [(mark, text[:36]) for mark, text in loaded[1]["in_place"]]
    assert ("?", "layer b works in place on id: backwa") in marks


def test_a_dotted_module_below_pythonpath_is_right(mock):
    """module: "layers.my_layer.my_layer" with PYTHONPATH = the repository."""
    package = mock.tmp / "repository" / "layers" / "my_layer"
    shutil.copytree(mock.layer, package)
    mock.layer = mock.cwd = package
    mock.env["PYTHONPATH"] = f"{mock.tmp / 'repository'}:{mock.tmp / 'quick'}"
    mock.edit(
        "my_layer.prototxt",
        '"my_layer"\n    layer',
        '"layers.my_layer.my_layer"\n    layer',
    )
    report = mock.examine()
    for topic in ("PYTHONPATH", "module", "class", "fragment"):
        assert report[topic][0] == "✓", report[topic]
    assert report["PYTHONPATH"][1] == f"has {mock.tmp / 'repository'}"
    mock.env["PYTHONPATH"] = mock.tmp / "quick"
    root = mock.tmp / "repository"
    text = f"lacks {root} -> export PYTHONPATH={root}:$PYTHONPATH"
    assert mock.examine()["PYTHONPATH"] == ("✗", text)


def test_one_bound_for_an_endless_loop(real):
    """All that hangs is stopped at the same time, in pycaffe and in caffe."""
    real.show_caffe_command()
    real.options = ["--timeout", "12"]
    forward = "def forward(self, bottom, top):\n"
    loop = "        import time\n        while True: time.sleep(0.1)\n"
    real.edit("my_layer.py", forward, forward + loop)
    start = time.monotonic()
    report = real.examine("example/train_val.prototxt")
    assert time.monotonic() - start < 2 * 12
    assert [report[t][1].split(" -> ")[0] for t in NETS.split(", ")] == [
        "it hangs: stopped after 12 s"
    ] * 2
    assert report["train_val.prototxt"][1] == "not asked: 12 s are over (--timeout)"


def test_no_command_is_a_question(loaded):
    command, net = [loaded[1][topic] for topic in ("caffe command", "net in caffe")]
    assert command == [("?", "none on PATH; the module caffe does without")]
    assert net == [("?", "cannot be asked before caffe command is right")]


def test_a_net_without_python_layers_is_a_question(loaded):
    question = ("?", "it has no Python layer; caffe-pylayer splice puts one in")
    assert loaded[1]["train_only"][0] == question


def test_each_class_of_a_net_has_a_row(mock):
    layers = [
        ("my_layer", "MyLayer"),
        ("my_layer", "MyLayer"),
        ("my_layer", "X"),
        ("y", "Y"),
    ]
    rows = looked_at(mock, {"net": "".join(LAYER % layer for layer in layers)})
    assert [mark for mark, _ in rows["net"]] == ["✓", "✗", "✗"]
    assert rows["net"][0][1].startswith("layers a, a: MyLayer in ")


def test_a_net_whose_module_is_missing_does_not_ask_for_activation(mock):
    (mock.layer / "my_layer.py").unlink()
    ((mark, text),) = looked_at(mock, {"net": LAYER % ("my_layer", "MyLayer")})["net"]
    assert (mark, text.split(" -> ")[1]) == ("✗", "put my_layer.py back")


def test_a_reader_that_has_seen_enough(here):
    here.env["PATH"] = "/usr/bin:/bin"
    done = here.run("sh", "-c", shell(*here.doctor) + " | head -n 1")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


# Pythons, terminals and paths


@pytest.mark.parametrize("options", [["-h"], ["--help"]])
def test_help_has_an_example(here, options):
    done = here.run(*here.doctor, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  caffe-pylayer doctor example/train_val.prototxt " in done.stdout


def test_an_unknown_option_is_a_wrong_usage(here):
    done = here.run(*here.doctor, "--nets")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_marks_are_ascii_where_stdout_has_no_others(here, encoding):
    here.env["PYTHONIOENCODING"] = encoding
    report = here.examine()
    assert (report["Python"][0], report["caffe"][0], report["class"][0]) == (
        "+",
        "x",
        "?",
    )


ODD = ["two  words, it's [ab]*?$HOME Ünï 層", "not UTF-8 \udce9"]


@pytest.mark.parametrize("odd, encoding", [(ODD[0], "ascii"), (ODD[1], "utf-8")])
def test_any_path_works(baked, tmp_path, odd, encoding):
    patient = Patient(shutil.copytree(baked, tmp_path / odd / "my_layer"))
    patient.env["PYTHONIOENCODING"] = encoding
    patient.shadow("caffe/__init__.py", STANDIN)
    report = patient.examine()
    assert (report.marked("?"), report.code) == (["caffe command", "net in caffe"], 0)


@pytest.mark.parametrize("odd", ODD)
def test_the_fix_for_pythonpath_works_in_a_shell(baked, tmp_path, odd):
    patient = Patient(shutil.copytree(baked, tmp_path / odd / "my_layer"))
    del patient.env["PYTHONPATH"]
    patient.cwd = patient.other
    doctor = shell(*patient.doctor) + " | LC_ALL=C sed -n 's/.*lacks .* -> //p'"
    patient.env["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    patient.env["LAYER"] = patient.layer
    done = patient.run(
        "bash", "-c", f'eval "$({doctor})"; [ "$PYTHONPATH" -ef "$LAYER" ]'
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_has_no_name_of_ours_but_two():
    """On its PYTHONPATH is a folder that holds nothing that a net could mean by a module's name."""
    files = {path.name for path in (PACKAGE / "commands" / "doctor_child").glob("*")}
    ours = {"caffe_pylayer_child.py", "caffe_pylayer_source.py", "__init__.py"}
    assert files - {"__pycache__"} == ours


def test_python_2_without_numpy(whole):
    whole.python = "/usr/bin/python2.7"
    report = whole.examine("example/train_val.prototxt")
    assert report.marked("x") == ["numpy", "caffe", "caffe command"]
    assert report["numpy"][1].endswith(" -> python2.7 -m pip install numpy")
    assert report["caffe"][1].endswith(" -> use /usr/bin/python3, which has one")
    assert report["caffe command"][1].startswith(
        "/usr/bin/caffe has Python 3.9, this is 2.7 -> "
    )
    assert report["module"][1] == f"my_layer is {whole.layer}/my_layer.py"


def test_python_2_with_a_script_named_random_beside_the_layer(real):
    real.python = "/usr/bin/python2.7"
    script = real.write(real.layer / "random.py")
    finding = "ImportError: cannot import name Random"
    fix = f"rename {script}, Python has a module of that name"
    assert real.examine()["Python"] == ("x", f"{finding} -> {fix}")


def test_python_2_with_the_pycaffe_of_python_3(real):
    real.python = "/usr/bin/python2.7"
    real.env["PYTHONPATH"] = f"{real.layer}:/usr/lib/python3/dist-packages"
    folder = "/usr/lib/python3/dist-packages/caffe"
    fix = "use python3.9, or another Caffe"
    assert real.examine()["caffe"] == (
        "x",
        f"{folder} is built for Python 3.9 -> {fix}",
    )


def test_python_2_with_a_left_over_pyc(real):
    real.python = "/usr/bin/python2.7"
    real.shadow("my_layer.py")
    real.run(real.python, "-m", "compileall", real.other)
    (real.other / "my_layer.py").unlink()
    left = real.other / "my_layer.pyc"
    assert real.examine()["module"] == (
        "x",
        f"my_layer is {left} -> delete this left-over",
    )


def test_python_2_runs_the_layer(real, packages):
    real.python = "/usr/bin/python2.7"
    real.shadow("caffe/__init__.py", STANDIN)
    shutil.copytree(packages / "numpy", real.other / "numpy")
    report = real.examine()
    bad = ["caffe command", "net in caffe"]
    assert (report.marked("?"), report.marked("x"), report.code) == (bad, [], 0)
