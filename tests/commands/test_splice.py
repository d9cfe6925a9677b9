"""caffe-pylayer splice: what it changes in a net, what it leaves alone, and what it refuses."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from caffe_pylayer.commands import command_line
from support.commands import HERE, caffe_pylayer, where_caffe_is

NET = b"""name: "net" # of three
layer { name: "data" type: "Input" top: "data" }
layer { name: "label" type: "Input" top: "label" }
layer {
  name: "ip"  # { " '
  type: "InnerProduct"
  bottom: "data"
  top: "ip"
}
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer {
  name: "accuracy"
  type: "Accuracy"
  bottom: "ip"
  bottom: "label"
  include { phase: TEST }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip"
  bottom: "label"
  top: "loss"
}
"""
LAYERS = {
    "my_layer": {"param_str_keys": "x1=1, x2=2"},
    "two": {"bottoms": "2", "tops": "2"},
    "my_loss": {"layer_kind": "loss", "bottoms": "scores,label"},
    "my_metric": {"layer_kind": "metric", "bottoms": "ip,label"},
    "my_data": {"layer_kind": "data", "tops": "images,labels"},
}
PHASES = b"""layer { name: "data" type: "Input" top: "data" top: "label" include { phase: TRAIN } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST } }
layer { name: "p" type: "Power" bottom: "data" top: "p" }
layer { name: "ip" type: "InnerProduct" bottom: "p" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "data" top: "loss" }
"""
AFTER_DATA = (
    b"""# caffe-pylayer splice --remove my_layer takes this out and %s
