"""Expressions to nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, TpcError
from tpc.ir.build import cast, literal, literal_value, make, size, static_dim
from tpc.ir.dims import DimLike
from tpc.ir.elaborate.foreign import NAMES
from tpc.ir.elaborate.hints import call_hint, product_hint, shapes_hint
from tpc.ir.elaborate.scope import Frame, FunctionValue, Value, suggestion
from tpc.ir.node import Node
from tpc.ir.notation import CONSTANTS, dim_of_syntax
from tpc.ir.op import Misfit, Op
from tpc.ir.ops.structure import ITEM
from tpc.ir.scalar import OPERATORS
from tpc.ir.types import as_float

if TYPE_CHECKING:
    from collections.abc import Sequence


def evaluate(frame: Frame, expression: syntax.Expr) -> Value | None:
    """The value of an expression; None after an error, which is then already in the diagnostics."""
    try:
        value = _evaluate(frame, expression)
    except TpcError as error:
        frame.diagnostics.items.extend(error.diagnostics)
        return None
    if isinstance(value, Node):
        frame.spans.setdefault(value, expression.span)
    elif isinstance(value, list):  # of one node with several results
        for part in value:
            if isinstance(part, Node) and part.op is ITEM:
                frame.spans.setdefault(part.args[0], expression.span)
    return value


def evaluate_node(frame: Frame, expression: syntax.Expr) -> Node | None:
    """The value of an expression that must be a single array or scalar."""
    value = evaluate(frame, expression)
    if isinstance(value, FunctionValue):
        name = value.definition.name.name
        frame.diagnostics.add(
            "E0306",
            f"`{name}` is a function, and is used as a value",
            expression.span,
            help=f"call it, as in `{name}({', '.join(p.name.name for p in value.definition.parameters)})`",
        )
        return None
    if isinstance(value, list):
        frame.diagnostics.add(
            "E0307",
            f"this gives {len(value)} values where one is needed",
            expression.span,
            help="leave the brackets away: several values are given one by one"
            if isinstance(expression, syntax.Tuple)
            else f"take them apart first, as in `{', '.join('abcdefgh'[: len(value)])} = ...`",
        )
        return None
    return value


def _evaluate(frame: Frame, expression: syntax.Expr) -> Value | None:
    from tpc.ir.elaborate import arrays, branches, calls, index

    match expression:
        case syntax.Number(value=value):
            return literal(value)
        case syntax.Name():
            return name_value(frame, expression)
        case syntax.Unary():
            return _unary(frame, expression)
        case syntax.Binary():
            return _binary(frame, expression)
        case syntax.Transpose(operand=operand):
            node = evaluate_node(frame, operand)
            return None if node is None else _transpose(frame, expression, node)
        case syntax.Call():
            return calls.call(frame, expression)
        case syntax.Subscript():
            return arrays.subscript(frame, expression)
        case syntax.Reduce():
            return index.reduction(frame, expression)
        case syntax.Block():
            return arrays.block(frame, expression)
        case syntax.Tuple(items=items):
            values = [evaluate_node(frame, item) for item in items]
            return None if any(v is None for v in values) else [v for v in values if v is not None]
        case syntax.Conditional():
            return branches.conditional(frame, expression)
        case syntax.String():
            frame.diagnostics.add(
                "E0702",
                "text can only be the file name of `load` or `use`",
                expression.span,
                help='write `const W: f64[n, m] = load("w.npy")` outside of the functions',
            )
    return None


def name_value(frame: Frame, name: syntax.Name) -> Value | None:
    """What a name stands for: a local, a size, a number such as pi, a constant or a function."""
    binding = frame.lookup(name.name)
    if binding is not None:
        binding.used = True
        _mark_used(frame, name.name)
        return binding.value
    if name.name in frame.dims:
        return size(frame.dims[name.name])
    if name.name in CONSTANTS:
        return literal(CONSTANTS[name.name])
    found, value = frame.module.lookup(name.name)
    if found:
        return value
    _unknown_name(frame, name)
    return None


def is_known(frame: Frame, name: str) -> bool:
    """Whether a name stands for anything here, or did or will further up or down."""
    root = frame.root()
    if frame.lookup(name) is not None or name in frame.dims or name in CONSTANTS or name in frame.module.names():
        return True
    return len(name) > 1 or name in root.block_locals or name in root.later


def _mark_used(frame: Frame | None, name: str) -> None:
    while frame is not None:
        if name in frame.names:
            frame.names[name].used = True
        frame = frame.outer


def _unknown_name(frame: Frame, name: syntax.Name) -> None:
    ended = frame.root().block_locals.get(name.name)
    later = frame.root().later.get(name.name)
    if ended is not None:
        frame.diagnostics.add(
            "E0308",
            f"`{name.name}` is not known here: it belongs to a block that has ended",
            Label(name.span),
            Label(ended, "assigned only inside of this block"),
            help=f"give `{name.name}` a value before the block, and it is carried out of it",
        )
        return
    if later is not None and later.start > name.span.start:
        frame.diagnostics.add(
            "E0309",
            f"`{name.name}` is used before it is defined",
            Label(name.span, "used here"),
            Label(later, "defined only here"),
            help="statements run from top to bottom; move the definition up",
        )
        return
    close = suggestion(name.name, [*frame.visible(), *frame.module.names(), *CONSTANTS])
    help = NAMES.get(name.name) or (f"did you mean `{close}`?" if close else None)
    if name.name in frame.module.library():
        help = f"`{name.name}` is a function of the library; call it, as in `{name.name}(x)`"
    frame.diagnostics.add("E0301", f"`{name.name}` is not defined", name.span, help=help)


def apply(
    frame: Frame, op: Op | str, arguments: Sequence[tuple[Node, syntax.Expr]], where: syntax.Expr, **attributes: object
) -> Node | None:
    """A node of an op; a misfit becomes a message with the operands' places."""
    try:
        return make(op, [node for node, _ in arguments], **attributes)
    except Misfit as misfit:
        labels = [Label(where.span)]
        for number, text in misfit.operands:
            if number < len(arguments):
                part = arguments[number][1]
                labels.append(Label(part.span, f"{described(part)} {text}" if text.startswith("has ") else text))
        frame.diagnostics.add(misfit.code, misfit.title, *labels, help=misfit.help)
        return None


