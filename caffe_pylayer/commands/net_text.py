"""The text of a net, one character a byte: its layers, where their names stand, edits of them.

All commands read nets here, so that a file that is none is named for what it is by all alike.
"""

import codecs
import collections
import itertools
import re

from ..checks import prototxt
from . import CommandError

# A string field of a layer: its value, and (start, end) of the literals that it is written as.
Reference = collections.namedtuple("Reference", "value literals")

# What a file is that holds no net, and no solver, by how it starts, and what to do.
NO_NETS = (
    (r"(?:\s|#[^\n]*)*\Z", "an empty file", "name the file of a %s"),
    (r"version https://git-lfs", "a git-lfs pointer", "get the file by git lfs pull"),
    (r"\s*<(?:!|html|\?xml)", "a web page", "download the file itself, the raw one"),
    (r"\x89PNG|\xff\xd8|GIF8|\s*<svg", "a picture", "name the prototxt of the %s"),
    ("\x89HDF", "an HDF5 file, as of weights", "name the prototxt of the %s"),
    ("PK\x03\x04|\x1f\x8b|BZh|\xfd7z", "a compressed file", "unpack it first"),
    (
        "\n?[\x00-\x08\x0e-\x1f]|[^\x00]*\x00",
        "binary, as a caffemodel",
        "name the prototxt of the %s",
    ),
)
SOLVER = set(
    "net net_param train_net train_net_param test_net test_net_param test_iter test_interval"
    " base_lr lr_policy max_iter solver_mode solver_type snapshot_prefix".split()
)
OLD_LAYERS = "layers { } of an old Caffe; first run: upgrade_net_proto_text OLD NEW"

# The fields that we read, and their kinds: those of KINDS, or of what they hold.
FIELDS = {
    "net": "name:string input:string input_dim:int input_shape:shape layer:layer net:string "
    "train_net:string",
    "layer": "name:string type:string bottom:string top:string include:rule exclude:rule "
    "propagate_down:bool loss_weight:number python_param:python",
    "rule": "phase:phase min_level:int max_level:int stage:string not_stage:string",
    "shape": "dim:int",
    "python": "module:string layer:string param_str:string",
}
FIELDS = {
    kind: dict(pair.split(":") for pair in pairs.split())
    for kind, pairs in FIELDS.items()
}
INTEGERS = (int, type(1 << 70))  # and long in Python 2
KINDS = {  # whether a value is of the kind, and what is expected
    "string": (lambda value: prototxt.fits(value, "string"), "a string in quotes"),
    "number": (lambda value: prototxt.fits(value, "number"), "a number"),
    "int": (lambda value: isinstance(value, INTEGERS), "a whole number"),
    "bool": (lambda value: prototxt.fits(value, "bool"), "true or false"),
    "phase": (lambda value: str(value) in ("TRAIN", "TEST", "0", "1"), "TRAIN or TEST"),
    "message": (lambda value: prototxt.fits(value, "message"), "{ }"),
    "any": (lambda value: True, ""),
}


class NoNet(CommandError):
    """A file that holds no net: `got` says what it is, `fix` what to do."""

    def __init__(self, path, got, fix, wanted="net"):
        text = "%s: expected a %s, got %s: %s" % (path, wanted, got, fix)
        CommandError.__init__(self, text)
        self.got, self.fix = got, fix


def text_of(path):
    """Return the text of a file, a character a byte."""
    with open(path, "rb") as stream:
        return stream.read().decode("latin-1")


def shown(text):
    """Return a piece of such a text for a message."""
    data = text.encode("latin-1")
    return data if str is bytes else data.decode("utf-8", "replace")


def read_message(path, name=None):
    """Return the Message in the file of a net, of any Caffe; `name` is for what is wrong.

    NoNet where it is something else; CommandError, with line and column, where it does not parse.
    """
    return parse(text_of(path), name or path)


def need_text(text, path, wanted="net"):
    """Refuse what is no prototxt at all, by how it starts."""
    for start, got, fix in NO_NETS:
        if re.match(start, text):
            fix = fix % wanted if "%s" in fix else fix
            raise NoNet(path, got, fix, wanted)


