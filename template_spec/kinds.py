"""The kinds of layers: a row each."""

from dataclasses import dataclass, field

MOST_BLOBS = 64


@dataclass(frozen=True)
class Kind:
    """A kind of layer: the counts it allows, its default counts, and what its fragment says."""

    sentence: str  # at the prompt
    bottoms: range
    tops: range
    default_bottoms: int
    default_tops: int
    loss_weight: bool = False
    wanted: int = (
        MOST_BLOBS  # bottoms before this one get a gradient, the others do not
    )
    names: tuple = ()  # of the first tops, where only a count is given
    keys: str = (
        ""  # that every such layer has, unless the answers bring their own of that name
    )
    limits: dict = field(default_factory=dict)  # of the values of keys: (least, most)


# One row per kind: what it generates is templates/<kind>.jinja (its macros: CONTRIBUTING.md), and
# `make kinds` copies its name and sentence into cookiecutter.json.
ONE, MANY = range(1, 2), range(1, MOST_BLOBS + 1)
KINDS = {
    "identity": Kind(
        "a transform; starts by copying its bottoms to its tops", MANY, MANY, 1, 1
    ),
    "loss": Kind(
        "one number to minimise; starts as the Euclidean loss",
        MANY, ONE, 2, 1, loss_weight=True, wanted=1,
    ),
    "learnable": Kind(
        "has weights; starts as a weight and a bias for each channel", MANY, MANY, 1, 1
    ),
    "data": Kind(
        "gives batches of samples; starts with made-up images and labels",
        range(1), MANY, 0, 2, names=("data", "label"),
        keys="batch_size:int=16, samples:int=960, seed:int=0",
        limits={"batch_size": (1, "samples"), "samples": (1, 2 * 10**6), "seed": (0, 2**32 - 1)},
    ),
    "metric": Kind(
        "one number to watch in TEST; starts as the mean of |a - b|",
        MANY, ONE, 2, 1, wanted=0,
    ),
}  # fmt: skip
