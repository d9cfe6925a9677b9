"""Five layers of five kinds in one folder: all activated, all tested, all in one net."""

import json
import re

import pytest

from support.project import usually
from template_spec.kinds import KINDS

# What breaks a layer of each kind, and the check that says so.
WRONG = {
    "identity": ("= top[0].diff", "= 2 * top[0].diff", "gradient"),
    "loss": ("diff[...] = gradient", "diff[...] = -gradient", "gradient"),
    "learnable": ("blobs[1].diff[...] +=", "blobs[1].diff[...] -=", "gradient"),
    "data": ("* self.solvers + self.rank", "* self.solvers", "ranks"),
    "metric": ("np.mean(np.abs(", "np.sum(np.abs(", "expected_tops"),
}
OWN_CHECKS = " or ".join(sorted({"load", *(check for *_, check in WRONG.values())}))
NET = """
name: "all"
%(data)s
layer { name: "column" type: "Reshape" bottom: "label" top: "column"
  reshape_param { shape { dim: 0 dim: 1 } } }
%(identity)s
%(learnable)s
layer { name: "ip" type: "InnerProduct" bottom: "scaled" top: "scores"
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
%(loss)s
%(metric)s
"""
BLOBS = {  # what the blobs of each fragment are called in the net
    "data": {},
    "identity": {"bottom_0": "data"},
    "learnable": {"bottom_0": "a_identity", "a_learnable": "scaled"},
    "loss": {"bottom_0": "scores", "bottom_1": "column"},
    "metric": {"bottom_0": "scores", "bottom_1": "column"},
}
SOLVE = """
import json, os
os.environ["GLOG_minloglevel"] = "2"
import caffe
solver = caffe.get_solver("solver.prototxt")
losses = []
for _ in range(200):
    solver.step(1)
    losses.append(float(solver.net.blobs["a_loss"].data))
solver.test_nets[0].share_with(solver.net)
solver.test_nets[0].forward()
print(json.dumps([losses, list(solver.net.blobs), list(solver.test_nets[0].blobs)]))
"""


@pytest.fixture
def folder(bake, tmp_path):
    for kind in KINDS:
        bake(out=tmp_path, layer_name=f"a_{kind}", layer_kind=kind)
    return tmp_path


def test_all_kinds_are_here():
    assert set(WRONG) == set(BLOBS) == set(KINDS)


@pytest.mark.parametrize("engine", usually("real"))
def test_each_layer_tests_itself_and_not_its_neighbour(folder, own_tests, engine):
    for first in (0, 1):  # every other one is wrong, then the others
        broken = {f"test_a_{kind}": WRONG[kind] for kind in list(KINDS)[first::2]}
        right_text = {}
        for test, (right, wrong, _) in broken.items():
            module = folder / test[5:] / f"{test[5:]}.py"
            right_text[module] = module.read_text()
            assert right in right_text[module]
            module.write_text(right_text[module].replace(right, wrong))
        found = own_tests(engine, folder, "--strict", "-k", OWN_CHECKS)
        for module, text in right_text.items():
            module.write_text(text)
        assert found.exit_code == 1
        assert {f"{test}[{row[2]}]" for test, row in broken.items()} <= set(found.red)
        assert {name.split("[")[0] for name in found.red} == set(broken), found.output
        assert len({name.split("[")[0] for name in found}) == len(KINDS)
    found = own_tests(engine, folder)
    assert (found.exit_code, found.red) == (0, []), found.output
    assert len({name.split("[")[0] for name in found}) == len(KINDS)


def test_all_activated_train_in_one_net(folder, with_caffe):
    fragments = {}
    for kind, names in BLOBS.items():
        text = (folder / f"a_{kind}" / f"a_{kind}.prototxt").read_text()
        for old, new in names.items():
            text = re.sub(f'((?:bottom|top): )"{old}"', rf'\1"{new}"', text)
        fragments[kind] = text
    (folder / "net.prototxt").write_text(NET % fragments)
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" type: "Adam" base_lr: 0.02 momentum: 0.9 momentum2: 0.999\n'
        'lr_policy: "fixed" test_iter: 1 test_interval: 1000 random_seed: 1 display: 0\n'
        "snapshot_after_train: false solver_mode: CPU\n"
    )
    (folder / "solve.py").write_text(SOLVE)
    activate = " && ".join(f". a_{kind}/activate.sh" for kind in KINDS)
    result = with_caffe(folder, "bash", "-c", f"{activate} && python3 solve.py")
    assert result.returncode == 0, result.stderr
    losses, train, test = json.loads(result.stdout)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert "a_metric" in test and "a_metric" not in train
    assert {"data", "label", "a_identity", "scaled", "a_loss"} <= set(train)
