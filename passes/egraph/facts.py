"""What is known of a class, from any of the terms that say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from tpc.ir.build import operation
from tpc.ir.dims import DimLike, is_nonnegative
from tpc.ir.facts import SHIFT, Known, closure, derive
from tpc.ir.node import Fact
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction, tidy
from tpc.passes.contraction.chain import COLUMN, MATRIX, ROW, Chain, Factor, chain_of, turned
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum, Term

if TYPE_CHECKING:
    from tpc.passes.egraph.classes import Class
    from tpc.passes.egraph.congruence import Congruence

# What a positive or a negative multiple of a value keeps.
_OF_MULTIPLES = frozenset(
    [
        "symmetric",
        "diagonal",
        "lower",
        "upper",
        "banded",
        "nonsingular",
        "full_rank",
        "low_rank",
        "toeplitz",
        "circulant",
        "sparse",
    ]
)
_OF_POSITIVE_MULTIPLES = frozenset(["psd", "spd", "nonnegative", "positive"])

_OF_BLOCKS = frozenset(
    [
        *("symmetric", "skew", "psd", "spd", "nonsingular", "full_rank", "orthogonal", "orthonormal", "permutation"),
        *("lower", "upper", "unit_diagonal", "row_stochastic", "nonnegative"),
    ]
)

Facts = frozenset[Fact]


def facts_of(graph: Congruence, target: Class) -> Facts:
    """The facts that a class has and those that its terms give."""
    if not isinstance(target.type, TensorType):
        return frozenset()
    found = set(target.facts)
    for term in target.terms:
        found |= set(_of_term(graph, term, target.type))
    return closure(target.type, frozenset(found), graph.nonnegative) if found else frozenset()


def known(graph: Congruence, number: int) -> Known:
    """A class as the lines of ops see it."""
    number = graph.find(number)
    return Known(graph.tensor(number), graph[number].facts, number, transposed(graph, number))


def transposed(graph: Congruence, number: int) -> int | None:
    """The class of the transpose of a matrix, if there is one."""
    target = graph[number]
    if len(target.tensor.dims) != 2:
        return None
    if graph.knows(number, "symmetric"):
        return target.id
    term = target.product
    if term is None:
        rows, columns = target.tensor.dims
        form, children = turning(rows, columns), [target.id]
    else:
        form, children = term.form, list(term.children)
        form = Contraction(form.inputs, form.output[::-1], form.extents)
        if form.is_identity:
            return graph.find(children[0])
    found = graph.memo.get(graph.arranged_term(form, [graph.find(c) for c in children]))
    return None if found is None else graph.find(found)


def turning(rows: DimLike, columns: DimLike) -> Contraction:
    """The transpose of a matrix."""
    return tidy(Contraction((((0,), (1,)),), ((1,), (0,)), (rows, columns)))


def _of_term(graph: Congruence, term: Term, type: TensorType) -> Iterable[Fact]:
    match term:
        case Applied():
            yield from _of_applied(graph, term, type)
        case Sum():
            yield from _of_sum(graph, term, type)
        case Contract():
            yield from _of_contraction(graph, term.form, [graph.find(c) for c in term.children], type)
        case Leaf(node=node):
            yield from _conclusions(node.op.name, [], type, dict(node.attributes))


def _conclusions(
    op: str, operands: Sequence[Known | None], type: TensorType, attributes: dict[str, object] | None = None
) -> Iterable[Fact]:
    for fact, _ in derive(operation(op), attributes or {}, operands, type):
        yield fact


def _of_applied(graph: Congruence, term: Applied, type: TensorType) -> Iterable[Fact]:
    op, about = term.op, "this"
    attributes = dict(term.attributes)
    children: Sequence[int] = term.children
    if op.name == "item":
        source = next((t for t in graph[children[0]].terms if isinstance(t, Applied)), None)
        if source is None:
            return
        op, about = source.op, f"this{attributes['position']}"
        children, attributes = source.children, dict(source.attributes)
    operands = [known(graph, c) if isinstance(graph[c].type, TensorType) else None for c in children]
    for fact, _ in derive(op, attributes, operands, type, about, graph.nonnegative):
        yield fact


def _of_multiple(coefficient: Number, facts: Facts) -> Facts:
    kept = _OF_MULTIPLES | (_OF_POSITIVE_MULTIPLES if coefficient > 0 else frozenset())
    return frozenset(f for f in facts if coefficient != 0 and f.name in kept)


def _of_sum(graph: Congruence, term: Sum, type: TensorType) -> Iterable[Fact]:
    facts: Facts | None = None
    parts = list(zip(term.coefficients, term.children))
    for coefficient, child in parts:
        new = closure(type, _of_multiple(coefficient, graph[child].facts), graph.nonnegative)
        if facts is None:
            facts = new
        else:
            pair = [Known(type, facts), Known(type, new)]
            facts = closure(type, frozenset(_conclusions("add", pair, type)), graph.nonnegative)
    yield from facts or ()
    if len(type.dims) == 2 and type.dims[0] == type.dims[1]:
        other = [(c, transposed(graph, n)) for c, n in parts]
        if all(n is not None for _, n in other) and sorted(other, key=str) == sorted(
            ((c, graph.find(n)) for c, n in parts), key=str
        ):
            yield Fact("symmetric")
        yield from _of_shift(graph, parts)


def _of_contraction(graph: Congruence, form: Contraction, children: Sequence[int], type: TensorType) -> Iterable[Fact]:
    summed = set(range(len(form.extents))) - set(form.output_letters)
    repeated = len(set(form.output_letters)) != len(form.output_letters)
    positive = all(graph.knows(c, "positive") for c in children)
    nonnegative = type.dtype.kind == "f" and all(  # squares are, whatever is squared
        count % 2 == 0 or graph.knows(c, "nonnegative") for (_, c), count in Counter(zip(form.inputs, children)).items()
    )
    if nonnegative:
        yield Fact("nonnegative")
    if positive and not summed and not repeated:
        yield Fact("positive")
    if len(type.dims) != 2:
        return
    rows, columns = form.output
    if rows and rows == columns:  # zero off the diagonal
        yield Fact("diagonal")
        if not any(map(letters_of, form.inputs)):
            yield Fact("circulant")
        if not children:
            yield Fact("unit_diagonal")
        elif positive:
            yield Fact("spd")
        elif nonnegative:
            yield Fact("psd")
        return
    if type.dims[0] == type.dims[1]:
        symmetric = [len(axes) == 2 and graph.knows(c, "symmetric") for axes, c in zip(form.inputs, children)]
        from tpc.passes.contraction import arranged

        turned_form = Contraction(form.inputs, form.output[::-1], form.extents)
        there, here = (arranged(f, children, symmetric) for f in (turned_form, form))
        if [children[k] for k in there[0]] == [children[k] for k in here[0]] and there[1] == here[1]:
            yield Fact("symmetric")
    chain = chain_of(form, children)
    if chain is not None:
        yield from _of_chain(graph, chain, type)
    elif len(rows) == len(columns) > 1:
        yield from _of_kron(graph, form, children, type)
        yield from _of_blocks(graph, form, children)


def _of_blocks(graph: Congruence, form: Contraction, children: Sequence[int]) -> Iterable[Fact]:
    """Facts of a matrix with the matrices of one batch as its blocks, and zeros where rows and columns differ in the
    letters that they share."""
    rows, columns = form.output
    shared = [n for n in rows if n in columns]
    if not shared or len(children) != 1 or [n in shared for n in rows] != [n in shared for n in columns]:
        return
    if [form.extents[n] for n in rows] != [form.extents[n] for n in columns]:
        return
    *_, row, column = ((), (), *form.inputs[0])
    if row == tuple(n for n in rows if n not in shared) and column == tuple(n for n in columns if n not in shared):
        yield from (f for f in graph[children[0]].facts if f.name in _OF_BLOCKS)


def _of_kron(graph: Congruence, form: Contraction, children: Sequence[int], type: TensorType) -> Iterable[Fact]:
    """Facts of a Kronecker product of matrices, each a product itself, perhaps times scalars."""
    scalars = [c for axes, c in zip(form.inputs, children) if not any(axes)]
    used = len(scalars)
    whole: Known | None = None
    for row, column in zip(*form.output):
        inside = _connected(form, {row, column})
        used += len(inside)
        part = Contraction(tuple(form.inputs[k] for k in inside), ((row,), (column,)), form.extents)
        own = TensorType(type.dtype, part.dims)
        kept = [children[k] for k in inside]
        if kept:
            facts = graph[kept[0]].facts if part.is_identity else frozenset(_of_contraction(graph, part, kept, own))
        elif row == column:
            facts = frozenset(_conclusions("eye", [], own))
        else:
            return
        here = Known(own, closure(own, facts, graph.nonnegative))
        if whole is not None:
            own = TensorType(type.dtype, (whole.type.dims[0] * own.dims[0], whole.type.dims[1] * own.dims[1]))
            here = Known(own, closure(own, frozenset(_conclusions("kron", [whole, here], own)), graph.nonnegative))
        whole = here
    if whole is None or used != len(children):  # letters of two factors meet
        return
    keeps = _of_scalars(graph, scalars)
    yield from (f for f in whole.facts if f.name in keeps or not scalars)


def _connected(form: Contraction, letters: set[int]) -> list[int]:
    """The operands that hang together with some letters."""
    found = set(letters)
    inside: list[int] = []
    while True:
        more = [k for k, axes in enumerate(form.inputs) if k not in inside and found & set(letters_of(axes))]
        if not more:
            return sorted(inside)
        inside += more
        found.update(n for k in more for n in letters_of(form.inputs[k]))


def run_facts(graph: Congruence, factors: Sequence[Factor]) -> Known:
    """What is known of a product of matrices."""
    result: Known | None = None
    for factor in factors:
        here = factor_facts(graph, factor)
        if result is None:
            result = here
            continue
        type = TensorType(here.type.dtype, (result.type.dims[0], here.type.dims[1]))
        facts = closure(type, frozenset(_conclusions("matmul", [result, here], type)), graph.nonnegative)
        result = Known(type, facts)
    assert result is not None
    return result


def factor_facts(graph: Congruence, factor: Factor) -> Known:
    """What is known of one factor as the matrix that it stands for."""
    given = known(graph, factor.child)
    if factor.kind == MATRIX:
        if not factor.turned or given.transposed == given.identity:
            return given
        type = TensorType(given.type.dtype, given.type.dims[::-1])
        return Known(type, closure(type, frozenset(_conclusions("transpose", [given], type)), graph.nonnegative))
    (size,) = given.type.dims
    if factor.kind in (COLUMN, ROW):
        return Known(TensorType(given.type.dtype, (size, 1) if factor.kind == COLUMN else (1, size)))
    type = TensorType(given.type.dtype, (size, size))
    return Known(type, closure(type, frozenset(_conclusions("diag", [given], type)), graph.nonnegative))


def _of_chain(graph: Congruence, chain: Chain, type: TensorType) -> Iterable[Fact]:
    factors = chain.factors
    scalars = chain.scalars
    positive = all(graph.knows(c, "positive") for c in scalars)
    keeps = _of_scalars(graph, scalars)
    if len(factors) > 1 or scalars:
        whole = run_facts(graph, factors).facts
        yield from (f for f in whole if f.name in keeps or not scalars)
    if not positive:
        return
    middle = _middle(graph, factors)
    if middle is None:
        return
    if "psd" in middle:
        yield Fact("psd")
    run = run_facts(graph, factors[: len(factors) // 2])
    wide = at_least(graph, run.type.dims[1], run.type.dims[0])
    if "spd" in middle and wide and any(f.name == "full_rank" for f in run.facts):
        yield Fact("spd")


def _middle(graph: Congruence, factors: Sequence[Factor]) -> frozenset[str] | None:
    """What is known of S in A' @ S @ A; of A' @ A, that S is the identity. None where a product is neither."""
    half = len(factors) // 2
    if not half or not _mirrored(graph, factors[:half], factors[len(factors) - half :]):
        return None
    if len(factors) % 2 == 0:
        return frozenset({"psd", "spd"})
    return frozenset(f.name for f in factor_facts(graph, factors[half]).facts)


def _of_shift(graph: Congruence, parts: Sequence[tuple[Number, int]]) -> Iterable[Fact]:
    """`a * I + S @ T` with psd S and T: the product has the eigenvalues of a psd matrix, the sum has none below a."""
    for (a, identity), (b, product) in permutations(parts) if len(parts) == 2 else ():
        names = {f.name for f in _of_multiple(a, graph[identity].facts)}
        if names >= SHIFT and b > 0 and any(_is_of_semidefinites(graph, t) for t in graph[product].terms):
            yield Fact("nonsingular")


def _is_of_semidefinites(graph: Congruence, term: Term) -> bool:
    """Whether a term is the product of two matrices that are known to be psd."""
    chain = chain_of(term.form, [graph.find(c) for c in term.children]) if isinstance(term, Contract) else None
    if chain is None or not all(graph.knows(c, "nonnegative") for c in chain.scalars):
        return False
    cuts = [(chain.factors[:k], chain.factors[k:]) for k in range(1, len(chain.factors))]
    return any(all(_is_semidefinite(graph, half) for half in halves) for halves in cuts)


def semidefinite_run(graph: Congruence, factors: Sequence[Factor]) -> tuple[int, int] | None:
    """The first and the last place of the longest run of several factors whose product is known to be psd."""
    runs = [(i, j) for i, j in combinations(range(len(factors) + 1), 2) if j - i > 1]
    return max(
        (r for r in runs if _is_semidefinite(graph, factors[slice(*r)])), key=lambda r: r[1] - r[0], default=None
    )


def _is_semidefinite(graph: Congruence, factors: Sequence[Factor]) -> bool:
    if len(factors) == 1:
        return any(f.name == "psd" for f in factor_facts(graph, factors[0]).facts)
    return "psd" in (_middle(graph, factors) or ())


def _of_scalars(graph: Congruence, scalars: Sequence[int]) -> frozenset[str]:
    """What a matrix keeps that is multiplied with numbers."""
    positive = all(graph.knows(c, "positive") for c in scalars)
    return _OF_MULTIPLES | _OF_POSITIVE_MULTIPLES if positive else _OF_MULTIPLES - {"nonsingular", "full_rank"}


def _mirrored(graph: Congruence, left: Sequence[Factor], right: Sequence[Factor]) -> bool:
    return all(
        a.child == b.child and (a.turned == b.turned or graph.knows(a.child, "symmetric"))
        for a, b in zip(turned(left), right, strict=True)
    )


def at_least(graph: Congruence, large: DimLike, small: DimLike) -> bool:
    over = large - small
    return is_nonnegative(over) or any(is_nonnegative(over - given) for given in graph.nonnegative)
