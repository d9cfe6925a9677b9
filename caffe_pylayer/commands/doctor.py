"""Say why Caffe does not load the layer, and what to do about it.

It looks at Python, Caffe and the layer in the current folder, or in that of --layer, and then at
each NET, which is run once. Whatever may abort runs in a child.
"""

import collections
import functools
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from . import CommandError
from .doctor_child.caffe_pylayer_child import short
from .layer_folder import add_layer_option, find_layer, quote
from .net_text import NoNet, included, read_message, rules

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHILD = os.path.join(
    PACKAGE, "commands", "doctor_child"
)  # all that a child needs of ours
PYTHON_S_MODULES = sorted(sys.modules)  # for which a file may be taken
EXAMPLES = """examples:
  caffe-pylayer doctor                               this Python, Caffe and the layer
  caffe-pylayer doctor example/train_val.prototxt    and a net, which is run once
"""
TICK, CROSS, QUESTION = range(3)
MARKS = [mark.decode("utf-8") for mark in (b"\xe2\x9c\x93", b"\xe2\x9c\x97", b"?")]
ASCII_MARKS = "+x?"
PYTHON_PARAM = ("module", "layer")
PHASES = ("TRAIN", "TEST")
SECONDS = 60  # that a child may take
HANGS = "it hangs: stopped after %d s" % SECONDS
NO_LOSS = "no top has a loss_weight"  # as trace says it
ENDS = "%s ends Python, as os._exit(0) does"
# In Caffe's log: lines that say why it aborts, and those that never do.
REASON = re.compile(
    r"(?:.*Error parsing text-format \S+|caffe-pylayer trace:|F\d{4} [^\]]*\]) (.*)"
)
NOISE = re.compile(
    r"[\W\d_]*$|\s*[a-z_]+(?: \{|: (?:\".*\"|[-+\w.]+))$"  # a line of a net
    r"|\s+@ |\*\*\* |PC: |terminate called|[IW]\d{4} |WARNING: Logging before"
)
WITH_PYTHON = (
    "set WITH_PYTHON_LAYER := 1 in Makefile.config, make clean, make all pycaffe"
)
GET_CAFFE = "see docs/caffe.md of caffe-pylayer"
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


class Problem(Exception):
    """Something is wrong; the arguments are what was found and what to do."""


class NotKnown(Exception):
    """Something cannot be known here; the argument says why."""


