# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""What holds for any correct Caffe layer: a table of checks, functions of a Subject.

A check raises CheckFailed with a text for the author of the layer, or CheckSkipped. It
knows of the layer only what its fragment says. In the table CHECKS stand its name and
to which fragments it applies.
"""

import importlib
import itertools
import os
import sys
import textwrap
import traceback

import numpy as np

from . import diagnosis, double, engine, example, gradient, net, plot, sources, standin
from .net import CheckFailed
from .subject import (
    BATCHES,
    DRAWS,
    EXACT,
    TABLE_ROWS,
    CheckSkipped,
    Subject,
    all_equal,
    assert_same,
    show,
)
from .weights import check_weights, move_weights

MOST_COMBINATIONS = 4  # wanted bottoms of which all combinations are tried


def check_load(subject):
    """The fragment loads as it stands."""
    fragment, arrays = subject.fragment, subject.bottoms(BATCHES[0])
    text = "".join(
        net.source("Input", blob, array.shape)
        for blob, array in zip(unique_bottoms(fragment), arrays)
    )
    subject.reseed()
    loaded = net.load(
        subject.caffe, text.encode("utf-8") + fragment.text, fragment.phase
    )
    if len(loaded.params) and not wants_gradient(fragment):
        raise CheckSkipped(
            "it has weights that no check looks at: write a param { } for each"
        )


def unique_bottoms(fragment):
    """Return each bottom's name once: a layer may take a blob twice."""
    return sorted(set(fragment.bottoms), key=fragment.bottoms.index)


def check_shapes(subject):
    """Every top has a shape and finite numbers at every batch size."""
    for batch in BATCHES:
        arrays = subject.bottoms(batch)
        layer_net = subject.net(arrays)
        for name, top in zip(layer_net.tops, subject.forward(layer_net, arrays)):
            if not top.size:
                raise CheckFailed(
                    "batch %d: top %s has no elements, its shape is %s"
                    % (batch, name, top.shape)
                )
            if not np.all(np.isfinite(top)):
                where = tuple(np.argwhere(~np.isfinite(top))[0])
                raise CheckFailed(
                    "batch %d: top %s is %s at %s" % (batch, name, top[where], where)
                )


def check_forward(subject):
    """Forward leaves its bottoms alone and depends on them alone, net by net."""
    for draw in range(0, DRAWS, 2):
        arrays, others = [subject.bottoms(BATCHES[0], i) for i in (draw, draw + 1)]
        check_forward_of(subject, arrays, others)


def check_forward_of(subject, arrays, others):
    """Run forward on two different draws of bottoms, in two nets, and compare."""
    layer_net, other_net = subject.net(arrays), subject.net(arrays)
    first = subject.forward(layer_net, arrays)
    assert_same(
        "forward changed its bottom",
        layer_net.bottoms,
        layer_net.bottom_data(),
        arrays,
        EXACT,
    )
    diffs = subject.top_diffs(first), subject.diffs_like(arrays)
    gradient_before = layer_net.backward(*diffs)
    for what, run in (
        ("forward run again", layer_net),
        ("forward after one on other bottoms", layer_net),
        ("forward of a second net of the same layer", other_net),
    ):
        found = subject.forward(run, arrays)
        assert_same(
            what + " gave another top for the same bottoms:", run.tops, found, first
        )
        subject.forward(layer_net, others)
    larger = subject.bottoms(BATCHES[1])
    for second, bottoms in ((other_net, others), (subject.net(larger), larger)):
        subject.forward(layer_net, arrays)
        subject.forward(second, bottoms)
        assert_same(
            "after a forward of a second net of the same layer, "
            "backward gave another diff of",
            layer_net.variables,
            layer_net.backward(*diffs),
            gradient_before,
        )
    assert_keeps_loss_weight(subject, layer_net, arrays)


def assert_keeps_loss_weight(subject, layer_net, arrays):
    """Raise CheckFailed if a pass writes a loss's diff: Caffe has loss_weight there."""
    weights = subject.fragment.layer.all("loss_weight")
    losses = [i for i, weight in enumerate(weights) if weight]
    names = [layer_net.tops[i] for i in losses]
    kept = [
        np.float32(subject.rng.rand(*layer_net.top_diff(name).shape)) for name in names
    ]
    for what, run in (
        ("forward", lambda: subject.forward(layer_net, arrays)),
        ("backward", layer_net.net.backward),
    ):
        for name, diff in zip(names, kept):
            layer_net.top_diff(name)[...] = diff
        run()
        found = [layer_net.top_diff(name) for name in names]
        text = "%s wrote the diff, in which Caffe keeps loss_weight, of top" % what
        assert_same(text, names, found, kept, EXACT, ("after", "before"))


