"""Numbers of LLVM, scalars or vectors, as expressions: what makes a polynomial read like one.

A `Vec` is a value and the builder that continues the function in which it stands. Numbers of Python beside a `Vec` are
constants of its type. Nothing here sets fast-math flags: the order of operations is what makes the functions exact.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, Union

from llvmlite import ir

from tpc.backends.llvm.mathematics.coefficients import COEFFICIENTS

BOOL = ir.IntType(1)
Operand: TypeAlias = Union["Vec", float, int]  # noqa: UP007  (the name is not bound yet)


@dataclass(frozen=True)
class Format:
    """A binary float format of IEEE 754."""

    bits: int
    fraction: int  # stored bits of the significand

    @property
    def bias(self) -> int:
        return (1 << (self.bits - self.fraction - 2)) - 1

    @property
    def shifter(self) -> float:
        """Added to a number below 2^(fraction - 1), it leaves the nearest integer in the lowest bits."""
        return 1.5 * 2.0**self.fraction

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)


DOUBLE, SINGLE = Format(64, 52), Format(32, 23)


def element(type_: Any) -> Any:
    """The type of one lane."""
    return type_.element if isinstance(type_, ir.VectorType) else type_


def like(type_: Any, lane: Any) -> Any:
    """`lane`, as often as `type_` has lanes."""
    return ir.VectorType(lane, type_.count) if isinstance(type_, ir.VectorType) else lane


def suffix(type_: Any) -> str:
    """How LLVM's intrinsic functions name a type."""
    lane = element(type_)
    text = (
        f"i{lane.width}"
        if isinstance(lane, ir.IntType)
        else {"double": "f64", "float": "f32", "half": "f16"}[str(lane)]
    )
    return f"v{type_.count}{text}" if isinstance(type_, ir.VectorType) else text


def constant(type_: Any, value: float | int) -> Any:
    """A constant in every lane."""
    lane = element(type_)
    number = ir.Constant(lane, value if isinstance(lane, ir.IntType) else _rounded(lane, value))
    return _Vector(type_, number, f"splat ({number})") if isinstance(type_, ir.VectorType) else number


class _Vector(ir.Constant):  # type: ignore[misc]
    """A vector constant with a text of its own: llvmlite writes it lane by lane, which takes a fifth of its time."""

    def __init__(self, type_: Any, constant: Any, text: str) -> None:
        self.type, self.constant, self.text = type_, constant, text

    def _get_reference(self) -> str:
        return self.text


def undefined(type_: Any) -> Any:
    """A vector of anything."""
    return _Vector(type_, None, "undef")


def shuffled(builder: Any, left: Any, right: Any, lanes: Sequence[int]) -> Any:
    """Lanes of two vectors by their numbers, or of one where the other is None."""
    return builder.shuffle_vector(left, undefined(left.type) if right is None else right, _numbers(tuple(lanes)))


@cache
def _numbers(numbers: tuple[int, ...]) -> Any:
    lane = ir.IntType(32)
    text = f"<{', '.join(f'i32 {n}' for n in numbers)}>" if any(numbers) else "zeroinitializer"
    return _Vector(ir.VectorType(lane, len(numbers)), [ir.Constant(lane, n) for n in numbers], text)


def _rounded(lane: Any, value: float) -> float:
    if isinstance(lane, ir.FloatType) and abs(value) < 2.0**128:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    return float(value)


def known(value: Any) -> float | None:
    """The number that a constant has in each lane."""
    if not isinstance(value, ir.Constant):
        return None
    if isinstance(value.constant, ir.Constant):
        return known(value.constant)
    if isinstance(value.type, ir.VectorType):
        lanes = {known(lane) for lane in value.constant} if isinstance(value.constant, list | tuple) else {None}
        return lanes.pop() if len(lanes) == 1 else None
    return value.constant if isinstance(value.constant, int | float) else None


