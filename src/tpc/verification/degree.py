"""How large the degree of a program can be, as a rational function of what its operands are drawn from.

An array has one bound for its numerators and the least common denominator of its entries. Bounds only grow: a sum
may bring its terms to a common denominator, and every entry may have another divisor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tpc.ir.dims import DimLike, evaluate
from tpc.ir.formula import Access, Apply, Formula, Reduction, Scalar
from tpc.ir.node import Node, Program

EXPONENT = 8  # of a power that is not written as a number
QUOTIENTS = ("div", "pow", "rsqrt")


def degree(program: Program, sizes: Mapping[str, int], operands: Sequence[int], passes: int) -> int:
    """The largest degree of any value of the program, where operands have these degrees."""
    return _Degrees(sizes, passes).program(program, operands)[1]


class _Degrees:
    def __init__(self, sizes: Mapping[str, int], passes: int) -> None:
        self.sizes, self.passes = sizes, passes

    def program(self, program: Program, operands: Sequence[int]) -> tuple[list[int], int]:
        """The degrees of the outputs, and the largest of all values."""
        degrees: dict[Node, int] = dict(zip(program.inputs, operands, strict=True))
        most = max(operands, default=1)
        for node in program.nodes:
            if node not in degrees:
                degrees[node], inside = self.node(node, [degrees[a] for a in node.args])
                most = max(most, degrees[node], inside)
        return [degrees[n] for n in program.outputs], most

    def node(self, node: Node, operands: list[int]) -> tuple[int, int]:
        bodies = [value for name, value in node.attributes if isinstance(value, Program)]
        if bodies:
            return self.blocks(node, bodies, operands)
        if node.op.name in ("item", "cast"):
            return operands[0], 0
        formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes)) if node.args else None
        if formula is not None:
            entries = [math.prod(map(self.size, a.tensor.dims)) for a in node.args]
            return _Body(self, formula, operands, entries).degree(formula.body), 0
        # by hand: quotients of minors, of bordered or of Gram matrices
        extents = [self.size(d) for a in node.args for d in a.tensor.dims]
        return (2 * max(extents, default=0) + 2) * max(sum(operands), 1), 0

    def blocks(self, node: Node, bodies: list[Program], operands: list[int]) -> tuple[int, int]:
        """Calls, loops and branches; what a loop gives has the largest degree of its last pass."""
        count = {"repeat": self.passes, "scan": self.size(node.get("extent", 0))}.get(node.op.name, 1)
        run = self
        if node.op.name == "call":
            run = _Degrees({name: self.size(dim) for name, dim in node["sizes"]}, self.passes)
        most = max(operands, default=1)
        for _ in range(count):
            most = max(run.program(body, [most] * len(body.inputs))[1] for body in bodies)
        return most, most

    def size(self, dim: DimLike) -> int:
        return evaluate(dim, self.sizes)


class _Body:
    """The degree of a formula's body, for operands of given degrees and numbers of entries."""

    def __init__(self, run: _Degrees, formula: Formula, operands: list[int], entries: list[int]) -> None:
        self.run, self.operands, self.entries = run, operands, entries
        self.extents = {name: run.size(dim) for name, dim in formula.extents}

    def degree(self, scalar: Scalar) -> int:
        match scalar:
            case Access(operand=operand, pad=pad):
                return self.operands[operand] + (0 if pad is None else self.degree(pad))
            case Apply(function="square", arguments=(x,)):
                return 2 * self.degree(x)
            case Apply(function=function, arguments=arguments):
                degrees = [self.degree(a) for a in arguments]
                if function in QUOTIENTS:
                    degrees[-1] *= self.count(arguments[-1])
                return sum(degrees) * (EXPONENT if function == "pow" else 1)
            case Reduction(operator=operator, letters=letters, body=body):
                terms = math.prod(self.extents[name] for name in letters)
                return self.degree(body) * (max(terms, 1) if operator == "prod" else 1)
        return 0

    def count(self, scalar: Scalar) -> int:
        """How many values a scalar may take, one for each entry that it is made of."""
        match scalar:
            case Access(operand=operand):
                return max(self.entries[operand], 1)
            case Apply(arguments=arguments):
                return math.prod(self.count(a) for a in arguments)
            case Reduction(body=body):
                return self.count(body)
        return 1
