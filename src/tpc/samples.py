"""Random values that have the facts declared of them.

Values depend on the seed and on the name alone, so that a run can be repeated. Matrices that must have an inverse are
well conditioned: diagonally dominant, or a Gram matrix plus the identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.dims import DimLike
from tpc.ir.facts.checks import satisfies
from tpc.ir.node import Fact
from tpc.ir.types import DType

Array = np.ndarray[Any, Any]


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers for one input."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, int.from_bytes(digest, "little")])


def sample(dtype: DType, shape: Sequence[int], facts: Sequence[Fact] = (), *, seed: int = 0, name: str = "") -> Array:
    """A random value of this dtype and shape that has the facts.

    Floats are standard normal, scalars lie between 0.5 and 1.5, integers between 0 and 9. Facts of matrices hold for
    the last two axes, each matrix having its own numbers.
    """
    rng = generator(seed, name)
    shape = tuple(shape)
    known = {fact.name: fact.arguments for fact in facts}
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "i" and not known.keys() & (_STRUCTURE | _BOUNDED):
        return rng.integers("nonzero" in known or "positive" in known, 10, shape).astype(dtype.numpy)
    if not shape and not known.keys() & _BOUNDED:
        return np.asarray(rng.uniform(0.5, 1.5), dtype.numpy)
    if len(shape) >= 2 and known.keys() & _STRUCTURE:
        rows, columns = shape[-2:]
        count = int(np.prod(shape[:-2]))
        make = _maker(seed, rows, columns, facts)
        made = [make(rng, rows, columns, known) for _ in range(count)]
        return np.array(made).reshape(shape).astype(dtype.numpy)
    values = np.asarray(rng.standard_normal(shape))
    if known.keys() & _BOUNDED:
        values = _within(rng, shape, known)
        if dtype.kind == "i":
            values = np.round(values)
        if any(satisfies(np, values, fact) is not None for fact in facts if fact.name != "sparse"):
            raise _unknown(shape, facts)
    elif known.keys() & {"nonnegative", "positive"}:
        values = np.abs(values) + (0.1 if "positive" in known else 0.0)
    if "sparse" in known:
        if known.keys() & {"positive", "negative", "nonzero"} and _density(known) < 1:
            raise _unknown(shape, facts)
        values = values * _few(rng, np.ones(shape, bool), int(_density(known) * values.size))
    if dtype.kind == "c":
        return (values + 1j * rng.standard_normal(shape)).astype(dtype.numpy)
    return values.astype(dtype.numpy)


_STRUCTURE = {
    "symmetric", "spd", "psd", "diagonal", "lower", "upper", "unit_diagonal", "banded", "orthogonal", "permutation",
    "full_rank", "nonsingular", "low_rank", "toeplitz", "circulant", "row_stochastic", "orthonormal", "skew",
    "projection",
}  # fmt: skip

_BOUNDED = {"negative", "at_least", "at_most"}

_SHAPED = {"toeplitz", "circulant", "nonnegative", "positive", "unit_diagonal", "row_stochastic"}

# Facts for which the diagonal is filled in last.
_FILLED = {"spd", "psd", "nonsingular", "full_rank", "unit_diagonal", "row_stochastic"}

Known = dict[str, tuple[DimLike | float, ...]]


def _density(known: Known) -> float:
    (density,) = known["sparse"] or (0.1,)
    return float(density) if isinstance(density, (int, float)) else 0.1


Maker = Callable[[np.random.Generator, int, int, Known], Array]
LARGE = 200  # sizes beyond which a way to make a matrix is tried out on a smaller one


def _maker(seed: int, rows: int, columns: int, facts: Sequence[Fact]) -> Maker:
    """A way to make matrices with these facts: at random, or else a plain one of a few.

    Raises
    ------
    TpcError
        E0812 if no way is known.
    """
    rows, columns = min(rows, LARGE), min(columns, LARGE)
    known = {fact.name: fact.arguments for fact in facts}
    plain = (_identity, _even, _heavy, _projection, _groups, _turns, _zero)
    # a bound holds of random entries by chance alone, and a trial does not tell
    for make in plain if known.keys() & {"at_least", "at_most"} else (_matrix, *plain):
        trial = make(generator(seed, "trial"), rows, columns, known)
        if len(known) == 1 or all(satisfies(np, trial, fact) is None for fact in facts):
            return make
    raise _unknown((rows, columns), facts)


def _unknown(shape: Sequence[int], facts: Sequence[Fact]) -> TpcError:
    size, listed = " by ".join(map(str, shape)), " and ".join(map(str, facts))
    return fail("E0812", f"no random array of {size} is known that is {listed}", help="give the data in a file")


def _identity(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    return np.eye(rows, columns)


def _even(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    sign = -1.0 if "negative" in known else 1.0
    return np.full((rows, columns), 1 / max(columns, 1) if "row_stochastic" in known else sign)


def _heavy(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    return _even(rng, rows, columns, known) * (1 + max(rows, columns) * np.eye(rows, columns))


def _projection(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    return np.eye(rows, columns) * (np.arange(rows)[:, None] < _rank(known))


def _groups(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    """The mean over each of r groups of rows: a projection that is circulant and stochastic."""
    rank = max(_rank(known), 1)
    same = np.arange(rows)[:, None] % rank == np.arange(columns)[None, :] % rank
    return np.asarray(same * rank / max(rows, 1))


def _turns(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    """Quarter turns along the diagonal: skew and orthogonal where the size is even."""
    turns = np.zeros((rows, columns))
    for n in range(0, min(rows, columns) - 1, 2):
        turns[n, n + 1], turns[n + 1, n] = -1, 1
    return turns


def _rank(known: Known) -> int:
    (rank,) = known.get("projection", (1,)) or (1,)
    return rank if isinstance(rank, int) else 1


def _within(rng: np.random.Generator, shape: Sequence[int], known: Known) -> Array:
    """Entries between the bounds that are declared."""
    low = [float(b) for b in known.get("at_least", ()) if isinstance(b, (int, float))]
    high = [float(b) for b in known.get("at_most", ()) if isinstance(b, (int, float))]
    if known.keys() & {"positive", "nonnegative"}:
        low.append(0.0)
    if "negative" in known:
        high.append(0.0)
    size = rng.random(shape) * 0.8 + 0.1  # away from the ends, which may be excluded
    if low and high:
        return np.asarray(max(low) + (min(high) - max(low)) * size)
    return np.asarray(max(low) + 2 * size if low else min(high) - 2 * size)


def _zero(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    return np.zeros((rows, columns))


def _matrix(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    if "permutation" in known:
        order = np.arange(rows)[::-1] if "symmetric" in known else rng.permutation(rows)
        return np.asarray(np.eye(rows)[order])
    if "projection" in known:
        basis = np.linalg.qr(rng.standard_normal((rows, rows)))[0][:, : _rank(known)]
        return np.asarray(basis @ basis.T)
    if known.keys() & {"orthogonal", "orthonormal"}:
        return _orthogonal(rng, rows, columns, known)
    pattern = _pattern(rng, rows, columns, known)
    if "low_rank" in known:
        return _low_rank(rng, rows, columns, known)
    positive = known.keys() & {"spd", "psd"}
    if positive and pattern is None and not known.keys() & _SHAPED:
        factor = rng.standard_normal((rows, columns))
        return np.asarray(factor @ factor.T / max(columns, 1) + np.eye(rows))
    values = _entries(rng, rows, columns, known)
    if pattern is not None:
        values = values * pattern
    if positive or "symmetric" in known:
        values = (values + values.T) / 2
    if "skew" in known:
        return np.asarray((values - values.T) / 2)
    if known.keys() & {"nonnegative", "positive", "row_stochastic"}:
        values = np.abs(values) + (0.1 if "positive" in known else 0.0)
    return _with_diagonal(values, known, bool(positive))


def _orthogonal(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    if known.keys() & {"diagonal", "lower", "upper", "banded", "toeplitz", "circulant", "sparse", "nonnegative"}:
        signs = np.ones(rows)
        if not known.keys() & {"toeplitz", "circulant", "nonnegative", "spd", "psd", "unit_diagonal"}:
            signs = rng.choice([-1.0, 1.0], rows)
        return np.diag(signs)[:, :columns]
    if known.keys() & {"spd", "psd", "unit_diagonal"}:
        return np.eye(rows)
    if "symmetric" in known:  # a Householder reflection
        axis = rng.standard_normal(rows)
        return np.eye(rows) - 2 * np.outer(axis, axis) / max(float(axis @ axis), 1e-300)
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    factor = np.linalg.qr(tall)[0]
    return factor if rows >= columns else factor.T


def _low_rank(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    (rank,) = known["low_rank"] or (1,)
    rank = rank if isinstance(rank, int) else 1
    left = rng.standard_normal((rows, rank))
    if "sparse" in known:
        left *= np.arange(rows)[:, None] < int(_density(known) * rows)
    right = left if known.keys() & {"symmetric", "psd"} else rng.standard_normal((columns, rank))
    if known.keys() & {"nonnegative", "positive"}:
        left, right = np.abs(left), np.abs(right)
    return np.asarray(left @ right.T / max(rank, 1) ** 0.5)


def _pattern(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array | None:
    """Where entries may differ from zero; None for everywhere."""
    below, above = rows, columns
    if known.keys() & {"diagonal", "lower"}:
        above = 0
    if known.keys() & {"diagonal", "upper"}:
        below = 0
    if "banded" in known:
        widths = [w for w in known["banded"] if isinstance(w, int)]
        if len(widths) == 1:
            widths *= 2
        if len(widths) == 2:
            below, above = min(below, widths[0]), min(above, widths[1])
    if known.keys() & {"symmetric", "spd", "psd", "skew"}:
        below = above = min(below, above)
    offset = np.arange(columns)[None, :] - np.arange(rows)[:, None]
    inside = (offset >= -below) & (offset <= above)
    if "sparse" in known and not known.keys() & {"toeplitz", "circulant"}:
        budget = int(_density(known) * rows * columns)
        if known.keys() & _FILLED:
            budget -= min(rows, columns)  # for the diagonal
            inside &= offset != 0
        if known.keys() & {"symmetric", "spd", "psd"}:
            upper = _few(rng, inside & (offset > 0), budget // 2)
            inside = upper | upper.T
        else:
            inside = _few(rng, inside, budget)
    return None if inside.all() else inside.astype(float)


def _few(rng: np.random.Generator, allowed: Array, budget: int) -> Array:
    """True at as many of the allowed places as the budget has, chosen at random."""
    places = np.flatnonzero(allowed)
    chosen = np.zeros(allowed.size, bool)
    chosen[rng.permutation(places)[: max(budget, 0)]] = True
    return chosen.reshape(allowed.shape)


def _entries(rng: np.random.Generator, rows: int, columns: int, known: Known) -> Array:
    if "circulant" in known:
        first = rng.standard_normal(rows)
        if "sparse" in known:
            budget = int(_density(known) * rows) - bool(known.keys() & _FILLED)
            first *= _few(rng, np.arange(rows) > 0, budget)
        return np.asarray(first[(np.arange(rows)[:, None] - np.arange(columns)[None, :]) % max(rows, 1)])
    if "toeplitz" in known:
        diagonals = rng.standard_normal(max(rows + columns - 1, 0))
        if "sparse" in known:
            diagonals *= np.arange(len(diagonals)) == len(diagonals) - 1  # the corner alone
        return np.asarray(diagonals[np.arange(rows)[:, None] - np.arange(columns)[None, :] + columns - 1])
    return rng.standard_normal((rows, columns))


def _with_diagonal(values: Array, known: Known, positive: bool) -> Array:
    """The matrix with a diagonal that makes the facts true that hang on it."""
    short = min(values.shape)
    diagonal = np.arange(short)
    others = np.abs(values).sum(axis=1)[:short] - np.abs(values[diagonal, diagonal])
    if positive or known.keys() & {"nonsingular", "full_rank"}:
        heavy = others + 1
        values[diagonal, diagonal] = heavy.max(initial=0) if known.keys() & {"toeplitz", "circulant"} else heavy
    if "unit_diagonal" in known:
        if positive:  # scaled on both sides, it stays positive definite
            scale = np.sqrt(values[diagonal, diagonal])
            values = values / np.outer(scale, scale)
        else:
            values = values / max(float(others.max(initial=0.0)), 1.0)
        values[diagonal, diagonal] = 1
    if "row_stochastic" in known:
        values[diagonal, diagonal] += 1e-3
        values /= values.sum(axis=1, keepdims=True)
    return values
