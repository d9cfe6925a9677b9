"""The examples are what an author makes of the scaffold, and compute what Caffe's own layers do."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from cookiecutter.main import cookiecutter

from support.project import ENGINES, PROJECT, usually

EXAMPLES = PROJECT / "examples"
README = (EXAMPLES / "README.md").read_text()
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/answers.yaml"))
CHECKS = {"load", "shapes", "forward", "batch", "batch_of_one", "test_phase"}
CHECKS |= {
    "expected_tops",
    "gradient",
    "propagate_down",
    "samples",
    "edges",
    "lines",
    "counts",
}
MORE_CHECKS = {  # by what their fragments say
    "weights": {"center_loss"},
    "loss_weight": {"l2_normalize"},
    "force_backward": set(NAMES) - {"l2_normalize", "triplet_loss"},
    "param_str": set(NAMES),
    "keys": set(NAMES),
}
PASSED = {
    f"test_{name}[{check}]": "passed"
    for name in NAMES
    for check in CHECKS.union(c for c, names in MORE_CHECKS.items() if name in names)
}


def author_files(name):
    return [
        f"{name}/{name}.py",
        f"{name}/{name}.prototxt",
        f"{name}/tests/test_{name}.py",
    ]


@pytest.fixture(scope="module")
def scaffolds(config_file, tmp_path_factory):
    """The folder with what the template makes of each answers.yaml."""
    out = tmp_path_factory.mktemp("scaffolds")
    for name in NAMES:
        config = out / f"{name}.yaml"
        config.write_text(
            config_file.read_text() + (EXAMPLES / name / "answers.yaml").read_text()
        )
        cookiecutter(
            str(PROJECT), no_input=True, config_file=str(config), output_dir=str(out)
        )
    return out


@pytest.mark.proof
@pytest.mark.parametrize("engine", ENGINES)
def test_examples_over_their_scaffolds_are_green(
    scaffolds, own_tests, tmp_path, engine
):
    out = tmp_path / "layers"
    shutil.copytree(scaffolds, out)
    for name in NAMES:
        for path in author_files(name):
            shutil.copy(EXAMPLES / path, out / path)
        shutil.rmtree(out / name / "example")  # it is of the stub
    found = own_tests(engine, out, "--strict", *NAMES)
    assert found == PASSED, found.output
    assert found.exit_code == 0


@pytest.mark.parametrize("engine", usually("real"))
def test_examples_are_green_where_they_are(with_caffe, engine):
    command = ["-B", "-m", "pytest", "--strict", "-p", "no:cacheprovider"]
    assert "\n    cd examples && python3 -m pytest\n" in README
    assert "`scripts/with-caffe python3 -m pytest examples`" in README
    if engine == "real":
        result = with_caffe(
            PROJECT, "python3", *command, "examples", CAFFE_ENGINE=engine
        )
    else:
        result = subprocess.run(
            [sys.executable, *command],
            cwd=EXAMPLES,
            capture_output=True,
            text=True,
            env={**os.environ, "CAFFE_ENGINE": engine},
        )
    assert f"{len(PASSED)} passed in" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_complete(name):
    answers = yaml.safe_load((EXAMPLES / name / "answers.yaml").read_text())
    variables = ["layer_name", "layer_kind", "bottoms", "tops", "param_str_keys"]
    assert list(answers) == ["default_context"]
    assert list(answers["default_context"]) == variables
    assert answers["default_context"]["layer_name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_the_rest_of_the_module_is_the_scaffold(scaffolds, name):
    author, scaffold = [
        (folder / name / f"{name}.py").read_text() for folder in (EXAMPLES, scaffolds)
    ]
    kept, expected = parts(author), parts(scaffold)
    assert kept == expected and kept[0].endswith("(caffe.Layer):\n")
    assert len(author.splitlines()) <= 150


def parts(module):
    """Return the texts that the author keeps of a module."""
    spans = (
        r"\A.*?\nclass .*?\n",
        r"    def setup\(.*?\n",
        r"        if len\(bottom\) != .*? = self\.read_params\(\)\n",
        r"    def refuse\(.*\n        return params\n",
    )
    module = module.replace("import numpy as np\n", "")
    return [re.search(span, module, re.S)[0] for span in spans]


@pytest.mark.parametrize("name", NAMES)
def test_fragment_and_tests_have_the_scaffolds_layout(scaffolds, name):
    pattern = r"^ *(?:name|type|bottom|top|module|layer): .*"
    _, *paths = author_files(name)
    fragment, tests = [(EXAMPLES / path).read_text() for path in paths]
    old_fragment, old_tests = [(scaffolds / path).read_text() for path in paths]
    assert re.findall(pattern, fragment, re.M) == re.findall(
        pattern, old_fragment, re.M
    )
    for function in old_tests.split("\n\n\n")[1:]:
        head = re.match(r"def .*?(?:\"\"\"\n|\Z)", function, re.S)[0]
        assert f"\n\n\n{head}" in tests


def test_readme_names_every_example():
    rows = re.findall(r"^\| \[`(\w+)`\]\(([^)]*)\) \|", README, re.M)
    assert sorted(rows) == [(name, f"{name}/{name}.py") for name in NAMES]
    assert len(re.findall(r"^\|", README, re.M)) == len(NAMES) + 2
    assert set(re.findall(r"(\w+)/answers\.yaml", README)) <= set(NAMES)


def test_folder_holds_the_examples_and_nothing_else():
    files = [
        path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*") if path.is_file()
    ]
    hidden = {"__pycache__", ".pytest_cache", ".ruff_cache"}
    found = {str(path) for path in files if not hidden & set(path.parts)}
    found = {
        path for path in found if not path.startswith("digits/")
    }  # for docs/opencv.md
    expected = {f"{name}/answers.yaml" for name in NAMES}
    expected |= {path for name in NAMES for path in author_files(name)}
    assert found == expected | {"README.md", "conftest.py", "pytest.ini"}


# Reads cases.json, runs each on real Caffe, prints what came out. A bottom that gets a gradient is
# a Parameter layer, whose top shares its weight from the first forward on. With `forced` all are
# Input layers, in a net with force_backward: true. No diff is zero before backward.
RUN_CASES = """
import json, os
os.environ["GLOG_minloglevel"] = "2"
import caffe
import numpy as np

