"""No file stops caffe-pylayer audit: Python 2, odd names, damaged layers and nets."""

import ast
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayer.commands import python_layers as parser
from caffe_pylayer.commands.audit import FORMATS, Folder, as_markdown, as_text
from support.audited import RIGHT, audit, marks, run, write
from support.commands import where_caffe_is
from support.project import PROJECT

DATA, EXAMPLES = Path(__file__).with_name("audit"), PROJECT / "examples"

# Python 2

TRANSLATIONS = [
    ("print 'a', b", "print('a', b)"),
    ("print 'a',\nx = 1", "print('a',)\nx = 1"),
    ("print ('a'), 'b'", "print(('a'), 'b')"),
    ("print >>f, 'a'", "print(*f, 'a')"),
    ("print('a', file=f)\nraise E, 'x'", "print('a', file=f)\nraise E('x')"),
    ("print `a`, `b + 10L`", "print(repr(a), repr(b + 10))"),
    ("exec 'x' in a, b", "exec('x', a, b)"),
    ("raise E, 'x', tb", "raise E('x', tb)"),
    ("raise E", "raise E"),
    ("try: a\nexcept (E, F), e: b", "try: a\nexcept (E, F) as e: b"),
    ("a <> b", "a != b"),
    ("a = 0777, 0xFFL, 10L, 0, 1.5, 0L", "a = 0o777, 0xFF, 10, 0, 1.5, 0"),
    ("a = ur'\\d', u'x', 'C:\\Users'", "a = r'\\d', 'x', r'C:\\Users'"),
    (
        "def f(a, (b, c)):\n    return lambda (x, y): x",
        "def f(a, b, c):\n    return lambda x, y: x",
    ),
    ("if a:\n\tb\n        c", "if a:\n        b\n        c"),
    ("f(async=True)\nprint 1", "f(async_=True)\nprint(1)"),
    ("print 'a' % \\\n    (b,\n     c)\nd", "print('a' % \\\n    (b,\n     c))\nd"),
]


@pytest.mark.parametrize("python2, python3", TRANSLATIONS)
def test_python2_keeps_its_tree_and_its_lines(python2, python3):
    def shape(tree):
        return [(type(x), getattr(x, "lineno", 0)) for x in ast.walk(tree)], ast.dump(
            tree
        )

    python2, python3 = python2 + "\nexec 'a'\n", python3 + "\nexec('a')\n"
    assert shape(parser.parse(python2.encode())) == shape(ast.parse(python3))


# No file stops it