def check_batch(subject):
    """The same net follows a larger and a smaller batch, forward and backward."""
    layer_net = subject.net(subject.bottoms(BATCHES[0]))
    for before, batch in zip(BATCHES, BATCHES[1:] + BATCHES[:1]):
        subject.forward(layer_net, subject.bottoms(before, draw=before))
        arrays = subject.bottoms(batch, draw=batch)
        fresh = subject.net(arrays)
        what = "after batch %d, at batch %d, " % (before, batch)
        tops = subject.forward(fresh, arrays)
        assert_same(
            what + "another top than in a new net",
            fresh.tops,
            subject.forward(layer_net, arrays),
            tops,
        )
        if any(subject.fragment.wanted):
            diffs = subject.top_diffs(tops), subject.diffs_like(arrays)
            assert_same(
                what + "another gradient than in a new net, of",
                fresh.variables,
                layer_net.backward(*diffs),
                fresh.backward(*diffs),
            )


def check_expected_tops(subject):
    """Forward gives what the author's expected_tops says."""
    for draw, batch in enumerate(BATCHES):
        arrays = subject.bottoms(batch, draw)
        layer_net = subject.net(arrays)
        tops = subject.forward(layer_net, arrays)
        for name, top, expected in zip(
            layer_net.tops, tops, subject.expected(layer_net, arrays)
        ):
            if expected is None:
                continue
            expected = np.asarray(expected, np.float64)
            if expected.size == top.size == 1:
                expected = expected.reshape(top.shape)
            if expected.shape != top.shape:
                raise CheckFailed(
                    "top %s has the shape %s, expected_tops says %s"
                    % (name, top.shape, expected.shape)
                )
            tolerance = 1e-4 * np.abs(expected) + 3e-6 * np.max(np.abs(expected))
            assert_same(
                "forward and expected_tops differ in top",
                [name],
                [top],
                [expected],
                [tolerance + 1e-7],
                ("forward", "expected"),
            )


def check_gradient(subject):
    """Backward gives the slopes of forward, for each wanted bottom and each weight."""
    unmeasured = []
    for draw in range(DRAWS):
        unmeasured += check_gradient_of(subject, draw)
    for name in unmeasured:
        if unmeasured.count(name) == DRAWS:
            raise CheckSkipped(
                "the gradient of %s cannot be measured: forward has a kink at each of "
                "its elements; let make_bottoms give other values" % name
            )


def check_gradient_of(subject, draw):
    """Check the gradients at one draw of bottoms; return names that have only kinks."""
    unmeasured = []
    batch = BATCHES[draw % len(BATCHES)]
    arrays = subject.bottoms(batch, draw)
    layer_net = subject.net(arrays)
    if draw:
        move_weights(layer_net, subject.rng)
    tops = subject.forward(layer_net, arrays)
    assert_same_tops(subject, layer_net, arrays, tops)
    data = layer_net.bottom_data()
    assert_same("forward changed its bottom", layer_net.bottoms, data, arrays, EXACT)
    top_diffs = subject.top_diffs(tops, draw)
    others = [np.float32(-0.7) * diff for diff in top_diffs]
    diffs = subject.backward(layer_net, top_diffs, arrays)
    after, what = layer_net.bottom_data(), "backward changed the data of bottom"
    assert_same(what, layer_net.bottoms, after, data, EXACT)
    mistakes = [
        top_diff_mistakes(layer_net.tops, tops, given) for given in (top_diffs, others)
    ]
    texts = [text for text, _ in mistakes[0]]
    mistaken = [taken for pairs in mistakes for _, taken in pairs]
    values = arrays + [weight.data.copy() for weight in layer_net.weights]
    checked = subject.checked(layer_net)
    doubles = doubles_of(subject, layer_net, arrays, top_diffs)
    for i in checked:
        name, run = layer_net.variables[i], forward_of(subject, layer_net, arrays, i)
        point = gradient.Point(
            run, values[i], diffs[i], tops, top_diffs, subject.rng, mistaken
        )
        if subject.pictures and not draw:
            layer = subject.fragment.layer.get("name")
            numeric = gradient.numeric_gradient(point, subject.rng)
            plot.save(subject.pictures, layer, name, diffs[i], numeric)
        try:
            found = gradient.check(point, subject.rng, doubles(i))
        except gradient.NotMeasurable:
            unmeasured.append(name)
            found = None
        assert_same_tops(subject, layer_net, arrays, tops)
        if not found:
            continue
        lines = [gradient_table(name, found)]
        if found.numeric is not None:
            again = layer_net.backward(others, subject.diffs_like(arrays))[i]
            rest = [(layer_net.variables[j], diffs[j]) for j in checked if j != i]
            numbers = numbers_of(subject.fragment, batch, values[i])
            case = diagnosis.Case(diffs[i], again, found, texts, rest, numbers)
            lines += diagnosis.explain(case)
        whole = np.all(values[i] == np.round(values[i]))
        if len(arrays) > 1 and i < len(arrays) and whole:
            text = "%s holds whole numbers; labels want propagate_down: false"
            lines.append(text % name)
        raise CheckFailed("\n  ".join(lines))
    return unmeasured


