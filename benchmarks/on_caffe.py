"""The parts of the benchmark that need real Caffe; bench.py runs this through scripts/with-caffe.

    python3 -B benchmarks/on_caffe.py PART FOLDER

reads FOLDER/job.json and writes FOLDER/results.json; PART is the name of a function in PARTS.
"""

import functools
import importlib
import importlib.util
import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
import traceback

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import exhaustive  # noqa: E402

# As the checks do, but before torch loads glog, which reads it then.
os.environ.setdefault("GLOG_minloglevel", "2")
try:
    import torch_gradcheck
except ImportError:  # no torch here: bench.py asks for it where it needs it
    torch_gradcheck = None

from caffe_pylayer.checks import checks, double, engine, isolation, net, prototxt  # noqa: E402
from caffe_pylayer.checks.subject import Author  # noqa: E402

OURS = "ours, check gradient"
OURS_ALL = "ours, all checks"
FAST_THERE = "fast_mode, at the draws that ours needs"
PROCESSES = 6  # in which speed is measured: where memory lies matters
SECONDS = 3600  # that one method may take on one layer
ROUNDS = 15  # of each timing, interleaved; the fastest counts
SLOW = 0.5  # seconds of a pass from which one process is enough
MOST_SECONDS = 3  # after which no further round begins
SPELL = 2e-3  # seconds that a round of one timing takes, at least


def progress(text, *values):
    print("bench: " + text % values, file=sys.stderr, flush=True)


class Layer:
    """A layer's folder, with what its tests/test_NAME.py says."""

    def __init__(self, folder):
        self.folder, self.name = folder, os.path.basename(folder)
        self.path = os.path.join(folder, self.name + ".prototxt")
        test = os.path.join(folder, "tests", "test_%s.py" % self.name)
        spec = importlib.util.spec_from_file_location("test_" + self.name, test)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.make_bottoms, self.expected_tops = (
            module.make_bottoms,
            module.expected_tops,
        )

    def subject(self, caffe, seed=0, make_bottoms=None):
        """Return the checks' Subject."""
        author = self.author(make_bottoms)
        return checks.Subject(caffe, net.Fragment(self.path), author, seed)

    def author(self, make_bottoms=None):
        """Return the checks' Author."""
        bottoms = make_bottoms or self.make_bottoms
        return Author(bottoms, self.expected_tops, None, False, False, None)


def counted(caffe, layer):
    """Count the forward passes of the layer's class from now on: a list of one number."""
    python = net.Fragment(layer.path).python
    layer_class = getattr(
        importlib.import_module(python.get("module")), python.get("layer")
    )
    forward, count, tops = layer_class.forward, [0], double.Passes.tops

    def counting(self, bottom, top):
        count[0] += 1
        return forward(self, bottom, top)

    def counting_double(self, values):  # in float64 the class is another one
        count[0] += self.caffe is not None
        return tops(self, values)

    layer_class.forward, double.Passes.tops = counting, counting_double
    return count


def run_ours(names):
    """Return a function that runs these of our checks, or all that apply."""

    def run(caffe, layer, seed, stop):
        for name in names or checks.names(layer.path):
            author = layer.author()
            outcome, text, _ = checks.run(name, caffe, layer.path, author, [seed])
            if outcome == "fail":
                return "[%s] %s" % (name, text)
        return None

    return run


def run_exhaustive(method):
    """Return a function that runs an exhaustive check at the points of our check `gradient`."""

    def run(caffe, layer, seed, stop):
        subject, found = layer.subject(caffe, seed), []
        for draw in range(checks.DRAWS):
            arrays = subject.bottoms(checks.batch_of(draw), draw)
            arguments = subject.fragment.wanted, arrays, method, subject.rng, stop
            found.append(exhaustive.check(subject.net(arrays), *arguments))
            if stop and found[-1]:
                break
        return next(filter(None, found), None)

    return run


