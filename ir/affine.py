"""Indices as affine functions of letters, and the range of values that they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce

from tpc.ir.dims import DimLike, assuming, is_nonnegative, multiply
from tpc.ir.formula import Apply, Composed, LetterValue, Literal, Scalar, SizeValue


@dataclass(frozen=True)
class Affine:
    """`constant + sum of slope * letter`"""

    constant: DimLike
    slopes: Mapping[str, DimLike]

    def plus(self, other: Affine, factor: DimLike = 1) -> Affine:
        slopes = dict(self.slopes)
        for name, slope in other.slopes.items():
            slopes[name] = slopes.get(name, 0) + multiply(slope, factor)
        return Affine(self.constant + multiply(other.constant, factor), {k: v for k, v in slopes.items() if v != 0})


def affine(scalar: Scalar | Composed) -> Affine | None:
    """The scalar as an affine function of letters, or None if it is none."""
    match scalar:
        case Literal():
            value = scalar.value
            return Affine(value, {}) if isinstance(value, int) else None
        case SizeValue(dim=dim):
            return Affine(dim, {})
        case LetterValue(name=name):
            return Affine(0, {name: 1})
        case Apply(function="neg", arguments=(operand,)):
            inner = affine(operand)
            return Affine(0, {}).plus(inner, -1) if inner else None
        case Apply(function="add" | "sub" as function, arguments=(left, right)):
            a, b = affine(left), affine(right)
            return a.plus(b, 1 if function == "add" else -1) if a and b else None
        case Apply(function="mul", arguments=(left, right)):
            a, b = affine(left), affine(right)
            if a and b and not a.slopes:
                return Affine(0, {}).plus(b, a.constant)
            if a and b and not b.slopes:
                return Affine(0, {}).plus(a, b.constant)
    return None


def bounds(
    form: Affine, extents: Mapping[str, DimLike], guards: Sequence[Scalar] = ()
) -> tuple[DimLike, DimLike] | None:
    """Least and largest value over all letters (`0 <= letter < extent`) that satisfy the guards, if known."""
    lows, highs = all_bounds(form, extents, guards)
    with _present(extents):
        low = reduce(lambda a, b: b if is_nonnegative(b - a) else a, lows) if lows else None
        high = reduce(lambda a, b: b if is_nonnegative(a - b) else a, highs) if highs else None
    return (low, high) if low is not None and high is not None else None


def all_bounds(
    form: Affine, extents: Mapping[str, DimLike], guards: Sequence[Scalar] = ()
) -> tuple[list[DimLike], list[DimLike]]:
    """Values that it is never below, and values that it is never above, by the letters alone and by each guard.

    A guard such as `k <= i` is used once, as `i - k >= 0`: what is left of the index after taking it away must keep
    its bound by itself. Which of two bounds is the tighter may depend on sizes.
    """
    with _present(extents):
        known = [Affine(0, {}), *(g for guard in guards for g in _inequalities(guard))]
        lows = [_extreme(form.plus(inequality, -1), extents, -1) for inequality in known]
        highs = [_extreme(form.plus(inequality, 1), extents, 1) for inequality in known]
    return [b for b in lows if b is not None], [b for b in highs if b is not None]


def _present(extents: Mapping[str, DimLike]) -> AbstractContextManager[None]:
    """Where a letter has no values there is nothing to bound, so every extent may be taken to be at least 1."""
    return assuming([extent - 1 for extent in extents.values()])


def _extreme(form: Affine, extents: Mapping[str, DimLike], sign: int) -> DimLike | None:
    total = form.constant
    for name, slope in form.slopes.items():
        if name not in extents:
            return None
        if is_nonnegative(multiply(slope, sign)):
            total = total + multiply(slope, extents[name] - 1)
        elif not is_nonnegative(multiply(slope, -sign)):
            return None
    return total


def _inequalities(guard: Scalar) -> list[Affine]:
    """What a guard says, as affine forms that are not negative."""
    match guard:
        case Apply(function="logical_and", arguments=(left, right)):
            return _inequalities(left) + _inequalities(right)
        case Apply(function="lt" | "le" | "gt" | "ge" | "eq" as function, arguments=(left, right)):
            a, b = affine(left), affine(right)
            if a is None or b is None:
                return []
            strict = Affine(-1 if function in ("lt", "gt") else 0, {})
            ahead = a.plus(b, -1) if function in ("gt", "ge") else b.plus(a, -1)
            both = [a.plus(b, -1)] if function == "eq" else []
            return [ahead.plus(strict), *both]
    return []
