"""`stale(e, every=k)`: a value that a loop computes anew in each k-th pass only, and uses meanwhile as it was.

It is no approximation that the compiler makes, but what was written: in pass t the value of e in pass t - t mod k. The
loop carries it, beside the names of the user, and computes it in a branch. In a function for one step the caller
carries it: `P2 = stale(e, every=k, step=t, last=P)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, fail
from tpc.dsl.source import Span
from tpc.ir.build import cast, literal, make
from tpc.ir.elaborate.expression import evaluate_node, try_dim
from tpc.ir.elaborate.scope import placeholder
from tpc.ir.node import Node
from tpc.ir.types import STRONG

if TYPE_CHECKING:
    from tpc.ir.elaborate.scope import Frame

NAME = "stale"
COUNTER = "number of the pass"  # of a `repeat`; a name that nobody can write


@dataclass
class Carried:
    """What a loop carries that the user did not name: what it starts with, its stand-in, and what it is next."""

    initial: Node
    stand_in: Node
    next: Node


def stale(frame: Frame, expression: syntax.Call) -> Node | None:
    """The value of a call."""
    given = {keyword.name: keyword.value for keyword in expression.keywords}
    if len(expression.arguments) != 1 or given.keys() not in ({"every"}, {"every", "step", "last"}):
        raise fail(
            "E0302",
            "`stale` takes one value, and how often it is computed anew",
            expression.span,
            help="as in `stale(inv(A), every=50)`, or in a function for one step of a loop that its caller has, "
            "`stale(inv(A), every=50, step=t, last=P)`",
        )
    value, every = expression.arguments[0], try_dim(frame, given["every"])
    if every is None or (isinstance(every, int) and every < 1):
        raise fail("E0216", "`every` is a size of at least 1", given["every"].span)
    if every == 1:
        return evaluate_node(frame, value)
    if "last" in given:
        return _chosen(frame, expression, given["step"], given["last"])
    if frame.carried is None:
        raise fail(
            "E0609",
            "`stale` stands directly in the body of a loop",
            Label(expression.span, "this is not, so it has no passes to count"),
            help="elsewhere say which step it is and what the value was: `stale(e, every=k, step=t, last=P)`",
        )
    type = _type(frame, value)
    if type is None:
        return evaluate_node(frame, value)  # which tells what is wrong
    span, dtype = expression.span, STRONG.get(type.tensor.dtype, type.tensor.dtype)
    step = frame.scan_letter or _counter(frame, span)
    dims = type.tensor.dims
    initial = make("zeros", (), dims=dims, dtype=dtype) if dims else cast(literal(0), dtype)
    last = f"stale value {len(frame.carried)}"
    stand_in = _define(frame, last, initial, span)
    found = _chosen(frame, expression, syntax.Name(span, step), syntax.Name(span, last))
    if found is not None:
        frame.carried.append(Carried(initial, stand_in, found))
    return found


def _chosen(frame: Frame, expression: syntax.Call, step: syntax.Expr, last: syntax.Expr) -> Node | None:
    """`last if mod(step, every) != 0 else e`, so that e is computed in the passes alone that need it."""
    from tpc.ir.elaborate.branches import conditional

    span = expression.span
    every = next(keyword.value for keyword in expression.keywords if keyword.name == "every")
    left = syntax.Call(span, syntax.Name(span, "mod"), [step, every], [])
    due = syntax.Binary(span, "==", left, syntax.Number(span, 0))
    return conditional(frame, syntax.Conditional(span, expression.arguments[0], due, last))


def _type(frame: Frame, value: syntax.Expr) -> Node | None:
    """A value of the type of an expression, which is read once without a trace; None if there is a fault in it."""
    trial, root = frame.block(), frame.root()
    trial.diagnostics, draws = Diagnostics(), root.draws
    try:
        return evaluate_node(trial, value)
    finally:
        root.draws = draws


def _counter(frame: Frame, span: Span) -> str:
    """The name of the number of the pass of a `repeat`, which it carries from now on."""
    assert frame.carried is not None
    if COUNTER not in frame.names:
        stand_in = _define(frame, COUNTER, literal(0), span)
        frame.carried.append(Carried(literal(0), stand_in, make("add", (stand_in, literal(1)))))
    return COUNTER


def _define(frame: Frame, name: str, initial: Node, span: Span) -> Node:
    stand_in = placeholder(initial)
    frame.define(name, stand_in, span, "state")
    frame.names[name].used = True
    return stand_in