def apply_called(
    frame: Frame, op: Op | str, arguments: Sequence[tuple[Node, syntax.Expr]], where: syntax.Expr, **attributes: object
) -> Node | None:
    """A node of an op that is called by its name, with what fits in its place as help."""
    mark = len(frame.diagnostics.items)
    node = apply(frame, op, arguments, where, **attributes)
    if node is not None or len(frame.diagnostics.items) == mark:
        return node
    name = op if isinstance(op, str) else op.name
    said = frame.diagnostics.items[-1]
    if isinstance(where, syntax.Call) and isinstance(op, Op) and op.operator:
        said = replace(said, title=said.title.replace(f"`{op.operator}`", f"`{name}`"))
        frame.diagnostics.items[-1] = said
    if said.code in ("E0204", "E0205"):
        help_instead(frame, call_hint(name, [(part, node.tensor) for node, part in arguments]))
    return node


def described(expression: syntax.Expr) -> str:
    """A short name for an expression in a message."""
    text = expression.span.text
    return f"`{text}`" if len(text) <= 24 and "\n" not in text else "this"


def _unary(frame: Frame, expression: syntax.Unary) -> Value | None:
    operand = evaluate_node(frame, expression.operand)
    if operand is None:
        return None
    if expression.operator == "+":
        return operand
    if expression.operator == "not" and operand.tensor.dtype.kind != "b":
        _needs_bool(frame, expression.operand, operand)
        return None
    return apply(frame, OPERATORS[expression.operator, 1].name, [(operand, expression.operand)], expression)


def _needs_bool(frame: Frame, part: syntax.Expr, node: Node) -> None:
    frame.diagnostics.add(
        "E0213",
        f"a truth value is needed, but {described(part)} is {node.tensor}",
        part.span,
        help="compare it with something, as in `x != 0`",
    )