def doubles_of(subject, layer_net, arrays, top_diffs):
    """Return a function of i: one that returns the Point of variable i in float64.

    Or None, where the layer does not run in float64 on the stand-in.
    """
    made = []

    def layer():
        if not made:
            try:
                weights = layer_net.values()
                made.append(double.DoubleLayer(subject, arrays, weights, top_diffs))
            except (Exception, standin.Abort):
                made.append(None)
        return made[0]

    def point_of(i):
        def point():
            it = layer()
            if it is None:
                return None
            values = it.arrays + [weight.data.copy() for weight in it.net.weights]
            run = forward_of(it, it.net, it.arrays, i)
            return gradient.Point(
                run, values[i], it.diffs[i], it.tops, it.top_diffs, subject.rng
            )

        return point

    return point_of


def assert_same_tops(subject, layer_net, arrays, tops):
    """Raise CheckFailed if forward gives other tops for the same bottoms."""
    what = "the gradient cannot be measured: the same bottoms gave another top"
    assert_same(what, layer_net.tops, subject.forward(layer_net, arrays), tops)


def forward_of(subject, layer_net, arrays, i):
    """Return forward as a function of variable i alone: a bottom, or a weight."""

    def of_bottom(array):
        return subject.forward(layer_net, arrays[:i] + [array] + arrays[i + 1 :])

    def of_weight(array):
        weight = layer_net.weights[i - len(arrays)]
        before = weight.data.copy()
        weight.data[...] = array
        tops = subject.forward(layer_net, arrays)
        weight.data[...] = before
        return tops

    return of_bottom if i < len(arrays) else of_weight


def top_diff_mistakes(names, tops, top_diffs):
    """Return pairs (text, arrays): what may be taken for the top diffs by mistake."""
    found = [
        ("the top's diff is ignored: it is right for a top diff of ones", np.ones_like),
        ("the top's diff is squared", np.square),
        ("it uses the absolute value of the top's diff", np.abs),
    ]
    found = [(text, [change(diff) for diff in top_diffs]) for text, change in found]
    found.append(("it uses the top's data instead of its diff", tops))
    if 1 < len(tops) <= MOST_COMBINATIONS:
        for forgotten, name in enumerate(names):
            others = [diff * (j != forgotten) for j, diff in enumerate(top_diffs)]
            found.append(("the diff of top %s is forgotten" % name, others))
    return found


def numbers_of(fragment, batch, array):
    """Return pairs (text, number): what a wrong factor may come from."""
    shape = array.shape
    found = [("the batch size", batch)]
    found += [
        ("the length of axis %d" % i, n) for i, n in enumerate(shape) if i or n != batch
    ]
    last = len(shape) - 1
    found += [
        ("the product of axes %d to %d" % (i, last), np.prod(shape[i:]))
        for i in range(last)
    ]
    found += [("loss_weight", weight) for weight in fragment.layer.all("loss_weight")]
    found += [
        ("the key %s" % key, value) for key, value in sorted(fragment.params.items())
    ]
    found += [
        ("the exponent of a square", 2),
        ("the number of bottoms", len(fragment.bottoms)),
    ]
    found += [("the number of tops", len(fragment.tops))]
    numbers = [
        (name, n) for name, n in found if isinstance(n, (int, float, np.integer))
    ]
    return [(name, abs(float(n))) for name, n in numbers if n not in (0, 1, -1)]


def gradient_table(name, found):
    """Return the message for a wrong gradient."""
    lines = ["the gradient of %s is wrong: %s" % (name, found.count)]
    lines.append(
        "  %-16s %13s %13s %11s %8s"
        % ("index", "backward", "measured", "error", "ratio")
    )
    for index, slope in found.rows[:TABLE_ROWS]:
        ratio = slope.analytic / slope.numeric if slope.numeric else np.inf
        where = "direction" if index is None else show(index)
        lines.append(
            "  %-16s %13.6g %13.6g %11.3g %8.4g"
            % (where, slope.analytic, slope.numeric, -slope.residual, ratio)
        )
    return "\n".join(lines)


