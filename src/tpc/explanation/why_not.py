"""Why a rule is not part of a plan, or that it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from tpc.dsl import syntax
from tpc.dsl.diagnostics import fail
from tpc.dsl.format import format_expression
from tpc.explanation.account import Account, searches
from tpc.explanation.words import law_of, rule_text, seconds_text, stage_place
from tpc.ir.facts import FACTS
from tpc.ir.node import Node
from tpc.passes.choose.select import price_with
from tpc.passes.choose.value import Whole
from tpc.passes.egraph.expressions import Expressions
from tpc.passes.egraph.moves import MOVES
from tpc.passes.egraph.occurrences import Occurrence, occurrences
from tpc.passes.egraph.phrases import substituted
from tpc.passes.optimise import Optimised
from tpc.passes.rules import Law, lines

MOST_PLACES = 1000  # that are looked at
MOST_SHOWN = 3


def why_not(account: Account, rule: str) -> list[str]:
    """What became of a rule, in lines.

    Raises
    ------
    TpcError
        E1004 if there is no such rule.
    """
    law = law_of(rule)
    if law is None and rule not in MOVES:
        import difflib

        known = [*lines(), *MOVES]
        close = difflib.get_close_matches(rule, known, 3, 0.5) or [n for n in known if rule in n][:3]
        near = " or ".join(f"`{name}`" for name in close)
        files = ", ".join(sorted({line.file.removesuffix(".rules") for line in lines().values()}))
        help = f"did you mean {near}?" if near else f"rules have names such as `woodbury`; they are about {files}"
        raise fail("E1004", f"there is no rule `{rule}`", help=help)
    head = f"{rule_text(rule)}{stage_place(rule)}" if law is not None else f"{rule}: {rule_text(rule)}"
    used = list(_used(account, rule))
    if used:
        return [head, *used]
    if account.plan.search is None:
        return [head, account.outcome]
    for _, found, names in reversed(list(searches(account.plan))):
        expressions = _named(found, names)
        told = list(_fired(expressions, found, rule))
        if not told and law is not None:
            told = _not_fired(account, expressions, found, law)
        if told:
            return [head, *told]
    what = "neither side of it occurs" if isinstance(law, syntax.Rule) else "what it is about does not occur"
    lacking = f"{what} in the program, nor in a form of it that was found"
    return [head, lacking, account.outcome]


def _used(account: Account, rule: str) -> Iterator[str]:
    for part in account.derivations:
        steps = [f"step {n}" for n, stage in enumerate(part.derivation.stages, 1) if stage.rule == rule]
        if steps:
            yield f"it is used: {' and '.join(steps)} of the derivation{f' ({part.of})' if part.of else ''}"


def _named(found: Optimised, names: Mapping[Node, str]) -> Expressions:
    return Expressions(found.graph, {**{n: str(n["name"]) for n in found.written.inputs}, **names}, found.classes)


def _fired(expressions: Expressions, found: Optimised, rule: str) -> Iterator[str]:
    """Where a rule has added a form that the plan does not use."""
    graph = found.graph
    joins = [(a, b, step) for a, b, step in graph.joins if step is not None and step.rule == rule]
    if not joins:
        return
    wanted = found.asked
    yield f"it was applied at {len(joins)} place{'s' * (len(joins) != 1)}, and the plan does without"
    for a, b, step in joins[:MOST_SHOWN]:
        sides = expressions.instance(step) or tuple(expressions.of_class(n, named=False) for n in (a, b))
        yield f"  {format_expression(sides[0])} = {format_expression(sides[1])}"
        value = Whole(graph.find(a))
        if value not in found.selection.ways:
            yield "    the plan does not compute this value by itself"
            continue
        ways = [w for w in found.menu.ways(value) if w.term is not None and graph.home[w.term] == b]
        prices = [price_with(found.menu, wanted, found.selection, value, way) for way in ways]
        least = min((p for p in prices if p is not None), default=None)
        if least is not None:
            more = least - found.selection.seconds
            yield f"    the plan would take {seconds_text(more)} more" if more > 0 else "    it would take as long"


def _not_fired(account: Account, expressions: Expressions, found: Optimised, law: Law) -> list[str]:
    places = list(islice(occurrences(found.graph, found.menu.sizes, law.name.name), MOST_PLACES))
    if not places:
        return _approximation(law)
    written = {found.graph.find(number) for number in found.classes.values()}
    places = [place for place in places if found.graph.find(place.number) in written] or places
    least = min(len(place.missing) for place in places)
    places = [place for place in places if len(place.missing) == least]
    free = [place for place in places if not place.missing]
    tags = [tag.name for tag in law.tags] if isinstance(law, syntax.Rule) else []
    forbidding = [tag for tag in tags if tag in ("unstable", "finite")]
    if free and forbidding and found.request.mode != "fast":
        why = {
            "unstable": "rounding may be worse after it",
            "finite": "it may differ where an entry is infinite or NaN",
        }
        told = " and ".join(why[tag] for tag in forbidding)
        return [*_places(expressions, free), f"it holds, but mode `{found.request.mode}` forbids it: {told}"]
    if free and not isinstance(law, syntax.Rule):
        return [*_places(expressions, free), "it holds: what it concludes is known of the value"]
    if free:
        return [
            *_places(expressions, free),
            "it holds, but was not kept: what it gives was known already, takes far more work, or is out of bounds",
            account.outcome,
        ]
    return [*_places(expressions, places), *_missing(expressions, places)]


def _approximation(law: Law) -> list[str]:
    if isinstance(law, syntax.Rule) and law.arrow == "~>":
        return ["it is an approximation, and used only within a tolerance"]
    return []


def _places(expressions: Expressions, places: Sequence[Occurrence]) -> Iterator[str]:
    shown: dict[str, None] = {}
    for place in places:
        sides = expressions.instance(place.step)
        if sides is not None:
            shown[f"  {format_expression(sides[0])}"] = None
        if len(shown) == MOST_SHOWN:
            break
    if shown:
        yield "it matches:"
        yield from shown


def _missing(expressions: Expressions, places: Sequence[Occurrence]) -> Iterator[str]:
    """The conditions that are not known to hold."""
    told: dict[str, None] = {}
    for place in places:
        values = expressions.bindings(place.step)
        told.update(dict.fromkeys(_lacking(condition, values) for condition in place.missing))
    yield from list(told)[:MOST_SHOWN]


def _lacking(condition: syntax.Expr, values: Mapping[str, syntax.Expr]) -> str:
    match condition:
        case syntax.Call(function=syntax.Name(name=fact), arguments=[of]) if fact in FACTS:
            subject = substituted(of, dict(values))
            shown = format_expression(subject)
            if isinstance(subject, syntax.Name):
                return f"it is not known that {fact}({shown}): declare `{shown} is {fact}` if it is true"
            return (
                f"it is not known that {fact}({shown}): give it a name, and declare that it `is {fact}` if it is true"
            )
    return f"it is not known that {format_expression(substituted(condition, dict(values)))}"
