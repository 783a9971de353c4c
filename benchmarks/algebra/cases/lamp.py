"""LAMP: operations, chains, facts, loops and parts of products: does a system take the kernel that fits?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.kernels import general_solve, scale_rows, symmetric_solve

N = {"n": 3000}
TENTH = {"n": 300}


def add_transpose(X: NDArray[Any]) -> NDArray[Any]:
    return X + X.T


GROUP = Group(
    "lamp",
    "LAMP: linear algebra mapping problem, HPAC",
    (
        Case(
            "lamp/01",
            "gemm",
            N,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = A @ B",
            written=lambda np, A, B: A @ B,
            expert=lambda A, B: A @ B,
            flops=lambda n: 2 * n**3,
        ),
        Case(
            "lamp/03",
            "syr2k",
            N,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = A @ B' + B @ A'",
            written=lambda np, A, B: A @ B.T + B @ A.T,
            expert=lambda A, B: add_transpose(A @ B.T),
            flops=lambda n: 2 * n**3 + n**2,
        ),
        Case(
            "lamp/04b",
            "scaling",
            N,
            "def f(A: f64[n, n]) -> f64[n, n] = 3.0 * A",
            written=lambda np, A: 3.0 * A,
            expert=lambda A: 3.0 * A,
            flops=lambda n: n**2,
        ),
        Case(
            "lamp/04d",
            "gemm with a factor, added",
            N,
            "def f(A: f64[n, n], B: f64[n, n], C: f64[n, n]) -> f64[n, n] = 3.0 * (A @ B) + C",
            written=lambda np, A, B, C: 3.0 * (A @ B) + C,
            expert=lambda A, B, C: 3.0 * (A @ B) + C,
            flops=lambda n: 2 * n**3 + 2 * n**2,
        ),
        Case(
            "lamp/04f",
            "syrk, added",
            N,
            "def f(A: f64[n, n], C: f64[n, n] is symmetric) -> f64[n, n] = A @ A' + C",
            written=lambda np, A, C: A @ A.T + C,
            expert=lambda A, C: A @ A.T + C,
            flops=lambda n: n**3 + n**2,
        ),
        Case(
            "lamp/05a",
            "inverse times 200 columns",
            {"n": 3000, "r": 200},
            "def f(A: f64[n, n] is nonsingular, B: f64[n, r]) -> f64[n, r] = inv(A) @ B",
            written=lambda np, A, B: np.linalg.inv(A) @ B,
            expert=general_solve,
            flops=lambda n, r: 2 / 3 * n**3 + 2 * n**2 * r,
        ),
        Case(
            "lamp/06a",
            "chain from left to right",
            {"n": 3000, "k": 600},
            "def f(A: f64[n, n], B: f64[n, n], C: f64[k, n]) -> f64[k, n] = C @ A @ B",
            written=lambda np, A, B, C: C @ A @ B,
            expert=lambda A, B, C: (C @ A) @ B,
            flops=lambda n, k: 4 * k * n**2,
        ),
        Case(
            "lamp/06c",
            "chain from both ends",
            {"n": 3000, "k": 600},
            "def f(A: f64[n, n], B: f64[n, k], C: f64[k, n], D: f64[n, n]) -> f64[n, n] = A @ B @ C @ D",
            written=lambda np, A, B, C, D: A @ B @ C @ D,
            expert=lambda A, B, C, D: (A @ B) @ (C @ D),
            flops=lambda n, k: 6 * n**2 * k,
        ),
        Case(
            "lamp/07b",
            "diagonal times dense",
            N,
            "def f(A: f64[n, n] is diagonal, B: f64[n, n]) -> f64[n, n] = A @ B",
            written=lambda np, A, B: A @ B,
            expert=lambda A, B: scale_rows(np.diagonal(A), B),
            flops=lambda n: n**2,
        ),
        Case(
            "lamp/08b",
            "symmetric indefinite system",
            {"n": 3000, "r": 200},
            "def f(A: f64[n, n] is symmetric and nonsingular, B: f64[n, r]) -> f64[n, r] = A \\ B",
            written=lambda np, A, B: np.linalg.solve(A, B),
            expert=symmetric_solve,
            flops=lambda n, r: n**3 / 3 + 2 * n**2 * r,
        ),
        Case(
            "lamp/08d",
            "diagonal system",
            {"n": 3000, "r": 200},
            "def f(A: f64[n, n] is diagonal and nonsingular, B: f64[n, r]) -> f64[n, r] = A \\ B",
            written=lambda np, A, B: np.linalg.solve(A, B),
            expert=lambda A, B: scale_rows(1 / np.diagonal(A), B),
            flops=lambda n, r: n * r + n,
        ),
        Case(
            "lamp/10",
            "product that a loop repeats",
            TENTH,
            """def f(A: f64[n, n], B: f64[n, n]) -> f64[n]:
    scan i in n:
        c[i] = (A @ B)[i, i]
    return c""",
            written=lambda np, A, B: np.stack([(A @ B)[i, i] for i in range(len(A))]),
            expert=lambda A, B: np.vecdot(A, B.T),
            flops=lambda n: 2 * n**2,
            traceable=False,
        ),
        Case(
            "lamp/12a",
            "column of a product",
            N,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, 1] where n > 2 = (A @ B)[:, 2:3]",
            written=lambda np, A, B: (A @ B)[:, 2:3],
            expert=lambda A, B: A @ B[:, 2:3],
            flops=lambda n: 2 * n**2,
        ),
        Case(
            "lamp/12c",
            "entry of a product",
            N,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64 where n > 2 = (A @ B)[2, 2]",
            written=lambda np, A, B: (A @ B)[2, 2],
            expert=lambda A, B: A[2] @ B[:, 2],
            flops=lambda n: 2 * n,
        ),
        Case(
            "lamp/12e",
            "diagonal of a product",
            N,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64[n] = diag(A @ B)",
            written=lambda np, A, B: np.diag(A @ B),
            expert=lambda A, B: np.vecdot(A, B.T),
            flops=lambda n: 2 * n**2,
        ),
        Case(
            "lamp/NNa",
            "product column by column",
            N,
            """def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n]:
    scan i in n:
        C[i] = A @ B[:, i]
    return C'""",
            written=lambda np, A, B: np.hstack([A @ B[:, i : i + 1] for i in range(len(A))]),
            expert=lambda A, B: A @ B,
            flops=lambda n: 2 * n**3,
            traceable=False,
        ),
        Case(
            "lamp/NNb-tn",
            "transpose that need not be made, at the left",
            TENTH,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = A' @ B",
            written=lambda np, A, B: A.T @ B,
            expert=lambda A, B: A.T @ B,
            flops=lambda n: 2 * n**3,
        ),
        Case(
            "lamp/NNb-tt",
            "transposes that need not be made",
            TENTH,
            "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = A' @ B'",
            written=lambda np, A, B: A.T @ B.T,
            expert=lambda A, B: A.T @ B.T,
            flops=lambda n: 2 * n**3,
        ),
    ),
)
