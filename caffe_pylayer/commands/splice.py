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

from ..checks import prototxt
from . import CommandError, made_bottoms, shapes
from .layer_folder import SUFFIX, add_layer_option, find_layer
from .net_text import (
    STRING,
    Net,
    edited,
    escaped,
    included,
    joined,
    line_break,
    one_line,
    quoted,
    renamed,
    shown,
    text_of,
)

EXAMPLES = """examples:
  caffe-pylayer splice net.prototxt --after conv1              shows what would change
  caffe-pylayer splice net.prototxt --after conv1 --in-place   changes it
  caffe-pylayer splice net.prototxt --after conv1 --before relu1 --in-place
  caffe-pylayer splice net.prototxt --after fc8 --bottom label -o new.prototxt
  caffe-pylayer splice net.prototxt --split loss --in-place
  caffe-pylayer splice net.prototxt --remove my_layer --in-place
"""
# Fields of a SoftmaxWithLoss that can stay when it is split.
SPLITTABLE = (
    "name type bottom top loss_weight propagate_down include exclude softmax_param"
).split()
# The comment above what was put in, one line, says how it goes out again: alone; what reads it
# reads its first bottom again; or both layers of a split, and the loss is whole again.
ALONE, BETWEEN, SPLIT = (
    "takes this out",
    "takes this out and reconnects what reads it",
    "takes both out and makes the loss whole",
)
COMMENT = re.compile(
    r"^# caffe-pylayer splice --remove (?P<name>[^\n]*?) (?P<how>%s|%s|%s)"
    r"(?:; read before: (?P<read>%s(?:, %s)*))?(?=\r?$)"
    % (ALONE, BETWEEN, SPLIT, STRING, STRING),
    re.MULTILINE,
)
# What Caffe takes for granted in a ...Loss, but not any more once a layer reads its top: a line
# of its own before the type.
WEIGHT = "loss_weight: 1 # by caffe-pylayer splice"


# Putting in.


def put_in(net, fragment, after=None, further=(), name=None, before=None):
    """Return the net's text with the fragment's layer in it, and a line that says where."""
    layer = fragment.layers[0]
    bottoms = [blob for blob in [after] if blob is not None] + list(further)
    own = [bottom.value for bottom in layer.bottoms]
    if not bottoms and not layer.passes_on() and set(own) <= set(net.blobs()):
        bottoms = own
    _need_bottoms(net, layer, bottoms, "--after and --bottom")
    end = None if before is None else _before(net, layer, after, before)
    name, tops = _new_names(layer, name, bottoms)
    new = [top for top in tops if top not in bottoms]
    there = [state for state in net.states if _has(net, bottoms, state, end)]
    if not there:
        raise CommandError(
            "%s: no net has all of %s%s: see include"
            % (net.path, ", ".join(bottoms), before and " before " + before or "")
        )
    rules = _rules(net, fragment, bottoms, there)
    states = [state for state in there if included(layer.rules, state)]
    _need_free(net, states, name, new)

    index, where = len(net.layers) - 1, "at the end, reading " + ", ".join(bottoms)
    readers, edits, how, read = [], [], ALONE, []
    if not bottoms:
        index, where = -1, "before the other layers"
        read = [top for top in tops if any(other.reads(top) for other in net.layers)]
    elif layer.passes_on():
        index = max(net.last(blob, state, end) for state in there for blob in bottoms)
        last = {state: net.last(bottoms[0], state, end) for state in states}
        chain = _in_place(net, bottoms[0], index)
        if tops[0] != bottoms[0]:
            how, readers = BETWEEN, _readers(net, fragment, bottoms, index, last)
        where = _where(net, bottoms[0], tops, chain, readers)
    for loss in _losses_to_weigh(net, layer, bottoms):
        edits.append(_weighed(net, loss))
    for reader in readers:
        for reference in reader.bottoms + reader.tops:
            if reference.value == bottoms[0]:
                edits += renamed(net.text, reference, tops[0])
    text = _written(fragment, name, bottoms, tops, rules)
    edits.append(_block(net, index, name, [text], how, read))
    return edited(net.text, edits), "%s %s" % (name, where)


def _before(net, layer, blob, name):
    """Return the index of the layer of that name that works in place on a blob."""
    if not layer.passes_on():
        raise CommandError(
            "%s: expected no --before, for it goes to the %s of the net"
            % (layer.name, "end" if layer.bottoms else "start")
        )
    found = _in_place(net, blob, len(net.layers))
    named = [i for i in found if net.layers[i].name == name]
    if not named:
        raise CommandError(
            "%s: expected --before a layer that works in place on %s, got %s; there: %s"
            % (net.path, blob or "the blob of --after", name, _names(net, found))
        )
    return named[0]


