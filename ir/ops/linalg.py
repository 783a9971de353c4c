"""Inverses, solutions of linear systems, determinants, rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import LineBy, each_matrix
from tpc.ir.ops.matrices import Reference, linalg_op, numpy_linalg, over_field
from tpc.ir.types import TensorType


def by_right_side(line: str) -> LineBy:
    """The line for a matrix on the right, or (by its rank) for a vector."""
    vector = line.replace("B[..., i, j]", "B[i]").replace("[..., k, j]", "[..., k]").replace("[..., i, j]", "[..., i]")

    def choose(operands: list[TensorType], attributes: Attributes) -> str:
        return vector if operands[-1].rank == 1 else line

    return choose


def _right_sides(function: Callable[..., Any]) -> Reference:
    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        cores = (2, min(2, operands[1].ndim))
        return each_matrix(np, lambda A, B: function(np, A, B, attributes), operands, cores)

    return reference


def _exact_right_sides(function: Callable[[Any], Callable[..., Any]]) -> Callable[[list[Any], Attributes], Any]:
    def exact(operands: list[Any], attributes: Attributes) -> Any:
        import numpy

        from tpc.ir.ops import elimination

        return each_matrix(numpy, function(elimination), operands, (2, min(2, operands[1].ndim)))

    return exact


def _least_squares(np: Any, A: Any, B: Any, attributes: Attributes) -> Any:
    return np.linalg.pinv(A) @ B if 0 in A.shape else np.linalg.lstsq(A, B, rcond=None)[0]


def _solve_triangular(np: Any, A: Any, B: Any, attributes: Attributes) -> Any:
    import scipy.linalg

    if A.shape[0] == 0:
        return np.zeros(B.shape)
    return scipy.linalg.solve_triangular(A, B, lower=attributes["lower"])


def _exact_triangular(operands: list[Any], attributes: Attributes) -> Any:
    import numpy

    A = numpy.tril(operands[0]) if attributes["lower"] else numpy.triu(operands[0])
    return SOLVE.exact([A, operands[1]], attributes)  # type: ignore[misc]


def _sylvester(np: Any, A: Any, B: Any, C: Any) -> Any:
    import scipy.linalg

    if C.size == 0:
        return C
    apart = np.abs(np.linalg.eigvals(A)[:, None] + np.linalg.eigvals(B)[None, :]).min()
    if apart <= 1e-15 * (np.linalg.norm(A) + np.linalg.norm(B)):  # SciPy gives numbers there all the same
        raise np.linalg.LinAlgError("an eigenvalue is minus one of the other matrix")
    return scipy.linalg.solve_sylvester(A, B, C)


def _exact_sylvester(operands: list[Any], attributes: Attributes) -> Any:
    """The entries of X, row after row, solve one system whose matrix is a Kronecker sum."""
    import numpy

    from tpc.ir.ops import elimination

    def solved(A: Any, B: Any, C: Any) -> Any:
        rows, columns = numpy.eye(len(A), dtype=int), numpy.eye(len(B), dtype=int)
        whole = numpy.kron(A, columns) + numpy.kron(rows, B.T)
        return elimination.solve(whole, C.reshape(-1)).reshape(C.shape)

    return each_matrix(numpy, solved, operands, (2, 2, 2))


def _logdet(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    sign, value = np.linalg.slogdet(operands[0])
    return np.where(np.real(sign) < 0, np.nan, value) if np.isrealobj(operands[0]) else value


def _cond_line(operands: list[TensorType], attributes: Attributes) -> str:
    if 0 in operands[0].dims[-2:]:
        raise Misfit("E0223", "`cond` of an empty matrix has no value", [(0, f"this is {operands[0]}")])
    return "cond(A[..., i, j])[...]"


def _cond(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    values = np.linalg.svd(operands[0], compute_uv=False)
    with np.errstate(divide="ignore"):
        return np.where(values[..., -1] == 0, np.inf, values[..., 0] / values[..., -1])


SOLVE = linalg_op(
    "solve",
    "solve(A[..., i, i], B[..., i, j])[..., i, j]",
    "X with A @ X = B; B may be a vector",
    line_by=by_right_side("solve(A[..., i, i], B[..., i, j])[..., i, j]"),
    operator="\\",
    needs="nonsingular(A)",
    reference=_right_sides(lambda np, A, B, attributes: np.linalg.solve(A, B)),
    exact=_exact_right_sides(lambda elimination: elimination.solve),
    flops="div(2 * i^3, 3) + 2 * i * entries_B",
    facts="""
        lower(A), lower(B)             |- lower(this)
        upper(A), upper(B)             |- upper(this)
        orthogonal(A), orthogonal(B)   |- orthogonal(this)
        permutation(A), permutation(B) |- permutation(this)
        nonsingular(B)                 |- nonsingular(this)
        full_rank(B)                   |- full_rank(this)
        circulant(A), circulant(B)     |- circulant(this)
        low_rank(B, r)                 |- low_rank(this, r)
    """,
)

LINALG: list[Op] = [
    linalg_op(
        "inv",
        "inv(A[..., i, i])[..., i, i]",
        "the matrix that undoes A",
        needs="nonsingular(A)",
        reference=numpy_linalg("inv"),
        exact=over_field("inverse", 2),
        flops="2 * i^3",
        facts="""
            |- nonsingular(this)
            lower(A)       |- lower(this)
            upper(A)       |- upper(this)
            lower(A), unit_diagonal(A) |- unit_diagonal(this)
            upper(A), unit_diagonal(A) |- unit_diagonal(this)
            symmetric(A)   |- symmetric(this)
            skew(A)        |- skew(this)
            psd(A)         |- psd(this)
            orthogonal(A)  |- orthogonal(this)
            permutation(A) |- permutation(this)
            circulant(A)   |- circulant(this)
            toeplitz(A), lower(A) |- toeplitz(this)
            toeplitz(A), upper(A) |- toeplitz(this)
            diagonal(A), nonnegative(A) |- nonnegative(this)
            spd(this)      |- spd(A)
        """,
    ),
    linalg_op(
        "pinv",
        "pinv(A[..., i, j])[..., j, i]",
        "the pseudo-inverse (Moore-Penrose)",
        reference=numpy_linalg("pinv"),
        exact=over_field("pseudo_inverse", 2),
        flops="14 * max(i, j) * min(i, j)^2 + 8 * min(i, j)^3",
        facts="""
            symmetric(A)   |- symmetric(this)
            skew(A)        |- skew(this)
            psd(A)         |- psd(this)
            projection(A, r) |- projection(this, r)
            diagonal(A)    |- diagonal(this)
            orthogonal(A)  |- orthogonal(this)
            permutation(A) |- permutation(this)
            circulant(A)   |- circulant(this)
            nonsingular(A) |- nonsingular(this)
            full_rank(A)   |- full_rank(this)
            low_rank(A, r) |- low_rank(this, r)
        """,
    ),
    SOLVE,
    linalg_op(
        "solve_triangular",
        "solve_triangular(A[..., i, i], B[..., i, j])[..., i, j]",
        "X with A @ X = B, where only the lower (or, with lower=false, the upper) triangle of A is read",
        line_by=by_right_side("solve_triangular(A[..., i, i], B[..., i, j])[..., i, j]"),
        options={"lower": True},
        reference=_right_sides(_solve_triangular),
        exact=_exact_triangular,
        flops="i * entries_B",
        facts="""
            lower(B)       |- lower(this) where lower
            nonsingular(B) |- nonsingular(this)
            full_rank(B)   |- full_rank(this)
            low_rank(B, r) |- low_rank(this, r)
        """,
    ),
    linalg_op(
        "lstsq",
        "lstsq(A[..., i, k], B[..., i, j])[..., k, j]",
        "the X of least norm among those with the least norm(A @ X - B); B may be a vector",
        line_by=by_right_side("lstsq(A[..., i, k], B[..., i, j])[..., k, j]"),
        reference=_right_sides(_least_squares),
        exact=_exact_right_sides(lambda elimination: lambda A, B: elimination.pseudo_inverse(A) @ B),
        flops="4 * max(i, k) * min(i, k)^2 + 8 * min(i, k)^3",
        facts="low_rank(B, r) |- low_rank(this, r)\n low_rank(A, r) |- low_rank(this, r)",
    ),
    linalg_op(
        "sylvester",
        "sylvester(A[..., i, i], B[..., j, j], C[..., i, j])[..., i, j]",
        "X with A @ X + X @ B = C, where no eigenvalue of A is minus one of B; `sylvester(A, A', Q)` solves "
        "Lyapunov's equation",
        reference=lambda np, operands, attributes: each_matrix(
            np, lambda A, B, C: _sylvester(np, A, B, C), operands, (2, 2, 2)
        ),
        exact=_exact_sylvester,
        flops="25 * i^3 + 25 * j^3 + 5 * i * j * (i + j)",
        facts="""
            diagonal(A), diagonal(B), diagonal(C) |- diagonal(this)
            lower(A), lower(B), lower(C) |- lower(this)
            upper(A), upper(B), upper(C) |- upper(this)
            circulant(A), circulant(B), circulant(C) |- circulant(this)
        """,
    ),
    linalg_op(
        "det",
        "det(A[..., i, i])[...]",
        "determinant",
        reference=numpy_linalg("det"),
        exact=over_field("determinant", 2),
        flops="div(2 * i^3, 3) + 1",
        facts="""
            spd(A)                     |- positive(this)
            psd(A)                     |- nonnegative(this)
            nonsingular(A)             |- nonzero(this)
            lower(A), unit_diagonal(A) |- positive(this)
            upper(A), unit_diagonal(A) |- positive(this)
            skew(A)                    |- nonnegative(this)
            nonzero(this)              |- nonsingular(A)
        """,
    ),
    linalg_op(
        "logdet",
        "logdet(A[..., i, i])[...]",
        "logarithm of the determinant; NaN where it is negative (of a complex matrix, of its absolute value)",
        dtype="real",
        reference=_logdet,
        flops="div(2 * i^3, 3) + 1",
    ),
    linalg_op(
        "slogdet",
        "slogdet(A[..., i, i])[...], [...]",
        "sign of the determinant, and the logarithm of its absolute value",
        dtype="float real",
        reference=numpy_linalg("slogdet"),
        flops="div(2 * i^3, 3) + 1",
        facts="spd(A) |- positive(this0)\n |- at_least(this0, -1)\n |- at_most(this0, 1)",
    ),
    linalg_op(
        "matrix_rank",
        "matrix_rank(A[..., i, j])[...]",
        "number of singular values above max(i, j) times the rounding unit times the largest",
        dtype="index",
        reference=numpy_linalg("matrix_rank"),
        exact=over_field("rank", 2),
        flops="4 * max(i, j) * min(i, j)^2",
        facts="|- nonnegative(this)",
    ),
    linalg_op(
        "cond",
        "cond(A[..., i, j])[...]",
        "largest singular value over the smallest",
        line_by=_cond_line,
        dtype="real",
        reference=_cond,
        flops="4 * max(i, j) * min(i, j)^2",
        facts="|- at_least(this, 1)",
    ),
]
