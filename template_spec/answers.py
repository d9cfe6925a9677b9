"""One check for each prompt, and the LayerSpec that the checked answers make."""

import builtins
import functools
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from template_spec.errors import nearest, refuse, shown
from template_spec.keys import KEYWORDS, read_keys
from template_spec.kinds import KINDS
from template_spec.literals import to_json, to_prototxt

DELIMITERS = ("<<", "<%", "<#")
MOST_CHARACTERS = 4000
BUILTINS = {*dir(builtins), "StandardError", "basestring", "long", "unicode", "xrange"}
MODULE_NAMES = {  # what the generated module defines or imports
    "ast", "difflib", "json", "sys", "caffe", "np", "PARAMS", "by_channel",
}  # fmt: skip


@dataclass(frozen=True)
class LayerSpec:
    """A layer as the templates see it."""

    name: str
    class_name: str
    kind_name: str
    bottoms: tuple
    tops: tuple
    keys: tuple
    checks: str
    author: str
    license: str
    header: tuple  # of lines

    @property
    def kind(self):
        """The row of KINDS."""
        return KINDS[self.kind_name]

    @property
    def propagate_down(self):
        """Per bottom, whether it gets a gradient; empty where all do, as in Caffe's own nets."""
        wanted = [i < self.kind.wanted for i in range(len(self.bottoms))]
        return [] if all(wanted) else wanted

    def spare(self, name):
        """Return a name for a layer and blob of the example net that this layer does not use."""
        while name in (self.name, *self.bottoms, *self.tops):
            name += "_"
        return name

    @property
    def param_str(self):
        """The fragment's param_str in lines of prototxt strings, in one line where it fits."""
        items = [f"{json.dumps(key.name)}: {to_json(key.value)}" for key in self.keys]
        whole = to_prototxt("{" + ", ".join(items) + "}")
        if len("    param_str: " + whole) <= 100:
            return [whole]
        pieces = [item + ", " for item in items[:-1]] + [items[-1] + "}"]
        pieces[0] = "{" + pieces[0]
        return [to_prototxt(piece) for piece in pieces]


def layer_spec(answers):
    """Return the LayerSpec of a complete set of answers."""
    return LayerSpec(*(read(answers) for read in CHECKS.values()))


def text_of(answers, variable):
    """Return an answer as text; refuse what is no text, too long or holds a delimiter."""
    answer = answers.get(variable)
    if isinstance(answer, bool) or not isinstance(answer, (str, int)):
        refuse(
            variable, f"{shown(answer)} is no text", "write it in quotes, as one string"
        )
    text = str(answer)
    if len(text) > MOST_CHARACTERS:
        refuse(variable, f"more than {MOST_CHARACTERS} characters", "type fewer")
    refuse_delimiters(variable, text)
    return text


def refuse_delimiters(variable, text):
    """Refuse an answer that cookiecutter would render as a template."""
    for delimiter in DELIMITERS:
        if delimiter in text:
            refuse(
                variable,
                f"{shown(text)} has a {delimiter}, which begins code of a template",
                f"type it without {delimiter}",
            )


def refuse_invisible(variable, text, allowed=""):
    """Refuse characters that do not print: control characters, and those that turn text round."""
    for character in text:
        if not character.isprintable() and character not in allowed:
            code = ascii(character)[1:-1]
            refuse(
                variable,
                f"{shown(text)} has the character {code}, which does not print",
                f"type it without, or in quotes as {code}"
                if variable == "param_str_keys"
                else "type it without",
            )


@functools.lru_cache(maxsize=None)
def reserved_names():
    """Return the module names that a folder on PYTHONPATH must not shadow."""
    lines = Path(__file__).with_name("reserved_names.txt").read_text(encoding="utf-8")
    return {
        name
        for line in lines.splitlines()
        if not line.startswith("#")
        for name in line.split()
    }


def name_problem(name):
    """Return what is wrong with a layer_name, or None."""
    if len(name) > 64:
        return "has more than 64 characters"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return "is not snake_case (a-z, 0-9 and _, a letter first)"
    if name in KEYWORDS:
        return "is a Python keyword"
    if name.startswith("test_") or name.endswith("_test") or name == "conftest":
        return "would be taken for tests by pytest"
    if name in reserved_names():
        return f"would shadow the Python module {name}"
    return None


