"""Rows about linear systems and trains that users of SciPy and TensorLy would look for.

Where no library has what is asked for, the contender is what an expert writes by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import gmres, lsqr, minres

from benchmarks.structure.iterations import poisson
from benchmarks.structure.peers import NEAR, Call, Generator, operators, row, tensors

# ---- matrices that a few numbers fill


def _covariance(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    """A process with noise."""

    def make(rng: Generator) -> tuple[Any, ...]:
        t = 0.9 ** np.abs(np.arange(2 * n - 1) - n + 1)
        t[n - 1] += 0.1
        return t, rng.standard_normal(n)

    return make


def _levinson(t: Any, b: Any) -> Call:
    return lambda: linalg.solve_toeplitz(t[len(b) - 1 :], b, check_finite=False)


def _toeplitz_in_torch(t: Any, b: Any) -> Call:
    column, b = tensors(t[len(b) - 1 :], b)
    return lambda: operators().ToeplitzLinearOperator(column).solve(b[:, None])[:, 0].numpy()


def _filter(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    """A filter that is not symmetric, with most of it now."""

    def make(rng: Generator) -> tuple[Any, ...]:
        t = rng.standard_normal(2 * n - 1) * 0.8 ** np.abs(np.arange(2 * n - 1) - n + 1)
        t[n - 1] = 6
        return t, rng.standard_normal(n)

    return make


def _levinson_of_both(t: Any, b: Any) -> Call:
    n = len(b)
    return lambda: linalg.solve_toeplitz((t[n - 1 :], t[n - 1 :: -1]), b, check_finite=False)


def _ring(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        c = rng.standard_normal(n) / n
        c[0] += 3
        return c, rng.standard_normal(n)

    return make


def _diagonals(n: int) -> Callable[[Generator], tuple[Any, ...]]:
    return lambda rng: (rng.random(n - 1), 4 + rng.random(n), rng.random(n - 1), rng.standard_normal(n))


def _by_solve_banded(a: Any, b: Any, c: Any, x: Any) -> Call:
    def call() -> Any:
        D = np.zeros((3, len(b)))
        D[0, 1:], D[1], D[2, :-1] = c, b, a
        return linalg.solve_banded((1, 1), D, x, check_finite=False)

    return call


def _band(n: int, width: int) -> Callable[[Generator], tuple[Any, ...]]:
    """A definite band matrix by its diagonals, as SciPy has them and as rows have them."""

    def make(rng: Generator) -> tuple[Any, ...]:
        lower = rng.random((width + 1, n))
        lower[0] = 2 * width + 2
        rows = np.zeros((2 * width + 1, n))
        for k in range(width + 1):
            rows[width + k, : n - k] = rows[width - k, k:] = lower[k, : n - k]
        return rows, rng.standard_normal(n)

    return make


def _by_solveh_banded(rows: Any, b: Any) -> Call:
    lower = rows[len(rows) // 2 :]
    return lambda: linalg.solveh_banded(lower, b, lower=True, check_finite=False)


def _factor(n: int, r: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        root = rng.standard_normal((n, n))
        L = np.linalg.cholesky(root @ root.T / n + np.eye(n))
        return L, rng.standard_normal((n, r)) / n**0.5, rng.standard_normal(n)

    return make


def _by_woodbury(L: Any, U: Any, b: Any) -> Call:
    def call() -> Any:
        X = linalg.solve_triangular(L, np.column_stack([U, b]), lower=True, check_finite=False)
        Y, y = X[:, :-1], X[:, -1]
        small = linalg.cho_factor(np.eye(Y.shape[1]) + Y.T @ Y, check_finite=False)
        z = y - Y @ linalg.cho_solve(small, Y.T @ y, check_finite=False)
        return linalg.solve_triangular(L, z, trans=1, lower=True, check_finite=False)

    return call


# ---- methods for other matrices than definite ones


def _shifted(p: int) -> Callable[[Generator], tuple[Any, ...]]:
    """The equation of Helmholtz: eigenvalues on both sides of zero."""
    make = poisson(p)

    def shifted(rng: Generator) -> tuple[Any, ...]:
        A, b = make(rng)
        return sparse.csr_array(A - 0.01 * sparse.eye_array(p * p)), b

    return shifted


def _flow(p: int) -> Callable[[Generator], tuple[Any, ...]]:
    """Diffusion with a wind and decay."""

    def make(rng: Generator) -> tuple[Any, ...]:
        T = sparse.diags_array([-1.3 * np.ones(p - 1), 2.1 * np.ones(p), -0.7 * np.ones(p - 1)], offsets=[-1, 0, 1])
        one = sparse.eye_array(p)
        return sparse.csr_array(sparse.kron(T, one) + sparse.kron(one, T)), rng.standard_normal(p * p)

    return make


def _tall(m: int, n: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        A = sparse.random_array((m, n), density=5 / n, format="csr", rng=rng)
        return sparse.csr_array(A), rng.standard_normal(m)

    return make


# ---- trains of tensors

CORES = "{0}1: f64[24, {1}], {0}2: f64[{1}, 24, {1}], {0}3: f64[{1}, 24, {1}], {0}4: f64[{1}, 24]"


def _cores(rng: Generator, r: int) -> list[Any]:
    return [rng.standard_normal(shape) / r**0.5 for shape in ((24, r), (r, 24, r), (r, 24, r), (r, 24))]


def _inner(*cores: Any) -> Call:
    first, second = ((A[None], B, C, D[..., None]) for A, B, C, D in (cores[:4], cores[4:]))

    def call() -> Any:
        M = np.ones((1, 1))
        for A, B in zip(first, second, strict=True):
            M = np.tensordot(A, np.tensordot(M, B, 1), ((0, 1), (0, 1)))
        return M[0, 0]

    return call


def _inner_in_tensorly(*cores: Any) -> Call:
    import tensorly as tl

    first, second = ([A[None], B, C, D[..., None]] for A, B, C, D in (cores[:4], cores[4:]))
    return lambda: tl.tenalg.inner(tl.tt_to_tensor(first), tl.tt_to_tensor(second))


def _padded(rng: Generator) -> tuple[Any, ...]:
    """A train of rank 6 as the sum of two equal ones, which has rank 12."""
    A, B, C, D = _cores(rng, 6)

    def both(core: Any) -> Any:
        out = np.zeros((12, 24, 12))
        out[:6, :, :6] = out[6:, :, 6:] = core
        return out

    return np.hstack([A, A]), both(B), both(C), np.vstack([D, D])


def _rounded(*cores: Any) -> Call:
    """From the left at right angles, then cut from the right (Oseledets 2011)."""

    def call() -> Any:
        Q1, R = np.linalg.qr(cores[0])
        Q2, R = np.linalg.qr((R @ cores[1].reshape(12, -1)).reshape(-1, 12))
        Q3, R = np.linalg.qr((R @ cores[2].reshape(12, -1)).reshape(-1, 12))
        U, s, V4 = np.linalg.svd(R @ cores[3], full_matrices=False)
        X, V4 = (Q3 @ (U[:, :6] * s[:6])).reshape(12, -1), V4[:6]
        U, s, V3 = np.linalg.svd(X, full_matrices=False)
        X, V3 = (Q2 @ (U[:, :6] * s[:6])).reshape(12, -1), V3[:6]
        U, s, V2 = np.linalg.svd(X, full_matrices=False)
        A, V2 = Q1 @ (U[:, :6] * s[:6]), V2[:6]
        T = (A @ V2).reshape(-1, 6) @ V3
        return (T.reshape(-1, 6) @ V4).reshape(24, 24, 24, 24)

    return call


INNER = f"""
def f({CORES.format("A", 12)}, {CORES.format("B", 12)}):
    v = sum[i, j, k, l, a, b, c, d, e, g](A1[i, a] * A2[a, j, b] * A3[b, k, c] * A4[c, l]
        * B1[i, d] * B2[d, j, e] * B3[e, k, g] * B4[g, l])
    return v
