"""Arrays that are looks at others, and how their entries lie: row by row, or in another order."""

from __future__ import annotations

from collections.abc import Container

from tpc.ir.affine import affine
from tpc.ir.formula import Access, Composed
from tpc.ir.node import Node
from tpc.ir.ops.structure import ITEM, SUBSCRIPT, At, Range
from tpc.ir.types import TensorType
from tpc.passes.count import is_view

PARTS = ("re", "im", "require", "broadcast_to")  # other looks at an operand than those that move its axes
# Looks at other arrays, and results of LAPACK, which works column by column.
_TURNING = frozenset(
    ["permute", "subscript", "solve_triangular", "cho_solve", "lu_solve", "ldl_solve", "trmm", "tri_inv", "cho_inv"]
    + ["cholesky", "band_solve", "spd_band_solve", "solve"]
)


def is_turned(node: Node, inputs: Container[Node] = ()) -> bool:
    """Whether the entries of an array do not lie row by row; `inputs` are those for which that is so.

    Native code is given copies of such arrays.
    """
    if isinstance(node.type, tuple) or node.tensor.rank < (2 if node.op is not SUBSCRIPT else 1):
        return False
    first = node.args[0] if node.args else None
    if node in inputs:
        return True
    if first is None or isinstance(first.type, tuple):
        return False
    if node.op.name in ("transpose", "adjoint"):
        return not is_turned(first, inputs)
    if node.op.name == "after":
        return is_turned(first, inputs)
    if node.op.group == "elementwise":  # the result lies as its operands do
        alike = [a for a in node.args if a.tensor.rank == node.tensor.rank]
        return bool(alike) and all(is_turned(a, inputs) for a in alike)
    return node.op.name in _TURNING


def is_part(node: Node) -> bool:
    """Whether a value is cut out of another."""
    while is_view(node) and node.args and node.op is not ITEM:
        if node.op is SUBSCRIPT or node.op.name == "diag":
            return True
        node = node.args[0]
    if node.op.name == "re" and node.args[0].tensor.dtype.kind != "c":
        return is_part(node.args[0])  # which is all there is of it
    return node.op.name in PARTS


def is_scattered(node: Node) -> bool:
    """Whether no axis of a matrix lies entry by entry in memory, since it is cut out across one that does."""
    while is_view(node) and node.args and isinstance(node.args[0].type, TensorType):
        if node.op is SUBSCRIPT:
            last = node["items"][-1]
            if isinstance(last, At) or (isinstance(last, Range) and last.step != 1):
                return not is_turned(node.args[0])
        node = node.args[0]
    return False


def copied_by_torch(node: Node, inputs: Container[Node] = ()) -> list[Node]:
    """The operands of which torch makes copies that it can work on; `inputs` as for `is_turned`."""
    if node.op.name in ("softmax", "log_softmax"):
        return [a for a in node.args if is_turned(a, inputs)]
    if node.op.name in ("matmul", "matvec", "vecmat"):
        return [a for a in node.args if a.tensor.rank > 1 and is_scattered(a)]
    return []


def is_sliced(access: Access) -> bool:
    """Whether an index statement only looks at its operand: each index is a multiple of one letter, and a number."""
    if access.pad is not None:
        return False
    forms = [None if isinstance(index, Composed) else affine(index) for index in access.indices]
    return all(form is not None and len(form.slopes) < 2 for form in forms)
