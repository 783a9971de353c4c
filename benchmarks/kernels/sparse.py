"""Kernels with a sparse operand, and what it is to each peer: CSR of scipy and torch, three arrays, BCOO of jax."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.kernels import loops, tensors
from benchmarks.kernels.kernel import Kernel

COLUMNS, INNER = 32, 64  # of the other matrix of a product, and of a product of which few entries are needed
IN_CACHE_AND_BEYOND = {
    0.01: (512, 2048, 8192, 16384),
    0.1: (512, 2048, 4096, 8192),
}


def _sizes(density: float, most: int = 2**20, **others: int) -> dict[str, dict[str, int]]:
    return {str(n): {"n": n, **others} for n in IN_CACHE_AND_BEYOND[density] if n <= most}


def _sampled(a: Any, u: Any, v: Any) -> Any:
    rows, columns = a.nonzero()
    return scipy.sparse.csr_array((a.data * np.einsum("ik,ik->i", u[rows], v[columns]), a.indices, a.indptr), a.shape)


def _kernels(density: float) -> tuple[Kernel, ...]:
    """The kernels for a share of entries; each is read with its column, which is half as large as a number of f64."""

    def stored(n: int) -> float:
        return density * n * n

    return (
        Kernel(
            f"sparse {density:.0%} times a vector",
            "def f(S: {dtype}[n, n], x: {dtype}[n]) = S @ x",
            _sizes(density),
            {"S": ("n", "n"), "x": ("n",)},
            lambda a, x: a @ x,
            {"numba": loops.sparse_vector, "torch": lambda a, x: a @ x, "jax": lambda a, x: a @ x},
            lambda n: 1.5 * stored(n) + 2 * n,
            lambda n: 2 * stored(n),
            density=density,
        ),
        Kernel(
            f"sparse {density:.0%} times {COLUMNS} columns",
            "def f(S: {dtype}[n, n], X: {dtype}[n, m]) = S @ X",
            _sizes(density, m=COLUMNS),
            {"S": ("n", "n"), "X": ("n", "m")},
            lambda a, x: a @ x,
            {"numba": loops.sparse_product, "torch": lambda a, x: a @ x, "jax": lambda a, x: a @ x},
            lambda n, m: 1.5 * stored(n) + 2 * n * m,
            lambda n, m: 2 * stored(n) * m,
            density=density,
        ),
        Kernel(
            f"sampled product {density:.0%}",
            "def f(S: {dtype}[n, n], U: {dtype}[n, d], V: {dtype}[n, d]) = S * (U @ V')",
            _sizes(density, 4096, d=INNER) | ({"1024": {"n": 1024, "d": INNER}} if density < 0.1 else {}),
            {"S": ("n", "n"), "U": ("n", "d"), "V": ("n", "d")},
            _sampled,
            {"numba": loops.sampled, "torch": tensors.torch_sampled, "jax": tensors.jax_sampled},
            lambda n, d: 2.5 * stored(n) + 2 * n * d,
            lambda n, d: 2 * stored(n) * d,
            density=density,
        ),
    )


SPARSE: tuple[Kernel, ...] = tuple(kernel for density in IN_CACHE_AND_BEYOND for kernel in _kernels(density))


# ---- a sparse operand, for each library


def matrix(n: int, density: float, seed: int = 0, dtype: Any = np.float64) -> Any:
    """An n by n matrix without a structure."""
    found = scipy.sparse.random_array((n, n), density=density, rng=np.random.default_rng(seed), format="csr")
    return found.astype(dtype)


def in_torch(A: Any) -> Any:
    import torch

    return torch.sparse_csr_tensor(torch.tensor(A.indptr), torch.tensor(A.indices), torch.tensor(A.data), A.shape)


def in_jax(A: Any) -> Any:
    from jax.experimental.sparse import BCOO

    return BCOO.from_scipy_sparse(A)


def in_parts(A: Any) -> tuple[Any, ...]:
    """For loops of numba, which know no classes of scipy."""
    return A.data, A.indices, A.indptr


def entries(found: Any) -> Any:
    """The numbers of a result as an array; of a sparse one those that are stored, by rows."""
    return found.tocsr().data if scipy.sparse.issparse(found) else np.asarray(found)
