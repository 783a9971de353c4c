"""Formats of tpc as types of LLVM: in registers a truth value is one bit, in memory one byte; f16 and bf16 are f32."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.fusion.terms import HALVES, held
from tpc.backends.llvm.mathematics.vector import constant as constant
from tpc.backends.llvm.mathematics.vector import shuffled as shuffled
from tpc.backends.llvm.mathematics.vector import undefined as undefined
from tpc.ir.types import BF16, BOOL, F16, F32, F64, I8, I32, I64, DType

I1, BYTE, INTEGER, POINTER = ir.IntType(1), ir.IntType(8), ir.IntType(64), ir.PointerType()
SHORT = ir.IntType(16)
_TYPES = {
    F64: ir.DoubleType(),
    F32: ir.FloatType(),
    F16: ir.FloatType(),
    BF16: ir.FloatType(),
    I64: INTEGER,
    I32: ir.IntType(32),
    I8: BYTE,
    BOOL: I1,
}


def register(dtype: DType) -> ir.Type:
    """The type of a value of this format in a register; raises KeyError where there is none."""
    return _TYPES[held(dtype)]


def memory(dtype: DType) -> ir.Type:
    return BYTE if dtype is BOOL else SHORT if dtype in HALVES else register(dtype)


def register_bytes(dtype: DType) -> int:
    """How much of a register an entry takes."""
    return max(dtype.size, 4) if dtype.kind == "f" else dtype.size


def vector(type_: ir.Type, lanes: int) -> ir.Type:
    return ir.VectorType(type_, lanes)


def lanes_of(value: ir.Value) -> int:
    """How many lanes a value has; 0 for a scalar."""
    return value.type.count if isinstance(value.type, ir.VectorType) else 0


def suffix(type_: ir.Type) -> str:
    """How the names of intrinsics spell a type."""
    if isinstance(type_, ir.VectorType):
        return f"v{type_.count}{suffix(type_.element)}"
    if isinstance(type_, ir.IntType):
        return f"i{type_.width}"
    return "f64" if isinstance(type_, ir.DoubleType) else "f32" if isinstance(type_, ir.FloatType) else "p0"
