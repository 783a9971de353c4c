"""Arrays in the shape of others: what rules and modes build adjoints and tangents of."""

from __future__ import annotations

from tpc.ir.build import cast, make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.ir.types import TensorType


def transposed(node: Node) -> Node:
    """A matrix with rows for columns, not conjugated."""
    return make("transpose", (node,))


def conjugated(node: Node) -> Node:
    """The conjugate of complex numbers; real ones as they are."""
    return make("conj", (node,)) if node.tensor.dtype.kind == "c" else node


def fitted(bar: Node, type: TensorType) -> Node:
    """An adjoint in the shape and format of an operand that was broadcast or promoted."""
    extra = bar.tensor.rank - type.rank
    if extra == 2 and (diagonal := _of_identity(bar)) is not None:
        bar = make("trace", (diagonal,))
    elif extra > 0:
        bar = make("sum", (bar,), axis=0 if extra == 1 else tuple(range(extra)), keepdims=False)
    stretched = tuple(
        n for n, (have, want) in enumerate(zip(bar.tensor.dims, type.dims, strict=True)) if want == 1 and have != 1
    )
    if stretched:
        bar = make("sum", (bar,), axis=stretched if len(stretched) > 1 else stretched[0], keepdims=True)
    if bar.tensor.dims != type.dims:  # an operand whose part in the sum is a constant
        bar = make("broadcast_to", (bar,), dims=type.dims)
    if bar.tensor.dtype.kind == "c" and type.dtype.kind != "c":
        bar = make("re", (bar,))
    return bar if type.dtype.is_weak or bar.tensor.dtype is type.dtype else cast(bar, type.dtype)


def _of_identity(node: Node) -> Node | None:
    """The square matrix whose diagonal is all that a product with the identity leaves of it."""
    if node.op.name == "mul" and node.tensor.rank == 2 and node.tensor.dims[0] == node.tensor.dims[1]:
        for one, other in (node.args, node.args[::-1]):
            bare = one.args[0] if one.op.name == "cast" else one
            if bare.op.name == "eye" and other.type is node.type:
                return other
    return None


def part(node: Node, axis: int, start: DimLike, count: DimLike) -> Node:
    """`count` positions of an axis from `start`."""
    whole = [Range(0, dim, 1) for dim in node.tensor.dims]
    whole[axis] = Range(start, count, 1)
    return make(SUBSCRIPT, (node,), items=tuple(whole))


def entry(node: Node, position: DimLike) -> Node:
    """One entry along the first axis."""
    rest = [Range(0, dim, 1) for dim in node.tensor.dims[1:]]
    return make(SUBSCRIPT, (node,), items=(At(position), *rest))


def moved(node: Node, source: int, target: int) -> Node:
    """An array with an axis at another place."""
    axes = [n for n in range(node.tensor.rank) if n != source]
    axes.insert(target, source)
    return node if source == target else make("permute", (node,), axes=tuple(axes))


def axis_of(node: Node) -> int:
    """The axis along which an op goes, counted from the first."""
    axis: int = node["axis"]
    return axis % node.args[0].tensor.rank
