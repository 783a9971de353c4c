"""Directions along which derivatives are taken one by one, by a loop that the pass `vectorise` makes one product of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpc.ir.build import cast, input_node, items, literal, make
from tpc.ir.dims import product
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import SCAN, SUBSCRIPT, At, Range
from tpc.ir.types import INT, TensorType
from tpc.passes.differentiate.loops import declared


class Units:
    """The arrays that are 1 at one entry and 0 elsewhere."""

    def __init__(self, type: TensorType) -> None:
        self.type, self.count = type, product(type.dims)

    def at(self, counter: Node) -> Node:
        type = self.type
        if not type.dims:
            return cast(literal(1.0), type.dtype) if not type.dtype.is_weak else literal(1.0)
        dtype = None if type.dtype.is_weak else type.dtype
        return self._row(make("eye", (), i=self.count, j=self.count, dtype=dtype), counter)

    def _row(self, rows: Node, counter: Node) -> Node:
        row = make(SUBSCRIPT, (rows, counter), items=(At(None), Range(0, rows.tensor.dims[1], 1)))
        return row if len(self.type.dims) == 1 else make("reshape", (row,), dims=self.type.dims)


class Rows(Units):
    """Given arrays, as rows of a matrix."""

    def __init__(self, type: TensorType, rows: Node) -> None:
        self.type, self.count = type, rows.tensor.dims[0]
        self.rows = rows if type.dtype.is_weak else cast(rows, type.dtype)

    def at(self, counter: Node) -> Node:
        return self._row(self.rows, counter)


class Signs(Rows):
    """Arrays of random signs."""

    def __init__(self, type: TensorType, samples: int, seed: int) -> None:
        dims = (samples, product(type.dims))
        dtype = None if type.dtype.is_weak else type.dtype
        super().__init__(type, make("rademacher", (), dims=dims, seed=seed, dtype=dtype))


def along(program: Program, axes: Units, values: Callable[[Node], Sequence[Node]]) -> list[Node]:
    """Values for every one of some directions, stacked along a first axis: a loop over them."""
    counter = input_node("entry", TensorType(INT))
    inner = values(axes.at(counter))
    if not inner:
        return []
    inputs = (counter, *program.inputs)
    body = declared(Program(f"{program.name}_along", inputs, inner, facts=program.facts))
    return items(make(SCAN, program.inputs, body=body, state=0, extent=axes.count))
