"""Linear algebra over any field: Gauss-Jordan elimination on object arrays of fractions or residues.

Entries need `+ - * /` and `==`, and mix with the integers 0 and 1. Pivots are the first entries that are not zero.
"""

from __future__ import annotations

from typing import Any

import numpy


def _identity(n: int) -> Any:
    result = numpy.zeros((n, n), dtype=object)
    for k in range(n):
        result[k, k] = 1
    return result


def _product(A: Any, B: Any) -> Any:
    if 0 in A.shape or 0 in B.shape:
        return numpy.zeros((A.shape[0], *B.shape[1:]), dtype=object)
    return A @ B


def reduced(A: Any, width: int | None = None) -> tuple[Any, list[int], Any]:
    """The reduced row echelon form by pivots in the first `width` columns.

    Returns
    -------
    form, columns, determinant
        The pivot columns, and the signed product of the pivots.
    """
    form = A.copy()
    columns: list[int] = []
    determinant: Any = 1
    for column in range(form.shape[1] if width is None else width):
        row = len(columns)
        pivot = next((r for r in range(row, form.shape[0]) if form[r, column] != 0), None)
        if pivot is None:
            continue
        if pivot != row:
            form[[row, pivot]] = form[[pivot, row]]
            determinant = -determinant
        determinant = determinant * form[row, column]
        form[row] = form[row] / form[row, column]
        for r in range(form.shape[0]):
            if r != row and form[r, column] != 0:
                form[r] = form[r] - form[r, column] * form[row]
        columns.append(column)
    return form, columns, determinant


def solve(A: Any, B: Any) -> Any:
    """X with `A @ X = B`. Raises ValueError if A is singular."""
    n = A.shape[0]
    right = B if B.ndim == 2 else B[:, None]
    form, columns, _ = reduced(numpy.concatenate([A, right], axis=1), n)
    if len(columns) < n:
        raise ValueError("the matrix is singular")
    return form[:, n:] if B.ndim == 2 else form[:, n]


def inverse(A: Any) -> Any:
    return solve(A, _identity(A.shape[0]))


def determinant(A: Any) -> Any:
    _, columns, value = reduced(A)
    return value if len(columns) == A.shape[0] else 0


def rank(A: Any) -> int:
    return len(reduced(A)[1])


def pseudo_inverse(A: Any) -> Any:
    """By `A = C @ F` with C of full column rank and F of full row rank (Ben-Israel and Greville, 1.6).

    Raises ValueError where `C' @ C` is singular, which over the rationals it never is.
    """
    form, columns, _ = reduced(A)
    C, F = A[:, columns], form[: len(columns)]
    left = solve(_product(C.T, C), C.T)
    return _product(F.T, solve(_product(F, F.T), left))


def packed_factors(A: Any) -> tuple[Any, Any]:
    """L below the diagonal and U above and on it, and the row that each row was exchanged with."""
    rows, columns = A.shape
    packed, pivots = A.copy(), numpy.arange(min(rows, columns))
    for k in range(min(rows, columns)):
        pivots[k] = next((r for r in range(k, rows) if packed[r, k] != 0), k)
        packed[[k, pivots[k]]] = packed[[pivots[k], k]]
        for r in range(k + 1, rows):
            if packed[r, k] != 0:
                packed[r, k] = packed[r, k] / packed[k, k]
                packed[r, k + 1 :] = packed[r, k + 1 :] - packed[r, k] * packed[k, k + 1 :]
    return packed, pivots


def factors(A: Any) -> tuple[Any, Any, Any]:
    """P, L, U with `A = P @ L @ U`, L unit lower triangular and U upper trapezoidal."""
    packed, pivots = packed_factors(A)
    order, least = list(range(len(A))), len(pivots)
    for k, row in enumerate(pivots):
        order[k], order[row] = order[row], order[k]
    lower = numpy.tril(packed, -1)[:, :least]
    lower[range(least), range(least)] = 1
    return _identity(len(A))[:, order], lower, numpy.triu(packed)[:least]


def packed_symmetric_factors(A: Any) -> tuple[Any, Any]:
    """L and D with `A[order][:, order] = L @ D @ L.T`, packed, and the order. The lower triangle of A is read.

    D has a block of 2 where all that is left of the diagonal is zero. Raises ValueError if A is singular.
    """
    n = len(A)
    rest = numpy.tril(A) + numpy.tril(A, -1).T
    packed, order, k = rest * 0, numpy.arange(n), 0
    while k < n:
        pivot = next((r for r in range(k, n) if rest[r, r] != 0), None)
        size, place = (1, k) if pivot is not None else (2, k + 1)
        if pivot is None:
            pivot = next((r for r in range(k + 1, n) if rest[r, k] != 0), None)
        if pivot is None:
            raise ValueError("the matrix is singular")
        both = [place, pivot], [pivot, place]
        order[both[0]], rest[both[0]], packed[both[0]] = order[both[1]], rest[both[1]], packed[both[1]]
        rest[:, both[0]] = rest[:, both[1]]
        after, block = k + size, rest[k : k + size, k : k + size]
        packed[k:after, k:after] = numpy.triu(block)
        left = solve(block, rest[k:after, after:]).T
        packed[after:, k:after] = left
        rest[after:, after:] = rest[after:, after:] - _product(left, rest[k:after, after:])
        k = after
    return packed, order


def power(A: Any, exponent: int) -> Any:
    """An integer power by repeated squaring."""
    base = inverse(A) if exponent < 0 else A
    result = _identity(A.shape[0])
    for bit in bin(abs(exponent))[2:]:
        result = _product(result, result)
        if bit == "1":
            result = _product(result, base)
    return result
