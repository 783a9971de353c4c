"""Adjoints of sums along axes, and of norms."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import cast, literal, make, size
from tpc.ir.dims import product
from tpc.ir.node import Node
from tpc.ir.ops.structure import LITERAL
from tpc.passes.differentiate.formulas import no_derivative
from tpc.passes.differentiate.rules.rule import Rule


def _sum(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("broadcast_to", (_kept(node, bars[0]),), dims=node.args[0].tensor.dims)]


def _mean(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    type = node.args[0].tensor
    count = product(type.dims[n] for n in _axes(node))
    bar = _kept(node, bars[0])
    if bar.op.name == "cast" and bar.args[0].op is LITERAL:
        share = cast(make("div", (bar.args[0], size(count))), bar.tensor.dtype)
    else:
        share = make("div", (bar, size(count)))
    return [make("broadcast_to", (share,), dims=type.dims)]


def _axes(node: Node) -> tuple[int, ...]:
    axis, rank = node["axis"], node.args[0].tensor.rank
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(a % rank for a in axes)


def _kept(node: Node, value: Node) -> Node:
    """A value of the shape of a reduction with the axes that were reduced, of size 1; a number meets any shape."""
    if not value.tensor.rank:
        return value
    dims = tuple(1 if n in _axes(node) else d for n, d in enumerate(node.args[0].tensor.dims))
    return value if value.tensor.dims == dims else make("reshape", (value,), dims=dims)


def is_euclidean(norm: Node) -> bool:
    """Whether a norm is the root of a sum of squares: not the spectral one of a matrix."""
    return norm["ord"] == "fro" or (norm["ord"] == 2 and len(_axes(norm)) == 1)


def _norm(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    from tpc.passes.differentiate.matrices import applied  # which reads a file of the language

    x, order = node.args[0], node["ord"]
    if is_euclidean(node):
        value, bar = _kept(node, node), _kept(node, bars[0])
        safe = make("select", (make("eq", (value, literal(0))), literal(1.0), value))
        return [make("mul", (make("div", (bar, safe)), x))]
    if order in ("nuc", 2):
        return list(applied("norm_nuclear" if order == "nuc" else "norm_spectral", [x, node, bars[0]]))
    raise no_derivative(f"norm(..., ord={order})")


RULES: dict[str, Rule] = {
    "sum": _sum,
    "mean": _mean,
    "norm": _norm,
}
