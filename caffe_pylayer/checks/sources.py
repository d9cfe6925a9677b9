# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Checks of layers without bottoms, such as data layers, forward after forward."""

import contextlib

from .net import CheckFailed
from .subject import EXACT, CheckSkipped, all_equal, assert_same

RANDOM = "draw from numpy.random, or from a generator with a seed"
RANKS = "use caffe.solver_rank() and solver_count(), or say check(..., one_solver=True)"


def check_sequence(subject):
    """Forward after forward works; that each net gives the same tops is for advice."""
    layer, _, epoch = subject.epoch()
    first = subject.sequence(2 * epoch + 1, layer=layer)
    nets = [subject.net([], layer=layer) for _ in range(2)]
    for step, tops in enumerate(first):
        what = (
            "forward %d of a second net gave something else than that of the first "
            "(%s):" % (step, RANDOM)
        )
        for other in nets:
            found = subject.forward(other, [])
            try:
                assert_same(what, other.tops, found, tops, EXACT)
            except CheckFailed as error:
                subject.advise(str(error))
                return


def check_phases(subject):
    """TRAIN and TEST work, and do not give the same samples."""
    layer, size, epoch = subject.epoch()
    train, test = [
        subject.sequence(epoch, layer=layer, phase=phase) for phase in (0, 1)
    ]
    changes = any(not all_equal(tops, train[0]) for tops in train)
    same_batches = changes and all(all_equal(*tops) for tops in zip(train, test))
    if same_batches or share_samples(train, test, size):
        raise CheckFailed(
            "TRAIN and TEST give the same %s: use self.phase, or have one layer for "
            "each with include { phase: ... }; a net tested on what it is trained on "
            "shows nothing" % ("batches" if same_batches else "samples")
        )


def share_samples(train, test, size):
    """Whether most samples of an epoch in TRAIN are in one in TEST, too, and differ."""
    samples = []
    for batches in (train, test):
        tops = [[t for t in tops if t.ndim and len(t) == size] for tops in batches]
        rows = [
            [t[i].tobytes() for t in batch] for batch in tops for i in range(size or 0)
        ]
        samples.append(set(tuple(row) for row in rows if row))
    distinct = len(samples[0]) > 0.9 * len(train) * (size or len(train))
    return distinct and len(samples[0] & samples[1]) > 0.5 * len(samples[0])


def check_ranks(subject):
    """Batch k of rank r of n solvers is batch k n + r of one solver alone."""
    if subject.author.one_solver:
        raise CheckSkipped("it is for one solver only, the test says")
    layer, size, epoch = subject.epoch()
    alone = subject.sequence(2 * epoch, layer=layer)
    for count in (2, 3):
        rounds = epoch // count
        for rank in range(count):
            length = 2 * rounds if size else rounds
            with solver(subject.caffe, rank, count):
                batches = sequence_of_solver(subject, length, layer, rank, count)
            for k, tops in enumerate(batches):
                index = k // rounds * epoch + k % rounds * count + rank
                what = (
                    "forward %d of rank %d of %d is not batch %d of one solver alone "
                )
                what += "(" + RANKS + "):"
                assert_same(
                    what % (k, rank, count, index),
                    subject.fragment.tops,
                    tops,
                    alone[index],
                    EXACT,
                    ("rank", "alone"),
                )


def sequence_of_solver(subject, length, layer, rank, count):
    """Return the tops of a solver's forwards; CheckFailed where the layer fails."""
    try:
        return subject.sequence(length, layer=layer)
    except (Exception, SystemExit) as error:
        text = "it fails as rank %d of %d (%s): %s: %s"
        kind = type(error).__name__
        raise CheckFailed(text % (rank, count, RANKS, kind, error))


@contextlib.contextmanager
def solver(caffe, rank, count):
    """Let Caffe say that this process is one of several solvers."""
    try:
        before = caffe.solver_rank(), caffe.solver_count()
        caffe.set_multiprocess(True)
    except AttributeError:
        raise CheckSkipped("this Caffe knows of no solver_rank")
    try:
        caffe.set_solver_rank(rank)
        caffe.set_solver_count(count)
        yield
    finally:
        caffe.set_multiprocess(False)
        caffe.set_solver_rank(before[0])
        caffe.set_solver_count(before[1])


def check_batch_size(subject):
    """The tops follow the key batch_size."""
    params = subject.fragment.params
    size = params["batch_size"]
    usual = subject.sequence(1)[0]
    for other in (1, size + 1):
        layer, known, _ = subject.epoch(other)
        if known is None:
            layer = subject.fragment.with_params(dict(params, batch_size=other))
        for name, before, top in zip(
            subject.fragment.tops, usual, subject.sequence(1, layer=layer)[0]
        ):
            if before.shape[:1] == (size,) and top.shape[:1] != (other,):
                raise CheckFailed(
                    "with batch_size %d top %s has the shape %s, with %d it has %s"
                    % (other, name, top.shape, size, before.shape)
                )
