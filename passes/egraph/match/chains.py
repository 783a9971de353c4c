"""Classes as products of factors: what rows of factors in patterns are held against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpc.passes.contraction.chain import COLUMN, MATRIX, Chain, Factor, chain_of, turned
from tpc.passes.egraph.bindings import Run
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Contract, Sum, Term


class Chains:
    """The products that classes of a graph are written as."""

    def __init__(self, graph: EGraph) -> None:
        self.graph = graph
        self.known: dict[Term, Chain | None] = {}

    def of(self, term: Contract) -> Chain | None:
        """A contraction as a chain of factors; None where it is none."""
        if term not in self.known:
            children = [self.graph.find(c) for c in term.children]
            chain = chain_of(term.form, children)
            if chain is not None:
                factors = tuple(self.normal(f) for f in chain.factors)
                chain = Chain(factors, chain.scalars, chain.positions)
            self.known[term] = chain
        return self.known[term]

    def normal(self, factor: Factor) -> Factor:
        """A symmetric factor is never turned."""
        if factor.turned and self.graph.knows(factor.child, "symmetric"):
            return Factor(self.graph.find(factor.child))
        return Factor(self.graph.find(factor.child), factor.turned, factor.kind)

    def turn(self, factors: Sequence[Factor]) -> tuple[Factor, ...]:
        return tuple(self.normal(f) for f in turned(factors))

    def runs(self, number: int, multiples: bool = True) -> Iterator[Run]:
        """A class as products: itself, the chains that it is written as, and multiples of chains."""
        graph = self.graph
        number = graph.find(number)
        type = graph.tensor(number)
        kind = MATRIX if len(type.dims) == 2 else COLUMN
        if type.dims:
            yield Run((Factor(number, False, kind),))
        for term in graph[number].terms:
            if isinstance(term, Contract):
                chain = self.of(term)
                if chain is not None and (len(chain.factors) > 1 or chain.scalars or chain.factors[0].turned):
                    yield Run(chain.factors, chain.scalars)
            elif multiples and isinstance(term, Sum) and len(term.children) == 1:
                for run in self.runs(term.children[0], multiples=False):
                    yield Run(run.factors, run.scalars, run.coefficient * term.coefficients[0])

    def products(self, number: int) -> Iterator[Run]:
        """The longest ways to write a class as a product: all others are runs of those."""
        runs = list(self.runs(number))
        yield from runs[1:] or runs
