# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""What holds for any correct Caffe layer: a table of checks, functions of a Subject.

A check raises CheckFailed with a text for the author of the layer, or CheckSkipped. It
knows of the layer only what its fragment says. In the table CHECKS stand its name and
to which fragments it applies.
"""

import contextlib
import functools
import importlib
import itertools
import os
import sys
import textwrap
import traceback

import numpy as np
import numpy.random  # once: numpy 2 would import it in each check's process

from . import (
    advice,
    diagnosis,
    double,
    example,
    gradient,
    hints,
    net,
    plot,
    reached,
    sources,
)
from .net import CheckFailed
from .standin import CaffeAborted, NotInStandin
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
from .weights import assert_same_or_advise, check_weights, move_weights

RANDOM = "random numbers must come from numpy.random, which is seeded before each pass"
STATE = "; for state that is kept on purpose say check(..., stateful=True)"
STALE = (
    "does it keep something of an earlier batch, such as what reshape made of it, or "
    "draw random numbers from elsewhere than numpy.random?"
)
ANOTHER_TOP = "the gradient cannot be measured: the same bottoms gave another top"
REPEATS = 4  # of forward at the end: what it counts may show late
MANY_ELEMENTS = 25000  # of all bottoms, from which fewer draws show as much
LARGE_DRAWS = (2, 3)  # these: two batch sizes, weights off their initial values
MOST_COMBINATIONS = 4  # wanted bottoms of which all combinations are tried


def check_load(subject):
    """The fragment loads as it stands."""
    fragment, arrays = subject.fragment, subject.bottoms(BATCHES[0])
    text = "".join(
        net.source("Input", blob, array.shape)
        for blob, array in zip(unique_bottoms(fragment), arrays)
    )
    subject.reseed()
    text = text.encode("utf-8") + fragment.text
    try:
        loaded = net.load(subject.caffe, text, fragment.phase)
    except Exception as error:
        error.note = shapes_of(fragment.bottoms, arrays)
        raise
    if len(loaded.params) and not wants_gradient(fragment):
        raise CheckSkipped(
            "it has weights that no check looks at: write a param { } for each"
        )


def shapes_of(bottoms, arrays):
    """Return a line that says what shapes the bottoms have, None without any."""
    pairs = ["%s %s" % (name, a.shape) for name, a in zip(bottoms, arrays)]
    return "bottoms: " + ", ".join(pairs) if pairs else None


def unique_bottoms(fragment):
    """Return each bottom's name once: a layer may take a blob twice."""
    return sorted(set(fragment.bottoms), key=fragment.bottoms.index)


def check_shapes(subject):
    """Every top has a shape and finite numbers at every batch size."""
    for batch in BATCHES:
        arrays = subject.bottoms(batch)
        assert_filled(subject, subject.net(arrays), arrays, "batch %d: " % batch)


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
        text = what + " gave another top for the same bottoms:"
        assert_repeats(subject, text, run.tops, found, first)
        subject.forward(layer_net, others)
    assert_same_as_new(subject, layer_net, arrays, others)
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


def assert_same_as_new(subject, layer_net, arrays, others):
    """Raise CheckFailed if a pass shows what an earlier batch left behind."""
    what = "%s after one on other bottoms of the same shape gave another %s "
    what += "than in a new net:"
    fresh_net = subject.fresh_net(others)
    fresh = subject.forward(fresh_net, others)
    subject.forward(layer_net, arrays)
    found = subject.forward(layer_net, others)
    assert_same(what % ("forward", "top"), layer_net.tops, found, fresh)
    if wants_gradient(subject.fragment):
        diffs = subject.top_diffs(fresh), subject.diffs_like(others)
        assert_same_or_advise(
            STALE,
            what % ("backward", "diff"),
            layer_net.variables,
            layer_net.backward(*diffs),
            fresh_net.backward(*diffs),
        )