def check_propagate_down(subject):
    """A bottom that is off keeps its diff, the others get the same gradient."""
    arrays, wanted = subject.bottoms(BATCHES[0]), subject.fragment.wanted
    complete = subject.net(arrays)
    tops = subject.forward(complete, arrays)
    top_diffs, garbage = subject.top_diffs(tops), subject.diffs_like(arrays)
    diffs = complete.backward(top_diffs, garbage)
    for flags in combinations(wanted):
        layer_net = subject.net(arrays, flags=flags)
        subject.forward(layer_net, arrays)
        found = layer_net.backward(top_diffs, garbage)
        what = "with propagate_down %s, " % ", ".join(
            str(flag).lower() for flag in flags
        )
        for i, name in enumerate(layer_net.variables):
            if i >= len(arrays) or flags[i]:
                assert_same(
                    what + "another gradient of", [name], [found[i]], [diffs[i]]
                )
            else:
                kept, columns = garbage[i].astype(np.float32), ("after", "before")
                assert_same(
                    what + "backward wrote the diff of",
                    [name],
                    [found[i]],
                    [kept],
                    EXACT,
                    columns,
                )


def combinations(wanted):
    """Return propagate_downs to try; of many bottoms none, all, each on, each off."""
    on = [i for i, want in enumerate(wanted) if want]
    if len(on) <= MOST_COMBINATIONS:
        chosen = [c for n in range(len(on) + 1) for c in itertools.combinations(on, n)]
    else:
        chosen = (
            [(), tuple(on)] + [(i,) for i in on] + [tuple(set(on) - {i}) for i in on]
        )
    return [[i in some for i in range(len(wanted))] for some in chosen]


def check_counts(subject):
    """Another number of bottoms or tops is refused, or it makes a difference."""
    arrays, tops = subject.bottoms(BATCHES[0]), len(subject.fragment.tops)
    reference = subject.forward(subject.net(arrays), arrays)
    extra = arrays[-1] if arrays else np.zeros((BATCHES[0], 3), np.float32)
    for changed in (arrays + [extra], arrays[:-1]):
        if len(changed) != len(arrays):
            what = "%d bottoms instead of %d" % (len(changed), len(arrays))
            assert_refused(what, subject, changed, tops, reference)
    for count in (tops + 1, tops - 1):
        what = "%d tops instead of %d" % (count, tops)
        assert_refused(what, subject, arrays, count, reference)


def assert_refused(what, subject, arrays, tops, reference):
    """Raise CheckFailed if the layer takes these counts and does not use them."""
    try:
        layer_net = subject.net(arrays, tops=tops)
        used = [layer_net.net.blobs[top].count for top in layer_net.tops]
        found = subject.forward(layer_net, arrays) if all(used) else []
        if len(arrays) > len(subject.fragment.bottoms):
            moved = [arrays[:-1] + [arrays[-1] + shift] for shift in (1, -1)]
            moved = [subject.forward(subject.net(m, tops=tops), m) for m in moved]
            used = [any(not all_equal(found, other) for other in moved)]
        elif len(arrays) < len(subject.fragment.bottoms):
            used = [not all_equal(found, reference)]
    except Exception:
        return
    if not all(used):
        raise CheckFailed(
            "the layer takes %s and ignores it: setup must check the counts" % what
        )


# What stands in for a value of another type; no conversion takes it by accident.
MISTYPED = ((bool, "no"), ((int, float), {}), (list, 7), (dict, 7), (object, []))


def check_param_str(subject):
    """Unknown and mistyped keys are refused; a missing one is, or is not needed."""
    fragment, arrays = subject.fragment, subject.bottoms(BATCHES[0])
    cases = [("the unknown key no_such_key", dict(fragment.params, no_such_key=1))]
    for key, value in fragment.params.items():
        other = next(other for kind, other in MISTYPED if isinstance(value, kind))
        cases.append(
            (
                "%r for %r instead of %r" % (other, str(key), value),
                dict(fragment.params, **{str(key): other}),
            )
        )
    for what, params in cases:
        try:
            layer_net = subject.net(arrays, layer=fragment.with_params(params))
            subject.forward(layer_net, arrays)
        except Exception:
            continue
        raise CheckFailed("param_str with %s was taken: expected an exception" % what)
    for key in fragment.params:
        params = dict(fragment.params)
        del params[key]
        try:
            layer_net = subject.net(arrays, layer=fragment.with_params(params))
        except Exception:
            continue
        try:
            subject.forward(layer_net, arrays)
        except Exception as error:
            raise CheckFailed(
                "param_str without %r loads and fails in forward: "
                "expected an exception from setup, or a default (%s: %s)"
                % (str(key), type(error).__name__, error)
            )


