"""Show which Caffe Python layers under a folder want a look. Runs none of them.

It prints a table, a row for each layer and a column for each check, and then what is wrong.
"""

# A Python layer is a class that derives from caffe.Layer, by whatever name it was imported, or from
# such a class, or that has its four methods; see python_layers.py. What is found: findings.py.

import ast
import json
import os
import re
import sys
from urllib.parse import quote

from .. import __version__
from .findings import DASH, FINDINGS, QUESTION, RULE, WRONG
from .python_layers import Folder, Unparsable, read

TICK, CROSS, ADVICE = "✓", "✗", "!"
ASCII = {TICK: "+", CROSS: "x"}
LEGEND = (
    f"{TICK} fine  {CROSS} wrong in Caffe  {ADVICE} house rule  "
    f"{QUESTION} the text does not tell  {DASH} does not apply"
)
ROWS = {row.code: row for row in FINDINGS}
COLUMNS = [  # but that of files which cannot be read
    "tests", "fragment", "base", "params", "eval", "top diff", "blobs", "weights", "setup", "prints"
]  # fmt: skip
PAGE = "https://github.com/org/caffe-pylayer/blob/main/docs/audit.md"
NOQA = re.compile(
    rb"#\s*noqa\b(?::\s*([A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?(?!\s*:)", re.I
)
MEANINGS = "".join(f"  {x.code}  {x.name:10}{x.text}\n" for x in FINDINGS)
EXAMPLES = f"""findings, CPL1 wrong in Caffe and CPL2 house rules; docs/audit.md explains each:
{MEANINGS}
A comment `# noqa: CPL203` in the line of a finding silences it there.

{LEGEND}
exit code: 0 nothing is wrong in Caffe, 1 something is (with --strict a house rule, too),
2 wrong usage

examples:
  caffe-pylayer audit ~/caffe/python
  caffe-pylayer audit . --format github --strict
  caffe-pylayer audit layers --table >>README.md
"""


# Findings


class Audit:
    """The layers of a folder, the mark of each in each column, and all findings."""

    def __init__(self, folder):
        self.folder = folder
        self.marks = [self.judge(layer) for layer in folder.layers]
        found = [x for _, findings in self.marks for x in findings]
        found += [x for x in folder.unparsable if not is_silenced(x)]
        self.findings = list(dict.fromkeys(found))
        self.marks = [marks for marks, _ in self.marks]

    def judge(self, layer):
        """Return the marks of a layer by column, and its findings that no comment silences."""
        results, findings = {name: [] for name in COLUMNS}, []
        for row in FINDINGS:
            if row.function:
                found = row.function(layer)
                if not isinstance(found, str):
                    found = [x._replace(code=row.code) for x in found]
                    found = [x for x in found if not is_silenced(x)]
                    findings += found
                    found = mark_of(row) if found else TICK
                results[row.name].append(found)
        order = [CROSS, ADVICE, QUESTION, TICK, DASH]
        return {x: min(y, key=order.index) for x, y in results.items()}, findings

    def count(self, level):
        return sum(ROWS[x.code].level is level for x in self.findings)


def mark_of(row):
    return CROSS if row.level is WRONG else ADVICE


def is_silenced(finding):
    """Whether the line of a finding has a comment # noqa, or # noqa: with the finding's code."""
    try:
        lines = re.split(rb"\r\n|\r|\n", read(finding.path))
    except Unparsable:
        return False
    match = NOQA.search(lines[finding.line - 1]) if finding.line <= len(lines) else None
    codes = match and re.split(rb"[,\s]+", (match[1] or finding.code.encode()).upper())
    return bool(match) and finding.code.encode() in codes


# What is printed


def as_text(audit):
    """A table with a mark for each layer and column, then the findings."""
    rows = [["layer", "file", *COLUMNS]]
    for layer, marks in zip(audit.folder.layers, audit.marks):
        place = f"{layer.source.path}:{layer.node.lineno}"
        rows.append([layer.name, place, *marks.values()])
    for x in audit.folder.unparsable:
        rows.append([DASH, f"{x.path}:{x.line}", *QUESTION * len(COLUMNS)])
    if len(rows) == 1:
        return ["no Python layer here: no class that derives from caffe.Layer"]
    lines = [
        *table([[printable(cell) for cell in row] for row in rows]),
        "",
        LEGEND,
        "",
    ]
    lines += [
        printable(f"{x.path}:{x.line}: {x.code} {message(x)}") for x in audit.findings
    ]
    lines.append(
        f"{len(audit.folder.layers)} layers, {len(audit.findings)} findings: "
        f"{audit.count(WRONG)} wrong in Caffe, {audit.count(RULE)} house rules"
    )
    return lines


def as_github(audit):
    """A workflow command for each finding, which GitHub shows at its line."""
    return [
        f"::{level_of(x)} file={escaped(printable(x.path), ':,')},line={x.line},"
        f"title={x.code} {ROWS[x.code].name}::{escaped(message(x))}"
        for x in audit.findings
    ]


