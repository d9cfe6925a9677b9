# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Why a gradient is wrong: the first hypothesis that explains every element is told."""

import itertools
import math

import numpy as np

TOLERANCE = 1e-2  # relative difference up to which a hypothesis explains an element
MOST_UNEXPLAINED = 0.3  # part of the difference that a hypothesis may leave
ENOUGH_KNOWN = 0.9  # of the elements, to see that they are in another order of axes
SAME_NUMBER = 2e-3  # relative difference up to which a factor is a known number
FEWEST = 3  # elements of which a factor or an offset is told
NOTHING = 1e-3  # of the largest diff: what is less is no slope
BY_CHANCE = 1e-2  # probability from which a place may be a coincidence


class Case(object):
    """A wrong gradient.

    Args:
        diff: what backward gave.
        again: what it gave for other top diffs, at the same bottoms.
        finding: a gradient.Finding that looked at elements.
        texts: what the layer may take for the top diffs, in the order of
            `finding.alternatives`, which has them for both top diffs.
        others: a list of (name, diff) of the other variables.
        numbers: a list of (name, number) that a factor may come from.
        masks: a list of (name, data) of the other bottoms.
        is_constant: function of a list of indices: whether no top changes where one of
            these elements does, a little.
        second: function that returns a factor and the numbers for another batch size,
            or None where it cannot be told.
    """

    def __init__(
        self, diff, again, finding, texts, others, numbers, masks, is_constant, second
    ):
        self.diff, self.again = diff, again
        self.numeric, self.error, self.wrong = (
            finding.numeric,
            finding.error,
            finding.wrong,
        )
        half, alternatives = len(texts), finding.alternatives
        self.alternatives = list(zip(texts, alternatives[:half], alternatives[half:]))
        self.others, self.numbers, self.masks = others, numbers, masks
        self.is_constant, self.second = is_constant, second
        self.known = np.isfinite(self.numeric)
        size, slope = np.abs(np.where(self.known, (diff, self.numeric), 0))
        noise = NOTHING * np.max(size) + 2 * np.where(self.known, self.error, 0)
        self.slopes = slope > noise  # where forward has one
        self.whole = self.known & (self.wrong | self.slopes | (size > 0))

    def explains(self, expected, diff=None, noisier=1.0):
        """Whether the expected values are those of backward, where there are some.

        And whether they are much nearer to them than the numeric gradient. `diff` is
        used instead of backward's, `noisier` multiplies the error to be allowed for.
        All arrays have the shape of the bottom.
        """
        known = np.isfinite(expected) & self.known
        if not np.any(expected[known]):
            return False
        expected, numeric = expected[known], self.numeric[known]
        if diff is None:
            diff = self.diff[known]
            unexplained = np.linalg.norm(diff - expected)
            if unexplained > MOST_UNEXPLAINED * np.linalg.norm(diff - numeric):
                return False
        else:
            diff = diff[known]
        limit = TOLERANCE * (
            np.maximum(np.abs(expected), np.abs(diff)) + root_mean_square(expected) / 3
        )
        return np.all(np.abs(diff - expected) <= limit + noisier * self.error[known])


def root_mean_square(array):
    return np.sqrt(np.mean(np.square(array)))


def zero(case):
    """Backward gives zero, everywhere or where it is wrong."""
    if not np.any(case.diff):
        return "the diff is zero everywhere: is it written?"
    if not np.any(case.diff[case.wrong]):
        return "the diff is zero wherever it is wrong: are these elements written?"
    return None


def constant(case):
    """Forward does not depend on what is wrong."""
    if np.any(case.slopes & case.wrong) or not case.is_constant(worst(case)):
        return None
    if np.any(case.slopes):
        return "forward does not depend on these elements: does it mask something?"
    return (
        "small changes change nothing: all slopes of forward are 0 "
        "(on purpose? expected_diffs=...)"
    )


