"""Answers to a validated layer spec: the only place that parses answers.

cookiecutter.json checks each answer right after its prompt with the filter `check`; the templates
read the whole spec with `cookiecutter | layer_spec`. A refusal is one line and exit code 1.
"""

import ast
import functools
import json
import keyword
import math
import re
import shlex
import unicodedata
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

from template_spec.kinds import KINDS
from template_spec.layout import filled, params_source, to_source

HERE = Path(__file__).resolve().parent
SOURCE = Path(__file__).read_bytes()
FOLDER = "<<cookiecutter.layer_name>>"
DELIMITERS = ("<<", "<%", "<#")
MOST_CHARACTERS = 4000


# The types of keys, with the value that the fragment carries for a required one.
TYPES = {
    "int": 1,
    "float": 1.0,
    "bool": True,
    "str": "value",
    "list": [1.0],
    "dict": {},
}

PYTHON_2_KEYWORDS = {"exec", "print"}
CONSTANTS = {"Ellipsis", "NotImplemented", "None", "True", "False", "__debug__"}
WORDS = set(keyword.kwlist) | PYTHON_2_KEYWORDS | CONSTANTS
SOFT_KEYWORDS = {"_", "case", "match", "type"}
DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{i}" for port in ("com", "lpt") for i in range(10)
}
MODULE_NAMES = {  # what the generated module defines or imports
    "ast", "difflib", "json", "sys", "caffe", "np", "PARAMS", "by_channel",
}  # fmt: skip
LAYER_ATTRIBUTES = {
    "blobs", "phase", "param_str", "type", "setup", "reshape", "forward", "backward",
}  # fmt: skip


class Refused(FailedHookException, SystemExit):
    """An answer that is refused; cookiecutter and cruft print the message and exit with 1."""

    def __init__(self, message):
        super().__init__(message)
        self.code = message


def refuse(variable, expected, got, advice):
    """Raise Refused with the one line: what was expected, what came and what to do."""
    shown = ascii(got) if len(ascii(got)) <= 70 else ascii(got)[:67] + "..."
    raise Refused(f"{variable}: expected {expected}, got {shown}: {advice}.")


@dataclass(frozen=True)
class Key:
    """A param_str key: `value` is its default, or what the fragment carries if it is required."""

    name: str
    type: str
    required: bool
    value: object


@dataclass(frozen=True)
class LayerSpec:
    """A layer as the templates see it."""

    name: str
    class_name: str
    kind_name: str
    bottoms: tuple
    tops: tuple
    keys: tuple
    author: str = ""
    license: str = ""
    header: tuple = ()  # of lines
    checks: str = "copied"

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


def text_of(answers, variable):
    """Return an answer as text; refuse what is no text, too long or holds a delimiter."""
    answer = answers.get(variable)
    if isinstance(answer, bool) or not isinstance(answer, (str, int)):
        refuse(variable, "text", answer, "write it as one string")
    text = str(answer)
    if len(text) > MOST_CHARACTERS:
        refuse(variable, f"at most {MOST_CHARACTERS} characters", text, "shorten it")
    refuse_delimiters(variable, text)
    return text


def refuse_delimiters(variable, text):
    """Refuse an answer that cookiecutter would render as a template."""
    for delimiter in DELIMITERS:
        if delimiter in text:
            refuse(
                variable,
                f"no {delimiter}",
                text,
                "take it out, answers are no templates",
            )


@functools.lru_cache(maxsize=None)
def reserved_names():
    """Return the module names that a folder on PYTHONPATH must not shadow."""
    return names_in("reserved_names.txt")


@functools.lru_cache(maxsize=None)
def builtin_names():
    """Return the soft keywords and builtins of Python 2 and 3."""
    return names_in("builtin_names.txt") | SOFT_KEYWORDS


def names_in(file):
    """Return the words of one of our lists."""
    lines = (HERE / "template_spec" / file).read_text(encoding="utf-8").splitlines()
    return {name for line in lines if not line.startswith("#") for name in line.split()}


