"""How often a value is used before it changes: its time to be computed, as a number.

    constant                    any number of times
    parameter                   as often as the program is called with it
    known before a loop         as often as the loop passes
    dynamic                     once

A value changes as soon as one of its operands does, so it is used the least number of times of them. Of equal forms,
one that changes more rarely is enough. A step counts by its seconds over the uses of its result: so a search prefers
forms that do most of their work on what stays. N. D. Jones, C. K. Gomard, P. Sestoft, Partial Evaluation and Automatic
Program Generation (1993), call them binding times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, INPUT
from tpc.passes.kernels import node_seconds

if TYPE_CHECKING:
    from tpc.passes.choose.prices import Prices
    from tpc.passes.egraph.graph import EGraph
    from tpc.passes.egraph.terms import Term

ALWAYS = 10_000  # uses of a constant
STAYS = ("const", "param")  # facts of inputs that are known ahead of calls


def parameters(program: Program) -> list[Node]:
    """The inputs that are declared to change rarely."""
    declared = {node for node, facts in program.facts if any(f.name in STAYS for f in facts)}
    return [node for node in program.inputs if node in declared]


def given_uses(program: Program, calls: int) -> dict[Node, float]:
    """The uses of what is known ahead of calls, of a program that is called so often with the same parameters."""
    constants = dict.fromkeys([node for node in program.nodes if node.op is CONSTANT], float(max(calls, ALWAYS)))
    return {**constants, **(dict.fromkeys(parameters(program), float(calls)) if calls > 1 else {})}


def node_uses(program: Program, given: Mapping[Node, float]) -> dict[Node, float]:
    """The uses of every value of a program; what is made of numbers alone has those of what changes least."""
    most = max(given.values(), default=1.0)
    found: dict[Node, float] = {}
    for node in program.nodes:
        if node.op is INPUT:
            found[node] = given.get(node, 1.0)
        else:
            found[node] = min((found[a] for a in node.args), default=given.get(node, most))
    return found


def seconds_each(program: Program, prices: Prices, at: Mapping[str, int], given: Mapping[Node, float]) -> float:
    """Predicted seconds of a program at each call, its share of what is done ahead included."""
    uses = node_uses(program, given)
    return sum(node_seconds(node, prices, at) / uses[node] for node in program.nodes)


class Uses:
    """The uses of the classes of an e-graph, as it was; of later classes, by what they were first made of."""

    def __init__(self, graph: EGraph) -> None:
        self.graph = graph
        self.most = max(graph.given.values(), default=1.0)
        self.known: dict[int, float] = {}
        self.open: set[int] = set()
        if self.most > 1:
            self._find()

    def __call__(self, number: int) -> float:
        if self.most == 1:
            return 1.0
        number = self.graph.find(number)
        found = self.known.get(number)
        if found is None:
            if number in self.open:
                return 1.0
            self.open.add(number)
            found = self.known[number] = max(map(self.term, self.graph[number].terms), default=1.0)
            self.open.discard(number)
        return found

    def term(self, term: Term) -> float:
        """Those of a term, whatever it is equal to."""
        from tpc.passes.egraph.terms import Leaf

        if isinstance(term, Leaf):
            return self.graph.given.get(term.node, 1.0 if term.node.op is INPUT else self.most)
        return self.of(term.children)

    def of(self, numbers: Iterable[int]) -> float:
        """Those of what is computed from classes."""
        return min(map(self, numbers), default=self.most)

    def _find(self) -> None:
        """From below: terms whose operands are known raise their class, and this those that are made of it."""
        self.known = dict.fromkeys(self.graph.classes, 1.0)
        waiting = dict.fromkeys(self.graph.classes)
        while waiting:
            number, _ = waiting.popitem()
            found = self.graph[number]
            uses = max(map(self.term, found.terms), default=1.0)
            if uses > self.known[number]:
                self.known[number] = uses
                for user in found.users:
                    owner = self.graph.memo.get(user)
                    if owner is not None:
                        waiting[self.graph.find(owner)] = None
