"""Wrong versions of a program: each has one slip such as a pass or an emitter could make."""

from __future__ import annotations

from collections.abc import Iterator

from tpc.ir.build import literal, make
from tpc.ir.node import Node, Program
from tpc.ir.rewrite import rebuilt, replace
from tpc.ir.types import TensorType

OPPOSITE = {"add": "sub", "sub": "add", "mul": "div", "div": "mul", "maximum": "minimum", "tril": "triu"}
FLAGS = ("transposed", "lower")


def miscompiled(program: Program) -> Iterator[tuple[str, Program]]:
    """Programs with the same inputs and types that mean something else, but for a few that happen to be equal."""
    for node in program.nodes:
        for what, wrong in _slips(node, program):
            if wrong is node or wrong.type != node.type:
                continue
            outputs = replace(program.outputs, {node: wrong})
            yield f"{what} in {node!r}", program.replace(outputs=outputs, facts=())


def _slips(node: Node, program: Program) -> Iterator[tuple[str, Node]]:
    name, args = node.op.name, node.args
    if name in ("input", "item") or isinstance(node.type, tuple):
        return
    if name == "transpose" and args[0].type == node.type:
        yield "a dropped transpose", args[0]
    if name == "literal":
        yield "another number", literal(node["value"].value + 1)
    if len(args) == 2 and args[0].type == args[1].type and args[0] is not args[1]:
        yield "swapped operands", make(name, args[::-1], **dict(node.attributes))
    if name in OPPOSITE:
        yield "another operation", make(OPPOSITE[name], args)
    for flag in FLAGS:
        if flag in dict(node.attributes):
            flipped = [(key, not value if key == flag else value) for key, value in node.attributes]
            yield f"another {flag}", rebuilt(node.op, args, flipped, node.type)
    if node.tensor.dtype.kind == "f":
        yield "a wrong sign", make("neg", (node,))
        yield "a factor", make("mul", (literal(2), node))
    if name not in ("literal", "size"):
        square = node.tensor.rank == 2 and node.tensor.dims[0] == node.tensor.dims[1]
        if square and node.tensor.dtype.kind == "f":
            yield "a transpose too many", make("transpose", (node,))
    for place, operand in enumerate(args):
        for other in program.inputs:
            if other is not operand and isinstance(operand.type, TensorType) and other.type == operand.type:
                yield (
                    "another operand",
                    rebuilt(node.op, [*args[:place], other, *args[place + 1 :]], node.attributes, node.type),
                )
                break
