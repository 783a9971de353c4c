"""Integers modulo a prime."""

from __future__ import annotations

from numbers import Integral


class Residue:
    """A residue class; arithmetic with integers and with residues of the same prime."""

    __slots__ = ("value", "prime")

    def __init__(self, value: int, prime: int) -> None:
        self.value, self.prime = int(value) % prime, prime

    def _of(self, other: object) -> int | None:
        if isinstance(other, Residue):
            return other.value
        return int(other) if isinstance(other, Integral) else None

    def __add__(self, other: object) -> Residue:
        value = self._of(other)
        return NotImplemented if value is None else Residue(self.value + value, self.prime)

    __radd__ = __add__

    def __sub__(self, other: object) -> Residue:
        value = self._of(other)
        return NotImplemented if value is None else Residue(self.value - value, self.prime)

    def __rsub__(self, other: object) -> Residue:
        value = self._of(other)
        return NotImplemented if value is None else Residue(value - self.value, self.prime)

    def __mul__(self, other: object) -> Residue:
        value = self._of(other)
        return NotImplemented if value is None else Residue(self.value * value, self.prime)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Residue:
        value = self._of(other)
        if value is None:
            return NotImplemented
        return Residue(self.value * _inverse(value, self.prime), self.prime)

    def __rtruediv__(self, other: object) -> Residue:
        value = self._of(other)
        if value is None:
            return NotImplemented
        return Residue(value * _inverse(self.value, self.prime), self.prime)

    def __pow__(self, exponent: int) -> Residue:
        if exponent < 0:
            return Residue(pow(_inverse(self.value, self.prime), -exponent, self.prime), self.prime)
        return Residue(pow(self.value, int(exponent), self.prime), self.prime)

    def __neg__(self) -> Residue:
        return Residue(-self.value, self.prime)

    def __eq__(self, other: object) -> bool:
        value = self._of(other)
        return value is not None and (self.value - value) % self.prime == 0

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"{self.value} (mod {self.prime})"


def _inverse(value: int, prime: int) -> int:
    if value % prime == 0:
        raise ZeroDivisionError("division by zero modulo a prime")
    return pow(value, -1, prime)
