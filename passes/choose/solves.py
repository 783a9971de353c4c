"""Inverses: which factorization serves them, and what is solved with it.

    proven              factors          applied to a right side
    lower, upper        none             trsm
    spd                 cholesky         potrs
    symmetric           ldl              sytrs
    symmetric           tried            getrs, of a matrix that is likely to be definite
    nonsingular         lu               getrs
    nonsingular         none             gesv, of a batch of matrices too

An inverse next to a product is a solve with factors that all uses share, or, where there is but one use, a single
call that factors and solves; one that is asked for entry by entry is computed from factors.

A matrix is likely to be definite that has a positive semidefinite summand, and no negative one: Cholesky's method is
tried, and LU only where it fails. Where `spd` rests on a promise, as in `inv(X' @ X)`, nothing is tried: that it fails
shows that the promise is broken, and the error says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.ir.build import cast, items, literal, make, operation
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.passes.choose import operators
from tpc.passes.choose.applied import Application, Apply, applications, batches
from tpc.passes.choose.value import Build, Built, Factors, Part, Value, Way, Whole
from tpc.passes.egraph.terms import Applied, Contract, Sum

if TYPE_CHECKING:
    from tpc.passes.choose.menu import Menu

UNASKED = 3

FACTORIZE = {"cholesky": "cholesky", "ldl": "ldl_factor", "lu": "lu_factor"}


def factored(kind: str, matrix: Node) -> Node:
    """The factors of one kind of a matrix."""
    if kind == "tried":
        return make("lu_factor", (matrix,), symmetric=True)
    return make(FACTORIZE[kind], (matrix,))


def factor_ways(menu: Menu, value: Factors) -> Iterator[Way]:
    """A factorization of a stored matrix."""
    graph = menu.graph
    type = graph.tensor(value.number)
    if value.kind == "cholesky":
        known = graph.memo.get(Applied(operation("cholesky"), (graph.find(value.number),), (), type))
        if known is not None:  # it is a value of the program as well
            yield menu.way((Whole(graph.find(known)),), lambda built: built[0])
            return
    yield menu.way((Whole(value.number),), lambda built: Built(factored(value.kind, built[0].node)))


def kinds(menu: Menu, number: int) -> list[str]:
    """The factorizations that what is proven of a matrix allows."""
    knows = menu.graph.knows
    if menu.graph.tensor(number).dtype.kind == "c":
        return ["lu"]
    if knows(number, "spd"):
        return ["cholesky"]
    if not knows(number, "symmetric"):
        return ["lu"]
    return ["ldl", "lu", "tried"] if is_likely_definite(menu, number) else ["ldl", "lu"]


def is_likely_definite(menu: Menu, number: int) -> bool:
    """Whether a symmetric matrix is a sum with a part that is known to be semidefinite, and none known as negative."""
    graph = menu.graph
    for term in graph[number].terms:
        if isinstance(term, Sum) and graph.knows(number, "symmetric"):
            signs = {c > 0 for c, child in zip(term.coefficients, term.children) if graph.knows(child, "psd")}
            if signs == {True}:
                return True
    return False


def triangle(menu: Menu, number: int) -> str | None:
    """The triangle that a matrix fills, if it fills only one."""
    for side in ("lower", "upper"):
        if menu.graph.knows(number, side):
            return side
    return None


def inverted(menu: Menu, number: int, axes: int = 2) -> list[int]:
    """The matrices whose inverse a class is, or the batches of matrices, of so many axes."""
    graph = menu.graph
    terms = [t for t in graph[number].terms if isinstance(t, Applied) and t.op.name == "inv"]
    found = [graph.find(t.children[0]) for t in terms]
    return [n for n in found if len(graph.tensor(n).dims) == axes]


def is_inverse(menu: Menu, number: int, seen: frozenset[int] = frozenset()) -> bool:
    """Whether a class is an inverse that all its terms compute as one, and not for instance a transpose."""
    graph = menu.graph
    number = graph.find(number)
    if number in seen:
        return True
    terms = graph[number].terms
    if not any(isinstance(t, Applied) and t.op.name == "inv" for t in terms) and not seen:
        return False
    seen = seen | {number}
    return all(
        isinstance(t, Applied)
        and t.op.name in ("inv", "matpow")
        or isinstance(t, Contract)
        and any(is_inverse(menu, c, seen) for c in t.children)
        for t in terms
    )


def solve_ways(menu: Menu, value: Part, inverse: Sequence[int], other: tuple[Value, dict[int, int]]) -> Iterator[Way]:
    """A part in which an inverse (the operand at `inverse`) meets others: a solve."""
    side, letters = other
    for application in applications(value, inverse, letters):
        for number in inverted(menu, value.children[inverse[0]]):
            yield from _solves(menu, number, application, side)
    for batch in batches(value, inverse, letters):
        for number in inverted(menu, value.children[inverse[0]], len(value.form.inputs[inverse[0]])):
            yield menu.way((Whole(number), side), batch.build(_at_once(batch.turned)))


def _solves(menu: Menu, number: int, application: Application, right: Value) -> Iterator[Way]:
    turned = application.turned
    yield from operators.solve_ways(menu, application, number, right)

    def way(need: Value, apply: Apply) -> Way:
        return menu.way((need, right), application.build(apply))

    side = triangle(menu, number)
    if side is not None:
        yield way(Whole(number), _substitution(turned, side == "lower"))
        return
    band = band_of(menu, number)
    if band is not None:
        width = menu.sizes(band[0]) + menu.sizes(band[1]) + 1
        if 3 * width <= menu.sizes(menu.graph.tensor(number).dims[0]):
            yield way(Whole(number), _banded(menu, number, turned, *band))
    for kind in kinds(menu, number):
        yield way(Factors(kind, number), _by_factors(kind, turned))
    yield way(Whole(number), _at_once(turned))


def _at_once(turned: bool) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        return make("solve", (make("transpose", (stored,)) if turned else stored, right))

    return apply


def _substitution(turned: bool, lower: bool) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        matrix = make("transpose", (stored,)) if turned else stored
        return make("solve_triangular", (matrix, right), lower=lower != turned)

    return apply


def _banded(menu: Menu, number: int, turned: bool, below: DimLike, above: DimLike) -> Apply:
    def apply(stored: Node, right: Node) -> Node:
        if menu.graph.knows(number, "spd"):
            return make("spd_band_solve", (stored, right), width=below)
        if turned:
            return make("band_solve", (make("transpose", (stored,)), right), below=above, above=below)
        return make("band_solve", (stored, right), below=below, above=above)

    return apply


def _by_factors(kind: str, turned: bool) -> Apply:
    def apply(factors: Node, right: Node) -> Node:
        if kind == "cholesky":
            return make("cho_solve", (factors, right))
        packed, order = items(factors)
        if kind == "ldl":
            return make("ldl_solve", (packed, order, right))
        return make("lu_solve", (packed, order, right), transposed=turned)

    return apply


def band_of(menu: Menu, number: int) -> tuple[DimLike, DimLike] | None:
    """The narrowest band that a matrix is known to fill: diagonals below and above."""
    bands = [f.arguments for f in menu.graph[number].facts if f.name == "banded"]
    widths = [(b, a) for b, a in bands if not isinstance(b, float) and not isinstance(a, float)]
    sized = [(menu.sizes(b) + menu.sizes(a), (b, a)) for b, a in widths]
    return min(sized, key=lambda s: s[0])[1] if sized else None


def charge(menu: Menu, number: int, name: str) -> int:
    """By how much the price of an op is raised: an inverse that nobody asked for loses digits, and is a last resort."""
    return UNASKED if name == "inv" and number not in menu.graph.results else 1


def inverse_ways(menu: Menu, number: int, term: Applied) -> Iterator[Way]:
    """An inverse entry by entry, and determinants, from factors."""
    graph = menu.graph
    matrix = graph.find(term.children[0])
    type = graph.tensor(matrix)
    if len(type.dims) != 2 or type.dtype.kind == "c":
        return
    name = term.op.name
    side = triangle(menu, matrix)

    def way(need: Value, build: Build) -> Way:
        return menu.way((need,), build, term, charge=charge(menu, number, name))

    if name == "inv":
        if side is not None:
            lower = side == "lower"
            yield way(Whole(matrix), lambda built: Built(make("tri_inv", (built[0].node,), lower=lower)))
        elif graph.knows(matrix, "spd"):
            yield way(Factors("cholesky", matrix), lambda built: Built(make("cho_inv", (built[0].node,))))
        return
    if name == "logdet":
        yield from operators.logdet_ways(menu, matrix, term)
    if graph.knows(matrix, "spd"):

        def from_cholesky(built: Sequence[Built]) -> Built:
            diagonal = make("diag", (built[0].node,))
            if name == "det":
                return Built(make("square", (make("prod", (diagonal,)),)))
            logarithms = make("sum", (make("log", (diagonal,)),))
            return Built(make("mul", (literal(2), logarithms)))

        yield way(Factors("cholesky", matrix), from_cholesky)

    def from_lu(built: Sequence[Built]) -> Built:
        node = make(f"lu_{name}", items(built[0].node))
        return Built(node if node.type is term.type else cast(node, type.dtype))

    yield way(Factors("lu", matrix), from_lu)
    if is_likely_definite(menu, matrix):
        yield way(Factors("tried", matrix), from_lu)
