"""Kernels: the steps of BLAS and LAPACK that a plan is made of.

A factorization and the solves that use it are ops of their own, so that one can serve several of the other. What is
left of a matrix by its structure is read and nothing else: a triangle, a band. Factors are kept in packed form:

    lu_factor    packed, pivots   L @ U is A with row k exchanged with row pivots[k], for k = 0, 1, ...;
                                  packed holds L below the diagonal (its own is 1) and U above and on it
                                  with symmetric=true they are how the backend that made them reads them: its other
                                  lu_... kernels take them, and a matrix that is positive definite is half the work
    ldl_factor   packed, order    L @ D @ L' is A with its rows and columns in this order; packed holds L below the
                                  diagonal (its own is 1), and D on the diagonal and, for blocks of 2, right above it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import LineBy, each_matrix
from tpc.ir.ops.linalg import by_right_side
from tpc.ir.ops.matrices import linalg_op, numpy_linalg, over_field
from tpc.ir.types import TensorType

_RIGHT_SIDE = """
    nonsingular(B) |- nonsingular(this)
    full_rank(B)   |- full_rank(this)
    low_rank(B, r) |- low_rank(this, r)
"""


def _meaning(function: Callable[..., Any], *cores: int) -> dict[str, Any]:
    """The meaning over floats and over a field by one function of matrices, whose last operand may be a vector.

    It is given `numpy.linalg` or `elimination` to solve with.
    """

    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        return each_matrix(np, lambda *parts: function(np.linalg, *parts, **attributes), operands, _cores(operands))

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        import numpy

        from tpc.ir.ops import elimination

        return each_matrix(
            numpy, lambda *parts: function(elimination, *parts, **attributes), operands, _cores(operands)
        )

    def _cores(operands: list[Any]) -> tuple[int, ...]:
        return (*cores[:-1], min(cores[-1], operands[-1].ndim))

    return {"reference": reference, "exact": exact}


def _adjoint(A: Any) -> Any:
    return A.conj().T if A.dtype.kind == "c" else A.T


def _identity(A: Any) -> Any:
    import numpy

    identity = numpy.eye(len(A), dtype=int).astype(A.dtype)
    return identity + A * 0 if A.dtype == object else identity  # numbers of the field, which divide exactly


# ---- triangles


def _triangle(A: Any, lower: bool) -> Any:
    import numpy

    return numpy.tril(A) if lower else numpy.triu(A)


def _trmm_line(operands: list[TensorType], attributes: Attributes) -> str:
    within = "k <= i" if attributes["lower"] else "i <= k"
    if operands[1].rank == 1:
        return f"trmm(A[..., i, i], B[i])[..., i] = sum[k where {within}](A[..., i, k] * B[k])"
    return f"trmm(A[..., i, i], B[..., i, j])[..., i, j] = sum[k where {within}](A[..., i, k] * B[..., k, j])"


def _tri_inv(linalg: Any, A: Any, lower: bool) -> Any:
    return linalg.solve(_triangle(A, lower), _identity(A))


def _cho_solve(linalg: Any, L: Any, B: Any) -> Any:
    L = _triangle(L, True)
    return linalg.solve(_adjoint(L), linalg.solve(L, B))


def _cho_inv(linalg: Any, L: Any) -> Any:
    return _cho_solve(linalg, L, _identity(L))


# ---- diagonals


def _add_diagonal_line(operands: list[TensorType], attributes: Attributes) -> str:
    matrix, added = operands
    if matrix.rank >= 2 and matrix.dims[-1] != matrix.dims[-2]:
        raise Misfit("E0203", "`add_diagonal` needs a square matrix", [(0, f"this is {matrix}")])
    entry = "[i]" if added.rank else "[...]"
    return f"add_diagonal(A[..., i, j], d{entry})[..., i, j] = A[..., i, j] + select(i == j, d{entry}, 0)"


# ---- L and U


def _lu_factor(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    from scipy.linalg import get_lapack_funcs

    def factor(A: Any) -> Any:
        getrf: Any = get_lapack_funcs("getrf", (A,))
        return getrf(A)[:2] if A.size else (A, np.zeros(0, int))

    return each_matrix(np, factor, operands, (2,))


def _unpacked(packed: Any) -> tuple[Any, Any]:
    import numpy

    return numpy.tril(packed, -1) + _identity(packed), numpy.triu(packed)


def _order(pivots: Any) -> list[int]:
    """The order of the rows after all exchanges."""
    order = list(range(len(pivots)))
    for k, row in enumerate(int(pivot) for pivot in pivots):
        order[k], order[row] = order[row], order[k]
    return order


def _lu_solve(linalg: Any, LU: Any, pivots: Any, B: Any, transposed: bool) -> Any:
    import numpy

    L, U = _unpacked(LU)
    order = _order(pivots)
    if not transposed:
        return linalg.solve(U, linalg.solve(L, B[order]))
    return linalg.solve(L.T, linalg.solve(U.T, B))[numpy.argsort(order)]


def _lu_det(linalg: Any, LU: Any, pivots: Any) -> Any:
    import numpy

    exchanges = sum(int(row) != k for k, row in enumerate(pivots))
    product = numpy.prod(numpy.diagonal(LU))
    return -product if exchanges % 2 else product


def _lu_logdet(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    determinant = LU_DET.reference(np, operands, attributes)  # type: ignore[misc]
    diagonal = np.diagonal(operands[0], axis1=-2, axis2=-1)
    with np.errstate(divide="ignore"):
        value = np.log(np.abs(diagonal)).sum(-1)
    return np.where(determinant < 0, np.nan, value) if np.isrealobj(diagonal) else value


# ---- L and D


def _ldl_factor(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    import scipy.linalg

    def factor(A: Any) -> Any:
        if A.size == 0:
            return A, np.zeros(0, int)
        L, D, order = scipy.linalg.ldl(A)
        return np.tril(L[order], -1) + np.triu(D), order

    return each_matrix(np, factor, operands, (2,))


def _ldl_solve(linalg: Any, LD: Any, order: Any, B: Any) -> Any:
    import numpy

    order = [int(row) for row in order]
    L, _ = _unpacked(LD)
    D = numpy.triu(numpy.tril(LD, 1))
    D = D + _adjoint(numpy.triu(D, 1))
    X = linalg.solve(_adjoint(L), linalg.solve(D, linalg.solve(L, B[order])))
    return X[numpy.argsort(order)]


# ---- bands


def _band_line(line: str, *widths: str) -> LineBy:
    choose = by_right_side(line)

    def checked(operands: list[TensorType], attributes: Attributes) -> str:
        for width in widths:
            value = attributes[width]
            if isinstance(value, int) and value < 0:
                name = line.partition("(")[0]
                raise Misfit("E0208", f"`{name}` is given a negative size, {width}={value}")
        return choose(operands, attributes)

    return checked


def _band(A: Any, below: int, above: int) -> Any:
    import numpy

    return numpy.triu(numpy.tril(A, above), -below)


def _spd_band_solve(linalg: Any, A: Any, B: Any, width: int) -> Any:
    import numpy

    lower = _band(A, width, 0)
    return linalg.solve(lower + _adjoint(numpy.tril(lower, -1)), B)


_BAND_MATMUL = (
    "band_matmul(A[..., i, k], B[..., k, j], below, above)[..., i, j] = "
    "sum[k where i - k <= below and k - i <= above](A[..., i, k] * B[..., k, j])"
)
_BAND_SOLVE = "band_solve(A[..., i, i], B[..., i, j], below, above)[..., i, j]"
_SPD_BAND_SOLVE = "spd_band_solve(A[..., i, i], B[..., i, j], width)[..., i, j]"
_LU_SOLVE = "lu_solve(LU[..., i, i], pivots[..., i], B[..., i, j])[..., i, j]"
_LDL_SOLVE = "ldl_solve(LD[..., i, i], order[..., i], B[..., i, j])[..., i, j]"

LU_DET = linalg_op(
    "lu_det",
    "lu_det(LU[..., i, i], pivots[..., i])[...]",
    "determinant of the matrix that lu_factor took apart",
    kinds="bifc i",
    flops="i",
    **_meaning(_lu_det, 2, 1),
)

KERNELS: list[Op] = [
    linalg_op(
        "add_diagonal",
        "add_diagonal(A[..., i, j], d[i])[..., i, j]",
        "A + diag(d), where only the diagonal of A is added to; d may be a number",
        line_by=_add_diagonal_line,
        flops="i",
        facts="""
            symmetric(A)           |- symmetric(this)
            lower(A)               |- lower(this)
            upper(A)               |- upper(this)
            spd(A), nonnegative(d) |- spd(this)
            psd(A), positive(d)    |- spd(this)
            psd(A), nonnegative(d) |- psd(this)
        """,
    ),
    linalg_op(
        "trmm",
        "trmm(A[..., i, i], B[..., i, j])[..., i, j]",
        "A @ B, where only the lower (or, with lower=false, the upper) triangle of A is read; B may be a vector",
        line_by=_trmm_line,
        options={"lower": True},
        flops="i * entries_B",
        facts="""
            lower(B)                       |- lower(this) where lower
            upper(A), upper(B)             |- upper(this)
            nonnegative(A), nonnegative(B) |- nonnegative(this)
            low_rank(B, r)                 |- low_rank(this, r)
        """,
    ),
    linalg_op(
        "tri_inv",
        "tri_inv(A[..., i, i])[..., i, i]",
        "the inverse of a triangular matrix; only the lower (or, with lower=false, the upper) triangle of A is read",
        options={"lower": True},
        flops="div(i^3, 3) + 1",
        facts="""
            |- nonsingular(this)
            |- lower(this) where lower
            lower(A)         |- lower(this)
            upper(A)         |- upper(this)
            unit_diagonal(A) |- unit_diagonal(this)
        """,
        **_meaning(_tri_inv, 2),
    ),
    linalg_op(
        "cho_solve",
        "cho_solve(L[..., i, i], B[..., i, j])[..., i, j]",
        "X with L @ L' @ X = B for lower triangular L, as cholesky gives it; B may be a vector",
        line_by=by_right_side("cho_solve(L[..., i, i], B[..., i, j])[..., i, j]"),
        flops="2 * i * entries_B",
        facts=_RIGHT_SIDE,
        **_meaning(_cho_solve, 2, 2),
    ),
    linalg_op(
        "cho_inv",
        "cho_inv(L[..., i, i])[..., i, i]",
        "the inverse of L @ L' for lower triangular L, as cholesky gives it",
        flops="div(2 * i^3, 3) + 1",
        facts="|- spd(this)\n |- nonsingular(this)\n diagonal(L) |- diagonal(this)",
        **_meaning(_cho_inv, 2),
    ),
    linalg_op(
        "qr_triangle",
        "qr_triangle(A[..., i, j])[..., min(i, j), j]",
        "R of a QR factorization alone, A' @ A = R' @ R: the rest of it is half of the work",
        reference=numpy_linalg("qr", mode="r"),
        gauge="signs of the rows",
        flops="2 * max(i, j) * min(i, j)^2",
        facts="""
            |- upper(this)
            nonsingular(A) |- nonsingular(this)
            full_rank(A)   |- full_rank(this)
        """,
    ),
    linalg_op(
        "lu_factor",
        "lu_factor(A[..., i, i])[..., i, i], [..., i]",
        "the factors L and U of A with its rows exchanged, packed into one matrix, and the row that each was "
        "exchanged with; with symmetric=true, A is symmetric and tried by Cholesky's method first, which is half the "
        "work: the factors are then for lu_solve, lu_det and lu_logdet alone",
        dtype="float index",
        options={"symmetric": False},
        reference=_lu_factor,
        exact=over_field("packed_factors", 2),
        gauge="the order of the rows",
        flops="div(2 * i^3, 3) + 1",
        facts="|- nonnegative(this1)",
    ),
    linalg_op(
        "lu_solve",
        _LU_SOLVE,
        "X with A @ X = B (or A' @ X = B, not conjugated, with transposed=true), where lu_factor took A apart; "
        "B may be a vector",
        line_by=by_right_side(_LU_SOLVE),
        kinds="bifc i bifc",
        options={"transposed": False},
        flops="2 * i * entries_B",
        facts=_RIGHT_SIDE,
        **_meaning(_lu_solve, 2, 1, 2),
    ),
    LU_DET,
    linalg_op(
        "lu_logdet",
        "lu_logdet(LU[..., i, i], pivots[..., i])[...]",
        "logarithm of the determinant of the matrix that lu_factor took apart; NaN where it is negative (of a complex "
        "matrix, of its absolute value)",
        dtype="real",
        kinds="bifc i",
        reference=_lu_logdet,
        flops="16 * i",
    ),
    linalg_op(
        "ldl_factor",
        "ldl_factor(A[..., i, i])[..., i, i], [..., i]",
        "the factors L and D of a symmetric A, packed into one matrix, and the order of its rows and columns; "
        "only the lower triangle of A is read",
        dtype="float index",
        needs="symmetric(A)",
        reference=_ldl_factor,
        exact=over_field("packed_symmetric_factors", 2),
        gauge="the order of the rows, and what stands further above the diagonal",
        flops="div(i^3, 3) + 1",
        facts="|- nonnegative(this1)",
    ),
    linalg_op(
        "ldl_solve",
        _LDL_SOLVE,
        "X with A @ X = B, where ldl_factor took A apart; B may be a vector",
        line_by=by_right_side(_LDL_SOLVE),
        kinds="bifc i bifc",
        flops="(2 * i + 5) * entries_B",
        facts=_RIGHT_SIDE,
        **_meaning(_ldl_solve, 2, 1, 2),
    ),
    linalg_op(
        "band_matmul",
        _BAND_MATMUL,
        "A @ B, where only the diagonal and so many diagonals below and above it are read; B may be a vector",
        line_by=_band_line(_BAND_MATMUL, "below", "above"),
        flops="2 * min(below + above + 1, i) * entries_B",
        facts="""
            banded(B, k, l)                |- banded(this, k + below, l + above)
            nonnegative(A), nonnegative(B) |- nonnegative(this)
            low_rank(B, r)                 |- low_rank(this, r)
        """,
    ),
    linalg_op(
        "band_solve",
        _BAND_SOLVE,
        "X with A @ X = B, where only the diagonal of A and so many diagonals below and above it are read; B may be a "
        "vector",
        line_by=_band_line(_BAND_SOLVE, "below", "above"),
        flops="2 * (below + 1) * (below + above + 1) * i + 2 * (2 * below + above + 1) * entries_B",
        facts=_RIGHT_SIDE,
        **_meaning(lambda linalg, A, B, below, above: linalg.solve(_band(A, below, above), B), 2, 2),
    ),
    linalg_op(
        "spd_band_solve",
        _SPD_BAND_SOLVE,
        "X with A @ X = B for symmetric positive definite A, of which only the diagonal and so many diagonals below it "
        "are read; B may be a vector",
        line_by=_band_line(_SPD_BAND_SOLVE, "width"),
        flops="(width + 1)^2 * i + 4 * (width + 1) * entries_B",
        facts=_RIGHT_SIDE,
        **_meaning(_spd_band_solve, 2, 2),
    ),
    Op(
        name="harmless",
        line="harmless(loss[...], most[...])[...] = loss[...] <= most[...]",
        about="whether a bound on what roundings count for is at most that large; a branch on it is expected to be "
        "taken",
        group="linalg",
        kinds="bif",
    ),
    Op(
        name="solved",
        line="solved(left[...], most[...])[...] = left[...] <= most[...]",
        about="whether what is left of the right side of a system is at most that large; a branch on it is expected to "
        "be taken",
        group="linalg",
        kinds="bif",
    ),
]
