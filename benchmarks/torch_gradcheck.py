"""PyTorch's gradcheck on a Caffe layer, to compare ours with, as an author would use it.

The layer's forward and backward stand in a torch.autograd.Function; bottoms and tops are small
objects with float64 arrays, no net is made. `caffe` is the numpy stand-in in double precision, of
which the layer gets its base class and its weights. As Caffe does, it runs forward before every
backward. All settings of gradcheck are its defaults.

Debian 11's torch 1.7 has no fast_mode, which came with 1.9: it is written anew here from its
documentation and description (one random direction for each input and output, the same tolerance
relative to the sums of both, both sides of an undefined gradient, backward run twice).
"""

import importlib

import numpy as np
import torch

EPS, ATOL, RTOL = 1e-6, 1e-5, 1e-3  # gradcheck's defaults

torch.set_num_threads(1)


class Blob:
    """What a layer sees of a bottom or top."""

    def __init__(self, array=None):
        self.data = np.zeros(0) if array is None else np.array(array, np.float64)
        self.diff = np.zeros_like(self.data)

    shape = property(lambda self: self.data.shape)
    count = property(lambda self: self.data.size)
    num = property(lambda self: self.shape[0])
    channels = property(lambda self: self.shape[1] if self.data.ndim > 1 else 1)
    height = property(lambda self: self.shape[2] if self.data.ndim > 2 else 1)
    width = property(lambda self: self.shape[3] if self.data.ndim > 3 else 1)

    def reshape(self, *shape):
        if self.data.shape != shape:
            self.data, self.diff = np.zeros(shape), np.zeros(shape)


class Wrapped:
    """A layer as a function of tensors: its wanted bottoms, then its weights."""

    def __init__(self, fragment, arrays):
        python, message = fragment.python, fragment.layer
        module = importlib.import_module(python.get("module"))
        self.layer = getattr(module, python.get("layer"))(message)
        self.layer.param_str = python.get("param_str", "")
        self.layer.phase = fragment.phase
        self.wanted = [i for i, want in enumerate(fragment.wanted) if want]
        self.flags = list(fragment.wanted)
        self.bottoms = [Blob(array) for array in arrays]
        self.tops = [Blob() for _ in fragment.tops]
        self.layer.setup(self.bottoms, self.tops)
        self.weights = list(self.layer.blobs)
        found = [self.bottoms[i].data for i in self.wanted]
        found += [weight.data for weight in self.weights]
        self.inputs = [torch.tensor(a.copy(), requires_grad=True) for a in found]

    def forward(self, tensors):
        """Return the tops' arrays."""
        np.random.seed(0)  # dropout drops the same
        blobs = [self.bottoms[i] for i in self.wanted] + self.weights
        for blob, tensor in zip(blobs, tensors):
            blob.data[...] = tensor.detach().numpy()
        self.layer.reshape(self.bottoms, self.tops)
        self.layer.forward(self.bottoms, self.tops)
        return [top.data for top in self.tops]

    def backward(self, tensors, diffs):
        """Return the diffs' arrays, of the tops' diffs."""
        self.forward(tensors)
        for top, diff in zip(self.tops, diffs):
            top.diff[...] = 0 if diff is None else diff.detach().numpy()
        for weight in self.weights:
            weight.diff[...] = 0
        self.layer.backward(self.tops, self.flags, self.bottoms)
        blobs = [self.bottoms[i] for i in self.wanted] + self.weights
        return [blob.diff for blob in blobs]

    def __call__(self, *tensors):
        return Function.apply(self, *tensors)


class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, wrapped, *tensors):
        ctx.wrapped = wrapped
        ctx.save_for_backward(*tensors)
        return tuple(torch.tensor(top) for top in wrapped.forward(tensors))

    @staticmethod
    def backward(ctx, *diffs):
        found = ctx.wrapped.backward(ctx.saved_tensors, diffs)
        return (None, *(torch.tensor(diff) for diff in found))


def exhaustive(wrapped):
    """Return what torch's own gradcheck says is wrong, or None."""
    try:
        torch.autograd.gradcheck(wrapped, wrapped.inputs)
    except RuntimeError as error:
        return str(error).split("\n")[0]
    return None


def fast(wrapped):
    """Return what fast_mode says is wrong, or None."""
    inputs = wrapped.inputs
    directions = [unit(tensor) for tensor in inputs]
    outputs = wrapped(*inputs)
    numeric = []
    for i, u in enumerate(directions):
        ends = []
        for step in (EPS, -EPS):
            with torch.no_grad():
                moved = [t + step * u if i == j else t for j, t in enumerate(inputs)]
                ends.append(wrapped(*moved))
        numeric.append([(a - b) / (2 * EPS) for a, b in zip(*ends)])
    for j, output in enumerate(outputs):
        v = unit(output)
        given = [v if j == k else torch.zeros_like(o) for k, o in enumerate(outputs)]
        found, again = [
            torch.autograd.grad(outputs, inputs, given, retain_graph=True)
            for _ in range(2)
        ]
        for i, u in enumerate(directions):
            if not torch.equal(found[i], again[i]):
                return "backward gives another diff for the same top diff"
            analytic, wanted = (found[i] * u).sum(), (numeric[i][j] * v).sum()
            atol = ATOL * float(u.sum()) * float(v.sum())
            if not torch.allclose(analytic, wanted, RTOL, atol):
                return "output %d, input %d: %g instead of %g" % (
                    j,
                    i,
                    analytic,
                    wanted,
                )
    zeros = [torch.zeros_like(output) for output in outputs]
    for diff in torch.autograd.grad(outputs, inputs, zeros, retain_graph=True):
        if diff.abs().max() > 0:
            return "a diff that is not zero for a top diff of zeros"
    return None


def unit(tensor):
    """Return a random direction of length 1, of numbers between 0 and 1."""
    found = torch.rand(tensor.shape, dtype=tensor.dtype)
    return found / found.norm()


FAST = "torch gradcheck, fast_mode"
METHODS = {"torch gradcheck": exhaustive, FAST: fast}
