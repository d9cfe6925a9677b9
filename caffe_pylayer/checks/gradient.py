# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The gradient check: is <diff, u> the slope of the tops along u, for random u?

With random top diffs v, s(t) = <v, forward(x + t u)> has the slope <diff, u> at t = 0,
where diff is what backward gives for v: the analytic slope. The numeric slope comes
from differences of s. One direction tests all elements at once. Where it does not agree
the same is done in float64, with steps so small that few kinks (abs, max) are near.
Only where that does not agree either, elements are looked at one by one.

Numeric slopes have two errors, named here as in numerical analysis: that of truncation
grows with the step (curvature, kinks), that of rounding with its inverse (float32).
"""

import numpy as np

STEPS = {  # in units of the size of an element
    np.dtype(np.float32): [0.2 / 2**i for i in range(10)],
    np.dtype(np.float64): [2e-4 / 2**i for i in range(14)],
}
JITTER = 16  # units of roundoff that show the rounding inside the layer
OPINIONS = 3  # random directions in float64, of which two decide
MOST_LOCATED = 5  # wrong elements that are looked for by halving
DIRECTION_TOLERANCE = 1e-4  # relative error of a direction that needs no closer look
ELEMENT_TOLERANCE = 2e-3  # relative error from which an element is wrong
KINK_TOLERANCE = 2e-2  # relative error of the numeric slope that leaves an element out
MOST_ELEMENTS = 2000  # looked at one by one; of more a random sample
MOST_WORK = 2e7  # elements looked at, times all elements of the bottom
POLE_GROWTH = 1.2  # of a slope at half the step: a pole or cliff is nearer than that
WHOLE = "the sum along a direction, no single element clearly"
MOST_REMEASURED = 12  # elements that are measured again with all steps, the worst ones


class NotMeasurable(Exception):
    """No element could be measured, because the layer has a kink at each of them."""


class Slope(object):
    """The analytic and the numeric slope along one direction.

    `analytic` is <diff, u>, `residual` the numeric slope minus that; `truncation` and
    `rounding` are the errors of the numeric slope, `least_rounding` is the rounding at
    the largest steps, and `scale` what errors are relative to. All have the unit of
    the slope.
    """

    PARTS = (
        "analytic",
        "residual",
        "truncation",
        "rounding",
        "least_rounding",
        "scale",
    )

    def __init__(self, *parts):
        for name, part in zip(self.PARTS, parts):
            setattr(self, name, part)
        self.error = self.truncation + self.rounding

    @property
    def numeric(self):
        return self.analytic + self.residual

    def per(self, amount):
        """Return the Slope for a unit of the bottom instead of `amount` of it."""
        return Slope(*[getattr(self, name) / amount for name in self.PARTS])

    def agrees(self, tolerance):
        """Whether both slopes agree, and the numeric one is good enough to say so."""
        limit = tolerance * self.scale + 2 * self.least_rounding
        close = abs(self.residual) + self.truncation <= limit
        return close and self.rounding <= KINK_TOLERANCE * self.scale

    def excess(self, errors, tolerance=ELEMENT_TOLERANCE):
        """Return by how much they differ beyond so many errors of the numeric slope."""
        return abs(self.residual) - tolerance * self.scale - errors * self.error

    def differs(self, errors=4, tolerance=ELEMENT_TOLERANCE):
        """Whether they differ by more than so many errors of the numeric slope."""
        return not self.excess(errors, tolerance) <= 0

    @property
    def is_within_rounding(self):
        """Whether rounding, and no kink, explains what is left of a difference."""
        small = self.error <= ELEMENT_TOLERANCE * self.scale
        smooth = self.truncation <= 4 * self.rounding
        return small and smooth and abs(self.residual) <= 2 * self.error

    @property
    def is_kink(self):
        """Whether more than rounding makes the numeric slope useless."""
        return self.truncation > KINK_TOLERANCE * self.scale + 4 * self.rounding

    def is_better_than(self, coarser):
        """Whether this one, from finer steps, says more than one from coarser steps."""
        if coarser is None or self.error < coarser.error:
            return True
        change = abs(self.residual - coarser.residual)
        contradicts = change > 0.2 * abs(coarser.residual) + self.error
        unclear = self.error > 0.5 * abs(coarser.residual)
        precise = self.rounding < 0.1 * abs(coarser.residual)
        return precise and (contradicts or unclear)


class Finding(object):
    """A wrong gradient.

    `count` says in words how many elements are wrong and `rows` is a list of (index,
    Slope), the worst first, with an index of None for a whole direction. Where elements
    were looked at, `numeric` and `wrong` are arrays of the bottom's shape (NaN and
    False elsewhere), `error` is that of `numeric`, and `alternatives` are numeric
    gradients for other top diffs; all None or empty where only a direction is wrong.
    """

    def __init__(
        self, count, rows, numeric=None, wrong=None, error=None, alternatives=()
    ):
        self.count, self.rows, self.numeric = count, rows, numeric
        self.wrong, self.error, self.alternatives = wrong, error, alternatives


def check(point, rng, double=None):
    """Compare a bottom's diff with the numeric one: None if they agree, or a Finding.

    Args:
        point: the Point in float32.
        rng: a numpy.random.RandomState.
        double: function without arguments that returns the Point in float64, or None
            where the layer does not run so.

    Raises:
        NotMeasurable: no element can be compared.
    """
    diff = point.diff
    if not np.all(np.isfinite(diff)):
        bad = np.argwhere(~np.isfinite(diff))
        rows = [
            (tuple(i), Slope(diff[tuple(i)], np.nan, 0.0, 0.0, 0.0, 1.0)) for i in bad
        ]
        return Finding("%d of %d elements are not finite" % (len(bad), diff.size), rows)
    size = step_sizes(point.bottom) * rng.uniform(0.5, 1, diff.shape)
    random = size * rng.choice([-1, 1], diff.shape)
    uphill = np.where(diff < 0, -size, np.where(diff > 0, size, random))
    slopes = (point.slope(u) for u in (random, uphill))
    if all(s.agrees(DIRECTION_TOLERANCE) or s.is_within_rounding for s in slopes):
        return None
    second = double and double()
    wrong = None
    if second:
        wrong = is_wrong(second, size, rng)
        if wrong is False and second.confirms(point):
            return None
    try:
        survey = Survey(second if wrong else point, size, rng)
        found = survey.finding((random, uphill))
    except NotMeasurable:
        found = locate(second, size, rng) if wrong else None
        if not found and wrong is not False:
            raise
        return found
    return found or (locate(second, size, rng) if wrong else None)


def is_wrong(point, size, rng):
    """Return whether random directions differ: most of them do, most agree, or None."""
    slopes = [
        point.slope(size * rng.choice([-1, 1], size.shape)) for _ in range(OPINIONS)
    ]
    for verdict, votes in (
        (False, [slope.agrees(DIRECTION_TOLERANCE) for slope in slopes]),
        (True, [slope.differs(10, DIRECTION_TOLERANCE) for slope in slopes]),
    ):
        if 2 * sum(votes) > OPINIONS:
            return verdict
    return None


def locate(point, size, rng):
    """Return a Finding of wrong elements, found by halving, or None.

    Of two halves of the elements the one is taken that differs more along a random
    direction, until one element is left. At a kink an element differs by nature: it is
    left out, and after several of them nothing is said.
    """
    rest, rows, kinks = np.ones(size.size, bool), [], 0
    largest = np.max(np.abs(point.diff) * np.minimum(size, np.abs(point.bottom)))
    while len(rows) < MOST_LOCATED and kinks < MOST_LOCATED and np.any(rest):
        chosen = np.flatnonzero(rest)
        while len(chosen) > 1:
            rng.shuffle(chosen)
            halves = np.array_split(chosen, 2)
            residuals = [abs(point.part_slope(h, size, rng).residual) for h in halves]
            chosen = halves[int(np.argmax(residuals))]
        index = tuple(int(i) for i in np.unravel_index(chosen[0], size.shape))
        slope, amount = point.element_slope(index, size[index], largest)
        if slope.differs():
            rows.append((index, slope.per(amount)))
        elif slope.is_kink:
            kinks += 1
        else:
            break
        rest[chosen] = False
    if rows:
        count = "at least %d of %d elements" % (len(rows), size.size)
        return Finding(count, sorted(rows, key=lambda row: -abs(row[1].residual)))
    if kinks == MOST_LOCATED or not np.any(rest):
        return None
    slopes = [
        point.part_slope(np.flatnonzero(rest), size, rng) for _ in range(OPINIONS)
    ]
    if 2 * sum(slope.differs(10) for slope in slopes) > OPINIONS:
        return Finding(WHOLE, [(None, slopes[0])])
    return None


def numeric_gradient(point, rng):
    """Return the numeric gradient, of the bottom's shape, NaN where not looked at.

    The diff of the point need not be right.
    """
    return Survey(point, step_sizes(point.bottom), rng).numeric


def step_sizes(bottom):
    """Return for each element by how much it is moved at most, times the largest step.

    Its own size, but not less than a part of the others': small ones are mostly small
    by chance. And not much more than their spread, where they have one: all may be near
    a number. Positive bottoms (probabilities) stay positive.
    """
    size = np.abs(np.asarray(bottom, np.float64))
    floor = 0.3 * np.sqrt(np.mean(np.square(size)))
    size = size if np.min(bottom) > 0 else np.maximum(size, floor or 1.0)
    spread = 10 * np.std(bottom) if np.ptp(bottom) else np.inf
    return np.minimum(size, np.maximum(spread, 0.01 * size))


class Survey(object):
    """A look at each element from two forward passes, and all steps for the worst."""

    def __init__(self, point, size, rng):
        self.point, self.size, self.rng = point, size, rng
        bottom, diff = point.bottom, point.diff
        count = int(min(bottom.size, MOST_ELEMENTS, max(20, MOST_WORK / bottom.size)))
        chosen = np.sort(rng.choice(bottom.size, count, replace=False))
        self.largest = np.max(np.abs(diff) * np.minimum(size, np.abs(bottom)))
        typical = np.sqrt(np.mean(np.square(diff * size)))
        step = 4 * point.rounding / max(ELEMENT_TOLERANCE * typical, 1e-300)
        step = np.clip(step, point.steps[-1], point.steps[2])
        self.numeric = np.full(bottom.shape, np.nan)
        self.alternatives = [self.numeric.copy() for _ in point.others]
        self.error = np.full(bottom.shape, np.nan)
        self.slopes = {}
        indices = zip(*np.unravel_index(chosen, bottom.shape)) if bottom.ndim else [()]
        for index in indices:
            slope, others = point.one_step_slope(index, size[index], step, self.largest)
            self.slopes[index] = slope
            self.numeric[index] = slope.numeric / size[index]
            self.error[index] = slope.error / size[index]
            for array, other in zip(self.alternatives, others):
                array[index] = other / size[index]

    def finding(self, directions):
        """Return None or a Finding: wrong elements, or a wrong direction without kinks.

        Raises NotMeasurable.
        """
        suspects = sorted(self.slopes, key=lambda index: -self.slopes[index].excess(1))
        suspects = [
            index for index in suspects if not self.slopes[index].excess(0.5) <= 0
        ]
        sure = [index for index in suspects if self.slopes[index].differs(2)]
        kinks = set(index for index, slope in self.slopes.items() if slope.is_kink)
        left_out, wrong_slopes = (kinks | set(suspects)) - set(sure), {}
        for index in suspects[:MOST_REMEASURED]:
            size = self.size[index]
            slope, amount = self.point.element_slope(index, size, self.largest)
            if slope.differs():
                wrong_slopes[index] = slope.per(amount)
                self.numeric[index] = wrong_slopes[index].numeric
                self.error[index] = wrong_slopes[index].error
            elif slope.is_kink or amount != size:
                left_out.add(index)
            else:
                left_out.discard(index)
        if wrong_slopes:
            refuted = set(suspects[:MOST_REMEASURED]) - set(wrong_slopes)
            for index, slope in self.slopes.items():
                if index not in wrong_slopes and (index in left_out or slope.is_kink):
                    self.numeric[index] = np.nan
            wrong = np.zeros(self.numeric.shape, bool)
            for index in set(wrong_slopes) | (set() if refuted else set(sure)):
                wrong[index] = True
            unclear = set(suspects[MOST_REMEASURED:]) - kinks
            at_least = any(not wrong[index] for index in unclear)
            return self._finding(wrong, wrong_slopes, at_least)
        clear, left_out = np.ones(self.numeric.shape), left_out | set(sure)
        for index in left_out:
            clear[index] = 0
        sampled = len(self.slopes) < clear.size
        if not np.any(clear) or sampled and 2 * len(left_out) > len(self.slopes):
            raise NotMeasurable()
        slopes = [self.point.slope(u * clear) for u in directions]
        found = [slope for slope in slopes if slope.differs(errors=10)]
        if found and left_out and sampled:  # there are kinks among the others
            more = [
                self.size * self.rng.choice([-1, 1], clear.shape) * clear
                for _ in range(2)
            ]
            slopes += [self.point.slope(u) for u in more]
            found = found if root_sum_square(slopes).differs(errors=20) else []
        return Finding(WHOLE, [(None, found[0])]) if found else None

    def _finding(self, wrong, wrong_slopes, at_least):
        looked, total = len(self.slopes), wrong.size
        sampled = "" if looked == total else " looked at (of %d)" % total
        rows = sorted(wrong_slopes.items(), key=lambda row: -abs(row[1].residual))
        count = "%d of %d elements%s" % (np.sum(wrong), looked, sampled)
        count = "at least " + count if at_least else count
        return Finding(count, rows, self.numeric, wrong, self.error, self.alternatives)


class Point(object):
    """Takes slopes of s at one point of the bottom.

    Args:
        run: function of an array of the bottom's shape and type: the list of tops.
        bottom, diff: the point, whose type is the layer's precision, and what backward
            gave there, arrays of one shape.
        tops, top_diffs: the tops at that point and the diffs that backward was given,
            lists of arrays.
        rng: a numpy.random.RandomState.
        others: further lists of top diffs, for Finding.alternatives.
    """

    def __init__(self, run, bottom, diff, tops, top_diffs, rng, others=()):
        self.run, self.dtype = run, bottom.dtype
        self.bottom, self.diff = np.asarray(bottom, np.float64), diff
        self.top_diffs = [np.asarray(v, np.float64) for v in top_diffs]
        self.tops, self.others, self.steps = tops, others, STEPS[bottom.dtype]
        terms = [np.sum(np.square(v * top)) for v, top in zip(self.top_diffs, tops)]
        roundoff = np.finfo(self.dtype).eps / 2
        self.rounding = roundoff * np.sqrt(sum(terms))  # of s, not of a slope
        for _ in range(3):
            jitter = JITTER * roundoff * rng.uniform(-1, 1, bottom.shape)
            rounding = abs(self.residual_change(self.bottom * (1 + jitter))[0])
            self.rounding = max(self.rounding, np.nan_to_num(rounding))

    def confirms(self, single):
        """Whether the diff of float32 is that of float64, but for its rounding."""
        difference = np.linalg.norm(single.diff - self.diff)
        floor = 1e-6 * max(np.max(np.abs(v)) for v in self.top_diffs)
        limit = 1e-2 * np.linalg.norm(self.diff) + floor * np.sqrt(self.diff.size)
        return difference <= limit

    def part_slope(self, chosen, size, rng):
        """Return the Slope along a random direction of elements of these indices."""
        u = np.zeros(size.size)
        u[chosen] = size.ravel()[chosen] * rng.choice([-1, 1], len(chosen))
        return self.slope(u.reshape(size.shape))

    def one_step_slope(self, index, amount, step, largest):
        """Return the Slope along one element from one step, and slopes for the others.

        `amount` is for how much of the element it is, `largest` the largest slope of
        any element, in the same unit.
        """
        u = np.zeros(self.bottom.shape)
        u[index] = amount
        residual, jump, changes = self.central_difference(u, step)
        others = [dot(other, changes) / (2 * step) for other in self.others]
        analytic, rounding = self.diff[index] * amount, 2 * self.rounding / step
        if not np.isfinite(residual):
            residual, jump = 0.0, np.inf
        scale = max(abs(analytic), abs(analytic + residual), 0.05 * largest)
        return Slope(analytic, residual, abs(jump), rounding, rounding, scale), others

    def element_slope(self, index, amount, largest):
        """Return the Slope along one element from all steps, and the amount it is for.

        An element that is small beside the others is right if it is in steps of its own
        size.
        """
        u = np.zeros(self.bottom.shape)
        u[index] = amount
        slope, own = self.slope(u, largest), abs(self.bottom[index])
        if slope.differs() and 0 < own < 0.5 * amount:
            u[index] = own
            finer = self.slope(u)
            if finer.agrees(KINK_TOLERANCE):
                return finer, own
        return slope, amount

    def slope(self, u, largest=0.0):
        """Return the Slope along u, measured until it agrees or the steps end.

        Central differences at halved steps, whose error is of the order h^2, are
        extrapolated to (4 D(h/2) - D(h)) / 3 of order h^4: Richardson extrapolation
        (Phil. Trans. R. Soc. A 210, 1911, pages 307 to 357). J, half the difference of
        the one-sided slopes, is of order h: 2 J(h/2) - J(h) is zero for a smooth
        function. What is left of it is rounding or a kink, and bounds the truncation.
        """
        analytic = np.sum(self.diff * u)
        scale = max(
            np.sqrt(np.sum(np.square(self.diff * u))), abs(analytic), 0.05 * largest
        )
        steps, best, least_rounding = [], None, None
        for h in self.steps:
            steps.append(self.central_difference(u, h)[:2])
            if len(steps) < 3 or not np.all(np.isfinite(steps[-3:])):
                continue
            if analytic == 0 and not np.any(steps):
                return Slope(0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
            (r0, j0), (r1, j1), (r2, j2) = steps[-3:]
            residual, coarser = (4 * r2 - r1) / 3, (4 * r1 - r0) / 3
            jumps = abs(2 * j1 - j0) + abs(2 * j2 - j1)
            truncation = jumps + abs(residual - coarser)
            rounding = 4 * self.rounding / h
            finest = abs(analytic + r2)
            if finest > ELEMENT_TOLERANCE * scale + rounding and diverges(
                analytic + r0, analytic + r1, analytic + r2
            ):
                truncation = np.inf
            least_rounding = least_rounding or rounding
            found = Slope(
                analytic,
                residual,
                truncation,
                rounding,
                least_rounding,
                max(scale, abs(analytic + residual)),
            )
            if found.agrees(DIRECTION_TOLERANCE):
                return found
            if found.is_better_than(best):
                best = found
        return best or Slope(analytic, 0.0, np.inf, 0.0, 0.0, scale)

    def central_difference(self, u, h):
        """Return numeric minus analytic slope, half its jump, and the tops' changes.

        All at step h along u: the jump is that of the one-sided slopes, and the changes
        are from one end to the other.
        """
        (above, high), (below, low) = [
            self.residual_change(self.bottom + t * u) for t in (h, -h)
        ]
        changes = [left - right for left, right in zip(high, low)]
        return (above - below) / (2 * h), (above + below) / (2 * h), changes

    def residual_change(self, end):
        """Return by how much s changes up to `end` beyond what diff says, and the tops.

        NaN where the layer refuses or overflows: such a step was too far.
        """
        end = end.astype(self.dtype)
        try:
            with np.errstate(all="ignore"):
                tops = self.run(end)
                changes = [top - before for top, before in zip(tops, self.tops)]
                change = dot(self.top_diffs, changes)
        except Exception:
            return np.nan, [top * np.nan for top in self.tops]
        return change - np.sum(self.diff * (end - self.bottom)), tops


def root_sum_square(slopes):
    """Return Slopes of several directions as one: the root of the sum of squares."""
    return Slope(
        *[
            np.sqrt(sum(getattr(slope, part) ** 2 for slope in slopes))
            for part in Slope.PARTS
        ]
    )


def diverges(*slopes):
    """Whether slopes at halved steps grow on and on."""
    pairs = zip(slopes, slopes[1:])
    return all(abs(finer) > POLE_GROWTH * abs(slope) for slope, finer in pairs)


def dot(left, right):
    """Return the inner product of two lists of arrays."""
    return sum(np.sum(a * b) for a, b in zip(left, right))