layer {
  name: "my_layer"
  type: "Python"
  bottom: "data"
  top: "my_layer"
  python_param {
    module: "my_layer"
    layer: "MyLayer"
    param_str: '{"x1": 1, "x2": 2}'
  }
}
"""
    % b"reconnects what reads it"
)


@pytest.fixture(scope="module")
def layers(bake, tmp_path_factory):
    out = tmp_path_factory.mktemp("layers")
    return {
        name: bake(out=out, layer_name=name, **answers)
        for name, answers in LAYERS.items()
    }


@pytest.fixture
def splice(layers, tmp_path, monkeypatch, capfdbinary):
    """splice(net, *arguments, layer=name) runs the tool on a file net.prototxt of those bytes.

    In this process, so that a call takes milliseconds.
    """
    monkeypatch.chdir(tmp_path)

    def run(net, *arguments, layer="my_layer"):
        if net is not None:
            (tmp_path / "net.prototxt").write_bytes(net)
        given = ["splice", "net.prototxt", "--layer", layers[layer], *arguments]
        capfdbinary.readouterr()
        try:
            code = command_line.main([str(word) for word in given])
        except SystemExit as end:
            code = end.code
        sys.stderr.flush()
        return subprocess.CompletedProcess(given, code, *capfdbinary.readouterr())

    return run


@pytest.fixture
def put(splice):
    """put(net, *arguments) returns the net with the layer; --remove has to give back the bytes."""

    def run(net, *arguments, layer="my_layer", name=None):
        done = splice(net, *arguments, "-o", "-", layer=layer)
        assert done.returncode == 0, done.stderr
        back = splice(done.stdout, "--remove", name or layer, "-o", "-", layer=layer)
        assert (back.stdout, back.returncode) == (net, 0), back.stderr
        return done.stdout

    return run


@pytest.fixture
def refusal(splice, tmp_path):
    """refusal(net, *arguments) returns the one line of a refusal that changes nothing."""

    def run(net, *arguments, **options):
        done = splice(net, *arguments, **options)
        error = done.stderr.decode()
        assert (done.returncode, done.stdout) == (1, b"")
        assert error.startswith("caffe-pylayer splice: ") and error.count("\n") == 1
        assert len(error) < 250, error
        assert net is None or os.listdir(tmp_path) == ["net.prototxt"]
        return error

    return run


def layer_text(text, name):
    """The lines of a spliced layer, from its name to its end."""
    lines = text.decode().split("\n")
    start = lines.index(f'  name: "{name}"')
    return [line.strip() for line in lines[start : lines.index("}", start)]]


# Where it goes


def test_after_a_blob(put):
    before = NET.index(b'layer { name: "label"')
    expected = (
        NET[:before] + AFTER_DATA + NET[before:].replace(b'"data"', b'"my_layer"')
    )
    assert put(NET, "--after", "data") == expected


def test_after_the_layers_that_work_in_place(put):
    text = put(NET, "--after", "ip")
    assert (
        text.index(b'"relu"')
        < text.index(b'name: "my_layer"')
        < text.index(b'"accuracy"\n  t')
    )
    assert b'layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }' in text
    assert text.count(b'bottom: "my_layer"') == 2


def test_further_bottoms_and_several_tops(put):
    text = put(NET, "--after", "ip", "--bottom", "label", layer="two")
    lines = layer_text(text, "two")
    assert lines[2:6] == [
        'bottom: "ip"',
        'bottom: "label"',
        'top: "two_0"',
        'top: "two_1"',
    ]
    assert text.count(b'bottom: "two_0"') == 2


def test_a_loss_goes_to_the_end(put):
    text = put(NET, "--after", "ip", "--bottom", "label", layer="my_loss")
    assert text.startswith(NET)
    assert layer_text(text, "my_loss")[2:4] == ['bottom: "ip"', 'bottom: "label"']
    assert put(NET, "--bottom", "ip", "--bottom", "label", layer="my_loss") == text


def test_a_metric_whose_bottoms_are_there_by_name_needs_no_more(put):
    assert put(NET, layer="my_metric").startswith(NET)


def test_data_goes_to_the_start(put):
    text = put(NET, layer="my_data")
    assert text.startswith(
        b'name: "net" # of three\n# caffe-pylayer splice --remove my_data takes this out\n'
    )
    assert text.endswith(NET[NET.index(b"layer") :])


def test_data_goes_where_its_tops_were_missing(splice, put):
    """And out again, but not before what was put in behind it."""
    net = b"".join(NET.splitlines(True)[3:]).replace(b"label", b"labels")
    for text in (
        net,
        net.replace(b'"data"', b"\"i\" 'mages'"),
        net.replace(b"\n", b"\r\n"),
    ):
        put(text.replace(b'"data"', b'"images"'), layer="my_data")
    both = splice(put(net.replace(b"data", b"images"), layer="my_data"), "--after", "labels",
                  "-o", "-").stdout  # fmt: skip
    refused = splice(both, "--remove", "my_data")
    assert (
        b"my_layer reads labels, which would be gone; first --remove my_layer\n"
        in refused.stderr
    )


def test_another_name_puts_the_same_layer_in_twice(splice, put):
    once = put(NET, "--after", "data")
    twice = put(once, "--after", "ip", "--name", "second", name="second")
    assert layer_text(twice, "second")[2:4] == ['bottom: "ip"', 'top: "second"']
    in_a_row = put(once, "--after", "my_layer", "--name", "second", name="second")
    first_out = splice(in_a_row, "--remove", "my_layer", "-o", "-").stdout
    assert layer_text(first_out, "second")[2:4] == ['bottom: "data"', 'top: "second"']
    assert splice(first_out, "--remove", "second", "-o", "-").stdout == NET


def test_what_read_the_removed_layer_reads_its_bottom_of_now(splice, put):
    once = put(NET, "--after", "data")
    in_front = put(once, "--after", "data", "--name", "second", name="second")
    first_out = splice(in_front, "--remove", "my_layer", "-o", "-").stdout
    assert b'type: "InnerProduct"\n  bottom: "second"\n' in first_out
    assert splice(first_out, "--remove", "second", "-o", "-").stdout == NET


def test_a_net_s_other_phases(put):
    twins = NET.replace(
        b'layer { name: "label"',
        b'layer { name: "data" type: "Input" top: "data" } layer { name: "label"',
    ).replace(b'top: "data" }', b'top: "data" include { phase: TEST } }')
    twins = twins.replace(b"phase: TEST", b"phase: TRAIN", 1)
    text = put(twins, "--after", "data")
    assert (
        text.index(b"TEST") < text.index(b'name: "my_layer"') < text.index(b'"ip"  #')
    )
    assert (
        b"include" not in text[text.index(b'name: "my_layer"') : text.index(b'"ip"  #')]
    )


def test_a_blob_of_one_phase_gives_its_include(put):
    net = NET.replace(
        b'  bottom: "label"\n  include', b'  bottom: "label" top: "acc"\n  include'
    )
    assert "include { phase: TEST }" in layer_text(
        put(net, "--after", "acc"), "my_layer"
    )


def test_a_loss_keeps_its_weight_when_it_is_read(put):
    """Caffe takes loss_weight 1 for granted in a loss, but only where no layer reads its top."""
    weighed = b'  loss_weight: 1 # by caffe-pylayer splice\n  type: "SoftmaxWithLoss"\n'
    assert weighed in put(NET, "--after", "loss")
    weighed = NET.replace(b'top: "loss"', b'top: "loss" loss_weight: 2')
    assert b"loss_weight: 1" not in put(weighed, "--after", "loss")


def test_a_loss_that_weighs_nothing_is_still_a_loss(layers, put):
    """loss_weight: 0 in the fragment must not make the net's readers read the loss."""
    fragment = layers["my_loss"] / "my_loss.prototxt"
    before = fragment.read_text()
    fragment.write_text(before.replace("loss_weight: 1", "loss_weight: 0"))
    try:
        text = put(NET, "--after", "ip", "--bottom", "label", layer="my_loss")
    finally:
        fragment.write_text(before)
    assert text.startswith(NET)


def test_a_new_output_of_the_net_is_said(splice):
    done = splice(NET, "--after", "loss", "-o", "-")
    assert b"read by no layer: my_layer is an output of the net now\n" in done.stderr


LOSS = NET[NET.index(b'layer {\n  name: "loss"') :]


@pytest.mark.parametrize("other", [b"", b'top: "loss" loss_weight: 2'])
@pytest.mark.parametrize("phases", [(b"TRAIN", b"TEST"), (b"TEST", b"TRAIN")])
def test_two_losses_of_one_name(put, other, phases):
    """Each keeps what it had: one for TRAIN and one for TEST, which has no top or a weight."""
    net = NET[: -len(LOSS)]
    for phase, top in zip(phases, (b'top: "loss"', other)):
        net += LOSS.replace(b'top: "loss"', top + b"\n  include { phase: %s }" % phase)
    text = put(net, "--after", "loss")
    assert text.count(b"loss_weight: 1 # by caffe-pylayer splice\n") == 1