def always(fragment):
    return True


def has_bottoms(fragment):
    return bool(fragment.bottoms)


def is_source(fragment):
    return not fragment.bottoms


def has_weights(fragment):
    return bool(fragment.layer.all("param"))


def wants_gradient(fragment):
    return any(fragment.wanted) or has_weights(fragment)


# name of the check, its function, whether it applies to a fragment
CHECKS = (
    ("load", check_load, always),
    ("shapes", check_shapes, always),
    ("forward", check_forward, has_bottoms),
    ("batch", check_batch, has_bottoms),
    ("sequence", sources.check_sequence, is_source),
    (
        "phases",
        sources.check_phases,
        lambda f: is_source(f) and not f.layer.all("include"),
    ),
    ("ranks", sources.check_ranks, lambda f: is_source(f) and f.phase == 0),
    (
        "batch_size",
        sources.check_batch_size,
        lambda f: is_source(f) and "batch_size" in f.params,
    ),
    ("expected_tops", check_expected_tops, always),
    ("gradient", check_gradient, wants_gradient),
    ("propagate_down", check_propagate_down, wants_gradient),
    ("weights", check_weights, has_weights),
    ("counts", check_counts, always),
    ("param_str", check_param_str, lambda fragment: bool(fragment.params)),
    ("example", example.check_example, example.has_example),
)


def names(path):
    """Return the names of the checks that apply to the fragment in a file."""
    try:
        fragment = net.Fragment(path)
    except Exception:
        return ["load"]
    return [name for name, _, applies in CHECKS if applies(fragment)]


def run(name, caffe, path, make_bottoms, expected_tops, seeds, pictures=None):
    """Run one check with each seed; return [outcome, why]: pass, skip or fail.

    Args:
        name: a name in CHECKS.
        caffe: the module, real or the stand-in.
        path: the fragment's file, beside the layer's module.
        make_bottoms, expected_tops: the author's functions.
        seeds: a sequence of ints.
        pictures: the folder for pictures of the gradients, if they are wanted.
    """
    function = dict((check, function) for check, function, _ in CHECKS)[name]
    again = ""
    try:
        fragment = net.Fragment(path)
        import_layer(caffe, fragment)
        for seed in seeds:
            again = "with --seed=%d: " % seed if len(seeds) > 1 else ""
            function(
                Subject(caffe, fragment, make_bottoms, expected_tops, seed, pictures)
            )
    except KeyboardInterrupt:
        raise
    except CheckSkipped as reason:
        return ["skip", str(reason)]
    except BaseException as error:
        return ["fail", wrapped(again + describe(error, os.path.dirname(path)))]
    return ["pass", ""]


def wrapped(text):
    """Return a text with lines that fit into 100 columns, further lines indented."""
    lines = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())] + "  "
        lines += (
            textwrap.wrap(
                line,
                100,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            if len(line) > 100
            else [line]
        )
    return "\n".join(lines)


def import_layer(caffe, fragment):
    """Import what the fragment names: Caffe's own messages would hide why that fails.

    Raises CheckFailed.
    """
    module, name = fragment.python.get("module"), fragment.python.get("layer")
    place = "%s: expected the class %s in the module %s" % (
        os.path.basename(fragment.path),
        name,
        module,
    )
    try:
        layer = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise CheckFailed(place + ", but importing it fails: %s" % error)
    if layer is None:
        raise CheckFailed(place + ", which has none of that name")
    if not isinstance(layer, type) or not issubclass(layer, caffe.Layer):
        raise CheckFailed(place + " to be a caffe.Layer")
    own = [base for base in layer.__mro__ if base not in caffe.Layer.__mro__]
    for method in ("setup", "reshape", "forward"):
        if not any(method in vars(base) for base in own):
            raise CheckFailed(place + " to have the method " + method)


def describe(error, folder):
    """Return a message, with the author's lines that an exception came from."""
    if isinstance(error, CheckFailed):
        return str(error)
    lines = ["%s: %s" % (type(error).__name__, error)]
    frames = traceback.extract_tb(sys.exc_info()[2])
    harness = os.path.dirname(os.path.abspath(__file__))
    own = [
        f for f in frames if f[0].startswith(folder) and not f[0].startswith(harness)
    ]
    if not own and frames[-1][0].startswith(harness):
        own = frames[-1:]
    for path, line, function, text in own:
        lines.append(
            "  %s:%d in %s: %s" % (os.path.relpath(path, folder), line, function, text)
        )
    return engine.with_hint("\n".join(lines))