SOURCE = "layer { name: '%s' type: '%s' top: '%s' %s_param { shape { %s } } }"


def run(layer, bottoms, wanted, weights, forced):
    text = "force_backward: true " if forced else ""
    for blob, values in bottoms.items():
        kind = "Parameter" if blob in wanted and not forced else "Input"
        dims = " ".join("dim: %d" % size for size in np.shape(values))
        text += SOURCE % (blob, kind, blob, kind.lower(), dims)
    with open("net.prototxt", "w") as stream:
        stream.write(text + layer)
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.forward()
    for blob, values in bottoms.items():
        net.blobs[blob].data[...] = values
    own = net.params.get("tested", ())
    for weight, values in zip(own, weights):
        weight.data[...] = values
    net.forward()
    asked = bottoms if forced else wanted
    for blob in asked:
        net.blobs[blob].diff[...] = 7
    net.backward()
    return {
        "top": net.blobs["top"].data.tolist(),
        "diffs": {blob: net.blobs[blob].diff.tolist() for blob in asked},
        "weight diffs": [weight.diff.tolist() for weight in own],
    }


found = {}
for name, case in json.load(open("cases.json")).items():
    try:
        found[name] = run(**case)
    except Exception as error:
        found[name] = {"error": "%s: %s" % (type(error).__name__, error)}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def on_caffe(bake, with_caffe, tmp_path_factory):
    """What real Caffe gives for each of CASES: top and diffs as arrays, or an error."""
    out = tmp_path_factory.mktemp("cases")
    shutil.copy(bake(**STUB) / "euclidean.py", out)
    for name in NAMES:
        shutil.copy(EXAMPLES / name / f"{name}.py", out)
    (out / "run_cases.py").write_text(RUN_CASES)
    (out / "cases.json").write_text(json.dumps(CASES, default=np.ndarray.tolist))
    result = with_caffe(out, "python3", "-B", "run_cases.py", PYTHONPATH=str(out))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


STUB = dict(layer_name="euclidean", layer_kind="loss", bottoms="a,b")
CASES = {}  # name: the arguments of run in RUN_CASES
RNG = np.random.RandomState(0)
LAYER = "layer { name: 'tested' type: '%s' %s top: 'top' loss_weight: 0.7 %s }"
PYTHON_PARAM = "python_param { module: '%s' layer: '%s' param_str: '%s' }"


def caffes(name, kind, bottoms, wanted, more="", weights=(), forced=False):
    """Add a layer to CASES; `more` are other fields of it, such as `loss_param { }`."""
    fields = ["bottom: '%s'" % blob for blob in bottoms]
    fields += ["propagate_down: %s" % str(blob in wanted).lower() for blob in bottoms]
    layer = LAYER % (kind, " ".join(fields), more)
    case = dict(layer=layer, bottoms=bottoms, wanted=wanted)
    CASES[name] = dict(case, weights=weights, forced=forced)


