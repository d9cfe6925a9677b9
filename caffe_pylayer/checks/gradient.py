"""The gradient check: is <diff, u> the slope of the tops along u, for random directions u?

With random top diffs v, s(t) = <v, forward(x + t u)> has the slope <diff, u> at t = 0. A direction
tests all elements at once. Only where one does not fit, or where kinks (abs, max) leave it
unclear, the elements are looked at one by one.
"""

import numpy as np

ROUNDING = 2.0**-24  # of float32
STEPS = [0.2 / 2**i for i in range(10)]  # in units of the size of an element
SCREEN = (
    1e-4  # relative error up to which a whole direction is right without a closer look
)
WRONG = 2e-3  # relative error from which an element is wrong
KINK = 2e-2  # relative uncertainty from which an element is left out
ELEMENTS = 2000  # looked at one by one; of more, and of large bottoms, a random sample
WORK = 2e7  # elements looked at, times all elements of the bottom, at most
GROWS = 1.2  # times a slope grows at half the step where a pole or a cliff is nearer than that
CLOSER = 12  # elements that are measured as carefully as a direction, the worst ones


class AllKinks(Exception):
    """No element could be measured, because the layer has a kink at each of them."""


class Slope(object):
    """What differences say of a direction.

    `layers` is <diff, u>, `residual` the measured slope minus that; `unsure` is its uncertainty by
    kinks and curvature, `noise` that by rounding, `least` the noise at the largest steps, and
    `size` what errors are relative to.
    """

    def __init__(self, layers, residual, unsure, noise, least, size):
        self.layers, self.residual, self.unsure = layers, residual, unsure
        self.noise, self.least, self.size = noise, least, size
        self.error = unsure + noise

    @property
    def measured(self):
        return self.layers + self.residual

    def per(self, amount):
        """Return the Slope for a unit of the bottom instead of `amount` of it."""
        parts = (
            self.layers,
            self.residual,
            self.unsure,
            self.noise,
            self.least,
            self.size,
        )
        return Slope(*[part / amount for part in parts])

    def fits(self, relative):
        """Whether layer and measurement agree, and the measurement is good enough to say so."""
        close = (
            abs(self.residual) + self.unsure <= relative * self.size + 2 * self.least
        )
        return close and self.noise <= KINK * self.size

    def excess(self, errors):
        """Return by how much they differ beyond what so many errors of the measurement explain."""
        return abs(self.residual) - WRONG * self.size - errors * self.error

    def differs(self, errors=4):
        """Whether they differ by more than so many errors of the measurement explain."""
        return not self.excess(errors) <= 0

    @property
    def drowned(self):
        """Whether rounding, and no kink, explains what is left of a difference."""
        small = self.error <= WRONG * self.size and self.unsure <= 4 * self.noise
        return small and abs(self.residual) <= 2 * self.error

    @property
    def is_kink(self):
        """Whether more than rounding makes the measurement useless."""
        return self.unsure > KINK * self.size + 4 * self.noise

    def beats(self, coarser):
        """Whether this measurement at finer steps says more than one at coarser steps."""
        if coarser is None or self.error < coarser.error:
            return True
        change = abs(self.residual - coarser.residual)
        contradicts = change > 0.2 * abs(coarser.residual) + self.error
        unclear = self.error > 0.5 * abs(coarser.residual)
        return self.noise < 0.1 * abs(coarser.residual) and (contradicts or unclear)


class Finding(object):
    """A wrong gradient.

    `count` says in words how many elements are wrong and `rows` is a list of (index, Slope), the
    worst first, with an index of None for a whole direction. Where elements were looked at,
    `measured` and `wrong` are arrays like the bottom (NaN and False elsewhere), `noise` is the
    error of measured, and `instead` what would be measured with other top diffs.
    """

    def __init__(self, count, rows, measured=None, wrong=None, noise=None, instead=()):
        self.count, self.rows = count, rows
        self.measured, self.wrong, self.noise, self.instead = (
            measured,
            wrong,
            noise,
            instead,
        )


def check(run, bottom, diff, tops, top_diffs, rng, others=()):
    """Compare one bottom's diff with differences; return None if they agree, or a Finding.

    Raises AllKinks where no element can be compared.

    Args:
        run: function of an array like `bottom`, float32, that returns the list of tops.
        bottom, diff: the point and what the layer's backward gave there.
        tops, top_diffs: the tops at that point and the diffs that backward was given.
        others: further lists of top diffs, for Finding.instead.
    """
    if not np.all(np.isfinite(diff)):
        bad = np.argwhere(~np.isfinite(diff))
        rows = [
            (tuple(i), Slope(diff[tuple(i)], np.nan, 0.0, 0.0, 0.0, 1.0)) for i in bad
        ]
        return Finding("%d of %d elements are not finite" % (len(bad), diff.size), rows)
    probe = Probe(run, bottom, diff, tops, top_diffs, rng, others)
    size = sizes(bottom) * rng.uniform(0.5, 1, bottom.shape)
    random = size * rng.choice([-1, 1], bottom.shape)
    uphill = np.where(diff < 0, -size, np.where(diff > 0, size, random))
    slopes = (probe.slope(u) for u in (random, uphill))
    if all(slope.fits(SCREEN) or slope.drowned for slope in slopes):
        return None
    return Survey(probe, size, rng).finding((random, uphill))


