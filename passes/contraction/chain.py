"""Contractions that are products of matrices, read as a row of factors.

    A' @ diag(d) @ B @ x      out[j] = A[i, j] * d[i] * B[i, k] * x[k]

Every letter between two matrices joins them; a vector on such a letter is a diagonal matrix between them, and a
vector on a last letter that the result does not have ends the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike
from tpc.passes.contraction.form import Axes, Contraction

MATRIX, DIAGONAL, COLUMN, ROW = "matrix", "diagonal", "column", "row"


@dataclass(frozen=True, slots=True)
class Factor:
    """A class in a row of factors: a matrix as it is or turned, a vector as a diagonal matrix, a column or a row."""

    child: int
    turned: bool = False
    kind: str = MATRIX

    @property
    def turn(self) -> Factor:
        """The transpose."""
        if self.kind == MATRIX:
            return Factor(self.child, not self.turned)
        return Factor(self.child, False, {COLUMN: ROW, ROW: COLUMN, DIAGONAL: DIAGONAL}[self.kind])


@dataclass(frozen=True, slots=True)
class Chain:
    """A product of matrices times scalars."""

    factors: tuple[Factor, ...]
    scalars: tuple[int, ...]
    positions: tuple[int, ...]  # the operand that each factor is

    @property
    def turn(self) -> Chain:
        return Chain(turned(self.factors), self.scalars, self.positions[::-1])


def turned(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """The transpose of a product."""
    return tuple(f.turn for f in reversed(factors))


def chain_of(form: Contraction, children: Sequence[int]) -> Chain | None:
    """The contraction as a row of matrices, or None where it is none."""
    if not form.inputs or not form.is_matrix_like or len(form.output) > 2:
        return None
    scalars: list[int] = []
    vectors: dict[int, list[int]] = {}
    edges: dict[int, list[int]] = {}
    ends: dict[int, tuple[int, int]] = {}
    for k, axes in enumerate(form.inputs):
        letters = [n for axis in axes for n in axis]
        if len(axes) != len(letters) or len(axes) > 2:
            return None
        if not axes:
            scalars.append(children[k])
        elif len(axes) == 1:
            vectors.setdefault(letters[0], []).append(k)
        elif letters[0] == letters[1]:
            return None
        else:
            ends[k] = (letters[0], letters[1])
            for n in letters:
                edges.setdefault(n, []).append(k)
    output = [n for axis in form.output for n in axis]
    if len(output) != len(form.output) or len(set(output)) != len(output):
        return None
    start = output[0] if output else _start(form, vectors, edges)
    if start is None:
        return None
    factors: list[Factor] = []
    positions: list[int] = []

    def put(position: int, turned: bool, kind: str) -> None:
        factors.append(Factor(children[position], turned, kind))
        positions.append(position)

    letter, left = start, set(ends)
    waiting = vectors.pop(letter, [])
    if not output:
        if not waiting:
            return None
        put(waiting.pop(0), False, ROW)
    while True:
        for k in waiting:
            put(k, False, DIAGONAL)
        following = [k for k in edges.get(letter, []) if k in left]
        if not following:
            break
        if len(following) > 1 or len(edges[letter]) > 2:
            return None
        k = following[0]
        left.discard(k)
        put(k, ends[k][0] != letter, MATRIX)
        letter = ends[k][1] if ends[k][0] == letter else ends[k][0]
        if letter == start or (letter in output and letter != output[-1]):
            return None
        waiting = vectors.pop(letter, [])
    if left or vectors:
        return None
    if len(output) == 2:
        return Chain(tuple(factors), tuple(scalars), tuple(positions)) if letter == output[1] and factors else None
    if letter in output or not factors or factors[-1].kind != DIAGONAL:
        return None  # a row of vectors on one letter, or a sum over the columns of the last matrix
    factors[-1] = Factor(factors[-1].child, False, COLUMN)
    return Chain(tuple(factors), tuple(scalars), tuple(positions))


def _start(form: Contraction, vectors: dict[int, list[int]], edges: dict[int, list[int]]) -> int | None:
    """Where a product that is a number begins: at an end of the row, the one met first."""
    if not edges:
        return next(iter(vectors)) if len(vectors) == 1 else None
    found = [n for n in edges if len(edges[n]) == 1]
    return min(found) if len(found) == 2 else None


def form_of(factors: Sequence[Factor], dims: Sequence[tuple[DimLike, ...]]) -> tuple[Contraction, list[int]]:
    """A row of factors as a contraction; `dims` are those of the classes, whose numbers come along in order."""
    extents: list[DimLike] = []
    inputs: list[Axes] = []
    output: list[int] = []

    def letter(extent: DimLike) -> int:
        extents.append(extent)
        return len(extents) - 1

    here: int | None = None
    for factor, sizes in zip(factors, dims, strict=True):
        if factor.kind == MATRIX:
            rows, columns = sizes[::-1] if factor.turned else sizes
            if here is None:
                here = letter(rows)
                output.append(here)
            there = letter(columns)
            inputs.append(((there,), (here,)) if factor.turned else ((here,), (there,)))
            here = there
        else:
            if here is None:
                here = letter(sizes[0])
                if factor.kind != ROW:
                    output.append(here)
            inputs.append(((here,),))
            if factor.kind == COLUMN:
                here = None
    if here is not None:
        output.append(here)
    axes = tuple((n,) for n in output)
    return Contraction(tuple(inputs), axes, tuple(extents)), [f.child for f in factors]
