"""Values as text of JSON, Markdown and prototxt."""

import json
import re


def to_json(value):
    """Return a value as JSON; characters that do not print stand as \\u escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def to_markdown(value):
    """Return a value as JSON code that can stand in a Markdown table."""
    text = to_json(value).replace("|", "\\|")
    ticks = "`" * (1 + longest_ticks(text))
    return f"{ticks} {text} {ticks}" if len(ticks) > 1 else f"`{text}`"


def markdown_text(text):
    """Return text so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$-])", r"\\\1", text)


def fence(lines):
    """Return a Markdown fence that does not stand in these lines."""
    return "`" * max(3, 1 + longest_ticks("\n".join(lines)))


def longest_ticks(text):
    """Return the length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)


def to_prototxt(text):
    """Return text as a protobuf text-format string in single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def escaped(text):
    """Return text as it stands between double quotes in Python."""
    return text.encode("unicode_escape").decode("ascii").replace('"', "\\x22")