def worst(case):
    """Return the indices of some wrong elements, those with the largest diff."""
    size = np.where(case.wrong, np.abs(case.diff), -1).ravel()
    chosen = np.argsort(-size)[: min(5, np.sum(case.wrong))]
    return [np.unravel_index(i, case.diff.shape) for i in chosen]


def top_diff(case):
    """Backward uses something else than the top's diff."""
    largest = np.nanmax(np.abs(case.numeric)) or 1.0
    for text, expected, again in case.alternatives:
        noisier = max(1.0, np.nanmax(np.abs(expected)) / largest)
        if case.explains(expected, noisier=noisier) and case.explains(
            again, case.again, noisier
        ):
            return text
    return None


def other_bottom(case):
    """The gradient went to another bottom."""
    for name, diff in case.others:
        if diff.shape == case.diff.shape:
            if case.explains(case.numeric, diff):
                return "the right one is in the diff of %s: are they exchanged?" % name
            if case.explains(diff):
                return "it is the diff of %s" % name
    return None


def transposed(case):
    """The numbers are right, in another order of axes."""
    if np.mean(case.known) > ENOUGH_KNOWN:
        for axes in itertools.islice(
            itertools.permutations(range(case.diff.ndim)), 1, 120
        ):
            expected = np.transpose(case.numeric, axes).reshape(case.diff.shape)
            if case.explains(expected):
                return (
                    "it is the right one transposed, with the axes in the order %s"
                    % (axes,)
                )
    return None


def factor(case):
    """All elements, or all wrong ones, have the same factor."""
    for where, text in (
        (case.known, ""),
        (case.wrong & case.known, "where it is wrong, "),
    ):
        diff, numeric = case.diff[where], case.numeric[where]
        if np.sum(np.abs(numeric) > 2 * case.error[where]) >= FEWEST:
            error = case.error[where] + 1e-4 * np.max(np.abs(numeric))
            weighted = numeric / np.square(error)
            ratio = np.vdot(diff, weighted) / np.vdot(numeric, weighted)
            expected = np.where(where, ratio * case.numeric, np.nan)
            if abs(ratio - 1) > 1e-3 and case.explains(
                expected, noisier=max(1, abs(ratio))
            ):
                return text + "it is " + times(ratio, case)
    return None


def times(ratio, case):
    """Return a factor in words, with what it may come from."""
    known = [1.0, 2.0, 3.0, 4.0] + [number for _, number in case.numbers]
    known += [1.0 / number for number in known]
    for number in known:
        if abs(abs(ratio) / number - 1) < SAME_NUMBER:
            ratio = np.copysign(number, ratio)
            break
    text = "%.4g times the right one" % ratio
    if ratio == -1:
        return text + ": the sign is wrong"
    for power in (1, -1):
        number = abs(ratio) ** power
        names = [
            name
            for name, known in case.numbers
            if abs(number / known - 1) < SAME_NUMBER
        ]
        names = names and in_both(names, power, case.second())
        if names:
            return text + ": %.4g is %s" % (number, " or ".join(names[:2]))
    return text


def in_both(names, power, second):
    """Return the names of those numbers that are the factor at the other batch, too."""
    if second is None:
        return names
    ratio, numbers = abs(second[0]) ** power, dict(second[1])
    return [
        name
        for name in names
        if name in numbers and abs(ratio / numbers[name] - 1) < TOLERANCE
    ]


def factor_of(diff, numeric):
    """Return the factor by which a diff is wrong, the median, or None.

    `numeric` is NaN where it is unknown.
    """
    known = np.isfinite(numeric)
    diff, numeric = diff[known], numeric[known]
    wrong = np.abs(diff - numeric) > TOLERANCE * np.maximum(abs(diff), abs(numeric))
    wrong &= np.abs(numeric) > NOTHING * np.max(np.abs(numeric))
    return np.median(diff[wrong] / numeric[wrong]) if np.any(wrong) else None


