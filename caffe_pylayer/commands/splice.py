"""Put the layer into a net, or take it out again, and leave every other byte of the net alone.

A layer with bottoms and tops goes after a blob, and whatever read the blob then reads the layer's
first top. A loss or a metric (loss_weight, or every propagate_down false) goes to the end of the
net, a layer without bottoms to its start, and nothing else changes.
"""

import difflib
import os
import re
import shutil
import sys
import tempfile

from . import CommandError
from .layer_folder import SUFFIX, add_layer_option, find_layer
from .net_text import (
    Net,
    edited,
    escaped,
    included,
    joined,
    one_line,
    renamed,
)
from .take_out import COMMENT, WEIGHT, Record, comment_lines, take_out

EXAMPLES = """examples:
  caffe-pylayer splice net.prototxt --after conv1              shows what would change
  caffe-pylayer splice net.prototxt --after conv1 --in-place   changes it
  caffe-pylayer splice net.prototxt --after fc8 --bottom label -o new.prototxt
  caffe-pylayer splice net.prototxt --split loss --in-place
  caffe-pylayer splice net.prototxt --remove my_layer --in-place
"""
# Fields of a SoftmaxWithLoss that can stay when it is split.
SPLITTABLE = (
    "name type bottom top loss_weight propagate_down include exclude softmax_param"
)
# Layers whose top has the shape of their bottom, and those whose top has a height and a width.
SAME_SHAPE = (
    "ReLU PReLU ELU Sigmoid TanH AbsVal BNLL Exp Log Power Dropout BatchNorm MVN LRN Scale Bias "
    "Threshold Softmax Split Eltwise Concat"
)
SPATIAL = "Convolution Deconvolution Im2col Crop"


# Putting in.


def put_in(net, fragment, after=None, further=(), name=None):
    """Return the net's text with the fragment's layer in it, and a line that says where."""
    layer = fragment.layers[0]
    bottoms = [blob for blob in [after] if blob is not None] + list(further)
    own = [bottom.value for bottom in layer.bottoms]
    if not bottoms and not layer.passes_on() and set(own) <= set(net.blobs()):
        bottoms = own
    _need_bottoms(net, layer, bottoms, "--after and --bottom")
    name, tops = _new_names(layer, name)
    there = [state for state in net.states if _has(net, bottoms, state)]
    if not there:
        raise CommandError(
            "%s: no net has all of %s: see include" % (net.path, ", ".join(bottoms))
        )
    rules = _rules(net, fragment, bottoms, there)
    states = [state for state in there if included(layer.rules, state)]
    _need_free(net, states, name, tops)

    index, where = len(net.layers) - 1, "at the end, reading " + ", ".join(bottoms)
    readers, edits, records = [], [], []
    if not bottoms:
        index, where = -1, "before the other layers"
        for other in net.layers:
            had = [bottom for bottom in other.bottoms if bottom.value in tops]
            records += [_recorded(net, other, "bottom", bottom) for bottom in had]
    elif layer.passes_on():
        index = max(net.last(blob, state) for state in there for blob in bottoms)
        readers = _readers(net, fragment, bottoms, index, states)
        names = ", ".join(reader.name for reader in readers)
        names = names or "no layer: %s is an output of the net now" % tops[0]
        where = "after %s, read by %s" % (bottoms[0], names)
    for loss in _losses_to_weigh(net, layer, bottoms):
        end = loss.types[-1].literals[-1][1]
        edits.append((end, end, WEIGHT))
        records.append(Record(escaped(loss.name), "without", '"%s"' % WEIGHT))
    for reader in readers:
        for bottom in reader.bottoms:
            if bottom.value == bottoms[0]:
                edits += renamed(net.text, bottom, tops[0])
                records.append(_recorded(net, reader, "bottom", bottom))
    text = _written(fragment, name, bottoms, tops, rules)
    edits.append(_block(net, index, name, [text], records))
    return edited(net.text, edits), "%s %s" % (name, where)


