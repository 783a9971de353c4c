"""What a formula says of a matrix by where its entries are zero, and by being the same with its letters exchanged.

T[i, j] = select(i == j, 2, select(abs(i - j) == 1, -1, 0))      banded(1, 1), symmetric
K[i, j] = exp(-sum[k]((X[i, k] - X[j, k])^2))                    symmetric
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, inf

from tpc.ir.affine import affine
from tpc.ir.facts.closing import Reason
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Reduction, Scalar, accesses
from tpc.ir.node import Fact

_COMMUTE = frozenset(["add", "mul", "eq", "ne", "maximum", "minimum", "logical_and", "logical_or", "hypot"])
_EVEN = frozenset(["abs", "square", "cos", "cosh", "sinc", "bessel_i0", "bessel_j0"])
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}
_OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "ne": "eq"}


@dataclass(frozen=True)
class _Places:
    """The places of a matrix whose row minus column lies between two numbers; none, where the first is larger."""

    low: float = -inf
    high: float = inf

    def both(self, other: _Places) -> _Places:
        return _Places(max(self.low, other.low), min(self.high, other.high))

    def either(self, other: _Places) -> _Places:
        if self.low > self.high or other.low > other.high:
            return other if self.low > self.high else self
        return _Places(min(self.low, other.low), max(self.high, other.high))


_NONE, _ALL = _Places(inf, -inf), _Places()


def of_entries(formula: Formula, is_real: bool) -> Iterator[tuple[Fact, Reason]]:
    """The facts of a matrix that is said entry by entry."""
    if len(formula.axes) != 2 or any(len(axis) != 1 for axis in formula.axes):
        return
    (row,), (column,) = formula.axes
    places = _filled(formula.body, row, column)
    reason = Reason("its formula is zero elsewhere")
    if places.low > places.high:
        return
    if places.high <= 0:
        yield Fact("upper"), reason
    if places.low >= 0:
        yield Fact("lower"), reason
    if places.low > -inf and places.high < inf:
        yield Fact("banded", (max(int(places.high), 0), max(int(-places.low), 0))), reason
    is_square = formula.extent[row] == formula.extent[column]
    if is_real and is_square and _sorted(formula.body) == _sorted(formula.body, {row: column, column: row}):
        yield Fact("symmetric"), Reason("its formula is the same with its letters exchanged")


def _filled(scalar: Scalar, row: str, column: str) -> _Places:
    """The places where a scalar may be other than zero."""
    match scalar:
        case Literal() if scalar.value == 0:
            return _NONE
        case Apply(function="select", arguments=(condition, first, second)):
            there, elsewhere = (_where(condition, row, column, holds) for holds in (True, False))
            return _filled(first, row, column).both(there).either(_filled(second, row, column).both(elsewhere))
        case Apply(function="mul", arguments=(first, second)):
            one = _ALL if _reads(second) else _filled(first, row, column)
            return one if _reads(first) else one.both(_filled(second, row, column))
        case Apply(function="add" | "sub", arguments=(first, second)):
            return _filled(first, row, column).either(_filled(second, row, column))
        case Apply(function="neg" | "div", arguments=(first, *others)) if not any(map(_reads, others)):
            return _filled(first, row, column)
    return _ALL


def _reads(scalar: Scalar) -> bool:
    """Whether it may be infinite or NaN, times which zero is not zero."""
    return any(True for _ in accesses(scalar))


def _where(condition: Scalar, row: str, column: str, holds: bool) -> _Places:
    """Places outside of which a condition does not hold (or does)."""
    match condition:
        case Apply(function="logical_not", arguments=(inner,)):
            return _where(inner, row, column, not holds)
        case Apply(function="logical_and" | "logical_or" as function, arguments=(first, second)):
            one, other = _where(first, row, column, holds), _where(second, row, column, holds)
            return one.both(other) if (function == "logical_and") is holds else one.either(other)
        case Apply(function=function, arguments=(left, right)):
            function = function if holds else _OPPOSITE.get(function, "")
            if function not in _TURNED:
                return _ALL
            for inner, bound, relation in ((left, right, function), (right, left, _TURNED[function])):
                limit = affine(bound)
                if not isinstance(inner, Apply) or inner.function != "abs" or limit is None or limit.slopes:
                    continue
                if relation in ("le", "lt", "eq") and isinstance(limit.constant, int):
                    (argument,), most = inner.arguments, limit.constant - (relation == "lt")
                    below = _compared("le", argument, Literal(str(most)), row, column)
                    return below.both(_compared("ge", argument, Literal(str(-most)), row, column))
            return _compared(function, left, right, row, column)
    return _ALL


def _compared(relation: str, left: Scalar, right: Scalar, row: str, column: str) -> _Places:
    form = affine(Apply("sub", (left, right)))
    if form is None or not isinstance(form.constant, int) or set(form.slopes) != {row, column}:
        return _ALL
    slope = form.slopes[row]
    if not isinstance(slope, int) or not slope or form.slopes[column] != -slope:
        return _ALL
    relation = relation if slope > 0 else _TURNED[relation]
    at = -form.constant / slope  # where both sides are equal
    low = {"eq": ceil(at), "ge": ceil(at), "gt": floor(at) + 1}.get(relation, -inf)
    high = {"eq": floor(at), "le": floor(at), "lt": ceil(at) - 1}.get(relation, inf)
    return _Places(low, high)


def _sorted(scalar: Scalar | Composed, letters: dict[str, str] | None = None, even: bool = False) -> object:
    """A scalar that compares equal to what it is with operands in another order; for `even`, but for its sign."""
    renamed = letters or {}
    match scalar:
        case LetterValue(name=name):
            return "letter", renamed.get(name, name)
        case Composed():
            return "composed", tuple(renamed.get(n, n) for n in scalar.letters)
        case Access(operand=operand, indices=indices, pad=pad):
            return "access", operand, tuple(_sorted(i, letters) for i in indices), repr(pad)
        case Reduction(operator=operator, letters=bound, guard=guard, body=body):
            inside = None if guard is None else _sorted(guard, letters)
            return operator, bound, inside, _sorted(body, letters)
        case Apply(function=function, arguments=arguments):
            is_square = function == "pow" and isinstance(arguments[1], Literal) and arguments[1].value == 2
            if function in _EVEN or is_square:
                return function, _sorted(arguments[0], letters, True), len(arguments)
            if even and function in ("div", "mul", "neg"):
                parts = [_sorted(a, letters, True) for a in arguments]
            else:
                parts = [_sorted(a, letters) for a in arguments]
            turns = function in _COMMUTE or even and function == "sub"
            return function, tuple(sorted(parts, key=repr) if turns else parts)
    return repr(scalar)