def parse(text, path):
    """Return the Message in a text; see read_message."""
    need_text(text, path)
    data = text.encode("latin-1")
    if data.startswith(codecs.BOM_UTF8):
        got = "a byte order mark, which Caffe cannot read: save it as UTF-8 without one"
        raise CommandError("%s:1:1: expected a name, got %s" % (path, got))
    try:
        message = prototxt.parse(data, path)
        _need_kinds(message, "net", text, path)
    except ValueError as error:
        raise CommandError(str(error))
    names = [name for name, _ in message.fields]
    if SOLVER.intersection(names) and not {"layer", "layers"}.intersection(names):
        net = message.get("net") or message.get("train_net")
        inside = [name for name in names if name.endswith("net_param")]
        fix = "name its net" + (net and ", " + net or "")
        if inside and not net:
            fix = "move what its %s { } holds to a file" % inside[0]
        raise NoNet(path, "a solver", fix)
    return message


def _need_kinds(message, kind, text, path):
    """Refuse, with line and column, a field of another kind: Caffe does not read it."""
    kinds = FIELDS[kind]
    for (field, value), place in zip(message.fields, message.places):
        inner = kinds.get(field)
        if inner is None:
            inner = "message" if kind == "layer" and field.endswith("_param") else "any"
        fits, expected = KINDS.get(inner, KINDS["message"])
        if not fits(value):
            got = text[place.value : place.end]
            raise prototxt.error(path, text, place.value, expected, got)
        if inner in FIELDS:
            _need_kinds(value, inner, text, path)


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
        in_lists = [
            layer for layer in self.layers if not text.startswith("layer", layer.start)
        ]
        for wrong, expected, got in (
            (self.message.all("layers"), "layer { }", OLD_LAYERS),
            (not self.layers, "a net", "no layer { }"),
            (in_lists, "each layer as layer { }", "layer: [ ]"),
        ):
            if wrong:
                raise CommandError("%s: expected %s, got %s" % (path, expected, got))
        self.states = _states(self.layers)

    def blobs(self):
        """Return the names of all blobs."""
        return self.inputs + [top.value for layer in self.layers for top in layer.tops]

    def active(self, state):
        """Return (index, layer) of the layers that Caffe takes into a net of that state."""
        return [
            pair for pair in enumerate(self.layers) if included(pair[1].rules, state)
        ]

    def last(self, blob, state, before=None):
        """Return the index of the last layer that gives a blob; -1 for an input, None for none.

        With `before`, of those before that index.
        """
        end = len(self.layers) if before is None else before
        found = [i for i, layer in self.active(state) if i < end and layer.gives(blob)]
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
    groups = map(frozenset, [[], stages] + [[stage] for stage in sorted(stages)])
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


# Edits.

STRING = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
# Behind a string that was replaced: how it stood there, if not as a plain "name".
SPELLING = re.compile(
    " # before caffe-pylayer splice: (%s(?: %s)*)\r?\n" % (STRING, STRING)
)


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


def quoted(value, quote='"'):
    """Return the string literal of a value."""
    return quote + escaped(value, quote) + quote


def renamed(text, reference, value):
    """Return the edits that give a reference another value, in quotes of the same kind.

    Further literals stay as empty ones; how all were spelled is noted behind the first, and comes
    back with the value.
    """
    if reference.value == value:
        return []
    start, end = reference.literals[0]
    quote, note = text[start], SPELLING.match(text, end)
    spelled = [text[first:last] for first, last in reference.literals]
    if note:
        before = prototxt.parse(b"value: " + note.group(1).encode("latin-1"))
        places, back = before.places[0].literals, [note.span() + ("",)]
        if before.get("value") == value:
            literals = [("value: " + note.group(1))[a:b] for a, b in places]
            if len(literals) != len(spelled):
                literals = [quoted(value, quote)] + [quote * 2] * (len(spelled) - 1)
            return back + [
                place + (literal,)
                for place, literal in zip(reference.literals, literals)
            ]
    new = quoted(value, quote)
    if not note and spelled != [quoted(reference.value, quote)]:
        line = " # before caffe-pylayer splice: %s" % " ".join(spelled)
        new += line + line_break(text)
    return [(start, end, new)] + [
        (first + 1, last - 1, "") for first, last in reference.literals[1:]
    ]


def edited(text, edits):
    """Return the text after edits, each (start, end, what stands there then)."""
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def line_break(text):
    """Return how the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"


def joined(net, lines):
    """Return lines as a text with the line breaks of the net."""
    text = "\n".join(lines).replace("\r\n", "\n")
    return text.replace("\n", line_break(net.text))
