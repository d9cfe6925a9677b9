"""What caffe-pylayer audit prints: the report, json, SARIF, GitHub's commands and the table."""

import ast
import copy
import json
import re
import shlex
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest

from caffe_pylayer.commands import command_line
from caffe_pylayer.commands.audit import COLUMNS, ROWS
from support.audited import RIGHT, audit, marks, run, write
from support.commands import HERE
from support.project import PROJECT

LAYERS = sorted(Path(__file__).with_name("audit").rglob("*.py.txt"))
EVAL = RIGHT["scale.py"].replace("json.loads", "eval")  # against a house rule
LIST = RIGHT["scale.py"].replace(
    "range(len(bottom))", "enumerate(bottom)"
)  # wrong in Caffe
PAGE = (PROJECT / "docs" / "audit.md").read_text()


@pytest.fixture
def said(capsys):
    """A function that runs the command in this process: exit code and what it prints."""

    def run(*arguments):
        try:
            code = command_line.main(["audit", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        return code, capsys.readouterr()

    return run


def edited(folder, text):
    return write(folder, {**RIGHT, "scale.py": text})


def test_the_report(said, tmp_path):
    code, printed = said(edited(tmp_path, LIST.replace("json.loads", "eval")))
    lines = printed.out.splitlines()
    assert code == 1
    assert re.split(r"  +", lines[0]) == ["layer", "file", *COLUMNS]
    assert lines[1].split() == ["ScaleLayer", f"{tmp_path}/scale.py:6", *"✓✓✓✓!✓✗-✓✓"]
    assert lines[3].startswith("✓ fine  ✗ wrong in Caffe  ! house rule  ? ")
    place = f"{tmp_path}/scale.py"
    assert lines[5].startswith(f"{place}:21: CPL106 ScaleLayer.backward: blobs ")
    assert lines[6].startswith(f"{place}:8: CPL203 ScaleLayer.setup: eval runs ")
    assert lines[7:] == ["1 layers, 2 findings: 1 wrong in Caffe, 1 house rules"]


@pytest.mark.parametrize(
    "text, code, strict",
    [(RIGHT["scale.py"], 0, 0), (EVAL, 0, 1), (LIST, 1, 1), ("caffe.Layer(", 1, 1)],
)
@pytest.mark.parametrize("shape", ["text", "json", "sarif", "github"])
def test_exit_codes(text, code, strict, shape, said, tmp_path):
    edited(tmp_path, text)
    assert said(tmp_path, "--format", shape)[0] == code
    assert said(tmp_path, "--format", shape, "--strict")[0] == strict


def test_nothing_to_find(said, tmp_path):
    code, printed = said(tmp_path)
    assert (code, printed.out[:21]) == (0, "no Python layer here:")
    for shape in ("json", "sarif", "github"):
        code, printed = said(tmp_path, "--strict", "--format", shape)
        assert code == 0 and (shape == "github") == (printed.out == "")


# Comments

NOQA = [
    ("# noqa: CPL203", True),
    ("#noqa:CPL203", True),
    ("# NOQA: cpl203", True),
    ("# noqa: E501, CPL203", True),
    ("# noqa: E501 CPL203 read once", True),
    ("# ours  # noqa: CPL203", True),
    ("# noqa", True),
    ("# noqa: E501", False),
    ("# noqa: CPL20", False),
    ("# noqa: CPL2031", False),
    ("# noqa: whatever", False),
    ("# CPL203", False),
    ("# noqand", False),
]


@pytest.mark.parametrize("comment, silences", NOQA)
def test_comments(comment, silences, tmp_path):
    edited(tmp_path, EVAL.replace("param_str)", f"param_str)  {comment}"))
    assert [x.code for x in audit(tmp_path).findings] == ["CPL203"] * (not silences)
    assert marks(tmp_path)["ScaleLayer"][4] == ("✓" if silences else "!")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_in_nets_and_in_broken_files(end, tmp_path):
    net = 'layer {\n\n  python_param { module: "scale" layer: "Scale" } # noqa: CPL103\n}\n'
    broken = "import caffe\nfrom caffe import Layer\nif (:  # noqa: CPL101\n"
    files = {
        "b.prototxt": net,
        "broken.py": broken.replace("\n", end),
    }
    write(tmp_path, {**RIGHT, **files})
    assert audit(tmp_path).findings == []
    write(tmp_path, {name: text.replace("noqa", "") for name, text in files.items()})
    assert [x.code for x in audit(tmp_path).findings] == ["CPL103", "CPL101"]


# Formats


def test_json(said, tmp_path):
    found = json.loads(said(edited(tmp_path, EVAL), "--format", "json")[1].out)
    path = str(tmp_path / "scale.py")
    (finding,) = found["findings"]
    text = finding.pop("text")
    assert text.startswith("eval runs") and finding == {
        "code": "CPL203",
        "name": "eval",
        "level": "house rule",
        "path": path,
        "line": 8,
        "in": "ScaleLayer.setup",
    }
    marks = dict(zip(COLUMNS, "✓✓✓✓!✓✓-✓✓"))
    assert found["layers"] == [
        {"name": "ScaleLayer", "path": path, "line": 6, "marks": marks}
    ]


def test_github(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edited(tmp_path / "a,b:100%", LIST.replace("json.loads", "eval"))
    lines = said(".", "--format", "github")[1].out.splitlines()
    start = "file=a%2Cb%3A100%25/scale.py,line="
    assert lines[0].startswith(
        f"::error {start}21,title=CPL106 blobs::ScaleLayer.backward: blobs can"
    )
    assert lines[1].startswith(
        f"::warning {start}8,title=CPL203 eval::ScaleLayer.setup: eval runs"
    )
    assert len(lines) == 2


def an_object(required, **properties):
    return {"type": "object", "required": required.split(), "properties": properties,
            "additionalProperties": False}  # fmt: skip


def some(item, **more):
    return {"type": "array", "items": item, **more}


# What the standard asks of the fields that we write, and that there are no others.
TEXT, LEVEL = (
    {"type": "string", "minLength": 1},
    {"enum": ["error", "warning", "note", "none"]},
)
URI = {"type": "string", "pattern": r"^(https?://|file:///|[\w.~%-]+(/|$))[\w.~%/#-]*$"}
MESSAGE = an_object("text", text=TEXT)
RULE = an_object(
    "id", id=TEXT, name={"pattern": "^[A-Z][A-Za-z]*$"}, shortDescription=MESSAGE, helpUri=URI,
    defaultConfiguration=an_object("", level=LEVEL),
)  # fmt: skip
LOCATION = an_object(
    "",
    physicalLocation=an_object(
        "artifactLocation",
        artifactLocation=an_object("uri", uri=URI),
        region=an_object("startLine", startLine={"type": "integer", "minimum": 1}),
    ),
)
RESULT = an_object(
    "message", ruleId=TEXT, ruleIndex={"type": "integer", "minimum": 0}, level=LEVEL,
    message=MESSAGE, locations=some(LOCATION, minItems=1, maxItems=1),
)  # fmt: skip
DRIVER = an_object(
    "name",
    name=TEXT,
    version=TEXT,
    informationUri=URI,
    rules=some(RULE, uniqueItems=True),
)
RUN = an_object("tool", tool=an_object("driver", driver=DRIVER), results=some(RESULT))
SARIF = an_object(
    "version runs", version={"const": "2.1.0"}, runs=some(RUN), **{"$schema": URI}
)


@pytest.mark.parametrize("folder", ["a", "mit ümlaut #1", "\udcff"])
def test_sarif(folder, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edited(tmp_path / folder, LIST.replace("json.loads", "eval"))
    for where in (".", tmp_path):
        log = json.loads(said(where, "--format", "sarif")[1].out)
        jsonschema.validate(log, SARIF)
        (run,) = log["runs"]
        rules = run["tool"]["driver"]["rules"]
        assert [x["id"] for x in rules] == list(ROWS)
        assert [(x["ruleId"], x["level"]) for x in run["results"]] == [
            ("CPL106", "error"),
            ("CPL203", "warning"),
        ]
        for x in run["results"]:
            assert rules[x["ruleIndex"]]["id"] == x["ruleId"]
            uri = x["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            assert uri.startswith("file:///") == (where != ".")
    assert {"a/scale.py", "mit%20%C3%BCmlaut%20%231/scale.py", "%FF/scale.py"} >= {
        json.loads(said(".", "--format", "sarif")[1].out)["runs"][0]["results"][0][
            "locations"
        ][0]["physicalLocation"]["artifactLocation"]["uri"]
    }


def test_sarif_needs_what_the_standard_needs(said, tmp_path):
    """The schema of this test is one that fails."""
    log = json.loads(said(edited(tmp_path, EVAL), "--format", "sarif")[1].out)
    for spoil in (
        lambda log: log.pop("version"),
        lambda log: log["runs"][0].pop("tool"),
        lambda log: log["runs"][0]["results"][0].pop("message"),
        lambda log: log["runs"][0].update(more=1),
    ):
        spoilt = copy.deepcopy(log)
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoilt, SARIF)


# The table of layers


def test_table(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = RIGHT["scale.py"].replace(
        CLASS := "class ScaleLayer(caffe.Layer):\n",
        CLASS + '    """Multiplies by a | b.\n\n    More.\n    """\n\n',
    )
    old = """import caffe
class OldLayer(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.read(params)
        self.seed = params.pop("seed", None)
    def read(self, given):
        print given["root"], given.get("mean", (1, 2.5)), given.get("size", SIZE)
"""
    new = 'import caffe\nPARAMS = {"gamma": 2.0, "names": list, "mode": "a|b"}\n'
    new += "class NewLayer(caffe.Layer): pass\n"
    used = RIGHT["scale.prototxt"].replace('"x"', '"far"')
    write(
        tmp_path, {"nets/train.prototxt": used, "my layers/old.py": old, "new.py": new}
    )
    code, printed = said(edited(tmp_path, text), "--table", "--strict")
    assert code == 0
    assert printed.out.splitlines() == [
        "| layer | what it does | bottoms | tops | keys of param_str |",
        "| --- | --- | --- | --- | --- |",
        "| [NewLayer](new.py) |  |  |  | `gamma=2.0`, `names: list`, `mode='a\\|b'` |",
        "| [ScaleLayer](scale.py) | Multiplies by a \\| b. | x | y | `scale` |",
        "| [OldLayer](my%20layers/old.py) |  |  |  | "
        "`seed=None`, `root`, `mean=(1, 2.5)`, `size: SIZE` |",
    ]


def test_table_of_the_examples(said, monkeypatch):
    monkeypatch.chdir(PROJECT)
    rows = said("examples", "--table")[1].out.splitlines()
    (row,) = [x for x in rows if "Focal" in x]
    assert row.startswith(
        "| [FocalLossLayer](examples/focal_loss/focal_loss.py) | Focal loss: "
    )
    assert row.endswith(" | scores, label | focal_loss | `gamma=2.0`, `alpha=0.25` |")
    assert {x.count(" | ") for x in rows} == {4}


# The page


def test_each_code_has_its_part_of_the_page():
    parts = re.findall(r"^### (CPL\d+)\n", PAGE, re.MULTILINE)
    assert parts == list(ROWS)


FENCE = r"```(?:python|prototxt)\n([\s\S]*?)```\n"
EXAMPLES = re.findall(
    rf"^### (CPL\d+)\n(?:(?!^#|```).*\n)*{FENCE}(?:(?!^#|```).*\n)*{FENCE}",
    PAGE,
    re.MULTILINE,
)


@pytest.mark.parametrize("code, wrong, right", EXAMPLES, ids=[x[0] for x in EXAMPLES])
def test_the_lines_of_the_page(code, wrong, right, tmp_path):
    """What the page calls wrong is found, under that code; in what it calls right is nothing."""
    for text, codes in ((wrong, {code}), (right, set())):
        folder = write(tmp_path / str(len(codes)), RIGHT)
        write(folder, pasted(text))
        found = {x.code for x in audit(folder).findings}
        assert found & ({code} if codes else set(ROWS) - {"CPL202"}) == codes


def pasted(text):
    """Return the file that a text of the page stands in."""
    if text.startswith("layer {"):
        return {"scale.prototxt": text}
    if text.startswith("class "):
        return {"scale.py": "import caffe\n" + text, "scale.prototxt": ""}
    layer = RIGHT["scale.py"]
    for method in re.split(r"^(?=def )", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"def (\w+)", method)[1]
        lines = [f"    {x}".rstrip() for x in method.strip().splitlines()]
        old = re.search(rf"    def {name}.*?\n(?=    def |\Z)", layer, re.DOTALL)[0]
        layer = layer.replace(old, "\n".join(lines) + "\n\n")
    return {"scale.py": layer}


def test_the_page_shows_two_for_each():
    assert [x[0] for x in EXAMPLES] == list(ROWS)


# The command


def test_another_encoding_and_a_pipe_that_closes(tmp_path):
    write(tmp_path, {**RIGHT, "é.py": "import caffe\nclass A(caffe.Layer):\n("})
    done = run(tmp_path, PYTHONIOENCODING="ascii")
    assert re.search(r"ScaleLayer .* \+ .*\n.*\\xe9.py", done.stdout)
    assert done.stderr == ""
    assert run("--help", PYTHONIOENCODING="ascii").returncode == 0
    words = " ".join(shlex.quote(str(word)) for word in [*HERE, "audit", tmp_path])
    shell = f"{words} | head -n 1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "the following arguments are required: DIR"),
        ([""], "expected a folder, got ''"),
        (["nowhere"], "expected a folder, got 'nowhere'"),
        ([__file__], "expected a folder"),
        (["a", "b"], "unrecognized arguments: b"),
        (["--no"], "required: DIR"),
        ([".", "--format", "xml"], "invalid choice: 'xml'"),
        ([".", "--format", "json", "--table"], "not allowed with argument"),
    ],
)
def test_wrong_usage(arguments, words, said):
    code, printed = said(*arguments)
    assert (code, printed.out) == (2, "")
    assert printed.err.startswith("usage: caffe-pylayer audit [-h]")
    (line,) = [x for x in printed.err.splitlines() if ": error: " in x]
    assert words in line


def test_help(said):
    code, printed = said("--help")
    assert code == 0 and "\n  caffe-pylayer audit ~/caffe/python\n" in printed.out
    for row in ROWS.values():
        assert re.search(rf"\n  {row.code} +{row.name} +\S", printed.out)


@pytest.mark.slow
def test_500_files_in_a_few_seconds(tmp_path):
    sources = [path.read_bytes() for path in LAYERS]
    other = Path(ast.__file__).read_bytes()
    for i in range(500):
        source = other if i % 10 else sources[i % len(sources)]
        write(tmp_path, {f"{i % 25}/layer_{i}.py": source})
    start = time.process_time()
    assert len(audit(tmp_path).folder.layers) > 40
    assert time.process_time() - start < 20
