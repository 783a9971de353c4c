"""Factorizations and eigenvalues, in double precision by LAPACK.

What a factorization leaves open, such as signs, is told by `gauge`; implementations may differ in it.
"""

from __future__ import annotations

from typing import Any

from tpc.ir.op import Op
from tpc.ir.ops.matrices import each, linalg_op, numpy_linalg, over_field


def _lu(np: Any, A: Any) -> Any:
    import scipy.linalg

    rows, columns = A.shape
    least = min(rows, columns)
    if least == 0:
        return np.eye(rows), np.zeros((rows, 0)), np.zeros((0, columns))
    return tuple(scipy.linalg.lu(A))


def _ldl(np: Any, A: Any) -> Any:
    import scipy.linalg

    if A.shape[0] == 0:
        return A, A
    L, D, _ = scipy.linalg.ldl(A)
    return L, D


def _eig(np: Any, A: Any) -> Any:
    values, vectors = np.linalg.eig(A)
    return values.astype(complex), vectors.astype(complex)


FACTORIZATIONS: list[Op] = [
    linalg_op(
        "cholesky",
        "cholesky(A[..., i, i])[..., i, i]",
        "lower L with A = L @ L' and a positive diagonal; only the lower triangle of A is read",
        needs="spd(A)",
        reference=numpy_linalg("cholesky"),
        flops="div(i^3, 3) + 1",
        facts="""
            |- lower(this)
            |- nonsingular(this)
            diagonal(A)     |- spd(this)
            diagonal(A)     |- nonnegative(this)
            banded(A, k, l) |- banded(this, k, 0)
        """,
    ),
    linalg_op(
        "lu",
        "lu(A[..., i, j])[..., i, i], [..., i, min(i, j)], [..., min(i, j), j]",
        "P, L, U with A = P @ L @ U: a permutation, unit lower triangular, upper triangular",
        reference=each(_lu),
        exact=over_field("factors", 2),
        gauge="the order of the rows",
        flops="max(i, j) * min(i, j)^2",
        facts="""
            |- permutation(this0)
            |- lower(this1)
            |- unit_diagonal(this1)
            |- full_rank(this1)
            |- upper(this2)
            nonsingular(A) |- nonsingular(this2)
            full_rank(A)   |- full_rank(this2)
        """,
    ),
    linalg_op(
        "ldl",
        "ldl(A[..., i, i])[..., i, i], [..., i, i]",
        "L, D with A = L @ D @ L': L has the rows of a unit lower triangular matrix in some order, D blocks of 1 and 2",
        kinds="bif",
        needs="symmetric(A)",
        reference=each(_ldl),
        gauge="the order of the rows",
        flops="div(i^3, 3) + 1",
        facts="""
            |- nonsingular(this0)
            |- symmetric(this1)
            |- banded(this1, 1, 1)
            nonsingular(A) |- nonsingular(this1)
        """,
    ),
    linalg_op(
        "qr",
        "qr(A[..., i, j])[..., i, min(i, j)], [..., min(i, j), j]",
        "Q, R with A = Q @ R: columns of unit length at right angles, and upper triangular",
        reference=numpy_linalg("qr"),
        gauge="signs of the columns of Q",
        flops="4 * max(i, j) * min(i, j)^2",
        facts="""
            |- orthonormal(this0)
            |- upper(this1)
            nonsingular(A) |- nonsingular(this1)
            full_rank(A)   |- full_rank(this1)
        """,
    ),
    linalg_op(
        "svd",
        "svd(A[..., i, j])[..., i, min(i, j)], [..., min(i, j)], [..., min(i, j), j]",
        "U, s, V with A = U @ diag(s) @ V: singular values largest first, V as in NumPy's Vh",
        dtype="float real float",
        reference=numpy_linalg("svd", full_matrices=False),
        gauge="signs of singular vectors, and bases where singular values are equal",
        flops="14 * max(i, j) * min(i, j)^2 + 8 * min(i, j)^3",
        facts="""
            |- orthonormal(this0)
            |- nonnegative(this1)
            nonsingular(A) |- positive(this1)
            full_rank(A)   |- positive(this1)
            |- orthogonal(this2) where rows(A) >= cols(A)
            |- full_rank(this2)
        """,
    ),
    linalg_op(
        "svdvals",
        "svdvals(A[..., i, j])[..., min(i, j)]",
        "singular values, largest first",
        dtype="real",
        reference=numpy_linalg("svd", compute_uv=False),
        flops="4 * max(i, j) * min(i, j)^2",
        facts="|- nonnegative(this)\n full_rank(A) |- positive(this)",
    ),
    linalg_op(
        "eigh",
        "eigh(A[..., i, i])[..., i], [..., i, i]",
        "eigenvalues (smallest first) and eigenvectors (in columns) of a symmetric matrix; its lower triangle is read",
        dtype="real float",
        needs="symmetric(A)",
        reference=numpy_linalg("eigh"),
        gauge="signs of the columns, and bases where eigenvalues are equal",
        flops="9 * i^3",
        facts="""
            |- orthogonal(this1)
            psd(A) |- nonnegative(this0)
            spd(A) |- positive(this0)
        """,
    ),
    linalg_op(
        "eigvalsh",
        "eigvalsh(A[..., i, i])[..., i]",
        "eigenvalues of a symmetric matrix, smallest first; its lower triangle is read",
        dtype="real",
        needs="symmetric(A)",
        reference=numpy_linalg("eigvalsh"),
        flops="div(4 * i^3, 3) + 1",
        facts="psd(A) |- nonnegative(this)\n spd(A) |- positive(this)",
    ),
    linalg_op(
        "eig",
        "eig(A[..., i, i])[..., i], [..., i, i]",
        "complex eigenvalues and eigenvectors (in columns of length 1)",
        dtype="complex",
        reference=each(_eig),
        gauge="order of the eigenvalues, and factors of absolute value 1 of the columns",
        flops="25 * i^3",
    ),
    linalg_op(
        "eigvals",
        "eigvals(A[..., i, i])[..., i]",
        "complex eigenvalues",
        dtype="complex",
        reference=lambda np, operands, attributes: np.linalg.eigvals(operands[0]).astype(complex),
        gauge="order of the eigenvalues",
        flops="10 * i^3",
    ),
]
