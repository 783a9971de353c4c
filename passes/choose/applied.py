"""A stored matrix applied to a part of a contraction: whatever kernel does it, the rest is brought into columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.passes.choose.arrange import grouped, is_plain, permuted, reshaped
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


@dataclass(frozen=True)
class Batch:
    """A matrix for each of some letters, applied to a part that has these letters as well, or none of them.

    Attributes
    ----------
    turned
        Whether the transposes of what is stored are applied.
    lead
        The letters of the batch.
    shared
        Those of them that the part has.
    """

    turned: bool
    lead: tuple[int, ...]
    shared: tuple[int, ...]
    result: int
    summed: int
    columns: tuple[int, ...]
    letters: dict[int, int]
    extents: Sequence[DimLike]

    def build(self, apply: Apply) -> Build:
        """The step that applies a kernel, to matrices on the right: a vector is one of one column."""

        def build(built: Sequence[Built]) -> Built:
            stored, right = built
            here = Built(right.node, tuple(self.letters[n] for n in right.letters))
            array = grouped(here, [*((n,) for n in self.shared), (self.summed,), self.columns], self.extents)
            output = (*self.lead, self.result, *self.columns)
            return Built(reshaped(apply(stored.node, array), [self.extents[n] for n in output]), output)

        return build


def batches(value: Part, matrix: Sequence[int], letters: dict[int, int]) -> Iterator[Batch]:
    """How an operand of a part is a batch of matrices that is applied to the others, whose letters are given."""
    axes = value.form.inputs[matrix[0]]
    if len(matrix) != 1 or len(axes) < 3 or not is_plain(axes):
        return
    *lead, row, column = (n for (n,) in axes)
    others, output = set(letters.values()), set(value.form.output_letters)
    shared = tuple(n for n in lead if n in others)
    for turned, (result, summed) in ((False, (row, column)), (True, (column, row))):
        columns = tuple(n for n in letters.values() if n not in (*lead, summed))
        fits = summed in others and summed not in output and result not in others
        if fits and {*lead, result, *columns} <= output and len(shared) in (0, len(lead)):
            yield Batch(turned, tuple(lead), shared, result, summed, columns, letters, value.form.extents)