def call(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    """A call of an external function, declared where it has not been."""
    found = builder.module.globals.get(name)
    if found is None:
        found = ir.Function(builder.module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(found, arguments)


class Builder(ir.IRBuilder):  # type: ignore[misc]
    """A builder that knows the `features` of the processor that it may write for."""

    def __init__(self, block: Any, features: Collection[str]) -> None:
        super().__init__(block)
        self.features = features


class Vec:
    """A value of floats, integers or truth values, with the operators of its type."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @property
    def type(self) -> Any:
        return self.value.type

    @property
    def is_integer(self) -> bool:
        return isinstance(element(self.type), ir.IntType)

    @property
    def format(self) -> Format:
        return DOUBLE if isinstance(element(self.type), ir.DoubleType) else SINGLE

    def constant(self, value: float | int) -> Vec:
        """A number in this value's type."""
        return Vec(self.builder, constant(self.type, value))

    def table(self, name: str) -> tuple[float, ...]:
        """The coefficients of this name in this value's format, lowest first."""
        return COEFFICIENTS[name, self.format.bits]

    def of(self, other: Operand) -> Any:
        """An operand beside this value, as a value of LLVM."""
        return other.value if isinstance(other, Vec) else constant(self.type, other)

    def _binary(self, instruction: str, left: Any, right: Any) -> Vec:
        return Vec(self.builder, getattr(self.builder, instruction)(left, right))

    def _arithmetic(self, name: str, left: Any, right: Any) -> Vec:
        return self._binary(name if self.is_integer else f"f{name}", left, right)

    def __add__(self, other: Operand) -> Vec:
        return self._arithmetic("add", self.value, self.of(other))

    def __radd__(self, other: Operand) -> Vec:
        return self._arithmetic("add", self.of(other), self.value)

    def __sub__(self, other: Operand) -> Vec:
        return self._arithmetic("sub", self.value, self.of(other))

    def __rsub__(self, other: Operand) -> Vec:
        return self._arithmetic("sub", self.of(other), self.value)

    def __mul__(self, other: Operand) -> Vec:
        return self._arithmetic("mul", self.value, self.of(other))

    def __rmul__(self, other: Operand) -> Vec:
        return self._arithmetic("mul", self.of(other), self.value)

    def __truediv__(self, other: Operand) -> Vec:
        return self._binary("fdiv", self.value, self.of(other))

    def __rtruediv__(self, other: Operand) -> Vec:
        return self._binary("fdiv", self.of(other), self.value)

    def __neg__(self) -> Vec:
        return Vec(self.builder, self.builder.neg(self.value) if self.is_integer else self.builder.fneg(self.value))

    def __and__(self, other: Operand) -> Vec:
        return self._binary("and_", self.value, self.of(other))

    def __or__(self, other: Operand) -> Vec:
        return self._binary("or_", self.value, self.of(other))

    def __xor__(self, other: Operand) -> Vec:
        return self._binary("xor", self.value, self.of(other))

    def __invert__(self) -> Vec:
        return Vec(self.builder, self.builder.not_(self.value))

    def __lshift__(self, count: int) -> Vec:
        return self._binary("shl", self.value, self.of(count))

    def __rshift__(self, count: int) -> Vec:
        """Shifted to the right, with zeros from the left."""
        return self._binary("lshr", self.value, self.of(count))

    def shift_signed(self, count: int) -> Vec:
        """Shifted to the right, with the sign from the left."""
        return self._binary("ashr", self.value, self.of(count))

    def compare(self, relation: str, other: Operand) -> Vec:
        """Truth values; comparisons with NaN are false, but for `!=`."""
        left, right, build = self.value, self.of(other), self.builder
        if not self.is_integer:
            make = build.fcmp_unordered if relation == "!=" else build.fcmp_ordered
        else:
            make = build.icmp_unsigned if element(self.type).width == 1 else build.icmp_signed
        return Vec(build, make(relation, left, right))

    def __lt__(self, other: Operand) -> Vec:
        return self.compare("<", other)

    def __le__(self, other: Operand) -> Vec:
        return self.compare("<=", other)

    def __gt__(self, other: Operand) -> Vec:
        return self.compare(">", other)

    def __ge__(self, other: Operand) -> Vec:
        return self.compare(">=", other)

    def equals(self, other: Operand) -> Vec:
        return self.compare("==", other)

    def differs(self, other: Operand) -> Vec:
        return self.compare("!=", other)

    def is_nan(self) -> Vec:
        return self.differs(self)

    def where(self, yes: Operand, no: Operand) -> Vec:
        """`yes` in the lanes where this truth value holds, else `no`; one of the two is a `Vec`."""
        model = yes if isinstance(yes, Vec) else no
        assert isinstance(model, Vec)
        return Vec(self.builder, self.builder.select(self.value, model.of(yes), model.of(no)))

    def bits(self) -> Vec:
        """The bits of floats, as integers."""
        lane = ir.IntType(self.format.bits)
        return Vec(self.builder, self.builder.bitcast(self.value, like(self.type, lane)))

    def floats(self, format_: Format) -> Vec:
        """Integers read as the bits of floats."""
        lane = ir.DoubleType() if format_ is DOUBLE else ir.FloatType()
        return Vec(self.builder, self.builder.bitcast(self.value, like(self.type, lane)))

    def call(self, intrinsic: str, *others: Operand) -> Vec:
        """An intrinsic function of LLVM on values of this type."""
        arguments = [self.value, *map(self.of, others)]
        return Vec(self.builder, call(self.builder, f"llvm.{intrinsic}.{suffix(self.type)}", self.type, arguments))

    def __abs__(self) -> Vec:
        if self.is_integer:
            return (self < 0).where(-self, self)
        return self.call("fabs")

    def sqrt(self) -> Vec:
        return self.call("sqrt")

    def copysign(self, sign: Vec) -> Vec:
        """This magnitude with that sign."""
        return self.call("copysign", sign)

    def flip(self, sign: Vec) -> Vec:
        """This number, its sign changed where the highest bit of the integers `sign` is set."""
        high = self.bits().constant(-(1 << (self.format.bits - 1)))
        return (self.bits() ^ (sign & high)).floats(self.format)

    def any(self) -> Any:
        """Whether it holds in any lane: a single truth value."""
        if not isinstance(self.type, ir.VectorType):
            return self.value
        return call(self.builder, f"llvm.vector.reduce.or.v{self.type.count}i1", BOOL, [self.value])


def in_registers(bits: int, function: Callable[[list[Vec]], Vec], *values: Vec) -> Vec:
    """A function of registers of so many bits, on vectors of several of them part by part, and on what is less."""
    first = values[0]
    lanes = bits // first.format.bits
    if not isinstance(first.type, ir.VectorType):
        zero = ir.Constant(ir.IntType(32), 0)
        wide = undefined(ir.VectorType(first.type, lanes))
        made = function([Vec(v.builder, v.builder.insert_element(wide, v.value, zero)) for v in values])
        return Vec(first.builder, first.builder.extract_element(made.value, zero))
    count = first.type.count
    if count == lanes:
        return function(list(values))
    if count < lanes:
        made = function([_picked(v, v, range(lanes)) for v in values])
        return _picked(made, made, range(count))
    found = [function([_picked(v, v, range(start, start + lanes)) for v in values]) for start in range(0, count, lanes)]
    while len(found) > 1:
        every = range(2 * found[0].type.count)
        found = [_picked(*pair, every) for pair in zip(found[::2], found[1::2], strict=True)]
    return found[0]


def _picked(left: Vec, right: Vec, lanes: range) -> Vec:
    """Lanes of two vectors, or of one; those beyond are anything."""
    limit = left.type.count * (1 if left is right else 2)
    return Vec(left.builder, shuffled(left.builder, left.value, right.value, [n if n < limit else 0 for n in lanes]))


def fills(value: Vec, bits: int) -> bool:
    """Whether a vector fills registers of so many bits."""
    type_ = value.type
    return isinstance(type_, ir.VectorType) and type_.count * value.format.bits % bits == 0


def fma(a: Vec, b: Operand, c: Operand) -> Vec:
    """a * b + c with one rounding."""
    return a.call("fma", b, c)


def polynomial(x: Vec, coefficients: Sequence[float]) -> Vec:
    """Coefficients from the lowest; long ones in two chains, by the square of x, which halves the latency."""
    if len(coefficients) < 6:
        return _horner(x, coefficients)
    square = x * x
    return fma(x, _horner(square, coefficients[1::2]), _horner(square, coefficients[::2]))


def _horner(x: Vec, coefficients: Sequence[float]) -> Vec:
    *rest, last = coefficients
    result = x.constant(last)
    for coefficient in reversed(rest):
        result = fma(result, x, coefficient)
    return result


def lower(x: Vec, bound: Operand) -> Vec:
    """The smaller of x and the bound; NaN stays."""
    return (x > bound).where(bound, x)


def upper(x: Vec, bound: Operand) -> Vec:
    """The larger of x and the bound; NaN stays."""
    return (x < bound).where(bound, x)
