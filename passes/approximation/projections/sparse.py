"""Entries that are left out: the smallest ones, or all of the blocks that hold least; and flat butterflies.

Of all matrices with as many entries, or blocks, the one that keeps the largest is the closest. With data, entries count
as much as what they are multiplied with (M. Sun et al., A Simple and Effective Pruning Approach, 2024), and errors are
measured on it.

A flat butterfly keeps the blocks h, h xor m of a row h of blocks, m = 0, 1, 2, 4 .., and has a low rank beside them (T.
Dao et al., Pixelated Butterfly, 2022): both are fitted by turns.

Columns and rows of a sparse matrix of low rank are sparse, where the factors of an svd are not: M. Mahoney, P. Drineas,
CUR Matrix Decompositions (2009).

It pays where products read sparse constants, with formats that are chosen from where the entries are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.low_rank import PRODUCT, deim, linked, random_range
from tpc.passes.approximation.target import Target, kept, measured

SAVED = 0.3  # share of the entries that may be left; of blocks, which are read side by side, SAVED_IN_BLOCKS
SAVED_IN_BLOCKS = 0.5
NOTABLE = 0.9  # share of the entries of blocks that smaller ones must not exceed
BLOCKS = (32, 16)
SHARES = (1.0, 0.7, 0.5)  # of the budget: where data correlates, errors of entries do not add as if by chance
RANKS, TURNS = (4, 16), 12
ENOUGH = 0.3  # of the budget, below which ranks are cut
TURNED = 0.8  # share of the error that a turn may leave, so that there is another
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
                "sparse", about, stored(A, mask), (_term(A),), 2 * int(mask.sum()), not target.is_weighted
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


def _term(A: Array) -> Term:
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


def flat_butterfly(target: Target) -> Iterator[Projected]:
    """With as small a rank beside it as the budget allows."""
    A = target.values
    if not target.is_matrix or A.shape[0] != A.shape[1] or len(A) < 256:
        return
    for block in BLOCKS:
        count = len(A) // block
        if len(A) % block or count & (count - 1) or count < 8:
            continue
        mask = butterfly(count).repeat(block, 0).repeat(block, 1)
        found = next((f for rank in RANKS if (f := _fitted(A, mask, target.budget, rank)) is not None), None)
        if found is None:
            continue
        S, U, V = found
        parts, work = stored(S, mask), 2 * int(mask.sum())
        about = f"{int(mask[0].sum()) // block} of {count} blocks in a row"
        plain = Projected("flat butterfly", about, parts, (_term(A),), work)
        if not U.shape[1]:
            yield replace(plain, optimal=True)
            return
        about += f", beside rank {U.shape[1]}"
        work += 2 * U.shape[1] * sum(A.shape)
        yield replace(plain, about=about, parts={**parts, "U": U, "V": V}, terms=(_term(A), *PRODUCT), work=work)
        return


def butterfly(count: int) -> Array:
    """Which blocks there are, of a power of two of them."""
    index = np.arange(count)
    apart = index[:, None] ^ index
    found: Array = (apart & (apart - 1)) == 0
    return found


def _fitted(A: Array, mask: Array, budget: float, most: int) -> tuple[Array, Array, Array] | None:
    """Blocks for what the low rank leaves, and a low rank for what blocks leave, by turns; None where it is too far."""
    from tpc.passes.approximation.projections.low_rank import SPARE

    S = np.where(mask, A, 0)
    last = measured(A - S)
    if last <= budget:
        return S, A[:, :0], A[:0]
    basis = np.random.default_rng(0).standard_normal((len(A), most + SPARE))
    for _ in range(TURNS):
        rest = A - S
        basis = rest.conj().T @ np.linalg.qr(rest @ basis)[0]  # the last basis is a good start for the next
        range_ = np.linalg.qr(rest @ np.linalg.qr(basis)[0])[0]
        u, values, v = np.linalg.svd(range_.conj().T @ rest, full_matrices=False)
        U, V = range_ @ (u[:, :most] * values[:most]), v[:most]
        error = measured((A - U @ V)[~mask])
        is_last = error > TURNED * last
        if error <= budget and (is_last or error <= ENOUGH * budget):
            rank = max(1, kept(values[:most] ** 2, 0.9 * (budget**2 - error**2) ** 0.5))
            U, V = U[:, :rank], V[:rank]
            return np.where(mask, A - U @ V, 0), U, V
        if is_last:
            return None
        last, S = error, np.where(mask, A - U @ V, 0)
    return None
