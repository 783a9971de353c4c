"""The ways in which each value of an e-graph may be computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from tpc.ir.build import cast, literal, literal_value, make
from tpc.ir.node import Node
from tpc.ir.ops.structure import LITERAL
from tpc.ir.types import F64, DType, TensorType
from tpc.passes.choose.arrange import read, reshaped, shown, spread
from tpc.passes.choose.order import TooMany, part, splits, steps, tree
from tpc.passes.choose.pairs import pair_ways
from tpc.passes.choose.prices import Prices, Sizes, flops
from tpc.passes.choose.solves import FACTORIZE, charge, factor_ways, inverse_ways, is_inverse, kinds, solve_ways
from tpc.passes.choose.structured import structured_ways
from tpc.passes.choose.value import VIEW, Built, Factors, Part, Value, Way, Whole
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.form import Axes, letters_of
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum

# Ops that are one kernel, whose sizes are the last of the operand, or both.
KERNELS = {
    "inv": "getri",
    "cholesky": "potrf",
    "qr": "geqrf",
    "svd": "gesdd",
    "svdvals": "gesdd_values",
    "eigh": "syevd",
    "eigvalsh": "syevd_values",
    "eig": "geev",
    "pinv": "gesdd",
}
ARITY = {"qr": 2, "svd": 2, "svdvals": 2, "pinv": 2}

Split = tuple[tuple[int, ...], tuple[int, ...]]
"""The operands of both sides of a step."""

Place = tuple[Axes, dict[int, int]]
"""The axes that a part is stretched to, and its letters in terms of theirs."""


class Menu:
    """For each value, its ways; found when they are asked for, and kept.

    Without `kernels`, no inverse becomes a solve yet, and no way knows of triangles and bands.
    """

    def __init__(self, graph: EGraph, prices: Prices, sizes: Sizes, kernels: bool = True) -> None:
        self.graph, self.prices, self.sizes, self.kernels = graph, prices, sizes, kernels
        self.known: dict[Value, tuple[Way, ...]] = {}
        self.inverses: dict[int, bool] = {}
        self.planned: dict[Part, list[Split]] = {}
        self.ordered: set[Part] = set()  # parts of an order that leaves no other way
        self.dtype: DType = F64
        self.parts: dict[Part, list[tuple[int, Contract, dict[int, int]]]] = {}
        for number, found in graph.classes.items():
            for term in found.terms:
                if isinstance(term, Contract) and term.children:
                    whole, back = self.part(term.form, term.children, range(len(term.children)))
                    letters = letters_of(term.form.output)
                    if len(letters) == len(set(letters)) == len(back):
                        self.parts.setdefault(whole, []).append((number, term, back))

    def ways(self, value: Value) -> tuple[Way, ...]:
        found = self.known.get(value)
        if found is None:
            found = self.known[value] = tuple(self._ways(value))
        return found

    def part(self, form: Contraction, children: Sequence[int], chosen: Sequence[int]) -> tuple[Part, dict[int, int]]:
        """Some operands of a contraction as a part, and the letters of the whole by those of the part."""
        made, number, _ = self._arranged(form, children, chosen)
        kept = set(made.form.output_letters)
        return made, {new: old for old, new in number.items() if new in kept}

    def _arranged(
        self, form: Contraction, children: Sequence[int], chosen: Sequence[int]
    ) -> tuple[Part, dict[int, int], list[int]]:
        graph = self.graph
        children = [graph.find(c) for c in children]
        symmetric = [len(a) == 2 and graph.knows(c, "symmetric") for a, c in zip(form.inputs, children)]
        return part(form, children, chosen, symmetric)

    def _ways(self, value: Value) -> Iterator[Way]:
        match value:
            case Whole(number=number):
                type = self.graph[number].type
                if isinstance(type, TensorType):
                    self.dtype = type.dtype
                yield from self._of_class(number)
            case Part():
                self.dtype = self.graph.tensor(value.children[0]).dtype if value.children else F64
                yield from self._of_part(value)
            case Factors():
                self.dtype = self.graph.tensor(value.number).dtype
                yield from factor_ways(self, value)

    def price(self, kernel: str, sizes: tuple[int, ...], batch: int = 1) -> tuple[float, float]:
        return self.prices.seconds(kernel, sizes, self.dtype, batch=batch), flops(kernel, sizes, batch)

    # ---- classes

    def _of_class(self, number: int) -> Iterator[Way]:
        graph = self.graph
        for term in graph[number].terms:
            match term:
                case Leaf(node=node):
                    yield Way("leaf", 0.0, 0.0, (), lambda built, node=node: Built(node), term)  # type: ignore[misc]
                case Applied():
                    yield from self._of_applied(number, term)
                case Sum():
                    yield self._of_sum(number, term)
                case Contract():
                    yield from self._of_contraction(number, term)

    def _of_applied(self, number: int, term: Applied) -> Iterator[Way]:
        name = term.op.name
        if self.kernels and name in ("inv", "logdet", "det"):
            yield from inverse_ways(self, number, term)
        needs = tuple(Whole(self.graph.find(c)) for c in term.children)
        seconds, work = self.price(*self._kernel(term))

        def build(built: Sequence[Built]) -> Built:
            nodes = [b.node for b in built]
            return Built(Node(term.op, nodes, term.attributes, term.type))

        yield Way(name, seconds * charge(self, number, name), work, needs, build, term)

    def _kernel(self, term: Applied) -> tuple[str, tuple[int, ...]]:
        """The kernel that an op is, and its sizes."""
        size = self.sizes
        types = [self.graph[c].type for c in term.children]
        tensors = [t for t in types if isinstance(t, TensorType)]
        result = term.type if isinstance(term.type, TensorType) else term.type[0]
        entries = size.product(result.dims)
        if term.op.name == "inv" and not self.kernels and len(tensors[0].dims) == 2:
            return FACTORIZE[kinds(self, term.children[0])[0]], (size(tensors[0].dims[-1]),)  # what it will become
        if term.op.name in KERNELS and len(tensors[0].dims) == 2:
            return KERNELS[term.op.name], tuple(map(size, tensors[0].dims[-ARITY.get(term.op.name, 1) :]))
        if term.op.group == "elementwise":
            return "elementwise", (entries, len(tensors), 4)
        if term.op.group in ("structure", "shapes", "creation"):
            return "copy", (0 if term.op.name == "item" else entries,)
        moved = sum(size.product(t.dims) for t in tensors) + entries
        work = size(term.op.count_flops(tensors, dict(term.attributes))) if len(tensors) == len(types) else 0
        return "other", (work, 8 * moved)

    # ---- sums

    def _of_sum(self, number: int, term: Sum) -> Way:
        graph = self.graph
        type = graph.tensor(number)
        needs: list[Value] = []
        places: list[Place | None] = []  # of what is stretched to the others
        numbers = [_is_ones(graph, child) for child in term.children]
        for child, is_number in zip(term.children, numbers):
            if not is_number:
                need, place = self._summand(graph.find(child))
                needs.append(need)
                places.append(place)
        entries = self.sizes.product(type.dims)
        scaled = sum(c not in (1, -1) and not n for c, n in zip(term.coefficients, numbers))
        negated = bool(term.children) and all(c < 0 for c in term.coefficients) and -1 in term.coefficients
        steps = max(len(term.children) - 1, 0) + scaled + negated
        each_seconds, each_flops = self.price("elementwise", (entries, 2, 1))

        def build(built: Sequence[Built]) -> Built:
            nodes = [_placed(b, place) for b, place in zip(built, places)]
            parts = [(c, None if n else nodes.pop(0)) for c, n in zip(term.coefficients, numbers)]
            return Built(_summed(parts, type))

        return Way("sum", max(each_seconds * steps, VIEW), each_flops * steps, tuple(needs), build, term)

    def _summand(self, number: int) -> tuple[Value, Place | None]:
        """A summand: one that is only stretched to the others is taken as it is before."""
        term = self.graph[number].product
        if term is None or not term.children or any(len(axis) > 1 for axis in term.form.output):
            return Whole(number), None
        letters = letters_of(term.form.output)
        present = {n for axes in term.form.inputs for n in letters_of(axes)}
        if len(set(letters)) != len(letters) or set(letters) <= present:
            return Whole(number), None
        value, back = self.part(term.form, term.children, range(len(term.children)))
        return value, (term.form.output, back)

    # ---- contractions

    def _of_contraction(self, number: int, term: Contract) -> Iterator[Way]:
        form = term.form
        type = self.graph.tensor(number)
        if not term.children:
            seconds, _ = self.price("copy", (self.sizes.product(type.dims),))
            yield Way("fill", seconds, 0.0, (), lambda built: Built(_filled(form, type.dtype)), term)
            return
        whole, back = self.part(form, term.children, range(len(term.children)))
        letters = letters_of(form.output)
        symmetric = self.graph.knows(number, "symmetric") and len(type.dims) == len(letters) == 2
        copies = len(set(letters)) != len(letters) or len(letters) != len(back)
        seconds = self.price("copy", (self.sizes.product(type.dims),))[0] if copies else VIEW

        def build(built: Sequence[Built]) -> Built:
            inner = Built(built[0].node, tuple(back[n] for n in built[0].letters))
            if symmetric and sorted(inner.letters) == sorted(letters):
                inner = Built(inner.node, letters)  # either way round
            node = shown(inner, form)
            return Built(node if node.type is type else cast(node, type.dtype))

        yield Way("view", seconds, 0.0, (whole,), build, term)

    def _of_part(self, value: Part) -> Iterator[Way]:
        graph, form, children = self.graph, value.form, value.children
        for number, term, back in self.parts.get(value, ()):
            if any(not isinstance(t, Contract) or t is not term for t in graph[number].terms):
                yield self._as_class(value, number, term, back)
        if len(children) == 1:
            yield self._single(value)
            return
        for first, second in self._splits(value):
            inverses = all(self._is_inverse(children[k]) for k in (*first, *second))
            if inverses and not self._is_asked(value) and value not in self.ordered:
                continue  # two inverses are applied one after the other
            one = self.part(form, children, first)
            other = self.part(form, children, second)
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
        """Whether a part is a result, as it is or turned."""
        return any(self.graph.find(number) in self.graph.results for number, _, _ in self.parts.get(value, ()))

    def _is_inverse(self, number: int) -> bool:
        if not self.kernels:
            return False
        if number not in self.inverses:
            self.inverses[number] = number not in self.graph.results and is_inverse(self, number)
        return self.inverses[number]

    def _splits(self, value: Part) -> list[Split]:
        """The last steps of a part that are looked at; of one with many operands, only that of one good order."""
        if value not in self.planned:
            try:
                self.planned[value] = list(splits(value.form))
            except TooMany:
                self._plan(value)
        return self.planned[value]

    def _plan(self, value: Part) -> None:
        """One order for a part of many operands, and with it for the parts in it."""
        form, children = value.form, value.children
        for first, second in steps(tree(form, children, self.sizes)):
            inner, _, order = self._arranged(form, children, sorted((*first, *second)))
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

        return Way("view", VIEW, 0.0, (Whole(number),), build)

    def _single(self, value: Part) -> Way:
        form = value.form
        (axes,) = form.inputs
        letters = letters_of(axes)
        kept = set(form.output_letters)
        entries = self.sizes.product(form.extents[n] for n in letters)
        seconds, work = VIEW, 0.0
        if set(letters) - kept:
            seconds, work = self.price("reduce", (entries, self.sizes.product(form.extents[n] for n in kept)))
        return Way("read", seconds, work, (Whole(value.children[0]),), lambda built: read(built[0].node, axes, form))


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


def _filled(form: Contraction, dtype: DType) -> Node:
    """A contraction of no operands: ones, or the identity."""
    letters = form.output_letters
    if len(set(letters)) == len(letters):
        return make("ones", (), dims=form.dims, dtype=dtype) if form.output else cast(literal(1), dtype)
    if form.output == ((0,), (0,)):
        return make("eye", (), i=form.extents[0], j=None, dtype=dtype)
    one = make("ones", (), dims=tuple(form.extents), dtype=dtype)
    return shown(Built(one, tuple(range(len(form.extents)))), form)


def _summed(parts: Sequence[tuple[Number, Node | None]], type: TensorType) -> Node:
    """A sum of multiples; None stands for the number one."""
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
