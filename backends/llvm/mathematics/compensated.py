"""Sums, products and quotients of twice the precision, as unevaluated pairs (high, low).

Dekker, "A floating-point technique for extending the available precision" (1971); Knuth, TAOCP 4.2.2. Constants come
as several numbers of the format whose sum is closer than one.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from tpc.backends.llvm.mathematics.vector import Format, Vec, fma

Pair = tuple[Vec, Vec]

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899863")
LN2 = Fraction("0.693147180559945309417232121458176568075500134360255254120680009493393621969694715606")
LN10 = Fraction("2.30258509299404568401799145468436420760110148862877297603332790096757260967735248024")
SQRT_HALF = Fraction("0.707106781186547524400844362104849039284835937688474036588339868995366239231053519425")


@cache
def parts(value: Fraction, format_: Format, count: int, leading: int | None = None) -> tuple[float, ...]:
    """`count` numbers whose sum is nearly the value; of the first, only `leading` bits are used if that is said."""
    found = []
    for i in range(count):
        bits = leading if i == 0 and leading is not None else format_.fraction + 1
        found.append(_rounded(value, bits))
        value -= Fraction(found[-1])
    return tuple(found)


def _rounded(value: Fraction, bits: int) -> float:
    if not value:
        return 0.0
    exponent = bits - (abs(value).numerator.bit_length() - value.denominator.bit_length()) - 1
    for power in (exponent, exponent + 1):  # the bit lengths tell the exponent up to one
        scaled = round(value * Fraction(2) ** power)
        if scaled.bit_length() >= bits:
            break
    return float(Fraction(scaled) / Fraction(2) ** power)


def fast_two_sum(a: Vec, b: Vec) -> Pair:
    """a + b exactly, where abs(a) >= abs(b) or a is 0."""
    high = a + b
    return high, b - (high - a)


def two_sum(a: Vec, b: Vec) -> Pair:
    """a + b exactly."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


def two_product(a: Vec, b: Vec) -> Pair:
    """a * b exactly."""
    high = a * b
    return high, fma(a, b, -high)


def product(a: Pair, b: Pair) -> Pair:
    """The product of pairs, not normalized: the low part may be a few units of the high one."""
    high, low = two_product(a[0], b[0])
    return high, fma(a[0], b[1], fma(a[1], b[0], low))


def quotient(a: Pair, b: Pair) -> Pair:
    """The quotient of pairs, by one division and one step of Newton's method; not normalized."""
    reciprocal = 1 / b[0]
    high = a[0] * reciprocal
    rest = fma(-high, b[1], fma(-high, b[0], a[0]) + a[1])
    return high, rest * reciprocal