def _in_place(net, blob, index):
    """Return the indices of layers that work in place on a blob, up to that index."""
    layers = enumerate(net.layers[: index + 1])
    return [i for i, layer in layers if layer.reads(blob) and layer.gives(blob)]


def _where(net, blob, tops, chain, readers):
    """Return a line that says what a layer stands behind, and what reads it."""
    where = "%s %s" % ("in place on" if tops[0] == blob else "after", blob)
    if chain:
        where += ", behind %s in place" % _names(net, chain)
    if tops[0] == blob:
        return where + ": its backward sees the top's data, not the bottom's"
    moved = [net.layers.index(reader) for reader in readers if reader.gives(blob)]
    names = _names(net, map(net.layers.index, readers))
    if not readers:
        names = "no layer: %s is an output of the net now" % tops[0]
    where += ", read by " + names
    if moved:
        where += "; in place on its top: %s, so its backward must not use the top" % (
            _names(net, moved)
        )
    return where


def _names(net, indices):
    """Return the names of layers, each once."""
    names = [net.layers[i].name for i in indices]
    names = [name for i, name in enumerate(names) if name not in names[:i]]
    return ", ".join(names) or "none"


def _weighed(net, loss):
    """Return the edit that gives a loss the weight that it had for granted."""
    place = _field(loss, "type").start
    indent = re.search(r"(?:\A|\n)([ \t]*)\Z|\Z", net.text[:place]).group(1) or ""
    return place, place, WEIGHT + line_break(net.text) + indent


def _field(layer, name):
    """Return the Place of the last field of that name."""
    fields = zip(layer.message.fields, layer.message.places)
    return [place for (field, _), place in fields if field == name][-1]


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


def _new_names(layer, name, bottoms):
    """Return the layer's name and tops; another name is also the top's, or stands before them.

    A top that is in place in the fragment is so in the net.
    """
    tops, old = [top.value for top in layer.tops], layer.name + "_"
    in_place = {own.value: blob for own, blob in zip(layer.bottoms, bottoms)}
    if name is not None:
        renames = [
            name + "_" + (top[len(old) :] if top.startswith(old) else top)
            for top in tops
        ]
        renames = [name] if len(tops) == 1 else renames
    else:
        name, renames = layer.name, tops
    return name, [in_place.get(top, new) for top, new in zip(tops, renames)]


def _has(net, blobs, state, end=None):
    return all(net.last(blob, state, end) is not None for blob in blobs)


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


def _readers(net, fragment, bottoms, index, last):
    """Return the layers that read the first bottom behind its last layer, or work in place on it.

    `last` has the index of that layer for each state. CommandError where one stands before the
    layer of `index`, or reads the blob in nets of other states, too.
    """
    blob, found = bottoms[0], set()
    for state in last:
        for i, layer in net.active(state):
            if i > last[state] and (layer.reads(blob) or layer.gives(blob)):
                found.add(i)
                if i <= index:
                    raise CommandError(
                        "%s: %s reads %s, but stands before %s, whose top the new layer needs"
                        % (net.path, layer.name, blob, net.layers[index].name)
                    )
    for state in [state for state in net.states if state not in last]:
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


def _written(fragment, name, bottoms, tops, rules):
    """Return the text of the fragment's layer with these names and further rules."""
    text, layer, edits = fragment.text, fragment.layers[0], []
    for reference, value in zip(
        layer.names[:1] + layer.bottoms + layer.tops, [name] + bottoms + tops
    ):
        edits += [
            (first, last, '""' if i else quoted(value, text[first]))
            for i, (first, last) in enumerate(reference.literals)
            if value != reference.value
        ]
    for (field, _), place in zip(layer.message.fields, layer.message.places):
        if field == "python_param":
            indent = re.search(r"[ \t]*\Z", text[: place.start]).group()
            added = "".join("%s\n%s" % (rule, indent) for rule in rules)
            edits.append((place.start, place.start, added))
    whole = edited(text, edits)
    return whole[layer.start : len(whole) - len(text) + layer.end]


def _block(net, index, name, layers, how, read=()):
    """Return the edit that puts layers, as text, after the layer of that index (-1: first)."""
    line = "# caffe-pylayer splice --remove %s %s" % (escaped(name), how)
    if read:
        line += "; read before: " + ", ".join(map(quoted, read))
    place = _end_of_line(net, index)
    lines = [line] + layers
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
    middle, index = top + "_2", net.layers.index(loss)
    states = [s for s in net.states if included(loss.rules, s)]
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
    edits = renamed(net.text, loss.types[-1], "MultinomialLogisticLoss")
    edits += renamed(net.text, loss.bottoms[0], top)
    edits.append(_block(net, index - 1, name, [softmax, text], SPLIT))
    return edited(net.text, edits), "%s between Softmax and %s" % (name, loss.name)


