#!/usr/bin/env python3
"""Say why Caffe does not load the layer, and what to do about it.

Whatever may abort runs in a child, which imports a copy of this file and tells what it finds.
"""

import os
import sys

if __name__ == "__main__":  # Python's own modules first, whatever lies on PYTHONPATH
    late = [os.path.dirname(__file__)] + os.environ.get("PYTHONPATH", "").split(
        os.pathsep
    )
    late = [os.path.abspath(entry) for entry in late]
    sys.path.sort(key=lambda entry: os.path.abspath(entry) in late)

import argparse
import collections
import errno
import functools
import glob
import importlib
import json
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import traceback

try:
    from shlex import quote
except ImportError:  # Python 2
    from pipes import quote

OWN_MODULES = sorted(sys.modules)  # Python's, that this file and so its copy imports
NAME = "<<cookiecutter.layer_name>>"
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = """examples:
  python3 tools/doctor.py                              this Python, Caffe and the layer
  python3 tools/doctor.py example/train_val.prototxt   and a net, which is run once
"""
TICK, CROSS, QUESTION = range(3)
MARKS = [mark.decode("utf-8") for mark in (b"\xe2\x9c\x93", b"\xe2\x9c\x97", b"?")]
ASCII_MARKS = "+x?"
PYTHON_PARAM = ("module", "layer")
PHASES = ("TRAIN", "TEST")
SECONDS = 60  # that a child may take
HANGS = "it hangs: stopped after %d s" % SECONDS
ENDS = "%s ends Python, as os._exit(0) does"
# In Caffe's log: lines that say why it aborts, and those that never do.
REASON = re.compile(
    r"(?:.*Error parsing text-format \S+|trace_blobs\.py:|F\d{4} [^\]]*\]) (.*)"
)
NOISE = re.compile(
    r"[\W\d_]*$|\s*[a-z_]+(?: \{|: (?:\".*\"|[-+\w.]+))$"  # a line of a net
    r"|\s+@ |\*\*\* |PC: |terminate called|[IW]\d{4} |WARNING: Logging before"
)
WITH_PYTHON = (
    "set WITH_PYTHON_LAYER := 1 in Makefile.config, make clean, make all pycaffe"
)
GET_CAFFE = 'see "Get Caffe" in README.md'
ACTIVATE = {"sh": (".", "sh"), "fish": ("source", "fish"), "tcsh": ("source", "csh")}
HINTS = (  # what a log says, and what to do
    (r"NumPy 1\.x|_ARRAY_API", "{pip} install 'numpy<2'"),
    (r"multiarray failed|compiled against", "build it for this numpy: make pycaffe"),
    (r"Unknown layer type: Python", WITH_PYTHON),
    (
        r"descriptor pool|Descriptors cannot|named '?google",
        "{pip} install 'protobuf<4'",
    ),
    (
        r"named '?(caffe\.)?_caffe|undefined symbol: _?Py|PyInit__caffe",
        "build it: make pycaffe",
    ),
    (
        r"cannot open shared object",
        "install that library or put its folder on LD_LIBRARY_PATH",
    ),
    (r"Check failed: (data|diff)_", "reshape must give every top its shape"),
    (
        r"mdb_status|Failed (to )?open|File is empty",
        "a path starts where you run caffe: run this there",
    ),
    (r"named '?skimage", "{pip} install scikit-image"),
    (
        r"No module named '?(?!caffe\b)(?P<name>\w+)",
        "{pip} install {name}, or see PYTHONPATH",
    ),
)


class Cross(Exception):
    """Something is wrong; the arguments are what was found and what to do."""


class Unknown(Exception):
    """Something cannot be known here; the argument says why."""


# In the children


def tell(**facts):
    """Add facts to what the doctor reads, also if Caffe aborts later."""
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "facts"), "a") as stream:
        stream.write(json.dumps(facts) + "\n")


