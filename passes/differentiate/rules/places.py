"""Adjoints of what reads, writes or orders by places."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import index, items, make, zeros
from tpc.ir.formula import Access, Apply, Formula, LetterValue, Reduction
from tpc.ir.node import Node
from tpc.ir.types import TensorType
from tpc.passes.differentiate.formulas import adjoint
from tpc.passes.differentiate.rules.rule import Rule


def _take(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, places = node.args
    if node["axis"] != 0 or places.tensor.rank != 1:
        return [_scattered(node, bars[0]), None]
    return [make("scatter_add", (zeros(TensorType(bars[0].tensor.dtype, x.tensor.dims)), places, bars[0])), None]


def _scattered(node: Node, bar: Node) -> Node:
    formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
    assert formula is not None
    (found,) = adjoint(formula, node.args, 0, node, bar)
    return found


def _scatter_add(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [bars[0], None, make("take", (bars[0], node.args[1]), axis=0)]


def _segment_sum(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("take", (bars[0], node.args[1]), axis=0), None]


def _sort(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    order = make("argsort", node.args, **dict(node.attributes))
    back = make("argsort", (order,), axis=node["axis"], descending=False)
    return [make("take_along", (bars[0], back), axis=node["axis"])]


def _topk(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, places = node.args[0], items(node)[1]
    before = tuple(f"b{n}" for n in range(x.tensor.rank - 1))
    entry = (*map(LetterValue, before), LetterValue("k"))
    guard = Apply("eq", (Access(0, entry), LetterValue("i")))
    extents = (*zip(before, x.tensor.dims, strict=False), ("i", x.tensor.dims[-1]), ("k", places.tensor.dims[-1]))
    body = Reduction("sum", ("k",), guard, Access(1, entry))
    axes = (*((n,) for n in before), ("i",))
    return [index(Formula(axes, extents, body), (places, bars[0]))]


RULES: dict[str, Rule] = {
    "take": _take,
    "scatter_add": _scatter_add,
    "segment_sum": _segment_sum,
    "sort": _sort,
    "topk": _topk,
}
