"""Two parts of a contraction contracted with each other: by which kernel, at what price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.passes.choose.arrange import by_formula, grouped, permuted, reshaped, spread
from tpc.passes.choose.value import Built, Part, Value, Way
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph.terms import Applied

if TYPE_CHECKING:
    from tpc.passes.choose.menu import Menu


@dataclass(frozen=True)
class Pair:
    """The letters of two parts by their role, in the letters of the whole."""

    form: Contraction
    first: tuple[int, ...]
    second: tuple[int, ...]
    output: tuple[int, ...]
    batch: tuple[int, ...]
    joint: tuple[int, ...]  # summed
    left: tuple[int, ...]
    right: tuple[int, ...]


def roles(form: Contraction, first: Sequence[int], second: Sequence[int]) -> Pair:
    """The roles of letters, where the first part and the second have these."""
    output = form.output_letters
    both = [n for n in first if n in second]
    return Pair(
        form,
        tuple(first),
        tuple(second),
        output,
        tuple(n for n in both if n in output),
        tuple(n for n in both if n not in output),
        tuple(n for n in first if n not in second),
        tuple(n for n in second if n not in first),
    )


def pair_ways(
    menu: Menu, form: Contraction, one: tuple[Value, dict[int, int]], other: tuple[Value, dict[int, int]]
) -> Iterator[Way]:
    """The ways of one split: each side with its letters in terms of those of the whole."""
    (value_a, back_a), (value_b, back_b) = one, other
    pair = roles(form, tuple(back_a.values()), tuple(back_b.values()))

    def product(built: Sequence[Built]) -> Built:
        return _product(pair, _renamed(built[0], back_a), _renamed(built[1], back_b))

    yield menu.way((value_a, value_a if _is_gram(value_a, back_a, value_b, back_b, pair) else value_b), product)
    if pair.joint and len(pair.batch) == 1 and not pair.left and not pair.right:

        def diagonal(built: Sequence[Built]) -> Built:
            a, b = _renamed(built[0], back_a), _renamed(built[1], back_b)
            product = make(
                "matmul", (_matrix(a, pair.batch, pair.joint, pair), _matrix(b, pair.joint, pair.batch, pair))
            )
            return Built(make("diag", (product,)), pair.batch)

        yield menu.way((value_a, value_b), diagonal)  # of small matrices, for which one call counts more than its work
    if pair.joint:
        return
    for (above, back), (below, back_below) in ((one, other), (other, one)):
        for divisor in _divisors(menu, below):

            def quotient(
                built: Sequence[Built], back: dict[int, int] = back, back_below: dict[int, int] = back_below
            ) -> Built:
                return _elementwise(pair, _renamed(built[0], back), _renamed(built[1], back_below), "div")

            yield menu.way((above, divisor), quotient)


def _divisors(menu: Menu, value: Value) -> Iterator[Part]:
    """What a part is one over."""
    if (
        not isinstance(value, Part)
        or len(value.children) != 1
        or value.form.inputs[0]
        and set(letters_of(value.form.inputs[0])) != set(value.form.output_letters)
    ):
        return
    for term in menu.graph[value.children[0]].terms:
        if isinstance(term, Applied) and term.op.name == "div" and menu.graph[term.children[0]].literal == 1:
            yield Part(value.form, (menu.graph.find(term.children[1]),))


def _is_gram(a: Value, back_a: dict[int, int], b: Value, back_b: dict[int, int], pair: Pair) -> bool:
    """Whether both sides are one part, once as it is and once turned."""
    if a != b or pair.batch or not isinstance(a, Part):
        return False
    return all(back_a[n] == back_b[n] for n in back_a if back_a[n] in pair.joint) and bool(pair.left and pair.right)


def _renamed(built: Built, letters: dict[int, int]) -> Built:
    return Built(built.node, tuple(letters[n] for n in built.letters))


def _product(pair: Pair, a: Built, b: Built) -> Built:
    """The nodes of a product of two arrays."""
    extents = pair.form.extents
    if not pair.joint and not (pair.left and pair.right and not pair.batch):
        return _elementwise(pair, a, b)
    if pair.batch and pair.joint and pair.left and pair.right:
        left, joint, right = _orders(pair, a, b)
        batch = tuple(n for n in a.letters if n in pair.batch)
        together = make(
            "matmul", (grouped(a, [batch, left, joint], extents), grouped(b, [batch, joint, right], extents))
        )
        return Built(_split(together, (*batch, *left, *right), pair), (*batch, *left, *right))
    if pair.batch:
        output = (*pair.batch, *pair.left, *pair.right)
        inputs = [tuple((n,) for n in x.letters) for x in (a, b)]
        return Built(by_formula([a.node, b.node], inputs, output, pair.form), output)
    if not pair.joint:
        if len(pair.left) == len(pair.right) == 1:
            return Built(make("outer", (a.node, b.node)), (*pair.left, *pair.right))
        flat = make("outer", (grouped(a, [pair.left], extents), grouped(b, [pair.right], extents)))
        output = (*pair.left, *pair.right)
        return Built(reshaped(flat, [extents[n] for n in output]), output)
    if not pair.left and not pair.right:
        joint = a.letters
        return Built(make("dot", (grouped(a, [joint], extents), grouped(b, [joint], extents))), ())
    left, joint, right = _orders(pair, a, b)
    if not pair.right or not pair.left:
        matrix, rows, vector = (a, left, b) if not pair.right else (b, right, a)
        line = grouped(vector, [joint], extents)
        if matrix.letters == (*joint, *rows) and joint == vector.letters:
            node = make("vecmat", (line, _matrix(matrix, joint, rows, pair)))
        else:
            node = make("matvec", (_matrix(matrix, rows, joint, pair), line))
        return Built(_split(node, rows, pair), rows)
    # of the two ways round, the one that reads with fewer transposes
    upright = (a.letters[: len(left)] == left) + (b.letters[: len(joint)] == joint)
    around = (b.letters[: len(right)] == right) + (a.letters[: len(joint)] == joint)
    if around > upright:
        node = make("matmul", (_matrix(b, right, joint, pair), _matrix(a, joint, left, pair)))
        return Built(_split(node, (*right, *left), pair), (*right, *left))
    node = make("matmul", (_matrix(a, left, joint, pair), _matrix(b, joint, right, pair)))
    return Built(_split(node, (*left, *right), pair), (*left, *right))


def _orders(pair: Pair, a: Built, b: Built) -> tuple[tuple[int, ...], ...]:
    """The letters of each role in the order in which the arrays have them."""
    return (
        tuple(n for n in a.letters if n in pair.left),
        tuple(n for n in a.letters if n in pair.joint),
        tuple(n for n in b.letters if n in pair.right),
    )


def _matrix(built: Built, rows: tuple[int, ...], columns: tuple[int, ...], pair: Pair) -> Node:
    """The part as a matrix; turned only after it is joined, so that the transpose is a view."""
    extents = pair.form.extents
    if built.letters == (*rows, *columns):
        return grouped(built, [rows, columns], extents)
    if built.letters == (*columns, *rows):
        return permuted(grouped(built, [columns, rows], extents), (1, 0))
    return grouped(built, [rows, columns], extents)


def _split(node: Node, letters: tuple[int, ...], pair: Pair) -> Node:
    return reshaped(node, [pair.form.extents[n] for n in letters])


def _elementwise(pair: Pair, a: Built, b: Built, op: str = "mul") -> Built:
    """The product (or quotient) of arrays of which one may lack letters of the other."""
    if len(b.letters) > len(a.letters) and op == "mul":
        a, b = b, a
    output = (
        a.letters if set(b.letters) <= set(a.letters) else (*a.letters, *(n for n in b.letters if n not in a.letters))
    )
    axes = tuple((n,) for n in output)
    first, second = (spread(x, axes) for x in (a, b))
    if op == "mul" and first is second:
        return Built(make("square", (first,)), output)
    if op == "mul" and a.letters and not b.letters:
        first, second = second, first  # a number before what it is multiplied with
    return Built(make(op, (first, second)), output)
