"""Functions made of exp: x = n ln 2 + r with an integer n and abs(r) <= ln(2)/2, then a polynomial in r.

The pair (1 + r, rest) is kept until the last addition, so that only that one rounds visibly. Where a register holds a
table of 2^(i/8) (2^(i/16) in f32), exp itself takes n in such steps, and a shorter polynomial (Tang, Table-driven
implementation of the exponential function in IEEE floating-point arithmetic, 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from llvmlite import ir

from tpc.backends.llvm.mathematics.compensated import LN2, Pair, fast_two_sum, parts, quotient
from tpc.backends.llvm.mathematics.vector import (
    DOUBLE,
    Format,
    Vec,
    call,
    element,
    fills,
    fma,
    in_registers,
    lower,
    polynomial,
    upper,
)

# Beyond these, exp(x) is infinite, or x exp(x) 0; the integers n stay small enough for `power_of_two` in two steps.
HIGHEST = {64: 710.0, 32: 89.0}
LOWEST = {64: -760.0, 32: -112.0}


@dataclass(frozen=True)
class Exponential:
    """2^n (high + low); `shifted` holds n in the lowest bits of a float, below its format's `shifter`."""

    high: Vec
    low: Vec
    shifted: Vec

    def scaled(self, value: Vec | None = None) -> Vec:
        """The value (of high + low if none is given) times 2^n, which may pass the range of exponents."""
        value = self.high + self.low if value is None else value
        if fills(value, 512) and "avx512f" in value.builder.features:
            return in_registers(512, _scaled, value, self.shifted - value.format.shifter)
        bits = self.shifted.bits()
        half = bits.shift_signed(1)
        return value * power_of_two(half, value.format) * power_of_two(bits - half, value.format)


def _scaled(values: list[Vec]) -> Vec:
    """The instruction that adds to an exponent, rounding as usual (4) in all lanes."""
    value, n = values
    lanes, name = (8, "pd") if value.format is DOUBLE else (16, "ps")
    mask, rounding = ir.Constant(ir.IntType(lanes), (1 << lanes) - 1), ir.Constant(ir.IntType(32), 4)
    arguments = [value.value, n.value, value.value, mask, rounding]
    return Vec(value.builder, call(value.builder, f"llvm.x86.avx512.mask.scalef.{name}.512", value.type, arguments))


def power_of_two(n: Vec, format_: Format, offset: int = 0) -> Vec:
    """2^(n + offset) of integers, of which only the lowest bits are read; the result is a normal number."""
    return ((n << format_.fraction) + ((format_.bias + offset) << format_.fraction)).floats(format_)


def _reduced(x: Vec) -> tuple[Vec, Vec, Vec, Vec]:
    """(shifted, n, r, low): x = n ln 2 + r + low, r exact, for clamped x."""
    high, low = parts(LN2, x.format, 2)
    (log2_e,) = parts(1 / LN2, x.format, 1)
    shifted = fma(x, log2_e, x.format.shifter)
    n = shifted - x.format.shifter
    # Both products are multiples of the last bit of ln 2, and so small a difference of such is exact.
    return shifted, n, fma(-n, high, x), n * -low


def clamped(x: Vec) -> Vec:
    return upper(lower(x, HIGHEST[x.format.bits]), LOWEST[x.format.bits])


def exponential(x: Vec, rest: Vec | None = None) -> Exponential:
    """exp of a clamped x, or of x + rest."""
    shifted, _, r, low = _reduced(x)
    return _unscaled(shifted, r, low if rest is None else low + rest)


def _unscaled(shifted: Vec, r: Vec, low: Vec) -> Exponential:
    """2^n exp(r + low)."""
    high, error = fast_two_sum(r.constant(1.0), r)
    r = r + low
    return Exponential(high, fma(r * r, polynomial(r, r.table("exp")), error + low), shifted)


