"""Ops that hold a program together: inputs, literals, constants, index statements, subscripts, loops, branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Formula, LetterValue, Literal, Scalar, SizeValue
from tpc.ir.op import Attributes, Op
from tpc.ir.types import INT, TensorType

INPUT = Op(name="input", about="An argument of the program.", group="structure")
LITERAL = Op(name="literal", about="A number written in the program.", group="structure")
CONSTANT = Op(name="constant", about="An array read from a file when the program is compiled.", group="structure")
SIZE = Op(name="size", about="A size as a number.", group="structure")
ITEM = Op(name="item", about="One of several results.", group="structure")

INDEX = Op(
    name="index",
    about="A value said in index notation.",
    group="structure",
    formula_by=lambda operands, attributes: attributes["formula"],
    typing=lambda operands, attributes: [
        TensorType(attributes["formula"].dtype([o.dtype for o in operands]), attributes["formula"].dims)
    ],
)


@dataclass(frozen=True, slots=True)
class At:
    """One position of an axis: a size expression, or (if None) the next of the index operands."""

    position: DimLike | None


@dataclass(frozen=True, slots=True)
class Range:
    """`count` positions of an axis from `start`, `step` apart."""

    start: DimLike
    count: DimLike
    step: int


def _subscript_dims(operands: list[TensorType], attributes: Attributes) -> list[DimLike]:
    return [item.count for item in attributes["items"] if isinstance(item, Range)]


def _subscript_formula(operands: list[TensorType], attributes: Attributes) -> Formula:
    indices: list[Scalar] = []
    axes: list[tuple[str, ...]] = []
    extents: list[tuple[str, DimLike]] = []
    dynamic = 0
    for item in attributes["items"]:
        if isinstance(item, At):
            dynamic += item.position is None
            indices.append(Access(dynamic, ()) if item.position is None else SizeValue(item.position))
            continue
        letter = f"i{len(axes) + 1}"
        axes.append((letter,))
        extents.append((letter, item.count))
        index: Scalar = LetterValue(letter)
        if item.step != 1:
            index = Apply("mul", (Literal(str(item.step)), index))
        if item.start != 0:
            index = Apply("add", (SizeValue(item.start), index))
        indices.append(index)
    return Formula(tuple(axes), tuple(extents), Access(0, tuple(indices)))


SUBSCRIPT = Op(
    name="subscript",
    about="Parts of an array: positions and slices, one item for each axis.",
    group="structure",
    typing=lambda operands, attributes: [TensorType(operands[0].dtype, _subscript_dims(operands, attributes))],
    formula_by=_subscript_formula,
)

CALL = Op(
    name="call",
    about="A function of the program, applied; `sizes` says what its own sizes are here.",
    group="structure",
    typing=lambda operands, attributes: [
        t.substitute(dict(attributes["sizes"])) for t in attributes["body"].result_types
    ],
)
REPEAT = Op(
    name="repeat",
    about="""State that is replaced again and again. The first operands are the state, the others are used unchanged;
    `body` gives the next state, and `until` (if any) is tested before each pass, of which there are at most `count`
    (a size or, if that is None, the last operand).""",
    group="structure",
    typing=lambda operands, attributes: list(attributes["body"].result_types),
)
SCAN = Op(
    name="scan",
    about="""A loop over 0, 1, ..., extent-1, the first operand of `body`. The next `state` operands are carried along;
    further results of the body are stacked along a first axis.""",
    group="structure",
    typing=lambda operands, attributes: [
        t if n < attributes["state"] else TensorType(t.dtype, (attributes["extent"], *t.dims))
        for n, t in enumerate(attributes["body"].result_types)
    ],
)
IF = Op(
    name="if",
    about="`then` where the first operand is true, else `other`; both take the remaining operands.",
    group="structure",
    typing=lambda operands, attributes: list(attributes["then"].result_types),
)


def _derivative_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    return list(attributes["types"])


DERIVATIVE = Op(
    name="derivative",
    about="""A derivative or map of a function, applied; `steps` says which and by which parameters, from the function
    outwards.""",
    group="structure",
    typing=_derivative_types,
)
NORMS = ("frobenius", "spectral", "max")
APPROXIMATE = Op(
    name="approximate",
    about="A value that may be replaced by a cheaper one within a relative error; `norm` says in which of `NORMS`.",
    group="structure",
    options={"norm": "frobenius"},
    typing=lambda operands, attributes: [operands[0]],
)

STRUCTURE: Sequence[Op] = (
    INPUT,
    LITERAL,
    CONSTANT,
    SIZE,
    ITEM,
    INDEX,
    SUBSCRIPT,
    CALL,
    REPEAT,
    SCAN,
    IF,
    DERIVATIVE,
    APPROXIMATE,
)


class ConstantData:
    """A constant array with its digest; two are equal when their bytes, shape and dtype are."""

    __slots__ = ("path", "digest", "array")

    def __init__(self, path: str, digest: str, array: Any) -> None:
        self.path, self.digest, self.array = path, digest, array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConstantData) and (self.path, self.digest) == (other.path, other.digest)

    def __hash__(self) -> int:
        return hash((self.path, self.digest))


SIZE_TYPE = TensorType(INT)
