"""What kind of value: a dtype and its dims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from tpc.ir.dims import DimLike, dim_text, product, substitute


@dataclass(frozen=True, eq=False, slots=True)
class DType:
    """A number format. `kind` is b(ool), i(nteger), f(loat) or c(omplex); `size` is in bytes."""

    name: str
    kind: str
    size: int
    numpy: str  # the NumPy name of the format that holds it (bf16 is held in float32)
    about: str

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    @property
    def is_float(self) -> bool:
        return self.kind in "fc"

    @property
    def is_weak(self) -> bool:
        """Whether this is the format of a literal, which gives way to any other."""
        return self.name in ("int", "real", "complex")


F64 = DType("f64", "f", 8, "float64", "double precision")
F32 = DType("f32", "f", 4, "float32", "single precision")
F16 = DType("f16", "f", 2, "float16", "half precision")
BF16 = DType("bf16", "f", 2, "float32", "bfloat16: the range of f32, 8 bits of precision")
C128 = DType("c128", "c", 16, "complex128", "complex, two f64")
C64 = DType("c64", "c", 8, "complex64", "complex, two f32")
I64 = DType("i64", "i", 8, "int64", "64-bit integer")
I32 = DType("i32", "i", 4, "int32", "32-bit integer")
I8 = DType("i8", "i", 1, "int8", "8-bit integer")
BOOL = DType("bool", "b", 1, "bool", "true or false")

# The formats of literals, of sizes, and of what is computed from them alone: they take on the format of what they
# meet, so `x / n` and `2 * x` keep the format of x. Met by nothing, they are i64, f64 and c128.
INT = DType("int", "i", 8, "int64", "an integer literal or size")
REAL = DType("real", "f", 8, "float64", "a real literal")
COMPLEX = DType("complex", "c", 16, "complex128", "a complex literal")
STRONG = {INT: I64, REAL: F64, COMPLEX: C128}

DTYPES: dict[str, DType] = {d.name: d for d in (F64, F32, F16, BF16, C128, C64, I64, I32, I8, BOOL, INT, REAL, COMPLEX)}

# Rounding unit of each float format (of its real part).
EPSILON = {
    REAL: 2.0**-53,
    COMPLEX: 2.0**-53,
    F64: 2.0**-53,
    C128: 2.0**-53,
    F32: 2.0**-24,
    C64: 2.0**-24,
    F16: 2.0**-11,
    BF16: 2.0**-8,
}


def promote(a: DType, b: DType) -> DType:
    """The format of `a + b`, by NumPy's rules; f16 with bf16 gives f32, wide integers with f32 give f64."""
    if a is b:
        return a
    if a.is_weak or b.is_weak:
        return _promote_weak(a, b)
    if a.kind == b.kind:
        if {a, b} == {F16, BF16}:
            return F32
        return a if a.size > b.size else b
    low, high = sorted((a, b), key=lambda d: "bifc".index(d.kind))
    if low.kind == "b":
        return high
    if low.kind == "i" and high.kind == "f":
        return F64 if low.size >= 4 else high
    if high.kind == "c":
        return C128 if low in (F64, I64, I32) else high
    raise AssertionError((a, b))


def _promote_weak(a: DType, b: DType) -> DType:
    if a.is_weak and b.is_weak:
        return max(a, b, key=lambda d: "ifc".index(d.kind))
    weak, other = (a, b) if a.is_weak else (b, a)
    if "bifc".index(weak.kind) <= "bifc".index(other.kind):
        return other
    if weak is COMPLEX:
        return as_complex(other)
    return weak if other is BOOL else F64


def promote_all(dtypes: Iterable[DType]) -> DType:
    result: DType | None = None
    for dtype in dtypes:
        result = dtype if result is None else promote(result, dtype)
    assert result is not None
    return result


def as_float(dtype: DType) -> DType:
    """The float format in which functions such as exp or inv of this format are given."""
    return dtype if dtype.is_float else REAL if dtype is INT else F64


def real_part(dtype: DType) -> DType:
    return {C128: F64, C64: F32, COMPLEX: REAL}.get(dtype, dtype)


def as_complex(dtype: DType) -> DType:
    small = {F32: C64, F16: C64, BF16: C64, C64: C64, INT: COMPLEX, REAL: COMPLEX, COMPLEX: COMPLEX}
    return small.get(dtype, C128)


class TensorType:
    """dtype and dims, interned: equal types are one object. A scalar has no dims."""

    __slots__ = ("dtype", "dims", "__weakref__")
    dtype: DType
    dims: tuple[DimLike, ...]

    def __new__(cls, dtype: DType, dims: Iterable[DimLike] = ()) -> TensorType:
        key = (dtype, tuple(dims))
        found = _types.get(key)
        if found is None:
            found = super().__new__(cls)
            found.dtype, found.dims = key
            _types[key] = found
        return found

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def size(self) -> DimLike:
        """The number of entries."""
        return product(self.dims)

    @property
    def bytes(self) -> DimLike:
        return self.size * self.dtype.size

    def substitute(self, sizes: Mapping[str, DimLike]) -> TensorType:
        return TensorType(self.dtype, [substitute(d, sizes) for d in self.dims])

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.dims)

    def __str__(self) -> str:
        if not self.dims:
            return self.dtype.name
        return f"{self.dtype}[{', '.join(dim_text(d) for d in self.dims)}]"

    def __repr__(self) -> str:
        return str(self)


_types: WeakValueDictionary[tuple[DType, tuple[DimLike, ...]], TensorType] = WeakValueDictionary()