def telling(function):
    """Return the function, made to tell what it raises."""

    def run(*arguments):
        try:
            return function(*arguments)
        except BaseException as error:
            frames = traceback.extract_tb(sys.exc_info()[2])
            lines = [frame[1] for frame in frames if frame[0].endswith("/%s.py" % NAME)]
            where = " (%s.py, line %d)" % (NAME, lines[-1]) if lines else ""
            tell(error=words(error) + where)
            raise

    return run


def answer(question, *arguments):
    """Tell what a function below finds, and at last that nothing ended it."""
    tell(done=False)
    telling(globals()[question])(*arguments)
    tell(done=True)


def find(name):
    """Tell the file of a module, the folder of a package without __init__.py, or None."""
    tell(path=None)
    if sys.version_info[0] == 2:
        import pkgutil

        loader = pkgutil.find_loader(name)
        path = loader and loader.get_filename()
    else:
        from importlib.util import find_spec

        spec = find_spec(name)
        folders = spec and spec.submodule_search_locations
        path = spec and (
            spec.origin if spec.has_location or not folders else list(folders)[0]
        )
    tell(path=path and os.path.abspath(path))


def examine(name):
    """Tell where a module is, what it holds, and which layers."""
    find(name)
    tell(doing="importing " + name)
    module = importlib.import_module(name)
    tell(version=str(getattr(module, "__version__", "")), names=dir(module))
    caffe = sys.modules.get("caffe")
    if hasattr(caffe, "layer_type_list"):
        tell(types=list(caffe.layer_type_list()))
    if hasattr(caffe, "Layer"):
        items = sorted(vars(module).items())
        tell(
            layers=[
                k
                for k, v in items
                if isinstance(v, type) and issubclass(v, caffe.Layer)
            ]
        )


def run_net(path):
    """Load a net in pycaffe and run it once."""
    caffe = importlib.import_module("caffe")
    net = caffe.Net(path, caffe.TRAIN)
    net.forward()
    net.backward()


@telling
def make_source():
    """Return the class of the layer that gives the bottoms, and makes the author's layer tell."""
    tell(python="%d.%d" % sys.version_info[:2], done=False)
    caffe = importlib.import_module("caffe")

    class Source(caffe.Layer):
        @telling
        def setup(self, bottom, top):
            self.arrays = []
            if not self.param_str:
                return
            test, module, name, bottoms, wanted = json.loads(self.param_str)
            layer = getattr(importlib.import_module(module), name)
            own = [base for base in layer.__mro__ if base not in caffe.Layer.__mro__]
            for method in ("setup", "reshape", "forward", "backward"):
                if any(method in vars(base) for base in own):
                    setattr(layer, method, telling(getattr(layer, method)))
                elif wanted or method != "backward":
                    raise AttributeError(
                        "the class %s has no method %s" % (name, method)
                    )
            if wanted:
                self.blobs.add_blob(
                    1
                )  # with a weight below, Caffe asks the layer for gradients
            try:
                arrays = make_bottoms(test)
                count = len(arrays)
            except Exception as error:
                tell(unknown="no bottoms from make_bottoms in tests: %s" % words(error))
                raise
            if count <= max(bottoms or [-1]):
                finding = "%d bottoms in %s.prototxt, %d from make_bottoms in tests"
                raise ValueError(finding % (len(bottoms), NAME, count))
            self.arrays = [arrays[i] for i in bottoms]

        def reshape(self, bottom, top):
            for i, array in enumerate(self.arrays):
                top[i].reshape(*array.shape)

        def forward(self, bottom, top):
            for i, array in enumerate(self.arrays):
                top[i].data[...] = array

        def backward(self, top, propagate_down, bottom):
            tell(done=True)  # the last that `caffe time` asks of the first layer

    return Source


def make_bottoms(path):
    """Return the arrays of the make_bottoms in a file."""
    numpy = importlib.import_module("numpy")
    names = {"__name__": "test", "__file__": path}
    with open(path, "rb") as stream:
        exec(compile(stream.read(), path, "exec"), names)
    return names["make_bottoms"](numpy.random.RandomState(0), 4)


