"""Constants that are sparse: those that files store so, and arrays that are declared to have few entries."""

from __future__ import annotations

from typing import Any

from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT
from tpc.ir.types import BF16, F16
from tpc.passes.stages.times import STAYS

SKETCH = "sparse_sketch"  # which is as sparse as if it were declared so


def holds_sparse(program: Program, calls: int = 1) -> bool:
    """Whether a program has such constants, or parameters that stay for so many calls."""
    return any(node.op.name in ("sparse_matrix", SKETCH) for node in program.nodes) or bool(declared(program, calls))


def declared(program: Program, calls: int = 1) -> dict[Node, float]:
    """Arrays that are declared sparse and change rarely, with the share of their entries that are not zero."""
    found: dict[Node, float] = {}
    for node, facts in program.facts:
        share = next((fact.arguments[0] for fact in facts if fact.name == "sparse"), None)
        if share is None or node.tensor.rank != 2 or node.tensor.dtype in (F16, BF16):
            continue
        if node.op is CONSTANT:
            found[node] = _density(node)
        elif calls > 1 and any(fact.name in STAYS for fact in facts) and isinstance(share, (int, float)):
            found[node] = float(share)
    return found


def _density(node: Node) -> float:
    import numpy as np

    array = node["data"].array
    return int(np.count_nonzero(array)) / max(int(array.size), 1)


def matrix_of(node: Node) -> Any:
    """A constant in a plan, or its transpose, as a `csr_array` of SciPy; None for other values."""
    if node.op.name == "csr_transpose":
        turned = matrix_of(node.args[0])
        return None if turned is None else turned.T.tocsr()
    if any(a.op is not CONSTANT for a in node.args):
        return None
    import scipy.sparse

    arrays = [a["data"].array for a in node.args]
    if node.op.name == "csr_parts":
        return scipy.sparse.csr_array(tuple(arrays), shape=(len(arrays[2]) - 1, node["m"]))
    return scipy.sparse.csr_array(arrays[0]) if node.op.name == "to_csr" else None
