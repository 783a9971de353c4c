"""Definite matrices, and inverses of such, as the product of a triangular matrix and its transpose.

Where the triangle is there for another reason, `A' @ S @ A` is the square of `L' @ A`, which is half the work, and what
is solved with one triangle serves two results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.ir.build import operation
from tpc.passes.choose.solves import inverted
from tpc.passes.choose.value import Built, Part, Way
from tpc.passes.contraction import Contraction
from tpc.passes.egraph.terms import Applied

if TYPE_CHECKING:
    from tpc.passes.choose.menu import Menu

MOST_OPERANDS = 7  # of a part that is written with roots


def root_ways(menu: Menu, value: Part) -> Iterator[Way]:
    """A part as one in which a class has given way to its root and the transpose of that."""
    for child in dict.fromkeys(value.children):
        for root, turned in _roots(menu, child):
            form, children = value.form, list(value.children)
            while child in children and len(children) <= MOST_OPERANDS:
                position = children.index(child)
                form = _split(form, position, turned)
                children[position : position + 1] = [root, root]
            if child not in children and len(children) <= MOST_OPERANDS:
                whole, back = menu.part(form, children, range(len(children)))

                def build(built: Sequence[Built], back: dict[int, int] = back) -> Built:
                    return Built(built[0].node, tuple(back[n] for n in built[0].letters))

                yield menu.way((whole,), build, name="view")


def _roots(menu: Menu, number: int) -> Iterator[tuple[int, bool]]:
    """Triangles that the graph knows: L with L @ L' for a matrix, and R with R' @ R (turned) for an inverse."""
    graph = menu.graph
    if graph.knows(number, "spd"):
        root = _known(menu, "cholesky", number)
        if root is not None:
            yield root, False
        for matrix in inverted(menu, number):
            factor = _known(menu, "cholesky", matrix)
            inverse = None if factor is None else _known(menu, "inv", factor)
            if inverse is not None:
                yield inverse, True


def _known(menu: Menu, op: str, number: int) -> int | None:
    graph = menu.graph
    found = graph.memo.get(Applied(operation(op), (graph.find(number),), (), graph.tensor(number)))
    return None if found is None else graph.find(found)


def _split(form: Contraction, position: int, turned: bool) -> Contraction:
    """The form with a matrix replaced by its root and the transpose of that, joined by a letter."""
    rows, columns = form.inputs[position]
    joint = (len(form.extents),)
    roots = ((joint, rows), (joint, columns)) if turned else ((rows, joint), (columns, joint))
    inputs = (*form.inputs[:position], *roots, *form.inputs[position + 1 :])
    return Contraction(inputs, form.output, (*form.extents, form.size(rows)))
