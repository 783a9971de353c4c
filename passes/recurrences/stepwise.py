"""Linear recurrences as loops, one step after the other, for native code.

Blocks of steps save calls of a library, of which native code makes none; what they compute twice is then a loss. A loop
holds its state in a cache, and a vector of states is a vector of lanes.
"""

from __future__ import annotations

from tpc.ir.build import cast, input_node, items, make
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import ITEM, SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import everywhere
from tpc.ir.types import INT, TensorType


def stepwise(program: Program) -> Program:
    """The program with loops in the place of `linear_scan`, `matrix_scan` and `linear_attention` of real numbers."""
    return everywhere(program, _changed)


def _changed(node: Node) -> Node:
    changed = _loop(node)
    return changed if changed is not None and changed.type is node.type else node


def _loop(node: Node) -> Node | None:
    if node.op is SUBSCRIPT and node.args[0].op.name == "concat":
        return _part_of_states(node)
    if node.op.name in ("linear_scan", "matrix_scan") and node.tensor.dtype.kind == "f":
        return _states(node)
    if node.op is ITEM and node.args[0].op.name == "linear_attention" and node.tensor.dtype.kind == "f":
        query, *_, state = node.args[0].args
        return attention_loop(node.args[0])[node["position"]] if query.tensor.rank == state.tensor.rank == 2 else None
    return None


def _states(node: Node) -> Node:
    """The start and what follows."""
    a, b, x = node.args
    start = _as(x, node)
    counter, state = input_node("i", TensorType(INT)), input_node("s0", start.tensor)
    factors, terms = input_node("c0", a.tensor), input_node("c1", b.tensor)
    if node.op.name == "linear_scan":
        moved = make("mul", (_row(factors, counter), state))
    else:
        moved = make("matvec", (factors, state))
    following = make("add", (moved, _row(terms, counter)))
    following = _as(following, node)
    body = Program("recurrence", (counter, state, factors, terms), (following, following))
    rows = items(make(SCAN, (start, a, b), body=body, state=1, extent=b.tensor.dims[0]))[1]
    return make("concat", (make("reshape", (start,), dims=(1, *start.tensor.dims)), rows), axis=0)


def _part_of_states(node: Node) -> Node | None:
    """What is read of all states without the first, from the loop itself."""
    first, *rows = node.args[0].args
    if node.args[0]["axis"] != 0 or first.tensor.dims[0] != 1 or len(rows) != 1 or len(node.args) > 1:
        return None
    (whole,) = rows
    is_loop = whole.op is ITEM and whole.args[0].op is SCAN and whole.args[0]["body"].name == "recurrence"
    place, *rest = node["items"]
    if not is_loop or any(item != Range(0, d, 1) for item, d in zip(rest, whole.tensor.dims[1:], strict=True)):
        return None
    if place == Range(1, whole.tensor.dims[0], 1):
        return whole
    return items(whole.args[0])[0] if place == At(whole.tensor.dims[0]) else None


def attention_loop(node: Node) -> list[Node]:
    """What all passes of a `linear_attention` read, and the last matrix, by a loop."""
    *parts, matrix = node.args
    values = items(node)
    counter, state = input_node("i", TensorType(INT)), input_node("s0", values[1].tensor)
    whole = [input_node(f"c{k}", p.tensor) for k, p in enumerate(parts)]
    query, key, value, decay = (_row(w, counter) for w in whole)
    faded = make("mul", (make("unsqueeze", (decay,), axis=-1), state))
    if query.tensor.rank == 1:
        following = _as(make("add", (faded, make("outer", (key, value)))), values[1])
        read = _as(make("vecmat", (query, following)), values[0])
    else:
        grown = make("mul", (make("unsqueeze", (key,), axis=-1), make("unsqueeze", (value,), axis=-2)))
        following = _as(make("add", (faded, grown)), values[1])
        rows = make("matmul", (make("unsqueeze", (query,), axis=-2), following))
        read = _as(make("squeeze", (rows,), axis=-2), values[0])
    body = Program("recurrence", (counter, state, *whole), (following, read))
    operands = (_as(matrix, values[1]), *parts)
    last, rows = items(make(SCAN, operands, body=body, state=1, extent=parts[0].tensor.dims[0]))
    return [rows, last]


def _row(array: Node, counter: Node) -> Node:
    rest = (Range(0, dim, 1) for dim in array.tensor.dims[1:])
    return make(SUBSCRIPT, (array, counter), items=(At(None), *rest))


def _as(node: Node, like: Node) -> Node:
    """A value in the format of another."""
    return cast(node, like.tensor.dtype)
