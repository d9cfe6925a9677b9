# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The gradient check: is <diff, u> the slope of the tops along u, for random u?

With random top diffs v, s(t) = <v, forward(x + t u)> has the slope <diff, u> at t = 0,
where diff is what backward gives for v: the analytic slope. The numeric slope comes
from differences of s. One direction tests all elements at once.

In float64 steps are so small that few kinks (abs, max) are near. Ties are kinks at any
step: where a direction does not agree, the point is moved a little and looked at again.
A layer that does not run in float64 is looked at in float32, with large steps. Only
where directions differ, elements are looked at one by one.

Numeric slopes have two errors, named here as in numerical analysis: that of truncation
grows with the step (curvature, kinks), that of rounding with its inverse (float32).
"""

import numpy as np

LADDERS = {  # steps, in units of the size of an element; the first ladder is quick
    np.dtype(np.float32): [[0.2 / 2**i for i in range(10)]],
    np.dtype(np.float64): [[1e-7], [2e-4 / 2**i for i in range(14)]],
}
TOLERANCES = {  # relative errors of a direction that need no closer look
    np.dtype(np.float32): 1e-4,
    np.dtype(np.float64): 1e-5,
}
JITTER = 16  # units of roundoff that show the rounding inside the layer
OPINIONS = 3  # random directions, of which two decide
MOST_LOCATED = 5  # wrong elements that are looked for by halving
MOVED = 1e-3  # of its size, by which an element is moved off a kink
LEVELS = 4  # different values in a bottom with ties
STEADY = 0.2  # part of the residual by which it may change at another step
FLAT_STEP = 2e-6  # at which a layer in float32 is no flat tread any more
NEGLIGIBLE = 1e-9  # a gradient, in units of the top's diff, of which float64 is unsure
ELEMENT_TOLERANCE = 2e-3  # relative error from which an element is wrong
SURE = 1e-4  # relative error of the numeric slope that no finer steps need
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
        """The numeric slope, 0 where only rounding is left of it."""
        numeric = self.analytic + self.residual
        return numeric if abs(numeric) > 1e-6 * abs(self.analytic) else 0.0

    def per(self, amount):
        """Return the Slope for a unit of the bottom instead of `amount` of it."""
        return Slope(*[getattr(self, name) / amount for name in self.PARTS])

    def agrees(self, tolerance):
        """Whether both slopes agree, and the numeric one is good enough to say so."""
        limit = tolerance * self.scale + 2 * self.least_rounding
        close = abs(self.residual) + self.truncation <= limit
        return close and self.rounding <= KINK_TOLERANCE * self.scale

    @property
    def is_sure(self):
        """Whether they differ by much more than the numeric one is unsure of."""
        return self.error <= SURE * self.scale and self.differs(10)

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
    """A wrong gradient, at the Point `point`.

    `count` says in words how many elements are wrong and `rows` is a list of (index,
    Slope), the worst first, with an index of None for a whole direction. Where elements
    were looked at, `numeric` and `wrong` are arrays of the bottom's shape (NaN and
    False elsewhere), `error` is that of `numeric`, and `alternatives` are numeric
    gradients for other top diffs; all None or empty where only a direction is wrong.
    """

    def __init__(
        self, point, count, rows, numeric=None, wrong=None, error=None, alternatives=()
    ):
        self.point, self.count, self.rows = point, count, rows
        self.numeric = numeric
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
    if not np.all(np.isfinite(point.diff)):
        return not_finite(point)
    size = step_sizes(point.bottom) * uniform(rng, 0.5, 1, point.diff.shape)
    second = double and double()
    if second is not None:
        target, wrong = look(second, size, rng)
        if wrong:
            return find(target, size, rng)
        if wrong is False and second.confirms(point):
            return None
    if all(
        slope.agrees(point.tolerance) or slope.is_within_rounding
        for slope in map(point.slope, directions(point, size, rng))
    ):
        return None
    try:
        return Survey(point, size, rng).finding(directions(point, size, rng))
    except NotMeasurable:
        if second is not None and wrong is False:
            return None
        raise


def look(point, size, rng):
    """Return a Point and whether it is wrong there: True, False, or None if unclear.

    Quickly first, at the point and beside it: the point may be a kink.
    """
    if agrees(point, size, rng):
        return point, False
    moved = point.moved(MOVED * size * uniform(rng, -1, 1, size.shape))
    if moved is not None and agrees(moved, size, rng):
        return moved, False
    for target in (point, moved):
        wrong = target and is_wrong(target, size, rng)
        if wrong is not None:
            return target, wrong
    return point, False if point.is_negligible(size) else None


def agrees(point, size, rng):
    """Whether slopes agree at a small step, in two directions.

    The one-sided slopes may differ a little, by curvature: the central difference has
    none of it.
    """
    quick = point.ladders[0]
    for u in directions(point, size, rng):
        slope = point.slope(u, ladder=quick)
        if slope.truncation <= KINK_TOLERANCE * slope.scale:
            slope.truncation = 0.0
        if slope.agrees(point.tolerance):
            continue
        slope.rounding = slope.least_rounding = 4 * point.rounding / quick[-1]
        if slope.rounding > SURE * slope.scale or not slope.agrees(point.tolerance):
            return False
    return True


def directions(point, size, rng):
    """Return two directions: a random one, and the one in which diff goes uphill."""
    random = size * signs(rng, size.shape)
    diff = point.diff
    return random, np.copysign(size, np.where(diff == 0, random, diff))


def not_finite(point):
    bad = [tuple(index) for index in np.argwhere(~np.isfinite(point.diff))]
    rows = [(i, Slope(point.diff[i], np.nan, 0.0, 0.0, 0.0, 1.0)) for i in bad]
    count = "%d of %d elements are not finite" % (len(bad), point.diff.size)
    return Finding(point, count, rows)


def find(point, size, rng):
    """Return a Finding of a wrong gradient, or None where no element is clearly so."""
    try:
        found = Survey(point, size, rng).finding(directions(point, size, rng))
    except NotMeasurable:
        found = None
    return found or locate(point, size, rng)


def is_wrong(point, size, rng):
    """Return whether random directions differ: most of them do, most agree, or None."""
    slopes = [
        (u, point.slope(u))
        for u in (size * signs(rng, size.shape) for _ in range(OPINIONS))
    ]
    limit = point.tolerance
    if 2 * sum(slope.agrees(limit) for _, slope in slopes) > OPINIONS:
        return False
    differ = [
        slope.differs(10, limit) and point.is_steady(u, slope) for u, slope in slopes
    ]
    return True if 2 * sum(differ) > OPINIONS else None


def wrong_at_ties(point, rng):
    """Return the Slope in which backward is wrong where elements are equal, or None.

    The bottom gets few different values, and a direction that keeps equal ones equal:
    along it a max, sort or median of them is smooth. Right next to it, where none are
    equal, the gradient must be right.
    """
    values = point.bottom[point.bottom != 0]
    if values.size:  # np.unique would import numpy.ma, longer than all of this takes
        values = np.array(sorted(set(rng.choice(values, MOST_ELEMENTS))))
    count = min(len(values), LEVELS)
    if count < 2:
        return None
    levels = rng.choice(values, count, replace=False)
    which = drawn(rng, np.arange(256) % count, point.bottom.shape)
    tied = point.moved(levels[which] - point.bottom)
    if tied is None:
        return None
    slopes = []
    for _ in range(2):
        u = (np.abs(levels) * rng.choice([-1, 1], count) * rng.rand(count))[which]
        slope = tied.slope(u, ladder=tied.ladders[0])
        if slope.agrees(point.tolerance):
            return None
        slope = tied.slope(u)
        if not (slope.differs(10) and tied.is_steady(u, slope)):
            return None
        slopes.append(slope)
    size = step_sizes(tied.bottom)
    beside = tied.moved(MOVED * size * uniform(rng, -1, 1, size.shape))
    return slopes[0] if beside is not None and agrees(beside, size, rng) else None


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
        rows.sort(key=lambda row: -abs(row[1].residual))
        return Finding(point, count, rows)
    if kinks == MOST_LOCATED or not np.any(rest):
        return None
    slopes = [
        point.part_slope(np.flatnonzero(rest), size, rng) for _ in range(OPINIONS)
    ]
    if 2 * sum(slope.differs(10) for slope in slopes) > OPINIONS:
        return Finding(point, WHOLE, [(None, slopes[0])])
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
    floor = 0.3 * np.sqrt(dot([size], [size]) / size.size)
    size = size if np.min(bottom) > 0 else np.maximum(size, floor or 1.0)
    spread = 10 * np.std(bottom) if np.ptp(bottom) else np.inf
    if spread < np.max(size):
        size = np.minimum(size, np.maximum(spread, 0.01 * size))
    return size


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
        step = np.clip(step, point.ladders[-1][-1], point.ladders[-1][2])
        self.numeric = np.full(bottom.shape, np.nan)
        self.others = point.others()
        self.alternatives = [self.numeric.copy() for _ in self.others]
        self.error = np.full(bottom.shape, np.nan)
        self.slopes = {}
        indices = zip(*np.unravel_index(chosen, bottom.shape)) if bottom.ndim else [()]
        for index in indices:
            arguments = index, size[index], step, self.largest, self.others
            slope, others = point.one_step_slope(*arguments)
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
            more = [self.size * signs(self.rng, clear.shape) * clear for _ in range(2)]
            slopes += [self.point.slope(u) for u in more]
            found = found if root_sum_square(slopes).differs(errors=20) else []
        return Finding(self.point, WHOLE, [(None, found[0])]) if found else None

    def _finding(self, wrong, wrong_slopes, at_least):
        looked, total = len(self.slopes), wrong.size
        sampled = "" if looked == total else " looked at (of %d)" % total
        rows = sorted(wrong_slopes.items(), key=lambda row: -abs(row[1].residual))
        count = "%d of %d elements%s" % (np.sum(wrong), looked, sampled)
        count = "at least " + count if at_least else count
        arrays = self.numeric, wrong, self.error, self.alternatives
        return Finding(self.point, count, rows, *arrays)


class Point(object):
    """Takes slopes of s at one point of the bottom.

    Args:
        run: function of an array of the bottom's shape and type: the list of tops, new
            arrays.
        backward: function of an array and of top diffs: the bottom's diff there, after
            a forward, and the tops.
        bottom: the point, whose type is the layer's precision.
        top_diffs: the diffs that backward was given, a list of arrays.
        rng: a numpy.random.RandomState.
        others: function that returns further lists of top diffs, for
            Finding.alternatives.
        found: the diff and the tops at that point, where they are known.
    """

    def __init__(self, run, backward, bottom, top_diffs, rng, others=list, found=None):
        self.run, self.backward, self.dtype = run, backward, bottom.dtype
        self.bottom = np.asarray(bottom, np.float64)
        self.top_diffs = [np.asarray(v, np.float64) for v in top_diffs]
        self.diff, self.tops = found or backward(bottom, top_diffs)
        self.others, self.rng = others, rng
        self.ladders, self.tolerance = LADDERS[self.dtype], TOLERANCES[self.dtype]
        self.fine = self.dtype == np.float64
        self._floor = self._rounding = None

    @property
    def floor(self):
        """The least rounding of s."""
        if self._floor is None:
            least = 1.0 if self.fine else 0.0  # inside, 1 - p is of 1
            sizes = [np.maximum(np.abs(top), least) for top in self.tops]
            terms = [v * size for v, size in zip(self.top_diffs, sizes)]
            self._floor = np.finfo(self.dtype).eps / 2 * np.sqrt(dot(terms, terms))
        return self._floor

    @property
    def rounding(self):
        """The rounding of s, not of a slope."""
        if self._rounding is None:
            roundoff, self._rounding = np.finfo(self.dtype).eps / 2, self.floor
            for _ in range(3 if self.bottom.size < 1000 else 1):
                jitter = JITTER * roundoff * uniform(self.rng, -1, 1, self.bottom.shape)
                rounding = abs(self.residual_change(self.bottom * (1 + jitter))[0])
                self._rounding = max(self._rounding, np.nan_to_num(rounding))
        return self._rounding

    def moved(self, change):
        """Return the Point at another value, or None where the layer refuses it."""
        bottom = (self.bottom + change).astype(self.dtype)
        try:
            with np.errstate(all="ignore"):
                arguments = self.run, self.backward, bottom, self.top_diffs
                point = Point(*arguments, rng=self.rng, others=self.others)
        except Exception:
            return None
        arrays = [point.diff] + point.tops
        same = [top.shape for top in point.tops] == [top.shape for top in self.tops]
        return point if same and all(np.all(np.isfinite(a)) for a in arrays) else None

    def confirms(self, single):
        """Whether the diff of float32 is that of float64, but for its rounding."""
        difference = np.linalg.norm(single.diff - self.diff)
        floor = 1e-6 * max(np.max(np.abs(v)) for v in self.top_diffs)
        limit = 1e-2 * np.linalg.norm(self.diff) + floor * np.sqrt(self.diff.size)
        return difference <= limit

    def is_negligible(self, size):
        """Whether diff is below what float64 can say of anything."""
        most = max(np.max(np.abs(v)) for v in self.top_diffs)
        return np.max(np.abs(self.diff) * size) <= NEGLIGIBLE * most

    def is_steady(self, u, slope):
        """Whether the residual is much the same where float32 inside moves, too."""
        amounts = np.abs(u[u != 0])
        ulps = np.finfo(np.float32).eps * np.max(np.abs(self.bottom[u != 0]) / amounts)
        step = min(max(FLAT_STEP, 8 * ulps), 1e-2)
        change = abs(self.central_difference(u, step)[0] - slope.residual)
        return change <= STEADY * abs(slope.residual)

    def part_slope(self, chosen, size, rng):
        """Return the Slope along a random direction of elements of these indices."""
        u = np.zeros(size.size)
        u[chosen] = size.ravel()[chosen] * rng.choice([-1, 1], len(chosen))
        return self.slope(u.reshape(size.shape))

    def one_step_slope(self, index, amount, step, largest, others):
        """Return the Slope along one element from one step, and slopes for the others.

        `amount` is for how much of the element it is, `largest` the largest slope of
        any element, in the same unit.
        """
        u = np.zeros(self.bottom.shape)
        u[index] = amount
        residual, jump, (high, low) = self.central_difference(u, step)
        others = [(dot(v, high) - dot(v, low)) / (2 * step) for v in others]
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

    def slope(self, u, largest=0.0, ladder=None):
        """Return the Slope along u, measured until it agrees or the steps end.

        Central differences at halved steps, whose error is of the order h^2, are
        extrapolated to (4 D(h/2) - D(h)) / 3 of order h^4: Richardson extrapolation
        (Phil. Trans. R. Soc. A 210, 1911, pages 307 to 357). J, half the difference of
        the one-sided slopes, is of order h: 2 J(h/2) - J(h) is zero for a smooth
        function. What is left of it is rounding or a kink, and bounds the truncation.
        """
        terms = self.diff * u
        analytic = np.sum(terms)
        scale = max(np.sqrt(dot([terms], [terms])), abs(analytic), 0.05 * largest)
        ladder = ladder or self.ladders[-1]
        steps, best, least_rounding = [], None, None
        for h in ladder:
            steps.append(self.central_difference(u, h)[:2])
            if len(steps) < min(3, len(ladder)) or not np.all(np.isfinite(steps[-3:])):
                continue
            if analytic == 0 and not np.any(steps):
                return Slope(0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
            rounding = 4 * (self.rounding if len(ladder) > 1 else self.floor) / h
            least = ELEMENT_TOLERANCE * scale + rounding
            residual, truncation = extrapolated(analytic, steps[-3:], least)
            least_rounding = least_rounding or rounding
            found = Slope(
                analytic,
                residual,
                truncation,
                rounding,
                least_rounding,
                max(scale, abs(analytic + residual)),
            )
            if found.agrees(self.tolerance) or self.fine and found.is_sure:
                return found
            if found.is_better_than(best):
                best = found
        return best or Slope(analytic, 0.0, np.inf, 0.0, 0.0, scale)

    def central_difference(self, u, h):
        """Return numeric minus analytic slope, half its jump, and the tops' changes.

        All at step h along u: the jump is that of the one-sided slopes, and the changes
        are two lists, up to both ends.
        """
        (above, high), (below, low) = [
            self.residual_change(self.bottom + t * u) for t in (h, -h)
        ]
        return (above - below) / (2 * h), (above + below) / (2 * h), (high, low)

    def residual_change(self, end):
        """Return by how much s changes up to `end` beyond what diff says, and the tops'
        changes.

        NaN where the layer refuses or overflows: such a step was too far.
        """
        end = end.astype(self.dtype, copy=False)
        try:
            with np.errstate(all="ignore"):
                pairs = zip(self.run(end), self.tops)
                changes = [np.subtract(top, before, top) for top, before in pairs]
                change = dot(self.top_diffs, changes)
        except Exception:
            return np.nan, [top * np.nan for top in self.tops]
        return change - dot([self.diff], [end - self.bottom]), changes


def root_sum_square(slopes):
    """Return Slopes of several directions as one: the root of the sum of squares."""
    return Slope(
        *[
            np.sqrt(sum(getattr(slope, part) ** 2 for slope in slopes))
            for part in Slope.PARTS
        ]
    )


def extrapolated(analytic, steps, least):
    """Return the residual and its truncation from one step or three halved ones.

    A slope of at most `least` is none that diverges.
    """
    if len(steps) == 1:
        residual, jump = steps[0]
        return residual, abs(jump)
    (r0, j0), (r1, j1), (r2, j2) = steps
    residual, coarser = (4 * r2 - r1) / 3, (4 * r1 - r0) / 3
    truncation = abs(2 * j1 - j0) + abs(2 * j2 - j1) + abs(residual - coarser)
    if abs(analytic + r2) > least:
        if diverges(analytic + r0, analytic + r1, analytic + r2):
            truncation = np.inf
    return residual, truncation


def drawn(rng, values, shape):
    """Return random ones of 256 values: a byte for each, which takes little time."""
    count = int(np.prod(shape))
    return np.take(values, np.frombuffer(rng.bytes(count), np.uint8)).reshape(shape)


def signs(rng, shape):
    """Return random signs."""
    return drawn(rng, np.repeat([-1.0, 1.0], 128), shape)


def uniform(rng, low, high, shape):
    """Return random numbers between two; where they are many, not all differ."""
    if np.prod(shape) <= MOST_ELEMENTS:
        return rng.uniform(low, high, shape)
    return drawn(rng, np.linspace(low, high, 256), shape)


def diverges(*slopes):
    """Whether slopes at halved steps grow on and on."""
    pairs = zip(slopes, slopes[1:])
    return all(abs(finer) > POLE_GROWTH * abs(slope) for slope, finer in pairs)


def dot(left, right):
    """Return the inner product of two lists of arrays."""
    return sum(np.dot(np.ravel(a), np.ravel(b)) for a, b in zip(left, right))
