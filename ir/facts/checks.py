"""Whether data has a fact, and if not, what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.node import Fact

Check = Callable[[Any, Any, tuple[Any, ...], float], "str | None"]


def satisfies(np: Any, array: Any, fact: Fact, tolerance: float = 1e-8) -> str | None:
    """What keeps an array from having a fact, or None if it has it.

    Parameters
    ----------
    array : numpy array
        A matrix fact is asked of each matrix along the first (batch) axes.
    fact : Fact
        With sizes as integers. `const` and `param` hold of any array.
    tolerance : float
        Relative to the largest absolute value; for rank, relative to the largest singular value.

    Returns
    -------
    str or None
        For example `[2, 5] is 1.5, but [5, 2] is 0.3`, or `the smallest eigenvalue is -0.2`.
    """
    check = _CHECKS.get(fact.name)
    if check is None:
        return None
    array = np.asarray(array)
    if array.dtype.kind == "b":
        array = array.astype(float)
    if array.dtype.kind in "fc" and not np.isfinite(array).all() and fact.name not in _ENTRYWISE:
        return f"{_at(np, ~np.isfinite(array))} is not finite"
    if fact.name in _ENTRYWISE:
        return check(np, array, fact.arguments, tolerance)
    if array.ndim < 2:
        return f"only a matrix can be {fact.name}, and this has {array.ndim} axes"
    for batch in np.ndindex(*array.shape[:-2]):
        problem = check(np, array[batch], fact.arguments, tolerance)
        if problem is not None:
            return f"in matrix {list(batch)}: {problem}" if batch else problem
    return None


def _number(value: Any) -> str:
    return f"{value:.6g}"


def _at(np: Any, wrong: Any) -> str:
    """The place of the first entry that is marked."""
    return "[" + ", ".join(str(int(n)) for n in np.argwhere(wrong)[0]) + "]" if wrong.ndim else "it"


def _first(np: Any, A: Any, wrong: Any, text: str) -> str | None:
    if not wrong.any():
        return None
    place = np.argwhere(wrong)[0]
    return f"{_at(np, wrong)} is {_number(A[tuple(place)])}{text}"


def _scale(np: Any, A: Any) -> float:
    return float(np.abs(A).max(initial=0.0))


def _not_square(A: Any) -> str | None:
    return None if A.shape[0] == A.shape[1] else f"it has {A.shape[0]} rows and {A.shape[1]} columns"


def _symmetric(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    if _not_square(A):
        return _not_square(A)
    wrong = np.triu(np.abs(A - A.T) > tolerance * _scale(np, A))
    if not wrong.any():
        return None
    i, j = np.argwhere(wrong)[0]
    return f"[{i}, {j}] is {_number(A[i, j])}, but [{j}, {i}] is {_number(A[j, i])}"


def _skew(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    if _not_square(A):
        return _not_square(A)
    wrong = np.triu(np.abs(A + A.T) > tolerance * _scale(np, A))
    if not wrong.any():
        return None
    i, j = np.argwhere(wrong)[0]
    if i == j:
        return f"[{i}, {i}] is {_number(A[i, i])}, and should be 0"
    return f"[{i}, {j}] is {_number(A[i, j])}, but [{j}, {i}] is {_number(A[j, i])}"


def _projection(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    problem = _symmetric(np, A, arguments, tolerance)
    if problem is not None:
        return problem
    wrong = np.abs(A @ A - A) > max(tolerance, 1e-14 * A.shape[0])
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        return f"[{i}, {j}] is {_number(A[i, j])}, and {_number((A @ A)[i, j])} in the square"
    rank = round(float(np.trace(A)))  # the trace of a projection is its rank
    return None if rank == arguments[0] else f"its rank is {rank}"


def _eigenvalues(strict: bool) -> Check:
    def check(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
        problem = _symmetric(np, A, arguments, tolerance)
        if problem is not None or A.shape[0] == 0:
            return problem
        values = np.linalg.eigvalsh((A + A.T) / 2)
        rounding = A.shape[0] * np.finfo(values.dtype).eps * np.abs(values).max()
        if values[0] > rounding if strict else values[0] >= -max(tolerance * np.abs(values).max(), rounding):
            return None
        return f"the smallest eigenvalue is {_number(values[0])}"

    return check


def _zeros(outside: Callable[[Any, Any, tuple[Any, ...]], Any]) -> Check:
    """A check that entries are zero where `outside(row, column, arguments)` says so."""

    def check(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
        i, j = np.indices(A.shape)
        wrong = outside(i, j, arguments) & (np.abs(A) > tolerance * _scale(np, A))
        return _first(np, A, wrong, ", and should be 0")

    return check


def _unit_diagonal(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    i, j = np.indices(A.shape)
    return _first(np, A, (i == j) & (np.abs(A - 1) > tolerance), ", and should be 1")


def _orthonormal(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    if A.shape[0] < A.shape[1]:
        return f"its {A.shape[1]} columns of {A.shape[0]} entries cannot all be at right angles"
    gram = A.conj().T @ A
    wrong = np.abs(gram - np.eye(A.shape[1])) > max(tolerance, 1e-14 * A.shape[0])
    if not wrong.any():
        return None
    i, j = np.argwhere(wrong)[0]
    if i == j:
        return f"column {i} has length {_number(np.sqrt(gram[i, i].real))}"
    return f"columns {i} and {j} have the inner product {_number(gram[i, j])}"


def _orthogonal(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _not_square(A) or _orthonormal(np, A, arguments, tolerance)


def _permutation(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    problem = _not_square(A) or _first(np, A, (A != 0) & (A != 1), ", and should be 0 or 1")
    if problem is not None:
        return problem
    for what, sums in (("row", A.sum(1)), ("column", A.sum(0))):
        if (sums != 1).any():
            n = int(np.argmax(sums != 1))
            return f"{what} {n} has {int(sums[n].real)} ones"
    return None


def _rank(np: Any, A: Any, tolerance: float) -> int:
    values = np.linalg.svd(A, compute_uv=False)
    return int((values > tolerance * values.max(initial=0.0)).sum())


def _full_rank(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    rank = _rank(np, A, max(A.shape, default=0) * 2.0**-52)  # singular means singular to working precision
    return None if rank == min(A.shape) else f"its rank is {rank}"


def _nonsingular(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _not_square(A) or _full_rank(np, A, arguments, tolerance)


def _low_rank(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    rank = _rank(np, A, tolerance)
    return None if rank <= arguments[0] else f"its rank is {rank}"


def _toeplitz(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    wrong = np.abs(A[1:, 1:] - A[:-1, :-1]) > tolerance * _scale(np, A)
    if not wrong.any():
        return None
    i, j = np.argwhere(wrong)[0]
    return f"[{i}, {j}] is {_number(A[i, j])}, but [{i + 1}, {j + 1}] is {_number(A[i + 1, j + 1])}"


def _circulant(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    if _not_square(A):
        return _not_square(A)
    turned = np.roll(np.roll(A, -1, 0), -1, 1)
    wrong = np.abs(A - turned) > tolerance * _scale(np, A)
    if not wrong.any():
        return None
    i, j = np.argwhere(wrong)[0]
    n = A.shape[0]
    return f"[{i}, {j}] is {_number(A[i, j])}, but [{(i + 1) % n}, {(j + 1) % n}] is {_number(turned[i, j])}"


def _nonnegative(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _first(np, A, ~(A >= 0), "")


def _positive(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _first(np, A, ~(A > 0), "")


def _negative(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _first(np, A, ~(A < 0), "")


def _nonzero(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _first(np, A, (A == 0) | np.isnan(A), "")


def _at_least(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _first(np, A, ~(arguments[0] - A <= tolerance * _scale(np, A)), "")


def _at_most(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    return _first(np, A, ~(arguments[0] - A >= -tolerance * _scale(np, A)), "")


def _row_stochastic(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    sums = A.sum(1)
    wrong = np.abs(sums - 1) > max(tolerance, 1e-15 * A.shape[1])
    if wrong.any():
        return f"row {int(np.argmax(wrong))} sums to {_number(sums[np.argmax(wrong)])}"
    return _nonnegative(np, A, arguments, tolerance)


def _sparse(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> str | None:
    density = np.count_nonzero(A) / A.size if A.size else 0.0
    return None if density <= arguments[0] else f"{density:.3g} of its entries are not zero"


_ENTRYWISE = ("nonnegative", "positive", "negative", "nonzero", "at_least", "at_most", "sparse")
_CHECKS: dict[str, Check] = {
    "symmetric": _symmetric,
    "skew": _skew,
    "projection": _projection,
    "spd": _eigenvalues(strict=True),
    "psd": _eigenvalues(strict=False),
    "diagonal": _zeros(lambda i, j, arguments: i != j),
    "lower": _zeros(lambda i, j, arguments: j > i),
    "upper": _zeros(lambda i, j, arguments: j < i),
    "banded": _zeros(lambda i, j, arguments: (i - j > arguments[0]) | (j - i > arguments[1])),
    "unit_diagonal": _unit_diagonal,
    "orthogonal": _orthogonal,
    "orthonormal": _orthonormal,
    "permutation": _permutation,
    "full_rank": _full_rank,
    "nonsingular": _nonsingular,
    "low_rank": _low_rank,
    "toeplitz": _toeplitz,
    "circulant": _circulant,
    "nonnegative": _nonnegative,
    "positive": _positive,
    "negative": _negative,
    "nonzero": _nonzero,
    "at_least": _at_least,
    "at_most": _at_most,
    "row_stochastic": _row_stochastic,
    "sparse": _sparse,
}