def measure(run, bottom, diff, tops, top_diffs, rng):
    """Return the measured gradient, NaN where not looked at, whether or not the diff is right."""
    probe = Probe(run, bottom, diff, tops, top_diffs, rng)
    return Survey(probe, sizes(bottom), rng).measured


def sizes(bottom):
    """Return the amounts by which elements are moved at most, times the largest step.

    Their own size, but not less than a part of the others': small ones are mostly small by chance.
    And not much more than their spread, where they have one: all may be near a number. Positive
    bottoms (probabilities) stay positive.
    """
    size = np.abs(np.asarray(bottom, np.float64))
    floor = 0.3 * np.sqrt(np.mean(np.square(size)))
    size = size if np.min(bottom) > 0 else np.maximum(size, floor or 1.0)
    spread = 10 * np.std(bottom) if np.ptp(bottom) else np.inf
    return np.minimum(size, np.maximum(spread, 0.01 * size))


class Survey(object):
    """A look at each element, two forward passes for each, and a closer one at the worst."""

    def __init__(self, probe, size, rng):
        self.probe, self.size, self.rng = probe, size, rng
        bottom, diff = probe.bottom, probe.diff
        count = int(min(bottom.size, ELEMENTS, max(20, WORK / bottom.size)))
        chosen = np.sort(rng.choice(bottom.size, count, replace=False))
        self.largest = np.max(np.abs(diff) * np.minimum(size, np.abs(bottom)))
        typical = np.sqrt(np.mean(np.square(diff * size)))
        step = np.clip(
            4 * probe.noise / max(WRONG * typical, 1e-300), STEPS[-1], STEPS[2]
        )
        self.measured = np.full(bottom.shape, np.nan)
        self.instead = [self.measured.copy() for _ in probe.others]
        self.noise = np.full(bottom.shape, np.nan)
        self.slopes = {}
        indices = zip(*np.unravel_index(chosen, bottom.shape)) if bottom.ndim else [()]
        for index in indices:
            self.slopes[index], instead = probe.glance(
                index, size[index], step, self.largest
            )
            self.measured[index] = self.slopes[index].measured / size[index]
            self.noise[index] = self.slopes[index].error / size[index]
            for array, slope in zip(self.instead, instead):
                array[index] = slope / size[index]

    def finding(self, directions):
        """Return None or a Finding: wrong elements, or a direction of those that are no kinks."""
        suspects = sorted(self.slopes, key=lambda index: -self.slopes[index].excess(1))
        suspects = [
            index for index in suspects if not self.slopes[index].excess(0.5) <= 0
        ]
        sure = [index for index in suspects if self.slopes[index].differs(2)]
        left_out = set(index for index, slope in self.slopes.items() if slope.is_kink)
        left_out, closer = (left_out | set(suspects)) - set(sure), {}
        for index in suspects[:CLOSER]:
            slope, amount = self.probe.element(index, self.size[index], self.largest)
            if slope.differs():
                closer[index] = slope.per(amount)
                self.measured[index] = closer[index].measured
                self.noise[index] = closer[index].error
            elif slope.is_kink or amount != self.size[index]:
                left_out.add(index)
            else:
                left_out.discard(index)
        if closer:
            refuted = set(suspects[:CLOSER]) - set(closer)
            for index, slope in self.slopes.items():
                if index not in closer and (index in left_out or slope.is_kink):
                    self.measured[index] = np.nan
            wrong = np.zeros(self.measured.shape, bool)
            for index in set(closer) | (set() if refuted else set(sure)):
                wrong[index] = True
            return self._finding(wrong, closer)
        clear, left_out = np.ones(self.measured.shape), left_out | set(sure)
        for index in left_out:
            clear[index] = 0
        sampled = len(self.slopes) < clear.size
        if not np.any(clear) or sampled and 2 * len(left_out) > len(self.slopes):
            raise AllKinks()
        slopes = [self.probe.slope(u * clear) for u in directions]
        found = [slope for slope in slopes if slope.differs(errors=10)]
        if found and left_out and sampled:  # there are kinks among the others
            more = [
                self.size * self.rng.choice([-1, 1], clear.shape) * clear
                for _ in range(2)
            ]
            slopes += [self.probe.slope(u) for u in more]
            found = found if together(slopes).differs(errors=20) else []
        text = "the sum along a direction, no single element clearly"
        return Finding(text, [(None, found[0])]) if found else None

    def _finding(self, wrong, closer):
        looked, total = len(self.slopes), wrong.size
        sampled = "" if looked == total else " looked at (of %d)" % total
        rows = sorted(closer.items(), key=lambda row: -abs(row[1].residual))
        count = "%d of %d elements%s" % (np.sum(wrong), looked, sampled)
        return Finding(count, rows, self.measured, wrong, self.noise, self.instead)