DENIED = "cannot be read: Permission denied"
LAYER = b"import caffe\nclass A(caffe.Layer):\n    x = "
DEEP = {
    "(": ")",
    "[": "]",
    "-": "",
    "not ": "",
    "lambda: ": "",
    "1 + ": "",
    "f(": ")",
    "a.": "",
}
ODD = {  # name: bytes; the line and words of a finding, or None where it is no matter
    "empty.py": (b"", None),
    "noise.py": (bytes(range(256)), None),
    "large.py": (b"x = 1  # caffe\n" * 10**6, None),
    "large_layer.py": (LAYER + b"'" + b"a" * 10**7 + b"'", (1, "larger than 1 MB")),
    "noise_layer.py": (
        LAYER + b"\xff\xfe\x00" + bytes(range(256)),
        (3, "is not in utf-8"),
    ),
    "nul.py": (LAYER + b"'\0'", (3, "NUL byte")),
    "latin1.py": (LAYER + b"'\xe9'", (3, "is not in utf-8")),
    "coding.py": (
        b"# coding: klingon\n" + LAYER + b"1",
        (1, "no encoding that Python knows"),
    ),
    "utf16.py": ("# caffe Layer\n".encode("utf-16"), None),
    "rot13.py": (b"# coding: rot13\n" + LAYER + b"1", (1, "encoding")),
    "broken.py": (LAYER + b"1\ndef f(:\n    pass\n", (4, "cannot be parsed")),
    "indent.py": (LAYER + b"1\n  y = 2\n", (4, "nor as Python 2: correct it there")),
    "quote.py": (LAYER + b"'''\n", (3, "cannot be parsed")),
    "self.py": (
        b"import caffe\nclass A(A, B, caffe.Layer): pass\nclass B(A): pass",
        "A",
    ),
    "template.py": (
        b"import caffe\nclass <<name>>(caffe.Layer):\n",
        (2, "cannot be parsed"),
    ),
    "odd.prototxt": (
        b"layer { python_param { module: 1 layer: 2 } } python_param: 3",
        None,
    ),
    "broken.prototxt": (
        b"layer {\n  python_param {\n    module = 1\n",
        (3, "column 12"),
    ),
    "noise.prototxt": (
        b"python_param" + bytes(range(256)),
        (1, "correct it there"),
    ),
    "deep.prototxt": (b"python_param {" * 1000, (1, "at most 100 levels")),
    **{
        f"deep{i}.py": (
            LAYER + (opening * 3000 + "1" + closing * 3000).encode(),
            (1, "deep"),
        )
        for i, (opening, closing) in enumerate(DEEP.items())
    },
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files(name, tmp_path):
    data, finding = ODD[name]
    write(tmp_path, {**RIGHT, name: data})
    done = audit(tmp_path)
    assert re.search("ScaleLayer.*" + "  +✓" * 7, "".join(as_text(done)[:3]))
    problems = [
        (x.line, x.text) for x in done.findings if x.path.endswith(name) and not x.who
    ]
    if finding is None or isinstance(finding, str):
        assert problems == []
    else:
        assert len(problems) == 1
        if not name.startswith("deep") or name.endswith("prototxt"):
            assert problems[0][0] == finding[0] and finding[1] in problems[0][1]


@pytest.mark.parametrize("part", [".b", "[0]", "()", " / bottom", " + self.b"])
def test_long_expressions(part, tmp_path):
    """The parser takes them, and so does whatever walks through them."""
    lines = RIGHT["scale.py"].splitlines()
    for number in (7, 16, 22):  # in setup, forward and backward
        indent = lines[number][: -len(lines[number].lstrip())]
        text = [
            *lines[:number],
            f"{indent}self.x = y = bottom{part * 1500}",
            *lines[number:],
        ]
        write(tmp_path, {"scale.py": "\n".join(text)})
        assert "ScaleLayer" in marks(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["class A%d(A%d): pass", "a%d = a%d"])
def test_long_chains(line, tmp_path):
    """Of base classes and of names, in the order of the file and against it."""
    for order in (1, -1):
        lines = [line % (i + 1, i) for i in range(1100)][::order]
        text = "import caffe\nclass A0(caffe.Layer):\n    def forward(self, a0, top):\n        "
        if line.startswith("class"):
            text += "list(a0)\n" + "\n".join(lines)
        else:
            text += "; ".join([*lines, "list(a10)"])
        assert "✗" in marks(write(tmp_path, {"a.py": text}))["A0"] or order < 0


def test_odd_paths(tmp_path):
    write(
        tmp_path,
        {
            **RIGHT,
            "dir.py/x.txt": "",
            "caffe/__init__.py": "",
            "a\nb\x1b.py": LAYER + b"1",
        },
    )
    write(tmp_path, {os.fsdecode(b"\xff.py"): LAYER + b"(", ".git/a.py": LAYER + b"1"})
    write(
        tmp_path, {os.fsdecode(b"caf\xe9.py"): LAYER + b"1", "tests/test_b.py": "x = 1"}
    )
    write(tmp_path, {"venv/pyvenv.cfg": "", "venv/a.py": LAYER + b"1"})
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "again.py").symlink_to("scale.py")
    os.mkfifo(tmp_path / "pipe.py")
    done = run(tmp_path)
    assert done.returncode == 1 and done.stderr == ""
    assert (
        done.stdout.count("\nScaleLayer ") + done.stdout.startswith("ScaleLayer ") == 1
    )
    assert (
        "a\\nb\\x1b.py:2" in done.stdout
        and "\\udcff.py:3: CPL101 cannot be parsed" in done.stdout
    )
    assert "caf\\udce9.py:2" in done.stdout
    assert done.stdout.endswith(
        "3 layers, 3 findings: 1 wrong in Caffe, 2 house rules\n"
    )


