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
import sys
import tempfile

from ..checks.prototxt import boolean
from . import CommandError, causes, made_bottoms
from .causes import WITH_PYTHON, by_a_line, pythonpath, right_module
from .children import PACKAGE, SECONDS, Children, Later, TimeIsOver, native
from .doctor_child.caffe_pylayer_child import short
from .layer_folder import add_layer_option, find_layer, quote
from .net_text import Net, NoNet, included, read_message, rules, text_of

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
ABORT = r"Check failed|Message type|Unknown|\d+:\d+: "  # what Caffe says of a net
OF_AUTHOR = r"(?m)^  \S+:\d+ in "  # a line of a layer, as trace shows it
GET_CAFFE = "see docs/caffe.md of caffe-pylayer"
ACTIVATE = {"sh": (".", "sh"), "fish": ("source", "fish"), "tcsh": ("source", "csh")}


class Problem(Exception):
    """Something is wrong; the arguments are what was found and what to do."""


class NotKnown(Exception):
    """Something cannot be known here; the argument says why."""


CHECKS = (  # topic, method of Doctor, topics that must be right before
    ("Python", "check_python", ()),
    ("numpy", "check_numpy", ("Python",)),
    ("caffe", "check_caffe", ("Python",)),
    ("Python layers", "check_python_layers", ("caffe",)),
    ("caffe command", "check_command", ("Python",)),
    ("PYTHONPATH", "check_pythonpath", ()),
    ("module", "check_module", ("Python", "PYTHONPATH")),
    ("class", "check_class", ("caffe", "module")),
    ("fragment", "check_fragment", ()),
    ("net in pycaffe", "check_net", ("Python layers", "class", "fragment")),
    ("net in caffe", "check_net_in_caffe", ("caffe command", "module", "fragment")),
)


