"""Answers: what is taken, what is refused and how, at every way into cookiecutter."""

import json
import os

import pytest
import yaml
from click.testing import CliRunner
from cookiecutter.cli import main
from cookiecutter.exceptions import FailedHookException

from conftest import PROJECT
from local_extensions import KINDS, Refused, class_name, layer_spec, reserved_names

DEFAULTS = {
    "layer_name": "my_layer",
    "layer_class": "MyLayer",
    "layer_kind": "identity",
    "bottoms": "1",
    "tops": "1",
    "param_str_keys": "",
}
BAD = [
    # variable, answer, words of the refusal (and other answers given with it)
    ("layer_name", "Foo-Bar", "type for example foo_bar"),
    ("layer_name", "FocalLoss", "type for example focal_loss"),
    ("layer_name", "3d_pool", "a letter first"),
    ("layer_name", "_layer", "a letter first"),
    ("layer_name", "a__b", "snake_case"),
    ("layer_name", "a_", "snake_case"),
    ("layer_name", "../up", "type for example up"),
    ("layer_name", "/etc/passwd", "snake_case"),
    ("layer_name", "größe", "snake_case"),
    ("layer_name", "lауer", "snake_case"),
    ("layer_name", "a" * 65, "at most 64 characters"),
    ("layer_name", "a" * 10000, "at most"),
    ("layer_name", "lambda", "no Python keyword"),
    ("layer_name", "print", "no Python keyword"),
    ("layer_name", "async", "no Python keyword"),
    ("layer_name", "test_me", "type for example me"),
    ("layer_name", "loss_test", "type for example loss"),
    ("layer_name", "conftest", "pytest"),
    ("layer_name", "caffe", "hide the Python module"),
    ("layer_name", "numpy", "type for example numpy_layer"),
    ("layer_name", "queue", "hide the Python module"),
    ("layer_name", "cpickle", "hide the Python module"),
    ("layer_class", "3Layer", "no digit first"),
    ("layer_class", "My Layer", "type for example MyLayer"),
    ("layer_class", "class", "does not use already"),
    ("layer_class", "None", "does not use already"),
    ("layer_class", "ValueError", "does not use already"),
    ("layer_class", "np", "does not use already"),
    ("layer_class", "_parse_literal", "does not use already"),
    ("layer_class", "Größe", "class name"),
    ("bottoms", "0", "1 to 64 bottoms for the kind identity"),
    ("bottoms", "-1", "1 to 64 bottoms"),
    ("bottoms", "65", "1 to 64 bottoms"),
    ("bottoms", "9" * 500, "1 to 64 bottoms"),
    ("bottoms", "two blobs", "type for example 2 or scores,label"),
    ("bottoms", "a,,b", "names of 1 to 64 characters"),
    ("bottoms", "a,7", "not digits alone"),
    ("bottoms", "a,a", "name every blob once"),
    ("bottoms", 'a"b', "names of 1 to 64 characters"),
    ("bottoms", "a{b", "names of 1 to 64 characters"),
    ("bottoms", "b" * 65, "names of 1 to 64 characters"),
    ("bottoms", ",".join(f"b{i}" for i in range(65)), "1 to 64 bottoms"),
    ("tops", "0", "1 to 64 tops"),
    ("tops", "bottom_0", "not bottoms"),
    ("tops", "1.5 x", "names of 1 to 64 characters"),
    ("param_str_keys", "x1=1,,x2=2", "name:type=default"),
    ("param_str_keys", "1x=1", "name:type=default"),
    ("param_str_keys", "größe=1", "name:type=default"),
    ("param_str_keys", "x 1", "name:type=default"),
    ("param_str_keys", "class=1", "no Python keyword"),
    ("param_str_keys", "exec=1", "no Python keyword"),
    ("param_str_keys", "phase=1", "no attribute of caffe.Layer"),
    ("param_str_keys", "blobs", "no attribute of caffe.Layer"),
    ("param_str_keys", "__init__=1", "no attribute of caffe.Layer"),
    ("param_str_keys", "x=1, x=2", "each key once"),
    ("param_str_keys", "x:complex", "one of the types int, float"),
    ("param_str_keys", "x:=1", "one of the types"),
    ("param_str_keys", "x:int=1.5", "a default of the type int for x"),
    ("param_str_keys", "x:bool=1", "a default of the type bool"),
    ("param_str_keys", "x:float=true", "a default of the type float"),
    ("param_str_keys", "x:int='1'", "type for example x:int=1"),
    ("param_str_keys", "x:str=mean", 'type for example x:str="value"'),
    ("param_str_keys", "x=", "a JSON or Python value"),
    ("param_str_keys", "x=null", "a JSON or Python value"),
    ("param_str_keys", "x=NaN", "a JSON or Python value"),
    ("param_str_keys", "x=1e999", "finite"),
    ("param_str_keys", "x=[1, Infinity]", "finite"),
    ("param_str_keys", "x=(1, 2)", "a JSON or Python value"),
    ("param_str_keys", "x={1: 2}", "string keys"),
    ("param_str_keys", "x=" + "[" * 1000, "a JSON or Python value"),
    ("param_str_keys", "x=__import__('os').getcwd()", "a JSON or Python value"),
    ("param_str_keys", "x='\\ud800'", "a JSON or Python value"),
    ("param_str_keys", "x='unfinished", "a JSON or Python value"),
]
TEMPLATES = [
    "<<cookiecutter.layer_name>>",
    "<<cycler.__init__.__globals__.os.system('touch executed')>>",
    "<% for i in range(9) %>a<% endfor %>",
    "<# comment #>",
    "a<<b",
]
DATA = {"layer_kind": "data", "bottoms": "0", "tops": "2"}
OF_A_KIND = [
    ({"layer_kind": "loss", "tops": "2"}, "tops: expected a count of 1 for the kind loss"),
    ({"layer_kind": "loss", "tops": "a,b"}, "tops: expected a count of 1 for the kind loss"),
    ({"layer_kind": "loss", "bottoms": "0"}, "bottoms: expected 1 to 64 bottoms for the kind loss"),
    ({"bottoms": "my_layer"}, "tops: expected tops that are not bottoms"),
    ({**DATA, "bottoms": "1"}, "bottoms: expected a count of 0 for the kind data"),
    ({**DATA, "param_str_keys": "batch_size"}, "expected the type int for batch_size of the kind"),
    ({**DATA, "param_str_keys": "seed='x'"}, "type for example seed:int=0"),
    ({**DATA, "param_str_keys": "batch_size=0"}, "expected batch_size from 1 to 960, got 0"),
    ({**DATA, "param_str_keys": "batch_size=961"}, "expected batch_size from 1 to 960, got 961"),
    ({**DATA, "param_str_keys": "samples=15"}, "expected batch_size from 1 to 15, got 16"),
    ({**DATA, "param_str_keys": "seed=-1"}, "expected seed from 0 to 4294967295, got -1"),
    ({**DATA, "param_str_keys": "samples=10000000000"}, "samples from 1 to 2000000"),
]


