"""Read nets with and without a spliced layer by Caffe's protobuf, and say what differs in meaning.

Each line of stdin is [net, spliced net, blobs, name of the layer]; the answer a line of JSON: null,
or what is wrong. In the net of each phase every bottom has to be what the same layer gave before;
only what the last layer of the first blob gave has to come through the new one. That has to be
where all the blobs are; elsewhere only a bottom that Caffe could not compute before may get lost.
"""

import json
import os
import sys

os.environ["GLOG_minloglevel"] = "2"
from caffe.proto import caffe_pb2
from google.protobuf import text_format


def parse(text):
    net = text_format.Parse(text, caffe_pb2.NetParameter())
    first = [caffe_pb2.LayerParameter(name="input", top=[blob]) for blob in net.input]
    return first + list(net.layer)


def in_phase(layers, phase):
    def meets(rules):
        return any(rule.phase == phase or not rule.HasField("phase") for rule in rules)

    return [
        x
        for x in layers
        if (not x.include or meets(x.include)) and not meets(x.exclude)
    ]


def flow(layers):
    """Return for each layer its key and the sources of its bottoms; and the last of each blob."""
    given, result = {}, []
    for layer in layers:
        sources = [given.get(blob) for blob in layer.bottom]
        key = len(result), layer.name
        result.append((key, sources))
        given.update((blob, (key, i)) for i, blob in enumerate(layer.top))
    return result, given


def strip(layers):
    """Return the layers as text, without their bottoms."""
    texts = []
    for layer in layers:
        copy = caffe_pb2.LayerParameter()
        copy.CopyFrom(layer)
        copy.ClearField("bottom")
        texts.append(text_format.MessageToString(copy))
    return texts


def without(source, at, last):
    """Return what a source is in the old net: the layer at that place is the blob's last giver."""
    if source is None or source[0][0] < at:
        return source
    (place, name), i = source
    return last if place == at else ((place - 1, name), i)


def uncomputed(layers):
    """Return the sources in a flow that lack a bottom themselves, or what gives them does."""
    bad = set()
    for key, sources in layers:
        if None in sources or any(source[0] in bad for source in sources):
            bad.add(key)
    return [
        source
        for _, sources in layers
        for source in sources
        if source and source[0] in bad
    ]


def wrong(before, after, blobs, name):
    before, after = parse(before), parse(after)
    others = [layer for layer in after if layer.name != name]
    if len(after) != len(before) + 1 or strip(others) != strip(before):
        return "other layers than before"
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        old, last = flow(in_phase(before, phase))
        new, _ = flow(in_phase(after, phase))
        here = [i for i, (key, _) in enumerate(new) if key[1] == name]
        if bool(here) != all(blob in last for blob in blobs):
            return "the layer is not where its bottoms are"
        at = here[0] if here else len(new)
        kept = [sources for key, sources in new if key[1] != name]
        lost = () if here else uncomputed(old)
        for sources, expected in zip(kept, (sources for _, sources in old)):
            got = [without(source, at, last.get(blobs[0])) for source in sources]
            if any(x != y and (x or y not in lost) for x, y in zip(got, expected)):
                return "a bottom comes from elsewhere"
        if here and new[at][1] != [last[blob] for blob in blobs]:
            return "the layer reads something else"
        if here and any(last[blobs[0]] in sources for sources in kept):
            return "a layer reads the blob past the new layer"
    return None


for line in sys.stdin:
    print(json.dumps(wrong(*json.loads(line))))
    sys.stdout.flush()
