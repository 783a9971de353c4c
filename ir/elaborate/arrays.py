"""Subscripts and block literals."""

from __future__ import annotations

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, TpcError, fail
from tpc.ir.build import cast, make, static_dim
from tpc.ir.dims import DimLike, dim_text, divide, is_nonnegative
from tpc.ir.elaborate.calls import size_hint
from tpc.ir.elaborate.expression import apply, described, evaluate_node, is_known, try_dim
from tpc.ir.elaborate.scope import Frame
from tpc.ir.node import Constraint, Node
from tpc.ir.ops.structure import LITERAL, SUBSCRIPT, At, Range
from tpc.ir.types import promote_all


def subscript(frame: Frame, expression: syntax.Subscript) -> Node | None:
    """`x[0, 1:k, ...]`: positions, slices, and positions known only at run time."""
    base = evaluate_node(frame, expression.base)
    if base is None:
        return None
    if expression.pad is not None:
        raise fail("E0504", "`pad` belongs to index notation", expression.pad.span, help="index with letters")
    for axis, item in enumerate(expression.items):
        if isinstance(item, syntax.Name) and item.name in ("None", "none", "newaxis"):
            raise fail(
                "E0504",
                f"`{item.name}` makes no axis here",
                item.span,
                help=f"write `unsqueeze({expression.base.span.text}, {axis})` for a new axis of size 1",
            )
    type = base.tensor
    explicit = sum(not isinstance(item, syntax.Dots) for item in expression.items)
    if explicit > type.rank:
        raise fail(
            "E0504",
            f"{described(expression.base)} has {type.rank} {'axis' if type.rank == 1 else 'axes'}, "
            f"but {explicit} {'index is' if explicit == 1 else 'indices are'} given",
            Label(expression.span, f"{described(expression.base)} is {type}"),
        )
    items: list[At | Range] = []
    dynamic: list[tuple[Node, syntax.Expr]] = []
    gathers: list[tuple[int, Node, syntax.Expr]] = []
    dots = False
    for item in expression.items:
        axis = len(items)
        match item:
            case syntax.Dots(span=span):
                if dots:
                    raise fail("E0504", "`...` may stand once", span)
                dots = True
                items.extend(Range(0, d, 1) for d in type.dims[axis : axis + type.rank - explicit])
            case syntax.Composed(span=span):
                raise fail("E0504", "composed letters belong to index notation", span)
            case syntax.Slice():
                items.append(_range(frame, item, type.dims[axis]))
            case _:
                known = try_dim(frame, item)
                if known is not None:
                    items.append(At(_position(frame, item, known, type.dims[axis])))
                    continue
                node = _place(frame, expression, item)
                if node is None:
                    return None
                if node.tensor.rank == 0:
                    items.append(At(None))
                    dynamic.append((node, item))
                else:
                    gathers.append((sum(isinstance(i, Range) for i in items), node, item))
                    items.append(Range(0, type.dims[axis], 1))
    items.extend(Range(0, d, 1) for d in type.dims[len(items) :])
    result: Node | None = base
    if any(isinstance(i, At) or i != Range(0, d, 1) for i, d in zip(items, type.dims, strict=True)):
        result = apply(frame, SUBSCRIPT, [(base, expression.base), *dynamic], expression, items=tuple(items))
    if len(gathers) > 1:
        raise fail(
            "E0504",
            "only one axis can be gathered by an array of positions",
            gathers[1][2].span,
            help="write it in index notation, as in `y[k] = A[rows[k], columns[k]]`",
        )
    for axis, node, item in gathers:
        if result is not None:
            result = apply(frame, "take", [(result, expression.base), (node, item)], expression, axis=axis)
    return result


