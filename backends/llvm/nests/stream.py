"""Streams as kernels: a function over numbers of blocks of rows, which threads share.

A thread finds its memory by the number of the first block that it takes at a time, so that nothing depends on which
thread that is.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from tpc.backends.llvm.fusion.statement import Buffer, Statement, Temporary, times
from tpc.backends.llvm.fusion.stream import (
    COLUMN_COUNT,
    COLUMNS,
    FIRST_COLUMN,
    FIRST_ROW,
    ROW_COUNT,
    ROWS,
    Stream,
    at,
)
from tpc.backends.llvm.fusion.terms import parts
from tpc.backends.llvm.nests import kernel, microkernel, product
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.function import Kernel, Opened, opened
from tpc.backends.llvm.nests.types import BYTE
from tpc.backends.llvm.nests.writer import polynomial
from tpc.backends.llvm.objects import READY
from tpc.ir.dims import DimLike, divide, substitute
from tpc.ir.types import I8, TensorType

SLOTS = 16  # blocks that run before the first of them is done with
LINE = 64


def slot_bytes(stream: Stream) -> DimLike:
    """The memory of a block."""
    total: DimLike = 0
    for buffer in stream.buffers:
        total = total + _padded(buffer)
    return total


def _padded(buffer: Buffer) -> DimLike:
    return divide(buffer.tensor.bytes + (LINE - 1), LINE) * LINE


def scratch(stream: Stream) -> Temporary:
    """The memory of all blocks that run at once."""
    return Temporary("blocks", TensorType(I8, [slot_bytes(stream) * SLOTS]))


def write(module: ir.Module, name: str, stream: Stream, memory: Buffer, sizes: Sequence[str], errors: Errors) -> Kernel:
    """Write the kernel of a stream into a module."""
    loads = [t for statement in stream.statements for t in statement.loads]
    read = dict.fromkeys(t.data[0] for t in loads if t.data[0] in stream.reads)
    made = opened(module, name, (stream.whole.target, memory, *read), sizes, errors)
    _Writing(made, stream, memory, sizes, errors).blocks()
    return made.closed(stream.units, 1, _cost(stream))


def _cost(stream: Stream) -> DimLike:
    """What all blocks cost, as if each were one tile."""
    total: DimLike = 0
    for statement in stream.each:
        found = product.as_product(statement)
        total = total + (kernel.cost(statement) if found is None else found.size * product.STEP)
    lengths = {ROW_COUNT: stream.row[1], COLUMN_COUNT: stream.column[1]}
    return substitute(total, lengths) * times(stream.batch)


class _Writing:
    """The loops over blocks and tiles."""

    def __init__(self, made: Opened, stream: Stream, memory: Buffer, sizes: Sequence[str], errors: Errors) -> None:
        self.made, self.stream, self.memory, self.errors = made, stream, memory, errors
        self.writer = made.values.writer
        self.names = [*sizes, *stream.sizes]
        self.module = made.function.module
        self.pointers = dict(made.values.pointers)
        self.known = {name: self.writer.sizes[name] for name in sizes}

    def blocks(self) -> None:
        writer, b, stream = self.writer, self.writer.builder, self.stream
        blocks, rows = writer.dim(stream.blocks), writer.dim(stream.row[1])
        # nobody else begins with the same block, and what one has used is still in the cache
        slot = b.and_(self.made.begin, writer.integer(SLOTS - 1))
        place = b.mul(slot, writer.dim(slot_bytes(stream)))
        for buffer in stream.buffers:
            self.pointers[buffer] = b.gep(self.pointers[self.memory], [place], source_etype=BYTE)
            place = b.add(place, writer.dim(_padded(buffer)))
        with writer.loop("block", self.made.begin, self.made.end) as unit:
            first = b.mul(b.srem(unit, blocks), writer.integer(ROWS))
            rest = b.sdiv(unit, blocks)
            for letter, extent in reversed(stream.batch):
                self.known[at(letter)] = b.srem(rest, writer.dim(extent))
                rest = b.sdiv(rest, writer.dim(extent))
            self.known[FIRST_ROW] = first
            self.known[ROW_COUNT] = writer.lesser(b.sub(rows, first), writer.integer(ROWS))
            self.known[FIRST_COLUMN] = self.known[COLUMN_COUNT] = writer.integer(0)
            outside = dict(self.known)
            self._run(stream.start, "start")
            self._tiles()
            self.known = outside
            self._run(stream.end, "end")

    def _tiles(self) -> None:
        writer, b = self.writer, self.writer.builder
        columns = writer.dim(self.stream.column[1])
        with writer.loop("tile", writer.integer(0), columns, COLUMNS) as first:
            self.known[FIRST_COLUMN] = first
            self.known[COLUMN_COUNT] = writer.lesser(b.sub(columns, first), writer.integer(COLUMNS))
            self._run(self.stream.each, "each")

    def _run(self, statements: Sequence[Statement], when: str) -> None:
        """Call the kernels of statements, each over all of its rows."""
        for number, statement in enumerate(statements):
            name = f"{self.made.function.name}.{when}.{number}"
            found = product.as_product(statement)
            name += READY if found is not None or _is_open(statement) else ""
            if found is None:
                kernel_ = kernel.write(self.module, name, statement, self.names, self.errors, is_brief=True)
            else:
                own = microkernel.is_possible()
                kernel_ = product.write(self.module, name, found, self.names, self.errors, own)
            # sizes of the block may be part of the outermost letter's
            end = polynomial(self.writer.builder, self.known, kernel_.extent)
            sizes = [self.known[n] for n in self.names]
            arguments = [*sizes, *(self.pointers[x] for x in kernel_.buffers), self.made.values.status]
            self.writer.builder.call(kernel_.function, [*arguments, self.writer.integer(0), end])


def _is_open(statement: Statement) -> bool:
    """Whether no loop of a statement has a known length, which it could be unrolled for."""
    loops = [loop for body in statement.bodies for t in parts(body) if t.kind == "fold" for loop in t.data[1]]
    return not any(isinstance(extent, int) for _, extent in (*statement.letters, *loops))
