"""Branches in plans: values that are computed in one of two ways, or only where they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tpc.ir.build import input_node, items, make
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import INPUT, ITEM
from tpc.ir.rewrite import rebuilt
from tpc.ir.rewrite import replace as replaced
from tpc.ir.types import TensorType
from tpc.passes.count import FILLED, is_view


def branch(condition: Node, then: Sequence[Node], other: Sequence[Node], there: Iterable[Node] = ()) -> list[Node]:
    """The results by a branch, those that are the same on both sides without; what is `there` stays before it."""
    places = [k for k, (a, b) in enumerate(zip(then, other, strict=True)) if a is not b]
    sides = [[outputs[k] for k in places] for outputs in (then, other)]
    before = {*there, *topological([condition])} | set.intersection(*(set(topological(side)) for side in sides))
    leaves = list(dict.fromkeys(leaf for side in sides for leaf in _leaves(side, before)))
    inputs = [input_node(f"c{k}", leaf.tensor) for k, leaf in enumerate(leaves)]
    inside = dict(zip(leaves, inputs, strict=True))
    first, second = (
        Program(name, inputs, replaced(side, inside)) for name, side in zip(("then", "other"), sides, strict=True)
    )
    made = make("if", (condition, *leaves), then=first, other=second)
    results = dict(zip(places, items(rebuilt(made.op, made.args, made.attributes, made.type)), strict=True))
    return [results.get(k, a) for k, a in enumerate(then)]


def _leaves(outputs: Sequence[Node], before: set[Node]) -> Iterator[Node]:
    """What results are made from that stands before the branch.

    Views, and matrices that a vector fills, are taken inside, where kernels look for them: what stands before may never
    need their entries.
    """
    waiting, seen = list(outputs), set(outputs)
    while waiting:
        node = waiting.pop()
        source = node.args[0] if node.op is ITEM else node  # of a loop, the condition may ask for another result
        is_there = node in before or source in before
        is_read = node.op is not ITEM and (is_view(node) or node.op.name in FILLED)
        is_computed = is_there and node.args and not is_read
        if (node.op is INPUT or is_computed) and isinstance(node.type, TensorType):
            yield node
            continue
        for operand in node.args:
            if operand not in seen:
                seen.add(operand)
                waiting.append(operand)
