"""caffe-pylayer trace: what is in every bottom, top and weight, in tables of 100 columns."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from caffe_pylayer.commands import trace as tool
from caffe_pylayer.commands import trace_plots
from support.commands import HERE, PACKAGE, where_caffe_is
from support.processes import gone
from support.project import ENGINES, PROJECT, usually
from template_spec.kinds import KINDS

ROW = re.compile(r"^(!?) +(bottom|top|weight) +(\S+) +(\S+) +(\S.*)$")
EXAMPLES = sorted(path.parent for path in (PROJECT / "examples").glob("*/answers.yaml"))

NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 6 dim: 5 } shape { dim: 6 }
  data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
layer { name: "frozen" type: "InnerProduct" bottom: "data" top: "frozen"
  param { lr_mult: 0 } param { lr_mult: 0 }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "frozen" top: "frozen" }
layer { name: "fc" type: "InnerProduct" bottom: "frozen" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" }
layer { name: "mine" type: "Python" bottom: "fc" top: "mine"
  python_param { module: "my_layer" layer: "MyLayer" } }
layer { name: "softmax_loss" type: "SoftmaxWithLoss" bottom: "mine" bottom: "label" top: "loss" }
layer { name: "hinge" type: "HingeLoss" bottom: "mine" bottom: "label" top: "hinge"
  loss_weight: 0.5 }
layer { name: "accuracy" type: "Accuracy" bottom: "mine" bottom: "label" top: "accuracy" }
"""

# What one forward and one backward leave in the blobs, by pycaffe's own whole passes.
WHOLE_PASSES = """
import caffe, json, numpy as np
np.random.seed(0)
caffe.set_random_seed(1)
net = caffe.Net("net.prototxt", caffe.TRAIN)
def figures(array):
    low, mean, high = np.min(array), np.mean(array, dtype=float), np.max(array)
    zeros = 100.0 * np.mean(array == 0)
    return [float("%.3g" % value) for value in (low, mean, high, zeros)]
net.forward()
data = {name: figures(blob.data) for name, blob in net.blobs.items()}
data.update((name + str(i), figures(blob.data))
    for name in net.params for i, blob in enumerate(net.params[name]))
net.backward()
diff = {name: figures(blob.diff) for name, blob in net.blobs.items()}
diff.update((name + str(i), figures(blob.diff))
    for name in net.params for i, blob in enumerate(net.params[name]))
print(json.dumps([data, diff]))
"""


