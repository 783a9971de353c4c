"""Lines of facts, as ops state them, and the finding of what they say in a place.

    diagonal(A), diagonal(B) |- diagonal(this) where square(A)

Premises and conclusion are facts of named values, with sizes or numbers as further arguments: names among those of a
premise are bound, and the conclusion computes with them. `never` as the conclusion says that the premises cannot all
hold. Conditions are

    square(A)  matrix(A)  vector(A)  scalar(A)      the number of axes; square is known to have equal sizes
    nonempty(A)                                     known to have an entry
    odd(A)                                          known to have an odd number of rows
    float(A)  real(A)                               a float dtype; one that is not complex
    same_shape(A, B)                                matrices whose last two sizes are known to agree
    same(A, B)  transposed(A, B)                    one value, or one the transpose of the other
    last(axis)                                      an option that names the last axis
    k <= 0, rows(A) >= cols(A), ...                 relations of options, sizes and numbers, known to hold for all sizes
    lower                                           an option that is true
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any

from tpc.dsl import syntax
from tpc.ir.dims import Dim, DimLike, add, is_nonnegative, maximum, minimum, named, substitute
from tpc.ir.node import Constraint, Fact
from tpc.ir.types import TensorType

Number = DimLike | float
Bound = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one value.

    Attributes
    ----------
    identity : hashable, optional
        Equal for two values only if they are known to be the same: a node, the number of an e-class.
    transposed : hashable, optional
        The identity of the transpose, where that is known.
    """

    type: TensorType
    facts: frozenset[Fact] = frozenset()
    identity: Hashable = None
    transposed: Hashable = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line is applied: values by name, options, and sizes that are known not to be negative."""

    values: Mapping[str, Known]
    options: Mapping[str, Any] = field(default_factory=dict)
    nonnegative: Sequence[DimLike] = ()

    def proves(self, dim: DimLike) -> bool:
        """Whether a size is known not to be negative."""
        return is_nonnegative(dim) or any(is_nonnegative(dim - known) for known in self.nonnegative)


def raised(known: Known, names: Iterable[str], by: int) -> tuple[Known, dict[Fact, Fact]]:
    """A value with each of these sizes n written as n + by: what then holds for all n holds for those of at least `by`.

    The second result leads from the facts so written back to those of the value.
    """
    sizes = {name: add(named(name), by) for name in names}

    def written(number: DimLike | float) -> DimLike | float:
        return number if isinstance(number, float) else substitute(number, sizes)

    back = {Fact(fact.name, tuple(written(a) for a in fact.arguments)): fact for fact in known.facts}
    type = TensorType(known.type.dtype, [substitute(dim, sizes) for dim in known.type.dims])
    return Known(type, frozenset(back)), back


Premises = tuple[tuple[str, Fact], ...]  # names of values, each with a fact of it


@dataclass(frozen=True, slots=True)
class Premise:
    """A fact that a line asks of a named value; its arguments are names to bind, or numbers to be met."""

    fact: str
    about: str
    arguments: tuple[str | Number, ...]


@dataclass(frozen=True, eq=False)
class Statement:
    """A line: `fact` of `about` is concluded from the premises under the conditions.

    Of a line that ends in `never`, `fact` is that word and `about` is empty.
    """

    text: str
    premises: tuple[Premise, ...]
    fact: str
    about: str
    arguments: tuple[syntax.Expr, ...]
    conditions: tuple[syntax.Expr, ...]

    def conclusions(self, place: Place) -> Iterator[tuple[Fact, Premises]]:
        """What the line says in a place, each with the premises (name and fact) that it was found by."""
        numbers, tests = _compiled(self)
        for bound, used in _matches(self.premises, place, {}):
            if all(test(place, bound) for test in tests):
                values = [number(place, bound) for number in numbers]
                if all(v is not None for v in values):
                    yield Fact(self.fact, tuple(v for v in values if v is not None)), used


@dataclass(frozen=True, eq=False)
class Line:
    """A line that is read when its statement is asked for: most lines are about facts that nothing has.

    Attributes
    ----------
    asked
        The facts of its premises, by name.
    fact, about
        Those of the statement.
    """

    text: str
    asked: frozenset[str]
    fact: str
    about: str

    @cached_property
    def statement(self) -> Statement:
        """What it says; raises `TpcError` if it cannot be read."""
        (statement,) = statements(self.text)
        return statement


_CONCLUSION = re.compile(r"\|-\s*(\w+)(?:\((\w+))?")


@cache
def lines(text: str) -> tuple[Line, ...]:
    """Lines of facts, not yet read."""
    found = []
    for line in re.split("[\n;]", text):
        if conclusion := _CONCLUSION.search(line):
            asked = frozenset(re.findall(r"(\w+)\(", line[: conclusion.start()]))
            found.append(Line(line.strip(), asked, conclusion[1], conclusion[2] or ""))
    return tuple(found)


@cache
def statements(text: str) -> tuple[Statement, ...]:
    """Read lines of facts; raises `TpcError`."""
    from tpc.dsl.parser import parse_fact_lines

    return tuple(_statement(line) for line in parse_fact_lines(text))


def _statement(line: syntax.FactLine) -> Statement:
    text = " ".join(line.span.text.split())
    premises = tuple(_premise(p, line) for p in line.premises)
    if isinstance(line.conclusion, syntax.Name):  # `never`
        return Statement(text, premises, line.conclusion.name, "", (), tuple(line.where))
    assert isinstance(line.conclusion, syntax.Call), line.span.text
    about, *arguments = line.conclusion.arguments
    fact = _name(line.conclusion.function)
    return Statement(text, premises, fact, _name(about), tuple(arguments), tuple(line.where))


def _premise(premise: syntax.Expr, line: syntax.FactLine) -> Premise:
    assert isinstance(premise, syntax.Call), line.span.text
    about, *arguments = premise.arguments
    bound: list[str | Number] = []
    for argument in arguments:
        if isinstance(argument, syntax.Number):
            assert isinstance(argument.value, (int, float)), line.span.text
            bound.append(argument.value)
        else:
            bound.append(_name(argument))
    return Premise(_name(premise.function), _name(about), tuple(bound))


def _name(expression: syntax.Expr) -> str:
    assert isinstance(expression, syntax.Name), expression
    return expression.name


# ---- matching premises


@lru_cache(4096)
def by_name(facts: frozenset[Fact]) -> dict[str, tuple[Fact, ...]]:
    """Facts by their names."""
    found: dict[str, tuple[Fact, ...]] = {}
    for fact in facts:
        found[fact.name] = (*found.get(fact.name, ()), fact)
    return found


def _matches(premises: Sequence[Premise], place: Place, bound: dict[str, Number]) -> Iterator[tuple[Bound, Premises]]:
    if not premises:
        yield bound, ()
        return
    premise = premises[0]
    known = place.values.get(premise.about)
    for candidate in by_name(known.facts).get(premise.fact, ()) if known is not None else ():
        extended = _bind(premise.arguments, candidate.arguments, bound)
        if extended is not None:
            for rest, used in _matches(premises[1:], place, extended):
                yield rest, ((premise.about, candidate), *used)


def _bind(
    patterns: Sequence[str | Number], values: Sequence[Number], bound: dict[str, Number]
) -> dict[str, Number] | None:
    if not patterns:
        return bound
    extended = dict(bound)
    for pattern, value in zip(patterns, values, strict=True):
        if isinstance(pattern, str):
            if extended.setdefault(pattern, value) != value:
                return None
        elif pattern != value:
            return None
    return extended


# ---- numbers and conditions, each compiled once into a function of a place and of the bound names


Compute = Callable[[Place, Bound], Number | None]
Test = Callable[[Place, Bound], bool]


@cache
def _compiled(statement: Statement) -> tuple[list[Compute], list[Test]]:
    return [_number(a) for a in statement.arguments], [_condition(c) for c in statement.conditions]


def _number(expression: syntax.Expr) -> Compute:
    """A size or number in terms of the bound names, options, and `rows` and `cols` of values."""
    match expression:
        case syntax.Number(value=int() | float() as value):
            return lambda place, bound: value
        case syntax.Name(name=name):
            return lambda place, bound: bound[name] if name in bound else _option(place, name)
        case syntax.Unary(operator="-", operand=operand):
            return _computed(operator.neg, _number(operand))
        case syntax.Binary(operator="+" | "-" | "*" | "/" as sign, left=left, right=right):
            return _computed(_ARITHMETIC[sign], _number(left), _number(right))
        case syntax.Call(function=syntax.Name(name="rows" | "cols" as name), arguments=[syntax.Name(name=about)]):
            axis = -2 if name == "rows" else -1
            return lambda place, bound: _dim(place.values[about].type, axis)
        case syntax.Call(function=syntax.Name(name="min" | "max" as name), arguments=[left, right]):
            return _computed(_least if name == "min" else _largest, _number(left), _number(right))
    raise AssertionError(expression.span.text)


def _mixed(function: Callable[[Any, Any], Any]) -> Callable[[Number, Number], Number | None]:
    """Sizes compute with integers, and floats with numbers; a size with a float is nothing that is compared."""

    def compute(a: Number, b: Number) -> Number | None:
        mixed = (isinstance(a, float) and isinstance(b, Dim)) or (isinstance(a, Dim) and isinstance(b, float))
        result: Number | None = None if mixed else function(a, b)
        return result

    return compute


def _quotient(a: Number, b: Number) -> Number | None:
    return None if isinstance(a, Dim) or isinstance(b, Dim) or b == 0 else a / b


# Bounds of entries are rounded to nearest, as are the values that they bound: since rounding is monotone, the bounds
# hold of the computed values too, and no sign is ever wrong.
_ARITHMETIC: dict[str, Callable[[Number, Number], Number | None]] = {
    "+": _mixed(operator.add),
    "-": _mixed(operator.sub),
    "*": _mixed(operator.mul),
    "/": _quotient,
}


def _option(place: Place, name: str) -> Number | None:
    option = place.options.get(name)
    return option if isinstance(option, (int, float, Dim)) and not isinstance(option, bool) else None


def _dim(type: TensorType, axis: int) -> DimLike | None:
    return type.dims[axis] if type.rank >= 2 else None


def _computed(function: Callable[..., Number | None], *parts: Compute) -> Compute:
    def compute(place: Place, bound: Bound) -> Number | None:
        values = [part(place, bound) for part in parts]
        return None if any(v is None for v in values) else function(*values)

    return compute


def _least(a: Number, b: Number) -> Number | None:
    if isinstance(a, float) or isinstance(b, float):
        return None if isinstance(a, Dim) or isinstance(b, Dim) else min(a, b)
    return minimum(a, b)


def _largest(a: Number, b: Number) -> Number | None:
    if isinstance(a, float) or isinstance(b, float):
        return None if isinstance(a, Dim) or isinstance(b, Dim) else max(a, b)
    return maximum(a, b)


def _condition(condition: syntax.Expr) -> Test:
    match condition:
        case syntax.Name(name=name):
            return lambda place, bound: place.options.get(name) is True
        case syntax.Binary(operator="==" | "<" | "<=" | ">" | ">=" as relation, left=left, right=right):
            a, b = _number(left), _number(right)
            return lambda place, bound: _compare(place, a(place, bound), relation, b(place, bound))
        case syntax.Call(function=syntax.Name(name="last"), arguments=[axis]):
            option = _name(axis)
            return lambda place, bound: place.options[option] in (-1, place.values["this"].type.rank - 1)
        case syntax.Call(function=syntax.Name(name=name), arguments=arguments):
            relation_of, names = _RELATIONS[name], [_name(a) for a in arguments]

            def holds(place: Place, bound: Bound) -> bool:
                values = [place.values.get(n) for n in names]
                return all(v is not None for v in values) and relation_of(place, *values)

            return holds
    raise AssertionError(condition.span.text)


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _compare(place: Place, a: Number | None, relation: str, b: Number | None) -> bool:
    if a is None or b is None:
        return False
    if not isinstance(a, Dim) and not isinstance(b, Dim):
        return _COMPARED[relation](a, b)
    if isinstance(a, float) or isinstance(b, float):
        return False
    if relation == "==":
        return a == b
    low, high = (a, b) if relation[0] == "<" else (b, a)
    return place.proves(high - low - (0 if relation.endswith("=") else 1))


def is_square(type: TensorType) -> bool:
    """Whether the last two sizes are known to be equal."""
    return type.rank >= 2 and type.dims[-1] == type.dims[-2]


def _same_shape(a: Known, b: Known) -> bool:
    return a.type.rank >= 2 and b.type.rank >= 2 and a.type.dims[-2:] == b.type.dims[-2:]


def _same(a: Known, b: Known) -> bool:
    return a.identity is not None and a.identity == b.identity


def _transposed(a: Known, b: Known) -> bool:
    return (a.transposed is not None and a.transposed == b.identity) or (
        b.transposed is not None and b.transposed == a.identity
    )


_RELATIONS: dict[str, Callable[..., bool]] = {
    "square": lambda place, a: is_square(a.type),
    "matrix": lambda place, a: a.type.rank >= 2,
    "vector": lambda place, a: a.type.rank == 1,
    "scalar": lambda place, a: a.type.rank == 0,
    "nonempty": lambda place, a: all(place.proves(dim - 1) for dim in a.type.dims),
    "odd": lambda place, a: isinstance(rows := _dim(a.type, -2), int) and rows % 2 == 1,
    "float": lambda place, a: a.type.dtype.is_float,
    "real": lambda place, a: a.type.dtype.kind != "c",
    "same_shape": lambda place, a, b: _same_shape(a, b),
    "same": lambda place, a, b: _same(a, b),
    "transposed": lambda place, a, b: _transposed(a, b),
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
