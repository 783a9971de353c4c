"""A matrix that decays and grows by outer products, of which only products with vectors are read.

    S = diag(a_t) @ S + outer(k_t, v_t)
    y_t = q_t @ S                        <=>   y, S = linear_attention(q, k, v, a, S)

The matrices of all passes would not fit where the loop holds one, and are not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tpc.ir.build import items, make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program, topological
from tpc.ir.types import TensorType
from tpc.passes.recurrences.linear import ONE, Linear


@dataclass(frozen=True, slots=True)
class Attention:
    """What a pass does, in terms of its values; `turned` where the columns of S decay and are summed over."""

    read: Node
    query: Node
    key: Node
    value: Node
    decay: Node
    turned: bool

    def made(self, passes: Callable[[Node], Node | None], start: Node, extent: DimLike) -> tuple[Node, Node] | None:
        """What all passes read, and the last matrix.

        Parameters
        ----------
        passes
            Gives a value for all passes.
        """
        query, key, value = (passes(part) for part in (self.query, self.key, self.value))
        decay = passes(self.decay) if self.decay is not ONE else None
        if query is None or key is None or value is None or (decay is None and self.decay is not ONE):
            return None
        if decay is None:
            decay = make("ones", dims=(extent, 1), dtype=start.tensor.dtype)
        first = make("transpose", (start,)) if self.turned else start
        if decay.tensor.rank == 1:
            decay = make("unsqueeze", (decay,), axis=-1)
        read, last = items(make("linear_attention", (query, key, value, decay, first)))
        return read, make("transpose", (last,)) if self.turned else last


def attention(body: Program, carry: Node, update: Node, linear: Linear) -> Attention | None:
    """What is read off one pass, or None where more is done with the matrix."""
    if carry.tensor.rank != 2 or linear.factor is None or linear.term is None:
        return None
    reads = [n for n in topological(body.outputs) if n is not update and _reads(n, update)]
    if len(reads) != 1 or not _is_hidden(body, carry, update, reads[0]):
        return None
    (read,) = reads
    rows, columns = _factors(linear.term)
    query, turned = _query(read, update)
    if rows is None or columns is None or query is None:
        return None
    decay = _decay(linear.factor, carry.tensor, axis=1 if turned else 0)
    key, value = (columns, rows) if turned else (rows, columns)
    return None if decay is None else Attention(read, query, key, value, decay, turned)


def _reads(node: Node, matrix: Node) -> bool:
    return node.op.name in ("matvec", "vecmat") and any(_matrix(a)[0] is matrix for a in node.args)


def _matrix(node: Node) -> tuple[Node, bool]:
    """A matrix, and whether it is seen transposed."""
    turned = node.op.name in ("transpose", "permute") and node.tensor.rank == 2
    return (node.args[0], True) if turned else (node, False)


def _is_hidden(body: Program, carry: Node, update: Node, read: Node) -> bool:
    """Whether nothing needs the matrix but what is read off it, and the next pass."""
    moving = {carry}
    for node in topological([update]):
        if any(a in moving for a in node.args):
            moving.add(node)
    others = [o for o in body.outputs if o is not update]
    if read in moving or body.outputs.count(update) != 1 or any(o in moving for o in others):
        return False
    seen = {
        a for a in read.args if _matrix(a)[0] is update
    }  # the matrix as it is, or a transpose for the product alone
    users = [n for n in topological(others) if n not in moving and any(a in moving or a in seen for a in n.args)]
    return set(users) <= {read, *seen}


def _factors(term: Node) -> tuple[Node | None, Node | None]:
    """The vectors of an outer product."""
    if term.op.name == "outer" and all(a.tensor.rank == 1 for a in term.args):
        return term.args[0], term.args[1]
    if term.op.name == "mul":
        for x, y in (term.args, term.args[::-1]):
            if x.tensor.rank == 2 and x.tensor.dims[1] == 1 and y.tensor.rank in (1, 2):
                if y.tensor.rank == 2 and y.tensor.dims[0] != 1:
                    continue
                return _vector(x), _vector(y)
    return None, None


def _vector(node: Node) -> Node:
    """A matrix of one row or column as a vector."""
    if node.op.name == "unsqueeze" and node.args[0].tensor.rank == 1:
        return node.args[0]
    (size,) = [dim for dim in node.tensor.dims if dim != 1] or [1]
    return node if node.tensor.rank == 1 else make("reshape", (node,), dims=(size,))


def _query(read: Node, update: Node) -> tuple[Node | None, bool]:
    """The vector of a product, and whether the columns of the matrix are summed over."""
    first, second = read.args
    if read.op.name == "matvec":
        matrix, turned = _matrix(first)
        return (second, not turned) if matrix is update and second.tensor.rank == 1 else (None, False)
    matrix, turned = _matrix(second)
    return (first, turned) if matrix is update and first.tensor.rank == 1 else (None, False)


def _decay(factor: Node, type: TensorType, axis: int) -> Node | None:
    """The factor along the axis that is summed over, as a vector or a number."""
    if factor is ONE or not factor.tensor.dims:
        return factor
    dims = (1,) * (2 - factor.tensor.rank) + factor.tensor.dims
    if dims[1 - axis] != 1 or dims[axis] != type.dims[axis]:
        return None
    return _vector(factor)
