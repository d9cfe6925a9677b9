"""The Caffe Python layers in the files of a folder, for `caffe-pylayer audit`: parsed, never run.

Python 2 is translated to Python 3 on the same lines, so that there is one kind of tree. Its parser
is fissix, as the standard library has none since 3.13, and parso none since 0.8.
"""

import ast
import collections
import functools
import os
import re
import sys
import tokenize
import warnings
from io import BytesIO, StringIO
from pathlib import Path

from ..checks import prototxt

PARAM_STR = ("param_str", "param_str_")  # the second before Caffe 1.0
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
UNREADABLE = "CPL101"  # the code of a finding in a file that cannot be looked at
LARGEST = 2**20  # bytes of a file; a parser takes hundreds of times as much
DEEP = "is nested too deep to be parsed: split it"
# How Caffe calls its arguments; a layer may call them otherwise.
SIGNATURES = {
    "setup": ("self", "bottom", "top"),
    "reshape": ("self", "bottom", "top"),
    "forward": ("self", "bottom", "top"),
    "backward": ("self", "top", "propagate_down", "bottom"),
}

# What numpy gives back a view of, so that who writes it writes the array.
VIEWS = {"ravel", "reshape", "squeeze", "swapaxes", "transpose", "view"}

Finding = collections.namedtuple("Finding", "path line who text code")
Fragment = collections.namedtuple("Fragment", "path line module layer message")
Part = collections.namedtuple("Part", "blobs level")  # of all bottoms, tops or weights
LIST, BLOB, DATA, DIFF = "list", "blob", "data", "diff"  # the levels


class Unparsable(Exception):
    """A file that no parser takes; the arguments are the line, and why."""


# Parsing


