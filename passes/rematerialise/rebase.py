"""Graphs in another order of first runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from tpc.passes.rematerialise.graph import Graph, Plan


@dataclass(frozen=True)
class Base:
    """A graph whose steps are taken in an order of their own; pairs are keys of that order (see `timeline`)."""

    original: Graph
    order: tuple[int, ...]

    @cached_property
    def graph(self) -> Graph:
        place = self._places
        return Graph(
            tuple(
                replace(
                    step,
                    operands=tuple(place[operand] for operand in step.operands),
                    takes=None if step.takes is None else place[step.takes],
                )
                for step in (self.original.steps[value] for value in self.order)
            ),
            self.original.held,
        )

    @cached_property
    def _places(self) -> dict[int, int]:
        return {value: place for place, value in enumerate(self.order)}

    def plan(self, pairs: Iterable[int]) -> Plan:
        """The plan of pairs, without runs whose result nothing reads before the next run of the same step."""
        n = len(self.order)
        keys = sorted([*pairs, *(place * n + place for place in range(n))])
        return Plan(self.original, _needed(self.original, [self.order[key % n] for key in keys]))

    def pairs(self, plan: Plan) -> frozenset[int]:
        """The pairs of a plan whose first runs are in this order."""
        n = len(self.order)
        found: list[int] = []
        stage = 0
        for value in plan.order:
            place = self._places[value]
            if place == stage:
                stage += 1
            elif stage < n:
                found.append(stage * n + place)
        return frozenset(found)


def base_of(plan: Plan) -> Base:
    """The order in which the steps of a plan run first."""
    return Base(plan.graph, tuple(dict.fromkeys(plan.order)))


def _needed(graph: Graph, order: list[int]) -> tuple[int, ...]:
    """An order without the runs that nothing reads; those that only they read go as well."""
    read: set[int] = set()
    seen: set[int] = set()
    kept: list[int] = []
    for value in reversed(order):
        if value in seen and value not in read:
            continue
        seen.add(value)
        read.discard(value)
        read.update(graph.steps[value].operands)
        kept.append(value)
    return tuple(reversed(kept))
