"""The linear-algebra awareness benchmark: does a system see what a person sees in a formula of a few operators?

Its scoreboard counts how many of 17 tests (all but 4d) need no more operations than the best form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.kernels import triangular_product

N = {"n": 3000}


def last_of_loop(np: Any, A: Any, B: Any, V: Any) -> Any:
    for i in range(3):
        R = A @ B + V[i : i + 1].T @ V[i : i + 1]
    return R


def blocked(np: Any, A1: Any, A2: Any, B1: Any, B2: Any) -> Any:
    zero = np.zeros_like(A1)
    return np.vstack([np.hstack([A1, zero]), np.hstack([zero, A2])]) @ np.vstack([B1, B2])


def tridiagonal_product(T: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
    R = np.diagonal(T)[:, None] * B
    R[1:] += np.diagonal(T, -1)[:, None] * B[:-1]
    R[:-1] += np.diagonal(T, 1)[:, None] * B[1:]
    return R


def gram(S: NDArray[Any]) -> NDArray[Any]:
    return S.T @ S


GROUP = Group(
    "laab",
    "A. Sankaran, P. Bientinesi: Linear Algebra Awareness Benchmark",
    (
        Case(
            "laab/1a",
            "gemm",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32[n, n] = A' @ B",
            written=lambda np, A, B: A.T @ B,
            expert=lambda A, B: A.T @ B,
            flops=lambda n: 2 * n**3,
            scored=True,
        ),
        Case(
            "laab/1b",
            "trmm",
            N,
            "def f(L: f32[n, n] is lower, B: f32[n, n]) -> f32[n, n] = L @ B",
            written=lambda np, L, B: L @ B,
            expert=lambda L, B: triangular_product(L, B, lower=True),
            flops=lambda n: n**3,
            scored=True,
        ),
        Case(
            "laab/1c",
            "syrk",
            N,
            "def f(A: f32[n, n]) -> f32[n, n] = A @ A'",
            written=lambda np, A: A @ A.T,
            expert=lambda A: A @ A.T,
            flops=lambda n: n**3,
            scored=True,
        ),
        Case(
            "laab/1d",
            "tridiagonal times dense",
            N,
            "def f(T: f32[n, n] is banded(1, 1), B: f32[n, n]) -> f32[n, n] = T @ B",
            written=lambda np, T, B: T @ B,
            expert=tridiagonal_product,
            flops=lambda n: 6 * n**2,
            scored=True,
        ),
        Case(
            "laab/2a",
            "common subexpression in a sum",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32[n, n] = A' @ B + A' @ B",
            written=lambda np, A, B: A.T @ B + A.T @ B,
            expert=lambda A, B: 2 * (A.T @ B),
            flops=lambda n: 2 * n**3 + n**2,
            scored=True,
        ),
        Case(
            "laab/2b",
            "common subexpression in a product, in parentheses",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32[n, n] = (A' @ B)' @ (A' @ B)",
            written=lambda np, A, B: (A.T @ B).T @ (A.T @ B),
            expert=lambda A, B: gram(A.T @ B),
            flops=lambda n: 3 * n**3,
            scored=True,
        ),
        Case(
            "laab/2c",
            "common subexpression in a product, without parentheses",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32[n, n] = (A' @ B)' @ A' @ B",
            written=lambda np, A, B: (A.T @ B).T @ A.T @ B,
            expert=lambda A, B: gram(A.T @ B),
            flops=lambda n: 3 * n**3,
            scored=True,
        ),
        Case(
            "laab/2d",
            "common subexpression that does not pay",
            N,
            "def f(A: f32[n, n], B: f32[n, n], y: f32[n, 1]) -> f32[n, 1] = A' @ B @ A' @ B @ y",
            written=lambda np, A, B, y: A.T @ B @ A.T @ B @ y,
            expert=lambda A, B, y: A.T @ (B @ (A.T @ (B @ y))),
            flops=lambda n: 8 * n**2,
            scored=True,
        ),
        Case(
            "laab/3a",
            "chain from right to left",
            N,
            "def f(H: f32[n, n], x: f32[n, 1]) -> f32[n, 1] = H' @ H @ x",
            written=lambda np, H, x: H.T @ H @ x,
            expert=lambda H, x: H.T @ (H @ x),
            flops=lambda n: 4 * n**2,
            scored=True,
        ),
        Case(
            "laab/3b",
            "chain from left to right",
            N,
            "def f(H: f32[n, n], y: f32[n, 1]) -> f32[1, n] = y' @ H' @ H",
            written=lambda np, H, y: y.T @ H.T @ H,
            expert=lambda H, y: (y.T @ H.T) @ H,
            flops=lambda n: 4 * n**2,
            scored=True,
        ),
        Case(
            "laab/3c",
            "chain from both ends",
            N,
            "def f(H: f32[n, n], x: f32[n, 1], y: f32[n, 1]) -> f32[n, n] = H' @ y @ x' @ H",
            written=lambda np, H, x, y: H.T @ y @ x.T @ H,
            expert=lambda H, x, y: (H.T @ y) @ (x.T @ H),
            flops=lambda n: 6 * n**2,
            scored=True,
        ),
        Case(
            "laab/4a",
            "distributive law, to the sum",
            N,
            "def f(A: f32[n, n], B: f32[n, n], C: f32[n, n]) -> f32[n, n] = A @ B + A @ C",
            written=lambda np, A, B, C: A @ B + A @ C,
            expert=lambda A, B, C: A @ (B + C),
            flops=lambda n: 2 * n**3 + n**2,
            scored=True,
        ),
        Case(
            "laab/4b",
            "distributive law, to the products",
            N,
            "def f(A: f32[n, n], H: f32[n, n], x: f32[n, 1]) -> f32[n, 1] = (A - H' @ H) @ x",
            written=lambda np, A, H, x: (A - H.T @ H) @ x,
            expert=lambda A, H, x: A @ x - H.T @ (H @ x),
            flops=lambda n: 6 * n**2 + n,
            scored=True,
        ),
        Case(
            "laab/4c",
            "transpose of a product",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32[n, n] = B' @ A @ A' @ B",
            written=lambda np, A, B: B.T @ A @ A.T @ B,
            expert=lambda A, B: gram(A.T @ B),
            flops=lambda n: 3 * n**3,
            scored=True,
        ),
        Case(
            "laab/4d",
            "product of blocks (not scored)",
            {"h": 1500, "n": 3000},
            """def f(A1: f32[h, h], A2: f32[h, h], B1: f32[h, n], B2: f32[h, n]) -> f32[2*h, n]:
    return [A1, 0; 0, A2] @ [B1; B2]""",
            written=lambda np, A1, A2, B1, B2: (
                np.vstack([np.hstack([A1, np.zeros_like(A1)]), np.hstack([np.zeros_like(A2), A2])])
                @ np.vstack([B1, B2])
            ),
            expert=lambda A1, A2, B1, B2: np.vstack([A1 @ B1, A2 @ B2]),
            flops=lambda h, n: 4 * h**2 * n,
        ),
        Case(
            "laab/5a",
            "product that a loop repeats",
            N,
            """def f(A: f32[n, n], B: f32[n, n], V: f32[3, n]) -> f32[n, n]:
    R = zeros(n, n)
    scan i in 3:
        R = A @ B + outer(V[i], V[i])
    return R""",
            written=last_of_loop,
            expert=lambda A, B, V: A @ B + np.outer(V[2], V[2]),
            flops=lambda n: 2 * n**3 + 2 * n**2,
            scored=True,
        ),
        Case(
            "laab/5b",
            "one entry of a sum",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32 where n > 2 = (A + B)[2, 2]",
            written=lambda np, A, B: (A + B)[2, 2],
            expert=lambda A, B: A[2, 2] + B[2, 2],
            flops=lambda n: 1,
            scored=True,
        ),
        Case(
            "laab/5c",
            "one entry of a product",
            N,
            "def f(A: f32[n, n], B: f32[n, n]) -> f32 where n > 2 = (A @ B)[2, 2]",
            written=lambda np, A, B: (A @ B)[2, 2],
            expert=lambda A, B: A[2] @ B[:, 2],
            flops=lambda n: 2 * n,
            scored=True,
        ),
    ),
)
