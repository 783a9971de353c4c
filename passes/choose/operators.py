"""Matrices that are applied, solved with and taken determinants of without being formed.

    circulant(c), and what has the fact        by Fourier transforms
    toeplitz(t, m), hankel(t, m), the fact     products, as a part of a circulant matrix
    xor_circulant(f)                           by Walsh-Hadamard transforms
    from_diagonals(D, below, n)                by its diagonals
    semiseparable(a, B, C)                     products, by its recurrence
    permutation(p)                             products, by taking rows
    blocks along the diagonal                  solves and determinants, block by block; products are contractions

Which of this pays is a matter of price: the matrix itself may be the cheaper way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.ir.build import items, literal, make, size
from tpc.ir.node import Node
from tpc.ir.ops.structure import At, Range
from tpc.passes.choose.applied import Application
from tpc.passes.choose.arrange import grouped, permuted, reshaped
from tpc.passes.choose.value import Built, Value, Way, Whole
from tpc.passes.egraph.terms import Applied, Contract, Term

if TYPE_CHECKING:
    from tpc.passes.choose.menu import Menu

Parts = Sequence[Node]
Act = Callable[[Parts, Node, bool], Node]
"""What a matrix of these parts (or its transpose) does to columns, or to a vector."""


@dataclass(frozen=True)
class Operator:
    """A matrix in parts.

    Attributes
    ----------
    needs
        The values that it is made from.
    parts
        The parts, from what is built of these values.
    product, solve
        None where there is no quicker way than by the matrix.
    logdet
        Likewise.
    is_own_transpose
        Whether it is symmetric and real: then it is never applied as a transpose, which may have other parts.
    """

    needs: tuple[Value, ...]
    parts: Callable[[Sequence[Built]], Parts]
    product: Act | None = None
    solve: Act | None = None
    logdet: Callable[[Parts], Node] | None = None
    is_own_transpose: bool = False

    def applied(self, menu: Menu, act: Act, application: Application, right: Value) -> Way:
        """The step that applies it to a part of a contraction."""

        def build(built: Sequence[Built]) -> Built:
            parts = self.parts(built[:-1])
            turned = application.turned and not self.is_own_transpose
            inner = application.build(lambda stored, columns: act(parts, columns, turned))
            return inner((built[-1], built[-1]))

        return menu.way((*self.needs, right), build)

    def of_logdet(self, menu: Menu, term: Term) -> Iterator[Way]:
        """The logarithm of its determinant."""
        logdet = self.logdet
        if logdet is not None:
            yield menu.way(self.needs, lambda built: Built(logdet(self.parts(built))), term)


def operators(menu: Menu, number: int) -> Iterator[Operator]:
    """What a class is known to be."""
    graph = menu.graph
    type = graph.tensor(number)
    if len(type.dims) != 2 or type.dtype.kind not in "fc":
        return
    written = False
    for term in graph[number].terms:
        match term:
            case Applied(op=op) if op.name in _WRITTEN:
                written = True
                is_own = graph.knows(number, "symmetric") and type.dtype.kind == "f"
                yield replace(_WRITTEN[op.name](menu, term, number), is_own_transpose=is_own)
            case Applied(op=op) if op.name == "cast":  # of places to numbers
                for inner in graph[term.children[0]].terms if graph.knows(number, "permutation") else ():
                    if isinstance(inner, Applied) and inner.op.name == "one_hot":
                        yield _permutation(menu, inner)
            case Contract():
                yield from _blocks(menu, term)
    if not written and type.dims[0] != 1 and not graph.knows(number, "diagonal"):
        if graph.knows(number, "circulant"):
            yield _circulant_of(Whole(number), _first_column)
        elif graph.knows(number, "toeplitz"):
            yield Operator((Whole(number),), lambda built: [_edge(built[0].node)], _toeplitz)


# ---- what is written


def _children(menu: Menu, term: Applied) -> tuple[Value, ...]:
    return tuple(Whole(menu.graph.find(c)) for c in term.children)


def _nodes(built: Sequence[Built]) -> Parts:
    return [b.node for b in built]


def _circulant(menu: Menu, term: Applied, number: int) -> Operator:
    (need,) = _children(menu, term)
    return _circulant_of(need, lambda node: node)


def _circulant_of(need: Value, column: Callable[[Node], Node]) -> Operator:
    return Operator(
        (need,),
        lambda built: [column(built[0].node)],
        lambda parts, right, turned: make("circulant_matmul", (*parts, right), transposed=turned),
        lambda parts, right, turned: make("circulant_solve", (*parts, right), transposed=turned),
        lambda parts: make("circulant_logdet", parts),
    )


def _toeplitz(parts: Parts, right: Node, turned: bool) -> Node:
    (t,) = parts
    return make("toeplitz_matmul", (make("flip", (t,), axis=0) if turned else t, right))


def _hankel(parts: Parts, right: Node, turned: bool) -> Node:
    # with its columns in the opposite order it is a Toeplitz matrix, and its transpose is of the same kind
    return make("toeplitz_matmul", (*parts, make("flip", (right,), axis=0)))


def _xor(menu: Menu, term: Applied, number: int) -> Operator:
    n = menu.graph.tensor(term.children[0]).dims[0]

    def image(x: Node) -> Node:
        return make("walsh_hadamard", (x,))

    def back(x: Node) -> Node:
        return make("div", (image(x), make("mul", (literal(1.0), size(n)))))

    def values(parts: Parts, right: Node) -> Node:
        found = image(parts[0])
        return found if right.tensor.rank == 1 else make("unsqueeze", (found,), axis=1)

    def logdet(parts: Parts) -> Node:
        return _of_eigenvalues(image(parts[0]))

    return Operator(
        _children(menu, term),
        _nodes,
        lambda parts, right, turned: back(make("mul", (values(parts, right), image(right)))),
        lambda parts, right, turned: back(make("div", (image(right), _nonzero(values(parts, right))))),
        logdet,
    )


def _nonzero(values: Node) -> Node:
    return make("require", (values, make("all", (make("ne", (values, literal(0))),))), because="nonsingular")


def _of_eigenvalues(values: Node) -> Node:
    """The logarithm of the product of real numbers; NaN where that is negative."""
    total = make("sum", (make("log", (make("abs", (values,)),)),))
    negative = make("lt", (make("prod", (make("sign", (values,)),)), literal(0)))
    return make("select", (negative, literal(float("nan")), total))


def _diagonals(menu: Menu, term: Applied, number: int) -> Operator:
    below: int = term["below"]
    rows, columns = menu.graph.tensor(term.children[0]).dims[1], term["n"]

    def turned_round(D: Node) -> Node:
        """The diagonals of the transpose: in the opposite order, each entry in the row that was its column."""
        count = D.tensor.dims[0]
        assert isinstance(count, int)
        moved = []
        for o in reversed(range(count)):
            k = o - below
            row = make("subscript", (D,), items=(At(o), Range(0, rows, 1)))
            moved.append(make("roll", (row,), shift=k, axis=0))
        return make("stack", moved, axis=0)

    def product(parts: Parts, right: Node, turned: bool) -> Node:
        if turned:
            count = parts[0].tensor.dims[0]
            return make("diagonals_matmul", (turned_round(parts[0]), right), below=count - 1 - below)
        return make("diagonals_matmul", (*parts, right), below=below)

    def solve(parts: Parts, right: Node, turned: bool) -> Node:
        if turned:
            count = parts[0].tensor.dims[0]
            parts, first = [turned_round(parts[0])], count - 1 - below
        else:
            first = below
        return make("diagonals_solve", (*parts, right), below=first, definite=menu.graph.knows(number, "spd"))

    return Operator(_children(menu, term), _nodes, product, solve if rows == columns else None)


def _semiseparable(parts: Parts, right: Node, turned: bool) -> Node:
    a, B, C = parts
    if turned:  # the recurrence runs backwards
        a, B, C = make("roll", (_back(a),), shift=1, axis=0), _back(C), _back(B)
        right = _back(right)
    columns = right if right.tensor.rank == 2 else make("unsqueeze", (right,), axis=1)
    start = make("zeros", (), dims=(a.tensor.dims[1], columns.tensor.dims[1]), dtype=right.tensor.dtype)
    product = items(make("linear_attention", (C, B, columns, a, start)))[0]
    product = _back(product) if turned else product
    return product if right.tensor.rank == 2 else make("squeeze", (product,), axis=1)


def _back(x: Node) -> Node:
    return make("flip", (x,), axis=0)


def _permutation(menu: Menu, term: Applied) -> Operator:
    def product(parts: Parts, right: Node, turned: bool) -> Node:
        (places,) = parts
        return make("take", (right, make("argsort", (places,)) if turned else places), axis=0)

    return Operator(_children(menu, term), _nodes, product)


_WRITTEN: dict[str, Callable[[Menu, Applied, int], Operator]] = {
    "circulant": _circulant,
    "toeplitz": lambda menu, term, _: Operator(_children(menu, term), _nodes, _toeplitz),
    "hankel": lambda menu, term, _: Operator(_children(menu, term), _nodes, _hankel),
    "xor_circulant": _xor,
    "from_diagonals": _diagonals,
    "semiseparable": lambda menu, term, _: Operator(_children(menu, term), _nodes, _semiseparable),
}


# ---- what is known of a matrix that is there


def _first_column(A: Node) -> Node:
    return make("subscript", (A,), items=(Range(0, A.tensor.dims[0], 1), At(0)))


def _edge(A: Node) -> Node:
    """The first row backwards, and the rest of the first column."""
    rows, columns = A.tensor.dims
    row = make("subscript", (A,), items=(At(0), Range(0, columns, 1)))
    column = make("subscript", (A,), items=(Range(1, rows - 1, 1), At(0)))
    return make("concat", (make("flip", (row,), axis=0), column), axis=0)


# ---- blocks


def _blocks(menu: Menu, term: Contract) -> Iterator[Operator]:
    """A contraction with letters that its rows and columns share: it is zero where these differ."""
    form = term.form
    row, column = form.output
    shared = tuple(n for n in row if n in column)
    inner = tuple(n for n in row if n not in shared), tuple(n for n in column if n not in shared)
    if not shared or not all(inner) or form.size(inner[0]) != form.size(inner[1]):
        return
    whole, back = menu.part(form, term.children, range(len(term.children)))
    if set(back.values()) != {*shared, *inner[0], *inner[1]}:
        return  # what is the same for all values of a letter

    def parts(built: Sequence[Built]) -> Parts:
        here = Built(built[0].node, tuple(back[n] for n in built[0].letters))
        return [grouped(here, [shared, *inner], form.extents)]

    def solve(parts: Parts, right: Node, turned: bool) -> Node:
        given, result = (column, row) if turned else (row, column)
        (blocks,) = parts
        columns = right.tensor.dims[1] if right.tensor.rank == 2 else 1
        extents = {**{n: form.extents[n] for n in (*row, *column)}, -1: columns}
        split = Built(reshaped(right, [extents[n] for n in (*given, -1)]), (*given, -1))
        rest = [tuple(n for n in axis if n not in shared) for axis in (given, result)]
        sides = grouped(split, [shared, rest[0], (-1,)], extents)
        solved = make("solve", (make("transpose", (blocks,)) if turned else blocks, sides))
        order = (*shared, *rest[1], -1)
        solved = reshaped(solved, [extents[n] for n in order])
        solved = permuted(solved, [order.index(n) for n in (*result, -1)])
        return reshaped(solved, [form.size(result), *right.tensor.dims[1:]])

    alike = [k for k, n in enumerate(row) if n in shared] == [k for k, n in enumerate(column) if n in shared]
    in_step = alike and [form.extents[n] for n in row] == [form.extents[n] for n in column]
    is_one = len(term.children) == 1 and set(form.inputs[0][-2:]) == set(inner)  # of these blocks, perhaps turned
    definite = is_one and menu.graph.knows(term.children[0], "spd")
    logdet = _logdet_of_definite_blocks if definite else _logdet_of_blocks
    yield Operator((whole,), parts, None, solve, logdet if in_step else None)


def _logdet_of_definite_blocks(parts: Parts) -> Node:
    ends = make("diag", (make("cholesky", parts),))
    return make("mul", (literal(2), make("sum", (make("log", (ends,)),))))


def _logdet_of_blocks(parts: Parts) -> Node:
    sign, value = items(make("slogdet", parts))
    negative = make("lt", (make("prod", (sign,)), literal(0)))
    return make("select", (negative, literal(float("nan")), make("sum", (value,))))


def product_ways(menu: Menu, application: Application, number: int, right: Value) -> Iterator[Way]:
    """The product with a class that need not be formed."""
    for operator in operators(menu, number):
        if operator.product is not None:
            yield operator.applied(menu, operator.product, application, right)


def solve_ways(menu: Menu, application: Application, number: int, right: Value) -> Iterator[Way]:
    """The solve with a class that need not be formed."""
    for operator in operators(menu, number):
        if operator.solve is not None:
            yield operator.applied(menu, operator.solve, application, right)


def logdet_ways(menu: Menu, number: int, term: Applied) -> Iterator[Way]:
    """The logarithm of the determinant of a class that need not be formed."""
    for operator in operators(menu, number):
        yield from operator.of_logdet(menu, term)
