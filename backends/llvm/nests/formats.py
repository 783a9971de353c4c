"""Changes of format on values of LLVM."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.mathematics.storage import narrow, widen
from tpc.backends.llvm.nests.types import constant, lanes_of, register, vector
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.types import BOOL, F16, F32, DType


def convert(writer: Writer, value: ir.Value, source: DType, target: DType) -> ir.Value:
    """A value in another format: floats to integers towards zero, truth values as 0 and 1, f16 rounded in f32."""
    if target is F16 and source is not F16:
        single = convert(writer, value, source, F32)
        return widen(writer.builder, F16, narrow(writer.builder, F16, single))
    source = F32 if source is F16 else source
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
        case "f", _:
            return b.fptosi(value, type_)
        case "b", "f":
            return b.uitofp(value, type_)
        case _, "f":
            return b.sitofp(value, type_)
        case "b", _:
            return b.zext(value, type_)
    return b.sext(value, type_) if target.size > source.size else b.trunc(value, type_)
