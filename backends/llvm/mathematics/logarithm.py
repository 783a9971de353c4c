"""Functions made of log: x = 2^k (1 + f) with 2/3 <= 1 + f < 4/3, then a polynomial in f; no table, no division."""

from __future__ import annotations

import math
from fractions import Fraction

from tpc.backends.llvm.mathematics.compensated import LN2, LN10, Pair, fast_two_sum, parts, quotient, two_sum
from tpc.backends.llvm.mathematics.exponential import exp
from tpc.backends.llvm.mathematics.vector import DOUBLE, Format, Vec, fma, polynomial

EXPONENT_BITS = 11  # of k, in both formats: k times a constant with so many zeros at its end is exact


def decomposed(x: Vec, start: Fraction = Fraction(2, 3)) -> tuple[Vec, Vec, Vec]:
    """(m, k, biased): x = 2^k m with start <= m < 2 start, for x > 0.

    `biased` are the integers k + bias, of subnormal numbers those after they were scaled to be normal.
    """
    format_ = x.format
    tiny = x < format_.smallest
    up = 2.0 ** (format_.fraction + 2)
    x = tiny.where(x * up, x)
    bits, one = x.bits(), format_.bias << format_.fraction
    biased = (bits + (one - _bits(start, format_))) >> format_.fraction
    m = (bits - (biased << format_.fraction) + one).floats(format_)
    # The integer k + bias in the last bits of 2^fraction, less what is too much: no conversion is needed.
    base = 2.0**format_.fraction
    offset = (format_.bias + format_.fraction) << format_.fraction
    k = (biased | offset).floats(format_) - tiny.where(
        x.constant(base + format_.bias + format_.fraction + 2), base + format_.bias
    )
    return m, k, biased


def _bits(value: Fraction, format_: Format) -> int:
    """The bits of a number between 1/2 and 1."""
    return ((format_.bias - 1) << format_.fraction) | round((2 * value - 1) * (1 << format_.fraction))


def logarithm(x: Vec, low: Vec | None = None) -> tuple[Vec, Pair]:
    """(k, (high, low)) with log(x + low) = k ln 2 + high + low, for x + low > 0 and finite."""
    m, k, biased = decomposed(x)
    f = m - 1
    rest = None
    if low is not None:
        format_ = x.format
        # 2^-k; for the largest k it does not matter, and is kept a number.
        last = 2 * format_.bias - 1
        inverse = 2 * format_.bias - (biased > last).where(last, biased)
        low = low * (inverse << format_.fraction).floats(format_)
        low = (x < format_.smallest).where(low * 2.0 ** (format_.fraction + 2), low)
        f, rest = fast_two_sum(f, low)
    half = f * -0.5
    high = fma(half, f, f)
    error = fma(half, f, f - high)
    if rest is not None:
        error = error + rest
    return k, (high, fma(f * f * f, polynomial(f, x.table("log")), error))


def natural(x: Vec, low: Vec | None = None, doublings: Vec | None = None) -> Vec:
    """log(x + low), or that of it times 2^doublings, for what is positive and finite."""
    k, (high, rest) = logarithm(x, low)
    k = k if doublings is None else k + doublings
    first, second = parts(LN2, x.format, 2, x.format.fraction + 1 - EXPONENT_BITS)
    total, error = fast_two_sum(k * first, high)
    return total + fma(k, second, rest + error)


def _to_base(x: Vec, ln_base: Fraction) -> Vec:
    k, (high, rest) = logarithm(x)
    scale, scale_rest = parts(1 / ln_base, x.format, 2)
    two, two_rest = parts(LN2 / ln_base, x.format, 2, x.format.fraction + 1 - EXPONENT_BITS)
    product = high * scale
    low = fma(high, scale_rest, fma(rest, scale, fma(high, scale, -product)))
    total, error = fast_two_sum(k * two, product)
    return total + fma(k, two_rest, low + error)


def _on_domain(result: Vec, x: Vec, pole: float = 0.0) -> Vec:
    """The result; -inf at the pole, NaN below it, infinity and NaN as they are."""
    result = (x < math.inf).where(result, x)
    return (x > pole).where(result, x.equals(pole).where(x.constant(-math.inf), math.nan))


def log(x: Vec) -> Vec:
    return _on_domain(natural(x), x)


def log2(x: Vec) -> Vec:
    return _on_domain(_to_base(x, LN2), x)


def log10(x: Vec) -> Vec:
    return _on_domain(_to_base(x, LN10), x)


def log1p(x: Vec) -> Vec:
    result = natural(*two_sum(x.constant(1.0), x))
    return _on_domain(x.equals(0).where(x, result), x, -1.0)


def softplus(x: Vec) -> Vec:
    tail = natural(*fast_two_sum(x.constant(1.0), exp(-abs(x))))
    return tail + (x < 0).where(0.0, x)


def xlogy(x: Vec, y: Vec) -> Vec:
    product = x * log(y)
    return (x.equals(0) & ~y.is_nan()).where(0.0, product)


def logit(x: Vec) -> Vec:
    ratio = quotient((x, x.constant(0.0)), two_sum(x.constant(1.0), -x))
    result = _on_domain(natural(*ratio), x)
    return (x < 1).where(result, x.equals(1).where(x.constant(math.inf), math.nan))


def _inverse(base: Vec, root: Vec, argument: Vec) -> Vec:
    """log(1 + base + root), or log(2 argument) where that is so large that it makes no difference."""
    large = argument > (2.0**54 if argument.format is DOUBLE else 2.0**25)
    sum_, rest = two_sum(base, root)
    high, low = two_sum(sum_.constant(1.0), sum_)
    result = natural(
        large.where(argument, high), large.where(0.0, low + rest), large.where(argument.constant(1.0), 0.0)
    )
    return (argument < math.inf).where(result, argument)


def asinh(x: Vec) -> Vec:
    """log(1 + a + a^2 / (1 + sqrt(1 + a^2))) with a = abs(x)."""
    a = abs(x)
    square = a * a
    return _inverse(a, square / (1 + (1 + square).sqrt()), a).copysign(x)


def acosh(x: Vec) -> Vec:
    above = x - 1
    result = _inverse(above, fma(above, above, above * 2).sqrt(), x)
    return (x >= 1).where(result, math.nan)


def atanh(x: Vec) -> Vec:
    """log((1 + a) / (1 - a)) / 2 with a = abs(x)."""
    a = abs(x)
    one = a.constant(1.0)
    result = natural(*quotient(fast_two_sum(one, a), fast_two_sum(one, -a))) * 0.5
    return (a < 1).where(result, a.equals(1).where(a.constant(math.inf), math.nan)).copysign(x)