def as_json(audit):
    layers = [
        {
            "name": x.name,
            "path": printable(x.source.path),
            "line": x.node.lineno,
            "marks": marks,
        }
        for x, marks in zip(audit.folder.layers, audit.marks)
    ]
    findings = [
        {"code": x.code, "name": ROWS[x.code].name, "level": ROWS[x.code].level,
         "path": printable(x.path), "line": x.line, "in": x.who, "text": printable(x.text)}
        for x in audit.findings
    ]  # fmt: skip
    return json.dumps(
        {"version": __version__, "layers": layers, "findings": findings}, indent=1
    ).splitlines()


def as_sarif(audit):
    """SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"""
    rules = [
        {
            "id": row.code,
            "name": row.name.title().replace(" ", ""),
            "shortDescription": {"text": row.text},
            "helpUri": f"{PAGE}#{row.code.lower()}",
            "defaultConfiguration": {"level": LEVELS[row.level]},
        }
        for row in FINDINGS
    ]
    results = [
        {
            "ruleId": x.code,
            "ruleIndex": list(ROWS).index(x.code),
            "level": level_of(x),
            "message": {"text": message(x)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri(x.path)},
                        "region": {"startLine": x.line},
                    }
                }
            ],
        }
        for x in audit.findings
    ]
    driver = {"name": "caffe-pylayer", "version": __version__, "informationUri": PAGE}
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
        "sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {**driver, "rules": rules}}, "results": results}],
    }
    return json.dumps(log, indent=1).splitlines()


FORMATS = {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}
LEVELS = {WRONG: "error", RULE: "warning"}


def level_of(finding):
    return LEVELS[ROWS[finding.code].level]


def message(finding):
    return printable(f"{finding.who + ': ' if finding.who else ''}{finding.text}")


def escaped(text, more=""):
    """Return a text for a workflow command of GitHub."""
    return "".join(f"%{ord(x):02X}" if x in "%\r\n" + more else x for x in text)


def uri(path):
    """Return the path of a file as SARIF has it, relative where it is."""
    start = "file://" if os.path.isabs(path) else ""
    return start + quote(os.fsencode(path))


def table(rows):
    """Return the lines of a table of texts, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.center(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def printable(text):
    """Return the text without control characters and half characters."""
    return "".join(
        x if x.isprintable() else x.encode("unicode_escape").decode() for x in text
    )


# The table of layers


def as_markdown(folder):
    """A table of the layers for a README: what each does, its blobs and keys."""
    rows = [
        ["layer", "what it does", "bottoms", "tops", "keys of param_str"],
        ["---"] * 5,
    ]
    for layer in folder.layers:
        path = quote(os.fsencode(os.path.relpath(layer.source.path)))
        blobs = blobs_of(layer)
        keys = [f"`{key}{value}`" for key, value in layer.keys().items()]
        sentence = (ast.get_docstring(layer.node) or "").split("\n")[0]
        rows.append([f"[{layer.name}]({path})", sentence, *blobs, ", ".join(keys)])
    return [f"| {' | '.join(map(cell, row))} |" for row in rows]


def blobs_of(layer):
    """Return the bottoms and the tops that a net gives a layer, preferably one beside it."""
    folder, here = layer.folder, os.path.dirname(layer.source.path)
    fragments = [
        x
        for x in folder.fragments
        if x.layer == layer.name and layer.source.module in folder.resolve(x.module)
    ]
    fragments.sort(key=lambda x: os.path.dirname(x.path) != here)
    message = fragments[0].message if fragments else None
    return [
        ", ".join(map(str, message.all(name) if message else []))
        for name in ("bottom", "top")
    ]


def cell(text):
    return printable(text).replace("|", r"\|").replace("<", "&lt;")


# The command


def main(parser, given):
    sys.stdout.reconfigure(errors="backslashreplace")
    parser.add_argument(
        "dir", metavar="DIR", help="where the layers are, their nets and tests"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--format",
        choices=list(FORMATS),
        default="text",
        help="text unless you say another",
    )
    output.add_argument(
        "--table",
        action="store_true",
        help="print no findings, but a table of the layers in Markdown, for a README",
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit code 1 for a house rule, too"
    )
    options = parser.parse_args(given)
    path = os.path.expanduser(options.dir)
    if not os.path.isdir(path):
        parser.error(f"expected a folder, got {path!r}")
    folder = Folder(os.path.normpath(path))
    if options.table:
        show(as_markdown(folder))
        return 0
    audit = Audit(folder)
    show(FORMATS[options.format](audit))
    return int(bool(audit.count(WRONG) or options.strict and audit.findings))


def show(lines):
    """Print the lines, with other marks where the terminal has not ours."""
    text = "\n".join([*lines, ""])
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans(ASCII))
    sys.stdout.write(text)