@pytest.fixture(scope="module")
def in_place(bake):
    """A layer that works in place, as its fragment says."""
    folder = bake(layer_name="in_place")
    fragment = folder / "in_place.prototxt"
    text = fragment.read_text().replace('top: "in_place"', 'top: "bottom_0"')
    fragment.write_text(text)
    return folder


def test_what_it_stands_behind_in_place_is_said(splice):
    done = splice(NET, "--after", "ip", "-o", "-")
    words = b"my_layer after ip, behind relu in place, read by accuracy, loss\n"
    assert done.stderr.endswith(words)


def test_goes_before_what_works_in_place(splice, put):
    text = put(NET, "--after", "ip", "--before", "relu")
    assert text.index(b'name: "my_layer"') < text.index(b'"relu"')
    assert b'"ReLU" bottom: "my_layer" top: "my_layer"' in text
    assert text.count(b'"ip"') == 3  # name and top of the InnerProduct, our bottom
    done = splice(NET, "--after", "ip", "--before", "relu", "-o", "-")
    assert done.stderr.endswith(
        b"my_layer after ip, read by relu, accuracy, loss; in place on its top: relu, "
        b"so its backward must not use the top\n"
    )


@pytest.mark.parametrize(
    "arguments, layer, words",
    [
        (
            ["--before", "loss"],
            "my_layer",
            "works in place on ip, got loss; there: relu",
        ),
        (["--before", "relu", "--bottom", "label"], "my_loss", "expected no --before"),
    ],
)
def test_refuses_what_is_not_in_place(refusal, arguments, layer, words):
    assert words in refusal(NET, "--after", "ip", *arguments, layer=layer)


def test_a_layer_in_place_stays_in_place(splice, put, layers, in_place):
    layers["in_place"] = in_place
    text = put(NET, "--after", "ip", layer="in_place")
    assert layer_text(text, "in_place")[2:4] == ['bottom: "ip"', 'top: "ip"']
    assert text.count(b'"ip"') == NET.count(b'"ip"') + 2
    done = splice(NET, "--after", "ip", "-o", "-", layer="in_place")
    words = (
        b"in place on ip, behind relu in place: its backward sees the top's data, not"
    )
    assert words in done.stderr


SHAPED = NET.replace(
    b'type: "Input" top: "data"',
    b'type: "Input" top: "data" input_param { shape { dim: 8 dim: 7 } }',
).replace(
    b'type: "InnerProduct"',
    b'type: "InnerProduct" inner_product_param { num_output: 5 }',
)


def test_shapes_that_the_layer_s_test_does_not_have_are_said(splice, layers):
    words = (
        b": ip is (8, 5), make_bottoms makes (2, 3, 4): test the layer with "
        b"pytest --bottoms-from=net.prototxt\n"
    )
    assert words in splice(SHAPED, "--after", "ip", "-o", "-").stderr
    assert (
        words.replace(b"ip", b"output_2", 1)
        in splice(SHAPED, "--split", "loss", "-o", "-").stderr
    )
    assert b"make_bottoms" not in splice(NET, "--after", "ip", "-o", "-").stderr
    test = layers["my_layer"] / "tests" / "test_my_layer.py"
    before = test.read_text()
    for mine, said in (
        ("print(7)\n    return [rng.randn(batch, 5)]", False),
        ("return [rng.randn(batch, 6)]", True),
        ("raise SystemExit", False),
    ):
        text, makes = (
            before.split("    return [", 1)[0],
            before.split("\n\n\ndef expected")[1],
        )
        test.write_text(text + "    " + mine + "\n\n\ndef expected" + makes)
        try:
            done = splice(SHAPED, "--after", "ip")
        finally:
            test.write_text(before)
        assert (b"make_bottoms" in done.stderr, done.returncode) == (said, 0), mine
        assert done.stdout.startswith(b"---")


# Splitting


def test_split_behind_global_pooling(put, refusal):
    """A 1x1 convolution there has no height and no width; elsewhere it has."""
    net = NET.replace(
        b'  type: "InnerProduct"\n',
        b'  type: "Convolution" convolution_param { num_output: 3 kernel_size: 1 }\n',
    )
    assert "spatial" in refusal(net, "--split", "loss")
    pooled = net.replace(
        b'type: "Input" top: "data"',
        b'type: "Pooling" bottom: "label" top: "data" pooling_param { global_pooling: true }',
    )
    put(pooled, "--split", "loss")


@pytest.mark.parametrize(
    "more", ["softmax_param { axis: 1 }", "loss_param { }", "loss_param < >"]
)
def test_split_takes_what_says_no_more_than_the_default(put, more):
    put(NET.replace(b'top: "loss"', b'top: "loss" ' + more.encode()), "--split", "loss")


