"""Small wrong changes of an expression: what a slip of the pen would make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.format import format_expression
from tpc.dsl.parser import parse_expression
from tpc.passes.rules import kind_of
from tpc.passes.rules.trees import called, replaced, walk

OPPOSITE = {"+": "-", "-": "+", "*": "/", "/": "*"}
TWINS = {"log": "exp", "exp": "log", "sin": "cos", "cos": "sin", "max": "min", "min": "max", "maximum": "minimum",
         "minimum": "maximum", "det": "trace", "logdet": "trace", "inv": "pinv", "sqrt": "abs"}  # fmt: skip


def mutants(expression: syntax.Expr, others: tuple[str, ...] = ()) -> Iterator[tuple[str, syntax.Expr]]:
    """Changed copies, each with what was changed; `others` are variables to put in each other's place."""
    seen = {format_expression(expression)}
    for part in walk(expression):
        if isinstance(part, (syntax.Keyword, syntax.Slice)):
            continue
        for what, changed in _changes(part, others):
            mutant = replaced(expression, part, changed)
            text = format_expression(mutant)
            if text not in seen:
                seen.add(text)
                yield f"{what} `{format_expression(part)}`", mutant


def _changes(part: Any, others: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    span = part.span
    match part:
        case syntax.Number(value=int() as value):
            yield "one more than", syntax.Number(span, value + 1)
            return
        case syntax.Transpose(operand=operand):
            yield "without the transpose of", operand
        case syntax.Unary(operator="-", operand=operand):
            yield "without the sign of", operand
        case syntax.Binary(operator=operator, left=left, right=right):
            if operator in ("@", "-", "/", "^"):
                yield "swapped", replace(part, left=right, right=left)
            if operator in OPPOSITE:
                yield "another sign in", replace(part, operator=OPPOSITE[operator])
            yield "left alone of", left
            yield "right alone of", right
        case syntax.Block(rows=rows):
            yield "rows swapped in", replace(part, rows=rows[::-1])
        case syntax.Call(arguments=arguments, keywords=keywords):
            name = called(part)
            if name in TWINS:
                yield "another function than in", replace(part, function=syntax.Name(span, TWINS[name]))
            if arguments and name not in ("eye", "zeros", "ones", "rows", "cols"):
                yield "without the call of", arguments[0]
            if len(arguments) == 2:
                yield "swapped", replace(part, arguments=arguments[::-1])
            if keywords:
                yield "without the options of", replace(part, keywords=[])
        case syntax.Name(name=name):
            for other in others:
                if other != name and kind_of(other) == kind_of(name):
                    yield f"{other} for", syntax.Name(span, other)
            if kind_of(name) in ("size", "option"):
                return
    yield "twice", syntax.Binary(span, "*", syntax.Number(span, 2), part)
    yield "three times", syntax.Binary(span, "*", syntax.Number(span, 3), part)
    yield "minus", syntax.Unary(span, "-", part)
    yield "one more than", syntax.Binary(span, "+", part, parse_expression("1"))
    yield "transposed", syntax.Transpose(span, part)
