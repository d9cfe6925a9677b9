"""param_str in a generated layer: values arrive, and what does not fit is refused with one line."""

import json

import pytest

from support.ways_in import DEFAULTS
from template_spec.answers import layer_spec

KEYS = (
    "i=3, f=0.5, g:float=2, b=true, s='größe \"\"\"漢``|\" 😀 \\'{}\\' \\\\ \\n', "
    'l=[1, 2.5, ["a"], {"k": null}], d={"x": {"y": [true]}}, big=12345678901234567890, m:str'
)
EXPECTED = {
    "i": 3,
    "f": 0.5,
    "g": 2.0,
    "b": True,
    "s": 'größe """漢``|" 😀 \'{}\' \\ \n',
    "l": [1, 2.5, ["a"], {"k": None}],
    "d": {"x": {"y": [True]}},
    "big": 12345678901234567890,
    "m": "value",
}
# A caffe without Caffe, for the Python 2.7 that has no pycaffe; prints the layer's params as JSON.
STUB = """
import json, sys, types
caffe = types.ModuleType("caffe")
caffe.Layer = object
sys.modules["caffe"] = caffe
"""
TRAIN = """
. ./activate.sh && sed -i "{edit}" example/train_val.prototxt &&
caffe train -solver example/solver.prototxt
"""
READ = """
import io, json, keys
for line in io.open("param_strs.json", encoding="utf-8"):
    layer = keys.KeysLayer{new}
    layer.param_str = {convert}(json.loads(line))
    try:
        layer.setup([0], [0])
        print(json.dumps([layer.params, {{k: type(v).__name__ for k, v in layer.params.items()}}]))
    except ValueError as error:
        print(json.dumps(str(error)))
"""
PYTHONS = {
    "python2.7": STUB
    + READ.format(new="()", convert="(lambda text: text.encode('utf-8'))"),
    "python3": READ.format(new=".__new__(keys.KeysLayer)", convert="str"),
}


@pytest.fixture(scope="module")
def layer(bake):
    return bake(layer_name="keys", param_str_keys=KEYS)


@pytest.fixture(params=PYTHONS)
def parsed(request, layer, with_caffe):
    """A function: param_strs -> for each [params, types], or the message of the ValueError."""

    def run(*param_strs):
        lines = "".join(json.dumps(text) + "\n" for text in param_strs)
        (layer / "param_strs.json").write_text(lines)
        (layer / "read.py").write_text(PYTHONS[request.param])
        result = with_caffe(layer, request.param, "read.py")
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


def fragment_param_str(layer):
    """The fragment's param_str: prototxt strings in single quotes, one after the other."""
    lines = (layer / "keys.prototxt").read_text().split("param_str:")[1].splitlines()
    pieces = [line.strip()[1:-1] for line in lines if line.strip().startswith("'")]
    return "".join(pieces).replace("\\'", "'").replace("\\\\", "\\")


def test_fragment_carries_every_key_as_json(layer):
    assert json.loads(fragment_param_str(layer)) == EXPECTED


def test_values_arrive(layer, parsed):
    ((values, types),) = parsed(fragment_param_str(layer))
    assert values == EXPECTED
    assert types["g"] == "float" and types["i"] == "int" and types["b"] == "bool"


def test_defaults_are_filled_in(parsed):
    ((values, _),) = parsed('{"m": "x"}')
    assert values == {**EXPECTED, "m": "x"}


def test_python_literals_are_read(parsed):
    ((values, _),) = parsed("{'m': 'x', 'b': False, 'l': [None, (1, 2)], 'i': -1}")
    assert values == {**EXPECTED, "m": "x", "b": False, "l": [None, [1, 2]], "i": -1}


REFUSED = {
    "{'m': 'x', 'ii': 1}": "param_str has no key 'ii'; the nearest is 'i'",
    "{'m': 'x', 'bg': 1}": "param_str has no key 'bg'; the nearest is 'big'",
    "{'m': 'x', 7: 1}": "param_str has no key 7; the nearest is ",
    "{}": "param_str needs the key 'm' of type str",
    "": "param_str needs the key 'm' of type str",
    "{'m': 3}": "expected type str for the key 'm' of param_str, got 3",
    "{'m': 'x', 'i': 1.5}": "expected type int for the key 'i' of param_str, got 1.5",
    "{'m': 'x', 'i': true}": "expected a dict in param_str, got ",
    "{'m': 'x', 'i': True}": "expected type int for the key 'i' of param_str, got True",
    "{'m': 'x', 'b': 1}": "expected type bool for the key 'b' of param_str, got 1",
    "{'m': 'x', 'f': '1'}": "expected type float for the key 'f' of param_str, got '1'",
    "{'m': 'x', 'f': False}": "expected type float for the key 'f' of param_str, got False",
    '{"m": "x", "l": {}}': "expected type list for the key 'l' of param_str, got {}",
    '{"m": "x", "d": []}': "expected type dict for the key 'd' of param_str, got []",
    "[1]": "expected a dict in param_str, got '[1]'",
    "x1=1": "expected a dict in param_str, got 'x1=1'",
    "__import__('os').system('touch executed')": "expected a dict in param_str, got ",
    "{" * 90: "expected a dict in param_str, got ",
    '{"m": "'
    + "x" * 100000
    + '", "zz": 1}': "param_str has no key 'zz'; the nearest is ",
    "{'m': ['"
    + "x" * 10000
    + "']}": "expected type str for the key 'm' of param_str, got ['x",
}


def test_what_does_not_fit_is_refused_with_one_line(layer, parsed):
    messages = parsed(*REFUSED)
    assert len(messages) == len(REFUSED)
    for words, message in zip(REFUSED.values(), messages):
        assert isinstance(message, str), message
        assert message.replace("u'", "'").startswith("KeysLayer: " + words), message
        assert len(message) < 200 and "\n" not in message
    assert not (layer / "executed").exists()


def test_what_is_refused_is_on_stderr_too(layer, with_caffe):
    """`caffe train` shows nothing of an exception."""
    log = with_caffe(layer, "bash", "-c", TRAIN.format(edit="s/nothing/else/"))
    assert log.returncode == 0
    log = with_caffe(layer, "bash", "-c", TRAIN.format(edit="s/: true/: 1/"))
    assert log.returncode != 0
    assert (
        "KeysLayer: expected type bool for the key 'b' of param_str, got 1"
        in log.stderr
    )


def test_a_layer_without_keys_has_no_parser(bake):
    text = (bake(layer_name="keys") / "keys.py").read_text()
    assert "param_str" not in text and "json" not in text


def test_long_param_str_is_wrapped_and_short_is_not(bake):
    short = layer_spec({**DEFAULTS, "param_str_keys": "x1=1, x2=2"})
    assert short.param_str == ['\'{"x1": 1, "x2": 2}\'']
    keys = ", ".join(f"a_rather_long_name_{i}=1.5" for i in range(9))
    assert len(layer_spec({**DEFAULTS, "param_str_keys": keys}).param_str) == 9