def assert_repeats(subject, *arguments):
    """Call assert_same; what may make a pass give something else stands below."""
    hint = RANDOM if subject.author.stateful else RANDOM + STATE
    assert_same_or_advise(hint, *arguments)


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
        assert_same_or_advise(
            STALE,
            what + "another top than in a new net",
            fresh.tops,
            subject.forward(layer_net, arrays),
            tops,
        )
        if any(subject.fragment.wanted):
            diffs = subject.top_diffs(tops), subject.diffs_like(arrays)
            assert_same_or_advise(
                STALE,
                what + "another gradient than in a new net, of",
                fresh.variables,
                layer_net.backward(*diffs),
                fresh.backward(*diffs),
            )


def check_expected_tops(subject):
    """Forward gives what the author's expected_tops says."""
    for draw, batch in enumerate(BATCHES):
        if not assert_expected(subject, batch, draw):
            raise CheckSkipped(
                "expected_tops returns None: the values of the tops are unchecked"
            )


def assert_expected(subject, batch, draw):
    """Raise CheckFailed unless forward gives expected_tops; return if there are any."""
    arrays = subject.bottoms(batch, draw)
    layer_net = subject.net(arrays)
    tops = subject.forward(layer_net, arrays)
    wanted = subject.expected(layer_net, arrays)
    for name, top, expected in zip(layer_net.tops, tops, wanted or ()):
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
        what = "batch %d: forward and expected_tops differ in top" % batch
        assert_close(what, name, top, expected, ("forward", "expected"))
    return wanted is not None


def assert_close(what, name, found, expected, columns):
    """Raise CheckFailed unless an array is the expected one, but for rounding."""
    expected = np.asarray(expected, np.float64)
    largest = np.max(np.abs(expected)) if expected.size else 0.0
    tolerance = 1e-4 * np.abs(expected) + 3e-6 * largest + 1e-7
    assert_same(what, [name], [found], [expected], [tolerance], columns)


def check_gradient(subject):
    """Backward gives the slopes of forward, for each wanted bottom and each weight."""
    unmeasured, draws, nets = [], draws_of(subject), ({}, [])
    for draw in draws:
        whole = draw in (draws[0], 1)  # in a larger batch more may be left unwritten
        last = len(draws) == DRAWS and draw >= DRAWS - len(BATCHES)  # of that batch
        repeats = REPEATS if last else 1
        arguments = draw, batch_of(draw), nets, whole, repeats
        unmeasured += check_gradient_of(subject, *arguments)
    for name in unmeasured:
        if unmeasured.count(name) == len(draws):
            raise CheckSkipped(
                "the gradient of %s cannot be measured: forward jumps or bends near "
                "each of its elements, or values so large hide its changes in float32; "
                "let make_bottoms give others, of about 1" % name
            )


def draws_of(subject):
    """Return the draws of bottoms that show all: large ones show as much in fewer."""
    arrays = subject.bottoms(batch_of(LARGE_DRAWS[0]), LARGE_DRAWS[0])
    large = sum(array.size for array in arrays) > MANY_ELEMENTS
    return LARGE_DRAWS if large else range(DRAWS)


def batch_of(draw):
    return BATCHES[draw % len(BATCHES)]


