"""Products with matrices that are stored in few bits read the codes, and make no matrix of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tpc.ir.build import input_node, make
from tpc.ir.node import Node
from tpc.ir.rewrite import rewrite
from tpc.ir.types import TensorType
from tpc.passes.choose.prices import Prices
from tpc.passes.count import node_seconds

ROWS = 16  # of a block that each code is read for; beyond these, a product of matrices is quicker


def break_even(codes: Node, prices: Prices) -> int:
    """Of how many rows a product with a matrix in few bits is predicted to be quicker than with the matrix, at most; a
    power of two, and 0 where it is for none."""
    n, m = (int(str(dim)) for dim in codes.tensor.dims)
    dtype, best, rows = codes.tensor.dtype, 0, 1
    while rows <= ROWS:
        X = input_node("X", TensorType(dtype, [rows, m]))
        product = make("quantized_matmul", (X, *codes.args), packed=codes["packed"], transposed=True)
        if node_seconds(product, prices, {}) >= prices.seconds("gemm", (rows, n, m), dtype):
            break
        best, rows = rows, 2 * rows
    return best


def reading_codes(outputs: Sequence[Node]) -> list[Node]:
    """Values with `quantized_matmul` in the place of products of few rows with what `dequantize` gives."""

    def change(node: Node) -> Node:
        if node.op.name not in ("matvec", "vecmat", "matmul") or not isinstance(node.type, type(node.args[0].type)):
            return node
        left, right = node.args
        code = _codes(right)
        if code is not None and _is_short(left):
            return _product(left, code)
        code = _codes(left)
        if code is None or right.tensor.rank > 2:
            return node
        if right.tensor.rank == 1:
            return _product(right, code.turned)
        turned = make("transpose", (right,))
        return make("transpose", (_product(turned, code.turned),)) if _is_short(turned) else node

    return rewrite(outputs, change)


@dataclass(frozen=True)
class Codes:
    """A dequantized matrix, what its columns are multiplied with, if they are, and whether it is its transpose."""

    matrix: Node
    widths: Node | None
    is_transposed: bool

    @property
    def turned(self) -> Codes:
        return replace(self, is_transposed=not self.is_transposed)


def _codes(node: Node) -> Codes | None:
    is_transposed = node.op.name == "transpose"
    matrix, widths = node.args[0] if is_transposed else node, None
    if matrix.op.name == "mul" and matrix.args[1].op.name == "unsqueeze":
        matrix, row = matrix.args
        (widths,) = row.args if row["axis"] == 0 else (None,)
        if widths is None or widths.tensor.rank != 1:
            return None
    return Codes(matrix, widths, is_transposed) if matrix.op.name == "dequantize" else None


def _is_short(X: Node) -> bool:
    rows = X.tensor.dims[0]
    return X.tensor.rank == 1 or (X.tensor.rank == 2 and isinstance(rows, int) and rows <= ROWS)


def _product(X: Node, code: Codes) -> Node:
    """X @ W, or X @ W'."""
    if code.widths is not None and code.is_transposed:
        X = make("mul", (X, code.widths))
    matrix = code.matrix
    found = make("quantized_matmul", (X, *matrix.args), packed=matrix["packed"], transposed=code.is_transposed)
    return found if code.widths is None or code.is_transposed else make("mul", (found, code.widths))
