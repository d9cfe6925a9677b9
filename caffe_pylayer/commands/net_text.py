"""The text of a net, one character a byte: its layers, where their names stand, edits of them."""

import codecs
import collections
import itertools
import re

from ..checks import prototxt
from . import CommandError

# A string field of a layer: its value, and (start, end) of the literals that it is written as.
Reference = collections.namedtuple("Reference", "value literals")


def parse(text, path):
    """Return the Message in a text; CommandError, with line and column, if not."""
    data = text.encode("latin-1")
    if data.startswith(codecs.BOM_UTF8):
        got = "a byte order mark, which Caffe cannot read: save it as UTF-8 without one"
        raise CommandError("%s:1:1: expected a name, got %s" % (path, got))
    try:
        return prototxt.parse(data, path)
    except ValueError as error:
        raise CommandError(str(error))


class Net(object):
    """The layers of a net, the inputs that no layer gives, and the states that make a difference.

    CommandError, with line and column, where the text does not parse or holds no layer { }.
    """

    def __init__(self, text, path):
        self.text, self.path, self.message = text, path, parse(text, path)
        fields = zip(self.message.fields, self.message.places)
        self.layers = [
            Layer(value, place) for (name, value), place in fields if name == "layer"
        ]
        self.inputs = self.message.all("input")
        solver = self.message.get("net") or self.message.get("train_net")
        in_lists = [
            layer for layer in self.layers if not text.startswith("layer", layer.start)
        ]
        for wrong, expected, got in (
            (self.message.all("layers"), "layer { }", OLD_LAYERS),
            (solver and not self.layers, "a net", "a solver; its net: %s" % solver),
            (not self.layers, "a net", "no layer { }"),
            (in_lists, "each layer as layer { }", "layer: [ ]"),
        ):
            if wrong:
                raise CommandError("%s: expected %s, got %s" % (path, expected, got))
        for message in [self.message] + [layer.message for layer in self.layers]:
            _need_strings(message, text, path)
        self.states = _states(self.layers)

    def blobs(self):
        """Return the names of all blobs."""
        return self.inputs + [top.value for layer in self.layers for top in layer.tops]

    def active(self, state):
        """Return (index, layer) of the layers that Caffe takes into a net of that state."""
        return [
            pair for pair in enumerate(self.layers) if included(pair[1].rules, state)
        ]

    def last(self, blob, state):
        """Return the index of the last layer that gives a blob; -1 for an input, None for none."""
        found = [i for i, layer in self.active(state) if layer.gives(blob)]
        return found[-1] if found else (-1 if blob in self.inputs else None)

    def readable(self, index, state):
        """Return the blobs that the layer of that index can read in a net of that state.

        A layer whose own bottoms are not there gives none: Caffe loads no such net.
        """
        blobs = set(self.inputs)
        for i, layer in self.active(state):
            if i < index and blobs.issuperset(bottom.value for bottom in layer.bottoms):
                blobs.update(top.value for top in layer.tops)
        return blobs


OLD_LAYERS = "layers { } of an old Caffe; first run: upgrade_net_proto_text OLD NEW"


class Layer(object):
    """A layer of a net: its message, and where it and its names stand in the text."""

    def __init__(self, message, place):
        self.message, self.start, self.end = message, place.start, place.end
        self.name, self.type = message.get("name", ""), message.get("type", "")
        self.rules = rules(message)
        self.names, self.types, self.bottoms, self.tops = (
            [
                Reference(value, where.literals)
                for (name, value), where in zip(message.fields, message.places)
                if name == field
            ]
            for field in ("name", "type", "bottom", "top")
        )

    def reads(self, blob):
        """Whether the blob is a bottom."""
        return any(bottom.value == blob for bottom in self.bottoms)

    def gives(self, blob):
        """Whether the blob is a top."""
        return any(top.value == blob for top in self.tops)

    def wanted(self, bottoms=None):
        """Return those of its bottoms, or of others in their place, that it gives a gradient."""
        blobs = bottoms or [bottom.value for bottom in self.bottoms]
        flags = self.message.all("propagate_down") or [True] * len(blobs)
        return [blob for blob, flag in zip(blobs, flags) if prototxt.boolean(flag)]

    def passes_on(self):
        """Whether others are to read its top for its bottom: not a source, loss or metric."""
        return bool(self.wanted() and self.tops) and not self.message.all("loss_weight")


def _need_strings(message, text, path):
    """Refuse, with line and column, a name or blob that is no string: Caffe does not read it."""
    for (field, _), place in zip(message.fields, message.places):
        if field in ("name", "type", "bottom", "top", "input") and not place.literals:
            got = text[place.value : place.end]
            raise CommandError(
                str(prototxt.error(path, text, place.value, "a string in quotes", got))
            )


def _states(layers):
    """Return the (phase, stages, level) between which the rules of the layers can tell."""
    rules = [rule for layer in layers for _, rule in layer.rules]
    stages = {
        stage for rule in rules for stage in rule.all("stage") + rule.all("not_stage")
    }
    bounds = {
        bound
        for rule in rules
        for bound in rule.all("min_level") + rule.all("max_level")
    }
    groups = [set(), stages] + [{stage} for stage in sorted(stages)]
    levels = {0} | {bound + step for bound in bounds for step in (-1, 0, 1)}
    return list(itertools.product(("TRAIN", "TEST"), groups, sorted(levels)))


def rules(message):
    """Return the include and exclude fields of a layer."""
    names = ("include", "exclude")
    return [
        (k, v)
        for k, v in message.fields
        if k in names and isinstance(v, prototxt.Message)
    ]


def included(rules, state):
    """Whether a layer with these include and exclude fields is in a net of that state."""
    phase, stages, level = state
    number = str(int(phase == "TEST"))
    met = [
        name
        for name, rule in rules
        if str(rule.get("phase", phase)) in (phase, number)
        and rule.get("min_level", level) <= level <= rule.get("max_level", level)
        and stages.issuperset(rule.all("stage"))
        and stages.isdisjoint(rule.all("not_stage"))
    ]
    return "exclude" not in met and ("include" in met or "include" not in dict(rules))


def one_line(name, message):
    """Return the text of a message field in one line."""
    return "%s { %s }" % (name, " ".join(str(message).split()))


def escaped(value, quote='"'):
    """Return what stands between quotes for a value."""
    raw = (
        value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    )
    return re.sub(
        "[\\\\%s\x00-\x1f\x7f]" % quote,
        lambda match: "\\%03o" % ord(match.group()),
        raw.decode("latin-1"),
    )


def renamed(text, reference, value):
    """Return the edits that give a reference another value, in quotes of the same kind."""
    if reference.value == value:
        return []
    start, end = reference.literals[0]
    quote = text[start]
    first = (start, end, quote + escaped(value, quote) + quote)
    return [first] + [(start + 1, end - 1, "") for start, end in reference.literals[1:]]


def edited(text, edits):
    """Return the text after edits, each (start, end, what stands there then)."""
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def joined(net, lines):
    """Return lines as a text with the line breaks of the net."""
    newline = "\r\n" if "\r\n" in net.text else "\n"
    return "\n".join(lines).replace("\r\n", "\n").replace("\n", newline)