def arguments(answers):
    return [f"{variable}={answer}" for variable, answer in answers.items()]


def at_prompt(answers, folder):
    kinds = {kind: str(i) for i, kind in enumerate(KINDS, 1)}
    lines = [answers.get(variable, "") for variable in DEFAULTS]
    lines[2] = kinds[answers.get("layer_kind", "identity")]
    return [], "\n".join(lines) + "\n"


def on_command_line(answers, folder):
    return ["--no-input", *arguments(answers)], None


def in_config_file(answers, folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.dump({**config, "default_context": answers}))
    return ["--no-input"], None


def in_replay(answers, folder):
    replay = {"cookiecutter": {**template_settings(), **DEFAULTS, **answers}}
    (folder / "replay.json").write_text(json.dumps(replay))
    return ["--replay-file", str(folder / "replay.json")], None


def template_settings():
    settings = json.loads((PROJECT / "cookiecutter.json").read_text())
    return {key: value for key, value in settings.items() if key.startswith("_")}


WAYS = [at_prompt, on_command_line, in_config_file, in_replay]


def generate(way, answers, tmp_path):
    """Run the command; return its result and the folder it generates into."""
    (tmp_path / "config.yaml").write_text(
        yaml.dump({"cookiecutters_dir": f"{tmp_path}/c", "replay_dir": f"{tmp_path}/r"})
    )
    options, typed = way(answers, tmp_path)
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    command = [str(PROJECT), "-o", str(out), "--config-file", str(tmp_path / "config.yaml")]
    return CliRunner().invoke(main, command + options, input=typed), out


