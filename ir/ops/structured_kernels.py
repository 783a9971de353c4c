"""Kernels for matrices that are given by a few numbers: circulant, Toeplitz, banded. None holds the matrix.

A circulant matrix is diagonal over the discrete Fourier transform, so that products, solves and determinants of it are
entrywise there; a Toeplitz matrix is a part of a circulant one of any size from the number of its diagonals on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.formula import Apply, Formula, LetterValue, Reduction, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import ZERO, access, over, plus, typed_by
from tpc.ir.ops.linalg import by_right_side
from tpc.ir.ops.matrices import linalg_op
from tpc.ir.types import TensorType

ROW, INNER = LetterValue("i"), LetterValue("k")


def _checked(name: str, operands: list[TensorType], rank: int) -> tuple[TensorType, TensorType]:
    stored, right = operands
    if stored.rank != rank or right.rank not in (1, 2):
        wanted = "a vector" if rank == 1 else "a matrix"
        raise Misfit("E0204", f"`{name}` takes {wanted}, and a vector or matrix", [(1, f"this is {right}")])
    return stored, right


def _product(right: TensorType, entry: Scalar, factor: Scalar, rows: DimLike, count: DimLike) -> Formula:
    body = Reduction("sum", ("k",), None, Apply("mul", (entry, factor)))
    return over("ij"[: right.rank], [rows, *right.dims[1:]], body, ("k", count))


def _columns(right: TensorType) -> list[str | Scalar]:
    return [*"j"[: right.rank - 1]]


def _circulant_matmul(operands: list[TensorType], attributes: Attributes) -> Formula:
    c, B = _checked("circulant_matmul", operands, 1)
    n = c.dims[0]
    if n != B.dims[0]:
        raise Misfit("E0203", "`circulant_matmul` needs as many rows as c has entries", [(1, f"this is {B}")])
    difference = Apply("sub", (INNER, ROW) if attributes["transposed"] else (ROW, INNER))
    entry = access(0, [Apply("mod", (difference, SizeValue(n)))])
    return _product(B, entry, access(1, ["k", *_columns(B)]), n, n)


def _toeplitz_matmul(operands: list[TensorType], attributes: Attributes) -> Formula:
    t, B = _checked("toeplitz_matmul", operands, 1)
    count = B.dims[0]
    entry = access(0, [plus(Apply("sub", (ROW, INNER)), SizeValue(count - 1))])
    return _product(B, entry, access(1, ["k", *_columns(B)]), t.dims[0] + 1 - count, count)


def _diagonals_matmul(operands: list[TensorType], attributes: Attributes) -> Formula:
    D, B = _checked("diagonals_matmul", operands, 2)
    place = plus(Apply("add", (ROW, INNER)), SizeValue(-attributes["below"]))
    return _product(B, access(0, ["k", "i"]), access(1, [place, *_columns(B)], ZERO), D.dims[1], D.dims[0])


def _meaning(function: Callable[..., Any]) -> dict[str, Any]:
    """The meaning over floats and over a field by one function, given `numpy.linalg` or `elimination` to solve with."""

    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        return function(np.linalg, *operands, **attributes)

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        from tpc.ir.ops import elimination

        return function(elimination, *operands, **attributes)

    return {"reference": reference, "exact": exact}


def _circulant_matrix(c: Any) -> Any:
    import numpy

    places = numpy.arange(len(c))
    return c[(places[:, None] - places[None, :]) % max(len(c), 1)]


def _circulant_solve(linalg: Any, c: Any, B: Any, transposed: bool) -> Any:
    C = _circulant_matrix(c)
    return linalg.solve(C.T if transposed else C, B)


def _circulant_logdet(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    sign, value = np.linalg.slogdet(_circulant_matrix(operands[0]))
    return np.where(sign < 0, np.nan, value) if np.isrealobj(operands[0]) else value


def _diagonals_solve(linalg: Any, D: Any, B: Any, below: int, definite: bool) -> Any:
    import numpy

    n = D.shape[1]
    A = numpy.zeros((n, n), dtype=int).astype(D.dtype)
    if D.dtype == object and D.size:
        A = A + D[0, 0] * 0  # numbers of the field
    for o, row in numpy.ndindex(*D.shape):
        if 0 <= row + o - below < n:
            A[row, row + o - below] = D[o, row]
    return linalg.solve(A, B)


def _kernel(name: str, line: str, about: str, formula: Callable[..., Formula], **more: Any) -> Op:
    return linalg_op(name, line, about, formula_by=formula, typing=typed_by(formula), kinds="fc", **more)


_CIRCULANT_SOLVE = "circulant_solve(c[i], B[..., i, j])[..., i, j]"
_DIAGONALS_SOLVE = "diagonals_solve(D[o, i], B[..., i, j], below)[..., i, j]"

STRUCTURED_KERNELS: list[Op] = [
    _kernel(
        "circulant_matmul",
        "circulant_matmul(c[i], B[...])[...]",
        "circulant(c) @ B (with transposed=true, circulant(c)' @ B), by Fourier transforms; B may be a vector",
        _circulant_matmul,
        options={"transposed": False},
        flops="160 * entries_B",
    ),
    linalg_op(
        "circulant_solve",
        _CIRCULANT_SOLVE,
        "X with circulant(c) @ X = B (with transposed=true, circulant(c)' @ X = B), by Fourier transforms; B may be a "
        "vector",
        line_by=by_right_side(_CIRCULANT_SOLVE),
        kinds="fc",
        options={"transposed": False},
        flops="160 * entries_B",
        **_meaning(_circulant_solve),
    ),
    linalg_op(
        "circulant_logdet",
        "circulant_logdet(c[i])[]",
        "logarithm of the determinant of circulant(c), by a Fourier transform; NaN where it is negative (of a complex "
        "matrix, of its absolute value)",
        dtype="real",
        kinds="fc",
        reference=_circulant_logdet,
        flops="100 * i",
    ),
    _kernel(
        "toeplitz_matmul",
        "toeplitz_matmul(t[k], B[...])[...]",
        "toeplitz(t, m) @ B, where m is such that B has as many rows as it has columns, by Fourier transforms; B may "
        "be a vector",
        _toeplitz_matmul,
        flops="320 * entries_B",
    ),
    _kernel(
        "diagonals_matmul",
        "diagonals_matmul(D[o, i], B[...], below)[...]",
        "from_diagonals(D, below, n) @ B, where B has n rows; B may be a vector",
        _diagonals_matmul,
    ),
    linalg_op(
        "diagonals_solve",
        _DIAGONALS_SOLVE,
        "X with from_diagonals(D, below, n) @ X = B, which is square and, with definite=true, symmetric positive "
        "definite; B may be a vector",
        line_by=by_right_side(_DIAGONALS_SOLVE),
        kinds="fc",
        options={"definite": False},
        flops="2 * (below + 1) * o * i + 4 * o * entries_B",
        **_meaning(_diagonals_solve),
    ),
]
