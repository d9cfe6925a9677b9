"""Train as `caffe train` does, in one process or, started by mpirun, in several.

Each process trains on batches of its own, and the gradients are averaged by MPI before each
update: N processes with batch B train as one with batch N * B. Files, log and snapshots are those
of `caffe train`; rank 0 alone tests, logs and writes.
"""

from __future__ import print_function

import os
import re
import signal
import socket
import sys
import tempfile
import time
import traceback
import zlib

from . import CommandError, net_text, search_path, words_of

np = search_path.import_numpy()

from ..checks import engine, hints, prototxt  # noqa: E402
from .trace import import_layers  # noqa: E402

EXAMPLES = """examples:
  caffe-pylayer train solver.prototxt                  in one process
  mpirun -n 4 caffe-pylayer train solver.prototxt      in four
  mpirun -n 8 --host a:4,b:4 caffe-pylayer train solver.prototxt
  mpirun -n 4 caffe-pylayer train solver.prototxt --snapshot net_iter_500.solverstate

Ctrl-C makes a snapshot and stops, SIGHUP makes one and goes on, as in caffe train. To mpirun send
SIGUSR2 to stop and SIGUSR1 to go on: after Ctrl-C it gives its processes only a second.
"""
LAUNCHERS = (  # what mpirun tells a process: its rank, and its rank on this machine
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),  # Open MPI
    ("PMI_RANK", "MPI_LOCALRANKID"),  # MPICH and its relatives
    ("PMIX_RANK", "SLURM_LOCALID"),  # srun
)
SIGNALS = {  # mpirun makes SIGTERM of Ctrl-C, and passes on the SIGUSRs, but no SIGHUP
    "stop": ("SIGINT", "SIGTERM", "SIGUSR2"),
    "snapshot": ("SIGHUP", "SIGUSR1"),
}
ALONE = ("SIGINT", "SIGHUP")  # those of `caffe train`
FOR_TEST = "test_iter test_interval test_net test_net_param test_state".split()
SAME_FOR_ALL = (
    "Input",
    "Parameter",
    "DummyData",
)  # layers without bottoms, not samples
CHECK_EVERY = 100  # iterations: whether all ranks have the same weights
APART = 1e-4  # of the largest weight; what machines round differently is less


def parse_arguments(parser, given):
    add = parser.add_argument
    add("file", metavar="SOLVER", nargs="?", help="as for caffe train -solver")
    add("--solver", "-solver", metavar="FILE", help="another way to name SOLVER")
    add(
        "--weights",
        "-weights",
        metavar="FILES",
        help="begin with these caffemodels, with commas between",
    )
    add("--snapshot", "-snapshot", metavar="FILE", help="go on from this solverstate")
    add(
        "--gpu",
        "-gpu",
        metavar="IDS",
        nargs="?",
        const="all",
        help="each process takes a device of its machine, of all or of these, as 0,1",
    )
    arguments = parser.parse_args(given)
    if (arguments.file is None) == (arguments.solver is None):
        parser.error("expected one SOLVER")
    if arguments.weights and arguments.snapshot:
        parser.error("expected --weights or --snapshot, got both")
    arguments.solver = arguments.file or arguments.solver
    return arguments


def main(parser, given):
    """Train; return the exit code."""
    rows = [row for row in LAUNCHERS if row[0] in os.environ]
    known = [name for row in rows[:1] for name in row[::-1] if name in os.environ]
    silent = known and os.environ[known[0]] != "0"  # once on a machine is enough
    parse = parse_silently if silent else parse_arguments
    try:
        arguments = parse(parser, given)
        ranks = Ranks(bool(rows))
    except (CommandError, SystemExit):
        if silent:
            return 0  # so that mpirun does not end the one that says it
        raise
    try:
        run = together(ranks, lambda: Run(ranks, arguments))
        run.train()
    except CommandError:  # of all ranks at once
        if ranks.rank == 0:
            raise
        return 1
    except BaseException as error:
        if ranks.comm is None and isinstance(error, KeyboardInterrupt):
            raise
        text = "%s: %s" % (parser.prog, ranks.name() + describe())
        os.write(2, text.encode("utf-8", "replace"))
        ranks.abort()
        return 1
    return 0


def parse_silently(parser, given):
    streams = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nothing:
        sys.stdout = sys.stderr = nothing
        try:
            return parse_arguments(parser, given)
        finally:
            sys.stdout, sys.stderr = streams


