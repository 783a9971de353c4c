"""Trigonometric functions and their inverses.

Cody and Waite's reduction with fused products: x = n pi/2 + r + low. As long as n ulp(pi/2) stays below 1 the first
difference is exact, whence the large range; what lies beyond goes lane by lane through the C library.
"""

from __future__ import annotations

import math

from tpc.backends.llvm.mathematics.compensated import PI, Pair, fast_two_sum, parts, quotient, two_sum
from tpc.backends.llvm.mathematics.lanes import otherwise_by_lane
from tpc.backends.llvm.mathematics.vector import DOUBLE, Format, Vec, fma, lower, polynomial

FARTHEST = {64: 2.0**45, 32: 2.0**18}
SMALL_ANGLE, LARGE_ANGLE = math.tan(math.pi / 8), math.tan(3 * math.pi / 8)


def _reduced(x: Vec) -> tuple[Vec, Pair]:
    """(n, (r, low)), n as integers of which the lowest bits count."""
    first, second, third = parts(PI / 2, x.format, 3)
    shifted = fma(x, 2 / math.pi, x.format.shifter)
    n = shifted - x.format.shifter
    near = fma(-n, first, x)
    product = n * second
    r = near - product
    low = ((near - r) - product) - fma(n, second, -product)
    return shifted.bits(), (r, fma(-n, third, low))


def _sine_cosine(r: Vec, low: Vec) -> tuple[Pair, Pair]:
    """Sine and cosine of r + low, at most pi/4, as unevaluated sums."""
    z = r * r
    half = z * 0.5
    cosine = 1 - half
    rest = (1 - cosine) - half
    sine_rest = fma(r * z, polynomial(z, r.table("sin")), low * cosine)
    cosine_rest = fma(z * z, polynomial(z, r.table("cos")), fma(-r, low, rest))
    return (r, sine_rest), (cosine, cosine_rest)


def _wave(x: Vec, quarter: int) -> Vec:
    """sin(x + quarter pi/2)."""
    n, reduced = _reduced(x)
    (sine, sine_rest), (cosine, cosine_rest) = _sine_cosine(*reduced)
    n = n + quarter
    odd = (n & 1).differs(0)
    value = odd.where(cosine, sine) + odd.where(cosine_rest, sine_rest)
    return value.flip(n << (x.format.bits - 2))


def _near(x: Vec) -> Vec:
    """Where the reduction holds; infinities and NaN do not matter, they give NaN in any case."""
    a = abs(x)
    return ~((a > FARTHEST[x.format.bits]) & (a < math.inf))


def sin(x: Vec) -> Vec:
    result = x.equals(0).where(x, _wave(x, 0))
    return otherwise_by_lane(_near(x), result, "sin", x)


def cos(x: Vec) -> Vec:
    return otherwise_by_lane(_near(x), _wave(x, 1), "cos", x)


def tan(x: Vec) -> Vec:
    n, reduced = _reduced(x)
    sine, cosine = (fast_two_sum(*pair) for pair in _sine_cosine(*reduced))
    odd = (n & 1).differs(0)
    above = odd.where(cosine[0], sine[0]), odd.where(cosine[1], sine[1])
    below = odd.where(sine[0], cosine[0]), odd.where(sine[1], cosine[1])
    high, low = quotient(above, below)
    result = x.equals(0).where(x, (high + low).flip(n << (x.format.bits - 1)))
    return otherwise_by_lane(_near(x), result, "tan", x)


def sine_of_turns(a: Vec) -> Vec:
    """sin(pi a) / pi for a >= 0, from the distance to the nearest integer n: sin(pi a) = (-1)^n sin(pi (a - n))."""
    n = a.call("roundeven")
    r = a - n
    z = r * r
    sine = fma(r * z, polynomial(z, a.table("sinc")), r)
    half = n * 0.5
    return half.call("floor").differs(half).where(-sine, sine)


def sinc(x: Vec) -> Vec:
    a = abs(x)
    return a.equals(0).where(1.0, sine_of_turns(a) / a)


def _arc(x: Vec) -> tuple[Vec, Vec, Vec]:
    """(large, s, rest): asin(abs(x)) is s + rest, or pi/2 - 2 (s + rest) where abs(x) > 1/2."""
    a = abs(x)
    large = a > 0.5
    z = large.where((1 - a) * 0.5, a * a)
    s = large.where(z.sqrt(), a)
    return large, s, s * z * polynomial(z, x.table("asin"))