class Doctor(object):
    """The checks of a Layer by its Children."""

    def __init__(self, layer, children):
        self.layer = layer
        self.home, self.name = layer
        self.children = children
        self.net = os.path.join(children.folder, "net.prototxt")
        self.passed = set()
        self.fragment = None
        self.fixes = {}  # by topic
        self.caffe = {}  # facts
        self.classes = []  # in the layer's module
        self.module, self.root = self.find_module()
        self.in_caffe = self.version = None

    def find_module(self):
        """Return the module that the fragment names, and what must be on PYTHONPATH for it.

        That is the layer's folder, or one above it for a dotted name.
        """
        try:
            module = names_in(layers_in(self.read_fragment())[0])[0] or self.name
        except (Problem, IndexError):
            module = self.name
        root = self.home
        for package in reversed(module.split(".")[:-1]):
            if os.path.basename(root) != package:
                return self.name, self.home
            root = os.path.dirname(root)
        if "." in module and module.split(".")[-1] == self.name:
            return module, root
        return self.name, self.home

    def start(self):
        """Start what takes time: `caffe`, and write the net that both are asked for."""
        chain = [
            ("find", ("os",), False),
            ("find", (self.module,), False),
            ("find", (self.module,), True),
            ("examine", ("numpy",), False),
            ("examine", ("caffe",), False),
            ("examine", (self.module,), False),
        ]
        try:
            self.check_fragment()
            self.write_net(self.fragment)
            chain.append(("run_net", (self.net,), False))
        except Problem:
            self.write_net()
        self.children.chain = chain
        path = next(programs("caffe"), None)
        if path:
            self.in_caffe = Later(self.run_in_caffe, self.net)
            self.version = Later(self.children.run, path, "--version")

    def rows(self, nets):
        """Yield a row (mark, topic, text) for each check."""
        self.start()
        for topic, method, needs in CHECKS:
            result = self.row(topic, getattr(self, method), *needs)
            if result[0] == TICK:
                self.passed.add(topic)
            yield result
        for path in nets:
            topic, marks = os.path.basename(path), []
            for check in self.checks_of_net(path):
                result = self.row(topic, check)
                marks.append(result[0])
                yield result
            if CROSS not in marks:
                run = []
                yield self.row(topic, functools.partial(self.check_run, path, run))
                for line in self.compare_bottoms(path, run):
                    yield QUESTION, topic, line

    def checks_of_net(self, path):
        """Return a check for each class that the Python layers of a net name."""
        try:
            layers = python_layers(path)
        except (Problem, NotKnown):
            return [functools.partial(python_layers, path)]
        classes = collections.OrderedDict()
        for layer in layers:
            classes.setdefault(names_in(layer), []).append(layer)
        names = [module for module, name in classes if module and name]
        self.children.chain = [("examine", (module,), True) for module in names]
        return [
            functools.partial(self.check_layer, layers, path)
            for layers in classes.values()
        ] + [functools.partial(tell, found) for found in findings(read(path))]

    def row(self, topic, check, *needs):
        """Return the mark of a check, its topic, and what it returned or what is wrong."""
        try:
            for need in needs:
                if need not in self.passed:
                    raise NotKnown("cannot be asked before %s is right" % need)
            return TICK, topic, check()
        except (NotKnown, TimeIsOver) as error:
            return QUESTION, topic, error.args[0]
        except Problem as error:
            self.fixes[topic] = error.args[1]
            return CROSS, topic, "%s -> %s" % error.args

    def ask(self, question, *arguments, **options):
        """Return what a function of caffe_pylayer_child tells in a child; see Children.ask."""
        facts = self.children.ask(question, *arguments, **options)
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
            facts = self.children.run(path, "-c", "import caffe._caffe")
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
        facts = self.in_caffe()
        if "made" not in facts and facts.get("error") != self.children.hangs():
            plain = os.path.join(self.children.folder, "plain.prototxt")
            self.write_net(path=plain)
            facts = self.run_in_caffe(plain)
        elif "error" in facts:  # of the layer
            facts = {key: facts[key] for key in facts if key != "error"}
        if "python" not in facts:
            fix = hint(facts) or "is it Caffe's? put the right one first on PATH"
            raise Problem("%s: %s" % (path, facts.get("error", "it loads no net")), fix)
        version = re.search(r"caffe version (\S+)", self.version()["log"])
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
        if os.path.realpath(self.root) not in pythonpath():
            raise Problem("lacks %s" % self.root, self.activate())
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        absolute = [
            entry
            for entry in entries
            if os.path.isabs(entry) and same(entry, self.root)
        ]
        return "has %s%s" % (
            self.root,
            "" if absolute else ", but only from here: it is relative",
        )

    def check_module(self):
        own = self.present(self.name + ".py")
        for as_caffe in (False, True):
            path = self.ask("find", self.module, as_caffe=as_caffe)["path"]
            if not path or not same(source(path), own):
                fix = path and unshadow(path) or "rename or uninstall it"
                raise Problem("%s is %s" % (self.module, path and thing(path)), fix)
        return "%s is %s" % (self.module, own)

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
        if not os.path.isfile(script) or self.root != self.home:
            return "export PYTHONPATH=%s:$PYTHONPATH" % quote(self.root)
        home = "." if same(".", self.home) else quote(self.home)
        return "%s %s/activate.%s" % (source, home, suffix)

    def check_class(self):
        facts = self.ask("examine", self.module)
        if "error" in facts:
            fix = hint(facts) or mend(facts, self.name + ".py", self.module)
            raise Problem(facts["error"], fix)
        self.classes = facts.get("layers")
        if not self.classes:
            raise Problem(
                "none in %s.py is a caffe.Layer" % self.name,
                "write class NAME(caffe.Layer):",
            )
        return "%s is a caffe.Layer" % ", ".join(self.classes)

    def read_fragment(self):
        return read(self.present(self.name + ".prototxt"))

    def check_fragment(self):
        file = self.name + ".prototxt"
        layers = layers_in(self.read_fragment())
        types = ", ".join("%s" % layer.get("type") for layer in layers) or "none"
        if types != "Python":
            finding = "%s: expected one layer { } of type Python, got %s" % (
                file,
                types,
            )
            raise Problem(finding, 'write one, with type: "Python"')
        module, name = names_in(layers[0])
        if module != self.module:
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
        return self.outcome(self.ask("run_net", self.net))

    def check_net_in_caffe(self):
        return self.outcome(self.in_caffe())

    def outcome(self, facts):
        """Return that the net of the fragment ran, or raise what kept it from running."""
        if "unknown" in facts:
            raise NotKnown(facts["unknown"])
        if "error" in facts:
            error = facts["error"]
            more = "%s trace --layer %s shows where" % (command(), quote(self.home))
            if by_a_line(error):
                more = "mend it; %s -m pytest says more" % python()
            place = re.match(r"(\d+):\d+: (.*)", error)
            if place:  # in a file that the author does not have: show its line
                with open(self.net, "rb") as stream:
                    line = stream.read().splitlines()[int(place.group(1)) - 1]
                line = native(line.decode("utf-8", "replace"))
                error = "%s.prototxt, %s: %s" % (self.name, short(line), place.group(2))
            raise Problem(error, hint(facts, **self.about()) or more)
        return "the fragment loads and runs"

    def about(self):
        bottoms = self.fragment.all("bottom")
        return {"layers": [self.fragment], "inputs": bottoms}

    def run_in_caffe(self, net):
        return self.children.run(
            next(programs("caffe")), "time", "-model", net, "-iterations", "1"
        )

    def write_net(self, fragment=None, path=None):
        """Write a net of a source layer, and of the fragment if given."""
        tops, param_str, text = [], "", ""
        if fragment:
            bottoms = fragment.all("bottom")
            tops = sorted(set(bottoms), key=bottoms.index)
            test = os.path.join(self.home, "tests", "test_%s.py" % self.name)
            first = [bottoms.index(top) for top in tops]
            flags = fragment.all("propagate_down") or ["true"]
            wanted = bool(bottoms) and any(map(boolean, flags))
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
        with open(path or self.net, "wb") as stream:
            stream.write(
                text if str is bytes else text.encode("utf-8", "surrogateescape")
            )

    def check_layer(self, layers, net):
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
            fix = right_module(module, net)
            if module == self.module:
                fix = (
                    "put %s.py back" % self.name
                    if "PYTHONPATH" in self.passed
                    else self.activate()
                )
            raise Problem(where + finding, fix)
        if "caffe" not in self.passed:
            raise NotKnown(where + "cannot be asked before caffe is right")
        if "error" in facts:
            fix = hint(facts) or mend(facts, source(path), module)
            raise Problem(where + facts["error"], fix)
        if name not in facts.get("layers", ()):
            known = " or ".join(
                'layer: "%s"' % known for known in facts.get("layers", ())
            )
            fix = "write %s" % (known or "class %s(caffe.Layer):" % name)
            raise Problem(where + "no caffe.Layer %s in %s" % (name, source(path)), fix)
        return where + "%s in %s" % (name, source(path))

    def check_run(self, path, run):
        """Check that each layer of a net runs, forward and backward, in the phases it has.

        To the list `run` it adds (layer's name, [(blob, shape) of its bottoms]) of Python layers.
        """
        if "Python layers" not in self.passed:
            raise NotKnown("whether it loads and runs can be asked on real Caffe only")
        message = read(path)
        phases = phases_of(message)
        traces = [
            Later(
                self.children.run,
                sys.executable,
                PACKAGE,
                "trace",
                path,
                "--caffe=real",
                "--phase",
                phase,
            )
            for phase in phases
        ]
        for phase, trace in zip(phases, traces):
            facts = trace()
            run += facts.get("bottoms", ())
            more = "%s trace %s --phase %s" % (command(), quote(path), phase)
            error = facts.get("error")
            if error == self.children.hangs():
                text = "%s takes more than %g s (--timeout); %s shows where"
                raise NotKnown(text % (phase, self.children.seconds, more))
            if error:
                fix = hint(facts, **about_net(message, phase)) or asked_for_all(message)
                if not fix and "Traceback" not in error and re.search(ABORT, error):
                    fix = "change this in %s" % os.path.basename(path)
                if re.search(OF_AUTHOR, facts["log"]):
                    fix = fix or "mend it; %s says more" % more
                fix = fix or more + " shows where"
                raise Problem("%s: %s" % (phase, error), fix)
        return "loads and runs in %s%s" % (
            " and ".join(phases),
            "; force_backward: true overrides propagate_down: false"
            if asked_for_all(message)
            else "",
        )

    def compare_bottoms(self, path, run):
        """Return lines that say which bottoms of this layer in a net its test makes otherwise.

        The shapes are those of layers that did `run` in Caffe, else what the net's text tells.
        The layer's own example is left out: its tests run it.
        """
        if same(os.path.dirname(path), os.path.join(self.home, "example")):
            return []
        try:
            net = Net(text_of(path), path)
        except CommandError:
            return []
        own = self.fragment and names_in(self.fragment)
        layers = [x for x in net.layers if own and names_in(x.message) == own]
        names = [layer.name for layer in layers]
        found = [
            made_bottoms.Bottom(i, blob, shape)
            for name, blobs in run
            if name in names
            for i, (blob, shape) in enumerate(blobs)
        ] or made_bottoms.in_text(net, layers)
        seconds = min(self.children.left(), made_bottoms.SECONDS)
        return made_bottoms.compare(found, self.layer, path, max(seconds, 1))


