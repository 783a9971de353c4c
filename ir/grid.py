"""Formulas on the grid of all of their letters, one axis each, reduced from the inside out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.dsl.diagnostics import fail
from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Composed, LetterValue, Literal, Reduction, Scalar, SizeValue
from tpc.ir.residue import Residue
from tpc.ir.scalar import REDUCERS, SCALARS

if TYPE_CHECKING:
    from tpc.ir.reference import Domain

MAX_GRID = 200_000_000
_OF_FIELD = ("sum", "prod", "mean", "any", "all")
_ORDERED = ("lt", "le", "gt", "ge", "maximum", "minimum", "abs", "sign", "relu", "floor", "ceil", "mod", "floor_div")


class Grid:
    """The values of scalars at all letters in scope, one axis each; values are broadcast against the grid."""

    def __init__(
        self,
        domain: Domain,
        size: Callable[[DimLike], int],
        operands: Sequence[Any],
        extents: Mapping[str, int],
        letters: list[str],
    ) -> None:
        self.domain, self.size, self.operands, self.extents, self.letters = domain, size, operands, extents, letters
        self.shape = tuple(extents[name] for name in letters)

    def letter(self, name: str) -> Any:
        axis = self.letters.index(name)
        shape = [1] * len(self.letters)
        shape[axis] = self.extents[name]
        return np.arange(self.extents[name]).reshape(shape)

    def scalar(self, scalar: Scalar) -> Any:
        match scalar:
            case Literal():
                value = scalar.value
                return np.asarray(value if isinstance(value, int) else self.domain.number(value))
            case LetterValue(name=name):
                return self.letter(name)
            case SizeValue(dim=dim):
                return np.asarray(self.size(dim))
            case Access():
                return self.access(scalar)
            case Apply(function=function, arguments=arguments):
                return self.apply(function, [self.scalar(a) for a in arguments])
            case Reduction():
                return self.reduce(scalar)

    def apply(self, function: str, values: list[Any]) -> Any:
        domain = self.domain
        known = SCALARS[function]
        if not domain.is_float:
            whole = all(v.dtype.kind in "bi" for v in values)
            ordered = domain.name == "exact" and function in _ORDERED
            if domain.free is not None and not (whole and known.result not in ("float", "real")):
                if not known.exact or function == "pow":
                    return domain.free.scalar(function, values)
            elif not (known.exact or whole or ordered):
                raise fail("E0905", f"`{function}` has no exact meaning")
            if function == "div":
                values = [_fractions(domain, v) for v in values]
            if function == "pow":
                return _power(values[0], values[1])
            if function in ("conj", "re"):
                return values[0]
        elif known.result in ("float", "real"):
            # NumPy would take a truth value as a number of half precision
            values = [v.astype(np.float64) if v.dtype.kind == "b" else v for v in values]
        elif function == "pow" and values[0].dtype.kind in "bi" and values[1].dtype.kind in "bi":
            return _power(values[0], values[1])
        return np.asarray(known.meaning(np, *values))

    def index(self, index: Scalar | Composed) -> Any:
        if isinstance(index, Composed):
            position: Any = np.asarray(0)
            for name in index.letters:
                position = position * self.extents[name] + self.letter(name)
            return position
        position = self.scalar(index)
        return position if position.dtype.kind in "bi" else np.vectorize(int, otypes=[np.int64])(position)

    def access(self, access: Access) -> Any:
        array = self.operands[access.operand]
        if not access.indices:
            return array
        positions = [self.index(i) for i in access.indices]
        inside: Any = np.asarray(True)
        for position, extent in zip(positions, array.shape, strict=True):
            inside = inside & (position >= 0) & (position < extent)
        if access.pad is None:
            clipped = [np.clip(p, 0, max(e - 1, 0)) for p, e in zip(positions, array.shape, strict=True)]
            if not inside.all() and not self.guarded(inside):
                raise IndexError("an index is outside of its axis")
            if 0 in array.shape:
                return np.zeros(np.broadcast_shapes(*(p.shape for p in positions)), dtype=array.dtype)
            return np.asarray(array[tuple(clipped)])
        pad = self.scalar(access.pad)
        if 0 in array.shape:
            return np.broadcast_to(pad, np.broadcast_shapes(inside.shape, pad.shape))
        clipped = [np.clip(p, 0, e - 1) for p, e in zip(positions, array.shape, strict=True)]
        return np.where(inside, array[tuple(clipped)], pad)

    guard: Any = None

    def guarded(self, inside: Any) -> bool:
        """Whether all places where an access leaves its operand are left out by a guard."""
        return self.guard is not None and not np.any(self.guard & ~inside)

    def reduce(self, reduction: Reduction) -> Any:
        inner = Grid(self.domain, self.size, self.operands, self.extents, [*self.letters, *reduction.letters])
        count = len(reduction.letters)
        axes = tuple(range(len(self.letters), len(self.letters) + count))
        if self.guard is not None:
            inner.guard = self.guard.reshape(self.guard.shape + (1,) * count)
        kept: Any = None
        if reduction.guard is not None:
            kept = inner.scalar(reduction.guard)
            if inner.guard is not None:
                inner.needed(len(inner.letters), kept, inner.guard)  # both may span more than the body does
            inner.guard = kept if inner.guard is None else kept & inner.guard
        body = inner.scalar(reduction.body)
        shape = inner.needed(len(self.letters), body, *(() if kept is None else (kept,)))
        body = np.broadcast_to(body, shape)
        return self.reduced(reduction.operator, body, axes, None if kept is None else np.broadcast_to(kept, shape))

    def needed(self, outer: int, *values: Any) -> tuple[int, ...]:
        """The grid over the letters that values depend on, and all of those after the first `outer`."""
        shape = np.broadcast_shapes((1,) * len(self.letters), *(v.shape for v in values))
        shape = (*shape[:outer], *self.shape[outer:])
        entries = math.prod(shape)
        if entries > MAX_GRID:
            raise fail(
                "E0906",
                f"the reference interpreter would need a grid of {entries:,} entries",
                help="it is for small sizes; take another backend",
            )
        return shape

    def reduced(self, operator: str, body: Any, axes: tuple[int, ...], kept: Any) -> Any:
        domain = self.domain
        reducer = REDUCERS[operator]
        outer = body.shape[: axes[0]]
        if domain.free is not None and operator not in _OF_FIELD and body.dtype == object:
            if kept is not None:
                raise fail("E0905", f"`{operator}` with a guard has no exact meaning")
            return domain.free.reduction(operator, body, len(axes))
        if 0 in outer:
            return np.zeros(outer, dtype=np.int64 if operator.startswith("arg") else body.dtype)
        if operator.startswith("arg"):
            sign = 1 if operator == "argmax" else -1
            if kept is not None:
                body = np.where(kept, body * sign, -np.inf) * sign
            if body.shape[axes[0]] == 0:
                raise ValueError(f"{operator} over nothing")
            return np.asarray(getattr(np, operator)(body, axis=axes[0]))
        if not domain.is_float and not reducer.exact and operator not in ("max", "min", "any", "all"):
            raise fail("E0905", f"`{operator}` has no exact meaning")
        if operator == "mean":
            total = self.reduced("sum", body, axes, kept)
            ones = np.ones(body.shape, dtype=np.int64) if kept is None else kept.astype(np.int64)
            count = ones.sum(axis=axes)
            if not domain.is_float:
                return _fractions(domain, total) / _fractions(domain, count)
            return total / count
        if operator in ("max", "min") and kept is None and 0 in (body.shape[a] for a in axes):
            raise ValueError(f"{operator} over nothing")
        identity = reducer.identity
        if operator in ("max", "min"):
            identity = float("-inf") if operator == "max" else float("inf")
        if kept is not None:
            fill = domain.number(identity) if isinstance(identity, int) else identity
            body = np.where(kept, body, fill)
        if operator in ("max", "min") and 0 in (body.shape[a] for a in axes):
            return np.full(body.shape[: axes[0]], identity)
        if body.dtype == object:
            return _reduce_objects(operator, body, axes, domain)
        return np.asarray(reducer.meaning(np, body, axes))


def _fractions(domain: Domain, array: Any) -> Any:
    """Integers as numbers of the domain, so that they divide exactly."""
    if array.dtype == object:
        return array
    out = np.empty(array.shape, dtype=object)
    for position in np.ndindex(array.shape):
        out[position] = domain.number(int(array[position]))
    return out


def _power(base: Any, exponent: Any) -> Any:
    """Integer powers by multiplication, as exact as the numbers are."""
    base, exponent = np.broadcast_arrays(base, exponent)
    out = np.empty(base.shape, dtype=base.dtype)
    for position in np.ndindex(base.shape):
        power = exponent[position]
        whole = int(power) if not isinstance(power, Residue) else power.value
        if power != whole:
            raise fail("E0905", "a power that is not whole has no exact meaning")
        if base.dtype.kind == "i" and whole < 0:
            raise ValueError("an integer has no negative power")
        out[position] = base[position] ** whole
    return out


def _reduce_objects(operator: str, body: Any, axes: tuple[int, ...], domain: Domain) -> Any:
    outer = body.shape[: axes[0]]
    flat = body.reshape((*outer, math.prod(body.shape[axes[0] :])))
    out = np.empty(outer, dtype=object)
    for position in np.ndindex(outer):
        total = domain.number(1 if operator == "prod" else 0)
        items = list(flat[position])
        if operator in ("max", "min"):
            total = max(items) if operator == "max" else min(items)
        else:
            for item in items:
                total = total * item if operator == "prod" else total + item
        out[position] = total
    return out
