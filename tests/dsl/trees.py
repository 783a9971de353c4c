"""Comparing syntax trees, and making random ones."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from random import Random
from typing import TypeVar

from tpc.dsl.operators import BINARY
from tpc.dsl.source import Source, Span
from tpc.dsl.syntax import (
    Approx,
    Assign,
    Binary,
    Block,
    Call,
    Composed,
    Conditional,
    Const,
    Def,
    Dots,
    Expr,
    Fact,
    If,
    Item,
    Keyword,
    Letter,
    Module,
    Name,
    Number,
    Parameter,
    Reduce,
    Repeat,
    Result,
    Return,
    Scan,
    Slice,
    Statement,
    String,
    Subscript,
    Target,
    Transpose,
    Tuple,
    TypeExpr,
    Unary,
    Until,
    Use,
)

NOWHERE = Span(Source(""), 0, 0)


def difference(a: object, b: object) -> str | None:
    """The first difference of two trees apart from spans, as a path with both sides; None if equal."""
    todo = [("", a, b)]
    while todo:
        path, left, right = todo.pop()
        if type(left) is not type(right):
            return f"{path}: {left!r:.80} is not {right!r:.80}"
        if isinstance(left, list | tuple) and isinstance(right, list | tuple):
            if len(left) != len(right):
                return f"{path}: {len(left)} is not {len(right)} items"
            todo += [(f"{path}[{i}]", x, y) for i, (x, y) in enumerate(zip(left, right))]
        elif is_dataclass(left):
            names = [field.name for field in fields(left) if field.name not in ("span", "source", "comments")]
            todo += [(f"{path}.{name}", getattr(left, name), getattr(right, name)) for name in names]
        elif repr(left) != repr(right):
            return f"{path}: {left!r} is not {right!r}"
    return None


def same_tree(a: object, b: object) -> bool:
    return difference(a, b) is None


def node_types(tree: object) -> set[str]:
    """The names of the classes that occur in a tree."""
    found: set[str] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list | tuple):
            todo += node
        elif is_dataclass(node) and not isinstance(node, Span):
            found.add(type(node).__name__)
            todo += [getattr(node, field.name) for field in fields(node)]
    return found


T = TypeVar("T")
FACTS = ("spd", "lower", "param", "nonnegative")
REDUCTIONS = ("sum", "max", "prod", "argmax")


class RandomTrees:
    """Random trees of everything a program can be written with; the nodes have no text behind them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def module(self) -> Module:
        makers: list[Callable[[], Item]] = [self.use, self.const, self.definition, self.definition]
        return Module(NOWHERE.source, [self.pick(*makers) for _ in range(self.count(1, 3))])

    # ---- choices

    def pick(self, *makers: Callable[[], T]) -> T:
        return self.random.choice(makers)()

    def maybe(self, make: Callable[[], T]) -> T | None:
        return make() if self.random.random() < 0.4 else None

    def count(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def some(self, make: Callable[[], T], low: int, high: int) -> list[T]:
        return [make() for _ in range(self.count(low, high))]

    def name(self) -> Name:
        letters = ("A", "b", "x", "theta", "a_rather_long_name", "\u03c3")
        return Name(NOWHERE, self.random.choice(letters))

    # ---- top level

    def use(self) -> Use:
        return Use(NOWHERE, String(NOWHERE, "other file.tp"))

    def const(self) -> Const:
        type, facts = self.typing()
        return Const(NOWHERE, self.name(), type, facts, self.expression(self.count(0, 3)))

    def definition(self) -> Def:
        short = self.random.random() < 0.3
        value = Return(NOWHERE, self.tuple_or_expression(3))
        body: list[Statement] = [value] if short else self.block(2)
        results = self.maybe(lambda: self.some(self.result, 1, 3))
        where = self.some(lambda: self.expression(2), 0, 3)
        return Def(NOWHERE, self.name(), self.some(self.parameter, 0, 5), results, where, body, short)

    def parameter(self) -> Parameter:
        type, facts = self.typing()
        return Parameter(NOWHERE, self.name(), type, facts, self.maybe(lambda: self.expression(1)))

    def result(self) -> Result:
        return Result(NOWHERE, self.type(), self.some(self.fact, 0, 2))

    def typing(self) -> tuple[TypeExpr | None, list[Fact]]:
        type = self.maybe(self.type)
        return type, self.some(self.fact, 0, 2) if type is not None else []

    def type(self) -> TypeExpr:
        dims: list[Expr | Dots] = [Dots(NOWHERE)] if self.random.random() < 0.2 else []
        dims += self.some(lambda: self.expression(1), 0, 3)
        dtype = Name(NOWHERE, "f64") if not dims or self.random.random() < 0.8 else None
        return TypeExpr(NOWHERE, dtype, dims)

    def fact(self) -> Fact:
        return Fact(NOWHERE, self.random.choice(FACTS), self.some(lambda: self.expression(1), 0, 2))

    # ---- statements

    def block(self, depth: int) -> list[Statement]:
        return self.some(lambda: self.statement(depth), 1, 3)

    def statement(self, depth: int) -> Statement:
        simple: list[Callable[[], Statement]] = [
            self.assign,
            self.assign,
            self.approx,
            self.result_line,
            self.until,
        ]
        if depth == 0:
            return self.pick(*simple)
        return self.pick(*simple, lambda: self.repeat(depth), lambda: self.scan(depth), lambda: self.branches(depth))

    def assign(self) -> Assign:
        return Assign(NOWHERE, self.some(self.target, 1, 3), self.tuple_or_expression(4))

    def approx(self) -> Approx:
        norm, on = self.pick(lambda: (None, None), lambda: (self.name(), None), lambda: (None, self.expression(1)))
        return Approx(NOWHERE, self.target(), self.expression(2), self.expression(1), norm, on)

    def result_line(self) -> Return:
        return Return(NOWHERE, self.tuple_or_expression(5))

    def until(self) -> Until:
        return Until(NOWHERE, self.expression(2))

    def repeat(self, depth: int) -> Repeat:
        until = self.maybe(lambda: self.expression(2))
        return Repeat(NOWHERE, self.expression(1), until, self.block(depth - 1))

    def scan(self, depth: int) -> Scan:
        return Scan(NOWHERE, self.name(), self.expression(1), self.block(depth - 1))

    def branches(self, depth: int) -> If:
        branches = self.some(lambda: (self.expression(2), self.block(depth - 1)), 1, 3)
        return If(NOWHERE, branches, self.maybe(lambda: self.block(depth - 1)) or [])

    def target(self) -> Target:
        type, facts = self.typing()
        return Target(NOWHERE, self.name(), self.maybe(lambda: self.some(self.letter, 1, 2)), type, facts)

    # ---- expressions

    def tuple_or_expression(self, depth: int) -> Expr:
        return self.tuple(depth) if self.random.random() < 0.2 else self.expression(depth)

    def expression(self, depth: int) -> Expr:
        if depth == 0:
            return self.number() if self.count(0, 2) == 0 else self.name()
        inner = depth - 1
        makers: list[Callable[[], Expr]] = [
            lambda: self.expression(0),
            lambda: self.binary(inner),
            lambda: self.binary(inner),
            lambda: self.binary(inner),
            lambda: Unary(NOWHERE, self.random.choice(("-", "+", "not")), self.expression(inner)),
            lambda: Transpose(NOWHERE, self.expression(inner)),
            lambda: self.call(inner),
            lambda: self.subscript(inner),
            lambda: self.reduce(inner),
            lambda: self.block_literal(inner),
            lambda: self.tuple(inner),
            lambda: Conditional(NOWHERE, *(self.expression(inner) for _ in range(3))),
        ]
        return self.pick(*makers)

    def binary(self, depth: int) -> Binary:
        operators = [operator for operator in BINARY if operator.isascii()]
        operator = self.random.choice(operators)
        return Binary(NOWHERE, operator, self.expression(depth), self.expression(depth))

    def number(self) -> Number:
        return Number(NOWHERE, self.random.choice((0, 7, 12345678901234567890, 0.5, 1e-10, 1e300, 2j, 0.25j)))

    def call(self, depth: int) -> Call:
        keywords = self.some(lambda: Keyword(NOWHERE, "axis", self.expression(depth)), 0, 1)
        function = self.expression(depth) if self.random.random() < 0.2 else self.name()
        return Call(NOWHERE, function, self.some(lambda: self.expression(depth), 0, 3), keywords)

    def subscript(self, depth: int) -> Subscript:
        items = self.some(lambda: self.subscript_item(depth), 1, 3)
        return Subscript(NOWHERE, self.expression(depth), items, self.maybe(lambda: self.expression(depth)))

    def subscript_item(self, depth: int) -> Expr | Slice | Dots | Composed:
        def bound() -> Expr | None:
            return self.maybe(lambda: self.expression(depth))

        return self.pick(
            lambda: self.expression(depth),
            lambda: Slice(NOWHERE, bound(), bound(), bound()),
            lambda: Dots(NOWHERE),
        )

    def letter(self) -> Letter:
        return Letter(NOWHERE, self.name().name, self.maybe(lambda: self.expression(1)))

    def reduce(self, depth: int) -> Reduce:
        guard = self.maybe(lambda: self.expression(depth))
        operator = self.random.choice(REDUCTIONS)
        return Reduce(NOWHERE, operator, self.some(self.letter, 1, 2), guard, self.expression(depth))

    def block_literal(self, depth: int) -> Block:
        return Block(NOWHERE, self.some(lambda: self.some(lambda: self.expression(depth), 1, 3), 1, 3))

    def tuple(self, depth: int) -> Tuple:
        return Tuple(NOWHERE, self.some(lambda: self.expression(depth), 2, 3))
