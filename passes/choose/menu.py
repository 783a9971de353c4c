"""The ways in which each value of an e-graph may be computed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace

from tpc.ir.build import cast, input_node, literal, make
from tpc.ir.node import Node
from tpc.ir.ops.structure import INPUT
from tpc.ir.types import F64, DType, TensorType, promote_all
from tpc.passes.choose.arrange import read, reshaped, shown
from tpc.passes.choose.order import Parts, TooMany, splits, steps, tree
from tpc.passes.choose.pairs import pair_ways
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.choose.roots import root_ways
from tpc.passes.choose.solves import (
    UNASKED,
    charge,
    factor_ways,
    factored,
    inverse_ways,
    is_inverse,
    kinds,
    solve_ways,
)
from tpc.passes.choose.structured import structured_ways
from tpc.passes.choose.sums import sum_ways
from tpc.passes.choose.value import VIEW, Build, Built, Factors, Part, Value, Way, Whole, seconds_of
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Sum, Term
from tpc.passes.kernels import Kernel, kernels_of
from tpc.passes.stages.times import Uses

LAST_RESORT = 10**9  # how many times its price a step counts that loses digits where others do not
MOST_SPLITS = 2_000  # that are looked at in a menu; some 400 microseconds each

Split = tuple[tuple[int, ...], tuple[int, ...]]
"""The operands of both sides of a step."""


class Menu:
    """For each value, its ways; found when they are asked for, and kept.

    Without `kernels`, no inverse becomes a solve yet, and no way knows of triangles and bands.
    """

    def __init__(self, graph: EGraph, prices: Prices, sizes: Sizes, kernels: bool = True) -> None:
        self.graph, self.prices, self.sizes, self.kernels = graph, prices, sizes, kernels
        self.uses = Uses(graph)
        self.known: dict[Value, tuple[Way, ...]] = {}
        self.inverses: dict[int, bool] = {}
        self.arranged = Parts(lambda number: graph.knows(number, "symmetric"))
        self.planned: dict[Part, list[Split]] = {}
        self.looked = 0  # at how many splits
        self.ordered: set[Part] = set()  # parts of an order that leaves no other way
        self.stand_ins: dict[Value, Built] = {}
        self.parts: dict[Part, list[tuple[int, Contract, dict[int, int]]]] = {}
        self.met: set[int] = set()
        self.base: Menu | None = None  # that has the same ways, at other sizes
        self.extend()

    def at(self, sizes: Sizes) -> Menu:
        """The same ways at the prices of other sizes."""
        made = copy(self)
        made.sizes, made.known, made.base = sizes, {}, self
        return made

    def extend(self) -> None:
        """Take in the classes that the graph has got since."""
        for number, found in self.graph.classes.items():
            if number in self.met:
                continue
            self.met.add(number)
            for term in found.terms:
                if isinstance(term, Contract) and term.children:
                    whole, back = self.part(term.form, term.children, range(len(term.children)))
                    letters = letters_of(term.form.output)
                    if len(letters) == len(set(letters)) == len(back):
                        self.parts.setdefault(whole, []).append((number, term, back))

    def ways(self, value: Value) -> tuple[Way, ...]:
        found = self.known.get(value)
        if found is None:
            if self.base is None:
                found = tuple(map(self._shared, self._ways(value)))
            else:
                found = tuple(map(self._priced, self.base.ways(value)))
            self.known[value] = found
        return found

    def _priced(self, way: Way) -> Way:
        if not way.kernels:
            return way
        return replace(way, seconds=seconds_of(way.kernels, self.prices, self.sizes, way.charge))

    def _shared(self, way: Way) -> Way:
        """The way at the price for each use of what it computes."""
        uses = min(map(self._uses, way.needs), default=self.uses.most)
        return way if uses == 1 else replace(way, seconds=way.seconds / uses, charge=way.charge / uses)

    def _uses(self, value: Value) -> float:
        return self.uses.of(value.children) if isinstance(value, Part) else self.uses(value.number)

    def part(self, form: Contraction, children: Sequence[int], chosen: Sequence[int]) -> tuple[Part, dict[int, int]]:
        """Some operands of a contraction as a part, and the letters of the whole by those of the part."""
        found = self.arranged.of(form, tuple(map(self.graph.find, children)), chosen)
        kept = set(found.part.form.output_letters)
        return found.part, {new: old for old, new in found.number.items() if new in kept}

    def _ways(self, value: Value) -> Iterator[Way]:
        match value:
            case Whole(number=number):
                yield from self._of_class(number)
            case Part():
                yield from self._of_part(value)
            case Factors():
                yield from factor_ways(self, value)

    def way(
        self,
        needs: tuple[Value, ...],
        build: Build,
        term: Term | None = None,
        name: str | None = None,
        charge: int = 1,
        price_as: Build | None = None,
    ) -> Way:
        """A step over values. It costs what its nodes cost, which are built over stand-ins for the values to see.

        Parameters
        ----------
        name
            What the step is called; by default the kernel that costs most.
        price_as
            The nodes to take the price of, if others than those that are built.
        """
        stand_ins = [self.stand_in(need) for need in needs]
        kernels = _kernels((price_as or build)(stand_ins).node, {b.node for b in stand_ins})
        if name is None:
            dearest = max(kernels, key=lambda k: k.seconds(self.prices, self.sizes)) if len(kernels) > 1 else None
            name = dearest.name if dearest else kernels[0].name if kernels else "view"
        seconds = seconds_of(kernels, self.prices, self.sizes, charge)
        return Way(name, seconds, needs, build, term, kernels, charge)

    def stand_in(self, value: Value) -> Built:
        """An array of a value's type, to build steps over before it is known how the value is computed."""
        found = self.stand_ins.get(value)
        if found is None:
            found = self.stand_ins[value] = self._stand_in(value)
        return found

    def _stand_in(self, value: Value) -> Built:
        name = f"value {len(self.stand_ins)}"
        match value:
            case Whole(number=number):
                found = self.graph[number]
                leaf = next((t.node for t in found.terms if isinstance(t, Leaf)), None)
                return Built(leaf or Node(INPUT, (), (("name", name),), found.type))
            case Part(form=form, children=children):
                letters = form.output_letters
                dtype = promote_all(self.graph.tensor(c).dtype for c in children) if children else F64
                return Built(input_node(name, TensorType(dtype, [form.extents[n] for n in letters])), letters)
            case Factors(kind=kind, number=number):
                return Built(factored(kind, self.stand_in(Whole(number)).node))

    # ---- classes

    def _of_class(self, number: int) -> Iterator[Way]:
        for term in self.graph[number].terms:
            for way in self._of_term(number, term):
                if term in self.graph.superseded:
                    way = replace(way, seconds=LAST_RESORT * (VIEW + way.seconds), charge=LAST_RESORT * way.charge)
                yield way

    def _of_term(self, number: int, term: Term) -> Iterator[Way]:
        match term:
            case Leaf(node=node):
                yield Way("leaf", 0.0, (), lambda built, node=node: Built(node), term)  # type: ignore[misc]
            case Applied():
                yield from self._of_applied(number, term)
            case Sum():
                yield from sum_ways(self, number, term)
            case Contract():
                yield from self._of_contraction(number, term)

    def _of_applied(self, number: int, term: Applied) -> Iterator[Way]:
        name = term.op.name
        if self.kernels and name in ("inv", "logdet", "det"):
            yield from inverse_ways(self, number, term)
        needs = tuple(Whole(self.graph.find(c)) for c in term.children)

        def build(built: Sequence[Built]) -> Built:
            nodes = [b.node for b in built]
            return Built(Node(term.op, nodes, term.attributes, term.type))

        price_as = None
        if name == "inv" and not self.kernels and len(self.graph.tensor(number).dims) == 2:
            kind = kinds(self, term.children[0])[0]  # what it will become

            def price_as(built: Sequence[Built]) -> Built:
                return Built(factored(kind, built[0].node))

        yield self.way(needs, build, term, name, charge(self, number, name), price_as)

    # ---- contractions

    def _of_contraction(self, number: int, term: Contract) -> Iterator[Way]:
        form = term.form
        type = self.graph.tensor(number)
        if not term.children:
            yield self.way((), lambda built: Built(_filled(form, type.dtype)), term, "fill")
            return
        whole, back = self.part(form, term.children, range(len(term.children)))
        letters = letters_of(form.output)
        symmetric = self.graph.knows(number, "symmetric") and len(type.dims) == len(letters) == 2

        def build(built: Sequence[Built]) -> Built:
            inner = Built(built[0].node, tuple(back[n] for n in built[0].letters))
            if symmetric and sorted(inner.letters) == sorted(letters):
                inner = Built(inner.node, letters)  # either way round
            node = shown(inner, form)
            return Built(node if node.type is type else cast(node, type.dtype))

        yield self.way((whole,), build, term, "view")

    def _of_part(self, value: Part) -> Iterator[Way]:
        graph, children = self.graph, value.children
        for number, term, back in self.parts.get(value, ()):
            if any(not isinstance(t, Contract) or t is not term for t in graph[number].terms):
                yield self._as_class(value, number, term, back)
        if len(children) == 1:
            yield self._single(value)
            return
        if self.kernels and value not in self.ordered:
            yield from root_ways(self, value)
        inverses = all(map(self._is_inverse, children)) and not self._is_asked(value) and value not in self.ordered
        for first, second in self._splits(value):
            for way in self._of_split(value, first, second):
                # two inverses are applied one after the other; their product is a last resort
                yield replace(way, seconds=UNASKED * way.seconds, charge=UNASKED) if inverses else way

    def _of_split(self, value: Part, first: tuple[int, ...], second: tuple[int, ...]) -> Iterator[Way]:
        form, children = value.form, value.children
        one, other = self.part(form, children, first), self.part(form, children, second)
        solved = False
        for matrix, rest in ((first, other), (second, one)) if self.kernels else ():
            for way in solve_ways(self, value, matrix, rest):
                yield way
                solved = solved or self._is_inverse(children[matrix[0]])
        if not solved:  # an inverse is not computed to be multiplied
            yield from pair_ways(self, form, one, other)
            for matrix, rest in ((first, other), (second, one)) if self.kernels else ():
                yield from structured_ways(self, value, matrix, rest)

    def _is_asked(self, value: Part) -> bool:
        """Whether a part is asked for as it is or turned, as a result or by what cannot take it apart."""
        classes = [self.graph[number] for number, _, _ in self.parts.get(value, ())]
        return any(
            found.id in self.graph.results or any(not isinstance(t, Contract) for t in found.users) for found in classes
        )

    def _is_inverse(self, number: int) -> bool:
        if not self.kernels:
            return False
        if number not in self.inverses:
            self.inverses[number] = number not in self.graph.results and is_inverse(self, number)
        return self.inverses[number]

    def _splits(self, value: Part) -> list[Split]:
        """The last steps of a part that are looked at; of one with many operands, only that of one good order.

        So it is for parts with few, when many steps have been looked at.
        """
        if value not in self.planned:
            try:
                self.planned[value] = list(splits(value.form, MOST_SPLITS - self.looked))
                self.looked += len(self.planned[value])
            except TooMany:
                self._plan(value)
        return self.planned[value]

    def _plan(self, value: Part) -> None:
        """One order for a part of many operands, and with it for the parts in it."""
        form, children = value.form, value.children
        for first, second in steps(tree(form, self.sizes)):
            found = self.arranged.of(form, children, sorted((*first, *second)))
            inner, order = found.part, found.order
            place = {operand: k for k, operand in enumerate(order)}
            split = tuple(sorted(place[k] for k in first)), tuple(sorted(place[k] for k in second))
            if len(order) == len(children):  # like operands may be arranged in several ways; it is planned as it is
                inner, split = value, (first, second)
            self.planned.setdefault(inner, [split])
            self.ordered.add(inner)

    def _as_class(self, value: Part, number: int, term: Contract, back: dict[int, int]) -> Way:
        """The part from the value of a class that is the same contraction, perhaps computed in another way."""
        letters = {old: new for new, old in back.items()}

        def build(built: Sequence[Built]) -> Built:
            flat = [letters[n] for n in letters_of(term.form.output)]
            extents = value.form.extents
            return Built(reshaped(built[0].node, [extents[n] for n in flat]), tuple(flat))

        return self.way((Whole(number),), build, name="view")

    def _single(self, value: Part) -> Way:
        form = value.form
        (axes,) = form.inputs
        return self.way((Whole(value.children[0]),), lambda built: read(built[0].node, axes, form), name="read")


def _kernels(node: Node, given: Collection[Node]) -> tuple[Kernel, ...]:
    """The kernels of a node and of what it is made of, without what is given."""
    found: list[Kernel] = []
    seen = set(given)
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            found += kernels_of(here)
            waiting += here.args
    return tuple(found)


def _filled(form: Contraction, dtype: DType) -> Node:
    """A contraction of no operands: ones, or the identity."""
    letters = form.output_letters
    if len(set(letters)) == len(letters):
        return make("ones", (), dims=form.dims, dtype=dtype) if form.output else cast(literal(1), dtype)
    if form.output == ((0,), (0,)):
        return make("eye", (), i=form.extents[0], j=None, dtype=dtype)
    one = make("ones", (), dims=tuple(form.extents), dtype=dtype)
    return shown(Built(one, tuple(range(len(form.extents)))), form)