def decode(data):
    """Return the text of a Python file."""
    try:
        text = data.decode(tokenize.detect_encoding(BytesIO(data).readline)[0])
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = f"is not in {error.encoding}: save it in UTF-8, or name its encoding in line 1"
        raise Unparsable(line, text) from error
    except (SyntaxError, LookupError, ValueError) as error:
        raise Unparsable(
            1, "is in no encoding that Python knows: write it in UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Unparsable(line, "has a NUL byte, which Python refuses: take it out")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(data):
    """Return the ast of a Python file, of Python 3 or 2."""
    text = decode(data)
    if not survives(text):
        raise Unparsable(1, DEEP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tree_of(text)
        except (RecursionError, MemoryError) as error:
            raise Unparsable(1, DEEP) from error
        except (SyntaxError, ValueError) as problem:
            error = problem
        line, text3 = (
            getattr(error, "lineno", None) or 1,
            getattr(error, "msg", str(error)),
        )
        try:
            return tree_of(from_python2(text))
        except ImportError as problem:
            text = f"is no Python 3 ({text3}); for Python 2: pip install fissix"
            raise Unparsable(line, text) from problem
        except (
            Exception
        ) as problem:  # whatever the parser of Python 2 does with nonsense
            text = f"cannot be parsed ({text3}), nor as Python 2: correct it there"
            raise Unparsable(line, text) from problem


def tree_of(text):
    """Return the ast of Python 3, with the subscripts of Python 3.9 or newer."""
    tree = ast.parse(text)
    for node in ast.walk(tree) if sys.version_info < (3, 9) else ():
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.ExtSlice):
                axes = [getattr(axis, "value", axis) for axis in node.slice.dims]
                node.slice = ast.copy_location(ast.Tuple(axes, ast.Load()), node)
            else:
                node.slice = getattr(node.slice, "value", node.slice)
    return tree


def survives(text):
    """Whether the parser does: before Python 3.11 deep nesting ends its process."""
    if sys.version_info >= (3, 11):
        return True
    child = os.fork()
    if not child:
        try:
            ast.parse(text)
        finally:
            os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


# What becomes of a node of Python 2: the first of each of its own tokens, and what follows it.
PYTHON2 = {
    "print_stmt": ({"print": "print(", ">>": "*"}, ")"),
    "exec_stmt": ({"exec": "exec(", "in": ","}, ")"),
    "raise_stmt": ({",": "("}, ")"),
    "except_clause": ({",": " as "}, ""),
    "atom": ({"`": "repr("}, ")"),
    "tfpdef": ({"(": " ", ")": " "}, ""),  # def f((a, b)): the parameters a and b
    "vfpdef": ({"(": " ", ")": " "}, ""),
}
# The same of a token: a regular expression and what replaces it.
PYTHON2_TOKENS = (
    (r"<>", "!="),
    (r"(\d+)[lL]", r"\1"),
    (r"(0[xX][0-9a-fA-F]+|0[bB][01]+)[lL]", r"\1"),
    (r"0([0-7]+)[lL]?", r"0o\1"),
    (r"[uU]([rR]?['\"].*)", r"\1"),
    (r"(['\"].*\\[uUN].*)", r"r\1"),  # which escape nothing there
    (r"(async|await|nonlocal)", r"\1_"),
)


@functools.lru_cache(None)
def python2_parsers():
    """Return parsers of Python 2: with the statement print, and without it."""
    from fissix import pytree
    from fissix.pgen2 import driver

    path = str(Path(pytree.__file__).with_name("Grammar.txt"))
    grammars = [driver.load_grammar(path, "", save=False, force=True) for _ in range(2)]
    del grammars[1].keywords["print"]
    return [driver.Driver(grammar, pytree.convert) for grammar in grammars]


def from_python2(text):
    """Return Python 3 that has the same tree as this Python 2, on the same lines."""
    text = "".join(line.expandtabs() for line in StringIO(text)) + "\n"
    for number, driver in enumerate(python2_parsers()):
        try:
            tree = driver.parse_string(text)
            break
        except Exception:
            if number:
                raise
    kinds = driver.grammar.number2symbol
    for node in tree.post_order():
        if not node.children:
            for pattern, replacement in PYTHON2_TOKENS:
                if re.fullmatch(pattern, node.value, re.DOTALL):
                    node.value = re.sub(
                        pattern, replacement, node.value, flags=re.DOTALL
                    )
        elif kinds.get(node.type) in PYTHON2:
            tokens, closing = PYTHON2[kinds[node.type]]
            tokens, count = dict(tokens), len(tokens)
            for child in node.children:
                if not child.children and child.value in tokens:
                    child.value = tokens.pop(child.value)
            if len(tokens) < count and closing:
                last = collections.deque(node.leaves(), 1)[0]
                last.value = last.value.replace("`", "") + closing
    return str(tree)


# Files and layers


class Source:
    """A Python file: its tree, its functions and classes, and what its names stand for."""

    def __init__(self, path, data):
        self.path, self.module, self.tree = path, module_parts(path), parse(data)
        self.names = {}  # of imported things: {"np": "numpy", "L": "caffe.Layer"}
        for node in ast.walk(self.tree):
            node.source = self
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    self.names[name] = alias.name if alias.asname else name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    dotted = f"{node.module or ''}.{alias.name}"
                    self.names[alias.asname or alias.name] = dotted
                    if dotted == "caffe.*":
                        self.names["Layer"] = "caffe.Layer"
            elif isinstance(node, ast.Assign):
                name = self.dotted(node.value)
                if is_caffe_layer(name) or name in ("eval", "exec"):
                    self.names.update(
                        (x.id, name) for x in node.targets if isinstance(x, ast.Name)
                    )
        defined = list(definitions(self.tree))  # Caffe finds no class in a function
        self.functions = {x.name: x for x in defined if isinstance(x, FUNCTIONS)}
        self.classes = [x for x in defined if isinstance(x, ast.ClassDef)]
        self.classes.sort(key=lambda node: node.lineno)
        self.methods = {
            node: {x.name: x for x in definitions(node) if isinstance(x, FUNCTIONS)}
            for node in self.classes
        }
        self.by_class = {
            node.name: list(x.values()) for node, x in self.methods.items()
        }
        self.who = {x: name for name, x in self.functions.items()}
        for node, methods in self.methods.items():
            self.who.update((x, f"{node.name}.{name}") for name, x in methods.items())
        for function in self.who:
            function.source = self
        self.find_layers(lambda name: [])

    def find_layers(self, elsewhere):
        """Find the layers, in the order of the file; elsewhere(name) gives those of other files."""
        layers, made = [], {}
        for node in self.classes:
            names = [self.dotted(base) for base in node.bases]
            others = [elsewhere(name) for name in names if name not in made]
            bases = [made[name] for name in names if name in made]
            bases += [found[0] for found in others if len(found) == 1]
            layer = made[node.name] = Layer(self, node, bases)
            layer.elsewhere |= any(len(found) > 1 for found in others)
            layer.derives |= any(map(is_caffe_layer, names)) or any(others)
            if not layer.derives and layer.looks_like_one():
                layer.elsewhere = any(root(base) in self.names for base in node.bases)
                layer.derives = layer.elsewhere
            layers.append(layer)
        self.layers = [x for x in layers if x.derives or x.looks_like_one()]

    def dotted(self, node):
        """Return what a name or attribute stands for, such as `numpy.zeros`; else an empty text."""
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.names.get(node.id, node.id)] + attributes[::-1])

    def binds(self, name):
        """Whether the module may have this name."""
        assigned = (
            x.id for x in nodes(self.tree, ast.Name) if isinstance(x.ctx, ast.Store)
        )
        return (
            name in self.names
            or "*" in self.names
            or name in assigned
            or name in self.functions
        )


