"""Take a layer out of a net again, by the comment that splice has put above it."""

import collections
import re

from ..checks import prototxt
from . import CommandError
from .net_text import edited, escaped, joined, renamed

# The comment above what was put in, for --remove: the strings of other layers that were replaced.
HEADER = "# caffe-pylayer splice --remove %s takes %s out%s"
BACK = ", and puts back:"
LITERALS = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'| )+"""
RECORD = r"#   ([^\n]*) (bottom|type|without) (%s)(?=\r?$)" % LITERALS
COMMENT = re.compile(
    r"^# caffe-pylayer splice --remove (?P<name>[^\n]*?) takes (?P<what>this|both) out"
    r"(?:%s)?(?=\r?$)(?P<records>(?:\r?\n%s)*)" % (BACK, RECORD),
    re.MULTILINE,
)
Record = collections.namedtuple("Record", "name field literals")
# What Caffe takes for granted in a ...Loss, but not any more once a layer reads its top.
WEIGHT = " loss_weight: 1"


def comment_lines(name, what, records):
    """Return the lines of the comment above what was put in: this layer, or both of a split."""
    back = ["#   %s %s %s" % record for record in records]
    return [HEADER % (name, what, BACK if back else "")] + back


def take_out(net, name):
    """Return the net's text without a layer that was put in, and a line that says so.

    It is as if the layer had never been there, so that several can go in any order.
    """
    comment, comments = _comments(net, name)
    block = _below(net, comment, comments, name)
    others = [other for other in net.layers if other not in block]
    records, blob, top = _records(comment), None, None
    changes = any(record.field != "without" for record in records)
    if block[0].bottoms and (block[-1].passes_on() or changes):
        blob, top = block[0].bottoms[0].value, block[-1].tops[0].value
    gone = {ref.value for x in block for ref in x.tops} - {top}
    _need_unread(net, comments, others, gone, records)

    edits = _without(net, comment, block)
    renewed = [_renewed(match, records, blob, top) for match in comments]
    readers = []  # records of what read the top, for the comments of others
    for other in others:
        for reference in other.bottoms:
            if reference.value == top:
                readers.append(_take(records, escaped(other.name), "bottom"))
                edits += _restored(net.text, reference, blob, readers[-1].literals)
        for reference in other.tops:
            if reference.value == top:
                edits += renamed(net.text, reference, blob)
    edits += _joined_losses(net, others, records)
    more, weights = _losses_without_weight(net, comments, others, records, blob, top)
    edits += more
    for match, after in zip(comments, renewed):
        own = [layer for layer in others if escaped(layer.name) == match.group("name")]
        gives_blob = any(layer.gives(blob) for layer in own)
        after = _about(after, block, readers if gives_blob else [])
        after += [weight for heir, weight in weights if heir == match.group("name")]
        if after != _records(match):
            lines = comment_lines(match.group("name"), match.group("what"), after)
            edits.append(match.span() + (joined(net, lines),))
    return edited(net.text, edits), "%s taken out" % name


def _comments(net, name):
    """Return the match of the comment above the layer of that name, and those of all others."""
    comments = list(COMMENT.finditer(net.text))
    found = [match for match in comments if match.group("name") == escaped(name)]
    if not found:
        there = ", ".join(match.group("name") for match in comments) or "none"
        raise CommandError(
            "%s: expected a layer that splice has put in, got %s; there: %s"
            % (net.path, name, there)
        )
    comments.remove(found[-1])
    return found[-1], comments


def _below(net, comment, comments, name):
    """Return the layers, one or two, that a comment is about."""
    below = [layer for layer in net.layers if layer.start >= comment.end()]
    block = below[: 2 if comment.group("what") == "both" else 1]
    if block and block[-1].name == name:
        return block
    end = ([layer.start for layer in below if layer.name == name] or [0])[0]
    for other in comments:
        if comment.end() <= other.start() < end:
            first = other.group("name")
            raise CommandError(
                "%s: %s stands inside; first --remove %s" % (net.path, first, first)
            )
    raise CommandError(
        "%s: the layer %s is not below its comment any more" % (net.path, name)
    )


def _need_unread(net, comments, others, blobs, records):
    """Refuse when a layer reads one of the blobs, which would be gone.

    But one that read it before the blob was put in may do so again: it is recorded.
    """
    before = [(x.name, _value(x.literals)) for x in records if x.field == "bottom"]
    for other in others:
        for blob in [bottom.value for bottom in other.bottoms if bottom.value in blobs]:
            if (escaped(other.name), blob) not in before:
                first = _first(net, comments, other)
                raise CommandError(
                    "%s: %s reads %s, which would be gone%s"
                    % (
                        net.path,
                        other.name,
                        blob,
                        first and "; first --remove " + first,
                    )
                )


