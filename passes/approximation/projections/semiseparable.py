"""Semiseparable matrices of order one: both triangles decay from row to row by one factor, as in exponential kernels of
points that are in order, in running sums that forget, and in inverses of tridiagonal matrices.

Row i of the lower triangle is row i - 1 times a[i] and one entry more. Factors are fitted row after row, then what each
column begins with (least squares); of the upper triangle likewise, by the transpose. The diagonal may be another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term, decaying
from tpc.passes.approximation.target import Target, measured

SMALLEST = 16
WORK = 8  # operations for each row of a triangle
NEGLIGIBLE = 0.1  # share of the budget that a triangle or diagonal which is left out may have


def semiseparable(target: Target) -> Iterator[Projected]:
    """One candidate, with the triangles and the diagonal that it needs."""
    A, budget = target.values, target.budget
    if not target.is_matrix or A.shape[0] != A.shape[1] or len(A) < SMALLEST:
        return
    parts: dict[str, Array] = {}
    terms: list[Term] = []
    near = np.zeros_like(A)
    for side, matrix, meaning in (("lower", A, "semiseparable"), ("upper", A.T, "semiseparable turned")):
        if measured(np.tril(matrix, -1)) <= NEGLIGIBLE * budget:
            continue
        found = _fitted(matrix, budget)
        if found is None:
            return
        triangle = decaying(*found)
        near = near + (triangle if side == "lower" else triangle.T)
        named = {f"{side}_{name}": part for name, part in zip("aBC", found, strict=True)}
        parts |= named
        terms.append(Term(meaning, tuple(named)))
    if not terms:
        return
    d = np.diag(A - near)
    about = " and ".join(term.parts[0][:5] for term in terms) + " triangle" + "s" * (len(terms) > 1)
    if measured(d) > NEGLIGIBLE * budget:
        parts["d"] = d
        terms.append(Term("diagonal", ("d",)))
    work = (WORK * len(terms)) * len(A)
    yield Projected("semiseparable", f"of order 1, {about}", parts, tuple(terms), work)


def _fitted(A: Array, budget: float) -> tuple[Array, Array, Array] | None:
    """a, B and C for the lower triangle; None where it is far from one. What B has on the diagonal is free."""
    n = len(A)
    if _is_far(A[n // 2 :, : n // 2], budget):
        return None
    a, B = np.ones((2, n), A.dtype)
    p = along = squares = A[0, :0]  # what row i - 1 has of each column that began, and sums over the rows so far
    with np.errstate(over="ignore", invalid="ignore"):  # of what is no such triangle; it is not within any budget then
        for i in range(1, n):
            row = _ratio(p * along, squares)
            if np.any(row):
                a[i] = np.vdot(row, A[i, : i - 1]) / np.vdot(row, row)
            elif A[i, i - 1] and A[i - 1, i - 1]:  # nothing goes on, so that the factor is free: the diagonal may fit
                a[i] = A[i, i - 1] / A[i - 1, i - 1]
            p = np.append(a[i] * p, a[i])
            along, squares = np.append(along, 0) + p.conj() * A[i, :i], np.append(squares, 0) + np.abs(p) ** 2
    B[:-1], B[-1] = _ratio(along, squares), A[-1, -1]
    return a[:, None], B[:, None], np.ones((n, 1), A.dtype)


def _ratio(x: Array, y: Array) -> Array:
    """0 where y is 0."""
    found: Array = np.divide(x, y, out=np.zeros_like(x), where=y != 0)
    return found


def _is_far(corner: Array, budget: float) -> bool:
    """Whether the corner, all of whose rows must be multiples of one, is not within twice the budget of that."""
    row = corner[np.argmax((np.abs(corner) ** 2).sum(1))]
    square = np.vdot(row, row).real
    return bool(square) and measured(corner - np.outer(corner @ row.conj() / square, row)) > 2 * budget
