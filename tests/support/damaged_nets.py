"""Nets with damage of all sorts, and what splice and the readers of nets may do with them."""

import random
import re
from pathlib import Path

from caffe_pylayer.commands import CommandError, net_text, shapes, splice
from support.project import PROJECT

NETS = sorted(Path(PROJECT, "tests/commands/nets").glob("*.prototxt"))
SMALL = r"""name: "net" input: "x" input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 4
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { batch_size: 4 } transform_param { crop_size: 8 } include { phase: TRAIN } }
layer { name: "data" type: "DummyData" top: "data" top: "label" include { phase: TEST }
  dummy_data_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 } } }
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "drop1" type: "Dropout" bottom: 'con' "v1" top: "conv1" exclude { stage: "fast" } }
layer {
  name: "pool"
  type: "Pooling"
  bottom: "conv\061"
  top: "pool"
  pooling_param { global_pooling: true }
}
layer { name: "cat" type: "Concat" bottom: "pool" bottom: "pool" top: "cat"
  concat_param { axis: 1 } include { min_level: -1 max_level: 2 } }
layer { name: "flat" type: "Reshape" bottom: "cat" top: "flat"
  reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip"
  inner_product_param { num_output: 5 } }
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip"
  bottom: "label"
  top: "loss"
  softmax_param { axis: 1 }
}
"""
TWINS = """layer {
  name: "data"
  type: "Input"
  top: "data"
  top: "label"
}
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" }
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip"
  bottom: "label"
  top: "loss"
  include { phase: TRAIN }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip"
  bottom: "label"
  %s
  include { phase: TEST }
}
layer { name: "ip" type: "Power" bottom: "loss" top: "twice" }
layer { name: "ip" type: "Power" bottom: "ip" top: "ip" }
"""
FRAGMENT = (
    "layer { name: 'my' type: 'Python' %s python_param { module: 'my' layer: 'My' } }"
)
FRAGMENTS = [
    net_text.Net(FRAGMENT % fields, "my.prototxt")
    for fields in (
        "bottom: 'a' top: 'my'",
        "bottom: 'a' bottom: 'b' top: 'my' top: 'my_1'",
        "bottom: 'a' bottom: 'b' propagate_down: true propagate_down: false top: 'my'",
        "bottom: 'a' top: 'my' loss_weight: 1",
        "bottom: 'a' top: 'a'",
        "top: 'label' top: 'mine'",
    )
]
PIECES = (
    '"data" "ip" \'ip "" { } < > [ ] : ; , # - - 1 0 -5 1e9 1.5 0x 1 inf TRAIN true \\ \x00 \xff '
    "layer name: type: bottom: top: include exclude phase: 7 stage: min_level: 'a' max_level: "
    "input: input_dim: loss_weight: propagate_down: python_param shape dim: input_shape net: "
    "net_param layers softmax_param axis: "
    "convolution_param kernel_size: stride: 0 num_output: num_axes: batch_size:"
).split(" ")


FIELD = re.compile(r"""(\w+): *("[^"\n]*"|'[^'\n]*'|[-.\w]+)""")
NAMES = sorted(set(re.findall(r"\w+(?=:)", SMALL + " ".join(PIECES))))
VALUES = "'a' \"ip\" \"conv1\" '' 5 -1 0 - 1e9 -inf nan 99999999999999999999 TRAIN true { } [ ]"
VALUES = VALUES.replace("{ }", "{}").replace("[ ]", "[]").split() + [
    "[1, 2]",
    "{ dim: 2 }",
]


def nets(rng):
    """Return the text of a net, small ones mostly."""
    if rng.random() < 0.05:
        return rng.choice(NETS).read_bytes().decode("latin-1")
    text = rng.choice(
        [SMALL, TWINS % 'top: "loss"', TWINS % "", TWINS % "loss_weight: 2"]
    )
    return text.replace("\n", "\r\n") if rng.random() < 0.1 else text


