"""Equal forms, found until no rule gives more or a bound is met.

The search is breadth first and deterministic: each round looks at every term that there was when it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tpc.dsl import syntax
from tpc.ir.dims import DimLike
from tpc.ir.node import Fact
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.chain import MATRIX, Factor
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings, Run
from tpc.passes.egraph.conditions import holds
from tpc.passes.egraph.estimate import Estimate
from tpc.passes.egraph.facts import turning
from tpc.passes.egraph.graph import EGraph, Full, Step
from tpc.passes.egraph.instance import Impossible, Instance, run_class
from tpc.passes.egraph.match import Matcher
from tpc.passes.egraph.moves import moves
from tpc.passes.egraph.readings import Reading, readings
from tpc.passes.egraph.terms import Applied, Contract, Sum, Term
from tpc.passes.rules import BOUNDED
from tpc.passes.rules.trees import called

DEARER = 1.01  # how much more work a form may take by a rule, and by a move, to be kept
DEARER_BY_MOVE = 3
MOST_OPERANDS = 24  # of a term that rules are tried on
REACH = 3  # how deep patterns look
WORK = 300_000
UNUSED = 99  # the depth of classes that were only made to look at them


@dataclass(frozen=True)
class Bounds:
    """How far to search: rounds, steps of rules and of moves from what was written, classes, and work.

    Work is counted, not timed, so that a search always ends at the same place: in attempts to match a pattern with a
    class, and what else takes time in as many attempts as it takes about as long as. Some 250,000 take a second.
    `files` are those of the rules for equal forms; all if there are none. Without `guarded`, no rule is used that needs
    a guard when the program runs.
    """

    rounds: int = 5
    depth: int = 2
    moves: int = 2
    classes: int = 800
    work: int = WORK
    files: tuple[str, ...] = ()
    guarded: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    rounds: int
    classes: int
    stopped_by: str  # `rounds`, `classes`, `work`, or nothing where all was found


_STEADY = ("spd", "lower", "upper", "orthogonal")  # matrices whose inverse is applied without loss


def _is_inverse(term: Term) -> bool:
    return isinstance(term, Applied) and term.op.name == "inv"


def explore(
    graph: EGraph, sizes: Callable[[DimLike], int], mode: str = "stable", bounds: Bounds | None = None
) -> Outcome:
    """Add equal forms to the classes of a graph.

    Parameters
    ----------
    sizes
        Sizes as numbers. They only tell which forms are not worth a look: a rule that puts dearer inverses and
        factorizations in the place of cheaper ones.
    mode
        `fast` allows rules that are tagged `unstable` or `finite` as well.
    """
    return Search(graph, sizes, mode, bounds or Bounds()).run()


class Search:
    """One search; `matches` finds where rules hold at a term."""

    def __init__(self, graph: EGraph, sizes: Callable[[DimLike], int], mode: str, bounds: Bounds) -> None:
        self.graph, self.sizes, self.bounds = graph, sizes, bounds
        self.mode = mode
        self.seen: set[tuple[object, ...]] = set()
        self.made: dict[tuple[object, ...], tuple[int, tuple[str, ...]] | None] = {}
        self.moved: set[tuple[str, int, int]] = set()

    def run(self) -> Outcome:
        graph, bounds = self.graph, self.bounds
        graph.bound(bounds.classes, bounds.work)
        rounds = 0
        stopped_by = ""
        graph.changed = dict.fromkeys(graph.classes)
        graph.is_exploring = True
        try:
            while graph.changed:
                if rounds == bounds.rounds:
                    stopped_by = "rounds"
                    break
                rounds += 1
                changed = {graph.find(n) for n in graph.changed}
                near = self._near(changed)
                self.reach: dict[tuple[int, int], bool] = {(n, d): True for n in changed for d in range(REACH + 1)}
                graph.changed = {}
                self.readings = readings(self.mode, frozenset(graph.ops), bounds.files, bounds.guarded)
                matcher = Matcher(graph, self.sizes)
                self.estimate = Estimate(graph, self.sizes)
                for number in near:
                    if number not in graph.classes:
                        continue
                    depth = graph[number].depth
                    graph.depth = depth + 1
                    for term in list(graph[number].terms):
                        if len(term.children) > MOST_OPERANDS:
                            continue
                        if number not in changed and not any(self._reaches(c, REACH - 1) for c in term.children):
                            continue
                        if depth < bounds.depth:
                            self._rules(matcher, number, term)
                        if depth < bounds.moves:
                            self._moves(number, term)
                graph.depth = 0
                graph.rebuild()
        except Full as full:
            stopped_by = str(full)
        graph.unbound()
        graph.rebuild()
        return Outcome(rounds, len(graph.classes), stopped_by)

    def _reaches(self, number: int, depth: int) -> bool:
        """Whether a pattern of this depth at a class may meet a changed one."""
        number = self.graph.find(number)
        key = (number, depth)
        if key not in self.reach:
            self.reach[key] = False
            if depth > 0:
                children = (c for t in self.graph[number].terms for c in t.children)
                self.reach[key] = any(self._reaches(c, depth - 1) for c in children)
        return self.reach[key]

    def _near(self, changed: set[int]) -> list[int]:
        """Classes that a pattern may reach a changed one from."""
        graph = self.graph
        found = dict.fromkeys(sorted(changed))
        edge = list(found)
        for _ in range(REACH):
            users = [graph.find(graph.memo[t]) for n in edge for t in graph[n].users if t in graph.memo]
            edge = [n for n in dict.fromkeys(users) if n not in found]
            found.update(dict.fromkeys(edge))
        return sorted(found)

    def _moves(self, number: int, term: Term) -> None:
        graph = self.graph
        depth, first = graph.depth, len(graph.leader)
        graph.depth = UNUSED
        try:
            for name, equal, through in moves(graph, number, term, self.mode):
                key = (name, graph.find(number), graph.find(equal))
                if key not in self.moved:
                    self.moved.add(key)
                    if self._pays(number, equal, first, DEARER_BY_MOVE):
                        self._keep(equal, depth)
                        graph.join(graph.home[term], self._home(equal), Step(name, term, through=through))
        finally:
            graph.depth = depth

    # ---- rules

    def _rules(self, matcher: Matcher, number: int, term: Term) -> None:
        if not isinstance(self.graph[number].type, TensorType):
            return
        for reading, bound, finish in self.matches(matcher, number, term):
            key = (reading.name, id(reading), term, tuple(sorted(bound.items(), key=lambda item: item[0])), finish)
            if key in self.seen:
                continue
            self.seen.add(key)
            self._apply(reading, bound, number, term, finish)

    def matches(
        self, matcher: Matcher, number: int, term: Term
    ) -> Iterator[tuple[Reading, Bindings, tuple[object, ...]]]:
        """The rules that hold at a term, with what is left of it around the place where they hold."""
        find = self.readings.get
        match term:
            case Applied(op=op):
                for reading in find(op.name, ()):
                    assert isinstance(reading.pattern, p.Apply)
                    for bound in matcher.applied(reading.pattern, term, {}):
                        yield reading, bound, ("whole",)
            case Sum():
                for reading in find("+", ()):
                    assert isinstance(reading.pattern, p.Total)
                    for bound, rest in matcher.total(reading.pattern, term, {}):
                        yield reading, bound, ("sum", rest)
            case Contract():
                for name in ("sum", "kron"):
                    for reading in find(name, ()):
                        assert isinstance(reading.pattern, p.Apply)
                        for bound in matcher.multilinear(reading.pattern, term, {}):
                            yield reading, bound, ("whole",)
                for reading in find("*", ()):
                    assert isinstance(reading.pattern, p.Entries)
                    for bound, others in matcher.entries(reading.pattern.factors, term, {}):
                        yield reading, bound, ("entries", others)
                yield from self._in_chain(matcher, term)

    def _in_chain(self, matcher: Matcher, term: Contract) -> Iterator[tuple[Reading, Bindings, tuple[object, ...]]]:
        chain = matcher.chain(term)
        if chain is None or len(chain.factors) < 2:
            return
        ways = [(False, chain.factors), (True, matcher.turn(chain.factors))]
        present = {t.op.name for f in chain.factors for t in self.graph[f.child].terms if isinstance(t, Applied)}
        fitting = [r for r in self.readings.get("@", ()) if r.ops <= present]
        for turned, factors in ways:
            for reading in fitting:
                pattern = reading.pattern
                assert isinstance(pattern, p.Row)
                if len(pattern.factors) > len(factors):
                    continue
                first, last = (self._places(pattern.factors[k], factors) for k in (0, -1))
                if reading.result is None:  # a fact, of the whole
                    first, last = [k for k in first if k == 0], [k for k in last if k == len(factors) - 1]
                for start in first:
                    for stop in (n + 1 for n in last if n - start >= len(pattern.factors) - 1):
                        if reading.is_mirrored and matcher.normal(factors[start].turn) != factors[stop - 1]:
                            continue
                        if pattern.scalars and (start, stop) != (0, len(factors)):
                            continue
                        run = Run(factors[start:stop], chain.scalars if pattern.scalars else ())
                        for bound in matcher.row(pattern, run, {}):
                            scalars = () if pattern.scalars else chain.scalars
                            yield reading, bound, ("chain", turned, factors[:start], factors[stop:], scalars)

    def _places(self, pattern: p.Pattern, factors: Sequence[Factor]) -> list[int]:
        """Where in a product an outer factor of a pattern can be."""
        places = range(len(factors))
        graph, op = self.graph, "item" if isinstance(pattern, p.Item) else getattr(pattern, "op", "")
        if op in ("", "kron", "diag", "sum"):
            return list(places)
        return [
            k for k in places if any(isinstance(t, Applied) and t.op.name == op for t in graph[factors[k].child].terms)
        ]

    def _apply(self, reading: Reading, bound: Bindings, number: int, term: Term, finish: tuple[object, ...]) -> None:
        graph = self.graph
        type = graph.tensor(number)
        instance = Instance(graph, bound, type.dtype, reading.rule)
        if isinstance(reading.rule, syntax.RuleFact):
            self._conclude(instance, reading.rule, number, finish)
            return
        depth, graph.depth = graph.depth, UNUSED
        first = len(graph.leader)
        try:
            made = self._made(reading, instance)
            if made is None:
                return
            value, conditions = made
            result = self._finished(value, finish, type)
        except Impossible:
            return
        finally:
            graph.depth = depth
        home = self._home(result)
        if graph.tensor(result).dims != type.dims or graph.tensor(result).dtype.kind != type.dtype.kind:
            return
        if self.mode != "fast" and not self._stays_definite(term, result, first):
            return
        if reading.rule.arrow == "=>" or self._pays(number, result, first, DEARER):
            self._keep(result, depth)
            is_reversed = reading.result is reading.rule.left
            step = Step(reading.name, term, conditions, tuple(bound.items()), is_reversed)
            graph.join(graph.home[term], home, step)

    def _made(self, reading: Reading, instance: Instance) -> tuple[int, tuple[str, ...]] | None:
        """The right side of a rule for a match, and the conditions that hold; the same in every place of the match."""
        assert reading.result is not None
        bound = sorted(instance.bound.items(), key=lambda item: item[0])
        key = (id(reading), instance.dtype, tuple(bound))
        if key not in self.made:
            self.made[key] = None
            where = reading.rule.where
            if self.mode == "fast":  # rounding does not matter
                where = [c for c in where if called(c) != BOUNDED]
            conditions = holds(instance, where)
            if conditions is not None:
                self.made[key] = instance.value(reading.result), conditions
        return self.made[key]

    def _conclude(self, instance: Instance, rule: syntax.RuleFact, number: int, finish: tuple[object, ...]) -> None:
        """A fact of a class, where a rule for facts holds of the whole of it."""
        if finish[0] == "chain" and (finish[1] or any(finish[2:])) or finish[0] != "chain" and any(finish[1:]):
            return
        graph = self.graph
        assert isinstance(rule.conclusion, syntax.Call) and isinstance(rule.conclusion.function, syntax.Name)
        depth, graph.depth = graph.depth, UNUSED
        try:
            if holds(instance, rule.where) is not None:
                arguments = tuple(instance.dim(a) for a in rule.conclusion.arguments[1:])
                graph.learn(number, [Fact(rule.conclusion.function.name, arguments)])
        except Impossible:
            return
        finally:
            graph.depth = depth

    def _home(self, number: int) -> int:
        """The class that the term which has just been made was first put in; the class itself where none was made."""
        latest = self.graph.latest
        home = None if latest is None else self.graph.home[latest]
        return home if home is not None and self.graph.find(home) == self.graph.find(number) else number

    def _pays(self, number: int, result: int, first: int, factor: float) -> bool:
        """Whether a form takes not much more work than those that there are, beyond what it takes over from them."""
        graph = self.graph
        shared: set[int] = set()
        seen: set[int] = set()
        waiting = [graph.find(result)]
        while waiting:
            found = graph[waiting.pop()]
            known = found.id < first and found.depth != UNUSED
            if known and not any(map(_is_inverse, found.terms)):
                shared.add(found.id)  # (an inverse is applied more often than it is there)
            elif found.id not in seen:
                seen.add(found.id)
                waiting += [c for t in found.terms for c in t.children]
        estimate = self.estimate
        if estimate.value(result) > factor * estimate.value(number):
            return False
        return estimate.beyond(result, shared) <= factor * estimate.beyond(number, shared)

    def _stays_definite(self, before: Term, result: int, first: int) -> bool:
        """Whether no inverse of a definite matrix gives way to one that must be factored with less certainty."""
        graph = self.graph
        terms = [before, *(t for c in before.children for t in graph[c].terms)]
        if not any(graph.knows(t.children[0], "spd") for t in terms if _is_inverse(t)):
            return True
        seen: set[int] = set()
        waiting = [graph.find(result)]
        while waiting:
            found = graph[waiting.pop()]
            if found.id in seen or (found.id < first and found.depth != UNUSED):
                continue
            seen.add(found.id)
            inverted = [t.children[0] for t in found.terms if _is_inverse(t)]
            if any(not any(graph.knows(n, fact) for fact in _STEADY) for n in inverted):
                return False
            waiting += [c for t in found.terms for c in t.children]
        return True

    def _keep(self, number: int, depth: int) -> None:
        """The classes that were made for a result are looked at in the next round."""
        waiting = [number]
        while waiting:
            found = self.graph[waiting.pop()]
            if found.depth == UNUSED:
                found.depth = depth
                waiting += [c for t in found.terms for c in t.children]

    def _finished(self, result: int, finish: tuple[object, ...], type: TensorType) -> int:
        """The result of a rule put back in the place where it held."""
        graph = self.graph
        match finish:
            case ("sum", rest) if rest:
                return graph.sum([(1, result), *rest], type)  # type: ignore[misc]
            case ("entries", others) if others:
                return graph.multiply([result, *others], type.dtype, type.dims)  # type: ignore[misc]
            case ("chain", turned, before, after, scalars):
                kind = MATRIX if len(graph.tensor(result).dims) == 2 else "column" if not after else "row"
                if not graph.tensor(result).dims:
                    result = graph.multiply([result, *scalars], type.dtype, ())  # type: ignore[misc]
                    return self._like(result, type)
                factors = (*before, Factor(result, False, kind), *after)  # type: ignore[misc]
                run = Run(factors, tuple(scalars))  # type: ignore[arg-type]
                made = run_class(graph, run, type.dtype)
                if turned and len(graph.tensor(made).dims) == 2:
                    rows, columns = graph.tensor(made).dims
                    made = graph.contract(turning(rows, columns), [made], type.dtype)
                return self._like(made, type)
        return result

    def _like(self, number: int, type: TensorType) -> int:
        """The class with axes of size 1 where the type has them."""
        graph = self.graph
        dims = graph.tensor(number).dims
        if dims == type.dims or [d for d in dims if d != 1] != [d for d in type.dims if d != 1]:
            return number
        letters = {k: n for n, k in enumerate(k for k, d in enumerate(type.dims) if d != 1)}
        output = tuple((letters[k],) if k in letters else () for k in range(len(type.dims)))
        numbers = iter(letters.values())
        given = tuple((next(numbers),) if d != 1 else () for d in dims)
        extents = tuple(d for d in type.dims if d != 1)
        return graph.contract(Contraction((given,), output, extents), [number], type.dtype)
