"""train: `caffe train` over MPI, on real Caffe and Open MPI, in one to four processes.

Every solver here sees the same 24 samples in each iteration, however they are shared out.
"""

import json
import re
import shutil
from types import SimpleNamespace

import pytest

from support.commands import where_caffe_is
from support.project import PROJECT

AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
NET = """
name: "tiny"
layer {
  name: "my_data" type: "Python" top: "data" top: "label"
  python_param {
    module: "my_data" layer: "MyDataLayer" param_str: '{"batch_size": BATCH, "samples": 24}'
  }
}
layer {
  name: "acts" type: "Python" bottom: "data" top: "same"
  python_param { module: "acts" layer: "Acts" param_str: 'ACTS' }
}
layer {
  name: "my_scale" type: "Python" bottom: "same" top: "scaled"
  python_param { module: "my_scale" layer: "MyScaleLayer" }
}
# MORE
layer {
  name: "scores" type: "InnerProduct" bottom: "scaled" top: "scores"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss"
  loss_weight: 0.5
}
layer {
  name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
"""
SOLVER = """
net: "NAME.prototxt" snapshot_prefix: "NAME" solver_mode: CPU random_seed: 3
base_lr: 0.05 momentum: 0.9 weight_decay: 0.01 lr_policy: "step" stepsize: 4 gamma: 0.5
max_iter: 9 display: 1 average_loss: 3 iter_size: ITER_SIZE
test_iter: ALL_SAMPLES test_interval: 3 snapshot: 4
"""
BATCH_NORM = 'layer { name: "norm" type: "BatchNorm" bottom: "scaled" top: "scaled" }'
# A layer that is the identity, until it does what its param_str says: at a pass, on a rank.
ACTS = """
import json, os, signal, time
import caffe

class Acts(caffe.Layer):
    def setup(self, bottom, top):
        self.acts, self.passes = json.loads(self.param_str or "[]"), 0
        self.rank, self.slow = caffe.solver_rank(), False
        self.act(top)
        if any(act in ("drift", "nudge") for act, _, _ in self.acts):
            self.blobs.add_blob(1)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        if self.phase == caffe.TRAIN:
            self.passes += 1
            self.act(top)
            time.sleep(0.05 * self.slow)
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if len(self.blobs):
            self.blobs[0].diff[0] += 1

    def act(self, top):
        for act, rank, at in self.acts:
            if (self.rank, self.passes) == (rank, at):
                if act == "raise":
                    raise ValueError("broken on purpose")
                elif act == "drift":
                    self.blobs[0].data[0] += 0.25
                elif act == "nudge":
                    self.blobs[0].data[0] += 1e-7
                elif act == "no TEST":
                    assert self.phase == caffe.TRAIN
                elif act == "stop mpirun":
                    os.kill(os.getppid(), signal.SIGINT)
                    self.slow = True  # the other rank need not compute while mpirun waits
                else:
                    os.kill(os.getpid(), getattr(signal, act))
"""
# caffe-pylayer in one process for many runs of it: what it says and its exit codes.
MANY = """
import contextlib, io, json, os, sys
sys.path.insert(0, sys.argv[1])
import caffe
from caffe_pylayer.commands import command_line

for given in json.loads(sys.argv[2]):
    if os.fork():
        os.wait()
        continue
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            code = command_line.main(["train", *given])
        except SystemExit as error:
            code = error.code
    print(json.dumps([code, said.getvalue()]), flush=True)
    os._exit(0)
"""
WEIGHTS = """
import json, sys
from caffe.proto import caffe_pb2

for path in sys.argv[1:]:
    net = caffe_pb2.NetParameter()
    net.ParseFromString(open(path, "rb").read())
    weights = {layer.name: [list(b.data) for b in layer.blobs] for layer in net.layer}
    print(json.dumps({name: row for name, row in weights.items() if row}))
"""


@pytest.fixture(scope="module")
def place(bake, tmp_path_factory):
    """A folder with the layers."""
    folder = tmp_path_factory.mktemp("train")
    for name, kind in (("my_data", "data"), ("my_scale", "learnable")):
        keys = {"param_str_keys": ""} if kind == "learnable" else {}
        baked = bake(layer_name=name, layer_kind=kind, checks="installed", **keys)
        shutil.copy(baked / f"{name}.py", folder)
    (folder / "acts.py").write_text(ACTS)
    return folder