def _losses_to_weigh(net, layer, bottoms):
    """Return the losses without loss_weight whose top the layer reads and gives a gradient."""
    wanted = layer.wanted(bottoms)
    return [
        other
        for other in net.layers
        if other.type.endswith("Loss") and not other.message.all("loss_weight")
        if other.tops and other.tops[0].value in wanted
    ]


def _need_bottoms(net, layer, bottoms, options):
    if len(bottoms) != len(layer.bottoms):
        names = ", ".join(bottom.value for bottom in layer.bottoms) or "none"
        raise CommandError(
            "%s: expected %d bottoms (%s) by %s, got %d"
            % (layer.name, len(layer.bottoms), names, options, len(bottoms))
        )
    for blob in bottoms:
        if blob not in net.blobs():
            near = difflib.get_close_matches(blob, sorted(set(net.blobs())), 3, 0)
            raise CommandError(
                "%s: no blob %s; the nearest: %s" % (net.path, blob, ", ".join(near))
            )


def _need_free(net, states, name, tops):
    """Refuse a name or a top that a net of these states has already."""
    for state in states:
        for _, other in net.active(state):
            taken = [top for top in tops if other.gives(top) or top in net.inputs]
            if other.name == name or taken:
                what = "layer %s" % name if other.name == name else "blob %s" % taken[0]
                raise CommandError(
                    "%s: there is a %s already; see --name" % (net.path, what)
                )


def _new_names(layer, name):
    """Return the layer's name and tops; another name is also the top's, or stands before them."""
    tops = [top.value for top in layer.tops]
    if name is None:
        return layer.name, tops
    if len(tops) == 1:
        return name, [name]
    old = layer.name + "_"
    return name, [
        name + "_" + (top[len(old) :] if top.startswith(old) else top) for top in tops
    ]


def _has(net, blobs, state):
    return all(net.last(blob, state) is not None for blob in blobs)


def _rules(net, fragment, bottoms, there):
    """Return what include and exclude to add to the layer, so that it is where its bottoms are."""
    layer = fragment.layers[0]
    if layer.rules:
        if all(state in there for state in net.states if included(layer.rules, state)):
            return []
    else:
        givers = [
            other for blob in bottoms for other in net.layers if other.gives(blob)
        ]
        choices = (
            [[]]
            + [other.rules for other in givers]
            + [sum((o.rules for o in givers), [])]
        )
        for rules in choices:
            if [state for state in net.states if included(rules, state)] == there:
                return [one_line(*rule) for rule in rules]
    raise CommandError(
        "%s: not every net has %s; give the layer { } of %s the include that fits"
        % (net.path, ", ".join(bottoms), os.path.basename(fragment.path))
    )


def _readers(net, fragment, bottoms, index, states):
    """Return the layers that read the last value of the first bottom in nets of these states.

    CommandError where one stands before the layer of that index, or reads it in other nets, too.
    """
    blob, found = bottoms[0], set()
    for state in states:
        last = net.last(blob, state)
        for i, layer in net.active(state):
            if i > last and layer.reads(blob):
                found.add(i)
                if i <= index:
                    raise CommandError(
                        "%s: %s reads %s, but stands before %s, whose top the new layer needs"
                        % (net.path, layer.name, blob, net.layers[index].name)
                    )
    for state in [state for state in net.states if state not in states]:
        for i, layer in net.active(state):
            if i in found and blob in net.readable(i, state):
                missing = [
                    bottom for bottom in bottoms if net.last(bottom, state) is None
                ]
                nets = "nets that the include of %s leaves out" % os.path.basename(
                    fragment.path
                )
                if missing:
                    nets = _net_without(missing[0], state)
                raise CommandError(
                    "%s: %s reads %s also in %s" % (net.path, layer.name, blob, nets)
                )
    return [net.layers[i] for i in sorted(found)]


def _net_without(blob, state):
    net = (
        state[0] + " net" + "".join(" of stage " + stage for stage in sorted(state[1]))
    )
    return "a %s, which has no %s: let a layer give it there, too" % (net, blob)