def with_lines_moved(rng, text):
    """Return a text with lines deleted, doubled and swapped."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 3)):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        how = rng.randrange(4)
        if how == 0 and len(lines) > 1:
            del lines[i]
        elif how == 1:
            lines.insert(j, lines[i])
        elif how == 2:
            lines.insert(i, lines[i])
        else:
            lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def with_pieces_changed(rng, text):
    """Return a text with words and characters deleted, replaced and put in, or cut short."""
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(text) + 1)
        j = rng.choice([i, i + 1, text.find(" ", i), text.find('"', i), i + 30])
        piece = rng.choice(PIECES + ["", "", text[i:j]])
        text = text[:i] + piece + " " * rng.randrange(2) + text[max(i, j) :]
    return text[: rng.randrange(len(text) + 1)] if rng.random() < 0.03 else text


def with_values_changed(rng, text):
    """Return a text with values of other kinds, fields deleted, doubled and under other names."""
    for _ in range(rng.randint(1, 3)):
        found = rng.choice(list(FIELD.finditer(text)) or [None])
        if found is None:
            break
        name, value = found.groups()
        how = rng.randrange(5)
        if how < 2:
            new = "%s: %s" % (name, rng.choice(VALUES))
        elif how == 2:
            new = "%s: %s" % (
                rng.choice(NAMES),
                rng.choice([value, rng.choice(VALUES)]),
            )
        else:
            new = found.group() + " " + found.group() if how == 3 else ""
        text = text[: found.start()] + new + text[found.end() :]
    return text


def attempt(function, *arguments):
    """Return what a function returns, or None where it ends in a line that says why."""
    try:
        return function(*arguments)
    except CommandError as error:
        assert str(error).strip() and "\n" not in str(error), error
        return None


def put_in_something(rng, text, name):
    """Return the text with a layer of that name, or None where that is refused."""
    net = attempt(net_text.Net, text, "net.prototxt")
    if net is None:
        return None
    fragment, blobs = rng.choice(FRAGMENTS), (net.blobs() or ["no"])
    count = len(fragment.layers[0].bottoms)
    chosen = [rng.choice(blobs) for _ in range(count)]
    losses = [layer.name for layer in net.layers if layer.type == "SoftmaxWithLoss"]
    if losses and rng.random() < 0.3:
        done = attempt(
            splice.split, net, fragment, rng.choice(losses), chosen[1:], name
        )
    else:
        before = rng.choice([None, None, rng.choice(net.layers).name])
        after = chosen[0] if chosen else None
        if after is None and rng.random() < 0.8:
            before = None
        name = (
            name if fragment.layers[0].bottoms else None
        )  # of a source the tops are to stay
        done = attempt(splice.put_in, net, fragment, after, chosen[1:], name, before)
    return done and done[0]


def read_damaged(seed):
    """Read a damaged net; say whether that was possible."""
    rng = random.Random(seed)
    change = rng.choice([with_lines_moved, with_pieces_changed, with_values_changed])
    return read(rng, change(rng, nets(rng)))


def with_other_values(text):
    """Yield the texts in which one value is of another kind, each value and each kind in turn."""
    for found in FIELD.finditer(text):
        for value in VALUES:
            yield text[: found.start(2)] + value + text[found.end(2) :]


def read(rng, text):
    """Read a net as the commands do, and put layers in; say whether it could be read."""
    message = attempt(net_text.parse, text, "net.prototxt")
    for layer in message.all("layer") if message else ():
        for phase in ("TRAIN", "TEST"):
            net_text.included(net_text.rules(layer), (phase, frozenset(), 0))
    net = attempt(net_text.Net, text, "net.prototxt")
    for state in net.states if net else ():
        for shape in shapes.of_blobs(net, state).values():
            if shape is not None:
                shapes.written(shape)
    spliced = put_in_something(rng, text, "new")
    for comment in splice.COMMENT.finditer(spliced or ""):
        name = comment.group("name")
        back = attempt(splice.take_out, net_text.Net(spliced, "net.prototxt"), name)
        assert back is None or back[0] == text, text
    return net is not None


def take_out_of_damaged(seed):
    """Put layers into a net, damage it, take one out; return whether that was taken out."""
    rng = random.Random(seed)
    text, names = nets(rng), []
    for name in "abc"[: rng.randint(1, 3)]:
        text = put_in_something(rng, text, name) or text
    names = [match.group("name") for match in splice.COMMENT.finditer(text)]
    change = rng.choice([with_lines_moved, with_lines_moved, with_values_changed])
    damaged = change(rng, text)
    net = attempt(net_text.Net, damaged, "net.prototxt")
    done = net and names and attempt(splice.take_out, net, rng.choice(names))
    if not done:
        return False
    left = net_text.Net(done[0], "net.prototxt")
    assert 0 < len(net.layers) - len(left.layers) <= 2, seed
    if not splice.COMMENT.search(done[0]):
        for layer in left.layers:
            for place in layer.message.places:
                assert not done[0].startswith(splice.WEIGHT, place.start), seed
    return True
