"""Answers drawn from the whole grammar: each layer compiles, loads, and gets its values back."""

import json
import math
import re
import shutil
import string
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.project import PROJECT, WHOLE
from template_spec.answers import DELIMITERS, reserved_names
from template_spec.keys import KEYWORDS, LAYER_ATTRIBUTES
from template_spec.kinds import KINDS

SCRIPT = (PROJECT / "tests" / "support" / "params_script.py").relative_to(PROJECT)
DRAWN = 200 if WHOLE else 15  # layers
TYPES = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "dict": dict,
}
REQUIRED = {
    "int": 1,
    "float": 1.0,
    "bool": True,
    "str": "value",
    "list": [1.0],
    "dict": {},
}
TEXT = st.text(max_size=12).filter(
    lambda text: not any(mark in text for mark in [*DELIMITERS, "\x7f"])
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
VALUES = {
    "int": st.integers(-(2**70), 2**70),
    "float": st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**60), 2**60),
    "bool": st.booleans(),
    "str": TEXT,
    "list": st.lists(PLAIN, max_size=3),
    "dict": st.dictionaries(TEXT, PLAIN, max_size=3),
}
WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
BLOB = st.text(string.ascii_letters + string.digits + "_./-", min_size=1, max_size=64)


@st.composite
def layer_names(draw):
    words = [draw(st.sampled_from(string.ascii_lowercase)) + draw(WORD)]
    return "_".join(words + draw(st.lists(WORD, max_size=3)))


def is_no_number(text):
    try:
        float(text)
    except ValueError:
        return True
    return False


@st.composite
def blobs(draw, counts, taken):
    """A count or names, as an answer, and how many that are."""
    if draw(st.booleans()):
        count = draw(st.sampled_from([counts[0], counts[-1], min(counts[-1], 3)]))
        return str(count), []
    few = st.lists(
        BLOB.filter(lambda blob: is_no_number(blob) and blob not in taken),
        min_size=max(1, counts[0]), max_size=min(4, counts[-1]), unique=True,
    )  # fmt: skip
    names = draw(few)
    return draw(st.sampled_from([",", ", "])).join(names), names


@st.composite
def keys(draw):
    """An answer to param_str_keys, and the values that setup must find."""
    names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True, alphabet=st.characters(
        max_codepoint=127)).filter(
        lambda name: name not in KEYWORDS | LAYER_ATTRIBUTES | {"batch_size", "samples", "seed"}
        and not name.startswith("__"))  # fmt: skip
    pieces, values = [], {}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        kind = draw(st.sampled_from(list(VALUES)))
        if draw(st.integers(0, 4)) == 0:
            pieces.append(name if kind == "float" else f"{name}:{kind}")
            values[name] = REQUIRED[kind]
            continue
        value = draw(VALUES[kind])
        written = draw(st.sampled_from([json.dumps(value), json.dumps(value, ensure_ascii=False),
                                        repr(value)]))  # fmt: skip
        if re.search("<[<%#]", written) or not written.isprintable():
            written = json.dumps(value)
        typed = draw(st.booleans()) or type(value) is not TYPES[kind]
        pieces.append(f"{name}:{kind}={written}" if typed else f"{name} = {written}")
        values[name] = float(value) if kind == "float" else value
    return draw(st.sampled_from([",", ", "])).join(pieces), values


@st.composite
def answers(draw):
    """Answers that the grammar allows, and the values of the keys."""
    kind = draw(st.sampled_from(list(KINDS)))
    avoid = KEYWORDS | reserved_names()
    name = draw(layer_names().filter(
        lambda n: n not in avoid and len(n) <= 64 and not n.startswith("test_")
        and not n.endswith("_test") and n != "conftest"))  # fmt: skip
    automatic = {name, "data", "label", *(f"{name}_{i}" for i in range(64))}
    bottoms, names = (
        draw(blobs(KINDS[kind].bottoms, automatic)) if kind != "data" else ("0", [])
    )
    taken = {*names, *(f"bottom_{i}" for i in range(64))}
    tops, _ = draw(blobs(KINDS[kind].tops, taken))
    text, values = draw(keys())
    given = {"layer_name": name, "layer_kind": kind, "bottoms": bottoms, "tops": tops}
    return {**given, "param_str_keys": text}, values


@pytest.fixture(scope="module")
def pythons(with_caffe):
    """Functions that ask real Caffe and Python 2.7 for the params of a layer."""
    processes = []

    def start(python):
        command = [
            PROJECT / "scripts" / "with-caffe",
            "--bind",
            "/tmp",
            python,
            "-B",
            SCRIPT,
        ]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=PROJECT, text=True, **pipes)
        processes.append(process)

        def ask(*question):
            process.stdin.write(json.dumps([str(part) for part in question]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        return ask

    yield start("python3"), start("python2.7")
    for process in processes:
        process.stdin.close()
        process.wait()


def same(found, expected):
    """Equal in value and type; a float of 0 also in sign."""
    if isinstance(expected, dict):
        return set(found) == set(expected) and all(
            same(found[k], expected[k]) for k in expected
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and math.copysign(1, found) != math.copysign(
        1, expected
    ):
        return False
    return type(found) is type(expected) and found == expected


def check(folder, given, values, pythons):
    """Compare the params that setup finds in real Caffe, and on Python 2.7, with the values."""
    in_caffe, on_python_2 = pythons
    found = in_caffe(folder, given["layer_name"])
    assert isinstance(found, dict), found
    if given["layer_kind"] == "data":
        assert found.pop("batch_size"), found.pop("samples")
        found = {key: found[key] for key in found if key not in ("samples", "seed")}
    assert same(found, values)
    literal = on_python_2(folder, given["layer_name"])
    assert isinstance(literal, dict), literal
    assert same({key: literal[key] for key in values}, values)


def test_the_layer_loads_and_gets_its_values(bake, pythons, record_property):
    worked = []

    @settings(
        max_examples=DRAWN,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # to make a failure smaller takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(answers())
    def work(drawn):
        folder = bake(**drawn[0])
        try:
            check(folder, *drawn, pythons)
        finally:
            shutil.rmtree(folder.parent)
        worked.append(folder.name)

    work()
    record_property(
        "count", ["layers", "on real Caffe and on Python 2.7", len(worked), DRAWN]
    )
    assert len(worked) == DRAWN
