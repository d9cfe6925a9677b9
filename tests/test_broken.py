"""A generated layer that is broken on purpose is red on both engines, for the right reason."""

import shutil

import pytest

from conftest import ENGINES

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


@pytest.fixture(scope="module")
def layer(bake):
    return bake(
        layer_name="broken",
        layer_kind="loss",
        bottoms="scores,label",
        param_str_keys="margin=1.5, mode:str='mean'",
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_unbroken_layer_is_green(layer, own_tests, engine):
    found = own_tests(engine, layer)
    assert (found.exit_code, found.red) == (0, []), found.output


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("engine", ENGINES)
def test_broken_layer_is_red(layer, own_tests, tmp_path, engine, name):
    before, after, checks, words = BROKEN[name]
    folder = tmp_path / "broken"
    shutil.copytree(layer, folder)
    module = folder / "broken.py"
    text = module.read_text()
    assert before in text
    module.write_text(text.replace(before, after))
    found = own_tests(engine, folder)
    assert found.exit_code == 1, found.output
    assert {f"test_broken[{check}]" for check in checks} <= set(found.red), found.output
    message = found.output.split("= FAILURES =")[1].split("- generated xml")[0]
    assert words in message
    assert "Traceback" not in message
    assert max(len(line) for line in message.splitlines()) <= 100
