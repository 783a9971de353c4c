"""What sparse kernels take: products with dense matrices as calibrated, others as passes over the stored entries.

An entry is a number and its column, which tells where to read on. A product of two sparse matrices takes about 8 ns for
each product of two entries (scipy 1.17, one thread).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

from tpc.ir.dims import DimLike, divide, maximum, minimum, product
from tpc.ir.node import Node
from tpc.ir.ops.sparse import RESULTS, share

Kernels = Sequence[tuple[str, tuple[DimLike, ...]]]

WALK = (2, 12)  # operations and bytes of one step over the entries
IN_GRIDS = 36  # entries that a row of a grid has in its factors
LARGEST = 2048  # rows of a block that is filled in
FREE = ("csr", "csr_transpose")


def kernels(node: Node) -> Kernels:
    """The kernels that an op on sparse matrices is priced as, with their sizes."""
    name = node.op.name
    if name in FREE:
        return ()
    if name == "csr_sketch":
        return (_walk(share(product(node.tensor.dims), node["density"]), 4),)
    first = node.args[0].tensor
    whole = product(first.dims)
    entries = share(whole, node["density"])
    match name:
        case "from_csr":
            return ("copy", (whole,)), _walk(entries)
        case "to_csr" if node.args[0].op.name not in RESULTS:
            return (_walk(whole, 8),)
        case "spmm":
            right = node.args[1].tensor
            if str(node["format"]).startswith("blocks"):  # which read the other matrix less often
                entries = divide(entries, 2)
            name = "spmm" if right.rank == 2 else "spmv"
            return ((name, (*first.dims, *right.dims[1:], maximum(entries, 1))),)
        case "spgemm":
            met = share(product(node.tensor.dims), min(-log1p(-min(node["density"], 0.99)), 4.0))
            return (_walk(met, 12), _walk(node.tensor.dims[0], 4))
        case "sddmm":
            return (("sddmm", (*first.dims, node.args[1].tensor.dims[1], maximum(entries, 1))),)
        case "csr_add" | "csr_sub" | "csr_mul" | "csr_triangle" | "csr_kron":
            return (_walk(share(product(node.tensor.dims), node["density"]), 8), _walk(node.tensor.dims[0]))
        case "csr_plus_dense":
            return ("copy", (whole,)), _walk(entries)
        case "csr_row" if node.args[0].op.name != "csr_transpose":
            return (_walk(first.dims[1]),)
        case "csr_take":
            return (_walk(share(product(node.tensor.dims), node["density"]), 4), _walk(node.tensor.dims[0]))
        case "splu":
            rows = first.dims[0]
            return (_walk(entries, 700), _walk(rows, 700), _walk(_filled(entries, rows)))
        case "splu_solve" | "csr_solve_triangular":
            right = node.args[1].tensor
            columns = right.dims[1] if right.rank == 2 else 1
            return (_walk(entries * columns, 4), _walk(first.dims[0]))
    return (_walk(maximum(entries, 1), 2),)


def _filled(entries: DimLike, rows: DimLike) -> DimLike:
    """Steps over what is filled in by a factorization, beyond what is filled in for a grid.

    With more entries in a row than grids have, those of a random pattern end in a dense block of about as many rows as
    there are. Such matrices are small: larger ones have a structure, or nothing would help.
    """
    dense = minimum(minimum(rows, divide(maximum(entries - IN_GRIDS * rows, 0), IN_GRIDS)), LARGEST)
    return divide(product([dense, dense, dense]), 4)


def _walk(steps: DimLike, times: int = 1, parts: int = 1) -> tuple[str, tuple[DimLike, ...]]:
    flops, bytes = WALK
    return "other", (divide(flops * times * steps, parts), divide(bytes * times * steps, parts))
