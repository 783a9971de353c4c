"""The arrays that index notation makes on its way to a result, where it is computed one array after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from tpc.ir.affine import affine
from tpc.ir.dims import DimLike
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    children,
    free_letters,
    walk,
)
from tpc.ir.scalar import REDUCERS, SCALARS
from tpc.ir.types import BOOL, I64, INT, DType, TensorType

ELIDED = 2**18  # bytes from which NumPy gives the place of an operand to the result of an operator
OPERATORS = {"add": (0, 1), "mul": (0, 1), "sub": (0,), "div": (0,), "pow": (0,), "neg": (0,)}
"""Operators of NumPy, and which operands may give their place."""
LOGSUMEXP = {"numpy": (5.13, 5), "torch": (1.0, 1)}  # arrays of the sizes of operand and result that a call takes


@dataclass(frozen=True)
class _Part:
    """An array over letters: what it takes, 0 for a look at an operand, and the most that was taken to make it.

    `line` is what is held beside it until it has a name: values with names that went into it.
    """

    letters: frozenset[str]
    dtype: DType
    bytes: int
    peak: int
    depth: int = 0
    line: int = 0
    is_named: bool = False


def temporaries(formula: Formula, types: Sequence[TensorType], size: Callable[[DimLike], int], library: str) -> int:
    """Bytes that are taken beside operands and result, at most.

    Products that are summed are one call. A function of several arrays has them all at once.
    """
    letters = dict.fromkeys([*formula.letters, *(name for name, _ in formula.extents)])  # those of the result first
    at = _Formula({name: size(formula.extent[name]) for name in letters}, types, library)
    at.counts = Counter([formula.body])
    for scalar in dict.fromkeys(walk(formula.body)):
        at.counts.update(children(scalar))
    part = at.part(formula.body)
    result = prod(at.extents[n] for axis in formula.axes for n in axis) * part.dtype.size if formula.axes else 0
    return max(part.peak, part.bytes + result if part.bytes != result else 0) - result


class _Formula:
    def __init__(self, extents: dict[str, int], types: Sequence[TensorType], library: str) -> None:
        self.extents, self.types, self.library = extents, types, library
        self.order = list(extents)
        self.counts: Counter[Scalar] = Counter()
        self.known: dict[Scalar, _Part] = {}
        self.shared = 0  # bytes of values that are used again

    def size(self, letters: frozenset[str], dtype: DType) -> int:
        return prod(self.extents[n] for n in letters) * dtype.size if letters else 0

    def part(self, scalar: Scalar) -> _Part:
        """The array of a scalar; one that is used again has a name, and is held until its last use."""
        if not isinstance(scalar, (Apply, Reduction)):
            return self.made(scalar)
        left = self.counts[scalar] = self.counts[scalar] - 1
        if scalar not in self.known:
            part = self.made(scalar)
            if left <= 0:
                return part
            self.known[scalar] = part
            self.shared += part.bytes
            return replace(part, bytes=0, line=0, depth=0)
        part = self.known[scalar]
        if left > 0:
            return replace(part, bytes=0, peak=self.shared, line=0, depth=0)
        del self.known[scalar]
        self.shared -= part.bytes
        return replace(part, peak=self.shared + part.bytes, line=0, depth=0, is_named=True)

    def made(self, scalar: Scalar) -> _Part:
        match scalar:
            case LetterValue(name=name):
                made = self.size(frozenset([name]), I64)
                return _Part(frozenset([name]), INT, made, made)
            case Access():
                return self.access(scalar)
            case Apply(function=function, arguments=arguments):
                is_power = function == "pow" and arguments[1] != Literal("2")  # the square alone is an operator
                return self.apply(function, [self.part(a) for a in arguments], is_power)
            case Reduction():
                return self.reduction(scalar)
        return _Part(frozenset(), INT, 0, 0)

    def together(self, parts: Sequence[_Part]) -> tuple[int, int]:
        """What arrays take that are made one after the other, in the end and at most.

        What has a name is made on a line before, when those that have none are not there yet.
        """
        held = named = peak = 0
        for part in parts:
            peak = max(peak, (named if part.is_named or part.line else held) + part.peak)
            held += part.bytes + part.line
            named += part.line + part.bytes * part.is_named
            peak = max(peak, self.shared + held)
        return held, peak

    def apply(self, function: str, parts: Sequence[_Part], is_power: bool) -> _Part:
        held, peak = self.together(parts)
        letters = frozenset().union(*(p.letters for p in parts))
        dtype = SCALARS[function].dtype([p.dtype for p in parts])
        made = self.size(letters, dtype)
        gives = not is_power and any(self._gives(function, place, parts, made) for place in OPERATORS.get(function, ()))
        casts = [
            self.size(p.letters, dtype) for p in parts if p.letters and p.dtype.kind in "bi" and dtype.kind in "fc"
        ]
        depth = 1 + max((p.depth for p in parts), default=0)
        line = sum(p.line + p.bytes * p.is_named for p in parts)
        top = max(peak, self.shared + held + sum(casts) * (function != "select") + (0 if gives else made))
        if depth > 2:
            return _Part(letters, dtype, made, top, is_named=True)
        return _Part(letters, dtype, made, top, depth, line)

    def _gives(self, function: str, place: int, parts: Sequence[_Part], made: int) -> bool:
        """Whether NumPy writes the result to an operand that has no name, and the others are numbers or as large."""
        part = parts[place]
        alike = all(p.letters == part.letters or not p.letters for p in parts)
        if place == 1 and not parts[0].letters and not parts[0].dtype.is_weak:
            return False  # a scalar of NumPy on the left does the work itself
        return self.library != "torch" and made >= ELIDED and part.bytes == made and not part.is_named and alike

    def access(self, access: Access) -> _Part:
        letters: frozenset[str] = frozenset()
        gathered = access.pad is not None
        for index in access.indices:
            letters |= frozenset(index.letters) if isinstance(index, Composed) else free_letters(index)
            form = None if isinstance(index, Composed) else affine(index)
            gathered |= not isinstance(index, Composed) and (form is None or len(form.slopes) > 1)
        dtype = self.types[access.operand].dtype
        if not gathered:
            read = [n for index in access.indices for n in sorted(free_letters(index), key=self.order.index)]
            is_turned = [self.order.index(n) for n in read] != sorted({self.order.index(n) for n in read})
            is_cut = not all(isinstance(index, LetterValue) for index in access.indices)
            return _Part(letters, dtype, 0, 0, is_turned + is_cut)
        made = self.size(letters, dtype)
        if access.pad is None:
            return _Part(letters, dtype, made, made, 1)
        places = len(access.indices) * self.size(letters, I64)
        given = sum(self.size(frozenset(free_letters(index)), I64) for index in access.indices)
        return _Part(letters, dtype, made, given + self.size(letters, BOOL) + max(places + made, 2 * made), 1)

    def reduction(self, scalar: Reduction) -> _Part:
        over = frozenset(scalar.letters)
        factors = _factors(scalar.body) if scalar.operator == "sum" and scalar.guard is None else [scalar.body]
        parts = [self.part(f) for f in factors]
        if len(parts) > 1 and sum(bool(p.letters & over) for p in parts) < 2:
            parts = [self.part(scalar.body)]
        held, peak = self.together(parts)
        letters = frozenset().union(*(p.letters for p in parts))
        if scalar.guard is not None:  # the body with a neutral value where it does not count, and where that is
            mask = self.size(frozenset(free_letters(scalar.guard)), BOOL)
            letters |= free_letters(scalar.guard)
            held += mask + self.size(letters, parts[0].dtype)
            peak = max(peak, self.shared + held)
        elif len(parts) > 1:
            held += self.copied([p for p in parts if p.letters], letters - over, over)
        elif scalar.operator == "logsumexp":
            parts = [replace(parts[0], line=0, is_named=False)]  # its operand has a name, and a line before this
            held = parts[0].bytes + self.logsumexp(letters, over, parts[0].dtype)
        dtype = REDUCERS[scalar.operator].dtype(max((p.dtype for p in parts), key=lambda dtype: dtype.size))
        made = self.size(letters - over, dtype)
        line = sum(p.line + p.bytes * p.is_named for p in parts)
        return _Part(letters - over, dtype, made, max(peak, self.shared + held + made), 1, line)

    def logsumexp(self, letters: frozenset[str], over: frozenset[str], dtype: DType) -> int:
        operands, results = LOGSUMEXP["torch" if self.library == "torch" else "numpy"]
        return round(operands * self.size(letters, dtype)) + results * self.size(letters - over, dtype)

    def copied(self, parts: Sequence[_Part], left: frozenset[str], over: frozenset[str]) -> int:
        """What an einsum takes that is made a product of matrices: copies of operands with their axes in order."""
        if len(parts) == 2 and len(over) == 1 and all(len(p.letters - over) <= 1 for p in parts):
            return 0
        common = frozenset.intersection(*(p.letters for p in parts)) & left
        if len(parts) == 2 and common and self.library != "torch":
            return 0
        return sum(self.size(p.letters, p.dtype) for p in parts if len(p.letters) > 2)


def _factors(scalar: Scalar) -> list[Scalar]:
    if isinstance(scalar, Apply) and scalar.function == "mul":
        return [f for a in scalar.arguments for f in _factors(a)]
    return [scalar]
