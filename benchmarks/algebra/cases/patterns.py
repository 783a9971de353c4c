"""Small formulas, each of which asks for one idea: sharing, factoring, solves, symmetry, order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.chain import Factor, chain
from benchmarks.algebra.kernels import (
    general_solve,
    plus_identity,
    product_triangular,
    scale_rows,
    spd_solve,
    symmetric_solve,
    triangular_product,
    triangular_solve,
)

Array = NDArray[Any]
TEN = {"n": 10}


def gram(S: Array) -> Array:
    return S.T @ S


def plus_transpose(X: Array) -> Array:
    return X + X.T


def sharing_sums(A: Array, B: Array, C: Array, D: Array) -> tuple[Array, Array, Array]:
    BC = B + C
    return A.T + BC, BC + D, B.T + A + C


def sharing_middle(A: Array, B: Array, C: Array, D: Array) -> tuple[Array, Array]:
    BC = B @ C
    return A @ BC, BC @ D


def sharing_ends(A: Array, B: Array, C: Array, D: Array) -> tuple[Array, Array]:
    AB, CD = A @ B, C @ D
    return AB @ CD, CD @ AB


def sharing_nested(A: Array, B: Array, C: Array, D: Array, E: Array, F: Array) -> tuple[Array, Array, Array]:
    BCD = B @ C @ D
    Y = BCD @ E
    return A @ BCD, Y, Y @ F


def sharing_five(A: Array, B: Array, C: Array, D: Array, E: Array) -> tuple[Array, ...]:
    AB, CD = A @ B, C @ D
    CDE = CD @ E
    return AB @ CDE, AB @ C, AB, CDE, CD


def shifted_spectrum(Q: Array, W: Array, al: float) -> Array:
    return Q.T @ scale_rows(np.diagonal(W) + (2 + al), Q)


def two_inverses(A: Array, B: Array, C: Array, D: Array) -> Array:
    middle = A @ C.T @ B.T @ D
    left = general_solve(B.T, general_solve(C.T, middle))
    return general_solve(B.T, general_solve(C.T, left.T)).T


def six_factors(A: Array, B: Array, C: Array, D: Array, E: Array, F: Array) -> Array:
    d = E.shape[1]  # below row d the upper E is zero, so that only a corner of D counts
    CDE = product_triangular(product_triangular(C[:, :d], D[:d, :d], lower=False), E[:d], lower=False)
    return triangular_product(A, B, lower=True) @ (CDE @ F)


def transposed_sharing(A: Array, B: Array, C: Array, D: Array) -> tuple[Array, Array]:
    G = triangular_solve(B, A.T, lower=True)
    return G.T @ C, D @ G


def triangular_sum(L1: Array, L2: Array, U: Array, B: Array) -> Array:
    return triangular_solve(L1 + triangular_solve(U, L2, lower=False, transposed=True), B, lower=True)


def square_in_products(A: Array, B: Array, C: Array) -> Array:
    D = C.T @ A
    return plus_transpose(D.T @ (B + D / 2))


GROUP = Group(
    "patterns",
    "Linnea, examples",
    (
        Case(
            "patterns/001",
            "two inner products",
            TEN,
            "def f(x: f64[n, 1], y: f64[n, 1], z: f64[n, 1]) -> f64[1, 1] = x' @ z @ x' @ y",
            written=lambda np, x, y, z: x.T @ z @ x.T @ y,
            expert=lambda x, y, z: (x.T @ z) * (x.T @ y),
            flops=lambda n: 4 * n + 1,
        ),
        Case(
            "patterns/003",
            "two triangular systems in a number",
            TEN,
            "def f(L: f64[n, n] is lower and nonsingular, v: f64[n], u: f64[n]) -> f64 = u @ inv(L) @ inv(L) @ v",
            written=lambda np, L, v, u: u @ np.linalg.inv(L) @ np.linalg.inv(L) @ v,
            expert=lambda L, v, u: (
                triangular_solve(L, u, lower=True, transposed=True) @ triangular_solve(L, v, lower=True)
            ),
            flops=lambda n: 2 * n**2 + 2 * n,
        ),
        Case(
            "patterns/014",
            "Gram matrix of a product",
            TEN,
            "def f(A: f64[n, n], B: f64[n, n] is nonsingular) -> f64[n, n] = B' @ A' @ A @ B",
            written=lambda np, A, B: B.T @ A.T @ A @ B,
            expert=lambda A, B: gram(A @ B),
            flops=lambda n: 3 * n**3,
        ),
        Case(
            "patterns/032",
            "products that overlap",
            TEN,
            """def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n]) -> (f64[n, n], f64[n, n]):
    return A @ B @ C, B @ C @ D""",
            written=lambda np, A, B, C, D: (A @ B @ C, B @ C @ D),
            expert=sharing_middle,
            flops=lambda n: 6 * n**3,
        ),
        Case(
            "patterns/041",
            "sums that overlap, with transposes",
            TEN,
            """def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n]) -> (f64[n, n], f64[n, n], f64[n, n]):
    return A' + B + C, B + C + D, B' + A + C""",
            written=lambda np, A, B, C, D: (A.T + B + C, B + C + D, B.T + A + C),
            expert=sharing_sums,
            flops=lambda n: 5 * n**2,
        ),
        Case(
            "patterns/047",
            "a common sum",
            TEN,
            "def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n]) -> f64[n, n] = A @ (C + D) + B @ (C + D)",
            written=lambda np, A, B, C, D: A @ (C + D) + B @ (C + D),
            expert=lambda A, B, C, D: (A + B) @ (C + D),
            flops=lambda n: 2 * n**3 + 2 * n**2,
        ),
        Case(
            "patterns/053",
            "products that overlap in a circle",
            TEN,
            """def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n]) -> (f64[n, n], f64[n, n]):
    return A @ B @ C @ D, C @ D @ A @ B""",
            written=lambda np, A, B, C, D: (A @ B @ C @ D, C @ D @ A @ B),
            expert=sharing_ends,
            flops=lambda n: 8 * n**3,
        ),
        Case(
            "patterns/059",
            "sums on both sides of a product",
            TEN,
            """def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n], E: f64[n, n]) -> f64[n, n]:
    return (A + D) @ B @ (C + E)""",
            written=lambda np, A, B, C, D, E: (A + D) @ B @ (C + E),
            expert=lambda A, B, C, D, E: (A + D) @ B @ (C + E),
            flops=lambda n: 4 * n**3 + 2 * n**2,
        ),
        Case(
            "patterns/059-expanded",
            "the same, multiplied out",
            TEN,
            """def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n], E: f64[n, n]) -> f64[n, n]:
    return A @ B @ C + D @ B @ C + D @ B @ E + A @ B @ E""",
            written=lambda np, A, B, C, D, E: A @ B @ C + D @ B @ C + D @ B @ E + A @ B @ E,
            expert=lambda A, B, C, D, E: (A + D) @ B @ (C + E),
            flops=lambda n: 4 * n**3 + 2 * n**2,
        ),
        Case(
            "patterns/067",
            "nested chains that overlap",
            {"n": 1000},
            """def f(
    A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n], E: f64[n, n], F: f64[n, n]
) -> (f64[n, n], f64[n, n], f64[n, n]):
    return A @ B @ C @ D, B @ C @ D @ E, B @ C @ D @ E @ F""",
            written=lambda np, A, B, C, D, E, F: (A @ B @ C @ D, B @ C @ D @ E, B @ C @ D @ E @ F),
            expert=sharing_nested,
            flops=lambda n: 10 * n**3,
        ),
        Case(
            "patterns/074",
            "shifted spectrum",
            TEN,
            """def f(Q: f64[n, n] is orthogonal, W: f64[n, n] is diagonal, al: f64) -> f64[n, n]:
    return Q' @ W @ Q + (2 + al) * eye(n)""",
            written=lambda np, Q, W, al: Q.T @ W @ Q + (2 + al) * np.eye(len(Q), dtype=Q.dtype),
            expert=shifted_spectrum,
            flops=lambda n: 2 * n**3 + n**2 + 2 * n,
        ),
        Case(
            "patterns/079",
            "the inverse of a Gram matrix of too low a rank",
            {"n": 10, "k": 20},
            """def f(A: f64[k, n] is full_rank, B: f64[n, n] is nonsingular) -> f64[k, n] where k > n:
    return inv(A @ B @ B' @ A') @ A @ B""",
            expect="warn",
        ),
        Case(
            "patterns/083",
            "two inverses on both sides",
            TEN,
            """def f(A: f64[n, n], B: f64[n, n] is nonsingular, C: f64[n, n] is nonsingular, D: f64[n, n]) -> f64[n, n]:
    return inv(B)' @ inv(C)' @ A @ C' @ B' @ D @ inv(C) @ inv(B)""",
            written=lambda np, A, B, C, D: (
                np.linalg.inv(B).T @ np.linalg.inv(C).T @ A @ C.T @ B.T @ D @ np.linalg.inv(C) @ np.linalg.inv(B)
            ),
            expert=two_inverses,
            flops=lambda n: 46 / 3 * n**3,
        ),
        chain(
            "patterns/096",
            "chain of two inverses",
            (
                Factor("A", "n", "n"),
                Factor("B", "n", "n", inverted=True),
                Factor("C", "n", "n", inverted=True, transposed=True),
                Factor("D", "n", "n", "diagonal"),
            ),
            TEN,
        ),
        Case(
            "patterns/115",
            "six factors with triangles",
            {"a": 600, "b": 200, "c": 1500, "d": 800, "e": 1000},
            """def f(
    A: f64[a, a] is lower, B: f64[a, b], C: f64[b, c], D: f64[c, c] is upper, E: f64[c, d] is upper,
    F: f64[d, e]
) -> f64[a, e] where c > d:
    return A @ B @ C @ D @ E @ F""",
            written=lambda np, A, B, C, D, E, F: A @ B @ C @ D @ E @ F,
            expert=six_factors,
            flops=lambda a, b, c, d, e: 2 * b * d**2 + 2 * b * d * e + a**2 * b + 2 * a * b * e,
        ),
        Case(
            "patterns/103",
            "inverse of two Gram matrices",
            {"n": 50, "m": 1000, "k": 250},
            """def f(A: f64[m, n] is full_rank, B: f64[k, n] is full_rank, y: f64[n]) -> f64[n] where m > n, k > n:
    return inv(A' @ A @ B' @ B) @ y""",
            written=lambda np, A, B, y: np.linalg.inv(A.T @ A @ B.T @ B) @ y,
            expert=lambda A, B, y: spd_solve(B.T @ B, spd_solve(A.T @ A, y)),
            flops=lambda n, m, k: m * n**2 + k * n**2 + 2 / 3 * n**3 + 4 * n**2,
        ),
        Case(
            "patterns/112",
            "shifted positive definite system",
            {"n": 50},
            "def f(S: f64[n, n] is spd, al: f64 is positive, y: f64[n]) -> f64[n] = inv(S + al * eye(n)) @ y",
            written=lambda np, S, al, y: np.linalg.inv(S + al * np.eye(len(S), dtype=S.dtype)) @ y,
            expert=lambda S, al, y: spd_solve(plus_identity(S.copy(), al), y),
            flops=lambda n: n**3 / 3 + 2 * n**2 + n,
        ),
        Case(
            "patterns/120",
            "the square completed",
            {"n": 20, "m": 10},
            "def f(A: f64[n, m], B: f64[n, m]) -> f64[m, m] = A' @ B + B' @ A + A' @ A",
            written=lambda np, A, B: A.T @ B + B.T @ A + A.T @ A,
            expert=lambda A, B: plus_transpose(A.T @ (B + 0.5 * A)),
            flops=lambda n, m: 2 * n * m**2 + 2 * n * m + m**2,
        ),
        Case(
            "patterns/124",
            "sharing through a transpose and an inverse",
            {"n": 1000},
            """def f(
    A: f64[n, n], B: f64[n, n] is lower and nonsingular, C: f64[n, n], D: f64[n, n]
) -> (f64[n, n], f64[n, n]):
    return A @ inv(B)' @ C, D @ inv(B) @ A'""",
            written=lambda np, A, B, C, D: (A @ np.linalg.inv(B).T @ C, D @ np.linalg.inv(B) @ A.T),
            expert=transposed_sharing,
            flops=lambda n: 5 * n**3,
        ),
        chain(
            "patterns/128",
            "a chain with orders that nearly tie",
            (
                Factor("A", "a", "b"),
                Factor("B", "b", "c"),
                Factor("C", "c", "d"),
                Factor("D", "d", "e"),
                Factor("E", "e", "f"),
            ),
            {"a": 55, "b": 58, "c": 64, "d": 54, "e": 128, "f": 53},
        ),
        chain(
            "patterns/133",
            "two inverses before a matrix",
            (
                Factor("A", "n", "n", inverted=True),
                Factor("B", "n", "n", inverted=True, transposed=True),
                Factor("C", "n", "n"),
            ),
            TEN,
        ),
        Case(
            "patterns/141",
            "five results, nested in each other",
            TEN,
            """def f(
    A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n], E: f64[n, n]
) -> (f64[n, n], f64[n, n], f64[n, n], f64[n, n], f64[n, n]):
    return A @ B @ C @ D @ E, A @ B @ C, A @ B, C @ D @ E, C @ D""",
            written=lambda np, A, B, C, D, E: (A @ B @ C @ D @ E, A @ B @ C, A @ B, C @ D @ E, C @ D),
            expert=sharing_five,
            flops=lambda n: 10 * n**3,
        ),
        Case(
            "patterns/147",
            "a sum that stays triangular",
            TEN,
            """def f(
    L1: f64[n, n] is lower and nonsingular, L2: f64[n, n] is lower and nonsingular,
    U: f64[n, n] is upper and nonsingular, B: f64[n, n]
) -> f64[n, n]:
    return inv(L1 + inv(U)' @ L2) @ B""",
            written=lambda np, L1, L2, U, B: np.linalg.inv(L1 + np.linalg.inv(U).T @ L2) @ B,
            expert=triangular_sum,
            flops=lambda n: 2 * n**3 + n**2,
        ),
        Case(
            "patterns/149",
            "the square completed in products",
            TEN,
            "def f(A: f64[n, n], B: f64[n, n], C: f64[n, n]) -> f64[n, n] = A' @ C @ B + B' @ C' @ A + A' @ C @ C' @ A",
            written=lambda np, A, B, C: A.T @ C @ B + B.T @ C.T @ A + A.T @ C @ C.T @ A,
            expert=square_in_products,
            flops=lambda n: 4 * n**3 + 3 * n**2,
        ),
        Case(
            "patterns/160",
            "a wide sum with transposes",
            {"n": 5000},
            """def f(
    A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n], al: f64
) -> f64[n, n] = A' + B + al * C + D'""",
            written=lambda np, A, B, C, D, al: A.T + B + al * C + D.T,
            expert=lambda A, B, C, D, al: (A + D).T + B + al * C,
            flops=lambda n: 4 * n**2,
        ),
        Case(
            "patterns/162",
            "symmetric indefinite system",
            {"n": 2000, "m": 10},
            "def f(D: f64[n, n] is symmetric and nonsingular, A: f64[n, m]) -> f64[n, m] = inv(D) @ A",
            written=lambda np, D, A: np.linalg.inv(D) @ A,
            expert=symmetric_solve,
            flops=lambda n, m: n**3 / 3 + 2 * n**2 * m,
        ),
    ),
)