def together(ranks, function):
    """Return what the function returns; raise CommandError on all ranks if it fails on one."""
    result = problem = None
    try:
        result = function()
    except CommandError as error:
        problem = str(error)
    except KeyboardInterrupt:
        raise
    except EnvironmentError as error:
        problem = words_of(error)
    except BaseException:
        problem = describe()
    first = {}  # rank that has the problem
    for rank, text in enumerate(ranks.all(problem)):
        first.setdefault(text, rank)
    if list(first) == [None]:
        return result
    if len(first) == 1:
        raise CommandError(problem.rstrip("\n"))
    rows = sorted((rank, text) for text, rank in first.items() if text)
    texts = ["rank %d of %d: %s" % (rank, ranks.size, text) for rank, text in rows]
    raise CommandError("\n".join(texts).rstrip("\n"))


def describe():
    """Return the traceback of the exception that is being handled, without our own frames."""
    kind, error, frames = sys.exc_info()
    ours = os.path.splitext(__file__)[0]
    while frames and os.path.splitext(frames.tb_frame.f_code.co_filename)[0] == ours:
        frames = frames.tb_next
    lines = traceback.format_exception(kind, error, frames)
    return hints.with_hint("".join(lines).rstrip("\n")) + "\n"


class Over(Exception):
    """There is no further iteration: what leaves the solver's step behind its test."""


class Ranks(object):
    """The processes that train: those of MPI, or this one alone."""

    def __init__(self, several):
        self.comm, self.rank, self.size, self.local = None, 0, 1, 0
        if several:
            try:
                from mpi4py import MPI
            except ImportError as error:
                text = "mpirun needs mpi4py here: %s -m pip install mpi4py (%s)"
                raise CommandError(text % (sys.executable, error))
            self.MPI, self.comm = MPI, MPI.COMM_WORLD
            self.rank, self.size = self.comm.rank, self.comm.size
            machine = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
            self.local = machine.rank

    def name(self):
        if self.comm is None:
            return ""
        return "rank %d of %d, on %s: " % (self.rank, self.size, socket.gethostname())

    def all(self, thing):
        """Return what each rank has, in a list."""
        return [thing] if self.comm is None else self.comm.allgather(thing)

    def add(self, array):
        """Put the sum over all ranks into the array of each."""
        if self.size > 1:
            self.comm.Allreduce(self.MPI.IN_PLACE, array)

    def from_first(self, array):
        """Put what rank 0 has into the array of each."""
        if self.size > 1:
            self.comm.Bcast(array)

    def abort(self):
        """End the other ranks, too, which may wait for this one."""
        if self.comm is not None:
            self.comm.Abort(1)


