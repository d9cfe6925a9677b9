"""What a net says of its blobs without Caffe: their shapes, and which get a gradient."""

import collections

from ..checks import prototxt

# A shape, and whether a part of it is a guess.
Blob = collections.namedtuple("Blob", "shape guessed")

SAME = set(
    "AbsVal BNLL BatchNorm Bias Dropout ELU Eltwise Exp LRN Log MVN PReLU Power ReLU Scale "
    "Sigmoid Softmax Split TanH Threshold".split()
)
# The fields of data layers: the message with batch_size.
DATA = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
    "HDF5Data": "hdf5_data_param",
    "MemoryData": "memory_data_param",
}
LEARN = set(
    "Convolution Deconvolution InnerProduct Scale Bias PReLU Embed Parameter LSTM RNN".split()
)
NO_GRADIENT = {"Accuracy", "ArgMax", "Silence"}
SIDE = 32  # of an image whose size only its file says


def shapes(net, end):
    """Return {blob: Blob} of what the layers before that index give, as far as it can be told."""
    found = {}
    dims, fields = net.message.all("input_dim"), net.message.all("input_shape")
    for i, name in enumerate(net.inputs):
        shape = fields[i].all("dim") if i < len(fields) else dims[4 * i : 4 * i + 4]
        found[name] = Blob(tuple(shape), False)
    for layer in net.layers[:end]:
        tops = [top.value for top in layer.tops]
        bottoms = [found.get(bottom.value) for bottom in layer.bottoms]
        try:
            given = of_layer(layer, bottoms, len(tops))
        except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError):
            given = []  # a field that is missing, or of another type
        for top, blob in zip(tops, given or [None] * len(tops)):
            found[top] = blob
    return {name: x for name, x in found.items() if x and is_shape(x.shape)}


def is_shape(shape):
    return all(type(n) is int and 0 < n < 2**31 for n in shape) and len(shape) <= 32


def of_layer(layer, bottoms, count):
    """Return a Blob for each top of a layer, or an empty list."""
    kind, first = layer.type, bottoms[0] if bottoms else None
    if kind in DATA:
        return of_data(layer, count)
    if kind in ("Input", "DummyData", "Parameter"):
        field = {"DummyData": "dummy_data_param"}.get(kind, kind.lower() + "_param")
        rows = [tuple(x.all("dim")) for x in layer.message.get(field).all("shape")]
        return [Blob(rows[min(i, len(rows) - 1)], False) for i in range(count)]
    if first is None:
        return []
    if kind in SAME:
        return [first] * count
    size = list(first.shape)
    if kind in ("Convolution", "Deconvolution"):
        param = layer.message.get("convolution_param")
        size[1] = param.get("num_output")
        for axis in (2, 3):
            kernel, stride, pad, dilation = (
                along(param, axis, name, default)
                for name, default in (
                    ("kernel_size", None),
                    ("stride", 1),
                    ("pad", 0),
                    ("dilation", 1),
                )
            )
            extent = dilation * (kernel - 1) + 1
            if kind == "Convolution":
                size[axis] = (size[axis] + 2 * pad - extent) // stride + 1
            else:
                size[axis] = stride * (size[axis] - 1) + extent - 2 * pad
    elif kind == "Pooling":
        param = layer.message.get("pooling_param")
        for axis in (2, 3):
            if prototxt.boolean(param.get("global_pooling", False)):
                size[axis] = 1
                continue
            kernel, stride, pad = (
                along(param, axis, name, default)
                for name, default in (("kernel_size", None), ("stride", 1), ("pad", 0))
            )
            count_of = -(-(size[axis] + 2 * pad - kernel) // stride) + 1
            if pad and (count_of - 1) * stride >= size[axis] + pad:
                count_of -= 1
            size[axis] = count_of
    elif kind == "InnerProduct":
        param = layer.message.get("inner_product_param")
        size[param.get("axis", 1) :] = [param.get("num_output")]
    elif kind == "Flatten":
        product = 1
        for n in size[1:]:
            product *= n
        size[1:] = [product]
    elif kind == "Concat" and None not in bottoms:
        axis = layer.message.get("concat_param", prototxt.Message()).get("axis", 1)
        size[axis] = sum(bottom.shape[axis] for bottom in bottoms)
    else:
        return []
    return [Blob(tuple(size), any(x.guessed for x in bottoms if x))] * count


def along(param, axis, name, default):
    """Return the value of a field such as kernel_size for axis 2 or 3."""
    short = {"kernel_size": "kernel"}.get(name, name)
    own = param.get("%s_%s" % (short, "hw"[axis - 2]))
    both = param.all(name)
    return (
        own
        if own is not None
        else both[min(axis - 2, len(both) - 1)]
        if both
        else default
    )


def of_data(layer, count):
    """Return the Blobs of a layer that reads files: its batch, its crop, else a guess."""
    param = layer.message.get(DATA[layer.type])
    transform = layer.message.get("transform_param", prototxt.Message())
    batch = param.get("batch_size")
    crop = transform.get("crop_size") or param.get("crop_size")
    if layer.type == "MemoryData":
        image = batch, param.get("channels"), param.get("height"), param.get("width")
        return [Blob(image, False), Blob((batch,), False)][:count]
    image = batch, 3, crop or SIDE, crop or SIDE
    return [Blob(image, True)] + [Blob((batch,), False)] * (count - 1)


def with_gradient(net, end):
    """Return the blobs before that index below which something learns."""
    found = set()
    for layer in net.layers[:end]:
        tops = {top.value for top in layer.tops}
        if learns(layer) or (
            found.intersection(layer.wanted()) and layer.type not in NO_GRADIENT
        ):
            found |= tops
        else:
            found -= tops
    return found


def learns(layer):
    """Whether a layer has weights that are not frozen by lr_mult: 0."""
    params = [x for x in layer.message.all("param") if isinstance(x, prototxt.Message)]
    rates = [param.get("lr_mult", 1) for param in params]
    frozen = rates and not any(rates)
    return layer.type in LEARN and not frozen


def labels(net):
    """Return the blobs that hold labels: of a data layer, or of a loss or Accuracy."""
    found = set()
    for layer in net.layers:
        if layer.type in DATA:
            found.update(top.value for top in layer.tops[1:])
        if layer.type in ("SoftmaxWithLoss", "Accuracy", "MultinomialLogisticLoss"):
            found.update(bottom.value for bottom in layer.bottoms[1:2])
    return found


def probabilities(net, end):
    """Return the blobs whose values a Sigmoid or Softmax gives."""
    kinds = ("Sigmoid", "Softmax")
    return {x.value for y in net.layers[:end] if y.type in kinds for x in y.tops}
