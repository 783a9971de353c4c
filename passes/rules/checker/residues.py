"""A residue at each of many points: what is computed with one residue is computed at all points at once."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from tpc.ir.residue import Residue

PRIME = 2**31 - 1  # products of two residues fit in 64 bits


class Parted(Exception):
    """A number is zero at some points and not at others, so that they cannot be computed together."""


class Residues:
    """A vector of residues modulo `PRIME`, which computes with integers and with single residues of that prime."""

    __slots__ = ("values",)

    def __init__(self, values: Any) -> None:
        self.values = values % PRIME

    def _of(self, other: object) -> Any:
        if isinstance(other, Residues):
            return other.values
        if isinstance(other, Residue):
            return other.value
        return int(other) % PRIME if isinstance(other, Integral) else None

    def __add__(self, other: object) -> Residues:
        value = self._of(other)
        return NotImplemented if value is None else Residues(self.values + value)

    __radd__ = __add__

    def __sub__(self, other: object) -> Residues:
        value = self._of(other)
        return NotImplemented if value is None else Residues(self.values - value)

    def __rsub__(self, other: object) -> Residues:
        value = self._of(other)
        return NotImplemented if value is None else Residues(value - self.values)

    def __mul__(self, other: object) -> Residues:
        value = self._of(other)
        return NotImplemented if value is None else Residues(self.values * value)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Residues:
        if isinstance(other, Residues):
            return self * other**-1
        value = self._of(other)
        return NotImplemented if value is None else self * Residue(value, PRIME) ** -1

    def __rtruediv__(self, other: object) -> Residues:
        return self**-1 * other

    def __pow__(self, exponent: int) -> Residues:
        if exponent < 0 and self == 0:
            raise ZeroDivisionError("division by zero modulo a prime")
        power, base = Residues(self.values * 0 + 1), self
        for bit in bin(exponent % (PRIME - 1))[:1:-1]:  # Fermat: the exponents have the modulus PRIME - 1
            power = power * base if bit == "1" else power
            base = base * base
        return power

    def __neg__(self) -> Residues:
        return Residues(-self.values)

    def __eq__(self, other: object) -> bool:
        """Raises `Parted` where some points say one thing, and some the other."""
        value = self._of(other)
        if value is None:
            return NotImplemented
        same = self.values == value
        if same.all() != same.any():
            raise Parted
        return bool(same.all())

    __hash__ = None  # type: ignore[assignment]
