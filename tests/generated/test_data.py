"""A data layer on real Caffe: epochs, phases and solvers; broken on purpose it is red."""

import json
import shutil

import pytest

from support.mistakes import red
from support.project import ENGINES, in_turn

SCRIPT = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
sys.path.insert(0, "images")
BATCHES = 12  # that one solver gives in TRAIN are two epochs: 26 samples, 4 each, 2 too many


def batches(phase, count=BATCHES, rank=0, solvers=1):
    caffe.set_multiprocess(solvers > 1)
    caffe.set_solver_rank(rank)
    caffe.set_solver_count(solvers)
    net = caffe.Net("images/images.prototxt", phase)
    found = []
    for _ in range(count):
        net.forward()
        tops = zip(net.blobs["data"].data, net.blobs["label"].data)
        found.append(["%r %d" % (data.ravel()[:3].tolist(), label) for data, label in tops])
    return found


found = {
    "train": batches(caffe.TRAIN),
    "test": batches(caffe.TEST),
    "test of rank 1": batches(caffe.TEST, rank=1, solvers=2),
    "ranks": {n: [batches(caffe.TRAIN, 6, r, n) for r in range(n)] for n in (1, 2, 3, 4, 6)},
}
try:
    batches(caffe.TRAIN, rank=0, solvers=7)
except ValueError as error:
    found["refused"] = str(error)
print(json.dumps(found))
"""
EPOCH = 6


@pytest.fixture(scope="module")
def found(run_script):
    keys = "batch_size=4, samples=26, seed=3"
    answers = {"layer_name": "images", "layer_kind": "data", "param_str_keys": keys}
    return json.loads(run_script(SCRIPT, **answers))


def samples(batches):
    return [sample for batch in batches for sample in batch]


def test_an_epoch_has_no_sample_twice(found):
    for first in (0, EPOCH):
        epoch = samples(found["train"][first : first + EPOCH])
        assert len(set(epoch)) == len(epoch) == 24


def test_each_epoch_of_train_has_its_own_order(found):
    first, second = found["train"][:EPOCH], found["train"][EPOCH:]
    assert samples(first) != samples(second)
    assert len(set(samples(first)) & set(samples(second))) >= 22


def test_test_is_in_the_same_order_every_epoch_and_has_other_samples(found):
    assert found["test"][:EPOCH] == found["test"][EPOCH:]
    assert not set(samples(found["test"])) & set(samples(found["train"]))


def test_test_is_whole_on_every_rank_because_caffe_tests_on_rank_0_only(found):
    assert found["test of rank 1"] == found["test"]


@pytest.mark.parametrize("solvers", [1, 2, 3, 4, 6])
def test_ranks_share_each_epoch(found, solvers):
    ranks, rounds = found["ranks"][str(solvers)], EPOCH // solvers
    for epoch in range(6 // rounds):
        batches = [
            rank[k]
            for k in range(epoch * rounds, (epoch + 1) * rounds)
            for rank in ranks
        ]
        assert len(set(samples(batches))) == rounds * solvers * 4
        if epoch < 2:
            first = epoch * EPOCH
            assert batches == found["train"][first : first + rounds * solvers]


def test_a_batch_that_not_all_solvers_can_have_is_refused(found):
    assert found["refused"] == ("ImagesLayer: batch_size must be 1 to 3, got 4")


DIVMOD = "divmod(self.passes, samples // size // self.solvers)"
FIRST = "first = (k * self.solvers + self.rank) * size"
SHUFFLE = 'np.random.RandomState([self.params["seed"], epoch]).shuffle(self.order)'
SAMPLE = '[self.params["seed"], self.phase]'
# name: (what stands in the file, what is put there, the check that must say so, words it says)
BROKEN = {
    "rank ignored": (FIRST, "first = k * size", "ranks", "forward 1 of rank 0 of 2"),
    "blocks instead of rounds": (
        FIRST, "first = (self.rank * (samples // size // self.solvers) + k) * size",
        "ranks", "forward 1 of rank 0 of 2 is not batch 2 of one solver alone",
    ),
    "last round not dropped": (
        DIVMOD, "divmod(self.passes, -(-(samples // size) // self.solvers))",
        "ranks", "",
    ),
    "order of its own on each rank": (
        SHUFFLE, SHUFFLE.replace("epoch", "epoch, self.rank"), "ranks", "rank 1 of 2",
    ),
    "order of numpy's own choice": (
        SHUFFLE, "np.random.RandomState().shuffle(self.order)", "sequence", "second net",
    ),
    "samples of numpy's own choice": (SAMPLE, "", "sequence", "forward 0 of a second net"),
    "position shared by all nets": (
        "self.passes", "type(self).forwards", "sequence", "has no attribute",
    ),
    "phase ignored": ("self.phase", "0", "phases", "TRAIN and TEST give the same batches"),
    "batch_size ignored": (
        'reshape(self.params["batch_size"], ', "reshape(16, ",
        "batch_size", "with batch_size",
    ),
    "bottoms unchecked": (
        "if len(bottom) != 0:", "if False:", "counts", "1 bottoms",
    ),
    "other samples": ("label] += 2", "label] += 3", "expected_tops", "data"),
}  # fmt: skip


@pytest.fixture(scope="module")
def layer(bake):
    return bake(layer_name="broken", layer_kind="data")


@pytest.mark.parametrize("name, engine", in_turn(BROKEN))
def test_broken_layer_is_red(layer, own_tests, tmp_path, engine, name):
    before, after, check, words = BROKEN[name]
    assert words in red(layer, own_tests, tmp_path, engine, [(before, after)], {check})


# Layers that give data and know nothing of this project.
CONSTANT = """
    def forward(self, bottom, top):
        top[0].data[...] = np.arange(6).reshape(2, 3)
