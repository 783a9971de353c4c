"""Few columns that span the rest: low rank, and low rank plus a diagonal.

The range is found by random products (Halko, Martinsson, Tropp 2011); the error that is told is that of all entries.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.ir.node import Fact

SAVED = 0.75  # share of the numbers that may be stored where a low rank is worth telling
LARGE = 256  # a rank beyond this has to be an eighth of the size, since it takes as long to find as it gains
SPARE = 8  # random vectors beyond the rank that is looked for
FIRST = 24  # random vectors that are tried first
DRAWN = 3  # times as many rows and columns as vectors are drawn


def low_rank(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    A, (m, n) = subject.values, subject.values.shape
    if not subject.nonzeros or any(f.name in ("zero", "constant", "diagonal") for f in found):
        return
    most = min(int(SAVED * m * n / (m + n)), max(LARGE, min(m, n) // 8))
    if most < 1 or any("permutation" in f.name and "banded" not in f.name and "block" not in f.name for f in found):
        return
    rank = rank_at_most(subject, A, most)
    if rank is None:
        return
    U, V = factors(A, rank, subject)
    if not U.shape[1] or U.shape[1] > most:
        return
    r = U.shape[1]
    error = subject.error(U @ V.T)
    if error <= subject.tolerance:
        yield Finding(
            "low rank", f"rank {r} of {min(m, n)}", error, (Fact("low_rank", (r,)),), "U @ V'", {"U": U, "V": V},
            2 * r * (m + n), None, lambda parts: parts["U"] @ parts["V"].T,
        )  # fmt: skip


def rank_at_most(subject: Subject, A: Array, most: int) -> int | None:
    """A rank that random products from both sides show, or None where it is more than `most`.

    A sketch of k by k has rank k where the matrix has that rank or more; sketches grow until one has less. Rows and
    columns that are drawn come first, whose rank that of the whole is not below.
    """
    m, n = A.shape
    k = FIRST
    while True:
        k = min(k, m, n)
        draw = DRAWN * k
        rank = k
        if m > draw or n > draw:
            i, j = (subject.random.choice(size, min(size, draw), replace=False) for size in (m, n))
            rank = _sketched(subject, A[np.ix_(i, j)], k)
        if rank < k or (m <= draw and n <= draw):
            rank = _sketched(subject, A, k)
        if rank < k or k >= min(m, n, most + SPARE):
            return rank if rank <= most else None
        k = min(4 * k, most + SPARE)


def _sketched(subject: Subject, A: Array, k: int) -> int:
    """The rank of a k by k matrix of random combinations of rows and columns."""
    left, right = subject.random.standard_normal((k, len(A))), subject.random.standard_normal((A.shape[1], k))
    values = np.linalg.svd(left @ (A @ right), compute_uv=False)
    return int((values > 0.1 * subject.tolerance * values[0]).sum()) if values[0] else 0


def factors(A: Array, rank: int, subject: Subject) -> tuple[Array, Array]:
    """U and V with A close to U @ V', of a rank near the one that is expected."""
    m, n = A.shape
    k = min(rank + SPARE, m, n)
    sample = subject.random.standard_normal((n, k))
    range_ = np.linalg.qr(A @ sample)[0]
    if k < min(m, n):  # once more by the transpose, for the last digits
        range_ = np.linalg.qr(A @ (A.conj().T @ range_))[0]
    inner, values, right = np.linalg.svd(range_.conj().T @ A, full_matrices=False)
    if not len(values):
        return np.zeros((m, 0)), np.zeros((n, 0))
    # as few as the tolerance allows of the largest, and of the norm of what is left
    tails = np.sqrt(np.cumsum(values[::-1] ** 2))[::-1]
    kept = int(((values > subject.tolerance * values[0]) | (tails > subject.tolerance * subject.norm)).sum())
    root = range_ @ (inner[:, :kept] * values[:kept])
    return root, np.ascontiguousarray(right[:kept].T)


def low_rank_plus_diagonal(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """A low rank once the diagonal is changed.

    Entries off the diagonal show the rank; each entry of the low rank part on the diagonal follows from a row and a
    column that avoid it, as L[i, i] = A[i, J] @ inv(A[I, J]) @ A[I, i] compressed by random products.
    """
    A, n = subject.values, subject.rows
    if not subject.square or n < 8 or subject.density < 0.1:
        return
    if {"low rank", "diagonal", "zero", "constant"} & {f.name for f in found}:
        return
    most = min(int((SAVED * n - 1) / 2), n // 3 - 2, max(LARGE, n // 8))
    groups = np.array_split(subject.random.permutation(n), 3)
    if most < 1:
        return
    corner = A[np.ix_(groups[0], groups[1])]
    few = min(most, len(groups[0]) - 1, len(groups[1]) - 1)
    rank = rank_at_most(subject, corner, few)
    if not rank:
        return
    diagonal = np.empty(n, A.dtype)
    for number in range(3):
        here, rows, columns = groups[number], groups[(number + 1) % 3], groups[(number + 2) % 3]
        diagonal[here] = np.diagonal(A)[here] - _completed(subject, here, rows, columns, rank)
    # what is left of the noise goes away by turns: a low rank for the diagonal, a diagonal for the low rank
    for _ in range(12):
        rest = A - np.diag(diagonal)
        U, V = factors(rest, rank, subject)
        U, V = U[:, :rank], V[:, :rank]
        if not U.shape[1]:
            return
        diagonal = np.diagonal(A) - np.einsum("ik,ik->i", U, V)
        error = subject.error(U @ V.T + np.diag(diagonal))
        if error <= subject.tolerance:
            break
    else:
        return
    r = U.shape[1]
    yield Finding(
        "low rank plus diagonal", f"rank {r} beside the diagonal", error, (), "diag(d) + U @ V'",
        {"d": diagonal, "U": U, "V": V}, 4 * n * r + 2 * n, 2 * n * r * (r + 4) + r**3,
        lambda parts: np.diag(parts["d"]) + parts["U"] @ parts["V"].T,
    )  # fmt: skip


def _completed(subject: Subject, here: Array, rows: Array, columns: Array, rank: int) -> Array:
    A = subject.values
    k = min(rank + SPARE, len(rows), len(columns))
    left, right = subject.random.standard_normal((k, len(rows))), subject.random.standard_normal((len(columns), k))
    outward, inward = A[np.ix_(here, columns)] @ right, left @ A[np.ix_(rows, here)]
    u, values, vh = np.linalg.svd(left @ A[np.ix_(rows, columns)] @ right)
    inverse = (vh[:rank].conj().T / values[:rank]) @ u[:, :rank].conj().T
    completed: Array = np.einsum("ik,kl,li->i", outward, inverse, inward, optimize=True)
    return completed
