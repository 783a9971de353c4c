"""Roots and powers."""

from __future__ import annotations

import math
from fractions import Fraction

from tpc.backends.llvm.mathematics.compensated import LN2, Pair, fast_two_sum, parts, product, quotient, two_sum
from tpc.backends.llvm.mathematics.exponential import HIGHEST, LOWEST, exponential, power_of_two
from tpc.backends.llvm.mathematics.logarithm import EXPONENT_BITS, decomposed
from tpc.backends.llvm.mathematics.vector import DOUBLE, Vec, fma, lower, polynomial, upper

THIRD = Fraction(1, 3)


def sqrt(x: Vec) -> Vec:
    return x.sqrt()


def rsqrt(x: Vec) -> Vec:
    return 1 / x.sqrt()


def logarithm_pair(x: Vec) -> Pair:
    """log(x) to twice the precision but some bits, for x > 0: 2 atanh(f / (2 + f)) + k ln 2."""
    m, k, _ = decomposed(x, Fraction(math.sqrt(0.5)))
    s = quotient((m - 1, x.constant(0.0)), two_sum(m.constant(1.0), m))
    s = fast_two_sum(*s)
    z = product(s, s)
    third, third_rest = parts(THIRD, x.format, 2)
    high, low = fast_two_sum(x.constant(third), z[0] * polynomial(z[0], x.table("atanh")))
    cube = product(s, product(z, (high, low + third_rest)))
    high, low = fast_two_sum(s[0], cube[0])
    rest = (low + (s[1] + cube[1])) * 2
    first, second = parts(LN2, x.format, 2, x.format.fraction + 1 - EXPONENT_BITS)
    total, error = fast_two_sum(k * first, high * 2)
    return fast_two_sum(total, fma(k, second, error + rest))


def power(x: Vec, y: Vec) -> Vec:
    """exp(y log(abs(x))), with the sign of x where y is odd."""
    a = abs(x)
    high, low = logarithm_pair(a)
    high = a.equals(0).where(-math.inf, (a < math.inf).where(high, a))
    exponent, rest = product((high, low), (y, y.constant(0.0)))
    exponent = a.equals(1).where(0.0, exponent)
    bounded = upper(lower(exponent, HIGHEST[x.format.bits]), LOWEST[x.format.bits])
    rest = bounded.equals(exponent).where(rest, 0.0)
    result = exponential(bounded, a.equals(1).where(0.0, rest)).scaled()

    half = y * 0.5
    whole, even = y.call("floor").equals(y), half.call("floor").equals(half)
    odd = whole & ~even
    result = odd.where(result.copysign(x), result)
    result = ((x < 0) & (a < math.inf) & ~whole).where(math.nan, result)
    result = (x.is_nan() | y.is_nan()).where(math.nan, result)
    return (x.equals(1) | y.equals(0)).where(1.0, result)


def cbrt(x: Vec) -> Vec:
    """m c^2 for c = m^(-1/3), by a polynomial and one step of the third order; a last step for the rounding."""
    a = abs(x)
    m, k, _ = decomposed(a, Fraction(1, 2))
    q = (k * (1 / 3) + 1 / 6).call("floor")  # halfway between multiples of 1/3: rounding does not matter
    r = k - q * 3
    one, two = r > 0.5, r > 1.5
    m = m * two.where(m.constant(4.0), one.where(m.constant(2.0), 1.0))
    start = polynomial(m * two.where(m.constant(0.25), one.where(m.constant(0.5), 1.0)), x.table("cbrt"))
    c = start * two.where(m.constant(4 ** (-1 / 3)), one.where(m.constant(2 ** (-1 / 3)), 1.0))
    e = fma(-m, c * c * c, 1.0)
    c = c + c * (e * fma(e, 2 / 9, 1 / 3))
    root = m * c * c
    square = root * root
    rest = fma(-square, root, m) - fma(root, root, -square) * root
    root = fma(rest, c * c * (1 / 3), root)
    result = root * power_of_two((q + x.format.shifter).bits(), x.format)
    return ((a < math.inf) & (a > 0)).where(result.copysign(x), x)


def hypot(x: Vec, y: Vec) -> Vec:
    a, b = abs(x), abs(y)
    a, b = (a > b).where(a, b), (a > b).where(b, a)
    limit, factor = (2.0**500, 2.0**600) if x.format is DOUBLE else (2.0**60, 2.0**75)
    large, small = a > limit, a < 1 / limit
    scale = large.where(a.constant(1 / factor), small.where(a.constant(factor), 1.0))
    back = large.where(a.constant(factor), small.where(a.constant(1 / factor), 1.0))
    p, q = a * scale, b * scale
    result = fma(p, p, q * q).sqrt() * back
    result = (x.is_nan() | y.is_nan()).where(math.nan, result)
    return (abs(x).equals(math.inf) | abs(y).equals(math.inf)).where(math.inf, result)
