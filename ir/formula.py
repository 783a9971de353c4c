"""One line of index notation, as data: what an op with a formula, or an index statement, means.

    formula   = axes of the result, each one letter or several composed; the extent of every letter; a scalar body
    scalar    = literal | letter | size | access | apply | reduction
    access    = operand[index, ...], where an index is a scalar of integers or a composed axis

The value of the formula at letters (i, j, ...) is its body there. Everything else is derived from this: the shape,
the reference meaning, operation counts, the code of a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tpc.ir.dims import DimLike, arithmetic, product
from tpc.ir.scalar import REDUCERS, SCALARS
from tpc.ir.types import BOOL, COMPLEX, INT, REAL, DType


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, kept by its spelling so that 0.0, -0.0, 1 and true stay apart."""

    spelling: str

    @property
    def value(self) -> bool | int | float | complex:
        if self.spelling in ("true", "false"):
            return self.spelling == "true"
        if self.spelling.endswith("j"):
            return complex(self.spelling)
        return float(self.spelling) if any(c in self.spelling for c in ".einf") else int(self.spelling)

    @staticmethod
    def of(value: bool | int | float | complex) -> Literal:
        if isinstance(value, bool):
            return Literal("true" if value else "false")
        return Literal(f"{value.imag!r}j" if isinstance(value, complex) else repr(value))

    @property
    def dtype(self) -> DType:
        value = self.value
        if isinstance(value, bool):
            return BOOL
        return INT if isinstance(value, int) else REAL if isinstance(value, float) else COMPLEX


@dataclass(frozen=True, slots=True)
class LetterValue:
    """An index letter used as a number."""

    name: str


@dataclass(frozen=True, slots=True)
class SizeValue:
    """A dim used as a number."""

    dim: DimLike


@dataclass(frozen=True, slots=True)
class Composed:
    """The position in an axis made of several letters, the last running fastest."""

    letters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """An entry of an operand. Outside of the bounds it is `pad` (if given; else the indices never leave them)."""

    operand: int
    indices: tuple[Scalar | Composed, ...]
    pad: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    function: str
    arguments: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Reduction:
    """`operator[letters where guard](body)`; what the guard leaves out does not count."""

    operator: str
    letters: tuple[str, ...]
    guard: Scalar | None
    body: Scalar


Scalar = Literal | LetterValue | SizeValue | Access | Apply | Reduction


@dataclass(frozen=True)
class Formula:
    """The meaning of a value with one axis per entry of `axes`, over operands numbered from 0."""

    axes: tuple[tuple[str, ...], ...]
    extents: tuple[tuple[str, DimLike], ...]
    body: Scalar

    @cached_property
    def extent(self) -> dict[str, DimLike]:
        return dict(self.extents)

    @cached_property
    def dims(self) -> tuple[DimLike, ...]:
        return tuple(product(self.extent[letter] for letter in axis) for axis in self.axes)

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """The letters of the result, in order."""
        return tuple(letter for axis in self.axes for letter in axis)

    def dtype(self, operands: list[DType]) -> DType:
        return scalar_dtype(self.body, operands)

    @cached_property
    def flops(self) -> DimLike:
        """Operations of the formula evaluated literally: each at every value of the letters around it."""
        return _flops(self.body, product(self.extent[letter] for letter in self.letters), self.extent)


def scalar_dtype(scalar: Scalar, operands: list[DType]) -> DType:
    """The dtype of a scalar expression over operands of the given dtypes."""
    match scalar:
        case Literal():
            return scalar.dtype
        case LetterValue() | SizeValue():
            return INT
        case Access(operand=operand):
            return operands[operand]
        case Apply(function=function, arguments=arguments):
            return SCALARS[function].dtype([scalar_dtype(a, operands) for a in arguments])
        case Reduction(operator=operator, body=body):
            return REDUCERS[operator].dtype(scalar_dtype(body, operands))


def children(scalar: Scalar) -> tuple[Scalar, ...]:
    """The scalars directly inside of one."""
    match scalar:
        case Access(indices=indices, pad=pad):
            inner = tuple(i for i in indices if not isinstance(i, Composed))
            return inner if pad is None else (*inner, pad)
        case Apply(arguments=arguments):
            return arguments
        case Reduction(guard=guard, body=body):
            return (body,) if guard is None else (guard, body)
        case _:
            return ()