def _loss(net, name):
    """Return the SoftmaxWithLoss of that name; CommandError if it cannot be split."""
    found = [layer for layer in net.layers if layer.name == name]
    if len(found) > 1:
        lines = ", ".join(str(net.text.count("\n", 0, x.start) + 1) for x in found)
        raise CommandError(
            "%s: there are %d layers %s, in lines %s: give each a name of its own first"
            % (net.path, len(found), name, lines)
        )
    if [layer.type for layer in found] != ["SoftmaxWithLoss"]:
        losses = [layer.name for layer in net.layers if layer.type == "SoftmaxWithLoss"]
        raise CommandError(
            "%s: expected the name of one SoftmaxWithLoss, got %s; there: %s"
            % (net.path, name, ", ".join(losses) or "none")
        )
    reason = _unsplittable(net, found[0])
    if reason:
        instead = [bottom.value for bottom in found[0].bottoms[:1]]
        instead = "".join("; instead: --after " + blob for blob in instead)
        raise CommandError(
            "%s: %s cannot be split: %s%s" % (net.path, name, reason, instead)
        )
    return found[0]


def _unsplittable(net, loss):
    """Return why a loss cannot be split, or None."""
    index, message = net.layers.index(loss), loss.message
    extra = [
        field
        for field, value in message.fields
        if field not in SPLITTABLE and getattr(value, "fields", True)
    ]
    if extra:
        return "MultinomialLogisticLoss has no %s" % extra[0]
    axes = [
        axis for param in message.all("softmax_param") for axis in param.all("axis")
    ]
    if axes[-1:] not in ([], [1]):
        return "it has a softmax_param.axis, MultinomialLogisticLoss takes axis 1"
    if len(loss.bottoms) != 2:
        return "expected 2 bottoms, got %d" % len(loss.bottoms)
    if len(loss.tops) > 1:
        return "expected one top, got %d" % len(loss.tops)
    for state in net.states:
        if included(loss.rules, state):
            found = shapes.of_blobs(net, state, index)
            for bottom, first in zip(loss.bottoms, (2, 1)):
                if shapes.is_spatial(found.get(bottom.value), first):
                    return (
                        "it has spatial bottoms, MultinomialLogisticLoss takes "
                        "one label for each sample"
                    )
    return None


# Taking out.


def take_out(net, name):
    """Return the net's text without a layer that was put in, and a line that says so.

    It is as if the layer had never been there, so that several can go in any order.
    """
    comments = list(COMMENT.finditer(net.text))
    found = [match for match in comments if match.group("name") == escaped(name)]
    if not found:
        there = ", ".join(shown(match.group("name")) for match in comments) or "none"
        raise CommandError(
            "%s: expected a layer that splice has put in, got %s; there: %s"
            % (net.path, name, there)
        )
    comment = found[-1]
    block = _below(net, comment)
    doubled = [match for match in found if _below(net, match) == block]
    if not block or escaped(block[-1].name) != comment.group("name"):
        raise _not_below(net, comment, comments, name)
    others = [layer for layer in net.layers if layer not in block]
    blob = top = None
    if comment.group("how") != ALONE:
        if not block[0].bottoms or not block[-1].tops:
            raise CommandError("%s: %s has no bottom and top now" % (net.path, name))
        blob, top = block[0].bottoms[0].value, block[-1].tops[0].value
    given = [ref.value for x in block for ref in x.tops if not x.reads(ref.value)]
    read = (comment.group("read") or "").encode("latin-1")
    read = prototxt.parse(b"read: [" + read + b"]").all("read")
    _need_unread(net, others, set(given) - {top}, read)

    edits = _without(net, doubled, block)
    for other in others:
        for reference in other.bottoms + other.tops:
            if reference.value == top:
                edits += renamed(net.text, reference, blob)
    if comment.group("how") == SPLIT:
        losses = [
            other
            for other in others
            if other.type == "MultinomialLogisticLoss" and _comes_from(net, other, top)
        ]
        if not losses:
            raise CommandError(
                "%s: no MultinomialLogisticLoss reads %s any more" % (net.path, top)
            )
        for loss in losses:
            edits += renamed(net.text, loss.types[-1], "SoftmaxWithLoss")
    return _unweighed(edited(net.text, edits), net.path), "%s taken out" % name


def _below(net, comment):
    """Return the layers, one or two, that a comment is about."""
    below = [layer for layer in net.layers if layer.start >= comment.end()]
    return below[: 2 if comment.group("how") == SPLIT else 1]


def _put_in(net):
    """Return the layers that stand below the comments of splice."""
    return [x for comment in COMMENT.finditer(net.text) for x in _below(net, comment)]


def _not_below(net, comment, comments, name):
    """Return the CommandError for a layer that does not stand right below its comment."""
    ends = [x.start for x in net.layers if x.name == name and x.start > comment.end()]
    for other in comments:
        if ends and comment.end() <= other.start() < ends[0]:
            first = shown(other.group("name"))
            return CommandError(
                "%s: %s stands inside; first --remove %s" % (net.path, first, first)
            )
    return CommandError(
        "%s: the layer %s is not below its comment any more" % (net.path, name)
    )


