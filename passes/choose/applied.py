"""A stored matrix applied to a part of a contraction: whatever kernel does it, the rest is brought into columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.passes.choose.arrange import grouped, permuted, reshaped
from tpc.passes.choose.value import Build, Built, Part

Apply = Callable[[Node, Node], Node]
"""The stored matrix (or its factors) and the columns that it is applied to, to the result."""


@dataclass(frozen=True)
class Application:
    """A matrix over (result, summed) letters, applied to a part that has the summed letters and others.

    Attributes
    ----------
    turned
        Whether it is the transpose of what is stored that is applied.
    columns
        The letters of the part that are not summed; none for a vector.
    letters
        Those of the whole by those of the part.
    """

    turned: bool
    result: tuple[int, ...]
    summed: tuple[int, ...]
    columns: tuple[int, ...]
    letters: dict[int, int]
    extents: Sequence[DimLike]

    def build(self, apply: Apply) -> Build:
        """The step that applies a kernel."""

        def build(built: Sequence[Built]) -> Built:
            stored, right = built
            here = Built(right.node, tuple(self.letters[n] for n in right.letters))
            columns = tuple(n for n in here.letters if n in self.columns)
            if columns and here.letters == (*columns, *self.summed):
                array = permuted(grouped(here, [columns, self.summed], self.extents), (1, 0))
            else:
                array = grouped(here, [self.summed, *([columns] if columns else [])], self.extents)
            output = (*self.result, *columns)
            node = apply(stored.node, array)
            return Built(reshaped(node, [self.extents[n] for n in output]), output)

        return build


def applications(value: Part, matrix: Sequence[int], letters: dict[int, int]) -> Iterator[Application]:
    """How an operand of a part is a matrix that is applied to the others, whose letters are given."""
    form = value.form
    if len(matrix) != 1:
        return
    axes = form.inputs[matrix[0]]
    if len(axes) != 2 or not all(axes) or len({n for axis in axes for n in axis}) < sum(map(len, axes)):
        return  # a diagonal is read of it
    others, output = set(letters.values()), set(form.output_letters)
    for turned in (False, True):
        result, summed = (axes[1], axes[0]) if turned else axes
        columns = tuple(n for n in letters.values() if n not in summed)
        fits = set(summed) <= others and not set(summed) & output and not set(result) & others
        if fits and set(result) <= output and set(columns) <= output:
            yield Application(turned, result, summed, columns, letters, form.extents)
