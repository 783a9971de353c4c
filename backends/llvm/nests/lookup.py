"""Entries of short tables: where a table fits into registers, lanes look it up there and load nothing."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from tpc.backends.llvm.fusion.terms import Term, number_of, place
from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests.types import constant, shuffled, vector
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.types import F32, F64, I8, DType

ENTRIES = 16
SHORT = ir.IntType(32)


@dataclass(frozen=True)
class Lookup:
    """A load of one of `ENTRIES` numbers that lie from a place on: `index` modulo their number, which is a byte, or its
    upper half and `offset`."""

    first: Term
    index: Term
    is_upper: bool = False
    offset: int = 0


def lookup(load: Term) -> Lookup | None:
    """What is known to be a load from such a table, by an index modulo its length."""
    if load.dtype not in (F32, F64) or len(load.arguments) != 1 or load.arguments[0].kind != "place":
        return None
    (whole,) = load.arguments
    start, slopes, factors = whole.data
    if factors != (1,) or any(not isinstance(slope, int) or slope % ENTRIES for _, slope in slopes) or start != 0:
        return None
    index = _uncast(whole.arguments[0])
    if index.kind != "call" or index.data != "mod" or index.dtype is not I8 or number_of(index.arguments[1]) != ENTRIES:
        return None
    first, index, offset = place(0, dict(slopes)), _uncast(index.arguments[0]), 0
    if index.kind == "call" and index.data == "add":
        offset = number_of(index.arguments[1])  # type: ignore[assignment]
        index = index.arguments[0]
    is_upper = index.kind == "call" and index.data == "floor_div" and number_of(index.arguments[1]) == ENTRIES
    index = _uncast(index.arguments[0]) if is_upper else index
    if index.kind != "load" or index.dtype is not I8 or not isinstance(offset, int):
        return None
    return Lookup(first, index, is_upper, offset)


def _uncast(term: Term) -> Term:
    return term.arguments[0] if term.kind == "call" and term.data == "cast" else term


def lookup_lanes(dtype: DType) -> int:
    """Of how many lanes lookups are made at once on this machine; 0 where there is no instruction for it."""
    if "avx512f" in host().extensions and host().vector_bits == 512:
        return 64 // dtype.size
    return 8 if "avx2" in host().extensions and dtype is F32 else 0


def looked_up(writer: Writer, address: ir.Value, dtype: DType, found: Lookup, byte: ir.Value) -> ir.Value:
    """The entries of a table that a vector of bytes names; of as many lanes as a multiple of `lookup_lanes`.

    Bytes are widened before they are taken apart, as both of their halves need it.
    """
    b, lanes, count = writer.builder, byte.type.count, lookup_lanes(dtype)
    wide = vector(SHORT if dtype is F32 else ir.IntType(64), lanes)
    index = b.zext(byte, wide)
    if found.is_upper:
        index = b.lshr(index, constant(wide, 4))
    if found.offset:
        index = b.add(index, constant(wide, found.offset))
    index = b.and_(index, constant(wide, ENTRIES - 1))
    table = b.load(address, typ=vector(ir.FloatType() if dtype is F32 else ir.DoubleType(), ENTRIES), align=dtype.size)
    parts = [_permuted(writer, table, _part(b, index, k, count)) for k in range(0, lanes, count)]
    while len(parts) > 1:
        parts = [_joined(b, left, right) for left, right in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _permuted(writer: Writer, table: ir.Value, index: ir.Value) -> ir.Value:
    """By the instruction for a whole table, or by two halves of it."""
    b, count = writer.builder, index.type.count
    if count == ENTRIES:
        return writer.call("llvm.x86.avx512.permvar.sf.512", table.type, [table, index])
    low, high = (_part(b, table, k, count) for k in (0, count))
    if isinstance(table.type.element, ir.DoubleType):
        return writer.call("llvm.x86.avx512.vpermi2var.pd.512", low.type, [low, index, high])
    below, above = (writer.call("llvm.x86.avx2.permps", low.type, [half, index]) for half in (low, high))
    return b.select(b.icmp_unsigned("<", index, constant(index.type, count)), below, above)


def _part(b: ir.IRBuilder, value: ir.Value, first: int, count: int) -> ir.Value:
    return shuffled(b, value, None, range(first, first + count))


def _joined(b: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    return shuffled(b, left, right, range(2 * left.type.count))
