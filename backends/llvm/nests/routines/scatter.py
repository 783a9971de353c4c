"""Rows that are added at positions that are values, one after the other: positions may repeat."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests.formats import convert
from tpc.backends.llvm.nests.routines.site import Site
from tpc.backends.llvm.nests.types import I1, INTEGER, memory, vector
from tpc.ir.dims import product
from tpc.ir.types import I64


def write(site: Site) -> None:
    """Write `scatter_add` or `segment_sum`."""
    writer, b, node = site.writer, site.b, site.node
    dtype = node.tensor.dtype
    rows, *rest = node.tensor.dims
    (target,) = site.results
    if node.op.name == "segment_sum":
        start, (updates, index), indices = None, site.operands, node.args[1]
    else:
        (start, index, updates), indices = site.operands, node.args[1]
    size, is_volatile = writer.dim(node.tensor.bytes), ir.Constant(I1, 0)
    if start is None:
        zero = ir.Constant(ir.IntType(8), 0)
        overloads = [target.type, INTEGER]
        writer.intrinsic("llvm.memset", overloads, ir.VoidType(), [target, zero, size, is_volatile])
    else:
        with writer.when(b.icmp_unsigned("!=", target, start), "copy"):  # state of a loop may stay where it is
            overloads = [target.type, target.type, INTEGER]
            writer.intrinsic("llvm.memcpy", overloads, ir.VoidType(), [target, start, size, is_volatile])
    type_, format_ = memory(dtype), indices.tensor.dtype
    width = writer.dim(product(rest))
    lanes = host().vector_bits // (8 * dtype.size)
    limit = writer.dim(rows)

    def add(to: ir.Value, of: ir.Value, place: ir.Value, wide: ir.Type) -> None:
        there, one = (writer.address(p, type_, place) for p in (to, of))
        before, more = (b.load(p, typ=wide, align=dtype.size) for p in (there, one))
        b.store(b.fadd(before, more) if dtype.kind == "f" else b.add(before, more), there, align=dtype.size)

    with writer.loop("scatter", writer.integer(0), writer.dim(indices.tensor.dims[0])) as number:
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