def test_split_behind_a_thousand_layers(put):
    layer = b'layer { name: "r%d" type: "ReLU" bottom: "ip" top: "ip" }\n'
    relus = b"".join(layer % i for i in range(1000))
    put(
        NET.replace(b'layer { name: "relu"', relus + b'layer { name: "relu"'),
        "--split",
        "loss",
    )


def test_split_says_what_to_do_with_two_losses_of_one_name(refusal):
    words = refusal(NET + LOSS, "--split", "loss")
    assert (
        "there are 2 layers loss, in lines 18, 25: give each a name of its own" in words
    )


@pytest.mark.parametrize(
    "value", ["- 1", "-# one\n1", "-inf", "- .5", "-1", "-nan", "-0x10", "- infinity"]
)
def test_a_minus_stands_where_it_does_for_caffe(put, value):
    more = "inner_product_param { weight_filler { min: %s } }\n top:" % value
    put(NET.replace(b"top:", more.encode(), 1), "--after", "data")


@pytest.mark.parametrize("value", ["+1", "--1", "-", "-'a'", "-true"])
def test_other_signs_are_refused_as_by_caffe(refusal, value):
    net = b"layer { name: 'a' top: 'data' x: %s\n}" % value.encode()
    assert "net.prototxt:" in refusal(net, "--after", "data")


def test_split_a_softmax_with_loss(put):
    text = put(NET, "--split", "loss")
    assert layer_text(text, "output_2") == [
        'name: "output_2"', 'type: "Softmax"', 'bottom: "ip"', 'top: "output_2"'
    ]  # fmt: skip
    assert layer_text(text, "my_layer")[2:4] == ['bottom: "output_2"', 'top: "output"']
    assert layer_text(text, "loss") == [
        'name: "loss"', 'type: "MultinomialLogisticLoss"', 'bottom: "output"', 'bottom: "label"',
        'top: "loss"',
    ]  # fmt: skip
    assert text.count(b'bottom: "ip"') == 3  # of relu, accuracy and Softmax


def test_split_takes_further_bottoms_and_names(put):
    text = put(NET, "--split", "loss", "--name", "other", name="other")
    assert layer_text(text, "other")[2:4] == ['bottom: "other_2"', 'top: "other"']


def test_split_keeps_what_the_loss_says(put):
    more = b"loss_weight: 2 include { phase: TRAIN }\n  softmax_param { engine: CAFFE }\n}\n"
    text = put(NET[:-2] + more, "--split", "loss")
    assert layer_text(text, "output_2")[4:] == [
        "include { phase: TRAIN }", "softmax_param { engine: CAFFE }"
    ]  # fmt: skip
    assert "include { phase: TRAIN }" in layer_text(text, "my_layer")
    assert "loss_weight: 2" in "".join(layer_text(text, "loss"))


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ('top: "loss"', 'top: "loss" loss_param { ignore_label: 255 }',
         "has no loss_param; instead: --after ip"),
        ('top: "loss"', 'top: "loss" softmax_param { axis: 2 }', "softmax_param.axis"),
        ('"InnerProduct"', '"Convolution"', "spatial"),
        ('type: "Input" top: "label"', 'type: "Input" top: "label" input_param { shape '
         '{ dim: 4 dim: 1 dim: 8 dim: 8 } }', "spatial"),
        ('type: "Input" top: "label"', 'type: "Input" top: "label" input_param { shape '
         '{ dim: 4 dim: 8 } }', "spatial"),
        ('top: "loss"', 'top: "loss" top: "scores"', "one top, got 2"),
        ('"SoftmaxWithLoss"', '"EuclideanLoss"', "expected the name of one SoftmaxWithLoss"),
    ],
)  # fmt: skip
def test_split_refuses_with_the_reason(refusal, old, new, reason):
    assert reason in refusal(NET.replace(old.encode(), new.encode()), "--split", "loss")


@pytest.mark.parametrize("layer", ["my_loss", "my_metric", "my_data", "two"])
def test_split_refuses_layers_that_cannot_stand_in_between(refusal, layer):
    assert "to go in between" in refusal(NET, "--split", "loss", layer=layer)


# What stays byte for byte


