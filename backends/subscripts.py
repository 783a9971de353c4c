"""Slices and positions of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.backends.code import Value, fill
from tpc.ir.node import Node
from tpc.ir.ops.structure import At, Range

if TYPE_CHECKING:
    from tpc.backends.block import Block


def write_subscript(block: Block, node: Node) -> None:
    """Slices and positions; one that only the run tells is tested there."""
    function, type = block.function, node.tensor
    array, *dynamic = [block.value(a) for a in node.args]
    items = []
    for item, dim in zip(node["items"], node.args[0].tensor.dims, strict=True):
        if isinstance(item, At) and item.position is not None:
            items.append(function.size(item.position))
        elif isinstance(item, At):
            place = dynamic.pop(0).text
            known = function.counters.get(place) == dim and dim is not None
            items.append(place if known else f"{function.helper('_at')}({place}, {function.size(dim)})")
        elif item == Range(0, dim, 1):
            items.append(":")
        else:
            stop = (
                item.start + item.count * item.step
                if item.step == 1 or item.count == 0
                else (item.start + (item.count - 1) * item.step + 1)
            )
            low, high = function.size(item.start), function.size(stop)
            if item.step != 1 and not isinstance(item.count, int):
                high = f"max({low}, {high})"
            step = "" if item.step == 1 else f":{item.step}"
            items.append(f"{'' if item.start == 0 else low}:{'' if stop == dim else high}{step}")
    while items and items[-1] == ":":
        items.pop()
    text = fill("{0}[{items}]", array.text, items=", ".join(items)) if items else array.text
    block.assign(node, Value(text, type.dtype, type.rank, depth=array.depth + 1))