def run_gradcheck(function, draws_of=lambda subject: range(checks.DRAWS)):
    """Return a function that runs torch's gradcheck at the points of our check `gradient`."""

    def run(caffe, layer, seed, stop):
        subject, found = layer.subject(caffe, seed), []
        np.random.seed(seed)
        torch_gradcheck.torch.manual_seed(seed)
        for draw in draws_of(subject):
            arrays = subject.bottoms(checks.batch_of(draw), draw)
            with double.double_precision():
                wrapped = torch_gradcheck.Wrapped(subject.fragment, arrays)
                found.append(function(wrapped))
            if stop and found[-1]:
                break
        return next(filter(None, found), None)

    return run


METHODS = {OURS: run_ours(["gradient"]), OURS_ALL: run_ours([])}
METHODS.update((name, run_exhaustive(row)) for name, row in exhaustive.METHODS.items())
ON_REAL = set(METHODS)
TORCH = torch_gradcheck.METHODS if torch_gradcheck else {}
METHODS.update((name, run_gradcheck(function)) for name, function in TORCH.items())


def verdict(layer, method, seed=0, stop=False):
    """Run a method on a layer, in a child process as the plugin does: a dict.

    An exception counts as found, and so does an abort; `stop` ends at the first error.
    """

    def run():
        kind = "real" if method in ON_REAL else "standin"
        with engine.running(kind, layer.folder) as caffe:
            forwards, start = [0], time.perf_counter()
            try:
                forwards = counted(caffe, layer)
                found = METHODS[method](caffe, layer, seed, stop) or ""
            except Exception as error:
                found = "%s: %s" % (type(error).__name__, error)
            return [found, forwards[0], time.perf_counter() - start]

    try:
        result = isolation.run_in_child(run, SECONDS, layer.folder)
    except isolation.ChildEnded as error:
        result = [str(error), 0, 0.0]
    row = dict(zip(("text", "forwards", "seconds"), result))
    return dict(
        row, found=bool(row["text"]), layer=layer.name, method=method, seed=seed
    )


def in_child(function):
    """Return what function returns, run in a child process."""

    def run():
        try:
            return ["", function()]
        except Exception:
            return ["fail", traceback.format_exc()]

    outcome, result = isolation.run_in_child(run, SECONDS, HERE)
    if outcome:
        sys.exit(result)
    return result


def judge(task):
    """Return the rows of one layer of the part `gradient`: every method, with each seed."""
    layer = Layer(task["folder"])
    with engine.running("real", layer.folder) as caffe:
        subject = layer.subject(caffe)
        pairs = zip(subject.bottoms(checks.BATCHES[0]), subject.fragment.wanted)
    same = dict(
        mutant=task["mutant"], elements=sum(array.size for array, want in pairs if want)
    )
    stop = task["mutant"] is not None
    return [
        dict(verdict(layer, method, seed, stop), **same)
        for method in METHODS
        for seed in range(task["seeds"])
    ]


def gradient(job, folder):
    """Every method on every correct layer with several seeds, and on every mutant."""
    rows = []
    with multiprocessing.Pool() as pool:
        for done, found in enumerate(pool.imap_unordered(judge, job["tasks"]), 1):
            rows += found
            missed = sorted({row["method"] for row in found if not row["found"]})
            name = "%s, %s" % (found[0]["layer"], found[0]["mutant"] or "correct")
            text = "red for all" if not missed else "green for " + "; ".join(missed)
            progress("%d of %d: %s: %s", done, len(job["tasks"]), name, text)
    return rows


def fastest(functions):
    """Return the least seconds that each of the functions takes; they are called in turns."""
    loops = []
    for function in functions:
        function()
        loops.append(max(1, int(SPELL / seconds_of(function))))
    best, end = [np.inf] * len(functions), time.perf_counter() + MOST_SECONDS
    for _ in range(ROUNDS):
        for i, function in enumerate(functions):
            best[i] = min(best[i], seconds_of(function, loops[i]))
        if time.perf_counter() > end:
            break
    return best