def layer_name(answers):
    """Return the checked layer_name."""
    name = text_of(answers, "layer_name")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > 64:
        words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
        proposal = (
            re.sub(r"^[0-9_]+", "", "_".join(words).lower())[:64].strip("_")
            or "my_layer"
        )
        refuse(
            "layer_name",
            "snake_case of at most 64 characters a-z, 0-9 and _, a letter first",
            name,
            f"type for example {proposal}",
        )
    for words, what in (
        (WORDS, "no Python keyword"),
        (builtin_names(), "no Python keyword or builtin"),
        (DEVICES, "no name of a device of Windows"),
    ):
        if name in words:
            refuse("layer_name", what, name, f"type for example {name}_layer")
    if name.startswith("test_") or name.endswith("_test") or name == "conftest":
        proposal = re.sub(r"^(test_)+|(_test)+$", "", name)
        proposal = "my_layer" if proposal in ("test", "conftest") else proposal
        refuse(
            "layer_name",
            "a name that pytest does not take for tests (test_*, *_test, conftest)",
            name,
            f"type for example {proposal}",
        )
    if name in reserved_names():
        refuse(
            "layer_name",
            "a name of its own: on PYTHONPATH it would hide the Python module of that name",
            name,
            f"type for example {name}_layer",
        )
    return name


def class_name(name):
    """Return the PascalCase of a layer_name, ending in Layer."""
    pascal = "".join(word.capitalize() for word in name.split("_"))
    return pascal if pascal.endswith("Layer") else pascal + "Layer"


def layer_class(answers):
    """Return the checked layer_class."""
    name = text_of(answers, "layer_class").strip()
    default = class_name(layer_name(answers))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or len(name) > 80:
        refuse(
            "layer_class",
            "a Python class name of at most 80 characters A-Z, a-z, 0-9 and _, no digit first",
            name,
            f"type for example {default}",
        )
    if name in WORDS | builtin_names() | MODULE_NAMES or name.startswith("__"):
        refuse(
            "layer_class",
            "a name that Python or the layer's module does not use already",
            name,
            f"type for example {default}",
        )
    return name


def layer_kind(answers):
    """Return the checked layer_kind."""
    kind = text_of(answers, "layer_kind")
    if kind not in KINDS:
        refuse("layer_kind", f"one of {', '.join(KINDS)}", kind, "take one of these")
    return kind


def blob_names(answers, variable):
    """Return the tuple of bottom or top names that the answer counts or lists."""
    answer = text_of(answers, variable).strip()
    kind = layer_kind(answers)
    allowed = getattr(KINDS[kind], variable)
    names = None
    if re.fullmatch(r"-?[0-9]+", answer):
        count = int(answer[:9])
    else:
        names = tuple(name.strip() for name in answer.split(","))
        count = len(names)
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_./-]{1,64}", name) or name.isdigit():
                refuse(
                    variable,
                    "a count, or names of 1 to 64 characters A-Z a-z 0-9 _ . / - with commas "
                    "between, not digits alone",
                    name,
                    "type for example 2 or scores,label",
                )
            if [other.lower() for other in names].count(name.lower()) > 1:
                refuse(
                    variable,
                    "names that differ in more than capitals",
                    name,
                    "name every blob once",
                )
    if count not in allowed:
        few, many = allowed[0], allowed[-1]
        span = f"{few} to {many} {variable}" if few < many else f"a count of {few}"
        refuse(
            variable,
            f"{span} for the kind {kind}",
            answer,
            f"type for example {getattr(KINDS[kind], 'default_' + variable)}",
        )
    return names or automatic_names(layer_name(answers), kind, variable, count)


def automatic_names(name, kind, variable, count):
    """Return the blob names that a count stands for."""
    if variable == "bottoms":
        return tuple(f"bottom_{i}" for i in range(count))
    first = KINDS[kind].names[:count] or (name,) * (count == 1)
    return first + tuple(f"{name}_{i}" for i in range(len(first), count))


