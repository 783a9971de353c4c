"""Derives `coefficients.py`: `python -m tpc.backends.llvm.mathematics.derive > coefficients.py`; needs mpmath.

Each polynomial is the best one of its degree in the weighted maximum norm (the exchange algorithm of Remez, 1934, on a
dense Chebyshev grid, in 60 digits), rounded to the format afterwards. What multiplies a polynomial in the functions is
its weight here, so that the printed error is relative to the function's value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
from mpmath import mp, mpf

Function = Callable[[Any], Any]


def remez(function: Function, low: Any, high: Any, weight: Function, count: int) -> tuple[list[Any], Any]:
    """The polynomial of `count` coefficients (lowest first) with the least weighted error, and that error."""
    size = 24 * (count + 1)
    grid = [(low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * i / (size - 1)) for i in range(size)]
    values, weights = [function(t) for t in grid], [weight(t) for t in grid]
    chosen = [round(i * (size - 1) / count) for i in range(count + 1)]
    for _ in range(40):
        rows = [[grid[i] ** k for k in range(count)] + [(-1) ** j / weights[i]] for j, i in enumerate(chosen)]
        *solution, level = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([values[i] for i in chosen]))
        errors = [(mpmath.polyval(solution[::-1], t) - v) * w for t, v, w in zip(grid, values, weights, strict=True)]
        if max(map(abs, errors)) < abs(level) * mpf("1.01"):
            break
        chosen = _alternation(errors, count + 1)
    return list(solution), max(map(abs, errors))


def _alternation(errors: list[Any], count: int) -> list[int]:
    """The grid points of the largest error in each run of one sign; of too many, those at the smaller end go."""
    extremes: list[int] = []
    for i, error in enumerate(errors):
        if extremes and (error > 0) == (errors[extremes[-1]] > 0):
            if abs(error) > abs(errors[extremes[-1]]):
                extremes[-1] = i
        else:
            extremes.append(i)
    while len(extremes) > count:
        extremes.pop(0 if abs(errors[extremes[0]]) < abs(errors[extremes[-1]]) else -1)
    return extremes


def _of_root(function: Function, limit: Any) -> Function:
    """z -> function(sqrt(z)), with the value `limit` at 0."""
    return lambda z: function(mpmath.sqrt(z)) if z > mpf("1e-16") else mpf(limit)


def _removable(function: Function, limit: Any) -> Function:
    """A function that loses all digits near 0, where it has the value `limit`."""
    return lambda t: function(t) if abs(t) > mpf("1e-16") else mpf(limit)


def _scaled_erfc(t: Any) -> Any:
    """(1 + 2x) exp(x^2) erfc(x) at x = 4(1 + t)/(1 - t)."""
    if 1 - t < mpf("1e-9"):
        return 2 / mpmath.sqrt(mpmath.pi)
    x = 4 * (1 + t) / (1 - t)
    if x < 1000:
        return (1 + 2 * x) * mpmath.exp(x * x) * mpmath.erfc(x)
    term = series = mpf(1)
    for k in range(1, 14):
        term *= -(2 * k - 1) / (2 * x * x)
        series += term
    return (1 + 2 * x) * series / (x * mpmath.sqrt(mpmath.pi))


def _quantile(log_p: Any) -> Any:
    """The y > 0 with log(P(Y > y)) = log_p, by Newton's method, Y normal."""
    y = mpmath.sqrt(-2 * log_p) * mpf("0.9")
    for _ in range(60):
        p = mpmath.erfc(y / mpmath.sqrt(2)) / 2
        step = (mpmath.log(p) - log_p) * p / mpmath.npdf(y)
        y += step
        if abs(step) < mpf("1e-45"):
            break
    return y


def _tail(zero: float, pole: float, low: float, high: float) -> tuple[Function, Any, Any]:
    """Normal quantile over s = sqrt(-2 log p), in t = (s - zero)/(s + pole), and the interval of t."""
    root, offset = mpf(zero), mpf(pole)

    def function(t: Any) -> Any:
        s = (root + offset * t) / (1 - t)
        return _quantile(-s * s / 2) / s

    return function, (low - root) / (low + offset), (high - root) / (high + offset)


