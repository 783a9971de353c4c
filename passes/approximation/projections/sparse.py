"""Entries that are left out: the smallest ones, or all of the blocks that hold least.

Of all matrices with as many entries, or blocks, the one that keeps the largest is the closest. With data, entries count
as much as what they are multiplied with (M. Sun et al., A Simple and Effective Pruning Approach, 2024), and errors are
measured on it.

Columns and rows of a sparse matrix of low rank are sparse, where the factors of an svd are not: M. Mahoney, P. Drineas,
CUR Matrix Decompositions (2009).

It pays where products read sparse constants, with formats that are chosen from where the entries are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.low_rank import deim, linked, random_range
from tpc.passes.approximation.target import Target

SAVED = 0.3  # share of the entries that may be left; of blocks, which are read side by side, SAVED_IN_BLOCKS
SAVED_IN_BLOCKS = 0.5
NOTABLE = 0.9  # share of the entries of blocks that smaller ones must not exceed
BLOCKS = (32, 16)
SHARES = (1.0, 0.7, 0.5)  # of the budget: where data correlates, errors of entries do not add as if by chance
PARTS = ("values", "columns", "starts")
FEW = 0.2  # share of the entries that a matrix may have for its columns and rows to be worth a look
ENOUGH_FOR_CROSS = (1.0, 0.3, 0.1)  # of the budget, as chosen columns and rows are not the best that there are


def sparsified(target: Target) -> Iterator[Projected]:
    """As few entries, or blocks, as the budget allows."""
    A = target.values
    if not target.is_matrix or A.size < 4096:
        return
    shares = SHARES if target.is_weighted else SHARES[:1]
    weights, best = _weights(target), np.inf
    for block in (*BLOCKS, 1):
        if any(size % block for size in A.shape):
            continue
        m, n = A.shape[0] // block, A.shape[1] // block
        squares = (np.abs(A) ** 2 * weights).reshape(m, block, n, block).sum((1, 3))
        for share in shares:
            mask = _largest(squares, share * target.budget, SAVED if block == 1 else SAVED_IN_BLOCKS)
            if mask is None:
                break
            mask = mask.repeat(block, 0).repeat(block, 1)
            about = f"{mask.mean():.2g} of the entries" + f", in blocks of {block} by {block}" * (block > 1)
            found = Projected(
                "sparse", about, stored(A, mask), (term_of_rows(A),), 2 * int(mask.sum()), not target.is_weighted
            )
            if found.work < best and target.error(found.rounded(target.dtype).dense()) <= target.within:
                best = NOTABLE * found.work
                yield found
                break


def _weights(target: Target) -> Array:
    """By how much the square of each entry counts."""
    rows, columns = (
        np.ones(size) if root is None else (np.abs(root) ** 2).sum(0)
        for root, size in zip((target.rows, target.columns), target.values.shape, strict=True)
    )
    weights: Array = np.outer(rows, columns)
    return weights


def _largest(squares: Array, budget: float, most: float) -> Array | None:
    """Where to keep what, so that the rest is within a budget; None where that is more than a share."""
    flat = squares.ravel()
    order = np.argsort(flat)
    dropped = int(np.searchsorted(np.cumsum(flat[order]), budget**2 * (1 - 1e-9)))
    if len(flat) - dropped > most * len(flat):
        return None
    mask = np.ones(len(flat), bool)
    mask[order[:dropped]] = False
    return mask.reshape(squares.shape)


def stored(A: Array, mask: Array) -> dict[str, Array]:
    """Values by rows, their columns, and where rows begin."""
    rows, columns = np.nonzero(mask)
    starts = np.append(0, np.cumsum(np.bincount(rows, minlength=len(A))))
    return {"values": A[rows, columns], "columns": columns.astype(np.int32), "starts": starts.astype(np.int32)}


def term_of_rows(A: Array) -> Term:
    return Term("sparse", PARTS, A.shape[1:])


def crossed(target: Target) -> Iterator[Projected]:
    """Some columns and rows of a sparse matrix as they are, with the link that fits best."""
    A = target.values
    count = np.count_nonzero(A)
    if not target.is_matrix or target.is_weighted or A.size < 4096 or count > FEW * A.size:
        return
    m, n = A.shape
    most = min(int((SAVED * count) ** 0.5), m, n)  # the link alone is the square of the rank
    for share in ENOUGH_FOR_CROSS:
        found = random_range(A, share * target.budget, most)
        if found is None:
            return
        rows, columns = deim(found[0]), deim(found[1].conj().T)
        C, R, rank = A[:, columns], A[rows], len(rows)
        work = 2 * (np.count_nonzero(C) + np.count_nonzero(R) + rank * rank)
        if work > SAVED * 2 * count:
            return
        left, right = stored(C, C != 0), stored(R, R != 0)
        parts = {f"C_{k}": v for k, v in left.items()} | {"L": linked(A, rows, columns)}
        parts |= {f"R_{k}": v for k, v in right.items()}
        about = f"{rank} of {n} columns and {rank} of {m} rows, sparse as they are"
        projected = Projected("cur", about, parts, (Term("cross", tuple(parts), (rank, n)),), int(work))
        if target.error(projected.rounded(target.dtype).dense()) <= target.within:
            yield projected
            return
