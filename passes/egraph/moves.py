"""What holds of sums, contractions and parts of arrays in general, and is no rule of text (see `MOVES`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from tpc.ir.dims import DimLike
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction, compose, diagonal, tidy
from tpc.passes.contraction.form import Axes, letters_of
from tpc.passes.egraph.facts import at_least
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.move import Move
from tpc.passes.egraph.sums import distributed, factored, joined
from tpc.passes.egraph.terms import Applied, Contract, Sum, Term

MOVES = {
    "distribute": "a product with a sum is the sum of the products",
    "join_sums": "a sum of sums is one sum",
    "factor": "a sum of products with a common factor is a product with a sum",
    "flatten": "a product of products is one product",
    "diagonal": "a diagonal matrix is the matrix with its diagonal",
    "zeros_of_triangle": "what meets only zeros of a triangular matrix is left out",
    "part_of_sum": "a part of a sum is the sum of the parts",
    "part_of_product": "a part of a product is the product of parts of its factors",
    "part_of_entries": "a part of what is computed entry by entry is computed from parts",
    "rows_of_product": "rows or columns of a product, at given positions, are products of those of its factors",
}

MOST_TOGETHER = 12  # operands of a contraction that is put together from others


def moves(
    graph: EGraph, number: int, term: Term, sizes: Callable[[DimLike], int], mode: str = "stable"
) -> Iterator[Move]:
    """What a term of a class is equal to; in mode `fast` also where rounding may be worse."""
    match term:
        case Contract():
            yield from distributed(graph, number, term, mode, sizes)
            yield from flattened(graph, number, term)
            yield from _without_zeros(graph, number, term)
        case Sum():
            yield from joined(graph, number, term)
            yield from factored(graph, number, term)
        case Applied(op=op) if op is SUBSCRIPT:
            yield from _part(graph, number, term)
        case Applied(op=op) if op.name == "take" and len(graph.tensor(term.children[1]).dims) == 1:
            for inner in list(graph[term.children[0]].terms):
                if isinstance(inner, Contract):
                    yield Move("rows_of_product", (), (inner,), partial(_gathered, graph, number, term, inner))
    yield from _diagonal(graph, number)


def flattened(graph: EGraph, number: int, term: Contract) -> Iterator[Move]:
    """The contraction over what its operands are contractions of."""
    for position, child in enumerate(term.children):
        found = graph[child]
        for inner in list(found.terms):
            if inner in graph.superseded:
                continue
            if not isinstance(inner, Contract) or graph.find(number) in map(graph.find, inner.children):
                continue
            if len(term.children) + len(inner.children) - 1 > MOST_TOGETHER or graph.find(child) in inner.children:
                continue
            yield Move("flatten", (position,), (inner,), partial(_flat, graph, number, term, position, inner))


def _flat(graph: EGraph, number: int, term: Contract, position: int, inner: Contract) -> int | None:
    composed = compose(term.form, position, inner.form)
    if composed is None or composed[1]:
        return None
    children = [*term.children[:position], *inner.children, *term.children[position + 1 :]]
    return graph.contract(composed[0], children, graph.tensor(number).dtype)


def _diagonal(graph: EGraph, number: int) -> Iterator[Move]:
    """A matrix that is known to be diagonal is the matrix with its diagonal."""
    found = graph[number]
    if not isinstance(found.type, TensorType) or len(found.tensor.dims) != 2:
        return
    n, m = found.tensor.dims
    if n != m or n == 1 or not graph.knows(number, "diagonal") or graph.diagonal_of(number) is not None:
        return

    def made() -> int:
        entries = graph.contract(Contraction((((0,), (0,)),), ((0,),), (n,)), [number], found.tensor.dtype)
        return graph.contract(diagonal(n), [entries], found.tensor.dtype)

    yield Move("diagonal", (found.id,), (), made)


# ---- parts of arrays

Selector = tuple[At | Range, int | None]
"""What is taken of an axis, with the class of the position where only the run tells it."""


def _part(graph: EGraph, number: int, term: Applied) -> Iterator[Move]:
    array, *positions = term.children
    selectors: list[Selector] = []
    for item in term["items"]:
        dynamic = isinstance(item, At) and item.position is None
        selectors.append((item, positions.pop(0) if dynamic else None))
    for inner in list(graph[array].terms):
        name = _of_parts(graph, array, inner)
        if name is not None:
            yield Move(name, (), (inner,), partial(_from_parts, graph, number, array, inner, selectors))


def _of_parts(graph: EGraph, array: int, inner: Term) -> str | None:
    """The move by which a part of an array is made of parts of what the array is made of."""
    match inner:
        case Sum():
            return "part_of_sum"
        case Contract():
            return "part_of_product"
        case Applied(op=op) if op.group == "elementwise":
            dims = graph.tensor(array).dims
            return "part_of_entries" if all(graph.tensor(c).dims in ((), dims) for c in inner.children) else None
    return None


def _from_parts(graph: EGraph, number: int, array: int, inner: Term, selectors: Sequence[Selector]) -> int | None:
    type = graph.tensor(number)
    match inner:
        case Sum():
            parts = [(c, _taken(graph, n, selectors)) for c, n in zip(inner.coefficients, inner.children)]
            return graph.sum(parts, type)
        case Contract():
            return _part_of_contraction(graph, inner, selectors, type)
        case Applied(op=op):
            children = [_taken(graph, c, selectors) if graph.tensor(c).dims else c for c in inner.children]
            return graph.apply(op, children, inner.attributes, type)
    return None


def _taken(graph: EGraph, number: int, selectors: Sequence[Selector]) -> int:
    """A part of a class."""
    type = graph.tensor(number)
    whole = [item == Range(0, dim, 1) for (item, _), dim in zip(selectors, type.dims, strict=True)]
    if all(whole):
        return number
    items = tuple(item for item, _ in selectors)
    children = [number, *(c for _, c in selectors if c is not None)]
    dims = [item.count for item in items if isinstance(item, Range)]
    return graph.apply(SUBSCRIPT, children, [("items", items)], TensorType(type.dtype, dims))


def _part_of_contraction(graph: EGraph, term: Contract, selectors: Sequence[Selector], type: TensorType) -> int | None:
    """A part of a product: of every operand, the part along the letters that are not taken whole."""
    form = term.form
    taken: dict[int, Selector] = {}
    output: list[tuple[int, ...]] = []
    extents = list(form.extents)
    for axis, (item, position), dim in zip(form.output, selectors, form.dims, strict=True):
        if item == Range(0, dim, 1):
            output.append(axis)
            continue
        if len(axis) != 1 or sum(axis[0] in other for other in form.output) != 1:
            return None
        taken[axis[0]] = (item, position)
        if isinstance(item, Range):
            output.append(axis)
            extents[axis[0]] = item.count
    if not any(n in taken for axes in form.inputs for axis in axes for n in axis):
        return None
    return _along(graph, term, taken, tuple(output), extents, type)


def _along(
    graph: EGraph,
    term: Contract,
    taken: Mapping[int, Selector],
    output: Axes,
    extents: Sequence[DimLike],
    type: TensorType,
) -> int | None:
    """A product of the parts of its operands along some letters; None where a letter is joined with others."""
    inputs: list[Axes] = []
    children: list[int] = []
    for axes, child in zip(term.form.inputs, term.children):
        if any(n in taken for axis in axes for n in axis):
            if any(len(axis) > 1 and any(n in taken for n in axis) for axis in axes):
                return None
            dims = graph.tensor(child).dims
            own = [
                taken[axis[0]] if axis and axis[0] in taken else (Range(0, dim, 1), None)
                for axis, dim in zip(axes, dims, strict=True)
            ]
            child = _taken(graph, child, own)
            axes = tuple(axis for axis, (item, _) in zip(axes, own) if isinstance(item, Range))
        inputs.append(axes)
        children.append(child)
    part = tidy(Contraction(tuple(inputs), output, tuple(extents)))
    return graph.contract(part, children, type.dtype)


def _gathered(graph: EGraph, number: int, term: Applied, inner: Contract) -> int | None:
    """What a product has at positions of one axis, from what its operands have there."""
    form, index = inner.form, graph.find(term.children[1])
    axis = form.output[term["axis"] % len(form.output)]
    (count,) = graph.tensor(index).dims
    if len(axis) != 1 or form.output_letters.count(axis[0]) != 1 or axis[0] not in sum(form.input_letters, ()):
        return None
    children = []
    for axes, letters, child in zip(form.inputs, form.input_letters, map(graph.find, inner.children)):
        if axis[0] in letters:
            if axes.count(axis) != letters.count(axis[0]) or letters.count(axis[0]) != 1:
                return None
            type, place = graph.tensor(child), axes.index(axis)
            dims = [*type.dims[:place], count, *type.dims[place + 1 :]]
            child = graph.apply(term.op, [child, index], [("axis", place)], TensorType(type.dtype, dims))
        children.append(child)
    extents = tuple(count if n == axis[0] else extent for n, extent in enumerate(form.extents))
    whole = tidy(Contraction(form.inputs, form.output, extents))
    return graph.contract(whole, children, graph.tensor(number).dtype)


def _without_zeros(graph: EGraph, number: int, term: Contract) -> Iterator[Move]:
    """The rows of an upper matrix below its triangle are zero, and so are the columns of a lower one beside it: what
    they meet is left out."""
    form = term.form
    summed = {n for axes in form.inputs for n in letters_of(axes)} - set(form.output_letters)
    for axes, child in zip(form.inputs, term.children):
        if len(axes) != 2 or any(len(axis) != 1 for axis in axes):
            continue
        for fact, long, short in (("upper", 0, 1), ("lower", 1, 0)):
            ((letter,), (other,)) = axes[long], axes[short]
            size, count = form.extents[letter], form.extents[other]
            if letter in summed and size != count and graph.knows(child, fact) and at_least(graph, size, count):
                extents = [count if n == letter else extent for n, extent in enumerate(form.extents)]
                taken: dict[int, Selector] = {letter: (Range(0, count, 1), None)}
                made = partial(_along, graph, term, taken, form.output, extents, graph.tensor(number))
                yield Move("zeros_of_triangle", (letter,), (), made)
