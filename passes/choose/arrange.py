"""Arrays brought into the order of axes that a step needs: views where possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpc.ir.build import index, literal, make
from tpc.ir.dims import DimLike, product
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Reduction, Scalar
from tpc.ir.node import Node
from tpc.passes.choose.value import Built
from tpc.passes.contraction.form import Axes, Contraction

Extents = Mapping[int, DimLike] | Sequence[DimLike]


def permuted(node: Node, order: Sequence[int]) -> Node:
    """The array with its axes in another order."""
    if list(order) == list(range(len(order))):
        return node
    if len(order) >= 2 and [*range(len(order) - 2), len(order) - 1, len(order) - 2] == list(order):
        return make("transpose", (node,))
    return make("permute", (node,), axes=tuple(order))


def reshaped(node: Node, dims: Sequence[DimLike]) -> Node:
    """The array with other axes; what was reshaped before goes there at once."""
    while node.op.name in ("reshape", "unsqueeze"):
        node = node.args[0]
    return node if node.tensor.dims == tuple(dims) else make("reshape", (node,), dims=tuple(dims))


def spread(built: Built, axes: Axes) -> Node:
    """The array with axes of size 1 in the places of those that it lacks, so that it stretches to all of them."""
    order = [n for axis in axes for n in axis if n in built.letters]
    node = permuted(built.node, [built.letters.index(n) for n in order])
    if not order:
        return node
    sizes = dict(zip(order, node.tensor.dims, strict=True))
    first = next(k for k, axis in enumerate(axes) if axis and axis[0] in sizes)
    dims = [sizes.get(axis[0], 1) if axis else 1 for axis in axes[first:]]
    if node.tensor.dims == tuple(dims):
        return node
    if node.op.name == "reshape" and node.args[0].tensor.dims == tuple(dims):
        return node.args[0]
    for k, dim in enumerate(dims):
        if k >= len(node.tensor.dims) or node.tensor.dims[k] != dim:
            node = make("unsqueeze", (node,), axis=k)
    return node


def grouped(built: Built, groups: Sequence[Sequence[int]], extents: Extents) -> Node:
    """The array of a part with one axis for each group of letters."""
    wanted = [n for group in groups for n in group]
    node = permuted(built.node, [built.letters.index(n) for n in wanted])
    return reshaped(node, [product(extents[n] for n in group) for group in groups])


def is_plain(axes: Axes) -> bool:
    """Whether every axis is one letter of its own."""
    letters = [n for axis in axes for n in axis]
    return len(letters) == len(axes) == len(set(letters))


def read(node: Node, axes: Axes, form: Contraction) -> Built:
    """An operand over its letters: axes split, those of size 1 left out, diagonals taken, lone letters summed."""
    letters = tuple(n for axis in axes for n in axis)
    output = set(form.output_letters)
    distinct = len(set(letters)) == len(letters)
    if distinct and not set(letters) - output:
        return Built(reshaped(node, [form.extents[n] for n in letters]), letters)
    if is_plain(axes):
        summed = [k for k, n in enumerate(letters) if n not in output]
        axis = None if len(summed) == len(letters) else summed[0] if len(summed) == 1 else tuple(summed)
        return Built(make("sum", (node,), axis=axis), tuple(n for n in letters if n in output))
    if axes == (letters[:1], letters[:1]) and len(set(letters)) == 1:
        return Built(make("diag" if letters[0] in output else "trace", (node,)), letters[:1] if output else ())
    kept = tuple(n for n in dict.fromkeys(letters) if n in output)
    return Built(by_formula([node], [axes], kept, form), kept)


def by_formula(nodes: Sequence[Node], inputs: Sequence[Axes], output: Sequence[int], form: Contraction) -> Node:
    """A product of operands summed over letters, as an index statement."""
    names = {n: f"i{n}" for n in range(len(form.extents))}
    own = list(dict.fromkeys(nodes))

    def access(k: int) -> Scalar:
        places: list[Scalar | Composed] = []
        for axis in inputs[k]:
            if not axis:
                places.append(Literal("0"))
            else:
                places.append(
                    LetterValue(names[axis[0]]) if len(axis) == 1 else Composed(tuple(names[n] for n in axis))
                )
        return Access(own.index(nodes[k]), tuple(places))

    body = access(0)
    for k in range(1, len(nodes)):
        body = Apply("mul", (body, access(k)))
    used = dict.fromkeys(n for axes in inputs for axis in axes for n in axis)
    summed = tuple(names[n] for n in used if n not in output)
    if summed:
        body = Reduction("sum", summed, None, body)
    extents = tuple((names[n], form.extents[n]) for n in dict.fromkeys([*output, *used]))
    return index(Formula(tuple((names[n],) for n in output), extents, body), own)


def shown(built: Built, form: Contraction) -> Node:
    """A part as the result of its contraction: axes in order and joined, repeated and missing letters filled in."""
    output = form.output
    letters = [n for axis in output for n in axis]
    if len(set(letters)) == len(letters) and set(letters) == set(built.letters):
        return grouped(built, output, form.extents)
    if output == (built.letters, built.letters) and len(built.letters) == 1:
        return make("diag", (built.node,))
    distinct = tuple(dict.fromkeys(letters))
    if len(distinct) == len(letters):
        return _stretched(built, form, distinct)
    if output == (distinct, distinct) and not built.letters and len(distinct) == 1:
        unit = make("eye", (), i=form.extents[distinct[0]], dtype=built.node.tensor.dtype)
        return make("mul", (built.node, unit))
    return _spread(built, form)


def _stretched(built: Built, form: Contraction, letters: Sequence[int]) -> Node:
    """The part repeated along the letters that it has not."""
    order = [n for n in letters if n in built.letters]
    node = permuted(built.node, [built.letters.index(n) for n in order])
    missing = [k for k, n in enumerate(letters) if n not in built.letters]
    if missing[:1] == [0] and missing == list(range(len(missing))):
        missing = []  # leading axes come by themselves
    for k in missing:
        node = make("unsqueeze", (node,), axis=k)
    node = make("broadcast_to", (node,), dims=tuple(form.extents[n] for n in letters))
    return reshaped(node, form.dims)


def _spread(built: Built, form: Contraction) -> Node:
    """The part with letters that occur twice in the result: zero where they differ."""
    names = {n: f"i{n}" for n in range(len(form.extents))}
    extents = {names[n]: form.extents[n] for n in range(len(form.extents))}
    body: Scalar = Access(0, tuple(LetterValue(names[n]) for n in built.letters))
    axes: list[tuple[str, ...]] = []
    seen: set[int] = set()
    for axis in form.output:
        own: list[str] = []
        for n in axis:
            name = names[n]
            if n in seen:
                name = f"{names[n]}x{len(extents)}"
                extents[name] = form.extents[n]
                same = Apply("eq", (LetterValue(names[n]), LetterValue(name)))
                body = Apply("select", (same, body, Literal("0")))
            seen.add(n)
            own.append(name)
        axes.append(tuple(own))
    used = {name for axis in axes for name in axis}
    return index(Formula(tuple(axes), tuple((n, e) for n, e in extents.items() if n in used), body), [built.node])


def one(form: Contraction) -> Built:
    """The part of no operands."""
    del form
    return Built(literal(1))
