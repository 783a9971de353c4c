"""Scalar functions to 45 digits, on numbers of mpmath."""

from __future__ import annotations

import mpmath

mp = mpmath.mp.clone()
mp.dps = 45
half = mp.mpf("0.5")


def erfc(x):
    """mpmath's, and its asymptote where that overflows."""
    if abs(x) < 1e6:
        return mp.erfc(x)
    return mp.exp(-x * x) / (x * mp.sqrt(mp.pi)) if x > 0 else mp.mpf(2)


def log_ndtr(x):
    return mp.log(erfc(-x / mp.sqrt(2)) / 2) if x < 0 else mp.log1p(-erfc(x / mp.sqrt(2)) / 2)


def quantile(p):
    """Newton's method on the logarithm of the tail."""
    if p == half:
        return mp.mpf(0)
    tail, start = min(p, 1 - p), scipy_quantile(float(min(p, 1 - p)))
    y = mp.mpf(start)
    for _ in range(4):
        value = erfc(-y / mp.sqrt(2)) / 2
        y -= mp.log(value / tail) * value / mp.npdf(y)
    return y if p < half else -y


def erfinv(x):
    if abs(x) < 1e-8:
        return mp.sqrt(mp.pi) / 2 * (x + mp.pi * x**3 / 12)
    return -mp.sign(x) * quantile((1 - abs(x)) / 2) / mp.sqrt(2)


def scipy_quantile(p):
    import scipy.special

    return float(scipy.special.ndtri(p))


def scaled_bessel(order, x):
    """By the asymptotic series where mpmath's series would be long."""
    a = abs(x)
    if a < 500:
        return mp.exp(-a) * mp.besseli(order, x)
    term = series = mp.mpf(1)
    for j in range(1, 15):
        term *= ((2 * j - 1) ** 2 - 4 * order) / (8 * j * a)
        series += term
    return series / mp.sqrt(2 * mp.pi * a) * mp.sign(x) ** order


EXACT = {
    "pow": mp.power,
    "sqrt": mp.sqrt,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "exp": mp.exp,
    "expm1": mp.expm1,
    "exp2": lambda x: mp.power(2, x),
    "log": mp.log,
    "log1p": mp.log1p,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": lambda x: mp.log(x) / mp.log(10),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "atan2": mp.atan2,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": lambda x: mp.sign(x) * mp.log1p(abs(x) + x * x / (1 + mp.sqrt(1 + x * x))),
    "acosh": lambda x: mp.log1p((x - 1) + mp.sqrt((x - 1) * (x + 1))),
    "atanh": lambda x: (mp.log1p(x) - mp.log1p(-x)) / 2,
    "hypot": mp.hypot,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "logit": lambda x: mp.log(x) - mp.log1p(-x),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "gelu": lambda x: x * erfc(-x / mp.sqrt(2)) / 2,
    "erf": mp.erf,
    "erfc": erfc,
    "erfinv": erfinv,
    "ndtr": lambda x: erfc(-x / mp.sqrt(2)) / 2,
    "log_ndtr": log_ndtr,
    "ndtri": quantile,
    "xlogy": lambda x, y: x * mp.log(y),
    "sinc": lambda x: mp.sinpi(x) / (mp.pi * x),
    "gamma": mp.gamma,
    "lgamma": lambda x: mp.log(abs(mp.gamma(x))),
    "digamma": mp.digamma,
    "bessel_j0": lambda x: mp.besselj(0, x),
    "bessel_j1": lambda x: mp.besselj(1, x),
    "bessel_i0": lambda x: mp.exp(abs(x)) * scaled_bessel(0, x),
    "bessel_i1": lambda x: mp.exp(abs(x)) * scaled_bessel(1, x),
    "bessel_i0e": lambda x: scaled_bessel(0, x),
    "bessel_i1e": lambda x: scaled_bessel(1, x),
}