def exp(x: Vec) -> Vec:
    if not _has_tables(x):
        return exponential(clamped(x)).scaled()
    return in_registers(512, _exp_by_table, x)


def _exp_by_table(values: list[Vec]) -> Vec:
    (x,) = values
    high, low, n = _by_table(x)
    return _scaled([high + low, n])


def _has_tables(x: Vec) -> bool:
    """Whether the processor can look up what is in another register; then all do it, so that results are the same."""
    return "avx512dq" in x.builder.features


def _by_table(x: Vec) -> tuple[Vec, Vec, Vec]:
    """exp of one register as 2^n (high + low), where high is looked up in another register; nothing is clamped but r.

    Where x is infinite or NaN, or far too large, n is so too, and scaling by it gives what is right for any r.
    """
    count = x.type.count
    (log2_e,), (ln2, ln2_rest) = parts(1 / LN2, x.format, 1), parts(LN2, x.format, 2)
    shifter = x.format.shifter / count  # leaves multiples of 1/count: the lowest bits say which
    shifted = fma(x, log2_e, shifter)
    n = shifted - shifter
    r = _nearest_zero(fma(n, -ln2_rest, fma(n, -ln2, x)), 0.5 / count)
    high, low = (_looked_up(shifted, column) for column in zip(*_roots_of_two(x.format, count), strict=True))
    p = fma(r * r, polynomial(r, x.table(f"exp_{count}")), r)
    return high, fma(high, p, low), n


@cache
def _roots_of_two(format_: Format, count: int) -> list[tuple[float, ...]]:
    """2^(i/count) for all i below the count, a power of two, each as two numbers."""
    found = []
    for i in range(count):
        root, index = 1 << (i + 128 * count), count
        while index > 1:
            root, index = math.isqrt(root), index // 2
        found.append(parts(Fraction(root, 1 << 128), format_, 2))
    return found


def _looked_up(index: Vec, table: Sequence[float]) -> Vec:
    """For each lane the entry at its lowest bits."""
    name = "df" if index.format is DOUBLE else "sf"
    lane = element(index.type)
    entries = ir.Constant(index.type, [ir.Constant(lane, entry) for entry in table])
    arguments = [entries, index.bits().value]
    return Vec(index.builder, call(index.builder, f"llvm.x86.avx512.permvar.{name}.512", index.type, arguments))


def _nearest_zero(x: Vec, bound: float) -> Vec:
    """What is nearer to zero, x or the bound with its sign (2); the bound, where x is NaN."""
    name = "pd" if x.format is DOUBLE else "ps"
    every, rounding = ir.Constant(ir.IntType(x.type.count), -1), ir.Constant(ir.IntType(32), 4)
    arguments = [x.value, x.of(bound), ir.Constant(ir.IntType(32), 2), x.value, every, rounding]
    return Vec(x.builder, call(x.builder, f"llvm.x86.avx512.mask.range.{name}.512", x.type, arguments))


def exp2(x: Vec) -> Vec:
    limit = 1100.0 if x.format is DOUBLE else 160.0
    x = upper(lower(x, limit), -limit)
    shifted = x + x.format.shifter
    fraction = x - (shifted - x.format.shifter)
    ln2, rest = parts(LN2, x.format, 2)
    r = fraction * ln2
    return _unscaled(shifted, r, fma(fraction, rest, fma(fraction, ln2, -r))).scaled()


def half_expm1(x: Vec) -> Pair:
    """(exp(x) - 1)/2 as a pair, for x at most HIGHEST; half, for the power of two would overflow first."""
    x = upper(x, -50.0 if x.format is DOUBLE else -25.0)
    shifted, _, r, low = _reduced(x)
    whole = r + low
    high, error = fast_two_sum(r, fma(whole * whole, polynomial(whole, x.table("exp")), low))
    half_scale = power_of_two(shifted.bits(), x.format, -1)
    base, base_rest = fast_two_sum(x.constant(-0.5), half_scale)
    total, rounding = fast_two_sum(base, half_scale * high)
    return total, fma(half_scale, error, rounding + base_rest)


