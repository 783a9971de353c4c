"""The gamma function and its logarithmic derivative: a polynomial in 1/y from 3 on, recurrence below, reflection.

With a = abs(x): Gamma(-a) = -pi / (a sin(pi a) Gamma(a)). Powers of two are kept apart, since Gamma(a) may overflow
where its reciprocal does not vanish.
"""

from __future__ import annotations

import math

from tpc.backends.llvm.mathematics.compensated import fast_two_sum, product, two_sum
from tpc.backends.llvm.mathematics.exponential import Exponential, exponential
from tpc.backends.llvm.mathematics.logarithm import log
from tpc.backends.llvm.mathematics.power import logarithm_pair
from tpc.backends.llvm.mathematics.trigonometric import sine_of_turns
from tpc.backends.llvm.mathematics.vector import DOUBLE, Vec, fma, lower, polynomial

START = 3.0


def gamma(x: Vec) -> Vec:
    size = abs(x)
    a = lower(size, 190.0 if x.format is DOUBLE else 45.0)  # infinite, or 0, already
    near = a < START
    y, rest = two_sum(a, near.where(a.constant(START), 0.0))
    log_y = logarithm_pair(y)
    high, low = product(log_y, (y - 0.5, y.constant(0.0)))
    high, error = fast_two_sum(high, -y)
    # What y lost in rounding acts by the derivative of log Gamma.
    low = low + fma(rest, log_y[0] - 0.5 / y, error)
    high, low = fast_two_sum(high, low)
    power = exponential(high, low)
    value = (power.high + power.low) * polynomial(1 / y, x.table("gamma")) * math.sqrt(2 * math.pi)
    rising = near.where((a + 1) * (a + 2), 1.0)

    # Gamma(a) is value / (a rising) or value; a cancels in the reflection of the former, where it may be tiny.
    left, sine = x < 0, sine_of_turns(size)
    above = left.where(rising, value)
    below = left.where(-near.where(value, a * value), near.where(a * rising, 1.0))
    quotient = above / left.where(below * sine, below)
    n = power.shifted - x.format.shifter
    result = Exponential(quotient, quotient, left.where(x.format.shifter - n, power.shifted)).scaled(quotient)
    result = (left & (sine.equals(0) | size.equals(math.inf))).where(math.nan, result)
    return size.equals(0).where(result.copysign(x), result)


def digamma(x: Vec) -> Vec:
    """psi(y) = log(y) - p(1/y)/y, and psi(-a) = psi(1 + a) + pi / tan(pi a); the error is absolute near its zeros."""
    a = abs(x)
    left = x < 0
    start = left.where(a + 1, a)
    near = start < START
    y = near.where(start + START, start)
    reciprocal = 1 / y
    value = log(y) - reciprocal * polynomial(reciprocal, x.table("digamma"))
    # 1/x + 1/(x + 1) + 1/(x + 2)
    steps = fma(start, fma(start, 3.0, 6.0), 2.0) / (start * ((start + 1) * (start + 2)))
    value = near.where(value - steps, value)
    sine = sine_of_turns(a)
    half = sine_of_turns(abs(a - a.call("roundeven")) * 0.5) * math.pi
    turned = (half * half * -2 + 1) / abs(sine)  # pi over the tangent, but for the sign
    turned = (a > a.call("roundeven")).where(turned, -turned)
    value = left.where(value + turned, value)
    value = (left & (sine.equals(0) | a.equals(math.inf))).where(math.nan, value)
    return a.equals(0).where(a.constant(math.inf).copysign(-x), value)