def proposed_name(name):
    """Return a layer_name near to a bad one."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name[:100])
    near = re.sub(r"^[0-9_]+", "", "_".join(words).lower())[:58].strip("_")
    near = re.sub(r"^(test_)+|(_test)+$", "", near)
    for proposal in (near, f"{near}_layer"):
        if name_problem(proposal) is None:
            return proposal
    return "my_layer"


def layer_name(answers):
    """Return the checked layer_name."""
    name = text_of(answers, "layer_name")
    problem = name_problem(name)
    if problem:
        refuse("layer_name", f"{shown(name)} {problem}", f"try {proposed_name(name)}")
    return name


def class_name(name):
    """Return the PascalCase of a layer_name, ending in Layer."""
    pascal = "".join(word.capitalize() for word in name.split("_"))
    return pascal if pascal.endswith("Layer") else pascal + "Layer"


def layer_class(answers):
    """Return the checked layer_class."""
    name = text_of(answers, "layer_class").strip()
    problem = None
    if len(name) > 80:
        problem = "has more than 80 characters"
    elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        problem = "is no Python class name (A-Z, a-z, 0-9 and _, no digit first)"
    elif name in KEYWORDS:
        problem = "is a Python keyword"
    elif name in BUILTINS | MODULE_NAMES or name.startswith("__"):
        problem = "has a meaning in Python or in the layer's module already"
    if problem:
        proposal = class_name(layer_name(answers))
        refuse("layer_class", f"{shown(name)} {problem}", f"try {proposal}")
    return name


def layer_kind(answers):
    """Return the checked layer_kind."""
    kind = text_of(answers, "layer_kind")
    if kind not in KINDS:
        near = nearest(kind.strip().lower(), KINDS)
        refuse(
            "layer_kind", f"{shown(kind)} is none of {', '.join(KINDS)}", f"try {near}"
        )
    return kind


def blob_names(answers, variable):
    """Return the tuple of bottom or top names that the answer counts or lists."""
    answer = text_of(answers, variable).strip()
    kind_name = layer_kind(answers)
    kind = KINDS[kind_name]
    names = None
    if re.fullmatch(r"-?[0-9]+", answer):
        count = int(answer[:9])
    else:
        names = tuple(name.strip() for name in answer.split(","))
        count = len(names)
        for name in names:
            refuse_blob_name(variable, name)
            if names.count(name) > 1:
                refuse(
                    variable, f"the name {name} stands twice", "take one of them out"
                )
    allowed = getattr(kind, variable)
    if count not in allowed:
        few, many = allowed[0], allowed[-1]
        span = f"{few} to {many}" if few < many else few
        what = variable[:-1] if many == 1 else variable
        refuse(
            variable,
            f"a layer of the kind {kind_name} has {span} {what}, not {answer[:9]}"
            if names is None
            else f"a layer of the kind {kind_name} has {span} {what}, not {count}",
            f"try {getattr(kind, 'default_' + variable)}",
        )
    return names or automatic_names(layer_name(answers), kind, variable, count)


def refuse_blob_name(variable, name):
    """Refuse what cannot be the name of a blob."""
    problem = None
    if not re.fullmatch(r"[A-Za-z0-9_./-]{1,64}", name):
        problem = "is no count and no name (1 to 64 characters A-Z a-z 0-9 _ . / -)"
    elif reads_as_number(name):
        problem = "is no count, and reads as a number, so it is no name"
    if problem:
        refuse(variable, f"{shown(name)} {problem}", "try 2 or scores,label")


def reads_as_number(text):
    """Whether Python takes text for a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def automatic_names(name, kind, variable, count):
    """Return the blob names that a count stands for."""
    if variable == "bottoms":
        return tuple(f"bottom_{i}" for i in range(count))
    first = kind.names[:count] or (name,) * (count == 1)
    return first + tuple(f"{name}_{i}" for i in range(len(first), count))


def top_names(answers):
    """Return the checked tops, none of which is a bottom."""
    tops, bottoms = blob_names(answers, "tops"), blob_names(answers, "bottoms")
    for top in tops:
        if top in bottoms:
            refuse(
                "tops",
                f"{top} is a bottom already, and the checks need the values of both",
                f"try {top}_out",
            )
    return tops


def param_str_keys(answers):
    """Return the tuple of Keys: those of the kind, then those that the answer lists."""
    text, kind_name = text_of(answers, "param_str_keys"), layer_kind(answers)
    refuse_invisible("param_str_keys", text, allowed="\n\t")
    kind = KINDS[kind_name]
    keys = read_keys(text.strip(), read_keys(kind.keys), kind_name)
    values = {key.name: key.value for key in keys}
    for name, (least, most) in kind.limits.items():
        most = values.get(most, most)
        if not least <= values[name] <= most:
            refuse(
                "param_str_keys",
                f"{name} is {values[name]}, not from {least} to {most}",
                f"try {name}={least}",
            )
    return keys


def checks(answers):
    """Return where the checks are: copied into the layer, or installed."""
    answer = text_of(answers, "checks")
    if answer not in ("copied", "installed"):
        refuse(
            "checks", f"{shown(answer)} is neither copied nor installed", "try copied"
        )
    return answer


def line_of(answers, variable):
    """Return the checked _author or _license, one line."""
    text = text_of(answers, variable).strip()
    if len(text) > 200:
        refuse(variable, f"{len(text)} characters are more than 200", "type fewer")
    refuse_invisible(variable, text)
    return text


def header(answers):
    """Return the lines of the checked _header, without comment signs."""
    text = text_of(answers, "_header").replace("\r\n", "\n").strip("\n")
    lines = [line.rstrip() for line in text.split("\n")]
    for line in lines:
        spaces = {c for c in line if unicodedata.category(c) == "Zs"}
        refuse_invisible("_header", line, allowed=spaces)
        if re.search(
            r"coding[:=]|^\W*(syntax|escape|check)\s*=|^!|\\$", line, re.IGNORECASE
        ):
            refuse(
                "_header",
                f"{shown(line)} as a comment would mean something to Python, Docker or the shell",
                "say it in other words",
            )
    return tuple(lines) if any(lines) else ()


# What is asked, in that order, then what only config files and the command line give.
CHECKS = {
    "layer_name": layer_name,
    "layer_class": layer_class,
    "layer_kind": layer_kind,
    "bottoms": lambda answers: blob_names(answers, "bottoms"),
    "tops": top_names,
    "param_str_keys": param_str_keys,
    "checks": checks,
    "_author": lambda answers: line_of(answers, "_author"),
    "_license": lambda answers: line_of(answers, "_license"),
    "_header": header,
}
