"""Rows about linear systems by products.

What has to be shown of counts of steps is a test (`tests/solvers`). Here it is time: against SciPy's methods on a
sparse matrix or an operator, against factorizations, and against the product with the matrix in single precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg, splu

from benchmarks.structure.row import Row

Generator = np.random.Generator

SUM = "kron(T, eye({p})) + kron(eye({p}), T)"
GRID = """
def f(T: f64[{p}, {p}] is symmetric, d: f64[{n}] is nonnegative, b: f64[{n}]) -> f64[{n}]:
    return solve({sum} + diag(d), b, method=cg, tol=1e-8, precond=inv({sum}))
"""


def _on_grid(p: int) -> Callable[[Generator], tuple[Any, ...]]:
    def make(rng: Generator) -> tuple[Any, ...]:
        T = 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1)
        return T, 1e-3 * rng.random(p * p), rng.standard_normal(p * p)

    return make


def _grid(p: int) -> Row:
    """A Kronecker sum with a perturbation: the eigenvectors of the sum precondition it."""
    n = p * p

    def by_scipy(T: Any, d: Any, b: Any) -> Callable[[], Any]:
        T, one = sparse.csr_array(T), sparse.eye_array(p)
        A = (sparse.kron(T, one) + sparse.kron(one, T) + sparse.diags_array(d)).tocsr()
        return lambda: cg(A, b, rtol=1e-8)[0]

    text = GRID.format(p=p, n=n, sum=SUM.format(p=p))
    return Row(f"grid of {p} by {p}, perturbed", text, _on_grid(p), {"scipy cg": by_scipy}, {"scipy cg": 3}, error=1e-5)


def _chosen(p: int) -> Row:
    """The same without a word on how it is solved."""
    n = p * p

    def direct(T: Any, d: Any, b: Any) -> Callable[[], Any]:
        T, one = sparse.csr_array(T), sparse.eye_array(p)
        A = (sparse.kron(T, one) + sparse.kron(one, T) + sparse.diags_array(d)).tocsc()
        return lambda: splu(A).solve(b)

    text = f"""
def f(T: f64[{p}, {p}] is symmetric, d: f64[{n}] is nonnegative, b: f64[{n}]) -> f64[{n}]:
    return ({SUM.format(p=p)} + diag(d)) \\ b
"""
    return Row(f"grid of {p} by {p}, solved by choice", text, _on_grid(p), {"scipy splu": direct}, {"scipy splu": 3})


def _toeplitz(n: int) -> Row:
    def make(rng: Generator) -> tuple[Any, ...]:
        return linalg.toeplitz(0.9 ** np.arange(n)), rng.standard_normal(n)

    def levinson(T: Any, b: Any) -> Callable[[], Any]:
        column = T[0] + 0.1 * (np.arange(n) == 0)
        return lambda: linalg.solve_toeplitz(column, b, check_finite=False)

    text = f"""
def f(T: f64[{n}, {n}] is toeplitz and psd, b: f64[{n}]) -> f64[{n}] = (T + 0.1 * eye({n})) \\ b
"""
    return Row(f"toeplitz {n}, solved by choice", text, make, {"levinson": levinson}, {"levinson": 3})


def _least_squares(n: int, d: int) -> Row:
    def make(rng: Generator) -> tuple[Any, ...]:
        A = rng.standard_normal((n, d)) * np.logspace(0, -4, d)
        return A, A @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n)

    def by(driver: str) -> Callable[..., Callable[[], Any]]:
        return lambda A, b: lambda: linalg.lstsq(A, b, lapack_driver=driver, check_finite=False)[0]

    text = f"def f(A: f64[{n}, {d}], b: f64[{n}]) -> f64[{d}] = lstsq(A, b)"
    contenders, goals = {"gelsd": by("gelsd"), "gelsy": by("gelsy")}, {"gelsd": 1.5, "gelsy": 1.5}
    return Row(f"least squares {n} by {d}, by choice", text, make, contenders, goals, error=1e-6)


def _low_rank(n: int, r: int) -> Row:
    def make(rng: Generator) -> tuple[Any, ...]:
        return rng.uniform(1, 2, n), rng.standard_normal((n, r)) / np.sqrt(n), rng.standard_normal(n)

    def by_scipy(d: Any, U: Any, b: Any) -> Callable[[], Any]:
        A = LinearOperator((n, n), matvec=lambda v: d * v + U @ (U.T @ v), dtype=np.float64)
        return lambda: cg(A, b, rtol=1e-10)[0]

    text = f"""
