"""The steps that lead from a program as written to the plan that was chosen, and what each of them gains.

An e-graph knows that classes are equal by a list of joins: by a rule, by a move, or because operands had become
equal. The steps of a derivation are those joins that lie between what was written and what was chosen. They are
checked by doing them again: a fresh graph of the program, with these joins and no others, must have a plan of the
same price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpc.dsl.collection import no_collection
from tpc.dsl.format import format_expression
from tpc.dsl.parser import parse_expression
from tpc.ir.node import Node
from tpc.passes.choose.local import FEW_CHANGES, MOST_CHANGES
from tpc.passes.derivation.reasons import Reasons
from tpc.passes.derivation.replay import Replay
from tpc.passes.derivation.trace import Trace
from tpc.passes.egraph.expressions import Expressions
from tpc.passes.egraph.phrases import Expr, substituted
from tpc.passes.kernels import Totals, totals
from tpc.passes.optimise import Optimised

PRICED = 16  # steps, at most; the last one is always priced
TRIALS = 16  # plans that are made to tell which steps the choice rests on
SLACK = 1 + 1e-4  # in prices of one plan: selections are looked for, and need not be the best there is

__all__ = ["Derivation", "Stage", "derive"]


@dataclass(frozen=True)
class Stage:
    """One step of a derivation.

    Attributes
    ----------
    rule
        The name of a rule or a move.
    before, after
        The value at which it was applied, in both forms; of a rule, both sides with what its variables stand for.
    bound
        What the variables of the rule stand for.
    facts
        The conditions that held, said of these values, each with how it is known, as indented lines.
    totals
        The whole plan after this step; None for steps beyond the first `PRICED`, but for the last.
    """

    rule: str
    before: Expr
    after: Expr
    bound: Mapping[str, Expr]
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    totals: Totals | None


@dataclass(frozen=True)
class Derivation:
    """From a program as written to the plan.

    Attributes
    ----------
    written
        What the program costs as it is written, op by op.
    planned
        What it costs with orders and kernels chosen, but no rule used.
    stages
        The steps, in the order in which they were found.
    chosen
        What the plan costs.
    is_complete
        Whether these steps alone give a plan of the price of the one that was chosen.
    """

    written: Totals
    planned: Totals
    stages: tuple[Stage, ...]
    chosen: Totals
    is_complete: bool

    @property
    def changes(self) -> list[Totals | None]:
        """The totals after each step, where they differ from those before it; else None."""
        known, found = self.planned, list[Totals | None]()
        for stage in self.stages:
            found.append(stage.totals if stage.totals != known else None)
            known = stage.totals or known
        return found


@no_collection()
def derive(
    found: Optimised, names: Mapping[Node, str] | None = None, at: Mapping[str, int] | None = None
) -> Derivation:
    """The derivation of what a search has chosen.

    Parameters
    ----------
    names
        What the user calls values; inputs have their names in any case.
    at
        The sizes at which steps are priced; by default those of the request.
    """
    prices = found.request.prices
    at = found.request.at if at is None else at
    named = {**{n: str(n["name"]) for n in found.written.inputs}, **(names or {})}
    expressions = Expressions(found.graph, named, found.classes)
    reasons = Reasons(found, named)
    trace = Trace(found)
    steps = [k for k in trace.run() if found.graph.joins[k][2] is not None]
    used = list(trace.roots)
    steps, with_facts, is_complete = _checked(found, trace, steps)
    replay = Replay(found, trace.first, with_facts)
    planned = totals(replay.plan(changes=FEW_CHANGES)[0], prices, at)
    stages = []
    for number, k in enumerate(steps, 1):
        replay.join(k)
        after = None
        if number <= PRICED or number == len(steps):
            changes = FEW_CHANGES if number < len(steps) else MOST_CHANGES
            after = totals(replay.plan(used, changes)[0], prices, at)
        stages.append(_stage(found, expressions, reasons, k, after))
    written, chosen = (totals(p, prices, at) for p in (found.written, found.program))
    return Derivation(written, planned, tuple(stages), chosen, is_complete)


def _checked(found: Optimised, trace: Trace, steps: list[int]) -> tuple[list[int], bool, bool]:
    """Steps that give the plan, whether they need facts that rules found, and whether they do give it."""

    def suffice(chosen: list[int], with_facts: bool) -> bool:
        replay = Replay(found, trace.first, with_facts)
        for k in chosen:
            replay.join(k)
        for changes in (FEW_CHANGES, MOST_CHANGES):
            selection = replay.plan(trace.roots, changes)[1]
            if selection.seconds <= found.selection.seconds * SLACK:
                return True
            if selection.is_best:
                break
        return False

    for with_facts in (False, True):
        if suffice(steps, with_facts):
            return steps, with_facts, True
    everything = [k for k, (_, _, step) in enumerate(found.graph.joins) if step is not None]
    if not suffice(everything, True):
        return steps, True, False
    more = [k for k in everything if k not in steps]
    count, trials = 2, 0
    while more and trials < TRIALS:  # of the others, leave out as many as possible, in ever smaller groups
        size = -(-len(more) // count)
        for start in range(0, len(more), size):
            fewer = more[:start] + more[start + size :]
            trials += 1
            if suffice(sorted([*steps, *fewer]), True):
                more = fewer
                count = max(count - 1, 2)
                break
            if trials >= TRIALS:
                break
        else:
            if size == 1:
                break
            count = min(2 * count, len(more))
    return sorted([*steps, *more]), True, True


def _stage(found: Optimised, expressions: Expressions, reasons: Reasons, k: int, after: Totals | None) -> Stage:
    first, second, step = found.graph.joins[k]
    assert step is not None
    bound = expressions.bindings(step)
    sides = expressions.instance(step)
    if sides is None:
        sides = expressions.of_class(first, named=False), expressions.of_class(second, named=False)
    facts = tuple(
        (format_expression(substituted(parse_expression(c), bound)), tuple(reasons.of(step, c)))
        for c in step.conditions
    )
    return Stage(step.rule, *sides, bound, facts, after)