def about_net(message, phase):
    """Return what the causes must know of a net in a phase."""
    layers = {name: in_phase(message, name) for name in PHASES}
    tops = {
        name: [top for layer in layers[name] for top in layer.all("top")]
        for name in PHASES
    }
    other = tops[PHASES[phase == PHASES[0]]]
    return {
        "layers": layers[phase],
        "phase": phase,
        "inputs": message.all("input"),
        "elsewhere": set(other) - set(tops[phase]),
    }


def asked_for_all(message):
    """Return what to do where a net asks layers for the gradients that they do not give."""
    flags = [
        flag
        for layer in layers_in(message)
        if layer.get("type") == "Python"
        for flag in layer.all("propagate_down")
    ]
    if not boolean(message.get("force_backward", "false")) or all(map(boolean, flags)):
        return None
    return (
        "force_backward: true asks for a gradient of each bottom, propagate_down: false or not: "
        "take it out, or let backward fill all diffs"
    )


def findings(message):
    """Yield what is wrong, or may be, in the text of a net: an exception to raise."""
    learns = in_phase(message, "TRAIN")
    if not any(map(is_loss, learns)):
        read = [bottom for layer in learns for bottom in layer.all("bottom")]
        for layer in learns:
            if layer.get("type") == "Python" and looks_like_a_loss(layer, read):
                finding = "nothing trains: in TRAIN no top has a loss_weight"
                yield Problem(
                    finding, "write loss_weight: 1 in layer %s" % layer.get("name", "?")
                )
    for layer in layers_in(message):
        both = sorted(set(layer.all("bottom")) & set(layer.all("top")))
        if layer.get("type") == "Python" and both:
            text = (
                "layer %s works in place on %s: backward sees what forward wrote; if it or the "
                'layer before needs what was there, write another top: "%s_out"'
            )
            yield NotKnown(text % (layer.get("name", "?"), both[0], both[0]))


