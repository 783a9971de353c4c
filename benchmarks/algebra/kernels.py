"""What an expert calls: BLAS and LAPACK by the facts of the operands, without copies or checks that are not needed.

Arrays are row-major and LAPACK wants columns: the transpose of an array is passed where that saves a copy. Products of
a matrix with its own transpose need no entry here: numpy computes half of them (syrk) for `A @ A.T`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import blas, lapack

Array = np.ndarray[Any, Any]


def _routine(library: Any, name: str, A: Array) -> Any:
    return getattr(library, ("s" if A.dtype == np.float32 else "d") + name)


def _solved(info: int) -> None:
    if info != 0:
        raise np.linalg.LinAlgError("singular, or not positive definite")


def triangular_product(T: Array, B: Array, *, lower: bool) -> Array:
    """T @ B for a triangular T: half the operations of a general product."""
    product: Array = _routine(blas, "trmm", T)(1.0, T.T, B.T, side=1, lower=not lower)  # B' T'
    return product.T


def product_triangular(B: Array, T: Array, *, lower: bool) -> Array:
    """B @ T for a triangular T."""
    return triangular_product(T.T, B.T, lower=not lower).T


def triangular_solve(T: Array, B: Array, *, lower: bool, transposed: bool = False) -> Array:
    """inv(T) @ B, or inv(T') @ B."""
    solve = _routine(lapack, "trtrs", T)
    if T.flags.f_contiguous:
        X, info = solve(T, B, lower=lower, trans=transposed)
    else:
        X, info = solve(T.T, B, lower=not lower, trans=not transposed)
    _solved(info)
    result: Array = X
    return result


def factor(S: Array) -> Array:
    """The lower triangular L with S = L @ L' of a positive definite S."""
    U, info = _routine(lapack, "potrf", S)(S.T, lower=False, clean=True)
    _solved(info)
    result: Array = U.T
    return result


def spd_solve(S: Array, B: Array) -> Array:
    """inv(S) @ B for a positive definite S, by Cholesky."""
    _, X, info = _routine(lapack, "posv", S)(S.T, B)
    _solved(info)
    result: Array = X
    return result


def spd_inverse(S: Array) -> Array:
    """inv(S) for a positive definite S, where it is added to something: n^3 operations."""
    U, info = _routine(lapack, "potrf", S)(S.T)
    _solved(info)
    half, info = _routine(lapack, "potri", S)(U)
    _solved(info)
    result: Array = np.triu(half) + np.triu(half, 1).T
    return result


def symmetric_solve(S: Array, B: Array) -> Array:
    """inv(S) @ B for a symmetric S, by L D L'."""
    workspace, _ = _routine(lapack, "sysv_lwork", S)(len(S))
    _, _, X, info = _routine(lapack, "sysv", S)(S.T, B, lwork=int(workspace))
    _solved(info)
    result: Array = X
    return result


def general_solve(A: Array, B: Array) -> Array:
    """inv(A) @ B, by LU of the transpose, which needs no copy to columns."""
    LU, pivots, info = _routine(lapack, "getrf", A)(A.T)
    _solved(info)
    X, info = _routine(lapack, "getrs", A)(LU, pivots, B, trans=1)
    _solved(info)
    result: Array = X
    return result


def scale_rows(d: Array, B: Array) -> Array:
    """diag(d) @ B."""
    return d.reshape(-1, *[1] * (B.ndim - 1)) * B


def plus_identity(S: Array, shift: float = 1.0) -> Array:
    """S + shift * I, in the memory of S."""
    S.flat[:: len(S) + 1] += shift
    return S
