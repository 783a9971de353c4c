"""Where a rule could be used, whether its conditions hold there or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tpc.dsl import syntax
from tpc.ir.dims import DimLike
from tpc.ir.types import TensorType
from tpc.passes.egraph.bindings import Bindings
from tpc.passes.egraph.classes import Step
from tpc.passes.egraph.conditions import holds
from tpc.passes.egraph.explore import MOST_OPERANDS
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.instance import Impossible, Instance
from tpc.passes.egraph.match import Matcher
from tpc.passes.egraph.places import matches
from tpc.passes.egraph.readings import Reading, readings
from tpc.passes.egraph.terms import Term


@dataclass(frozen=True, eq=False)
class Occurrence:
    """A place where the one side of a rule is: the conditions that hold there, and those that are not known to."""

    reading: Reading
    bound: Bindings
    number: int
    term: Term
    held: tuple[str, ...]
    missing: tuple[syntax.Expr, ...]

    @property
    def step(self) -> Step:
        """The step that the rule would be."""
        reading = self.reading
        return Step(reading.name, self.term, self.held, tuple(self.bound.items()), reading.is_reversed)


def occurrences(graph: EGraph, sizes: Callable[[DimLike], int], rule: str) -> Iterator[Occurrence]:
    """Where a rule could be used in a graph, whether its conditions hold and the mode allows it or not."""
    allowed = readings("fast", frozenset(graph.ops))
    own = {root: tuple(r for r in group if r.name == rule) for root, group in allowed.items()}
    wanted = {root: group for root, group in own.items() if group}
    matcher = Matcher(graph, sizes)
    for number in list(graph.classes):
        if number not in graph.classes or not isinstance(graph[number].type, TensorType):
            continue
        for term in list(graph[number].terms):
            if len(term.children) > MOST_OPERANDS:
                continue
            for reading, bound, _ in matches(matcher, wanted, term):
                instance = Instance(graph, bound, graph.tensor(number).dtype, reading.rule)
                held: list[syntax.Expr] = []
                missing: list[syntax.Expr] = []
                for condition in reading.rule.where:
                    try:
                        known = holds(instance, [condition]) is not None
                    except Impossible:
                        known = False
                    (held if known else missing).append(condition)
                yield Occurrence(reading, bound, number, term, tuple(c.span.text for c in held), tuple(missing))
