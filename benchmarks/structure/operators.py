"""Rows about structured operators against libraries that have them: CoLA, linear_operator, SciPy and torch.

Each library is called as its users would. What it keeps on an operator, such as factors, is not kept between calls: the
operator is made in the call, as tpc is given the parts anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

from benchmarks.structure.peers import NEAR, Call, Generator, operators, row, spd, tensors

# ---- low rank plus diagonal


def _updated(n: int, r: int) -> Callable[[Generator], tuple[Any, ...]]:
    return lambda rng: (rng.uniform(1, 2, n), rng.standard_normal((n, r)) / n**0.5, np.eye(r), rng.standard_normal(n))


def _updated_in_torch(d: Any, U: Any) -> Any:
    kinds = operators()
    return kinds.LowRankRootLinearOperator(U) + kinds.DiagLinearOperator(d)


def _updated_solved(d: Any, U: Any, C: Any, b: Any) -> Call:
    d, U, b = tensors(d, U, b)
    return lambda: _updated_in_torch(d, U).solve(b[:, None])[:, 0].numpy()


def _updated_cola(d: Any, U: Any, C: Any, b: Any) -> Call:
    import cola

    d, U, b = tensors(d, U, b)

    def call() -> Any:
        root = cola.ops.Product(cola.ops.Dense(U), cola.ops.Dense(U.T))
        return cola.inv(cola.PSD(cola.ops.Sum(root, cola.ops.Diagonal(d))), cola.linalg.CG(tol=NEAR)) @ b

    return lambda: call().numpy()


def _updated_logdet(d: Any, U: Any, C: Any, b: Any) -> Call:
    d, U = tensors(d, U)
    return lambda: _updated_in_torch(d, U).logdet().numpy()


# ---- Kronecker products


def _product(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    return lambda rng: (spd(rng, n), spd(rng, n), rng.standard_normal(n * n))


def _product_of_three(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    return lambda rng: (spd(rng, n), spd(rng, n), spd(rng, n), rng.standard_normal(n**3))


def product_in_torch(*factors: Any) -> Any:
    kinds = operators()
    return kinds.KroneckerProductLinearOperator(*map(kinds.DenseLinearOperator, factors))


def _product_solved(*operands: Any) -> Call:
    *factors, b = tensors(*operands)
    return lambda: product_in_torch(*factors).solve(b[:, None])[:, 0].numpy()


def _product_logdet(A: Any, B: Any, b: Any) -> Call:
    A, B = tensors(A, B)
    return lambda: product_in_torch(A, B).logdet().numpy()


def _shifted_product(A: Any, B: Any, b: Any) -> Call:
    """A Gaussian process on a grid: what its likelihood needs."""
    A, B, b = tensors(A, B, b)

    def call() -> Any:
        import torch

        S = product_in_torch(A, B).add_diagonal(torch.tensor(0.1, dtype=torch.float64))
        return torch.stack(S.inv_quad_logdet(b[:, None], logdet=True)).numpy()

    return call


def _product_in_cola(*factors: Any) -> Any:
    import cola

    return cola.PSD(cola.ops.Kronecker(*(cola.PSD(cola.ops.Dense(factor)) for factor in factors)))


def _product_solved_cola(*operands: Any) -> Call:
    import cola

    *factors, b = tensors(*operands)
    return lambda: (cola.inv(_product_in_cola(*factors)) @ b).numpy()


def _product_logdet_cola(A: Any, B: Any, b: Any) -> Call:
    import cola

    A, B = tensors(A, B)
    return lambda: cola.logdet(_product_in_cola(A, B)).numpy()


def _product_root_cola(A: Any, B: Any, b: Any) -> Call:
    import cola

    A, B, b = tensors(A, B, b)
    return lambda: (cola.linalg.isqrt(_product_in_cola(A, B)) @ b).numpy()


def _heat_cola(A: Any, B: Any, b: Any) -> Call:
    import cola

    A, B, b = tensors(A, B, b)

    def call() -> Any:
        factors = [cola.SelfAdjoint(cola.ops.Dense(M)) for M in (A, B)]
        return cola.linalg.exp(cola.ops.KronSum(*factors), cola.linalg.Auto()) @ b

    return lambda: call().numpy()


# ---- Toeplitz


def _covariance(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    return lambda rng: (0.9 ** np.abs(np.arange(2 * n - 1) - n + 1), rng.standard_normal(n))


def _toeplitz_product(t: Any, x: Any) -> Call:
    column, x = tensors(t[len(x) - 1 :], x)
    return lambda: (operators().ToeplitzLinearOperator(column) @ x).numpy()


def _toeplitz_solved(t: Any, b: Any) -> Call:
    import torch

    column, b = tensors(t[len(b) - 1 :], b)
    noise = torch.tensor(0.1, dtype=torch.float64)
    return lambda: operators().ToeplitzLinearOperator(column).add_diagonal(noise).solve(b[:, None])[:, 0].numpy()


def _levinson(t: Any, b: Any) -> Call:
    column = t[len(b) - 1 :] + 0.1 * (np.arange(len(b)) == 0)
    return lambda: linalg.solve_toeplitz(column, b, check_finite=False)


# ---- blocks


def _blocks(g: int, n: int) -> Callable[[Generator], tuple[Any, ...]]:
    return lambda rng: (np.stack([spd(rng, n) for _ in range(g)]), rng.standard_normal(g * n))


def _blocks_in_torch(B: Any) -> Any:
    kinds = operators()
    return kinds.BlockDiagLinearOperator(kinds.DenseLinearOperator(B))


def _blocks_solved(B: Any, b: Any) -> Call:
    B, b = tensors(B, b)
    return lambda: _blocks_in_torch(B).solve(b[:, None])[:, 0].numpy()


def _blocks_logdet(B: Any, b: Any) -> Call:
    (B,) = tensors(B)
    return lambda: _blocks_in_torch(B).logdet().numpy()


def _blocks_likelihood(B: Any, b: Any) -> Call:
    import torch

    B, b = tensors(B, b)
    return lambda: torch.stack(_blocks_in_torch(B).inv_quad_logdet(b[:, None], logdet=True)).numpy()


def _blocks_in_cola(B: Any) -> Any:
    import cola

    return cola.PSD(cola.ops.BlockDiag(*(cola.PSD(cola.ops.Dense(block)) for block in B)))


def _blocks_solved_cola(B: Any, b: Any) -> Call:
    import cola

    B, b = tensors(B, b)
    return lambda: (cola.inv(_blocks_in_cola(B)) @ b).numpy()


def _blocks_logdet_cola(B: Any, b: Any) -> Call:
    import cola

    (B,) = tensors(B)
    return lambda: cola.logdet(_blocks_in_cola(B)).numpy()


UPDATED = "A: low_rank_plus_diag(d: f64[n] is positive, U: f64[n, r], C: f64[r, r] is spd, V=U), b: f64[n]"
PAIR = "A: f64[100, 100] is spd, B: f64[100, 100] is spd, b: f64[10000]"

ROWS = (
    row(
        "peers: low rank plus diagonal, solve",
        f"def f({UPDATED}) = A \\ b\n",
        _updated(100_000, 20),
        linear_operator=_updated_solved,
        cola=_updated_cola,
    ),
    row(
        "peers: low rank plus diagonal, logdet",
        f"def f({UPDATED}) = logdet(A)\n",
        _updated(100_000, 20),
        linear_operator=_updated_logdet,
    ),
    row(
        "peers: kron, solve",
        f"def f({PAIR}) = kron(A, B) \\ b\n",
        _product(100),
        linear_operator=_product_solved,
        cola=_product_solved_cola,
    ),
    row(
        "peers: kron of three, solve",
        "def f(A: f64[24, 24] is spd, B: f64[24, 24] is spd, C: f64[24, 24] is spd, b: f64[13824]) = "
        "kron(kron(A, B), C) \\ b\n",
        _product_of_three(24),
        linear_operator=_product_solved,
        cola=_product_solved_cola,
    ),
    row(
        "peers: kron, logdet",
        f"def f({PAIR}) = logdet(kron(A, B))\n",
        _product(100),
        linear_operator=_product_logdet,
        cola=_product_logdet_cola,
    ),
    row(
        "peers: kron plus noise, likelihood",
        f"def f({PAIR}):\n    S = kron(A, B) + 0.1 * eye(10000)\n    return stack(b @ (S \\ b), logdet(S))\n",
        _product(100),
        linear_operator=_shifted_product,
    ),
    row(
        "peers: kron, inverse root",
        f"def f({PAIR}) = inv(sqrtm(kron(A, B))) @ b\n",
        _product(100),
        cola=_product_root_cola,
    ),
    row(
        "peers: kron sum, exponential",
        f"def f({PAIR}) = expm(kron(A, eye(100)) + kron(eye(100), B)) @ b\n",
        _product(100),
        cola=_heat_cola,
    ),
    row(
        "peers: toeplitz, product",
        "def f(A: toeplitz(t: f64[8191], m=4096), x: f64[4096]) = A @ x\n",
        _covariance(4096),
        linear_operator=_toeplitz_product,
        scipy=lambda t, x: lambda: linalg.matmul_toeplitz((t[4095:], t[4095::-1]), x),
    ),
    row(
        "peers: toeplitz plus noise, solve",
        "def f(t: f64[8191], b: f64[4096]):\n"
        "    return solve(toeplitz(t, 4096) + 0.1 * eye(4096), b, method=cg, tol=1e-8)\n",
        _covariance(4096),
        linear_operator=_toeplitz_solved,
        scipy=_levinson,
        error=1e-5,
    ),
    row(
        "peers: blocks, solve",
        "def f(A: block_diag(B: f64[64, 32, 32] is spd), b: f64[2048]) = A \\ b\n",
        _blocks(64, 32),
        linear_operator=_blocks_solved,
        cola=_blocks_solved_cola,
        error=1e-4,  # of conjugate gradients
    ),
    row(
        "peers: blocks, logdet",
        "def f(A: block_diag(B: f64[64, 32, 32] is spd), b: f64[2048]) = logdet(A)\n",
        _blocks(64, 32),
        linear_operator=_blocks_logdet,
        cola=_blocks_logdet_cola,
    ),
    row(
        "peers: blocks, likelihood",
        "def f(A: block_diag(B: f64[64, 32, 32] is spd), b: f64[2048]) = stack(b @ (A \\ b), logdet(A))\n",
        _blocks(64, 32),
        linear_operator=_blocks_likelihood,
    ),
)
