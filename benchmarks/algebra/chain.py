"""Chains of matrices with facts, transposes and inverses: the best order, what it costs, and the chain as a case.

The best order is found over all intervals, as in the textbook algorithm for matrix chains, with the kernel that the
facts of both sides allow. An inverse next to something is a solve. See H. Barthels, M. Copik, P. Bientinesi, The
Generalized Matrix Chain Algorithm, CGO 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra import kernels
from benchmarks.algebra.case import Case, Sizes

Array = NDArray[Any]
FLIPPED = {"lower": "upper", "upper": "lower"}
TRIANGULAR = ("lower", "upper")


@dataclass(frozen=True)
class Factor:
    """A matrix of a chain as it is stored: rows by columns, and whether it stands there transposed or inverted.

    `kind` is one of general, diagonal, lower, upper, symmetric, spd.
    """

    name: str
    rows: str
    columns: str
    kind: str = "general"
    transposed: bool = False
    inverted: bool = False

    @property
    def outer(self) -> tuple[str, str]:
        """Rows and columns as they count in the chain."""
        return (self.columns, self.rows) if self.transposed else (self.rows, self.columns)

    @property
    def shown_kind(self) -> str:
        return FLIPPED.get(self.kind, self.kind) if self.transposed else self.kind

    def tpc(self) -> str:
        text = f"inv({self.name})" if self.inverted else self.name
        return text + "'" if self.transposed else text

    def numpy(self) -> str:
        text = f"np.linalg.inv({self.name})" if self.inverted else self.name
        return text + ".T" if self.transposed else text

    def declared(self) -> str:
        facts = [self.kind] if self.kind != "general" else []
        if self.inverted and self.kind != "spd":
            facts.append("nonsingular")
        return f"{self.name}: f64[{self.rows}, {self.columns}]" + (f" is {' and '.join(facts)}" if facts else "")


def chain(
    name: str, about: str, factors: Sequence[Factor], sizes: Mapping[str, int], *, symbolic: bool = False
) -> Case:
    """The product of the factors as a case; its expert evaluates it in the best order.

    Sizes named in a factor and not in `sizes` are numbers.
    """
    first, last = factors[0].outer[0], factors[-1].outer[1]
    parameters = ", ".join(f.declared() for f in factors)
    program = f"def f({parameters}) -> f64[{first}, {last}]:\n    return {' @ '.join(f.tpc() for f in factors)}"

    def written(np: Any, *operands: Any) -> Any:
        plain = (np.linalg.inv(x) if f.inverted else x for f, x in zip(factors, operands))
        return reduce(lambda a, b: a @ b, (x.T if f.transposed else x for f, x in zip(factors, plain)))

    @cache  # an expert orders it once
    def order(shapes: tuple[tuple[int, ...], ...]) -> Order:
        return Order(factors, {d: n for f, shape in zip(factors, shapes) for d, n in zip((f.rows, f.columns), shape)})

    def expert(*operands: Array) -> Array:
        return order(tuple(x.shape for x in operands)).evaluate(operands)

    return Case(
        name,
        about,
        dict(sizes),
        program,
        written,
        expert,
        flops=lambda **sizes: Order(factors, sizes).flops,
        symbolic=symbolic,
    )


class Order:
    """The cheapest order of a chain at certain sizes."""

    def __init__(self, factors: Sequence[Factor], sizes: Sizes) -> None:
        self.factors = factors
        ends = [factors[0].outer[0], *(f.outer[1] for f in factors)]
        self.sizes = [sizes[end] if end in sizes else int(end) for end in ends]
        count = len(factors)
        self.kinds = {(i, i + 1): f.shown_kind for i, f in enumerate(factors)}
        costs = dict.fromkeys(self.kinds, 0.0)
        self.splits: dict[tuple[int, int], int] = {}
        for length in range(2, count + 1):
            for i in range(count - length + 1):
                j = i + length
                choices = [(costs[i, k] + costs[k, j] + self._step(i, k, j), k) for k in range(i + 1, j)]
                costs[i, j], self.splits[i, j] = min(choices)
                self.kinds[i, j] = product_kind(self.kinds[i, i + 1], self.kinds[i + 1, j])
        self.flops = costs[0, count]
        if count == 1:
            self.flops = inverse_flops(self.kinds[0, 1], self.sizes[0]) if factors[0].inverted else 0.0

    def _inverted(self, i: int, j: int) -> bool:
        return j == i + 1 and self.factors[i].inverted

    def _step(self, i: int, k: int, j: int) -> float:
        m, inner, n = self.sizes[i], self.sizes[k], self.sizes[j]
        left, right = self.kinds[i, k], self.kinds[k, j]
        if self._inverted(i, k):
            explicit = inverse_flops(right, inner) if self._inverted(k, j) else 0.0
            return explicit + solve_flops(left, m, n)
        if self._inverted(k, j):
            return solve_flops(right, n, m)
        return product_flops(left, right, m, inner, n)

    def evaluate(self, operands: Sequence[Array]) -> Array:
        """The product of the operands, with the kernels that the costs are counted for."""

        def value(i: int, j: int) -> Array:
            if j == i + 1:
                return operands[i].T if self.factors[i].transposed else operands[i]
            k = self.splits[i, j]
            left, right = value(i, k), value(k, j)
            kinds = self.kinds[i, k], self.kinds[k, j]
            if self._inverted(k, j) and not self._inverted(i, k):
                return solved(kinds[1], right.T, left.T, transposed=True).T
            if self._inverted(k, j):
                right = solved(kinds[1], right, np.eye(len(right)))
            if self._inverted(i, k):
                return solved(kinds[0], left, right)
            return multiplied(*kinds, left, right)

        if len(operands) == 1 and self.factors[0].inverted:
            return solved(self.kinds[0, 1], value(0, 1), np.eye(self.sizes[0]))
        return value(0, len(operands))


# ---- what the kernels cost, and which of them is taken


def product_kind(left: str, right: str) -> str:
    if "diagonal" in (left, right):
        other = right if left == "diagonal" else left
        return other if other in (*TRIANGULAR, "diagonal") else "general"
    return left if left == right and left in TRIANGULAR else "general"


def product_flops(left: str, right: str, m: int, k: int, n: int) -> float:
    if "diagonal" in (left, right):
        return m if left == right else m * n
    if left in TRIANGULAR or right in TRIANGULAR:
        return m * k * n  # half of a general product
    return 2 * m * k * n


def solve_flops(kind: str, n: int, columns: int) -> float:
    """A system of n equations, factored and solved for some columns."""
    if kind == "diagonal":
        return n * columns + n
    if kind in TRIANGULAR:
        return n**2 * columns
    return (2 if kind == "general" else 1) / 3 * n**3 + 2 * n**2 * columns


def inverse_flops(kind: str, n: int) -> float:
    thirds = {"diagonal": 0.0, "lower": 1.0, "upper": 1.0, "spd": 3.0, "symmetric": 3.0, "general": 6.0}
    return n if kind == "diagonal" else thirds[kind] / 3 * n**3


def multiplied(left: str, right: str, A: Array, B: Array) -> Array:
    if left == "diagonal":
        return kernels.scale_rows(np.diagonal(A), B)
    if right == "diagonal":
        return A * np.diagonal(B)
    if left in TRIANGULAR:
        return kernels.triangular_product(A, B, lower=left == "lower")
    if right in TRIANGULAR:
        return kernels.product_triangular(A, B, lower=right == "lower")
    return A @ B


def solved(kind: str, A: Array, B: Array, *, transposed: bool = False) -> Array:
    """inv(A) @ B; `kind` is that of A, or of its transpose where A is given transposed."""
    if kind == "diagonal":
        return kernels.scale_rows(1 / np.diagonal(A), B)
    if kind in TRIANGULAR:
        return kernels.triangular_solve(A, B, lower=(kind == "lower") != transposed)
    solve = {"spd": kernels.spd_solve, "symmetric": kernels.symmetric_solve}.get(kind, kernels.general_solve)
    return solve(A, B)
