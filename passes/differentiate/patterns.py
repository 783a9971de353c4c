"""Which entries of a Jacobian may not be zero, where sizes are known, and the directions that tell them all.

Columns that share no row move together, a tangent for each colour (Curtis, Powell and Reid 1974). Rows that have many
entries, such as the border of an arrow, would give every column a colour of its own, and take an adjoint each (Coleman
and Verma 1998). Patterns are read off index notation, with zeros of constants left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from tpc.ir.build import index
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Reduction, Scalar, SizeValue
from tpc.ir.node import Node, topological
from tpc.ir.ops.structure import CONSTANT
from tpc.ir.scalar import SCALARS
from tpc.ir.types import I64, TensorType
from tpc.passes.contraction import product_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Part = tuple[Node, Array, Array]
    """An operand, and pairs of an entry of the value and one of the operand that it depends on."""

MOST = 4_000_000  # entries, and places that they are read from
SHARE = 4  # how many times as many rows and columns there are as directions, at least
_STEPS = frozenset(["eq", "ne", "lt", "le", "gt", "ge", "floor", "ceil", "round", "trunc", "sign"])


@dataclass(frozen=True)
class Directions:
    """Directions as rows, and where among what is found along all of them the entries stand."""

    rows: Node
    sources: Node


@dataclass(frozen=True)
class Colouring:
    """Directions that tell a Jacobian, and where its entries stand: those by tangents first, then those by adjoints."""

    forward: Directions | None
    backward: Directions | None
    places: Node


def colouring(output: Node, x: Node) -> Colouring | None:
    """How to find the Jacobian of a value from few directions; None where that is not known, or does not pay."""
    rows, columns = output.tensor.size, x.tensor.size
    if not isinstance(rows, int) or not isinstance(columns, int) or min(rows, columns) < 2 * SHARE:
        return None
    if output.tensor.dtype.kind != "f" or x.tensor.dtype.kind != "f":
        return None
    order = topological([output])
    if x not in order or all(map(_is_product, order)):  # of products all directions are taken at once, and fall away
        return None
    known: dict[Node, Any] = {x: _matrix(range(columns), range(columns), columns, columns)}
    for node in order:
        if node not in known and any(a in known for a in node.args):
            found = _dependence(node, known, columns)
            if found is None or found.nnz > MOST:
                return None
            known[node] = found
    return _coloured(known[output], min(rows, columns) // SHARE)


def _is_product(node: Node) -> bool:
    """Whether a node goes entry by entry, or is a sum of products over letters."""
    if not node.args or (node.op.group == "elementwise" and not node.programs):
        return True
    types = [a.tensor for a in node.args if isinstance(a.type, TensorType)]
    formula = node.op.formula(types, dict(node.attributes)) if len(types) == len(node.args) else None
    return formula is not None and product_of(formula, types) is not None


def _matrix(rows: Any, columns: Any, height: int, width: int) -> Any:
    import numpy as np
    from scipy.sparse import csr_array

    found = csr_array((np.ones(len(rows), np.int8), (np.asarray(rows), np.asarray(columns))), shape=(height, width))
    found.data[:] = 1
    return found


def _dependence(node: Node, known: Mapping[Node, Any], columns: int) -> Any | None:
    """Which entries of x those of a node depend on: a sparse matrix of ones."""
    if node.programs or not isinstance(node.type, TensorType):
        return None
    if node.op.name == "cast":
        return known[node.args[0]]
    parts: list[Part] | None
    if node.op.name in ("concat", "stack"):
        parts = list(_of_concat(node, known))
    else:
        types = [a.tensor for a in node.args]
        formula = node.op.formula(types, dict(node.attributes))
        sizes = [d for _, d in formula.extents] if formula is not None else [None]
        whole = [d for d in sizes if isinstance(d, int)]
        if formula is None or len(whole) < len(sizes) or prod(whole) > MOST:
            return None
        parts = _Reading(node, formula, known).parts()
        if parts is None:
            return None
    height = prod(d for d in node.tensor.dims if isinstance(d, int))
    total = _matrix([], [], height, columns)
    for operand, rows, places in parts:
        total = total + _matrix(rows, places, height, known[operand].shape[0]) @ known[operand]
        total.data[:] = 1
    return total


def _of_concat(node: Node, known: Mapping[Node, Any]) -> Iterator[Part]:
    import numpy as np

    shapes = [tuple(int(d) for d in a.tensor.dims if isinstance(d, int)) for a in node.args]
    numbers = [np.full(shape, -1) for shape in shapes]
    join = np.concatenate if node.op.name == "concat" else np.stack
    for k, operand in enumerate(node.args):
        if operand in known:
            numbers[k] = np.arange(prod(shapes[k])).reshape(shapes[k])
            places = join(numbers, axis=node["axis"]).ravel()
            (rows,) = np.nonzero(places >= 0)
            yield operand, rows, places[rows]
            numbers[k] = np.full(shapes[k], -1)


class _Unknown(Exception):
    """A position that follows from values that are not known."""


class _Reading:
    """The places that a formula reads, for all values of its letters."""

    def __init__(self, node: Node, formula: Formula, known: Mapping[Node, Any]) -> None:
        self.node, self.formula, self.known = node, formula, known
        self.found: list[Part] = []
        self.sizes = {n: int(d) for n, d in formula.extents if isinstance(d, int)}

    def parts(self) -> list[Part] | None:
        try:
            self.visit(self.formula.body, True)
        except _Unknown:
            return None
        return self.found

    @cached_property
    def letters(self) -> dict[str, Array]:
        import numpy as np

        return dict(zip(self.sizes, np.ogrid[tuple(slice(n) for n in self.sizes.values())], strict=True))

    @cached_property
    def row(self) -> Array:
        """The entry of the result."""
        return self.flat([Composed(axis) for axis in self.formula.axes], self.node.tensor)[0]

    def flat(self, places: Any, type: TensorType) -> tuple[Array, Array]:
        """Positions as one number, and whether they are inside."""
        import numpy as np

        number, inside = np.asarray(0), np.asarray(True)
        for place, dim in zip(places, type.dims, strict=True):
            here = self.value(place)
            if here is None or not isinstance(dim, int):
                raise _Unknown
            number, inside = number * dim + here, inside & (here >= 0) & (here < dim)
        return number, inside

    def value(self, scalar: Scalar | Composed) -> Array | None:
        """What a scalar is for all letters, if it follows from these and from constants."""
        import numpy as np

        match scalar:
            case Composed(letters=letters):
                number = np.asarray(0)
                for name in letters:
                    number = number * self.sizes[name] + self.letters[name]
                return number
            case LetterValue(name=name):
                return self.letters[name]
            case Literal():
                return np.asarray(scalar.value)
            case SizeValue(dim=dim):
                return np.asarray(dim) if isinstance(dim, int) else None
            case Access(operand=operand, pad=None) if self.node.args[operand].op is CONSTANT:
                places, inside = self.flat(scalar.indices, self.node.args[operand].tensor)
                data: Array = self.node.args[operand]["data"].array
                return data.ravel()[np.where(inside, places, 0)]
            case Apply(function=function, arguments=arguments):
                values = [self.value(a) for a in arguments]
                known = [v for v in values if v is not None]
                return SCALARS[function].meaning(np, *known) if len(known) == len(values) else None
        return None

    def visit(self, scalar: Scalar, mask: Any) -> None:
        """Note what a scalar depends on, where the mask holds."""
        import numpy as np

        match scalar:
            case Access(operand=operand) if self.node.args[operand] in self.known:
                here = self.node.args[operand]
                places, inside = self.flat(scalar.indices, here.tensor)
                shape = tuple(self.sizes.values())
                kept = np.broadcast_to(inside & mask, shape)
                rows, columns = (np.broadcast_to(a, shape)[kept] for a in (self.row, places))
                self.found.append((here, rows, columns))
            case Apply(function="mul", arguments=(x, y)):
                for one, other in ((x, y), (y, x)):
                    factor = self.value(other)
                    self.visit(one, mask if factor is None else mask & (factor != 0))
            case Apply(function="select", arguments=(test, x, y)):
                holds = self.value(test)
                self.visit(x, mask if holds is None else mask & holds)
                self.visit(y, mask if holds is None else mask & ~holds)
            case Apply(function=function, arguments=arguments) if function not in _STEPS:
                for argument in arguments:
                    self.visit(argument, mask)
            case Reduction(guard=guard, body=body):
                holds = None if guard is None else self.value(guard)
                self.visit(body, mask if holds is None else mask & holds)


# ---- colours


def _coloured(pattern: Any, most: int) -> Colouring | None:
    """Colours and dense rows, at most so many together, and more than one: a diagonal matrix is found as it is."""
    import numpy as np

    counts = np.diff(pattern.indptr)
    # rows with more entries than so many are dense; of these numbers the one with the fewest directions at least
    limits = np.unique(counts)
    limit = min(limits, key=lambda limit: int(limit) + int((counts > limit).sum()))
    dense = np.flatnonzero(counts > limit)
    if limit + len(dense) > most or limit + len(dense) < 2:
        return None
    by_column = pattern.tocsc()
    taken = [0] * pattern.shape[0]  # the colours of each row, as bits
    for row in dense:
        taken[row] = -1
    colours = np.zeros(pattern.shape[1], np.int64)
    for column in range(pattern.shape[1]):
        own = [r for r in by_column.indices[by_column.indptr[column] : by_column.indptr[column + 1]] if taken[r] >= 0]
        others = 0
        for row in own:
            others |= taken[row]
        colour = (~others & (others + 1)).bit_length() - 1  # the first that none has
        if colour + len(dense) >= most:
            return None
        colours[column] = colour
        for row in own:
            taken[row] |= 1 << colour
    return _directions(pattern.tocoo(), colours, dense)


def _directions(pattern: Any, colours: Array, dense: Array) -> Colouring:
    import numpy as np

    rows, columns = (places.astype(np.int64) for places in (pattern.row, pattern.col))
    height, width = pattern.shape
    number = np.full(height, -1)
    number[dense] = np.arange(len(dense))
    by_row = number[rows] >= 0
    forward = backward = None
    if not by_row.all():
        mark = Apply("eq", (Access(0, (LetterValue("j"),)), LetterValue("c")))
        marks = _marks(mark, int(colours.max()) + 1, width, _constant("colours", colours))
        sources = (colours[columns] * height + rows)[~by_row]
        forward = Directions(marks, _constant("entries_by_colour", sources))
    if by_row.any():
        mark = Apply("eq", (Access(0, (LetterValue("c"),)), LetterValue("j")))
        marks = _marks(mark, len(dense), height, _constant("rows", dense))
        backward = Directions(marks, _constant("entries_by_row", (number[rows] * width + columns)[by_row]))
    places = rows * width + columns
    return Colouring(forward, backward, _constant("places", np.concatenate([places[~by_row], places[by_row]])))


def _marks(mark: Scalar, count: int, size: int, numbers: Node) -> Node:
    """Rows that are one where the mark holds."""
    body = Apply("select", (mark, Literal("1.0"), Literal("0.0")))
    return index(Formula((("c",), ("j",)), (("c", count), ("j", size)), body), (numbers,))


def _constant(name: str, numbers: Array) -> Node:
    from tpc.passes.approximation.projected import constant

    return constant(f"jacobian_{name}", numbers, I64)
