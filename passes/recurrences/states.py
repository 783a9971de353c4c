"""All states of a linear recurrence.

x = a_t * x + b_t  (elementwise)   <=>   linear_scan(a, b, x)
x = x + b_t                        <=>   cumsum of x, b_0, b_1, ...
x = a_t * x                        <=>   cumprod of x, a_0, a_1, ...
x = A @ x + b_t                    <=>   matrix_scan(A, b, x)
x = circulant(c) @ x + b_t         <=>   the transform back of linear_scan of transforms
"""

from __future__ import annotations

from dataclasses import dataclass

from tpc.ir.build import make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.ir.types import TensorType
from tpc.passes.recurrences.linear import ONE

TRANSFORMED = 48  # entries from which Fourier transforms are faster than products with a matrix


@dataclass(frozen=True, slots=True)
class States:
    """All states of a recurrence: `all` has the one before each pass, and then the one behind the last."""

    all: Node
    factor: Node
    term: Node | None
    start: Node

    @property
    def extent(self) -> DimLike:
        return (self.factor if self.term is None else self.term).tensor.dims[0]

    @property
    def before(self) -> Node:
        return self._stretch(0)

    @property
    def behind(self) -> Node:
        return self._stretch(1)

    def last(self, is_read: bool) -> Node:
        """The state behind the last pass, without the others where nothing else reads them."""
        if not is_read and self.factor is ONE and self.term is not None:
            return make("add", (self.start, make("sum", (self.term,), axis=0)))
        if not is_read and self.term is None and self.factor.tensor.dims[1:] == self.start.tensor.dims:
            return make("mul", (self.start, make("prod", (self.factor,), axis=0)))
        return make(SUBSCRIPT, (self.all,), items=(At(self.extent), *self._rest))

    def _stretch(self, start: DimLike) -> Node:
        return make(SUBSCRIPT, (self.all,), items=(Range(start, self.extent, 1), *self._rest))

    @property
    def _rest(self) -> list[Range]:
        return [Range(0, dim, 1) for dim in self.start.tensor.dims]


def states(factor: Node, term: Node | None, start: Node) -> States | None:
    """The states from the factors and terms of all passes; None where they would have another type than the start.

    Parameters
    ----------
    factor, term
        With the pass as first axis; a factor of `ONE` is one in all passes, and no term is zero.
    """
    type, first = start.tensor, make("reshape", (start,), dims=(1, *start.tensor.dims))
    if factor is ONE:
        assert term is not None
        found = make("cumsum", (make("concat", (first, term), axis=0),), axis=0)
    elif term is None and factor.tensor.dims[1:] == type.dims:
        found = make("cumprod", (make("concat", (first, factor), axis=0),), axis=0)
    else:
        none = make("zeros", dims=(factor.tensor.dims[0], *type.dims), dtype=type.dtype)
        found = make("linear_scan", (factor, none if term is None else term, start))
    return _kept(States(found, factor, term, start))


def states_by_matrix(matrix: Node, term: Node, start: Node) -> States | None:
    """The states from a matrix that is the same in all passes, and the terms of all."""
    (size,) = start.tensor.dims
    is_short = isinstance(size, int) and size < TRANSFORMED
    if matrix.op.name == "circulant" and start.tensor.dtype.kind == "f" and not is_short:
        factor, terms, first = (make("rfft", (x,), axis=-1) for x in (matrix.args[0], term, start))
        found = make("linear_scan", (make("broadcast_to", (factor,), dims=terms.tensor.dims), terms, first))
        return _kept(States(make("irfft", (found,), n=size, axis=-1), matrix, term, start))
    return _kept(States(make("matrix_scan", (matrix, term, start)), matrix, term, start))


def zeros(type: TensorType) -> Node:
    """Nothing, in the shape and format of a type."""
    return make("zeros", dims=type.dims, dtype=type.dtype)


def _kept(made: States) -> States | None:
    found, type = made.all, made.start.tensor
    return made if found.type is TensorType(type.dtype, (made.extent + 1, *type.dims)) else None
