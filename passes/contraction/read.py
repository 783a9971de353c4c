"""Formulas as contractions: which ops and index statements are multilinear, and what they contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Reduction, Scalar
from tpc.ir.types import TensorType
from tpc.passes.contraction.form import Axes, Axis, Contraction, Wiring

Number = int | float | Fraction


@dataclass(frozen=True)
class Product:
    """`coefficient * sizes * (1 / divisors) * contraction` of operands, given by their positions."""

    coefficient: Number
    sizes: tuple[DimLike, ...]
    divisors: tuple[DimLike, ...]
    form: Contraction
    operands: tuple[int, ...]


def product_of(formula: Formula, types: Sequence[TensorType]) -> Product | None:
    """The formula as a product of operands summed over letters, or None where it is not one."""
    reading = _Reading(formula, types)
    if not reading.factor(formula.body, {}):
        return None
    output = tuple(tuple(reading.letter(n, {}) for n in axis) for axis in formula.axes)
    form, alone = reading.wiring.freeze(reading.inputs, output)
    return Product(reading.coefficient, tuple(alone), tuple(reading.divisors), form, tuple(reading.operands))


def summands_of(formula: Formula) -> list[tuple[int, Formula]]:
    """The formula as formulas that are added or, with -1, taken away."""
    found: list[tuple[int, Formula]] = []

    def collect(scalar: Scalar, sign: int) -> None:
        match scalar:
            case Apply(function="add" | "sub" as function, arguments=(left, right)):
                collect(left, sign)
                collect(right, sign if function == "add" else -sign)
            case Apply(function="neg", arguments=(inner,)):
                collect(inner, -sign)
            case _:
                found.append((sign, Formula(formula.axes, formula.extents, scalar)))

    collect(formula.body, 1)
    return found


class _Reading:
    def __init__(self, formula: Formula, types: Sequence[TensorType]) -> None:
        self.formula, self.types = formula, types
        self.wiring = Wiring()
        self.letters: dict[str, int] = {}
        self.coefficient: Number = 1
        self.divisors: list[DimLike] = []
        self.inputs: list[Axes] = []
        self.operands: list[int] = []

    def letter(self, name: str, bound: dict[str, int]) -> int:
        if name in bound:
            return bound[name]
        if name not in self.letters:
            self.letters[name] = self.wiring.letter(self.formula.extent[name])
        return self.letters[name]

    def factor(self, scalar: Scalar, bound: dict[str, int]) -> bool:
        """Take in a factor; False where it is none."""
        match scalar:
            case Literal(value=int() | float() as value) if not isinstance(value, bool):
                self.coefficient *= value
                return True
            case Apply(function="mul", arguments=arguments):
                return all(self.factor(a, bound) for a in arguments)
            case Apply(function="square", arguments=(inner,)):
                return isinstance(inner, Access) and self.factor(inner, bound) and self.factor(inner, bound)
            case Apply(function="neg", arguments=(inner,)):
                self.coefficient = -self.coefficient
                return self.factor(inner, bound)
            case Apply(function="conj", arguments=(Access(operand=operand) as inner,)):
                return self.types[operand].dtype.kind != "c" and self.factor(inner, bound)
            case Reduction(operator="sum" | "mean" as operator, letters=letters, guard=None, body=body):
                inner_bound = dict(bound)
                for name in letters:
                    extent = self.formula.extent[name]
                    inner_bound[name] = self.wiring.letter(extent)
                    if operator == "mean":
                        self.divisors.append(extent)
                return self.factor(body, inner_bound)
            case Access(pad=None):
                return self.access(scalar, bound)
            case Apply(
                function="select",
                arguments=(
                    Apply(function="eq", arguments=(LetterValue(name=one), LetterValue(name=other))),
                    inner,
                    Literal(value=0),
                ),
            ):  # nothing off the diagonal: the letters are one
                axis, same = (self.letter(one, bound),), (self.letter(other, bound),)
                if self.wiring.size(axis) != self.wiring.size(same):
                    return False
                return self.wiring.join((axis,), (same,)) and self.factor(inner, bound)
        return False

    def access(self, access: Access, bound: dict[str, int]) -> bool:
        axes: list[Axis] = []
        for index, dim in zip(access.indices, self.types[access.operand].dims, strict=True):
            match index:
                case LetterValue(name=name):
                    axes.append((self.letter(name, bound),))
                case Composed(letters=letters):
                    axes.append(tuple(self.letter(n, bound) for n in letters))
                case Literal(spelling="0") if dim == 1:
                    axes.append(())
                case _:
                    return False
            if self.wiring.size(axes[-1]) != dim:
                return False  # the letters go over a part of the axis
        self.inputs.append(tuple(axes))
        self.operands.append(access.operand)
        return True
