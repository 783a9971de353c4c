"""Sums of multiples; where diagonal matrices are added to others, only the diagonal is added to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.ir.build import cast, exact_cast, literal, literal_value, make
from tpc.ir.node import Node
from tpc.ir.ops.structure import LITERAL
from tpc.ir.types import TensorType
from tpc.passes.choose.arrange import shown, spread
from tpc.passes.choose.value import Built, Value, Way, Whole
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.form import Axes, letters_of
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Number, Sum

if TYPE_CHECKING:
    from tpc.passes.choose.menu import Menu

Place = tuple[Axes, dict[int, int]]
"""The axes that a part is stretched to, and its letters in terms of theirs."""

Total = Callable[[Sequence[Built]], Node]
"""The nodes of a sum, given what it needs."""

Summand = tuple[Number, int]
"""A class, and how many times it is added."""


def sum_ways(menu: Menu, number: int, term: Sum) -> Iterator[Way]:
    """A sum entry by entry, and with what is diagonal added to the diagonal alone."""
    type = menu.graph.tensor(number)
    summands = list(zip(term.coefficients, term.children, strict=True))
    needs, total = _total(menu, summands, type)
    yield menu.way(needs, lambda built: Built(total(built)), term, "sum")
    if len(type.dims) != 2 or type.dims[0] != type.dims[1]:
        return
    diagonal = [s for s in summands if _diagonal(menu.graph, s[1]) is not None]
    if menu.kernels and 0 < len(diagonal) < len(summands):
        others, rest = _total(menu, [s for s in summands if s not in diagonal], type)
        more, added = _added(menu, diagonal, type)

        def build(built: Sequence[Built]) -> Built:
            node = make("add_diagonal", (rest(built[: len(others)]), added(built[len(others) :])))
            return Built(node if node.type is type else cast(node, type.dtype))

        yield menu.way((*others, *more), build, term, "sum")


def _total(menu: Menu, summands: Sequence[Summand], type: TensorType) -> tuple[tuple[Value, ...], Total]:
    """What a sum needs, and the sum of that."""
    graph = menu.graph
    needs: list[Value] = []
    places: list[Place | None] = []  # of what is stretched to the others
    numbers = [_is_ones(graph, child) for _, child in summands]
    for (_, child), is_number in zip(summands, numbers):
        if not is_number:
            need, place = _summand(menu, graph.find(child))
            needs.append(need)
            places.append(place)

    def total(built: Sequence[Built]) -> Node:
        nodes = [_placed(b, place) for b, place in zip(built, places)]
        parts = [(c, None if n else nodes.pop(0)) for (c, _), n in zip(summands, numbers)]
        return _summed(parts, type)

    return tuple(needs), total


def _added(menu: Menu, summands: Sequence[Summand], type: TensorType) -> tuple[tuple[Value, ...], Total]:
    """What diagonal matrices need, and what they add to the diagonal: a vector, or a number."""
    needs: list[Value] = []
    places: list[tuple[Contraction, dict[int, int]] | None] = []
    for _, child in summands:
        form, children = _diagonal(menu.graph, child) or (None, ())
        assert form is not None
        if not children:
            places.append(None)
            continue
        value, back = menu.part(form, children, range(len(children)))
        needs.append(value)
        places.append((form, back))

    def total(built: Sequence[Built]) -> Node:
        waiting = list(built)
        parts: list[tuple[Number, Node | None]] = []
        for (coefficient, _), place in zip(summands, places):
            if place is None:
                parts.append((coefficient, None))
                continue
            here, (form, back) = waiting.pop(0), place
            letters = tuple(back[n] for n in here.letters)
            parts.append((coefficient, shown(Built(here.node, letters), form) if letters else here.node))
        dims = type.dims[:1] if any(node is not None and node.tensor.dims for _, node in parts) else ()
        return _summed(parts, TensorType(type.dtype, dims))

    return tuple(needs), total


def _diagonal(graph: EGraph, number: int) -> tuple[Contraction, tuple[int, ...]] | None:
    """The diagonal of a matrix that is written as one with that diagonal and zeros, as a contraction."""
    term = graph[number].product
    if term is None or len(term.form.output) != 2 or term.form.output[0] != term.form.output[1]:
        return None
    return Contraction(term.form.inputs, term.form.output[:1], term.form.extents), term.children


def _summand(menu: Menu, number: int) -> tuple[Value, Place | None]:
    """A summand: one that is only stretched to the others is taken as it is before."""
    term = menu.graph[number].product
    if term is None or not term.children or any(len(axis) > 1 for axis in term.form.output):
        return Whole(number), None
    letters = letters_of(term.form.output)
    present = {n for axes in term.form.inputs for n in letters_of(axes)}
    if len(set(letters)) != len(letters) or set(letters) <= present:
        return Whole(number), None
    value, back = menu.part(term.form, term.children, range(len(term.children)))
    return value, (term.form.output, back)


def _placed(built: Built, place: Place | None) -> Node:
    if place is None:
        return built.node
    axes, back = place
    return spread(Built(built.node, tuple(back[n] for n in built.letters)), axes)


def _is_ones(graph: EGraph, number: int) -> bool:
    term = graph[number].product
    return (
        term is not None and not term.children and len(set(term.form.output_letters)) == len(term.form.output_letters)
    )


def _summed(parts: Sequence[tuple[Number, Node | None]], type: TensorType) -> Node:
    """A sum of multiples; None stands for the number one. What multiplies all of them is multiplied once."""
    first = parts[0][0] if parts else 1
    common = -first if first < 0 else first
    alike = all(c in (common, -common) for c, _ in parts)
    if common not in (0, 1) and alike and sum(node is not None for _, node in parts) > 1:
        return _multiple(common, _summed([(c / common, node) for c, node in parts], type), type)
    ordered = sorted(parts, key=lambda p: (p[0] < 0, p[1] is None))
    total: Node | None = None
    for coefficient, node in ordered:
        if total is None:
            total = _multiple(coefficient, node, type)
        elif coefficient < 0:
            total = make("sub", (total, _multiple(-coefficient, node, type)))
        else:
            total = make("add", (total, _multiple(coefficient, node, type)))
    if total is None or literal_value(total) == 0:
        return make("zeros", (), dims=type.dims, dtype=type.dtype)
    if total.op is LITERAL and type.dims:
        return make("full", (total,), dims=type.dims, dtype=type.dtype)
    if total.tensor.dims != type.dims:
        total = make("broadcast_to", (total,), dims=type.dims)
    return total if total.type is type else cast(total, type.dtype)


def _multiple(coefficient: Number, node: Node | None, type: TensorType) -> Node:
    if node is None:
        return literal(_number(coefficient))
    if node.tensor.dtype.kind == "c" and type.dtype.kind != "c":
        node = exact_cast(node, type.dtype)  # an identity is one value for all formats
    if coefficient == 1:
        return node
    if coefficient == -1:
        return make("neg", (node,))
    if isinstance(coefficient, Fraction) and coefficient.denominator != 1 and abs(coefficient.numerator) == 1:
        return make("div", (node, literal(coefficient.denominator * coefficient.numerator)))
    return make("mul", (literal(_number(coefficient)), node))


def _number(value: Number) -> int | float:
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else float(value)
    return value
