"""How the conditions of a step are known: the derivations of facts, in terms of the program as it was written."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.dsl import syntax
from tpc.dsl.parser import parse_expression
from tpc.ir.facts import FACTS, analyse
from tpc.ir.facts.derivation import expression
from tpc.ir.node import Node
from tpc.passes.egraph.classes import Step
from tpc.passes.egraph.expressions import classes_of
from tpc.passes.egraph.instance import Impossible, Instance
from tpc.passes.optimise import Optimised
from tpc.passes.rules import BOUNDED, lines

MOST_LINES = 12


class Reasons:
    """Finds them; `names` are those of values as written."""

    def __init__(self, found: Optimised, names: Mapping[Node, str]) -> None:
        self.found, self.names = found, names
        self.facts = analyse(found.written, found.given)
        self.nodes: dict[int, list[Node]] = {}
        for node, number in found.classes.items():
            if node in self.facts:
                self.nodes.setdefault(found.graph.find(number), []).append(node)

    def of(self, step: Step, condition: str) -> list[str]:
        """Why a condition of a step holds."""
        match parse_expression(condition):
            case syntax.Call(function=syntax.Name(name="square")):
                return ["by its sizes"]
            case syntax.Call(function=syntax.Name(name=name)) if name == BOUNDED:
                return ["looked at when the program runs"]
            case syntax.Call(function=syntax.Name(name=fact), arguments=[of]) if fact in FACTS:
                return self._of_fact(step, fact, of)
            case syntax.Binary(left=left):
                for fact in ("positive", "nonnegative", "nonzero"):
                    lines = self._of_fact(step, fact, left)
                    if lines != [FOUND]:
                        return lines
                return ["by sizes and signs"]
        return []

    def _of_fact(self, step: Step, fact: str, of: syntax.Expr) -> list[str]:
        number = self._class(step, of)
        for node in self.nodes.get(-1 if number is None else number, ()):
            known = next((f for f in self.facts[node] if f.name == fact), None)
            if known is not None:
                return self.facts.why(node, known).lines(self._name)[:MOST_LINES]
        return [FOUND]

    def _name(self, node: Node) -> str:
        return expression(node, self.names)

    def _class(self, step: Step, of: syntax.Expr) -> int | None:
        """The class that an expression of a rule is at a step."""
        graph, law = self.found.graph, lines()[step.rule].law
        dtype = next((graph.tensor(c).dtype for c in classes_of(step.bound or ())), None)
        if dtype is None:
            return None
        try:
            return graph.find(Instance(graph, dict(step.bound or ()), dtype, law).value(of))
        except Impossible:
            return None


FOUND = "follows from a form that the search has found"
