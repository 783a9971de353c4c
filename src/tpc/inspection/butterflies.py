"""Monarch matrices and block tensor trains: two products of small blocks with a shuffle between.

M[(i j), (k l)] = sum[s](L[j, i, k, s] * R[k, j, l, s]): for each j and k, the slice over i and l has rank r.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.products import divisors
from tpc.inspection.subject import Array, Subject

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
    for p in divisors(subject.rows)[1:-1]:
        for q in divisors(subject.columns)[1:-1]:
            for shuffled in (False, True):
                shape = (p, subject.rows // p, q, subject.columns // q)
                rank = _drawn(subject, shape, shuffled)
                work = _work(shape, rank)
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


def _work(shape: tuple[int, ...], rank: int) -> int:
    p, m, q, n = shape
    return 2 * rank * m * q * (p + n)


def _sliced(A: Array, shape: tuple[int, ...], shuffled: bool) -> Array:
    """The axes j, k, i, l; a view."""
    p, m, q, n = shape
    if shuffled:
        return A.reshape(p, m, n, q).transpose(1, 3, 0, 2)
    return A.reshape(p, m, q, n).transpose(1, 2, 0, 3)


def _drawn(subject: Subject, shape: tuple[int, ...], shuffled: bool) -> int:
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
        if 2 * rank > min(len(some[0]), len(some[1]), EDGE) > 2 or _work(shape, most) > SAVED * 2 * subject.values.size:
            return 0  # as far as the corner shows, it has full rank
    return most


def _columns(subject: Subject, j: int, m: int, k: int, n: int) -> Array:
    return subject.values[j::m, k * n : (k + 1) * n]


def _projected(subject: Subject, shape: tuple[int, ...], shuffled: bool, rank: int) -> dict[str, Array]:
    """The nearest such matrix: a truncated decomposition of each slice, found by alternating."""
    slices = _sliced(subject.values, shape, shuffled)
    right = subject.random.standard_normal((*slices.shape[:2], slices.shape[3], rank))
    left = slices @ right
    for _ in range(3):
        left = np.linalg.qr(left)[0]
        right = slices.conj().swapaxes(-1, -2) @ left
        left = slices @ np.linalg.qr(right)[0] if rank < min(slices.shape[2:]) else left
    left = np.linalg.qr(left)[0]
    right = np.swapaxes(left.conj().swapaxes(-1, -2) @ slices, -1, -2)  # axes j, k, l, s
    return {
        "L": np.ascontiguousarray(left.swapaxes(1, 2)),
        "R": np.ascontiguousarray(right.swapaxes(0, 1)),
        "shuffled": np.asarray(shuffled),
    }


def _rebuilt(parts: Mapping[str, Array]) -> Array:
    L, R = parts["L"], parts["R"]
    m, p, q, _ = L.shape
    n = R.shape[2]
    slices = L.swapaxes(1, 2) @ R.transpose(1, 0, 3, 2)  # axes j, k, i, l
    if parts["shuffled"]:
        return slices.transpose(2, 0, 3, 1).reshape(p * m, n * q)
    return slices.transpose(2, 0, 1, 3).reshape(p * m, q * n)
