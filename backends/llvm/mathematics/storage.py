"""Formats that are stored but not computed in: f16 and bf16, held in f32 while they are worked on."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from tpc.backends.llvm.mathematics.vector import SINGLE, Vec, like
from tpc.ir.types import BF16, F16, DType

SHORT, WORD = ir.IntType(16), ir.IntType(32)


def widen(builder: Any, dtype: DType, stored: ir.Value) -> ir.Value:
    """Stored bits (i16) of f16 or bf16 as float."""
    if dtype is F16:
        half = builder.bitcast(stored, like(stored.type, ir.HalfType()))
        return builder.fpext(half, like(stored.type, ir.FloatType()))
    assert dtype is BF16
    return (Vec(builder, builder.zext(stored, like(stored.type, WORD))) << 16).floats(SINGLE).value


def narrow(builder: Any, dtype: DType, value: ir.Value) -> ir.Value:
    """A float as the bits (i16) of f16 or bf16, rounded to the nearest, halves to even; NaN stays."""
    if dtype is F16:
        half = builder.fptrunc(value, like(value.type, ir.HalfType()))
        return builder.bitcast(half, like(value.type, SHORT))
    assert dtype is BF16
    x = Vec(builder, value)
    bits = x.bits()
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    kept = x.is_nan().where(bits | 0x400000, rounded)
    return builder.trunc((kept >> 16).value, like(value.type, SHORT))
