"""Print what is in every bottom, top and weight: data in forward, diff in backward.

Without NET: the layer alone, on the bottoms that make_bottoms of its test makes.
--shapes prints the shapes alone: nothing is run. --plot draws what is in the blobs.
With NET: the layers of a net, one by one on real Caffe, so that a layer in place shows what it
got and what it gave. min, mean and max leave out NaN and Inf; ! marks the rows that have some.
"""

from __future__ import print_function

import argparse
import difflib
import errno
import importlib
import os
import re
import sys
import tempfile
import textwrap
import traceback

from . import CommandError, search_path
from .layer_folder import SUFFIX, Layer, add_layer_option, find_layer, layer_names
from .net_text import included, read_message, rules

np = search_path.import_numpy()

from ..checks import checks, engine, hints, isolation, prototxt, subject  # noqa: E402
from ..checks import net as layer_nets  # noqa: E402
from . import causes, trace_plots  # noqa: E402
from .doctor_child import caffe_pylayer_child  # noqa: E402

EXAMPLES = """examples:
  caffe-pylayer trace
  caffe-pylayer trace example/train_val.prototxt
  caffe-pylayer trace net.prototxt --shapes
  caffe-pylayer trace --plot pictures
  caffe-pylayer trace net.prototxt --weights net.caffemodel --only fc8
"""
PHASES = ("TRAIN", "TEST")
BLOB = "%-2s%-6s %-24s %-16s"
NUMBERS = " %9s %9s %9s %6s %5s %5s"
COLUMNS = ("min", "mean", "max", "zeros", "NaN", "Inf")
GARBAGE = np.float32(1000)  # in the diffs of this layer's bottoms before backward
NOTHING = np.float32(
    -0.0
)  # in other diffs: as Caffe's 0, but no sum of gradients gives -0


PLOTS = []  # the trace_plots.Plots that are drawn, one or none

A_YEAR = 365 * 24 * 3600.0  # seconds: a net may take its time, and there is Ctrl-C


def parse_arguments(parser, given):
    add = parser.add_argument
    add(
        "net",
        metavar="NET",
        nargs="?",
        help="prototxt; the files it names are as for caffe train",
    )
    add("--phase", choices=PHASES, help="phase of NET (TRAIN)")
    add(
        "--weights",
        metavar="FILE",
        help="caffemodel for NET; without, its fillers draw them",
    )
    add(
        "--only",
        metavar="LAYER",
        action="append",
        help="only this layer of NET; repeatable",
    )
    add(
        "--caffe",
        choices=engine.NAMES,
        help="run on real Caffe or on the numpy stand-in",
    )
    add("--shapes", action="store_true", help="only the shapes: nothing is run")
    add(
        "--plot",
        metavar="DIR",
        help="draw histograms of data and diff, and the net, into this folder",
    )
    add("--seed", type=int, default=0, help="of the random numbers (0)")
    add_layer_option(parser)
    arguments = parser.parse_args(given)
    if not arguments.net and (arguments.phase or arguments.weights or arguments.only):
        parser.error("expected a NET with --phase, --weights and --only, got none")
    if arguments.shapes and arguments.plot:
        parser.error("expected --shapes or --plot, got both")
    return arguments


