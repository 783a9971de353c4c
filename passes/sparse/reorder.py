"""Rows of a matrix in an order in which they make blocks."""

from __future__ import annotations

from typing import Any


def clustered(A: Any, high: int, wide: int) -> Any:
    """An order of the rows of a `csr_array` in which those that are alike follow each other, `high` at a time.

    A row is known by the blocks of `wide` columns in which it has entries. A group starts with the first row that is
    left, and takes the rows with the largest Jaccard similarity to it, of those that share a block with it.

    Returns
    -------
    array
        The rows in their new order.
    """
    import numpy as np
    import scipy.sparse

    coo = A.tocoo()
    across = -(-A.shape[1] // wide)
    ones = np.ones(A.nnz, np.int32)
    signs = scipy.sparse.csr_array((ones, (coo.coords[0], coo.coords[1] // wide)), shape=(A.shape[0], across))
    signs.data[:] = 1
    sizes = np.diff(signs.indptr)
    by_block = scipy.sparse.csr_array(signs.T)
    left = np.ones(A.shape[0], bool)
    order: list[int] = []
    for first in np.argsort(-sizes, kind="stable"):
        if not left[first]:
            continue
        blocks = signs.indices[signs.indptr[first] : signs.indptr[first + 1]]
        met = [by_block.indices[by_block.indptr[b] : by_block.indptr[b + 1]] for b in blocks]
        rows, shared = np.unique(np.concatenate(met), return_counts=True) if met else (np.array([first]), np.zeros(1))
        shared, rows = shared[left[rows]], rows[left[rows]]
        alike = shared / np.maximum(sizes[rows] + sizes[first] - shared, 1)
        chosen = rows[np.argsort(-alike, kind="stable")][:high]
        order += chosen.tolist()
        left[chosen] = False
    return np.array(order, np.int64)