def check_refusal(result, out, words):
    line = result.output.splitlines()[-1]
    assert result.exit_code == 1, result.output
    assert words in line
    assert ": expected " in line and ", got " in line and line.endswith(".")
    assert len(line.split(": expected ")[1]) < 300 and "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    assert [path.name for path in out.parent.rglob("*")] == ["out"]
    assert not os.path.exists("executed")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variable, answer, words", BAD, ids=lambda value: str(value)[:20])
def test_bad_answer_is_refused(way, variable, answer, words, tmp_path):
    result, out = generate(way, {variable: answer}, tmp_path)
    check_refusal(result, out, words)
    if way is at_prompt:  # nobody typed the newline that ends the prompt's line
        assert f": {variable}: expected " in result.output.splitlines()[-1]
    else:
        assert result.output.startswith(f"{variable}: expected ")
        assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answers, words", OF_A_KIND)
def test_counts_that_a_kind_cannot_have_are_refused(way, answers, words, tmp_path):
    result, out = generate(way, answers, tmp_path)
    check_refusal(result, out, words)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variable", [name for name in DEFAULTS if name != "layer_kind"])
@pytest.mark.parametrize("answer", TEMPLATES)
def test_template_in_an_answer_is_refused_unrendered(way, answer, variable, tmp_path):
    result, out = generate(way, {variable: answer}, tmp_path)
    check_refusal(result, out, "expected no <")


@pytest.mark.parametrize(
    "answer", ["", " ", " my_layer", "my_layer\n", "a\nb", "a\u202eb", 7, True]
)
@pytest.mark.parametrize("way", [on_command_line, in_config_file, in_replay])
def test_layer_name_that_cannot_be_typed_is_refused(way, answer, tmp_path):
    result, out = generate(way, {"layer_name": answer}, tmp_path)
    check_refusal(result, out, "layer_name: expected ")


@pytest.mark.parametrize("kind", ["nope", "../identity", ["identity"], None])
def test_unknown_kind_in_a_replay_is_refused(kind, tmp_path):
    result, out = generate(in_replay, {"layer_kind": kind}, tmp_path)
    check_refusal(result, out, "layer_kind: expected ")


def test_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "deep" / "out" / "my_layer").mkdir(parents=True)
    (tmp_path / "deep" / "out" / "my_layer" / "mine").write_text("mine")
    options = ["--no-input", "-o", str(tmp_path / "deep" / "out"), "--default-config"]
    result = CliRunner().invoke(main, [str(PROJECT), *options])
    assert result.exit_code == 1 and "already exists" in result.output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [file.read_text() for file in files] == ["mine"]


def test_refusal_through_the_api_is_one_exception(bake):
    with pytest.raises(FailedHookException, match="layer_name: expected snake_case"):
        bake(layer_name="No Name")


@pytest.mark.parametrize("way", WAYS)
def test_good_answers_generate_at_every_way_in(way, tmp_path, capfd):
    answers = {"layer_name": "focal", "layer_class": "Focal", "layer_kind": "loss"}
    answers |= {"bottoms": "scores,label", "tops": "loss", "param_str_keys": "x1=1, x2=2"}
    result, out = generate(way, answers, tmp_path)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (out / "focal").iterdir()) == [
        "README.md", "activate.sh", "example", "focal.prototxt", "focal.py", "tests",
    ]  # fmt: skip
    assert len(capfd.readouterr().out.strip().splitlines()) == 3


def spec(**answers):
    return layer_spec({**DEFAULTS, **answers})


@pytest.mark.parametrize(
    "name, expected",
    [
        ("my_layer", "MyLayer"),
        ("focal_loss", "FocalLossLayer"),
        ("l2", "L2Layer"),
        ("a_1_b", "A1BLayer"),
        ("player", "PlayerLayer"),
    ],
)
def test_class_name_follows_the_layer_name(name, expected):
    assert class_name(name) == expected
    assert spec(layer_name=name, layer_class=expected).class_name == expected


@pytest.mark.parametrize(
    "bottoms, tops, expected",
    [
        ("1", "1", (("bottom_0",), ("my_layer",))),
        ("2", "3", (("bottom_0", "bottom_1"), ("my_layer_0", "my_layer_1", "my_layer_2"))),
        (" a , b ", "fc8/relu.1-x", (("a", "b"), ("fc8/relu.1-x",))),
        ("64", "64", (64, 64)),
    ],
)
def test_blob_names_from_counts_and_lists(bottoms, tops, expected):
    found = spec(bottoms=bottoms, tops=tops)
    if expected == (64, 64):
        assert (len(found.bottoms), len(found.tops)) == expected
    else:
        assert (found.bottoms, found.tops) == expected


