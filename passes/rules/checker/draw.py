"""Random values that have given facts, over floats or modulo a prime.

Facts are met by construction (Cayley for orthogonal, `G @ G' + I` for spd, and so on), so that exact numbers stay
exact. What no fact rules out is drawn too: singular, zero, negative and low-rank matrices, zeros and ones.

A value is drawn for one point, or for many at once, which then have its kind in common (a zero matrix, say): floats
have a further first axis for the points, and each residue is a vector of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

PRIME = 2**61 - 1

Facts = Mapping[str, tuple[int, ...]]
"""Facts by name with their arguments; beside the words of `tpc.ir.facts` there are `nonzero` and `negative`."""


class Numbers:
    """Floats (standard normal), or residues modulo a prime (uniform), at one point or at `many`."""

    def __init__(self, seed: int, prime: int = 0, many: int | None = None) -> None:
        import numpy

        self.np: Any = numpy
        self.prime, self.many = prime, many
        self.rng = numpy.random.default_rng(seed)

    def array(self, values: Any) -> Any:
        """Integers as numbers of this kind, the same at all points."""
        values = self.np.asarray(values)
        if not self.prime:
            return values.astype(float)
        from tpc.ir.residue import Residue

        return self._each(lambda place: Residue(int(values[place]), self.prime), values.shape)

    def random(self, *shape: int) -> Any:
        if not self.prime:
            return self.rng.standard_normal(shape if self.many is None else (self.many, *shape))
        if self.many is None:
            return self.array(self.rng.integers(1, self.prime, shape))
        from tpc.passes.rules.checker.residues import Residues

        return self._each(lambda _: Residues(self.rng.integers(1, self.prime, self.many)), shape)

    def _each(self, number: Callable[[tuple[int, ...]], Any], shape: Sequence[int]) -> Any:
        out = self.np.empty(shape, dtype=object)
        for place in self.np.ndindex(*shape):
            out[place] = number(place)
        return out

    def product(self, A: Any, B: Any) -> Any:
        if self.prime and (0 in A.shape or 0 in B.shape):
            return self.array(self.np.zeros((A.shape[0], B.shape[1]), int))
        return A @ B

    def inverse(self, A: Any) -> Any:
        from tpc.ir.ops import elimination

        return elimination.inverse(A) if self.prime else self.np.linalg.inv(A)

    def absolute(self, x: Any) -> Any:
        return x if self.prime else self.np.abs(x)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def choice(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]


def draw(numbers: Numbers, shape: Sequence[int], facts: Facts, plain: bool, entrywise: bool) -> Any:
    """A value with these facts, or None if there is none; a plain one is as general as they allow."""
    if "row_stochastic" in facts and shape[0] and not shape[1]:
        return None
    is_matrix = len(shape) == 2 and not entrywise
    value = _matrix(numbers, shape[0], shape[1], facts, plain) if is_matrix else _entries(numbers, shape, facts, plain)
    if numbers.many is None or numbers.prime or value.ndim > len(shape):
        return value
    return numbers.np.broadcast_to(value, (numbers.many, *shape))  # the same at all points


SCALES = (1e-8, 1e-3, 1.0, 1.0, 5.0)


def _entries(numbers: Numbers, shape: Sequence[int], facts: Facts, plain: bool) -> Any:
    """Scalars, vectors and arrays, whose facts are about each entry."""
    np = numbers.np
    values = numbers.random(*shape)
    if not numbers.prime:
        values = np.asarray(values)
        if facts.keys() & {"positive", "nonzero"}:
            values = np.sign(values) * (np.abs(values) + 0.1)
    if not plain:
        special = numbers.choice(["zero", "one", "minus one", "whole", "scaled", "mixed"])
        if special == "whole":
            values = numbers.array(numbers.rng.integers(-2, 3, shape))
        elif special in ("zero", "one", "minus one"):
            values = numbers.array(np.full(shape, {"zero": 0, "one": 1, "minus one": -1}[special]))
        elif special == "scaled" and not numbers.prime:
            values = values * numbers.choice(SCALES)
        elif special == "mixed":
            values = values * numbers.array(numbers.rng.integers(-1, 2, shape))
    if numbers.prime:
        if facts.keys() & {"positive", "negative", "nonzero"}:
            fallback = numbers.random(*shape)
            values = np.where(values == 0, fallback, values) if shape else (fallback if values == 0 else values)
        return np.asarray(values, dtype=object)
    if "positive" in facts or "nonzero" in facts or "negative" in facts:
        values = np.where(values == 0, 1.5, values)
    if facts.keys() & {"positive", "nonnegative"}:
        values = np.abs(values)
    if facts.keys() & {"negative", "nonpositive"}:
        values = -np.abs(values)
    return np.asarray(values + 0.0)  # zeros without a sign


def _matrix(numbers: Numbers, rows: int, columns: int, facts: Facts, plain: bool) -> Any:
    np = numbers.np
    if "permutation" in facts:
        return numbers.array(np.eye(rows, dtype=int)[numbers.rng.permutation(rows)])
    if facts.keys() & {"orthogonal", "orthonormal"}:
        return orthogonal(numbers, max(rows, columns))[..., :rows, :columns]
    if facts.keys() & {"spd", "psd", "symmetric"}:
        return _patterned(numbers, _symmetric(numbers, rows, facts, plain), facts)
    if "row_stochastic" in facts:
        values = numbers.absolute(numbers.random(rows, columns))
        return values / values.sum(axis=-1, keepdims=True) if values.size else values
    if "low_rank" in facts:
        r = min(int(facts["low_rank"][0]), rows, columns)
        return numbers.product(numbers.random(rows, r), numbers.random(r, columns))
    if facts.keys() & {"circulant", "toeplitz"}:
        i, j = np.indices((rows, columns))
        steps = (j - i) % max(rows, 1) if "circulant" in facts else j - i + rows
        return numbers.random(rows + columns + 1)[..., steps] if steps.size else numbers.random(rows, columns)
    regular = bool(facts.keys() & {"nonsingular", "full_rank", "positive", "nonnegative"})
    if plain:
        values = _regular(numbers, rows, columns)
    else:
        values = (_selection if regular and numbers.chance(0.5) else _regular if regular else _singular)(
            numbers, rows, columns
        )
    return _patterned(numbers, values, facts)


def _regular(numbers: Numbers, rows: int, columns: int) -> Any:
    """A matrix of full rank: well conditioned, in floats."""
    values = numbers.random(rows, columns)
    if numbers.prime or 0 in (rows, columns):
        return values
    np = numbers.np
    if numbers.many is None:
        U, s, V = np.linalg.svd(values, full_matrices=False)
        return (U * (0.4 + s)) @ V
    # cheaper for many, if less general: an open set of matrices, where what is analytic is determined
    signs = numbers.rng.choice([-2, 2], (numbers.many, 1, columns))
    return values / (1 + max(rows, columns)) ** 0.5 + np.eye(rows, columns) * signs


def _selection(numbers: Numbers, rows: int, columns: int) -> Any:
    """Rows or columns of a permutation matrix."""
    most = max(rows, columns)
    return numbers.array(numbers.np.eye(most, dtype=int)[numbers.rng.permutation(most)][:rows, :columns])


SPECIAL = ("zero", "low rank", "identity", "minus", "symmetric", "few", "nilpotent", "whole", "skew")


def _singular(numbers: Numbers, rows: int, columns: int) -> Any:
    """A matrix that is special in some way."""
    np = numbers.np
    special = numbers.choice(SPECIAL)
    if special == "low rank":
        r = min(rows, columns) // 2
        return numbers.product(numbers.random(rows, r), numbers.random(r, columns))
    if special == "symmetric" and rows == columns:
        return _symmetric(numbers, rows, {}, False)
    if special == "skew" and rows == columns:
        K = 4 * numbers.random(rows, rows)
        return K - _turned(K)
    if special == "few":
        return _regular(numbers, rows, columns) * numbers.array(numbers.rng.integers(0, 2, (rows, columns)))
    if special == "whole":
        return numbers.array(numbers.rng.integers(-1, 2, (rows, columns)))
    pattern = {"identity": np.eye(rows, columns), "minus": -np.eye(rows, columns)}
    if special == "nilpotent":
        return numbers.array(np.eye(rows, columns, 1))
    return numbers.array(pattern.get(special, np.zeros((rows, columns))))


def _symmetric(numbers: Numbers, n: int, facts: Facts, plain: bool) -> Any:
    identity = numbers.array(numbers.np.eye(n))
    factor = _regular(numbers, n, n)
    if "spd" in facts or (facts.keys() >= {"psd", "nonsingular"}):
        return numbers.product(factor, _turned(factor)) + identity
    if "psd" in facts:
        r = n if plain else int(numbers.rng.integers(0, n + 1))
        return numbers.product(factor[..., :r], _turned(factor[..., :r]))
    if plain or "nonsingular" in facts:
        return factor + _turned(factor) + (0 if numbers.prime else identity * numbers.choice([-3, 4]))
    kind = numbers.choice(["psd", "negative", "indefinite", "exchange"])
    if kind == "exchange":
        return numbers.array(numbers.np.eye(n)[::-1])
    gram = _symmetric(numbers, n, {"psd": ()}, False)
    return gram if kind == "psd" else -gram if kind == "negative" else factor + _turned(factor)


def _patterned(numbers: Numbers, values: Any, facts: Facts) -> Any:
    """The values with zeros where facts ask for them."""
    np = numbers.np
    i, j = np.indices(values.shape[-2:])
    kept = np.ones(values.shape[-2:], bool)
    if facts.keys() & {"diagonal", "lower"}:
        kept &= i >= j
    if facts.keys() & {"diagonal", "upper"}:
        kept &= i <= j
    if "banded" in facts:
        below, above = facts["banded"]
        kept &= (i - j <= below) & (j - i <= above)
    values = np.where(kept, values, numbers.array(np.zeros((), int))) if not kept.all() else values
    if facts.keys() & {"positive", "nonnegative"}:
        values = numbers.absolute(values)
    filled = facts.keys() & {"nonsingular", "full_rank"} and facts.keys() & {"diagonal", "lower", "upper", "banded"}
    if filled or "unit_diagonal" in facts:
        values = values.copy()
        for k in range(min(values.shape[-2:])):
            one = numbers.array(np.ones((), int)).item() if numbers.prime else 1.0
            if "unit_diagonal" in facts:
                values[..., k, k] = one
            elif not numbers.prime:
                values[..., k, k] = numbers.choice([-1.0, 1.0]) * (1 + abs(values[..., k, k]))
            elif values[..., k, k] == 0:
                values[..., k, k] = one
    return values


def _turned(A: Any) -> Any:
    return A.swapaxes(-1, -2)


def orthogonal(numbers: Numbers, n: int) -> Any:
    """The Cayley transform of a skew matrix, with the signs of some columns changed."""
    identity = numbers.array(numbers.np.eye(n))
    K = numbers.random(n, n)
    K = K - _turned(K)
    Q = numbers.product(numbers.inverse(identity + K), identity - K) if n else identity
    return Q * numbers.array(numbers.rng.choice([-1, 1], n))
