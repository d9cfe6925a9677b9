"""Values as Python source that Python 2.7 and 3 read alike and no formatter changes."""

import json

WIDTH = 88


def to_source(value, indent=8, used=0):
    """Return a value as Python source, on several lines where one is not enough.

    `indent` is that of the line it begins on, `used` how many characters of that line are
    taken: those before the value, and those that must follow it.
    """
    if not isinstance(value, (list, tuple, dict)):
        return scalar(value)
    if isinstance(value, dict):
        opening, closing = "{", "}"
        starts = [f"{scalar(key)}: " for key in value]
        values = list(value.values())
    else:
        opening, closing = "[", "]"
        starts, values = [""] * len(value), list(value)
    items = [
        start + to_source(item, 0, -1000000) for start, item in zip(starts, values)
    ]
    whole = opening + ", ".join(items) + closing
    if used + len(whole) <= WIDTH or not values:
        return whole
    inner = indent + 4
    lines = [
        " " * inner + start + to_source(item, inner, inner + len(start) + 1) + ","
        for start, item in zip(starts, values)
    ]
    return "\n".join([opening, *lines, " " * indent + closing])


def scalar(value):
    """Return a number, bool, None or string as Python source, strings in ASCII."""
    if not isinstance(value, str):
        return repr(value).replace("e+", "e")  # as formatters write floats
    if not value.isascii():  # formatters take the u off u"..."
        return "json.loads(%s)" % scalar(json.dumps(value))
    body = ascii(value + "'\"")[1:-4].replace("\\'", "'")
    quote = "'" if body.count('"') > body.count("'") else '"'
    return quote + body.replace(quote, "\\" + quote) + quote


def params_source(layer):
    """Return the dict PARAMS of a layer's module: defaults, and types of required keys."""

    def item(key, indent, used):
        value = key.type if key.required else to_source(key.value, indent, used)
        return f'"{key.name}": {value}'

    whole = "{" + ", ".join(item(key, 0, -1000000) for key in layer.keys) + "}"
    if len("PARAMS = ") + len(whole) <= WIDTH:
        return whole
    lines = [f"    {item(key, 4, len(key.name) + 9)}," for key in layer.keys]
    return "\n".join(["{", *lines, "}"])


def filled(words):
    """Return the words of a shell command in lines, each but the last with a \\ at its end."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + len(" " + " \\") <= WIDTH:
            lines[-1] += " " + word
        else:
            lines[-1] += " \\"
            lines.append("    " + word)
    return lines
