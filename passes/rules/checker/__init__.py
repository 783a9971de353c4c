"""A machine that checks a rule: that it says something, that it is true, and that it needs what it asks for.

Each rule is tried at points of all kinds at all small shapes (`trial`), and at a thousand random points at each of
six settings of sizes (`bulk`). Rules made of field operations are evaluated on residues modulo a prime. Two rational
functions that agree there are equal but for a tiny probability (Schwartz, Zippel), and a polynomial identity of
matrices that holds at sizes above half of its degree holds at all sizes (Amitsur, Levitzki); with transposes and
traces, above its degree (Procesi, Razmyslov). The deep check goes there. The others are evaluated in floats: rules of
scalar functions in long double, at infinities and NaN too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.format import format_expression
from tpc.ir.reference import FLOAT
from tpc.passes.rules import BOUNDED, Law, is_entrywise, kind_of
from tpc.passes.rules.checker.bulk import sweep_many
from tpc.passes.rules.checker.cost import dearer
from tpc.passes.rules.checker.setting import NO_AXIS, Setting
from tpc.passes.rules.checker.trial import Trial, tags
from tpc.passes.rules.shapes import Untyped, is_reducing, sides
from tpc.passes.rules.trees import called, walk

__all__ = ["Report", "check"]

POINTS = 1000  # at each of the settings of sizes
SEARCHED = 40  # small shapes among which a counterexample is looked for


@dataclass
class Report:
    """What was found of a rule.

    Attributes
    ----------
    settings : int
        Settings of sizes at which the rule was compared at all random points that were wanted.
    above_degree : bool
        Whether the sides were exactly equal at sizes above the degree of the rule (by a deep check).
    problems : list of str
        Why it may not be used; empty for a good rule.
    needless : list of str
        Conditions without which no counterexample was found.
    survivors : list of str
        Mutants that no point refuted: equal to the rule, or a gap of the checker.
    """

    name: str
    domain: str = ""
    above_degree: bool = False
    shapes: int = 0
    points: int = 0
    settings: int = 0
    mutants: int = 0
    refuted: int = 0
    problems: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.problems


def check(law: Law, seed: int = 0, points: int = POINTS, deep: bool = False) -> Report:
    """Check a rule or fact.

    Parameters
    ----------
    seed : int
        Of the random operands; equal seeds give equal reports.
    points : int
        Random points at each of six settings of sizes, beside the special ones at all small shapes.
    deep : bool
        Whether to go on to sizes above the degree of the rule.

    Returns
    -------
    Report
    """
    report = Report(law.name.name)
    report.problems += _faults(law)
    if report.problems:
        return report
    checked: list[Trial] = []
    for rank, axis in _variants(law):
        try:
            checked.append(Trial(Setting(law, law.where, rank, axis), seed))
        except Untyped as problem:
            report.problems.append(f"does not fit together: {problem}")
            return report
    for case in checked:
        case.sweep(report)
        if not report.problems:
            sweep_many(case, report, points, deep)
        if deep and not report.problems:
            case.large(report)
        if report.problems:
            return report
    report.domain = checked[0].domain.name
    if not report.points:
        report.problems.append("no operands meet the conditions")
        return report
    for condition in law.where:
        if called(condition) == BOUNDED:
            continue  # rounding is not what is checked here
        if not any(_is_needed(condition, case, seed) for case in checked):
            report.needless.append(format_expression(condition))
    checked[0].mutate(report)
    if isinstance(law, syntax.Rule) and law.arrow == "=>" and "reading" not in tags(law):
        report.problems += [f"`=>`, but {what}" for what in dearer(checked[0].setting)]
    return report


def _faults(law: Law) -> list[str]:
    """What is wrong with the text of a rule."""
    found = []
    if isinstance(law, syntax.Rule):
        left, right = (
            {p.name for p in walk(side) if isinstance(p, syntax.Name) and kind_of(p.name)} for side in sides(law)
        )
        if format_expression(law.left) == format_expression(law.right):
            found.append("both sides are the same")
        sizes = {name for name in right | left if kind_of(name) == "size"}
        for one, other, word in ((right, left, "left"), (left, right, "right")):
            if (word == "left" or law.arrow == "<=>") and one - other - sizes:
                found.append(f"{', '.join(sorted(one - other - sizes))} not bound by the {word}")
        if not left:
            found.append("the left side has no variable")
        if isinstance(law.left, syntax.Name):
            found.append("the left side matches everything")
        bound = left
    else:
        bound = {p.name for p in walk(sides(law)[0]) if isinstance(p, syntax.Name)}
    asked = {p.name for c in law.where for p in walk(c) if isinstance(p, syntax.Name) and kind_of(p.name) in _VALUES}
    if asked - bound:
        found.append(f"{', '.join(sorted(asked - bound))} in a condition alone")
    return found


_VALUES = ("matrix", "vector", "scalar")


def _variants(law: Law) -> list[tuple[int, Any]]:
    """Numbers of axes of the arrays of an entrywise rule, and what its options stand for."""
    options = any(isinstance(p, syntax.Name) and kind_of(p.name) == "option" for s in sides(law) for p in walk(s))
    axes = [-1, 0, NO_AXIS] if options else [-1]
    layers = "softmax" in law.span.text
    if not is_entrywise(law):
        return [(1, axis) for axis in axes]
    if not is_reducing(law):
        return [(1, -1), (2, -1)]
    return [(2, axis) for axis in axes if not (layers and axis == NO_AXIS)] + [(1, -1)]


def _is_needed(condition: syntax.Expr, case: Trial, seed: int) -> bool:
    """Whether there is a counterexample without the condition."""
    where = [c for c in case.law.where if c is not condition]
    try:
        setting = Setting(case.law, where, case.setting.rank, case.setting.axis)
        weaker = Trial(setting, seed)
    except Untyped:
        return True  # without it one side has no type
    for domain in dict.fromkeys((weaker.domain, FLOAT)):
        weaker.domain = domain
        sizes = list(enumerate(weaker.sizes(SEARCHED)))
        # most are found at once, some hang on one special value
        for draws, tried in ((6, sizes), (80, sizes[:: max(len(sizes) // 8, 1)])):
            if any(weaker.refuted(number, known, draws) for number, known in tried):
                return True
    return False