class Probe(object):
    """Measures slopes at one point."""

    def __init__(self, run, bottom, diff, tops, top_diffs, rng, others=()):
        self.run, self.bottom, self.diff = run, np.asarray(bottom, np.float64), diff
        self.top_diffs = [np.asarray(v, np.float64) for v in top_diffs]
        self.tops, self.others = tops, others
        terms = [np.sum(np.square(v * top)) for v, top in zip(self.top_diffs, tops)]
        self.noise = ROUNDING * np.sqrt(sum(terms))
        for _ in range(3):  # tiny steps show the rounding inside the layer
            noise = abs(
                self.excess(self.bottom * (1 + rng.uniform(-1e-6, 1e-6, bottom.shape)))[
                    0
                ]
            )
            self.noise = max(self.noise, np.nan_to_num(noise))

    def glance(self, index, amount, step, largest):
        """Return the Slope along one element from one step, and the slopes for the others."""
        u = np.zeros(self.bottom.shape)
        u[index] = amount
        residual, jump, changes = self.differences(u, step)
        others = [dot(other, changes) / (2 * step) for other in self.others]
        layers, noise = self.diff[index] * amount, 2 * self.noise / step
        if not np.isfinite(residual):
            residual, jump = 0.0, np.inf
        size = max(abs(layers), abs(layers + residual), 0.05 * largest)
        return Slope(layers, residual, abs(jump), noise, noise, size), others

    def element(self, index, amount, largest):
        """Return the Slope along one element, and the amount it is for.

        An element that is small beside the others is right if it is in steps of its own size.
        """
        u = np.zeros(self.bottom.shape)
        u[index] = amount
        slope, own = self.slope(u, largest), abs(self.bottom[index])
        if slope.differs() and 0 < own < 0.5 * amount:
            u[index] = own
            finer = self.slope(u)
            if finer.fits(KINK):
                return finer, own
        return slope, amount

    def slope(self, u, largest=0.0):
        """Return the Slope along u, measured until it fits or the steps end.

        Central differences at halved steps, extrapolated as by Richardson. Half the difference of
        the two one-sided slopes, extrapolated too, is zero for a smooth function: what is left of
        it is noise or a kink, and bounds the error.
        """
        layers = np.sum(self.diff * u)
        size = max(
            np.sqrt(np.sum(np.square(self.diff * u))), abs(layers), 0.05 * largest
        )
        steps, best, least = [], None, None
        for h in STEPS:
            steps.append(self.differences(u, h)[:2])
            if len(steps) < 3 or not np.all(np.isfinite(steps[-3:])):
                continue
            if layers == 0 and not np.any(steps):
                return Slope(0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
            (r0, j0), (r1, j1), (r2, j2) = steps[-3:]
            residual = (4 * r2 - r1) / 3
            unsure = (
                abs(2 * j1 - j0) + abs(2 * j2 - j1) + abs(residual - (4 * r1 - r0) / 3)
            )
            noise, relative_to = 4 * self.noise / h, max(size, abs(layers + residual))
            if grows(layers + r0, layers + r1, layers + r2):
                unsure = np.inf
            least = least or noise
            found = Slope(layers, residual, unsure, noise, least, relative_to)
            if found.fits(SCREEN):
                return found
            if found.beats(best):
                best = found
        return best or Slope(layers, 0.0, np.inf, 0.0, 0.0, size)

    def differences(self, u, h):
        """Return measured minus layer's slope and half the jump of the slope, both at step h.

        And by how much the tops change, from one end to the other.
        """
        (above, high), (below, low) = [
            self.excess(self.bottom + t * u) for t in (h, -h)
        ]
        changes = [left - right for left, right in zip(high, low)]
        return (above - below) / (2 * h), (above + below) / (2 * h), changes

    def excess(self, end):
        """Return by how much s at `end` is more than the layer's diff says, and the tops.

        NaN where the layer refuses or overflows: such a step was too far.
        """
        end = end.astype(np.float32)
        try:
            with np.errstate(all="ignore"):
                tops = self.run(end)
                change = dot(
                    self.top_diffs, [top - top0 for top, top0 in zip(tops, self.tops)]
                )
        except Exception:
            return np.nan, [top * np.nan for top in self.tops]
        return change - np.sum(self.diff * (end - self.bottom)), tops


def together(slopes):
    """Return the root of the sum of squares of Slopes, of several directions, as one Slope."""
    parts = ("layers", "residual", "unsure", "noise", "least", "size")
    return Slope(
        *[np.sqrt(sum(getattr(slope, part) ** 2 for slope in slopes)) for part in parts]
    )


def grows(*slopes):
    """Whether slopes at halved steps grow on and on."""
    return all(
        abs(finer) > GROWS * abs(slope) for slope, finer in zip(slopes, slopes[1:])
    )


def dot(left, right):
    """Return the inner product of two lists of arrays."""
    return sum(np.sum(a * b) for a, b in zip(left, right))
