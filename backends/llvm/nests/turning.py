"""Transposes of a part of a matrix, in tiles that stay in the cache."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.nests.writer import Writer

TILE = 16  # rows and columns of a tile
Range = tuple[ir.Value, ir.Value]
Matrix = tuple[ir.Value, ir.Value]  # where it begins, and how far its rows are apart


def turn(writer: Writer, type_: ir.Type, source: Matrix, target: Matrix, rows: Range, columns: Range) -> None:
    """Write `target[c, r] = source[r, c]` for some rows and columns of the source."""
    b, tile = writer.builder, writer.integer(TILE)
    with writer.loop("rows", *rows, TILE) as top, writer.loop("columns", *columns, TILE) as left:
        below, right = (writer.lesser(end, b.add(first, tile)) for first, (_, end) in ((top, rows), (left, columns)))
        with writer.loop("row", top, below) as row, writer.loop("column", left, right) as column:
            place = writer.address(source[0], type_, b.add(b.mul(row, source[1]), column))
            value = b.load(place, typ=type_)
            b.store(value, writer.address(target[0], type_, b.add(b.mul(column, target[1]), row)))