def seconds_of(function, loops=1):
    """Return the seconds of one call, over several calls."""
    start = time.perf_counter()
    for _ in range(loops):
        function()
    return (time.perf_counter() - start) / loops


def growth(job, folder):
    """The check `gradient` at several sizes of bottom 0; gradcheck and one pass there."""
    METHODS[FAST_THERE] = run_gradcheck(torch_gradcheck.fast, checks.draws_of)
    rows = []
    for kind, path in job["layers"].items():
        layer = Layer(path)
        for size in job["sizes"]:
            progress("growth, %s of %d elements", kind, size)
            count = len(net.Fragment(layer.path).bottoms)
            shape = size // checks.BATCHES[0]

            def make_bottoms(rng, batch, count=count, shape=shape):
                return [rng.randn(batch, shape) for _ in range(count)]

            layer.make_bottoms = make_bottoms
            methods = OURS, torch_gradcheck.FAST, FAST_THERE
            turns = [
                [verdict(layer, method) for method in methods]
                for _ in range(job["repeats"] * (5 if size < 10**5 else 1))
            ]
            found, fast, there = [
                min(same, key=lambda row: row["seconds"]) for same in zip(*turns)
            ]
            for row in (found, fast, there):
                if row["found"]:
                    text = "growth, %s of %d elements, %s: %s"
                    sys.exit(text % (kind, size, row["method"], row["text"]))

            def one_pass(layer=layer):
                with engine.running("real", layer.folder) as caffe:
                    subject = layer.subject(caffe)
                    arrays = subject.bottoms(checks.BATCHES[0])
                    layer_net = subject.net(arrays)
                    layer_net.forward(arrays)
                    last = len(layer_net.net.layers) - 1
                    ways = "forward", "backward"
                    return fastest([only(way, layer_net.net, last) for way in ways])

            same = dict(
                kind=kind, size=size, fast=fast["seconds"], there=there["seconds"]
            )
            rows.append(dict(found, one_pass=sum(in_child(one_pass)), **same))
    return rows


def speed(job, folder):
    """Seconds of forward and backward of each stub, of a copy, and of Caffe's own layer."""
    rows = []
    for kind, path in job["layers"].items():
        layer = Layer(path)
        for size in job["sizes"]:
            progress("speed, %s of %d elements", kind, size)
            peer = job["peers"].get(kind)
            found = []
            while len(found) < PROCESSES:
                measure = functools.partial(directions, layer, size, peer)
                found.append(in_child(measure))
                if found[0][0]["seconds"]["ours"] > SLOW:
                    break
            for again in zip(*found):
                times = {
                    name: min(row["seconds"][name] for row in again)
                    for name in again[0]["seconds"]
                }
                rows.append(dict(again[0], seconds=times, kind=kind, size=size))
    return rows


def peer_layer(layer, text, batch):
    """Return the message of Caffe's own layer."""
    path = layer.path + ".peer"
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("layer { name: 'peer' %s }" % text.replace("BATCH", str(batch)))
    return prototxt.load(path).get("layer")


def training_net(caffe, fragment, message, arrays):
    """Return a net as it is trained around one layer, the fragment's or another in its place.

    Bottoms that get a gradient come from Parameter layers, the others from Input layers; a top
    that is no loss and carries a gradient goes to a Reduction layer that makes it one.
    """
    bottoms = list(zip(fragment.bottoms, fragment.wanted, arrays))
    text = "".join(
        net.source("Parameter" if wanted else "Input", blob, array.shape)
        for blob, wanted, array in bottoms
    )
    message = message.without(*net.PLACE)
    message.fields += [pair for pair in fragment.layer.fields if pair[0] in net.PLACE]
    text += str(prototxt.Message([("layer", message)]))
    if any(fragment.wanted) and not fragment.layer.all("loss_weight"):
        text += "".join(
            "\nlayer { name: 'loss of %s' type: 'Reduction' bottom: '%s' top: 'loss of %s' "
            "loss_weight: 1 }" % (top, top, top)
            for top in fragment.tops
        )
    made = net.load(caffe, text.encode("utf-8"), fragment.phase)
    for blob, wanted, array in bottoms:
        (made.params["source of " + blob][0] if wanted else made.blobs[blob]).data[
            ...
        ] = array
    made.forward()
    made.backward()
    return made, list(made._layer_names).index(message.get("name"))


