"""Kernels of a plan as what they stand for, since plans are printed, and what is printed is differentiated again.

The optimizer finds the kernels again, for the value and for the derivative.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.ir.build import items, make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.ops.structure import ITEM
from tpc.passes.differentiate.arrays import conjugated, transposed


def as_meant(node: Node) -> Node:
    """A step of BLAS or LAPACK as the product, solution, inverse or determinant that it is; other nodes as they are."""
    meaning = _MEANINGS.get(node.op.name)
    found = meaning(node) if meaning is not None else None
    return found if found is not None and found.type is node.type else node


def _product(matrix: Node, right: Node) -> Node:
    return make("matvec" if right.tensor.rank == 1 else "matmul", (matrix, right))


def _solution(matrix: Node, right: Node) -> Node:
    return make("solve", (matrix, right))


def _adjoint(matrix: Node) -> Node:
    return conjugated(transposed(matrix))


def _triangle(matrix: Node, lower: bool = True) -> Node:
    return make("tril" if lower else "triu", (matrix,))


def _band(matrix: Node, below: DimLike, above: DimLike) -> Node:
    return make("triu", (make("tril", (matrix,), k=above),), k=-below)


# ---- triangles and factors


def _trmm(node: Node) -> Node:
    return _product(_triangle(node.args[0], node["lower"]), node.args[1])


def _tri_inv(node: Node) -> Node:
    return make("inv", (_triangle(node.args[0], node["lower"]),))


def _cho_solve(node: Node) -> Node:
    factor, right = node.args
    if factor.op.name == "cholesky":
        return _solution(factor.args[0], right)
    lower, is_vector = _triangle(factor), right.tensor.rank == 1
    right = make("unsqueeze", (right,), axis=-1) if is_vector else right
    inner = make("solve_triangular", (lower, right), lower=True)
    found = make("solve_triangular", (_adjoint(lower), inner), lower=False)
    return make("squeeze", (found,), axis=-1) if is_vector else found


def _cho_inv(node: Node) -> Node:
    (factor,) = node.args
    if factor.op.name == "cholesky":
        return make("inv", factor.args)
    lower = _triangle(factor)
    return make("inv", (make("matmul", (lower, _adjoint(lower))),))


def _factored(node: Node) -> Node | None:
    """The matrix whose factors a kernel is given."""
    packed, order = node.args[:2]
    is_pair = packed.op is ITEM and order.op is ITEM and packed.args == order.args
    pair = packed.args[0] if is_pair else None
    return pair.args[0] if pair is not None and pair.op.name in ("lu_factor", "ldl_factor") else None


def _factored_solution(node: Node) -> Node | None:
    matrix = _factored(node)
    if matrix is None:
        return None
    return _solution(transposed(matrix) if node.get("transposed") else matrix, node.args[2])


def _determinant(name: str) -> Callable[[Node], Node | None]:
    def meaning(node: Node) -> Node | None:
        matrix = _factored(node)
        return None if matrix is None else make(name, (matrix,))

    return meaning


# ---- bands and matrices that a few numbers fill


def _band_solve(node: Node) -> Node:
    return _solution(_band(node.args[0], node["below"], node["above"]), node.args[1])


def _spd_band_solve(node: Node) -> Node:
    lower = _band(node.args[0], node["width"], 0)
    return _solution(make("add", (lower, _adjoint(make("tril", (lower,), k=-1)))), node.args[1])


def _circulant(node: Node) -> Node:
    whole = make("circulant", (node.args[0],))
    return transposed(whole) if node.get("transposed") else whole


def _toeplitz(node: Node) -> Node:
    t, right = node.args
    return make("toeplitz", (t,), m=t.tensor.dims[0] + 1 - right.tensor.dims[0])


def _diagonals(node: Node) -> Node:
    return make("from_diagonals", (node.args[0],), below=node["below"], n=node.args[1].tensor.dims[0])


_MEANINGS: dict[str, Callable[[Node], Node | None]] = {
    "trmm": _trmm,
    "tri_inv": _tri_inv,
    "cho_solve": _cho_solve,
    "cho_inv": _cho_inv,
    "qr_triangle": lambda node: items(make("qr", node.args))[1],
    "lu_solve": _factored_solution,
    "lu_det": _determinant("det"),
    "lu_logdet": _determinant("logdet"),
    "ldl_solve": _factored_solution,
    "band_matmul": lambda node: _product(_band(node.args[0], node["below"], node["above"]), node.args[1]),
    "band_solve": _band_solve,
    "spd_band_solve": _spd_band_solve,
    "circulant_matmul": lambda node: _product(_circulant(node), node.args[1]),
    "circulant_solve": lambda node: _solution(_circulant(node), node.args[1]),
    "circulant_logdet": lambda node: make("logdet", (make("circulant", node.args),)),
    "toeplitz_matmul": lambda node: _product(_toeplitz(node), node.args[1]),
    "diagonals_matmul": lambda node: _product(_diagonals(node), node.args[1]),
    "diagonals_solve": lambda node: _solution(_diagonals(node), node.args[1]),
}