def _stirling(t: Any) -> Any:
    """Gamma(y) over Stirling's formula for it, at y = 1/t."""
    log_formula = mpmath.log(1 / t) * (1 / t - mpf(1) / 2) - 1 / t + mpmath.log(2 * mpmath.pi) / 2
    return mpmath.exp(mpmath.loggamma(1 / t) - log_formula)


def _bessel(order: int) -> Function:
    """z -> I(x) / x^order at x = 2 sqrt(z)."""
    return _of_root(lambda root: mpmath.besseli(order, 2 * root) / (2 * root) ** order, mpf(1) / 2**order)


def _far_bessel(order: int) -> Function:
    """t -> sqrt(x) exp(-x) I(x) at x = 16/(1 + t); from 200 on by the asymptotic series."""

    def function(t: Any) -> Any:
        if 200 * (1 + t) < 16:
            term = series = mpf(1)
            for j in range(1, 22):
                term *= ((2 * j - 1) ** 2 - 4 * order) * (1 + t) / (128 * j)
                series += term
            return series / mpmath.sqrt(2 * mpmath.pi)
        x = 16 / (1 + t)
        return mpmath.sqrt(x) * mpmath.exp(-x) * mpmath.besseli(order, x)

    return function


def _central(z: Any) -> Any:
    """Normal quantile of 1/2 + q over q, where z = q^2."""
    q = mpmath.sqrt(z)
    return _quantile(mpmath.log(mpf(1) / 2 - q)) / q if z > mpf("1e-16") else mpmath.sqrt(2 * mpmath.pi)


HEAD = '''"""Coefficients of the polynomials, lowest first, as `derive.py` prints them, with errors before rounding."""

from __future__ import annotations

_TABLE = {'''
TAIL = """}


COEFFICIENTS = {key: tuple(float.fromhex(word) for word in text.split()) for key, text in _TABLE.items()}"""


def _one(t: Any) -> Any:
    return mpf(1)


mp.dps = 60
TINY = mpf("1e-9")


@dataclass(frozen=True)
class Target:
    """A function on an interval, the weight of its error, and how many coefficients it gets in f64 and f32, if any."""

    function: Function
    low: Any
    high: Any
    f64: int
    f32: int
    weight: Function = _one


def odd(function: Function, limit: Any, bound: Any, f64: int, f32: int) -> Target:
    """p in function(x) = x + x z p(z), z = x^2 up to bound; p(0) = limit."""
    quotient = _of_root(lambda x: (function(x) / x - 1) / x**2, limit)
    return Target(quotient, 0, bound, f64, f32, lambda z: z + TINY)


QUARTER = (mpmath.pi / 4) ** 2 * mpf("1.001")
LN2_HALF = mpmath.log(2) / 2 * mpf("1.001")
TANGENT = (mpmath.sqrt(2) - 1) ** 2 * mpf("1.001")  # of pi/8, squared
THIRD = mpf(1) / 3
EXP = _removable(lambda r: (mpmath.expm1(r) - r) / r**2, 0.5)