def f(d: f64[{n}] is positive, U: f64[{n}, {r}], b: f64[{n}]) -> f64[{n}]:
    return solve(diag(d) + U @ U', b, method=cg, tol=1e-10)
"""
    return Row(f"low rank {r} plus diagonal {n}, cg", text, make, {"scipy cg": by_scipy}, error=1e-8)


def _kernel(n: int) -> Row:
    def make(rng: Generator) -> tuple[Any, ...]:
        t = np.sort(rng.uniform(0, 10, n))
        return np.exp(-((t[:, None] - t) ** 2)), rng.standard_normal(n)

    def factored(K: Any, b: Any) -> Callable[[], Any]:
        return lambda: linalg.cho_solve(linalg.cho_factor(K + 1e-3 * np.eye(n)), b)

    text = f"""
def f(K: f64[{n}, {n}] is psd, b: f64[{n}]) -> f64[{n}]:
    P = nystrom_preconditioner(K, normal({n}, 60, seed=1), 1e-3)
    return solve(K + 1e-3 * eye({n}), b, method=cg, tol=1e-10, precond=P)
"""
    return Row(f"kernel of {n} points, nystrom", text, make, {"cholesky": factored}, {"cholesky": 1.5}, error=1e-5)


def _tall(n: int, d: int) -> Row:
    def make(rng: Generator) -> tuple[Any, ...]:
        A = rng.standard_normal((n, d)) * np.logspace(0, -5, d)
        return A, A @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n)

    def direct(A: Any, b: Any) -> Callable[[], Any]:
        return lambda: linalg.lstsq(A, b, lapack_driver="gelsy", check_finite=False)[0]

    text = f"""
def f(A: f64[{n}, {d}], b: f64[{n}]) -> f64[{d}] = lstsq_sketched(A, b, sparse_sketch({4 * d}, {n}, seed=1))
"""
    return Row(f"least squares {n} by {d}, sketched", text, make, {"gelsy": direct}, error=1e-6)


def _sketched(n: int, d: int) -> Row:
    """The answer of a sketch, whose residual is longer by a factor of about sqrt(1 + d / (m - d)), here 1.15."""

    def make(rng: Generator) -> tuple[Any, ...]:
        A = rng.standard_normal((n, d))
        b = A @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n)
        return A, b

    def normal(A: Any, b: Any) -> Callable[[], Any]:
        return lambda: linalg.solve(A.T @ A, A.T @ b, assume_a="pos", check_finite=False)

    text = f"""
def f(A: f64[{n}, {d}], b: f64[{n}]) -> f64[{d}]:
    S = sparse_sketch({4 * d}, {n}, s=1, seed=1)
    Q, R = qr(S @ A)
    return R \\ ((S @ b) @ Q)
"""
    contenders, goals = {"normal equations": normal}, {"normal equations": 3}
    return Row(f"least squares {n} by {d}, sketch and solve", text, make, contenders, goals, error=0.05)


ROWS = (
    _grid(64),
    _grid(256),
    _chosen(64),
    _chosen(256),
    _toeplitz(4096),
    _least_squares(65_536, 256),
    _low_rank(100_000, 20),
    _kernel(2000),
    _tall(32_768, 100),
    _sketched(131_072, 512),
)