@pytest.fixture(scope="module")
def solver(place):
    """A function that writes a net and its solver, and returns the solver's file."""

    def write(name, batch=24, iter_size=1, acts="", more="", **changes):
        acts = json.dumps(acts) if acts else ""
        net = NET.replace("BATCH", str(batch)).replace("ACTS", acts)
        text = SOLVER.replace("NAME", name).replace("ITER_SIZE", str(iter_size))
        text = text.replace("ALL_SAMPLES", f"{24 // batch}")
        for key, value in changes.items():
            text = re.sub(rf"\b{key}: \S+", f"{key}: {value}", text)
        (place / f"{name}.prototxt").write_text(net.replace("# MORE", more))
        (place / f"{name}.solver").write_text(text)
        return f"{name}.solver"

    return write


@pytest.fixture(scope="module")
def run(place, quick_pycaffe, with_caffe):
    """A function that runs a command in the folder; one that hangs is ended, with code 124."""

    def run(*command, path=(), **environment):
        python_path = ":".join(map(str, [*path, place, quick_pycaffe]))
        binds = ["--bind", PROJECT, "--bind", quick_pycaffe]
        command = [*binds, "timeout", "-k", "5", "300", *command]
        environment = {"PYTHONPATH": python_path, **AS_ROOT, **environment}
        return with_caffe(place, *command, **environment)

    return run


@pytest.fixture(scope="module")
def train(run):
    """A function that trains in `processes` processes, by mpirun if there are several."""

    def train(file, *given, processes=1, mpirun=(), **options):
        start = [*where_caffe_is()[2:], "train"]
        if processes > 1:
            mpi = ["mpirun", "--oversubscribe", "-n", str(processes), *mpirun]
            start = [*mpi, *start]
        return run(*start, file, *given, **options)

    return train


def log(done, code=0):
    """Return Caffe's lines of a training: without time and place, and without ours."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.split("Solver scaffolding done.\n")[-1].splitlines()
    form = r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (\w+\.cpp:\d+)\] (.*)"
    rows = [match.groups() for match in map(re.compile(form).fullmatch, lines) if match]
    return [f"{place} {re.sub(SPEED, '', text)}" for place, text in rows]


SPEED = r" \(\S+ iter/s, \S+s/\d+ iters\)"


def parsed(done):
    """Return what people's parsers find: test and train values by iteration and output."""
    found, iteration = {}, None
    for line in done.stderr.splitlines():
        if match := re.search(r"Iteration (\d+)", line):
            iteration = int(match[1])
        if match := re.search(r"Iteration \d+.*, loss = ([\d.e+-]+)$", line):
            found[iteration, "smoothed"] = float(match[1])
        if match := re.search(r" lr = ([\d.e+-]+)$", line):
            found[iteration, "lr"] = float(match[1])
        if match := re.search(r"(Train|Test) net output #\d+: (\S+) = (\S+)", line):
            assert (iteration, match[1], match[2]) not in found  # by rank 0 alone
            found[iteration, match[1], match[2]] = float(match[3])
    return found


def say(done):
    """Return what caffe-pylayer itself says in the log."""
    return re.findall(r"train\.py\] (.*)", done.stderr)


@pytest.fixture(scope="module")
def runs(train, run, solver, place):
    """The same training by `caffe train` and by ours in one, two and four processes."""
    files = solver("one"), solver("halves", batch=12, iter_size=2, max_iter=3)
    real = [run("caffe", "train", "-solver", file) for file in files]
    for path in place.glob("one_iter*"):
        path.unlink()
    return SimpleNamespace(
        real=real,
        one=train(files[0]),
        halves=train(files[1]),
        two=train(solver("two", batch=12), processes=2),
        four=train(solver("four", batch=3, iter_size=2), processes=4),
    )


def test_one_process_logs_what_caffe_train_logs(runs):
    real = log(runs.real[0])
    assert len(real) > 40 and "solver.cpp:289 Solving tiny" in real
    assert log(runs.one) == real
    assert log(runs.halves) == log(runs.real[1])
    ours = say(runs.one)
    assert ours[0] == "one process; for four: mpirun -n 4 caffe-pylayer train SOLVER"
    assert re.fullmatch(r"\S+ images/s in one process", ours[1])