def top_names(answers):
    """Return the checked tops, none of which is a bottom."""
    tops, bottoms = blob_names(answers, "tops"), blob_names(answers, "bottoms")
    for top in tops:
        if top in bottoms:
            refuse(
                "tops",
                "tops that are not bottoms (Python layers do not work in place)",
                top,
                f"type for example {top}_out",
            )
    return tops


def split_keys(text):
    """Yield the comma-separated pieces of param_str_keys; quotes and brackets keep commas."""
    if not text:
        return
    piece, quote, depth, escaped = "", "", 0, False
    for character in text:
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield piece.strip()
            piece = ""
            continue
        piece += character
    yield piece.strip()


def param_str_keys(answers):
    """Return the tuple of Keys: those of the kind, then those that the answer lists."""
    text, kind = text_of(answers, "param_str_keys").strip(), KINDS[layer_kind(answers)]
    keys = {key.name: key for key in map(parse_key, split_keys(kind.keys))}
    seen = set()
    for key in map(parse_key, split_keys(text)):
        if key.name.lower() in seen:
            refuse(
                "param_str_keys",
                "each key once, keys that differ in more than capitals",
                key.name,
                "take one of them out",
            )
        seen.add(key.name.lower())
        preset = keys.get(key.name, key)
        if preset.type != key.type:
            refuse(
                "param_str_keys",
                f"the type {preset.type} for {key.name} of the kind {layer_kind(answers)}",
                key.type,
                f"type for example {key.name}:{preset.type}={to_json(preset.value)}",
            )
        keys[key.name] = replace(key, value=preset.value) if key.required else key
    if any(
        unicodedata.category(character) == "Cc"
        for character in text
        if character not in "\n\t"
    ):
        refuse(
            "param_str_keys",
            "no control characters",
            text,
            "write them in quotes, such as '\\x1b'",
        )
    refuse_beyond_limits(keys, kind.limits)
    return tuple(keys.values())


def refuse_beyond_limits(keys, limits):
    """Refuse a value with which the kind's layer would not load."""
    for name, (least, most) in limits.items():
        most = keys[most].value if most in keys else most
        if not least <= keys[name].value <= most:
            refuse(
                "param_str_keys",
                f"{name} from {least} to {most}",
                keys[name].value,
                f"type for example {name}={least}",
            )


def line_of(answers, variable):
    """Return the checked author or license, one line."""
    text = text_of(answers, variable).strip()
    if len(text) > 200 or not text.isprintable():
        refuse(
            variable,
            "one line of at most 200 characters that print",
            text,
            "shorten it or take out what does not show",
        )
    return text


def header(answers):
    """Return the lines of the checked header, without comment signs."""
    text = text_of(answers, "_header").replace("\r\n", "\n").strip("\n")
    lines = [line.rstrip() for line in text.split("\n")]
    for line in lines:
        for character in line:
            if not character.isprintable() and unicodedata.category(character) != "Zs":
                refuse(
                    "header",
                    "lines of characters that print",
                    line,
                    "take out the others",
                )
        if re.search(
            r"coding[:=]|^\W*(syntax|escape|check)\s*=|^!|\\$", line, re.IGNORECASE
        ):
            refuse(
                "header",
                "lines that mean nothing as a comment: no coding: or syntax=, no \\ at the end",
                line,
                "say it in other words",
            )
    return tuple(lines) if any(lines) else ()


def checks(answers):
    """Return where the checks are: copied into the layer, or installed."""
    answer = text_of(answers, "checks")
    if answer not in ("copied", "installed"):
        refuse("checks", "copied or installed", answer, "type one of these")
    return answer


