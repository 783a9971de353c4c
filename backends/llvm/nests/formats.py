"""Changes of format on values of LLVM."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.fusion.terms import HALVES
from tpc.backends.llvm.mathematics.storage import narrow, widen
from tpc.backends.llvm.nests.types import BYTE, constant, lanes_of, register, vector
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.types import BOOL, F32, DType


def opened(writer: Writer, value: ir.Value, dtype: DType) -> ir.Value:
    """What was loaded, as it is computed with."""
    if dtype in HALVES:
        return widen(writer.builder, dtype, value)
    return writer.builder.icmp_unsigned("!=", value, constant(value.type, 0)) if dtype is BOOL else value


def closed(writer: Writer, value: ir.Value, dtype: DType) -> ir.Value:
    """A value as it is stored."""
    if dtype in HALVES:
        return narrow(writer.builder, dtype, value)
    if dtype is not BOOL:
        return value
    lanes = lanes_of(value)
    return writer.builder.zext(value, vector(BYTE, lanes) if lanes else BYTE)


def convert(writer: Writer, value: ir.Value, source: DType, target: DType) -> ir.Value:
    """A value in another format: floats to integers towards zero, truth values as 0 and 1, what is shorter than f32
    rounded in it."""
    if target in HALVES and source is not target:
        single = convert(writer, value, source, F32)
        return widen(writer.builder, target, narrow(writer.builder, target, single))
    source = F32 if source in HALVES else source
    b, lanes = writer.builder, lanes_of(value)
    wanted = register(target)
    type_ = vector(wanted, lanes) if lanes else wanted
    if value.type == type_:
        return value
    if target is BOOL:
        zero = constant(value.type, 0)
        return b.fcmp_unordered("!=", value, zero) if source.kind == "f" else b.icmp_unsigned("!=", value, zero)
    match source.kind, target.kind:
        case "f", "f":
            return b.fpext(value, type_) if target.size > source.size else b.fptrunc(value, type_)
        case "f", _ if target.size < 4:  # what does not fit wraps around, as in NumPy
            whole = ir.IntType(32)
            return b.trunc(b.fptosi(value, vector(whole, lanes) if lanes else whole), type_)
        case "f", _:
            return b.fptosi(value, type_)
        case "b", "f":
            return b.uitofp(value, type_)
        case _, "f":
            return b.sitofp(value, type_)
        case "b", _:
            return b.zext(value, type_)
    return b.sext(value, type_) if target.size > source.size else b.trunc(value, type_)
