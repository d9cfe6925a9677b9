"""The shapes of a net's blobs, as far as its text tells them, without Caffe.

A shape is a list of numbers, with None for one that is not known; None is a shape not known at all.
"""

import collections

from ..checks.prototxt import Message, boolean

Blob = collections.namedtuple("Blob", "shape guessed")

# Layers whose tops have the shape of their first bottom.
SAME = (
    "ReLU PReLU ELU Sigmoid TanH AbsVal BNLL Exp Log Power Dropout BatchNorm MVN LRN Scale Bias "
    "Threshold Softmax Split Eltwise"
).split()
IMAGES = [None] * 4  # samples, channels, height, width
GUESSES = [None, 3, 32, 32]  # for images that only their file knows
# Layers that read images and labels from files, and the field with their batch_size.
FILES = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
    "HDF5Data": "hdf5_data_param",
}
ANY_SHAPE = ("HDF5Data",)  # those whose file may hold anything, not only images


def of_blobs(net, state, end=None, guess=False):
    """Return the shape of each blob, before the layer of index `end`, in a net of that state.

    Without a state all layers count. `guess` takes GUESSES for what only files know.
    """
    found = _of_inputs(net)
    for i, layer in net.active(state) if state else enumerate(net.layers):
        if end is not None and i >= end:
            break
        bottoms = [found.get(bottom.value) for bottom in layer.bottoms]
        given = _of_tops(layer, bottoms, guess)
        for j, top in enumerate(layer.tops):
            found[top.value] = given[min(j, len(given) - 1)] if given else None
    return found


def is_spatial(shape, first):
    """Whether a blob has more than one element along an axis from the first on."""
    return shape is not None and any(size != 1 for size in shape[first:])


def written(shape):
    """Return a shape as text."""
    sizes = ", ".join("?" if size is None else "%d" % size for size in shape)
    return "(%s%s)" % (sizes, "," * (len(shape) == 1))


def differ(shape, other):
    """Whether two shapes cannot be of one blob, but for the number of samples."""
    return len(shape) != len(other) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(shape[1:], other[1:])
    )


def _of_inputs(net):
    dims = net.message.all("input_dim")
    given = [_numbers(shape, "dim") for shape in net.message.all("input_shape")]
    given += [dims[i : i + 4] for i in range(0, len(dims), 4)]
    return {blob: shape for blob, shape in zip(net.inputs, given)}


def _of_tops(layer, bottoms, guess):
    """Return the shapes of a layer's tops; the last is also that of all further ones."""
    first = bottoms[0] if bottoms else None
    if layer.type in SAME:
        return [first]
    if layer.type.endswith("Loss") or layer.type == "Accuracy":
        return [[], None]
    rule = RULES.get(layer.type)
    given = rule(layer.message, first, bottoms) if rule else [None]
    if layer.type in FILES:
        images = given[0]
        if guess:
            pairs = zip(images, GUESSES)
            given[0] = [other if size is None else size for size, other in pairs]
        elif layer.type in ANY_SHAPE:
            given = [None]
        elif None in images[2:]:
            given[0] = None
    return given


def with_guesses(net, end):
    """Return {blob: Blob} of those known whole; `guessed` if a part is a guess."""
    found, guessed = of_blobs(net, None, end, True), set()
    for layer in net.layers[:end]:
        tops = [top.value for top in layer.tops]
        if layer.type in FILES:
            guessed.update(tops if layer.type in ANY_SHAPE else tops[:1])
        elif guessed.intersection(bottom.value for bottom in layer.bottoms):
            guessed.update(tops)
    return {
        name: Blob(tuple(shape), name in guessed)
        for name, shape in found.items()
        if shape and is_shape(shape)
    }


def is_shape(shape):
    """Whether Caffe can have a blob of that shape."""
    return len(shape) <= 32 and all(type(n) is int and 0 < n < 2**31 for n in shape)


def _convolution(message, first, _):
    param, result = _param(message, "convolution_param"), [None] * 4
    result[1] = _number(param, "num_output")
    if first and len(first) == 4:
        result[0] = first[0]
        result[2:] = _windows(param, first, "kernel_size", message.get("type"))
    return [result]


def _pooling(message, first, _):
    param = _param(message, "pooling_param")
    if boolean(param.get("global_pooling", False)):
        return [(first or IMAGES)[:2] + [1, 1]]
    if not first or len(first) != 4 or None in first[2:]:
        return [None]
    return [first[:2] + _windows(param, first, "kernel_size", "Pooling")]