class Layer:
    """A class to check, with the methods that it inherits from classes under the folder."""

    def __init__(self, source, node, bases):
        self.source, self.node, self.name = source, node, node.name
        self.methods, self.bases = {}, bases
        for base in bases[::-1]:
            self.methods.update(base.methods)
        self.methods.update(source.methods[node])
        self.derives = any(base.derives for base in bases)  # from caffe.Layer
        # Whether it has methods of a file that is not here.
        self.elsewhere = any(base.elsewhere for base in bases)
        self.folder = None  # where it was found
        self.parts = None  # see find_parts
        self.reached = {}  # what reach returned, which many ask

    def looks_like_one(self):
        """Whether it has all methods that Caffe calls, and a name that a net may use."""
        return self.name[0] != "_" and len(
            list(self.caffe_methods(*SIGNATURES))
        ) == len(SIGNATURES)

    def arguments(self, name):
        """Return how a method of Caffe calls its arguments, {"bottom": "bottom", ...}, or None."""
        given = self.methods[name].args
        names = [argument.arg for argument in given.posonlyargs + given.args]
        required = len(names) - len(given.defaults)
        if not required <= len(SIGNATURES[name]) <= len(names):
            return None
        return dict(zip(SIGNATURES[name], names))

    def caffe_methods(self, *names):
        """Yield those of Caffe's methods that it has: the function and its arguments."""
        for name in names:
            if name in self.methods and self.arguments(name):
                yield self.methods[name], self.arguments(name)

    def finding(self, function, node, text):
        """Return a Finding at a node of a function, or of the class where that is None."""
        source = function.source if function else self.source
        who = source.who[function] if function else self.name
        return Finding(source.path, node.lineno, who, text, "")

    def called(self, call):
        """Return the functions of this file that a call runs: one, or the methods of a class."""
        name = dotted(call.func)
        if name.startswith("self."):
            return [x for x in [self.methods.get(name[len("self.") :])] if x]
        parent, attribute = (
            getattr(call.func, "value", None),
            getattr(call.func, "attr", ""),
        )
        if isinstance(parent, ast.Call) and words_of(parent.func) == "super":
            return [x.methods[attribute] for x in self.bases if attribute in x.methods]
        source = getattr(call, "source", self.source)
        if name in source.functions:
            return [source.functions[name]]
        return source.by_class.get(name, [])

    def handed(self, *names):
        """Yield these of Caffe's methods and what they hand blobs to: functions, their arguments.

        An argument that gets another value there is left out.
        """
        found = dict(self.caffe_methods(*names))
        todo = list(found)
        for function in todo:
            stored = {
                x.id for x in nodes(function, ast.Name) if isinstance(x.ctx, ast.Store)
            }
            blobs = {found[function].get(name): name for name in ("bottom", "top")}
            blobs = {x: name for x, name in blobs.items() if x and x not in stored}
            yield function, {name: x for x, name in blobs.items()}
            for call in nodes(function, ast.Call):
                callees = self.called(call)
                for callee in callees:
                    pairs = [(words_of(value), x) for x, value in bound(callee, call)]
                    got = {blobs[word]: x for word, x in pairs if word in blobs}
                    runs = callee.name == "__init__" or not callees[1:]
                    if got and runs and callee not in found:
                        found[callee] = got
                        todo.append(callee)

    def reach(self, *names, walk=ast.walk):
        """Return the functions here that run when these methods do, themselves first."""
        if (names, walk) not in self.reached:
            found = {}
            todo = [self.methods[x] for x in names or self.methods if x in self.methods]
            for function in todo:
                if function not in found:
                    found[function] = True
                    for node in walk(function):
                        if isinstance(node, ast.Call):
                            todo += self.called(node)
            self.reached[names, walk] = list(found)
        return list(self.reached[names, walk])

    def all_flows(self, function):
        """Yield names and the value they get: by assignment, as an argument, or f() by return."""
        for target, value in flows(function):
            yield given(target), value
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value:
                yield {f"{function.name}()", f"self.{function.name}()"}, node.value
            elif isinstance(node, ast.Call):
                for callee in self.called(node):
                    for argument, value in bound(callee, node):
                        yield {argument}, value

    def whole_params(self):
        """Return the words for param_str, and for what was parsed from it as a whole."""
        pairs = [pair for function in self.reach() for pair in self.all_flows(function)]
        whole = [(names, words(value)) for names, value in pairs if not is_item(value)]
        return spread(["param_str"], whole)

    def keys(self):
        """Return the keys of param_str: {"gamma": "=2.0", "mean": ": list", "root": ""}."""
        for node in self.source.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                if [words_of(x) for x in node.targets] == ["PARAMS"]:
                    pairs = zip(node.value.keys, node.value.values)
                    return {x.value: default(y) for x, y in pairs if is_text(x)}
        found, whole = {}, self.whole_params()
        for function in self.reach():
            for node in nodes(function, ast.Subscript, ast.Call):
                key, value = getattr(node, "slice", None), None
                of = getattr(node, "value", None)
                if isinstance(node, ast.Call) and name_of(node.func) in ("get", "pop"):
                    of = getattr(node.func, "value", None)
                    key, value = [*node.args, None, None][:2]
                call = isinstance(of, (ast.Call, ast.BoolOp)) and words(of) & whole
                if is_text(key) and (words_of(of) in whole or call):
                    if found.get(key.value, "") == "":
                        found[key.value] = default(value)
        return found

    def part(self, function, node):
        """Return the Part that an expression of a function is, or is a view of, or None."""
        if self.parts is None:
            self.find_parts()
        start, steps = chain(node)
        part = self.parts.get(scoped(function, start))
        for step in steps:
            if part is None:
                break
            part = self.step(function, part, step)
        return part

    def step(self, function, part, node):
        """Return what an attribute, an index or a call makes of a Part: another, or None."""
        if isinstance(node, ast.Subscript):
            if part.level == LIST and not isinstance(node.slice, ast.Slice):
                return Part(part.blobs, BLOB)
            view = part.level in (DATA, DIFF) and self.is_view(function, node.slice)
            return part if part.level == LIST or view else None
        if part.level == BLOB and getattr(node, "attr", "") in (DATA, DIFF):
            return Part(part.blobs, node.attr)
        view = isinstance(node, ast.Call) or node.attr == "T"
        return part if part.level in (DATA, DIFF) and view else None

    def is_view(self, function, index):
        """Whether x[index] is a view of x: by slices and numbers, not by an array or a mask."""
        return all(
            isinstance(x, (ast.Slice, ast.Constant, ast.UnaryOp))
            or scoped(function, x) in self.counters
            for x in getattr(index, "elts", [index])
        )

    def find_parts(self):
        """Find the words that are the same Part wherever they get a value.

        self.parts is {(function, "x"): Part, "self.x": Part}. What runs first does not matter; a
        word that is now this, now that is left out. self.counters are the i of range(n).
        """
        self.parts, self.counters, given = {}, set(), {}
        given["self.blobs"] = [Part("weight", LIST)]
        for function, arguments in self.caffe_methods(*SIGNATURES):
            for blobs in ("bottom", "top"):
                given[function, arguments[blobs]] = [Part(blobs, LIST)]
        for function in self.reach():
            for target, value in values(function):
                given.setdefault(scoped(function, target), []).append((function, value))
            self.counters |= {scoped(function, x) for x in counters(function)}
            for call in nodes(function, ast.Call):
                callees = self.called(call)
                for callee in callees:
                    if callee.name == "__init__" or not callees[1:]:
                        for word, value in bound(callee, call):
                            given.setdefault((callee, word), []).append(
                                (function, value)
                            )
        for _ in range(10):  # x = bottom; y = x; ...: nobody writes more
            before = len(self.parts)
            for key in set(given) - set(self.parts):
                self.add_part(key, given[key])
            if len(self.parts) == before:
                break

    def add_part(self, key, given):
        def part(value):
            return value if isinstance(value, Part) else self.part(*value)

        # x = bottom[0].data; x = x.reshape(-1): what x itself is made of comes second
        first = [
            x
            for x in given
            if isinstance(x, Part) or scoped(x[0], chain(x[1])[0]) != key
        ]
        parts = set(map(part, first))
        if len(parts) == 1 and None not in parts:
            (self.parts[key],) = parts
            if set(map(part, given)) != parts:
                del self.parts[key]


