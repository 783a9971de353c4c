"""Rules as patterns: products are rows of factors, sums are lists of summands, transposes stand at the leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tpc.dsl import syntax
from tpc.passes.rules import is_entrywise, kind_of
from tpc.passes.rules.trees import walk

Number = int | float


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    kind: str  # matrix, vector, scalar, size or option
    turned: bool = False
    is_array: bool = False  # whether it stands for an array of any shape


@dataclass(frozen=True, slots=True)
class Numeral:
    value: Number


@dataclass(frozen=True, slots=True)
class Identity:
    """`eye(n)`"""

    size: str


@dataclass(frozen=True, slots=True)
class Ones:
    """`ones(n, m)`"""

    sizes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Scalars times a product of matrices."""

    scalars: tuple[Pattern, ...]
    factors: tuple[Pattern, ...]

    @property
    def mirrored(self) -> str | None:
        """The matrix that a product begins with and, turned, ends with."""
        if len(self.factors) < 2:
            return None
        first, last = self.factors[0], self.factors[-1]
        if not isinstance(first, Variable) or not isinstance(last, Variable):
            return None
        is_mirrored = first.name == last.name and first.kind == "matrix" and first.turned != last.turned
        return first.name if is_mirrored else None


@dataclass(frozen=True, slots=True)
class Entries:
    """An elementwise product."""

    factors: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of multiples."""

    parts: tuple[tuple[Number, Pattern], ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """An op over patterns; `options` are attributes, by name."""

    op: str
    arguments: tuple[Pattern, ...]
    options: tuple[tuple[str, object], ...] = ()
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One of several results."""

    of: Pattern
    position: int


@dataclass(frozen=True, slots=True)
class Zeros:
    """A block without an entry other than 0."""


Pattern = Zeros | Variable | Numeral | Identity | Ones | Row | Entries | Total | Apply | Item


class Unmatchable(Exception):
    """An expression that no pattern is for."""


@cache
def pattern_of(expression: syntax.Expr, entrywise: bool) -> Pattern:
    """The pattern of an expression of a rule.

    Raises
    ------
    Unmatchable
        If it holds something that is no pattern, such as a block.
    """
    return _Compiler(entrywise).pattern(expression)


def patterns(rule: syntax.Rule) -> tuple[Pattern, Pattern | None]:
    """The left side and, if the rule may be read both ways, the right side."""
    entrywise = is_entrywise(rule)
    left = pattern_of(rule.left, entrywise)
    if rule.arrow != "<=>" or (_has_block(rule.left) and not _has_block(rule.right)):
        return left, None  # nothing is put together to be taken apart again
    try:
        return left, pattern_of(rule.right, entrywise)
    except Unmatchable:
        return left, None


def _has_block(expression: syntax.Expr) -> bool:
    return any(isinstance(part, syntax.Block) for part in walk(expression))


def has_op(pattern: Pattern) -> bool:
    """Whether a pattern holds an op that is no product or sum."""
    match pattern:
        case Apply() | Item():
            return True
        case Row(scalars=scalars, factors=factors):
            return any(map(has_op, (*scalars, *factors)))
        case Entries(factors=factors):
            return any(map(has_op, factors))
        case Total(parts=parts):
            return any(has_op(part) for _, part in parts)
    return False


