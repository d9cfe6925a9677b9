"""Values as Python source that Python 2.7 and 3 read alike and no formatter changes."""

import json
import keyword

WIDTH = 88
OF_NET_SPEC = ("tops", "to_proto")  # its own attributes


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


def net_spec(layer, *further):
    """Return the line of Python that adds the layer to a caffe.NetSpec `n`, or several.

    `further` are arguments for what only this kind has in its fragment.
    """

    def blob(name):
        attribute = name.isidentifier() and not keyword.iskeyword(name)
        return f"n.{name}" if attribute and name not in OF_NET_SPEC else f'n["{name}"]'

    words = [blob(bottom) for bottom in layer.bottoms]
    if len(layer.tops) > 1:
        words.append(f"ntop={len(layer.tops)}")
    if layer.tops[0] != layer.name:  # after which NetSpec names the layer
        words.append(f'name="{layer.name}"')
    words += [f'module="{layer.name}"', f'layer="{layer.class_name}"']
    if layer.keys:
        values = {key.name: key.value for key in layer.keys}
        words.append("param_str=" + scalar(json.dumps(values)))
    if layer.kind.loss_weight:
        words.append("loss_weight=1")
    if layer.propagate_down:
        words.append(f"propagate_down={layer.propagate_down}")
    words += further
    call = ", ".join(blob(top) for top in layer.tops) + " = L.Python("
    whole = call + ", ".join(words) + ")"
    if len(whole) <= WIDTH:
        return whole
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > WIDTH - 10:
            lines.append("")
        lines[-1] += f" {word},"
    return "\n".join([call, *("   " + line for line in lines), ")"])


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