class Tables:
    """What the tool printed: rows[pass, layer, kind, name] = (mark, shape, figures)."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.rows, which, layer = {}, None, None
        for line in self.out.splitlines():
            assert len(line) <= 100, line
            row = ROW.match(line)
            if row:
                mark, kind, name, shape, figures = row.groups()
                self.rows[which, layer, kind, name] = mark, shape, numbers(figures)
            elif re.match(r"(forward|backward):", line):
                which = line.split(":")[0]
            elif line.endswith("min      mean       max  zeros   NaN   Inf"):
                layer = line.split()[0]

    def figures(self, *key):
        mark, _, figures = self.rows[key]
        assert not mark
        return figures


def numbers(text):
    """min, mean, max, % of zeros, NaN and Inf, or the text where there are none."""
    fields = text.replace("%", "").split()
    return [float(field) for field in fields] if len(fields) == 6 else text


def expected(array):
    array = np.asarray(array, np.float32)
    figures = (
        array.min(),
        array.mean(dtype=np.float64),
        array.max(),
        100 * np.mean(array == 0),
    )
    return [float(f"{figure:.3g}") for figure in figures] + [0, 0]


def close(figures):
    """The same figures, but for the last digit printed and what float32 rounds away."""
    return pytest.approx(figures, rel=0.011, abs=1e-6)


@pytest.fixture(scope="module")
def layers(bake, tmp_path_factory):
    out = tmp_path_factory.mktemp("layers")
    return {
        kind: bake(out=out, layer_name="my_layer_" + kind, layer_kind=kind)
        for kind in KINDS
    }


@pytest.fixture
def layer(bake, tmp_path):
    """An identity layer that a test may spoil."""
    return bake(out=tmp_path, layer_name="my_layer")


@pytest.fixture
def trace(warm_python):
    """A function that runs the tool in a folder: its Tables."""

    def run(engine, folder, *arguments, **environment):
        return Tables(
            *warm_python(engine, folder, PACKAGE, "trace", *arguments, **environment)
        )

    return run


def edit(folder, old, new):
    """Replace a text in the layer."""
    module = folder / f"{folder.name}.py"
    assert old in module.read_text()
    module.write_text(module.read_text().replace(old, new))


def write(folder, text, name="net.prototxt"):
    (folder / name).write_text(text)


# The layer alone


def test_loss(layers, trace):
    found = trace("standin", layers["loss"])
    rng = np.random.RandomState(0)
    a, b = rng.randn(4, 3, 4), rng.randn(4, 3, 4)
    name = "my_layer_loss"
    assert found.code == 0 and found.err == ""
    assert found.figures("forward", name, "bottom", "bottom_0") == close(expected(a))
    assert found.figures("forward", name, "bottom", "bottom_1") == close(expected(b))
    loss = np.sum((a - b) ** 2) / 8
    assert found.figures("forward", name, "top", name) == close(expected(loss))
    assert found.figures("backward", name, "top", name) == [1, 1, 1, 0, 0, 0]
    assert found.figures("backward", name, "bottom", "bottom_0") == close(
        expected((a - b) / 4)
    )
    assert found.figures("backward", name, "bottom", "bottom_1") == "not written"
    assert "from loss_weight" in found.out
    assert [shape for _, shape, _ in found.rows.values()][:3] == [
        "4x3x4",
        "4x3x4",
        "scalar",
    ]


def test_identity_gives_what_it_gets(layers, trace):
    found = trace("standin", layers["identity"])
    name = "my_layer_identity"
    for which in ("forward", "backward"):
        top = found.figures(which, name, "top", name)
        assert found.figures(which, name, "bottom", "bottom_0") == top
        assert top[0] < 0 < top[2]
    assert "random numbers" in found.out


@pytest.mark.parametrize("engine", usually("standin"))
def test_layer_that_works_in_place(layer, trace, engine):
    fragment = layer / "my_layer.prototxt"
    fragment.write_text(
        fragment.read_text().replace('top: "my_layer"', 'top: "bottom_0"')
    )
    found = trace(engine, layer)
    assert found.code == 0, found.err
    given = expected(np.random.RandomState(0).randn(4, 3, 4))
    for kind in ("bottom", "top"):
        assert found.figures("forward", "my_layer", kind, "bottom_0") == close(given)


def test_weights(layers, trace):
    found = trace("standin", layers["learnable"])
    name = "my_layer_learnable"
    assert found.figures("forward", name, "weight", "0") == [1, 1, 1, 0, 0, 0]
    assert found.figures("forward", name, "weight", "1") == [0, 0, 0, 100, 0, 0]
    top, bias = [
        found.figures("backward", name, *key)
        for key in (("top", name), ("weight", "1"))
    ]
    assert 48 * top[1] == pytest.approx(3 * bias[1], rel=0.02)


@pytest.mark.parametrize("kind", ["data", "metric"])
def test_without_a_gradient_backward_is_not_run(layers, trace, kind):
    found = trace("standin", layers[kind])
    assert found.code == 0 and found.err == ""
    assert {which for which, *_ in found.rows} == {"forward"}
    assert found.out.endswith("no bottom wants a gradient and there are no weights\n")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.caffe
def test_both_engines_print_the_same(layers, trace, kind):
    before = sorted(layers[kind].rglob("*"))
    real, standin = [trace(engine, layers[kind]).out.splitlines() for engine in ENGINES]
    assert real[0].startswith("caffe: real Caffe ")
    assert standin[0] == "caffe: numpy stand-in, as asked for"
    assert real[1:] == standin[1:]
    assert sorted(layers[kind].rglob("*")) == before


@pytest.mark.caffe
def test_engine_is_chosen_as_pytest_does(layers, trace):
    folder = layers["identity"]
    assert "stand-in, as asked for" in trace("real", folder, "--caffe=standin").out
    assert "stand-in, as asked for" in trace("real", folder, CAFFE_ENGINE="standin").out
    assert (
        "stand-in, because import caffe fails"
        in trace("standin", folder, CAFFE_ENGINE="").out
    )


def test_seed(layers, trace):
    zero, again, one = [
        trace("standin", layers["identity"], *arguments).out
        for arguments in ([], ["--seed=0"], ["--seed=1"])
    ]
    assert zero == again != one


@pytest.mark.parametrize("engine", usually("real"))
def test_nan_and_inf_stand_out(layer, trace, engine):
    spoil = "top[0].data.flat = [float('nan'), float('inf'), 0] + 45 * [2]"
    edit(layer, "    def backward", f"        {spoil}\n\n    def backward")
    found = trace(engine, layer)
    mark, _, figures = found.rows["forward", "my_layer", "top", "my_layer"]
    assert mark == "!" and figures == [0, 1.96, 2, 2.08, 1, 1]
    assert found.rows["forward", "my_layer", "bottom", "bottom_0"][0] == ""


def test_diff_that_backward_does_not_write(layer, trace):
    edit(layer, "bottom[0].diff[...] = top[0].diff", "pass")
    found = trace("standin", layer)
    assert found.figures("backward", "my_layer", "bottom", "bottom_0") == "not written"


def test_weight_without_a_gradient_is_told_from_one_whose_gradient_is_zero(bake, trace):
    layer = bake(layer_name="my_layer", layer_kind="learnable")
    edit(layer, "self.blobs[0].diff[...] += np.sum(x * dy, axis=(0, 2))", "pass")
    edit(layer, "self.blobs[1].diff[...] +=", "self.blobs[1].diff[...] += 0 *")
    found = trace("standin", layer)
    assert found.figures("backward", "my_layer", "weight", "0") == "not written"
    assert found.figures("backward", "my_layer", "weight", "1") == [0, 0, 0, 100, 0, 0]


def test_long_names_are_shortened_in_the_middle(bake, trace):
    layer = bake(layer_name="f" * 64, bottoms="b" * 32 + "c" * 32, tops="d" * 63 + "e")
    found = trace("standin", layer)
    names = {name for *_, name in found.rows}
    assert names == {"b" * 11 + ".." + "c" * 11, "d" * 11 + ".." + "d" * 10 + "e"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
@pytest.mark.caffe
def test_examples(bake, trace, example):
    answers = yaml.safe_load((example / "answers.yaml").read_text())["default_context"]
    folder = bake(**answers)
    for path in [*example.glob("*.p*"), *example.glob("tests/test_*.py")]:
        shutil.copy(path, folder / path.relative_to(example))
    found = trace("real", folder)
    assert found.code == 0, found.err
    (first, *_), text = (
        answers["bottoms"].split(","),
        (folder / f"{folder.name}.prototxt"),
    )
    assert found.figures("forward", folder.name, "bottom", first)[0] < 1e30
    assert found.figures("backward", folder.name, "bottom", first) != "not written"
    assert ("loss_weight" in text.read_text()) == ("from loss_weight" in found.out)


def test_python_27(layers, trace, with_caffe, packages):
    environment = {"PYTHONPATH": str(packages), "CAFFE_ENGINE": "standin"}
    for folder in layers.values():
        command = ["--bind", packages, *where_caffe_is("python2.7"), "trace"]
        done = with_caffe(folder, *command, **environment)
        found = Tables(done.returncode, done.stdout, done.stderr)
        assert found.err == ""
        assert found.out == trace("standin", folder).out


# Nets


@pytest.fixture(scope="module")
def net_layer(bake, with_caffe):
    """A layer beside a net, which only real Caffe runs."""
    folder = bake(layer_name="my_layer")
    write(folder, NET)
    return folder


def test_net_is_what_whole_passes_of_pycaffe_give(net_layer, trace, with_caffe):
    (net_layer / "whole.py").write_text(WHOLE_PASSES)
    result = with_caffe(
        net_layer, "python3", "-B", "whole.py", PYTHONPATH=str(net_layer)
    )
    data, diff = json.loads(result.stdout)
    found = trace("real", net_layer, "net.prototxt")
    assert found.code == 0 and found.err == ""
    assert "split" not in found.out
    last = {"forward": {}, "backward": {}}
    for (which, layer, kind, name), (_, _, figures) in found.rows.items():
        if kind == "weight" or which == "forward" or kind == "top":
            last[which][layer + name if kind == "weight" else name] = figures
    assert {"fc", "mine", "loss", "hinge", "fc0", "fc1", "accuracy"} <= set(
        last["forward"]
    )
    for name, figures in last["forward"].items():
        assert figures == close([*data[name], 0, 0]), name
    assert {"mine", "loss", "hinge", "fc0", "fc1"} <= set(last["backward"])
    for name in set(last["backward"]) - {
        "fc"
    }:  # in place: the last is the lowest layer's
        assert last["backward"][name] == close([*diff[name], 0, 0]), name
    assert found.figures("backward", "drop", "bottom", "fc") == close(
        [*diff["fc"], 0, 0]
    )


def test_layer_in_place_shows_what_it_got_and_gave(net_layer, trace):
    found = trace("real", net_layer, "net.prototxt", "--only", "relu", "--only", "drop")
    assert {layer for _, layer, *_ in found.rows} == {"relu", "drop"}
    before = found.figures("forward", "relu", "bottom", "frozen")
    after = found.figures("forward", "relu", "top", "frozen")
    assert before[0] < 0 == after[0] and before[2] == after[2]
    assert before[3] == 0 < after[3]
    assert found.figures("backward", "drop", "top", "fc")[3] == 0
    assert found.figures("backward", "drop", "bottom", "fc")[3] > 0


def test_layers_without_a_gradient(net_layer, trace):
    found = trace("real", net_layer, "net.prototxt")
    assert found.out.endswith(
        "\nno diff comes to the tops of accuracy, relu, frozen, data\n"
    )
    assert found.figures("backward", "fc", "bottom", "frozen") == "not written"
    assert found.figures("backward", "hinge", "bottom", "label") == "not written"
    assert found.figures("backward", "hinge", "top", "hinge")[:3] == [0.5, 0.5, 0.5]


def test_phase(net_layer, trace):
    found = trace("real", net_layer, "net.prototxt", "--phase=TEST", "--only=drop")
    rows = [found.figures("forward", "drop", kind, "fc") for kind in ("bottom", "top")]
    assert rows[0] == rows[1]


def test_weights_of_a_file(net_layer, trace, with_caffe):
    other = NET.replace('"frozen" type', '"other" type').replace("xavier", "gaussian")
    write(net_layer, other, "other.prototxt")
    save = "import caffe; caffe.Net('other.prototxt', caffe.TRAIN).save('other.caffemodel')"
    with_caffe(net_layer, "python3", "-B", "-c", save, PYTHONPATH=str(net_layer))
    drawn, read = [
        trace("real", net_layer, "net.prototxt", *arguments)
        for arguments in ([], ["--weights=other.caffemodel"])
    ]
    weights = [
        tables.figures("forward", "fc", "weight", "0") for tables in (drawn, read)
    ]
    assert weights[0] != weights[1]
    assert "\nother.caffemodel does not change weight 0 of frozen\n" in read.out


def test_inputs_are_filled_and_a_net_without_a_loss_says_so(net_layer, trace):
    text = """layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 2 dim: 9 } } }
    layer { name: "softmax" type: "Softmax" bottom: "in" top: "softmax" }"""
    write(net_layer, text, "plain.prototxt")
    write(net_layer, "force_backward: true\n" + text, "forced.prototxt")
    plain, forced = [
        trace("real", net_layer, f"{name}.prototxt") for name in ("plain", "forced")
    ]
    for found in (plain, forced):
        assert found.code == 0 and found.err == ""
        assert "input in: random numbers from 0 to 1" in found.out
        assert "as no top has a loss_weight" in found.out
        low, _, high, *_ = found.figures("forward", "in", "top", "in")
        assert 0 < low < high < 1
    assert plain.figures("backward", "softmax", "bottom", "in") == "not written"
    assert forced.figures("backward", "softmax", "bottom", "in")[0] < 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.caffe
def test_example_net(layers, trace, kind):
    phase = "TEST" if kind == "metric" else "TRAIN"
    found = trace(
        "real", layers[kind], "example/train_val.prototxt", f"--phase={phase}"
    )
    assert found.code == 0 and found.err == ""
    assert f"my_layer_{kind}" in {layer for _, layer, *_ in found.rows}


# What goes wrong


def test_abort_of_caffe_is_one_line(net_layer, trace):
    source = 'hdf5_data_param { source: "missing.txt" batch_size: 3 }'
    write(
        net_layer,
        f'layer {{ name: "h5" type: "HDF5Data" top: "x" {source} }}',
        "h5.prototxt",
    )
    found = trace("real", net_layer, "h5.prototxt")
    assert found.code == 1
    assert (
        found.err
        == "caffe-pylayer trace: layer h5: Failed to open source file: missing.txt\n"
    )


@pytest.mark.caffe
def test_caffe_that_dies_after_all_layers_is_not_the_last_layer_s_fault(layer, trace):
    abort = "textwrap.fill = lambda *_, **__: os.abort()"  # in the last line that the tool prints
    edit(layer, "import sys", f"import os\nimport sys\nimport textwrap\n\n{abort}")
    write(layer, NET)
    found = trace("real", layer, "net.prototxt")
    assert found.code == 1
    why = "Caffe ended the process (signal 6): it did not say why"
    assert found.err == f"caffe-pylayer trace: the end, after all layers: {why}\n"


PYTHON = """layer { name: "x" type: "Python" top: "x"
  python_param { module: "%s" layer: "%s" } }"""
REFUSED = {
    "missing": (None, [], "x.prototxt: No such file or directory"),
    "unreadable": (
        "layer {\n  name }\n",
        [],
        "x.prototxt:2:8: expected : or {, got }",
    ),
    "layer": (
        NET,
        ["--only=rellu"],
        "expected a layer .*, the nearest is relu, got rellu",
    ),
    "type": (
        'layer { name: "a" type: "Foo" }',
        [],
        "layer a: .* Unknown layer type: Foo",
    ),
    "weights": (
        NET,
        ["--weights=x.bin"],
        "x.bin: No such file or directory",
    ),
    "module": (
        PYTHON % ("nowhere", "X"),
        [],
        "layer x: .*: put the folder of .*.py on PYTHONPATH",
    ),
    "class": (
        PYTHON % ("my_layer", "X"),
        [],
        "layer x: .*my_layer, which has none of that name",
    ),
    "top": (
        'layer { name: "b" type: "ReLU" bottom: "a" top: "b" }',
        [],
        ".*Unknown bottom blob",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_net_is_one_line(net_layer, trace, name):
    text, arguments, reason = REFUSED[name]
    if text:
        write(net_layer, text, "x.prototxt")
    else:
        (net_layer / "x.prototxt").unlink(missing_ok=True)
    found = trace("real", net_layer, "x.prototxt", *arguments)
    assert found.code == 1
    assert re.match(f"caffe-pylayer trace: {reason}", found.err)
    assert found.err.count("\n") == 1


def test_net_without_real_caffe_is_one_line(layer, trace):
    write(layer, NET)
    for arguments, environment, why in (
        ([], {"CAFFE_ENGINE": ""}, "import caffe fails: "),
        (["--caffe=standin"], {}, "the stand-in was asked for"),
    ):
        found = trace("standin", layer, "net.prototxt", *arguments, **environment)
        assert found.code == 1 and found.out == ""
        assert found.err.startswith(
            f"caffe-pylayer trace: a net needs real Caffe, but {why}"
        )
        assert found.err.count("\n") == 1


def test_wrong_usage(layers, trace):
    for arguments in (
        ["--only=x"],
        ["--weights=x"],
        ["--phase=TEST"],
        ["--caffe=x"],
        ["a", "b"],
    ):
        found = trace("standin", layers["identity"], *arguments)
        assert found.code == 2 and found.out == ""
        assert found.err.startswith("usage: ") and "error: " in found.err


def test_help_has_examples(layers, trace):
    found = trace("standin", layers["identity"], "--help")
    assert found.code == 0
    assert "\n  caffe-pylayer trace example/train_val.prototxt\n" in found.out


RAISES = "raise ArithmeticError('no')"


@pytest.mark.parametrize(
    "engine, method",
    [
        ("real", "setup"),
        ("standin", "reshape"),
        ("standin", "forward"),
        ("real", "backward"),
    ],
)
def test_exception_of_the_layer_is_shown_with_its_lines(layer, trace, engine, method):
    module = layer / "my_layer.py"
    text = re.sub(
        rf"(    def {method}\(.*\n)", rf"\1        {RAISES}\n", module.read_text()
    )
    module.write_text(text)
    line = text.splitlines().index(f"        {RAISES}") + 1
    found = trace(engine, layer)
    assert found.code == 1
    where, what, *lines = (
        found.err.split("\n")[0].split(": ", 2)[1:] + found.err.split("\n")[1:]
    )
    assert where.startswith("layer my_layer")
    assert what == "ArithmeticError: no"
    assert lines == [f"  my_layer.py:{line} in {method}: {RAISES}", ""]
    shown = {which for which, *_ in found.rows}
    assert shown == {"backward": {"forward", "backward"}, "forward": {"forward"}}.get(
        method, set()
    )


@pytest.mark.parametrize("engine", usually("standin"))
def test_a_process_that_the_layer_starts_is_ended(layer, trace, engine):
    module, started = layer / "my_layer.py", layer / "started"
    start = (
        "        import time, multiprocessing\n"
        "        worker = multiprocessing.Process(target=time.sleep, args=(600,))\n"
        "        worker.start()\n"
        f"        open({str(started)!r}, 'w').write(str(worker.pid))\n"
    )
    text = re.sub(r"(    def setup\(.*\n)", lambda m: m[0] + start, module.read_text())
    module.write_text(text)
    found = trace(engine, layer)
    assert (found.code, found.err) == (0, "")
    assert ("backward", "my_layer", "bottom", "bottom_0") in found.rows
    if engine == "standin":  # real Caffe's processes have numbers of their own
        assert gone(int(started.read_text()))


@pytest.mark.parametrize("engine", usually("real"))
def test_top_without_a_shape_is_explained(layer, trace, engine):
    module = layer / "my_layer.py"
    module.write_text(re.sub(r"top\[0\]\.reshape.*", "pass", module.read_text()))
    found = trace(engine, layer)
    assert found.code == 1
    assert found.err.startswith("caffe-pylayer trace: layer my_layer")
    assert found.err.endswith(
        "\n  reshape must give every top its shape: top[i].reshape(...)\n"
    )


@pytest.mark.caffe
def test_abort_in_forward_comes_after_what_was_there(layer, trace):
    edit(
        layer, "        top[0].data", "        top[0].reshape(-1)\n        top[0].data"
    )
    found = trace("real", layer)
    assert found.code == 1
    assert list(found.rows) == [("forward", "my_layer", "bottom", "bottom_0")]
    reason = "Check failed: shape[i] >= 0 (-1 vs. 0)"
    assert found.err == f"caffe-pylayer trace: layer my_layer, forward: {reason}\n"


@pytest.mark.caffe
def test_metric_that_is_asked_for_a_gradient_gives_zeros(layers, trace):
    folder = layers["metric"]
    text = (folder / "example" / "train_val.prototxt").read_text()
    write(
        folder,
        "force_backward: true\n"
        + text.replace("include { phase: TEST }", "loss_weight: 1"),
    )
    found = trace("real", folder, "net.prototxt")
    name = "my_layer_metric"
    assert found.figures("backward", name, "bottom", "bottom_0") == [0, 0, 0, 100, 0, 0]


@pytest.mark.parametrize("engine", usually("standin"))
def test_what_the_layer_prints_stands_where_it_happens(layer, trace, engine):
    edit(layer, "        top[0].data", "        print('so far')\n        top[0].data")
    edit(
        layer,
        "        top[0].data",
        "        sys.stderr.write('to stderr\\n')\n        top[0].data",
    )
    found = trace(engine, layer)
    assert found.err == "to stderr\n"
    lines = found.out.splitlines()
    at = lines.index("so far")
    assert "bottom_0" in lines[at - 1] and lines[at + 1].startswith("  top")


@pytest.mark.parametrize("engine", ENGINES)
def test_reader_that_has_seen_enough(layers, request, engine):
    command, folder = [*HERE, "trace"], layers["identity"]
    if engine == "real":
        command[0] = "python3"
    words = " ".join(shlex.quote(str(word)) for word in command)
    shell = ["sh", "-c", f"{{ {words}; echo $? >&2; }} | head -n 1"]
    if engine == "real":
        with_caffe = request.getfixturevalue("with_caffe")
        result = with_caffe(folder, "--bind", PROJECT, *shell)
    else:
        result = subprocess.run(shell, cwd=folder, capture_output=True, text=True)
    assert result.stdout.startswith("caffe: ") and result.stdout.count("\n") == 1
    assert result.stderr == "0\n"


# The figures of an array


@pytest.mark.parametrize(
    "values, bad, text",
    [
        (-0.0, False, "0 0 0 100% 0 0"),
        ([[1e-10, -123456]], False, "-1.23e+05 -6.17e+04 1e-10 0% 0 0"),
        ([np.nan, np.nan], True, "- - - 0% 2 0"),
        ([np.inf, -np.inf, 1, 0], True, "0 0.5 1 25% 0 2"),
        ([3e38, 3e38], False, "3e+38 3e+38 3e+38 0% 0 0"),
        (np.arange(100001) > 0, False, "0 1 1 0.1% 0 0"),
        (np.arange(100001) < 1, False, "0 1e-05 1 99.9% 0 0"),
        (np.full(123456, np.nan), True, "- - - 0% 1e+05 0"),
    ],
)
def test_figures(values, bad, text):
    found = tool.summary(np.array(values, np.float32))
    assert found[0] == bad and found[1].split() == text.split()


def test_blob_without_elements(capsys):
    tool.show([("top", "empty", SimpleNamespace(count=0, shape=[0, 3]))], "data")
    assert capsys.readouterr().out.split() == ["top", "empty", "0x3", "no", "elements"]


def test_large_blob_is_not_copied():
    array = np.ones(10**7, np.float32)
    tracemalloc.start()
    try:
        tool.summary(array)
        tool.untouched(SimpleNamespace(count=array.size, diff=array), tool.NOTHING)
        assert tracemalloc.get_traced_memory()[1] < 0.3 * array.nbytes
    finally:
        tracemalloc.stop()


def test_a_fatal_line_is_why_caffe_ends_the_process():
    def dies():
        os.write(
            2,
            b"I1123 11:11 1 a.cpp:1] Creating\nF1123 11:11 1 a.cpp:2] No file\n@ main\n",
        )
        os.kill(os.getpid(), 9)

    with pytest.raises(tool.isolation.ChildEnded, match=r"\(signal 9\): No file$"):
        tool.isolation.run_in_child(dies, 10, os.curdir)


# Shapes, pictures, and what a layer leaves running


def in_method(folder, method, line):
    """Put a line first in a method of the layer."""
    start = re.search(
        rf"    def {method}\(.*\n", (folder / f"{folder.name}.py").read_text()
    )
    edit(folder, start.group(), f"{start.group()}        {line}\n")


@pytest.mark.parametrize("engine", usually("standin"))
def test_layer_that_started_a_process_does_not_keep_it_from_ending(
    layer, trace, engine
):
    """The process holds stdout open: whoever reads it, as here, would wait for it, too."""
    sleeper = "import multiprocessing, time; P = multiprocessing.Process"
    in_method(layer, "setup", f"{sleeper}; P(target=time.sleep, args=(3000,)).start()")
    tables = trace(engine, layer)
    assert (tables.code, tables.err) == (0, "")
    assert "backward" in [key[0] for key in tables.rows]


@pytest.mark.parametrize("engine", usually("real"))
def test_shapes_of_the_layer_run_nothing(layer, trace, engine):
    in_method(layer, "forward", "raise ValueError('forward runs')")
    tables = trace(engine, layer, "--shapes")
    lines = tables.out.splitlines()[1:]
    assert (tables.code, tables.err, tables.rows) == (0, "", {})
    assert lines[:3] == ["", "shapes, for make_bottoms(rng, 4)", "my_layer (Python)"]
    kinds, shapes = zip(*[(line.split()[0], line.split()[2]) for line in lines[3:]])
    assert (
        kinds == ("bottom", "top") and shapes[0] == shapes[1] and shapes[0][:2] == "4x"
    )


def test_shapes_of_a_net(net_layer, trace):
    write(net_layer, NET, "shapes.prototxt")
    tables = trace("real", net_layer, "shapes.prototxt", "--shapes", "--only", "fc")
    assert tables.out.split("shapes, in phase TRAIN\n")[1].split() == (
        "fc (InnerProduct) bottom frozen 6x4 weight 0 3x4 weight 1 3 top fc 6x3".split()
    )


def test_plot_draws_each_blob_of_a_layer(layer, trace):
    tables = trace("standin", layer, "--plot", "pictures")
    assert (tables.code, tables.err) == (0, "")
    (picture,) = (layer / "pictures").iterdir()
    assert picture.name == "01_my_layer.png"
    assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 10000
    assert "\n1 pictures of layers in pictures\nno net.png (" in tables.out


def test_plot_of_a_net_has_pictures_of_it_and_of_each_layer(net_layer, trace):
    """A pydot that writes the labels it is given, in place of a picture."""
    (net_layer / "pydot.py").write_text(
        "class Node:\n    def __init__(self, label, **style): self.label = label\n"
        "class Edge:\n    def __init__(self, *ends, **style): pass\n"
        "class Dot:\n"
        "    def __init__(self, *names, **style): self.labels = []\n"
        "    def add_node(self, node): self.labels.append(node.label)\n"
        "    def add_edge(self, edge): pass\n"
        "    def create(self, format): return repr(self.labels).encode()\n"
    )
    write(net_layer, NET, "draw.prototxt")
    tables = trace("real", net_layer, "draw.prototxt", "--plot", "drawn")
    (net_layer / "pydot.py").unlink()
    assert tables.out.splitlines()[-1] == "a picture of the net: drawn/net.png", (
        tables.out
    )
    assert "hinge" in (net_layer / "drawn" / "net.png").read_text()
    pictures = {path.name for path in (net_layer / "drawn").iterdir()} - {"net.png"}
    names = re.findall('layer { name: "(.*?)"', NET)
    assert sorted(picture[3:-4] for picture in pictures) == sorted(names)


@pytest.mark.proof
def test_plot_of_a_net_without_pydot(net_layer, trace):
    """The Caffe root has none: one line says so, and no empty file is left."""
    tables = trace("real", net_layer, "net.prototxt", "--plot", "net_pictures")
    assert not (net_layer / "net_pictures" / "net.png").exists()
    last = tables.out.splitlines()[-1]
    assert last.startswith("no net.png (No module named 'pydot'): it takes ")
    assert last.endswith("graphviz and python3 -m pip install pydot")


def test_plot_without_matplotlib_is_one_line(layer, trace):
    (layer / "matplotlib.py").write_text("raise ImportError('none')")
    tables = trace("standin", layer, "--plot", "pictures", PYTHONPATH=str(layer))
    assert (tables.code, tables.out, tables.err.count("\n")) == (1, "", 1)
    assert "-m pip install matplotlib" in tables.err


def test_histogram_of_what_is_not_finite():
    histogram = trace_plots.Histogram(np.float32([np.nan, np.inf, 0, 1]))
    assert (histogram.bad, histogram.zeros, histogram.counts.sum()) == (2, 1, 2)
    assert trace_plots.Histogram(np.float32([np.nan])).counts is None


def test_dotted_module_below_pythonpath(layer, trace):
    """module: "layers.my_layer.my_layer" with PYTHONPATH = the repository; else what to type."""
    package = layer.parent / "layers" / "my_layer"
    shutil.copytree(layer, package)
    fragment = package / "my_layer.prototxt"
    text = fragment.read_text().replace('module: "', 'module: "layers.my_layer.')
    fragment.write_text(text)
    root = str(layer.parent)
    right = trace("standin", package, "--shapes", PYTHONPATH=root)
    assert (right.code, right.err) == (0, "")
    wrong = trace("standin", package, "--shapes")
    assert wrong.err.endswith(f": export PYTHONPATH={root}:$PYTHONPATH\n")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
