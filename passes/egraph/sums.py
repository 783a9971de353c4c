"""Sums in products and products in sums: distributed, joined, and factored again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from math import prod

from tpc.ir.dims import DimLike
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction, tidy
from tpc.passes.contraction.chain import COLUMN, DIAGONAL, MATRIX, ROW, Factor, chain_of
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph.bindings import Run
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.instance import run_class
from tpc.passes.egraph.move import Move
from tpc.passes.egraph.terms import Contract, Leaf, Number, Sum

MOST_SUMMANDS = 6  # of a sum that a product is distributed over, and of the sum that this makes
MOST_JOINED = 12  # summands of a sum of sums
MOST_PRODUCTS = 2  # ways to write a summand that are looked through for common factors


def distributed(
    graph: EGraph, number: int, term: Contract, mode: str, sizes: Callable[[DimLike], int]
) -> Iterator[Move]:
    """A product with sums as the sum of the products: of one of the sums, of all, and of one with what is beside it."""
    children = [graph.find(c) for c in term.children]
    if mode != "fast" and sum(_is_difference(graph, c) for c in children) > 1:
        return
    sums: dict[int, Sum] = {}
    for position, child in enumerate(children):
        for inner in list(graph[child].terms):
            if not isinstance(inner, Sum) or not 2 <= len(inner.children) <= MOST_SUMMANDS:
                continue
            if mode != "fast" and (children.count(child) > 1 or _may_cancel(graph, inner)):
                continue
            yield Move("distribute", (position,), (inner,), partial(_expanded, graph, number, term, {position: inner}))
            yield from _beside(graph, number, term, position, inner, sizes)
            sums.setdefault(position, inner)
    if len(sums) > 1 and prod(len(inner.children) for inner in sums.values()) <= MOST_SUMMANDS:
        through = tuple(sums.values())
        yield Move("distribute", tuple(sums), through, partial(_expanded, graph, number, term, sums))


def _expanded(graph: EGraph, number: int, term: Contract, sums: Mapping[int, Sum]) -> int:
    """The sum of all products of one summand each of the sums that stand at these positions."""
    parts = []
    for chosen in product(*(list(zip(inner.coefficients, inner.children)) for inner in sums.values())):
        children: list[int] = list(term.children)
        coefficient: Number = 1
        for position, (factor, summand) in zip(sums, chosen):
            children[position] = summand
            coefficient = coefficient * factor
        parts.append((coefficient, graph.contract(term.form, children, graph.tensor(number).dtype)))
    return graph.sum(parts, graph.tensor(number))


def _beside(
    graph: EGraph, number: int, term: Contract, position: int, inner: Sum, sizes: Callable[[DimLike], int]
) -> Iterator[Move]:
    """`(I - B) @ P @ C` as `(P - B @ P) @ C`, where P is as narrow as it can be: the identity costs nothing so."""
    if not any(graph.diagonal_of(summand) is not None for summand in inner.children):
        return
    chain = chain_of(term.form, [graph.find(c) for c in term.children])
    if chain is None or position not in chain.positions:
        return
    place = chain.positions.index(position)
    own, before, after = chain.factors[place], chain.factors[:place], chain.factors[place + 1 :]
    if own.kind != MATRIX:
        return
    for factors, others in ((after, before), (before[::-1], after)):
        is_after = factors is after
        widths = [sizes(_width(graph, factor, is_after)) for factor in factors]
        count = widths.index(min(widths)) + 1 if widths else 0
        if not count or count == len(factors) and not others:
            continue
        rest = factors[count:]
        if is_after:
            rows = Rows(own.turned, chain.scalars, (), factors[:count], others, rest)
        else:
            rows = Rows(own.turned, chain.scalars, factors[:count][::-1], (), rest[::-1], others)
        yield Move("distribute", (position, is_after), (inner,), partial(_joined_beside, graph, number, inner, rows))


@dataclass(frozen=True)
class Rows:
    """The factors around a sum in a product: those that it is distributed over, and those before and after them."""

    turned: bool
    scalars: tuple[int, ...]
    left: tuple[Factor, ...]
    right: tuple[Factor, ...]
    before: tuple[Factor, ...]
    after: tuple[Factor, ...]


def _joined_beside(graph: EGraph, number: int, inner: Sum, rows: Rows) -> int | None:
    type = graph.tensor(number)
    parts = []
    for coefficient, summand in zip(inner.coefficients, inner.children):
        run = Run((*rows.left, Factor(summand, rows.turned), *rows.right))
        parts.append((coefficient, run_class(graph, run, type.dtype)))
    part = graph.tensor(parts[0][1])
    kind = MATRIX if len(part.dims) == 2 else COLUMN if rows.right else ROW
    total = Factor(graph.sum(parts, part), False, kind)
    made = run_class(graph, Run((*rows.before, total, *rows.after), rows.scalars), type.dtype)
    return made if graph.tensor(made).dims == type.dims else None


def _width(graph: EGraph, factor: Factor, is_after: bool) -> DimLike:
    """The size of a factor on the side that looks away from what is before or after it."""
    dims = graph.tensor(factor.child).dims
    if factor.kind == MATRIX:
        return dims[-1] if factor.turned != is_after else dims[0]
    return dims[0] if factor.kind == DIAGONAL else 1


def _may_cancel(graph: EGraph, term: Sum) -> bool:
    """Whether a sum may be known to far more digits than its summands, which are multiplied when it is distributed.

    The error of a summand that is computed bounds that of the sum from below; so at most one may be exact. (Of two
    differences in a product none must be distributed in any case: in `(x - m)' @ (y - n)` the error of m meets the
    small numbers of the other, and would meet large ones in `(x - m)' @ y`.)
    """
    return sum(_is_exact(graph, c) for c in term.children) > 1 and any(c < 0 for c in term.coefficients)


def _is_difference(graph: EGraph, number: int) -> bool:
    """Whether a class is a difference that is often small beside what it is made of; of an identity it rarely is."""
    found = (t for t in graph[number].terms if isinstance(t, Sum) and any(c < 0 for c in t.coefficients))
    products = ([graph[c].product for c in t.children] for t in found)
    return any(not any(p is not None and p.form.is_diagonal for p in own) for own in products)


def _is_exact(graph: EGraph, number: int, depth: int = 0) -> bool:
    """Whether a class is given, not computed: an input or number, or a rearrangement of one."""
    found = graph[number]
    term = found.product
    if depth > 4 or term is None or any(isinstance(t, Leaf) for t in found.terms):
        return any(isinstance(t, Leaf) for t in found.terms)
    summed = {n for axes in term.form.inputs for n in letters_of(axes)} - set(term.form.output_letters)
    return len(term.children) <= 1 and not summed and all(_is_exact(graph, c, depth + 1) for c in term.children)


# ---- sums


def joined(graph: EGraph, number: int, term: Sum) -> Iterator[Move]:
    """A sum with those of its summands taken apart that are sums by now, each into as many as it can be."""
    here = graph.find(number)
    inner: dict[int, Sum] = {}
    count = len(term.children)
    for place, child in enumerate(term.children):
        own = {here, graph.find(child)}
        sums = [t for t in graph[child].terms if isinstance(t, Sum) and not own & set(map(graph.find, t.children))]
        longest = max(sums, key=lambda t: len(t.children), default=None)
        if longest is not None and 1 < len(longest.children) <= MOST_JOINED - count + 1:
            inner[place] = longest
            count += len(longest.children) - 1
    if inner:
        yield Move("join_sums", tuple(inner), tuple(inner.values()), partial(_one_sum, graph, number, term, inner))


def _one_sum(graph: EGraph, number: int, term: Sum, inner: Mapping[int, Sum]) -> int:
    parts: list[tuple[Number, int]] = []
    for place, (factor, child) in enumerate(zip(term.coefficients, term.children)):
        if place in inner:
            parts += [(factor * c, n) for c, n in zip(inner[place].coefficients, inner[place].children)]
        else:
            parts.append((factor, child))
    return graph.sum(parts, graph.tensor(number))


# ---- factoring

Place = tuple[Contract, tuple[int, ...]]
"""The factors of a product in a sum: the product, and the operands that they are."""

Hanging = tuple[int, tuple[tuple[int, bool], ...]]
"""A class, and how it hangs in a product as an outer factor."""


def factored(graph: EGraph, number: int, term: Sum) -> Iterator[Move]:
    """The products in a sum that share an outer factor, or two, as that times a sum; the rest of the sum stays."""
    shared: dict[tuple[Hanging, ...], dict[int, Place]] = {}
    for k, child in enumerate(term.children):
        products = [t for t in graph[child].terms if isinstance(t, Contract) and t not in graph.superseded]
        for found in products[:MOST_PRODUCTS]:
            outer: list[tuple[Hanging, int]] = []
            for position, factor in enumerate(found.children):
                hangs = _hangs(found, position)
                if hangs is not None:
                    outer.append(((graph.find(factor), hangs), position))
            for hanging, position in outer:
                shared.setdefault((hanging,), {}).setdefault(k, (found, (position,)))
            for (one, first), (other, second) in combinations(sorted(outer), 2):
                if not set(letters_of(found.form.inputs[first])) & set(letters_of(found.form.inputs[second])):
                    shared.setdefault((one, other), {}).setdefault(k, (found, (first, second)))
    for places in shared.values():
        if len(places) > 1:
            where = tuple((k, positions) for k, (_, positions) in places.items())
            through = tuple(found for found, _ in places.values())
            yield Move("factor", where, through, partial(_with_common, graph, number, term, places))


def _with_common(graph: EGraph, number: int, term: Sum, places: Mapping[int, Place]) -> int | None:
    type = graph.tensor(number)
    common = _common(graph, term, places, type)
    if common is None:
        return None
    rest = [(c, n) for k, (c, n) in enumerate(zip(term.coefficients, term.children)) if k not in places]
    return graph.sum([(1, common), *rest], type)


def _hangs(term: Contract, position: int) -> tuple[tuple[int, bool], ...] | None:
    """How an outer factor hangs in a product: where its letters are in the result, and which others have them."""
    form = term.form
    letters = letters_of(form.inputs[position])
    output = form.output_letters
    if not set(letters) & set(output) or len(set(letters)) != len(letters) or len(set(output)) != len(output):
        return None
    others = {n for k, axes in enumerate(form.inputs) if k != position for n in letters_of(axes)}
    return tuple((output.index(n) if n in output else -1, n in others) for n in letters)


def _common(graph: EGraph, total: Sum, places: Mapping[int, Place], type: TensorType) -> int | None:
    """The common factors times the sum of what is left of the products."""
    parts: list[tuple[Number, int]] = []
    pattern: list[tuple[bool, int]] = []
    whole: Contraction | None = None
    first, taken = next(iter(places.values()))
    grouping = [len(axis) for axis in first.form.output]
    for k, (term, positions) in places.items():
        form = term.form
        own, output = [n for p in positions for n in letters_of(form.inputs[p])], form.output_letters
        rest = [axes for n, axes in enumerate(form.inputs) if n not in positions]
        kept = [n for n in dict.fromkeys(n for axes in rest for n in letters_of(axes)) if n in output or n in own]
        keys = [(True, own.index(n)) if n in own else (False, output.index(n)) for n in kept]
        if whole is None:
            pattern = keys
            letters = tuple((n,) for n in kept)
            whole = tidy(Contraction((*(form.inputs[p] for p in positions), letters), form.output, form.extents))
        if sorted(keys) != sorted(pattern) or [len(axis) for axis in form.output] != grouping:
            return None
        order = tuple((kept[keys.index(key)],) for key in pattern)
        children = [c for n, c in enumerate(term.children) if n not in positions]
        made = graph.contract(tidy(Contraction(tuple(rest), order, form.extents)), children, type.dtype)
        parts.append((total.coefficients[k], made))
    if len({graph.tensor(n) for _, n in parts}) != 1 or whole is None:
        return None
    inner = graph.sum(parts, graph.tensor(parts[0][1]))
    return graph.contract(whole, [*(first.children[p] for p in taken), inner], type.dtype)
