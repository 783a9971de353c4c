"""An account as JSON.

plan         the program that runs, as text
passes       those that changed it
sizes        at which seconds, totals and `assumed` ones hold
cost         of the plan: numbers, or formulas where sizes are not known
totals       `written` and `chosen`: flops, bytes, peak_bytes, seconds
held         the largest values where most is held: name, type, bytes
lines        of the plan: code, kernel, flops, bytes, seconds, facts
choices      values with another way: name, kernel, next_best, extra_seconds, excluded
derivations  pass by pass, of the bodies of loops and branches, then of the whole (`of` is empty): of, complete,
             written, planned, steps, chosen; a step has rule, text, before, after, variables, facts (with
             `because`), and totals (or null)
native       with the backend llvm: `functions` (results, stored, fused, values) and `refused` (what, why); else null
approximated what became of the budgets for errors: name, budget, kind, bound, reason, on, measured, failure, seconds,
             promise, and `spent` (name, structure, about, error, bytes, flops)
iterated     systems that are solved by steps without being asked for, in words
dense        why arrays that are declared sparse are stored with all of their entries, in words
guards       what is asked before a branch is taken that may lose digits, in words
search       how it ended, in words
prices       where times come from, and why they may be off
variants     the plans that a call chooses from by its sizes, where there are several: wins, flops, seconds, told
check        what a check of the plan showed: method, points, sizes, bound, digits, why, text; or null
advice       facts that would pay: input, fact, fewer_flops, faster
structured   constants that have a structure which the program does not say: constant, about, write, flops, seconds (how
             many times fewer)
roofline     if it was asked for: `memory` in bytes and `arithmetic` in operations in a second, by dtype, and `kernels`
             (name, kernel, flops, bytes, seconds, bound, attained); else null
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tpc.cost import Cost, shown
from tpc.dsl.format import format_expression
from tpc.explanation import approximations
from tpc.explanation.account import Account, Choice, Line, Part, Served
from tpc.explanation.native import NativeCode
from tpc.explanation.words import rule_text
from tpc.passes.derivation import Stage
from tpc.passes.kernels import Totals

if TYPE_CHECKING:
    from tpc.explanation.advice import Advice
    from tpc.explanation.roofline import Roofline


def record(account: Account, held: Roofline | None = None) -> dict[str, Any]:
    """The account with stable keys, in a stable order; with a roofline, if there is one."""
    return {
        "function": account.name,
        "program": str(account.program),
        "plan": str(account.plan.program),
        "passes": [name for name, _ in account.plan.steps],
        "sizes": dict(account.at),
        "assumed": list(account.assumed),
        "cost": _cost(account.cost),
        "totals": {"written": _totals(account.written), "chosen": _totals(account.chosen)},
        "held": [asdict(held) for held in account.held],
        "lines": [_line(line) for line in account.lines],
        "choices": [_choice(choice) for choice in account.choices],
        "derivations": [_part(part) for part in account.derivations],
        "native": None if account.native is None else _native(account.native),
        "approximated": approximations.record(account.certificates),
        "iterated": list(account.iterated),
        "dense": list(account.dense),
        "guards": list(account.guards),
        "search": account.outcome,
        "prices": list(account.prices),
        "variants": [_served(served) for served in account.variants],
        "check": None if account.check is None else {**asdict(account.check), "text": str(account.check)},
        "advice": [_advice(item) for item in (account.advised.facts if account.advised else ())],
        "structured": [asdict(item) for item in (account.advised.structured if account.advised else ())],
        "roofline": None if held is None else _roofline(held),
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {"flops": cost.flops, "bytes": cost.bytes, "peak_bytes": cost.peak_bytes, "seconds": cost.seconds}


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "flops": totals.flops,
        "bytes": totals.bytes,
        "peak_bytes": totals.peak_bytes,
        "seconds": totals.seconds,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "code": line.code,
        "kernel": line.kernel or None,
        "flops": shown(line.flops),
        "bytes": shown(line.bytes),
        "seconds": line.seconds,
        "facts": list(line.facts),
    }


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "name": choice.name,
        "kernel": choice.kernel,
        "next_best": choice.other,
        "extra_seconds": choice.extra,
        "excluded": [{"kernel": kernel, "needs": fact} for kernel, fact in choice.excluded],
    }


def _native(native: NativeCode) -> dict[str, Any]:
    refused = [{"what": name, "why": reason} for name, reason in native.refused]
    return {"functions": [asdict(function) for function in native.functions], "refused": refused}


def _roofline(held: Roofline) -> dict[str, Any]:
    own = ("name", "kernel", "flops", "bytes", "seconds", "bound", "attained")
    return {
        "memory": held.limits.memory,
        "arithmetic": {dtype.name: held.limits.arithmetic(dtype) for dtype in held.dtypes},
        "kernels": [{key: getattr(point, key) for key in own} for point in held.points],
    }


def _part(part: Part) -> dict[str, Any]:
    derivation = part.derivation
    return {
        "of": part.of,
        "complete": derivation.is_complete,
        "written": _totals(derivation.written),
        "planned": _totals(derivation.planned),
        "steps": [_stage(stage) for stage in derivation.stages],
        "chosen": _totals(derivation.chosen),
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "rule": stage.rule,
        "text": rule_text(stage.rule),
        "before": format_expression(stage.before),
        "after": format_expression(stage.after),
        "variables": {name: format_expression(value) for name, value in stage.bound.items()},
        "facts": [{"fact": fact, "because": list(lines)} for fact, lines in stage.facts],
        "totals": None if stage.totals is None else _totals(stage.totals),
    }


def _served(served: Served) -> dict[str, Any]:
    return {"wins": served.wins, "flops": served.flops, "seconds": served.seconds, "told": served.is_told}


def _advice(item: Advice) -> dict[str, Any]:
    return {"input": item.input, "fact": str(item.fact), "fewer_flops": item.flops, "faster": item.seconds}
