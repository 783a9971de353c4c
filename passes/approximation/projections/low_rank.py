"""Low rank: the svd, or for large matrices a random range with a certificate; Nystrom for matrices that are psd.

Of all matrices of a rank, the truncated svd is the closest (Eckart, Young 1936), also where the error is that of
products with data: then it is the svd of the product (MoDeGPT, 2024). Random ranges: N. Halko, P.-G. Martinsson,
J. Tropp, Finding Structure with Randomness (2011).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target, kept, measured

DIRECT = 1024  # of the shorter side, up to which all singular values are computed
SPECTRA = 3000  # up to which eigenvalues of a Gram matrix tell first whether a small rank is enough
LARGE = 256  # a rank beyond this has to be an eighth of the size, as it takes as long to find as it gains
SPARE = 10  # random vectors beyond the rank that is looked for
STEPS = 2  # of the power method, each with a QR
SAVED = 0.9  # share of the operations of a product that may be left
PRODUCT = (Term("is,sj->i,j", ("U", "V")),)


def most_rank(shape: tuple[int, ...]) -> int:
    """The largest rank that still saves anything."""
    m, n = shape
    return int(SAVED * m * n / (m + n)) if m + n else 0


def low_rank(target: Target) -> Iterator[Projected]:
    if not target.is_matrix:
        return
    m, n = target.values.shape
    most = most_rank((m, n))
    if most < 1:
        return
    if min(m, n) <= SPECTRA and is_flat(target, most):
        return
    if min(m, n) <= DIRECT or target.is_weighted:
        _, values, right = target.singular
        rank = target.rank(values)
        if 1 <= rank <= most:
            yield made(*_factors(target, rank), optimal=True)
        return
    found = random_range(target.values, target.budget, min(most, max(LARGE, min(m, n) // 8)))
    if found is not None:
        yield made(*found)


def is_flat(target: Target, most: int) -> bool:
    """Whether even the largest rank leaves too much, by the eigenvalues of a Gram matrix.

    They are known to half of the digits alone, but in a part of the time.
    """
    A = target.weighted(target.values)
    A = A if A.shape[0] <= A.shape[1] else A.conj().T
    squares = np.linalg.eigvalsh(A @ A.conj().T)[::-1]
    noise = 1e-13 * float(squares[0]) * len(squares)
    return float(np.maximum(squares[most:], 0).sum()) - noise > target.budget**2


def made(U: Array, V: Array, optimal: bool = False) -> Projected:
    (m, rank), n = U.shape, V.shape[1]
    about = f"rank {rank} of {min(m, n)}"
    return Projected("low rank", about, {"U": U, "V": V}, PRODUCT, 2 * rank * (m + n), optimal)


def _factors(target: Target, rank: int) -> tuple[Array, Array]:
    """The factors of the matrix itself; the data tells only into which space it is projected."""
    u, values, v = target.singular
    A = target.values
    if target.columns is None:  # A @ V @ V', with V of the products with data
        basis = v[:rank]
        return (u[:, :rank] * values[:rank], basis) if target.rows is None else (A @ basis.conj().T, basis)
    basis = u[:, :rank]
    if target.rows is not None:  # the inner space is that of rows @ U
        basis = np.linalg.qr(np.linalg.lstsq(target.rows, basis, rcond=None)[0])[0]
    return basis, basis.conj().T @ A


def random_range(A: Array, budget: float, most: int, seed: int = 0) -> tuple[Array, Array] | None:
    """Factors of a large matrix, of a rank near the smallest within the budget; None where `most` is not enough."""
    draw = np.random.default_rng(seed)
    m, n = A.shape
    columns = min(64, most + SPARE)
    total = measured(A)
    while True:
        range_ = np.linalg.qr(A @ draw.standard_normal((n, min(columns, n))))[0]
        for _ in range(STEPS):
            range_ = np.linalg.qr(A @ np.linalg.qr(A.conj().T @ range_)[0])[0]
        inner = range_.conj().T @ A
        # exact for an orthonormal basis, but only to half of the digits
        left = max(0.0, total**2 - measured(inner) ** 2)
        if left**0.5 < 1e-6 * total:
            left = measured(A - range_ @ inner) ** 2
        if left <= budget**2:
            u, values, v = np.linalg.svd(inner, full_matrices=False)
            rank = max(1, kept(values**2, (budget**2 - left) ** 0.5))
            return (range_ @ (u[:, :rank] * values[:rank]), v[:rank]) if rank <= most else None
        if columns >= min(most + SPARE, m, n):
            return None
        columns = min(3 * columns, most + SPARE)


def nystrom(target: Target) -> Iterator[Projected]:
    """L @ L' of a psd matrix, from some of its columns: half of the numbers of an svd, and psd again.

    Columns are the pivots of Cholesky's method. What is left out is psd, so that its trace bounds its norms.
    """
    A = target.values
    if not target.is_matrix or A.shape[0] != A.shape[1] or A.dtype.kind == "c":
        return
    n = len(A)
    diagonal = np.diagonal(A)
    if n < 8 or (diagonal <= 0).any() or not np.allclose(A[0], A[:, 0], rtol=0, atol=1e-12 * diagonal.max()):
        return
    if not np.allclose(A, A.T, rtol=0, atol=1e-12 * diagonal.max()):
        return
    L = pivoted(A, target.budget, int(SAVED * n / 2))
    if L is not None:
        about = f"{L.shape[1]} of {n} columns"
        yield Projected("nystrom", about, {"L": L}, (Term("is,js->i,j", ("L", "L")),), 4 * L.size)


def pivoted(A: Array, budget: float, most: int) -> Array | None:
    """A factor of few columns by Cholesky's method with pivots, until the trace of what is left is within a budget."""
    left = np.diagonal(A).copy()
    rows = np.zeros((most, len(A)))
    for k in range(most):
        at = int(left.argmax())
        if left[at] <= 0:
            return None  # nothing is left that rounding has not touched
        rows[k] = (A[at] - rows[:k, at] @ rows[:k]) / np.sqrt(left[at])
        left = np.maximum(left - rows[k] ** 2, 0.0)
        left[at] = 0.0
        if left.sum() <= budget:
            return np.ascontiguousarray(rows[: k + 1].T)
    return None