"""
NOISE = """
    def forward(self, bottom, top):
        top[0].data[...] = np.random.randn(2, 3)
"""


@pytest.mark.parametrize("forward", [CONSTANT, NOISE], ids=["constant", "noise"])
@pytest.mark.parametrize("engine", ENGINES)
def test_foreign_layer_is_green(bake, own_tests, tmp_path, engine, forward):
    layer = bake(out=tmp_path, layer_name="foreign", layer_kind="data", tops="anchors")
    (layer / "foreign.py").write_text(
        "import caffe\nimport numpy as np\n\n\nclass ForeignLayer(caffe.Layer):\n"
        "    def setup(self, bottom, top):\n"
        "        assert len(bottom) == 0 and len(top) == 1 and not self.param_str\n\n"
        "    def reshape(self, bottom, top):\n        top[0].reshape(2, 3)\n" + forward
    )
    fragment = layer / "foreign.prototxt"
    lines = [
        line for line in fragment.read_text().splitlines() if "param_str" not in line
    ]
    fragment.write_text("\n".join(lines))
    test = layer / "tests" / "test_foreign.py"
    test.write_text(
        test.read_text().split("    seed, samples")[0] + "    return [None]\n"
    )
    shutil.rmtree(layer / "example")
    found = own_tests(engine, layer)
    checks = [
        "counts",
        "expected_tops",
        "load",
        "phases",
        "ranks",
        "sequence",
        "shapes",
        "test_phase",
    ]
    assert found == {f"test_foreign[{check}]": "passed" for check in checks}, (
        found.output
    )


def test_batch_size_is_checked_without_samples_too(bake, own_tests, tmp_path):
    """Of a layer that reads files of the author's, and knows no key samples."""
    layer = bake(out=tmp_path, layer_name="foreign", layer_kind="data", tops="rows")
    size = 'json.loads(self.param_str)["batch_size"]'
    forward = f"        top[0].data[...] = np.arange(99)[: {size}]\n"
    module = "import json\n\nimport caffe\nimport numpy as np\n\n\n"
    module += "class ForeignLayer(caffe.Layer):\n"
    module += "    def setup(self, bottom, top):\n        pass\n\n"
    module += "    def reshape(self, bottom, top):\n"
    module += '        top[0].reshape(json.loads(self.param_str)["batch_size"])\n\n'
    module += "    def forward(self, bottom, top):\n" + forward
    fragment = layer / "foreign.prototxt"
    text = fragment.read_text()
    before, after = text.split("    param_str: ")[0], text.split("\n")[-3:]
    fragment.write_text(
        "\n".join([before + "    param_str: '{\"batch_size\": 4}'", *after])
    )
    (layer / "tests" / "test_foreign.py").write_text(
        (layer / "tests" / "test_foreign.py").read_text().split("    seed, samples")[0]
        + "    return [None]\n"
    )
    for size, verdict in (
        ('["batch_size"]', "passed"),
        ('["batch_size"] * 0 + 4', "failure"),
    ):
        (layer / "foreign.py").write_text(
            module.replace('["batch_size"])\n', size + ")\n")
        )
        found = own_tests("standin", layer, "--strict")
        assert found["test_foreign[batch_size]"] == verdict, found.output