def main(parser, given):
    """Trace in a process of its own, which Caffe may abort; return the exit code."""
    arguments = parse_arguments(parser, given)
    os.environ["GLOG_minloglevel"] = "0"  # so that Caffe logs which layer it creates
    if arguments.plot:
        trace_plots.need_matplotlib()
    wanted, layer = arguments.caffe or os.environ.get("CAFFE_ENGINE") or None, None
    if arguments.layer or not arguments.net:
        layer = find_layer(arguments.layer)
    elif layer_names(os.curdir):
        layer = Layer(os.getcwd(), None)
    if arguments.net:
        for path in [arguments.net] + [arguments.weights] * bool(arguments.weights):
            open(path).close()
        read_message(arguments.net)
        asked = "the stand-in was asked for" if wanted == "standin" else None
        missing = asked or engine.find_caffe()[1]
        if missing:
            raise CommandError("a net needs real Caffe, but %s" % missing)
        wanted = "real"
    try:
        kind, why = engine.choose(wanted)
    except engine.EngineUnavailable as error:
        raise CommandError(str(error))
    with tempfile.TemporaryFile() as log, os.fdopen(os.dup(2), "w", 1) as stderr:

        def run():
            os.dup2(log.fileno(), 2)
            sys.stderr = stderr
            return trace(arguments, layer, kind, why, log)

        try:
            problem = isolation.run_in_child(
                run, A_YEAR, layer.folder if layer else os.curdir
            )
        except isolation.ChildEnded as error:
            where = place(log) or arguments.net or layer.name
            problem = "%s: %s" % (where, last_words(log) or error)
    if problem:
        raise CommandError(problem)
    return 0


def trace(arguments, layer, kind, why, log):
    """Trace, with Caffe's messages in the log; return what is wrong, or None."""
    try:
        say("caffe: " + why)
        PLOTS[:] = [trace_plots.Plots(arguments.plot)] if arguments.plot else []
        if arguments.net:
            sys.path[:0] = [layer.folder] if layer else []
            trace_net(importlib.import_module("caffe"), arguments)
        else:
            with engine.running(kind, layer.folder) as caffe:
                trace_layer(caffe, layer, arguments)
        for plots in PLOTS:
            at("the pictures, after all layers")
            save(plots, arguments.net or layer.folder + "/" + layer.name + SUFFIX)
    except (CommandError, layer_nets.CheckFailed) as error:
        return str(error)
    except BaseException as error:
        if getattr(error, "errno", None) != errno.EPIPE:  # `| head` has seen enough
            where = place(log)
            text = "\n".join([describe(error)] + author_lines())
            return "%s: %s" % (where, text) if where else text
    return None


def save(plots, net):
    """Write the pictures and say where they are."""
    paths = plots.save()
    say("\n%d pictures of layers in %s" % (len(paths), plots.folder))
    path, missing = trace_plots.draw_net(net, plots.folder)
    say(missing or "a picture of the net: %s" % path)


def trace_layer(caffe, layer, arguments):
    """Trace the layer alone, as its tests run it."""
    name, batch, tests = (
        layer.name,
        subject.BATCHES[0],
        os.path.join(layer.folder, "tests"),
    )
    fragment = layer_nets.Fragment(os.path.join(layer.folder, name + SUFFIX))
    file = os.path.join(tests, "test_%s.py" % name)
    if not os.path.isfile(file):
        raise CommandError("%s is missing: trace needs its make_bottoms" % file)
    sys.path.insert(0, tests)
    make_bottoms = importlib.import_module("test_" + name).make_bottoms
    try:
        checks.import_layer(caffe, fragment)
    except layer_nets.CheckFailed as error:
        module = fragment.python.get("module")
        if "No module" not in str(error) or "." not in module:
            raise
        hint = causes.right_module(module, fragment.path)
        raise CommandError("%s: %s" % (error, hint))
    author = subject.Author(make_bottoms, None, None, False, False, None)
    tested = subject.Subject(caffe, fragment, author, arguments.seed)
    arrays = tested.bottoms(batch)
    at("layer %s, setup" % name)
    layer_net = tested.net(arrays)
    blobs = layer_net.net.blobs
    bottoms = [("bottom", blob, blobs[blob]) for blob in layer_net.bottoms]
    tops = [("top", blob, blobs[blob]) for blob in layer_net.tops]
    weights = [("weight", i, blob) for i, blob in enumerate(layer_net.all_weights)]

    if arguments.shapes:
        at("layer %s, reshape" % name)
        layer_net.reshape(arrays)
        say("\nshapes, for make_bottoms(rng, %d)" % batch)
        show_shapes(name, "Python", bottoms + weights + tops)
        return
    say("\nforward: data, for make_bottoms(rng, %d)" % batch)
    at("layer %s, forward" % name)
    layer_net.reshape(arrays)
    for (_, _, blob), array in zip(
        bottoms, arrays
    ):  # where it works in place, it is not yet there
        blob.data[...] = array
    head(name, "Python")
    show(bottoms + weights, "data")
    values = tested.forward(layer_net, arrays)
    show(tops, "data")

    if not any(fragment.wanted) and not weights:
        say(
            "\nbackward: not run, for no bottom wants a gradient and there are no weights"
        )
        return
    loss_weights = fragment.layer.all("loss_weight") or [0] * len(tops)
    start = "loss_weight" if all(loss_weights) else "random numbers of +-0.5 to 1.5"
    say(
        "\nbackward: diff, from %s; before, the bottoms' diffs hold %g"
        % (start, GARBAGE)
    )
    at("layer %s, backward" % name)
    diffs = [
        weight or diff for weight, diff in zip(loss_weights, tested.diffs_like(values))
    ]
    for (_, _, blob), diff in zip(tops, diffs):
        blob.diff[...] = diff
    clear(weights)
    head(name, "Python")
    show(tops, "diff")
    layer_net.backward(
        diffs, [GARBAGE] * len(bottoms), [NOTHING] * len(layer_net.weights)
    )
    show(weights, "diff", NOTHING)
    show(bottoms, "diff", GARBAGE)


