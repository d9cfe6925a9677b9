"""A generated layer that is broken on purpose is red on both engines, for the right reason."""

import pytest

from support.mistakes import red
from support.project import ENGINES

FORWARD = "top[0].data[...] = "
BACKWARD = "np.multiply(self.difference, scale, out=bottom[0].diff)"
REMAKE = 'if np.shape(getattr(self, "difference", None)) != shape:'

# name: (what stands in the file, what is put there, the checks that must say so, words they say)
BROKEN = {
    "factor": (BACKWARD, BACKWARD.replace("scale", "2 * scale"), {"gradient"}, "48 of 48 elements"),
    "sign": (BACKWARD, BACKWARD.replace("scale", "-scale"), {"gradient"}, "ratio"),
    "batch size forgotten": (
        "top[0].diff / len(self.difference)", "top[0].diff", {"gradient"}, "bottom scores",
    ),
    "top diff ignored": (
        "top[0].diff / len(self.difference)", "1.0 / len(self.difference)", {"gradient"}, "ratio",
    ),
    "one element": (
        BACKWARD, BACKWARD + "\n            bottom[0].diff[1, 2, 3] *= 1.01",
        {"gradient"}, "1 of 48 elements",
    ),
    "added instead of written": (
        BACKWARD, "bottom[0].diff[...] += self.difference * scale",
        {"gradient"}, "backward adds to what is in the diff of bottom scores",
    ),
    "propagate_down ignored": (
        "if propagate_down[0]:", "if True:", {"propagate_down"}, "propagate_down false, false",
    ),
    "buffer of the first batch": (
        REMAKE, 'if not hasattr(self, "difference"):',
        {"batch"}, "could not be broadcast",
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
        '_check_count(self, "bottoms", bottom, self.BOTTOMS)', "pass", {"counts"}, "3 bottoms",
    ),
    "keys unchecked": (
        "if key not in layer.PARAMS:", "if False:", {"param_str"}, "no_such_key",
    ),
    "types unchecked": (
        "if not _fits(value, kind):", "if False:", {"param_str"}, "instead of",
    ),
    "wrong loss": (FORWARD, FORWARD + "1 + ", {"expected_tops"}, "expected_tops differ"),
    "no such class": ("class BrokenLayer", "class OtherLayer", {"load"}, "BrokenLayer"),
    "Caffe aborts": ("top[0].reshape()", "top[0].reshape(-1)", {"load"}, "Check failed"),
}  # fmt: skip

FILLS = (
    "            self.blobs[0].data[...] = 1\n            self.blobs[1].data[...] = 0\n"
)
RESHAPE = "channels = self.blobs[0].count"
MULTIPLY = "np.multiply(x, self.blobs[0].data[:, np.newaxis], out=y)"
BIASES = 'self.blobs[1].diff[...] += np.einsum("ncs->c", dy)'


def instead(weight):
    return MULTIPLY, MULTIPLY.replace("self.blobs[0].data", weight)


# name: ((what stands in the file, what is put there), ...), words that the check `weights` says
BROKEN_WEIGHTS = {
    "made in reshape": (
        [(RESHAPE, "self.blobs.add_blob(3)\n        " + RESHAPE)],
        "reshape made weights, ",
    ),
    "filled in reshape": (
        [(RESHAPE, "self.blobs[0].data[...] = 1\n        " + RESHAPE)],
        "reshape changed weight 0: 3 of 3 elements",
    ),
    "filled when the batch changes": (
        [(RESHAPE, "if getattr(self, 'size', 0) != bottom[0].num: self.blobs[1].data[...] = 0\n"
          "        self.size = bottom[0].num\n        " + RESHAPE)],
        "reshape changed weight 1: 3 of 3 elements",
    ),
    "made in forward": (
        [(MULTIPLY, "self.blobs.add_blob(3)\n            " + MULTIPLY)],
        "forward made weights, 3 instead of 2",
    ),
    "filled in the first forward": (
        [(MULTIPLY, "if not hasattr(self, 'done'): self.blobs[0].data[...] = 1\n"
          "            self.done = True\n            " + MULTIPLY)],
        "forward changed weight 0: 3 of 3 elements",
    ),
    "one element clipped in forward": (
        [(MULTIPLY, "self.blobs[0].data[2] = 0.5\n            " + MULTIPLY)],
        "forward changed weight 0: 1 of 3 elements",
    ),
    "trained by backward itself": (
        [(BIASES, BIASES + "\n            self.blobs[1].data[...] -= 0.1 * self.blobs[1].diff")],
        "backward changed weight 1: 3 of 3 elements",
    ),
    "copy kept from the first forward": (
        [instead("self.w"),
         ("for j in range(len(self.TOPS)):\n            x, y",
          "if not hasattr(self, 'w'): self.w = self.blobs[0].data.copy()\n"
          "        for j in range(len(self.TOPS)):\n            x, y")],
        "changed weights give another top than those set by hand: broken",
    ),
    "view kept from setup": (
        [(FILLS, FILLS + "        self.w = self.blobs[0].data\n"), instead("self.w")],
        "shared weights give another top than those set by hand: broken",
    ),
    "view kept from the first batch": (
        [(RESHAPE, "self.b = getattr(self, 'b', self.blobs[1].data)\n        " + RESHAPE),
         ("y += self.blobs[1].data", "y += self.b")],
        "every pass must look into self.blobs anew",
    ),
    "view kept from setup for backward": (
        [(FILLS, FILLS + "        self.w = self.blobs[0].data\n"),
         ("np.multiply(dy, self.blobs[0].data[", "np.multiply(dy, self.w[")],
        "shared weights give another diff than those set by hand: bottom bottom_0",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def layer(bake):
    return bake(
        layer_name="broken",
        layer_kind="loss",
        bottoms="scores,label",
        param_str_keys="margin=1.5, mode:str='mean'",
    )


@pytest.fixture(scope="module")
def learnable(bake):
    return bake(layer_name="broken", layer_kind="learnable")


@pytest.mark.parametrize("kind", ["layer", "learnable"])
@pytest.mark.parametrize("engine", ENGINES)
def test_unbroken_layer_is_green(request, own_tests, engine, kind):
    found = own_tests(engine, request.getfixturevalue(kind))
    assert (found.exit_code, found.red) == (0, []), found.output
    assert ("test_broken[weights]" in found) == (kind == "learnable")


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("engine", ENGINES)
def test_broken_layer_is_red(layer, own_tests, tmp_path, engine, name):
    before, after, checks, words = BROKEN[name]
    message = red(layer, own_tests, tmp_path, engine, [(before, after)], checks)
    assert words in message


@pytest.mark.parametrize("name", BROKEN_WEIGHTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_broken_weights_are_red(learnable, own_tests, tmp_path, engine, name):
    edits, words = BROKEN_WEIGHTS[name]
    message = red(learnable, own_tests, tmp_path, engine, edits, {"weights"})
    assert words in message.split("[weights]")[1].split("\n__")[0]
