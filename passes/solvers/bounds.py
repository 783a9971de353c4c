"""Bounds of the eigenvalues of symmetric matrices that are written out of others, as code.

    A + B             sums of the bounds
    kron(A, B)        products of the bounds
    diag(d), s*eye(n) the entries
    U @ U'            from zero to the square of its norm
    Toeplitz          Gershgorin's circles
    factors of kron   the eigenvalues

They are computed when the program runs, and cost little beside one factorization.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tpc.ir.build import items, literal, make
from tpc.ir.node import Node
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.passes.library import Library
from tpc.passes.solvers.operator import is_open, scaled
from tpc.passes.solvers.system import Facts

CHOICE = Library(Path(__file__).with_name("choice.tp"))
Bounds = tuple[Node, Node]


class Spectrum:
    """Bounds of the eigenvalues of matrices, as far as they are cheap.

    Parameters
    ----------
    known
        What is known of values.
    stored
        Matrices of which few entries are stored.
    """

    def __init__(self, known: Facts, stored: Collection[Node]) -> None:
        self.known, self.stored = known, stored

    def knows(self, A: Node, fact: str) -> bool:
        return any(known.name == fact for known in self.known.get(A, ()))

    def bounds(self, A: Node, is_factor: bool = False) -> Bounds | None:
        """The smallest eigenvalue or less, and the largest or more; a factor is small beside the matrix."""
        found = self._bounds(A, is_factor)
        return _two("not_below_zero", *found) if found is not None and self.knows(A, "psd") else found

    def _bounds(self, A: Node, is_factor: bool) -> Bounds | None:
        match A.op.name:
            case "eye":
                return literal(1.0), literal(1.0)
            case "diag":
                return _two("of_diagonal", A.args[0])
            case "add":
                return self._joined(A, is_factor, lambda a, b: (_add(a[0], b[0]), _add(a[1], b[1])))
            case "kron":
                return self._joined(A, True, lambda a, b: _two("of_product", *a, *b))
            case "mul" if (parts := scaled(A)) is not None:
                inner = self.bounds(parts[0], is_factor)
                return None if inner is None else _two("of_product", *inner, parts[1], parts[1])
            case "matmul" if A.args[1] is make("transpose", (A.args[0],)):
                return _two("of_gram", A.args[0])
        if is_factor:
            pair = self.factored(A)
            return None if pair is None else _two("of_diagonal", pair[0])
        column = self.column(A)
        return None if column is None else _two("of_toeplitz", column)

    def _joined(self, A: Node, is_factor: bool, joined: Callable[[Bounds, Bounds], Bounds]) -> Bounds | None:
        left, right = (self.bounds(part, is_factor) for part in A.args)
        return None if left is None or right is None else joined(left, right)

    def factored(self, A: Node) -> tuple[Node, Node] | None:
        """The eigenvalues and eigenvectors of a factor."""
        if not self.knows(A, "symmetric"):
            return None
        values, vectors = items(make("eigh", (A,)))
        return values, vectors

    def column(self, A: Node) -> Node | None:
        """The first column of a symmetric Toeplitz matrix."""
        n = A.tensor.dims[0]
        if not (self.knows(A, "toeplitz") and self.knows(A, "symmetric")):
            return None
        if A.op.name == "toeplitz":
            return make(SUBSCRIPT, (A.args[0],), items=(Range(n - 1, n, 1),))
        if A.op.name == "add":
            for matrix, shift in (A.args, A.args[::-1]):
                column = self.column(matrix)
                parts = scaled(shift) if shift.op.name == "mul" else (shift, literal(1.0))
                if column is not None and parts is not None and parts[0].op.name == "eye":
                    return called("on_diagonal", column, parts[1])[0]
        return None if is_open(A) else make(SUBSCRIPT, (A,), items=(Range(0, n, 1), At(0)))


def called(name: str, *operands: Node) -> list[Node]:
    """The results of a function of `choice.tp`."""
    return CHOICE.called(name, operands)


def added(terms: Sequence[Node]) -> Node:
    """The sum of matrices."""
    total = terms[0]
    for term in terms[1:]:
        total = make("add", (total, term))
    return total


def _two(name: str, *operands: Node) -> Bounds:
    low, high = called(name, *operands)
    return low, high


def _add(a: Node, b: Node) -> Node:
    return make("add", (a, b))