def trace_net(caffe, arguments):
    """Trace the layers of a net."""
    phase = arguments.phase or PHASES[0]
    import_layers(caffe, arguments.net, PHASES.index(phase))
    np.random.seed(arguments.seed % 2**32)
    caffe.set_random_seed(arguments.seed % 2**31 + 1)
    net = caffe.Net(arguments.net, PHASES.index(phase))
    steps = steps_of(net)
    tell_shapes(step for step in steps if step.type == "Python")
    names = [step.name for step in steps if not step.inserted]
    for name in arguments.only or []:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1, 0) or ["none"]
            text = "expected a layer of %s in phase %s, the nearest is %s, got %s"
            raise CommandError(text % (arguments.net, phase, near[0], name))
    shown = [step for step in steps if step.name in (arguments.only or names)]
    if arguments.shapes:
        say("\nshapes, in phase %s" % phase)
        for step in shown:
            show_shapes(step.name, step.type, step.bottoms + step.weights + step.tops)
        at("the end, after all layers")
        return
    if arguments.weights:
        copy_weights(net, arguments.weights, [step for step in steps if step.weights])

    say("\nforward: data, in phase %s" % phase)
    for name in net.inputs:
        say("input %s: random numbers from 0 to 1" % name)
        net.blobs[name].data[...] = np.random.rand(*net.blobs[name].shape)
    for step in steps:
        step.forward(step in shown)

    if any(net._blob_loss_weights):
        say(
            "\nbackward: diff, from each loss_weight; not written is what Caffe asks no diff for"
        )
    else:
        say(
            "\nbackward: diff, from random numbers of +-0.5 to 1.5, as no top has a loss_weight;"
        )
        say(
            "Caffe then asks for no other diff, unless the net says force_backward: true"
        )
        for diff in [net.blobs[name].diff for name in net.outputs]:
            diff[...] = np.random.uniform(0.5, 1.5, diff.shape)
            diff *= np.random.choice([-1, 1], diff.shape)
    for step in steps:
        clear(step.weights)
    left = [step for step in reversed(steps) if not step.backward(step in shown)]
    at("the end, after all layers")
    say_names("no diff comes to the tops of", [step for step in left if step in shown])


def tell_shapes(steps):
    """Tell the doctor, where it asks, the bottoms of layers: name, and blobs with shapes."""
    if "CAFFE_PYLAYER_FACTS" in os.environ:
        told = [
            (step.name, [(name, list(blob.shape)) for _, name, blob in step.bottoms])
            for step in steps
        ]
        caffe_pylayer_child.tell(bottoms=told)


