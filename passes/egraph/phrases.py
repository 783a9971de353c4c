"""Pieces of syntax put together: products, sums, calls, and names replaced by what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.source import Source, Span
from tpc.ir.dims import DimLike, dim_text
from tpc.passes.egraph.terms import Number
from tpc.passes.rules import kind_of

NOWHERE = Span(Source(""), 0, 0)

Expr = syntax.Expr


def name(text: str) -> Expr:
    return syntax.Name(NOWHERE, text)


def number(value: Number) -> Expr:
    if isinstance(value, Fraction):
        if value.denominator != 1:
            return syntax.Binary(NOWHERE, "/", number(value.numerator), number(value.denominator))
        value = value.numerator
    return syntax.Unary(NOWHERE, "-", number(-value)) if value < 0 else syntax.Number(NOWHERE, value)


def size(dim: DimLike) -> Expr:
    from tpc.dsl.parser import parse_expression

    return number(dim) if isinstance(dim, int) else parse_expression(dim_text(dim))


def call(function: str, arguments: Sequence[Expr], keywords: Iterable[tuple[str, Expr]] = ()) -> Expr:
    named = [syntax.Keyword(NOWHERE, key, value) for key, value in keywords]
    return syntax.Call(NOWHERE, name(function), list(arguments), named)


def transposed(e: Expr) -> Expr:
    return e.operand if isinstance(e, syntax.Transpose) else syntax.Transpose(NOWHERE, e)


def product(factors: Sequence[Expr]) -> Expr:
    """Factors joined by `@`, from left to right."""
    whole = factors[0]
    for factor in factors[1:]:
        whole = syntax.Binary(NOWHERE, "@", whole, factor)
    return whole


def times(factors: Sequence[Expr]) -> Expr:
    """Factors joined by `*`; equal neighbours are a square, and nothing is 1."""
    if not factors:
        return number(1)
    if len(factors) == 2 and factors[0] == factors[1]:
        return syntax.Binary(NOWHERE, "^", factors[0], number(2))
    whole = factors[0]
    for factor in factors[1:]:
        whole = syntax.Binary(NOWHERE, "*", whole, factor)
    return whole


def multiple(coefficient: Number, e: Expr) -> Expr:
    if coefficient == 1:
        return e
    if coefficient == -1:
        return syntax.Unary(NOWHERE, "-", e)
    if isinstance(coefficient, Fraction) and coefficient.numerator == 1:
        return syntax.Binary(NOWHERE, "/", e, number(coefficient.denominator))
    if e == number(1):
        return number(coefficient)
    return syntax.Binary(NOWHERE, "*", number(coefficient), e)


def total(parts: Sequence[tuple[Number, Expr]]) -> Expr:
    """Multiples of summands, those that are taken away last."""
    whole: Expr | None = None
    for coefficient, e in sorted(parts, key=_is_negative):
        if whole is None:
            whole = multiple(coefficient, e)
        else:
            operator = "-" if coefficient < 0 else "+"
            whole = syntax.Binary(
                NOWHERE, operator, whole, multiple(-coefficient if coefficient < 0 else coefficient, e)
            )
    return whole if whole is not None else number(0)


def option(value: object) -> Expr:
    if value is None or isinstance(value, bool):
        return name("none" if value is None else "true" if value else "false")
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, tuple):
        return syntax.Tuple(NOWHERE, [option(v) for v in value])
    return name(str(value))


def called_in(e: Expr) -> set[str]:
    """The functions that an expression calls."""
    return {part for part in names_in(e) if kind_of(part) is None}


def names_in(*roots: Expr) -> set[str]:
    found: set[str] = set()
    stack: list[Any] = list(roots)
    while stack:
        part = stack.pop()
        if isinstance(part, syntax.Name):
            found.add(part.name)
        elif isinstance(part, list):
            stack += part
        elif is_dataclass(part) and not isinstance(part, Span):
            stack += [getattr(part, f.name) for f in fields(part)]
    return found


def with_sizes(e: Any, size_of: Callable[[Expr], DimLike]) -> Any:
    """The expression with the sizes that `rows(A)` and `cols(A)` are."""
    if isinstance(e, list):
        return [with_sizes(item, size_of) for item in e]
    if isinstance(e, syntax.Call) and isinstance(e.function, syntax.Name) and e.function.name in ("rows", "cols"):
        return size(size_of(e))
    if is_dataclass(e) and not isinstance(e, (Span, type)):
        changes = {f.name: with_sizes(getattr(e, f.name), size_of) for f in fields(e) if f.name != "span"}
        return replace(e, **changes)
    return e


def substituted(e: Any, values: Mapping[str, Expr]) -> Any:
    """The expression with other expressions for its names; transposes and products are put in order."""
    match e:
        case syntax.Name(name=own):
            return values.get(own, e)
        case syntax.Call(function=syntax.Name()):
            arguments = [substituted(a, values) for a in e.arguments]
            return replace(e, arguments=arguments, keywords=[substituted(k, values) for k in e.keywords])
        case syntax.Transpose(operand=operand):
            return transposed(substituted(operand, values))
        case syntax.Binary(operator="@", left=left, right=right):
            # only a variable for a matrix stands for a product, which goes on with what is left of it
            turned = isinstance(right, syntax.Transpose)
            factor = substituted(right, values)
            is_matrix = isinstance(right, syntax.Name) and kind_of(right.name) == "matrix" and not turned
            factors = [substituted(left, values), *(_factors(factor) if is_matrix else [factor])]
            return product(factors)
        case list():
            return [substituted(item, values) for item in e]
    if is_dataclass(e) and not isinstance(e, (Span, type)):
        changes = {f.name: substituted(getattr(e, f.name), values) for f in fields(e) if f.name != "span"}
        return replace(e, **changes)
    return e


def _factors(e: Expr) -> list[Expr]:
    factors: list[Expr] = []
    while isinstance(e, syntax.Binary) and e.operator == "@":
        factors.append(e.right)
        e = e.left
    return [e, *reversed(factors)]


def _is_negative(part: tuple[Number, Expr]) -> bool:
    return part[0] < 0
