"""Branches: both sides become programs of their own, held by one node, which take the same operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, fail
from tpc.dsl.source import Span
from tpc.ir.build import cast, input_node, items, make
from tpc.ir.elaborate.control import RunStatements, assigned, captured_from, close, forget, rebind, state_before
from tpc.ir.elaborate.expression import described, evaluate_node
from tpc.ir.elaborate.scope import Frame
from tpc.ir.node import Node, Program
from tpc.ir.rewrite import ordered_facts, replace
from tpc.ir.types import promote


def branch(frame: Frame, statement: syntax.If, run: RunStatements) -> None:
    """`if`, `elif`, `else`: what all branches assign, or one of them replaces, has a value afterwards."""
    names = assigned([statement])
    before, _ = state_before(frame, names)

    def block(body: Sequence[syntax.Statement]) -> Callable[[Frame], dict[str, Node | None]]:
        def results(inner: Frame) -> dict[str, Node | None]:
            for name in before:
                binding = inner.lookup(name)
                assert binding is not None
                inner.names[name] = binding
                binding.kind = "state"
            run(inner, body)
            return {n: b.value if isinstance(b.value, Node) else None for n, b in inner.names.items() if n in names}

        return results

    blocks = [(condition, block(body)) for condition, body in statement.branches]
    values = _choose(frame, blocks, block(statement.otherwise), statement.span)
    forget(frame, names, list(values))
    for name, value in values.items():
        if name in before:
            rebind(frame, [name], [value], names[name])
        else:
            frame.define(name, value, names[name])


def conditional(frame: Frame, expression: syntax.Conditional) -> Node | None:
    """`then if condition else other`"""

    def part(value: syntax.Expr) -> Callable[[Frame], dict[str, Node | None]]:
        return lambda inner: {"": evaluate_node(inner, value)}

    return _choose(frame, [(expression.condition, part(expression.then))], part(expression.other), expression.span).get(
        ""
    )


Branch = Callable[[Frame], dict[str, Node | None]]


def _choose(
    frame: Frame, blocks: Sequence[tuple[syntax.Expr, Branch]], otherwise: Branch, where: Span
) -> dict[str, Node | None]:
    """The values of the names that both sides give, chosen by the condition."""
    condition = evaluate_node(frame, blocks[0][0])
    if condition is not None and (condition.tensor.rank or condition.tensor.dtype.kind != "b"):
        part = blocks[0][0]
        frame.diagnostics.add(
            "E0213",
            f"`if` needs a scalar truth value, but {described(part)} is {condition.tensor}",
            part.span,
            help="compare it with something"
            if not condition.tensor.rank
            else "for entries of an array use `select(c, a, b)`",
        )
        condition = None
    then_frame, other_frame = frame.block(), frame.block()
    then = blocks[0][1](then_frame)
    if len(blocks) > 1:
        other = _choose(other_frame, blocks[1:], otherwise, where)
    else:
        other = otherwise(other_frame)
    names = [name for name in then if name in other]
    if condition is None or any(then[n] is None or other[n] is None for n in names):
        return dict.fromkeys(names)
    pairs = [_same_type(frame, name, then[name], other[name], where) for name in names]
    if not pairs:
        return {}
    first, first_order = close(then_frame, "then", [], [a for a, _ in pairs])
    second, second_order = close(other_frame, "other", [], [b for _, b in pairs])
    # both branches take the same operands: those of the first, then what only the second uses
    outer = captured_from(then_frame, first_order)
    more = [v for v in captured_from(other_frame, second_order) if v not in outer]
    shared = [*outer, *more]
    inputs = [input_node(f"c{k}", v.tensor) for k, v in enumerate(shared)]
    by_value = dict(zip(shared, inputs, strict=True))
    second_inputs = dict(
        zip(second.inputs, (by_value[v] for v in captured_from(other_frame, second_order)), strict=True)
    )
    node = make(
        "if",
        [condition, *shared],
        then=Program("then", inputs, first.outputs, facts=first.facts),
        other=_with_inputs(second, inputs, second_inputs),
    )
    frame.spans.setdefault(node, where)
    return dict(zip(names, items(node), strict=True))


def _with_inputs(program: Program, inputs: Sequence[Node], mapping: dict[Node, Node]) -> Program:
    known = [n for n, _ in program.facts]
    results = replace([*program.outputs, *known], mapping)
    outputs, nodes = results[: len(program.outputs)], results[len(program.outputs) :]
    facts = zip(nodes, (f for _, f in program.facts), strict=True)
    return Program(program.name, inputs, outputs, facts=ordered_facts(inputs, outputs, facts))


def _same_type(frame: Frame, name: str, a: Node | None, b: Node | None, where: Span) -> tuple[Node, Node]:
    assert a is not None and b is not None
    common = promote(a.tensor.dtype, b.tensor.dtype)
    if a.tensor.dims != b.tensor.dims or not all(n.tensor.dtype is common or n.tensor.dtype.is_weak for n in (a, b)):
        what = f"`{name}`" if name else "this"
        raise fail(
            "E0606",
            f"{what} is {a.tensor} in one branch and {b.tensor} in the other",
            Label(where),
            help="both branches must give values of one type",
        )
    return cast(a, common), cast(b, common)
