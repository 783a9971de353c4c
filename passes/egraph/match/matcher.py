"""Where a pattern holds: the values of its variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tpc.ir.dims import DimLike
from tpc.ir.types import TensorType
from tpc.passes.contraction.chain import COLUMN, MATRIX, Factor
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph import patterns as p
from tpc.passes.egraph.bindings import Bindings, Option, Run, extended
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.match.chains import Chains
from tpc.passes.egraph.match.entries import Entries
from tpc.passes.egraph.match.rows import Rows
from tpc.passes.egraph.match.sums import Sums
from tpc.passes.egraph.terms import Applied, Contract, Number, Sum, Term


class Matcher:
    """Finds where patterns hold in a graph; sums, rows of factors and elementwise products have parts of their own."""

    def __init__(self, graph: EGraph, sizes: Callable[[DimLike], int]) -> None:
        self.graph, self.sizes = graph, sizes
        self.chains = Chains(graph)
        self.rows, self.sums, self.entries = Rows(self), Sums(self), Entries(self)
        self.transposes: dict[int, int | None] = {}
        self.groups: dict[Term, list[tuple[int, int]]] = {}  # as factors of Kronecker products

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
                    yield from self.sized(names, number, bound)
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
                yield from self.sums.value(pattern, number, bound, is_turned)
            case p.Row():
                yield from self.rows.value(pattern, number, bound, is_turned)
            case p.Entries(factors=factors):
                for term in list(graph[number].terms):
                    if isinstance(term, Contract):
                        for found, rest in self.entries.of(factors, term, bound):
                            if rest is None:
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
        return term is not None and not term.children and term.form.is_diagonal

    def _variable(self, pattern: p.Variable, number: int, bound: Bindings, is_turned: bool) -> Iterator[Bindings]:
        rank = len(self.graph.tensor(number).dims)
        wanted = {"matrix": 2, "vector": 1, "scalar": 0}.get(pattern.kind)
        if wanted != rank:
            return
        if rank == 0:
            yield from extended(bound, pattern.name, Run((), (number,)))
            return
        kind = MATRIX if rank == 2 else COLUMN
        factor = self.chains.normal(Factor(number, rank == 2 and is_turned != pattern.turned, kind))
        one = Run((factor,))
        known = bound.get(pattern.name)
        if isinstance(known, Run) and known != one:
            for run in self.chains.runs(number):
                factors = self.chains.turn(run.factors) if factor.turned else run.factors
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
                yield from self.sums.multiple(pattern, term.coefficients[0], term.children[0], bound, False)

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
        yield from self.all(list(zip(pattern.arguments, term.children)), bound, entrywise)

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

    def all(
        self, pairs: Sequence[tuple[p.Pattern, int]], bound: Bindings, entrywise: bool = False
    ) -> Iterator[Bindings]:
        """Patterns against classes, each against its own."""
        self.graph.spend(1)
        if not pairs:
            yield bound
            return
        (pattern, number), rest = pairs[0], pairs[1:]
        for found in (self.array if entrywise else self.value)(pattern, number, bound):
            yield from self.all(rest, found, entrywise)

    def sized(self, names: Sequence[str], number: int, bound: Bindings) -> Iterator[Bindings]:
        """The sizes of a class, by their names in a pattern."""
        dims = self.graph.tensor(number).dims
        if len(names) != len(dims):
            return
        for name, dim in zip(names, dims):
            more = next(extended(bound, name, dim), None)
            if more is None:
                return
            bound = more
        yield bound

    # ---- multilinear patterns that are no rows

    def multilinear(self, pattern: p.Apply, term: Contract, bound: Bindings) -> Iterator[Bindings]:
        if pattern.op == "sum":
            yield from self._reduction(pattern, term, bound)
        elif pattern.op == "kron":
            yield from self.kron(pattern, term, bound)

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

    def kron(self, pattern: p.Apply, term: Contract, bound: Bindings, coefficient: Number = 1) -> Iterator[Bindings]:
        """`kron(A, B)`: operands in two groups, one for the slower letters of both axes, one for the faster."""
        from tpc.passes.egraph.instance import grouped_operands

        if term not in self.groups:
            dtype = self.graph.tensor(self.graph.home[term]).dtype
            self.groups[term] = list(grouped_operands(self.graph, term, dtype))
        for first, second in self.groups[term]:
            if coefficient != 1:
                first = self.graph.sum([(coefficient, first)], self.graph.tensor(first))
            yield from self.all(list(zip(pattern.arguments, (first, second))), bound)

    def _diagonal(self, pattern: p.Apply, number: int, bound: Bindings) -> Iterator[Bindings]:
        """`diag(d)`: a matrix that is written as one with zeros off its diagonal."""
        entries = self.graph.diagonal_of(number)
        if entries is not None and not self._is_identity(number):
            yield from self.value(pattern.arguments[0], entries, bound)
