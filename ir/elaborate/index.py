"""Index statements and reductions to formula nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, fail
from tpc.dsl.source import Span
from tpc.ir import notation
from tpc.ir.build import index as index_node
from tpc.ir.build import make
from tpc.ir.dims import DimLike, product
from tpc.ir.elaborate.expression import evaluate_node, try_dim
from tpc.ir.elaborate.scope import Frame
from tpc.ir.extents import finish
from tpc.ir.formula import Literal, Scalar, SizeValue
from tpc.ir.node import Node
from tpc.ir.ops.structure import LITERAL, SIZE
from tpc.ir.types import TensorType


@dataclass
class _FrameScope:
    """The scope of index notation in a function: operands are values of the frame."""

    frame: Frame
    operands: list[Node] = field(default_factory=list)

    def operand(self, expression: syntax.Expr) -> int:
        node = evaluate_node(self.frame, expression)
        if node is None:
            raise Abandoned
        if node not in self.operands:
            self.operands.append(node)
        return self.operands.index(node)

    def operand_type(self, number: int) -> TensorType:
        return self.operands[number].tensor

    def scalar(self, expression: syntax.Expr) -> Scalar | None:
        node = evaluate_node(self.frame, expression)
        if node is None:
            raise Abandoned
        if node.op is LITERAL:
            spelled: Literal = node["value"]
            return spelled
        return SizeValue(node["dim"]) if node.op is SIZE else None

    def size(self, name: str) -> DimLike | None:
        return self.frame.dims.get(name) if self.frame.lookup(name) is None else None

    def extent(self, expression: syntax.Expr) -> DimLike:
        dim = try_dim(self.frame, expression)
        if dim is None:
            help = "a letter runs from 0 to the size behind `in`, as in `i in n`"
            raise fail("E0510", "the extent of a letter must be a size", expression.span, help=help)
        return dim

    def function(self, name: str) -> syntax.Def | None:
        return self.frame.module.definition(name) if self.frame.lookup(name) is None else None


class Abandoned(Exception):
    """Part of an index expression is wrong; its error is already told."""


Axis = syntax.Letter | syntax.Composed


def statement(frame: Frame, axes: Sequence[Axis], value: syntax.Expr, where: Span) -> Node | None:
    """`K[i, j] = value` as a node; `K[(i p), j] = value` is the array with an axis for each letter, reshaped."""
    groups = [_letters(axis) for axis in axes]
    letters = [letter for group in groups for letter in group]
    names: list[str] = []
    for letter in letters:
        if letter.name in names:
            raise fail(
                "E0502",
                f"index letter `{letter.name}` is bound twice",
                Label(letter.span, "bound again here"),
                help="on the left every axis has a letter of its own; a diagonal is written "
                "`D[i, j in n] = select(i == j, x[i], 0)` or `diag(x)`",
            )
        names.append(letter.name)
    scope = _FrameScope(frame)
    reader = notation.Reader(scope, set(names), taken=frame.visible)
    try:
        for letter in letters:
            if letter.extent is not None:
                reader.extents[letter.name] = scope.extent(letter.extent)
        body = _read(frame, reader, value, letters, where)
        formula, constraints = finish(reader, [(name,) for name in names], body, where)
    except Abandoned:
        return None
    frame.where.extend(constraints)
    node = index_node(formula, scope.operands)
    if all(len(group) == 1 for group in groups):
        return node
    dims = tuple(product(formula.extent[letter.name] for letter in group) for group in groups)
    return make("reshape", (node,), dims=dims)


def _letters(axis: Axis) -> list[syntax.Letter]:
    if isinstance(axis, syntax.Letter):
        return [axis]
    return [syntax.Letter(name.span, name.name, None) for name in axis.letters]


def _read(
    frame: Frame,
    reader: notation.Reader,
    value: syntax.Expr,
    letters: Sequence[syntax.Letter],
    where: Span,
) -> Scalar:
    """Read the right side; a letter that nothing binds gets a message that shows the sum to write."""
    unbound = _unbound_letters(frame, reader, value)
    if unbound:
        name = unbound[0]
        left = where.source.text[where.start : value.span.start].rstrip().removesuffix("=").rstrip()
        what = ", ".join(n.name for n in unbound_names(unbound))
        raise fail(
            "E0512",
            f"index letter `{name.name}` is neither on the left nor summed over",
            Label(name.span, "not bound here"),
            help=f"a sum is written out: `{left} = sum[{what}]({value.span.text})`"
            if len(value.span.text) < 60
            else f"a sum is written out: `sum[{what}](...)`",
        )
    return reader.read(value)


def _is_known(frame: Frame, name: str) -> bool:
    if frame.lookup(name) is not None or name in frame.dims or name in notation.CONSTANTS:
        return True
    return frame.module.lookup(name)[0]


def unbound_names(found: list[syntax.Name]) -> list[syntax.Name]:
    """One name of each spelling, in order."""
    return list({name.name: name for name in reversed(found)}.values())[::-1]


def _unbound_letters(frame: Frame, reader: notation.Reader, value: syntax.Expr) -> list[syntax.Name]:
    """Names that index something and mean nothing."""
    found: list[syntax.Name] = []

    def visit(item: object, bound: frozenset[str], inside: bool) -> None:
        match item:
            case syntax.Name(name=name):
                if inside and name not in bound and not _is_known(frame, name):
                    found.append(item)
            case syntax.Reduce(letters=letters, guard=guard, body=body):
                inner = bound | {letter.name for letter in letters}
                visit(guard, inner, inside)
                visit(body, inner, inside)
            case syntax.Subscript(base=base, items=items, pad=pad):
                visit(base, bound, False)
                visit(pad, bound, False)
                for part in items:
                    visit(part, bound, True)
            case syntax.Call(arguments=arguments, keywords=keywords):
                for part in arguments:
                    visit(part, bound, inside)
                for keyword in keywords:
                    visit(keyword.value, bound, False)
            case syntax.Binary():
                spine: syntax.Expr = item
                while isinstance(spine, syntax.Binary):
                    visit(spine.right, bound, inside)
                    spine = spine.left
                visit(spine, bound, inside)
            case syntax.Unary(operand=operand) | syntax.Transpose(operand=operand):
                visit(operand, bound, inside)
            case syntax.Conditional(then=then, condition=condition, other=other):
                for part in (then, condition, other):
                    visit(part, bound, inside)

    visit(value, frozenset(reader.letters), False)
    return sorted(found, key=lambda name: name.span.start)


def reduction(frame: Frame, expression: syntax.Reduce) -> Node | None:
    """`sum[i](x[i] * y[i])` where no letter is free: a scalar."""
    return statement(frame, [], expression, expression.span)
