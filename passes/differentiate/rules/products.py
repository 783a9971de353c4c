"""Adjoints of products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.passes.differentiate.arrays import conjugated, transposed
from tpc.passes.differentiate.formulas import no_derivative
from tpc.passes.differentiate.rules.rule import Rule


def _matmul(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    a, b = map(conjugated, node.args)
    return [make("matmul", (bars[0], transposed(b))), make("matmul", (transposed(a), bars[0]))]


def _matvec(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    a, x = map(conjugated, node.args)
    if a.tensor.rank > 2:
        return _of_products(node, bars)
    return [make("outer", (bars[0], x)), make("matvec", (transposed(a), bars[0]))]


def _vecmat(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, a = map(conjugated, node.args)
    if a.tensor.rank > 2:
        return _of_products(node, bars)
    return [make("matvec", (a, bars[0])), make("outer", (x, bars[0]))]


def _of_products(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    raise no_derivative(node.op.name, "batches of products with vectors are written with `@` on matrices")


def _dot(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, y = map(conjugated, node.args)
    return [make("mul", (bars[0], y)), make("mul", (bars[0], x))]


def _outer(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, y = map(conjugated, node.args)
    return [make("matvec", (bars[0], y)), make("vecmat", (x, bars[0]))]


RULES: dict[str, Rule] = {
    "matmul": _matmul,
    "matvec": _matvec,
    "vecmat": _vecmat,
    "dot": _dot,
    "outer": _outer,
}