@pytest.mark.parametrize("processes", ["two", "four"])
def test_processes_train_as_one(runs, processes):
    """To the digits that sums in float32 allow; not so with one rank's share of a batch."""
    done = getattr(runs, processes)
    one, several = parsed(runs.one), parsed(done)
    assert log(done)[-1] == "caffe.cpp:250 Optimization Done."
    assert list(several) == list(one)
    if (
        processes == "four"
    ):  # with iter_size 2 Caffe shows outputs of the second half alone
        for key in [key for key in one if "Train" in key or key == (9, "smoothed")]:
            del one[key], several[key]
    assert several == pytest.approx(one, rel=1e-4)
    assert several[8, "smoothed"] < 0.1 * several[0, "smoothed"]


def test_progress_line(runs):
    pattern = r"\S+ images/s in 4 processes, \d+% of the time in communication"
    first, *lines = say(runs.four)
    assert first == "4 processes, each with a batch of its own"
    assert len(lines) == 8 and all(re.fullmatch(pattern, line) for line in lines)


def weights(run, *files):
    done = run("python3", "-c", WEIGHTS, *files)
    assert done.returncode == 0, done.stderr
    return list(map(json.loads, done.stdout.splitlines()))


def test_rank_0_writes_the_weights_of_all(runs, run, place):
    """Those of the Python layer, too."""
    for name in ("one", "two", "four"):
        files = sorted(path.name for path in place.glob(f"{name}_iter*.*"))
        ends = [
            f"{i}.{end}" for i in (4, 8, 9) for end in ("caffemodel", "solverstate")
        ]
        assert files == [f"{name}_iter_{end}" for end in ends]
    nine = weights(
        run, *(f"{name}_iter_9.caffemodel" for name in ("one", "two", "four"))
    )
    assert list(nine[0]) == ["my_scale", "scores"]
    assert min(abs(1 - value) for value in nine[0]["my_scale"][0]) > 1e-3  # they learn
    for several in nine[1:]:
        for layer, blobs in nine[0].items():
            for mine, theirs in zip(several[layer], blobs, strict=True):
                assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_resume_goes_on_with_the_same_curve(runs, train, solver):
    """In another number of processes; --weights takes the weights alone."""
    resumed = train(
        solver("resumed", batch=12), "-snapshot", "four_iter_4.solverstate", processes=2
    )
    curve, whole = parsed(resumed), parsed(runs.one)
    log(resumed)
    assert (
        resumed.stderr.count("SGDSolver: restoring history") == 1
    )  # rank 0 alone logs
    keys = [key for key in whole if key[0] >= 4 and key[1] != "smoothed"]
    assert [key for key in curve if key[1] != "smoothed"] == keys
    assert [curve[key] for key in keys] == pytest.approx(
        [whole[key] for key in keys], rel=1e-4
    )
    tuned = parsed(
        train(solver("tuned", max_iter=1), "--weights=four_iter_4.caffemodel")
    )
    found = tuned[0, "Train", "loss"], tuned[0, "lr"]
    assert found == pytest.approx((whole[4, "Train", "loss"], 0.05), rel=1e-4)


def test_signals_in_one_process(train, solver, place):
    """As caffe train: SIGHUP makes a snapshot, SIGINT makes one and stops."""
    acts = [["SIGHUP", 0, 2], ["SIGINT", 0, 6]]
    lines = log(train(solver("signals", acts=acts, snapshot=100)))
    assert lines[-2:] == [
        "solver.cpp:317 Optimization stopped early.",
        "caffe.cpp:250 Optimization Done.",
    ]
    names = sorted(path.name for path in place.glob("signals_iter*.solverstate"))
    assert names == ["signals_iter_2.solverstate", "signals_iter_6.solverstate"]