def in_phase(message, phase):
    state = phase, set(), 0
    return [layer for layer in layers_in(message) if included(rules(layer), state)]


def is_loss(layer):
    """Whether Caffe starts backward at a layer."""
    weights = layer.all("loss_weight")
    if weights:
        return any(weights)
    return ("%s" % layer.get("type")).endswith("Loss")


def looks_like_a_loss(layer, read):
    """Whether a Python layer is named as a loss, and nothing reads its tops."""
    names = " ".join("%s" % name for name in names_in(layer) + (layer.get("name"),))
    return "loss" in names.lower() and not set(layer.all("top")) & set(read)


def tell(found):
    raise found


def read(path):
    """Return the Message in a prototxt file."""
    try:
        return read_message(path, os.path.basename(path))
    except NoNet as error:
        raise Problem("it is " + error.got, error.fix)
    except CommandError as error:
        raise Problem(str(error), "correct it there")
    except EnvironmentError as error:
        raise Problem("%s: %s" % (path, error.strerror), "name a file that can be read")


def python_layers(path):
    """Return the Python layers of a net."""
    message = read(path)
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
        nets[phase] = in_phase(message, phase)
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


def hint(facts, **about):
    """Return what to do about a child's error, None where that is not known."""
    return causes.fix_for(facts.get("error", ""), facts["log"], pip=pip(), **about)


def mend(facts, file, module):
    """Return what to do about a module that cannot be imported, for a cause that is not known."""
    files = [os.path.basename(path) for path in facts.get("files", ())]
    name = os.path.basename(file)
    if name in files or name in facts["error"]:
        return "mend %s" % file
    test = "%s -c %s" % (python(), quote("import " + module))
    return "look at what %s does where it is imported: %s" % (file, test)


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
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=SECONDS,
        help="for all that is run (%d)" % SECONDS,
    )
    arguments = parser.parse_args(given)
    if not arguments.timeout > 0:
        parser.error(
            "expected --timeout of more than 0 seconds, got %g" % arguments.timeout
        )
    layer = find_layer(arguments.layer)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder, code = tempfile.mkdtemp(), 0
    children = Children(layer.name, folder, arguments.timeout)
    try:
        for mark, topic, text in Doctor(layer, children).rows(arguments.nets):
            show(mark, topic, text)
            code = code or int(mark == CROSS)
    finally:
        children.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return code