def parse_key(piece):
    """Return the Key that `name[:type][=default]` describes."""
    match = re.fullmatch(
        r"(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})\s*(:\s*(?P<type>[^=]*?)\s*)?(=\s*(?P<value>.*))?",
        piece,
        re.DOTALL,
    )
    if not match:
        refuse(
            "param_str_keys",
            "name:type=default with commas between, the name a Python identifier of at most 64 "
            "characters",
            piece,
            "type for example x1=1, mode:str='mean'",
        )
    name, type_name, value = match["name"], match["type"], match["value"]
    if name in WORDS or name in LAYER_ATTRIBUTES or name.startswith("__"):
        refuse(
            "param_str_keys",
            "a key that is no Python keyword and no attribute of caffe.Layer",
            name,
            f"type for example {name.strip('_') or 'key'}_1",
        )
    if type_name is not None and type_name not in TYPES:
        refuse(
            "param_str_keys",
            f"one of the types {', '.join(TYPES)} for {name}",
            type_name,
            f"type for example {name}:float",
        )
    if value is None:
        type_name = type_name or "float"
        return Key(name, type_name, True, TYPES[type_name])
    value = parse_value(name, type_name, value)
    natural = type(value).__name__
    if type_name in (None, natural):
        return Key(name, natural, False, value)
    if (type_name, natural) == ("float", "int") and abs(value) <= 2**1023:
        return Key(name, "float", False, float(value))
    refuse(
        "param_str_keys",
        f"a default of the type {type_name} for {name}",
        value,
        f"type for example {name}:{type_name}={to_json(TYPES[type_name])}",
    )


def parse_value(name, type_name, text):
    """Return the JSON or Python literal in text: a number, bool, string, list or dict."""
    value = None
    for parse in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = parse(text.strip())
            break
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    if type(value).__name__ not in TYPES or not is_plain(value):
        type_name = type_name or ("str" if text[:1].isalpha() else "float")
        refuse(
            "param_str_keys",
            f"a JSON or Python value for {name}: a finite number, true, a quoted string, a list "
            "or a dict with string keys",
            text,
            f"type for example {name}:{type_name}={to_json(TYPES[type_name])}",
        )
    return value


def is_plain(value, depth=20):
    """Whether a value comes back the same from JSON and from a Python literal."""
    if isinstance(value, list):
        return depth > 0 and all(is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return (
            depth > 0
            and all(isinstance(key, str) and is_plain(key) for key in value)
            and all(is_plain(item, depth - 1) for item in value.values())
        )
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, int)


def to_json(value):
    """Return a value as JSON; characters that do not print stand as \\u escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def to_python(value):
    """Return a value as a literal that Python 2.7 and 3 read alike, in double quotes."""
    if isinstance(value, list):
        return "[" + ", ".join(to_python(item) for item in value) + "]"
    if isinstance(value, dict):
        items = (f"{to_python(key)}: {to_python(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, str):
        literal = ascii(value)
        if literal[0] == "'" and '"' not in literal:
            literal = '"' + literal[1:-1] + '"'
        return literal if value.isascii() else "u" + literal
    return repr(value)


def to_python_list(values, indent=4):
    """Return a list as Python code, one item a line where it does not fit into 80 columns."""
    whole = to_python(list(values))
    if len(whole) <= 80:
        return whole
    space = " " * indent
    return (
        "[\n"
        + "".join(f"{space}    {to_python(value)},\n" for value in values)
        + space
        + "]"
    )


def to_markdown(value):
    """Return a value as JSON code that can stand in a Markdown table."""
    text = to_json(value).replace("|", "\\|")
    ticks = "`" * (1 + longest_ticks(text))
    return f"{ticks} {text} {ticks}" if len(ticks) > 1 else f"`{text}`"


def longest_ticks(text):
    """Return the length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)