class Run(object):
    """A solver with its nets, and the ranks that train on it."""

    def __init__(self, ranks, arguments):
        self.ranks, first = ranks, ranks.rank == 0
        os.environ["GLOG_minloglevel"] = "0" if first else "2"
        self.caffe, missing = engine.find_caffe()
        if missing:
            raise CommandError("it needs real Caffe, but %s" % missing)
        if not hasattr(self.caffe.SGDSolver, "add_callback"):
            raise CommandError("it needs Caffe 1.0, this one is older")
        for path in (arguments.weights or arguments.snapshot or "").split(","):
            if path:
                open(path).close()
        self.param = read_solver(arguments.solver)
        folder = os.path.dirname(self.param.snapshot_prefix) or os.curdir
        if first and not os.access(folder, os.W_OK):
            text = "cannot write into %s, the folder of snapshot_prefix in %s"
            raise CommandError(text % (folder, arguments.solver))
        self.start_log(0 if first else 2)
        self.choose_device(arguments.gpu)
        self.caffe.set_solver_count(ranks.size)
        self.caffe.set_solver_rank(ranks.rank)
        self.caffe.set_multiprocess(ranks.size > 1)
        for path in filter(None, [self.param.net, self.param.train_net]):
            import_layers(self.caffe, path, self.caffe.TRAIN)
        self.solver = self.load()
        self.net = self.solver.net
        if arguments.snapshot:
            self.solver.restore(arguments.snapshot)
        for path in (arguments.weights or "").split(","):
            for net in [self.net] + list(self.solver.test_nets) if path else []:
                net.copy_from(path)
        self.find_weights()
        self.find_losses()
        self.wanted, self.over = {"stop": 0, "snapshot": 0}, False

    def start_log(self, level):
        try:
            self.caffe.init_log(level, True)
        except TypeError:  # Boost's: the first 1.0 has no such arguments
            pass

    def choose_device(self, ids):
        param, mode = self.param, "--gpu %s" % ids
        if not ids and param.solver_mode == param.GPU:
            ids, mode = str(param.device_id), "solver_mode GPU, which is the default,"
        if not ids:
            return self.caffe.set_mode_cpu()
        with open("/proc/self/maps") as libraries:
            if "libcublas" not in libraries.read():
                text = "%s needs a Caffe with CUDA, and this one has none: write solver_mode: CPU"
                raise CommandError(text % mode)
        device = self.ranks.local
        try:
            if ids != "all":
                ids = [int(text) for text in ids.split(",")]
                device = ids[device % len(ids)]
        except ValueError:
            raise CommandError("expected --gpu as in 0,1, got %s" % ids)
        self.caffe.set_device(device)
        self.caffe.set_mode_gpu()

    def load(self):
        """Return the solver; what is logged, and when it stops, is left to this class."""
        param = type(self.param)()
        param.CopyFrom(self.param)
        param.display = 0
        if self.ranks.rank > 0:
            for field in FOR_TEST:
                param.ClearField(field)
        with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
            file.write(str(param))
            file.flush()
            return self.caffe.get_solver(str(file.name))

    def find_weights(self):
        """Find the weights, each with its place in the buffer; then that is for all ranks."""
        self.weights, seen, end = [], set(), 0
        for name, layer in zip(self.net._layer_names, self.net.layers):
            for i, blob in enumerate(layer.blobs):
                where = blob.data.ctypes.data
                if where not in seen and blob.count:  # else shared with another layer
                    place = slice(end, end + blob.count)
                    self.weights.append(
                        ("weight %d of layer %s" % (i, name), blob, place)
                    )
                    end = place.stop
                    seen.add(where)
        self.buffer = np.zeros(end + 3, np.float32)

    def find_losses(self):
        """Find the tops of each layer that are part of the loss, with their loss weights."""
        self.losses, self.loss, net = {}, np.float32(0), self.net
        for i in range(len(net.layers)):
            tops = [
                (np.float32(net._blob_loss_weights[j]), net._blobs[j])
                for j in net._top_ids(i)
            ]
            if any(weight for weight, _ in tops):
                self.losses[i] = [row for row in tops if row[0]]

    def train(self):
        """Train up to max_iter, or until a signal says stop."""
        ranks, param, solver, net = self.ranks, self.param, self.solver, self.net
        self.send_weights()
        self.begin = self.logged = solver.iter
        self.recent, self.smoothed = [], np.float32(0)
        self.time, self.talking = time.time(), 0.0
        net.after_forward(self.add_loss)
        solver.add_callback(self.on_start, self.on_gradients_ready)
        for names in SIGNALS.values():
            for name in names:
                if ranks.comm is not None or name in ALONE:
                    signal.signal(getattr(signal, name), self.on_signal)
        if ranks.size == 1:
            self.say("one process; for four: mpirun -n 4 caffe-pylayer train SOLVER")
        else:
            self.say("%d processes, each with a batch of its own" % ranks.size)
        self.log("caffe.cpp:239", "Starting Optimization")
        self.log("solver.cpp:289", "Solving %s" % net_name(param))
        self.log("solver.cpp:290", "Learning Rate Policy: %s" % param.lr_policy)
        stopped = False
        while solver.iter < param.max_iter and not stopped:
            self.agreed = dict(self.wanted)
            solver.step(1)
            stopped = self.agreed["stop"]
            if self.agreed["snapshot"] and not stopped and not self.has_snapshot():
                self.snapshot()
        if solver.iter > self.begin + 1:
            self.compare_weights()
        if param.snapshot_after_train and not self.has_snapshot():
            self.snapshot()
        if stopped:
            self.log("solver.cpp:317", "Optimization stopped early.")
        else:
            self.last_look()
            self.log("solver.cpp:332", "Optimization Done.")
        self.log("caffe.cpp:250", "Optimization Done.")

    def on_signal(self, number, _):
        for action, names in SIGNALS.items():
            if number in [getattr(signal, name) for name in names]:
                self.wanted[action] = 1

    def has_snapshot(self):
        """Whether Caffe has made one after this iteration."""
        return bool(self.param.snapshot) and self.solver.iter % self.param.snapshot == 0

    def snapshot(self):
        if self.ranks.rank == 0:
            self.solver.snapshot()

    # What Caffe calls

    def on_start(self):
        self.loss = np.float32(0)
        if self.over:
            raise Over

    def add_loss(self, layer):
        for weight, top in self.losses.get(layer, ()):
            self.loss += weight * top.data.sum()

    def on_gradients_ready(self):
        """Average the gradients of all ranks, and what else they have to agree on."""
        param, iteration = self.param, self.solver.iter
        loss = self.loss / np.float32(param.iter_size)
        start = time.time()
        if self.ranks.size > 1:
            loss = self.average(loss)
        else:
            self.agree(self.wanted["stop"], self.wanted["snapshot"])
        self.talking += time.time() - start
        if iteration == self.begin:
            self.compare_batches()
        elif iteration == self.begin + 1 or iteration % CHECK_EVERY == 0:
            self.compare_weights()
        self.smooth(loss)
        if param.display and iteration % param.display == 0:
            self.display()

    # What is between the ranks

    def average(self, loss):
        """Average the diffs and the loss over all ranks; return the loss."""
        buffer, size = self.buffer, self.ranks.size
        for _, blob, place in self.weights:
            buffer[place] = blob.diff.ravel()
        buffer[-3:] = loss, self.wanted["stop"], self.wanted["snapshot"]
        self.ranks.add(buffer)
        buffer[:-2] /= size
        for _, blob, place in self.weights:
            blob.diff.ravel()[...] = buffer[place]
        self.agree(*buffer[-2:])
        return buffer[-3]

    def agree(self, stop, snapshot):
        """Note what some rank wants; all know it after the same iteration."""
        self.agreed = {"stop": stop > 0, "snapshot": snapshot > 0}
        if self.agreed["snapshot"]:
            self.wanted["snapshot"] = 0

    def weights_of_first(self):
        """Return the weights of rank 0, in a buffer."""
        buffer = np.empty(self.buffer.size - 3, np.float32)
        for _, blob, place in self.weights:
            buffer[place] = blob.data.ravel()
        self.ranks.from_first(buffer)
        return buffer

    def send_weights(self):
        if self.ranks.size > 1:
            buffer = self.weights_of_first()
            for _, blob, place in self.weights:
                blob.data.ravel()[...] = buffer[place]

    def compare_weights(self):
        """Raise CommandError where the weights differ; even out what was rounded differently.

        A weight without a gradient is what a layer keeps for itself, as the means of BatchNorm.
        """
        if self.ranks.size == 1:
            return
        first, problem = self.weights_of_first(), None
        for name, blob, place in self.weights:
            mine, other = blob.data.ravel(), first[place]
            if not self.buffer[place].any() or mine.tobytes() == other.tobytes():
                continue
            apart = np.abs(mine - other).max()
            if apart <= APART * np.abs(other).max():
                mine[...] = other
            else:
                text = "by %.3g on rank %d: its layer may add to the diff only, not change the data"
                problem = "%s differs from rank 0's %s" % (
                    name,
                    text % (apart, self.ranks.rank),
                )
                break
        problems = [text for text in self.ranks.all(problem) if text]
        if problems:
            text = "after %d iterations the weights have drifted apart: %s"
            raise CommandError(text % (self.solver.iter, problems[0]))

    def compare_batches(self):
        """Say which layers give the same batch to all ranks."""
        if self.ranks.size == 1:
            return
        mine, net = {}, self.net
        for i, layer in enumerate(net.layers):
            if not len(net._bottom_ids(i)) and layer.type not in SAME_FOR_ALL:
                tops = [net._blobs[j].data.tobytes() for j in net._top_ids(i)]
                mine[net._layer_names[i]] = [zlib.crc32(data) for data in tops]
        everyone = self.ranks.all(mine)
        for name in mine:
            if all(theirs.get(name) == mine[name] for theirs in everyone):
                text = "layer %s gives all %d processes the same batch, so that they learn no more"
                text += " than one: let it take batches by caffe.solver_rank() and solver_count()"
                self.say(text % (name, self.ranks.size))

    # What is logged

    def say(self, text):
        self.log("train.py", text)

    def log(self, place, text):
        """Log on rank 0 as Caffe does, with the line of its source for those who look for it."""
        if self.ranks.rank == 0:
            now = time.time()
            stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
            row = stamp, now % 1 * 1e6, os.getpid(), place, text
            sys.stderr.write("I%s.%06d %5d %s] %s\n" % row)
            sys.stderr.flush()

    def smooth(self, loss):
        """Average the loss over the last average_loss iterations, in Caffe's float32 steps."""
        most, recent = self.param.average_loss, self.recent
        if len(recent) < most:
            recent.append(loss)
            sum_before = self.smoothed * np.float32(len(recent) - 1)
            self.smoothed = (sum_before + loss) / np.float32(len(recent))
        else:
            i = (self.solver.iter - self.begin) % most
            self.smoothed += (loss - recent[i]) / np.float32(most)
            recent[i] = loss

    def display(self):
        iteration, now = self.solver.iter, time.time()
        passed, done = max(now - self.time, 1e-9), iteration - self.logged
        outputs = [self.net._blobs[i].data.ravel().copy() for i in self.net._outputs]
        everyone = self.ranks.all(outputs)
        text = "Iteration %d (%g iter/s, %gs/%d iters), loss = %g"
        row = iteration, done / passed, passed, self.param.display, self.smoothed
        self.log("solver.cpp:239", text % row)
        number = 0
        for i, values in zip(self.net._outputs, zip(*everyone)):
            if len(set(value.size for value in values)) == 1:
                values = [np.mean(values, 0, dtype=np.float32)]
            weight = np.float32(self.net._blob_loss_weights[i])
            for value in values[0]:
                text = "    Train net output #%d: %s = %g"
                text %= number, self.net._blob_names[i], value
                if weight:
                    text += " (* %g = %g loss)" % (weight, weight * value)
                self.log("solver.cpp:258", text)
                number += 1
        if hasattr(self.solver, "lr"):
            text = "Iteration %d, lr = %g"
            self.log("sgd_solver.cpp:112", text % (iteration, self.solver.lr))
        if done:
            images = (
                done * self.param.iter_size * self.batch() * self.ranks.size / passed
            )
            text = "%.*f images/s in " % (images < 100, images)
            share = 100 * self.talking / passed
            if self.ranks.size > 1:
                text += "%d processes, %.0f%% of the time in communication"
                self.say(text % (self.ranks.size, share))
            else:
                self.say(text + "one process")
        self.time, self.logged, self.talking = now, iteration, 0.0

    def batch(self):
        return (list(self.net._blobs[0].shape) or [1])[0]

    def last_look(self):
        """Log the loss and the TEST nets with the weights as they are at the end."""
        param, solver = self.param, self.solver
        if param.display and solver.iter % param.display == 0:
            self.loss = np.float32(0)
            self.net._forward(0, len(self.net.layers) - 1)
            loss = np.array([self.loss], np.float32)
            self.ranks.add(loss)
            self.smooth(loss[0] / np.float32(self.ranks.size))
            self.log(
                "solver.cpp:327",
                "Iteration %d, loss = %g" % (solver.iter, self.smoothed),
            )
        if (
            self.ranks.rank == 0
            and param.test_interval
            and solver.iter % param.test_interval == 0
        ):
            self.over = True
            try:
                solver.step(1)  # which tests at first
            except Over:
                pass


