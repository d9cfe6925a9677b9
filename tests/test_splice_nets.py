"""tools/splice.py on nets after published ones, run by real Caffe: the identity changes nothing."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NETS = {path.stem: path for path in (Path(__file__).parent / "nets").glob("*.prototxt")}
PROBE = Path(__file__).with_name("splice_probe.py")


@pytest.fixture(scope="module")
def layer(bake):
    return bake(layer_name="my_layer")


def splice(layer, net, *arguments):
    command = [sys.executable, layer / "tools" / "splice.py", net, *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def blobs(net):
    """The blobs of a net, by the left margin of no parser."""
    return sorted(set(re.findall(r'\b(?:top|input): "(.*?)"', net.read_text())))


def compare(with_caffe, layer, pairs):
    """Return, for each (net, spliced, blob) and each phase, what differs on real Caffe."""
    shutil.copy(PROBE, layer)
    lines = "".join(json.dumps([str(part) for part in pair]) + "\n" for pair in pairs)
    (layer / "pairs").write_text(lines)
    done = with_caffe(layer, "sh", "-c", "python3 splice_probe.py <pairs")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("net", NETS)
def test_behind_every_blob_in_turn(layer, with_caffe, net):
    pairs = []
    for i, blob in enumerate(blobs(NETS[net])):
        spliced = layer / f"{net}_{i}.prototxt"
        splice(layer, NETS[net], "--after", blob, "-o", spliced)
        assert splice(layer, spliced, "--remove", "my_layer", "-o", "-") == NETS[net].read_bytes()
        pairs.append((shutil.copy(NETS[net], layer), spliced, blob))
    assert len(pairs) >= 8
    assert compare(with_caffe, layer, pairs) == [[]] * 2 * len(pairs)
