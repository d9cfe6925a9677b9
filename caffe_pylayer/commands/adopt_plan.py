"""What `caffe-pylayer adopt` understood of a layer and guessed, and the files that come of it."""

import ast
import importlib.util
import os
import re
import sys
from collections import Counter

from .. import __version__
from ..checks import params as param_strs
from ..checks import prototxt
from . import CommandError, net_blobs, shapes
from .adopt_module import Module, uses
from .adopt_source import (
    BLOB_NAME,
    count_of,
    held,
    kind_of,
    names_in_source,
    understood_keys,
    write_params,
)
from .audit import printable
from .python_layers import nodes

SECONDS = 60  # that Caffe may take to load the net
LABEL = re.compile(r"label|target|truth|(^|_)(gt|cls|class|index)(_|$)", re.IGNORECASE)
SURE, GUESS = " ", "?"


class Plan:
    """What was understood of a layer, and the folder that is to be made of it.

    `rows` are (SURE or GUESS, what, text), to be printed.
    """

    def __init__(self, path, options, net=None, ask=None):
        self.rows, self.net, self.ask = [], net, ask
        stem = os.path.splitext(os.path.basename(path))[0]
        found = uses(net, stem)
        parts = found[0][2] if found else None
        self.module = Module(path, parts)
        self.layer = self.module.layer(options.layer_class, {use[3] for use in found})
        found = [use for use in found if use[3] == self.layer.name]
        if net and not found:
            raise CommandError(
                f"{net.path}: no layer {{ }} of it has module: {stem!r} and "
                f"layer: {self.layer.name!r}; leave out --net, or name the net that uses it"
            )
        self.index, self.of_net = found[0][:2] if found else (None, None)
        self.name = options.name or self.default_name()
        self.say(SURE, "class", f"{self.layer.name}, line {self.layer.node.lineno}")
        if self.layer.elsewhere:
            self.say(GUESS, "base class", "it is not here: what it does is not known")
        others = sorted(set(self.module.files) - {self.module.inside})
        if others:
            self.say(SURE, "files", "with " + ", ".join(others))
        self.find_blobs()
        if len(found) > 1:
            text = (
                f"{len(found)} layers of the net are of this class; the first is taken"
            )
            self.say(GUESS, "net", text)
        weights = self.of_net.message.all("loss_weight") if self.of_net else []
        self.kind, why = kind_of(self.layer, self.bottoms, self.tops, weights)
        self.say(
            SURE if any(weights) or not self.bottoms else GUESS,
            "kind",
            f"{self.kind}: {why}",
        )
        self.find_params()
        self.find_shapes(options.shape)
        self.find_gradients()

    def say(self, mark, what, text):
        self.rows.append((mark, what, printable(text)))

    def default_name(self):
        """Return a name for the folder: the module's, or the class's where it is one of several."""
        text = self.module.stem
        if len(self.module.layers) > 1:
            text = re.sub(r"Layer$", "", self.layer.name) or self.layer.name
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", text)
        name = "_".join(words).lower()
        name = re.sub(r"^[0-9_]+|_test$", "", name)
        return re.sub(r"^test_", "", name)[:64].strip("_") or "my_layer"

    def find_blobs(self):
        if self.of_net:
            self.bottoms = [bottom.value for bottom in self.of_net.bottoms]
            self.tops = [top.value for top in self.of_net.tops]
            where = f", of the layer {self.of_net.name!r} of the net"
            marks = SURE, SURE
        else:
            (bottoms, guess), (tops, guess_tops) = [
                count_of(self.layer, blobs) for blobs in ("bottom", "top")
            ]
            self.bottoms = names_in_source(self.layer, "bottom", bottoms)
            self.tops = names_in_source(self.layer, "top", tops)
            self.tops = [f"{x}_out" if x in self.bottoms else x for x in self.tops]
            if len(self.tops) == 1 and self.tops != [self.name]:
                self.tops = [self.name if self.name not in self.bottoms else "top_0"]
            where, marks = "", (GUESS if guess else SURE, GUESS if guess_tops else SURE)
        if not self.tops:
            raise CommandError(
                f"{self.module.path}: {self.layer.name} has no top, so the checks have nothing "
                "to look at"
            )
        self.say(marks[0], "bottoms", (", ".join(self.bottoms) or "none") + where)
        self.say(marks[1], "tops", ", ".join(self.tops))

    def find_params(self):
        python = self.of_net.message.get("python_param") if self.of_net else None
        text = python.get("param_str", "") if python else ""
        text = text if isinstance(text, str) else ""
        given = (param_strs.parse(text) or (None,))[0]
        self.keys = understood_keys(self.layer, given or {})
        self.param_str = None
        params = {key: value for key, (_, value) in self.keys.items()}
        if text and given is None:
            self.say(GUESS, "param_str", f"{text!r} is no dict; it stays as it is")
        elif self.keys:
            unknown = [x for x in self.keys if x not in self.layer.keys()]
            defaults = self.layer.keys()
            shown = [f"{x}{defaults.get(x, '')}" for x in self.keys if x not in unknown]
            if shown:
                self.say(SURE, "param_str", ", ".join(shown))
            if unknown:
                self.say(
                    GUESS,
                    "param_str",
                    f"in the net, not in the source: {', '.join(unknown)}",
                )
            if not self.of_net:
                self.param_str = write_params(self.layer, params)
                open_keys = [
                    x for x in self.keys if not defaults.get(x, "").startswith("=")
                ]
                open_keys += [x for x in self.keys if defaults.get(x) == "=..."]
                if open_keys:
                    text = f"values to replace in the fragment: {', '.join(open_keys)}"
                    self.say(GUESS, "param_str", text)
        elif not self.of_net and self.reads_param_str():
            self.say(
                GUESS,
                "param_str",
                "it is read, but not by keys: write it into the fragment",
            )

    def reads_param_str(self):
        return any(
            x.attr in ("param_str", "param_str_")
            for f in self.layer.reach()
            for x in nodes(f, ast.Attribute)
        )

    def find_shapes(self, given):
        """Find a shape for each bottom: as it is given, or of Caffe, the net, or a guess."""
        wrong = [name for name in given if name not in self.bottoms]
        if wrong:
            raise CommandError(
                f"--shape {wrong[0]}: there is no such bottom: {', '.join(self.bottoms)}"
            )
        caffe = self.caffe_shapes() if self.bottoms and self.of_net else None
        of_net = shapes.with_guesses(self.net, self.index) if self.of_net else {}
        _, whole = held(self.layer, "bottom")
        labels = {
            x for i, x in enumerate(self.bottoms) if LABEL.search(x) or i in whole
        }
        labels |= net_blobs.labels(self.net) if self.of_net else set()
        self.labels = [x for i, x in enumerate(self.bottoms) if x in labels and i]
        self.shapes = []
        for i, name in enumerate(self.bottoms):
            mark, why = SURE, "given"
            shape = given.get(name)
            if shape is None and caffe:
                shape, why = caffe[i], "Caffe"
            if shape is None and name in of_net:
                shape, guessed = of_net[name]
                mark, why = (
                    (GUESS, "the net, partly a guess") if guessed else (SURE, "the net")
                )
            if shape is None:
                shape, mark, why = self.guess_shape(i), GUESS, "a guess"
                if self.ask:
                    shape, why = self.ask(name, shape), "typed"
            self.shapes.append(tuple(shape))
            self.say(
                mark,
                "shape",
                f"{name} {'x'.join(map(str, shape)) or 'one number'}: {why}",
            )
        if self.labels:
            self.say(
                GUESS, "values", f"whole numbers from 0 on: {', '.join(self.labels)}"
            )

    def guess_shape(self, i):
        if self.bottoms[i] in self.labels:
            return self.shapes[0][:1]
        for function in self.layer.reach():
            for node in nodes(
                function, ast.Assign
            ):  # n, c, h, w = bottom[0].data.shape
                sizes = getattr(node.targets[0], "elts", [])
                if getattr(node.value, "attr", "") == "shape" and 1 < len(sizes) < 6:
                    if not any(isinstance(x, ast.Starred) for x in sizes):
                        return (4, 3, 5, 6, 2)[: len(sizes)]
        spatial = {"height", "width", "channels"}
        attributes = {
            x.attr for f in self.layer.reach() for x in nodes(f, ast.Attribute)
        }
        indices = {
            getattr(x.slice, "value", 0)
            for f in self.layer.reach()
            for x in nodes(f, ast.Subscript)
        }
        return (4, 3, 5, 6) if spatial & attributes or {2, 3} & indices else (4, 3)

    def caffe_shapes(self):
        """Return the shapes that real Caffe gives the bottoms, None where it cannot."""
        if (
            importlib.util.find_spec("caffe") is None
            or importlib.util.find_spec("numpy") is None
        ):
            return None
        from ..checks import engine, isolation, net_shapes

        class Bottoms:  # what net_shapes asks of a fragment
            python = self.of_net.message.get("python_param")
            bottoms = list(self.bottoms)
            phase = int(
                any("TEST" in map(str, x.all("phase")) for _, x in self.of_net.rules)
            )

        def load():
            caffe, missing = engine.find_caffe()
            if missing:
                return None
            os.chdir(os.path.dirname(os.path.abspath(self.net.path)))
            sys.path.insert(0, self.module.root)
            path = os.path.abspath(self.net.path)
            return net_shapes.bottom_shapes(caffe, path, Bottoms)

        try:
            return isolation.run_in_child(load, SECONDS, self.module.root)
        except Exception:  # whatever stops Caffe: the net itself is read instead
            return None

    def find_gradients(self):
        """Find the bottoms that get a gradient."""
        message = self.of_net.message if self.of_net else prototxt.Message()
        self.flags = [prototxt.boolean(x) for x in message.all("propagate_down")]
        self.add_flags = False
        if len(self.flags) != len(self.bottoms):
            learned = (
                net_blobs.with_gradient(self.net, self.index) if self.of_net else set()
            )
            mark, why = SURE, "nothing learns above the others in the net"
            wanted = [x in learned for x in self.bottoms]
            if self.kind == "metric":
                wanted, mark, why = (
                    [False] * len(self.bottoms),
                    GUESS,
                    "its backward does nothing",
                )
            elif not any(wanted):
                wanted = [x not in self.labels for x in self.bottoms]
                mark, why = GUESS, "by their names"
            self.flags, self.add_flags = wanted, not all(wanted)
            if self.add_flags:
                got = [x for x, flag in zip(self.bottoms, wanted) if flag]
                self.say(mark, "gradient", f"to {', '.join(got) or 'none'}: {why}")

    # What is generated

    def answers(self):
        """Return the answers for cookiecutter."""
        bottoms, tops = (
            self.sanitized(self.bottoms, "bottom"),
            self.sanitized(self.tops, "top"),
        )
        tops = [f"{x[:60]}_out" if x in bottoms else x for x in tops]
        keys = [text for text, _ in self.keys.values() if text]
        if self.kind == "data":  # which has keys of its own, of other ranges
            keys = [x for x in keys if not re.match("(batch_size|samples|seed)[:=]", x)]
        return {
            "layer_name": self.name,
            "layer_class": self.layer.name,
            "layer_kind": self.kind,
            "bottoms": ",".join(bottoms) or "0",
            "tops": ",".join(tops),
            "param_str_keys": ", ".join(keys),
        }

    def sanitized(self, names, blobs):
        many = Counter(names)
        return [
            x
            if BLOB_NAME.fullmatch(x)
            and many[x] == 1
            and not x.replace(".", "").isdigit()
            else f"{blobs}_{i}"
            for i, x in enumerate(names)
        ]

    def fragment(self):
        """Return the fragment: the net's own layer { }, or one that the source tells."""
        if not self.of_net:
            python = [("module", self.module.dotted), ("layer", self.layer.name)]
            python += [("param_str", self.param_str)] if self.param_str else []
            fields = [("name", self.name), ("type", "Python")]
            fields += [("bottom", x) for x in self.bottoms] + [
                ("top", x) for x in self.tops
            ]
            fields += [("loss_weight", 1)] if self.kind == "loss" else []
            fields += self.flag_fields()
            fields.append(("python_param", prototxt.Message(python)))
            return as_fragment(fields)
        whole = self.net.text
        start = whole.rfind("\n", 0, self.of_net.start) + 1
        lines = whole[start : self.of_net.end].splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        lines = [x[indent:] if not x[:indent].strip() else x for x in lines]
        alone = (
            r"\s*(bottom|top|propagate_down)\s*:\s*(\"[^\"]*\"|'[^']*'|\w+)\s*(#.*)?"
        )
        at = [i for i, x in enumerate(lines) if re.fullmatch(alone, x)]
        fields = [x for x, _ in self.of_net.message.fields]
        blobs = sum(x in ("bottom", "top", "propagate_down") for x in fields)
        if len(at) != blobs or not lines[0].startswith("layer"):
            kept = self.of_net.message
            kept = kept.without("propagate_down") if self.add_flags else kept
            return as_fragment(kept.fields + self.flag_fields())
        if self.add_flags:
            if "propagate_down" in fields:
                lines = [x for x in lines if not re.match(r"\s*propagate_down\b", x)]
                at = [i for i, x in enumerate(lines) if re.fullmatch(alone, x)]
            before = re.match(r"\s*", lines[at[-1]])[0]
            added = [
                f"{before}propagate_down: {flag}" for _, flag in self.flag_fields()
            ]
            lines[at[-1] + 1 : at[-1] + 1] = added
        return ("\n".join(lines) + "\n").encode("latin-1")

    def flag_fields(self):
        words = [prototxt.Word(str(flag).lower()) for flag in self.flags]
        return [("propagate_down", word) for word in words] if self.add_flags else []

    def values(self):
        """Yield for each bottom the Python that makes it."""
        learned = (
            net_blobs.probabilities(self.net, self.index) if self.of_net else set()
        )
        batch = Counter(shape[:1] for shape in self.shapes if shape).most_common(1)
        for name, shape in zip(self.bottoms, self.shapes):
            sizes = [str(n) for n in shape]
            if shape and shape[:1] == batch[0][0]:
                sizes[0] = "batch"
            if name in self.labels:
                first = self.shapes[0]
                apart = len(first) > 1 and first != shape and first[1] > 1
                top = first[1] if apart else 2
                yield f"rng.randint(0, {top}, {as_tuple(sizes)})"
            elif name in learned:
                yield f"rng.uniform(0.1, 0.9, {as_tuple(sizes)})"
            else:
                yield f"rng.randn({', '.join(sizes)})"

    def test(self, generated):
        """Return tests/test_NAME.py, with the header of the generated one."""
        head = generated.split('"""')[0]
        makers = "".join(f"        {code},\n" for code in self.values())
        made = f"[\n{makers}    ]" if makers else "[]"
        return TEST.format(head=head, name=self.name, layer=self.layer.name, made=made)

    def readme(self, generated):
        """Return README.md: of the generated one, what does not depend on a stub."""
        rows = [f"| bottom {i} | `{x}` |" for i, x in enumerate(self.bottoms)]
        rows += [f"| top {i} | `{x}` |" for i, x in enumerate(self.tops)]
        keys = []
        for key, shown in self.layer.keys().items():
            keys.append(
                f"| `{key}` | `{shown.strip('=: ')}` |" if shown else f"| `{key}` | |"
            )
        if keys:
            keys = ["", "| param_str key | default or type |", "|---|---|", *keys]
        about = README.format(
            name=self.name,
            layer=self.layer.name,
            module=self.module.inside.replace(os.sep, "/"),
            rows=printable("\n".join(rows + keys)),
        )
        rest = re.search(
            r"^## Test\n.*?(?=^In a net|^## Origin|\Z)", generated, re.M | re.S
        )
        rest = rest[0] if rest else ""
        rest = re.sub(r" and example/", "", rest)
        rest = re.sub(r"^    caffe train .*\n", "", rest, flags=re.M)
        end = f"## Origin\n\nAdopted by caffe-pylayer {__version__} from a module that was there.\n"
        return about + rest + end


def as_tuple(sizes):
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


TEST = '''\
{head}"""Bottoms to test {layer} with, and what it must give for them."""


def test_{name}(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
    return {made}


def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
    return None
'''
README = """\
# {name}

`{layer}`, a Python layer for [Caffe](https://github.com/BVLC/caffe):
[{module}]({module}) is the layer as it was, and
[{name}.prototxt]({name}.prototxt) is its part of a net.

| blob | name |
|---|---|
{rows}

"""


def as_fragment(fields):
    text = "\n  ".join(str(prototxt.Message(fields)).split("\n"))
    return (f"layer {{\n  {text}\n}}\n").encode("utf-8", "surrogateescape")
