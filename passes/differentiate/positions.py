"""Index positions: affine in letters where they can be, letters in the places of others, guards that always hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tpc.ir.affine import Affine, affine, bounds
from tpc.ir.dims import DimLike, is_nonnegative, names_of
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    LetterValue,
    Literal,
    Scalar,
    SizeValue,
    applied,
    mapped,
    size_scalar,
)

ZERO = Literal("0.0")


def unused(stem: str, extents: Mapping[str, DimLike], dims: Iterable[DimLike] = ()) -> Iterator[str]:
    """Names for letters that are neither those of others nor of sizes."""
    taken = {*extents, *(name for dim in (*extents.values(), *dims) for name in names_of(dim))}
    return (name for name in (f"{stem}{k}" for k in range(1, 10_000)) if name not in taken)


def plain(scalar: Scalar) -> Scalar:
    """The scalar with positions, and what is compared with them, in as few words as possible."""

    def shortest(item: Scalar) -> Scalar:
        form = affine(item) if isinstance(item, Apply) else None
        return item if form is None else as_scalar(form, 1, None)

    def change(item: Scalar) -> Scalar:
        if isinstance(item, Access):
            return replace(item, indices=tuple(i if isinstance(i, Composed) else shortest(i) for i in item.indices))
        if isinstance(item, Apply) and item.function in _COMPARISONS:
            return replace(item, arguments=tuple(map(shortest, item.arguments)))
        return item

    return mapped(scalar, change)


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def is_position(scalar: Scalar) -> bool:
    """Whether a scalar is one of integers: a number that is read, or what is made of some."""
    match scalar:
        case Access(indices=()) | Literal() | LetterValue() | SizeValue():
            return True
        case Apply(function="add" | "sub" | "neg", arguments=arguments):
            return all(map(is_position, arguments))
    return False


def holds(guard: Scalar, extents: dict[str, DimLike]) -> bool:
    """Whether a guard is known to hold wherever its letters are."""
    match guard:
        case Apply(function="logical_and", arguments=arguments):
            return all(holds(a, extents) for a in arguments)
        case Apply(function="ge" | "lt" as relation, arguments=(left, right)):
            forms = affine(left), affine(right)
            if None in forms:
                return False
            below, above = (f for f in forms if f is not None)
            limits = bounds(below, extents), bounds(above, extents)
            if limits[0] is None or limits[1] is None:
                return False
            if relation == "ge":
                return is_nonnegative(limits[0][0] - limits[1][1])
            return is_nonnegative(limits[1][0] - limits[0][1] - 1)
    return False


def as_scalar(form: Affine, sign: int, here: Scalar | None, first: int = 1) -> Scalar:
    """`first * here + sign * form`, in as few words as possible."""
    result: Scalar | None = here if first > 0 else None
    parts: list[tuple[Scalar, DimLike]] = [(LetterValue(n), sign * s) for n, s in form.slopes.items()]
    if here is not None and first < 0:
        parts.append((here, first))
    for letter, slope in sorted(parts, key=lambda part: isinstance(part[1], int) and part[1] < 0):
        size = abs(slope) if isinstance(slope, int) else slope
        term = letter if size == 1 else applied("mul", (size_scalar(size), letter))
        is_less = isinstance(slope, int) and slope < 0
        if result is None:
            result = applied("neg", (term,)) if is_less else term
        else:
            result = applied("sub" if is_less else "add", (result, term))
    constant = sign * form.constant
    if constant == 0 and result is not None:
        return result
    if result is None:
        return size_scalar(constant)
    if isinstance(constant, int) and constant < 0:
        return applied("sub", (result, Literal(str(-constant))))
    return applied("add", (result, size_scalar(constant)))


def arithmetic(place: Scalar | Composed, extents: dict[str, DimLike]) -> Scalar:
    """A composed position as a sum of multiples of letters."""
    if not isinstance(place, Composed):
        return place
    position: Scalar = Literal("0")
    for name in place.letters:
        scaled = position if position == Literal("0") else applied("mul", (position, size_scalar(extents[name])))
        letter = LetterValue(name)
        position = letter if scaled == Literal("0") else applied("add", (scaled, letter))
    return position


def with_letter(scalar: Scalar, name: str, value: Scalar, extents: dict[str, DimLike] | None = None) -> Scalar:
    """The scalar with a letter replaced."""

    def change(item: Scalar) -> Scalar:
        if isinstance(item, LetterValue) and item.name == name:
            return value
        if isinstance(item, Access) and any(isinstance(p, Composed) and name in p.letters for p in item.indices):
            assert extents is not None
            if isinstance(value, LetterValue):
                return replace(item, indices=tuple(_renamed(p, name, value.name) for p in item.indices))
            places = [
                with_letter(arithmetic(p, extents), name, value) if isinstance(p, Composed) and name in p.letters else p
                for p in item.indices
            ]
            return replace(item, indices=tuple(places))
        return item

    return mapped(scalar, change)


def _renamed(place: Scalar | Composed, name: str, other: str) -> Scalar | Composed:
    if not isinstance(place, Composed):
        return place
    return Composed(tuple(other if n == name else n for n in place.letters))


def padded(scalar: Scalar) -> Scalar:
    """The scalar with zeros outside of its operands, for where a condition leaves it out."""

    def change(item: Scalar) -> Scalar:
        if isinstance(item, Access) and item.pad is None and item.indices:
            return replace(item, pad=ZERO)
        return item

    return mapped(scalar, change)
