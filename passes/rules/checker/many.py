"""A program at many points at once: each value has a further first axis, for the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tpc.ir.build import index, input_node, items, make
from tpc.ir.dims import named
from tpc.ir.formula import Access, Formula, LetterValue, Scalar, mapped
from tpc.ir.node import Node, Program
from tpc.ir.op import Misfit
from tpc.ir.types import TensorType

POINTS = named("points")
LETTER = "point"  # no letter of an op has this name


def at_many(program: Program) -> Program:
    """The program with the further axis in its inputs and outputs.

    Raises
    ------
    Misfit
        If an op of it has neither a formula nor batch axes.
    """
    wide: dict[Node, Node] = {i: input_node(i["name"], _wide(i.tensor)) for i in program.inputs}
    for node in program.nodes:
        if node not in wide and any(a in wide for a in node.args):
            wide[node] = _at_many(node, wide)
    return Program(program.name, [wide[i] for i in program.inputs], [_widened(o, wide) for o in program.outputs])


def _wide(type: TensorType) -> TensorType:
    return TensorType(type.dtype, (POINTS, *type.dims))


def _widened(node: Node, wide: dict[Node, Node]) -> Node:
    return wide.get(node) or make("broadcast_to", (node,), dims=(POINTS, *node.tensor.dims))


def _at_many(node: Node, wide: dict[Node, Node]) -> Node:
    if node.op.name == "item":
        results = items(wide[node.args[0]])
        position: int = node["position"]
        return results[position]
    formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
    if formula is not None:
        return index(_lettered(formula, [a in wide for a in node.args]), [wide.get(a, a) for a in node.args])
    made = make(node.op, [_widened(a, wide) for a in node.args], **_from_the_end(node))
    wanted = node.type if isinstance(node.type, tuple) else (node.type,)
    if (made.type if isinstance(made.type, tuple) else (made.type,)) != tuple(map(_wide, wanted)):
        raise Misfit("E0223", f"`{node.op.name}` has no batch axes", [])
    return made


def _from_the_end(node: Node) -> dict[str, Any]:
    """The options of a node, with axes counted from the end, where nothing changes."""
    options, rank = dict(node.attributes), node.args[0].tensor.rank
    axis = options.get("axis", ())
    if axis is None:
        options["axis"] = tuple(range(-rank, 0))
    elif isinstance(axis, int):
        options["axis"] = axis % rank - rank
    return options


def _lettered(formula: Formula, moves: Sequence[bool]) -> Formula:
    """The formula with a letter more, in the result and in the operands that have the further axis."""

    def change(scalar: Scalar) -> Scalar:
        if isinstance(scalar, Access) and moves[scalar.operand]:
            return replace(scalar, indices=(LetterValue(LETTER), *scalar.indices))
        return scalar

    extents = ((LETTER, POINTS), *formula.extents)
    return Formula(((LETTER,), *formula.axes), extents, mapped(formula.body, change))
