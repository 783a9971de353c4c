"""Elementwise products in patterns against operands that meet entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from tpc.passes.contraction import Contraction
from tpc.passes.contraction.form import Axes, letters_of
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings
from tpc.passes.egraph.terms import Contract

if TYPE_CHECKING:
    from tpc.passes.egraph.match.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Rest:
    """A contraction whose last operand takes the place of others; the operands before it stay."""

    form: Contraction
    children: tuple[int, ...]


class Entries:
    """Finds where elementwise products hold."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher, self.graph = matcher, matcher.graph
        self.fitting: dict[tuple[int, int], bool] = {}

    def of(
        self, patterns: Sequence[p.Pattern], term: Contract, bound: Bindings
    ) -> Iterator[tuple[Bindings, Rest | None]]:
        """Patterns against operands that meet entry by entry, with what is left of the contraction, if it is more."""
        form = term.form
        numbers = [k for k, axes in enumerate(form.inputs) if not letters_of(axes)]
        groups: dict[Axes, list[int]] = {}
        for k, axes in enumerate(form.inputs):
            if k not in numbers and len(set(letters_of(axes))) == len(letters_of(axes)):
                groups.setdefault(axes, []).append(k)
        for axes, members in groups.items() or [((), [])]:
            pool = [*members, *numbers]
            if len(pool) < len(patterns):
                continue
            fitting = [[k for k in pool if self._fits(q, term.children[k])] for q in patterns]
            for chosen in product(*fitting):
                if len(set(chosen)) < len(chosen) or members and not set(chosen) & set(members):
                    continue
                rest = self._without(term, chosen, axes)
                for found in self.matcher.all([(q, term.children[k]) for q, k in zip(patterns, chosen)], bound, True):
                    yield found, rest

    def _fits(self, pattern: p.Pattern, number: int) -> bool:
        """Whether a pattern holds at an array for some values of its variables."""
        if isinstance(pattern, p.Variable):
            return True
        key = (id(pattern), self.graph.find(number))
        if key not in self.fitting:
            self.fitting[key] = next(self.matcher.array(pattern, number, {}), None) is not None
        return self.fitting[key]

    def _without(self, term: Contract, chosen: Sequence[int], axes: Axes) -> Rest | None:
        form = term.form
        left = [k for k in range(len(form.inputs)) if k not in chosen]
        if not left and axes == form.output:
            return None
        inputs = (*(form.inputs[k] for k in left), axes)
        return Rest(Contraction(inputs, form.output, form.extents), tuple(term.children[k] for k in left))