"""
ROUNDED = f"""
def f({CORES.format("A", 12)}):
    Q1, R1 = qr(A1)
    Q2, R2 = qr(reshape(R1 @ reshape(A2, 12, 288), 288, 12))
    Q3, R3 = qr(reshape(R2 @ reshape(A3, 12, 288), 288, 12))
    U4, s4, V4 = svd(R3 @ A4)
    U3, s3, V3 = svd(reshape(Q3 @ U4[:, :6] @ diag(s4[:6]), 12, 144))
    U2, s2, V2 = svd(reshape(Q2 @ U3[:, :6] @ diag(s3[:6]), 12, 144))
    A, B, C, D = Q1 @ U2[:, :6] @ diag(s2[:6]), reshape(V2[:6], 6, 24, 6), reshape(V3[:6], 6, 24, 6), V4[:6]
    T[i, j, k, l] = sum[x, y, z](A[i, x] * B[x, j, y] * C[y, k, z] * D[z, l])
    return T
"""

ROWS = (
    row(
        "peers: toeplitz, solve by choice",
        "def f(t: f64[8191], b: f64[4096]):\n    T: [4096, 4096] is spd = toeplitz(t, 4096)\n    return T \\ b\n",
        _covariance(4096),
        scipy=_levinson,
        linear_operator=_toeplitz_in_torch,
        error=1e-5,
    ),
    row(
        "peers: toeplitz, gmres",
        "def f(t: f64[4095], b: f64[2048]) = solve(toeplitz(t, 2048), b, method=gmres, tol=1e-10)\n",
        _filter(2048),
        scipy=_levinson_of_both,
    ),
    row(
        "peers: circulant, solve",
        "def f(c: f64[10000], b: f64[10000]) = circulant(c) \\ b\n",
        _ring(10_000),
        scipy=lambda c, b: lambda: linalg.solve_circulant(c, b),
    ),
    row(
        "peers: tridiagonal, solve",
        "def f(A: tridiagonal(a: f64[n - 1], b: f64[n], c: f64[n - 1]), x: f64[n]) = A \\ x\n",
        _diagonals(20_000),
        scipy=_by_solve_banded,
    ),
    row(
        "peers: definite band of 9, solve",
        "def f(D: f64[9, 20000], b: f64[20000]):\n"
        "    A: [20000, 20000] is spd = from_diagonals(D, below=4, n=20000)\n    return A \\ b\n",
        _band(20_000, 4),
        scipy=_by_solveh_banded,
    ),
    row(
        "peers: cholesky factor plus low rank, solve",
        "def f(L: f64[1500, 1500] is lower and nonsingular, U: f64[1500, 8], b: f64[1500]) = (L @ L' + U @ U') \\ b\n",
        _factor(1500, 8),
        numpy=_by_woodbury,
    ),
    row(
        "peers: sparse, minres",
        "def f(A: f64[n, n] is symmetric, b: f64[n]) -> f64[n] = solve(A, b, method=minres, tol=1e-6, steps=5000)\n",
        _shifted(100),
        scipy=lambda A, b: lambda: minres(A, b, rtol=1e-9)[0],
        error=1e-3,
    ),
    row(
        "peers: sparse, gmres",
        "def f(A: f64[n, n], b: f64[n]) -> f64[n] = solve(A, b, method=gmres, tol=1e-8)\n",
        _flow(100),
        scipy=lambda A, b: lambda: gmres(A, b, rtol=NEAR, restart=30, maxiter=1000)[0],
    ),
    row(
        "peers: sparse, lsqr",
        "def f(A: f64[m, n], b: f64[m]) -> f64[n] = solve(A, b, method=lsqr, tol=1e-8)\n",
        _tall(20_000, 2000),
        scipy=lambda A, b: lambda: lsqr(A, b, atol=NEAR, btol=NEAR)[0],
        error=1e-5,
    ),
    row(
        "peers: trains, inner product",
        INNER,
        lambda rng: (*_cores(rng, 12), *_cores(rng, 12)),
        numpy=_inner,
        tensorly=_inner_in_tensorly,
    ),
    row("peers: train, rounding", ROUNDED, _padded, numpy=_rounded),
)