def test_signals_of_one_rank_are_for_all(train, solver, place):
    """Also, what BatchNorm keeps for itself on each rank is no drift, nor is a last digit."""
    acts = [["SIGUSR1", 1, 2], ["SIGUSR2", 1, 6], ["nudge", 1, 2], ["no TEST", 1, 0]]
    file = solver("all", 12, acts=acts, more=BATCH_NORM, snapshot=100)
    done = train(file, processes=2)
    assert log(done)[-2] == "solver.cpp:317 Optimization stopped early."
    names = sorted(path.name for path in place.glob("all_iter*.solverstate"))
    assert names == ["all_iter_2.solverstate", "all_iter_6.solverstate"]


@pytest.mark.proof
def test_ctrl_c_of_mpirun(train, solver, place):
    """mpirun waits as long as it is told to, says SIGTERM to the ranks, and waits once more."""
    acts = [["stop mpirun", 1, 3]]
    file = solver("ctrl_c", 12, acts=acts, snapshot=10**8, max_iter=10**8, display=0)
    patience = ["--mca", "odls_base_sigkill_timeout", "4"]
    done = train(file, processes=2, mpirun=patience)
    assert log(done, code=1)[-2] == "solver.cpp:317 Optimization stopped early."
    (name,) = [path.name for path in place.glob("ctrl_c_iter*.solverstate")]
    assert name.replace("solverstate", "caffemodel") in done.stderr


def ours(done):
    """Return what is on stderr but Caffe's log and what mpirun adds."""
    text = re.sub(r"(?m)^([IW]\d{4} |\[[\w.-]+:\d+\] ).*\n", "", done.stderr)
    return text[text.index("caffe-pylayer train: ") :].split("-" * 60)[0]


def test_an_exception_of_one_rank_ends_all_with_its_traceback(train, solver):
    acts = [["raise", 1, 3]]
    done = train(solver("broken", 12, acts=acts), processes=2)
    assert done.returncode == 1
    said = ours(done).rstrip().splitlines()
    assert re.fullmatch(
        r"caffe-pylayer train: rank 1 of 2, on \S+: Traceback \(most recent call last\):",
        said[0],
    )
    assert "acts.py" in said[1] and "in forward" in said[1]  # none of our own frames
    assert said[-1] == "ValueError: broken on purpose"


def test_an_exception_while_loading_is_said_once(train, solver):
    done = train(solver("unloaded", 12, acts=[["raise", 1, 0]]), processes=2)
    assert done.returncode == 1
    said = ours(done).rstrip().splitlines()
    assert said[0].startswith("caffe-pylayer train: rank 1 of 2: Traceback")
    assert said[-1] == "ValueError: broken on purpose"
    done = train(
        solver("everywhere", 12), processes=2, path=["/nowhere"], PYTHONPATH=""
    )
    assert done.returncode == 1
    assert re.fullmatch(
        "caffe-pylayer train: layer my_data: everywhere.prototxt: expected the class MyDataLayer in"
        " the module my_data, but importing it fails: No module named 'my_data': "
        r"export PYTHONPATH=/.*:\$PYTHONPATH\n",
        ours(done),
    )


def test_a_killed_rank_ends_all(train, solver):
    done = train(solver("killed", 12, acts=[["SIGKILL", 1, 3]]), processes=2)
    assert done.returncode == 137
    assert re.search(r"process rank 1 .* exited on signal 9", done.stderr)
    assert "Optimization Done" not in done.stderr


def test_weights_that_drift_apart_are_an_error(train, solver):
    done = train(solver("drift", 12, acts=[["drift", 1, 2]]), processes=2)
    assert done.returncode == 1
    text = "after 1 iterations the weights have drifted apart: weight 0 of layer acts differs from"
    text += " rank 0's by 0.25 on rank 1: its layer may add to the diff only, not change the data\n"
    assert ours(done) == f"caffe-pylayer train: {text}"
    assert "same batch" not in done.stderr


def test_a_layer_without_ranks_is_told_once(train, solver, place):
    module = (place / "my_data.py").read_text()
    blind = module.replace("caffe.solver_rank(), caffe.solver_count()", "0, 1")
    assert blind != module
    (place / "blind").mkdir()
    (place / "blind" / "my_data.py").write_text(blind)
    done = train(solver("blind", 12), processes=2, path=[place / "blind"])
    log(done)
    told = [line for line in say(done) if "batch" in line]
    assert told == [
        "2 processes, each with a batch of its own",
        "layer my_data gives all 2 processes the same batch, so that they learn no more than one:"
        " let it take batches by caffe.solver_rank() and solver_count()",
    ]


