"""Jacobians that are zero but for a few diagonals, from as many directions as there are of these.

If y[i] depends on x[i - 1], x[i] and x[i + 1] alone, columns of the Jacobian that are three apart share no row. They
move together, and each entry of what follows is one of the Jacobian (Curtis, Powell and Reid 1974). Which entries y
depends on is read off index notation, where positions are a letter and a known distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpc.ir.affine import affine
from tpc.ir.build import index, make
from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Scalar, SizeValue, accesses
from tpc.ir.node import Node, topological

MOST = 16  # diagonals, where sizes are open
SHARE = 4  # how many times as many columns there are at least


@dataclass(frozen=True, slots=True)
class Band:
    """Position i along an axis depends on positions i + first to i + last of x."""

    axis: int
    first: int
    last: int

    @property
    def width(self) -> int:
        return self.last - self.first + 1

    def joined(self, other: Band) -> Band:
        """What two bands along one axis fill together."""
        return Band(self.axis, min(self.first, other.first), max(self.last, other.last))

    def is_narrow(self, columns: DimLike) -> bool:
        """Whether it pays, for a matrix with so many columns; diagonal matrices are found without it."""
        if self.width == 1:
            return False
        return SHARE * self.width <= columns if isinstance(columns, int) else self.width <= MOST


def band(output: Node, x: Node) -> Band | None:
    """Which diagonals of the Jacobian of one vector by another are not zero, with the main one; None if unknown."""
    if output.tensor.rank != 1 or x.tensor.rank != 1:
        return None
    known: dict[Node, Band] = {x: Band(0, 0, 0)}
    for node in topological([output]):
        if node in known or not any(a in known for a in node.args):
            continue
        found = _of_concat(node, known) if node.op.name == "concat" else _of_formula(node, known)
        if found is None:
            return None
        known[node] = found
    found = known.get(output)
    return None if found is None else found.joined(Band(0, 0, 0))


def _of_concat(node: Node, known: Mapping[Node, Band]) -> Band | None:
    axis: int = node["axis"] % node.tensor.rank
    start: DimLike = 0
    found: Band | None = None
    for operand in node.args:
        if operand in known:
            here = known[operand]
            if not isinstance(start, int) or here.axis != axis:
                return None
            moved = Band(axis, here.first - start, here.last - start)
            found = moved.joined(found or moved)
        start += operand.tensor.dims[axis]
    return found


def _of_formula(node: Node, known: Mapping[Node, Band]) -> Band | None:
    if node.programs or isinstance(node.type, tuple):
        return None
    if node.op.name == "cast":
        return known[node.args[0]]
    formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
    if formula is None or any(len(axis) > 1 for axis in formula.axes):
        return None
    found: Band | None = None
    for access in accesses(formula.body):
        if node.args[access.operand] in known:
            here = _of_access(access, known[node.args[access.operand]], formula)
            if here is None or (found is not None and here.axis != found.axis):
                return None
            found = (
                here if found is None else Band(found.axis, min(found.first, here.first), max(found.last, here.last))
            )
    return found


def _of_access(access: Access, band: Band, formula: Formula) -> Band | None:
    place = access.indices[band.axis]
    form = None if isinstance(place, Composed) else affine(place)
    if form is None or not isinstance(form.constant, int):
        return None
    letters = ["".join(axis) for axis in formula.axes]  # an axis of size 1 may have none
    first = last = form.constant
    axis: int | None = None
    for name, slope in form.slopes.items():
        extent = formula.extent[name]
        if name in letters:
            if axis is not None or slope != 1:
                return None
            axis = letters.index(name)
        elif isinstance(slope, int) and isinstance(extent, int):
            first, last = first + min(0, slope * (extent - 1)), last + max(0, slope * (extent - 1))
        else:
            return None
    return None if axis is None else Band(axis, first + band.first, last + band.last)


def colours(band: Band, columns: DimLike) -> Node:
    """The directions: each is one at columns that share no row, as many apart as there are diagonals."""
    here = Apply("eq", (Apply("mod", (LetterValue("j"), Literal.of(band.width))), LetterValue("c")))
    body = Apply("select", (here, Literal("1.0"), Literal("0.0")))
    return index(Formula((("c",), ("j",)), (("c", band.width), ("j", columns)), body), ())


def matrix(band: Band, changes: Node, columns: DimLike) -> Node:
    """The Jacobian from how the result changes along all directions."""
    _, rows = changes.tensor.dims
    column: Scalar = Apply("add", (LetterValue("i"), LetterValue("o")))
    column = Apply("add", (column, SizeValue(band.first))) if band.first else column
    colour = Apply("mod", (column, Literal.of(band.width)))
    body = Access(0, (colour, LetterValue("i")))
    diagonals = index(Formula((("o",), ("i",)), (("o", band.width), ("i", rows)), body), (changes,))
    return make("from_diagonals", (diagonals,), below=-band.first, n=columns)
