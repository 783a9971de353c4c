"""What the author may have meant where operands do not fit: help that can be pasted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tpc.dsl import syntax
from tpc.ir.facts.vocabulary import FACTS
from tpc.ir.types import TensorType


def product_hint(expression: syntax.Binary, a: TensorType, b: TensorType) -> str | None:
    """A transpose that makes `@` fit, or the product of a batch of matrices with one of vectors."""
    if a.rank == b.rank + 1 > 2 and b.dims == (*a.dims[:-2], a.dims[-1]):
        left, right = expression.left.span.text, expression.right.span.text
        return f"for a batch of vectors write `squeeze({left} @ unsqueeze({right}, -1), -1)`"
    rows = b.dims[-2] if b.rank > 1 else b.dims[0]
    options = []
    if a.rank > 1 and a.dims[-2] == rows:
        options.append(f"{_transposed(expression.left)} @ {expression.right.span.text}")
    if b.rank > 1 and b.dims[-1] == a.dims[-1]:
        options.append(f"{expression.left.span.text} @ {_transposed(expression.right)}")
    if not options or len(options[0]) > 60:
        return None
    return "`" + "` or `".join(options) + "` fits"


def shapes_hint(expression: syntax.Binary, a: TensorType, b: TensorType) -> str | None:
    """An axis that was to be kept, rows that were to be scaled, or a matrix product."""
    left, right, sign = expression.left.span.text, expression.right.span.text, expression.operator
    for part in (expression.left, expression.right):
        match part:
            case syntax.Call(keywords=[syntax.Keyword(name="axis")]):
                return f"keep the axis: `{part.span.text.removesuffix(')')}, keepdims=true)`"
    for part, type in ((expression.left, a), (expression.right, b)):
        match part:
            case syntax.Binary(operator="*", right=syntax.Call(function=syntax.Name(name="eye"))):
                dims = (b if type is a else a).dims
                return (
                    f"the identity of this size is `eye({dims[0]})`" if len(dims) == 2 and dims[0] == dims[1] else None
                )
            case syntax.Binary(operator="*", left=factor, right=other) if type.rank == 2:
                if not isinstance(factor, syntax.Number):
                    return f"`*` works entry by entry; the matrix product is `{factor.span.text} @ {other.span.text}`"
    if (a.rank, b.rank) == (1, 2) and a.dims[0] == b.dims[0]:
        return f"to scale rows, write `unsqueeze({left}, 1) {sign} {right}`"
    if (a.rank, b.rank) == (2, 1) and a.dims[0] == b.dims[0]:
        return f"to scale rows, write `{left} {sign} unsqueeze({right}, 1)`"
    if sign == "*" and a.rank == b.rank == 2 and a.dims[1] == b.dims[0]:
        return f"`*` works entry by entry; the matrix product is `{left} @ {right}`"
    return None


def entrywise_hint(expression: syntax.Binary, a: TensorType, b: TensorType, wanted: TensorType) -> str | None:
    """The matrix product, where that has the shape that is declared."""
    if expression.operator != "*" or a.rank != 2 or b.rank not in (1, 2) or a.dims[1] != b.dims[0]:
        return None
    if (a.dims[0], *b.dims[1:]) != wanted.dims:
        return None
    return (
        f"`*` works entry by entry; the matrix product is `{expression.left.span.text} @ {expression.right.span.text}`"
    )


def axis_hint(call: syntax.Call, operand: TensorType, actual: TensorType, wanted: TensorType) -> str | None:
    """The other axis of a matrix, for a reduction that has the length of the wrong one."""
    for axis in (0, 1):
        if operand.rank == 2 and (operand.dims[1 - axis],) == wanted.dims and (operand.dims[axis],) == actual.dims:
            function, first = call.function.span.text, call.arguments[0].span.text
            return f"axes are counted from 0: `{function}({first}, axis={axis})` has this shape"
    return None


def call_hint(name: str, arguments: Sequence[tuple[syntax.Expr, TensorType]]) -> str | None:
    """What fits in the place of a function that is not for such operands."""
    texts = [part.span.text for part, _ in arguments]
    types = [type for _, type in arguments]
    if name == "dot" and [type.rank for type in types] == [2, 2]:
        (first, left), (second, right) = arguments
        if left.dims == right.dims:
            return f"`{_transposed(first)} @ {texts[1]}` is the matrix product, `sum({texts[0]} * {texts[1]})` the sum"
        return f"the matrix product is `{texts[0]} @ {texts[1]}`" if left.dims[1] == right.dims[0] else None
    if name == "solve":
        return f"least squares are `lstsq({texts[0]}, {texts[1]})`"
    if name == "diag" and not types[0].rank:
        return f"a multiple of the identity is `{texts[0]} * eye(n)`"
    if name == "inv":
        return f"a matrix that is not square has a pseudo-inverse, `pinv({texts[0]})`"
    return None


def state_hint(names: Iterable[str], known: Iterable[str]) -> str | None:
    """The value that a loop seems to replace under another name, such as x by x_new."""
    before = set(known)
    for name in names:
        plain = re.sub(r"_?(new|next|n|1|2)$|^(new|next)_?", "", name)
        if plain != name and plain in before:
            return f"`{name}` is given up after each pass; the next `{plain}` is called `{plain}` too: `{plain} = ...`"
    return None


def misplaced_fact(definition: syntax.Def) -> str | None:
    """`A: f64[n, n] is symmetric, positive`: what seems to be a fact is a parameter."""
    for before, parameter in zip(definition.parameters, definition.parameters[1:]):
        name = parameter.name.name
        if before.facts and parameter.type is None and name in FACTS:
            return f"`{name}` is a parameter here; facts are joined by `and`: `is {before.facts[-1].name} and {name}`"
    return None


def _transposed(expression: syntax.Expr) -> str:
    if isinstance(expression, syntax.Transpose):
        return expression.operand.span.text
    text = expression.span.text
    return f"{text}'" if isinstance(expression, (syntax.Name, syntax.Call, syntax.Subscript)) else f"({text})'"
