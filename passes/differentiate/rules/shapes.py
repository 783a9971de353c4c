"""Adjoints of what changes shape, order or format alone."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.passes.differentiate.arrays import axis_of, part, transposed
from tpc.passes.differentiate.rules.rule import Rule


def _cast(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [bars[0]]


def _reshape(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("reshape", (bars[0],), dims=node.args[0].tensor.dims)]


def _after(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [bars[0], None]


def _approximate(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """As of the exact value, which is within every bound."""
    return [bars[0], *(None for _ in node.args[1:])]


def _surrogate(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [None, bars[0]]


def _require(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [bars[0], None]


def _broadcast(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [bars[0]]  # `fitted` sums it


def _transpose(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [transposed(bars[0])]


def _adjoint(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("adjoint", (bars[0],))]


def _permute(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    axes = node["axes"]
    return [make("permute", (bars[0],), axes=tuple(axes.index(n) for n in range(len(axes))))]


def _triangle(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make(node.op, (bars[0],), **dict(node.attributes))]


def _flip(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("flip", (bars[0],), axis=node["axis"])]


def _roll(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("roll", (bars[0],), shift=-node["shift"], axis=node["axis"])]


def _pad(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    axis = axis_of(node)
    return [part(bars[0], axis, node["before"], node.args[0].tensor.dims[axis])]


def _concat(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    axis, found = axis_of(node), []
    start: DimLike = 0
    for operand in node.args:
        found.append(part(bars[0], axis, start, operand.tensor.dims[axis]))
        start += operand.tensor.dims[axis]
    return list(found)


def _stack(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    axis = node["axis"] % node.tensor.rank
    whole = [Range(0, dim, 1) for dim in node.tensor.dims]
    return [
        make(SUBSCRIPT, (bars[0],), items=tuple(At(k) if n == axis else r for n, r in enumerate(whole)))
        for k in range(len(node.args))
    ]


def _split(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("concat", bars, axis=node["axis"])]


RULES: dict[str, Rule] = {
    "cast": _cast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "unsqueeze": _reshape,
    "vec": _reshape,
    "unvec": _reshape,
    "after": _after,
    "approximate": _approximate,
    "require": _require,
    "surrogate": _surrogate,
    "broadcast_to": _broadcast,
    "transpose": _transpose,
    "adjoint": _adjoint,
    "permute": _permute,
    "tril": _triangle,
    "triu": _triangle,
    "flip": _flip,
    "roll": _roll,
    "pad": _pad,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
}
