"""Strings as param_str, drawn and given to the setup of generated layers."""

import json

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support.project import PROJECT

LAYERS = {  # of the longest names and of every type; and one whose setup looks at the values
    "keys": {
        "layer_name": "k" * 64,
        "layer_class": "K" * 80,
        "param_str_keys": "i=3, f=0.5, b=true, s='', l=[], d={}, m:str, %s:list=[]"
        % ("n" * 64),
    },
    "data": {
        "layer_name": "images",
        "layer_class": "ImagesLayer",
        "layer_kind": "data",
    },
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = ["i", "f", "b", "s", "l", "d", "m", "n" * 64, "batch_size", "samples", "seed"]
KEYS = st.sampled_from(NAMES) | TEXT
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=4,
)
FITTING = st.fixed_dictionaries(
    {},
    optional={
        "m": TEXT,
        "i": st.integers(),
        "f": st.floats(),
        "b": st.booleans(),
        "s": TEXT,
    },
) | st.fixed_dictionaries(
    {},
    optional={
        "batch_size": st.integers(-1, 99),
        "samples": st.integers(),
        "seed": st.integers(),
    },
)
DICTS = st.dictionaries(KEYS, VALUES, max_size=3) | FITTING
TOKENS = st.lists(
    st.sampled_from(
        [
            *"{}[]():,'\"-+~.0e9\\ \n\r\t\0#ü",
            "True",
            "null",
            "'m':",
            '"i": ',
            "{'m': 'x', ",
            "u'",
        ]
        + [
            "open('executed', 'w')",
            "__import__('os').system('touch executed')",
            "lambda:",
            "b'",
        ]
        + [
            "1e999",
            "NaN",
            "-Infinity",
            "0x",
            "1_0",
            "not ",
            "if ",
            "for ",
            "...",
            "f'{",
            "\\u0000",
        ]
    ),
    max_size=12,
).map("".join)
STRINGS = st.one_of(TEXT, *[DICTS.map(json.dumps), DICTS.map(repr)] * 2, TOKENS, TOKENS)


def draw(count, number):
    """Return `count` strings, other ones for another number."""
    drawn = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRINGS)
    def collect(string):
        drawn.append(string)

    collect()
    return drawn


def check(layer, strings, with_caffe, record_property):
    """Give the strings to setup on the Pythons of Caffe: how many are taken, how many refused."""
    bottoms, tops = (0, 2) if layer.name == "images" else (1, 1)
    kind = "data" if layer.name == "images" else "keys"
    name = LAYERS[kind]["layer_class"]
    (layer / "param_strs.json").write_text(
        "".join(json.dumps(text) + "\n" for text in strings)
    )
    (layer / "param_strs_script.py").write_bytes(
        (PROJECT / "tests" / "support" / "param_strs_script.py").read_bytes()
    )
    command = ["param_strs_script.py", ".", layer.name, name, str(bottoms), str(tops)]
    counts = {}
    for python in ("python2.7", "python3"):
        result = with_caffe(layer, python, *command)
        assert result.returncode == 0, result.stderr[-2000:]
        counts[python] = json.loads(result.stdout)
        refused = counts[python]["refused"]
        assert counts[python]["taken"] + refused == len(strings)
        record_property(
            "count", ["param_str", f"{kind}, {python}", refused, len(strings)]
        )
    assert not (layer / "executed").exists()
    return counts
