"""Products with matrices that are known to be mostly zero: triangular, banded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.passes.choose.applied import Application, Apply, applications
from tpc.passes.choose.solves import band_of, triangle
from tpc.passes.choose.value import Part, Value, Way, Whole

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
        if type.dims[0] != type.dims[1]:
            return

        def way(apply: Apply, number: int = number, by: Application = application) -> Way:
            return menu.way((Whole(number), side), by.build(apply))

        corner = triangle(menu, number)
        if corner is not None and type.dtype.kind == "f":
            yield way(_triangular(application.turned, corner == "lower"))
        band = band_of(menu, number)
        if band is not None:
            width = menu.sizes(band[0]) + menu.sizes(band[1]) + 1
            if 3 * width <= menu.sizes(type.dims[0]):
                yield way(_banded(application.turned, *band))


def _triangular(turned: bool, lower: bool) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        return make("trmm", (make("transpose", (stored,)) if turned else stored, right), lower=lower != turned)

    return apply


def _banded(turned: bool, below: object, above: object) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        if turned:
            return make("band_matmul", (make("transpose", (stored,)), right), below=above, above=below)
        return make("band_matmul", (stored, right), below=below, above=above)

    return apply