def test_without_mpi4py_one_line_says_what_to_install(train, solver, place):
    (place / "no_mpi").mkdir()
    (place / "no_mpi" / "mpi4py.py").write_text("raise ImportError('not here')\n")
    file = solver("no_mpi", 12, max_iter=1)
    done = train(file, processes=2, path=[place / "no_mpi"])
    text = (
        "mpirun needs mpi4py here: /usr/bin/python3 -m pip install mpi4py (not here)\n"
    )
    assert (ours(done), done.returncode) == (f"caffe-pylayer train: {text}", 1)
    assert done.stderr.count("mpi4py here") == 1
    log(train(solver("alone", max_iter=1), path=[place / "no_mpi"]))  # needs none


def test_the_guide_counts_what_communication_costs():
    page = (PROJECT / "docs" / "train.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \|(.*)\|$", page, re.M)
    sizes = [(10, 1), (10, 10), (240, 1), (240, 10)]  # MB, Gbit/s
    assert [int(machines) for machines, _, _ in rows] == [2, 4, 8, 16]
    for machines, factor, cells in rows:
        times = 2 * (int(machines) - 1) / int(machines)
        assert float(factor) == pytest.approx(times, abs=0.005)
        costs = [times * megabytes * 8 / gigabits for megabytes, gigabits in sizes]
        assert [int(cell) for cell in cells.split("|")] == costs


def test_bad_input_is_one_line(run, solver, place):
    file = solver("bad")
    text = (place / file).read_text()
    (place / "typo.solver").write_text("max_itr: 3")
    (place / "lfs.solver").write_text("version https://git-lfs.github.com/spec/v1\n")
    (place / "empty.solver").write_text("# nothing\n")
    (place / "a.model").write_bytes(b"\n\x03net\xff\0")
    (place / "no_net.solver").write_text(text.replace("bad.proto", "none.proto"))
    (place / "gpu.solver").write_text(text.replace("solver_mode: CPU", ""))
    (place / "nowhere.solver").write_text(text.replace('"bad"', '"no/where/bad"'))
    gpu = "needs a Caffe with CUDA, and this one has none: write solver_mode: CPU"
    cases = [
        ([], 2, "expected one SOLVER"),
        ([file, "-solver", file], 2, "expected one SOLVER"),
        (
            [file, "--weights=a", "-snapshot", "b"],
            2,
            "expected --weights or --snapshot, got both",
        ),
        (["none.solver"], 1, "none.solver: No such file or directory"),
        ([file, "-weights=w"], 1, "w: No such file or directory"),
        (
            ["typo.solver"],
            1,
            "typo.solver: expected a solver: 1:1 : Message type "
            '"caffe.SolverParameter" has no field',
        ),
        (["bad.prototxt"], 1, "bad.prototxt: expected a solver, got a net: name the"),
        (["lfs.solver"], 1, "got a git-lfs pointer: get the file by git lfs pull"),
        (["empty.solver"], 1, "got an empty file: name the file of a solver"),
        (
            ["a.model"],
            1,
            "got binary, as a caffemodel: name the prototxt of the solver",
        ),
        (["no_net.solver"], 1, "none.prototxt: No such file or directory"),
        (
            ["nowhere.solver"],
            1,
            "cannot write into no/where, the folder of snapshot_prefix in",
        ),
        (["gpu.solver"], 1, f"solver_mode GPU, which is the default, {gpu}"),
        (["-solver", file, "-gpu", "0"], 1, f"--gpu 0 {gpu}"),
        ([file, "--gpu"], 1, f"--gpu all {gpu}"),
    ]
    given = json.dumps([case[0] for case in cases])
    done = run("python3", "-B", "-c", MANY, PROJECT, given)
    assert done.returncode == 0, done.stderr
    for (_, code, text), line in zip(cases, done.stdout.splitlines(), strict=True):
        found, said = json.loads(line)
        said = said.splitlines() if code == 1 else said.splitlines()[-1:]
        assert (found, len(said)) == (code, 1), said
        assert text in said[0] and said[0].startswith("caffe-pylayer train: ")
