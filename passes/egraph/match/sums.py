"""Sums in patterns against sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

from tpc.passes.contraction import Contraction
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings, Bound, Run, Summands, extended
from tpc.passes.egraph.terms import Contract, Number, Sum

if TYPE_CHECKING:
    from tpc.passes.egraph.match.matcher import Matcher


class Sums:
    """Finds where sums hold."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher, self.graph = matcher, matcher.graph
        self.fitting: dict[tuple[int, Number, tuple[Number, int], bool], bool] = {}

    def value(self, pattern: p.Total, number: int, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
        """All of a sum against a class."""
        for term in list(self.graph[number].terms):
            if isinstance(term, Sum):
                for found, rest in self.total(pattern, term, bound, is_turned):
                    if not rest:
                        yield found

    def total(
        self, pattern: p.Total, term: Sum, bound: Bindings, is_turned: bool = False
    ) -> Iterator[tuple[Bindings, tuple[tuple[Number, int], ...]]]:
        """The summands of a pattern against those of a sum, with what is left over.

        One summand that is a variable takes all that the others leave.
        """
        parts = list(zip(term.coefficients, (self.graph.find(c) for c in term.children)))
        lone = [k for k, (c, q) in enumerate(pattern.parts) if isinstance(q, p.Variable) and abs(c) == 1]
        lone = [k for k in lone if pattern.parts[k][1].kind in ("matrix", "vector")]  # type: ignore[union-attr]
        rest_of = lone[0] if lone else None
        fixed = [q for k, q in enumerate(pattern.parts) if k != rest_of]
        if len(fixed) + (rest_of is not None) > len(parts):
            return
        fitting = []  # looked at alone first: of a long sum there are too many permutations
        for one in fixed:
            fitting.append([k for k, part in enumerate(parts) if self._is_summand(one, part, bound, is_turned)])
            if not fitting[-1]:
                return
        for chosen in product(*fitting):
            if len(set(chosen)) < len(chosen):
                continue
            for found in self._summands(fixed, [parts[k] for k in chosen], bound, is_turned):
                left = tuple(part for k, part in enumerate(parts) if k not in chosen)
                if rest_of is None:
                    yield found, left
                    continue
                coefficient, variable = pattern.parts[rest_of]
                assert isinstance(variable, p.Variable)
                scaled = tuple((c * coefficient, n) for c, n in left)
                value: Bound = Summands(scaled, is_turned != variable.turned)
                if len(scaled) == 1 and scaled[0][0] == 1:
                    for again in self.matcher.value(variable, scaled[0][1], found, is_turned):
                        yield again, ()
                else:
                    for again in extended(found, variable.name, value):
                        yield again, ()

    def _is_summand(
        self, wanted: tuple[Number, p.Pattern], part: tuple[Number, int], bound: Bindings, is_turned: bool
    ) -> bool:
        """Whether a part of a sum is what a pattern asks for."""
        key = (id(wanted[1]), wanted[0], part, is_turned)
        if bound or key not in self.fitting:
            found = next(self._summands([wanted], [part], bound, is_turned), None) is not None
            if bound:
                return found
            self.fitting[key] = found
        return self.fitting[key]

    def _summands(
        self,
        patterns: Sequence[tuple[Number, p.Pattern]],
        parts: Sequence[tuple[Number, int]],
        bound: Bindings,
        is_turned: bool,
    ) -> Iterator[Bindings]:
        self.graph.spend(1)
        if not patterns:
            yield bound
            return
        (wanted, pattern), (have, number) = patterns[0], parts[0]
        for found in self.multiple(pattern, have if wanted == 1 else have / wanted, number, bound, is_turned):
            yield from self._summands(patterns[1:], parts[1:], found, is_turned)

    def multiple(
        self, pattern: p.Pattern, coefficient: Number, number: int, bound: Bindings, is_turned: bool
    ) -> Iterator[Bindings]:
        """The pattern against a multiple of a class."""
        match pattern:
            case p.Numeral(value=value):
                one = self.graph.constant(number)
                if one is not None and coefficient * one == value:
                    yield bound
            case p.Row(scalars=[p.Variable() as scalar], factors=[p.Identity(size=size)]):
                term = self.graph[number].product
                if term is None or not term.form.is_diagonal or any(term.form.inputs):
                    return
                yield from self._scaled(number, term, bound, (size, size), scalar.name, coefficient)
            case p.Row(scalars=[p.Variable() as scalar], factors=[p.Ones(sizes=names)]):
                term = self.graph[number].product
                if term is not None and _is_filled(term.form) and not any(term.form.inputs):
                    yield from self._scaled(number, term, bound, names, scalar.name, coefficient)
            case p.Apply(op="kron") if coefficient != 1:
                for inner in list(self.graph[number].terms):
                    if isinstance(inner, Contract):
                        yield from self.matcher.kron(pattern, inner, bound, coefficient)
            case p.Row():
                for run in self.matcher.chains.products(number):
                    run = Run(run.factors, run.scalars, run.coefficient * coefficient)
                    yield from self.matcher.rows.scaled(pattern, run, bound, is_turned)
            case _:
                if coefficient == 1:
                    yield from self.matcher.value(pattern, number, bound, is_turned)

    def _scaled(
        self, number: int, term: Contract, bound: Bindings, names: Sequence[str], scalar: str, coefficient: Number
    ) -> Iterator[Bindings]:
        """A multiple of an array without operands of its own: its sizes, and what it is multiplied with."""
        scalars = tuple(sorted(self.graph.find(c) for c in term.children))
        for found in self.matcher.sized(names, number, bound):
            yield from extended(found, scalar, Run((), scalars, coefficient))


def _is_filled(form: Contraction) -> bool:
    """Whether no letter of the result is there twice."""
    return len(set(form.output_letters)) == len(form.output_letters)
