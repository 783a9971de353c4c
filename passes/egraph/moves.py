"""What holds of sums, contractions and parts of arrays in general, and is no rule of text (see `MOVES`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tpc.ir.dims import DimLike
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction, compose, diagonal, tidy
from tpc.passes.contraction.form import Axes, letters_of
from tpc.passes.egraph.facts import at_least
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum, Term

MOVES = {
    "distribute": "a product with a sum is the sum of the products",
    "factor": "a sum of products with a common factor is a product with a sum",
    "flatten": "a product of products is one product",
    "diagonal": "a diagonal matrix is the matrix with its diagonal",
    "zeros_of_triangle": "what meets only zeros of a triangular matrix is left out",
    "part_of_sum": "a part of a sum is the sum of the parts",
    "part_of_product": "a part of a product is the product of parts of its factors",
    "part_of_entries": "a part of what is computed entry by entry is computed from parts",
}

MOST_SUMMANDS = 6  # of a sum that a product is distributed over
MOST_PRODUCTS = 2  # ways to write a summand that are looked through for common factors
MOST_TOGETHER = 12  # operands of a contraction that is put together from others

Found = Iterator[tuple[str, int, tuple[Term, ...]]]
"""Names of moves, classes that are equal to the one at hand, and the terms of its operands that they were read by."""


def moves(graph: EGraph, number: int, term: Term, mode: str = "stable") -> Found:
    """What a term of a class is equal to; in mode `fast` also where rounding may be worse."""
    match term:
        case Contract():
            yield from _distributed(graph, number, term, mode)
            yield from _flattened(graph, number, term)
            yield from _without_zeros(graph, number, term)
        case Sum():
            yield from _factored(graph, number, term)
        case Applied(op=op) if op is SUBSCRIPT:
            yield from _part(graph, number, term)
    yield from _diagonal(graph, number)


def _distributed(graph: EGraph, number: int, term: Contract, mode: str) -> Found:
    children = [graph.find(c) for c in term.children]
    for position, child in enumerate(children):
        for inner in list(graph[child].terms):
            if not isinstance(inner, Sum) or not 2 <= len(inner.children) <= MOST_SUMMANDS:
                continue
            if mode != "fast" and (children.count(child) > 1 or _may_cancel(graph, inner)):
                continue
            parts = []
            for coefficient, summand in zip(inner.coefficients, inner.children):
                children = list(term.children)
                children[position] = summand
                parts.append((coefficient, graph.contract(term.form, children, graph.tensor(number).dtype)))
            yield "distribute", graph.sum(parts, graph.tensor(number)), (inner,)


def _may_cancel(graph: EGraph, term: Sum) -> bool:
    """Whether a sum may be known to far more digits than its summands, which are multiplied when it is distributed.

    The error of a summand that is computed bounds that of the sum from below; so at most one may be exact. (A sum that
    is multiplied with itself must not be distributed in any case: the error of `(x - m)' @ (x - m)` is that of its
    small factors, squared.)
    """
    return sum(_is_exact(graph, c) for c in term.children) > 1 and any(c < 0 for c in term.coefficients)


def _is_exact(graph: EGraph, number: int, depth: int = 0) -> bool:
    """Whether a class is given, not computed: an input or number, or a rearrangement of one."""
    found = graph[number]
    term = found.product
    if depth > 4 or term is None or any(isinstance(t, Leaf) for t in found.terms):
        return any(isinstance(t, Leaf) for t in found.terms)
    summed = {n for axes in term.form.inputs for n in letters_of(axes)} - set(term.form.output_letters)
    return len(term.children) <= 1 and not summed and all(_is_exact(graph, c, depth + 1) for c in term.children)


def _flattened(graph: EGraph, number: int, term: Contract) -> Found:
    for position, child in enumerate(term.children):
        found = graph[child]
        for inner in list(found.terms):
            if not isinstance(inner, Contract) or graph.find(number) in map(graph.find, inner.children):
                continue
            if len(term.children) + len(inner.children) - 1 > MOST_TOGETHER or graph.find(child) in inner.children:
                continue
            composed = compose(term.form, position, inner.form)
            if composed is None or composed[1]:
                continue
            children = [*term.children[:position], *inner.children, *term.children[position + 1 :]]
            yield "flatten", graph.contract(composed[0], children, graph.tensor(number).dtype), (inner,)


def _diagonal(graph: EGraph, number: int) -> Found:
    """A matrix that is known to be diagonal is the matrix with its diagonal."""
    found = graph[number]
    if not isinstance(found.type, TensorType) or len(found.tensor.dims) != 2:
        return
    n, m = found.tensor.dims
    if n != m or n == 1 or not graph.knows(number, "diagonal") or graph.diagonal_of(number) is not None:
        return
    entries = graph.contract(Contraction((((0,), (0,)),), ((0,),), (n,)), [number], found.tensor.dtype)
    yield "diagonal", graph.contract(diagonal(n), [entries], found.tensor.dtype), ()


# ---- factoring

Place = tuple[int, Contract, int]
"""A factor of a product in a sum: the summand, the product, and the operand."""


def _factored(graph: EGraph, number: int, term: Sum) -> Found:
    """The products in a sum that share an outer factor, as that factor times a sum; the rest of the sum stays."""
    type = graph.tensor(number)
    shared: dict[tuple[object, ...], dict[int, Place]] = {}
    for k, child in enumerate(term.children):
        products = [t for t in graph[child].terms if isinstance(t, Contract)]
        for product in products[:MOST_PRODUCTS]:
            for position, factor in enumerate(product.children):
                hangs = _hangs(product, position)
                if hangs is not None:
                    shared.setdefault((graph.find(factor), hangs), {}).setdefault(k, (k, product, position))
    for places in shared.values():
        if len(places) < 2:
            continue
        common = _common(graph, term, list(places.values()), type)
        if common is not None:
            rest = [(c, n) for k, (c, n) in enumerate(zip(term.coefficients, term.children)) if k not in places]
            yield "factor", graph.sum([(1, common), *rest], type), tuple(p for _, p, _ in places.values())


def _hangs(term: Contract, position: int) -> tuple[tuple[int, bool], ...] | None:
    """How an outer factor hangs in a product: where its letters are in the result, and which others have them."""
    form = term.form
    letters = letters_of(form.inputs[position])
    output = form.output_letters
    if not set(letters) & set(output) or len(set(letters)) != len(letters) or len(set(output)) != len(output):
        return None
    others = {n for k, axes in enumerate(form.inputs) if k != position for n in letters_of(axes)}
    return tuple((output.index(n) if n in output else -1, n in others) for n in letters)


def _common(graph: EGraph, total: Sum, places: Sequence[Place], type: TensorType) -> int | None:
    """The common factor times the sum of what is left of the products."""
    parts: list[tuple[Number, int]] = []
    pattern: list[tuple[bool, int]] = []
    whole: Contraction | None = None
    grouping = [len(axis) for axis in places[0][1].form.output]
    for k, term, position in places:
        form = term.form
        own, output = letters_of(form.inputs[position]), form.output_letters
        rest = [axes for n, axes in enumerate(form.inputs) if n != position]
        kept = [n for n in dict.fromkeys(n for axes in rest for n in letters_of(axes)) if n in output or n in own]
        keys = [(True, own.index(n)) if n in own else (False, output.index(n)) for n in kept]
        if whole is None:
            pattern = keys
            letters = tuple((n,) for n in kept)
            whole = tidy(Contraction((form.inputs[position], letters), form.output, form.extents))
        if sorted(keys) != sorted(pattern) or [len(axis) for axis in form.output] != grouping:
            return None
        order = tuple((kept[keys.index(key)],) for key in pattern)
        children = [c for n, c in enumerate(term.children) if n != position]
        made = graph.contract(tidy(Contraction(tuple(rest), order, form.extents)), children, type.dtype)
        parts.append((total.coefficients[k], made))
    if len({graph.tensor(n) for _, n in parts}) != 1 or whole is None:
        return None
    _, term, position = places[0]
    inner = graph.sum(parts, graph.tensor(parts[0][1]))
    return graph.contract(whole, [term.children[position], inner], type.dtype)


# ---- parts of arrays

Selector = tuple[At | Range, int | None]
"""What is taken of an axis, with the class of the position where only the run tells it."""


def _part(graph: EGraph, number: int, term: Applied) -> Found:
    array, *positions = term.children
    selectors: list[Selector] = []
    for item in term["items"]:
        dynamic = isinstance(item, At) and item.position is None
        selectors.append((item, positions.pop(0) if dynamic else None))
    type = graph.tensor(number)
    for inner in list(graph[array].terms):
        match inner:
            case Sum():
                parts = [(c, _taken(graph, n, selectors)) for c, n in zip(inner.coefficients, inner.children)]
                yield "part_of_sum", graph.sum(parts, type), (inner,)
            case Contract():
                made = _part_of_contraction(graph, inner, selectors, type)
                if made is not None:
                    yield "part_of_product", made, (inner,)
            case Applied(op=op) if op.group == "elementwise":
                dims = graph.tensor(array).dims
                if all(graph.tensor(c).dims in ((), dims) for c in inner.children):
                    children = [_taken(graph, c, selectors) if graph.tensor(c).dims else c for c in inner.children]
                    yield "part_of_entries", graph.apply(op, children, inner.attributes, type), (inner,)


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


def _without_zeros(graph: EGraph, number: int, term: Contract) -> Found:
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
                taken = {letter: (Range(0, count, 1), None)}
                made = _along(graph, term, taken, form.output, extents, graph.tensor(number))
                if made is not None:
                    yield "zeros_of_triangle", made, ()
