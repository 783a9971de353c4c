"""Low rank plus a diagonal, by turns; no claim that it is the closest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target, kept, measured

SAVED = 0.9
LARGEST = 2048  # size up to which it is looked for
TURNS = 24
TERMS = (Term("is,sj->i,j", ("U", "V")), Term("diagonal", ("d",)))


def low_rank_plus_diagonal(target: Target) -> Iterator[Projected]:
    """Where entries off the diagonal allow it: a corner that the diagonal does not meet has at most that rank."""
    A = target.values
    if not target.is_matrix or A.shape[0] != A.shape[1] or not 8 <= len(A) <= LARGEST:
        return
    n = len(A)
    most = min(int((SAVED * n - 1) / 2), n // 2)
    half = n // 2
    corners = (A[:half, half:], A[half:, :half])
    # what no matrix of the rank can reach in one of the corners is an error of the whole
    least = max(kept(np.linalg.svd(corner, compute_uv=False) ** 2, target.budget) for corner in corners)
    if not measured(np.diagonal(A)) or least > most:
        return
    rank = max(least, 1)
    while rank <= most:
        found = fitted(A, rank, target.budget)
        if found is not None:
            U, V, d = found
            about = f"rank {rank} beside the diagonal of {n}"
            yield Projected("low rank plus diagonal", about, {"U": U, "V": V, "d": d}, TERMS, 4 * n * rank + 2 * n)
            return
        rank = rank + max(1, rank // 4)
        if rank > 2 * least + 4:
            return


def fitted(A: Array, rank: int, budget: float) -> tuple[Array, Array, Array] | None:
    """A low rank for the diagonal, a diagonal for the low rank, by turns; None where they do not come close."""
    from tpc.passes.approximation.projections.low_rank import SPARE

    draw = np.random.default_rng(0)
    diagonal = np.diagonal(A)
    d = np.zeros_like(diagonal)
    basis = draw.standard_normal((len(A), min(rank + SPARE, len(A))))
    last = np.inf
    for left in reversed(range(TURNS)):
        rest = A - np.diag(d)
        basis = rest.conj().T @ np.linalg.qr(rest @ basis)[0]  # the last basis is a good start for the next
        range_ = np.linalg.qr(rest @ np.linalg.qr(basis)[0])[0]
        u, values, v = np.linalg.svd(range_.conj().T @ rest, full_matrices=False)
        U, V = range_ @ (u[:, :rank] * values[:rank]), v[:rank]
        low = U @ V
        d = diagonal - np.diagonal(low)
        low[np.diag_indices(len(A))] += d
        error = measured(A - low)
        if error <= budget:
            return U, V, d
        if error - 2 * left * (last - error) > budget:  # turns gain less and less, mostly
            return None
        last = error
    return None
