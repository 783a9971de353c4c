"""The places of a term where rules hold, and the results of rules put back there.

A rule may hold at the whole of a term, at some summands of a sum, at some operands of an elementwise product, or at a
run of the factors of a product, which may be read transposed: the rest of the term stays around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.chain import MATRIX, Factor
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings, Run
from tpc.passes.egraph.facts import turning
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.instance import Impossible, run_class
from tpc.passes.egraph.match import Matcher, Rest
from tpc.passes.egraph.readings import Reading
from tpc.passes.egraph.terms import Applied, Contract, Sum, Term

Place = tuple[object, ...]
"""Where in a term a rule holds: a word, and what is left of the term."""

Readings = Mapping[str, Sequence[Reading]]
"""The sides of rules that are looked for, by the op at their root."""


def matches(matcher: Matcher, readings: Readings, term: Term) -> Iterator[tuple[Reading, Bindings, Place]]:
    """The rules that hold at a term, with what is left of it around the place where they hold."""
    find = readings.get
    match term:
        case Applied(op=op):
            for reading in find(op.name, ()):
                assert isinstance(reading.pattern, p.Apply)
                for bound in matcher.applied(reading.pattern, term, {}):
                    yield reading, bound, ("whole",)
        case Sum():
            for reading in find("+", ()):
                assert isinstance(reading.pattern, p.Total)
                for bound, rest in matcher.sums.total(reading.pattern, term, {}):
                    yield reading, bound, ("sum", rest)
        case Contract():
            for name in ("sum", "kron"):
                for reading in find(name, ()):
                    assert isinstance(reading.pattern, p.Apply)
                    for bound in matcher.multilinear(reading.pattern, term, {}):
                        yield reading, bound, ("whole",)
            for reading in find("*", ()):
                assert isinstance(reading.pattern, p.Entries)
                for bound, left in matcher.entries.of(reading.pattern.factors, term, {}):
                    yield reading, bound, ("entries", left)
            yield from _in_chain(matcher, readings, term)


def _in_chain(matcher: Matcher, readings: Readings, term: Contract) -> Iterator[tuple[Reading, Bindings, Place]]:
    chain = matcher.chains.of(term)
    if chain is None or len(chain.factors) < 2:
        return
    ways = [(False, chain.factors), (True, matcher.chains.turn(chain.factors))]
    present = {t.op.name for f in chain.factors for t in matcher.graph[f.child].terms if isinstance(t, Applied)}
    fitting = [r for r in readings.get("@", ()) if r.ops <= present]
    for turned, factors in ways:
        for reading in fitting:
            pattern = reading.pattern
            assert isinstance(pattern, p.Row)
            if len(pattern.factors) > len(factors):
                continue
            if not all(
                any(matcher.rows.fits(q, f) for f in factors) for q in pattern.factors if not isinstance(q, p.Variable)
            ):
                continue
            first, last = (_places(matcher, pattern.factors[k], factors) for k in (0, -1))
            if reading.result is None:  # a fact, of the whole
                first, last = [k for k in first if k == 0], [k for k in last if k == len(factors) - 1]
            for start in first:
                for stop in (n + 1 for n in last if n - start >= len(pattern.factors) - 1):
                    if reading.is_mirrored and matcher.chains.normal(factors[start].turn) != factors[stop - 1]:
                        continue
                    if pattern.scalars and (start, stop) != (0, len(factors)):
                        continue
                    run = Run(factors[start:stop], chain.scalars if pattern.scalars else ())
                    for bound in matcher.rows.row(pattern, run, {}):
                        scalars = () if pattern.scalars else chain.scalars
                        yield reading, bound, ("chain", turned, factors[:start], factors[stop:], scalars)


def _places(matcher: Matcher, pattern: p.Pattern, factors: Sequence[Factor]) -> list[int]:
    """Where in a product an outer factor of a pattern can be."""
    places = range(len(factors))
    return [k for k in places if isinstance(pattern, p.Variable) or matcher.rows.fits(pattern, factors[k])]


def put_back(graph: EGraph, result: int, place: Place, type: TensorType) -> int:
    """The result of a rule put back in the place where it held."""
    match place:
        case ("sum", rest) if rest:
            return graph.sum([(1, result), *rest], type)  # type: ignore[misc]
        case ("entries", Rest(form=form, children=others)):
            if graph.tensor(result).dims != tuple(map(form.size, form.inputs[-1])):
                raise Impossible("the result has other sizes")
            return graph.contract(form, [*others, result], type.dtype)
        case ("chain", turned, before, after, scalars):
            kind = MATRIX if len(graph.tensor(result).dims) == 2 else "column" if not after else "row"
            if not graph.tensor(result).dims:
                result = graph.multiply([result, *scalars], type.dtype, ())  # type: ignore[misc]
                return _like(graph, result, type)
            factors = (*before, Factor(result, False, kind), *after)  # type: ignore[misc]
            run = Run(factors, tuple(scalars))  # type: ignore[arg-type]
            made = run_class(graph, run, type.dtype)
            if turned and len(graph.tensor(made).dims) == 2:
                rows, columns = graph.tensor(made).dims
                made = graph.contract(turning(rows, columns), [made], type.dtype)
            return _like(graph, made, type)
    return result


def _like(graph: EGraph, number: int, type: TensorType) -> int:
    """The class with axes of size 1 where the type has them."""
    dims = graph.tensor(number).dims
    if dims == type.dims or [d for d in dims if d != 1] != [d for d in type.dims if d != 1]:
        return number
    letters = {k: n for n, k in enumerate(k for k, d in enumerate(type.dims) if d != 1)}
    output = tuple((letters[k],) if k in letters else () for k in range(len(type.dims)))
    numbers = iter(letters.values())
    given = tuple((next(numbers),) if d != 1 else () for d in dims)
    extents = tuple(d for d in type.dims if d != 1)
    return graph.contract(Contraction((given,), output, extents), [number], type.dtype)
