"""A generated layer that is broken on purpose is red on both engines, for the right reason."""

import shutil

import pytest

from support.project import ENGINES

FORWARD = "top[0].data[...] = "
BACKWARD = "bottom[0].diff[...] = gradient"
KEEPS = "self.difference = bottom[0].data - bottom[1].data"
MISTYPED = "if not fits or isinstance(value, bool) != (kind is bool):"

# name: (what stands in the file, what is put there, the checks that must say so, words they say)
BROKEN = {
    "factor": (BACKWARD, BACKWARD.replace("= ", "= 2 * "), {"gradient"}, "48 of 48 elements"),
    "sign": (BACKWARD, BACKWARD.replace("= ", "= -"), {"gradient"}, "ratio"),
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
        BACKWARD, BACKWARD.replace("=", "+="),
        {"gradient"}, "backward adds to what is in the diff of bottom scores",
    ),
    "propagate_down ignored": (
        "if propagate_down[0]:", "if True:", {"propagate_down"}, "propagate_down false, false",
    ),
    "buffer of the first batch": (
        KEEPS, "if not hasattr(self, 'difference'): self.difference = bottom[0].data.copy()\n"
        "        np.subtract(bottom[0].data, bottom[1].data, out=self.difference)",
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
        "if len(bottom) != 2:", "if False:", {"counts"}, "3 bottoms",
    ),
    "keys unchecked": (
        "if key not in PARAMS:", "if False:", {"param_str"}, "no_such_key",
    ),
    "types unchecked": (
        MISTYPED, "if False:", {"param_str"}, "instead of",
    ),
    "wrong loss": (FORWARD, FORWARD + "1 + ", {"expected_tops"}, "expected_tops differ"),
    "no such class": ("class BrokenLayer", "class OtherLayer", {"load"}, "BrokenLayer"),
    "Caffe aborts": ("top[0].reshape()", "top[0].reshape(-1)", {"load"}, "Check failed"),
}  # fmt: skip

FILLS = "                self.blobs[len(self.blobs) - 1].data[...] = value\n"
RESHAPE = "shape, channels = bottom[0].data.shape, len(self.blobs[0].data)"
READS = "w, b = [blob.data[:, np.newaxis] for blob in self.blobs]"
BIASES = "self.blobs[1].diff[...] += np.sum(dy, axis=(0, 2))"
KEEPS_W = (FILLS, FILLS + "            self.w = self.blobs[0].data\n")
READS_W = (READS, READS + "\n        w = self.w[:, np.newaxis]")


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
        [(READS, READS + "[:2]\n        self.blobs.add_blob(3)")],
        "forward made weights, 3 instead of 2",
    ),
    "filled in the first forward": (
        [(READS, "if not hasattr(self, 'done'): self.blobs[0].data[...] = 1\n"
          "        self.done = True\n        " + READS)],
        "forward changed weight 0: 3 of 3 elements",
    ),
    "one element clipped in forward": (
        [(READS, "self.blobs[0].data[2] = 0.5\n        " + READS)],
        "forward changed weight 0: 1 of 3 elements",
    ),
    "trained by backward itself": (
        [(BIASES, BIASES + "\n        self.blobs[1].data[...] -= 0.1 * self.blobs[1].diff")],
        "backward changed weight 1: 3 of 3 elements",
    ),
    "copy kept from the first forward": (
        [READS_W,
         ("        w, b =", "        self.w = getattr(self, 'w', self.blobs[0].data.copy())\n"
          "        w, b =")],
        "changed weights give another top than those set by hand: broken",
    ),
    "view kept from setup": (
        [KEEPS_W, READS_W],
        "shared weights give another top than those set by hand: broken",
    ),
    "view kept from the first batch": (
        [(RESHAPE, "self.b = getattr(self, 'b', self.blobs[1].data)\n        " + RESHAPE),
         (READS, READS + "\n        b = self.b[:, np.newaxis]")],
        "every pass must look into self.blobs anew",
    ),
    "view kept from setup for backward": (
        [KEEPS_W, ("dx[...] = self.blobs[0].data[", "dx[...] = self.w[")],
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


def red(layer, own_tests, tmp_path, engine, edits, checks):
    """Return what a copy of the layer says, edited, of which these checks must be red."""
    folder = tmp_path / "broken"
    shutil.copytree(layer, folder)
    module = folder / "broken.py"
    text = module.read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    module.write_text(text)
    found = own_tests(engine, folder)
    assert found.exit_code == 1, found.output
    assert {f"test_broken[{check}]" for check in checks} <= set(found.red), found.output
    message = found.output.split("= FAILURES =")[1].split("- generated xml")[0]
    assert "Traceback" not in message
    assert max(len(line) for line in message.splitlines()) <= 100
    return message
