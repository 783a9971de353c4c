"""Products with matrices that are stored in few bits, or sparse beside something else, read what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tpc.ir.build import input_node, make
from tpc.ir.dims import divide, divide_exactly
from tpc.ir.node import Node
from tpc.ir.rewrite import rewrite
from tpc.ir.types import TensorType
from tpc.passes.choose.prices import Prices
from tpc.passes.kernels import node_seconds

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


def distributed(outputs: Sequence[Node]) -> list[Node]:
    """Values with products of each part in the place of a product with a sparse matrix and what is added to it, and one
    after the other in the place of one with a product of sparse matrices."""

    def change(node: Node) -> Node:
        if node.op.name not in ("matvec", "vecmat", "matmul"):
            return node
        for place, operand in enumerate(node.args):
            is_turned = operand.op.name == "transpose"
            whole = operand.args[0] if is_turned else operand
            factors = _factors(whole)
            if factors:
                if is_turned:
                    factors = [make("transpose", (factor,)) for factor in reversed(factors)]
                result = node.args[1 - place]
                for factor in factors if place else reversed(factors):
                    result = make(node.op, (result, factor) if place else (factor, result))
                return result
            if whole.op.name != "add" or whole.args[0].op.name != "sparse_matrix":
                continue
            parts = [make("transpose", (part,)) if is_turned else part for part in whole.args]
            return make("add", [make(node.op, [*node.args[:place], part, *node.args[place + 1 :]]) for part in parts])
        return node

    return rewrite(outputs, change)


def _factors(node: Node) -> list[Node]:
    """C, L and R of C @ L @ R with sparse C and R; empty for all else."""
    if node.op.name != "matmul" or node.args[1].op.name != "sparse_matrix" or node.args[0].op.name != "matmul":
        return []
    inner, last = node.args
    return [*inner.args, last] if inner.args[0].op.name == "sparse_matrix" else []


@dataclass(frozen=True)
class Codes:
    """A dequantized matrix, what is done to it, and whether it is its transpose.

    `other` is what its columns are multiplied with (`mul`), a row that is added to each (`add`), or what each group of
    columns is multiplied with (`matmul`).
    """

    matrix: Node
    is_transposed: bool
    change: str = ""
    other: Node | None = None

    @property
    def turned(self) -> Codes:
        return replace(self, is_transposed=not self.is_transposed)


def _codes(node: Node) -> Codes | None:
    is_transposed = node.op.name == "transpose"
    matrix = node.args[0] if is_transposed else node
    if matrix.op.name == "dequantize":
        return Codes(matrix, is_transposed)
    change, parts = matrix.op.name, matrix.args
    if change == "reshape" and parts[0].op.name == "matmul" and parts[0].args[0].op.name == "reshape":
        change, parts = "matmul", (parts[0].args[0].args[0], parts[0].args[1])
    elif change in ("mul", "add") and parts[1].op.name == "unsqueeze" and parts[1]["axis"] == 0:
        parts = (parts[0], parts[1].args[0])
    else:
        return None
    codes, other = parts
    if codes.op.name != "dequantize" or codes.type is not matrix.type:
        return None
    columns, dims = codes.tensor.dims[1], other.tensor.dims
    if change == "matmul":
        is_whole = len(dims) == 2 and dims[0] == dims[1] and divide_exactly(columns, dims[0]) is not None
    else:
        is_whole = dims == (columns,)
    return Codes(codes, is_transposed, change, other) if is_whole else None


def _is_short(X: Node) -> bool:
    rows = X.tensor.dims[0]
    return X.tensor.rank == 1 or (X.tensor.rank == 2 and isinstance(rows, int) and rows <= ROWS)


def _product(X: Node, code: Codes) -> Node:
    """X @ W, or X @ W'."""
    other, matrix = code.other, code.matrix
    options = {"packed": matrix["packed"], "transposed": code.is_transposed}
    if other is None:
        return make("quantized_matmul", (X, *matrix.args), **options)
    if code.change == "add":
        found = make("quantized_matmul", (X, *matrix.args), **options)
        if code.is_transposed:  # each row of W has the same row added to it
            added = make("dot" if X.tensor.rank == 1 else "matvec", (X, other))
            return make("add", (found, added if X.tensor.rank == 1 else make("unsqueeze", (added,), axis=1)))
        total = make("sum", (X,), axis=X.tensor.rank - 1)
        return make("add", (found, make("mul" if X.tensor.rank == 1 else "outer", (total, other))))
    if code.is_transposed:
        turned = make("transpose", (other,)) if code.change == "matmul" else other
        return make("quantized_matmul", (_changed(X, code.change, turned), *matrix.args), **options)
    return _changed(make("quantized_matmul", (X, *matrix.args), **options), code.change, other)


def _changed(X: Node, change: str, other: Node) -> Node:
    """The columns of X, or each group of them, times something."""
    if change == "mul":
        return make("mul", (X, other))
    size = other.tensor.dims[0]
    groups = make("reshape", (X,), dims=(divide(X.tensor.size, size), size))
    return make("reshape", (make("matmul", (groups, other)),), dims=X.tensor.dims)
