"""Block low rank: tiles away from the diagonal have low rank, as in kernels of points that are in order, in inverses
of bands, and in other matrices that are smooth but on the diagonal. Those on the diagonal stay as they are.

Tiles do not share entries, so that truncated svds of them are the closest such matrix.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.monarch import divisors
from tpc.passes.approximation.target import Target, tails

SAVED = 0.6  # share of the operations that may be left
SMALLEST, MOST = 8, 64  # sides of a tile, and tiles in a row
TERMS = (Term("block diagonal", ("B",)), Term("pqis,pqjs->pi,qj", ("U", "V")))


def block_low_rank(target: Target) -> Iterator[Projected]:
    """The number of tiles for which the work is least."""
    A = target.values
    if not target.is_matrix or not A.size:
        return
    best = SAVED * 2 * A.size
    for number in divisors(int(np.gcd(*A.shape))):
        a, b = A.shape[0] // number, A.shape[1] // number
        if not 2 < number <= MOST or min(a, b) < SMALLEST:
            continue
        left = best - 2 * number * a * b
        most = min(int(left / (2 * number * number * (a + b))), min(a, b) - 1)
        if most < 1 or is_far(target, number, most):
            continue
        found = projected(target, number, most)
        if found is not None and found.work < best:
            best = found.work
            yield found


def cut(A: Array, number: int) -> Array:
    """The axes p, q, i, j; a view."""
    m, n = A.shape
    return A.reshape(number, m // number, number, n // number).transpose(0, 2, 1, 3)


def is_far(target: Target, number: int, most: int) -> bool:
    """Whether the tile in the corner, which is as far from the diagonal as any, leaves too much."""
    values = np.linalg.svd(cut(target.values, number)[0, -1], compute_uv=False)
    return bool(tails(values**2)[most] > target.budget)


def projected(target: Target, number: int, most: int) -> Projected | None:
    """The closest such matrix of the least rank within the budget; None where that is more than `most`."""
    tiles = cut(target.values, number)
    at = np.arange(number)
    away = np.array(tiles)
    away[at, at] = 0
    u, values, v = np.linalg.svd(away, full_matrices=False)
    rank = max(1, int(np.argmax(tails((values**2).sum((0, 1))) <= target.budget)))
    if rank > most:
        return None
    a, b = away.shape[2:]
    parts = {
        "B": tiles[at, at],
        "U": u[..., :rank] * values[..., None, :rank],
        "V": v[..., :rank, :].swapaxes(-1, -2),
    }
    work = 2 * number * a * b + 2 * number * number * rank * (a + b)
    about = f"tiles of {a} by {b}, of rank {rank} away from the diagonal"
    return Projected("block low rank", about, parts, TERMS, work, optimal=True)