def _place(frame: Frame, expression: syntax.Subscript, item: syntax.Expr) -> Node | None:
    """A position that is known only at run time, or several; None after an error that is told already."""
    base = expression.base.span.text
    if isinstance(item, syntax.Name) and not is_known(frame, item.name):
        raise fail(
            "E0301",
            f"`{item.name}` is not defined",
            item.span,
            help=f"an index letter is bound on the left, as in `y[{item.name}] = {expression.span.text}`, or by a sum, "
            f"as in `sum[{item.name}]({expression.span.text})`",
        )
    node = evaluate_node(frame, item)
    if node is None or node.tensor.dtype.kind == "i":
        return node
    raise fail(
        "E0505",
        f"an index must be an integer, but {described(item)} is {node.tensor}",
        item.span,
        help="convert it, as in `i64(x)`"
        if node.tensor.dtype.kind == "f"
        else f"`select({item.span.text}, {base}, 0)` keeps the size and puts 0 for the others",
    )


def _require(
    frame: Frame,
    where: syntax.Expr | syntax.Slice,
    low: DimLike,
    high: DimLike,
    text: str,
    help: str | None = None,
) -> None:
    """Demand `low <= high`: now if both are known, else at the call."""
    slack = high - low
    if is_nonnegative(slack):
        return
    if isinstance(slack, int) or is_nonnegative(-slack - 1):
        raise fail("E0506", "this index leaves the axis", Label(where.span, text), help=help)
    frame.where.append(Constraint(low, "<=", high))


def _position(frame: Frame, item: syntax.Expr, position: DimLike, dim: DimLike) -> DimLike:
    if isinstance(position, int) and position < 0:
        position = dim + position
        _require(frame, item, 0, position, f"the axis has {dim_text(dim)} entries")
    help = "the last entry is at -1" if position == dim else None
    _require(frame, item, position + 1, dim, f"the axis has {dim_text(dim)} entries, counted from 0", help)
    return position


def _range(frame: Frame, item: syntax.Slice, dim: DimLike) -> Range:
    def bound(part: syntax.Expr | None, default: DimLike) -> DimLike:
        if part is None:
            return default
        known = try_dim(frame, part)
        if known is None:
            if evaluate_node(frame, part) is None:
                raise TpcError(())  # what is wrong with it is told already
            raise fail(
                "E0511",
                "the bounds of a slice must be sizes",
                part.span,
                help="`div(n, 2)` is the whole part of a quotient of sizes"
                if isinstance(part, syntax.Binary) and part.operator == "/"
                else size_hint(frame, part)
                if isinstance(part, syntax.Name)
                else "its length is part of the type; use sizes and integers, or gather with an array of positions",
            )
        return dim + known if isinstance(known, int) and known < 0 else known

    if item.start is None and item.stop is None and item.step is None:
        return Range(0, dim, 1)  # the whole axis
    step = bound(item.step, 1)
    if not isinstance(step, int) or step <= 0:
        assert item.step is not None
        raise fail("E0511", "the step of a slice must be a positive integer", item.step.span, help="`flip` reverses")
    start, stop = bound(item.start, 0), bound(item.stop, dim)
    count = divide(stop - start + (step - 1), step)
    last = start + (count - 1) * step + 1  # the stop that is just behind the last position
    _require(frame, item, 0, start, f"it starts at {dim_text(start)}")
    _require(frame, item, last, dim, f"it stops at {dim_text(stop)}, and the axis has {dim_text(dim)} entries")
    _require(frame, item, 0, count, f"it starts at {dim_text(start)} and stops at {dim_text(stop)}")
    return Range(start, count, step)


