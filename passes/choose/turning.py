"""Batches of products computed the other way round, B' A' for A B, where what reads them then finds them in order.

A library multiplies matrices whose rows or columns lie in memory one by one. The last axis of a product does; where
a permutation makes it the one that numbers the next products, these would read matrices with gaps in both directions,
and copy each or do without the library. Of the turned product it is the axis before, which may stay where it is. So
it is with copies: of one product they may move single numbers, of the other whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.node import Node, topological
from tpc.ir.notes import follow
from tpc.ir.rewrite import rebuilt
from tpc.passes import layout
from tpc.passes.choose.arrange import permuted

NEARER = 4  # how many times longer stretches of numbers have to be that are copied in another order
BETTER = 2  # how many times fewer numbers from all over a turned product has to be read by


def turned(outputs: Sequence[Node]) -> list[Node]:
    """The values with batches of products the right way round for what reads them."""
    order = topological(outputs)
    users: dict[Node, list[Node]] = {}
    for node in order:
        for operand in node.args:
            users.setdefault(operand, []).append(node)

    def scattered(node: Node, axes: Sequence[layout.Axis]) -> float:
        """How many numbers are read from all over, for each number of a view; infinite where that is not known."""
        if node in outputs:
            return float("inf")
        total = 0.0
        for user in users[node]:
            if user.op.name == "matmul" and user.tensor.rank == len(axes):
                total += not layout.is_in_order(axes)
            elif user.op.name not in layout.VIEWS:
                return float("inf")
            elif (view := layout.seen(axes, user)) is not None:
                total += scattered(user, view)
            else:
                run = layout.scattered(axes)
                total += 1 / run if run else 0.0
        return total

    def is_better_turned(node: Node) -> bool:
        dims = node.tensor.dims
        other = layout.seen(layout.whole([*dims[:-2], dims[-1], dims[-2]]), make("transpose", (node,)))
        assert other is not None
        return BETTER * scattered(node, other) < scattered(node, layout.whole(dims)) < float("inf")

    def is_operand(node: Node) -> bool:
        return node not in outputs and all(user.op.name == "matmul" for user in users[node])

    done: dict[Node, Node] = {}
    for node in order:
        args = [done[a] for a in node.args]
        found = node if args == list(node.args) else rebuilt(node.op, args, node.attributes, node.type)
        match node.op.name:
            case "matmul" if node.tensor.rank > 2 and len({a.tensor.rank for a in args}) == 1:
                if is_better_turned(node):
                    left, right = (_transpose(a) for a in args)
                    found = make("transpose", (make("matmul", (right, left)),))
            case "permute" if args[0].op.name == "transpose" and args[0] is not node.args[0]:
                found = permuted(args[0].args[0], [_swapped(node.tensor.rank)[k] for k in node["axes"]])
            case "reshape" if is_operand(node):
                found = _joined(found)
        if found is not node:
            follow(node, found)
        done[node] = found
    return [done[node] for node in outputs]


def _joined(node: Node) -> Node:
    """Matrices of a batch that are copied from all over, as the transposes of others that lie nearer to each other."""
    array, dims = node.args[0], node.tensor.dims
    axes = layout.view_of(array)
    if len(dims) < 3 or layout.seen(axes, node) is not None:
        return node
    left = list(range(len(axes)))
    groups: list[list[int]] = []
    for dim in dims:
        group: list[int] = []
        while left and layout.size(tuple(atom for k in group for atom in axes[k])) != dim:
            group.append(left.pop(0))
        groups.append(group)
    if left or any(not group for group in groups):
        return node
    *lead, second, last = groups
    order = [k for group in (*lead, last, second) for k in group]
    if layout.run([axes[k] for k in order]) < NEARER * layout.run(axes):
        return node
    if array.op.name == "permute":
        array, order = array.args[0], [array["axes"][k] for k in order]
    joined = make("reshape", (permuted(array, order),), dims=(*dims[:-2], dims[-1], dims[-2]))
    return make("transpose", (joined,))


def _swapped(rank: int) -> list[int]:
    return [*range(rank - 2), rank - 1, rank - 2]


def _transpose(node: Node) -> Node:
    match node.op.name:
        case "transpose":
            return node.args[0]
        case "permute":
            return permuted(node.args[0], [node["axes"][k] for k in _swapped(node.tensor.rank)])
    return make("transpose", (node,))
