"""Products with matrices that are known to be mostly zero: triangular, trapezoidal, banded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.ir.build import make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.ops.structure import SUBSCRIPT, Range
from tpc.passes.choose.applied import Application, Apply, applications
from tpc.passes.choose.operators import product_ways
from tpc.passes.choose.solves import band_of, triangle
from tpc.passes.choose.value import Part, Value, Way, Whole
from tpc.passes.egraph.facts import at_least

if TYPE_CHECKING:
    from tpc.passes.choose.menu import Menu


def structured_ways(
    menu: Menu, value: Part, matrix: Sequence[int], other: tuple[Value, dict[int, int]]
) -> Iterator[Way]:
    """A part in which a structured matrix (the operand at `matrix`) meets the others."""
    side, letters = other
    for application in applications(value, matrix, letters):
        number = value.children[matrix[0]]
        type = menu.graph.tensor(number)
        rows, columns = type.dims
        yield from product_ways(menu, application, number, side)

        def way(apply: Apply, number: int = number, by: Application = application) -> Way:
            return menu.way((Whole(number), side), by.build(apply))

        corner = triangle(menu, number)
        if corner is not None and type.dtype.kind == "f":
            lower = corner == "lower"
            if rows == columns:
                yield way(_triangular(application.turned, lower))
            elif at_least(menu.graph, *((rows, columns) if lower else (columns, rows))):
                yield way(_trapezoidal(application.turned, lower))
        band = band_of(menu, number) if rows == columns else None
        if band is not None:
            width = menu.sizes(band[0]) + menu.sizes(band[1]) + 1
            if 3 * width <= menu.sizes(rows):
                yield way(_banded(application.turned, *band))


def _triangular(turned: bool, lower: bool) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        return make("trmm", (make("transpose", (stored,)) if turned else stored, right), lower=lower != turned)

    return apply


def _trapezoidal(turned: bool, lower: bool) -> Apply:
    """A wide upper matrix, or a tall lower one: a triangle, and a rest that is full, beside it or below."""
    along = 0 if lower else 1  # the axis that the rest goes on along
    by_triangle = _triangular(turned, lower)

    def apply(stored: Node, right: Node) -> Node:
        size = stored.tensor.dims[1 - along]
        corner, rest = _parted(stored, along, size)
        rest = make("transpose", (rest,)) if turned else rest
        product = "matmul" if right.tensor.rank == 2 else "matvec"
        if turned == lower:  # it is summed along it
            above, below = _parted(right, 0, size)
            return make("add", (by_triangle(corner, above), make(product, (rest, below))))
        return make("concat", (by_triangle(corner, right), make(product, (rest, right))), axis=0)

    return apply


def _parted(array: Node, axis: int, size: DimLike) -> tuple[Node, Node]:
    """The first entries along an axis, and the others."""
    dims = array.tensor.dims
    whole = [Range(0, dim, 1) for dim in dims]
    parts = []
    for start, count in ((0, size), (size, dims[axis] - size)):
        parts.append(make(SUBSCRIPT, (array,), items=(*whole[:axis], Range(start, count, 1), *whole[axis + 1 :])))
    return parts[0], parts[1]


def _banded(turned: bool, below: object, above: object) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        if turned:
            return make("band_matmul", (make("transpose", (stored,)), right), below=above, above=below)
        return make("band_matmul", (stored, right), below=below, above=above)

    return apply