# In the doctor


class Doctor(object):
    """The checks; `folder` is a temporary one for the children."""

    def __init__(self, folder):
        self.folder, self.net = folder, os.path.join(folder, "net.prototxt")
        self.passed = set()
        self.fragment = None
        self.fixes = {}  # by topic
        self.caffe, self.layers = (
            {},
            [],
        )  # facts of caffe, classes in the layer's module
        shutil.copy(
            os.path.abspath(__file__), os.path.join(folder, NAME + "_doctor.py")
        )
        with open(os.path.join(folder, NAME + "_source.py"), "w") as stream:
            stream.write(
                "from %s_doctor import make_source\nSource = make_source()\n" % NAME
            )

    def rows(self, nets):
        """Yield a row (mark, topic, text) for each check."""
        for row in (
            ("Python", self.check_python),
            ("numpy", self.check_numpy, "Python"),
            ("caffe", self.check_caffe, "Python"),
            ("Python layers", self.check_python_layers, "caffe"),
            ("caffe command", self.check_command, "Python"),
            ("PYTHONPATH", self.check_pythonpath),
            ("module", self.check_module, "Python", "PYTHONPATH"),
            ("class", self.check_class, "caffe", "module"),
            ("fragment", self.check_fragment),
            ("net in pycaffe", self.check_net, "Python layers", "class", "fragment"),
            (
                "net in caffe",
                self.check_net_in_caffe,
                "caffe command",
                "module",
                "fragment",
            ),
        ):
            result = self.row(*row)
            if result[0] == TICK:
                self.passed.add(row[0])
            yield result
        for path in nets:
            topic, marks = os.path.basename(path), []
            for check in self.checks_of_net(path):
                result = self.row(topic, check)
                marks.append(result[0])
                yield result
            if CROSS not in marks:
                yield self.row(topic, functools.partial(self.check_run, path))

    def checks_of_net(self, path):
        """Return a check for each class that the Python layers of a net name."""
        try:
            layers = python_layers(path)
        except (Cross, Unknown):
            return [functools.partial(python_layers, path)]
        classes = collections.OrderedDict()
        for layer in layers:
            classes.setdefault(names_in(layer), []).append(layer)
        return [
            functools.partial(self.check_layer, layers) for layers in classes.values()
        ]

    def row(self, topic, check, *needs):
        """Return the mark of a check, its topic, and what it returned or what is wrong."""
        try:
            for need in needs:
                if need not in self.passed:
                    raise Unknown("cannot be asked before %s is right" % need)
            return TICK, topic, check()
        except Unknown as error:
            return QUESTION, topic, error.args[0]
        except Cross as error:
            self.fixes[topic] = error.args[1]
            return CROSS, topic, "%s -> %s" % error.args

    def run(self, *command):
        """Return what a command tells, with its log, and the error if it failed."""
        path = os.path.join(self.folder, "facts")
        open(path, "w").close()
        entries = [os.environ.get("PYTHONPATH"), self.folder]
        environment = dict(
            os.environ,
            GLOG_log_dir=self.folder,
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONPATH=os.pathsep.join(entry for entry in entries if entry),
        )
        hung = []
        with tempfile.TemporaryFile() as log, open(os.devnull) as nothing:
            streams = {"stdin": nothing, "stdout": log, "stderr": log}
            try:
                process = subprocess.Popen(
                    command, env=environment, preexec_fn=os.setsid, **streams
                )
            except OSError as error:
                return {"log": "", "error": error.strerror}
            timer = threading.Timer(
                SECONDS, lambda: (hung.append(True), process.kill())
            )
            timer.start()
            try:
                code = process.wait()
            finally:
                timer.cancel()
                end_group(process.pid)
            log.seek(0)
            text = native(log.read().decode("utf-8", "replace"))
        facts = {"log": text}
        with open(path) as stream:
            for line in stream:
                facts.update(native(json.loads(line)))
        if hung:
            facts["error"] = HANGS
        elif code and "error" not in facts:
            lines = [line for line in text.splitlines() if not NOISE.match(line)]
            reasons = [match.group(1) for match in map(REASON.match, lines) if match]
            last = "".join(lines[-1:])
            if code < 0:
                last = "it dies of signal %d%s" % (-code, last and " after: " + last)
            facts["error"] = short(
                (reasons or [last or "it ends with exit code %d" % code])[0]
            )
        elif facts.get("done") is False:
            facts.setdefault("error", ENDS % facts.get("doing", "it"))
        return facts

    def ask(self, question, *arguments, **options):
        """Return what the function `question` above tells in a child.

        It sees the sys.path of `python -c`, the current folder first, or with `as_caffe=True` that
        of the command `caffe`, without it.
        """
        code = "import sys\n%simport %s_doctor as d\nd.answer(*sys.argv[1:])" % (
            "sys.path[:1] == [''] and sys.path.pop(0)\n"
            if options.get("as_caffe")
            else "",
            NAME,
        )
        facts = self.run(sys.executable, "-c", code, question, *arguments)
        if question != "run_net" and "path" not in facts:
            finding = facts.get("error", "Python ends before it does anything")
            fix = (
                rename(facts, OWN_MODULES)
                or "rename a file named as one of Python's own modules"
            )
            raise Cross(finding, fix)
        return facts

    def check_python(self):
        self.ask("find", "os")
        return "%d.%d.%d, %s" % (sys.version_info[:3] + (sys.executable,))

    def check_numpy(self):
        facts = self.ask("examine", "numpy")
        path = facts["path"]
        if not path:
            raise Cross("none for this Python", "%s install numpy" % pip())
        if "ndarray" not in facts.get("names", ()):
            fix = (
                unshadow(path)
                or rename(facts)
                or pip() + " install --force-reinstall numpy"
            )
            raise Cross(facts.get("error", "%s is not numpy" % thing(path)), fix)
        return "%s, %s" % (facts["version"], os.path.dirname(path))

    def check_caffe(self):
        facts = self.ask("examine", "caffe")
        path = facts["path"]
        if not path:
            raise Cross("none for this Python", self.get_caffe())
        if os.path.isdir(os.path.join(path, "python", "caffe")):
            raise Cross(
                "%s is Caffe's source" % path, build(os.path.join(path, "python"))
            )
        folder = os.path.dirname(path)
        if "Net" not in facts.get("names", ()) and not os.path.isfile(
            folder + "/pycaffe.py"
        ):
            if glob.glob(os.path.dirname(folder) + "/caffe-*-info"):
                raise Cross(
                    "%s is PyPI's empty placeholder" % folder,
                    pip() + " uninstall caffe",
                )
            raise Cross(
                "%s is not Caffe" % thing(path),
                unshadow(path) or "rename or uninstall it",
            )
        if "error" in facts:
            built = re.findall(
                r"_caffe\.cpython-(\d)(\d+)", " ".join(os.listdir(folder))
            )
            if built and "%d%d" % sys.version_info[:2] not in map("".join, built):
                version = "%s.%s" % built[0]
                fix = "use python%s, or another Caffe" % version
                raise Cross("%s is built for Python %s" % (folder, version), fix)
            if "numpy" not in self.passed:
                raise Unknown("%s cannot be imported before numpy is right" % folder)
            raise Cross(
                facts["error"], hint(facts) or rename(facts) or "install Caffe again"
            )
        self.caffe = facts
        return "%s, %s" % (facts["version"], folder)

    def get_caffe(self):
        """Return how to come by a caffe for this Python."""
        for path in programs("python3", "python", "python2"):
            facts = self.run(path, "-c", "import caffe._caffe")
            if "error" not in facts:
                return "use %s, which has one" % path
        for path in programs("caffe"):  # build/tools/caffe in Caffe's source
            root = os.path.dirname(
                os.path.dirname(os.path.dirname(os.path.realpath(path)))
            )
            if os.path.isdir(os.path.join(root, "python", "caffe")):
                return build(os.path.join(root, "python"))
        return GET_CAFFE

    def check_python_layers(self):
        types = self.caffe.get("types")
        if types is None:
            raise Unknown("this Caffe is too old to say")
        if "Python" not in types:
            raise Cross("not built in", WITH_PYTHON)
        return "built in"

    def check_command(self):
        path = next(programs("caffe"), None)
        if not path:
            raise Unknown("none on PATH; the module caffe does without")
        self.write_net()
        facts = self.run_in_caffe()
        if "python" not in facts:
            fix = hint(facts) or "is it Caffe's? put the right one first on PATH"
            raise Cross("%s: %s" % (path, facts.get("error", "it loads no net")), fix)
        version = re.search(r"caffe version (\S+)", self.run(path, "--version")["log"])
        version = version.group(1) if version else ""
        here = "%d.%d" % sys.version_info[:2]
        if facts["python"] != here:
            raise Cross(
                "%s has Python %s, this is %s" % (path, facts["python"], here),
                "use python%s, or caffe and python from one place" % facts["python"],
            )
        if "error" in facts:
            fix = hint(facts) or self.fixes.get("caffe") or rename(facts) or GET_CAFFE
            raise Cross("%s: %s" % (path, facts["error"]), fix)
        if version and self.caffe.get("version", version) != version:
            raise Cross(
                "%s is Caffe %s, the module %s"
                % (path, version, self.caffe["version"]),
                "take both from one place: see PATH and PYTHONPATH",
            )
        return "%s, with Python %s" % (" ".join([path, version]).strip(), here)

    def check_pythonpath(self):
        if os.path.realpath(FOLDER) not in pythonpath():
            raise Cross("lacks %s" % FOLDER, activate())
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        absolute = [
            entry for entry in entries if os.path.isabs(entry) and same(entry, FOLDER)
        ]
        return "has %s%s" % (
            FOLDER,
            "" if absolute else ", but only from here: it is relative",
        )

    def check_module(self):
        own = present(NAME + ".py")
        for as_caffe in (False, True):
            path = self.ask("find", NAME, as_caffe=as_caffe)["path"]
            if not path or not same(source(path), own):
                fix = path and unshadow(path) or "rename or uninstall it"
                raise Cross("%s is %s" % (NAME, path and thing(path)), fix)
        return "%s is %s" % (NAME, own)

    def check_class(self):
        facts = self.ask("examine", NAME)
        if "error" in facts:
            raise Cross(facts["error"], hint(facts) or "mend %s.py" % NAME)
        self.layers = facts.get("layers")
        if not self.layers:
            raise Cross(
                "none in %s.py is a caffe.Layer" % NAME,
                "write class NAME(caffe.Layer):",
            )
        return "%s is a caffe.Layer" % ", ".join(self.layers)

    def check_fragment(self):
        file = NAME + ".prototxt"
        layers = layers_in(read(present(file)))
        types = ", ".join("%s" % layer.get("type") for layer in layers) or "none"
        if types != "Python":
            finding = "%s: expected one layer { } of type Python, got %s" % (
                file,
                types,
            )
            raise Cross(finding, 'write one, with type: "Python"')
        module, name = names_in(layers[0])
        if module != NAME:
            finding = "%s names the module %s" % (file, module)
            raise Cross(finding, 'write module: "%s"' % NAME)
        if not name or (self.layers and name not in self.layers):
            known = " or ".join(
                'layer: "%s"' % known for known in self.layers or ["NAME"]
            )
            raise Cross("%s names the class %s" % (file, name), "write %s" % known)
        self.fragment = layers[0]
        return "%s names %s and %s" % (file, module, name)

    def check_net(self):
        self.write_net(self.fragment)
        return self.outcome(self.ask("run_net", self.net))

    def check_net_in_caffe(self):
        self.write_net(self.fragment)
        return self.outcome(self.run_in_caffe())

    def outcome(self, facts):
        """Return that the net of the fragment ran, or raise what kept it from running."""
        if "unknown" in facts:
            raise Unknown(facts["unknown"])
        if "error" in facts:
            error, more = facts["error"], "mend it; %s -m pytest says more" % python()
            place = re.match(r"(\d+):\d+: (.*)", error)
            if place:  # in a file that the author does not have: show its line
                with open(self.net, "rb") as stream:
                    line = stream.read().splitlines()[int(place.group(1)) - 1]
                line = native(line.decode("utf-8", "replace"))
                error = "%s.prototxt, %s: %s" % (NAME, short(line), place.group(2))
            raise Cross(error, hint(facts) or more)
        return "the fragment loads and runs"

    def run_in_caffe(self):
        return self.run(
            next(programs("caffe")), "time", "-model", self.net, "-iterations", "1"
        )

    def write_net(self, fragment=None):
        """Write a net of a source layer, and of the fragment if given."""
        tops, param_str, text = [], "", ""
        if fragment:
            bottoms = fragment.all("bottom")
            tops = sorted(set(bottoms), key=bottoms.index)
            test = os.path.join(FOLDER, "tests", "test_%s.py" % NAME)
            first = [bottoms.index(top) for top in tops]
            flags = ["%s" % flag for flag in fragment.all("propagate_down")] or ["true"]
            wanted = bool(bottoms) and any(
                flag in ("true", "True", "t", "1") for flag in flags
            )
            param_str = json.dumps((test,) + names_in(fragment) + (first, wanted))
            layer = fragment.without("include", "exclude")
            if wanted and not any(layer.all("loss_weight")):
                layer = layer.without("loss_weight")
                layer.fields += [("loss_weight", 1) for _ in layer.all("top")]
            text = str(type(fragment)([("layer", layer)]))
        text = (
            "layer { name: '%s_source' type: 'Python' %s python_param { %s } }\n%s\n"
            % (
                NAME,
                " ".join("top: " + json.dumps(top) for top in tops),
                "module: '%s_source' layer: 'Source' param_str: %s"
                % (NAME, json.dumps(param_str)),
                text,
            )
        )
        with open(self.net, "wb") as stream:
            stream.write(
                text if str is bytes else text.encode("utf-8", "surrogateescape")
            )

    def check_layer(self, layers):
        """Check that the class that these Python layers name can be imported as Caffe does."""
        names = ", ".join("%s" % layer.get("name", "?") for layer in layers)
        where = "%s %s: " % ("layers" if len(layers) > 1 else "layer", names)
        module, name = names_in(layers[0])
        if not module or not name:
            raise Cross(where + "no module or no layer in python_param", "write both")
        facts = self.ask("examine", module, as_caffe=True)
        path = facts["path"]
        if not path or os.path.isdir(path):
            finding = facts.get("error", "%s is only a folder, %s" % (module, path))
            fix = "put its folder on PYTHONPATH"
            if module == NAME:
                fix = (
                    "put %s.py back" % NAME
                    if "PYTHONPATH" in self.passed
                    else activate()
                )
            raise Cross(where + finding, fix)
        if "caffe" not in self.passed:
            raise Unknown(where + "cannot be asked before caffe is right")
        if "error" in facts:
            raise Cross(where + facts["error"], hint(facts) or "mend %s" % source(path))
        if name not in facts.get("layers", ()):
            known = " or ".join(
                'layer: "%s"' % known for known in facts.get("layers", ())
            )
            fix = "write %s" % (known or "class %s(caffe.Layer):" % name)
            raise Cross(where + "no caffe.Layer %s in %s" % (name, source(path)), fix)
        return where + "%s in %s" % (name, source(path))

    def check_run(self, path):
        """Check that each layer of a net runs, forward and backward, in the phases it has."""
        if "Python layers" not in self.passed:
            raise Unknown("whether it loads and runs can be asked on real Caffe only")
        tool = os.path.join(FOLDER, "tools", "trace_blobs.py")
        phases = phases_of(read(path))
        for phase in phases:
            facts = self.run(
                sys.executable, tool, path, "--caffe=real", "--phase", phase
            )
            more = (python(), quote(os.path.relpath(tool)), quote(path), phase)
            more = "%s %s %s --phase %s says more" % more
            if facts.get("error") == HANGS:
                raise Unknown("%s takes more than %d s; %s" % (phase, SECONDS, more))
            if "error" in facts:
                fix = hint(facts) or "mend it; " + more
                raise Cross("%s: %s" % (phase, facts["error"]), fix)
        return "loads and runs in " + " and ".join(phases)