def to_prototxt(text):
    """Return text as a protobuf text-format string in single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


CHECKS = {
    "layer_name": layer_name,
    "layer_class": layer_class,
    "layer_kind": layer_kind,
    "bottoms": lambda answers: blob_names(answers, "bottoms"),
    "tops": top_names,
    "param_str_keys": param_str_keys,
    "_author": lambda answers: line_of(answers, "_author"),
    "_license": lambda answers: line_of(answers, "_license"),
    "_header": header,
    "checks": checks,
}
OPTIONAL = {"_author": "", "_license": "", "_header": "", "checks": "copied"}


def check(answers, variable):
    """Refuse a bad answer to one prompt; render as nothing."""
    CHECKS[variable](answers)
    return ""


def layer_spec(answers, given=()):
    """Return the LayerSpec of a complete set of answers, or refuse.

    `given` is what came before the prompts: there cookiecutter takes a list for a choice.
    """
    for variable, value in dict(given).items():
        if isinstance(value, list) and variable != "layer_kind":
            refuse(variable, "text", value, "write it as one string")
    return LayerSpec(*(read(answers) for read in CHECKS.values()))


def name_if_free(answers, given):
    """Return the layer_name of checked answers; refuse a folder that cannot be renewed with -f."""
    name = layer_spec(answers, given).name
    return name


def root(_):
    """Return the absolute path of the template."""
    return str(HERE)


def version(_):
    """Return the version of this template."""
    text = (HERE / "caffe_pylayer" / "__init__.py").read_text(encoding="utf-8")
    return re.search('__version__ = "(.*)"', text).group(1)


def command(answers):
    """Return the command that gives these answers, in lines for the shell."""
    template = str(answers.get("_template"))
    if not re.fullmatch(r"((gh|gl|bb):|https://|ssh://|git@)[\w.@:/~+-]+", template):
        template = "gh:org/caffe-pylayer"
    given = {variable: answers[variable] for variable in CHECKS}
    words = [
        shlex.quote(f"{variable}={answer}")
        for variable, answer in given.items()
        if answer != OPTIONAL.get(variable)
    ]
    return [f"cookiecutter --no-input {template}", *words]


def escaped(text):
    """Return text as it stands between double quotes in Python."""
    return text.encode("unicode_escape").decode("ascii").replace('"', "\\x22")


def fence(lines):
    """Return a Markdown fence that does not stand in these lines."""
    return "`" * max(3, 1 + longest_ticks("\n".join(lines)))


def default_count(kind, variable):
    """Return the count of bottoms or tops that a kind has by default."""
    return getattr(KINDS[layer_kind({"layer_kind": kind})], f"default_{variable}")


FILTERS = (
    check,
    class_name,
    command,
    default_count,
    escaped,
    fence,
    layer_spec,
    name_if_free,
    root,
    to_json,
    to_markdown,
    to_python,
    to_python_list,
    filled,
    params_source,
    to_source,
    version,
)


class Answers(Extension):
    """The filters, and a guard: no answer is rendered that could be a template."""

    def __new__(cls, environment):
        """Run this file anew when it has changed: `cruft update` generates with two versions."""
        source = Path(__file__).read_bytes()
        if source != SOURCE:
            exec(compile(source, __file__, "exec"), globals())
            return Answers(environment)
        return super().__new__(cls)

    def __init__(self, environment):
        super().__init__(environment)
        for function in FILTERS:
            environment.filters[function.__name__] = function
        guard(environment)


def guard(environment):
    """Wrap environment.from_string, through which cookiecutter renders answers it was given.

    Only our own strings may hold delimiters: cookiecutter.json's, the hooks and, once the loader
    is set, file names. The name of the folder is rendered first when files are generated: there
    all answers are checked once more, because a replay asks and renders none.
    """
    settings = json.loads((HERE / "cookiecutter.json").read_text(encoding="utf-8"))
    for name, value in (
        *settings["_jinja2_env_vars"].items(),
        ("line_statement_prefix", None),
        ("line_comment_prefix", None),
    ):
        if getattr(environment, name) != value:
            got = f"{name} {getattr(environment, name)}"
            refuse(
                "_jinja2_env_vars", "those of cookiecutter.json", got, "take them out"
            )
    own = set(strings(settings)) - set(strings(settings["_jinja2_env_vars"]))
    own |= {hook.read_text(encoding="utf-8") for hook in (HERE / "hooks").glob("*.py")}
    from_string = environment.from_string
    rendered = []

    def guarded(source, *args, **kwargs):
        first = not rendered
        rendered.append(source)
        if first and source == FOLDER:
            return from_string(
                "<<cookiecutter|name_if_free(_cookiecutter|default({}))>>",
                *args,
                **kwargs,
            )
        if environment.loader is None and source not in own:
            refuse_delimiters("an answer", source)
        return from_string(source, *args, **kwargs)

    environment.from_string = guarded


def strings(value):
    """Yield every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from strings(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
