"""Ways to solve systems with a symmetric matrix: by conjugate gradients or MINRES, whose steps can be counted, or by
refinement of what a formula says.

kron(A, I) + kron(I, B) + E, kron(A, B) + E    preconditioned by the eigenvectors of A and B; by MINRES where the matrix
                                               is not known to be definite
sums of Kronecker products                     as they are
Toeplitz matrices                              preconditioned by the closest circulant matrix
sparse matrices                                preconditioned by the diagonal
L @ L' + U @ U'                                by Woodbury's formula, whose residual is solved for again
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from tpc.ir.build import literal, make
from tpc.ir.node import Node
from tpc.ir.notes import follow
from tpc.ir.types import F64
from tpc.passes.solvers.bounds import Bounds, Spectrum, added, called
from tpc.passes.solvers.operator import product, scaled

Applied = Callable[[Sequence[Node], Node], Node]


@dataclass(frozen=True)
class Way:
    """One of them.

    Attributes
    ----------
    steps
        How many are enough, by bounds of the eigenvalues of the preconditioned matrix.
    words
        What it is preconditioned with.
    operands, precondition
        What the preconditioner is made of, and its product with a vector, given these; without it there is none.
    method
        `cg`, `minres` or `refinement`.
    is_likely
        Whether few steps are to be expected where bounds do not prove it.
    """

    steps: Node
    words: str = ""
    operands: tuple[Node, ...] = ()
    precondition: Applied | None = None
    method: str = "cg"
    is_likely: bool = False


def way(matrix: Node, spectrum: Spectrum) -> Way | None:
    """The way for a matrix, if there is one."""
    if not spectrum.knows(matrix, "symmetric"):
        return None
    terms = list(_terms(matrix))
    return (
        next(_by_eigenvectors(matrix, terms, spectrum), None)
        or next(_by_update(terms, spectrum), None)
        or _by_circulant(matrix, spectrum)
        or _by_diagonal(terms, spectrum)
        or _plain(matrix, terms, spectrum)
    )


def _steps(matrix: Node, ends: Bounds) -> Node:
    return called("steps_needed", *ends, _part(matrix))[0]


def _part(matrix: Node) -> Node:
    """What may be left of a right side: the size of rounding."""
    return literal(64 * (2.2e-16 if matrix.tensor.dtype is F64 else 1.2e-7))


def _by_eigenvectors(matrix: Node, terms: Sequence[Node], spectrum: Spectrum) -> Iterator[Way]:
    for solvable, rest in _splits(terms):
        beside = spectrum.bounds(added(rest))
        factors = [spectrum.factored(factor) for factor in _factors(solvable)]
        if beside is None or None in factors:
            continue
        (left, U), (right, V) = (f for f in factors if f is not None)
        a, b = (_scale(solvable[0]), _scale(solvable[-1]))
        (values,) = called("sum_values" if len(solvable) == 2 else "product_values", left, right, a, b)
        divisor, steps = called("within_signs", values, *beside, _part(matrix))
        method = "cg" if spectrum.knows(matrix, "psd") else "minres"
        yield Way(steps, "the eigenvectors of its Kronecker products", (U, V, divisor), _within, method)


def _within(operands: Sequence[Node], v: Node) -> Node:
    U, V, divisor = operands
    forth = make("kron", (make("transpose", (U,)), make("transpose", (V,))))
    if v.tensor.rank == 2:
        divisor = make("reshape", (divisor,), dims=(*divisor.tensor.dims, 1))
    return product(make("kron", (U, V)), make("div", (product(forth, v), divisor)))


def _by_update(terms: Sequence[Node], spectrum: Spectrum) -> Iterator[Way]:
    """The formula loses digits where L @ L' is badly conditioned, and the sum is not."""
    squares = [_square(term) for term in terms]
    for one, other in permutations(squares, 2) if len(squares) == 2 else ():
        if one is None or other is None or not spectrum.knows(one[0], "nonsingular"):
            continue
        (L, a), (U, c) = one, other
        if spectrum.knows(L, "lower") or spectrum.knows(L, "upper"):
            operands = L, *called("halves", L, U, a, c), a
            yield Way(literal(1.0), "what Woodbury's formula says", operands, _updated, "refinement")


