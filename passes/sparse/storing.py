"""Constants of which only products are needed, in the formats that are fastest for these.

The rows of a matrix may also change their places, if they make blocks then; those of the product go back to theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from tpc.ir.build import make
from tpc.ir.formats import IN_BLOCKS, MOVED, fastest, seconds
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, ConstantData
from tpc.ir.rewrite import rewrite
from tpc.ir.types import I64, TensorType
from tpc.passes.choose.prices import Sizes
from tpc.passes.sparse.constants import matrix_of
from tpc.passes.sparse.reorder import clustered

SIDE = max(IN_BLOCKS)  # of the blocks that rows are ordered for
LEAST = 10_000  # entries for which it is looked for an order


def _readers(program: Program) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for node in program.nodes:
        for operand in node.args:
            found.setdefault(operand, []).append(node)
    return found


def _is_factor(node: Node, readers: Mapping[Node, list[Node]], program: Program) -> bool:
    """Whether all that is needed of a value are products with it."""
    users = readers.get(node, [])
    is_first = all(user.op.name == "spmm" and user.args[1] is not node for user in users)
    return bool(users) and is_first and node not in program.outputs


def as_given(program: Program) -> Program:
    """The program with inputs, of which only products are needed, in the format in which they come."""
    readers = _readers(program)
    factors = {node for node in program.nodes if node.op.name == "csr" and _is_factor(node, readers, program)}

    def change(node: Node) -> Node:
        return make("csr", node.args, products=True, density=node["density"]) if node in factors else node

    return program.replace(outputs=rewrite(program.outputs, change)) if factors else program


def stored(program: Program, at: Mapping[str, int]) -> Program:
    """The program with each sparse constant that is used in products alone in a format for them."""
    readers, size = _readers(program), Sizes(at)
    ways: dict[Node, Callable[[Node], Node]] = {}  # a product with a matrix, as it is to be
    for node in program.nodes:
        matrix = matrix_of(node) if _is_factor(node, readers, program) else None
        if matrix is None:
            continue
        columns = [size(u.args[1].tensor.dims[1]) if u.args[1].tensor.rank == 2 else 1 for u in readers[node]]
        name = fastest(matrix, columns)
        order = _order(matrix, columns, seconds(matrix, name, columns))
        if order is not None:
            ways[node] = _in_order(node, order)
        elif name != "rows" or node.op.name == "csr_transpose":
            ways[node] = _in_format(node, name)

    def change(node: Node) -> Node:
        return ways[node.args[0]](node) if node.op.name == "spmm" and node.args[0] in ways else node

    return program.replace(outputs=rewrite(program.outputs, change)) if ways else program


def _order(matrix: Any, columns: list[int], least: float) -> Any:
    """An order of rows that pays; None where there is none."""
    moved = sum(count * matrix.shape[0] * MOVED for count in columns)
    entry, line = IN_BLOCKS[SIDE]
    possible = sum(matrix.nnz * (entry + line * count) for count in columns) + moved
    if matrix.nnz < LEAST or any(n % SIDE for n in matrix.shape) or possible >= least:
        return None
    order = clustered(matrix, SIDE, SIDE)
    return order if seconds(matrix[order], f"blocks{SIDE}", columns) + moved < least else None


def _in_format(matrix: Node, name: str) -> Callable[[Node], Node]:
    kept = make("store", (matrix,), format=name, density=matrix["density"])
    return lambda product: make("spmm", (kept, product.args[1]), format=name, density=product["density"])


def _in_order(matrix: Node, order: Any) -> Callable[[Node], Node]:
    """Products by the matrix in blocks, with its rows in another order."""
    import numpy as np

    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    turned = make("csr_take", (matrix, _constant("order", order)), density=matrix["density"])
    blocks = _in_format(turned, f"blocks{SIDE}")
    return lambda product: make("take", (blocks(product), _constant("places", back)))


def _constant(name: str, array: Any) -> Node:
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    data = ConstantData(f"{name}.npy", digest, array)
    return Node(CONSTANT, (), (("name", name), ("data", data)), TensorType(I64, array.shape))