@pytest.mark.parametrize(
    "tops, expected",
    [
        ("1", ("data",)),
        ("2", ("data", "label")),
        ("4", ("data", "label", "my_layer_2", "my_layer_3")),
        ("images", ("images",)),
    ],
)
def test_tops_of_data(tops, expected):
    assert spec(**{**DATA, "tops": tops}).tops == expected


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("", [("batch_size", 16), ("samples", 960), ("seed", 0)]),
        ("split='a', seed=7", [("batch_size", 16), ("samples", 960), ("seed", 7), ("split", "a")]),
        ("batch_size:int, samples=99", [("batch_size", 16), ("samples", 99), ("seed", 0)]),
    ],
)
def test_keys_of_data_and_those_of_the_answers(answer, expected):
    keys = spec(**DATA, param_str_keys=answer).keys
    assert [(key.name, key.value) for key in keys] == expected
    assert [key.name for key in keys if key.required] == ["batch_size"] * ("int," in answer)


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("", []),
        ("x1=1, x2=2", [("x1", "int", False, 1), ("x2", "int", False, 2)]),
        ("margin", [("margin", "float", True, 1.0)]),
        ("n:int, b:bool", [("n", "int", True, 1), ("b", "bool", True, True)]),
        ("s:str, l:list, d:dict", [
            ("s", "str", True, "value"), ("l", "list", True, [1.0]), ("d", "dict", True, {}),
        ]),
        ("x:float=1", [("x", "float", False, 1.0)]),
        ("x=-1.5e-3", [("x", "float", False, -0.0015)]),
        ("a=true,b=False", [("a", "bool", False, True), ("b", "bool", False, False)]),
        ("s='a, b = c: d'", [("s", "str", False, "a, b = c: d")]),
        ('s="it\'s", t=\'{[\'', [("s", "str", False, "it's"), ("t", "str", False, "{[")]),
        (r"s='\'quoted\', ok'", [("s", "str", False, "'quoted', ok")]),
        ("s='größe 漢'", [("s", "str", False, "größe 漢")]),
        ("l=[1, [2, 'x']], d={'k': [1, 2]}", [
            ("l", "list", False, [1, [2, "x"]]), ("d", "dict", False, {"k": [1, 2]}),
        ]),
        ("l=[null, true]", [("l", "list", False, [None, True])]),
        ("x : int = 3", [("x", "int", False, 3)]),
    ],
)  # fmt: skip
def test_param_str_keys(answer, expected):
    keys = spec(param_str_keys=answer).keys
    assert [(key.name, key.type, key.required, key.value) for key in keys] == expected
    assert [type(key.value) for key in keys] == [type(row[3]) for row in expected]


def test_reserved_names_do_not_depend_on_what_is_installed():
    assert {
        "caffe",
        "numpy",
        "scipy",
        "google",
        "six",
        "yaml",
        "pytest",
        "json",
        "urllib2",
        "copy_reg",
        "tomllib",
        "distutils",
        "conda",
    } - reserved_names() == {"conda"}


def test_every_kind_is_offered_with_a_sentence_and_has_its_file():
    settings = json.loads((PROJECT / "cookiecutter.json").read_text())
    prompts = settings["__prompts__"]
    assert settings["layer_kind"] == list(KINDS)
    assert set(prompts["layer_kind"]) == {"__prompt__", *KINDS}
    assert {name for name in settings if name[0] != "_"} == set(prompts) == set(DEFAULTS)
    for kind in KINDS:
        assert (PROJECT / "templates" / f"{kind}.jinja").exists()
        assert spec(layer_kind=kind, bottoms=str(KINDS[kind].default_bottoms)).kind is KINDS[kind]


def test_defaults_follow_the_answers_before(bake):
    folder = bake(layer_name="focal_loss", layer_kind="loss")
    fragment = (folder / "focal_loss.prototxt").read_text()
    for line in ['layer: "FocalLossLayer"', 'bottom: "bottom_1"', 'top: "focal_loss"']:
        assert line in fragment
    with pytest.raises(Refused):
        spec(layer_name="focal_loss", bottoms="focal_loss")