def _updated(operands: Sequence[Node], r: Node) -> Node:
    return called("updated", *operands, r)[0]


def _square(term: Node) -> tuple[Node, Node] | None:
    """L and a of a * L @ L'."""
    core, scale = _core(term), _scale(term)
    if core.op.name != "matmul":
        return None
    (left, right), scales = map(_core, core.args), map(_scale, core.args)
    for factor in scales:
        scale = make("mul", (scale, factor))
    return (left, scale) if right is make("transpose", (left,)) else None


def _by_circulant(matrix: Node, spectrum: Spectrum) -> Way | None:
    """All but some of the eigenvalues come to lie near 1 (R. Chan, G. Strang 1989), which bounds do not see."""
    column = spectrum.column(matrix)
    ends = spectrum.bounds(matrix) if column is not None else None
    if column is None or ends is None:
        return None
    closest = called("closest_circulant", column)[0]
    follow(matrix, closest)  # which is singular only where the matrix is not definite
    words, solved = "the closest circulant matrix", lambda c, v: make("circulant_solve", (*c, v))
    is_definite = spectrum.knows(matrix, "spd")
    return Way(_steps(matrix, ends), words, (closest,), solved, is_likely=is_definite)


def _by_diagonal(terms: Sequence[Node], spectrum: Spectrum) -> Way | None:
    middle, reach = None, None
    for term in terms:
        core, scale = _core(term), _scale(term)
        if core in spectrum.stored:
            diagonal, further = called("rows_of", core)
            further = make("mul", (make("abs", (scale,)), further))
            reach = further if reach is None else make("add", (reach, further))
        elif core.op.name == "diag":
            (diagonal,) = core.args
        elif core.op.name == "eye":
            diagonal = make("ones", (), dims=core.tensor.dims[:1], dtype=terms[0].tensor.dtype)
        else:
            return None
        diagonal = make("mul", (scale, diagonal))
        middle = diagonal if middle is None else make("add", (middle, diagonal))
    if reach is None or middle is None:
        return None
    low, high = called("of_rows", middle, reach)
    return Way(_steps(terms[0], (low, high)), "its diagonal", (middle,), lambda d, v: called("divided", v, *d)[0])


def _plain(matrix: Node, terms: Sequence[Node], spectrum: Spectrum) -> Way | None:
    products = [term for term in terms if _core(term).op.name == "kron"]
    ends = spectrum.bounds(matrix) if len(products) > 2 else None
    return None if ends is None else Way(_steps(matrix, ends))


# ---- what a matrix is made of


def _terms(matrix: Node) -> Iterator[Node]:
    if matrix.op.name != "add":
        yield matrix
        return
    for part in matrix.args:
        yield from _terms(part)


def _core(term: Node) -> Node:
    """A term without the number that it is multiplied with."""
    parts = scaled(term) if term.op.name == "mul" else None
    return term if parts is None else parts[0]


def _scale(term: Node) -> Node:
    parts = scaled(term) if term.op.name == "mul" else None
    return literal(1.0) if parts is None else parts[1]


def _splits(terms: Sequence[Node]) -> Iterator[tuple[list[Node], list[Node]]]:
    """The terms of a matrix as those that eigenvectors diagonalise together, and others that no rule solves with."""
    products = [t for t in terms if _core(t).op.name == "kron"]
    left = [t for t in products if _core(t).args[1].op.name == "eye"]
    right = [t for t in products if _core(t).args[0].op.name == "eye"]
    pairs = [[a, b] for a in left for b in right if _core(a).args[1].tensor.dims == _core(b).args[1].tensor.dims]
    for solvable in [*pairs, *([t] for t in products if t not in left and t not in right)]:
        rest = [t for t in terms if t not in solvable]
        if any(_core(t).op.name != "eye" for t in rest):
            yield solvable, rest


def _factors(solvable: Sequence[Node]) -> list[Node]:
    """The two matrices whose eigenvectors are taken."""
    first, last = _core(solvable[0]), _core(solvable[-1])
    return [first.args[0], last.args[1]]