def test_what_cannot_be_read(tmp_path, monkeypatch):
    def refuse(path, *mode):
        raise PermissionError(13, "Permission denied", str(path))

    write(tmp_path, {"a.py": LAYER + b"1"})
    monkeypatch.setitem(vars(parser), "open", refuse)
    assert [x.text for x in Folder(str(tmp_path)).unparsable] == [DENIED]
    monkeypatch.setattr(os, "scandir", refuse)
    assert Folder(str(tmp_path)).unparsable == [
        (str(tmp_path), 1, "", DENIED, "CPL101")
    ]


@pytest.mark.proof
def test_deep_nesting_on_an_older_python(tmp_path, with_caffe):
    """Python 3.9's own parser ends its process with a crash."""
    for i, (opening, closing) in enumerate(DEEP.items()):
        text = opening * 10**5 + "1" + closing * 10**5
        write(tmp_path, {f"deep{i}.py": LAYER + text.encode()})
    done = with_caffe(tmp_path, *where_caffe_is(), "audit", tmp_path)
    assert done.returncode == 1 and done.stderr == ""


SOURCES = [path.read_bytes() for path in sorted(DATA.rglob("*.py.txt"))]
SOURCES += [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*.py"))]
NETS = [path.read_bytes() for path in sorted(DATA.rglob("*.prototxt.txt"))]
WORDS = """( ) : ' \\" \\ lambda * self bottom top .diff .data [0] = += if print except for
    class~A(A): { } 0777L ` await yield #~noqa: bound CPL203 #~coding:~utf-7 import~caffe
    Layer""".split()
PIECES = [x.replace("~", " ").encode() + y for x in WORDS for y in (b"", b" ", b"\n")]
PIECES += [b"\n", b"\t", b"\0", b"\xe9", b"\x0c", b"\r", b'"' * 3]


@st.composite
def mutated(draw, sources):
    """The bytes of a source with some of its parts cut, moved, doubled or replaced."""
    data = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 60)))
        piece = draw(
            st.sampled_from([b"", data[start:end] * 2]) | st.sampled_from(PIECES)
        )
        data = data[:start] + piece + data[end:]
    return data


# FUZZ=5000, as in `make proof`, is how many damaged files each of these tests tries.
CASES = int(os.environ.get("FUZZ") or 40)
FUZZ = settings(max_examples=CASES, deadline=None, derandomize=True, database=None)


def check_any(folder, data, *names):
    """No exception, and each finding stands on a line of its file."""
    write(folder, dict.fromkeys(names, data))
    done = audit(folder)
    count = len(re.split(b"\r\n|\r|\n", data))
    assert all(1 <= x.line <= count for x in done.findings if x.path.endswith(names))
    shown = [line for show in FORMATS.values() for line in show(done)]
    assert all(line.isprintable() for line in shown + as_markdown(done.folder))


@pytest.mark.slow
@FUZZ
@given(data=mutated(SOURCES))
def test_any_mutated_layer(data, tmp_path_factory):
    check_any(fuzzed(tmp_path_factory), data, "any.py")


@pytest.mark.slow
@FUZZ
@given(data=mutated(NETS))
def test_any_mutated_net(data, tmp_path_factory):
    check_any(fuzzed(tmp_path_factory), data, "any.prototxt")


@pytest.mark.slow
@FUZZ
@given(
    data=st.binary(max_size=200), before=st.sampled_from([b"", LAYER, b"python_param"])
)
def test_any_bytes(data, before, tmp_path_factory):
    names = ("any.py", "any.prototxt", "test_scale.py")
    check_any(fuzzed(tmp_path_factory), before + data, *names)


def fuzzed(factory):
    """Return the folder of the fuzzed files, beside a right layer."""
    folder = factory.getbasetemp() / "fuzzed"
    return folder if folder.exists() else write(folder, RIGHT)