def asin(x: Vec) -> Vec:
    large, s, rest = _arc(x)
    half_pi, half_pi_rest = parts(PI / 2, x.format, 2)
    high, low = fast_two_sum(x.constant(half_pi), s * -2)
    return large.where(high + (low + (half_pi_rest - rest * 2)), s + rest).copysign(x)


def acos(x: Vec) -> Vec:
    large, s, rest = _arc(x)
    half_pi, half_pi_rest = parts(PI / 2, x.format, 2)
    negative = x < 0
    # pi/2 - x - rest; 2 (s + rest) for large x, pi - 2 (s + rest) for large negative x.
    start = large.where(negative.where(x.constant(2 * half_pi), 0.0), half_pi)
    start_rest = large.where(negative.where(x.constant(2 * half_pi_rest), 0.0), half_pi_rest)
    factor = large.where(negative.where(x.constant(-2.0), 2.0), negative.where(x.constant(1.0), -1.0))
    high, low = fast_two_sum(start, s * factor)
    return high + (low + fma(rest, factor, start_rest))


def _angle(above: Pair, below: Pair, start: Vec, start_rest: Vec) -> Vec:
    """start + start_rest + atan(above / below), for quotients up to tan(pi/8)."""
    t, rest = quotient(above, below)
    z = t * t
    high, low = fast_two_sum(start, t)
    return high + (low + fma(t * z, polynomial(z, t.table("atan")), rest + start_rest))


def atan(x: Vec) -> Vec:
    a = lower(abs(x), 2.0**60)  # beyond, it is pi/2 in both formats
    steep, middle = a > LARGE_ANGLE, a > SMALL_ANGLE
    one = a.constant(1.0)
    half_pi, half_pi_rest = parts(PI / 2, x.format, 2)
    plus, plus_rest = two_sum(a, one)
    less, less_rest = fast_two_sum(-one, a)  # exact in the middle, above 1 too
    between = middle & ~steep
    above = steep.where(-one, middle.where(less, a)), between.where(less_rest, 0.0)
    below = steep.where(a, middle.where(plus, one)), between.where(plus_rest, 0.0)
    start = steep.where(one * half_pi, middle.where(one * (half_pi / 2), 0.0))
    start_rest = steep.where(one * half_pi_rest, middle.where(one * (half_pi_rest / 2), 0.0))
    return _angle(above, below, start, start_rest).copysign(x)


def atan2(y: Vec, x: Vec) -> Vec:
    height, width = abs(y), abs(x)
    infinite = height.equals(math.inf) | width.equals(math.inf)
    zero, one = y.constant(0.0), y.constant(1.0)
    height = infinite.where(height.equals(math.inf).where(one, height * 0), height)
    width = infinite.where(width.equals(math.inf).where(one, width * 0), width)
    scale = _safe_scale((height > width).where(height, width))
    height, width = height * scale, width * scale
    steep, middle = height > width * LARGE_ANGLE, height > width * SMALL_ANGLE
    less, less_rest = two_sum(height, -width)
    plus, plus_rest = two_sum(height, width)
    between = middle & ~steep
    above = steep.where(-width, middle.where(less, height)), between.where(less_rest, 0.0)
    below = steep.where(height, middle.where(plus, width)), between.where(plus_rest, 0.0)
    below = below[0].equals(0).where(one, below[0]), below[1]
    left = x.bits() < 0
    above = left.where(-above[0], above[0]), left.where(-above[1], above[1])
    starts = [_start(steep, middle, left, part, zero) for part in _eighths(y.format)]
    angle = _angle(above, below, *starts).copysign(y)
    return (x.is_nan() | y.is_nan()).where(math.nan, angle)


def _eighths(format_: Format) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Multiples of pi/4, from 0 to 4, and what is missing in them."""
    pairs = [parts(PI * i / 4, format_, 2) for i in range(5)]
    return tuple(high for high, _ in pairs), tuple(low for _, low in pairs)


def _start(steep: Vec, middle: Vec, left: Vec, values: tuple[float, ...], zero: Vec) -> Vec:
    right_side = middle.where(zero.constant(values[1]), values[0])
    left_side = middle.where(zero.constant(values[3]), values[4])
    return steep.where(zero.constant(values[2]), left.where(left_side, right_side))


def _safe_scale(size: Vec) -> Vec:
    """A power of two that keeps products of this size, and of what is much smaller, from overflow and underflow."""
    bound = 2.0**400 if size.format is DOUBLE else 2.0**50
    return (size > bound).where(size.constant(1 / bound), bound)
