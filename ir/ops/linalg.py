"""Linear algebra that index notation cannot say: solutions, factorizations, functions of matrices.

References work in double precision by LAPACK, over leading batch axes. What a factorization leaves open, such as
signs, is told by `gauge`; implementations may differ in it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import LineBy, checked_scalar, each_matrix
from tpc.ir.types import TensorType

Reference = Callable[[Any, list[Any], Attributes], Any]


def _exact(name: str, *cores: int) -> Callable[[list[Any], Attributes], Any]:
    """A function of `elimination`, over batch axes."""

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        import numpy

        from tpc.ir.ops import elimination

        return each_matrix(numpy, getattr(elimination, name), operands, cores)

    return exact


def _numpy(name: str, **options: Any) -> Reference:
    """A function of numpy.linalg, which takes batch axes itself."""

    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        result = getattr(np.linalg, name)(*operands, **options)
        return tuple(result) if isinstance(result, tuple) else result

    return reference


def _by_right_side(line: str) -> LineBy:
    """The line for a matrix on the right, or (by its rank) for a vector."""
    vector = line.replace("B[..., i, j]", "B[i]").replace("[..., k, j]", "[..., k]").replace("[..., i, j]", "[..., i]")

    def choose(operands: list[TensorType], attributes: Attributes) -> str:
        return vector if operands[1].rank == 1 else line

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


def _logdet(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    sign, value = np.linalg.slogdet(operands[0])
    return np.where(np.real(sign) < 0, np.nan, value) if np.isrealobj(operands[0]) else value


def _each(function: Callable[[Any, Any], Any]) -> Reference:
    """A function of one matrix."""
    return lambda np, operands, attributes: each_matrix(np, lambda A: function(np, A), operands[:1], (2,))


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
    if not isinstance(exponent, (int, Fraction)) or exponent != int(exponent):
        raise ValueError("only integer powers of a matrix are exact")
    return each_matrix(numpy, lambda A: elimination.power(A, int(exponent)), operands[:1], (2,))


def _matpow_line(operands: list[TensorType], attributes: Attributes) -> str:
    checked_scalar("matpow", operands, 1)
    return "matpow(A[..., i, i], p[...])[..., i, i]"


def _eig(np: Any, A: Any) -> Any:
    values, vectors = np.linalg.eig(A)
    return values.astype(complex), vectors.astype(complex)


def _cond_line(operands: list[TensorType], attributes: Attributes) -> str:
    if 0 in operands[0].dims[-2:]:
        raise Misfit("E0223", "`cond` of an empty matrix has no value", [(0, f"this is {operands[0]}")])
    return "cond(A[..., i, j])[...]"


def _cond(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    values = np.linalg.svd(operands[0], compute_uv=False)
    with np.errstate(divide="ignore"):
        return np.where(values[..., -1] == 0, np.inf, values[..., 0] / values[..., -1])


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, group="linalg", **{"dtype": "float", **more})


SOLVE = _op(
    "solve",
    "solve(A[..., i, i], B[..., i, j])[..., i, j]",
    "X with A @ X = B; B may be a vector",
    line_by=_by_right_side("solve(A[..., i, i], B[..., i, j])[..., i, j]"),
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
    _op(
        "inv",
        "inv(A[..., i, i])[..., i, i]",
        "the matrix that undoes A",
        needs="nonsingular(A)",
        reference=_numpy("inv"),
        exact=_exact("inverse", 2),
        flops="2 * i^3",
        facts="""
            |- nonsingular(this)
            lower(A)       |- lower(this)
            upper(A)       |- upper(this)
            lower(A), unit_diagonal(A) |- unit_diagonal(this)
            upper(A), unit_diagonal(A) |- unit_diagonal(this)
            symmetric(A)   |- symmetric(this)
            psd(A)         |- psd(this)
            orthogonal(A)  |- orthogonal(this)
            permutation(A) |- permutation(this)
            circulant(A)   |- circulant(this)
        """,
    ),
    _op(
        "pinv",
        "pinv(A[..., i, j])[..., j, i]",
        "the pseudo-inverse (Moore-Penrose)",
        reference=_numpy("pinv"),
        exact=_exact("pseudo_inverse", 2),
        flops="14 * max(i, j) * min(i, j)^2 + 8 * min(i, j)^3",
        facts="""
            symmetric(A)   |- symmetric(this)
            psd(A)         |- psd(this)
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
    _op(
        "solve_triangular",
        "solve_triangular(A[..., i, i], B[..., i, j])[..., i, j]",
        "X with A @ X = B, where only the lower (or, with lower=false, the upper) triangle of A is read",
        line_by=_by_right_side("solve_triangular(A[..., i, i], B[..., i, j])[..., i, j]"),
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
    _op(
        "lstsq",
        "lstsq(A[..., i, k], B[..., i, j])[..., k, j]",
        "the X of least norm among those with the least norm(A @ X - B); B may be a vector",
        line_by=_by_right_side("lstsq(A[..., i, k], B[..., i, j])[..., k, j]"),
        reference=_right_sides(_least_squares),
        exact=_exact_right_sides(lambda elimination: lambda A, B: elimination.pseudo_inverse(A) @ B),
        flops="4 * max(i, k) * min(i, k)^2 + 8 * min(i, k)^3",
        facts="low_rank(B, r) |- low_rank(this, r)\n low_rank(A, r) |- low_rank(this, r)",
    ),
    _op(
        "det",
        "det(A[..., i, i])[...]",
        "determinant",
        reference=_numpy("det"),
        exact=_exact("determinant", 2),
        flops="div(2 * i^3, 3) + 1",
        facts="spd(A) |- positive(this)\n psd(A) |- nonnegative(this)",
    ),
    _op(
        "logdet",
        "logdet(A[..., i, i])[...]",
        "logarithm of the determinant; NaN where it is negative (of a complex matrix, of its absolute value)",
        dtype="real",
        reference=_logdet,
        flops="div(2 * i^3, 3) + 1",
    ),
    _op(
        "slogdet",
        "slogdet(A[..., i, i])[...], [...]",
        "sign of the determinant, and the logarithm of its absolute value",
        dtype="float real",
        reference=_numpy("slogdet"),
        flops="div(2 * i^3, 3) + 1",
        facts="spd(A) |- positive(this0)",
    ),
    _op(
        "cholesky",
        "cholesky(A[..., i, i])[..., i, i]",
        "lower L with A = L @ L' and a positive diagonal; only the lower triangle of A is read",
        needs="spd(A)",
        reference=_numpy("cholesky"),
        flops="div(i^3, 3) + 1",
        facts="""
            |- lower(this)
            |- nonsingular(this)
            diagonal(A)     |- spd(this)
            diagonal(A)     |- nonnegative(this)
            banded(A, k, l) |- banded(this, k, 0)
        """,
    ),
    _op(
        "lu",
        "lu(A[..., i, j])[..., i, i], [..., i, min(i, j)], [..., min(i, j), j]",
        "P, L, U with A = P @ L @ U: a permutation, unit lower triangular, upper triangular",
        reference=_each(_lu),
        exact=_exact("factors", 2),
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
    _op(
        "ldl",
        "ldl(A[..., i, i])[..., i, i], [..., i, i]",
        "L, D with A = L @ D @ L': L has the rows of a unit lower triangular matrix in some order, D blocks of 1 and 2",
        kinds="bif",
        needs="symmetric(A)",
        reference=_each(_ldl),
        gauge="the order of the rows",
        flops="div(i^3, 3) + 1",
        facts="""
            |- nonsingular(this0)
            |- symmetric(this1)
            |- banded(this1, 1, 1)
            nonsingular(A) |- nonsingular(this1)
        """,
    ),
    _op(
        "qr",
        "qr(A[..., i, j])[..., i, min(i, j)], [..., min(i, j), j]",
        "Q, R with A = Q @ R: columns of unit length at right angles, and upper triangular",
        reference=_numpy("qr"),
        gauge="signs of the columns of Q",
        flops="4 * max(i, j) * min(i, j)^2",
        facts="""
            |- orthonormal(this0)
            |- upper(this1)
            nonsingular(A) |- nonsingular(this1)
            full_rank(A)   |- full_rank(this1)
        """,
    ),
    _op(
        "svd",
        "svd(A[..., i, j])[..., i, min(i, j)], [..., min(i, j)], [..., min(i, j), j]",
        "U, s, V with A = U @ diag(s) @ V: singular values largest first, V as in NumPy's Vh",
        dtype="float real float",
        reference=_numpy("svd", full_matrices=False),
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
    _op(
        "svdvals",
        "svdvals(A[..., i, j])[..., min(i, j)]",
        "singular values, largest first",
        dtype="real",
        reference=_numpy("svd", compute_uv=False),
        flops="4 * max(i, j) * min(i, j)^2",
        facts="|- nonnegative(this)\n full_rank(A) |- positive(this)",
    ),
    _op(
        "eigh",
        "eigh(A[..., i, i])[..., i], [..., i, i]",
        "eigenvalues (smallest first) and eigenvectors (in columns) of a symmetric matrix; its lower triangle is read",
        dtype="real float",
        needs="symmetric(A)",
        reference=_numpy("eigh"),
        gauge="signs of the columns, and bases where eigenvalues are equal",
        flops="9 * i^3",
        facts="""
            |- orthogonal(this1)
            psd(A) |- nonnegative(this0)
            spd(A) |- positive(this0)
        """,
    ),
    _op(
        "eigvalsh",
        "eigvalsh(A[..., i, i])[..., i]",
        "eigenvalues of a symmetric matrix, smallest first; its lower triangle is read",
        dtype="real",
        needs="symmetric(A)",
        reference=_numpy("eigvalsh"),
        flops="div(4 * i^3, 3) + 1",
        facts="psd(A) |- nonnegative(this)\n spd(A) |- positive(this)",
    ),
    _op(
        "eig",
        "eig(A[..., i, i])[..., i], [..., i, i]",
        "complex eigenvalues and eigenvectors (in columns of length 1)",
        dtype="complex",
        reference=_each(_eig),
        gauge="order of the eigenvalues, and factors of absolute value 1 of the columns",
        flops="25 * i^3",
    ),
    _op(
        "eigvals",
        "eigvals(A[..., i, i])[..., i]",
        "complex eigenvalues",
        dtype="complex",
        reference=lambda np, operands, attributes: np.linalg.eigvals(operands[0]).astype(complex),
        gauge="order of the eigenvalues",
        flops="10 * i^3",
    ),
    _op(
        "expm",
        "expm(A[..., i, i])[..., i, i]",
        "exponential of a matrix",
        reference=_each(_expm),
        flops="20 * i^3",
        facts="""
            |- nonsingular(this)
            symmetric(A) |- spd(this)
            lower(A)     |- lower(this)
            upper(A)     |- upper(this)
            circulant(A) |- circulant(this)
            nonnegative(A) |- nonnegative(this)
        """,
    ),
    _op(
        "logm",
        "logm(A[..., i, i])[..., i, i]",
        "principal logarithm of a matrix; NaN where it is not real but A is",
        needs="nonsingular(A)",
        reference=_each(_logm),
        flops="50 * i^3",
        facts="""
            symmetric(A) |- symmetric(this)
            lower(A)     |- lower(this)
            upper(A)     |- upper(this)
            circulant(A) |- circulant(this)
        """,
    ),
    _op(
        "sqrtm",
        "sqrtm(A[..., i, i])[..., i, i]",
        "principal square root of a matrix; NaN where it is not real but A is",
        reference=_each(_sqrtm),
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
    _op(
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
    _op(
        "matrix_rank",
        "matrix_rank(A[..., i, j])[...]",
        "number of singular values above max(i, j) times the rounding unit times the largest",
        dtype="index",
        reference=_numpy("matrix_rank"),
        exact=_exact("rank", 2),
        flops="4 * max(i, j) * min(i, j)^2",
        facts="|- nonnegative(this)",
    ),
    _op(
        "cond",
        "cond(A[..., i, j])[...]",
        "largest singular value over the smallest",
        line_by=_cond_line,
        dtype="real",
        reference=_cond,
        flops="4 * max(i, j) * min(i, j)^2",
        facts="|- positive(this)",
    ),
]