def ours(name, kind, bottoms, wanted, weights=(), forced=False, **params):
    """Add a Python layer, an example or the stub, to CASES; kind is its class without Layer."""
    module = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", kind).lower()
    python_param = PYTHON_PARAM % (module, kind + "Layer", json.dumps(params))
    caffes(name, "Python", bottoms, wanted, python_param, weights, forced)


NORMALIZATIONS = ["VALID", "FULL", "BATCH_SIZE", "NONE"]
SOFTMAX = {  # the shapes of scores and label, the part of ignored labels
    "alone": ((6, 5), (6,), 0),
    "column": ((6, 5), (6, 1, 1, 1), 0.4),
    "spatial": ((4, 5, 2, 3), (4, 2, 3), 0.3),
    "spatial, channel of 1": ((4, 5, 2, 3), (4, 1, 2, 3), 0.3),
    "three axes": ((2, 7, 3, 2, 2), (2, 1, 3, 2, 2), 0.3),
    "all ignored": ((3, 5, 2), (3, 2), 1),
}
for shapes, (scores, label, ignored) in SOFTMAX.items():
    labels = np.where(RNG.rand(*label) < ignored, -1, RNG.randint(0, scores[1], label))
    inputs = {"scores": 4 * RNG.randn(*scores), "label": labels}
    for way in NORMALIZATIONS:
        param = f"loss_param {{ ignore_label: -1 normalization: {way} }}"
        ours(
            f"softmax {shapes} {way}",
            "SoftmaxLoss",
            inputs,
            ["scores"],
            normalization=way,
        )
        caffes(
            f"Caffe softmax {shapes} {way}",
            "SoftmaxWithLoss",
            inputs,
            ["scores"],
            param,
        )

inputs = {"a": RNG.randn(5, 3, 2), "b": RNG.randn(5, 3, 2)}
ours("euclidean", "Euclidean", inputs, ["a"])
caffes("Caffe euclidean", "EuclideanLoss", inputs, ["a"])

PAIR = {"a": RNG.randn(8, 4), "b": RNG.randn(8, 4), "similar": np.arange(8) % 2}
PAIR["b"][:4] = PAIR["a"][:4] + 0.3 * RNG.randn(4, 4)
PAIR["b"][4] = PAIR["a"][4]  # dissimilar
margin = "contrastive_loss_param { margin: 1.5 }"
ours("contrastive", "ContrastiveLoss", PAIR, ["a", "b"], margin=1.5)
caffes("Caffe contrastive", "ContrastiveLoss", PAIR, ["a", "b"], margin)

CENTERS, SAMPLES = (
    RNG.randn(4, 3),
    {"features": RNG.randn(5, 3), "label": [1, 0, 1, 3, 1]},
)
ours("center", "CenterLoss", SAMPLES, ["features"], [CENTERS], classes=4)
ours("l2 of zero", "L2Normalize", {"features": [[[0, 3], [0, 4]]]}, ["features"])
far = {"scores": [[-200, 200, 300]], "label": [[1, 0, -1]]}
ours("focal far off", "FocalLoss", far, ["scores"])


