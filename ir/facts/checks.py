"""Whether data has a fact, and if not, what is wrong with it.

A check looks at all matrices of a batch at once. It yields what could be wrong, one thing after the other: marks, of
matrices or of entries in them, and how to speak of the first that is marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tpc.ir.node import Fact

Finding = tuple[Any, Callable[..., str]]  # of a matrix and, where entries are marked, the place in it
Check = Callable[[Any, Any, tuple[Any, ...], float], Iterator[Finding]]


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
    array = np.asarray(array)
    if array.dtype.kind == "b":
        array = array.astype(float)
    if fact.name == "sparse":
        density = np.count_nonzero(array) / max(array.size, 1)
        return None if density <= fact.arguments[0] else f"{density:.3g} of its entries are not zero"
    if fact.name in _ENTRYWISE:
        return _first(np, array, _ENTRYWISE[fact.name](np, array, fact.arguments, tolerance))
    check = _CHECKS.get(fact.name)
    if check is None:
        return None
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        return f"{_at(np, ~np.isfinite(array))} is not finite"
    if array.ndim < 2:
        return f"only a matrix can be {fact.name}, and this has {array.ndim} axes"
    if fact.name in _SQUARE and array.shape[-2] != array.shape[-1]:
        return f"it has {array.shape[-2]} rows and {array.shape[-1]} columns"
    if array.size == 0 and 0 in array.shape[:-2]:
        return None
    axes = array.ndim - 2
    for wrong, say in check(np, array, fact.arguments, tolerance):
        if np.any(wrong):
            place = tuple(int(n) for n in np.argwhere(wrong)[0])
            batch = list(place[:axes])
            problem = say(array[tuple(batch)], *place[axes:])
            return f"in matrix {batch}: {problem}" if batch else problem
    return None


def _number(value: Any) -> str:
    return f"{value:.6g}"


def _at(np: Any, wrong: Any) -> str:
    """The place of the first entry that is marked."""
    return "[" + ", ".join(str(int(n)) for n in np.argwhere(wrong)[0]) + "]" if wrong.ndim else "it"


def _first(np: Any, A: Any, wrong: Any) -> str | None:
    if not wrong.any():
        return None
    return f"{_at(np, wrong)} is {_number(A[tuple(np.argwhere(wrong)[0])])}"


def _scale(np: Any, A: Any) -> Any:
    """The largest absolute value of each matrix."""
    return np.abs(A).max(axis=(-2, -1), initial=0.0, keepdims=True)


def _is(what: str) -> Callable[..., str]:
    return lambda A, i, j: f"[{i}, {j}] is {_number(A[i, j])}{what}"


def _turned(A: Any) -> Any:
    return A.swapaxes(-1, -2)


def _symmetric(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    wrong = np.abs(A - _turned(A)) > tolerance * _scale(np, A)
    yield wrong, lambda A, i, j: f"[{i}, {j}] is {_number(A[i, j])}, but [{j}, {i}] is {_number(A[j, i])}"


def _skew(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    def say(A: Any, i: int, j: int) -> str:
        beside = "and should be 0" if i == j else f"but [{j}, {i}] is {_number(A[j, i])}"
        return f"[{i}, {j}] is {_number(A[i, j])}, {beside}"

    yield np.abs(A + _turned(A)) > tolerance * _scale(np, A), say


def _projection(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    yield from _symmetric(np, A, arguments, tolerance)
    wrong = np.abs(A @ A - A) > max(tolerance, 1e-14 * A.shape[-1])
    yield wrong, lambda A, i, j: f"[{i}, {j}] is {_number(A[i, j])}, and {_number((A @ A)[i, j])} in the square"
    rank = np.round(np.trace(A, axis1=-2, axis2=-1))  # the trace of a projection is its rank
    yield rank != arguments[0], lambda A: f"its rank is {round(float(np.trace(A)))}"


def _eigenvalues(strict: bool) -> Check:
    def check(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
        yield from _symmetric(np, A, arguments, tolerance)
        if 0 in A.shape:
            return
        values = np.linalg.eigvalsh((A + _turned(A)) / 2)
        least, most = values[..., 0], np.abs(values).max(-1)
        rounding = A.shape[-1] * np.finfo(values.dtype).eps * most
        wrong = ~(least > rounding) if strict else ~(least >= -np.maximum(tolerance * most, rounding))
        yield wrong, lambda A: f"the smallest eigenvalue is {_number(np.linalg.eigvalsh((A + A.T) / 2)[0])}"

    return check


def _zeros(outside: Callable[[Any, Any, tuple[Any, ...]], Any]) -> Check:
    """A check that entries are zero where `outside(row, column, arguments)` says so."""

    def check(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
        i, j = np.indices(A.shape[-2:])
        yield outside(i, j, arguments) & (np.abs(A) > tolerance * _scale(np, A)), _is(", and should be 0")

    return check


def _unit_diagonal(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    i, j = np.indices(A.shape[-2:])
    yield (i == j) & (np.abs(A - 1) > tolerance), _is(", and should be 1")


def _orthonormal(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    rows, columns = A.shape[-2:]
    crowd = f"its {columns} columns of {rows} entries cannot all be at right angles"
    yield np.full(A.shape[:-2], rows < columns), lambda A: crowd
    gram = _turned(A.conj()) @ A

    def say(A: Any, i: int, j: int) -> str:
        product = A[:, i].conj() @ A[:, j]
        if i == j:
            return f"column {i} has length {_number(np.sqrt(product.real))}"
        return f"columns {i} and {j} have the inner product {_number(product)}"

    yield np.abs(gram - np.eye(columns)) > max(tolerance, 1e-14 * rows), say


def _permutation(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    yield (A != 0) & (A != 1), _is(", and should be 0 or 1")
    for what, axis in (("row", 1), ("column", 0)):
        sums = A.sum(axis - 2)
        yield sums != 1, lambda A, n, what=what, axis=axis: f"{what} {n} has {int(A.sum(axis)[n].real)} ones"


def _ranks(np: Any, A: Any, tolerance: float) -> Any:
    """The rank of each matrix."""
    values = np.linalg.svd(A, compute_uv=False)
    return (values > tolerance * values.max(axis=-1, initial=0.0, keepdims=True)).sum(-1)


def _full_rank(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    rounding = max(A.shape[-2:], default=0) * 2.0**-52  # singular means singular to working precision
    yield _ranks(np, A, rounding) != min(A.shape[-2:]), lambda A: f"its rank is {_ranks(np, A, rounding)}"


def _low_rank(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    yield _ranks(np, A, tolerance) > arguments[0], lambda A: f"its rank is {_ranks(np, A, tolerance)}"


def _toeplitz(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    wrong = np.abs(A[..., 1:, 1:] - A[..., :-1, :-1]) > tolerance * _scale(np, A)

    def say(A: Any, i: int, j: int) -> str:
        return f"[{i}, {j}] is {_number(A[i, j])}, but [{i + 1}, {j + 1}] is {_number(A[i + 1, j + 1])}"

    yield wrong, say


def _circulant(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    def say(A: Any, i: int, j: int) -> str:
        below = (i + 1) % len(A), (j + 1) % len(A)
        return f"[{i}, {j}] is {_number(A[i, j])}, but [{below[0]}, {below[1]}] is {_number(A[below])}"

    yield np.abs(A - np.roll(A, (-1, -1), (-2, -1))) > tolerance * _scale(np, A), say


def _row_stochastic(np: Any, A: Any, arguments: tuple[Any, ...], tolerance: float) -> Iterator[Finding]:
    wrong = np.abs(A.sum(-1) - 1) > max(tolerance, 1e-15 * A.shape[-1])
    yield wrong, lambda A, row: f"row {row} sums to {_number(A.sum(1)[row])}"
    yield ~(A >= 0), _is("")


def _largest(np: Any, A: Any) -> float:
    return float(np.abs(A).max(initial=0.0))


# Marks of the entries that a fact of each entry excludes.
_ENTRYWISE: dict[str, Callable[[Any, Any, tuple[Any, ...], float], Any]] = {
    "nonnegative": lambda np, A, arguments, tolerance: ~(A >= 0),
    "positive": lambda np, A, arguments, tolerance: ~(A > 0),
    "negative": lambda np, A, arguments, tolerance: ~(A < 0),
    "nonzero": lambda np, A, arguments, tolerance: (A == 0) | np.isnan(A),
    "at_least": lambda np, A, arguments, tolerance: ~(arguments[0] - A <= tolerance * _largest(np, A)),
    "at_most": lambda np, A, arguments, tolerance: ~(arguments[0] - A >= -tolerance * _largest(np, A)),
}
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
    "orthogonal": _orthonormal,
    "orthonormal": _orthonormal,
    "permutation": _permutation,
    "full_rank": _full_rank,
    "nonsingular": _full_rank,
    "low_rank": _low_rank,
    "toeplitz": _toeplitz,
    "circulant": _circulant,
    "row_stochastic": _row_stochastic,
}
# Facts that only a square matrix can have.
_SQUARE = ("symmetric", "skew", "projection", "spd", "psd", "orthogonal", "permutation", "nonsingular", "circulant")