class _Compiler:
    def __init__(self, entrywise: bool) -> None:
        self.entrywise = entrywise

    def pattern(self, expression: syntax.Expr, turned: bool = False) -> Pattern:
        match expression:
            case syntax.Number(value=int() | float() as value) if not isinstance(value, bool):
                return Numeral(value)
            case syntax.Name(name=name) if kind_of(name) is not None:
                kind = kind_of(name) or ""
                return Variable(name, kind, turned, self.entrywise and kind in ("vector", "scalar"))
            case syntax.Transpose(operand=operand):
                return self.pattern(operand, not turned)
            case syntax.Unary(operator="-", operand=operand):
                return self.total(expression, turned)
            case syntax.Binary(operator="+" | "-"):
                return self.total(expression, turned)
            case syntax.Binary(operator="@" | "*" | "/" | "\\"):
                return self.product(expression, turned)
            case syntax.Binary(operator="^", left=left, right=syntax.Number(value=2)):
                inner = self.pattern(left)
                return Entries((inner, inner))
            case syntax.Subscript(base=base, items=[syntax.Number(value=int() as position)]):
                return Item(self.pattern(base), position)
            case syntax.Call(function=syntax.Name(name=name)):
                return self.call(name, expression, turned)
            case syntax.Block(rows=rows) if not turned:
                return self.block(rows)
        raise Unmatchable(expression.span.text)

    def block(self, rows: Sequence[Sequence[syntax.Expr]]) -> Pattern:
        """A matrix of blocks, as programs have it: rows of blocks under each other."""
        lines = [_joined([self.part(b) for b in row], 1) for row in rows]
        return _joined(lines, 0)

    def part(self, expression: syntax.Expr) -> Pattern:
        return Zeros() if isinstance(expression, syntax.Number) and expression.value == 0 else self.pattern(expression)

    def rank(self, expression: syntax.Expr) -> int:
        """How many axes a value has; 0 for a number."""
        match expression:
            case syntax.Number():
                return 0
            case syntax.Name(name=name):
                return {"matrix": 2, "vector": 1}.get(kind_of(name) or "", 0)
            case syntax.Unary(operand=operand) | syntax.Transpose(operand=operand):
                return self.rank(operand)
            case syntax.Binary(operator="@" | "\\", left=left, right=right):
                return self.rank(left) + self.rank(right) - 2
            case syntax.Binary(left=left, right=right):
                return max(self.rank(left), self.rank(right))
            case syntax.Call(function=syntax.Name(name=name), arguments=arguments):
                if name in _NUMBERS:
                    return 0
                if name in ("eye", "ones"):
                    return 2 if name == "eye" else len(arguments)
                if name in ("diag", "vec", "unvec", "eigvalsh", "svdvals"):
                    return {"vec": 1, "unvec": 2, "diag": 3 - self.rank(arguments[0])}.get(name, 1)
                return max((self.rank(a) for a in arguments), default=2)
        return 2

    def total(self, expression: syntax.Expr, turned: bool) -> Pattern:
        parts: list[tuple[Number, Pattern]] = []

        def collect(part: syntax.Expr, sign: int) -> None:
            match part:
                case syntax.Binary(operator="+" | "-" as operator, left=left, right=right):
                    collect(left, sign)
                    collect(right, sign if operator == "+" else -sign)
                case syntax.Unary(operator="-", operand=operand):
                    collect(operand, -sign)
                case _:
                    inner = self.pattern(part, turned)
                    if isinstance(inner, Row) and inner.scalars and isinstance(inner.scalars[0], Numeral):
                        number, rest = inner.scalars[0].value, Row(inner.scalars[1:], inner.factors)
                        lone = len(rest.factors) == 1 and not rest.scalars
                        parts.append((sign * number, rest.factors[0] if lone else rest))
                    else:
                        parts.append((sign, inner))

        collect(expression, 1)
        return Total(tuple(parts))

    def product(self, expression: syntax.Expr, turned: bool) -> Pattern:
        scalars: list[Pattern] = []
        factors: list[Pattern] = []
        entrywise = False

        def collect(part: syntax.Expr, turned: bool) -> None:
            nonlocal entrywise
            match part:
                case syntax.Transpose(operand=operand):
                    collect(operand, not turned)
                case syntax.Binary(operator="@", left=left, right=right):
                    for side in (right, left) if turned else (left, right):
                        collect(side, turned)
                case syntax.Binary(operator="*", left=left, right=right):
                    entrywise |= min(self.rank(left), self.rank(right)) > 0 or self.entrywise
                    collect(left, turned)
                    collect(right, turned)
                case syntax.Binary(operator="/", left=left, right=right):
                    entrywise |= self.rank(right) > 0 or self.entrywise
                    if not (isinstance(left, syntax.Number) and left.value == 1):
                        collect(left, turned)
                    put(right, Apply("div", (Numeral(1), self.pattern(right))))
                case _:
                    put(part, self.pattern(part, turned))

        def put(part: syntax.Expr, made: Pattern) -> None:
            (scalars if self.rank(part) == 0 and not self.entrywise else factors).append(made)

        collect(expression, turned)
        if entrywise or self.entrywise:
            return Entries((*scalars, *factors)) if len(scalars) + len(factors) > 1 else (*scalars, *factors)[0]
        if not factors and len(scalars) == 1:
            return scalars[0]
        if not scalars and len(factors) == 1:
            return factors[0]
        return Row(tuple(scalars), tuple(factors))

    def call(self, name: str, call: syntax.Call, turned: bool) -> Pattern:
        if name == "eye" and isinstance(call.arguments[0], syntax.Name):
            return Identity(call.arguments[0].name)
        if name == "ones" and all(isinstance(a, syntax.Name) for a in call.arguments):
            return Ones(tuple(a.name for a in call.arguments if isinstance(a, syntax.Name)))
        arguments = tuple(self.pattern(a) for a in call.arguments)
        options: list[tuple[str, object]] = []
        for keyword in call.keywords:
            match keyword.value:
                case syntax.Name(name=option) if kind_of(option) is not None:
                    options.append((keyword.name, Variable(option, "option")))
                case syntax.Name(name="true" | "false" as truth):
                    options.append((keyword.name, truth == "true"))
                case syntax.Name(name=word):
                    options.append((keyword.name, word))
                case syntax.Number(value=value) | syntax.String(value=value):
                    options.append((keyword.name, value))
                case _:
                    raise Unmatchable(call.span.text)
        return Apply(name, arguments, tuple(options), turned)


def _joined(parts: Sequence[Pattern], axis: int) -> Pattern:
    return Apply("concat", tuple(parts), (("axis", axis),)) if len(parts) > 1 else parts[0]


_NUMBERS = frozenset(
    [
        "det",
        "logdet",
        "trace",
        "norm",
        "dot",
        "sum",
        "mean",
        "prod",
        "max",
        "min",
        "matrix_rank",
        "cond",
        "rows",
        "cols",
        "logsumexp",
    ]
)
