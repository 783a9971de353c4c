"""Lines of facts, as ops state them, and the finding of what they say in a place.

    diagonal(A), diagonal(B) |- diagonal(this) where square(A)

Premises and conclusion are facts of named values, with sizes or numbers as further arguments: names among those of a
premise are bound, and the conclusion computes with them. Conditions are

    square(A)  matrix(A)  vector(A)  scalar(A)      the number of axes; square is known to have equal sizes
    float(A)                                        a float dtype
    same_shape(A, B)                                matrices whose last two sizes are known to agree
    same(A, B)  transposed(A, B)                    one value, or one the transpose of the other
    last(axis)                                      an option that names the last axis
    k <= 0, rows(A) >= cols(A), ...                 relations of options and sizes, known to hold for all sizes
    lower                                           an option that is true
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tpc.dsl import syntax
from tpc.ir.dims import Dim, DimLike, is_nonnegative, maximum, minimum
from tpc.ir.node import Constraint, Fact, Node
from tpc.ir.types import TensorType

Number = DimLike | float


@dataclass(frozen=True)
class Known:
    """What is known of one value."""

    type: TensorType
    facts: frozenset[Fact] = frozenset()
    node: Node | None = None


@dataclass(frozen=True)
class Place:
    """Where a line is applied: values by name, options, and sizes that are known not to be negative."""

    values: Mapping[str, Known]
    options: Mapping[str, Any] = field(default_factory=dict)
    nonnegative: Sequence[DimLike] = ()

    def proves(self, dim: DimLike) -> bool:
        """Whether a size is known not to be negative."""
        return is_nonnegative(dim) or any(is_nonnegative(dim - known) for known in self.nonnegative)


@dataclass(frozen=True, eq=False)
class Statement:
    """A line: `fact` of `about` is concluded from the premises under the conditions."""

    text: str
    premises: tuple[syntax.Call, ...]
    fact: str
    about: str
    arguments: tuple[syntax.Expr, ...]
    conditions: tuple[syntax.Expr, ...]

    def conclusions(self, place: Place) -> Iterator[tuple[Fact, frozenset[tuple[str, Fact]]]]:
        """What the line says in a place, each with the premises (name and fact) that it was found by."""
        for bound, used in _matches(self.premises, place, {}):
            if all(_holds(c, place, bound) for c in self.conditions):
                values = [_number(a, place, bound) for a in self.arguments]
                if all(v is not None for v in values):
                    yield Fact(self.fact, tuple(v for v in values if v is not None)), used


@cache
def statements(text: str) -> tuple[Statement, ...]:
    """Read lines of facts; raises `TpcError`."""
    from tpc.dsl.parser import parse_fact_lines

    return tuple(_statement(line) for line in parse_fact_lines(text))


def _statement(line: syntax.FactLine) -> Statement:
    premises = tuple(p for p in line.premises if isinstance(p, syntax.Call))
    assert len(premises) == len(line.premises), line.span.text
    if isinstance(line.conclusion, syntax.Name):  # `never`
        return Statement(line.span.text, premises, line.conclusion.name, "", (), tuple(line.where))
    assert isinstance(line.conclusion, syntax.Call), line.span.text
    about, *arguments = line.conclusion.arguments
    fact = _name(line.conclusion.function)
    return Statement(line.span.text, premises, fact, _name(about), tuple(arguments), tuple(line.where))


def _name(expression: syntax.Expr) -> str:
    assert isinstance(expression, syntax.Name), expression
    return expression.name


def _matches(
    premises: Sequence[syntax.Call], place: Place, bound: dict[str, Number]
) -> Iterator[tuple[dict[str, Number], frozenset[tuple[str, Fact]]]]:
    if not premises:
        yield bound, frozenset()
        return
    premise = premises[0]
    fact, about = _name(premise.function), _name(premise.arguments[0])
    known = place.values.get(about)
    for candidate in known.facts if known is not None else ():
        if candidate.name != fact:
            continue
        extended = _bind(premise.arguments[1:], candidate.arguments, bound)
        if extended is not None:
            for rest, used in _matches(premises[1:], place, extended):
                yield rest, used | {(about, candidate)}


def _bind(
    patterns: Sequence[syntax.Expr], values: Sequence[Number], bound: dict[str, Number]
) -> dict[str, Number] | None:
    extended = dict(bound)
    for pattern, value in zip(patterns, values, strict=True):
        if isinstance(pattern, syntax.Number):
            if pattern.value != value:
                return None
        elif extended.setdefault(_name(pattern), value) != value:
            return None
    return extended


def _number(expression: syntax.Expr, place: Place, bound: Mapping[str, Number]) -> Number | None:
    """A size or number in terms of the bound names, options, and `rows` and `cols` of values."""
    match expression:
        case syntax.Number(value=int() | float() as value):
            return value
        case syntax.Name(name=name):
            if name in bound:
                return bound[name]
            option = place.options.get(name)
            return option if isinstance(option, (int, float, Dim)) and not isinstance(option, bool) else None
        case syntax.Unary(operator="-", operand=operand):
            inner = _number(operand, place, bound)
            return None if inner is None else -inner
        case syntax.Binary(operator="+" | "-" | "*" as sign, left=left, right=right):
            a, b = _number(left, place, bound), _number(right, place, bound)
            if a is None or b is None:
                return None
            result: Number = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](a, b)
            return result
        case syntax.Call(function=syntax.Name(name="rows" | "cols" as name), arguments=[syntax.Name(name=about)]):
            type = place.values[about].type
            return type.dims[-2 if name == "rows" else -1] if type.rank >= 2 else None
        case syntax.Call(function=syntax.Name(name="min" | "max" as name), arguments=[left, right]):
            a, b = _number(left, place, bound), _number(right, place, bound)
            if a is None or b is None or isinstance(a, float) or isinstance(b, float):
                return None
            return minimum(a, b) if name == "min" else maximum(a, b)
    raise AssertionError(expression.span.text)


def _holds(condition: syntax.Expr, place: Place, bound: Mapping[str, Number]) -> bool:
    match condition:
        case syntax.Name(name=name):
            return place.options.get(name) is True
        case syntax.Binary(operator="==" | "<" | "<=" | ">" | ">=" as relation, left=left, right=right):
            a, b = _number(left, place, bound), _number(right, place, bound)
            if a is None or b is None or isinstance(a, float) or isinstance(b, float):
                return False
            if relation == "==":
                return a == b
            low, high = (a, b) if relation[0] == "<" else (b, a)
            return place.proves(high - low - (0 if relation.endswith("=") else 1))
        case syntax.Call(function=syntax.Name(name=name), arguments=arguments):
            names = [_name(a) for a in arguments]
            if name == "last":
                return place.options[names[0]] in (-1, place.values["this"].type.rank - 1)
            values = [place.values.get(n) for n in names]
            return all(v is not None for v in values) and _RELATIONS[name](*values)
    raise AssertionError(condition.span.text)


def is_square(type: TensorType) -> bool:
    """Whether the last two sizes are known to be equal."""
    return type.rank >= 2 and type.dims[-1] == type.dims[-2]


def _same_shape(a: Known, b: Known) -> bool:
    return a.type.rank >= 2 and b.type.rank >= 2 and a.type.dims[-2:] == b.type.dims[-2:]


def _is_transpose(a: Node, b: Node) -> bool:
    turned = a.op.name == "transpose" or (a.op.name == "adjoint" and a.tensor.dtype.kind != "c")
    return turned and a.args[0] is b


def _transposed(a: Known, b: Known) -> bool:
    return (
        a.node is not None and b.node is not None and (_is_transpose(a.node, b.node) or _is_transpose(b.node, a.node))
    )


_RELATIONS: dict[str, Any] = {
    "square": lambda a: is_square(a.type),
    "matrix": lambda a: a.type.rank >= 2,
    "vector": lambda a: a.type.rank == 1,
    "scalar": lambda a: a.type.rank == 0,
    "float": lambda a: a.type.dtype.is_float,
    "same_shape": _same_shape,
    "same": lambda a, b: a.node is not None and a.node is b.node,
    "transposed": _transposed,
}


def nonnegative_sizes(constraints: Sequence[Constraint]) -> tuple[DimLike, ...]:
    """Sizes that are not negative where the constraints hold."""
    known: list[DimLike] = []
    for constraint in constraints:
        over = constraint.left - constraint.right
        known += {
            ">": [over - 1],
            ">=": [over],
            "<": [-over - 1],
            "<=": [-over],
            "==": [over, -over],
            "!=": [],
        }[constraint.relation]
    return tuple(known)
