"""Linear systems that are known by products: GMRES with restarts, and small ones by their matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tpc.ir.build import Fresh, cast, input_node, items, literal, make, zeros
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import REPEAT, SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import replace
from tpc.ir.types import INT, TensorType
from tpc.passes.differentiate.arrays import part
from tpc.passes.differentiate.loops import declared
from tpc.passes.library import Library

KRYLOV = Library(Path(__file__).with_name("krylov.tp"))
BASIS = 30  # vectors of GMRES before it starts again


@dataclass
class System:
    """The x with x = F(x), where F(x) = F(0) + L(x) is affine in the values `at`.

    Attributes
    ----------
    program
        F.
    ways, changes
        L: how the results change as the values go these ways.
    """

    program: Program
    at: Sequence[Node]
    ways: Sequence[Node]
    changes: Sequence[Node]

    def __post_init__(self) -> None:
        moved = replace(self.changes, dict(zip(self.ways, self.at, strict=True)))
        self.right = packed([self._at_zero(o, m) for o, m in zip(self.program.outputs, moved, strict=True)])

    def _at_zero(self, output: Node, moved: Node) -> Node:
        """F(0), given L(x): what else is added to it, if it is that simple."""
        if output.op.name == "add" and moved in output.args:
            (rest,) = [a for a in output.args if a is not moved] or [moved]
            if not set(self.at) & set(topological([rest])):
                return rest
        (found,) = replace([output], {i: zeros(i.tensor) for i in self.at})
        return found

    def times(self, vector: Node) -> Node:
        """(I - L) of a vector."""
        parts = unpacked(vector, self.ways)
        return make("sub", (vector, packed(replace(self.changes, dict(zip(self.ways, parts, strict=True))))))

    def directly(self) -> list[Node]:
        """By the matrix, column by column."""
        n = self.right.tensor.dims[0]
        counter = input_node("entry", TensorType(INT))
        identity = make("eye", (), i=n, j=n, dtype=self.right.tensor.dtype)
        unit = make(SUBSCRIPT, (identity, counter), items=(At(None), Range(0, n, 1)))
        inputs = (counter, *self.program.inputs)
        body = declared(Program("columns", inputs, [self.times(unit)], facts=self.program.facts))
        columns = make(SCAN, self.program.inputs, body=body, state=0, extent=n)
        return unpacked(make("solve", (make("transpose", (columns,)), self.right)), self.at)

    def iterated(self, tolerance: float, steps: int) -> list[Node]:
        """By products, until the residual is a part of the right side."""
        begin = zeros(self.right.tensor)
        fresh = Fresh(self.program)
        x, r = (fresh(name, begin.tensor) for name in ("x", "r"))
        small = make("mul", (literal(tolerance), norm([self.right])))
        allowed = fresh("allowed", small.tensor)
        better = self._better(x, r, allowed, fresh)
        inputs = (x, r, *self.program.inputs, allowed)
        left = make("sub", (self.right, self.times(better)))
        body = declared(Program("linear", inputs, [better, left], facts=self.program.facts))
        until = Program("until", inputs, [make("le", (norm([r]), allowed))])
        args = (begin, self.right, *self.program.inputs, small)
        found, rest = items(make(REPEAT, args, body=body, until=until, state=2, count=-(-steps // BASIS)))
        reached = make("le", (norm([rest]), small))
        return [make("require", (x, reached), because="converged") for x in unpacked(found, self.at)]

    def _better(self, x: Node, r: Node, allowed: Node, fresh: Fresh) -> Node:
        """x after a round, which finds the best change among those that powers of the matrix make of the residual r."""
        dtype, n = r.tensor.dtype, r.tensor.dims[0]
        empty = zeros(TensorType(dtype, (BASIS + 1, BASIS)))
        first, balanced = KRYLOV.called("gmres_start", [r, empty])
        begin = (first, empty, cast(balanced, dtype), norm([r]), literal(0))
        state = [fresh(name, b.tensor) for name, b in zip(("V", "H", "m", "left", "j"), begin, strict=True)]
        basis, said, balanced, left, counter = state
        row = make(SUBSCRIPT, (basis, counter), items=(At(None), Range(0, n, 1)))
        step = KRYLOV.called("gmres_step", [basis, said, balanced, self.times(row), counter])
        inputs, outside = (*state, *self.program.inputs, allowed), (*self.program.inputs, allowed)
        outputs = [*step, make("add", (counter, literal(1)))]
        body = declared(Program("arnoldi", inputs, outputs, facts=self.program.facts))
        until = Program("until", inputs, [make("le", (left, make("mul", (literal(0.9), allowed))))])
        whole = items(make(REPEAT, (*begin, *outside), body=body, until=until, state=len(state), count=BASIS))
        return KRYLOV.called("gmres_end", [x, *whole[:2], r])[0]


def norm(nodes: Sequence[Node]) -> Node:
    """The norm of several arrays together."""
    total: Node | None = None
    for node in nodes:
        squares = make("sum", (make("square", (node,)),), axis=None, keepdims=False)
        total = squares if total is None else make("add", (total, squares))
    assert total is not None
    return make("sqrt", (total,))


def packed(nodes: Sequence[Node]) -> Node:
    """Arrays as one vector."""
    flat = [make("reshape", (node,), dims=(node.tensor.size,)) for node in nodes]
    return flat[0] if len(flat) == 1 else make("concat", flat, axis=0)


def unpacked(vector: Node, like: Sequence[Node]) -> list[Node]:
    """A vector as arrays of the shapes of others."""
    found = []
    start: DimLike = 0
    for other in like:
        count = other.tensor.size
        piece = vector if len(like) == 1 else part(vector, 0, start, count)
        found.append(make("reshape", (piece,), dims=other.tensor.dims))
        start += count
    return found