def expm1(x: Vec) -> Vec:
    high, low = half_expm1(lower(x, HIGHEST[x.format.bits]))
    return ((high + low) * 2).copysign(x)


def _hyperbolic(x: Vec) -> tuple[Vec, Vec, Vec, Vec, Vec]:
    """(plus, minus, r, p, q): 2^(n-2) and 2^(-n-2) for x >= 0, sinh(r) = r + p, cosh(r) = 1 + q."""
    x = lower(x, 710.5 if x.format is DOUBLE else 89.45)  # infinite already, and plus is not
    shifted, n, r, low = _reduced(x)
    small = x.format.shifter - lower(n, x.format.fraction * 2.0)  # beyond, exp(-x) does not matter
    plus, minus = power_of_two(shifted.bits(), x.format, -2), power_of_two(small.bits(), x.format, -2)
    whole = r + low
    z = whole * whole
    p = fma(whole * z, polynomial(z, x.table("sinh")), low)
    return plus, minus, r, p, z * polynomial(z, x.table("cosh"))


def sinh(x: Vec) -> Vec:
    plus, minus, r, p, q = _hyperbolic(abs(x))
    even, odd = plus - minus, plus + minus
    high, low = fast_two_sum(even, odd * r)
    return ((high + fma(odd, p, fma(even, q, low))) * 2).copysign(x)


def cosh(x: Vec) -> Vec:
    plus, minus, r, p, q = _hyperbolic(abs(x))
    even, odd = plus + minus, plus - minus
    high, low = fast_two_sum(even, odd * r)
    return (high + fma(odd, p, fma(even, q, low))) * 2


def tanh(x: Vec) -> Vec:
    """(1 - e) / (1 + e) with e = exp(-2 abs(x))."""
    high, low = half_expm1(abs(x) * -2)
    below, rest = fast_two_sum(high.constant(1.0), high)
    result, error = quotient((-high, -low), (below, rest + low))
    return (result + error).copysign(x)


def sigmoid(x: Vec) -> Vec:
    """1 / (1 + e) or e / (1 + e) with e = exp(-abs(x))."""
    if _has_tables(x):
        return in_registers(512, _sigmoid_by_table, x)
    return _sigmoid(x).scaled()


def _sigmoid_by_table(values: list[Vec]) -> Vec:
    """The power of two of a numerator e comes last, for the value may be subnormal."""
    (x,) = values
    high, low, n = _by_table(-abs(x))
    high, low = fast_two_sum(high, low)
    below, rest = fast_two_sum(x.constant(1.0), _scaled([high, n]))
    negative = x < 0
    above = negative.where(high, 1.0), negative.where(low, 0.0)
    result, error = quotient(above, (below, rest + _scaled([low, n])))
    return _scaled([result + error, negative.where(n, 0.0)])


def _sigmoid(x: Vec) -> Exponential:
    """The power of two is apart, for the value may be subnormal."""
    format_ = x.format
    power = exponential(upper(-abs(x), LOWEST[format_.bits]))
    power = Exponential(*fast_two_sum(power.high, power.low), power.shifted)
    negative = x < 0
    least = format_.shifter - 2 * format_.fraction  # below, e does not matter beside 1
    scale = power_of_two(upper(power.shifted, least).bits(), format_)
    below, rest = fast_two_sum(x.constant(1.0), scale * power.high)
    above = negative.where(power.high, 1.0), negative.where(power.low, 0.0)
    high, low = quotient(above, (below, fma(scale, power.low, rest)))
    return Exponential(high, low, negative.where(power.shifted, format_.shifter))


def silu(x: Vec) -> Vec:
    factor = _sigmoid(x)
    result = factor.scaled(upper(x, LOWEST[x.format.bits]) * (factor.high + factor.low))
    return x.equals(-math.inf).where(math.nan, result)  # as the product of infinity and 0
