"""Which joins of an e-graph lie between what was written and what was chosen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from tpc.dsl import syntax
from tpc.passes.choose.value import Factors, Part, Value, Whole
from tpc.passes.egraph.classes import Step
from tpc.passes.egraph.expressions import classes_of
from tpc.passes.egraph.phrases import called_in
from tpc.passes.egraph.terms import Applied, Sum, Term
from tpc.passes.optimise import Optimised
from tpc.passes.rules import lines

REACH = 3  # how deep the left side of a rule looks


class Trace:
    """Finds the joins that a choice rests on.

    The forms that were chosen are found from the results on, as far as values are computed by forms that rules have
    made. From the class that a form was first put in, the shortest way of joins leads to the class that was asked
    for. A join rests on earlier ones: one of congruence on those of its operands, one of a rule on those that gave
    its left side the form in which it matched.

    Attributes
    ----------
    first
        The first form of each class.
    """

    def __init__(self, found: Optimised) -> None:
        self.found, self.graph = found, found.graph
        self.first: dict[int, Term] = {}
        for term, number in self.graph.home.items():
            self.first.setdefault(number, term)
        self.near: dict[int, list[tuple[int, int]]] = {}
        for k, (a, b, _) in enumerate(self.graph.joins):
            self.near.setdefault(a, []).append((b, k))
            self.near.setdefault(b, []).append((a, k))
        self.needed: set[int] = set()
        self.roots: dict[int, None] = {}  # classes that the plan uses, by the form that it uses them in
        self.explained: set[tuple[int, int]] = set()
        self.visited: set[int] = set()
        self.values = self._values()

    def run(self) -> list[int]:
        """The joins that are needed, in order."""
        for node in self.found.written.outputs:
            self._visit(self.found.classes[node])
        for value in self.found.selection.order:  # values that are there as classes of their own
            if isinstance(value, Whole):
                self._visit(value.number)
        return sorted(self.needed)

    def _values(self) -> dict[int, list[Term]]:
        """The terms by which the classes of the selection are computed, or applied."""
        graph, selection = self.graph, self.found.selection
        chosen: dict[int, list[Term]] = {}
        stored: set[int] = set()
        for value, way in selection.ways.items():
            match value:
                case Whole(number=number):
                    stored.add(graph.find(number))
                    if way.term is not None:
                        chosen.setdefault(graph.find(number), []).append(way.term)
                case Factors(number=number):
                    stored.add(graph.find(number))
        summands = {graph.find(c) for terms in chosen.values() for t in terms if isinstance(t, Sum) for c in t.children}
        for number in sorted(summands - set(chosen)):
            product = graph[number].product
            if product is not None:  # a summand may be taken as it is before it is stretched
                chosen[number] = [product]
        for number in sorted({graph.find(c) for v in selection.ways for c in _operands(v)} - set(chosen)):
            for term in graph[number].terms:  # an inverse that is applied and not computed, or a divisor
                is_applied = isinstance(term, Applied) and term.op.name in ("inv", "div") and term.children
                if is_applied and graph.find(term.children[-1]) in stored:
                    chosen[number] = [term]
                    break
        return chosen

    def _visit(self, asked: int) -> None:
        """Explain the form in which a class is computed, and those of its operands."""
        if asked in self.visited:
            return
        self.visited.add(asked)
        for term in self.values.get(self.graph.find(asked), ()):
            home = self.graph.home[term]
            self.roots[home] = None
            self._explain(asked, home, len(self.graph.joins))
            for child in self.first[home].children:
                self._visit(child)

    def _explain(self, a: int, b: int, before: int) -> None:
        if a == b or (a, b) in self.explained:
            return
        self.explained.add((a, b))
        for k in self._path(a, b, before):
            if k not in self.needed:
                self.needed.add(k)
                first, second, step = self.graph.joins[k]
                if step is None:
                    self._operands(first, second, k)
                else:
                    self._match(step, first, k)

    def _path(self, a: int, b: int, before: int) -> list[int]:
        """The shortest way of earlier joins from one class to another."""
        came: dict[int, tuple[int, int]] = {a: (a, -1)}
        waiting = deque([a])
        while waiting and b not in came:
            here = waiting.popleft()
            for there, k in self.near.get(here, ()):
                if k < before and there not in came:
                    came[there] = (here, k)
                    waiting.append(there)
        path = []
        while b != a and b in came:
            b, k = came[b]
            path.append(k)
        return path

    def _operands(self, first: int, second: int, k: int) -> None:
        """Terms that became equal since their operands had."""
        rest = list(self.first[second].children)
        for child in self.first[first].children:
            same = next((c for c in rest if c == child), None)
            if same is None:
                same = next((c for c in rest if c == child or self._path(child, c, k)), None)
            if same is not None:
                rest.remove(same)
                self._explain(child, same, k)

    def _match(self, step: Step, number: int, k: int) -> None:
        """What gave the left side of a step its form.

        A move says which terms it read. Of a rule, these are inner classes that have one of its ops by a join alone.
        """
        for term in step.through:
            home = self.graph.home[term]
            for child in self.first[number].children:
                if self.graph.find(child) == self.graph.find(home):
                    self._explain(child, home, k)
        line = lines().get(step.rule)
        law = None if line is None else line.law
        if not isinstance(law, syntax.Rule):
            return
        wanted = called_in(law.right if step.is_reversed else law.left)
        bound = set(classes_of(step.bound or ()))
        edge = list(self.first[number].children)
        for _ in range(REACH):
            following: list[int] = []
            for child in edge:
                if child in bound:
                    continue
                own = self.first[child]
                if isinstance(own, Applied) and own.op.name in wanted:
                    following += own.children
                    continue
                for term in self._forms(child, wanted):
                    if self._path(child, self.graph.home[term], k):
                        self._explain(child, self.graph.home[term], k)
                        following += self.first[self.graph.home[term]].children
                        break
                else:
                    following += own.children
            edge = following

    def _forms(self, number: int, wanted: set[str]) -> Iterator[Term]:
        for term in self.graph[number].terms:
            if isinstance(term, Applied) and term.op.name in wanted:
                yield term


def _operands(value: Value) -> Iterable[int]:
    return value.children if isinstance(value, Part) else ()
