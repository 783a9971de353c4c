"""Rows about structures that hold exactly: products and solves by parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

from benchmarks.structure.row import Contender, Row

Generator = np.random.Generator


def _cholesky(form: Callable[[Any], Any]) -> Contender:
    """The dense matrix, which is there, factored and solved with."""

    def contender(entries: Any, b: Any) -> Callable[[], Any]:
        matrix = form(entries)
        return lambda: linalg.cho_solve(linalg.cho_factor(matrix), b)

    return contender


def _definite(n: int) -> Callable[[Generator], tuple[Any, Any]]:
    def make(rng: Generator) -> tuple[Any, Any]:
        entries = rng.standard_normal(n) / n
        entries = entries + np.roll(entries[::-1], 1)
        entries[0] += 3
        return entries, rng.standard_normal(n)

    return make


def _xor(entries: Any) -> Any:
    return entries[np.arange(len(entries))[:, None] ^ np.arange(len(entries))]


def _monarch(q: int, batch: int) -> Row:
    n = q * q
    shape = f"L: f64[{q}, {q}, {q}, 1], R: f64[{q}, {q}, {q}, 1]"

    def make(rng: Generator) -> tuple[Any, ...]:
        parts = rng.standard_normal((q, q, q, 1)), rng.standard_normal((q, q, q, 1))
        return *parts, rng.standard_normal((n, batch))

    def dense(L: Any, R: Any, X: Any) -> Callable[[], Any]:
        matrix = np.einsum("jiks,kjms->ijkm", L, R, optimize=True).reshape(n, n)
        return lambda: matrix @ X

    text = f"def f(W: monarch({shape}), X: f64[{n}, {batch}]) = W @ X\n"
    return Row(f"monarch {n}, {batch} columns", text, make, {"numpy": dense}, {"numpy": 5})


def _states(steps: int, order: int, columns: int) -> Row:
    parts = ", ".join(f"{name}: f64[{steps}, {order}]" for name in "aBC")

    def make(rng: Generator) -> tuple[Any, ...]:
        a, B, C = rng.uniform(0.9, 1, (steps, order)), *rng.standard_normal((2, steps, order))
        return a, B, C, rng.standard_normal((steps, columns))

    def stepwise(a: Any, B: Any, C: Any, X: Any) -> Callable[[], Any]:
        def call() -> Any:
            state, rows = np.zeros((order, columns)), np.empty((steps, columns))
            for t in range(steps):
                state = a[t][:, None] * state + B[t][:, None] * X[t]
                rows[t] = C[t] @ state
            return rows

        return call

    def quadratic(a: Any, B: Any, C: Any, X: Any) -> Callable[[], Any]:
        def call() -> Any:
            decay = np.cumsum(np.log(a), axis=0)
            matrix = np.zeros((steps, steps))
            for s in range(order):
                matrix += C[:, s, None] * np.exp(np.minimum(decay[:, s, None] - decay[:, s], 0)) * B[:, s]
            return np.tril(matrix) @ X

        return call

    return Row(
        f"semiseparable {steps}, order {order}",
        f"def f(W: semiseparable({parts}), X: f64[{steps}, {columns}]) = W @ X\n",
        make,
        {"stepwise": stepwise, "quadratic": quadratic},
        {"stepwise": 5, "quadratic": 2},
    )


def _updated_diagonal(rng: Generator) -> tuple[Any, ...]:
    n, r = 10**6, 20
    return rng.uniform(1, 2, n), rng.standard_normal((n, r)) / 1000, np.eye(r), rng.standard_normal(n)


def _woodbury(d: Any, U: Any, C: Any, b: Any) -> Callable[[], Any]:
    """What an expert writes for it."""

    def call() -> Any:
        scaled = U / d[:, None]
        small = np.linalg.inv(C) + U.T @ scaled
        return b / d - scaled @ np.linalg.solve(small, scaled.T @ b)

    return call


def _linear_operator(d: Any, U: Any, C: Any, b: Any) -> Callable[[], Any]:
    import torch
    from linear_operator.operators import DiagLinearOperator, LowRankRootLinearOperator

    factor = torch.from_numpy(U @ np.linalg.cholesky(C))
    matrix = LowRankRootLinearOperator(factor) + DiagLinearOperator(torch.from_numpy(d))
    return lambda: matrix.solve(torch.from_numpy(b)[:, None])[:, 0].numpy()


def _train(rng: Generator) -> tuple[Any, ...]:
    A, B = rng.standard_normal((8, 8, 4)), rng.standard_normal((4, 8, 8, 4))
    return A, B, rng.standard_normal((4, 8, 8, 4)), rng.standard_normal((4, 8, 8)), rng.standard_normal(4096)


def _dense_train(A: Any, B: Any, C: Any, D: Any, x: Any) -> Callable[[], Any]:
    matrix = np.einsum("ijx,xkly,yabz,zcd->ikacjlbd", A, B, C, D, optimize=True).reshape(4096, 4096)
    return lambda: matrix @ x


def _blocks(rng: Generator) -> tuple[Any, Any]:
    return rng.standard_normal((64, 32, 32)) + 9 * np.eye(32), rng.standard_normal(2048)


def _dense_blocks(B: Any, b: Any) -> Callable[[], Any]:
    matrix = linalg.block_diag(*B)
    return lambda: np.linalg.solve(matrix, b)


def _toeplitz(rng: Generator) -> tuple[Any, Any]:
    return rng.standard_normal(8191), rng.standard_normal(4096)


def _dense_toeplitz(t: Any, x: Any) -> Callable[[], Any]:
    matrix = linalg.toeplitz(t[4095:], t[4095::-1])
    return lambda: matrix @ x


ROWS = (
    Row(
        "circulant solve 4096",
        "def f(A: circulant(c: f64[4096]), b: f64[4096]) = solve(A, b)\n",
        _definite(4096),
        {"cholesky": _cholesky(linalg.circulant), "scipy": lambda c, b: lambda: linalg.solve_circulant(c, b)},
        {"cholesky": 1000},
    ),
    Row(
        "xor-circulant solve 4096",
        "def f(A: xor_circulant(f: f64[4096]), b: f64[4096]) = solve(A, b)\n",
        lambda rng: (np.r_[3, rng.standard_normal(4095) / 1000], rng.standard_normal(4096)),
        {"cholesky": _cholesky(_xor)},
        {"cholesky": 1000},
    ),
    Row(
        "toeplitz product 4096",
        "def f(A: toeplitz(t: f64[8191], m=4096), x: f64[4096]) = A @ x\n",
        _toeplitz,
        {
            "numpy": _dense_toeplitz,
            "scipy": lambda t, x: lambda: linalg.matmul_toeplitz((t[4095:], t[4095::-1]), x),
        },
    ),
    Row(
        "low rank plus diagonal solve 10^6",
        "def f(A: low_rank_plus_diag(d: f64[n] is positive, U: f64[n, r], C: f64[r, r] is spd, V=U), b: f64[n])"
        " = solve(A, b)\n",
        _updated_diagonal,
        {"by hand": _woodbury, "linear_operator": _linear_operator},
        seconds=1.0,
    ),
    _monarch(32, 1),
    _monarch(32, 256),
    _monarch(64, 32),
    _states(1024, 16, 64),
    Row(
        "tensor train 4096, rank 4",
        "def f(W: tensor_train4(A: f64[8, 8, 4], B: f64[4, 8, 8, 4], C: f64[4, 8, 8, 4], D: f64[4, 8, 8]), "
        "x: f64[4096]) = W @ x\n",
        _train,
        {"numpy": _dense_train},
        {"numpy": 1},
    ),
    Row(
        "block diagonal solve 2048",
        "def f(A: block_diag(B: f64[64, 32, 32]), b: f64[2048]) = solve(A, b)\n",
        _blocks,
        {"numpy": _dense_blocks},
    ),
)
