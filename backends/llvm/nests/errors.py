"""What can go wrong in a native function, by number."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.signature import Failure
from tpc.ir.dims import dim_text
from tpc.ir.node import Node


class Errors:
    """The failures of one function, and a place of memory that can always be read."""

    def __init__(self, module: ir.Module) -> None:
        self.failures: list[Failure] = []
        self.nothing = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), 64), "nothing")
        self.nothing.initializer = ir.Constant(self.nothing.value_type, None)
        self.nothing.linkage, self.nothing.global_constant = "internal", True

    def empty(self, operator: str) -> int:
        """The number of the error that a reduction that has no neutral value is one of no entries."""
        return self.number(Failure("ValueError", f"`{operator}` of no entries has no value"))

    def outside(self, node: Node) -> int:
        """The number of the error that a position lies outside of an array."""
        dims = ", ".join(dim_text(d) for d in node.tensor.dims)
        return self.number(Failure("IndexError", f"a position lies outside of an array of shape [{dims}]"))

    def number(self, failure: Failure) -> int:
        """The number of an error, which is noted."""
        if failure not in self.failures:
            self.failures.append(failure)
        return self.failures.index(failure) + 1
