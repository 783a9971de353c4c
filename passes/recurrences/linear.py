"""How the value that a loop carries along follows from its value before, where that is linear in each entry."""

from __future__ import annotations

from dataclasses import dataclass

from tpc.ir.build import literal, make
from tpc.ir.node import Node, topological
from tpc.ir.types import TensorType

SHORTEST = 8  # passes below which a loop is as fast
ONE = literal(1.0)


@dataclass(frozen=True, slots=True)
class Linear:
    """`factor * x + term`, in terms of values that do not move with x; None for what there is nothing of."""

    factor: Node | None
    term: Node | None


def recurrence(update: Node, carry: Node) -> Linear | None:
    """How a value that a loop carries follows from its value before, or None where that is not linear in each entry."""
    if carry.tensor.dtype.kind not in "fc" or carry.tensor.dtype.is_weak:
        return None
    moving: dict[Node, Linear] = {carry: Linear(ONE, None)}
    for node in topological([update]):
        if node in moving or not any(a in moving for a in node.args):
            continue
        found = _step(node, [moving.get(a, Linear(None, a)) for a in node.args]) if node.type is carry.type else None
        if found is None:
            return None
        moving[node] = found
    return moving.get(update)


def _step(node: Node, operands: list[Linear]) -> Linear | None:
    """What an operation makes of operands of which one at least moves."""
    match node.op.name, operands:
        case "neg", [x]:
            return Linear(_sum("sub", None, x.factor), _sum("sub", None, x.term))
        case ("add" | "sub") as name, [x, y]:
            return Linear(_sum(name, x.factor, y.factor), _sum(name, x.term, y.term))
        case ("mul", [x, Linear(None, by)]) | ("mul", [Linear(None, by), x]):
            return Linear(_scaled("mul", x.factor, by), _scaled("mul", x.term, by))
        case "div", [x, Linear(None, by)]:
            return Linear(_scaled("div", x.factor, by), _scaled("div", x.term, by))
        case "matmul", [Linear(None, by), x] if (rows := _diagonal(by)) is not None:
            by = make("unsqueeze", (rows,), axis=-1)
            return Linear(_scaled("mul", x.factor, by), _scaled("mul", x.term, by))
        case "matmul", [x, Linear(None, by)] if (columns := _diagonal(by)) is not None:
            by = make("unsqueeze", (columns,), axis=-2)
            return Linear(_scaled("mul", x.factor, by), _scaled("mul", x.term, by))
    return None


def by_matrix(update: Node, carry: Node) -> Linear | None:
    """How a vector that a loop carries follows from its value before, where that is by products with matrices.

    The factor is then a matrix.
    """
    if carry.tensor.dtype.kind not in "fc" or carry.tensor.dtype.is_weak or carry.tensor.rank != 1:
        return None
    moving: dict[Node, Linear] = {carry: Linear(ONE, None)}
    for node in topological([update]):
        if node in moving or not any(a in moving for a in node.args):
            continue
        operands = [moving.get(a, Linear(None, a)) for a in node.args]
        found = _matrix_step(node, operands, carry.tensor) if node.type is carry.type else None
        if found is None:
            return None
        moving[node] = found
    return moving.get(update)


def _matrix_step(node: Node, operands: list[Linear], type: TensorType) -> Linear | None:
    match node.op.name, operands:
        case "matvec", [Linear(None, matrix), x] if matrix is not None and matrix.tensor.rank == 2:
            return _after(matrix, x)
        case "vecmat", [x, Linear(None, matrix)] if matrix is not None and matrix.tensor.rank == 2:
            return _after(make("transpose", (matrix,)), x)
        case "neg", [x]:
            return Linear(_sum("sub", None, x.factor), _sum("sub", None, x.term))
        case ("add" | "sub") as name, [x, y]:
            return Linear(
                _sum(name, _matrix(x.factor, type, y), _matrix(y.factor, type, x)), _sum(name, x.term, y.term)
            )
        case (("mul" | "div") as name, [x, Linear(None, by)]) | ("mul" as name, [Linear(None, by), x]):
            if by is None or by.tensor.rank or x.factor is None:
                return None
            factor = _identity(type) if x.factor is ONE else x.factor
            return Linear(make(name, (factor, by)), _scaled(name, x.term, by))
    return None


def _after(matrix: Node, x: Linear) -> Linear:
    factor = matrix if x.factor is ONE else None if x.factor is None else make("matmul", (matrix, x.factor))
    return Linear(factor, None if x.term is None else make("matvec", (matrix, x.term)))


def _matrix(factor: Node | None, type: TensorType, other: Linear) -> Node | None:
    """A factor that is added to another, as a matrix."""
    return _identity(type) if factor is ONE and other.factor is not None else factor


def _identity(type: TensorType) -> Node:
    return make("eye", (), i=type.dims[0], j=type.dims[0], dtype=type.dtype)


def _sum(name: str, x: Node | None, y: Node | None) -> Node | None:
    if y is None:
        return x
    if x is None:
        return y if name == "add" else make("neg", (y,))
    return make(name, (x, y))


def _diagonal(matrix: Node | None) -> Node | None:
    """The entries of a diagonal matrix that is made of them."""
    if matrix is None or matrix.op.name != "diag" or matrix.args[0].tensor.rank != 1:
        return None
    return matrix.args[0]


def _scaled(name: str, x: Node | None, by: Node | None) -> Node | None:
    assert by is not None
    if x is None:
        return None
    return by if x is ONE and name == "mul" else make(name, (x, by))