def _need_unread(net, others, blobs, read):
    """Refuse when a layer reads one of the blobs, which would be gone.

    But a blob that was read before it was put in may be so again.
    """
    for other in others:
        for blob in [bottom.value for bottom in other.bottoms if bottom.value in blobs]:
            first = _first(net, other)
            if first or blob not in read:
                raise CommandError(
                    "%s: %s reads %s, which would be gone%s"
                    % (net.path, other.name, blob, first)
                )


def _first(net, layer):
    """Return what to do before a layer can go that was put in, or ""."""
    for comment in COMMENT.finditer(net.text):
        if layer in _below(net, comment):
            return "; first --remove " + shown(comment.group("name"))
    return ""


def _comes_from(net, loss, blob):
    """Whether a loss reads a blob, or what layers that were put in make of it."""
    givers = {x.tops[0].value: x for x in _put_in(net) if x.tops and x.bottoms}
    seen, at = set(), [bottom.value for bottom in loss.bottoms[:1]]
    while at and at[0] != blob and at[0] not in seen:
        seen.update(at)
        at = [x.value for x in givers[at[0]].bottoms[:1]] if at[0] in givers else []
    return at == [blob]


def _without(net, comments, block):
    """Return the edits that take out comments and the layers below them."""
    spans = [comment.span() for comment in comments]
    spans += [(part.start, part.end) for part in block]
    edits = [_with_line_break(net.text, start, end) for start, end in spans]
    if comments[0].start() == 0:
        rest = re.compile("\r?\n?").match(net.text, block[-1].end)
        edits.append(rest.span() + ("",))
    return edits


def _with_line_break(text, start, end):
    """Return the edit that takes out a piece, with its indentation and the line break before it."""
    before = re.search(r"(?:\r?\n|\A)[ \t]*\Z", text[:start])
    return (before.start() if before else start, end, "")


def _unweighed(text, path):
    """Return the text without our loss_weight in losses that no layer of ours reads any more."""
    net, edits = Net(text, path), []
    wanted = {blob for layer in _put_in(net) for blob in layer.wanted()}
    mark = re.compile(re.escape(WEIGHT) + r"\r?\n[ \t]*")
    for layer in net.layers:
        kept = layer.tops and layer.tops[0].value in wanted
        for (field, _), place in zip(layer.message.fields, layer.message.places):
            match = mark.match(text, place.start)
            if field == "loss_weight" and match and not kept:
                edits.append(match.span() + ("",))
    return edited(text, edits)


# The command.


def read(path):
    """Return the Net in a file; CommandError where there is none."""
    return Net(text_of(path), path)


def read_fragment(path):
    """Return the Net in the prototxt of the layer in a folder, or of the current one for None."""
    layer = find_layer(path)
    fragment = read(os.path.join(layer.folder, layer.name + SUFFIX))
    if len(fragment.layers) != 1 or not fragment.layers[0].names:
        raise CommandError("%s: expected one layer { } with a name" % fragment.path)
    return fragment


def other_bottoms(text, path, name, layer):
    """Return lines that say which bottoms of what was put in have other shapes than in its test."""
    net = Net(text, path)
    there = [x for x in _put_in(net) if x.name == name][-1:]
    found = made_bottoms.in_text(net, there)
    lines = made_bottoms.compare(found, layer, path)
    return ["%s: %s" % (path, line) for line in lines]


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
    add(
        "--before",
        metavar="LAYER",
        help="with --after: go before this layer, which works in place on BLOB",
    )
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
    if options.before is not None and options.after is None:
        parser.error("--before goes with --after")
    if options.name == "":
        parser.error("expected a name after --name")
    return options


def main(parser, given):
    options = parse_options(parser, given)
    net, lines = read(options.net), []
    if options.remove is not None:
        text, done = take_out(net, options.remove)
    else:
        fragment = read_fragment(options.layer)
        more = options.bottom, options.name
        if options.split is not None:
            text, done = split(net, fragment, options.split, *more)
        else:
            text, done = put_in(net, fragment, options.after, *more + (options.before,))
        name = options.name or fragment.layers[0].name
        layer = find_layer(options.layer)
        lines = other_bottoms(text, options.net, name, layer)
    target = options.net if options.in_place else options.o
    if target in (None, "-"):
        show(text if target else diff(net.text, text, options.net))
    else:
        need_writable(target, options.in_place)
        if options.in_place:
            keep(options.net, net.text)
        write(target, text)
    if options.in_place or options.o:
        lines.insert(0, "%s: %s" % (options.net, done))
    sys.stderr.write("".join(line + "\n" for line in lines))
    return 0
