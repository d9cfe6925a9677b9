"""Answers: what is taken, what is refused and how, at every way into cookiecutter."""

import json
import re

import pytest
from click.testing import CliRunner
from cookiecutter.cli import main

from support.project import PROJECT
from support.ways_in import DEFAULTS, PROMPTS, WAYS, check_refusal, generate
from template_spec.answers import class_name, layer_spec, reserved_names
from template_spec.errors import AnswerError
from template_spec.kinds import KINDS

ADVICE = [  # what the refusal of an answer says to type
    ("layer_name", "Foo-Bar", "try foo_bar"),
    ("layer_name", "FocalLoss", "try focal_loss"),
    ("layer_name", "../up", "try up"),
    ("layer_name", "test_me", "try me"),
    ("layer_name", "loss_test", "try loss"),
    ("layer_name", "numpy", "try numpy_layer"),
    ("layer_name", "test_numpy", "try numpy_layer"),
    ("layer_name", "Class", "try class_layer"),
    ("layer_name", "conftest", "try conftest_layer"),
    ("layer_name", "", "try my_layer"),
    ("layer_name", "x" * 65, "try " + "x" * 58),
    ("layer_class", "My Layer", "try MyLayer"),
    ("layer_kind", "Loss", "try loss"),
    ("layer_kind", "learn", "try learnable"),
    ("bottoms", "two blobs", "try 2 or scores,label"),
    ("bottoms", "a,a", "take one of them out"),
    ("tops", "bottom_0", "try bottom_0_out"),
    ("param_str_keys", "x:int='1'", "try x:int=1"),
    ("param_str_keys", "x:str=mean", "try x='mean'"),
    ("param_str_keys", "x=1, x=2", "take one of them out"),
    ("param_str_keys", "phase=1", "try phase_1"),
    ("param_str_keys", "x='\u202e'", "or in quotes as \\u202e"),
    ("checks", "yes", "try copied"),
]
DATA = {"layer_kind": "data", "bottoms": "0", "tops": "2"}
OF_A_KIND = [
    ({"layer_kind": "loss", "tops": "2"}, "the kind loss has 1 top, not 2; try 1"),
    ({"layer_kind": "loss", "tops": "a,b"}, "the kind loss has 1 top, not 2; try 1"),
    ({"layer_kind": "loss", "bottoms": "0"}, "loss has 1 to 64 bottoms, not 0; try 2"),
    ({"bottoms": "my_layer"}, "tops: my_layer is a bottom already"),
    (
        {**DATA, "bottoms": "1"},
        "bottoms: a layer of the kind data has 0 bottoms, not 1",
    ),
    (
        {**DATA, "param_str_keys": "batch_size"},
        "batch_size of the kind data is int, not float; try batch_size:int=16",
    ),
    ({**DATA, "param_str_keys": "seed='x'"}, "try seed:int=0"),
    ({**DATA, "param_str_keys": "batch_size=0"}, "batch_size is 0, not from 1 to 960"),
    (
        {**DATA, "param_str_keys": "batch_size=961"},
        "batch_size is 961, not from 1 to 960; try batch_size=1",
    ),
    ({**DATA, "param_str_keys": "samples=15"}, "batch_size is 16, not from 1 to 15"),
    ({**DATA, "param_str_keys": "seed=-1"}, "seed is -1, not from 0 to 4294967295"),
    (
        {**DATA, "param_str_keys": "samples=10000000000"},
        "samples is 10000000000, not from 1 to 2000000",
    ),
]


@pytest.mark.parametrize("variable, answer, words", ADVICE)
def test_a_refusal_says_what_to_do(variable, answer, words):
    with pytest.raises(AnswerError, match=re.escape(words)):
        spec(**{variable: answer})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answers, words", OF_A_KIND)
def test_counts_that_a_kind_cannot_have_are_refused(way, answers, words, tmp_path):
    check_refusal(generate(way, answers, tmp_path), words)


def test_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "deep" / "out" / "my_layer").mkdir(parents=True)
    (tmp_path / "deep" / "out" / "my_layer" / "mine").write_text("mine")
    options = ["--no-input", "-o", str(tmp_path / "deep" / "out"), "--default-config"]
    result = CliRunner().invoke(main, [str(PROJECT), *options])
    assert result.exit_code == 1 and "already exists" in result.output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [file.read_text() for file in files] == ["mine"]


@pytest.mark.parametrize("way", WAYS)
def test_good_answers_generate_at_every_way_in(way, tmp_path, capfd):
    answers = {"layer_name": "focal", "layer_class": "Focal", "layer_kind": "loss"}
    answers |= {
        "bottoms": "scores,label",
        "tops": "loss",
        "param_str_keys": "x1=1, x2=2",
    }
    outcome = generate(way, answers, tmp_path)
    assert outcome.exit_code == 0, outcome.output
    assert (outcome.out / "focal" / "focal.py").read_text().count("class Focal(") == 1
    said = capfd.readouterr().out
    assert "cd " in said and "focal && python3 -m pytest" in said
    assert said.endswith("  param_str has x1 (int), x2 (int).\n")


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
        (
            "2",
            "3",
            (("bottom_0", "bottom_1"), ("my_layer_0", "my_layer_1", "my_layer_2")),
        ),
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
        (
            "split='a', seed=7",
            [("batch_size", 16), ("samples", 960), ("seed", 7), ("split", "a")],
        ),
        (
            "batch_size:int, samples=99",
            [("batch_size", 16), ("samples", 99), ("seed", 0)],
        ),
    ],
)
def test_keys_of_data_and_those_of_the_answers(answer, expected):
    keys = spec(**DATA, param_str_keys=answer).keys
    assert [(key.name, key.value) for key in keys] == expected
    assert [key.name for key in keys if key.required] == ["batch_size"] * (
        "int," in answer
    )


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
        ("x=1,", [("x", "int", False, 1)]),
        ("x=1,\n\ty=2", [("x", "int", False, 1), ("y", "int", False, 2)]),
        ("x=1, X=2", [("x", "int", False, 1), ("X", "int", False, 2)]),
        ("l=[null, 'a', {'k': true}]", [("l", "list", False, [None, "a", {"k": True}])]),
        (r's="a\/b"', [("s", "str", False, "a/b")]),
        (r's="\ud83d\ude00"', [("s", "str", False, "\U0001f600")]),
        (r"s='\u202e'", [("s", "str", False, "\u202e")]),
        ("x=0xff, y=(1)", [("x", "int", False, 255), ("y", "int", False, 1)]),
        ("x:float=" + "9" * 300, [("x", "float", False, 1e300)]),
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
    assert [name for name in settings if name[0] != "_"] == list(prompts) == PROMPTS
    _, *lines, _ = prompts["layer_kind"].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [name, kind.sentence] for name, kind in KINDS.items()
    ]
    for kind in KINDS:
        assert (PROJECT / "templates" / f"{kind}.jinja").exists()
        assert (
            spec(layer_kind=kind, bottoms=str(KINDS[kind].default_bottoms)).kind
            is KINDS[kind]
        )


def test_defaults_follow_the_answers_before(bake):
    folder = bake(layer_name="focal_loss", layer_kind="loss")
    fragment = (folder / "focal_loss.prototxt").read_text()
    for line in ['layer: "FocalLossLayer"', 'bottom: "bottom_1"', 'top: "focal_loss"']:
        assert line in fragment
    with pytest.raises(AnswerError):
        spec(layer_name="focal_loss", bottoms="focal_loss")