def _recorded(net, layer, field, reference):
    """Return the Record of a string of a layer as it stands in the net."""
    literals = " ".join(net.text[start:end] for start, end in reference.literals)
    return Record(escaped(layer.name), field, literals)


def _written(fragment, name, bottoms, tops, rules):
    """Return the text of the fragment's layer with these names and further rules."""
    text, layer, edits = fragment.text, fragment.layers[0], []
    for reference, value in zip(
        layer.names[:1] + layer.bottoms + layer.tops, [name] + bottoms + tops
    ):
        edits += renamed(text, reference, value)
    for (field, _), place in zip(layer.message.fields, layer.message.places):
        if field == "python_param":
            indent = re.search(r"[ \t]*\Z", text[: place.start]).group()
            added = "".join("%s\n%s" % (rule, indent) for rule in rules)
            edits.append((place.start, place.start, added))
    whole = edited(text, edits)
    return whole[layer.start : len(whole) - len(text) + layer.end]


def _block(net, index, name, layers, records):
    """Return the edit that puts layers, as text, after the layer of that index (-1: first)."""
    what = "both" if len(layers) == 2 else "this"
    lines = comment_lines(escaped(name), what, records) + layers
    place = _end_of_line(net, index)
    return place, place, joined(net, [""] + lines if place else lines + [""])


def _end_of_line(net, index):
    """Return the offset after a layer (-1: what is before all) and what else is on its line."""
    if index < 0:
        start = net.layers[0].start
        above = [comment.start() for comment in COMMENT.finditer(net.text[:start])]
        return len(net.text[: (above + [start])[0]].rstrip())
    rest = re.compile(r"[ \t,;]*(?:#[^\n]*?)?(?=\r?\n|\Z)").match(
        net.text, net.layers[index].end
    )
    return rest.end() if rest else net.layers[index].end


# Splitting.


def split(net, fragment, name_of_loss, further=(), name=None):
    """Return the net's text with a SoftmaxWithLoss split and the fragment's layer in between.

    The tutorial's blobs: Softmax gives output_2, the layer gives output, the loss reads it.
    """
    loss, layer = _loss(net, name_of_loss), fragment.layers[0]
    if not layer.passes_on() or len(layer.tops) != 1:
        raise CommandError(
            "%s: expected a layer with bottoms and one top to go in between, "
            "got a loss, a metric, a data layer or several tops" % layer.name
        )
    name, top = (layer.name, "output") if name is None else (name, name)
    middle = top + "_2"
    index, states = (
        net.layers.index(loss),
        [s for s in net.states if included(loss.rules, s)],
    )
    before = [
        ref.value for other in net.layers[:index] for ref in other.tops
    ] + net.inputs
    late = [blob for blob in further if blob in net.blobs() and blob not in before]
    if late:
        raise CommandError(
            "%s: %s is not there before %s" % (net.path, late[0], loss.name)
        )
    bottoms = [loss.bottoms[0].value] + list(further)
    _need_bottoms(net, layer, bottoms, "--split and --bottom")
    for state in states:
        blobs = net.readable(index, state)
        missing = [blob for blob in further if blob not in blobs]
        if loss.bottoms[0].value in blobs and missing:
            nets = _net_without(missing[0], state)
            raise CommandError("%s: %s is also in %s" % (net.path, loss.name, nets))
    if layer.rules and [s for s in net.states if included(layer.rules, s)] != states:
        raise CommandError(
            "%s: its include is not that of %s" % (layer.name, loss.name)
        )
    _need_free(net, states, name, [top])
    _need_free(net, states, middle, [middle])

    rules = [one_line(*rule) for rule in loss.rules]
    lines = ['name: "%s"' % escaped(middle), 'type: "Softmax"']
    lines += [
        'bottom: "%s"' % escaped(loss.bottoms[0].value),
        'top: "%s"' % escaped(middle),
    ]
    lines += rules + [
        one_line("softmax_param", p) for p in loss.message.all("softmax_param")
    ]
    softmax = "layer {\n%s}" % "".join("  %s\n" % line for line in lines)
    added = [] if layer.rules else rules
    text = _written(fragment, name, [middle] + bottoms[1:], [top], added)
    records = [
        _recorded(net, loss, "type", loss.types[-1]),
        _recorded(net, loss, "bottom", loss.bottoms[0]),
    ]
    edits = renamed(net.text, loss.types[-1], "MultinomialLogisticLoss")
    edits += renamed(net.text, loss.bottoms[0], top)
    edits.append(_block(net, index - 1, name, [softmax, text], records))
    return edited(net.text, edits), "%s between Softmax and %s" % (name, loss.name)


