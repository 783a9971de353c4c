"""Steps of a search done again, one at a time, in a fresh graph of the same program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tpc.ir.node import Program
from tpc.passes.choose.local import MOST_CHANGES
from tpc.passes.choose.menu import Menu
from tpc.passes.choose.prices import Sizes
from tpc.passes.choose.select import Selection, select
from tpc.passes.egraph.load import load
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum, Term
from tpc.passes.optimise import Optimised, built, results


class Replay:
    """A graph of a program with some of the joins of a search.

    Parameters
    ----------
    first
        The first form of each class of the search.
    with_facts
        Whether what the search knows of values is known from the start, whichever step has found it.
    """

    def __init__(self, found: Optimised, first: Mapping[int, Term], with_facts: bool = False) -> None:
        self.found, self.first, self.with_facts = found, first, with_facts
        self.graph, self.classes = load(found.written, found.given, found.uses)
        self.loaded = len(self.graph.leader)
        self.made: dict[int, int] = {}
        if with_facts:
            for number in range(self.loaded):
                self._learn(number, number)
            self.graph.rebuild()

    def number(self, number: int) -> int:
        """The class here that a class of the search is."""
        if number < self.loaded:
            return self.graph.find(number)
        if number not in self.made:
            self.made[number] = self._made(number)
            if self.with_facts:
                self._learn(self.made[number], number)
        return self.graph.find(self.made[number])

    def _made(self, number: int) -> int:
        graph, term = self.graph, self.first[number]
        type = self.found.graph[number].type
        children = tuple(self.number(c) for c in term.children)
        match term:
            case Leaf():
                return graph.add(term, type)
            case Applied():
                return graph.add(Applied(term.op, children, term.attributes, term.type), term.type)
            case Contract():
                return graph.add(graph.arranged_term(term.form, children), type)
        total: dict[int, Number] = {}
        for coefficient, child in zip(term.coefficients, children):
            total[child] = total.get(child, 0) + coefficient
        ordered = sorted(total.items())
        return graph.add(Sum(tuple(c for _, c in ordered), tuple(n for n, _ in ordered)), type)

    def _learn(self, here: int, number: int) -> None:
        known = self.found.graph[number]
        if known.facts:
            self.graph.learn(here, known.facts)

    def join(self, k: int) -> None:
        """Do a join of the search."""
        first, second, step = self.found.graph.joins[k]
        if step is not None:  # the others follow
            self.graph.join(self.number(first), self.number(second), step)
            self.graph.rebuild()

    def plan(self, used: Iterable[int] = (), changes: int = MOST_CHANGES) -> tuple[Program, Selection]:
        """The cheapest plan by now.

        Parameters
        ----------
        used
            Classes of the search that it may use besides those that steps made.
        changes
            How many changes of it are tried.
        """
        for number in used:
            self.number(number)
        found, graph = self.found, self.graph
        menu = Menu(graph, found.request.prices, Sizes(found.request.at), found.request.kernels)
        selection = select(menu, results(found.written, graph, self.classes), changes)
        return built(found.written, graph, self.classes, selection), selection
