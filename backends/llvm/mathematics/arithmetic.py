"""Arithmetic, comparisons and rounding on floats, signed integers and truth values, as NumPy defines them."""

from __future__ import annotations

import math

from llvmlite import ir

from tpc.backends.llvm.mathematics.lanes import otherwise_by_lane
from tpc.backends.llvm.mathematics.vector import BOOL, DOUBLE, Vec, call, element, fills, fma, in_registers, known, like


def is_truth(x: Vec) -> bool:
    return x.is_integer and element(x.type).width == 1


def truth(x: Vec) -> Vec:
    """Whether it is not zero; NaN is not."""
    return x if is_truth(x) else x.differs(0)


def add(x: Vec, y: Vec) -> Vec:
    return x | y if is_truth(x) else x + y


def mul(x: Vec, y: Vec) -> Vec:
    return x & y if is_truth(x) else x * y


def select(condition: Vec, x: Vec, y: Vec) -> Vec:
    return truth(condition).where(x, y)


def maximum(x: Vec, y: Vec) -> Vec:
    larger = _either("max", x, y) or (x > y).where(x, y)  # y, if either is NaN
    return larger if x.is_integer else x.is_nan().where(x, larger)


def minimum(x: Vec, y: Vec) -> Vec:
    smaller = _either("min", x, y) or (x < y).where(x, y)
    return smaller if x.is_integer else x.is_nan().where(x, smaller)


def _either(name: str, x: Vec, y: Vec) -> Vec | None:
    """The instruction, by name: LLVM makes two comparisons of one and a test for NaN."""
    if x.is_integer or not fills(x, 512) or "avx512f" not in x.builder.features:
        return None

    def instruction(values: list[Vec]) -> Vec:
        rounding = ir.Constant(ir.IntType(32), 4)
        kind = "pd" if x.format is DOUBLE else "ps"
        arguments = [*(v.value for v in values), rounding]
        return Vec(x.builder, call(x.builder, f"llvm.x86.avx512.{name}.{kind}.512", values[0].type, arguments))

    return in_registers(512, instruction, x, y)


def absolute(x: Vec) -> Vec:
    return x if is_truth(x) else abs(x)


def sign(x: Vec) -> Vec:
    one = x.constant(1)
    signs = (x > 0).where(one, (x < 0).where(-one, 0))
    return signs if x.is_integer else x.is_nan().where(x, signs)


def relu(x: Vec) -> Vec:
    return (x <= 0).where(0, x)


def imaginary(x: Vec) -> Vec:
    return x.constant(0)


def angle(x: Vec) -> Vec:
    """0, or pi where the sign is set."""
    angles = (x.bits() < 0).where(x.constant(math.pi), 0.0)
    return x.is_nan().where(x, angles)


def rounding(intrinsic: str, x: Vec) -> Vec:
    return x if x.is_integer else x.call(intrinsic)


def is_nan(x: Vec) -> Vec:
    return _never(x) if x.is_integer else x.is_nan()


def is_infinite(x: Vec) -> Vec:
    return _never(x) if x.is_integer else abs(x).equals(math.inf)


def is_finite(x: Vec) -> Vec:
    return ~_never(x) if x.is_integer else abs(x) < math.inf


def _never(x: Vec) -> Vec:
    return Vec(x.builder, ir.Constant(like(x.type, BOOL), None))


def power_of_two(y: Vec) -> int | None:
    """The exponent of an integer constant that is a power of two."""
    value = known(y.value) if y.is_integer else None
    return value.bit_length() - 1 if isinstance(value, int) and value > 0 and not value & (value - 1) else None


def _whole_quotient(x: Vec, y: Vec) -> tuple[Vec, Vec]:
    """Integers: (quotient rounded down, remainder with the sign of the divisor); both 0 where the divisor is."""
    exponent = power_of_two(y)
    if exponent is not None:  # two's complement rounds down
        return x.shift_signed(exponent), x & ((1 << exponent) - 1)
    zero, minus = y.equals(0), y.equals(-1)
    divisor = (zero | minus).where(1, y)  # the least integer by -1 traps as division by zero does
    build = x.builder
    quotient = Vec(build, build.sdiv(x.value, divisor.value))
    rest = x - quotient * divisor
    down = rest.differs(0) & ((rest ^ divisor) < 0)
    quotient, rest = down.where(quotient - 1, quotient), down.where(rest + y, rest)
    return zero.where(0, minus.where(-x, quotient)), rest


def _remainder(x: Vec, y: Vec) -> Vec:
    """x - trunc(x/y) y exactly: the quotient is right or one off while it has no more digits than the format."""
    a, b = abs(x), abs(y)
    count = (a / b).call("floor")
    rest = fma(-count, b, a)
    rest = (rest < 0).where(rest + b, rest)
    rest = (rest >= b).where(rest - b, rest)
    rest = (b.equals(math.inf) & (a < math.inf)).where(a, rest)
    near = ~((count >= 2.0**x.format.fraction) & (a < math.inf) & (b > 0))
    return otherwise_by_lane(near, rest, "fmod", a, b).copysign(x)


def mod(x: Vec, y: Vec) -> Vec:
    if x.is_integer:
        return _whole_quotient(x, y)[1]
    rest = _remainder(x, y)
    other_side = ((rest < 0) & (y > 0)) | ((rest > 0) & (y < 0))
    return rest.equals(0).where(rest.copysign(y), other_side.where(rest + y, rest))


def floor_div(x: Vec, y: Vec) -> Vec:
    if x.is_integer:
        return _whole_quotient(x, y)[0]
    rest = _remainder(x, y)
    other_side = ((rest < 0) & (y > 0)) | ((rest > 0) & (y < 0))
    exact = (x - rest) / y
    count = other_side.where(exact - 1, exact)
    # The quotient of x - rest is whole but for its rounding.
    count = count.call("roundeven")
    count = count.equals(0).where(count.copysign(x / y), count)
    return y.equals(0).where(x / y, count)


def integer_power(x: Vec, y: Vec) -> Vec:
    """By squaring, as long as any exponent has bits left; negative exponents give 0, and -1 or 1 for such a base."""
    build = x.builder
    odd = (y & 1).differs(0)
    small = x.equals(1).where(1, (x.equals(-1)).where(odd.where(x, 1), 0))
    start = build.block
    loop, after = build.append_basic_block("power"), build.append_basic_block("powered")
    build.branch(loop)
    build.position_at_end(loop)
    result, base, left = (Vec(build, build.phi(x.type)) for _ in range(3))
    for phi, initial in ((result, x.constant(1)), (base, x), (left, y)):
        phi.value.add_incoming(initial.value, start)
    grown = (left & 1).differs(0).where(result * base, result)
    squared, rest = base * base, left >> 1
    for phi, following in ((result, grown), (base, squared), (left, rest)):
        phi.value.add_incoming(following.value, build.block)
    build.cbranch(rest.differs(0).any(), loop, after)
    build.position_at_end(after)
    return (y < 0).where(small, grown)
