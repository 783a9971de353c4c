"""Products with matrices that are stored in few bits read the codes, and make no matrix of them."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.ir.rewrite import rewrite

ROWS = 16  # of a block that each code is read for; beyond these, a product of matrices is quicker


def reading_codes(outputs: Sequence[Node]) -> list[Node]:
    """Values with `quantized_matmul` in the place of products of few rows with what `dequantize` gives."""

    def change(node: Node) -> Node:
        if node.op.name not in ("matvec", "vecmat", "matmul") or not isinstance(node.type, type(node.args[0].type)):
            return node
        left, right = node.args
        code = _codes(right)
        if code is not None and _is_short(left):
            return _product(left, *code)
        code = _codes(left)
        if code is None or right.tensor.rank > 2:
            return node
        matrix, is_transposed = code
        if right.tensor.rank == 1:
            return _product(right, matrix, not is_transposed)
        turned = make("transpose", (right,))
        return make("transpose", (_product(turned, matrix, not is_transposed),)) if _is_short(turned) else node

    return rewrite(outputs, change)


def _codes(node: Node) -> tuple[Node, bool] | None:
    """The dequantized matrix that a value is, and whether it is its transpose."""
    is_transposed = node.op.name == "transpose"
    matrix = node.args[0] if is_transposed else node
    return (matrix, is_transposed) if matrix.op.name == "dequantize" else None


def _is_short(X: Node) -> bool:
    rows = X.tensor.dims[0]
    return X.tensor.rank == 1 or (X.tensor.rank == 2 and isinstance(rows, int) and rows <= ROWS)


def _product(X: Node, matrix: Node, transposed: bool) -> Node:
    """X @ W, or X @ W'."""
    return make("quantized_matmul", (X, *matrix.args), packed=matrix["packed"], transposed=transposed)
