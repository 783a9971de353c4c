"""Adjoints of sums along axes, and of norms."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import cast, items, literal, make, size
from tpc.ir.dims import divide, product
from tpc.ir.node import Node
from tpc.ir.ops.structure import LITERAL
from tpc.passes.differentiate.arrays import part
from tpc.passes.differentiate.rules.rule import Rule, by_formula


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


def _var(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [_of_deviations(node, make("mul", (literal(2.0), bars[0])))]


def _std(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    safe = make("select", (make("eq", (node, literal(0))), literal(1.0), node))
    return [_of_deviations(node, make("div", (bars[0], safe)))]


def _of_deviations(node: Node, bar: Node) -> Node:
    """A multiple of what entries are above their mean, whose own derivative adds nothing: deviations sum to zero."""
    (x,), axis = node.args, node["axis"]
    count = product(x.tensor.dims[n] for n in _axes(node)) - node["ddof"]
    above = make("sub", (x, make("mean", (x,), axis=axis, keepdims=True)))
    return make("mul", (make("div", (_kept(node, bar), size(count))), above))


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
    x, bar = node.args[0], _kept(node, bars[0])
    if is_euclidean(node):
        value = _kept(node, node)
        safe = make("select", (make("eq", (value, literal(0))), literal(1.0), value))
        return [make("mul", (make("div", (bar, safe)), x))]
    if node["ord"] not in ("nuc", "spectral"):  # sums and maxima of absolute values
        return by_formula(node, bars) if x.tensor.dtype.kind != "c" else _of_absolute_values(node, bars)
    U, _, W = items(make("svd", (x,)))
    if node["ord"] == "spectral":
        U, W = part(U, -1, 0, 1), part(W, -2, 0, 1)
    return [make("mul", (bar, make("matmul", (U, W))))]


def _of_absolute_values(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """Of a norm of complex numbers that takes their absolute values alone."""
    from tpc.passes.differentiate.reverse import adjoints  # of which this is a part

    (x,) = node.args
    return adjoints([make("norm", (make("abs", (x,)),), **dict(node.attributes))], bars, [x])


def _median(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """That of the mean of the two in the middle once they are sorted, which are one where their number is odd."""
    from tpc.passes.differentiate.reverse import adjoints  # of which this is a part

    (x,), axes = node.args, _axes(node)
    others = tuple(n for n in range(x.tensor.rank) if n not in axes)
    dims = [x.tensor.dims[n] for n in others]
    count = product(x.tensor.dims[n] for n in axes)
    apart = make("reshape", (make("permute", (x,), axes=(*others, *axes)),), dims=(*dims, count))
    ordered = make("sort", (apart,), axis=-1)
    halves = [part(ordered, -1, divide(n, 2), 1) for n in (count - 1, count)]
    middle = make("reshape", (make("div", (make("add", halves), literal(2.0))),), dims=node.tensor.dims)
    return adjoints([middle], bars, [x])


RULES: dict[str, Rule] = {
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "norm": _norm,
    "median": _median,
}