def _loss(net, name):
    """Return the SoftmaxWithLoss of that name; CommandError if it cannot be split."""
    found = [layer for layer in net.layers if layer.name == name]
    if [layer.type for layer in found] != ["SoftmaxWithLoss"]:
        losses = [layer.name for layer in net.layers if layer.type == "SoftmaxWithLoss"]
        raise CommandError(
            "%s: expected the name of one SoftmaxWithLoss, got %s; there: %s"
            % (net.path, name, ", ".join(losses) or "none")
        )
    loss, index = found[0], net.layers.index(found[0])
    extra = [
        field for field, _ in loss.message.fields if field not in SPLITTABLE.split()
    ]
    axis = [param for param in loss.message.all("softmax_param") if param.all("axis")]
    for wrong, reason in (
        (extra, "MultinomialLogisticLoss has no %s" % "".join(extra[:1])),
        (axis, "it has a softmax_param.axis, MultinomialLogisticLoss takes axis 1"),
        (len(loss.bottoms) != 2, "expected 2 bottoms, got %d" % len(loss.bottoms)),
        (len(loss.tops) > 1, "expected one top, got %d" % len(loss.tops)),
        (
            any(
                _is_spatial(net, index, ref.value, 2 - i)
                for i, ref in enumerate(loss.bottoms)
            ),
            "it has spatial bottoms, MultinomialLogisticLoss takes one label for each sample",
        ),
    ):
        if wrong:
            raise CommandError("%s: %s cannot be split: %s" % (net.path, name, reason))
    return loss


def _is_spatial(net, index, blob, first):
    """Whether a blob has more than one element along an axis from the first on.

    As far as the layers before that index tell.
    """
    for i in reversed(range(index)):
        layer = net.layers[i]
        if layer.gives(blob):
            if layer.type in SAME_SHAPE.split() and layer.bottoms:
                return _is_spatial(net, i, layer.bottoms[0].value, first)
            params = [
                value for name, value in layer.message.fields if name.endswith("_param")
            ]
            shapes = [
                shape.all("dim") for param in params for shape in param.all("shape")
            ]
            place = [top.value for top in layer.tops].index(blob)
            return layer.type in SPATIAL.split() or _has_space(shapes, place, first)
    dims = net.message.all("input_dim")
    shapes = [shape.all("dim") for shape in net.message.all("input_shape")]
    shapes += [dims[i : i + 4] for i in range(0, len(dims), 4)]
    return blob in net.inputs and _has_space(shapes, net.inputs.index(blob), first)


def _has_space(shapes, place, first):
    return bool(shapes) and any(
        dim != 1 for dim in shapes[min(place, len(shapes) - 1)][first:]
    )


# The command.


def read(path):
    """Return the Net in a file; CommandError where there is none."""
    return Net(text_of(path), path)


def text_of(path):
    """Return the text of a file, a character a byte."""
    with open(path, "rb") as stream:
        return stream.read().decode("latin-1")


def read_fragment(path):
    """Return the Net in the prototxt of the layer in a folder, or of the current one for None."""
    layer = find_layer(path)
    fragment = read(os.path.join(layer.folder, layer.name + SUFFIX))
    if len(fragment.layers) != 1 or not fragment.layers[0].names:
        raise CommandError("%s: expected one layer { } with a name" % fragment.path)
    return fragment


