"""Integers modulo a prime."""

from __future__ import annotations

from numbers import Integral

MOST_EXPONENT = 1 << 20  # integers beyond it stand for fractions


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

    def __int__(self) -> int:
        """The integer of this class that is nearest to zero."""
        return self.value if self.value <= self.prime // 2 else self.value - self.prime

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


class Gaussian:
    """`re + im * i` with `i * i = -1`, over a prime that is 3 modulo 4: there every residue has a square root.

    Only what is not a residue is one of these: sums and products fall back to `Residue` where `im` is 0.
    """

    __slots__ = ("re", "im", "prime")

    def __init__(self, re: int, im: int, prime: int) -> None:
        self.re, self.im, self.prime = re % prime, im % prime, prime

    def _of(self, other: object) -> tuple[int, int] | None:
        if isinstance(other, Gaussian):
            return other.re, other.im
        if isinstance(other, Residue):
            return other.value, 0
        return (int(other), 0) if isinstance(other, Integral) else None

    def _made(self, re: int, im: int) -> Gaussian | Residue:
        return Gaussian(re, im, self.prime) if im % self.prime else Residue(re, self.prime)

    def __add__(self, other: object) -> Gaussian | Residue:
        pair = self._of(other)
        return NotImplemented if pair is None else self._made(self.re + pair[0], self.im + pair[1])

    __radd__ = __add__

    def __neg__(self) -> Gaussian | Residue:
        return self._made(-self.re, -self.im)

    def __sub__(self, other: object) -> Gaussian | Residue:
        pair = self._of(other)
        return NotImplemented if pair is None else self._made(self.re - pair[0], self.im - pair[1])

    def __rsub__(self, other: object) -> Gaussian | Residue:
        return -self + other

    def __mul__(self, other: object) -> Gaussian | Residue:
        pair = self._of(other)
        if pair is None:
            return NotImplemented
        re, im = pair
        return self._made(self.re * re - self.im * im, self.re * im + self.im * re)

    __rmul__ = __mul__

    def _inverted(self) -> Gaussian | Residue:
        length = _inverse(self.re * self.re + self.im * self.im, self.prime)
        return self._made(self.re * length, -self.im * length)

    def __truediv__(self, other: object) -> Gaussian | Residue:
        if isinstance(other, Gaussian):
            return self * other._inverted()
        pair = self._of(other)
        return NotImplemented if pair is None else self * _inverse(pair[0], self.prime)

    def __rtruediv__(self, other: object) -> Gaussian | Residue:
        return self._inverted() * other

    def __pow__(self, exponent: int) -> Gaussian | Residue:
        base: Gaussian | Residue = self._inverted() if exponent < 0 else self
        power: Gaussian | Residue = Residue(1, self.prime)
        for bit in bin(abs(int(exponent)))[2:]:
            power = power * power * base if bit == "1" else power * power
        return power

    def __eq__(self, other: object) -> bool:
        pair = self._of(other)
        return pair is not None and (self.re - pair[0]) % self.prime == 0 and (self.im - pair[1]) % self.prime == 0

    def __hash__(self) -> int:
        return hash((self.re, self.im))

    def __repr__(self) -> str:
        return f"{self.re} + {self.im}i (mod {self.prime})"


def square_root(x: Residue) -> Residue | Gaussian:
    """The root that is itself a square, or that times `i`, for a prime that is 3 modulo 4.

    So `root(x) * root(y)` is `root(x * y)` where x and y are squares, as it is where numbers are positive.
    """
    root = pow(x.value, (x.prime + 1) // 4, x.prime)
    if root * root % x.prime == x.value:
        return Residue(root, x.prime)
    return Gaussian(0, pow(-x.value % x.prime, (x.prime + 1) // 4, x.prime), x.prime)
