"""The rules that a search may use, each direction by itself, by where in a graph they can hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

from tpc.dsl import syntax
from tpc.passes.egraph import patterns as p
from tpc.passes.rules import Law, is_entrywise, lines


@dataclass(frozen=True, eq=False)
class Reading:
    """One direction of a rule."""

    rule: Law
    pattern: p.Pattern
    result: syntax.Expr | None = None  # None for a fact, which makes no equal form
    is_reversed: bool = False

    @property
    def name(self) -> str:
        return self.rule.name.name

    @cached_property
    def is_mirrored(self) -> bool:
        """Whether a product ends with what it begins with, turned."""
        return isinstance(self.pattern, p.Row) and self.pattern.mirrored is not None

    @cached_property
    def is_safer(self) -> bool:
        """Whether the result keeps digits, or stays finite, where what it is made of does not."""
        return isinstance(self.rule, syntax.Rule) and any(tag.name == "safe" for tag in self.rule.tags)

    @cached_property
    def ops(self) -> frozenset[str]:
        """The ops that factors of a product must be written by."""
        factors = self.pattern.factors if isinstance(self.pattern, p.Row) else ()
        ops = {f.op for f in factors if isinstance(f, p.Apply)} - {"kron", "diag", "sum"}
        return frozenset(ops | {"item" for f in factors if isinstance(f, p.Item)})


@cache
def readings(
    mode: str, present: frozenset[str], files: tuple[str, ...] = (), guarded: bool = True, real: bool = True
) -> dict[str, tuple[Reading, ...]]:
    """The rules that a mode allows, by the op at their root: `@` for products, `+` for sums, `*` for entries.

    Only those of which all ops are `present` in a graph are read at all, and if `files` are named, equal forms from
    these alone. Facts of products and sums alone are found without these (see `facts`). Without `guarded`, rules are
    left out that need a guard; where not all numbers are `real`, those that hold of real ones alone.
    """
    found: dict[str, list[Reading]] = {}
    for line in lines().values():
        if line.arrow == "~>" or line.is_of_products or (line.tags & {"unstable", "finite"} and mode != "fast"):
            continue
        if files and line.arrow and line.file not in files:
            continue
        if (line.is_guarded and not guarded) or not (real or line.is_of_fields):
            continue
        both = line.arrow == "<=>"
        if not line.needs <= present and not (both and line.gives <= present):
            continue
        for reading in _readings(line.name):
            if (line.gives if reading.is_reversed else line.needs) <= present:
                found.setdefault(_root(reading.pattern), []).append(reading)
    return {root: tuple(group) for root, group in found.items() if root}


@cache
def _readings(name: str) -> tuple[Reading, ...]:
    """The directions of a rule that there are patterns for."""
    rule = lines()[name].law
    if isinstance(rule, syntax.RuleFact):
        reading = _fact(rule)
        return () if reading is None else (reading,)
    try:
        left, right = p.patterns(rule)
    except p.Unmatchable:
        return ()
    forward = Reading(rule, left, rule.right)
    return (forward,) if right is None else (forward, Reading(rule, right, rule.left, is_reversed=True))


def _fact(rule: syntax.RuleFact) -> Reading | None:
    """A rule for facts, unless what it says of products and sums alone is found without it (see `facts`)."""
    assert isinstance(rule.conclusion, syntax.Call)
    try:
        pattern = p.pattern_of(rule.conclusion.arguments[0], is_entrywise(rule))
    except p.Unmatchable:
        return None
    return Reading(rule, pattern) if p.has_op(pattern) else None


def _root(pattern: p.Pattern) -> str:
    match pattern:
        case p.Row(factors=factors) if factors:
            return "@"
        case p.Total():
            return "+"
        case p.Entries():
            return "*"
        case p.Apply(op=op):
            return op
    return ""
