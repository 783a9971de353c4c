"""Sums along the rows of a matrix and sums along its columns, of which each entry is loaded once for both."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from tpc.backends.llvm.fusion.crossing import CHUNK, ROWS
from tpc.backends.llvm.fusion.statement import Statement
from tpc.backends.llvm.fusion.terms import parts
from tpc.backends.llvm.nests.folds import ENTRY, Fold
from tpc.backends.llvm.nests.function import Kernel, Opened
from tpc.backends.llvm.nests.lanes import lane_count
from tpc.backends.llvm.nests.types import constant, memory, vector
from tpc.backends.llvm.nests.values import Lanes, Values
from tpc.backends.llvm.nests.vectors import for_lanes
from tpc.ir.dims import DimLike

SIDE = 8  # rows that are taken at once: so many streams of memory, and sums of columns are loaded once for all


def write(made: Opened, statement: Statement, cost: DimLike) -> Kernel:
    """Write the kernel of a crossed statement, over chunks of rows."""
    values, writer, b = made.values, made.values.writer, made.values.builder
    ((name, rows),), (down,) = statement.letters, statement.beside
    (chunks, (column, columns)) = down.letters
    type_ = memory(down.body.dtype)
    count = lane_count(down.body, columns)

    def sums() -> ir.Value:
        return writer.address(values.pointers[down.target], type_, values.first_place(down.place))

    def clear() -> None:
        b.store(constant(vector(type_, count), 0.0), sums(), align=ENTRY)

    with writer.loop(CHUNK, made.begin, made.end) as chunk:
        values.letters[CHUNK] = chunk
        for_lanes(values, column, writer.integer(0), writer.dim(columns), columns, count, clear)
        first = b.mul(chunk, writer.integer(ROWS))
        last = writer.lesser(b.add(first, writer.integer(ROWS)), writer.dim(rows))
        whole = b.add(first, b.and_(b.sub(last, first), writer.integer(-SIDE)))
        for side, low, high in ((SIDE, first, whole), (1, whole, last)):
            with writer.loop(name, low, high, side) as top:
                lines = [b.add(top, writer.integer(n), flags=("nsw",)) for n in range(side)]
                _store(values, statement, name, lines, (Fold(values, down.body), sums))
    return made.closed(chunks[1], 1, cost)


def _store(
    values: Values, statement: Statement, name: str, lines: list[ir.Value], across: tuple[Fold, Callable[[], ir.Value]]
) -> None:
    """Store the values at some rows, while their entries are added to the sums of columns as well."""
    writer = values.writer
    (term,) = (t for t in parts(statement.body) if t.kind == "fold")
    found = Fold(values, term).side_by_side(name, lines, across)
    if len(lines) > 1:
        values.lanes = Lanes(name, len(lines), None, None)
    else:
        found = writer.builder.extract_element(found, ir.Constant(ir.IntType(32), 0))
    values.letters[name] = lines[0]
    with writer.scope():
        writer.known[-1][term] = found
        values.store(
            values.pointers[statement.target], statement.body.dtype, statement.place, values.value(statement.body)
        )
    values.lanes = None
    del values.letters[name]
