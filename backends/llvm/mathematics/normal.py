"""The error function and the normal distribution: erfc(x) = exp(-x^2) g(x) / (1 + 2x), where g hardly varies."""

from __future__ import annotations

import math

from tpc.backends.llvm.mathematics.compensated import SQRT_HALF, parts, two_product
from tpc.backends.llvm.mathematics.exponential import LOWEST, Exponential, exponential, power_of_two
from tpc.backends.llvm.mathematics.logarithm import log, natural
from tpc.backends.llvm.mathematics.vector import Vec, fma, lower, polynomial

SQRT = math.sqrt(0.5)
NEAR = 0.75  # below, 1 - erf(x) does not cancel much


def _scaled_erfc(a: Vec) -> Vec:
    """exp(a^2) erfc(a) for a >= 0."""
    plus, wide = a + 4, fma(a, 2.0, 1.0)
    reciprocal = 1 / (plus * wide)
    t = (a - 4) * (wide * reciprocal)
    inverse = plus * reciprocal
    inverse = fma(inverse, fma(-inverse, wide, 1.0), inverse)  # three roundings are one again
    return polynomial(t, a.table("erfc")) * inverse


def _gauss(a: Vec, factor: float) -> Exponential:
    """exp(-factor a^2), factor a power of two; the square is exact."""
    square, rest = two_product(a, a)
    square, rest = square * -factor, rest * -factor
    bounded = (square < LOWEST[a.format.bits]).where(LOWEST[a.format.bits], square)
    return exponential(bounded, bounded.equals(square).where(rest, 0.0))


def _tail(a: Vec, factor: float, argument: Vec, times: Vec | None = None) -> Vec:
    """exp(-factor a^2) times exp(argument^2) erfc(argument), times a number before that may become subnormal."""
    gauss = _gauss(a, factor)
    ratio = _scaled_erfc(argument)
    ratio = ratio if times is None else ratio * times
    return gauss.scaled(fma(gauss.high, ratio, gauss.low * ratio))


def _limit(a: Vec) -> Vec:
    """A number beyond which all tails are 0, so that squares do not overflow."""
    return lower(a, 64.0)


def _near(x: Vec) -> Vec:
    """erf(x) up to 1."""
    return fma(x, polynomial(x * x, x.table("erf")), x)


def erf(x: Vec) -> Vec:
    """By a polynomial up to 1, beyond by 1 - exp(p(a)), whose exponent needs few digits."""
    a = abs(x)
    exponent = exponential(polynomial(lower(a, 6.0) - 1, x.table("log_erfc")))
    tail = (exponent.high + exponent.low) * power_of_two(exponent.shifted.bits(), x.format)
    return (a > 1).where(1 - tail, _near(a)).copysign(x)


def erfc(x: Vec) -> Vec:
    a = _limit(abs(x))
    tail = _tail(a, 1.0, a)
    return (a < NEAR).where(1 - _near(x), (x < 0).where(2 - tail, tail))


def ndtr(x: Vec) -> Vec:
    a = _limit(abs(x))
    tail = _tail(a, 0.5, a * SQRT) * 0.5
    return (a < NEAR / SQRT).where(fma(_near(x * SQRT), 0.5, 0.5), (x > 0).where(1 - tail, tail))


def gelu(x: Vec) -> Vec:
    a = _limit(abs(x))
    lost = _tail(a, 0.5, a * SQRT, a * 0.5)  # a times the tail, of x for x > 0
    far = (x > 0).where(x - lost, -lost)
    result = (a < NEAR / SQRT).where(x * fma(_near(x * SQRT), 0.5, 0.5), far)
    return (x.is_nan() | x.equals(-math.inf)).where(math.nan, result)  # as the product of infinity and 0


def log_ndtr(x: Vec) -> Vec:
    """log(1 - p) with p = ndtr(-abs(x)); or log(exp(x^2/2) p) - x^2/2 for negative x, where p may vanish."""
    a = abs(x)
    tail = ndtr(-a)
    ratio = _scaled_erfc(lower(a, 2.0**60) * SQRT) * 0.5
    negative, far = x < 0, x < -1
    value = far.where(ratio, negative.where(tail, 1 - tail))
    rest = negative.where(x.constant(0.0), (1 - value) - tail)
    result = natural(value, rest) + far.where(a * (a * -0.5), 0.0)
    # Where 1 - p is 1 the tail keeps its own digits: log(1 - p) = -p.
    return x.is_nan().where(x, value.equals(1).where(-tail, result))


def _quantile(center: Vec, p: Vec) -> Vec:
    """Normal quantile of 1/2 + center up to 3/8, else of 1 - p, with the sign of center."""
    near = center * polynomial(center * center, center.table("quantile"))
    s = (log(p) * -2).sqrt()
    distant = s > 6
    t = (s - distant.where(s.constant(13.0), 3.25)) / (s + distant.where(s.constant(6.0), 1.0))
    far = s * distant.where(polynomial(t, s.table("quantile_far")), polynomial(t, s.table("quantile_tail")))
    far = p.equals(0).where(math.inf, far)
    return (abs(center) > 0.375).where(far.copysign(center), near)


def ndtri(p: Vec) -> Vec:
    center = p - 0.5
    return (center > 0).where(_quantile(center, 1 - p), _quantile(center, p))


def erfinv(x: Vec) -> Vec:
    high, low = parts(SQRT_HALF, x.format, 2)
    quantile = _quantile(x * 0.5, (1 - abs(x)) * 0.5)
    return abs(x).equals(1).where(quantile, fma(quantile, high, quantile * low))
