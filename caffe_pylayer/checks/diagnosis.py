"""Why a gradient is wrong: a table of hypotheses, the first that explains every element is told."""

import itertools

import numpy as np

CLOSE = 1e-2  # relative difference up to which a hypothesis explains an element
CLOSER = 0.3  # part of what is wrong that a hypothesis may leave unexplained
MOST = 0.9  # of the elements that have to be measured to see that they are in another order
SAME = 2e-3  # relative difference up to which a factor is a known number


class Case(object):
    """A wrong gradient.

    `diff` is what backward gave, and `again` for other top diffs, at the same bottoms; `finding` is
    a gradient.Finding that looked at elements. `texts` say what the layer may take for the top
    diffs, in the order of `finding.instead`, which has them for both; `others` is a list of (name,
    diff) of the other variables, and `numbers` one of (name, number) for what a factor comes from.
    """

    def __init__(self, diff, again, finding, texts, others, numbers):
        self.diff, self.again = diff, again
        self.measured, self.wrong, self.noise = (
            finding.measured,
            finding.wrong,
            finding.noise,
        )
        half = len(texts)
        self.instead = list(zip(texts, finding.instead[:half], finding.instead[half:]))
        self.others, self.numbers = others, numbers
        self.looked = np.isfinite(self.measured)

    def explains(self, expected, diff=None, noisier=1.0):
        """Whether expected values are those of backward, wherever there are some.

        And much nearer to them than those measured. `diff` is used instead of backward's, `noisier`
        multiplies the error to be expected.
        """
        known = np.isfinite(expected) & self.looked
        if not np.any(expected[known]):
            return False
        expected, measured = expected[known], self.measured[known]
        if diff is None:
            diff = self.diff[known]
            if np.linalg.norm(diff - expected) > CLOSER * np.linalg.norm(
                diff - measured
            ):
                return False
        else:
            diff = diff[known]
        limit = CLOSE * (
            np.maximum(np.abs(expected), np.abs(diff)) + root_mean_square(expected) / 3
        )
        return np.all(np.abs(diff - expected) <= limit + noisier * self.noise[known])


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
    largest = np.nanmax(np.abs(case.measured)) or 1.0
    for text, expected, again in case.instead:
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
            if case.explains(case.measured, diff):
                return "the right one is in the diff of %s: are they exchanged?" % name
            if case.explains(diff):
                return "it is the diff of %s" % name
    return None


def transposed(case):
    """The numbers are right, in another order of axes."""
    if np.mean(case.looked) > MOST:
        for axes in itertools.islice(
            itertools.permutations(range(case.diff.ndim)), 1, 120
        ):
            expected = np.transpose(case.measured, axes).reshape(case.diff.shape)
            if case.explains(expected):
                return (
                    "it is the right one transposed, with the axes in the order %s"
                    % (axes,)
                )
    return None


def factor(case):
    """All elements, or all wrong ones, have the same factor."""
    for where, text in (
        (case.looked, ""),
        (case.wrong & case.looked, "where it is wrong, "),
    ):
        diff, measured = case.diff[where], case.measured[where]
        if diff.size > 1 and np.any(measured):
            sharp = measured / np.square(
                case.noise[where] + 1e-4 * np.max(np.abs(measured))
            )
            ratio = np.vdot(diff, sharp) / np.vdot(measured, sharp)
            expected = np.where(where, ratio * case.measured, np.nan)
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
        if abs(abs(ratio) / number - 1) < SAME:
            ratio = np.copysign(number, ratio)
            break
    text = "%.4g times the right one" % ratio
    if ratio == -1:
        return text + ": the sign is wrong"
    for number in (abs(ratio), 1 / abs(ratio)):
        names = [name for name, known in numbers if abs(number / known - 1) < SAME]
        if names:
            return text + ": %.4g is %s" % (number, " or ".join(names[:2]))
    return text


def offset(case):
    """The same number is added to all elements."""
    change = (case.diff - case.measured)[case.looked]
    if change.size > 1 and case.explains(case.measured + np.mean(change)):
        return "it is the right one plus %.4g everywhere" % np.mean(change)
    return None


def rounded(case):
    """The numbers are rounded."""
    for digits, unit in (
        (0, "to whole numbers"),
        (1, "to 1 decimal"),
        (2, "to 2 decimals"),
    ):
        near = np.abs(case.diff - case.measured)[case.looked] <= 0.51 * 10.0**-digits
        if np.allclose(np.round(case.diff, digits), case.diff, 1e-6, 0) and np.all(
            near
        ):
            return "it is the right one rounded %s" % unit
    return None


def place(case):
    """What is wrong, or what is right, lies in one part of one axis."""
    texts = []
    whole = case.wrong | (case.looked & ((case.diff != 0) | (case.measured != 0)))
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
    """Return lines: the first hypothesis that holds, and where the wrong elements are."""
    texts = (hypothesis(case) for hypothesis in HYPOTHESES)
    first = next((text for text in texts if text), None)
    return [text for text in (first, place(case)) if text]
