"""Equal forms, found until no rule gives more or a bound is met.

The search is breadth first and deterministic: each round looks at every term that there was when it began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tpc.dsl import syntax
from tpc.ir.dims import DimLike
from tpc.ir.node import Fact
from tpc.ir.types import TensorType
from tpc.passes.egraph.bindings import Bindings
from tpc.passes.egraph.classes import Full, Step
from tpc.passes.egraph.conditions import holds
from tpc.passes.egraph.estimate import Estimate
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.instance import Impossible, Instance
from tpc.passes.egraph.match import Matcher
from tpc.passes.egraph.move import Move
from tpc.passes.egraph.moves import flattened, moves
from tpc.passes.egraph.places import Place, matches, put_back
from tpc.passes.egraph.readings import Reading, readings
from tpc.passes.egraph.terms import Contract, Term
from tpc.passes.egraph.worth import UNUSED, keep, pays, stays_definite
from tpc.passes.rules import BOUNDED
from tpc.passes.rules.trees import called

DEARER = 1.01  # how much more work a form may take by a rule, and by a move, to be kept
DEARER_BY_MOVE = 3
MOST_OPERANDS = 24  # of a term that rules are tried on
REACH = 3  # how deep patterns look
WORK = 240_000
SETTLED = 4  # steps of rules that keep digits before all others


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


def _safer(group: Sequence[Reading]) -> tuple[Reading, ...]:
    return tuple(reading for reading in group if reading.is_safer)


class Search:
    """One search; `matches` finds where rules hold at a term."""

    def __init__(self, graph: EGraph, sizes: Callable[[DimLike], int], mode: str, bounds: Bounds) -> None:
        self.graph, self.sizes, self.bounds = graph, sizes, bounds
        self.mode = mode
        self.seen: set[tuple[object, ...]] = set()
        self.made: dict[tuple[object, ...], tuple[int, tuple[str, ...]] | None] = {}
        self.moved: set[tuple[object, ...]] = set()
        self.rejected: set[tuple[object, ...]] = set()  # of both, what took too much work at these sizes
        self.latest: tuple[object, ...] = ()

    def again(self, sizes: Callable[[DimLike], int], work: int) -> Outcome:
        """Look at what was not worth a look, for other sizes, as long as there is work left to do."""
        self.sizes, self.bounds = sizes, replace(self.bounds, work=work)
        self.seen -= self.rejected
        self.moved -= self.rejected
        self.rejected.clear()
        return self.run()

    def run(self) -> Outcome:
        graph, bounds = self.graph, self.bounds
        graph.bound(bounds.classes, bounds.work)
        rounds = 0
        stopped_by = ""
        graph.changed = dict.fromkeys(graph.classes)
        graph.is_exploring = True
        try:
            self._settle()
            while graph.changed:
                if rounds == bounds.rounds:
                    stopped_by = "rounds"
                    break
                rounds += 1
                changed = {graph.find(n) for n in graph.changed}
                near = self._near(changed)
                self.reach: dict[tuple[int, int], bool] = {(n, d): True for n in changed for d in range(REACH + 1)}
                graph.changed = {}
                self._read()
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
                        lost = term in graph.superseded
                        if depth != UNUSED:
                            self._rules(matcher, number, term, only_safer=depth >= bounds.depth or lost)
                        if depth < bounds.moves and not lost:
                            self._moves(number, term)
                graph.depth = 0
                graph.rebuild()
        except Full as full:
            stopped_by = str(full)
        graph.unbound()
        graph.rebuild()
        if stopped_by:
            self._take_diagonals()
        return Outcome(rounds, len(graph.classes), stopped_by)

    def _read(self) -> None:
        """The rules that may hold by now, and those of them that keep digits."""
        bounds, graph = self.bounds, self.graph
        real = not any(
            graph.tensor(n).dtype.kind == "c" for n in graph.classes if isinstance(graph[n].type, TensorType)
        )
        self.all_readings = readings(self.mode, frozenset(graph.ops), bounds.files, bounds.guarded, real)
        self.safer = {root: kept for root, group in self.all_readings.items() if (kept := _safer(group))}

    def _settle(self) -> None:
        """What overflows or loses digits as it is written gives way before other forms are made of it."""
        graph = self.graph
        changed = graph.changed
        for _ in range(SETTLED if self.mode != "fast" else 0):
            self._read()
            if not self.safer:
                break
            matcher, self.estimate = Matcher(graph, self.sizes), Estimate(graph, self.sizes)
            count = len(graph.joins)
            for number in list(graph.classes):
                for term in list(graph[number].terms):
                    graph.depth = graph[number].depth + 1
                    self._rules(matcher, number, term, only_safer=True)
            graph.depth = 0
            graph.rebuild()
            if len(graph.joins) == count:
                break
        graph.changed = {**changed, **graph.changed}

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
            for move in moves(graph, number, term, self.sizes, self.mode):
                key = (move.name, term, move.place, move.through)
                if key in self.moved:
                    continue
                self.moved.add(key)
                equal = move.make()
                if equal is None:
                    continue
                known = (move.name, graph.find(number), graph.find(equal))
                if known not in self.moved:
                    self.moved.add(known)
                    if pays(graph, self.estimate, number, equal, first, DEARER_BY_MOVE):
                        keep(graph, equal, depth)
                        graph.join(graph.home[term], self._home(equal), Step(move.name, term, through=move.through))
                    else:
                        self.rejected.update((key, known))
        finally:
            graph.depth = depth

    def _take_diagonals(self) -> None:
        """Products with matrices that have been found to be diagonal are made with their diagonals, as the rounds that
        were not made would have done: no plan should hold such a matrix because a bound was met."""
        graph = self.graph
        graph.depth = UNUSED
        for number in [n for n, c in graph.classes.items() if c.depth != UNUSED]:
            terms = list(graph[number].terms)
            found = [self._with_diagonals(number, t) for t in terms]
            for term, move in zip(terms, found):
                if None not in found and move is not None and (equal := move.make()) is not None:
                    graph.join(graph.home[term], self._home(equal), Step(move.name, term, through=move.through))
        graph.depth = 0
        graph.rebuild()

    def _with_diagonals(self, number: int, term: Term) -> Move | None:
        """The move that takes a diagonal matrix in a product for its diagonal."""
        found = flattened(self.graph, number, term) if isinstance(term, Contract) else ()
        return next((m for m in found if all(isinstance(t, Contract) and t.form.is_diagonal for t in m.through)), None)

    # ---- rules

    def _rules(self, matcher: Matcher, number: int, term: Term, only_safer: bool = False) -> None:
        if not isinstance(self.graph[number].type, TensorType):
            return
        self.readings = self.safer if only_safer else self.all_readings
        for reading, bound, place in matches(matcher, self.readings, term):
            key = (reading.name, id(reading), term, tuple(sorted(bound.items(), key=lambda item: item[0])), place)
            if key in self.seen:
                continue
            self.seen.add(key)
            self.latest = key
            self._apply(reading, bound, number, term, place)

    def _apply(self, reading: Reading, bound: Bindings, number: int, term: Term, place: Place) -> None:
        graph = self.graph
        type = graph.tensor(number)
        instance = Instance(graph, bound, type.dtype, reading.rule)
        if isinstance(reading.rule, syntax.RuleFact):
            self._conclude(instance, reading.rule, number, place)
            return
        depth, graph.depth = graph.depth, UNUSED
        first = len(graph.leader)
        try:
            made = self._made(reading, instance)
            if made is None:
                return
            value, conditions = made
            result = put_back(graph, value, place, type)
        except Impossible:
            return
        finally:
            graph.depth = depth
        home = self._home(result)
        if graph.tensor(result).dims != type.dims or graph.tensor(result).dtype.kind != type.dtype.kind:
            return
        if self.mode != "fast" and not stays_definite(graph, term, result, first):
            return
        if reading.rule.arrow == "=>" or pays(graph, self.estimate, number, result, first, DEARER):
            keep(graph, result, depth)
            is_reversed = reading.result is reading.rule.left
            step = Step(reading.name, term, conditions, tuple(bound.items()), is_reversed)
            graph.join(graph.home[term], home, step)
            if reading.is_safer and self.mode != "fast" and not (place[0] == "sum" and place[1]):
                graph.supersede(term)
        else:
            self.rejected.add(self.latest)

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

    def _conclude(self, instance: Instance, rule: syntax.RuleFact, number: int, place: Place) -> None:
        """A fact of a class, where a rule for facts holds of the whole of it."""
        if place[0] == "chain" and (place[1] or any(place[2:])) or place[0] != "chain" and any(place[1:]):
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
        home = (
            None if latest is None else self.graph.home.get(latest)
        )  # (none, if a bound was met before it was put in)
        return home if home is not None and self.graph.find(home) == self.graph.find(number) else number