def check_gradient_of(subject, draw, batch, nets, whole=True, repeats=REPEATS):
    """Check the gradients at one draw of bottoms; return names that have only kinks.

    A picture is of the first draw. What values matter little for, such as whether
    backward overwrites, is looked at where the check is to be whole. `nets` are a dict
    of those of earlier draws by the bottoms' shapes, and a list of that in float64:
    they are used again. At the end forward is repeated.
    """
    unmeasured = []
    arrays = subject.bottoms(batch, draw)
    shapes, (nets, fine_nets) = tuple(array.shape for array in arrays), nets
    is_first = not nets
    if shapes not in nets:
        nets[shapes] = subject.net(arrays)
    layer_net = nets[shapes]
    if draw:
        move_weights(subject, layer_net, arrays)
    tops = subject.forward(layer_net, arrays)
    data = layer_net.bottom_data()
    assert_same("forward changed its bottom", layer_net.bottoms, data, arrays, EXACT)
    top_diffs = subject.top_diffs(tops, draw)
    others = [np.float32(-0.7) * diff for diff in top_diffs]
    again = functools.partial(assert_same_tops, subject, layer_net, arrays, tops)
    diffs = subject.backward(layer_net, top_diffs, arrays, again if whole else None)
    after, what = layer_net.bottom_data(), "backward changed the data of bottom"
    assert_same(what, layer_net.bottoms, after, data, EXACT)

    def mistakes(given):
        return top_diff_mistakes(subject.fragment, tops, given)

    def mistaken():
        pairs = mistakes(top_diffs) + mistakes(others)
        return [taken for _, taken in pairs]

    checked = subject.checked(layer_net)
    single = double.Passes(subject, layer_net, arrays)
    arguments = subject, layer_net, arrays, tops, top_diffs, mistaken, fine_nets
    doubles = double.Doubles(*arguments)
    known = subject.expected_diffs(layer_net, arrays, top_diffs)
    for i in checked:
        if i < len(arrays) and known[i] is not None:
            assert_close(
                "backward and expected_diffs differ in the diff of",
                layer_net.variables[i],
                diffs[i],
                known[i],
                ("backward", "expected"),
            )
            continue
        name = layer_net.variables[i]
        point = single.point(i, top_diffs, mistaken, (diffs[i], tops))
        if is_first and batch in BATCHES:
            save_picture(subject, name, draw, batch, point)
        try:
            found = gradient.check(
                point, subject.rng, functools.partial(doubles.point, i)
            )
        except gradient.NotMeasurable:
            unmeasured.append(name)
            found = None
        if not found:
            continue
        again()
        for other in filter(None, (found.point, doubles.point(i))):
            found_again = other.run(other.bottom.astype(other.dtype))
            assert_repeats(
                subject, ANOTHER_TOP, layer_net.tops, found_again, other.tops
            )
        save_picture(subject, name, draw, batch, found.point, found.numeric)
        case = None
        if found.numeric is not None:
            rest = [(layer_net.variables[j], diffs[j]) for j in checked if j != i]
            texts = [text for text, _ in mistakes(top_diffs)]
            case = case_of(subject, draw, batch, i, found, others, texts, rest)
        raise CheckFailed(message_of(layer_net, arrays, diffs[i], i, found, case))
    for _ in range(repeats):
        again()
    if whole and batch in BATCHES:
        for i in checked:
            if i < len(arrays) and known[i] is None:
                check_ties(layer_net.variables[i], doubles.point(i), subject.rng)
    return unmeasured


def case_of(subject, draw, batch, i, found, others, texts, rest):
    """Return the diagnosis.Case of a wrong gradient."""
    at, value = found.point, found.point.bottom.astype(found.point.dtype)
    blobs = zip(subject.fragment.bottoms, subject.bottoms(batch, draw))
    return diagnosis.Case(
        at.diff,
        at.backward(value, others)[0],
        found,
        texts,
        rest,
        numbers_of(subject.fragment, batch, value),
        [blob for j, blob in enumerate(blobs) if j != i],
        functools.partial(is_constant, at.run, value),
        functools.partial(factor_at_another_batch, subject, draw, batch, i),
    )


def message_of(layer_net, arrays, diff, i, found, case):
    """Return the message for a wrong gradient, with why where elements were seen."""
    name, constant = layer_net.variables[i], case and diagnosis.constant(case)
    lines = [gradient_table(name, found, constant)]
    lines += diagnosis.explain(case) if case else []
    if i in layer_net.in_place:
        lines.append("in place backward sees the top's data, not the bottom's")
    if 1 < len(arrays) > i and not np.any(diff):
        if np.all(arrays[i] == np.round(arrays[i])):
            text = "%s holds whole numbers; labels want propagate_down: false"
            lines.append(text % name)
    return "\n  ".join(lines)


