"""What the author may have meant where operands do not fit: help that can be pasted."""

from __future__ import annotations

from tpc.dsl import syntax
from tpc.ir.types import TensorType


def product_hint(expression: syntax.Binary, a: TensorType, b: TensorType) -> str | None:
    """A transpose that makes `@` fit, or the product of a batch of matrices with one of vectors."""
    if a.rank > 2 and b.rank > 1 and b.dims[-1] == a.dims[-1]:
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
    if (a.rank, b.rank) == (1, 2) and a.dims[0] == b.dims[0]:
        return f"to scale rows, write `unsqueeze({left}, 1) {sign} {right}`"
    if (a.rank, b.rank) == (2, 1) and a.dims[0] == b.dims[0]:
        return f"to scale rows, write `{left} {sign} unsqueeze({right}, 1)`"
    if sign == "*" and a.rank == b.rank == 2 and a.dims[1] == b.dims[0]:
        return f"`*` works entry by entry; the matrix product is `{left} @ {right}`"
    return None


def _transposed(expression: syntax.Expr) -> str:
    if isinstance(expression, syntax.Transpose):
        return expression.operand.span.text
    text = expression.span.text
    return f"{text}'" if isinstance(expression, (syntax.Name, syntax.Call, syntax.Subscript)) else f"({text})'"