def need_writable(path, in_place):
    """Refuse to change what says that it must not be written, or is no file to change in place."""
    path = os.path.realpath(path) if os.path.isfile(path) else path
    if in_place and (not os.path.isfile(path) or path.startswith(("/dev/", "/proc/"))):
        raise CommandError("%s: expected a file to change in place, see -o" % path)
    if os.path.isfile(path) and not os.stat(path).st_mode & 0o222:
        raise CommandError(
            "%s: is read-only: chmod u+w, or write another with -o" % path
        )


def write(path, text, like=None):
    """Write a file at once: whoever reads it finds the old one or the whole new one.

    A pipe, a device and a file with another hard link stay what they are. `like` is a file whose
    mode a new one gets.
    """
    try:
        if os.path.exists(path) and (
            not os.path.isfile(path) or os.stat(path).st_nlink > 1
        ):
            with open(path, "wb") as stream:
                stream.write(text.encode("latin-1"))
            return
        path = os.path.realpath(path)
        handle, temporary = tempfile.mkstemp(
            ".tmp", os.path.basename(path), os.path.dirname(path)
        )
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text.encode("latin-1"))
            os.chmod(temporary, 0o666 & ~_umask())
            if like or os.path.exists(path):
                shutil.copymode(like or path, temporary)
            os.rename(temporary, path)
        except BaseException:
            os.remove(temporary)
            raise
    except EnvironmentError as error:
        raise CommandError("%s: %s" % (path, error.strerror))


def keep(path, text):
    """Write what a file is into FILE.orig, or say that there is an older one."""
    original = path + ".orig"
    if not os.path.lexists(original):
        write(original, text, like=path)
    elif not os.path.isfile(original) or text_of(original) != text:
        sys.stderr.write("%s: kept, it is from before another change\n" % original)


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def diff(before, after, path):
    """Return the unified diff of two texts, as patch reads it."""
    lines = re.compile("[^\n]*\n|[^\n]+").findall
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(lines(before), lines(after), path, path)
    )


def show(text):
    """Write a text to stdout, a character a byte."""
    getattr(sys.stdout, "buffer", sys.stdout).write(text.encode("latin-1"))
    sys.stdout.flush()


def parse_options(parser, given):
    """Return what the command line says."""
    add = parser.add_argument
    add("net", metavar="NET", help="prototxt of a net")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--after", metavar="BLOB", help="the layer's first bottom; its readers change"
    )
    what.add_argument(
        "--split", metavar="LOSS", help="split this SoftmaxWithLoss and go in between"
    )
    what.add_argument("--remove", metavar="NAME", help="take this layer out again")
    further = "a further bottom, in order"
    add("--bottom", metavar="BLOB", action="append", default=[], help=further)
    add("--name", help="another name for the layer and its top")
    to = parser.add_mutually_exclusive_group()
    to.add_argument(
        "--in-place",
        action="store_true",
        help="change NET; NET.orig is as it was first",
    )
    to.add_argument(
        "-o", metavar="FILE", help="write the new net there (- is stdout), not a diff"
    )
    add_layer_option(parser)
    options = parser.parse_args(given)
    if options.remove is not None and (options.bottom or options.name is not None):
        parser.error("--remove takes neither --bottom nor --name")
    if options.name == "":
        parser.error("expected a name after --name")
    return options


def main(parser, given):
    options = parse_options(parser, given)
    net = read(options.net)
    if options.remove is not None:
        text, done = take_out(net, options.remove)
    else:
        fragment = read_fragment(options.layer)
        if options.split is not None:
            text, done = split(
                net, fragment, options.split, options.bottom, options.name
            )
        else:
            text, done = put_in(
                net, fragment, options.after, options.bottom, options.name
            )
    target = options.net if options.in_place else options.o
    if target in (None, "-"):
        show(text if target else diff(net.text, text, options.net))
    else:
        need_writable(target, options.in_place)
        if options.in_place:
            keep(options.net, net.text)
        write(target, text)
    if options.in_place or options.o:
        sys.stderr.write("%s: %s\n" % (options.net, done))
    return 0
