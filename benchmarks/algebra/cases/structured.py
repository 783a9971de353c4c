"""Structure that people asked for in public issue threads: low rank, Kronecker products, diagonals, traces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.kernels import factor, plus_identity, scale_rows, spd_solve, triangular_solve

Array = NDArray[Any]


def expert_woodbury(C: Array, d: Array, b: Array) -> Array:
    root = np.sqrt(d)
    scaled = C / root[:, None]
    inner = plus_identity(scaled.T @ scaled)
    return (b / root - scaled @ spd_solve(inner, scaled.T @ (b / root))) / root


def expert_logdet(A: Array, B: Array) -> float:
    return sum(2 * len(other) * float(np.log(np.diagonal(factor(matrix))).sum()) for matrix, other in ((A, B), (B, A)))


def kalman(np: Any, mu: Any, S: Any, H: Any, R: Any, d: Any) -> Any:
    inv = np.linalg.inv
    return (
        mu + S @ H.T @ inv(R + H @ S @ H.T) @ (H @ mu - d),
        -1 * S @ H.T @ inv(R + H @ S @ H.T) @ H @ S + S,
    )


def expert_kalman(mu: Array, S: Array, H: Array, R: Array, d: Array) -> tuple[Array, Array]:
    HS = H @ S
    L = factor(R + HS @ H.T)
    Z = triangular_solve(L, HS, lower=True)
    return mu + Z.T @ triangular_solve(L, H @ mu - d, lower=True), S - Z.T @ Z


GROUP = Group(
    "structured",
    "public issue threads",
    (
        Case(
            "structured/woodbury",
            "diagonal plus low rank, never made dense",
            {"N": 10_000_000, "r": 20},
            "def f(C: f64[N, r], d: f64[N] is positive, b: f64[N]) -> f64[N] = (diag(d) + C @ C') \\ b",
            written=lambda np, C, d, b: np.linalg.solve(np.diag(d) + C @ C.T, b),
            expert=expert_woodbury,
            flops=lambda N, r: N * r * (r + 1) + 5 * N * r + r**3 / 3 + 5 * N,  # the Gram matrix with its diagonal
            written_up_to=5000,
        ),
        Case(
            "structured/kron-logdet",
            "determinant of a Kronecker product",
            {"p": 30, "q": 40},
            "def f(A: f64[p, p] is spd, B: f64[q, q] is spd) -> f64 = logdet(kron(A, B))",
            written=lambda np, A, B: np.linalg.slogdet(np.kron(A, B))[1],
            expert=expert_logdet,
            flops=lambda p, q: p**3 / 3 + q**3 / 3 + 10 * (p + q),
        ),
        Case(
            "structured/diagonals",
            "sums of diagonal matrices stay diagonal",
            {"n": 1000},
            """def f(k: f64[n] is positive, q: f64[n], s: f64 is positive, B: f64[n, n]) -> f64[n, n]:
    return (diag(k) - diag(0.1 * q) + s * eye(n)) \\ B""",
            written=lambda np, k, q, s, B: np.linalg.solve(
                np.diag(k) - np.diag(0.1 * q) + s * np.eye(len(B), dtype=B.dtype), B
            ),
            expert=lambda k, q, s, B: scale_rows(1 / (k - 0.1 * q + s), B),
            flops=lambda n: n**2 + 4 * n,
        ),
        Case(
            "structured/gram-diagonal",
            "diagonal of a Gram matrix",
            {"m": 512, "n": 256},
            "def f(J: f64[m, n]) -> f64[n] = diag(J' @ J)",
            written=lambda np, J: np.diag(J.T @ J),
            expert=lambda J: np.einsum("ij,ij->j", J, J),
            flops=lambda m, n: 2 * m * n,
        ),
        Case(
            "structured/thin-trace",
            "trace of a product of thin factors",
            {"n": 2000, "r": 10},
            "def f(U: f64[n, r], V: f64[r, n]) -> f64 = trace(U @ V)",
            written=lambda np, U, V: np.trace(U @ V),
            expert=lambda U, V: np.vdot(U, V.T),
            flops=lambda n, r: 2 * n * r,
        ),
        Case(
            "structured/chain",
            "two square matrices and a thin one",
            {"n": 1024, "o": 8},
            "def f(A: f64[n, n], B: f64[n, n], C: f64[n, o]) -> f64[n, o] = A @ B @ C",
            written=lambda np, A, B, C: A @ B @ C,
            expert=lambda A, B, C: A @ (B @ C),
            flops=lambda n, o: 4 * n**2 * o,
        ),
        Case(
            "structured/kalman",
            "common parts of an update, small sizes",
            {"n": 8, "k": 4},
            """def f(
    mu: f64[n], S: f64[n, n] is spd, H: f64[k, n], R: f64[k, k] is spd, d: f64[k]
) -> (f64[n], f64[n, n]):
    mu2 = mu + S @ H' @ inv(R + H @ S @ H') @ (H @ mu - d)
    S2 = -1 * S @ H' @ inv(R + H @ S @ H') @ H @ S + S
    return mu2, S2""",
            written=kalman,
            expert=expert_kalman,
            flops=lambda n, k: 3 * k * n**2 + 3 * k**2 * n + k**3 / 3 + k**2 + 4 * k * n,
        ),
    ),
)
