"""Pieces that op records are made of: axes named by options, lines and formulas that depend on the rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit
from tpc.ir.types import TensorType

LineBy = Callable[[list[TensorType], Attributes], str]
FormulaBy = Callable[[list[TensorType], Attributes], Formula | None]
Typing = Callable[[list[TensorType], Attributes], list[TensorType]]

ZERO, ONE = Literal("0"), Literal("1")


def option_misfit(op: str, option: str, value: Any, wanted: str) -> Misfit:
    """What to raise where the value of an option has no meaning."""
    return Misfit("E0222", f"`{op}` has no meaning for {option}={value}", help=f"{option} is {wanted}")


def checked_axis(op: str, axis: Any, rank: int, option: str = "axis") -> int:
    """An axis option as a position from 0.

    Raises
    ------
    Misfit
        If there is no such axis.
    """
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise option_misfit(op, option, axis, "an integer")
    if not -rank <= axis < rank:
        kind = "a scalar" if rank == 0 else f"an operand with {rank} {'axis' if rank == 1 else 'axes'}"
        help = f"axes are numbered 0 to {rank - 1}, or -1 to {-rank} from the end" if rank else None
        raise Misfit("E0220", f"`{op}` is given {option}={axis}, but {kind} has no such axis", [(0, "")], help)
    return axis % rank


def checked_axes(op: str, axis: Any, rank: int) -> tuple[int, ...]:
    """An option that names axes (None: all of them; an int; a tuple) as ascending positions."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(sorted(checked_axis(op, a, rank) for a in given))
    if len(set(axes)) != len(axes):
        raise option_misfit(op, "axis", axis, "a tuple of different axes")
    return axes


def checked_rank(op: str, operands: Sequence[TensorType], number: int, least: int) -> None:
    """Raise Misfit unless an operand has that many axes at least."""
    if operands[number].rank < least:
        wanted = "a vector" if least == 1 else "a matrix"
        kind = "a scalar" if operands[number].rank == 0 else "a vector"
        raise Misfit("E0204", f"`{op}` needs {wanted}, but is given {kind}", [(number, f"this is {operands[number]}")])


def checked_scalar(op: str, operands: Sequence[TensorType], number: int) -> None:
    """Raise Misfit unless an operand is a scalar."""
    if operands[number].rank:
        title = f"`{op}` needs a scalar, but is given {operands[number]}"
        raise Misfit("E0204", title, [(number, f"this is {operands[number]}")])


def checked_dims(name: str, dims: Any) -> tuple[DimLike, ...]:
    """Sizes as a tuple; raises Misfit if one is literally negative."""
    for dim in dims:
        if isinstance(dim, int) and dim < 0:
            raise Misfit("E0208", f"`{name}` is given a negative size, {dim}")
    return tuple(dims)


def along(template: str, option: str = "axis") -> LineBy:
    """A line for each axis that an option may name: `{i}` stands for all axes, with the letter i at that one.

    `along("flip(x[{i}])[{i}]")` gives `flip(x[a0, i, a1])[a0, i, a1]` for axis 1 of 3.
    """
    name = template.partition("(")[0]

    class Places(dict[str, str]):
        def __missing__(self, letter: str) -> str:
            return ", ".join([*self["before"].split(), letter, *self["after"].split()])

    def line(operands: list[TensorType], attributes: Attributes) -> str:
        rank = operands[0].rank
        checked_rank(name, operands, 0, 1)
        axis = checked_axis(name, attributes[option], rank, option)
        others = [f"a{n}" for n in range(rank - 1)]
        return template.format_map(Places(before=" ".join(others[:axis]), after=" ".join(others[axis:])))

    return line


def typed_by(formula_by: FormulaBy) -> Typing:
    """The rule for types that follows from a formula."""

    def typing(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
        formula = formula_by(operands, attributes)
        assert formula is not None
        return [TensorType(formula.dtype([o.dtype for o in operands]), formula.dims)]

    return typing


def letters_of(type: TensorType) -> list[str]:
    """A letter for each axis."""
    return [f"i{n}" for n in range(type.rank)]


def access(operand: int, indices: Sequence[str | Scalar | Composed], pad: Scalar | None = None) -> Access:
    """An entry of an operand; strings are letters."""
    return Access(operand, tuple(LetterValue(i) if isinstance(i, str) else i for i in indices), pad)


def plus(left: Scalar, right: Scalar) -> Scalar:
    """The sum, left out where one of them is literally zero."""
    if right in (ZERO, SizeValue(0)):
        return left
    if isinstance(right, SizeValue) and isinstance(right.dim, int) and right.dim < 0:
        return Apply("sub", (left, SizeValue(-right.dim)))
    return Apply("add", (left, right))


def over(letters: Sequence[str], dims: Sequence[DimLike], body: Scalar, *bound: tuple[str, DimLike]) -> Formula:
    """A formula with one letter per axis; `bound` are the extents of letters that the body reduces over."""
    return Formula(tuple((n,) for n in letters), (*zip(letters, dims, strict=True), *bound), body)


def each_matrix(np: Any, function: Callable[..., Any], operands: list[Any], cores: Sequence[int]) -> Any:
    """Apply a function of matrices over leading (batch) axes; `cores` are the numbers of axes it takes itself."""
    splits = [operand.ndim - core for operand, core in zip(operands, cores, strict=True)]
    batch = np.broadcast_shapes(*(o.shape[:split] for o, split in zip(operands, splits, strict=True)))
    if not batch:
        return function(*operands)
    whole = [np.broadcast_to(o, batch + o.shape[s:]) for o, s in zip(operands, splits, strict=True)]
    if math.prod(batch) == 0:  # one call on well-behaved operands tells the shapes
        cores_of = [o.shape[len(batch) :] for o in whole]
        results = [function(*(np.eye(*shape) if len(shape) == 2 else np.zeros(shape) for shape in cores_of))]
    else:
        results = [function(*(o[position] for o in whole)) for position in np.ndindex(*batch)]

    def assemble(parts: Sequence[Any]) -> Any:
        parts = parts[: math.prod(batch)] if math.prod(batch) else parts
        stacked = np.stack([np.asarray(part) for part in parts])
        return stacked[: math.prod(batch)].reshape(batch + stacked.shape[1:])

    if isinstance(results[0], tuple):
        return tuple(assemble([result[n] for result in results]) for n in range(len(results[0])))
    return assemble(results)
