"""What a module computes when it is loaded: sparse matrices of constants and their factors, which no file holds.

Other values that depend on constants alone are computed before the module is written (`tpc.folded`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpc.ir.node import Node, Program
from tpc.ir.ops.sparse import RESULTS
from tpc.ir.ops.structure import CONSTANT, LITERAL, ConstantData
from tpc.ir.rewrite import replace


@dataclass(frozen=True)
class Early:
    """What stands for the array of such a constant: how it is computed."""

    expression: Node
    size: float = float("inf")  # no text of a program holds its entries


def set_apart(program: Program, names: Mapping[Node, str]) -> Program:
    """The program with constants in the place of sparse values that depend on constants alone."""
    if not any(node.op is CONSTANT for node in program.nodes):
        return program
    early: set[Node] = set()
    for node in program.nodes:
        is_held = node.op.name in RESULTS or node.op.name == "from_csr"
        known = [a for a in node.args if a.op in (CONSTANT, LITERAL) or a in early]
        if is_held and node.args and len(known) == len(node.args) and node not in program.outputs:
            early.add(node)
    used = {a for node in program.nodes if node not in early for a in node.args}
    stand_ins = {
        node: _constant(node, names.get(node) or f"{_origin(node)}_{node.op.name.removeprefix('csr_')}")
        for node in program.nodes
        if node in early and node in used
    }
    return program if not stand_ins else program.replace(outputs=replace(program.outputs, stand_ins))


def _origin(node: Node) -> str:
    """The name of the first constant that a value is made of."""
    while node.args:
        node = node.args[0]
    return str(node["name"]).removesuffix("_values")


def _constant(node: Node, name: str) -> Node:
    data = ConstantData(name, str(id(node)), Early(node))
    return Node(CONSTANT, (), (("name", name), ("data", data)), node.type)
