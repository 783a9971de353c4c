"""Index notation as operations on whole arrays, where it goes entry by entry or is one product of two arrays.

T[i, j] = a[t, i] * S[i, j] + k[t, i] * v[t, j]   is   a[t][:, none] * S + k[t][:, none] * v[t]
y[j] = sum[i](q[t, i] * S[i, j])                  is   q[t] @ S
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tpc.ir.build import literal, make, size
from tpc.ir.formula import Access, Apply, Formula, LetterValue, Literal, Reduction, Scalar, SizeValue, free_letters
from tpc.ir.node import Node, Program
from tpc.ir.op import Misfit
from tpc.ir.ops import OPS
from tpc.ir.ops.structure import INDEX, SUBSCRIPT, At, Range
from tpc.ir.rewrite import everywhere


def spelled(body: Program) -> Program:
    """A program with its index notation as operations on whole arrays, where that can be said."""

    return everywhere(body, _spelled)


def _spelled(node: Node) -> Node:
    if node.op is INDEX:
        with suppress(Misfit):
            found = _Spelling(node).run()
            return found if found is not None and found.type is node.type else node
    return node


class _Spelling:
    def __init__(self, node: Node) -> None:
        self.node = node
        formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
        assert formula is not None
        self.formula: Formula = formula

    def run(self) -> Node | None:
        if any(len(axis) != 1 for axis in self.formula.axes):
            return None
        body, letters = self.formula.body, self.formula.letters
        match body:
            case Reduction("sum", (letter,), None, Apply("mul", (Access() as x, Access() as y))):
                return self.product(x, y, letter)
        found = self.value(body, letters)
        if found is None or found.tensor.dtype is not self.node.tensor.dtype:
            return None
        dims = self.node.tensor.dims
        return found if found.tensor.dims == dims else make("broadcast_to", (found,), dims=dims)

    def value(self, scalar: Scalar, letters: Sequence[str]) -> Node | None:
        """An expression for all values of the letters, with an axis for each, or a number."""
        match scalar:
            case Literal():
                return literal(scalar.value)
            case SizeValue(dim):
                return size(dim)
            case Access():
                return self.array(scalar, letters)
            case Apply(function, arguments) if function in OPS and OPS[function].group == "elementwise":
                parts = [self.value(argument, letters) for argument in arguments]
                known = [part for part in parts if part is not None]
                return make(function, known) if len(known) == len(parts) else None
        return None

    def array(self, access: Access, letters: Sequence[str], spread: bool = True) -> Node | None:
        """The entries that an access reads, with the letters as axes in order; those it lacks are of size 1."""
        array = self.node.args[access.operand]
        items: list[At | Range] = []
        places: list[Node] = []
        own: list[str] = []
        for index, dim in zip(access.indices, array.tensor.dims, strict=True):
            if isinstance(index, LetterValue) and index.name in letters and index.name not in own:
                if self.formula.extent[index.name] != dim:
                    return None
                own.append(index.name)
                items.append(Range(0, dim, 1))
            elif isinstance(index, SizeValue):
                items.append(At(index.dim))
            elif isinstance(index, Literal) and isinstance(index.value, int):
                items.append(At(index.value))
            elif isinstance(index, Access) and not index.indices and not free_letters(index):
                items.append(At(None))
                places.append(self.node.args[index.operand])
            else:
                return None
        if access.pad is not None:
            return None
        if len(own) < len(items):
            array = make(SUBSCRIPT, (array, *places), items=tuple(items))
        order = [letter for letter in letters if letter in own]
        if order != own:
            array = make("permute", (array,), axes=tuple(own.index(letter) for letter in order))
        if not own or not spread:
            return array
        for place, letter in enumerate(letters):
            if letter not in own:
                array = make("unsqueeze", (array,), axis=place)
        return array

    def product(self, x: Access, y: Access, letter: str) -> Node | None:
        """`sum[k](x * y)` of a matrix and a vector, or two vectors."""
        letters = (*self.formula.letters, letter)
        left, right = (self.array(access, letters, spread=False) for access in (x, y))
        if left is None or right is None or len(letters) > 2:
            return None
        if left.tensor.rank < right.tensor.rank:
            left, right = right, left
        ranks = left.tensor.rank, right.tensor.rank
        if ranks == (len(letters), 1) and letter in free_letters(x) and letter in free_letters(y):
            return make("matvec" if len(letters) == 2 else "dot", (left, right))
        return None
