"""What a net says of its blobs besides shapes: which get a gradient, which hold labels."""

from ..checks import prototxt
from .shapes import FILES

LEARN = set(
    "Convolution Deconvolution InnerProduct Scale Bias PReLU Embed Parameter LSTM RNN".split()
)
NO_GRADIENT = {"Accuracy", "ArgMax", "Silence"}


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
        if layer.type in FILES or layer.type == "MemoryData":
            found.update(top.value for top in layer.tops[1:])
        if layer.type in ("SoftmaxWithLoss", "Accuracy", "MultinomialLogisticLoss"):
            found.update(bottom.value for bottom in layer.bottoms[1:2])
    return found


def probabilities(net, end):
    """Return the blobs whose values a Sigmoid or Softmax gives."""
    kinds = ("Sigmoid", "Softmax")
    return {x.value for y in net.layers[:end] if y.type in kinds for x in y.tops}