class _Sizes(Mapping[str, DimLike]):
    """Names that stand for sizes in a frame: sizes themselves, and locals made of them."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def __getitem__(self, name: str) -> DimLike:
        binding = self.frame.lookup(name)
        if binding is None:
            return self.frame.dims[name]
        dim = static_dim(binding.value) if isinstance(binding.value, Node) else None
        if dim is None:
            raise KeyError(name)
        _mark_used(self.frame, name)
        return dim

    def __iter__(self) -> Iterator[str]:
        return iter(self.frame.visible())

    def __len__(self) -> int:
        return len(list(self.frame.visible()))


def try_dim(frame: Frame, expression: syntax.Expr) -> DimLike | None:
    """The expression as a size, if it is made of sizes and integers alone."""
    try:
        return dim_of_syntax(expression, _Sizes(frame))
    except TpcError:
        pass
    match expression:
        case syntax.Call(function=syntax.Name(name="rows" | "cols" | "size" | "len")):
            node = evaluate(frame, expression)
            return static_dim(node) if isinstance(node, Node) else None
    return None


def _binary(frame: Frame, expression: syntax.Binary) -> Node | None:
    # a long sum leans to the left: walk down and come back up, without recursion
    spine: list[syntax.Binary] = []
    operand: syntax.Expr = expression
    while isinstance(operand, syntax.Binary):
        spine.append(operand)
        operand = operand.left
    value = evaluate_node(frame, operand)
    for binary in reversed(spine):
        right = evaluate_node(frame, binary.right)
        value = None if value is None or right is None else _combine(frame, binary, value, right)
        if value is not None:
            frame.spans.setdefault(value, binary.span)
    return value


def _combine(frame: Frame, expression: syntax.Binary, left: Node, right: Node) -> Node | None:
    operator = expression.operator
    parts = [(left, expression.left), (right, expression.right)]
    if operator == "@":
        return _matmul(frame, expression, left, right)
    if operator == "\\":
        return apply_called(frame, "solve", parts, expression)
    if operator in ("and", "or"):
        for node, part in parts:
            if node.tensor.dtype.kind != "b":
                _needs_bool(frame, part, node)
                return None
    if operator in ("<", "<=", ">", ">=") and "c" in (left.tensor.dtype.kind, right.tensor.dtype.kind):
        frame.diagnostics.add(
            "E0214", "complex numbers have no order", expression.span, help="compare `abs(x)` or `re(x)`"
        )
        return None
    if operator == "^":
        exponent = literal_value(right)
        if isinstance(exponent, int) and exponent < 0 and left.tensor.dtype.kind in "ib":
            # integers have no negative powers: the result is a float
            left = cast(left, as_float(left.tensor.dtype))  # (a cast to `real` is a product with 1.0)
        if exponent == -1 and left.tensor.rank == 2 and left.tensor.dims[0] == left.tensor.dims[1]:
            frame.diagnostics.add(
                "W0304",
                "`^` works entry by entry, so this is no inverse",
                expression.span,
                help=f"the inverse is `inv({expression.left.span.text})`, and the entries are `1 / x`",
            )
    mark = len(frame.diagnostics.items)
    result = apply(frame, OPERATORS[operator, 2].name, [(left, expression.left), parts[1]], expression)
    if result is None and len(frame.diagnostics.items) > mark:
        help_instead(frame, shapes_hint(expression, left.tensor, right.tensor))
    return result


def help_instead(frame: Frame, help: str | None) -> None:
    """Give the last message this help, if there is any."""
    if help is not None and len(help) < 120:
        frame.diagnostics.items[-1] = replace(frame.diagnostics.items[-1], help=help)


def _matmul(frame: Frame, expression: syntax.Binary, left: Node, right: Node) -> Node | None:
    parts = [(left, expression.left), (right, expression.right)]
    ranks = left.tensor.rank, right.tensor.rank
    if 0 in ranks:
        part = parts[ranks.index(0)]
        frame.diagnostics.add(
            "E0204",
            "`@` needs matrices or vectors, but is given a scalar",
            Label(expression.span),
            Label(part[1].span, f"this is {part[0].tensor}"),
            help="write `*` to scale by a number",
        )
        return None
    name = "matmul"
    if ranks == (1, 1):
        name = "dot"
    elif ranks[1] == 1:
        name = "matvec"
    elif ranks[0] == 1:
        name = "vecmat"
    mark = len(frame.diagnostics.items)
    node = apply(frame, name, parts, expression)
    if node is None and len(frame.diagnostics.items) > mark:
        help_instead(frame, product_hint(expression, left.tensor, right.tensor))
    return node


def _transpose(frame: Frame, expression: syntax.Transpose, node: Node) -> Node | None:
    if node.tensor.rank < 2:
        text = expression.operand.span.text
        frame.diagnostics.add(
            "E0204",
            f"only a matrix can be transposed, and {described(expression.operand)} is {node.tensor}",
            Label(expression.span),
            help=f"a vector has one axis, and needs none: `dot({text}, y)` is the inner product, `outer(y, {text})` "
            f"the outer one, and `{text} @ A` stands as it is",
        )
        return None
    if node.op.name == "transpose" and node.args[0].tensor.rank >= 2:
        return node.args[0]
    return apply(frame, "transpose", [(node, expression.operand)], expression)
