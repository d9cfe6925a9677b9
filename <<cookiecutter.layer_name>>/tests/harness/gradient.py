"""The gradient check: is <diff, u> the slope of the tops along u, for random directions u?

With random top diffs v, s(t) = <v, forward(x + t u)> has the slope <bottom diff, u> at t = 0. One
direction tests all elements of a bottom at once. Only where it does not fit, or a kink (abs, max)
spoils the difference, the elements are looked at one by one.
"""

import numpy as np

EPSILON = 2.0**-24  # rounding of float32
STEPS = [0.2 / 2**i for i in range(10)]  # in units of the bottom's size
SCREEN = 1e-4  # relative error up to which a whole direction is right without a closer look
WRONG = 2e-3  # relative error from which an element is wrong
KINK = 2e-2  # relative uncertainty from which an element is left out
ELEMENTS = 500  # looked at one by one; beyond this, a random sample


class Slope(object):
    """What differences say of a direction: `residual` = measured minus layer's, and its error."""

    def __init__(self, layers, residual, error, size):
        self.layers, self.residual, self.error, self.size = layers, residual, error, size

    @property
    def measured(self):
        return self.layers + self.residual

    def per(self, amount):
        """Return the Slope for a unit of the bottom instead of `amount` of it."""
        parts = (self.layers, self.residual, self.error, self.size)
        return Slope(*[part / amount for part in parts])

    def fits(self, relative):
        """Whether layer's and measured slope agree, and the measurement is good enough to say."""
        return abs(self.residual) + self.error < relative * self.size

    def differs(self, relative):
        """Whether they differ by more than any error of the measurement explains."""
        return not abs(self.residual) <= relative * self.size + 4 * self.error


def check(run, bottom, diff, tops, top_diffs, rng):
    """Compare one bottom's diff with differences.

    Args:
        run: function of an array like `bottom`, float32, that returns the list of tops.
        bottom, diff: the point and what the layer's backward gave there.
        tops, top_diffs: the tops at that point and the diffs that backward was given.
    Returns:
        None if they agree, otherwise (text of how many elements, list of (index, Slope)), the
        worst first; an index of None stands for a whole direction.
    """
    if not np.all(np.isfinite(diff)):
        bad = np.argwhere(~np.isfinite(diff))
        rows = [(tuple(i), Slope(diff[tuple(i)], np.nan, 0.0, 1.0)) for i in bad[:5]]
        return "%d of %d elements are not finite" % (len(bad), diff.size), rows
    probe = Probe(run, bottom, diff, tops, top_diffs)
    size = np.maximum(np.abs(bottom), 0.3 * max(_rms(bottom), 1e-20))
    size = size * rng.uniform(0.5, 1, bottom.shape)
    random = size * rng.choice([-1, 1], bottom.shape)
    along = np.where(diff < 0, -size, np.where(diff > 0, size, random))
    directions = [random, along]
    if all(probe.slope(u).fits(SCREEN) for u in directions):
        return None
    chosen = np.arange(bottom.size)
    if bottom.size > ELEMENTS:
        chosen = np.sort(rng.choice(bottom.size, ELEMENTS, replace=False))
    wrong, kinks = [], []
    largest = np.max(np.abs(diff * size))
    for flat in chosen:
        index = np.unravel_index(flat, bottom.shape)
        u = np.zeros(bottom.shape)
        u[index] = size[index]
        slope = probe.slope(u, floor=largest)
        if slope.differs(WRONG):
            wrong.append((index, slope.per(size[index])))
        elif not slope.fits(KINK):
            kinks.append(index)
    if wrong:
        wrong.sort(key=lambda row: -abs(row[1].residual))
        sampled = "" if len(chosen) == bottom.size else " looked at (of %d)" % bottom.size
        return "%d of %d elements%s" % (len(wrong), len(chosen), sampled), wrong
    for u in directions:
        for index in kinks:
            u[index] = 0
        slope = probe.slope(u)
        if slope.differs(WRONG):
            return "the sum of all along a direction, no single one clearly", [(None, slope)]
    return None


class Probe(object):
    """Measures slopes at one point."""

    def __init__(self, run, bottom, diff, tops, top_diffs):
        self.run, self.bottom, self.diff = run, np.asarray(bottom, np.float64), diff
        self.top_diffs = [np.asarray(v, np.float64) for v in top_diffs]
        self.center = self.project(tops)
        terms = [np.sum(np.square(v * top)) for v, top in zip(self.top_diffs, tops)]
        self.noise = EPSILON * np.sqrt(sum(terms))
        self.passes = 0

    def project(self, tops):
        return sum(np.sum(v * top) for v, top in zip(self.top_diffs, tops))

    def slope(self, u, floor=0.0):
        """Return the Slope along u, measured until it fits or the steps end.

        Central differences at halved steps, extrapolated as by Richardson. The half difference of
        the two one-sided slopes, extrapolated too, is zero for a smooth function: what is left of
        it is noise or a kink, and bounds the error.
        """
        layers = np.sum(self.diff * u)
        size = max(np.sqrt(np.sum(np.square(self.diff * u))), abs(layers), 0.05 * floor)
        steps, best = [], None
        for h in STEPS:
            steps.append(self.differences(u, h))
            if len(steps) < 3:
                continue
            if layers == 0 and not np.any(steps):
                return Slope(0.0, 0.0, 0.0, 1.0)
            (r0, j0), (r1, j1), (r2, j2) = steps[-3:]
            residual = (4 * r2 - r1) / 3
            error = abs(2 * j1 - j0) + abs(2 * j2 - j1) + abs(residual - (4 * r1 - r0) / 3) / 8
            error += 4 * self.noise / h
            if not np.isfinite(error):
                continue
            found = Slope(layers, residual, error, max(size, abs(layers + residual)))
            if best is None or found.error < best.error:
                best = found
            if found.fits(SCREEN):
                break
        return best or Slope(layers, 0.0, np.inf, size)

    def differences(self, u, h):
        """Return measured minus layer's slope, and half the jump of the slope, both at step h."""
        ends = [(self.bottom + step * u).astype(np.float32) for step in (h, -h)]
        self.passes += 2
        above, below = [self.project(self.run(end)) for end in ends]
        moved = [np.sum(self.diff * (end - self.bottom)) for end in ends]
        up = above - self.center - moved[0]
        down = below - self.center - moved[1]
        return (up - down) / (2 * h), (up + down) / (2 * h)


def _rms(array):
    return np.sqrt(np.mean(np.square(np.asarray(array, np.float64))))
