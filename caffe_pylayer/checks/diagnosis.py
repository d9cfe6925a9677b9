# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Why a gradient is wrong: the first hypothesis that explains every element is told."""

import itertools

import numpy as np

TOLERANCE = 1e-2  # relative difference up to which a hypothesis explains an element
MOST_UNEXPLAINED = 0.3  # part of the difference that a hypothesis may leave
ENOUGH_KNOWN = 0.9  # of the elements, to see that they are in another order of axes
SAME_NUMBER = 2e-3  # relative difference up to which a factor is a known number


class Case(object):
    """A wrong gradient.

    `diff` is what backward gave, and `again` for other top diffs, at the same bottoms;
    `finding` is a gradient.Finding that looked at elements. `texts` say what the layer
    may take for the top diffs, in the order of `finding.alternatives`, which has them
    for both. `others` is a list of (name, diff) of the other variables, and `numbers`
    one of (name, number) that a factor may come from.
    """

    def __init__(self, diff, again, finding, texts, others, numbers):
        self.diff, self.again = diff, again
        self.numeric, self.error, self.wrong = (
            finding.numeric,
            finding.error,
            finding.wrong,
        )
        half, alternatives = len(texts), finding.alternatives
        self.alternatives = list(zip(texts, alternatives[:half], alternatives[half:]))
        self.others, self.numbers = others, numbers
        self.known = np.isfinite(self.numeric)

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
        if diff.size > 1 and np.any(numeric):
            error = case.error[where] + 1e-4 * np.max(np.abs(numeric))
            weighted = numeric / np.square(error)
            ratio = np.vdot(diff, weighted) / np.vdot(numeric, weighted)
            expected = np.where(where, ratio * case.numeric, np.nan)
            if abs(ratio - 1) > 1e-3 and case.explains(
                expected, noisier=max(1, abs(ratio))
            ):
                return text + "it is " + times(ratio, case.numbers)
    return None


def times(ratio, numbers):
    """Return a factor in words, with what it may come from."""
    known = [1.0, 2.0, 3.0, 4.0] + [number for _, number in numbers]
    known += [1.0 / number for number in known]
    for number in known:
        if abs(abs(ratio) / number - 1) < SAME_NUMBER:
            ratio = np.copysign(number, ratio)
            break
    text = "%.4g times the right one" % ratio
    if ratio == -1:
        return text + ": the sign is wrong"
    for number in (abs(ratio), 1 / abs(ratio)):
        names = [
            name for name, known in numbers if abs(number / known - 1) < SAME_NUMBER
        ]
        if names:
            return text + ": %.4g is %s" % (number, " or ".join(names[:2]))
    return text


def offset(case):
    """The same number is added to all elements."""
    change = (case.diff - case.numeric)[case.known]
    if change.size > 1 and case.explains(case.numeric + np.mean(change)):
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
    texts = []
    whole = case.wrong | (case.known & ((case.diff != 0) | (case.numeric != 0)))
    for part, verb in ((case.wrong, "wrong"), (whole & ~case.wrong, "right")):
        for axis, length in enumerate(part.shape):
            counts = [
                np.moveaxis(a, axis, 0).reshape(length, -1).sum(1)
                for a in (part, whole)
            ]
            found = np.flatnonzero(counts[0])
            if 0 < len(found) <= min(3, length - 1) and np.all(
                (2 * counts[0] > counts[1])[found]
            ):
                words = ("indices", "are") if len(found) > 1 else ("index", "is")
                indices = ", ".join(str(index) for index in found)
                text = "only %s %s of axis %d %s %s"
                texts.append(
                    (len(found), text % (words[0], indices, axis, words[1], verb))
                )
    return min(texts, key=lambda row: row[0])[1] if texts else None


HYPOTHESES = (zero, top_diff, factor, other_bottom, transposed, offset, rounded)


def explain(case):
    """Return lines of text: the first hypothesis that holds, and where it is wrong."""
    texts = (hypothesis(case) for hypothesis in HYPOTHESES)
    first = next((text for text in texts if text), None)
    return [text for text in (first, place(case)) if text]