class Folder:
    """What is under a folder: layers, fragments, tests, and files that no parser takes."""

    def __init__(self, folder):
        self.sources, self.fragments, self.unparsable = [], [], []
        self.lines = {}  # of files with findings, by path
        self.modules = {}  # of all Python files, as tuples of their parts, by the last of these
        self.rest = {}  # of Python files that say nothing of caffe.Layer: words, by path
        tests = []
        for path in files(folder, self.unparsable):
            suffix = os.path.splitext(path)[1]
            if suffix in (".py", ".prototxt"):
                try:
                    if suffix == ".prototxt":
                        self.add_prototxt(path)
                    elif self.add_python(path):
                        tests.append(path)
                except Unparsable as problem:
                    line, text = problem.args
                    self.unparsable.append(Finding(path, line, "", text, UNREADABLE))
        self.add_derived()
        self.layers = [layer for source in self.sources for layer in source.layers]
        bases = {base.node for layer in self.layers for base in layer.bases}
        self.layers = [x for x in self.layers if x.derives or x.node not in bases]
        for layer in self.layers:
            layer.folder = self
            layer.derived = []
        by_node = {layer.node: layer for layer in self.layers}
        for layer in self.layers:
            for base in layer.bases:
                if base.node in by_node:
                    by_node[base.node].derived.append(layer)
        names = {name for x in self.layers for name in (x.name, x.source.module[-1])}
        names = {name.encode(errors="surrogateescape") for name in names}
        self.tests = {}  # by path, Words, or None
        for path in tests:
            data = read(path)
            if any(name in data or name in os.fsencode(path) for name in names):
                try:
                    self.tests[path] = Words(parse(data))
                except Unparsable:
                    self.tests[path] = None

    def add_python(self, path):
        """Take in a Python file; return whether it is a test."""
        parts = module_parts(path)
        self.modules.setdefault(parts[-1], []).append(parts)
        data = read(path, b"caffe", b"Layer")
        if b"caffe" in data and b"Layer" in data:
            self.sources.append(Source(path, data))
        else:
            lines = re.findall(
                rb"^[ \t]*(?:class|def|from|import)\b.*", data, re.MULTILINE
            )
            self.rest[path] = set(re.findall(rb"\w+", b"\n".join(lines)))
        return parts[-1].startswith("test_") or parts[-1].endswith("_test")

    def add_derived(self):
        """Take in the layers that derive from a class of another file; keep what has layers."""
        self.classes, seen, known = {}, [], None
        methods = {name.encode() for name in SIGNATURES}
        while known not in seen:
            seen.append(known)
            names = {name.encode() for names in self.classes.values() for name in names}
            for path in [x for x, y in self.rest.items() if names & y or methods <= y]:
                del self.rest[path]
                try:
                    self.sources.append(Source(path, read(path)))
                except Unparsable:  # and nothing says that there are layers
                    pass
            for source in self.sources:
                source.find_layers(self.layers_of)
            self.classes = {
                x.module: {y.name: y for y in x.layers}
                for x in self.sources
                if x.layers
            }
            known = [
                (source.path, layer.name, sorted(layer.methods), layer.elsewhere)
                for source in self.sources
                for layer in source.layers
            ]
        self.sources = [source for source in self.sources if source.layers]

    def layers_of(self, name):
        """Return the layers that a dotted name may mean, in modules and packages of the folder."""
        module, _, name = name.strip(".").rpartition(".")
        found = {
            x: layers[name]
            for y in self.resolve(module)
            for x, layers in self.classes.items()
            if name in layers and x[: len(y)] == y
        }
        return list(found.values())

    def add_prototxt(self, path):
        data = read(path, b"python_param")
        if b"python_param" not in data:
            return
        try:
            todo = [prototxt.parse(data, "")]
        except ValueError as error:
            line, column, text = re.match(
                r":(\d+):(\d+): (.*)", str(error), re.DOTALL
            ).groups()
            raise Unparsable(
                int(line), f"column {column}: {text}: correct it there"
            ) from error
        for message in todo:  # a layer is the message with a python_param in it
            for (name, value), place in zip(message.fields, message.places):
                if isinstance(value, prototxt.Message):
                    todo.append(value)
                    module, layer = value.get("module"), value.get("layer")
                    if (
                        name == "python_param"
                        and prototxt.fits(module, "string")
                        and layer
                    ):
                        line = data.count(b"\n", 0, place.start) + 1
                        self.fragments.append(
                            Fragment(path, line, module, str(layer), message)
                        )

    def line(self, path, number):
        """Return a line of a file, as bytes; none where it cannot be read."""
        if path not in self.lines:
            try:
                self.lines[path] = re.split(rb"\r\n|\r|\n", read(path))
            except Unparsable:
                self.lines[path] = []
        return b"".join(self.lines[path][number - 1 : number])

    def resolve(self, name):
        """Return the modules under the folder that Python may import by a name."""
        parts = tuple(name.split("."))
        return [x for x in self.modules.get(parts[-1], []) if x[-len(parts) :] == parts]


