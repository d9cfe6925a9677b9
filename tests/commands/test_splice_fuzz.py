"""splice on random nets in random spelling, judged by the protobuf of Caffe."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from caffe_pylayer.commands import CommandError
from caffe_pylayer.commands import splice as tool
from support.project import PROJECT

BLOBS = ["a", "b", "c", "ip/1", "層", 'q"{#']
SPACES = st.sampled_from([" ", "\n", "\n  ", "\t", "  # {\"'\n", "\r\n", " #\n\n"])
RULES = [[], [], [], ["include"], ["include", "include"], ["exclude"]]
PARAMS = [
    "relu_param { negative_slope: -.5e-1 }",
    "convolution_param { num_output: 0x10 kernel_size: [3, 3] weight_filler < type: 'xavier' > }",
    "python_param { module: 'm' layer: \"L\" param_str: \"{'x': '#}'}\" 'layer {' }",
    "param { lr_mult: 1. } ; param { lr_mult: 2.5f },",
    "loss_weight: 0.5",
]
EXAMPLES = int(os.environ.get("FUZZ", 25))  # `make proof` takes more
settings.register_profile(
    "net", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@st.composite
def strings(draw, value):
    """A string in any quotes, in one literal or two, with escapes."""
    parts = [value]
    if len(value) > 1 and draw(st.integers(0, 5)) == 0:
        parts = [value[:1], value[1:]]
    literals = []
    for part in parts:
        quote = draw(st.sampled_from("\"'"))
        part = part.replace(quote, "\\" + quote)
        if draw(st.integers(0, 9)) == 0:
            part = part.replace("a", "\\141").replace("b", "\\x62")
        literals.append(quote + part + quote)
    return draw(SPACES).join(literals)


@st.composite
def layers(draw, name, tops, types, blobs=BLOBS):
    """The text of a layer that reads some of the blobs; in place, or with new tops."""
    kind = draw(st.sampled_from(types))
    count, tops = ((2, 2), tops[:1]) if kind == "SoftmaxWithLoss" else ((0, 3), tops)
    fields = ["name" + draw(st.sampled_from([":", " : "])) + draw(strings(name))]
    fields += ["type: " + draw(strings(kind))]
    bottoms = draw(
        st.lists(st.sampled_from(blobs), min_size=count[0], max_size=count[1])
    )
    fields += ["bottom: " + draw(strings(blob)) for blob in bottoms]
    fields += ["top:" + draw(strings(blob)) for blob in tops]
    for rule in draw(st.sampled_from(RULES)):
        fields.append(
            "%s { phase: %s }" % (rule, draw(st.sampled_from(["TRAIN", "TEST"])))
        )
    fields += draw(st.lists(st.sampled_from(PARAMS), max_size=2, unique=True))
    fields = draw(st.permutations(fields)) if draw(st.booleans()) else fields
    text = "".join(field + draw(SPACES) for field in fields)
    opening, closing = draw(st.sampled_from(["{}", "<>"]))
    return "layer%s%s%s%s" % (
        draw(st.sampled_from(["", " ", ": ", " :\n"])),
        opening,
        text,
        closing,
    )


@st.composite
def nets(draw, types=("ReLU", "Silence", "HDF5Output"), names=BLOBS, least=0):
    """The text of a net of a few layers; blobs are given by several, so that all cases occur.

    With least, that many layers or more, which read blobs that are there, at least in one phase.
    """
    parts = ["name: " + draw(strings("net"))] if draw(st.booleans()) else []
    there = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    parts += ["input: %s input_dim: 1" % draw(strings(blob)) for blob in there]
    for i in range(draw(st.integers(least or 1, 6))):
        tops = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        bottoms = there if least and there else names
        parts.append(draw(layers("layer %d" % i, tops, types, bottoms)))
        there = there + tops
    text = draw(st.sampled_from(["", "\n", "# a net\n\n"]))
    text += "".join(part + draw(st.sampled_from(["\n", " ", "  # and\n", "\n\n", ";\n", ","]))
                    for part in parts)  # fmt: skip
    return text.replace("\n", "\r\n") if draw(st.integers(0, 5)) == 0 else text


@pytest.fixture(scope="module")
def meaning(with_caffe):
    """A function that asks compare_meaning.py, which runs where real Caffe is."""
    script = Path(__file__).with_name("compare_meaning.py").relative_to(PROJECT)
    command = [PROJECT / "scripts" / "with-caffe", "python3", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=PROJECT, text=True, **pipes) as process:

        def ask(*question):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


FRAGMENTS = [
    """layer { name: 'my' type: 'Python' bottom: "x" top: "my" python_param { module: 'my' } }""",
    """layer {
  name: 'my' type: 'Python'
  bottom: 'x' # first
  bottom: 'y' 'z'
  top: 'my' python_param { module: 'my' }
}""",
    "layer { name: 'my' type: 'Python' bottom: 'x' top: 'my' loss_weight: 1 python_param { } }",
]
SOURCE = "layer { name: 'my_%d' type: 'Python' top: '%s' python_param { } }"


def check(meaning, text, fragment, blobs):
    """The layer after the first of the blobs, unless that is refused, changes nothing else."""
    before = text.encode().decode("latin-1")
    net, after = tool.Net(before, "net"), None
    try:
        after = tool.put_in(
            net, tool.Net(fragment, "my"), blobs[0], blobs[1:], "my_layer"
        )[0]
    except CommandError as error:
        expected = (
            "no blob",
            "stands before",
            "not every net",
            "no net has",
            "also in a",
        )
        assert any(words in str(error) for words in expected), error
    assume(after is not None)
    assert tool.take_out(tool.Net(after, "net"), "my_layer")[0] == before
    assert meaning(text, after.encode("latin-1").decode(), blobs, "my_layer") is None


@settings(settings.get_profile("net"), max_examples=EXAMPLES)
@given(nets(), st.sampled_from(BLOBS))
def test_random_nets(meaning, text, blob):
    check(meaning, text, FRAGMENTS[0], [blob])


@settings(settings.get_profile("net"), max_examples=EXAMPLES)
@given(nets(names=BLOBS[:3], least=4), st.permutations(BLOBS[:3]))
def test_two_bottoms(meaning, text, blobs):
    """Which are not both there in each phase."""
    check(meaning, text, FRAGMENTS[1], blobs[:2])


@pytest.mark.slow
@settings(settings.get_profile("net"), max_examples=EXAMPLES)
@given(nets(["ReLU", "SoftmaxWithLoss"]), st.data())
def test_several_layers_out_in_any_order(text, data):
    """One that cannot go yet names the one that has to go first."""
    before = net = text.encode().decode("latin-1")
    names = []
    for i in range(data.draw(st.integers(2, 4))):
        fragment = tool.Net(data.draw(st.sampled_from(FRAGMENTS)), "fragment")
        here = tool.Net(net, "net")
        losses = [
            layer.name for layer in here.layers if layer.type == "SoftmaxWithLoss"
        ]
        blobs = data.draw(
            st.lists(st.sampled_from(here.blobs() or ["a"]), min_size=2, max_size=2)
        )
        further = blobs[: len(fragment.layers[0].bottoms) - 1]
        try:
            if losses and data.draw(st.booleans()):
                net = tool.split(here, fragment, losses[-1], further, "my_%d" % i)[0]
            elif data.draw(st.integers(0, 2)):
                net = tool.put_in(here, fragment, blobs[1], further, "my_%d" % i)[0]
            else:
                top = data.draw(st.sampled_from(["a", "b", "c"]))
                net = tool.put_in(here, tool.Net(SOURCE % (i, top), "fragment"))[0]
            names.append("my_%d" % i)
        except CommandError:
            pass
    assume(len(names) > 1)
    left = data.draw(st.permutations(names))
    while left:
        try:
            net = tool.take_out(tool.Net(net, "net"), left[0])[0]
            del left[0]
        except CommandError as error:
            first = str(error).split("first --remove ")[1]
            left.insert(0, left.pop(left.index(first)))
    assert net == before
