"""What an adjoint of an op is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpc.ir.node import Node

# Of a node and the adjoints of its results (of zeros, where nothing depends on one): those of its operands.
Rule = Callable[[Node, Sequence[Node]], "list[Node | None]"]
