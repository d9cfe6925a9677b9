# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Checks of what is no fault in Caffe, but worth a word: advice, red with --strict."""

import numpy as np

from .net import CheckFailed
from .subject import BATCHES, all_equal, show

MOST_DRAWS = 20  # until each sample has changed a top


def check_samples(subject):
    """Each sample of a batch can change a top; expected_tops would say more."""
    batch = BATCHES[0]
    count, changed = batch, set()
    for draw in range(MOST_DRAWS):
        arrays, others = [subject.bottoms(batch, 2 * draw + i) for i in (0, 1)]
        if any(array.shape[:1] != (batch,) for array in arrays):
            return
        layer_net = subject.net(arrays)
        tops = subject.forward(layer_net, arrays)
        for i in range(count):
            moved = [array.copy() for array in arrays]
            for array, other in zip(moved, others):
                array[i] = other[(i + 1) % count]  # sample i may be a special one
            if not all_equal(subject.forward(layer_net, moved), tops):
                changed.add(i)
        if len(changed) == count:
            return
    unused = [i for i in range(count) if i not in changed]
    if unused:
        raise CheckFailed(
            "in a batch of %d no other sample %s changes a top: does forward use them?"
            % (count, " or ".join(map(str, unused)))
        )


def check_keys(subject):
    """Another value of a key changes a top or a diff."""
    idle = []
    for key, value in sorted(subject.fragment.params.items()):
        other = another(value)
        if other is not None and not matters(subject, key, other):
            idle.append(str(key))
    if idle:
        text = "%s: other values change nothing; does make_bottoms reach %s?"
        which = "it" if len(idle) == 1 else "them"
        raise CheckFailed(text % (", ".join(idle), which))


def another(value):
    """Return another value of the type, None where it cannot be guessed."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value * 2 + 1 if value != -1 else -2
    return None


def matters(subject, key, value):
    """Whether a layer with another value of a key is refused or gives other tops."""
    fragment = subject.fragment
    layer = fragment.with_params(dict(fragment.params, **{str(key): value}))
    for draw, batch in enumerate(BATCHES):
        arrays = subject.bottoms(batch, draw)
        results = []
        for options in ({}, {"layer": layer}):
            try:
                layer_net = subject.net(arrays, **options)
                tops = [subject.forward(layer_net, arrays) for _ in range(2)]
                if not results:
                    diffs = [np.ones_like(top) for top in tops[0]]
                garbage = [np.ones_like(array) for array in arrays]
                result = tops[0] + tops[1]
                if any(fragment.wanted):
                    result += layer_net.backward(diffs, garbage)
            except (Exception, SystemExit):
                return True
            results.append(result)
        if not all_equal(*results):
            return True
    return False


def check_edges(subject):
    """Zeros, equal samples and labels all of one value give finite tops and diffs.

    Raises CheckFailed where zeros or such labels give no finite top, such as 0 / 0, and
    advises of the rest. A layer may refuse them, zeros with a ValueError.
    """
    for what, arrays, refusal, hint in edges(subject):
        try:
            found = not_finite(subject, arrays)
        except refusal:
            continue
        if found:
            kind, text = found
            text = "%s: %s" % (what, text)
            if kind == "top" and hint:
                raise CheckFailed(text + hint)
            subject.advise(text)


def edges(subject):
    """Yield words, bottoms with values at which layers break, how they may be refused.

    And a hint for those at which a top must be finite.
    """
    batch = BATCHES[0]
    for i, name in enumerate(subject.fragment.bottoms):
        array = subject.bottoms(batch)[i]
        if array.shape[:1] != (batch,):
            continue
        cases = []
        if np.min(array) < 0 < np.max(array):  # zeros are not for a bottom of one sign
            hint = ": is an eps forgotten?"
            cases.append(("a sample of zeros", 0, 0, ValueError, hint))
            cases.append(("two equal samples", 0, array[1], ValueError, ""))
        if np.all(array == np.round(array)):  # labels, or indices of something
            hint = ": does it divide by their number?"
            for value in (np.min(array), np.max(array)):
                what = "all elements %g" % value
                cases.append((what, Ellipsis, value, Exception, hint))
        for what, where, value, refusal, hint in cases:
            arrays = subject.bottoms(batch)
            arrays[i][where] = value
            yield "%s in bottom %s" % (what, name), arrays, refusal, hint


def not_finite(subject, arrays):
    """Return a word and a text for what forward, then backward, gives that is not."""
    layer_net = subject.net(arrays)
    for kind, names, found in passes(subject, layer_net, arrays):
        for blob, values in zip(names, found):
            if not np.all(np.isfinite(values)):
                where = np.argwhere(~np.isfinite(values))[0]
                place = values[tuple(where)], show(where)
                return kind, "%s %s is %s at %s" % ((kind, blob) + place)
    return None


def passes(subject, layer_net, arrays):
    """Yield for forward, then for backward: a word, names of blobs and their arrays."""
    tops = subject.forward(layer_net, arrays)
    yield "top", layer_net.tops, tops
    if any(subject.fragment.wanted) and all(np.all(np.isfinite(top)) for top in tops):
        garbage = [np.zeros_like(array) for array in arrays]
        diffs = layer_net.backward(subject.top_diffs(tops), garbage)
        yield "the diff of", layer_net.variables, diffs


def check_force_backward(subject):
    """A net that asks for every gradient (force_backward: true) does not fail."""
    arrays = subject.bottoms(BATCHES[0])
    layer_net = subject.net(arrays, flags=[True] * len(arrays))
    tops = subject.forward(layer_net, arrays)
    try:
        layer_net.backward(subject.top_diffs(tops), subject.diffs_like(arrays))
    except (Exception, SystemExit) as error:
        raise CheckFailed(
            "a net with force_backward: true asks for the diff of every bottom, and "
            "backward fails (%s: %s)" % (type(error).__name__, error)
        )


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
    except (Exception, SystemExit):
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
    subject.forward(subject.net(arrays), arrays)  # what fails here is not for a key
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
        except (Exception, SystemExit):
            continue
        raise CheckFailed("param_str with %s was taken: expected an exception" % what)
    for key in fragment.params:
        params = dict(fragment.params)
        del params[key]
        try:
            layer_net = subject.net(arrays, layer=fragment.with_params(params))
        except (Exception, SystemExit):
            continue
        try:
            subject.forward(layer_net, arrays)
        except Exception as error:
            raise CheckFailed(
                "param_str without %r loads and fails in forward: "
                "expected an exception from setup, or a default (%s: %s)"
                % (str(key), type(error).__name__, error)
            )