def save_picture(subject, name, draw, batch, point, numeric=None):
    """Write the picture of a gradient, if they are wanted, over one of another draw."""
    if subject.pictures:
        if numeric is None:
            numeric = gradient.numeric_gradient(point, subject.rng)
        layer = subject.fragment.layer.get("name")
        drawn = "batch %d, draw %d, --seed=%d" % (batch, draw, subject.seed)
        if batch not in BATCHES:
            name += " batch %d" % batch
        plot.save(subject.pictures, layer, name, drawn, point.diff, numeric)


def check_ties(name, point, rng):
    """Raise CheckFailed if the gradient is wrong where elements are equal."""
    slope = point and gradient.wrong_at_ties(point, rng)
    if slope:
        raise CheckFailed(
            "the gradient of %s is wrong where elements are equal (ties): %.6g instead "
            "of %.6g along a direction that keeps them equal"
            % (name, slope.analytic, slope.numeric)
        )


def is_constant(run, array, indices):
    """Whether no top changes where one of these elements does, a little."""
    size, tops, changes = gradient.step_sizes(array), run(array), 0
    for index in indices:
        moved = array.copy()
        moved[index] += 1e-3 * size[index]
        changes += not all_equal(run(moved), tops)
    return 5 * changes <= len(indices)  # one of five may be at a kink


def factor_at_another_batch(subject, draw, batch, i):
    """Return by which factor a diff is wrong at another batch size, and the numbers.

    None where that cannot be told.
    """
    batch = BATCHES[1] if batch != BATCHES[1] else BATCHES[0]
    arrays = subject.bottoms(batch, draw)
    layer_net = subject.net(arrays)
    tops = subject.forward(layer_net, arrays)
    top_diffs = subject.top_diffs(tops, draw)
    diff = layer_net.backward(top_diffs, subject.diffs_like(arrays))[i]
    point = double.Doubles(subject, layer_net, arrays, tops, top_diffs, list, []).point(
        i
    )
    if point is None:
        single = double.Passes(subject, layer_net, arrays)
        point = single.point(i, top_diffs, list, (diff, tops))
    numeric = gradient.numeric_gradient(point, subject.rng)
    factor = diagnosis.factor_of(point.diff, numeric)
    return factor and (factor, numbers_of(subject.fragment, batch, point.bottom))


def assert_same_tops(subject, layer_net, arrays, tops):
    """Raise CheckFailed if forward gives other tops for the same bottoms."""
    again = subject.forward(layer_net, arrays)
    assert_repeats(subject, ANOTHER_TOP, layer_net.tops, again, tops)


def top_diff_mistakes(fragment, tops, top_diffs):
    """Return pairs (text, arrays): what may be taken for the top diffs by mistake."""
    given = [fragment.gets_diff(j) for j in range(len(tops))]
    found = [
        ("the top's diff is ignored: it is right for a top diff of ones", np.ones_like),
        ("the top's diff is squared", np.square),
        ("it uses the absolute value of the top's diff", np.abs),
    ]
    found = [
        (text, [change(diff) * is_given for diff, is_given in zip(top_diffs, given)])
        for text, change in found
    ]
    found.append(("it uses the top's data instead of its diff", tops))
    if 1 < len(tops) <= MOST_COMBINATIONS:
        for forgotten, name in enumerate(fragment.tops):
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


