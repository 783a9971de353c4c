"""Random operands over a field that have the facts declared of them, by rational constructions.

Facts of order are met by squares, which are what is positive there (see `tpc.ir.free`); facts of use, and bounds, say
nothing over a field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from tpc.ir.dims import Dim, evaluate
from tpc.ir.facts import closure
from tpc.ir.node import Fact, Node, Program
from tpc.ir.ops import elimination
from tpc.ir.residue import Residue

Known = dict[str, tuple[Any, ...]]
LEFT_OPEN = 6  # integers are drawn below this


class NoOperands(Exception):
    """No way to draw an operand with these facts is known."""


def field_operands(program: Program, sizes: Mapping[str, int], prime: int, seed: int) -> list[Any]:
    """A value for each input.

    Raises
    ------
    NoOperands
        If no way is known to meet the facts of an input together.
    """
    draw = _Draw(prime, seed)
    return [draw.value(node, facts, sizes) for node, facts in declared(program, sizes).items()]


def declared(program: Program, sizes: Mapping[str, int]) -> dict[Node, tuple[Fact, ...]]:
    """The declared facts of each input, at given sizes."""
    known = dict(program.facts)
    return {
        node: tuple(
            Fact(f.name, tuple(evaluate(a, sizes) if isinstance(a, Dim) else a for a in f.arguments))
            for f in known.get(node, ())
        )
        for node in program.inputs
    }


class _Draw:
    def __init__(self, prime: int, seed: int) -> None:
        self.prime, self.rng = prime, Random(seed)

    def number(self) -> Residue:
        return Residue(self.rng.randrange(1, self.prime), self.prime)

    def array(self, *shape: int) -> Any:
        return _each(lambda _: self.number(), np.zeros(shape))

    def of(self, whole: Any) -> Any:
        """Integers as residues."""
        return _each(lambda x: Residue(int(x), self.prime), np.asarray(whole))

    def value(self, node: Node, facts: Sequence[Fact], sizes: Mapping[str, int]) -> Any:
        shape = tuple(evaluate(d, sizes) for d in node.tensor.dims)
        kind = node.tensor.dtype.kind
        if kind in "bi":
            most = min([LEFT_OPEN, *(s for s in sizes.values() if s)])
            whole = np.array([self.rng.randrange(2 if kind == "b" else most) for _ in range(int(np.prod(shape)))])
            return whole.reshape(shape).astype(bool if kind == "b" else np.int64)
        known: Known = {f.name: f.arguments for f in closure(node.tensor.substitute(sizes), frozenset(facts))}
        if len(shape) < 2:
            return self.signed(self.array(*shape), known)
        values = np.empty(shape, dtype=object)
        for place in np.ndindex(shape[:-2]):
            values[place] = matrix = self.matrix(shape[-2], shape[-1], known)
            if not all(_CHECKS[name](matrix, *known[name]) for name in known if name in _CHECKS):
                raise NoOperands(", ".join(map(str, facts)))
        return values

    def signed(self, values: Any, known: Known) -> Any:
        if known.keys() & {"positive", "nonnegative", "negative"}:
            return -values * values if "negative" in known else values * values
        return values

    def matrix(self, rows: int, columns: int, known: Known) -> Any:
        if "permutation" in known:
            order = list(range(rows))[::-1] if "symmetric" in known else self.rng.sample(range(rows), rows)
            return self.of(np.eye(rows, dtype=int)[order])
        if known.keys() & {"orthogonal", "orthonormal"}:
            return self.orthogonal(rows, known)[:, :columns]
        if "projection" in known:
            U = self.array(rows, int(known["projection"][0]))
            return product(product(U, elimination.inverse(product(U.T, U))), U.T)
        if "low_rank" in known and int(known["low_rank"][0]) < min(rows, columns):
            U = self.array(rows, int(known["low_rank"][0]))
            return product(U, U.T if "symmetric" in known else self.array(U.shape[1], columns))
        values = self.entries(rows, columns, known)
        if known.keys() & {"psd", "spd"} and not known.keys() & {"toeplitz", "unit_diagonal", "nonnegative"}:
            L = np.tril(_masked(values, known))
            for k in range(rows):
                L[k, k] = L[k, k] * L[k, k]
            return product(L, L.T)
        if "skew" in known:
            values = values - values.T
        elif "symmetric" in known:
            values = values + values.T
        values = self.signed(_masked(values, known), known)
        if "unit_diagonal" in known:
            for k in range(min(rows, columns)):
                values[k, k] = Residue(1, self.prime)
        return values / values.sum(axis=1, keepdims=True) if "row_stochastic" in known else values

    def entries(self, rows: int, columns: int, known: Known) -> Any:
        if not known.keys() & {"circulant", "toeplitz"}:
            return self.array(rows, columns)
        i, j = np.indices((rows, columns))
        step = (j - i) % max(rows, 1) if "circulant" in known else j - i + rows
        return self.array(rows + columns + 1)[step]

    def orthogonal(self, n: int, known: Known) -> Any:
        identity = self.of(np.eye(n, dtype=int))
        if known.keys() & {"diagonal", "lower", "upper", "banded", "toeplitz", "circulant", "nonnegative", "psd"}:
            plain = known.keys() & {"toeplitz", "circulant", "nonnegative", "psd", "unit_diagonal"}
            return identity * (1 if plain else self.of([self.rng.choice([-1, 1]) for _ in range(n)]))
        if "symmetric" in known:  # a Householder reflection
            v = self.array(n, 1)
            return identity - product(v, v.T) * 2 / (v * v).sum()
        K = self.array(n, n)
        K = K - K.T
        return product(elimination.inverse(identity + K), identity - K)  # Cayley


def product(A: Any, B: Any) -> Any:
    """`A @ B`, which NumPy does not know for empty arrays of objects."""
    if 0 in (*A.shape, *B.shape):
        return np.zeros((A.shape[0], B.shape[1]), dtype=object)
    return A @ B


def _each(function: Callable[[Any], Any], array: Any) -> Any:
    out = np.empty(array.shape, dtype=object)
    for place in np.ndindex(array.shape):
        out[place] = function(array[place])
    return out


def _masked(values: Any, known: Known) -> Any:
    i, j = np.indices(values.shape)
    below = 0 if "upper" in known else known.get("banded", (len(values), 0))[0]
    above = 0 if "lower" in known else known.get("banded", (0, values.shape[1]))[1]
    return np.where((i - j <= below) & (j - i <= above), values, values * 0)


def _zero_outside(A: Any, below: int, above: int) -> bool:
    i, j = np.indices(A.shape)
    return bool(np.all(A[(i - j > below) | (j - i > above)] == 0))


_CHECKS: dict[str, Callable[..., bool]] = {
    "symmetric": lambda A: bool(np.all(A == A.T)),
    "skew": lambda A: bool(np.all(A == -A.T)),
    "lower": lambda A: _zero_outside(A, len(A), 0),
    "upper": lambda A: _zero_outside(A, 0, A.shape[1]),
    "banded": _zero_outside,
    "unit_diagonal": lambda A: bool(np.all(np.diagonal(A) == 1)),
    "orthonormal": lambda A: bool(np.all(product(A.T, A) == np.eye(A.shape[1], dtype=int))),
    "permutation": lambda A: bool(np.all((A == 0) | (A == 1))),
    "projection": lambda A, r: bool(np.all(product(A, A) == A)) and elimination.rank(A) == r,
    "low_rank": lambda A, r: elimination.rank(A) <= r,
    "nonsingular": lambda A: elimination.rank(A) == len(A),
    "full_rank": lambda A: elimination.rank(A) == min(A.shape),
    "toeplitz": lambda A: bool(np.all(A[1:, 1:] == A[:-1, :-1])),
    "circulant": lambda A: bool(np.all(np.roll(A, (1, 1), (0, 1)) == A)),
    "row_stochastic": lambda A: bool(np.all(A.sum(axis=1) == 1)),
}
