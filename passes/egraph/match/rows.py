"""Rows of factors in patterns against products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.ir.dims import DimLike
from tpc.passes.contraction.chain import COLUMN, DIAGONAL, MATRIX, ROW, Factor
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings, Run, extended
from tpc.passes.egraph.terms import Applied
from tpc.passes.rules import SINGLE

if TYPE_CHECKING:
    from tpc.passes.egraph.match.matcher import Matcher


class Rows:
    """Finds where rows of factors hold."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher, self.graph, self.chains = matcher, matcher.graph, matcher.chains
        self.fitting: dict[tuple[int, Factor], bool] = {}

    def value(self, pattern: p.Row, number: int, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
        """A product against a class."""
        for run in self.chains.products(number):
            yield from self.row(pattern, run, bound, is_turned)

    def row(self, pattern: p.Row, run: Run, bound: Bindings, is_turned: bool = False) -> Iterator[Bindings]:
        """A product against all of a run."""
        factors = self.chains.turn(run.factors) if is_turned else run.factors
        for found in self.scalars(pattern, run, bound):
            yield from self.factors(pattern.factors, factors, found)

    def scaled(self, pattern: p.Row, run: Run, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
        """A product in a sum against all of a run, of which a factor may take on the scalars: U @ V is a * X @ Y."""
        if pattern.scalars or not run.scalars and run.coefficient == 1:
            yield from self.row(pattern, run, bound, is_turned)
        elif run.coefficient > 0:  # for the others there are rules of differences
            factors = self.chains.turn(run.factors) if is_turned else run.factors
            names = Counter(q.name for q in pattern.factors if isinstance(q, p.Variable) and q.kind == "matrix")
            for name in [n for n, times in names.items() if times == 1 and n not in SINGLE and n not in bound]:
                for found in self.factors(pattern.factors, factors, bound):
                    whole = found[name]
                    assert isinstance(whole, Run)
                    yield {**found, name: Run(whole.factors, tuple(sorted(run.scalars)), run.coefficient)}

    def scalars(self, pattern: p.Row, run: Run, bound: Bindings) -> Iterator[Bindings]:
        """The scalars of a product: one variable takes them all."""
        match pattern.scalars:
            case ():
                if not run.scalars and run.coefficient == 1:
                    yield bound
            case (p.Variable(name=name),):
                if run.scalars or run.coefficient != 1:
                    yield from extended(bound, name, Run((), tuple(sorted(run.scalars)), run.coefficient))
            case (p.Numeral(value=value),):
                if not run.scalars and run.coefficient == value:
                    yield bound

    def factors(self, patterns: Sequence[p.Pattern], factors: Sequence[Factor], bound: Bindings) -> Iterator[Bindings]:
        """Patterns against factors, each a run of at least one, all of them used up."""
        self.graph.spend(1)
        if not patterns or not factors:
            if not patterns and not factors:
                yield bound
            return
        pattern, rest = patterns[0], patterns[1:]
        if isinstance(pattern, p.Variable):
            for length in self._lengths(pattern, rest, factors, bound):
                for found in self._bind(pattern, tuple(factors[:length]), bound):
                    yield from self.factors(rest, factors[length:], found)
            return
        if self.fits(pattern, factors[0]):
            for found in self._factor(pattern, factors[0], bound):
                yield from self.factors(rest, factors[1:], found)

    def fits(self, pattern: p.Pattern, factor: Factor) -> bool:
        """Whether a pattern that is no variable holds at a factor for some values of its variables."""
        key = (id(pattern), factor)
        found = self.fitting.get(key)
        if found is None:
            found = self.fitting[key] = next(self._factor(pattern, factor, {}), None) is not None
        return found

    def _is_inverse(self, number: int) -> bool:
        return any(isinstance(t, Applied) and t.op.name == "inv" for t in self.graph[number].terms)

    def _lengths(
        self, pattern: p.Variable, rest: Sequence[p.Pattern], factors: Sequence[Factor], bound: Bindings
    ) -> Sequence[int]:
        """How many factors a variable may stand for. Where two variables may be parted anywhere, at a least size."""
        if not rest:
            return (len(factors),)
        if pattern.name in bound:
            one = bound[pattern.name]
            return (len(one.factors),) if isinstance(one, Run) and len(one.factors) < len(factors) else ()
        alike = sum(isinstance(q, p.Variable) and q.name == pattern.name for q in rest)
        told = [bound.get(q.name) for q in rest if isinstance(q, p.Variable) and q.name != pattern.name]
        known = [len(run.factors) for run in told if isinstance(run, Run)]
        most, left = divmod(len(factors) - sum(known) - (len(rest) - alike - len(known)), 1 + alike)
        if len(known) + alike == len(rest):  # nothing else can give way
            return (most,) if most > 0 and not left else ()
        if len(rest) > 1 or not isinstance(rest[0], p.Variable):
            return range(1, most + 1)
        if rest[0].kind != "matrix" or pattern.kind != "matrix":
            return range(1, most + 1)
        numbers = {k: self.matcher.sizes(self._columns(factors[k - 1])) for k in range(1, most + 1)}
        return [k for k in numbers if numbers[k] == min(numbers.values())]

    def _columns(self, factor: Factor) -> DimLike:
        dims = self.graph.tensor(factor.child).dims
        return dims[0] if factor.kind != MATRIX or factor.turned else dims[-1]

    def _bind(self, pattern: p.Variable, factors: tuple[Factor, ...], bound: Bindings) -> Iterator[Bindings]:
        kinds = [f.kind for f in factors]
        if pattern.kind == "matrix":
            if pattern.name in SINGLE and (len(factors) > 1 or self._is_inverse(factors[0].child)):
                return
            if any(k not in (MATRIX, DIAGONAL) for k in kinds):
                return
        elif pattern.kind == "vector":
            if kinds[0] == ROW and len(factors) == 1:
                factors = (Factor(factors[0].child, False, COLUMN),)
            elif kinds[-1] != COLUMN or any(k not in (MATRIX, DIAGONAL) for k in kinds[:-1]):
                return
        else:
            return
        if pattern.turned:
            factors = self.chains.turn(factors)
        yield from extended(bound, pattern.name, Run(factors))

    def _factor(self, pattern: p.Pattern, factor: Factor, bound: Bindings) -> Iterator[Bindings]:
        if factor.kind == MATRIX:
            yield from self.matcher.value(pattern, factor.child, bound, factor.turned)
        elif factor.kind == DIAGONAL and isinstance(pattern, p.Apply) and pattern.op == "diag":
            yield from self.matcher.value(pattern.arguments[0], factor.child, bound)
        elif factor.kind in (COLUMN, ROW):
            yield from self.matcher.value(pattern, factor.child, bound)