def assert_same(found, expected):
    """Compare top and diffs of two cases to the last digits of float32."""
    np.testing.assert_allclose(found["top"], expected["top"], rtol=1e-5, atol=1e-7)
    assert found["diffs"].keys() == expected["diffs"].keys() != set()
    for blob, diff in expected["diffs"].items():
        atol = 1e-6 * np.max(np.abs(diff))
        np.testing.assert_allclose(found["diffs"][blob], diff, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("way", NORMALIZATIONS)
@pytest.mark.parametrize("shapes", SOFTMAX)
def test_softmax_loss_is_caffes(on_caffe, shapes, way):
    expected = on_caffe[f"Caffe softmax {shapes} {way}"]
    assert_same(on_caffe[f"softmax {shapes} {way}"], expected)
    assert np.any(expected["diffs"]["scores"]) == (shapes != "all ignored")


def test_stub_of_the_loss_is_caffes_euclidean_loss(on_caffe):
    assert_same(on_caffe["euclidean"], on_caffe["Caffe euclidean"])


def test_contrastive_loss_is_caffes(on_caffe):
    """With legacy_version false, as by default; Caffe's gradient has d + 1e-4 instead of d."""
    found, expected = on_caffe["contrastive"], on_caffe["Caffe contrastive"]
    d = np.linalg.norm(PAIR["a"] - PAIR["b"], axis=1)
    factor = np.where(PAIR["similar"] == 1, 1, d / (d + 1e-4))[:, np.newaxis]
    diffs = {blob: diff * factor for blob, diff in found["diffs"].items()}
    assert_same(dict(found, diffs=diffs), expected)
    assert {(d[i] < 1.5, PAIR["similar"][i]) for i in range(8)} == {
        (near, similar) for near in (False, True) for similar in (0, 1)
    }


def test_the_comparison_can_fail(on_caffe):
    found = on_caffe["softmax spatial VALID"]
    for other in ("spatial FULL", "spatial, channel of 1 VALID"):
        with pytest.raises(AssertionError):
            assert_same(found, on_caffe[f"Caffe softmax {other}"])
    diffs = {"scores": 1.0001 * np.array(found["diffs"]["scores"])}
    with pytest.raises(AssertionError):
        assert_same(dict(found, diffs=diffs), on_caffe["Caffe softmax spatial VALID"])


def test_center_loss_with_other_centers(on_caffe):
    """Its own tests see the centers at 0 only."""
    loss, diffs, center_diffs = 0, [], np.zeros_like(CENTERS)
    for x, j in zip(SAMPLES["features"], SAMPLES["label"]):
        loss += sum((x - CENTERS[j]) ** 2) / 10
        diffs.append(0.7 * (x - CENTERS[j]) / 5)
        center_diffs[j] += 0.7 * (CENTERS[j] - x) / 5
    assert_same(on_caffe["center"], dict(top=loss, diffs=dict(features=diffs)))
    np.testing.assert_allclose(
        on_caffe["center"]["weight diffs"], [center_diffs], rtol=1e-5
    )
    assert not np.any(center_diffs[2])


def test_l2_normalize_of_zero(on_caffe):
    found = on_caffe["l2 of zero"]
    np.testing.assert_allclose(found["top"], [[[0, 0.6], [0, 0.8]]], rtol=1e-6)
    np.testing.assert_allclose(
        np.array(found["diffs"]["features"])[..., 0], 0.7e5, rtol=1e-4
    )


def test_focal_loss_far_off(on_caffe):
    found = on_caffe["focal far off"]
    np.testing.assert_allclose(found["top"], 0.25 * 200 + 0.75 * 200, rtol=1e-6)
    np.testing.assert_allclose(
        found["diffs"]["scores"], [[-0.7 * 0.25, 0.7 * 0.75, 0]], rtol=1e-6
    )


def zeros(*shapes, last=0):
    """Return arrays of zeros, the last one filled with a number."""
    return [np.zeros(shape) for shape in shapes[:-1]] + [np.full(shapes[-1], last)]


BOXES = "bbox_pred bbox_targets bbox_inside_weights bbox_outside_weights"
NAMED = {  # class without Layer: its bottoms
    "SmoothL1Loss": BOXES,
    "SoftmaxLoss": "scores label",
    "FocalLoss": "scores label",
    "DiceLoss": "prob label",
    "TripletLoss": "anchor positive negative",
    "ContrastiveLoss": "a b similar",
    "CenterLoss": "features label",
    "L2Normalize": "features",
}
ROW, MAP = (2, 4), (2, 5, 3)
REFUSED = [
    # class, bottoms, params, what its ValueError says
    ("SmoothL1Loss", zeros(ROW, ROW, ROW, (2, 5)), {},
     "the bottoms must have one shape, got (2, 4), (2, 4), (2, 4), (2, 5)"),
    ("SoftmaxLoss", zeros(MAP, (2, 3), last=5), {},
     "label must be 0 to 4, or ignore_label (-1), got 5"),
    ("SoftmaxLoss", zeros(MAP, (2, 3), last=-2), {"ignore_label": 255},
     "label must be 0 to 4, or ignore_label (255), got -2"),
    ("SoftmaxLoss", zeros(MAP, (2,)), {},
     "scores must be (N, C, ...) and label (N, ...), got (2, 5, 3) and (2,)"),
    ("SoftmaxLoss", zeros(MAP, (2, 3)), {"normalization": "valid"},
     "normalization must be one of VALID, FULL, BATCH_SIZE, NONE, got 'valid'"),
    ("FocalLoss", zeros(ROW, ROW, last=2), {}, "label must be 1, 0 or -1 (ignored), got 2"),
    ("FocalLoss", zeros(ROW, (2,)), {},
     "scores and label must have one shape, got (2, 4) and (2,)"),
    ("DiceLoss", zeros(MAP, MAP, last=255), {}, "label must be 0 to 1, got 255"),
    ("DiceLoss", zeros(MAP, MAP, last=np.nan), {}, "label must be 0 to 1, got nan"),
    ("DiceLoss", zeros(MAP, (2, 3)), {},
     "prob and label must have one shape, got (2, 5, 3) and (2, 3)"),
    ("TripletLoss", zeros(ROW, ROW, (1, 4)), {},
     "the bottoms must have one shape, got (2, 4), (2, 4), (1, 4)"),
    ("ContrastiveLoss", zeros(ROW, ROW, (2, 1), last=-1), {}, "similar must be 0 or 1, got -1"),
    ("ContrastiveLoss", zeros(ROW, MAP, (2,)), {},
     "a and b must have one shape, got (2, 4) and (2, 5, 3)"),
    ("ContrastiveLoss", zeros(ROW, ROW, ROW), {}, "similar must be (2,), got (2, 4)"),
    ("CenterLoss", zeros(ROW, (2,), last=3), {"classes": 3}, "label must be 0 to 2, got 3"),
    ("CenterLoss", zeros(ROW, (3,)), {"classes": 3}, "label must be (2,), got (3,)"),
    ("CenterLoss", zeros(ROW, (2,)), {"classes": 0}, "classes must be 1 or more, got 0"),
    ("L2Normalize", zeros((2,)), {}, "features must be (N, C, ...), got (2,)"),
]  # fmt: skip
for kind, arrays, params, message in REFUSED:
    inputs = dict(zip(NAMED[kind].split(), arrays))
    ours(f"{kind}: {message}", kind, inputs, [], **params)


@pytest.mark.parametrize("kind, arrays, params, message", REFUSED)
def test_wrong_bottoms_are_refused_in_one_line(on_caffe, kind, arrays, params, message):
    error = on_caffe[f"{kind}: {message}"]["error"]
    assert error == f"ValueError: {kind}Layer: {message}"


FORCED = {  # class: its bottoms, params, how many of the bottoms have propagate_down: true
    "SmoothL1Loss": (list(RNG.rand(4, 2, 4)), {}, 1),
    "SoftmaxLoss": ([RNG.randn(*MAP), [[0, 4, -1], [1, 2, 3]]], {}, 1),
    "FocalLoss": ([RNG.randn(*ROW), [[0, 1, -1, 0], [0, 0, 1, 0]]], {}, 1),
    "DiceLoss": (list(RNG.rand(2, 2, 4)), {}, 1),
    "TripletLoss": (list(RNG.rand(3, 2, 4)), {"margin": 9.0}, 3),
    "ContrastiveLoss": ([*RNG.rand(2, 2, 4), [0, 1]], {"margin": 9.0}, 2),
    "CenterLoss": ([RNG.rand(*ROW), [0, 2]], {"classes": 3}, 1),
    "L2Normalize": ([RNG.rand(*MAP)], {}, 1),
}
WITHOUT_GRADIENT = {
    "SmoothL1Loss": ["bbox_inside_weights", "bbox_outside_weights"],
    "SoftmaxLoss": ["label"],
    "FocalLoss": ["label"],
    "ContrastiveLoss": ["similar"],
    "CenterLoss": ["label"],
}
for kind, (arrays, params, on) in FORCED.items():
    inputs = dict(zip(NAMED[kind].split(), arrays))
    ours(f"{kind}, forced", kind, inputs, list(inputs)[:on], forced=True, **params)
    ours(f"{kind}, not forced", kind, inputs, list(inputs)[:on], **params)
prob, label = FORCED["DiceLoss"][0]
ours("dice, exchanged", "DiceLoss", {"prob": label, "label": prob}, ["prob"])


@pytest.mark.parametrize("kind", FORCED)
def test_force_backward_gives_zeros_where_there_is_no_gradient(on_caffe, kind):
    forced = on_caffe[f"{kind}, forced"]["diffs"]
    assert list(forced) == NAMED[kind].split()
    for blob, diff in on_caffe[f"{kind}, not forced"]["diffs"].items():
        assert forced[blob] == diff
    zero = [blob for blob, diff in forced.items() if not np.any(diff)]
    assert zero == WITHOUT_GRADIENT.get(kind, [])


def test_targets_and_soft_labels_have_a_gradient(on_caffe):
    smooth, dice = [
        on_caffe[f"{k}, forced"]["diffs"] for k in ("SmoothL1Loss", "DiceLoss")
    ]
    negative = np.negative(smooth["bbox_pred"])
    np.testing.assert_array_equal(smooth["bbox_targets"], negative)
    exchanged = on_caffe["dice, exchanged"]["diffs"]["prob"]
    np.testing.assert_allclose(dice["label"], exchanged, rtol=1e-5)
