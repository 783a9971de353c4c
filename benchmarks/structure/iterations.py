"""Rows about products and iterations with sums of operators and sparse matrices against libraries that have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg, spsolve_triangular

from benchmarks.structure.operators import product_in_torch
from benchmarks.structure.peers import NEAR, Call, Generator, operators, row, tensors

# ---- sums, and sparse matrices


def _grid(p: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        T = 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1)
        return T, rng.random(p * p), rng.standard_normal(p * p)

    return make


def _sum_cola(T: Any, d: Any, b: Any) -> Call:
    import cola

    T, d, b = tensors(T, d, b)

    def call() -> Any:
        A = cola.PSD(cola.ops.Sum(cola.ops.KronSum(cola.ops.Dense(T), cola.ops.Dense(T)), cola.ops.Diagonal(d)))
        return cola.inv(A, cola.linalg.CG(tol=NEAR)) @ b

    return lambda: call().numpy()


def _sum_in_torch(T: Any, d: Any, b: Any) -> Call:
    import torch

    T, d, b = tensors(T, d, b)
    one = torch.eye(len(T), dtype=torch.float64)

    def call() -> Any:
        S = product_in_torch(T, one) + product_in_torch(one, T) + operators().DiagLinearOperator(d)
        return S.solve(b[:, None])[:, 0]

    return lambda: call().numpy()


def _sum_scipy(T: Any, d: Any, b: Any) -> Call:
    def product(v: Any) -> Any:
        V = v.reshape(T.shape)
        return (T @ V + V @ T.T).ravel() + d * v

    return lambda: cg(LinearOperator((len(b), len(b)), product, dtype=b.dtype), b, rtol=NEAR)[0]


def poisson(p: int, columns: int = 0) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        T = sparse.diags_array([-np.ones(p - 1), 2.01 * np.ones(p), -np.ones(p - 1)], offsets=[-1, 0, 1])
        one = sparse.eye_array(p)
        A = sparse.csr_array(sparse.kron(T, one) + sparse.kron(one, T))
        return A, rng.standard_normal((p * p, columns) if columns else p * p)

    return make


def _sparse_cola(A: Any) -> Any:
    import cola

    entries = A.tocoo()
    return cola.ops.Sparse(*tensors(entries.data, entries.row.astype(np.int64), entries.col.astype(np.int64)), A.shape)


def _sparse_in_torch(A: Any) -> Any:
    import torch

    return torch.sparse_csr_tensor(*tensors(A.indptr, A.indices, A.data), A.shape, check_invariants=False)


def _sparse_product_cola(A: Any, X: Any) -> Call:
    operator, (X,) = _sparse_cola(A), tensors(X)
    return lambda: (operator @ X).numpy()


def _sparseproduct_in_torch(A: Any, X: Any) -> Call:
    matrix, (X,) = _sparse_in_torch(A), tensors(X)
    return lambda: (matrix @ X).numpy()


def _sparse_cg_cola(A: Any, b: Any) -> Call:
    import cola

    operator, (b,) = cola.PSD(_sparse_cola(A)), tensors(b)
    return lambda: (cola.inv(operator, cola.linalg.CG(tol=NEAR)) @ b).numpy()


def _factor(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        A = sparse.random_array((n, n), density=10 / n, format="csr", rng=rng)
        return sparse.csr_array(sparse.tril(A, -1) + 10 * sparse.eye_array(n)), rng.standard_normal(n)

    return make


def _triangular_in_torch(L: Any, b: Any) -> Call:
    import torch

    matrix, (b,) = _sparse_in_torch(L), tensors(b)
    return lambda: torch.triangular_solve(b[:, None], matrix, upper=False).solution[:, 0].numpy()


# ---- estimates, and functions of matrices


def _kernel(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        t = np.sort(rng.uniform(0, 10, n))
        return np.exp(-((t[:, None] - t) ** 2)) + np.eye(n), rng.standard_normal(n)

    return make


def _logdet_estimate(K: Any, b: Any) -> Call:
    from linear_operator import settings

    (K,) = tensors(K)

    def call() -> Any:
        operator = operators().DenseLinearOperator(K)
        with (
            settings.num_trace_samples(16),
            settings.max_lanczos_quadrature_iterations(32),
            settings.cg_tolerance(1e-2),
        ):
            return operator.inv_quad_logdet(logdet=True)[1]

    return lambda: call().numpy()


def _root(K: Any, b: Any) -> Call:
    K, b = tensors(K, b)
    return lambda: operators().DenseLinearOperator(K).sqrt_inv_matmul(b[:, None])[:, 0].numpy()


def _root_cola(K: Any, b: Any) -> Call:
    import cola

    K, b = tensors(K, b)
    alg = cola.linalg.Lanczos(max_iters=32)
    return lambda: (cola.linalg.isqrt(cola.PSD(cola.ops.Dense(K)), alg) @ b).numpy()


SUM = "kron(T, eye(64)) + kron(eye(64), T) + diag(d)"
KERNEL = "K: f64[2000, 2000] is spd, b: f64[2000]"

ROWS = (
    row(
        "peers: sum of operators, cg",
        "def f(T: f64[64, 64] is symmetric, d: f64[4096] is nonnegative, b: f64[4096]) -> f64[4096]:\n"
        f"    return solve({SUM}, b, method=cg, tol=1e-8)\n",
        _grid(64),
        linear_operator=_sum_in_torch,
        cola=_sum_cola,
        scipy=_sum_scipy,
        error=1e-5,
    ),
    row(
        "peers: sparse, product",
        "def f(A: f64[n, n], X: f64[n, k]) = A @ X\n",
        poisson(150, 16),
        cola=_sparse_product_cola,
        torch=_sparseproduct_in_torch,
        scipy=lambda A, X: lambda: A @ X,
    ),
    row(
        "peers: sparse, product with a vector",
        "def f(A: f64[n, n], x: f64[n]) = A @ x\n",
        poisson(150),
        cola=_sparse_product_cola,
        torch=_sparseproduct_in_torch,
        scipy=lambda A, x: lambda: A @ x,
    ),
    row(
        "peers: sparse, cg",
        "def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n] = solve(A, b, method=cg, tol=1e-8)\n",
        poisson(150),
        cola=_sparse_cg_cola,
        scipy=lambda A, b: lambda: cg(A, b, rtol=NEAR)[0],
    ),
    row(
        "peers: sparse, triangular solve",
        "def f(L: f64[n, n] is lower and nonsingular, b: f64[n]) = L \\ b\n",
        _factor(20_000),
        scipy=lambda L, b: lambda: spsolve_triangular(L, b),
        torch=_triangular_in_torch,
    ),
    row(
        "peers: logdet of a kernel, 16 probes",
        f"def f({KERNEL}) = logdet_estimate(K, rademacher(2000, 16, seed=1))\n",
        _kernel(2000),
        linear_operator=_logdet_estimate,
        error=0.2,
    ),
    row(
        "peers: inverse root of a kernel",
        f"def f({KERNEL}) = inverse_root_times(K, b)\n",
        _kernel(2000),
        linear_operator=_root,
        cola=_root_cola,
        error=1e-3,
    ),
)