def offset(case):
    """The same number is added to all elements."""
    change = (case.diff - case.numeric)[case.known]
    if change.size >= FEWEST and case.explains(case.numeric + np.mean(change)):
        return "it is the right one plus %.4g everywhere" % np.mean(change)
    return None


def rounded(case):
    """The numbers are rounded."""
    for digits, unit in (
        (0, "to whole numbers"),
        (1, "to 1 decimal"),
        (2, "to 2 decimals"),
    ):
        near = np.abs(case.diff - case.numeric)[case.known] <= 0.51 * 10.0**-digits
        if np.allclose(np.round(case.diff, digits), case.diff, 1e-6, 0) and np.all(
            near
        ):
            return "it is the right one rounded %s" % unit
    return None


def place(case):
    """What is wrong, or what is right, lies in one part of one axis."""
    return of_one_value(case) or of_some_indices(case)


def of_one_value(case):
    """Where another bottom has one value, such as a label that is to be ignored."""
    for name, data in case.masks:
        for mask in fitted(data, case.diff.shape):
            values = np.unique(mask[case.wrong])
            there = case.whole & (mask == values[0])
            is_wrong = len(values) == 1 and not np.any(there & ~case.wrong)
            ways = len(np.unique(mask[case.whole]))
            if is_wrong and not is_by_chance(case.wrong, there, case.whole, ways):
                return "it is wrong where bottom %s is %g, and there only" % (
                    name,
                    values[0],
                )
    return None


def fitted(data, shape):
    """Yield the data as arrays of a shape; of labels an axis may be missing, or 1."""
    whole = data.shape
    while data.shape[-1:] == (1,):
        data = data[..., 0]
    short, missing = data.shape, len(shape) - data.ndim
    for tried in (
        whole,
        short + (1,) * missing,
        short[:1] + (1,) * missing + short[1:],
    ):
        if len(tried) == len(shape) and all(a in (1, b) for a, b in zip(tried, shape)):
            yield np.broadcast_to(data.reshape(tried), shape)


def of_some_indices(case):
    """At some indices of one axis."""
    texts = []
    for part, verb in ((case.wrong, "wrong"), (case.whole & ~case.wrong, "right")):
        for axis, length in enumerate(part.shape):
            counts = [
                np.moveaxis(a, axis, 0).reshape(length, -1).sum(1)
                for a in (part, case.whole)
            ]
            found = np.flatnonzero(counts[0])
            if 0 < len(found) <= min(3, length - 1) and np.all(
                (2 * counts[0] > counts[1])[found]
            ):
                there = np.zeros(part.shape, bool)
                np.moveaxis(there, axis, 0)[found] = True
                ways = part.ndim * length ** len(found)
                if is_by_chance(part, there & case.whole, case.whole, ways):
                    continue
                words = ("indices", "are") if len(found) > 1 else ("index", "is")
                indices = ", ".join(str(index) for index in found)
                text = "only %s %s of axis %d %s %s"
                texts.append(
                    (len(found), text % (words[0], indices, axis, words[1], verb))
                )
    return min(texts, key=lambda row: row[0])[1] if texts else None


def is_by_chance(part, there, whole, ways):
    """Whether some elements may lie where they do by chance, all in one place.

    The place is one of so many, and the whole is what has a diff or a slope.
    """
    count, room, all_of_them = [int(np.sum(a)) for a in (part, there, whole)]
    chance = logarithm_of_ways(room, count) - logarithm_of_ways(all_of_them, count)
    return chance + math.log(ways) > math.log(BY_CHANCE)


def logarithm_of_ways(n, k):
    """Return the logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


HYPOTHESES = (
    zero,
    constant,
    top_diff,
    factor,
    other_bottom,
    transposed,
    offset,
    rounded,
)


def explain(case):
    """Return lines of text: the first hypothesis that holds, and where it is wrong."""
    texts = (hypothesis(case) for hypothesis in HYPOTHESES)
    first = next((text for text in texts if text), None)
    return [text for text in (first, place(case)) if text]