@pytest.mark.parametrize(
    "old, new",
    [
        ("\n", "\r\n"),
        ("layer {", "layer{"),
        ("layer {", "layer : {"),
        ("layer {", "layer\t# { comment\n:\n{"),
        ('"', "'"),
        ('"ip"', '"i" # half\n "p"'),
        ('"ip"', "\"i\" 'p'"),
        ('"ip"', '"\\151p"'),
        ('"ip"', '"i\\"{#p"'),
        ('"ip"', "'層 blob'"),
        (" of three", " von drei Lagen in Latin-1: \xe4"),
        ("}\nlayer", "} layer"),
        ("}\n", "};\n"),
        ("}\n", "} # the end }\n"),
        ("\n", "  \n"),
        (" {", " <"),
        ('bottom: "ip"\n  bottom: "label"', 'bottom: ["ip", "label"]'),
        ("  ", "\t"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [["--after", "data"], ["--after", "ip"], ["--after", "loss"], ["--split", "loss"]],
)
def test_other_ways_to_write_the_same(put, old, new, arguments):
    net = NET.replace(
        old.encode("latin-1" if "\xe4" in new else "utf-8"),
        new.encode("latin-1" if "\xe4" in new else "utf-8"),
    )
    if new.endswith("<"):
        net = net.replace(b"}", b">").replace(b'# { "', b"#")
    blob = {
        "ip": {'i\\"{#p': 'i"{#p', "層 blob": "層 blob"}.get(new.strip("\"'"), "ip")
    }
    put(net, *(blob.get(argument, argument) for argument in arguments))
    put(net.rstrip(), *(blob.get(argument, argument) for argument in arguments))


def test_line_ends_are_those_of_the_net(put):
    text = put(NET.replace(b"\n", b"\r\n"), "--after", "data")
    assert text.count(b"\n") == text.count(b"\r\n")


def test_quotes_stay(put):
    text = put(NET.replace(b'"', b"'"), "--after", "data")
    assert b"bottom: 'my_layer'" in text


def test_old_input_fields(put):
    net = NET.replace(
        b'layer { name: "data" type: "Input" top: "data" }',
        b'input: "data" input_dim: 4',
    )
    text = put(net, "--after", "data")
    assert (
        text.index(b"input_dim")
        < text.index(b'name: "my_layer"')
        < text.index(b'"label"')
    )


# Writing


def test_prints_a_diff_that_patch_takes(splice, tmp_path):
    for net in (NET, NET.rstrip(), NET.replace(b"\n", b"\r\n")):
        diff = splice(net, "--after", "loss").stdout
        assert (tmp_path / "net.prototxt").read_bytes() == net
        wanted = splice(net, "--after", "loss", "-o", "-").stdout
        assert diff.startswith(b"--- net.prototxt\n+++ net.prototxt\n@@")
        done = subprocess.run(
            ["patch", "--binary", "net.prototxt"], input=diff, capture_output=True
        )
        assert done.returncode == 0, done.stdout
        assert (tmp_path / "net.prototxt").read_bytes() == wanted


def test_in_place_keeps_the_original_and_its_mode(splice, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_bytes(NET)
    net.chmod(0o640)
    done = splice(None, "--after", "data", "--in-place")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"net.prototxt: my_layer after data, read by ip\n"
    assert (net.stat().st_mode & 0o777, AFTER_DATA in net.read_bytes()) == (0o640, True)
    assert (tmp_path / "net.prototxt.orig").stat().st_mode & 0o777 == 0o640
    splice(None, "--after", "ip", "--name", "second", "--in-place")
    assert (tmp_path / "net.prototxt.orig").read_bytes() == NET
    assert sorted(os.listdir(tmp_path)) == ["net.prototxt", "net.prototxt.orig"]


def test_in_place_follows_a_symbolic_link(splice, tmp_path):
    (tmp_path / "real").write_bytes(NET)
    (tmp_path / "net.prototxt").symlink_to("real")
    splice(None, "--after", "data", "--in-place")
    assert (tmp_path / "net.prototxt").is_symlink()
    assert AFTER_DATA in (tmp_path / "real").read_bytes()


def test_writes_another_file(splice, tmp_path):
    assert splice(NET, "--after", "data", "-o", "new.prototxt").stdout == b""
    assert AFTER_DATA in (tmp_path / "new.prototxt").read_bytes()
    assert (tmp_path / "net.prototxt").read_bytes() == NET


def test_a_reader_that_stops_is_no_error(splice, layers, tmp_path):
    (tmp_path / "net.prototxt").write_bytes(NET * 1)
    command = [
        *HERE,
        "splice",
        "net.prototxt",
        "--layer",
        layers["my_layer"],
        "--after",
        "data",
    ]
    words = " ".join(shlex.quote(str(word)) for word in command)
    shell = ["bash", "-c", f"{words} | true; echo ${{PIPESTATUS[0]}}"]
    done = subprocess.run(shell, capture_output=True)
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_the_fragment_is_the_author_s(layers, splice):
    fragment = layers["two"] / "two.prototxt"
    before = fragment.read_text()
    fragment.write_text(
        "# mine\n" + before.replace('type: "Python"', 'type: "Python" # Caffe\'s')
    )
    try:
        text = splice(
            NET, "--after", "ip", "--bottom", "label", "-o", "-", layer="two"
        ).stdout
    finally:
        fragment.write_text(before)
    assert b'type: "Python" # Caffe\'s\n' in text and b"# mine" not in text


def test_a_pipe_stays_a_pipe(splice, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        assert splice(NET, "--after", "data", "-o", "pipe").returncode == 0
        assert AFTER_DATA in reader.read()
    assert (tmp_path / "pipe").is_fifo()


def test_stdout_has_another_name(splice, layers):
    splice(NET, "--after", "data")
    command = ["splice", "net.prototxt", "--layer", layers["my_layer"], "--after"]
    done = caffe_pylayer(*command, "data", "-o", "/dev/stdout", text=False)
    assert AFTER_DATA in done.stdout


def test_a_hard_link_stays_one(splice, tmp_path):
    (tmp_path / "net.prototxt").write_bytes(NET)
    os.link(tmp_path / "net.prototxt", tmp_path / "other")
    splice(None, "--after", "data", "--in-place")
    assert AFTER_DATA in (tmp_path / "other").read_bytes()


def test_an_original_that_is_older_is_said(splice, tmp_path):
    splice(NET, "--after", "data", "--in-place")
    splice(None, "--remove", "my_layer", "--in-place")
    assert b".orig" not in splice(None, "--after", "data", "--in-place").stderr
    done = splice(NET + b"# mine\n", "--after", "data", "--in-place")
    assert done.stderr.startswith(
        b"net.prototxt.orig: kept, it is from before another change\n"
    )
    assert (tmp_path / "net.prototxt.orig").read_bytes() == NET


def test_a_comment_that_stands_there_twice_goes_twice(splice):
    text = splice(NET, "--after", "data", "-o", "-").stdout
    line = text[text.index(b"# caffe-pylayer") : text.index(b'layer {\n  name: "my_')]
    assert (
        splice(text.replace(line, line * 2), "--remove", "my_layer", "-o", "-").stdout
        == NET
    )


def test_names_are_shown_as_they_are_written(splice, refusal):
    text = splice(NET, "--split", "loss", "--name", "層", "-o", "-").stdout
    assert "got x; there: 層\n" in refusal(text, "--remove", "x")
    inside = splice(text, "--after", "層_2", "--name", "é", "-o", "-").stdout
    assert "é stands inside; first --remove é\n" in refusal(inside, "--remove", "層")


# Taking out in any order: the net is then what it was


@pytest.fixture
def back(splice):
    """back(net, puts, names) puts in layers a, b, ... and takes those of these names out."""

    def run(net, puts, names):
        text = net
        for name, arguments in zip("abc", puts):
            text = splice(text, *arguments, "--name", name, "-o", "-").stdout
        for name in names:
            done = splice(text, "--remove", name, "-o", "-")
            assert done.returncode == 0, done.stderr
            text = done.stdout
        assert text == net

    return run


@pytest.mark.parametrize("names", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_layers_at_one_blob_go_in_any_order(back, names):
    halves = NET.replace(b'bottom: "ip"\n', b'bottom: "i" "p"\n')
    back(halves, [["--after", "ip"]] * 3, names)
    back(halves, [["--after", "ip"], ["--after", "a"], ["--after", "ip"]], names)


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_the_weight_of_a_loss_goes_with_the_last_reader(back, splice, names):
    back(NET, [["--after", "loss"]] * 2, names)
    back(NET, [["--after", "loss"], ["--after", "a"]], names)
    text = splice(NET, "--after", "loss", "--name", "a", "-o", "-").stdout
    text = splice(text, "--after", "a", "--name", "b", "-o", "-").stdout
    assert b"loss_weight: 1" in splice(text, "--remove", "a", "-o", "-").stdout


def test_a_weight_that_was_changed_stays(splice):
    text = splice(NET, "--after", "loss", "-o", "-").stdout
    text = text.replace(b"loss_weight: 1", b"loss_weight: 2")
    assert (
        b" loss_weight: 2 #" in splice(text, "--remove", "my_layer", "-o", "-").stdout
    )


@pytest.mark.parametrize("names", ["ab", "ba"])
@pytest.mark.parametrize("first", [["--after", "ip"], ["--after", "loss"]])
def test_a_split_goes_in_any_order(back, names, first):
    back(NET, [first, ["--split", "loss"]], names)
    back(NET, [["--split", "loss"], ["--after", "a"]], names)


def test_what_has_to_go_first_is_named(splice, refusal):
    text = splice(NET, "--split", "loss", "--name", "a", "-o", "-").stdout
    inside = splice(text, "--after", "a_2", "--name", "b", "-o", "-").stdout
    assert "b stands inside; first --remove b" in refusal(inside, "--remove", "a")
    read = text.replace(b'"Accuracy"\n  bottom: "ip"', b'"Accuracy"\n  bottom: "a_2"')
    assert "accuracy reads a_2, which would be gone\n" in refusal(read, "--remove", "a")
    two = splice(
        NET, "--after", "data", "-o", "-", "--bottom", "label", layer="two"
    ).stdout
    read = two.replace(
        b'"SoftmaxWithLoss"\n  bottom: "ip"', b'"SoftmaxWithLoss"\n  bottom: "two_1"'
    )
    split = splice(read, "--split", "loss", "-o", "-").stdout
    words = "output_2 reads two_1, which would be gone; first --remove my_layer\n"
    assert words in refusal(split, "--remove", "two", layer="two")
    two = splice(
        NET, "--after", "ip", "--bottom", "label", "-o", "-", layer="two"
    ).stdout
    behind = splice(two, "--after", "two_1", "-o", "-").stdout
    assert "gone; first --remove my_layer\n" in refusal(
        behind, "--remove", "two", layer="two"
    )


def test_a_comment_of_the_author_below_ours_stays(splice):
    text = splice(NET, "--after", "data", "-o", "-").stdout
    head = b"takes this out and reconnects what reads it\n"
    commented = text.replace(head, head + b"#   mine\n")
    removed = splice(commented, "--remove", "my_layer", "-o", "-").stdout
    assert removed == NET.replace(b'"data" }\n', b'"data" }\n#   mine\n', 1)


# Refusing


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--after", "dta"], "no blob dta; the nearest: data"),
        (
            ["--after", "ip", "--bottom", "lab"],
            "expected 1 bottoms (bottom_0) by --after and",
        ),
        (
            ["--after", "ip", "--name", "relu"],
            "there is a layer relu already; see --name",
        ),
        (["--after", "ip", "--name", "label"], "there is a layer label already"),
        ([], "expected 1 bottoms (bottom_0) by --after and --bottom, got 0"),
        (
            ["--remove", "my_layer"],
            "expected a layer that splice has put in, got my_layer",
        ),
        (
            ["--split", "los"],
            "expected the name of one SoftmaxWithLoss, got los; there: loss",
        ),
        (["--after", "ip", "-o", "no/such/folder/net"], "No such file or directory"),
    ],
)
def test_refuses(refusal, arguments, words):
    assert words in refusal(NET, *arguments)


@pytest.mark.parametrize(
    "net, words",
    [
        (b"", "expected a net, got an empty file: name"),
        (b"name: 'x'", "expected a net, got no layer { }"),
        (b'layers { name: "a" type: DATA top: "a" }', "upgrade_net_proto_text"),
        (b'layer { name: "a"\n  top: }', "net.prototxt:2:8: expected"),
        (b'layer { name: "a"', "net.prototxt:1:18: expected word or }, got the end"),
        (
            b'layer { name: "a"\n  type: BNLL }',
            "net.prototxt:2:9: expected a string in quotes, got BNLL",
        ),
        (
            b'layer { name: "a"\n  bottom: ["b", c] }',
            ":2:17: expected a string in quotes, got c",
        ),
        (
            b'input: data\nlayer { name: "a" }',
            ":1:8: expected a string in quotes, got data",
        ),
        (b"layer { name: # 1\n5 }", ":2:1: expected a string in quotes, got 5"),
        (b"layer { name { } }", ":1:14: expected a string in quotes, got {"),
        (b'layer: [{ name: "a" top: "data" }]', "expected each layer as layer { }"),
        (b'net: "other"\nbase_lr: 1', "got a solver: name its net, other"),
        (b"\xff", "net.prototxt:1:1: expected a name, value or bracket"),
        (b"layer{" * 1000, "expected at most 100 levels"),
        (
            b"layer { include { min_level: 'a' } }",
            "1:30: expected a whole number, got 'a'",
        ),
        (
            b"layer { include { phase: train } }",
            "1:26: expected TRAIN or TEST, got train",
        ),
        (
            b"layer { bottom: 'x' propagate_down: 2 }",
            "1:37: expected true or false, got 2",
        ),
        (b"layer { top: 'x' relu_param: 2 }", "1:30: expected { }, got 2"),
        (b"layer: 2", "1:8: expected { }, got 2"),
        (b"# none\n \n", "expected a net, got an empty file: name the file of a net"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid x\n",
            "a git-lfs pointer: get",
        ),
        (b"\n\x08CaffeNet\x00\x01", "binary, as a caffemodel: name the prototxt"),
        (b"\x89HDF\r\n", "an HDF5 file, as of weights: name the prototxt"),
        (b"PK\x03\x04zip", "a compressed file: unpack it first"),
        (b"\x89PNG\r\n", "a picture: name the prototxt"),
        (b"<svg width='9'>", "a picture: name the prototxt"),
        (b"\n<!DOCTYPE html>", "a web page: download the file itself, the raw one"),
        (
            b"base_lr: 1 net_param { layer { } }",
            "a solver: move what its net_param { } holds",
        ),
        (b"base_lr: 1", "got a solver: name its net\n"),
        (b"\xef\xbb\xbf" + NET, "1:1: expected a name, got a byte order mark"),
    ],
)
def test_refuses_what_is_no_net(refusal, net, words):
    assert words in refusal(net, "--after", "data")


def test_refuses_a_file_that_is_read_only(refusal, tmp_path):
    (tmp_path / "net.prototxt").write_bytes(NET)
    (tmp_path / "net.prototxt").chmod(0o444)
    for to in (["--in-place"], ["-o", "net.prototxt"]):
        assert "is read-only" in refusal(None, "--after", "data", *to)


def test_refuses_to_change_a_pipe_in_place(layers, tmp_path):
    command = ["splice", "/dev/stdin", "--layer", layers["my_layer"], "--after", "data"]
    done = caffe_pylayer(*command, "--in-place", input=NET, text=False)
    assert done.returncode == 1 and b"expected a file to change in place" in done.stderr


def test_refuses_a_file_that_is_not_there(refusal):
    assert "No such file" in refusal(None, "--after", "data")


def test_refuses_a_name_that_is_taken_by_itself(splice, refusal):
    once = splice(NET, "--after", "data", "-o", "-").stdout
    assert "there is a layer my_layer already; see --name" in refusal(
        once, "--after", "ip"
    )


def test_refuses_a_reader_that_stands_too_early(refusal):
    words = refusal(NET, "--after", "data", "--bottom", "ip", layer="two")
    assert "ip reads data, but stands before relu" in words


def test_refuses_readers_in_a_phase_that_the_layer_is_not_for(layers, refusal):
    fragment = layers["my_layer"] / "my_layer.prototxt"
    before = fragment.read_text()
    fragment.write_text(
        before.replace("python_param", "include { phase: TRAIN } python_param")
    )
    try:
        words = refusal(NET, "--after", "data")
    finally:
        fragment.write_text(before)
    assert (
        "ip reads data also in nets that the include of my_layer.prototxt leaves out"
        in words
    )


AFTER_P = ["--after", "p", "--bottom", "label"]


def test_refuses_readers_in_a_phase_without_a_further_bottom(put, refusal):
    words = refusal(PHASES, *AFTER_P, layer="two")
    assert (
        "ip reads p also in a TEST net, which has no label: let a layer give it there"
        in words
    )
    train = PHASES.replace(b'bottom: "p"', b'bottom: "p" include { phase: TRAIN }')
    reader = b'layer { name: "ip" type: "InnerProduct" bottom: "p" include { phase: TEST } }\n'
    text = put(train + reader, *AFTER_P, layer="two")
    assert "include { phase: TRAIN }" in layer_text(text, "two") and text.endswith(
        reader
    )


def test_stages_in_which_the_net_does_not_load_do_not_count(put, refusal):
    """As in the nets of DIGITS: without a stage there is no data at all."""
    net = PHASES.replace(b"phase: TRAIN", b'stage: "train"')
    net = net.replace(
        b'top: "data" include { phase: TEST', b'top: "data" include { stage: "deploy"'
    )
    words = refusal(net, *AFTER_P, layer="two")
    assert "ip reads p also in a TRAIN net of stage deploy, which has no label" in words
    net = net.replace(b'bottom: "p"', b'bottom: "p" exclude { stage: "deploy" }')
    assert "include { stage: 'train' }" in layer_text(
        put(net, *AFTER_P, layer="two"), "two"
    )


def test_split_refuses_a_further_bottom_that_is_not_where_the_loss_is(
    layers, put, refusal
):
    fragment = layers["two"] / "two.prototxt"
    before = fragment.read_text()
    fragment.write_text(before.replace('  top: "two_1"\n', ""))
    arguments = ["--split", "loss", "--bottom", "label"]
    try:
        words = refusal(PHASES, *arguments, layer="two")
        train = PHASES.replace(b'top: "loss"', b'top: "loss" include { phase: TRAIN }')
        text = put(train, *arguments, layer="two")
    finally:
        fragment.write_text(before)
    assert (
        "loss is also in a TEST net, which has no label: let a layer give it there"
        in words
    )
    assert "include { phase: TRAIN }" in layer_text(text, "two")


def test_remove_refuses_what_would_break_the_net(splice, refusal):
    text = (
        splice(NET, layer="my_data").stdout
        and splice(NET, "-o", "-", layer="my_data").stdout
    )
    read = text + b'layer { name: "x" type: "ReLU" bottom: "images" top: "x" }\n'
    assert "x reads images, which would be gone" in refusal(read, "--remove", "my_data")
    split = splice(NET, "--split", "loss", "-o", "-").stdout
    other = split.replace(b'"MultinomialLogisticLoss"', b'"InfogainLoss"')
    assert "no MultinomialLogisticLoss reads output any more" in refusal(
        other, "--remove", "my_layer"
    )
    gone = split.replace(b'name: "my_layer"', b'name: "yours"')
    assert "is not below its comment any more" in refusal(gone, "--remove", "my_layer")


def test_remove_also_looks_after_readers_that_came_later(splice):
    text = splice(NET, "--after", "ip", "-o", "-").stdout
    reader = b"layer { name: 'x' type: 'ReLU' bottom: 'my_layer' top: 'x' }\n"
    assert splice(
        text + reader, "--remove", "my_layer", "-o", "-"
    ).stdout == NET + reader.replace(b"my_layer", b"ip")


def test_help_has_an_example(splice):
    done = splice(NET, "--help")
    assert b"caffe-pylayer splice net.prototxt --after conv1 --in-place" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--after", "a", "--split", "b"],
        ["--in-place", "-o", "x"],
        ["--remove", "a", "--name", "b"],
        ["--after", "data", "--name", ""],
        ["--split", "loss", "--before", "relu"],
    ],
)
def test_wrong_usage(splice, arguments):
    assert splice(NET, *arguments).returncode == 2


def test_python_2_does_the_same(layers, put, with_caffe, tmp_path):
    shutil.copytree(layers["my_layer"], tmp_path / "my_layer")
    net = NET.replace(b'"ip"', "'層 blob'".encode()).replace(b"three", b"\xe4")

    def python2(*arguments):
        command = [
            *where_caffe_is("python2.7"),
            "splice",
            "--layer",
            "my_layer",
            *arguments,
        ]
        done = with_caffe(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "two.prototxt").read_bytes()

    for arguments in (["--after", "層 blob"], ["--split", "loss"]):
        wanted = put(net, *arguments)
        (tmp_path / "two.prototxt").write_bytes(net)
        assert python2("two.prototxt", *arguments, "-o", "two.prototxt") == wanted
        assert (
            python2("two.prototxt", "--remove", "my_layer", "-o", "two.prototxt") == net
        )
