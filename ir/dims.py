"""Sizes: integers, and polynomials with integer coefficients over named sizes.

    dim  = int | Dim
    Dim  = sum of coefficient * monomial
    atom = name | min(dim, dim) | max(dim, dim) | div(dim, int)      (div rounds down)

Two dims are the same size when they are equal as polynomials: `Dim`s are interned, so `==` is `is`. A named size
is a nonnegative integer; what cannot be told from that is unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Union
from weakref import WeakValueDictionary


@dataclass(frozen=True, slots=True)
class Rounded:
    """An atom that is no name: `min(a, b)`, `max(a, b)` or `div(a, b)`."""

    kind: str
    left: DimLike
    right: DimLike

    def __str__(self) -> str:
        return f"{self.kind}({self.left}, {self.right})"


Atom = Union[str, Rounded]  # noqa: UP007  (evaluated at run time, and Rounded is defined above)
Monomial = tuple[tuple[Atom, int], ...]


class Dim:
    """A polynomial that is not a plain integer."""

    __slots__ = ("terms", "__weakref__")
    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: DimLike) -> DimLike:
        return add(self, other)

    def __radd__(self, other: int) -> DimLike:
        return add(self, other)

    def __sub__(self, other: DimLike) -> DimLike:
        return add(self, multiply(other, -1))

    def __rsub__(self, other: int) -> DimLike:
        return add(other, multiply(self, -1))

    def __mul__(self, other: DimLike) -> DimLike:
        return multiply(self, other)

    def __rmul__(self, other: int) -> DimLike:
        return multiply(self, other)

    def __neg__(self) -> DimLike:
        return multiply(self, -1)

    def __str__(self) -> str:
        return dim_text(self)

    def __repr__(self) -> str:
        return f"Dim({dim_text(self)!r})"


DimLike = Union[int, Dim]  # noqa: UP007

_interned: WeakValueDictionary[tuple[tuple[Monomial, int], ...], Dim] = WeakValueDictionary()


def _atom_key(atom: Atom) -> tuple[int, str]:
    return (0, atom) if isinstance(atom, str) else (1, str(atom))


def _monomial_key(monomial: Monomial) -> tuple[int, list[tuple[tuple[int, str], int]]]:
    return (-sum(power for _, power in monomial), [(_atom_key(a), -p) for a, p in monomial])


def _make(terms: Mapping[Monomial, int]) -> DimLike:
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    key = tuple(sorted(kept.items(), key=lambda item: _monomial_key(item[0])))
    found = _interned.get(key)
    if found is None:
        found = Dim()
        found.terms = key
        _interned[key] = found
    return found


def named(name: str) -> Dim:
    """The size called `name`."""
    return _of_atom(name)


def _of_atom(atom: Atom) -> Dim:
    made = _make({((atom, 1),): 1})
    assert isinstance(made, Dim)
    return made


def _terms(dim: DimLike) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(dim, Dim):
        return dim.terms
    return (((), dim),) if dim else ()


def add(a: DimLike, b: DimLike) -> DimLike:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return _add(a, b)


@lru_cache(4096)
def _add(a: DimLike, b: DimLike) -> DimLike:
    total = dict(_terms(a))
    for monomial, coefficient in _terms(b):
        total[monomial] = total.get(monomial, 0) + coefficient
    return _make(total)


def multiply(a: DimLike, b: DimLike) -> DimLike:
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    return _multiply(a, b)


@lru_cache(4096)
def _multiply(a: DimLike, b: DimLike) -> DimLike:
    total: dict[Monomial, int] = {}
    for m1, c1 in _terms(a):
        for m2, c2 in _terms(b):
            powers = dict(m1)
            for atom, power in m2:
                powers[atom] = powers.get(atom, 0) + power
            monomial = tuple(sorted(powers.items(), key=lambda item: _atom_key(item[0])))
            total[monomial] = total.get(monomial, 0) + c1 * c2
    return _make(total)


def product(dims: Iterable[DimLike]) -> DimLike:
    result: DimLike = 1
    for dim in dims:
        result = multiply(result, dim)
    return result


def power(base: DimLike, exponent: int) -> DimLike:
    return product([base] * exponent)


def arithmetic(function: str, dims: Sequence[DimLike]) -> DimLike | None:
    """The sum, difference, product, negative or small power of sizes, by the name of the op; None for others."""
    match function, list(dims):
        case "add", [a, b]:
            return add(a, b)
        case "sub", [a, b]:
            return add(a, multiply(b, -1))
        case "mul", [a, b]:
            return multiply(a, b)
        case "neg", [a]:
            return multiply(a, -1)
        case "pow", [a, int() as exponent] if 0 <= exponent <= 16:
            return power(a, exponent)
    return None


def divide(a: DimLike, b: DimLike) -> DimLike:
    """`a / b` rounded down: exact where the polynomial division is (and by one monomial), else a `div` atom.

    Raises
    ------
    ZeroDivisionError
        If b is zero.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    exact = divide_exactly(a, b)
    if exact is not None:
        return exact
    if isinstance(a, Dim) and isinstance(b, int) and b > 0:  # div(n - 2, 2) is div(n, 2) - 1
        whole = _make({m: c // b for m, c in a.terms if c % b == 0 or not m})
        if whole != 0:
            return add(whole, divide(a - multiply(whole, b), b))
    return _of_atom(Rounded("div", a, b))


def divide_exactly(a: DimLike, b: DimLike) -> DimLike | None:
    """The polynomial q with `a = q * b`, or None; b may be an integer or a polynomial (long division)."""
    if b == 0:
        return None
    lead_monomial, lead_coefficient = _terms(b)[0]
    lead = dict(lead_monomial)
    quotient: DimLike = 0
    rest = a
    for _ in range(64):
        if rest == 0:
            return quotient
        monomial, coefficient = _terms(rest)[0]
        powers = dict(monomial)
        if coefficient % lead_coefficient or any(powers.get(atom, 0) < p for atom, p in lead.items()):
            return None
        left = {atom: p - lead.get(atom, 0) for atom, p in powers.items()}
        term = _make(
            {
                tuple((a, p) for a, p in sorted(left.items(), key=lambda i: _atom_key(i[0])) if p): coefficient
                // lead_coefficient
            }
        )
        quotient = add(quotient, term)
        rest = add(rest, multiply(multiply(term, b), -1))
    return None


def minimum(a: DimLike, b: DimLike) -> DimLike:
    if is_nonnegative(b - a):
        return a
    if is_nonnegative(a - b):
        return b
    first, second = sorted((a, b), key=str)
    return _of_atom(Rounded("min", first, second))


def maximum(a: DimLike, b: DimLike) -> DimLike:
    if is_nonnegative(b - a):
        return b
    if is_nonnegative(a - b):
        return a
    first, second = sorted((a, b), key=str)
    return _of_atom(Rounded("max", first, second))


def _round(kind: str, left: DimLike, right: DimLike) -> DimLike:
    return {"min": minimum, "max": maximum, "div": divide}[kind](left, right)


_assumed: ContextVar[tuple[DimLike, ...]] = ContextVar("_assumed", default=())


@contextmanager
def assuming(nonnegative: Iterable[DimLike]) -> Iterator[None]:
    """Within this context the given dims are known not to be negative (from `where n > m`: n - m - 1)."""
    token = _assumed.set((*_assumed.get(), *nonnegative))
    try:
        yield
    finally:
        _assumed.reset(token)


def assumed() -> tuple[DimLike, ...]:
    """The dims that are known not to be negative here."""
    return _assumed.get()


def is_nonnegative(dim: DimLike) -> bool:
    """Whether `dim >= 0` for all sizes, as far as signs and what is assumed tell (False also means unknown)."""
    if isinstance(dim, int):
        return dim >= 0
    return _is_nonnegative(dim) or any(_is_nonnegative(dim - known) for known in _assumed.get())


def _is_nonnegative(dim: DimLike) -> bool:
    """By the signs of the coefficients, and by what min, max and div are bounded by."""
    if isinstance(dim, int):
        return dim >= 0
    if all(c >= 0 for m, c in dim.terms) and not any(isinstance(a, Rounded) for m, _ in dim.terms for a, _ in m):
        return True
    for monomial, coefficient in dim.terms:
        if len(monomial) != 1 or monomial[0][1] != 1 or not isinstance(monomial[0][0], Rounded):
            continue
        atom = monomial[0][0]
        rest = dim - multiply(_of_atom(atom), coefficient)
        bounds: list[DimLike] = []  # each a lower bound of the term, or of one case of it
        if atom.kind == "min" and coefficient < 0:
            bounds = [atom.left, atom.right]
            return any(_is_nonnegative(rest + multiply(b, coefficient)) for b in bounds)
        if atom.kind == "max" and coefficient > 0:
            bounds = [atom.left, atom.right]
            return any(_is_nonnegative(rest + multiply(b, coefficient)) for b in bounds)
        if atom.kind in ("min", "max"):
            bounds = [atom.left, atom.right]
            return all(_is_nonnegative(rest + multiply(b, coefficient)) for b in bounds)
        if isinstance(atom.right, int) and atom.right > 0:
            # div(a, b) lies between (a - b + 1) / b and a / b; multiply through by b
            low = atom.left - (atom.right - 1) if coefficient > 0 else atom.left
            if _is_nonnegative(multiply(rest, atom.right) + multiply(low, coefficient)):
                return True
            return coefficient > 0 and _is_nonnegative(atom.left) and _is_nonnegative(rest)
    return False


def names_of(dim: DimLike) -> set[str]:
    """The named sizes in a dim."""
    found: set[str] = set()
    if isinstance(dim, Dim):
        for monomial, _ in dim.terms:
            for atom, _ in monomial:
                if isinstance(atom, str):
                    found.add(atom)
                else:
                    found |= names_of(atom.left) | names_of(atom.right)
    return found


def substitute(dim: DimLike, sizes: Mapping[str, DimLike]) -> DimLike:
    """The dim with names replaced; names that are not in `sizes` stay.

    Raises
    ------
    ZeroDivisionError
        If a `div` by what becomes zero is met.
    """
    if isinstance(dim, int) or not sizes:
        return dim
    total: DimLike = 0
    for monomial, coefficient in dim.terms:
        term: DimLike = coefficient
        for atom, exponent in monomial:
            value: DimLike
            if isinstance(atom, str):
                value = sizes[atom] if atom in sizes else named(atom)
            else:
                value = _round(atom.kind, substitute(atom.left, sizes), substitute(atom.right, sizes))
            term = multiply(term, power(value, exponent))
        total = add(total, term)
    return total


def evaluate(dim: DimLike, sizes: Mapping[str, int]) -> int:
    """The size as an integer. Raises KeyError with the name of a size that is not given."""
    value = substitute(dim, sizes)
    if isinstance(value, int):
        return value
    raise KeyError(min(names_of(value)))


def solve_linear(dim: DimLike, value: int) -> tuple[str, int] | None:
    """The one unknown name in `dim` and the size at which the dim equals `value`, if the dim is linear in it."""
    unknown = names_of(dim)
    if len(unknown) != 1 or not isinstance(dim, Dim):
        return None
    (name,) = unknown
    slope = dict(dim.terms).get(((name, 1),), 0)
    if not slope or dim - multiply(named(name), slope) != substitute(dim, {name: 0}):
        return None
    offset = substitute(dim, {name: 0})
    assert isinstance(offset, int)
    size, rest = divmod(value - offset, slope)
    return (name, size) if rest == 0 and size >= 0 else None


def dim_text(dim: DimLike, atom_text: Callable[[str], str] = str) -> str:
    """The dim as an expression of the language; `atom_text` may respell names."""
    if isinstance(dim, int):
        return str(dim)
    parts = []
    for monomial, coefficient in dim.terms:
        factors = []
        for atom, exponent in monomial:
            if isinstance(atom, str):
                text = atom_text(atom)
            else:
                text = f"{atom.kind}({dim_text(atom.left, atom_text)}, {dim_text(atom.right, atom_text)})"
            factors.append(text if exponent == 1 else f"{text}^{exponent}")
        size = abs(coefficient)
        if size != 1 or not factors:
            factors.insert(0, str(size))
        parts.append(("-" if coefficient < 0 else "+", "*".join(factors)))
    first_sign, first = parts[0]
    text = ("-" if first_sign == "-" else "") + first
    return text + "".join(f" {sign} {part}" for sign, part in parts[1:])
