"""Sparse matrices as they are met: out of order, with entries twice or zero, empty, of other formats."""

from typing import Any

import numpy as np
import scipy.sparse as sp

rng = np.random.default_rng(1)


def entries(rows: int, columns: int, dtype: Any = np.float64, density: float = 0.2) -> np.ndarray:
    """A matrix of which most entries are zero, with small values, so that functions have a meaning for them."""
    dense = rng.uniform(-0.9, 0.9, (rows, columns)) * (rng.random((rows, columns)) < density)
    if np.dtype(dtype).kind == "c":
        dense = dense * np.exp(1j * rng.uniform(0, 6, (rows, columns)))
    return dense.astype(dtype)


def explicit_zeros(dense: Any) -> Any:
    stored = sp.csr_array(dense)
    stored.data[::2] = 0
    return stored


def duplicates(dense: Any) -> Any:
    """Each entry in two halves, in no order."""
    coo = sp.coo_array(dense)
    order = rng.permutation(2 * coo.nnz)
    twice = [np.concatenate([part, part])[order] for part in (coo.data / 2, *coo.coords)]
    row_starts = np.searchsorted(np.sort(twice[1]), np.arange(dense.shape[0] + 1))
    by_row = np.argsort(twice[1], kind="stable")
    return sp.csr_array((twice[0][by_row], twice[2][by_row], row_starts), shape=dense.shape)


def wide_places(dense: Any) -> Any:
    stored = sp.csr_array(dense)
    stored.indices, stored.indptr = stored.indices.astype(np.int64), stored.indptr.astype(np.int64)
    return stored


KINDS = {
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "coo": sp.coo_array,
    "lil": sp.lil_array,
    "a matrix of scipy": sp.csr_matrix,
    "columns, as a matrix": sp.csc_matrix,
    "explicit zeros": explicit_zeros,
    "duplicates out of order": duplicates,
    "places of 64 bits": wide_places,
}