def _windows(param, shape, kernel, kind):
    """Return the height and the width that windows of a kernel give."""
    result = []
    for axis, letter in enumerate("hw"):
        size, pad, stride, dilation = [
            _along(param, name, axis, letter, default)
            for name, default in (
                (kernel, None),
                ("pad", 0),
                ("stride", 1),
                ("dilation", 1),
            )
        ]
        length = shape[2 + axis]
        if None in (size, pad, stride, dilation, length) or stride < 1:
            result.append(None)
            continue
        size = dilation * (size - 1) + 1
        if kind == "Deconvolution":
            result.append(stride * (length - 1) + size - 2 * pad)
        elif kind == "Convolution":
            result.append((length + 2 * pad - size) // stride + 1)
        else:
            count = -((size - length - 2 * pad) // stride) + 1
            over = pad and (count - 1) * stride >= length + pad
            result.append(count - 1 if over else count)
    return result


def _along(param, name, axis, letter, default):
    own = _number(param, name.split("_")[0] + "_" + letter)
    both = _numbers(param, name) or [default]
    return own if own is not None else both[min(axis, len(both) - 1)]


def _inner_product(message, first, _):
    param = _param(message, "inner_product_param")
    axis = _number(param, "axis", 1)
    before = [None] if first is None and axis == 1 else first
    count = _number(param, "num_output")
    if None in (before, axis, count) or not -len(before) <= axis <= len(before):
        return [None]
    return [before[:axis] + [count]]


def _concat(message, first, bottoms):
    axis = _number(_param(message, "concat_param"), "axis", 1)
    if not first or axis is None or not -len(first) <= axis < len(first):
        return [None]
    axis %= len(first)
    sizes = [shape[axis] if len(shape or ()) > axis else None for shape in bottoms]
    total = None if None in sizes else sum(sizes)
    return [first[:axis] + [total] + first[axis + 1 :]]


def _flatten(message, first, _):
    if not first or message.all("flatten_param"):
        return [None]
    return [first[:1] + [_product(first[1:])]]


def _reshape(message, first, _):
    param = _param(message, "reshape_param")
    sizes = [_numbers(shape, "dim") for shape in param.all("shape")[-1:]]
    if not sizes or param.all("axis") or param.all("num_axes"):
        return [None]
    first = first or []
    copied = first + [None] * len(sizes[0])
    result = [copied[i] if size == 0 else size for i, size in enumerate(sizes[0])]
    if -1 in result:
        whole = _product(first) if first else None
        rest = _product([size for size in result if size != -1])
        known = None if None in (whole, rest) or not rest else whole // rest
        result = [known if size == -1 else size for size in result]
    return [result]


def _given(field):
    """Return the rule of a layer that says the shapes of its tops."""

    def rule(message, first, _):
        param = _param(message, field)
        given = [_numbers(shape, "dim") for shape in param.all("shape")]
        old = [_numbers(param, n) for n in ("num", "channels", "height", "width")]
        return given or [list(sizes) for sizes in zip(*old)]

    return rule


def _samples(field):
    """Return the rule of a layer that reads images from files, and a label for each."""

    def rule(message, first, _):
        param = _param(message, field)
        crop = _number(_param(message, "transform_param"), "crop_size")
        crop = crop or _number(param, "crop_size") or None
        count = _number(param, "batch_size")
        return [[count, None, crop, crop], [count]]

    return rule


def _memory_data(message, first, _):
    param = _param(message, "memory_data_param")
    names = ("batch_size", "channels", "height", "width")
    images = [_number(param, name) for name in names]
    return [None if None in images[2:] else images, images[:1]]


RULES = {
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "Concat": _concat,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Input": _given("input_param"),
    "Parameter": _given("parameter_param"),
    "DummyData": _given("dummy_data_param"),
    "MemoryData": _memory_data,
    "Im2col": lambda *_: [IMAGES],
    "Crop": lambda *_: [IMAGES],
}
RULES.update((kind, _samples(field)) for kind, field in FILES.items())


def _product(sizes):
    result = 1
    for size in sizes:
        if size is None:
            return None
        result *= size
    return result


def _param(message, field):
    value = message.get(field)
    return value if isinstance(value, Message) else Message()


def _numbers(message, field):
    """Return the whole numbers of a field, [] if something else is among them."""
    values = message.all(field) if isinstance(message, Message) else []
    return values if all(isinstance(value, int) for value in values) else []


def _number(message, field, default=None):
    return (_numbers(message, field) or [default])[-1]