def copy_weights(net, path, steps):
    """Copy the weights in a file, and say which layers' stay as the fillers drew them."""
    at(path)
    drawn = [step.weights[0][2].data.copy() for step in steps]
    net.copy_from(path)
    same = [
        np.array_equal(step.weights[0][2].data, old) for step, old in zip(steps, drawn)
    ]
    say_names(
        "%s does not change weight 0 of" % path,
        [s for s, old in zip(steps, same) if old],
    )


def import_layers(caffe, path, phase):
    """Import the Python layers of a net: when Caffe does it, it does not say what is wrong."""
    for message in read_message(path).all("layer"):
        python = message.get("python_param", prototxt.Message())
        if python.get("module") and included(rules(message), (PHASES[phase], set(), 0)):
            try:
                checks.import_layer(caffe, argparse.Namespace(path=path, python=python))
            except layer_nets.CheckFailed as error:
                hint = ": " + causes.right_module(python.get("module"), path)
                hint = hint if "No module" in str(error) else ""
                raise CommandError(
                    "layer %s: %s%s" % (message.get("name"), error, hint)
                )


def steps_of(net):
    """Return the Steps of a net, in order; a blob that Caffe splits keeps its name."""
    names = list(net._blob_names)
    steps = []
    for i in range(len(net.layers)):
        steps.append(Step(net, i, names))
        if steps[i].inserted:
            for top in net._top_ids(i):
                names[top] = names[net._bottom_ids(i)[0]]
    return steps


class Step(object):
    """A layer in its place in a net, with its blobs; `inserted` when Caffe put it there."""

    def __init__(self, net, i, names):
        layer, bottoms, tops = (
            net.layers[i],
            list(net._bottom_ids(i)),
            list(net._top_ids(i)),
        )
        self.net, self.i, self.name = net, i, net._layer_names[i]
        self.type = layer.type
        self.inserted = self.type == "Split" and bool(
            re.search(r"_\d+_split$", self.name)
        )
        self.bottoms = [("bottom", names[j], net._blobs[j]) for j in bottoms]
        self.tops = [("top", names[j], net._blobs[j]) for j in tops]
        self.weights = [("weight", j, blob) for j, blob in enumerate(layer.blobs)]
        in_place_or_loss = [j in bottoms or net._blob_loss_weights[j] for j in tops]
        self.plain = [
            row for row, is_one in zip(self.tops, in_place_or_loss) if not is_one
        ]

    def forward(self, shown):
        at("layer %s, forward" % self.name)
        if shown:
            head(self.name, self.type)
            show(self.bottoms + self.weights, "data")
        self.net._forward(self.i, self.i)
        if shown:
            show(self.tops, "data")
        clear(
            self.plain
        )  # now, because the next layer may keep something there (HingeLoss)

    def backward(self, shown):
        """Return whether a diff comes to a top: only then there is something to show."""
        at("layer %s, backward" % self.name)
        comes = not all(untouched(blob, NOTHING) for _, _, blob in self.tops)
        if shown and comes:
            head(self.name, self.type)
            show(self.tops, "diff")
        self.net._backward(self.i, self.i)
        if shown and comes:
            show(self.weights + self.bottoms, "diff", NOTHING)
        return comes


def clear(rows):
    for _, _, blob in rows:
        if blob.count:
            blob.diff[...] = NOTHING


def untouched(blob, before):
    """Whether every element of the diff is, to the bit, what was there before."""
    return not blob.count or np.all(blob.diff.view(np.int32) == before.view(np.int32))


def show_shapes(name, kind, rows):
    say("%s (%s)" % (name, kind))
    for role, blob, values in rows:
        say("  %-6s %-24s %s" % (role, blob, shape_of(values)))


def shape_of(blob):
    return "x".join("%d" % dim for dim in blob.shape) or "scalar"


