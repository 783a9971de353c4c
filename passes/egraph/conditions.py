"""Conditions of rules, on the classes of one match."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.dsl import syntax
from tpc.ir.dims import DimLike, is_nonnegative
from tpc.ir.facts import FACTS
from tpc.passes.egraph.instance import Impossible, Instance
from tpc.passes.egraph.terms import Applied
from tpc.passes.rules import BOUNDED
from tpc.passes.rules.trees import called, walk


def holds(instance: Instance, conditions: Sequence[syntax.Expr]) -> tuple[str, ...] | None:
    """The conditions as text if all are known to hold, else None."""
    return tuple(c.span.text for c in conditions) if all(_holds(instance, c) for c in conditions) else None


def _holds(instance: Instance, condition: syntax.Expr) -> bool:
    graph = instance.graph
    match condition:
        case syntax.Call(function=syntax.Name(name="square"), arguments=[of]):
            dims = graph.tensor(instance.value(of)).dims
            return len(dims) == 2 and dims[0] == dims[1]
        case syntax.Call(function=syntax.Name(name=fact), arguments=[of]) if fact in FACTS:
            return graph.knows(instance.value(of), fact)
        case syntax.Call(function=syntax.Name(name=name), arguments=parts) if name == BOUNDED:
            inverted = [c.arguments[0] for part in parts for c in walk(part) if called(c) == "inv"]
            return all(_is_inverted_without_loss(instance, of) for of in inverted)
        case syntax.Binary(operator="==" | "!=" | "<" | "<=" | ">" | ">=" as relation, left=left, right=right):
            try:
                return _compared(instance, instance.dim(left), relation, instance.dim(right))
            except Impossible:
                return _signed(instance, left, relation, right)
    return False


def _is_inverted_without_loss(instance: Instance, matrix: syntax.Expr) -> bool:
    graph, number = instance.graph, instance.value(matrix)
    return graph.knows(number, "diagonal") or any(
        isinstance(term, Applied) and term.op.name == "inv" for term in graph[number].terms
    )


def _compared(instance: Instance, left: DimLike, relation: str, right: DimLike) -> bool:
    """A relation of sizes, known to hold for all sizes that the program allows."""

    def proves(dim: DimLike) -> bool:
        return is_nonnegative(dim) or any(is_nonnegative(dim - known) for known in instance.graph.nonnegative)

    match relation:
        case "==":
            return left == right
        case "!=":
            return proves(left - right - 1) or proves(right - left - 1)
        case "<":
            return proves(right - left - 1)
        case "<=":
            return proves(right - left)
        case ">":
            return proves(left - right - 1)
    return proves(left - right)


def _signed(instance: Instance, left: syntax.Expr, relation: str, right: syntax.Expr) -> bool:
    """A relation of every entry of a value to a number."""
    if not isinstance(right, syntax.Number) or not isinstance(right.value, (int, float)):
        return False
    graph, bound = instance.graph, right.value
    number = instance.value(left)
    value = graph.constant(number)
    if value is not None:
        return {
            "==": value == bound,
            "!=": value != bound,
            "<": value < bound,
            "<=": value <= bound,
            ">": value > bound,
            ">=": value >= bound,
        }[relation]
    positive, nonnegative = graph.knows(number, "positive"), graph.knows(number, "nonnegative")
    match relation:
        case "!=":
            return bound <= 0 and positive or bound == 0 and graph.knows(number, "nonzero")
        case ">":
            return positive and bound <= 0 or nonnegative and bound < 0
        case ">=":
            return nonnegative and bound <= 0
    return False