TARGETS: dict[str, Target] = {
    # exp(r) = 1 + r + r^2 p(r)
    "exp": Target(EXP, -LN2_HALF, LN2_HALF, 10, 5, lambda r: r**2 + TINY),
    # the same for abs(r) <= ln(2)/16, and ln(2)/32
    "exp_8": Target(EXP, -LN2_HALF / 8, LN2_HALF / 8, 6, 0, lambda r: r**2 + TINY),
    "exp_16": Target(EXP, -LN2_HALF / 16, LN2_HALF / 16, 0, 2, lambda r: r**2 + TINY),
    "sinh": odd(mpmath.sinh, THIRD / 2, LN2_HALF**2, 5, 3),
    # cosh(r) = 1 + z p(z), z = r^2
    "cosh": Target(_of_root(lambda r: (mpmath.cosh(r) - 1) / r**2, 0.5), 0, LN2_HALF**2, 5, 3, lambda z: z + TINY),
    # log(1 + f) = f - f^2/2 + f^3 p(f)
    "log": Target(
        _removable(lambda f: (mpmath.log1p(f) - f + f**2 / 2) / f**3, THIRD),
        -THIRD,
        THIRD,
        19,
        8,
        lambda f: f**2 + TINY,
    ),
    # atanh(s) = s + s z (1/3 + z p(z)), z = s^2
    "atanh": Target(
        _of_root(lambda s: ((mpmath.atanh(s) / s - 1) / s**2 - THIRD) / s**2, 0.2),
        0,
        0.0296,
        7,
        4,
        lambda z: z**2 + TINY,
    ),
    "sin": odd(mpmath.sin, -THIRD / 2, QUARTER, 6, 3),
    # cos(r) = 1 - z/2 + z^2 p(z), z = r^2
    "cos": Target(
        _of_root(lambda r: (mpmath.cos(r) - 1 + r**2 / 2) / r**4, mpf(1) / 24), 0, QUARTER, 6, 3, lambda z: z**2 + TINY
    ),
    # sin(pi r) / pi, abs(r) <= 1/2
    "sinc": odd(lambda r: mpmath.sinpi(r) / mpmath.pi, -(mpmath.pi**2) / 6, 0.2501, 8, 4),
    "asin": odd(mpmath.asin, THIRD / 2, 0.2501, 13, 5),
    "atan": odd(mpmath.atan, -THIRD, TANGENT, 11, 5),
    # m^(-1/3): the start of the iteration for cbrt
    "cbrt": Target(lambda m: m**-THIRD, 0.5, 1, 6, 5),
    # erf(x) = x + x p(z), z = x^2
    "erf": Target(_of_root(lambda x: mpmath.erf(x) / x - 1, 2 / mpmath.sqrt(mpmath.pi) - 1), 0, 1.001, 12, 7),
    # erfc(x) = exp(-x^2) p(t) / (1 + 2x), t = (x - 4)/(x + 4), x >= 0
    "erfc": Target(_scaled_erfc, -1, 1, 26, 13),
    # erfc(x) = exp(p(x - 1)), 1 <= x <= 6, absolutely
    "log_erfc": Target(lambda t: mpmath.log(mpmath.erfc(t + 1)), 0, 5, 18, 7, lambda t: mpmath.erfc(t + 1)),
    # quantile(1/2 + q) = q p(q^2), abs(q) <= 3/8
    "quantile": Target(_central, 0, 0.141, 23, 11),
    # quantile(1 - p) = s p(t), s = sqrt(-2 log p), p <= 1/8, t = (s - 3.25)/(s + 1) or, for s > 6, (s - 13)/(s + 6)
    "quantile_tail": Target(*_tail(3.25, 1, 2.03, 6), 19, 8),
    "quantile_far": Target(*_tail(13, 6, 6, 38.7), 23, 11),
    # Gamma(y) = sqrt(2 pi) y^(y - 1/2) exp(-y) p(1/y), y >= 3
    "gamma": Target(_removable(_stirling, 1), 0, THIRD, 14, 6),
    # psi(y) = log(y) - p(1/y)/y, y >= 3
    "digamma": Target(
        _removable(lambda t: (mpmath.log(1 / t) - mpmath.digamma(1 / t)) / t, 0.5), 0, THIRD, 13, 5, lambda t: t + TINY
    ),
    # I(x) = p(z), x p(z), z = (x/2)^2; exp(x) p(t) / sqrt(x), t = 16/x - 1, x >= 8
    "bessel_i0": Target(_bessel(0), 0, 16, 16, 11, lambda z: 1 / _bessel(0)(z)),
    "bessel_i1": Target(_bessel(1), 0, 16, 16, 11, lambda z: 1 / _bessel(1)(z)),
    "bessel_i0_far": Target(_far_bessel(0), -1, 1, 24, 7),
    "bessel_i1_far": Target(_far_bessel(1), -1, 1, 24, 7),
}


def main() -> None:
    """Prints the table."""
    print(HEAD)
    for name, target in TARGETS.items():
        for bits, count in ((64, target.f64), (32, target.f32)):
            if not count:
                continue
            coefficients, error = remez(target.function, mpf(target.low), mpf(target.high), target.weight, count)
            digits = [rounded(coefficient, bits).hex().replace("0000000p", "p") for coefficient in coefficients]
            print(f"    # {name}, f{bits}: error 2^{float(mpmath.log(error, 2)):.1f}")
            print(f'    ("{name}", {bits}): """')
            for start in range(0, count, 4):
                print("        " + " ".join(digits[start : start + 4]))
            print('    """,')
    print(TAIL)


def rounded(value: Any, bits: int) -> float:
    """The nearest number of the format."""
    with mp.workprec(53 if bits == 64 else 24):
        return float(+value)


if __name__ == "__main__":
    main()
