"""Where a pattern holds: the values of its variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product

from tpc.ir.dims import DimLike
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.chain import COLUMN, DIAGONAL, MATRIX, ROW, Chain, Factor, chain_of, turned
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings, Bound, Option, Run, Summands, extended
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Applied, Contract, Number, Sum, Term
from tpc.passes.rules import SINGLE


class Matcher:
    """Finds where patterns hold in a graph."""

    def __init__(self, graph: EGraph, sizes: Callable[[DimLike], int]) -> None:
        self.graph, self.sizes = graph, sizes
        self.chains: dict[Term, Chain | None] = {}
        self.transposes: dict[int, int | None] = {}
        self.groups: dict[Term, list[tuple[int, int]]] = {}  # as factors of Kronecker products

    # ---- what there is

    def chain(self, term: Contract) -> Chain | None:
        if term not in self.chains:
            children = [self.graph.find(c) for c in term.children]
            chain = chain_of(term.form, children)
            if chain is not None:
                factors = tuple(self.normal(f) for f in chain.factors)
                chain = Chain(factors, chain.scalars, chain.positions)
            self.chains[term] = chain
        return self.chains[term]

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
                chain = self.chain(term)
                if chain is not None and (len(chain.factors) > 1 or chain.scalars or chain.factors[0].turned):
                    yield Run(chain.factors, chain.scalars)
            elif multiples and isinstance(term, Sum) and len(term.children) == 1:
                for run in self.runs(term.children[0], multiples=False):
                    yield Run(run.factors, run.scalars, run.coefficient * term.coefficients[0])

    # ---- patterns against classes

    def value(self, pattern: p.Pattern, number: int, bound: Bindings, is_turned: bool = False) -> Iterator[Bindings]:
        """The pattern against a class, or against its transpose."""
        graph = self.graph
        graph.spend(1)
        number = graph.find(number)
        if not isinstance(graph[number].type, TensorType):
            if isinstance(pattern, p.Apply):
                yield from self._applied(pattern, number, bound)
            return
        if is_turned and graph.knows(number, "symmetric"):
            is_turned = False
        match pattern:
            case p.Variable():
                yield from self._variable(pattern, number, bound, is_turned)
            case p.Numeral(value=value):
                if graph[number].literal == value or self._is_number(number, value):
                    yield bound
            case p.Zeros():
                if graph.constant(number) == 0:
                    yield bound
            case p.Identity(size=size):
                if self._is_identity(number):
                    yield from extended(bound, size, graph.tensor(number).dims[0])
            case p.Ones(sizes=names):
                if self.graph.constant(number) == 1:
                    yield from self._sizes(names, number, bound)
            case p.Apply(op="diag") if len(graph.tensor(number).dims) == 2:
                yield from self._diagonal(pattern, number, bound)
            case p.Apply():
                if pattern.turned != is_turned:
                    other = self._transposed(number)
                    if other is None:
                        return
                    number = other
                yield from self._applied(pattern, number, bound)
            case p.Item(of=of, position=position):
                for term in list(graph[number].terms):
                    if isinstance(term, Applied) and term.op.name == "item" and term["position"] == position:
                        yield from self.value(of, term.children[0], bound)
            case p.Total():
                yield from self._total(pattern, number, bound, is_turned)
            case p.Row():
                yield from self._row(pattern, number, bound, is_turned)
            case p.Entries(factors=factors):
                for term in list(graph[number].terms):
                    if isinstance(term, Contract):
                        for found, rest in self.entries(factors, term, bound):
                            if not rest:
                                yield found

    def _transposed(self, number: int) -> int | None:
        from tpc.passes.egraph.facts import transposed

        if number not in self.transposes:
            self.transposes[number] = transposed(self.graph, number)
        return self.transposes[number]

    def _is_number(self, number: int, value: Number) -> bool:
        found = self.graph[number]
        if found.multiple is None:
            return value == 1 and found.product is not None and not found.product.children and not found.tensor.dims
        coefficient, of = found.multiple
        inner = self.graph[of].product
        return coefficient == value and inner is not None and not inner.children

    def _is_identity(self, number: int) -> bool:
        term = self.graph[number].product
        return term is not None and not term.children and _is_diagonal(term.form)

    def _variable(self, pattern: p.Variable, number: int, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
        rank = len(self.graph.tensor(number).dims)
        wanted = {"matrix": 2, "vector": 1, "scalar": 0}.get(pattern.kind)
        if wanted != rank:
            return
        if rank == 0:
            yield from extended(bound, pattern.name, Run((), (number,)))
            return
        kind = MATRIX if rank == 2 else COLUMN
        factor = self.normal(Factor(number, rank == 2 and is_turned != pattern.turned, kind))
        one = Run((factor,))
        known = bound.get(pattern.name)
        if isinstance(known, Run) and known != one:
            for run in self.runs(number):
                factors = self.turn(run.factors) if factor.turned else run.factors
                if Run(factors, run.scalars, run.coefficient) == known:
                    yield bound
                    return
        yield from extended(bound, pattern.name, one)

    def array(self, pattern: p.Pattern, number: int, bound: Bindings) -> Iterator[Bindings]:
        """As `value`, where variables may stand for arrays of any shape."""
        if isinstance(pattern, p.Variable) and pattern.is_array:
            yield from extended(bound, pattern.name, Run((), (self.graph.find(number),)))
        else:
            yield from self.value(pattern, number, bound)

    def _applied(self, pattern: p.Apply, number: int, bound: Bindings) -> Iterator[Bindings]:
        graph = self.graph
        for term in list(graph[number].terms):
            if isinstance(term, Applied) and term.op.name == pattern.op:
                yield from self.applied(pattern, term, bound)
            elif isinstance(term, Contract) and pattern.op in ("sum", "kron"):
                yield from self.multilinear(pattern, term, bound)
            elif isinstance(term, Sum) and len(term.children) == 1 and pattern.op == "kron":
                yield from self._multiple(pattern, term.coefficients[0], term.children[0], bound, False)

    def applied(self, pattern: p.Apply, term: Applied, bound: Bindings) -> Iterator[Bindings]:
        """The pattern of an op against a term of the op."""
        if len(pattern.arguments) != len(term.children):
            return
        named = dict(pattern.options)
        for name, default in term.op.options.items():
            have = dict(term.attributes).get(name, default)
            wanted = named.get(name, default)
            if isinstance(wanted, p.Variable):
                more = next(extended(bound, wanted.name, Option(have)), None)
                if more is None:
                    return
                bound = more
            elif name != "dtype" and have != wanted and not self._is_same_axis(name, have, wanted, term):
                return
        entrywise = term.op.group in ("elementwise", "reductions", "layers")
        yield from self._all(list(zip(pattern.arguments, term.children)), bound, entrywise)

    def _is_same_axis(self, name: str, have: object, wanted: object, term: Applied) -> bool:
        """Whether an axis counted from the end is the one of a rule."""
        type = self.graph[term.children[0]].type if term.children else None
        if (
            name != "axis"
            or not isinstance(have, int)
            or not isinstance(wanted, int)
            or not isinstance(type, TensorType)
        ):
            return False
        return have % len(type.dims) == wanted

    def _all(
        self, pairs: Sequence[tuple[p.Pattern, int]], bound: Bindings, entrywise: bool = False
    ) -> Iterator[Bindings]:
        self.graph.spend(1)
        if not pairs:
            yield bound
            return
        (pattern, number), rest = pairs[0], pairs[1:]
        for found in (self.array if entrywise else self.value)(pattern, number, bound):
            yield from self._all(rest, found, entrywise)

    # ---- multilinear patterns that are no rows

    def multilinear(self, pattern: p.Apply, term: Contract, bound: Bindings) -> Iterator[Bindings]:
        if pattern.op == "sum":
            yield from self._reduction(pattern, term, bound)
        elif pattern.op == "kron":
            yield from self._kron(pattern, term, bound)

    def _reduction(self, pattern: p.Apply, term: Contract, bound: Bindings) -> Iterator[Bindings]:
        """`sum(x)` or `sum(x, axis=i)` of a single array."""
        form = term.form
        if len(term.children) != 1 or not form.is_matrix_like:
            return
        given = letters_of(form.inputs[0])
        if len(set(given)) != len(given) or len(given) != len(form.inputs[0]):
            return
        summed = [k for k, n in enumerate(given) if n not in form.output_letters]
        if not summed or tuple(n for n in given if n in form.output_letters) != form.output_letters:
            return
        axis = dict(pattern.options).get("axis")
        if isinstance(axis, p.Variable):
            if len(summed) != 1:
                return
            rank = len(given)
            for value in (summed[0], summed[0] - rank):
                for found in extended(bound, axis.name, Option(value)):
                    yield from self.array(pattern.arguments[0], term.children[0], found)
                    return
        elif axis is None and len(summed) == len(given):
            yield from self.array(pattern.arguments[0], term.children[0], bound)

    def _kron(self, pattern: p.Apply, term: Contract, bound: Bindings, coefficient: Number = 1) -> Iterator[Bindings]:
        """`kron(A, B)`: operands in two groups, one for the slower letters of both axes, one for the faster."""
        from tpc.passes.egraph.instance import grouped_operands

        if term not in self.groups:
            dtype = self.graph.tensor(self.graph.home[term]).dtype
            self.groups[term] = list(grouped_operands(self.graph, term, dtype))
        for first, second in self.groups[term]:
            if coefficient != 1:
                first = self.graph.sum([(coefficient, first)], self.graph.tensor(first))
            yield from self._all(list(zip(pattern.arguments, (first, second))), bound)

    def _diagonal(self, pattern: p.Apply, number: int, bound: Bindings) -> Iterator[Bindings]:
        """`diag(d)`: a matrix that is written as one with zeros off its diagonal."""
        entries = self.graph.diagonal_of(number)
        if entries is not None and not self._is_identity(number):
            yield from self.value(pattern.arguments[0], entries, bound)

    # ---- sums

    def _total(self, pattern: p.Total, number: int, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
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
        fitting = [  # looked at alone first: of a long sum there are too many permutations
            [k for k, part in enumerate(parts) if next(self._summands([q], [part], bound, is_turned), None) is not None]
            for q in fixed
        ]
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
                    for again in self.value(variable, scaled[0][1], found, is_turned):
                        yield again, ()
                else:
                    for again in extended(found, variable.name, value):
                        yield again, ()

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
        for found in self._multiple(pattern, have if wanted == 1 else have / wanted, number, bound, is_turned):
            yield from self._summands(patterns[1:], parts[1:], found, is_turned)

    def _multiple(
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
                if term is None or not _is_diagonal(term.form) or any(term.form.inputs):
                    return
                yield from self._scaled(number, term, bound, (size, size), scalar.name, coefficient)
            case p.Row(scalars=[p.Variable() as scalar], factors=[p.Ones(sizes=names)]):
                term = self.graph[number].product
                if term is not None and _is_filled(term.form) and not any(term.form.inputs):
                    yield from self._scaled(number, term, bound, names, scalar.name, coefficient)
            case p.Apply(op="kron") if coefficient != 1:
                for inner in list(self.graph[number].terms):
                    if isinstance(inner, Contract):
                        yield from self._kron(pattern, inner, bound, coefficient)
            case p.Row():
                for run in self._products(number):
                    run = Run(run.factors, run.scalars, run.coefficient * coefficient)
                    yield from self.row(pattern, run, bound, is_turned)
            case _:
                if coefficient == 1:
                    yield from self.value(pattern, number, bound, is_turned)

    def _scaled(
        self, number: int, term: Contract, bound: Bindings, names: Sequence[str], scalar: str, coefficient: Number
    ) -> Iterator[Bindings]:
        """A multiple of an array without operands of its own: its sizes, and what it is multiplied with."""
        scalars = tuple(sorted(self.graph.find(c) for c in term.children))
        for found in self._sizes(names, number, bound):
            yield from extended(found, scalar, Run((), scalars, coefficient))

    def _sizes(self, names: Sequence[str], number: int, bound: Bindings) -> Iterator[Bindings]:
        dims = self.graph.tensor(number).dims
        if len(names) != len(dims):
            return
        for name, dim in zip(names, dims):
            more = next(extended(bound, name, dim), None)
            if more is None:
                return
            bound = more
        yield bound

    # ---- rows of factors

    def _products(self, number: int) -> Iterator[Run]:
        """The longest ways to write a class as a product: all others are runs of those."""
        runs = list(self.runs(number))
        yield from runs[1:] or runs

    def _row(self, pattern: p.Row, number: int, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
        for run in self._products(number):
            yield from self.row(pattern, run, bound, is_turned)

    def row(self, pattern: p.Row, run: Run, bound: Bindings, is_turned: bool = False) -> Iterator[Bindings]:
        """A product against all of a run."""
        factors = self.turn(run.factors) if is_turned else run.factors
        for found in self.scalars(pattern, run, bound):
            yield from self.factors(pattern.factors, factors, found)

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
        for found in self._factor(pattern, factors[0], bound):
            yield from self.factors(rest, factors[1:], found)

    def _is_inverse(self, number: int) -> bool:
        return any(isinstance(t, Applied) and t.op.name == "inv" for t in self.graph[number].terms)

    def _lengths(
        self, pattern: p.Variable, rest: Sequence[p.Pattern], factors: Sequence[Factor], bound: Bindings
    ) -> Sequence[int]:
        """How many factors a variable may stand for. Where two variables may be parted anywhere, at a least size."""
        most = len(factors) - len(rest)
        if not rest:
            return (len(factors),)
        if len(rest) > 1 or not isinstance(rest[0], p.Variable) or pattern.name in bound or rest[0].name in bound:
            return range(1, most + 1)
        if rest[0].name == pattern.name or rest[0].kind != "matrix" or pattern.kind != "matrix":
            return range(1, most + 1)
        numbers = {k: self.sizes(self._columns(factors[k - 1])) for k in range(1, most + 1)}
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
            factors = self.turn(factors)
        yield from extended(bound, pattern.name, Run(factors))

    def _factor(self, pattern: p.Pattern, factor: Factor, bound: Bindings) -> Iterator[Bindings]:
        if factor.kind == MATRIX:
            yield from self.value(pattern, factor.child, bound, factor.turned)
        elif factor.kind == DIAGONAL and isinstance(pattern, p.Apply) and pattern.op == "diag":
            yield from self.value(pattern.arguments[0], factor.child, bound)
        elif factor.kind in (COLUMN, ROW):
            yield from self.value(pattern, factor.child, bound)

    # ---- elementwise products

    def entries(
        self, patterns: Sequence[p.Pattern], term: Contract, bound: Bindings
    ) -> Iterator[tuple[Bindings, tuple[int, ...]]]:
        """Patterns against the operands of an elementwise product, with the operands left over."""
        form = term.form
        if any(axes not in ((), form.output) for axes in form.inputs) or len(patterns) > len(term.children):
            return
        if len(set(form.output_letters)) != len(form.output_letters):
            return
        for chosen in permutations(range(len(term.children)), len(patterns)):
            pairs = list(zip(patterns, (term.children[k] for k in chosen)))
            for found in self._all(pairs, bound, entrywise=True):
                yield found, tuple(c for k, c in enumerate(term.children) if k not in chosen)


def _is_diagonal(form: Contraction) -> bool:
    """Whether a contraction is a square matrix with zeros off its diagonal."""
    return len(form.output) == 2 and form.output[0] == form.output[1] and bool(form.output[0])


def _is_filled(form: Contraction) -> bool:
    """Whether no letter of the result is there twice."""
    return len(set(form.output_letters)) == len(form.output_letters)