def present(name):
    """Return the path of a file of the layer, which must be there."""
    path = os.path.join(FOLDER, name)
    if not os.path.isfile(path):
        others = [
            other
            for other in os.listdir(FOLDER)
            if other.lower() == name.lower() != other
        ]
        fix = "rename %s to %s" % (others[0], name) if others else "put it back"
        raise Cross("%s is missing" % path, fix)
    return path


def net_text():
    """Return the module that reads prototxt."""
    try:
        return importlib.import_module("net_text")
    except ImportError:
        path = os.path.join(FOLDER, "tests", "harness", "prototxt.py")
        raise Cross("%s, which reads it, is missing" % path, "put it back")


def read(path):
    """Return the Message in a prototxt file."""
    tool = net_text()
    try:
        with open(path, "rb") as stream:
            return tool.parse(stream.read().decode("latin-1"), os.path.basename(path))
    except tool.Refusal as error:
        raise Cross(str(error), "mend it there")
    except EnvironmentError as error:
        raise Cross("%s: %s" % (path, error.strerror), "name a file that can be read")


def python_layers(path):
    """Return the Python layers of a net."""
    message = read(path)
    solver = message.get("net") or message.get("train_net")
    if solver:
        raise Cross("it is a solver", "name its net, %s" % solver)
    if message.all("layers"):
        raise Cross(
            "it has the layers { } of an old Caffe",
            "run upgrade_net_proto_text OLD NEW",
        )
    if not layers_in(message):
        raise Cross("it has no layer { }", "name a net")
    for layer in layers_in(message):
        kind = "%s" % layer.get("type")
        if kind != "Python" and kind.lower() == "python":
            finding = "layer %s is of type %s" % (layer.get("name", "?"), kind)
            raise Cross(finding, 'write type: "Python"')
    layers = [layer for layer in layers_in(message) if layer.get("type") == "Python"]
    if not layers:
        raise Unknown("it has no Python layer; tools/splice.py puts one in")
    return layers


