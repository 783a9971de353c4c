"""Functions of matrices: exponential, logarithm, square root, powers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tpc.ir.op import Attributes, Op
from tpc.ir.ops.indexing import checked_scalar, each_matrix
from tpc.ir.ops.matrices import each, linalg_op
from tpc.ir.residue import MOST_EXPONENT, Residue
from tpc.ir.types import TensorType


def _is_symmetric(np: Any, A: Any) -> bool:
    return bool(np.array_equal(A, A.conj().T))


def _of_eigenvalues(np: Any, A: Any, function: Callable[[Any], Any]) -> Any:
    """A function of a symmetric (Hermitian) matrix by its eigenvalues; NaN where it is not real."""
    values, vectors = np.linalg.eigh(A)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (vectors * function(values)[None, :]) @ vectors.conj().T


def _kept_real(np: Any, A: Any, result: Any) -> Any:
    """The function of a real matrix as a real matrix, NaN where it is none."""
    if np.iscomplexobj(A) or np.isrealobj(result):
        return result
    small = np.abs(result.imag).max(initial=0.0) <= 1e-9 * (1 + np.abs(result.real).max(initial=0.0))
    return result.real if small else np.full(A.shape, np.nan)


def _sqrtm(np: Any, A: Any) -> Any:
    import scipy.linalg

    if A.shape[0] == 0 or _is_symmetric(np, A):
        # rounding can leave the eigenvalues of a semidefinite matrix just below zero
        floor = -1e-12 * np.abs(A).max(initial=0.0)
        return _of_eigenvalues(np, A, lambda w: np.sqrt(np.where((w < 0) & (w > floor), 0.0, w)))
    return _kept_real(np, A, scipy.linalg.sqrtm(A))


def _expm(np: Any, A: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.expm(A) if A.shape[0] else A


def _logm(np: Any, A: Any) -> Any:
    import scipy.linalg

    if A.shape[0] == 0 or _is_symmetric(np, A):
        return _of_eigenvalues(np, A, np.log)
    return _kept_real(np, A, scipy.linalg.logm(A))


def _matpow(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    import scipy.linalg

    exponent = operands[1].item()

    def power(A: Any) -> Any:
        if exponent == int(exponent):
            return np.linalg.matrix_power(A, int(exponent))
        if A.shape[0] == 0 or _is_symmetric(np, A):
            return _of_eigenvalues(np, A, lambda w: w**exponent)
        return _kept_real(np, A, scipy.linalg.fractional_matrix_power(A, exponent))

    return each_matrix(np, power, operands[:1], (2,))


def _exact_matpow(operands: list[Any], attributes: Attributes) -> Any:
    import numpy

    from tpc.ir.ops import elimination

    exponent = numpy.asarray(operands[1]).item()
    if (
        not isinstance(exponent, (int, Fraction, Residue))
        or exponent != int(exponent)
        or abs(int(exponent)) >= MOST_EXPONENT
    ):
        raise ValueError("only integer powers of a matrix are exact")
    return each_matrix(numpy, lambda A: elimination.power(A, int(exponent)), operands[:1], (2,))


def _matpow_line(operands: list[TensorType], attributes: Attributes) -> str:
    checked_scalar("matpow", operands, 1)
    return "matpow(A[..., i, i], p[...])[..., i, i]"


MATRIX_FUNCTIONS: list[Op] = [
    linalg_op(
        "expm",
        "expm(A[..., i, i])[..., i, i]",
        "exponential of a matrix",
        reference=each(_expm),
        flops="20 * i^3",
        facts="""
            |- nonsingular(this)
            symmetric(A) |- spd(this)
            skew(A)      |- orthogonal(this)
            lower(A)     |- lower(this)
            upper(A)     |- upper(this)
            circulant(A) |- circulant(this)
            nonnegative(A) |- nonnegative(this)
        """,
    ),
    linalg_op(
        "logm",
        "logm(A[..., i, i])[..., i, i]",
        "principal logarithm of a matrix; NaN where it is not real but A is",
        needs="nonsingular(A)",
        reference=each(_logm),
        flops="50 * i^3",
        facts="""
            symmetric(A) |- symmetric(this)
            lower(A)     |- lower(this)
            upper(A)     |- upper(this)
            circulant(A) |- circulant(this)
        """,
    ),
    linalg_op(
        "sqrtm",
        "sqrtm(A[..., i, i])[..., i, i]",
        "principal square root of a matrix; NaN where it is not real but A is",
        reference=each(_sqrtm),
        flops="25 * i^3",
        facts="""
            symmetric(A)   |- symmetric(this)
            psd(A)         |- psd(this)
            spd(A)         |- spd(this)
            diagonal(A)    |- diagonal(this)
            nonsingular(A) |- nonsingular(this)
            lower(A), nonsingular(A)     |- lower(this)
            upper(A), nonsingular(A)     |- upper(this)
            circulant(A), nonsingular(A) |- circulant(this)
        """,
    ),
    linalg_op(
        "matpow",
        "matpow(A[..., i, i], p[...])[..., i, i]",
        "A to the scalar power p: by products where p is an integer, else the principal power (NaN where not real)",
        line_by=_matpow_line,
        kinds="bifc bif",
        reference=_matpow,
        exact=_exact_matpow,
        flops="20 * i^3",
        facts="""
            spd(A) |- spd(this)
            diagonal(A), nonsingular(A)  |- diagonal(this)
            nonsingular(A)               |- nonsingular(this)
            lower(A), nonsingular(A)     |- lower(this)
            upper(A), nonsingular(A)     |- upper(this)
            circulant(A), nonsingular(A) |- circulant(this)
        """,
    ),
]
