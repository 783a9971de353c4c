"""Constants of which only products are needed, in the formats that are fastest for these.

The rows of a matrix may also change their places, if they make blocks then; those of the product go back to theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tpc.ir.build import make
from tpc.ir.formats import IN_BLOCKS, MOVED, fastest, seconds
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, ConstantData
from tpc.ir.rewrite import rewrite
from tpc.ir.types import I64, TensorType
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.kernels import node_seconds
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


class Formats:
    """Formats for sparse constants of which only products are needed.

    Parameters
    ----------
    at
        Sizes to choose for, where they are open.
    """

    def __init__(self, at: Mapping[str, int]) -> None:
        self.at, self.size = at, Sizes(at)
        self.known: dict[tuple[Node, tuple[int, ...]], tuple[str, Any, float]] = {}

    def stored(self, program: Program) -> Program:
        """The program with each of these constants in the format that is the fastest for its products."""
        ways: dict[Node, Callable[[Node], Node]] = {}  # a product with a matrix, as it is to be
        for node, products in self._factors(program):
            name, order, _ = self._best(node, products)
            if order is not None:
                ways[node] = _in_order(node, order)
            elif name != "rows" or node.op.name == "csr_transpose":
                ways[node] = _in_format(node, name)

        def change(node: Node) -> Node:
            return ways[node.args[0]](node) if node.op.name == "spmm" and node.args[0] in ways else node

        return program.replace(outputs=rewrite(program.outputs, change)) if ways else program

    def saved(self, program: Program, prices: Prices) -> float:
        """The seconds by which the products take less than those by rows, which prices are of."""
        return sum(
            (1 - self._best(node, products)[2]) * sum(node_seconds(product, prices, self.at) for product in products)
            for node, products in self._factors(program)
        )

    def _factors(self, program: Program) -> Iterator[tuple[Node, list[Node]]]:
        """The constants, each with the products that are made with it."""
        readers = _readers(program)
        for node in program.nodes:
            if _is_constant(node) and _is_factor(node, readers, program):
                yield node, readers[node]

    def _best(self, node: Node, products: list[Node]) -> tuple[str, Any, float]:
        """The format of a constant, the order of its rows, if they change places, and its share of the time by rows."""
        rights = [product.args[1].tensor for product in products]
        columns = [self.size(right.dims[1]) if right.rank == 2 else 1 for right in rights]
        key = node, tuple(columns)
        if key not in self.known:
            matrix = matrix_of(node)
            name = fastest(matrix, columns)
            least = seconds(matrix, name, columns)
            order, found = _order(matrix, columns, least)
            self.known[key] = name, order, found / seconds(matrix, "rows", columns)
        return self.known[key]


def _is_constant(node: Node) -> bool:
    """Whether a value is a sparse constant, or the transpose of one."""
    inner = node.args[0] if node.op.name == "csr_transpose" else node
    return inner.op.name in ("csr_parts", "to_csr") and all(a.op is CONSTANT for a in inner.args)


def _order(matrix: Any, columns: list[int], least: float) -> tuple[Any, float]:
    """An order of rows that pays, None where there is none, and the seconds that products take then."""
    moved = sum(count * matrix.shape[0] * MOVED for count in columns)
    entry, line = IN_BLOCKS[SIDE]
    possible = sum(matrix.nnz * (entry + line * count) for count in columns) + moved
    if matrix.nnz < LEAST or any(n % SIDE for n in matrix.shape) or possible >= least:
        return None, least
    order = clustered(matrix, SIDE, SIDE)
    found = seconds(matrix[order], f"blocks{SIDE}", columns) + moved
    return (order, found) if found < least else (None, least)


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
