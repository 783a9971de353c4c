"""Adjoints of products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.passes.differentiate.arrays import conjugated, transposed
from tpc.passes.differentiate.rules.rule import Rule, by_formula


def _matmul(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    a, b = map(conjugated, node.args)
    return [make("matmul", (bars[0], transposed(b))), make("matmul", (transposed(a), bars[0]))]


def _matvec(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    a, x = map(conjugated, node.args)
    if a.tensor.rank > 2:
        return [_outers(bars[0], x), _columns(transposed(a), bars[0])]
    return [make("outer", (bars[0], x)), make("matvec", (transposed(a), bars[0]))]


def _vecmat(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, a = map(conjugated, node.args)
    if a.tensor.rank > 2:
        return [_columns(a, bars[0]), _outers(x, bars[0])]
    return [make("matvec", (a, bars[0])), make("outer", (x, bars[0]))]


def _outers(x: Node, y: Node) -> Node:
    """Outer products of vectors along the last axes of batches."""
    return make("mul", (make("unsqueeze", (x,), axis=-1), make("unsqueeze", (y,), axis=-2)))


def _columns(a: Node, x: Node) -> Node:
    """Products of the matrices of a batch each with a vector of its own."""
    return make("squeeze", (make("matmul", (a, make("unsqueeze", (x,), axis=-1))),), axis=-1)


def _dot(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, y = map(conjugated, node.args)
    return [make("mul", (bars[0], y)), make("mul", (bars[0], x))]


def _outer(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, y = map(conjugated, node.args)
    return [make("matvec", (bars[0], y)), make("vecmat", (x, bars[0]))]


def _diag(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """Of a vector the diagonal, of a square matrix the matrix with that diagonal."""
    dims = node.args[0].tensor.dims
    is_known = len(dims) == 1 or (len(dims) == 2 and dims[0] == dims[1])
    return [make("diag", (bars[0],))] if is_known else by_formula(node, bars)


def _trace(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    (a,) = node.args
    bar = bars[0]
    if bar.tensor.rank:
        bar = make("unsqueeze", (make("unsqueeze", (bar,), axis=-1),), axis=-1)
    return [make("mul", (bar, make("eye", (), i=a.tensor.dims[-2], j=a.tensor.dims[-1], dtype=a.tensor.dtype)))]


RULES: dict[str, Rule] = {
    "matmul": _matmul,
    "matvec": _matvec,
    "vecmat": _vecmat,
    "dot": _dot,
    "outer": _outer,
    "diag": _diag,
    "trace": _trace,
}