def _first(net, comments, layer):
    """Return the name by which a layer, or what was put in along with it, goes out, or ""."""
    for match in comments:
        if match.group("name") == escaped(layer.name):
            return layer.name
        below = [other for other in net.layers if other.start >= match.end()]
        if match.group("what") == "both" and layer in below[:1]:
            return below[:2][-1].name
    return ""


def _without(net, comment, block):
    """Return the edits that take out a comment and the layers below it."""
    spans = [comment.span()] + [(part.start, part.end) for part in block]
    edits = [_with_line_break(net.text, start, end) for start, end in spans]
    if comment.start() == 0:
        line_break = re.compile("\r?\n?").match(net.text, block[-1].end)
        edits.append(line_break.span() + ("",))
    return edits


def _joined_losses(net, others, records):
    """Return the edits that make a SoftmaxWithLoss of what was split; takes their records."""
    edits = []
    for other in others:
        if other.type == "MultinomialLogisticLoss":
            literals = _take(records, escaped(other.name), "type").literals
            if literals:
                edits += _restored(
                    net.text, other.types[-1], _value(literals), literals
                )
    lost = [record.name for record in records if record.field == "type"]
    if lost:
        raise CommandError(
            "%s: no MultinomialLogisticLoss %s any more" % (net.path, lost[0])
        )
    return edits


def _losses_without_weight(net, comments, others, records, blob, top):
    """Return the edits that take the loss_weight out of losses that had none; takes their records.

    And a list of (heir, record) for those that another layer reads, which then has the record.
    """
    edits, weights = [], []
    for other in others:
        weight = _take(records, escaped(other.name), "without")
        if weight.literals:
            loss = other.tops[0].value
            heir = _heir(comments, others, {loss, top} if loss == blob else {loss})
            weights.append((heir, weight))
            end = other.types[-1].literals[-1][1]
            if heir is None and net.text.startswith(WEIGHT, end):
                edits.append((end, end + len(WEIGHT), ""))
    return edits, weights


def _heir(comments, others, blobs):
    """Return the name of a layer that was put in and gives one of the blobs a gradient, or None."""
    names = [
        escaped(other.name) for other in others if blobs.intersection(other.wanted())
    ]
    return next(
        (match.group("name") for match in comments if match.group("name") in names),
        None,
    )


def _renewed(comment, records, blob, top):
    """Return the Records in a comment, those of the top as they were before it."""
    result = []
    for record in _records(comment):
        if record.field == "bottom" and _value(record.literals) == top:
            literals = _take(records, record.name, "bottom").literals
            record = record._replace(literals=literals or '"%s"' % escaped(blob))
        result.append(record)
    return result


def _about(records, block, readers):
    """Return Records in which those about a block are about its readers instead."""
    names = [escaped(part.name) for part in block]
    about = [
        record
        for record in records
        if record.field == "bottom" and record.name in names
    ]
    others = [record for record in records if record not in about]
    readers = readers if about else []
    return others + [
        x._replace(literals=x.literals or about[0].literals) for x in readers
    ]


def _records(comment):
    """Return the Records in a comment."""
    return [
        Record(*fields)
        for fields in re.findall(RECORD, comment.group("records"), re.MULTILINE)
    ]


def _take(records, name, field):
    """Take the first of these Records out of a list; one without literals if there is none."""
    for record in records:
        if record[:2] == (name, field):
            records.remove(record)
            return record
    return Record(name, field, None)


def _value(literals):
    return prototxt.parse(b"value: " + literals.encode("latin-1")).get("value")


def _restored(text, reference, value, literals):
    """Return the edits that give a reference this value, as recorded if that is its value."""
    if literals is None or _value(literals) != value:
        return renamed(text, reference, value)
    places = prototxt.parse(b"value: " + literals.encode("latin-1")).places[0].literals
    if len(places) != len(reference.literals):
        return renamed(text, reference, value)
    before = [("value: " + literals)[start:end] for start, end in places]
    return [place + (new,) for place, new in zip(reference.literals, before)]


def _with_line_break(text, start, end):
    """Return the edit that takes out a piece, with its indentation and the line break before it."""
    before = re.search(r"(?:\r?\n|\A)[ \t]*\Z", text[:start])
    return (before.start() if before else start, end, "")