def mapped(scalar: Scalar, change: Callable[[Scalar], Scalar]) -> Scalar:
    """The scalar with `change` applied to all scalars in it, the innermost first."""
    match scalar:
        case Access(operand=operand, indices=indices, pad=pad):
            places = tuple(i if isinstance(i, Composed) else mapped(i, change) for i in indices)
            scalar = Access(operand, places, None if pad is None else mapped(pad, change))
        case Apply(function=function, arguments=arguments):
            scalar = applied(function, tuple(mapped(a, change) for a in arguments))
        case Reduction(operator=operator, letters=letters, guard=guard, body=body):
            kept = None if guard is None else mapped(guard, change)
            scalar = Reduction(operator, letters, kept, mapped(body, change))
    return change(scalar)


def relettered(formula: Formula, names: Mapping[str, str]) -> Formula:
    """The formula with other names for some of its letters."""

    def place(item: Scalar | Composed) -> Scalar | Composed:
        return Composed(tuple(names.get(n, n) for n in item.letters)) if isinstance(item, Composed) else item

    def change(scalar: Scalar) -> Scalar:
        match scalar:
            case LetterValue(name=name):
                return LetterValue(names.get(name, name))
            case Reduction(letters=letters):
                return replace(scalar, letters=tuple(names.get(n, n) for n in letters))
            case Access(indices=indices):
                return replace(scalar, indices=tuple(map(place, indices)))
        return scalar

    axes = tuple(tuple(names.get(n, n) for n in axis) for axis in formula.axes)
    extents = tuple((names.get(n, n), dim) for n, dim in formula.extents)
    return Formula(axes, extents, mapped(formula.body, change))


def size_scalar(dim: DimLike) -> Scalar:
    """A size as a scalar: a literal if it is an integer."""
    return Literal(str(dim)) if isinstance(dim, int) else SizeValue(dim)


def applied(function: str, arguments: tuple[Scalar, ...]) -> Scalar:
    """A function of scalars; the negative of a number is a number, and arithmetic of sizes is a size."""
    first = arguments[0]
    if function == "neg" and isinstance(first, Literal) and not isinstance(first.value, (bool, complex)):
        return Literal.of(-first.value)
    if any(isinstance(a, SizeValue) for a in arguments):
        dims = [_static(a) for a in arguments]
        if None not in dims:
            dim = arithmetic(function, [d for d in dims if d is not None])
            if dim is not None:
                return size_scalar(dim)
    return Apply(function, arguments)


def _static(scalar: Scalar) -> DimLike | None:
    if isinstance(scalar, SizeValue):
        return scalar.dim
    value = scalar.value if isinstance(scalar, Literal) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def walk(scalar: Scalar) -> Iterator[Scalar]:
    """All scalars inside of one, itself first."""
    stack = [scalar]
    while stack:
        item = stack.pop()
        yield item
        stack.extend(reversed(children(item)))


def accesses(scalar: Scalar) -> Iterator[Access]:
    return (s for s in walk(scalar) if isinstance(s, Access))


def free_letters(scalar: Scalar | Composed) -> set[str]:
    """The letters that a scalar depends on."""
    if isinstance(scalar, LetterValue):
        return {scalar.name}
    if isinstance(scalar, Composed):
        return set(scalar.letters)
    found: set[str] = set()
    if isinstance(scalar, Access):
        for index in scalar.indices:
            found |= set(index.letters) if isinstance(index, Composed) else set()
    for child in children(scalar):
        found |= free_letters(child)
    if isinstance(scalar, Reduction):
        found -= set(scalar.letters)
    return found


def letters_in_order(axes: Iterable[tuple[str, ...]], body: Scalar) -> list[str]:
    """The letters of the result, and those of reductions as they are met."""
    bound = [letter for item in walk(body) if isinstance(item, Reduction) for letter in item.letters]
    return [*(letter for axis in axes for letter in axis), *bound]


def _flops(scalar: Scalar, times: DimLike, extent: dict[str, DimLike]) -> DimLike:
    total: DimLike = 0
    if isinstance(scalar, Apply):
        total = times * SCALARS[scalar.function].flops
    elif isinstance(scalar, Reduction):
        times = times * product(extent[letter] for letter in scalar.letters)
        total = times
    elif isinstance(scalar, Access):
        # index arithmetic is not counted, but a gathered index is an access of its own (and costs nothing)
        return total if scalar.pad is None else _flops(scalar.pad, times, extent)
    for child in children(scalar):
        total = total + _flops(child, times, extent)
    return total
