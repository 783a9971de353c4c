"""Monarch matrices and block tensor trains: two products of small blocks with a shuffle between; and fast transforms,
of as many products as the size has prime factors.

M[(i j), (k l)] = sum[s](L[j, i, k, s] * R[k, j, l, s]): for each j and k, the slice over i and l has rank r.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.passes.approximation.projections.monarch import Shape, groupings, meaning, operations, slices
from tpc.passes.approximation.projections.transforms import primes, taken_apart

SAVED = 0.6  # share of the operations that may be left
DRAWN = 6  # slices that are looked at first
EDGE = 12  # rows and columns of each
TRIED = 4  # shapes that are compared with all entries, the cheapest first


def monarch(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Where it is cheaper than what was found; with the columns shuffled too, as the Fourier transform needs."""
    A = subject.values
    if not subject.nonzeros:
        return
    known = min((f.product for f in found if f.product is not None), default=2 * A.size)
    candidates = []
    for shape in groupings(A.shape):
        for shuffled in (False, True):
            rank = _drawn(subject, shape, shuffled)
            work = operations(shape, rank)
            if rank and work <= SAVED * 2 * A.size and work < known:
                candidates.append((work, shape, shuffled, rank))
    for work, shape, shuffled, rank in sorted(candidates)[:TRIED]:
        parts = _projected(subject, shape, shuffled, rank)
        error = subject.error(_rebuilt(parts))
        if error <= subject.tolerance:
            p, m, q, n = shape
            name = "monarch" if rank == 1 else "block tensor train"
            about = f"slices of rank {rank}: {m} blocks of {p} by {q * rank} times {q} blocks of {m * rank} by {n}"
            about += ", after a shuffle of the columns" if shuffled else ""
            columns = "(l k)" if shuffled else "(k l)"
            formula = f"A[(i j), {columns}] = sum[s](L[j, i, k, s] * R[k, j, l, s])"
            yield Finding(name, about, error, (), formula, parts, work, None, _rebuilt)
            return


def transform(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Where it is much cheaper than what was found; transforms that have a name are found by it."""
    A, radices = subject.values, primes(subject.rows)
    known = min((f.product for f in found if f.product is not None), default=2 * A.size)
    work = 2 * subject.rows * sum(radices)
    if not subject.square or not subject.norm or len(radices) < 3 or work > SAVED * known:
        return
    apart = taken_apart(A, radices, subject.tolerance * subject.norm)
    if apart is None:
        return
    inputs, output = apart.term.meaning.split("->")
    factors = [f"{name}[{', '.join(letters)}]" for name, letters in zip(apart.parts, inputs.split(","), strict=True)]
    rows, columns = (f"({' '.join(letters)})" for letters in output.split(","))
    error = subject.error(apart.term.dense(apart.parts))
    if error <= subject.tolerance:
        about = f"{len(radices)} factors with {apart.stored} entries in all"
        formula = f"A[{rows}, {columns}] = {' * '.join(factors)}"
        yield Finding("fast transform", about, error, (), formula, apart.parts, work, None, apart.term.dense)


def _drawn(subject: Subject, shape: Shape, shuffled: bool) -> int:
    """The rank of corners of some slices, or 0 where it is too large to gain anything."""
    p, m, q, n = shape
    rows, columns = subject.sampled
    most = 0
    for i, j in zip(rows[-DRAWN:], columns[-DRAWN:]):
        # the slice of an entry that is not zero, and a corner of it with that entry
        slice_ = subject.values[i % m :: m, j % q :: q] if shuffled else _columns(subject, i % m, m, j // n, n)
        at = (i // m, j // q if shuffled else j % n)
        # in a slice with zeros, most where its row and its column have entries
        some = [
            np.unique(np.concatenate([[k], subject.random.integers(len(line), size=EDGE), np.flatnonzero(line)[:EDGE]]))
            for k, line in zip(at, (slice_[:, at[1]], slice_[at[0]]))
        ]
        values = np.linalg.svd(slice_[np.ix_(*some)], compute_uv=False)
        rank = int((values > EDGE * subject.tolerance * subject.largest).sum())
        most = max(most, rank)
        if (
            2 * rank > min(len(some[0]), len(some[1]), EDGE) > 2
            or operations(shape, most) > SAVED * 2 * subject.values.size
        ):
            return 0  # as far as the corner shows, it has full rank
    return most


def _columns(subject: Subject, j: int, m: int, k: int, n: int) -> Array:
    return subject.values[j::m, k * n : (k + 1) * n]


def _projected(subject: Subject, shape: Shape, shuffled: bool, rank: int) -> dict[str, Array]:
    """The nearest such matrix: a truncated decomposition of each slice, found by alternating."""
    cut = slices(subject.values, shape, shuffled)
    right = subject.random.standard_normal((*cut.shape[:2], cut.shape[3], rank))
    left = cut @ right
    for _ in range(3):
        left = np.linalg.qr(left)[0]
        right = cut.conj().swapaxes(-1, -2) @ left
        left = cut @ np.linalg.qr(right)[0] if rank < min(cut.shape[2:]) else left
    left = np.linalg.qr(left)[0]
    right = np.swapaxes(left.conj().swapaxes(-1, -2) @ cut, -1, -2)  # axes j, k, l, s
    return {
        "L": np.ascontiguousarray(left.swapaxes(1, 2)),
        "R": np.ascontiguousarray(right.swapaxes(0, 1)),
        "shuffled": np.asarray(shuffled),
    }


def _rebuilt(parts: Mapping[str, Array]) -> Array:
    return meaning(bool(parts["shuffled"])).dense(parts)