def phases_of(message):
    """Return the phases in which a net has something to read, TRAIN alone if they are the same."""
    included, rules = net_text().included, net_text().rules
    nets = {}
    for phase in PHASES:
        state = phase, set(), 0
        nets[phase] = [
            layer for layer in layers_in(message) if included(rules(layer), state)
        ]
    if nets["TRAIN"] == nets["TEST"]:
        return ["TRAIN"]
    sources = {
        phase for phase in PHASES for layer in nets[phase] if not layer.all("bottom")
    }
    return [phase for phase in PHASES if message.all("input") or phase in sources] or [
        "TRAIN"
    ]


def layers_in(message):
    return [layer for layer in message.all("layer") if hasattr(layer, "get")]


def names_in(layer):
    """Return the module and the class that a Python layer names, None for what it does not."""
    python_param = layer.get("python_param")
    names = [
        hasattr(python_param, "get") and python_param.get(field)
        for field in PYTHON_PARAM
    ]
    return tuple(name if isinstance(name, str) else None for name in names)


def words(error):
    """Return what an exception says, on one line."""
    lines = traceback.format_exception_only(type(error), error)
    return short(lines[-1] + lines[0] if isinstance(error, SyntaxError) else lines[0])


def short(text):
    """Return a text as one line that is not too long."""
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:157] + "..."


