"""Generalized block low rank: sums of boxes, `u[i] * v[j]` for rows i and columns j of two ranges, which may overlap.

Boxes of a number below the sides are the rank of the matrix, and their vectors u a basis of its column space in which
each reaches over as few rows as can be: the minimal spans of codes (R. McEliece, On the BCJR trellis for linear block
codes, 1996). A vector of a longer range may have any multiple of one within it added, which changes the other side; so
the vectors v are made to reach over few columns by what is added to them from boxes of longer ranges, until both are
short. Masks instead of ranges are learned in C. Lee, H. Kim, Differentiable Learning of Generalized Structured Matrices
for Efficient Deep Neural Networks (2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.low_rank import random_range
from tpc.passes.approximation.projections.sparse import stored
from tpc.passes.approximation.target import Target, measured

MOST, LONGEST = 24, 2**16  # boxes, and entries of a vector
SAVED = 0.8  # share of the operations of the same rank without ranges
LEAST = 1e-6  # of the whole, below which a vector ends: its square is above rounding
APART = 1e-3  # of a vector, that those of shorter ranges must leave of it
NEAR = 2  # positions that ranges must differ in to be told apart
SHARES = ((0.7, 0.2), (0.3, 0.05))  # of the budget: what the rank may leave, and a vector beyond its range


@dataclass(frozen=True)
class Span:
    """A vector that is nearly zero before one position and from another on.

    Attributes
    ----------
    own, others
        What it is made of, as multiples of vectors.
    """

    begin: int
    end: int
    own: Array
    others: Array

    def holds(self, other: Span) -> bool:
        return self.begin <= other.begin and other.end <= self.end

    @property
    def range(self) -> tuple[int, int]:
        return self.begin, self.end


def boxes(target: Target) -> Iterator[Projected]:
    """As many as the rank of the matrix, where most of them are clearly smaller than it."""
    A = target.values
    if not target.is_matrix or target.is_weighted or A.dtype.kind == "c":
        return
    if A.size < 4096 or max(A.shape) > LONGEST:
        return
    for rank_share, span_share in SHARES if target.budget else ():
        found = random_range(A, rank_share * target.budget, min(MOST, *A.shape))
        if found is None:
            return
        U, V, rows, columns = separated(*found, span_share * target.budget)
        work = 2 * sum(end - begin for begin, end in (*rows, *columns))
        if work > SAVED * 2 * len(rows) * sum(A.shape):
            return
        left, right = stored(U, _within(rows, len(A)).T), stored(V, _within(columns, A.shape[1]))
        parts = {f"U_{k}": v for k, v in left.items()} | {f"V_{k}": v for k, v in right.items()}
        about = f"{len(rows)} of them, {work // (2 * len(rows))} rows and columns each"
        term = Term("sparse product", tuple(parts), (len(rows), A.shape[1]))
        projected = Projected("boxes", about, parts, (term,), work)
        if target.error(projected.rounded(target.dtype).dense()) <= target.within:
            yield projected
            return


def separated(U: Array, V: Array, budget: float) -> tuple[Array, Array, list[tuple[int, int]], list[tuple[int, int]]]:
    """U @ V in other factors, whose columns and rows are within a budget zero outside of ranges, which come last."""
    scale = np.linalg.norm(U, axis=0)
    U, V = U / scale, scale[:, None] * V
    total = measured(V)
    each = max(budget / len(V) ** 0.5, LEAST * total)
    whole = list(range(len(V)))
    rows = spans(_sums(U.T), whole, [], _ends(U.T, each / total), each / total)
    change = np.stack([span.own for span in rows], axis=1)
    U, V = U @ change, np.linalg.solve(change, V)

    sums, ends = _sums(V), _ends(np.linalg.qr(V.T)[0].T, each / total)
    change, columns = np.zeros((len(V), len(V))), [(0, 0)] * len(V)
    for range_ in dict.fromkeys(span.range for span in rows):
        own = [k for k in whole if rows[k].range == range_]
        longer = [k for k in whole if rows[k].holds(rows[own[0]]) and k not in own]
        for k, span in zip(own, spans(sums, own, longer, ends, each), strict=True):
            change[k, own], change[k, longer], columns[k] = span.own, span.others, span.range
    return np.linalg.solve(change.T, U.T).T, change @ V, [span.range for span in rows], columns


def spans(
    sums: Array, own: Sequence[int], others: Sequence[int], ends: tuple[list[int], list[int]], most: float
) -> list[Span]:
    """Combinations of vectors, as many as are `own`, that have the shortest ranges, the shortest first.

    Of others as much may be added as helps. Beyond their ranges they are no longer than `most`.
    """
    found: list[Span] = []
    ranges = [(begin, end) for begin in ends[0] for end in ends[1] if begin < end]
    for begin, end in sorted(ranges, key=lambda r: r[1] - r[0]):
        outside = sums[begin] + sums[-1] - sums[end]
        crossing = outside[np.ix_(others, own)]
        helping = -np.linalg.lstsq(outside[np.ix_(others, others)], crossing, rcond=1e-12)[0]
        squares, vectors = np.linalg.eigh(outside[np.ix_(own, own)] + crossing.T @ helping)
        vectors = vectors[:, squares <= most**2]
        within = [span.own for span in found if begin <= span.begin and span.end <= end]
        more = max(vectors.shape[1] - len(within), 0)
        for vector in np.linalg.svd(_apart(vectors, within))[0].T[:more]:
            if np.linalg.norm(_apart(vector, [span.own for span in found])) > APART:
                found.append(Span(begin, end, vector, helping @ vector))
        if len(found) == len(own):
            break
    return found


def _apart(vectors: Array, others: Sequence[Array]) -> Array:
    """What is left of vectors beside the space of others."""
    if not others:
        return vectors
    basis = np.linalg.qr(np.stack(others, axis=1))[0]
    left: Array = vectors - basis @ (basis.T @ vectors)
    return left


def _sums(rows: Array) -> Array:
    """The Gram matrices of the first 0, 1, 2 .. entries of some vectors."""
    products = np.einsum("in,jn->nij", rows, rows)
    return np.concatenate([np.zeros_like(products[:1]), np.cumsum(products, axis=0)])


def _ends(basis: Array, least: float) -> tuple[list[int], list[int]]:
    """Where ranges may begin and end: at entries with which the rank of all before or behind them rises."""

    def rises(rows: Array) -> list[int]:
        ranks = (np.linalg.eigvalsh(_sums(rows)) > least**2).sum(1)
        at = np.flatnonzero(np.diff(ranks))
        return [int(k) for k in at[np.diff(at, prepend=-NEAR - 1) > NEAR]]  # of boxes that begin together, one a row

    last = basis.shape[1]
    return [0, *rises(basis)], [*(last - k for k in rises(basis[:, ::-1])), last]


def _within(ranges: Sequence[tuple[int, int]], size: int) -> Array:
    """For each range, which positions are in it."""
    begin, end = np.array(ranges).T[..., None]
    at = np.arange(size)
    found: Array = (begin <= at) & (at < end)
    return found
