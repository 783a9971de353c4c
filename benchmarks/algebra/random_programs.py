"""Random formulas and chains, by the protocols with which the Linnea and GMC compilers were tried, from a seed.

`expressions`: 4 to 7 operands; half of the results square, two fifths rectangular, the others vectors; sizes are
multiples of 50 up to 2000. `chains`: 4 to 9 factors, some square, transposed, inverted or with a fact.
`symbolic_chains`: 5 to 7 factors, half of them general, compiled once for all sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from random import Random
from typing import Any

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.chain import Factor, chain

KINDS = ("diagonal", "lower", "upper", "symmetric", "spd")
LARGEST = 2000
MARKS = ((False, False), (True, False), (False, True), (True, True))  # transposed, inverted


def group(count: int, seed: int = 0) -> Group:
    """`count` cases of each kind."""
    cases = (*expressions(count, seed), *chains(count, seed), *symbolic_chains(count, seed))
    return Group("random", f"protocols of Linnea and GMC, seed {seed}", cases)


# ---- chains


def chains(count: int, seed: int = 0) -> tuple[Case, ...]:
    """Chains of 4 to 9 matrices."""
    rng = Random(seed)
    return tuple(_chain(rng, f"random/chain-{number}") for number in range(count))


def _chain(rng: Random, name: str) -> Case:
    while True:
        ends = [1 if rng.random() < 0.05 else _size(rng)]
        for _ in range(rng.randint(4, 9)):
            ends += rng.choices([_size(rng), ends[-1], 1], [60, 35, 5])
        if all(pair != (1, 1) for pair in zip(ends, ends[1:])):
            break
    factors = []
    for number, (rows, columns) in enumerate(zip(ends, ends[1:])):
        if rows == columns:
            (transposed, inverted), *_ = rng.choices(MARKS, [2, 1, 1, 1])
            kind = rng.choice(KINDS) if rng.random() < 0.75 else "general"
            factors.append(Factor(f"M{number}", _name(rows), _name(rows), kind, transposed, inverted))
        else:
            transposed = rng.random() < 0.25
            stored = (columns, rows) if transposed else (rows, columns)
            factors.append(Factor(f"M{number}", _name(stored[0]), _name(stored[1]), transposed=transposed))
    about = " ".join(f.numpy() for f in factors)
    return chain(name, about, factors, {_name(size): size for size in ends if size > 1})


def symbolic_chains(count: int, seed: int = 0) -> tuple[Case, ...]:
    """Chains of 5 to 7 matrices for all sizes, with sizes drawn for the measurement."""
    rng = Random(seed)
    return tuple(_symbolic(rng, f"random/symbolic-{number}") for number in range(count))


def _symbolic(rng: Random, name: str) -> Case:
    marks = [("general", True), *((kind, inverted) for kind in KINDS[1:] for inverted in (False, True))]
    length = rng.randint(5, 7)
    rectangular = [rng.random() < 0.5 for _ in range(length)]
    rectangular[rng.randrange(length)] = True
    factors, rows = [], 0
    for number, free in enumerate(rectangular):
        letter = chr(ord("A") + number)
        if free:
            factors.append(Factor(letter, f"q{rows}", f"q{rows + 1}"))
            rows += 1
        else:
            kind, inverted = rng.choice(marks)
            factors.append(Factor(letter, f"q{rows}", f"q{rows}", kind, inverted=inverted))
    sizes = {f"q{i}": _size(rng, 1000) for i in range(rows + 1)}
    return chain(name, " ".join(f.numpy() for f in factors), factors, sizes, symbolic=True)


# ---- expressions


@dataclass(frozen=True)
class Term:
    """A node of a random formula: a `leaf`, or `transpose`, `inv`, `product` or `sum` of terms."""

    op: str
    args: tuple[Term, ...] = ()
    name: str = ""
    shape: tuple[int, int] = (0, 0)
    kind: str = "general"

    def leaves(self) -> dict[str, Term]:
        """The operands by name, in the order in which they are met."""
        if self.op == "leaf":
            return {self.name: self}
        return {name: leaf for arg in self.args for name, leaf in arg.leaves().items()}

    def text(self, numpy: bool = False) -> str:
        """The formula in tpc, or in numpy."""
        inner = [arg.text(numpy) for arg in self.args]
        match self.op:
            case "leaf":
                return self.name
            case "inv":
                return f"np.linalg.inv({inner[0]})" if numpy else f"inv({inner[0]})"
            case "transpose":
                operand = inner[0] if self.args[0].op in ("leaf", "inv") else f"({inner[0]})"
                return operand + (".T" if numpy else "'")
            case "product":
                return " @ ".join(f"({x})" if arg.op == "sum" else x for arg, x in zip(self.args, inner))
        return " + ".join(inner)

    def value(self, np: Any, operands: dict[str, Any]) -> Any:
        """The formula as numpy, torch or jax.numpy computes it."""
        if self.op == "leaf":
            return operands[self.name]
        first, *rest = (arg.value(np, operands) for arg in self.args)
        match self.op:
            case "inv":
                return np.linalg.inv(first)
            case "transpose":
                return first.T
            case "product":
                return reduce(lambda a, b: a @ b, rest, first)
        return reduce(lambda a, b: a + b, rest, first)


def expressions(count: int, seed: int = 0) -> tuple[Case, ...]:
    """Formulas of sums, products, transposes and inverses of 4 to 7 operands."""
    rng = Random(seed)
    return tuple(_expression(rng, f"random/expression-{number}") for number in range(count))


def _expression(rng: Random, name: str) -> Case:
    rows, columns = _size(rng), _size(rng)
    shape = rng.choices([(rows, rows), (rows, columns), (rows, 1)], [50, 40, 10])[0]
    term = _Grower(rng).grow(rng.randint(4, 7), shape, "", False)
    leaves = term.leaves()
    declared = []
    for leaf in leaves.values():
        facts = [leaf.kind] if leaf.kind != "general" else []
        if 1 not in leaf.shape and leaf.kind != "spd":  # the source declares all matrices of full rank
            facts.append("nonsingular" if leaf.shape[0] == leaf.shape[1] else "full_rank")
        dims = ", ".join(map(_name, leaf.shape))
        declared.append(f"{leaf.name}: f64[{dims}]" + (f" is {' and '.join(facts)}" if facts else ""))
    result = ", ".join(map(_name, shape))
    return Case(
        name,
        term.text(numpy=True),
        {_name(size): size for leaf in leaves.values() for size in leaf.shape if size > 1},
        f"def f({', '.join(declared)}) -> f64[{result}]:\n    return {term.text()}",
        written=lambda np, *operands: term.value(np, dict(zip(leaves, operands))),
    )


class _Grower:
    """Grows a formula of a shape from a number of operands. In an invertible one no inner size is smaller."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.count = 0

    def grow(self, operands: int, shape: tuple[int, int], parent: str, invertible: bool) -> Term:
        rng, square = self.rng, shape[0] == shape[1]
        if operands == 1:
            return self._leaf(shape, parent)
        if square and operands <= 5 and rng.random() < 0.1:
            return self._gram(operands, shape[0], invertible)
        weights = {"product": 16, "sum": 10, "inv": 1 if square else 0}
        if parent == "product":
            weights = {"sum": 1, "inv": 4 if square else 0}
        elif parent == "sum":
            weights = {"product": 4, "inv": 1 if square else 0}
        elif parent == "inv":
            weights = {"product": 2, "sum": 1}
        (op,) = rng.choices(list(weights), list(weights.values()))
        if op == "inv":
            return Term("inv", (self.grow(operands, shape, "inv", True),))
        parts = self._parts(operands)
        if op == "sum":
            return Term("sum", tuple(self.grow(n, shape, "sum", invertible) for n in parts))
        ends = [shape[0]]
        for _ in parts[1:]:
            if invertible:
                ends.append(_size(rng, smallest=min(shape)))
            else:
                ends += rng.choices([ends[-1], 1, _size(rng)], [60, 2, 38])
        ends.append(shape[1])
        pairs = zip(parts, ends, ends[1:])
        return Term("product", tuple(self.grow(n, (r, c), "product", invertible) for n, r, c in pairs))

    def _gram(self, operands: int, size: int, invertible: bool) -> Term:
        """E E', or E S E' for an odd number of operands."""
        inner = _size(self.rng, smallest=size if invertible else 50)
        outer = self.grow(operands // 2, (size, inner), "sum", invertible)
        middle = (self._leaf((inner, inner), "sum"),) if operands % 2 else ()
        return Term("product", (outer, *middle, Term("transpose", (outer,))))

    def _leaf(self, shape: tuple[int, int], parent: str) -> Term:
        rng = self.rng
        self.count += 1
        name, (rows, columns) = f"M{self.count}", shape
        if 1 in shape or rows != columns:
            if rows == 1 or (columns > 1 and parent != "transpose" and rng.random() < 0.5):
                return Term("transpose", (Term("leaf", name=name, shape=(columns, rows)),))
            return Term("leaf", name=name, shape=shape)
        leaf = Term("leaf", name=name, shape=shape, kind=rng.choice(KINDS) if rng.random() < 0.75 else "general")
        if rng.random() < 0.2:
            return leaf
        inverse = 1 if parent == "sum" else 10
        op = rng.choices(["transpose", "inv"], [11 - inverse, inverse])[0]
        return Term("transpose" if parent == "inv" else op, (leaf,))

    def _parts(self, count: int) -> list[int]:
        """A number as an ordered sum of at least two, and of fewer than `count` where that can be."""
        while True:
            cuts = [i for i in range(1, count) if self.rng.random() < 0.5]
            if cuts and (count == 2 or len(cuts) < count - 1):
                return [b - a for a, b in zip([0, *cuts], [*cuts, count])]


def _size(rng: Random, largest: int = LARGEST, smallest: int = 50) -> int:
    return rng.randrange(max(smallest, 50), largest + 1, 50)


def _name(size: int) -> str:
    """How a size is named: equal ones alike, so that they are known to be equal."""
    return f"n{size}" if size > 1 else "1"
