"""A second judge of formulas, as plain as can be: loops over all letters, one number at a time."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    SizeValue,
)
from tpc.ir.scalar import REDUCERS, SCALARS


def value_of(formula: Formula, operands: Sequence[np.ndarray]) -> np.ndarray:
    """The array that a formula with known extents means."""
    extent: dict[str, Any] = dict(formula.extents)
    names = [name for axis in formula.axes for name in axis]
    values = [
        _scalar(formula.body, dict(zip(names, at, strict=True)), extent, operands)
        for at in itertools.product(*(range(extent[name]) for name in names))
    ]
    shape = [math.prod(extent[name] for name in axis) for axis in formula.axes]
    if not values:
        return np.zeros(shape)
    return np.array(values).reshape(shape)


def _scalar(scalar: Scalar, at: dict[str, int], extent: dict[str, Any], operands: Sequence[np.ndarray]) -> Any:
    match scalar:
        case Literal(value=value):
            return value
        case LetterValue(name=name):
            return at[name]
        case SizeValue(dim=dim):
            return dim
        case Apply(function=function, arguments=arguments):
            values = [_scalar(a, at, extent, operands) for a in arguments]
            return SCALARS[function].meaning(np, *values)
        case Access(operand=number, indices=indices, pad=pad):
            array, place = operands[number], []
            for index, size in zip(indices, operands[number].shape, strict=True):
                if isinstance(index, Composed):
                    position = 0
                    for letter in index.letters:
                        position = position * extent[letter] + at[letter]
                else:
                    position = _scalar(index, at, extent, operands)
                if not 0 <= position < size:
                    if pad is None:
                        raise IndexError(f"{position} of {size}")
                    return _scalar(pad, at, extent, operands)
                place.append(int(position))
            return array[tuple(place)]
        case Reduction(operator=operator, letters=letters, guard=guard, body=body):
            terms = []
            for position in itertools.product(*(range(extent[letter]) for letter in letters)):
                inner = {**at, **dict(zip(letters, position, strict=True))}
                if guard is None or _scalar(guard, inner, extent, operands):
                    terms.append(_scalar(body, inner, extent, operands))
            if not terms:
                identity = REDUCERS[operator].identity
                assert identity is not None, operator
                return identity
            return REDUCERS[operator].meaning(np, np.array(terms), 0)
