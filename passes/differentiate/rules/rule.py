"""What a rule of adjoints is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpc.ir.node import Node
from tpc.passes.differentiate.formulas import adjoint

# Of a node and the adjoints of its results (of zeros, where nothing depends on one): those of its operands.
Rule = Callable[[Node, Sequence[Node]], "list[Node | None]"]


def by_formula(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """That of an op of one operand as its formula says it."""
    formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
    assert formula is not None
    return list(adjoint(formula, node.args, 0, node, bars[0]))
