"""Where a plan makes sparse values dense, and what could be written instead."""

from __future__ import annotations

from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT

WAYS = {
    "exp": "`expm1(A)` stays sparse, and `exp(A)` is `expm1(A) + 1`; so `sum(exp(A))` is `sum(expm1(A)) + n * m`",
    "log": "`log1p(A)` stays sparse, as functions do that are zero at zero",
    "add": "a number added to each entry leaves no zeros; add it to what is computed from the sparse matrix instead",
}
USUAL = "functions that are zero at zero stay sparse (abs, sqrt, expm1, log1p, tanh), and so do products and sums"


def spread(program: Program) -> list[tuple[str, str]]:
    """The sparse inputs that become dense, each with the op that needs that."""
    found: dict[tuple[str, str], None] = {}
    for node in program.walk():
        for operand in node.args:
            if operand.op.name == "from_csr":
                found[_origin(operand), node.op.name] = None
    return list(found)


def way_out(found: list[tuple[str, str]]) -> str:
    """What to write instead."""
    return next((WAYS[op] for _, op in found if op in WAYS), USUAL)


def _origin(node: Node) -> str:
    """The name of the input that a sparse value is made of."""
    while node.args:
        node = node.args[0]
    return str(node["name"]) if node.op is INPUT else node.op.name