def native(value):
    """Return what JSON gave with each text a str, also in Python 2."""
    if isinstance(value, dict):
        return {native(key): native(item) for key, item in value.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    return value.encode("utf-8") if str is bytes and hasattr(value, "encode") else value


def hint(facts):
    """Return what to do about a child's error, None where that is not known."""
    for pattern, fix in HINTS:
        match = re.search(pattern, facts.get("error", "") + "\n" + facts["log"])
        if match:
            return fix.format(pip=pip(), **match.groupdict())
    return None


def end_group(number):
    """End what a child has left running."""
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        pass


def programs(*names):
    """Yield the paths of the programs of these names, in the order of PATH."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for name in names:
            path = os.path.join(os.path.abspath(folder), name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield path


def python():
    """Return the command that runs this Python."""
    name = os.path.basename(sys.executable)
    return (
        name if next(programs(name), None) == sys.executable else quote(sys.executable)
    )


def pip():
    return "%s -m pip" % python()


def build(folder):
    return "make pycaffe, export PYTHONPATH=%s:$PYTHONPATH" % quote(folder)


def activate():
    """Return the command that puts the layer on PYTHONPATH in the user's shell."""
    shell = os.path.basename(os.environ.get("SHELL", ""))
    source, suffix = ACTIVATE.get(shell, ACTIVATE["sh"])
    return "%s %s/activate.%s" % (
        source,
        "." if same(".", FOLDER) else quote(FOLDER),
        suffix,
    )


def pythonpath():
    """Return the real paths of the entries of PYTHONPATH."""
    value = os.environ.get("PYTHONPATH")
    return (
        [os.path.realpath(entry) for entry in value.split(os.pathsep)] if value else []
    )


def same(one, other):
    return os.path.realpath(one) == os.path.realpath(other)


def source(path):
    """Return the source of a module's file."""
    return path[:-1] if path.endswith((".pyc", ".pyo")) else path


def thing(path):
    """Return the file or folder that is a module, by the module's path."""
    is_package = os.path.splitext(os.path.basename(path))[0] == "__init__"
    return os.path.dirname(path) if is_package else path


def rename(facts, others=()):
    """Return how to get a file out of the way: of a name in an error, or of others; or None."""
    for name in re.findall(r"'(\w+)'", facts.get("error", "")) + list(others):
        for folder in [os.getcwd()] + pythonpath():
            path = os.path.join(folder, name + ".py")
            if os.path.isfile(path):
                return "rename %s, Python has a module of that name" % path
    return None


def unshadow(path):
    """Return how to get a module out of another's way, None if it was installed."""
    folder = os.path.dirname(thing(path))
    if not os.path.exists(source(path)):
        return "delete this left-over"
    if same(folder, "."):
        return "rename it or leave this directory"
    if os.path.realpath(folder) in pythonpath():
        return "rename it or take %s off PYTHONPATH" % folder
    return None


def show(mark, topic, text):
    """Print a row in whatever encoding stdout has."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        mark = MARKS[mark].encode(encoding)
    except UnicodeEncodeError:
        mark = ASCII_MARKS[mark].encode("ascii")
    text = " %-14s  %s\n" % (topic, text)
    if str is not bytes:
        try:
            text = text.encode(encoding, "surrogateescape")
        except UnicodeEncodeError:
            text = text.encode(encoding, "backslashreplace")
    stdout = getattr(sys.stdout, "buffer", sys.stdout)
    try:
        stdout.write(mark + text)
        stdout.flush()
    except EnvironmentError as error:
        if error.errno != errno.EPIPE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)  # the reader has seen enough


def main():
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Say why Caffe does not load the layer %s, and what to do about it."
        % NAME,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "nets", nargs="*", metavar="NET.prototxt", help="a net to look at and run, too"
    )
    nets = parser.parse_args().nets
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder, code = tempfile.mkdtemp(), 0
    try:
        for mark, topic, text in Doctor(folder).rows(nets):
            show(mark, topic, text)
            code = code or int(mark == CROSS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (EnvironmentError, KeyboardInterrupt) as error:
        sys.exit("doctor.py: stopped by %r" % error)