def block(frame: Frame, expression: syntax.Block) -> Node | None:
    """`[A, B; C, D]`: a comma joins along the last axis, a semicolon along the one before.

    Scalars are entries, vectors are rows; a literal 0 beside matrices is a block of zeros of the size that fits.
    """
    _refuse_nested(expression)
    rows: list[list[tuple[Node, syntax.Expr]]] = []
    for row in expression.rows:
        found = [(evaluate_node(frame, item), item) for item in row]
        if any(node is None for node, _ in found):
            return None
        rows.append([(node, item) for node, item in found if node is not None])
    rank = max(node.tensor.rank for row in rows for node, _ in row)
    if rank > 2:
        raise fail("E0204", "blocks are scalars, vectors or matrices", expression.span, help="use concat or stack")
    if rank == 2:
        rows = _fill_zeros(rows)
    joined: list[tuple[Node, syntax.Expr]] = []
    for values in rows:
        if all(node.tensor.rank == 0 for node, _ in values) and rank < 2:
            common = promote_all(node.tensor.dtype for node, _ in values)
            numbers = [(cast(n, common) if n.op is LITERAL and common.is_weak else n, item) for n, item in values]
            line = apply(frame, "stack", numbers, expression, axis=0)
        else:
            _refuse_numbers(values)
            parts = [(_lift(node, 2 if rank == 2 else 1, item), item) for node, item in values]
            line = parts[0][0] if len(parts) == 1 else apply(frame, "concat", parts, expression, axis=-1)
        if line is None:
            return None
        joined.append((line, values[0][1]))
    if len(joined) == 1:
        return joined[0][0]
    if joined[0][0].tensor.rank == 1:
        return apply(frame, "stack", joined, expression, axis=0)
    return apply(frame, "concat", joined, expression, axis=0)


def _refuse_nested(expression: syntax.Block) -> None:
    """`[[1, 2], [3, 4]]` would be one row of four numbers."""
    lines = [item.rows for item in expression.rows[0] if isinstance(item, syntax.Block)]
    if len(expression.rows) > 1 or len(lines) < len(expression.rows[0]) or any(len(rows) > 1 for rows in lines):
        return
    texts = [", ".join(item.span.text for item in rows[0]) for rows in lines]
    shown = f"[{'; '.join(texts)}]" if len(texts) > 1 else f"unsqueeze([{texts[0]}], 0)"
    raise fail(
        "E0111",
        "rows of a matrix are parted by `;`, not by brackets",
        expression.span,
        help=f"write `{shown}`" if len(shown) < 80 else "write `[a, b; c, d]`",
    )


def _refuse_numbers(row: list[tuple[Node, syntax.Expr]]) -> None:
    """`[1, X]` is no column of ones: a number is a block of 1 by 1."""
    heights = [node.tensor.dims[0] for node, _ in row if node.tensor.rank == 2]
    number = next((item for node, item in row if node.tensor.rank == 0), None)
    if number is None or not heights or heights[0] == 1:
        return
    rows, text = dim_text(heights[0]), number.span.text
    column = f"ones({rows}, 1)" if text == "1" else f"{text} * ones({rows}, 1)"
    title = f"a number beside a matrix of {rows} rows is one entry, not a column"
    raise fail("E0202", title, number.span, help=f"write `{column}` for a column")


def _lift(node: Node, rank: int, item: syntax.Expr) -> Node:
    """Scalars become vectors of one entry, vectors rows of one line."""
    missing = rank - node.tensor.rank
    if missing and rank == 2 and node.tensor.rank == 1:
        raise fail(
            "E0204",
            "a vector beside matrices could be a row or a column",
            Label(item.span, f"this is {node.tensor}"),
            help=f"say which: `unsqueeze({item.span.text}, 0)` is a row, `unsqueeze({item.span.text}, 1)` a column",
        )
    for _ in range(missing):
        node = make("reshape", (node,), dims=(1, *node.tensor.dims))
    return node


def _fill_zeros(rows: list[list[tuple[Node, syntax.Expr]]]) -> list[list[tuple[Node, syntax.Expr]]]:
    def is_zero(node: Node) -> bool:
        return static_dim(node) == 0 and node.tensor.rank == 0

    filled = []
    for row in rows:
        heights = [node.tensor.dims[0] for node, _ in row if node.tensor.rank == 2]
        line = []
        for column, (node, item) in enumerate(row):
            if is_zero(node):
                widths = [
                    other[column][0].tensor.dims[1]
                    for other in rows
                    if column < len(other) and other[column][0].tensor.rank == 2
                ]
                if not heights or not widths:
                    raise fail(
                        "E0215",
                        "the size of this block of zeros is not known",
                        item.span,
                        help="write `zeros(n, m)`",
                    )
                node = make("zeros", (), dims=(heights[0], widths[0]), dtype=None)
            line.append((node, item))
        filled.append(line)
    return filled
