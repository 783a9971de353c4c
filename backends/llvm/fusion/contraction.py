"""Statements that are matrix products, which libraries compute best when they are large."""

from __future__ import annotations

from dataclasses import dataclass

from tpc.backends.llvm.fusion.statement import Loop, Statement
from tpc.backends.llvm.fusion.terms import INSIDE, Term, renamed
from tpc.ir.types import F32, F64

SMALL = 24  # products whose letters all have at most as many values are written out by hand


@dataclass(frozen=True)
class Contraction:
    """`sum over letters of left * right`, both loads; by which of them they have, letters are rows or columns."""

    left: Term
    right: Term
    rows: tuple[Loop, ...]
    columns: tuple[Loop, ...]
    batch: tuple[Loop, ...]
    summed: tuple[Loop, ...]

    @property
    def is_large(self) -> bool:
        """Whether a library's product is likely to be faster than loops."""
        if not self.rows or not self.columns:
            return False
        return any(not isinstance(e, int) or e > SMALL for _, e in (*self.rows, *self.columns, *self.summed))

    @property
    def is_gram(self) -> bool:
        """Whether it is a matrix times its own transpose."""
        if not len(self.rows) == len(self.columns) == 1:
            return False
        return renamed(self.left, {self.rows[0][0]: self.columns[0][0]}) is self.right


def contraction(statement: Statement) -> Contraction | None:
    """The product that a statement is, or None."""
    body = statement.body
    if body.kind != "fold" or body.data[0] != "sum" or len(body.arguments) != 1:
        return None
    (inner,) = body.arguments
    if inner.kind != "call" or inner.data != "mul" or inner.dtype not in (F64, F32) or body.dtype is not inner.dtype:
        return None
    left, right = inner.arguments
    if any(t.kind != "load" or t.data[1] != INSIDE or t.dtype is not inner.dtype for t in (left, right)):
        return None
    if not {name for name, _ in body.data[1]} <= left.free & right.free:
        return None
    letters = statement.letters
    first = {name for name, _ in letters if name in left.free}
    second = {name for name, _ in letters if name in right.free}
    if letters and not first | second >= {name for name, _ in letters}:
        return None
    places = [n for n, _ in letters]
    if (
        second - first
        and first - second
        and places.index(min(second - first, key=places.index)) < places.index(min(first - second, key=places.index))
    ):
        left, right, first, second = right, left, second, first  # rows are the letters that come first
    return Contraction(
        left,
        right,
        tuple(loop for loop in letters if loop[0] in first - second),
        tuple(loop for loop in letters if loop[0] in second - first),
        tuple(loop for loop in letters if loop[0] in first & second),
        body.data[1],
    )