class Words(set):
    """What a test file mentions, docstrings apart; with the modules that it imports or names."""

    def __init__(self, tree):
        super().__init__()
        self.modules, self.has_test = set(), False
        docstrings = {x.value for x in ast.walk(tree) if isinstance(x, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node not in docstrings:
                    self.modules.add(node.value)
                    self.update(re.findall(r"\w+", node.value))
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [
                    getattr(node, "module", "") or ""
                ]
                self.modules.update(part for name in names for part in name.split("."))
            elif isinstance(node, (ast.Name, ast.Attribute)):
                self.add(getattr(node, "id", getattr(node, "attr", "")))
            elif isinstance(node, ast.FunctionDef):
                self.has_test |= node.name.startswith("test")
        self.update(self.modules)


def files(folder, unparsable):
    """Yield the paths of the files under a folder; links only to files elsewhere."""

    def unreadable(error):
        unparsable.append(
            Finding(
                error.filename, 1, "", f"cannot be read: {error.strerror}", UNREADABLE
            )
        )

    inside = os.path.join(os.path.realpath(folder), "")
    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(x for x in folders if x[0] != "." and x != "__pycache__")
        if "pyvenv.cfg" in names:
            folders[:], names = [], []
        for path in (
            os.path.normpath(os.path.join(root, name)) for name in sorted(names)
        ):
            again = os.path.islink(path) and os.path.realpath(path).startswith(inside)
            if os.path.isfile(path) and not again:
                yield path


def read(path, *words):
    """Return the bytes of a file; if it is too large none, or Unparsable if it holds the words."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise Unparsable(1, f"cannot be read: {error.strerror}") from error
    if len(data) <= LARGEST:
        return data
    if words and all(word in data for word in words):
        raise Unparsable(
            1, f"is larger than {LARGEST // 2**20} MB and was not looked at"
        )
    return b""


def module_parts(path):
    """Return the parts of a module's name, from the root folder on."""
    folder, name = os.path.split(os.path.abspath(path))
    return tuple(folder.split(os.sep)) + ((name[:-3],) if name != "__init__.py" else ())


def is_caffe_layer(dotted):
    parts = dotted.split(".")
    return parts[-1] == "Layer" and "caffe" in parts[:-1]


# What checks ask of a tree


def definitions(tree):
    """Yield the functions and classes of a module or class, those under an if or try, too.

    f = lambda: x is one as well: def f(): return x.
    """
    todo = list(ast.iter_child_nodes(tree))
    for node in todo:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            body = [ast.copy_location(ast.Return(node.value.body), node)]
            for x in node.targets:
                if isinstance(x, ast.Name):
                    function = ast.FunctionDef(x.id, node.value.args, body, [])
                    yield ast.copy_location(function, node)
        elif isinstance(node, (ast.stmt, ast.ExceptHandler)):
            todo += ast.iter_child_nodes(node)


def nodes(tree, *kinds):
    """Return the nodes of these kinds in the order of the file."""
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def root(node):
    """Return the name at the start of a.b[c].d, or None; `blobs` for the weights of a layer."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        if isinstance(node, ast.Attribute) and node.attr == "blobs":
            return "blobs"
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def words(node):
    """Return the names in an expression, self.x and f() among them; param_str by itself."""
    found = set()
    for x in ast.walk(node):
        if isinstance(x, ast.Call) and words_of(x.func):
            found.add(words_of(x.func) + "()")
        elif isinstance(x, ast.Attribute) and x.attr in PARAM_STR:
            found.add("param_str")
        elif words_of(x) not in ("", "self"):
            found.add(words_of(x))
    return found


def words_of(node):
    if isinstance(node, ast.Attribute):
        return f"self.{node.attr}" if getattr(node.value, "id", "") == "self" else ""
    return node.id if isinstance(node, ast.Name) else ""


def is_item(value):
    """Whether a value is a part of params, such as params["x"] or params.get("x")."""
    return any(
        isinstance(x, ast.Subscript) or getattr(x, "attr", "") in ("get", "pop")
        for x in ast.walk(value)
    )


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def default(node):
    """Return how a key is shown after its name, by its default, its type, or nothing."""
    try:
        return f"={ast.literal_eval(node)!r}" if node else ""
    except (ValueError, TypeError, MemoryError, RecursionError):
        return f": {node.id}" if isinstance(node, ast.Name) else "=..."


def name_of(function):
    """Return the last word of what is called."""
    return getattr(function, "attr", getattr(function, "id", ""))


def dotted(node):
    """Return what a name or attribute stands for in its file, or an empty text."""
    start = node
    while isinstance(start, ast.Attribute):
        start = start.value
    source = getattr(start, "source", None)
    return source.dotted(node) if source else ""


def scoped(function, node):
    """Return the word of a node as a key: one of a function, or of the layer."""
    word = words_of(node)
    return word if word.startswith("self.") else (function, word)


def chain(node):
    """Return the x of x[0].data.reshape(1), and the steps from there: index, attribute, call."""
    steps = []
    while not words_of(node):
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            steps.append(node)
            node = node.value
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in VIEWS:
            steps.append(node)
            node = node.func.value
        else:
            break
    return node, steps[::-1]


def values(function):
    """Yield what gets a value, and the value: elements one by one, None if it is not here.

    x += 1 is none: x stays the array that it was.
    """
    todo = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            todo += [(target, node.value) for target in node.targets]
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value:
            todo.append((node.target, node.value))
        elif isinstance(node, (ast.For, ast.comprehension)):
            item = ast.Subscript(node.iter, ast.Constant(0))
            if (
                isinstance(node.iter, ast.Call)
                and dotted(node.iter.func) == "enumerate"
            ):
                item.value = node.iter.args[0] if node.iter.args else node.iter
                item = ast.Tuple([None, item])
            todo.append((node.target, item))
        elif isinstance(node, ast.withitem) and node.optional_vars:
            todo.append((node.optional_vars, None))
        elif isinstance(node, (ast.Lambda, *FUNCTIONS)) and node is not function:
            arguments = node.args.posonlyargs + node.args.args
            todo += [(ast.Name(x.arg), None) for x in arguments]
    for target, value in todo:
        if isinstance(target, (ast.Tuple, ast.List)):
            elements = getattr(value, "elts", None)
            if not elements or len(elements) != len(target.elts):
                elements = [None] * len(target.elts)
            todo += zip(target.elts, elements)
        elif words_of(target):
            yield target, value


def counters(function):
    """Yield the i of `for i in range(n)` and `for i, x in enumerate(y)`."""
    for node in ast.walk(function):
        if isinstance(node, (ast.For, ast.comprehension)):
            name = dotted(getattr(node.iter, "func", None))
            if name in ("range", "xrange"):
                yield node.target
            elif name == "enumerate" and getattr(node.target, "elts", []):
                yield node.target.elts[0]


def given(target):
    """Return the names that get a value in an assignment, those of dicts and lists, too."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return set().union(*map(given, target.elts))
    while isinstance(target, (ast.Subscript, ast.Starred)):
        target = target.value
    return {words_of(target)} - {""}


def bound(function, call):
    """Yield what a call hands to a function: the argument, and the value."""
    names = [x.arg for x in function.args.posonlyargs + function.args.args]
    yield from zip(names[names[:1] == ["self"] :], call.args)
    yield from ((x.arg, x.value) for x in call.keywords)


def flows(function):
    """Yield what gets a value, and the value, for each assignment, loop and `with`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield target, node.value
        elif (
            isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr))
            and node.value
        ):
            yield node.target, node.value
        elif isinstance(node, (ast.For, ast.comprehension)):
            yield node.target, node.iter
        elif isinstance(node, ast.withitem) and node.optional_vars:
            yield node.optional_vars, node.context_expr


def spread(start, pairs):
    """Return the words that something reaches through pairs of words given and words read."""
    found, before = set(start), None
    while len(found) != before:
        before = len(found)
        for given, read in pairs:
            if read & found:
                found |= given
    return found


def every_pass(function):
    """Yield the nodes that run whenever the function does, not those under an if or except.

    An if that asks propagate_down is none: it says yes or no for the whole training.
    """
    todo = [function]
    for node in todo:
        yield node
        if isinstance(node, ast.If) and not any(
            "propagate" in word for word in words(node.test)
        ):
            todo.append(node.test)
        elif not isinstance(node, ast.ExceptHandler):
            todo += ast.iter_child_nodes(node)