def cross(A: Array, rank: int) -> tuple[Array, Array]:
    """Rows and columns for a CUR form, by DEIM on singular vectors (Sorensen, Embree 2016)."""
    u, _, v = np.linalg.svd(A, full_matrices=False)
    return deim(u[:, :rank]), deim(v[:rank].conj().T)


def deim(basis: Array) -> Array:
    """Positions at which a basis is told apart, one for each vector."""
    chosen = [int(np.abs(basis[:, 0]).argmax())]
    for k in range(1, basis.shape[1]):
        inner = np.linalg.solve(basis[chosen, :k], basis[chosen, k])
        chosen.append(int(np.abs(basis[:, k] - basis[:, :k] @ inner).argmax()))
    return np.array(chosen)


def cur(A: Array, rank: int) -> Projected:
    """C @ L @ R of some columns and rows of a matrix, with the link that fits best: pinv(C) @ A @ pinv(R).

    Its error in the Frobenius norm is that of projecting A to the columns from the left and the rows from the right.
    The columns and rows are those of A, so that zeros, signs and codes of entries stay.
    """
    rows, columns = cross(A, rank)
    m, n = A.shape
    about = f"{rank} of {n} columns and {rank} of {m} rows"
    parts = {"C": A[:, columns], "L": linked(A, rows, columns), "R": A[rows]}
    return Projected("cur", about, parts, (Term("is,st,tj->i,j", tuple(parts)),), 2 * rank * (m + n + rank))


def linked(A: Array, rows: Array, columns: Array) -> Array:
    """What stands between columns and rows of a matrix."""
    link: Array = np.linalg.pinv(A[:, columns]) @ A @ np.linalg.pinv(A[rows])
    return link
