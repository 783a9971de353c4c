"""Modified Bessel functions: power series in (x/2)^2 up to 8, beyond exp(x)/sqrt(x) times a polynomial in 1/x."""

from __future__ import annotations

from tpc.backends.llvm.mathematics.exponential import exponential
from tpc.backends.llvm.mathematics.vector import DOUBLE, Vec, lower, polynomial, upper

BORDER = 8.0


def _parts(a: Vec, order: int) -> tuple[Vec, Vec, Vec]:
    """(near, small, large): I(a) where near, else exp(-a) I(a)."""
    z = a * a * 0.25
    small = polynomial(z, a.table(f"bessel_i{order}"))
    far = upper(a, BORDER)
    large = polynomial(2 * BORDER / far - 1, a.table(f"bessel_i{order}_far")) / far.sqrt()
    return a <= BORDER, small if order == 0 else small * a, large


def _plain(x: Vec, order: int) -> Vec:
    a = lower(abs(x), 720.0 if x.format is DOUBLE else 95.0)  # infinite already; exp alone would be sooner
    near, small, large = _parts(a, order)
    power = exponential(a)
    return near.where(small, power.scaled((power.high + power.low) * large))


def _scaled(x: Vec, order: int) -> Vec:
    near, small, large = _parts(abs(x), order)
    power = exponential(-lower(abs(x), BORDER))
    return near.where(power.scaled((power.high + power.low) * small), large)


def i0(x: Vec) -> Vec:
    return _plain(x, 0)


def i1(x: Vec) -> Vec:
    return _plain(x, 1).copysign(x)


def i0e(x: Vec) -> Vec:
    return _scaled(x, 0)


def i1e(x: Vec) -> Vec:
    return _scaled(x, 1).copysign(x)