def read_solver(path):
    """Return the SolverParameter in a file, with the snapshot_prefix that Caffe makes of it."""
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    text = net_text.text_of(path)
    net_text.need_text(text, path, "solver")
    param = caffe_pb2.SolverParameter()
    try:
        text_format.Merge(net_text.shown(text), param)
    except text_format.ParseError as error:
        problem = "expected a solver: %s" % error
        if re.search(
            'no field named "(name|layers?|input|input_dim|state|force_backward)"',
            problem,
        ):
            problem = "expected a solver, got a net: name the solver that trains it"
        raise CommandError("%s: %s" % (path, problem))
    nets = [param.net, param.train_net] + list(param.test_net)
    for net in nets:
        if net:
            open(net).close()
    stem = os.path.splitext(path)[0]
    if not param.snapshot_prefix:
        param.snapshot_prefix = stem
    elif os.path.isdir(param.snapshot_prefix):
        param.snapshot_prefix = os.path.join(
            param.snapshot_prefix, os.path.basename(stem)
        )
    return param


def net_name(param):
    """Return the name of the net that is trained."""
    try:
        net = prototxt.load(param.net or param.train_net)
    except (EnvironmentError, ValueError):  # none, or one in the solver's own file
        return param.net_param.name or param.train_net_param.name
    return net.get("name", "")