def head(name, kind):
    for plots in PLOTS:
        plots.start(name, kind)
    title = "%s (%s)" % (shortened(name, 47 - len(kind)), kind)
    say("%-50s" % title + NUMBERS % COLUMNS)


def show(rows, which, before=None):
    """Say what is in the data or the diff of blobs; `before` is what was in it before backward."""
    for kind, name, blob in rows:
        mark, numbers = "", "%30s" % "no elements"
        shape = shape_of(blob)
        for plots in PLOTS if blob.count else ():
            written = before is None or not untouched(blob, before)
            plots.add(
                kind, name, shape, which, getattr(blob, which) if written else None
            )
        if blob.count and before is not None and untouched(blob, before):
            numbers = "%30s" % "not written"
        elif blob.count:
            bad, numbers = summary(getattr(blob, which))
            mark = "!" * bad
        say(BLOB % (mark, kind, shortened("%s" % name, 24), shape) + numbers)


def summary(array):
    """Return whether there is a NaN or an Inf, and the numbers of a row."""
    with np.errstate(invalid="ignore"):
        bad = not np.isfinite([array.min(), array.max()]).all()
    finite = array[np.isfinite(array)] if bad else array
    figures = ("-", "-", "-")
    if finite.size:
        mean = finite.mean(dtype=np.float64)
        figures = tuple(
            "%.3g" % (value + 0.0) for value in (finite.min(), mean, finite.max())
        )
    nans = np.count_nonzero(np.isnan(array)) if bad else 0
    zeros = array.size - np.count_nonzero(array)
    counts = tuple(
        "%d" % count if count < 100000 else "%.0e" % count
        for count in (nans, array.size - finite.size - nans)
    )
    return bad, NUMBERS % (figures + (percent(zeros, array.size),) + counts)


def percent(part, whole):
    """Return a share; 0% and 100% are exact."""
    share = 100.0 * part / whole
    return "%.3g%%" % (min(max(share, 0.1), 99.9) if 0 < part < whole else share)


def shortened(text, width):
    """Return a text that fits, its middle left out where it is too long."""
    half = (width - 2) // 2
    return (
        text if len(text) <= width else text[: width - 2 - half] + ".." + text[-half:]
    )


def say(line):
    print(line)
    sys.stdout.flush()


def say_names(what, steps):
    if steps:
        text = "%s %s" % (what, ", ".join(step.name for step in steps))
        say(textwrap.fill(text, 100, subsequent_indent="  "))


def at(where):
    """Write to the log where we are, for the message if it ends here."""
    print("At " + where, file=sys.__stderr__)
    sys.__stderr__.flush()


def read(log):
    log.seek(0)
    text = log.read()
    return text if str is bytes else text.decode("utf-8", "replace")


def place(log):
    """Return where we are by the log: at a layer, and what it is doing, or at a file."""
    places = re.findall(r"(?m)(?:^At |\] Creating (?=layer ))(.*)$", read(log))
    return "".join(places[-1:])


def last_words(log):
    """Return why Caffe ended the process, None if it did not say."""
    for pattern in (r"(?m)\] (Error parsing .*)$", r"(?m)^F\d+ .*?\] (.*)$"):
        reasons = re.findall(pattern, read(log))
        if reasons:
            return hints.with_hint(reasons[-1].strip())
    return None


def describe(error):
    return hints.with_hint("%s: %s" % (type(error).__name__, error))


def author_lines():
    """Return the lines that raised the exception being handled, but not ours or a library's."""
    modules = (os, np, sys.modules.get("caffe", os), sys.modules[__name__], engine)
    ours = tuple(
        os.path.dirname(os.path.abspath(module.__file__)) for module in modules
    )
    lines = []
    for path, line, function, text in traceback.extract_tb(sys.exc_info()[2]):
        if path[:1] != "<" and not os.path.abspath(path).startswith(ours):
            path = min(os.path.relpath(path), path, key=len)
            lines.append("  %s:%d in %s: %s" % (path, line, function, text))
    return lines
