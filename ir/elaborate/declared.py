"""Values held against the types that are written for them."""

from __future__ import annotations

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, fail
from tpc.ir.build import cast
from tpc.ir.dims import DimLike, dim_text
from tpc.ir.elaborate.expression import evaluate, evaluate_node
from tpc.ir.elaborate.hints import axis_hint, entrywise_hint
from tpc.ir.elaborate.scope import Frame, FunctionValue
from tpc.ir.elaborate.types import facts_of, type_of
from tpc.ir.node import Node
from tpc.ir.types import STRONG, TensorType


def fits(frame: Frame, node: Node, wanted: TensorType, what: str, part: syntax.Expr, declared: Label) -> Node | None:
    """The node as a value of the declared type: literals are converted, anything else must agree."""
    actual = node.tensor
    if actual.dims != wanted.dims:
        hint = _product_hint(frame, part, wanted)
        if isinstance(part, syntax.Call) and part.arguments and (operand := evaluate_node(frame, part.arguments[0])):
            hint = axis_hint(part, operand.tensor, actual, wanted) or hint
        frame.diagnostics.add(
            "E0210",
            f"{what} is {_shape(actual)}, but is declared {_shape(wanted)}",
            Label(part.span, f"this is {actual}"),
            declared,
            help=hint or "transpose it with `'`, or declare it the other way round"
            if hint or actual.rank == 2 and actual.dims == wanted.dims[::-1]
            else f"declare it {actual}, if that is what is meant",
        )
        return None
    if actual.dtype is wanted.dtype:
        return node
    if actual.dtype.is_weak and "bifc".index(actual.dtype.kind) <= "bifc".index(wanted.dtype.kind):
        return cast(node, wanted.dtype)
    text = part.span.text if len(part.span.text) < 40 else "..."
    convert = f"convert with `{wanted.dtype}({text})`"
    if actual.dtype.kind == "c" and wanted.dtype.kind != "c":
        convert = f"take the real part `re({text})` or the magnitude `abs({text})`"
    frame.diagnostics.add(
        "E0211",
        f"{what} is {actual.dtype}, but is declared {wanted.dtype}",
        Label(part.span, f"this is {actual}"),
        declared,
        help=f"declare it {actual.dtype}, or {convert}",
    )
    return None


def _product_hint(frame: Frame, part: syntax.Expr, wanted: TensorType) -> str | None:
    """A product of entries, somewhere in an expression, that may have been meant as one of matrices."""
    match part:
        case syntax.Binary(left=left, right=right):
            if part.operator == "*":
                a, b = evaluate_node(frame, left), evaluate_node(frame, right)
                hint = a and b and entrywise_hint(part, a.tensor, b.tensor, wanted)
                if hint:
                    return hint
            inner = [left, right]
        case syntax.Unary(operand=operand):
            inner = [operand]
        case syntax.Call(arguments=arguments):
            inner = arguments
        case _:
            return None
    return next((hint for item in inner if (hint := _product_hint(frame, item, wanted))), None)


def _shape(type: TensorType) -> str:
    if not type.dims:
        return "a scalar"
    return " by ".join(dim_text(d) for d in type.dims) if type.rank > 1 else f"a vector of {dim_text(type.dims[0])}"


def typed(frame: Frame, target: syntax.Target, node: Node, part: syntax.Expr) -> Node | None:
    """A value with a written type: checked against it, and its facts noted."""
    assert target.type is not None
    wanted = type_of(target.type, frame.dims, (), frame.diagnostics, node.tensor.dtype)
    if wanted is None:
        return None
    fitting = fits(frame, node, wanted, f"`{target.name.name}`", part, Label(target.type.span, "declared here"))
    if fitting is not None and target.facts:
        facts = facts_of(target.facts, wanted, frame.dims, frame.diagnostics)
        if facts:
            frame.facts.append((fitting, facts))
    return fitting


def results(
    frame: Frame, definition: syntax.Def, returned: syntax.Return, batch: tuple[DimLike, ...]
) -> list[tuple[Node, str]] | None:
    """The results with their names, checked against the declared types."""
    value = evaluate(frame, returned.value)
    if value is None:
        return None
    if isinstance(value, FunctionValue):
        raise fail("E0306", "a function cannot be returned", returned.value.span)
    values = value if isinstance(value, list) else [value]
    parts = (
        returned.value.items
        if isinstance(returned.value, syntax.Tuple) and len(returned.value.items) == len(values)
        else [returned.value] * len(values)
    )
    declared = definition.results
    if declared is not None and len(declared) != len(values):
        types = [str(v.type) for v in values if isinstance(v, Node)]
        frame.diagnostics.add(
            "E0307",
            f"`{definition.name.name}` declares {len(declared)} result{'s' * (len(declared) != 1)} "
            f"and returns {len(values)}",
            Label(returned.span),
            Label(declared[0].span.to(declared[-1].span), "declared here"),
            help=f"declare `-> ({', '.join(types)})`" if len(types) == len(values) > 1 else None,
        )
        return None
    outputs: list[tuple[Node, str]] = []
    names: set[str] = set()
    for position, (item, part) in enumerate(zip(values, parts, strict=True)):
        if not isinstance(item, Node):
            return None
        node: Node | None = item
        if declared is not None:
            written = declared[position]
            wanted = type_of(written.type, frame.dims, batch, frame.diagnostics, item.tensor.dtype)
            if wanted is None:
                return None
            node = fits(frame, item, wanted, "the result", part, Label(written.span, "declared here"))
            if node is None:
                return None
            facts = facts_of(written.facts, wanted, frame.dims, frame.diagnostics)
            if facts:
                frame.facts.append((node, facts))
        if node is not None and node.tensor.dtype.is_weak:
            node = cast(node, STRONG[node.tensor.dtype])
        assert node is not None
        name = part.name if isinstance(part, syntax.Name) else "out" if len(values) == 1 else f"out{position + 1}"
        while name in names or (
            not isinstance(part, syntax.Name) and (name in frame.dims or frame.lookup(name) is not None)
        ):
            name += "_"
        names.add(name)
        outputs.append((node, name))
    return outputs
