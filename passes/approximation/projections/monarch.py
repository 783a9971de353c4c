"""Monarch matrices and block tensor trains: an svd for each slice.

M[(i j), (k l)] = sum[s](L[j, i, k, s] * R[k, j, l, s]): for each j and k the slice over i and l has rank r. Slices do
not share entries, so that truncated svds of them are the closest such matrix (Monarch, 2022).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target, tails

SAVED = 0.7  # share of the operations that may be left: copies between both products cost time, too
TRIED = 6  # groupings, the cheapest first
SAMPLED = 4  # slices of which a corner is looked at first
EDGE = 32  # rows and columns of it

Shape = tuple[int, int, int, int]
"""The sizes of i, j, k and l."""


def divisors(n: int) -> list[int]:
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def operations(shape: Shape, rank: int) -> int:
    p, m, q, n = shape
    return 2 * rank * m * q * (p + n)


def slices(A: Array, shape: Shape, shuffled: bool) -> Array:
    """The axes j, k, i, l, as a view; shuffled where the columns are (l k)."""
    p, m, q, n = shape
    if shuffled:
        return A.reshape(p, m, n, q).transpose(1, 3, 0, 2)
    return A.reshape(p, m, q, n).transpose(1, 2, 0, 3)


def meaning(shuffled: bool) -> Term:
    """The matrix of L and R."""
    return Term("jiks,kjls->ij,lk" if shuffled else "jiks,kjls->ij,kl", ("L", "R"))


def groupings(shape: tuple[int, ...]) -> list[Shape]:
    """How rows and columns may be taken apart, those of the cheapest products first."""
    found = [(p, shape[0] // p, q, shape[1] // q) for p in divisors(shape[0])[1:-1] for q in divisors(shape[1])[1:-1]]
    return sorted(found, key=lambda s: operations(s, 1))


def monarch(target: Target) -> Iterator[Projected]:
    """The cheapest of a few groupings, with the columns shuffled too, as the Fourier transform needs."""
    if not target.is_matrix:
        return
    best, tried = SAVED * 2 * target.values.size, 0
    for shape in groupings(target.values.shape):
        for shuffled in (False, True):
            most = min(int(best / operations(shape, 1)), shape[0], shape[3])
            if most < 1 or tried == TRIED or not _may_do(target, shape, shuffled, most):
                continue
            tried += 1
            found = projected(target, shape, shuffled, most)
            if found is not None and found.work < best:
                best = found.work
                yield found


def _may_do(target: Target, shape: Shape, shuffled: bool, most: int) -> bool:
    """Whether corners of some slices leave room: no slice is closer to a rank than a part of it."""
    p, m, q, n = shape
    if most >= min(p, n, EDGE):
        return min(p, n) <= EDGE  # every slice has the rank, or the corners tell nothing
    draw = np.random.default_rng(0)
    cut = slices(target.values, shape, shuffled)
    j, k = (draw.integers(size, size=(SAMPLED, 1, 1)) for size in (m, q))
    rows, columns = (np.sort(draw.permutation(size)[:EDGE]) for size in (p, n))
    some = cut[j, k, rows[:, None], columns]
    left = np.linalg.svd(some, compute_uv=False)[:, most:] ** 2
    # the one that leaves most, and all slices as if they were like those that were drawn, with room for chance
    return bool(left.sum(1).max() <= target.budget**2 and left.sum() / SAMPLED * m * q <= 4 * target.budget**2)


def projected(target: Target, shape: Shape, shuffled: bool, most: int) -> Projected | None:
    """The closest such matrix of the least rank within the budget; None where that is more than `most`."""
    cut = slices(target.values, shape, shuffled)
    p, m, q, n = shape
    u, values, v = np.linalg.svd(cut, full_matrices=False)
    left = tails((values**2).sum((0, 1)))
    rank = max(1, int(np.argmax(left <= target.budget)))
    if rank > most:
        return None
    name = "monarch" if rank == 1 else "block tensor train"
    about = f"{m} blocks of {p} by {q * rank} times {q} blocks of {m * rank} by {n}"
    about += ", after a shuffle of the columns" if shuffled else ""
    parts = {
        "L": (u[..., :rank] * values[..., None, :rank]).transpose(0, 2, 1, 3),  # j i k s
        "R": v[..., :rank, :].transpose(1, 0, 3, 2),  # k j l s
    }
    return Projected(name, about, parts, (meaning(shuffled),), operations(shape, rank), optimal=True)
