"""The line of an op as a formula: its operands are the scope in which its body is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.dsl import syntax
from tpc.ir.dims import DimLike
from tpc.ir.extents import finish
from tpc.ir.formula import Formula, Reduction, Scalar, children
from tpc.ir.notation import Reader, dim_of_syntax
from tpc.ir.op import Attributes, Op, bind
from tpc.ir.types import TensorType


@dataclass
class _LineScope:
    """The scope of an op line: its operands are its parameters."""

    names: Sequence[str]
    types: Sequence[TensorType]
    sizes: Mapping[str, DimLike]

    def operand(self, expression: syntax.Expr) -> int:
        assert isinstance(expression, syntax.Name), expression
        return self.names.index(expression.name)

    def operand_type(self, number: int) -> TensorType:
        return self.types[number]

    def scalar(self, expression: syntax.Expr) -> Scalar | None:
        return None

    def size(self, name: str) -> DimLike | None:
        return self.sizes.get(name)

    def extent(self, expression: syntax.Expr) -> DimLike:
        return dim_of_syntax(expression, self.sizes)

    def function(self, name: str) -> syntax.Def | None:
        return None


def formula_of_line(op: Op, operands: Sequence[TensorType], attributes: Attributes) -> Formula:
    """The formula of an op's line at operand types: batch dims become letters, sizes become dims."""
    line = op.syntax
    assert line.body is not None
    binding = bind(op, operands, attributes)
    result: list[tuple[str, ...]] = []
    batch = [f"b{n}" for n in range(1, len(binding.batch) + 1)]
    extents = dict(zip(batch, binding.batch, strict=True))
    for axis in line.results[0]:
        match axis:
            case syntax.Dots():
                result.extend((letter,) for letter in batch)
            case syntax.Composed(letters=letters):
                result.append(tuple(n.name for n in letters))
            case syntax.Name(name=name):
                result.append((name,))
            case _:
                raise AssertionError(f"{op.name}: an axis of a formula is made of letters")
    own = {letter for axis in result for letter in axis}
    # a letter of the result whose size an operand's axis (or a size operand) gives has that extent
    extents.update({name: dim for name, dim in binding.letters.items() if name in own})
    sizes = {name: dim for name, dim in binding.letters.items() if name not in own}
    reader = Reader(_LineScope(op.tensors, operands, sizes), own, extents=extents, batch=batch)
    body = reader.read(line.body)
    for scalar in _reductions(body):
        for letter in scalar.letters:
            if letter in binding.letters:
                reader.extents.setdefault(letter, binding.letters[letter])
    formula, _ = finish(reader, result, body, line.span)
    return formula


def _reductions(body: Scalar) -> list[Reduction]:
    found, stack = [], [body]
    while stack:
        item = stack.pop()
        if isinstance(item, Reduction):
            found.append(item)
        stack.extend(children(item))
    return found
