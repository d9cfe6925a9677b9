"""A generated layer that is broken on purpose is red, for the right reason.

Each on one of the engines, with WHOLE=yes (`make proof`) on both.
"""

import pytest

from support.mistakes import red
from support.project import ENGINES, in_turn

FORWARD = "top[0].data[...] = "
SCALE = "top[0].diff / len(self.difference) * self.difference"
DIFFERENCE = "self.difference = bottom[0].data - bottom[1].data"
BACKWARD = "bottom[0].diff[...] = gradient"

# name: (what stands in the file, what is put there, the checks that must say so, words they say)
BROKEN = {
    "factor": (BACKWARD, BACKWARD.replace("grad", "2 * grad"), {"gradient"}, "48 of 48 elements"),
    "sign": (BACKWARD, BACKWARD.replace("grad", "-grad"), {"gradient"}, "ratio"),
    "batch size forgotten": (
        SCALE, "top[0].diff * self.difference", {"gradient"}, "bottom scores",
    ),
    "top diff ignored": (
        SCALE, SCALE.replace("top[0].diff", "1.0"), {"gradient"}, "ratio",
    ),
    "one element": (
        BACKWARD, BACKWARD + "\n            bottom[0].diff[1, 2, 3] *= 1.01",
        {"gradient"}, "1 of 48 elements",
    ),
    "added instead of written": (
        BACKWARD, "bottom[0].diff[...] += gradient",
        {"gradient"}, "backward adds to what is in the diff of bottom scores",
    ),
    "propagate_down ignored": (
        "if propagate_down[0]:", "if True:", {"propagate_down"}, "propagate_down false, false",
    ),
    "buffer of the first batch": (
        DIFFERENCE, 'if not hasattr(self, "difference"):\n            ' + DIFFERENCE
        + "\n        " + DIFFERENCE.replace("nce =", "nce[...] ="),
        {"batch"}, "into shape (4,3,4)",
    ),
    "bottom changed": (
        FORWARD, "bottom[0].data[...] *= 0.5\n        " + FORWARD,
        {"forward"}, "changed its bottom",
    ),
    "state between passes": (
        FORWARD, "self.passes = getattr(self, 'passes', 0) + 1\n        "
        + FORWARD + "self.passes * ",
        {"forward"}, "forward run again",
    ),
    "counts unchecked": (
        "if len(bottom) != 2:", "if False:", {"counts"}, "3 bottoms",
    ),
    "keys unchecked": (
        "if key not in PARAMS:", "if False:", {"param_str"}, "no_such_key",
    ),
    "types unchecked": (
        "if not fits or ", "if False and ", {"param_str"}, "instead of",
    ),
    "wrong loss": (FORWARD, FORWARD + "1 + ", {"expected_tops"}, "expected_tops differ"),
    "no such class": ("class BrokenLayer", "class OtherLayer", {"load"}, "BrokenLayer"),
    "Caffe aborts": ("top[0].reshape()", "top[0].reshape(-1)", {"load"}, "Check failed"),
}  # fmt: skip

FILLS = "self.blobs[len(self.blobs) - 1].data[...] = value\n"
RESHAPE = "shape, channels = "
WEIGHTS = "w, b = [blob.data[:, np.newaxis] for blob in self.blobs]"
BIASES = "self.blobs[1].diff[...] += np.sum(dy, axis=(0, 2))"
TIMES_WEIGHT = "self.blobs[0].data[:, np.newaxis] * dy"
KEEP_VIEW = (FILLS, FILLS + "        self.w = self.blobs[0].data\n")


def before(line, *more):
    """Return an edit that puts lines before one of the module."""
    return line, "\n        ".join([*more, line])


# name: ((what stands in the file, what is put there), ...), words that the check `weights` says
BROKEN_WEIGHTS = {
    "made in reshape": (
        [before(RESHAPE, "self.blobs.add_blob(3)")],
        "reshape made weights, ",
    ),
    "filled in reshape": (
        [before(RESHAPE, "self.blobs[0].data[...] = 1")],
        "reshape changed weight 0: 3 of 3 elements",
    ),
    "filled when the batch changes": (
        [before(RESHAPE,
                "if getattr(self, 'size', 0) != bottom[0].num: self.blobs[1].data[...] = 0",
                "self.size = bottom[0].num")],
        "reshape changed weight 1: 3 of 3 elements",
    ),
    "made in forward": (
        [(WEIGHTS, "self.blobs.add_blob(3)\n        " + WEIGHTS.replace("blobs]", "blobs][:2]"))],
        "forward made weights, 3 instead of 2",
    ),
    "filled in the first forward": (
        [before(WEIGHTS, "if not hasattr(self, 'done'): self.blobs[0].data[...] = 1",
                "self.done = True")],
        "forward changed weight 0: 3 of 3 elements",
    ),
    "one element clipped in forward": (
        [before(WEIGHTS, "self.blobs[0].data[2] = 0.5")],
        "forward changed weight 0: 1 of 3 elements",
    ),
    "trained by backward itself": (
        [(BIASES, BIASES + "\n        self.blobs[1].data[...] -= 0.1 * self.blobs[1].diff")],
        "backward changed weight 1: 3 of 3 elements",
    ),
    "copy kept from the first forward": (
        [(WEIGHTS, WEIGHTS + "\n        w = self.w = getattr(self, 'w', w.copy())")],
        "changed weights give another top than those set by hand: broken",
    ),
    "view kept from setup": (
        [KEEP_VIEW, (WEIGHTS, WEIGHTS + "\n        w = self.w[:, np.newaxis]")],
        "shared weights give another top than those set by hand: broken",
    ),
    "view kept from the first batch": (
        [before(RESHAPE, "self.b = getattr(self, 'b', self.blobs[1].data)"),
         (WEIGHTS, WEIGHTS + "\n        b = self.b[:, np.newaxis]")],
        "every pass must look into self.blobs anew",
    ),
    "view kept from setup for backward": (
        [KEEP_VIEW, (TIMES_WEIGHT, TIMES_WEIGHT.replace("blobs[0].data", "w"))],
        "shared weights give another diff than those set by hand: bottom bottom_0",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def layer(bake):
    return bake(
        layer_name="broken",
        checks="installed",
        layer_kind="loss",
        bottoms="scores,label",
        param_str_keys="margin=1.5, mode:str='mean'",
    )


@pytest.fixture(scope="module")
def learnable(bake):
    return bake(layer_name="broken", checks="installed", layer_kind="learnable")


@pytest.mark.parametrize("kind", ["layer", "learnable"])
@pytest.mark.parametrize("engine", ENGINES)
def test_unbroken_layer_is_green(request, own_tests, engine, kind):
    found = own_tests(engine, request.getfixturevalue(kind), installed=True)
    assert (found.exit_code, found.red) == (0, []), found.output
    assert ("test_broken[weights]" in found) == (kind == "learnable")


@pytest.mark.parametrize("name, engine", in_turn(BROKEN))
def test_broken_layer_is_red(layer, own_tests, tmp_path, engine, name):
    before, after, checks, words = BROKEN[name]
    message = red(layer, own_tests, tmp_path, engine, [(before, after)], checks)
    assert words in message


@pytest.mark.parametrize("name, engine", in_turn(BROKEN_WEIGHTS))
def test_broken_weights_are_red(learnable, own_tests, tmp_path, engine, name):
    edits, words = BROKEN_WEIGHTS[name]
    message = red(learnable, own_tests, tmp_path, engine, edits, {"weights"})
    assert words in message.split("[weights]")[1].split("\n__")[0]
