"""Rows that are added at positions that are values, one after the other: positions may repeat."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.fusion.loop import Scatter
from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests.formats import convert
from tpc.backends.llvm.nests.loop import Pointers
from tpc.backends.llvm.nests.types import I1, INTEGER, memory, vector
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.dims import product
from tpc.ir.types import I64


def write(writer: Writer, pointers: Pointers, scatter: Scatter) -> None:
    """Write it where the writer is."""
    b = writer.builder
    (given,) = scatter.given
    dtype = given.tensor.dtype
    rows, *rest = given.tensor.dims
    target, updates, index = (pointers[n] for n in (given, scatter.updates, scatter.index))
    size, is_volatile = writer.dim(given.tensor.bytes), ir.Constant(I1, 0)
    if scatter.start is None:
        zero = ir.Constant(ir.IntType(8), 0)
        overloads = [target.type, INTEGER]
        writer.intrinsic("llvm.memset", overloads, ir.VoidType(), [target, zero, size, is_volatile])
    else:
        overloads = [target.type, target.type, INTEGER]
        arguments = [target, pointers[scatter.start], size, is_volatile]
        writer.intrinsic("llvm.memcpy", overloads, ir.VoidType(), arguments)
    type_, format_ = memory(dtype), scatter.index.tensor.dtype
    width = writer.dim(product(rest))
    lanes = host().vector_bits // (8 * dtype.size)
    limit = writer.dim(rows)

    def add(to: ir.Value, of: ir.Value, place: ir.Value, wide: ir.Type) -> None:
        there, one = (writer.address(p, type_, place) for p in (to, of))
        before, more = (b.load(p, typ=wide, align=dtype.size) for p in (there, one))
        b.store(b.fadd(before, more) if dtype.kind == "f" else b.add(before, more), there, align=dtype.size)

    with writer.loop("scatter", writer.integer(0), writer.dim(scatter.index.tensor.dims[0])) as number:
        entry = b.load(writer.address(index, memory(format_), number), typ=memory(format_), align=format_.size)
        row = convert(writer, entry, format_, I64)
        with writer.when(b.icmp_unsigned("<", row, limit), "inside"):
            to = writer.address(target, type_, b.mul(row, width))
            of = writer.address(updates, type_, b.mul(number, width))
            if not rest:
                add(to, of, writer.integer(0), type_)
            else:
                whole = b.and_(width, writer.integer(-lanes))
                with writer.loop("row", writer.integer(0), whole, lanes) as place:
                    add(to, of, place, vector(type_, lanes))
                with writer.loop("row.rest", whole, width) as place:
                    add(to, of, place, type_)
