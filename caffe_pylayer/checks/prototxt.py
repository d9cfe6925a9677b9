# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Protobuf text format, as much of it as nets use: parse it, read it, write it."""

import collections
import re

TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n\v\f]|\#[^\n]*)+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?))
    |(?P<mark>[-{}<>:;,\[\]])""",
    re.VERBOSE,
)
ESCAPE = re.compile(b"\\\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
LETTERS = {
    b"n": b"\n",
    b"t": b"\t",
    b"r": b"\r",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
}


DEEPEST = 100  # of messages in messages
# Where a field stands: offsets of its first byte, of its value's first and after its
# last; those of its string literals.
Place = collections.namedtuple("Place", "start value end literals")


class Word(str):
    """A bare word of the text format: true, false or an enum value such as TEST."""


class Message(object):
    """The fields of a message, pairs of name and value in the order of the file.

    One that was parsed has a Place for each.
    """

    def __init__(self, fields=()):
        self.fields = list(fields)
        self.places = []

    def all(self, name):
        """Return the list of values of a field."""
        return [value for field, value in self.fields if field == name]

    def get(self, name, default=None):
        """Return the last value of a field, as protobuf does."""
        return (self.all(name) or [default])[-1]

    def without(self, *names):
        """Return a copy that lacks the fields of these names."""
        return Message(pair for pair in self.fields if pair[0] not in names)

    def __str__(self):
        return "\n".join(_lines(self))


def boolean(value):
    """Return what a bool field says."""
    return str(value) in ("true", "True", "t", "1")


def fits(value, kind):
    """Whether a value fits a field that is a string, number, bool, enum or message."""
    if kind == "bool":
        return str(value) in ("true", "True", "t", "1", "false", "False", "f", "0")
    if kind == "number":
        return isinstance(value, (int, float)) or str(value) in ("inf", "nan")
    return isinstance(value, {"message": Message, "enum": Word}.get(kind, str)) and (
        kind != "string" or not isinstance(value, Word)
    )


def load(path):
    """Return the Message in a file.

    Raises ValueError, with line and column, where it does not parse.
    """
    with open(path, "rb") as stream:
        return parse(stream.read(), path)


def parse(data, path="text"):
    """Return the Message in data, which is bytes; `path` is for the ValueError."""
    text, tokens, end = data.decode("latin-1"), [], 0  # a character a byte
    while end < len(text):
        match = TOKEN.match(text, end)
        if not match:
            raise error(
                path, text, end, "a name, value or bracket", text[end:].split("\n")[0]
            )
        if match.lastgroup != "space":
            tokens.append((match.lastgroup, match.group(), end))
        end = match.end()
    tokens.append(("end", "the end", end))
    return _Parser(text, path, tokens).message("end")


class _Parser(object):
    def __init__(self, text, path, tokens):
        self.text, self.path, self.tokens = text, path, tokens
        self.at = self.depth = 0

    def take(self, *wanted):
        """Return the next token's text if its kind or text is wanted, else None."""
        kind, text, _ = self.tokens[self.at]
        if kind in wanted or (kind == "mark" and text in wanted):
            self.at += 1
            return text
        return None

    def need(self, *wanted):
        """Return the next token's text or raise."""
        text = self.take(*wanted)
        if text is None:
            _, got, place = self.tokens[self.at]
            raise error(self.path, self.text, place, " or ".join(wanted), got)
        return text

    def message(self, end):
        message = Message()
        self.depth += 1
        if self.depth > DEEPEST:
            place = self.tokens[self.at][2]
            raise error(
                self.path, self.text, place, "at most %d levels" % DEEPEST, "more"
            )
        while self.take(end) is None:
            start = self.tokens[self.at][2]
            name = str(self.need("word", end))
            colon = self.take(":")
            if self.take("["):
                while not self.take("]"):
                    self.field(message, name, True, self.tokens[self.at][2])
                    self.take(",")
            else:
                self.field(message, name, colon, start)
            self.take(",", ";")
        self.depth -= 1
        return message

    def field(self, message, name, colon, start):
        first = self.at
        message.fields.append((name, self.value(colon)))
        read = [
            (place, place + len(text))
            for _, text, place in self.tokens[first : self.at]
        ]
        string = self.tokens[first][0] == "string"
        message.places.append(
            Place(start, read[0][0], read[-1][1], read if string else [])
        )

    def value(self, colon):
        for opening, closing in ("{}", "<>"):
            if self.take(opening):
                return self.message(closing)
        if not colon:
            self.need(":", "{")
        if self.take("-"):
            return -self.number()
        text = self.need("string", "number", "word", "{")
        if text[0] in "\"'":
            value = ""
            while text is not None:
                value, text = value + _unescape(text), self.take("string")
            return value
        if text[0].isalpha() or text[0] == "_":
            return Word(text)
        return _number(text)

    def number(self):
        """Return what stands behind a minus."""
        place, text = self.tokens[self.at][2], self.need("number", "word")
        try:
            return _number(text)
        except ValueError:
            raise error(self.path, self.text, place, "a number", text)


def _number(text):
    try:
        return int(text, 0)
    except ValueError:  # of a word, too, that is not inf or nan
        return float(re.sub("(?<=[0-9.])[fF]$", "", text))


def _unescape(quoted):
    def character(match):
        octal, hexadecimal, letter = match.groups()
        if letter is not None:
            return LETTERS.get(letter, letter)
        return bytes(
            bytearray([int(octal, 8) & 255 if octal else int(hexadecimal, 16)])
        )

    raw = ESCAPE.sub(character, quoted[1:-1].encode("latin-1"))
    return raw if str is bytes else raw.decode("utf-8", "surrogateescape")


def error(path, text, place, expected, got):
    """Return the ValueError, with line and column, for that place of a text."""
    line = text.count("\n", 0, place) + 1
    before = text[text.rfind("\n", 0, place) + 1 : place]
    before, got = [
        part.encode("latin-1").decode("utf-8", "replace") for part in (before, got)
    ]
    got = re.sub("[\x00-\x1f\x7f]", "?", got)
    message = "%s:%d:%d: expected %s, got %.20s" % (
        path,
        line,
        len(before) + 1,
        expected,
        got,
    )
    return ValueError(str(message) if str is not bytes else message.encode("utf-8"))


def _lines(message, indent=""):
    for name, value in message.fields:
        if isinstance(value, Message):
            yield "%s%s {" % (indent, name)
            for line in _lines(value, indent + "  "):
                yield line
            yield indent + "}"
        elif isinstance(value, str) and not isinstance(value, Word):
            quoted = (
                value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
            )
            yield "%s%s: '%s'" % (indent, name, quoted)
        else:
            yield "%s%s: %s" % (indent, name, value)
