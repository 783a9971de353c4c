"""`grad` and its kin, as far as types go: what they give is known, how it is computed comes later."""

from __future__ import annotations

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, fail
from tpc.ir.build import items, make
from tpc.ir.elaborate.scope import Frame, FunctionValue, Value, placeholder, suggestion
from tpc.ir.node import Node, Program
from tpc.ir.types import TensorType

KINDS = ("grad", "value_and_grad", "jacobian", "hessian", "jvp", "vjp", "vmap", "laplacian")


def transform(frame: Frame, expression: syntax.Call, kind: str) -> Value | None:
    """`grad(loss, g)`: a function of the program and (where it matters) the parameter to differentiate by."""
    from tpc.ir.elaborate.expression import evaluate

    arguments = expression.arguments
    if not 1 <= len(arguments) <= 2 or expression.keywords:
        raise fail(
            "E0302",
            f"`{kind}` takes a function and at most one of its parameters",
            expression.span,
            help=f"as in `{kind}(f, x)(x, y)`",
        )
    function = evaluate(frame, arguments[0])
    if function is None:
        return None
    if not isinstance(function, FunctionValue):
        raise fail("E0306", f"`{kind}` takes a function, but this is a value", arguments[0].span)
    names = [p.name.name for p in function.definition.parameters]
    if not names:
        raise fail("E0302", f"`{function.definition.name.name}` has no parameters", arguments[0].span)
    parameter = names[0]
    if len(arguments) == 2:
        if not isinstance(arguments[1], syntax.Name) or arguments[1].name not in names:
            close = suggestion(arguments[1].span.text, names)
            raise fail(
                "E0304",
                f"`{function.definition.name.name}` has no parameter `{arguments[1].span.text}`",
                arguments[1].span,
                help=f"did you mean `{close}`?" if close else f"its parameters are {', '.join(names)}",
            )
        parameter = arguments[1].name
    return FunctionValue(function.definition, kind, parameter, function)


def apply_transformed(frame: Frame, expression: syntax.Call, function: FunctionValue) -> Value | None:
    """`grad(loss, g)(x, t, g)` as a node of the right types."""
    found = _types(frame, expression, function)
    if found is None:
        return None
    operands, types, program = found
    steps: list[tuple[str, str]] = []  # from the function outwards
    step: FunctionValue | None = function
    while step is not None and step.kind:
        steps.insert(0, (step.kind, step.parameter))
        step = step.of
    node = make("derivative", operands, steps=tuple(steps), body=program, types=tuple(types))
    results = items(node)
    return results[0] if len(results) == 1 else list(results)


def _types(
    frame: Frame, expression: syntax.Call, function: FunctionValue
) -> tuple[list[Node], list[TensorType], Program] | None:
    """The operands and result types of a transformed function, and the program that it transforms."""
    from tpc.ir.elaborate.calls import bind_arguments
    from tpc.ir.elaborate.expression import evaluate_node

    definition, kind = function.definition, function.kind
    assert function.of is not None
    tangents: list[Node] = []
    call = expression
    if kind in ("jvp", "vjp"):
        if not expression.arguments:
            raise fail("E0302", f"`{kind}` is not given its direction", expression.span)
        direction = evaluate_node(frame, expression.arguments[-1])
        if direction is None:
            return None
        tangents.append(direction)
        call = syntax.Call(expression.span, expression.function, expression.arguments[:-1], expression.keywords)
    if function.of.kind:
        inner = _types(frame, call, function.of)
        if inner is None:
            return None
        operands, results, program = inner
    else:
        arguments = bind_arguments(frame, call, definition)
        if arguments is None:
            return None
        operands = [node for node, _ in arguments]
        if kind == "vmap":
            arguments = [(_unmapped(node, part), part) for node, part in arguments]
        found = frame.module.instance(frame, definition, arguments, expression)
        if found is None:
            return None
        program, sizes, _ = found
        results = [t.substitute(dict(sizes)) for t in program.result_types]
    names = [p.name.name for p in definition.parameters]
    at = operands[names.index(function.parameter)].tensor
    first = results[0]
    if kind in ("grad", "value_and_grad", "hessian", "laplacian") and (len(results) > 1 or first.rank):
        raise fail(
            "E0607",
            f"`{kind}` needs a function with one scalar result, but `{definition.name.name}` gives "
            + ", ".join(str(t) for t in results),
            Label(expression.span),
            Label(definition.name.span, "defined here"),
            help="reduce it, as with sum or mean, or take `jacobian`",
        )
    if kind in ("jvp", "vjp"):
        wanted = at if kind == "jvp" else first
        if tangents[0].tensor.dims != wanted.dims:
            raise fail(
                "E0203",
                f"the direction of `{kind}` is {tangents[0].tensor}, but must be {wanted}",
                expression.arguments[-1].span,
            )
    match kind:
        case "grad":
            types = [at]
        case "value_and_grad":
            types = [first, at]
        case "hessian":
            types = [TensorType(at.dtype, (*at.dims, *at.dims))]
        case "jacobian":
            types = [TensorType(r.dtype, (*r.dims, *at.dims)) for r in results]
        case "vjp":
            types = [at]
        case "vmap":
            lead = operands[0].tensor.dims[0]
            types = [TensorType(r.dtype, (lead, *r.dims)) for r in results]
        case _:  # jvp, laplacian
            types = results
    return [*operands, *tangents], types, program


def _unmapped(node: Node, part: syntax.Expr) -> Node:
    if not node.tensor.rank:
        raise fail("E0204", "`vmap` maps over the first axis, but this is a scalar", part.span)
    inner = placeholder(node)
    return Node(inner.op, (), inner.attributes, TensorType(node.tensor.dtype, node.tensor.dims[1:]))