def gradient_table(name, found, constant=False):
    """Return the message for a wrong gradient; what is constant has the slope 0."""
    lines = ["the gradient of %s is wrong: %s" % (name, found.count)]
    lines.append(
        "  %-16s %13s %13s %11s %8s"
        % ("index", "backward", "measured", "error", "ratio")
    )
    for index, slope in found.rows[:TABLE_ROWS]:
        numeric = 0.0 if constant else slope.numeric
        ratio = slope.analytic / numeric if numeric else np.inf
        where = "direction" if index is None else show(index)
        lines.append(
            "  %-16s %13.6g %13.6g %11.3g %8.4g"
            % (where, slope.analytic, numeric, -slope.residual, ratio)
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
            elif i not in layer_net.in_place:
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


def check_test_phase(subject):
    """A layer of TRAIN also works in TEST, at every batch size, and fills its tops."""
    for batch in BATCHES:
        arrays = subject.bottoms(batch)
        with said("in TEST: "):
            layer_net = subject.net(arrays, phase=1)
            assert_filled(subject, layer_net, arrays, "batch %d: " % batch)


@contextlib.contextmanager
def said(words):
    """Put words before the message of what is raised."""
    try:
        yield
    except BaseException as error:
        error.words = words  # an exception's own text may be made of anything
        raise


def assert_filled(subject, layer_net, arrays, what):
    """Raise CheckFailed unless forward gives every top finite numbers, all of them.

    The tops hold NaN before: Caffe does not clear them.
    """
    for name, top in zip(layer_net.tops, subject.forward(layer_net, arrays)):
        if not top.size:
            text = "%stop %s has no elements, its shape is %s"
            raise CheckFailed(text % (what, name, top.shape))
        if name not in layer_net.bottoms:
            layer_net.net.blobs[name].data[...] = np.nan
    for name, top in zip(layer_net.tops, subject.forward(layer_net, arrays)):
        if not np.all(np.isfinite(top)):
            where = np.argwhere(~np.isfinite(top))[0]
            text = "%stop %s is %s at %s: forward must write finite numbers everywhere"
            value = top[tuple(where)]
            raise CheckFailed(text % (what, name, value, show(where)))


def check_batch_of_one(subject):
    """A batch of one works, or is refused with a ValueError; its gradient is right."""
    try:
        arrays = subject.bottoms(1)
    except Exception as error:
        raise CheckSkipped("make_bottoms gives no batch of one: %s" % error)
    try:
        with said("with a batch of one: "):
            layer_net = subject.net(arrays)
            tops = subject.forward(layer_net, arrays)
    except ValueError:
        if reached.is_refusal(sys.exc_info()[2]):
            return
        raise
    if not all(np.all(np.isfinite(top)) for top in tops):
        subject.advise("a batch of one gives tops that are not finite")
        return
    with said("with a batch of one: "):
        assert_expected(subject, 1, 0)
        if wants_gradient(subject.fragment):
            check_gradient_of(subject, 0, 1, ({}, []))


def check_loss_weight(subject):
    """A loss has a loss_weight, or else Caffe does not train on it."""
    arrays = subject.bottoms(BATCHES[0])
    tops = subject.forward(subject.net(arrays), arrays)
    if all(top.size == 1 for top in tops) and max(array.size for array in arrays) > 1:
        raise CheckFailed(
            "Caffe does not train on it: its top is one number and the prototxt has no "
            "loss_weight. Write loss_weight: 1 for a loss; for a number to watch, "
            "propagate_down: false for each bottom"
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


def has_keys(fragment):
    return bool(fragment.params)


def works_in_both(fragment):
    return fragment.phase == 0 and not fragment.layer.all("include")


FAULT, ADVICE = "fault", "advice"  # what a check that fails is: wrong in Caffe, or not

# name of the check, its function, whether it applies to a fragment, FAULT or ADVICE
CHECKS = (
    ("load", check_load, always, FAULT),
    ("shapes", check_shapes, always, FAULT),
    ("forward", check_forward, has_bottoms, FAULT),
    ("batch", check_batch, has_bottoms, FAULT),
    ("batch_of_one", check_batch_of_one, has_bottoms, FAULT),
    ("test_phase", check_test_phase, works_in_both, FAULT),
    ("sequence", sources.check_sequence, is_source, FAULT),
    (
        "phases",
        sources.check_phases,
        lambda f: is_source(f) and not f.layer.all("include"),
        ADVICE,
    ),
    ("ranks", sources.check_ranks, lambda f: is_source(f) and f.phase == 0, ADVICE),
    (
        "batch_size",
        sources.check_batch_size,
        lambda f: is_source(f) and "batch_size" in f.params,
        ADVICE,
    ),
    ("expected_tops", check_expected_tops, always, FAULT),
    (
        "loss_weight",
        check_loss_weight,
        lambda f: any(f.wanted) and not f.layer.all("loss_weight"),
        FAULT,
    ),
    ("gradient", check_gradient, wants_gradient, FAULT),
    ("propagate_down", check_propagate_down, wants_gradient, FAULT),
    (
        "force_backward",
        advice.check_force_backward,
        lambda f: has_bottoms(f) and not all(f.wanted),
        ADVICE,
    ),
    ("weights", check_weights, has_weights, FAULT),
    ("samples", advice.check_samples, has_bottoms, ADVICE),
    ("edges", advice.check_edges, has_bottoms, FAULT),
    ("lines", reached.check_lines, has_bottoms, ADVICE),
    ("counts", advice.check_counts, always, ADVICE),
    ("param_str", advice.check_param_str, has_keys, ADVICE),
    ("keys", advice.check_keys, has_keys, ADVICE),
    ("example", example.check_example, example.has_example, ADVICE),
)


def names(path):
    """Return the names of the checks that apply to the fragment in a file."""
    try:
        fragment = net.Fragment(path)
    except Exception:
        return ["load"]
    return [name for name, _, applies, _ in CHECKS if applies(fragment)]


def row_of(name):
    """Return the row of CHECKS of that name."""
    return next(row for row in CHECKS if row[0] == name)


def is_advice(name):
    """Whether a check that fails is no fault in Caffe."""
    return row_of(name)[3] is ADVICE


def run(name, caffe, path, author, seeds, pictures=None, shapes=None):
    """Run one check with each seed; return [outcome, why, advice].

    The outcome is pass, skip or fail, the advice a list of texts.

    Args:
        name: a name in CHECKS.
        caffe: the module, real or the stand-in.
        path: the fragment's file, beside the layer's module.
        author: the Author, what was given to `check`.
        seeds: a sequence of ints.
        pictures: the folder for pictures of the gradients, if they are wanted.
        shapes: a function of caffe and the Fragment that returns those of a net for
            the bottoms; without it they are make_bottoms' own.
    """
    function = row_of(name)[1]
    again, advised = "", []
    try:
        fragment = net.Fragment(path)
        import_layer(caffe, fragment)
        of_net = shapes(caffe, fragment) if shapes else None
        for seed in seeds:
            again = "with --seed=%d: " % seed if len(seeds) > 1 else ""
            subject = Subject(caffe, fragment, author, seed, pictures, of_net)
            try:
                function(subject)
            finally:
                texts = [wrapped(again + text) for text in subject.advice]
                advised += [text for text in texts if text not in advised]
    except KeyboardInterrupt:
        raise
    except (CheckSkipped, NotInStandin) as reason:
        return ["skip", str(reason), advised]
    except BaseException as error:
        why = wrapped(again + describe(error, os.path.dirname(path)))
        if is_advice(name) and isinstance(error, (CheckFailed, CaffeAborted)):
            return ["pass", "", advised + [why]]
        return ["fail", why, advised]
    return ["pass", "", advised]


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
    words = getattr(error, "words", "")
    if isinstance(error, CheckFailed):
        return words + str(error)
    lines = ["%s: %s%s" % (type(error).__name__, words, error)]
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
    note = getattr(error, "note", None)
    return hints.with_hint("\n  ".join(filter(None, ["\n".join(lines), note])))
