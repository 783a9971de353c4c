"""The e-graph: classes of equal values, each with all the terms that are known for it and what is known of it.

Equal terms are in one class (congruence), so a rule that adds a term to a class adds it everywhere that the class is
used. Nothing is ever taken away: the order in which rules fire loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.node import Fact, Node, Type
from tpc.ir.op import Op
from tpc.ir.types import DType, TensorType
from tpc.passes.contraction import Contraction, Product, arranged, compose, diagonal, filled
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum, Term

MOST_OPERANDS = 16  # of a contraction that is put together from those of its operands
WORK_OF_CLASS, WORK_OF_OPERAND, WORK_OF_FACTS = 10, 8, 20  # in attempts to match a pattern


@dataclass(frozen=True, slots=True)
class Step:
    """Why two classes are equal: a rule or a move, the term that it was applied to, and the conditions that held.

    Attributes
    ----------
    bound
        What the variables of the rule stand for; None for a move.
    is_reversed
        Whether the rule was read from right to left.
    through
        The terms that a move read operands of the term by.
    """

    rule: str
    before: Term
    conditions: tuple[str, ...] = ()
    bound: tuple[tuple[str, Any], ...] | None = None
    is_reversed: bool = False
    through: tuple[Term, ...] = ()


@dataclass(slots=True)
class Class:
    """Values that are equal, by the terms that say them."""

    id: int
    type: Type
    terms: dict[Term, None] = field(default_factory=dict)
    users: dict[Term, None] = field(default_factory=dict)
    facts: frozenset[Fact] = frozenset()
    known: frozenset[str] = frozenset()  # the names of the facts
    product: Contract | None = None  # what stands for it inside of a larger contraction
    sum: Sum | None = None  # ... inside of a larger sum
    literal: Number | None = None
    node: Node | None = None  # the value as it was written
    order: float = 0  # a class is put together from classes of lower order
    depth: int = 0  # how many steps of the search lead to it

    @property
    def tensor(self) -> TensorType:
        assert isinstance(self.type, TensorType)
        return self.type

    @property
    def multiple(self) -> tuple[Number, int] | None:
        """Of which class this is a multiple."""
        if self.sum is not None and len(self.sum.children) == 1:
            return self.sum.coefficients[0], self.sum.children[0]
        return None


class Full(Exception):
    """A graph has as many classes, or as much work was done on it, as may be: it says which."""


class EGraph:
    """Classes of equal values.

    Attributes
    ----------
    home
        The class that a term was first put in, before it was joined with others.
    depth
        The depth that new classes are given at the time.
    latest
        The term that was asked for last, of those that `add` knew or put in.
    is_exploring
        Whether the program has been read, and forms are added by the search.
    ops
        The names of the ops that terms apply.
    asked
        The classes of the results.
    joins
        Which classes were joined, and why; None where their operands had become equal. They are the classes that the
        terms on both sides were first put in.
    """

    def __init__(self, nonnegative: Sequence[DimLike] = ()) -> None:
        self.nonnegative = tuple(nonnegative)
        self.work = 0  # done so far, in attempts to match a pattern
        self.unbound()
        self.leader: list[int] = []
        self.classes: dict[int, Class] = {}
        self.memo: dict[Term, int] = {}
        self.home: dict[Term, int] = {}
        self.joins: list[tuple[int, int, Step | None]] = []
        self.waiting: list[tuple[int, int]] = []  # to be joined
        self.latest: Term | None = None
        self.depth = 0
        self.changed: dict[int, None] = {}  # classes with terms or facts that were not there before
        self.size = 0
        self.ops: set[str] = set()
        self.is_exploring = False
        self.asked: tuple[int, ...] = ()

    def bound(self, classes: int, work: int) -> None:
        """From now on there may be so many more classes, and so much more work."""
        self.most_classes, self.most_work = len(self.leader) + classes, self.work + work

    def unbound(self) -> None:
        self.most_classes = self.most_work = 10**18

    def spend(self, work: int) -> None:
        """Count work.

        Raises
        ------
        Full
            Where it is more than may be done.
        """
        self.work += work
        if self.work > self.most_work:
            raise Full("work")

    def find(self, number: int) -> int:
        leader = self.leader
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    @property
    def results(self) -> frozenset[int]:
        """The classes that are asked for entry by entry."""
        return frozenset(map(self.find, self.asked))

    def __getitem__(self, number: int) -> Class:
        return self.classes[self.find(number)]

    def tensor(self, number: int) -> TensorType:
        return self[number].tensor

    def knows(self, number: int, fact: str) -> bool:
        return fact in self[number].known

    def constant(self, number: int) -> Number | None:
        """The number that a scalar is, or that all entries of an array are."""
        found = self[number]
        if found.literal is not None:
            return found.literal
        coefficient, of = found.multiple or (1, found.id)
        term = self[of].product
        if term is None or term.children or len(set(term.form.output_letters)) != len(term.form.output_letters):
            return None
        return coefficient

    # ---- terms in their normal form

    def leaf(self, node: Node) -> int:
        return self.add(Leaf(node), node.type)

    def apply(self, op: Op, children: Sequence[int], attributes: Iterable[tuple[str, Any]], type: Type) -> int:
        return self.add(Applied(op, tuple(map(self.find, children)), tuple(attributes), type), type)

    def number(self, value: Number, dtype: DType, dims: Sequence[DimLike] = ()) -> int:
        """A number, the same at all places."""
        ones = self.add(Contract(filled(dims), ()), TensorType(dtype, dims))
        return self.sum([(value, ones)], TensorType(dtype, dims))

    def contract(self, form: Contraction, children: Sequence[int], dtype: DType) -> int:
        """The class of a contraction, whose operands may be contractions and multiples themselves."""
        coefficient: Number = 1
        operands = [self.find(c) for c in children]
        self.spend(len(operands) * (WORK_OF_OPERAND + len(operands)))
        position = 0
        while position < len(operands):
            found = self.classes[operands[position]]
            if found.multiple is not None and self.classes[self.find(found.multiple[1])].order < found.order:
                coefficient *= found.multiple[0]
                operands[position] = self.find(found.multiple[1])
                continue
            inner = found.product
            if (
                inner is not None
                and self._is_lower(inner.children, found)
                and len(operands) + len(inner.children) <= MOST_OPERANDS + 1
                and (composed := compose(form, position, inner.form)) is not None
            ):
                form, alone = composed
                operands[position : position + 1] = [self.find(c) for c in inner.children]
                for extent in alone:
                    if isinstance(extent, int):
                        coefficient *= extent
                    else:
                        form = Contraction((*form.inputs, ()), form.output, form.extents)
                        operands.append(self.size_of(extent))
                continue
            position += 1
        term = self._arranged(form, operands)
        if term.form.is_identity and self.tensor(operands[0]).dtype is dtype:
            return self.sum([(coefficient, operands[0])], TensorType(dtype, form.dims))
        core = self.add(term, TensorType(dtype, form.dims))
        return self.sum([(coefficient, core)], TensorType(dtype, form.dims))

    def diagonal_of(self, number: int) -> int | None:
        """The diagonal of a matrix that is written as one with that diagonal and zeros."""
        found = self[number]
        term = found.product
        if term is None or len(term.form.output) != 2 or term.form.output[0] != term.form.output[1]:
            return None
        if not term.form.output[0]:
            return None
        form = Contraction(term.form.inputs, term.form.output[:1], term.form.extents)
        return self.contract(form, term.children, found.tensor.dtype)

    def reciprocal(self, number: int) -> int:
        """One over every entry."""
        from tpc.ir.build import literal, operation

        one, op = self.leaf(literal(1)), operation("div")
        (type,) = op.types([self.tensor(one), self.tensor(number)], {})
        return self.apply(op, [one, number], (), type)

    def _is_lower(self, children: Sequence[int], target: Class) -> bool:
        return all(self[c].order < target.order for c in children)

    def product(self, product: Product, operands: Sequence[int], dtype: DType) -> int:
        """The class of a product of operands with numbers and sizes as factors and divisors."""
        form, children = product.form, list(operands)
        coefficient = product.coefficient
        scalars = []
        for extent in product.sizes:
            if isinstance(extent, int):
                coefficient *= extent
            else:
                scalars.append(self.size_of(extent))
        for extent in product.divisors:
            if isinstance(extent, int) and extent:
                coefficient *= Fraction(1, extent)
            else:
                scalars.append(self.reciprocal(self.size_of(extent)))
        form = Contraction((*form.inputs, *(() for _ in scalars)), form.output, form.extents)
        number = self.contract(form, [*children, *scalars], dtype)
        return self.sum([(coefficient, number)], TensorType(dtype, form.dims))

    def size_of(self, dim: DimLike) -> int:
        """A size as a scalar."""
        from tpc.ir.build import size

        return self.leaf(size(dim))

    def _arranged(self, form: Contraction, operands: Sequence[int]) -> Contract:
        self.work += len(operands) * (WORK_OF_OPERAND + len(operands))
        symmetric = [len(axes) == 2 and self.knows(c, "symmetric") for axes, c in zip(form.inputs, operands)]
        order, form, _ = arranged(form, operands, symmetric)
        return Contract(form, tuple(operands[k] for k in order))

    def sum(self, parts: Iterable[tuple[Number, int]], type: TensorType) -> int:
        """The class of a sum of multiples, which may be sums themselves."""
        total: dict[int, Number] = {}
        stack = [(c, self.find(n)) for c, n in parts][::-1]
        while stack:
            coefficient, number = stack.pop()
            found = self.classes[number]
            inner = found.sum
            if inner is not None and self._is_lower(inner.children, found):
                stack += [(coefficient * c, self.find(n)) for c, n in zip(inner.coefficients, inner.children)][::-1]
            else:
                total[number] = total.get(number, 0) + coefficient
        if self.is_exploring:  # what the search itself brings to cancel is gone; 0 * A as written may be NaN
            total = {n: c for n, c in total.items() if c != 0} or dict(list(total.items())[:1])
        if list(total.values()) == [1]:
            (number,) = total
            return number
        diagonals = [self.diagonal_of(n) for n in total]
        if len(total) > 1 and all(d is not None for d in diagonals):
            line = TensorType(type.dtype, type.dims[:1])
            entries = self.sum([(c, d) for c, d in zip(total.values(), diagonals) if d is not None], line)
            return self.contract(diagonal(type.dims[0]), [entries], type.dtype)
        ordered = sorted(total.items())
        return self.add(Sum(tuple(c for _, c in ordered), tuple(n for n, _ in ordered)), type)

    def multiply(self, parts: Sequence[int], dtype: DType, dims: Sequence[DimLike]) -> int:
        """The elementwise product of arrays of these dims and arrays that stretch to them."""
        whole = filled(dims)
        inputs = []
        for part in parts:
            given = self.tensor(part).dims
            last = whole.output[len(whole.output) - len(given) :]
            inputs.append(tuple(axis if d != 1 else () for axis, d in zip(last, given)))
        return self.contract(Contraction(tuple(inputs), whole.output, whole.extents), parts, dtype)

    def stretch(self, part: int, dims: Sequence[DimLike], dtype: DType) -> int:
        """An array stretched to these dims."""
        return self.multiply([part], dtype, dims)

    # ---- classes

    def add(self, term: Term, type: Type) -> int:
        """The class of a term in normal form."""
        self.latest = term
        found = self.memo.get(term, self.home.get(term))  # a term may come back that has had another normal form
        if found is not None:
            known = self[found]
            known.depth = min(known.depth, self.depth)
            return known.id
        self.spend(WORK_OF_CLASS)
        if len(self.leader) >= self.most_classes:
            raise Full("classes")
        number = len(self.leader)
        self.leader.append(number)
        made = Class(number, type, order=number, depth=self.depth)
        self.classes[number] = made
        self._put(made, term)
        self._describe(made)
        return number

    def put(self, number: int, term: Term) -> None:
        """A term that is known to be equal to a class becomes one of its terms."""
        known = self.memo.get(term)
        if known is None:
            self._put(self[number], term)
        else:
            self.join(number, known)

    def _put(self, target: Class, term: Term) -> None:
        self.memo[term] = target.id
        target.terms[term] = None
        self.home.setdefault(term, target.id)
        if isinstance(term, Applied):
            self.ops.add(term.op.name)
        self.size += 1
        for child in term.children:
            self[child].users[term] = None
        if isinstance(term, Contract) and target.product is None:
            target.product = term
        elif isinstance(term, Sum) and target.sum is None:
            target.sum = term
        elif isinstance(term, Leaf):
            from tpc.ir.build import literal_value

            value = literal_value(term.node)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                target.literal = value
        self.changed[target.id] = None

    def _describe(self, target: Class) -> None:
        """Find what is known of a class from its terms, and tell its users."""
        from tpc.passes.egraph.facts import facts_of

        self.work += WORK_OF_FACTS * len(target.terms)
        self._tell(target, facts_of(self, target))

    def learn(self, number: int, facts: Iterable[Fact]) -> None:
        """Facts that are known of a class from elsewhere."""
        from tpc.ir.facts import closure

        target = self[number]
        self._tell(target, closure(target.tensor, target.facts | set(facts), self.nonnegative))

    def _tell(self, target: Class, facts: frozenset[Fact]) -> None:
        """Facts of a class become known to its users."""
        if facts == target.facts:
            return
        target.facts, target.known = facts, frozenset(f.name for f in facts)
        self.changed[target.id] = None
        for user in list(target.users):
            number = self.memo.get(user)
            if number is not None and self[number] is not target:
                self._describe(self[number])

    def join(self, first: int, second: int, step: Step | None = None) -> None:
        """Two classes are equal; takes effect with `rebuild`."""
        if self.find(first) != self.find(second):
            self.joins.append((first, second, step))
            self.waiting.append((first, second))

    def rebuild(self) -> None:
        """Join what is to be joined, and bring all terms into their normal form again."""
        while self.waiting:
            first, second = self.waiting.pop()
            first, second = sorted((self.find(first), self.find(second)))
            if first == second:
                continue
            kept, gone = self.classes[first], self.classes.pop(second)
            self.leader[second] = first
            kept.product = kept.product or gone.product
            kept.sum = kept.sum or gone.sum
            kept.literal = gone.literal if kept.literal is None else kept.literal
            kept.node = kept.node or gone.node
            kept.depth = min(kept.depth, gone.depth)
            for term in gone.terms:
                kept.terms[term] = None
                self.memo[term] = first
            facts = kept.facts | gone.facts
            users = dict.fromkeys([*kept.users, *gone.users])
            kept.users = {}
            for user in users:
                self._renew(user)
            if isinstance(kept.type, TensorType):
                self.learn(first, facts - kept.facts)
            self.changed[first] = None

    def _renew(self, term: Term) -> None:
        """A term whose operands have been joined with others, in its normal form."""
        number = self.memo.pop(term, None)
        if number is None:
            return
        owner = self[number]
        owner.terms.pop(term, None)
        children = tuple(map(self.find, term.children))
        renewed: Term
        match term:
            case Contract(form=form):
                renewed = self._arranged(form, children)
            case Sum(coefficients=coefficients):
                total: dict[int, Number] = {}
                for c, n in zip(coefficients, children):
                    total[n] = total.get(n, 0) + c
                ordered = sorted(total.items())
                renewed = Sum(tuple(c for _, c in ordered), tuple(n for n, _ in ordered))
            case Applied(op=op, attributes=attributes, type=type):
                renewed = Applied(op, children, attributes, type)
            case Leaf():
                renewed = term
        if owner.product is term:
            owner.product = renewed if isinstance(renewed, Contract) else None
        if owner.sum is term:
            owner.sum = renewed if isinstance(renewed, Sum) else None
        self.home.setdefault(renewed, self.home[term])
        known = self.memo.get(renewed)
        if known is not None:
            self.join(self.home[renewed], self.home[term])
            if self.find(known) != owner.id:
                return
        self.memo[renewed] = owner.id
        owner.terms[renewed] = None
        for child in children:
            self[child].users[renewed] = None