def directions(layer, size, peer):
    """Return a row each for forward and backward of the stub at this size."""
    with engine.running("real", layer.folder) as caffe:
        fragment = net.Fragment(layer.path)
        message, batch = fragment.layer, max(1, size // 48)
        if not fragment.bottoms:
            epoch = (
                60 if size <= 10**6 else 2
            )  # batches: the default, or what memory has room for
            params = dict(fragment.params, batch_size=batch, samples=epoch * batch)
            message = fragment.with_params(params)
        arrays = [np.random.randn(10, 10, size // 100) for _ in fragment.bottoms]
        messages = [message] + ([peer_layer(layer, peer, batch)] if peer else [])
        nets = [training_net(caffe, fragment, message, arrays) for message in messages]
        blobs = [nets[0][0].blobs[name] for name in fragment.bottoms or fragment.tops]
        wanted = [blob for blob, want in zip(blobs, fragment.wanted) if want]
        rows, floor = [], FLOORS.get(layer.name.split("_")[0])
        for direction, moved in (("forward", blobs), ("backward", wanted)):
            if not moved:
                continue
            timed = {"copy": copying(moved), "ours": only(direction, *nets[0])}
            if peer:
                timed["peer"] = only(direction, *nets[1])
            if floor and direction == "forward":
                buffers = [np.array(array, np.float32) for array in arrays + arrays]
                timed["floor"] = functools.partial(floor, buffers)
            seconds = dict(zip(timed, fastest(list(timed.values()))))
            rows.append(dict(direction=direction, seconds=seconds))
        return rows


def mean_absolute_difference(arrays):
    """Do the metric's job in the fewest passes that numpy has for it."""
    np.subtract(arrays[0], arrays[1], out=arrays[2])
    np.mean(np.abs(arrays[2], out=arrays[3]))


FLOORS = {"metric": mean_absolute_difference}  # what numpy alone takes for the job


def copying(blobs):
    """Return a function that copies each blob's data over its diff."""
    views = [(blob.diff, blob.data) for blob in blobs]

    def copy():
        for target, source in views:
            np.copyto(target, source)

    return copy


def only(direction, made, index):
    """Return a function that runs one layer of a net forward or backward."""
    run = made._forward if direction == "forward" else made._backward
    return lambda: run(index, index)


TRAIN_NET = """
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: BATCH dim: 3 dim: 32 dim: 32 } shape { dim: BATCH }
    data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 }
  }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 5 weight_filler { type: "xavier" } }
}
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 4 stride: 4 }
}
layer {
  name: "python" type: "Python" bottom: "pool" top: "python"
  python_param { module: "some_work" layer: "SomeWorkLayer" param_str: "REPEATS" }
}
layer {
  name: "hidden" type: "InnerProduct" bottom: "python" top: "hidden"
  inner_product_param { num_output: 512 weight_filler { type: "xavier" } }
}
layer {
  name: "scores" type: "InnerProduct" bottom: "hidden" top: "scores"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""
SOME_WORK = """
import caffe, numpy

class SomeWorkLayer(caffe.Layer):
    def setup(self, bottom, top):
        self.repeats = int(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        for _ in range(self.repeats):
            numpy.tanh(bottom[0].data)
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff
"""


def train(job, folder):
    """Iterations/s of caffe train and of ours, the same batch in one and two processes."""
    batch, iterations, rows = job["batch"], job["iterations"], []
    ours = [sys.executable, "-B", os.path.dirname(HERE) + "/caffe_pylayer", "train"]
    allowed = ["env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"]
    two = allowed + ["mpirun", "--oversubscribe", "-n", "2"] + ours
    commands = {  # which, the command, and the batch of a process
        "caffe train": (["caffe", "train", "-solver"], batch),
        "train, 1 process": (ours, batch),
        "train, 2 processes": (two, batch // 2),
    }
    os.chdir(folder)
    os.environ.update(PYTHONPATH=folder, GLOG_minloglevel="0")
    sys.path.insert(0, folder)
    with open("some_work.py", "w") as stream:
        stream.write(SOME_WORK)

    def write(name, size, repeats):
        text = TRAIN_NET.replace("BATCH", str(size))
        with open(name + ".prototxt", "w") as stream:
            stream.write(text.replace("REPEATS", str(repeats)))
        with open(name + ".solver", "w") as stream:
            stream.write(
                'net: "%s.prototxt" base_lr: 1e-4 lr_policy: "fixed" display: 1 max_iter: %d '
                "solver_mode: CPU snapshot_after_train: false" % (name, iterations)
            )
        return name + ".solver"

    def seconds(command, file):
        """Return the seconds of the fastest iteration, and its share of communication."""
        done = subprocess.run(command + [file], stderr=subprocess.PIPE, check=True)
        log = done.stderr.decode()
        stamps = re.findall(r"(\d+):(\d+):(\d+\.\d+) .* lr = ", log)
        ends = [3600 * int(h) + 60 * int(m) + float(s) for h, m, s in stamps]
        talking = re.findall(r"(\d+)% of the time in communication", log)
        talking = [int(share) for share in talking] or [0] * (len(ends) - 1)
        lengths = [(end - start) % 86400 for start, end in zip(ends, ends[1:])]
        return min(zip(lengths, talking))

    def layer_seconds(repeats):
        write("timed", batch, repeats)

        def run():
            caffe_net = engine.find_caffe()[0].Net("timed.prototxt", 0)
            python = list(caffe_net._layer_names).index("python")
            last = len(caffe_net.layers) - 1
            whole = [
                functools.partial(caffe_net._forward, 0, last),
                functools.partial(caffe_net._backward, last, 0),
            ]
            caffe_net._forward(0, last)  # tanh(0) is quick
            part = fastest([only("forward", caffe_net, python)])[0]
            return sum(fastest(whole)), part

        return in_child(run)

    rest = layer_seconds(0)[0]
    once = layer_seconds(20)[1] / 20
    for share in job["shares"]:
        repeats = int(round(share / (1 - share) * rest / once))
        whole, part = layer_seconds(repeats)
        best = dict.fromkeys(commands, (np.inf, 0))
        for turn in range(job["turns"]):
            progress("train, Python layer %d%%, turn %d", 100 * share, turn + 1)
            for name, (command, size) in commands.items():
                file = write("solver%d" % size, size, repeats)
                best[name] = min(best[name], seconds(command, file))
        seconds_of_all = {name: found[0] for name, found in best.items()}
        talking = best["train, 2 processes"][1]
        rows.append(dict(share=part / whole, seconds=seconds_of_all, talking=talking))
    return rows


PARTS = {"gradient": gradient, "growth": growth, "speed": speed, "train": train}


def main(part, folder):
    kind, why = engine.choose("real")
    with open(os.path.join(folder, "job.json"), encoding="utf-8") as stream:
        job = json.load(stream)
    results = dict(
        rows=PARTS[part](job, folder),
        versions="%s, numpy %s, Python %s"
        % (why.split(",")[0], np.__version__, sys.version.split()[0]),
    )
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as stream:
        json.dump(results, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