class Doctor(object):
    """The checks of a Layer; `folder` is a temporary one for the children."""

    def __init__(self, layer, folder):
        self.home, self.name = layer
        self.folder, self.net = folder, os.path.join(folder, "net.prototxt")
        self.passed = set()
        self.fragment = None
        self.fixes = {}  # by topic
        self.caffe = {}  # facts
        self.classes = []  # in the layer's module

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
        except (Problem, NotKnown):
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
                    raise NotKnown("cannot be asked before %s is right" % need)
            return TICK, topic, check()
        except NotKnown as error:
            return QUESTION, topic, error.args[0]
        except Problem as error:
            self.fixes[topic] = error.args[1]
            return CROSS, topic, "%s -> %s" % error.args

    def run(self, *command):
        """Return what a command tells, with its log, and the error if it failed."""
        path = os.path.join(self.folder, "facts")
        open(path, "w").close()
        entries = [os.environ.get("PYTHONPATH"), CHILD]
        environment = dict(
            os.environ,
            CAFFE_PYLAYER_FACTS=path,
            CAFFE_PYLAYER_LAYER=self.name,
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
        """Return what the function `question` of caffe_pylayer_child tells in a child.

        It sees the sys.path of `python -c`, the current folder first, or with `as_caffe=True` that
        of the command `caffe`, without it.
        """
        code = "import sys\n%simport caffe_pylayer_child as c\nc.answer(*sys.argv[1:])"
        pop = "sys.path[:1] == [''] and sys.path.pop(0)\n"
        code %= pop if options.get("as_caffe") else ""
        facts = self.run(sys.executable, "-c", code, question, *arguments)
        if question != "run_net" and "path" not in facts:
            finding = facts.get("error", "Python ends before it does anything")
            fix = (
                rename(facts, PYTHON_S_MODULES)
                or "rename a file named as one of Python's own modules"
            )
            raise Problem(finding, fix)
        return facts

    def check_python(self):
        self.ask("find", "os")
        return "%d.%d.%d, %s" % (sys.version_info[:3] + (sys.executable,))

    def check_numpy(self):
        facts = self.ask("examine", "numpy")
        path = facts["path"]
        if not path:
            raise Problem("none for this Python", "%s install numpy" % pip())
        if "ndarray" not in facts.get("names", ()):
            fix = (
                unshadow(path)
                or rename(facts)
                or pip() + " install --force-reinstall numpy"
            )
            raise Problem(facts.get("error", "%s is not numpy" % thing(path)), fix)
        return "%s, %s" % (facts["version"], os.path.dirname(path))

    def check_caffe(self):
        facts = self.ask("examine", "caffe")
        path = facts["path"]
        if not path:
            raise Problem("none for this Python", self.get_caffe())
        if os.path.isdir(os.path.join(path, "python", "caffe")):
            raise Problem(
                "%s is Caffe's source" % path, build(os.path.join(path, "python"))
            )
        folder = os.path.dirname(path)
        if "Net" not in facts.get("names", ()) and not os.path.isfile(
            folder + "/pycaffe.py"
        ):
            if glob.glob(os.path.dirname(folder) + "/caffe-*-info"):
                raise Problem(
                    "%s is PyPI's empty placeholder" % folder,
                    pip() + " uninstall caffe",
                )
            raise Problem(
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
                raise Problem("%s is built for Python %s" % (folder, version), fix)
            if "numpy" not in self.passed:
                raise NotKnown("%s cannot be imported before numpy is right" % folder)
            raise Problem(
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
            raise NotKnown("this Caffe is too old to say")
        if "Python" not in types:
            raise Problem("not built in", WITH_PYTHON)
        return "built in"

    def check_command(self):
        path = next(programs("caffe"), None)
        if not path:
            raise NotKnown("none on PATH; the module caffe does without")
        self.write_net()
        facts = self.run_in_caffe()
        if "python" not in facts:
            fix = hint(facts) or "is it Caffe's? put the right one first on PATH"
            raise Problem("%s: %s" % (path, facts.get("error", "it loads no net")), fix)
        version = re.search(r"caffe version (\S+)", self.run(path, "--version")["log"])
        version = version.group(1) if version else ""
        here = "%d.%d" % sys.version_info[:2]
        if facts["python"] != here:
            raise Problem(
                "%s has Python %s, this is %s" % (path, facts["python"], here),
                "use python%s, or caffe and python from one place" % facts["python"],
            )
        if "error" in facts:
            fix = hint(facts) or self.fixes.get("caffe") or rename(facts) or GET_CAFFE
            raise Problem("%s: %s" % (path, facts["error"]), fix)
        if version and self.caffe.get("version", version) != version:
            raise Problem(
                "%s is Caffe %s, the module %s"
                % (path, version, self.caffe["version"]),
                "take both from one place: see PATH and PYTHONPATH",
            )
        return "%s, with Python %s" % (" ".join([path, version]).strip(), here)

    def check_pythonpath(self):
        if os.path.realpath(self.home) not in pythonpath():
            raise Problem("lacks %s" % self.home, self.activate())
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        absolute = [
            entry
            for entry in entries
            if os.path.isabs(entry) and same(entry, self.home)
        ]
        return "has %s%s" % (
            self.home,
            "" if absolute else ", but only from here: it is relative",
        )

    def check_module(self):
        own = self.present(self.name + ".py")
        for as_caffe in (False, True):
            path = self.ask("find", self.name, as_caffe=as_caffe)["path"]
            if not path or not same(source(path), own):
                fix = path and unshadow(path) or "rename or uninstall it"
                raise Problem("%s is %s" % (self.name, path and thing(path)), fix)
        return "%s is %s" % (self.name, own)

    def present(self, file):
        """Return the path of a file of the layer, which must be there."""
        path = os.path.join(self.home, file)
        if not os.path.isfile(path):
            files = os.listdir(self.home)
            others = [
                other for other in files if other.lower() == file.lower() != other
            ]
            fix = "rename %s to %s" % (others[0], file) if others else "put it back"
            raise Problem("%s is missing" % path, fix)
        return path

    def activate(self):
        """Return the command that puts the layer on PYTHONPATH in the user's shell."""
        shell = os.path.basename(os.environ.get("SHELL", ""))
        source, suffix = ACTIVATE.get(shell, ACTIVATE["sh"])
        script = os.path.join(self.home, "activate." + suffix)
        if not os.path.isfile(script):
            return "put %s on PYTHONPATH" % self.home
        home = "." if same(".", self.home) else quote(self.home)
        return "%s %s/activate.%s" % (source, home, suffix)

    def check_class(self):
        facts = self.ask("examine", self.name)
        if "error" in facts:
            raise Problem(facts["error"], hint(facts) or "mend %s.py" % self.name)
        self.classes = facts.get("layers")
        if not self.classes:
            raise Problem(
                "none in %s.py is a caffe.Layer" % self.name,
                "write class NAME(caffe.Layer):",
            )
        return "%s is a caffe.Layer" % ", ".join(self.classes)

    def check_fragment(self):
        file = self.name + ".prototxt"
        layers = layers_in(read(self.present(file)))
        types = ", ".join("%s" % layer.get("type") for layer in layers) or "none"
        if types != "Python":
            finding = "%s: expected one layer { } of type Python, got %s" % (
                file,
                types,
            )
            raise Problem(finding, 'write one, with type: "Python"')
        module, name = names_in(layers[0])
        if module != self.name:
            finding = "%s names the module %s" % (file, module)
            raise Problem(finding, 'write module: "%s"' % self.name)
        if not name or (self.classes and name not in self.classes):
            known = " or ".join(
                'layer: "%s"' % known for known in self.classes or ["NAME"]
            )
            raise Problem("%s names the class %s" % (file, name), "write %s" % known)
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
            raise NotKnown(facts["unknown"])
        if "error" in facts:
            error, more = facts["error"], "mend it; %s -m pytest says more" % python()
            place = re.match(r"(\d+):\d+: (.*)", error)
            if place:  # in a file that the author does not have: show its line
                with open(self.net, "rb") as stream:
                    line = stream.read().splitlines()[int(place.group(1)) - 1]
                line = native(line.decode("utf-8", "replace"))
                error = "%s.prototxt, %s: %s" % (self.name, short(line), place.group(2))
            raise Problem(error, hint(facts) or more)
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
            test = os.path.join(self.home, "tests", "test_%s.py" % self.name)
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
            "layer { name: 'source' type: 'Python' %s python_param { %s } }\n%s\n"
            % (
                " ".join("top: " + json.dumps(top) for top in tops),
                "module: 'caffe_pylayer_source' layer: 'Source' param_str: %s"
                % json.dumps(param_str),
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
            raise Problem(where + "no module or no layer in python_param", "write both")
        facts = self.ask("examine", module, as_caffe=True)
        path = facts["path"]
        if not path or os.path.isdir(path):
            finding = facts.get("error", "%s is only a folder, %s" % (module, path))
            fix = "put its folder on PYTHONPATH"
            if module == self.name:
                fix = (
                    "put %s.py back" % self.name
                    if "PYTHONPATH" in self.passed
                    else self.activate()
                )
            raise Problem(where + finding, fix)
        if "caffe" not in self.passed:
            raise NotKnown(where + "cannot be asked before caffe is right")
        if "error" in facts:
            raise Problem(
                where + facts["error"], hint(facts) or "mend %s" % source(path)
            )
        if name not in facts.get("layers", ()):
            known = " or ".join(
                'layer: "%s"' % known for known in facts.get("layers", ())
            )
            fix = "write %s" % (known or "class %s(caffe.Layer):" % name)
            raise Problem(where + "no caffe.Layer %s in %s" % (name, source(path)), fix)
        return where + "%s in %s" % (name, source(path))

    def check_run(self, path):
        """Check that each layer of a net runs, forward and backward, in the phases it has."""
        if "Python layers" not in self.passed:
            raise NotKnown("whether it loads and runs can be asked on real Caffe only")
        phases = phases_of(read(path))
        for phase in phases:
            facts = self.run(
                sys.executable, PACKAGE, "trace", path, "--caffe=real", "--phase", phase
            )
            more = "%s trace %s --phase %s says more" % (command(), quote(path), phase)
            if facts.get("error") == HANGS:
                raise NotKnown("%s takes more than %d s; %s" % (phase, SECONDS, more))
            if "error" in facts:
                fix = hint(facts) or "mend it; " + more
                raise Problem("%s: %s" % (phase, facts["error"]), fix)
            loss = loss_without_weight(read(path), facts["log"])
            if phase == "TRAIN" and loss:
                finding = "nothing trains: no layer has a loss_weight"
                raise Problem(finding, "write loss_weight: 1 into layer %s" % loss)
        return "loads and runs in " + " and ".join(phases)


def loss_without_weight(message, log):
    """Return the name of the layer that a net should train on, None if it does or cannot.

    It is a Python layer that wants a gradient and whose top is one number that no layer reads;
    `log` is what trace says of the net.
    """
    if NO_LOSS not in log or not re.search(r"^  weight 0 ", log, re.M):
        return None
    state = "TRAIN", set(), 0
    layers = [layer for layer in layers_in(message) if included(rules(layer), state)]
    read_by = [bottom for layer in layers for bottom in layer.all("bottom")]
    for layer in layers:
        flags = ["%s" % flag for flag in layer.all("propagate_down")] or ["true"]
        wanted = layer.all("bottom") and not set(flags) <= {"false", "False", "f", "0"}
        for top in layer.all("top") if layer.get("type") == "Python" and wanted else ():
            number = r"^  top +%s +(1(x1)*|scalar) " % re.escape(top)
            if top not in read_by and re.search(number, log, re.M):
                return layer.get("name", top)
    return None


def read(path):
    """Return the Message in a prototxt file."""
    try:
        return read_message(path, os.path.basename(path))
    except NoNet as error:
        raise Problem("it is " + error.got, error.fix)
    except CommandError as error:
        raise Problem(str(error), "mend it there")
    except EnvironmentError as error:
        raise Problem("%s: %s" % (path, error.strerror), "name a file that can be read")


def python_layers(path):
    """Return the Python layers of a net."""
    message = read(path)
    solver = message.get("net") or message.get("train_net")
    if solver:
        raise Problem("it is a solver", "name its net, %s" % solver)
    if message.all("layers"):
        raise Problem(
            "it has the layers { } of an old Caffe",
            "run upgrade_net_proto_text OLD NEW",
        )
    if not layers_in(message):
        raise Problem("it has no layer { }", "name a net")
    for layer in layers_in(message):
        kind = "%s" % layer.get("type")
        if kind != "Python" and kind.lower() == "python":
            finding = "layer %s is of type %s" % (layer.get("name", "?"), kind)
            raise Problem(finding, 'write type: "Python"')
    layers = [layer for layer in layers_in(message) if layer.get("type") == "Python"]
    if not layers:
        raise NotKnown("it has no Python layer; caffe-pylayer splice puts one in")
    return layers


def phases_of(message):
    """Return the phases in which a net has something to read, TRAIN alone if they are the same."""
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


def command():
    """Return what to type for caffe-pylayer."""
    script = os.path.abspath(sys.argv[0])
    if os.path.basename(script) != "caffe-pylayer":
        return "%s %s" % (
            python(),
            quote(min(PACKAGE, os.path.relpath(PACKAGE), key=len)),
        )
    return (
        "caffe-pylayer"
        if next(programs("caffe-pylayer"), None) == script
        else quote(script)
    )


def pip():
    return "%s -m pip" % python()


def build(folder):
    return "make pycaffe, export PYTHONPATH=%s:$PYTHONPATH" % quote(folder)


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
    stdout.write(mark + text)
    stdout.flush()


def main(parser, given):
    parser.add_argument(
        "nets", nargs="*", metavar="NET", help="a prototxt to look at and run, too"
    )
    add_layer_option(parser)
    arguments = parser.parse_args(given)
    layer = find_layer(arguments.layer)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder, code = tempfile.mkdtemp(), 0
    try:
        for mark, topic, text in Doctor(layer, folder).rows(arguments.nets):
            show(mark, topic, text)
            code = code or int(mark == CROSS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return code
