"""Classes of equal values, closed under congruence: equal terms are in one class.

A rule that adds a term to a class so adds it everywhere that the class is used. Nothing is ever taken away: the order
in which rules fire loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tpc.ir.dims import DimLike
from tpc.ir.node import Fact, Node, Type
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction, arranged
from tpc.passes.egraph.classes import Class, Full, Step
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum, Term

WORK_OF_CLASS, WORK_OF_OPERAND, WORK_OF_FACTS = 10, 8, 20  # in attempts to match a pattern


class Congruence:
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
    superseded
        Terms that lose digits or overflow where others of their class do not: a last resort.
    given
        How often inputs are used before they change, where it is more than once; see `passes.stages.times`.
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
        self.superseded: set[Term] = set()
        self.given: Mapping[Node, float] = {}

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

    # ---- terms join classes, and classes each other

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

    def supersede(self, term: Term) -> None:
        """A term gives way to others of its class: it is a last resort, and no other is put together from it."""
        owner = self[self.memo.get(term, self.home[term])]
        self.superseded.add(term)
        owner.product = None if owner.product == term else owner.product
        owner.sum = None if owner.sum == term else owner.sum

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
                renewed = self.arranged_term(form, children)
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
        if term in self.superseded:
            self.superseded.add(renewed)
        known = self.memo.get(renewed)
        if known is not None:
            self.join(self.home[renewed], self.home[term])
            if self.find(known) != owner.id:
                return
        self.memo[renewed] = owner.id
        owner.terms[renewed] = None
        for child in children:
            self[child].users[renewed] = None

    def arranged_term(self, form: Contraction, operands: Sequence[int]) -> Contract:
        """The normal form of a contraction of classes."""
        self.work += len(operands) * (WORK_OF_OPERAND + len(operands))
        symmetric = [len(axes) == 2 and self.knows(c, "symmetric") for axes, c in zip(form.inputs, operands)]
        order, form, _ = arranged(form, operands, symmetric)
        return Contract(form, tuple(operands[k] for k in order))
