"""Entries taken from, or added at, positions that are values."""

from __future__ import annotations

from typing import Any

from tpc.ir.dims import dim_text
from tpc.ir.formula import Apply, Formula, LetterValue, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import (
    ZERO,
    access,
    checked_axis,
    checked_dims,
    checked_rank,
    letters_of,
    option_misfit,
    over,
    plus,
    typed_by,
)
from tpc.ir.types import TensorType


def _take(operands: list[TensorType], attributes: Attributes) -> Formula:
    x, index = operands
    checked_rank("take", operands, 0, 1)
    axis = checked_axis("take", attributes["axis"], x.rank)
    letters = letters_of(x)
    positions = [f"k{n}" for n in range(index.rank)]
    result = [*letters[:axis], *positions, *letters[axis + 1 :]]
    dims = [*x.dims[:axis], *index.dims, *x.dims[axis + 1 :]]
    return over(result, dims, access(0, [*letters[:axis], access(1, positions), *letters[axis + 1 :]]))


def _take_along(operands: list[TensorType], attributes: Attributes) -> Formula:
    x, index = operands
    checked_rank("take_along", operands, 0, 1)
    axis = checked_axis("take_along", attributes["axis"], x.rank)
    if index.rank != x.rank or any(a != b for n, (a, b) in enumerate(zip(x.dims, index.dims)) if n != axis):
        raise Misfit(
            "E0202",
            f"`take_along` needs positions of the shape of x, but for axis {axis}",
            [(0, f"this is {x}"), (1, f"this is {index}")],
        )
    letters = letters_of(index)
    places = [access(1, letters) if n == axis else letter for n, letter in enumerate(letters)]
    return over(letters, index.dims, access(0, places))


def _from_diagonals(operands: list[TensorType], attributes: Attributes) -> Formula:
    (d,) = operands
    if d.rank != 2:
        raise Misfit("E0204", "`from_diagonals` takes the diagonals as the rows of a matrix", [(0, f"this is {d}")])
    below = attributes["below"]
    if not isinstance(below, int) or below < 0:
        raise option_misfit("from_diagonals", "below", below, "an integer, 0 or more")
    (columns,) = checked_dims("from_diagonals", (attributes["n"],))
    place = plus(Apply("sub", (LetterValue("j"), LetterValue("i"))), SizeValue(below))
    return over("ij", [d.dims[1], columns], access(0, [place, "i"], ZERO))


def _others(operands: list[TensorType], number: int) -> str:
    return "".join(f", a{n}" for n in range(operands[number].rank - 1))


def _scatter_line(operands: list[TensorType], attributes: Attributes) -> str:
    checked_rank("scatter_add", operands, 0, 1)
    rest = _others(operands, 0)
    return (
        f"scatter_add(x[i{rest}], index[k], updates[k{rest}])[i{rest}]"
        f" = x[i{rest}] + sum[k where index[k] == i](updates[k{rest}])"
    )


def _segment_line(operands: list[TensorType], attributes: Attributes) -> str:
    checked_rank("segment_sum", operands, 0, 1)
    rest = _others(operands, 0)
    n = attributes["n"]
    if isinstance(n, int) and n < 0:
        raise Misfit("E0208", f"`segment_sum` is given a negative size, {dim_text(n)}")
    return f"segment_sum(x[k{rest}], index[k], n)[n{rest}] = sum[k where index[k] == n](x[k{rest}])"


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, group="gathering", **more)


GATHERING: list[Op] = [
    _op(
        "take",
        "take(x[...], index[...])",
        "x at positions of one axis, whose place the axes of index take",
        kinds="bifc i",
        options={"axis": 0},
        formula_by=_take,
        typing=typed_by(_take),
        facts=entries_of("x"),
    ),
    _op(
        "take_along",
        "take_along(x[...], index[...])",
        "x at positions of one axis that differ from place to place",
        kinds="bifc i",
        options={"axis": -1},
        formula_by=_take_along,
        typing=typed_by(_take_along),
        facts=entries_of("x"),
    ),
    _op(
        "from_diagonals",
        "from_diagonals(D[o, i], below, n)",
        "the matrix of n columns that has D[o, i] in row i and column i + o - below, and zeros elsewhere",
        kinds="ifc",
        formula_by=_from_diagonals,
        typing=typed_by(_from_diagonals),
        facts="""
            |- banded(this, below, rows(D) - 1 - below) where rows(D) > below
            nonnegative(D) |- nonnegative(this)
        """,
    ),
    _op(
        "scatter_add",
        "scatter_add(x[...], index[k], updates[...])",
        "x with updates added at positions of the first axis; positions may repeat",
        line_by=_scatter_line,
        kinds="ifc i ifc",
        flops="entries_updates",
        facts="nonnegative(x), nonnegative(updates) |- nonnegative(this)",
    ),
    _op(
        "segment_sum",
        "segment_sum(x[...], index[k], n)",
        "sums of the x whose index is 0, 1, ..., n - 1",
        line_by=_segment_line,
        kinds="ifc i",
        flops="entries_x",
        facts="nonnegative(x) |- nonnegative(this)",
    ),
]
