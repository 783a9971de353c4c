"""Formulas of published applications, as the Linnea compiler was tried on: where an expert spends an afternoon each.

All results that the source names are results here. `SPSD` of the source is read as positive definite where the matrix
is inverted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.kernels import (
    factor,
    general_solve,
    plus_identity,
    product_triangular,
    spd_inverse,
    spd_solve,
    triangular_product,
    triangular_solve,
)

Array = NDArray[Any]


# ---- as written, where it takes more than a line


def image_restoration(np: Any, H: Any, y: Any, x: Any) -> Any:
    Hd = H.T @ np.linalg.inv(H @ H.T)
    return Hd, Hd @ y + (np.eye(H.shape[1], dtype=H.dtype) - Hd @ H) @ x


def randomized_inversion(np: Any, A: Any, S: Any, W: Any, Xin: Any) -> Any:
    Lam = S @ np.linalg.inv(S.T @ A.T @ W @ A @ S) @ S.T
    return Lam, Xin + (np.eye(len(A), dtype=A.dtype) - Xin @ A.T) @ Lam @ A.T @ W


def randomized_spd_inversion(np: Any, A: Any, S: Any, Xin: Any) -> Any:
    eye, inv = np.eye(len(A), dtype=A.dtype), np.linalg.inv
    left = eye - S @ inv(S.T @ A @ S) @ S.T @ A
    return S @ inv(S.T @ A @ S) @ S.T + left @ Xin @ (eye - A @ S @ inv(S.T @ A @ S) @ S.T)


def stochastic_newton(np: Any, A: Any, W: Any, lam: Any) -> Any:
    n, s = A.shape[1], W.shape[1]
    inner = lam * np.eye(s, dtype=A.dtype) + W.T @ A @ A.T @ W
    return (1 / lam) * (np.eye(n, dtype=A.dtype) - A.T @ W @ np.linalg.inv(inner) @ W.T @ A)


def kalman(np: Any, Pb: Any, H: Any, R: Any, xb: Any, zk: Any) -> Any:
    K = Pb @ H.T @ np.linalg.inv(H @ Pb @ H.T + R)
    return K, xb + K @ (zk - H @ xb), (np.eye(len(Pb), dtype=Pb.dtype) - K @ H) @ Pb


# ---- the experts


def expert_optimization(A: Array, W: Array, b: Array, c: Array) -> Array:
    w = np.diagonal(W)
    half = A * np.sqrt(w)
    return w * (A.T @ spd_solve(half @ half.T, b) - c)


def expert_signal(A: Array, B: Array, L: Array, R: Array, y: Array) -> Array:
    # A leaves the inverse on both sides: A inv(B'B + A'R'LRA) B'B inv(A) y
    RA = triangular_product(R[:, :-1], A[:-1], lower=False) + np.outer(R[:, -1], A[-1])
    RA *= np.sqrt(np.diagonal(L))[:, None]
    return A @ spd_solve(B.T @ B + RA.T @ RA, B.T @ (B @ general_solve(A, y)))


def expert_ensemble(B: Array, H: Array, R: Array, Y: Array, Xb: Array) -> Array:
    # Woodbury would take a tenth less at these sizes, but subtracts large terms that nearly cancel
    half = triangular_solve(factor(R), H, lower=True)
    return Xb + spd_solve(spd_inverse(B) + half.T @ half, Y - H @ Xb)


def expert_ensemble_3(H: Array, R: Array, Y: Array, X: Array, Xb: Array) -> Array:
    HX = product_triangular(H, X, lower=True)
    return triangular_product(X, HX.T @ spd_solve(R + HX @ HX.T, Y - H @ Xb), lower=True)


def expert_restoration(H: Array, y: Array, x: Array) -> tuple[Array, Array]:
    Hd = spd_solve(H @ H.T, H).T
    return Hd, x + Hd @ (y - H @ x)


def expert_inversion(A: Array, S: Array, W: Array, Xin: Array) -> tuple[Array, Array]:
    AS = A @ S
    WAS = W @ AS
    L = factor(AS.T @ WAS)
    Z = triangular_solve(L, S.T, lower=True)
    V = triangular_solve(L, triangular_solve(L, WAS.T, lower=True), lower=True, transposed=True)
    return Z.T @ Z, Xin + (S - Xin @ (A.T @ S)) @ V


def expert_spd_inversion(A: Array, S: Array, Xin: Array) -> Array:
    # with M = S'AS, Q = A S inv(M) and Y = Xin Q: Xin + S (inv(M) + Q'Y) S' - S Y' - Y S', which is X + X' for half
    AS = A @ S
    M = S.T @ AS
    Q = spd_solve(M, AS.T).T
    Y = Xin @ Q
    core = (spd_solve(M, np.eye(len(M))) + Q.T @ Y) / 2
    half = (S @ core - Y) @ S.T
    return Xin + half + half.T


def expert_newton(A: Array, W: Array, lam: float) -> Array:
    K = A.T @ W
    Z = triangular_solve(factor(plus_identity(K.T @ K, lam)), K.T, lower=True)
    return plus_identity(Z.T @ -Z, 1.0) / lam


def expert_tikhonov_4(A: Array, P: Array, Q: Array, b: Array, x0: Array) -> Array:
    PA = P @ A
    return x0 + spd_solve(A.T @ PA + Q, PA.T @ (b - A @ x0))


def expert_lmmse(A: Array, Cx: Array, Cz: Array, y: Array, x: Array) -> Array:
    # push-through: Cx A' inv(A Cx A' + Cz), with Cx = L L'
    L = factor(Cx)
    K = product_triangular(A, L, lower=True)
    return L @ (K.T @ spd_solve(K @ K.T + Cz, y - A @ x)) + x


def expert_kalman(Pb: Array, H: Array, R: Array, xb: Array, zk: Array) -> tuple[Array, Array, Array]:
    L = factor(Pb)
    HL = product_triangular(H, L, lower=True)
    S = factor(R + HL @ HL.T)
    Z = triangular_solve(S, product_triangular(HL, L.T, lower=False), lower=True)
    K = triangular_solve(S, Z, lower=True, transposed=True).T
    return K, xb + K @ (zk - H @ xb), Pb - Z.T @ Z


GROUP = Group(
    "applications",
    "H. Barthels, C. Psarras, P. Bientinesi: Linnea, TOMS 47(3), 2021, application problems",
    (
        Case(
            "applications/01",
            "least squares",
            {"n": 2500, "m": 500},
            "def f(X: f64[n, m] is full_rank, y: f64[n]) -> f64[m] where n > m = inv(X' @ X) @ X' @ y",
            written=lambda np, X, y: np.linalg.inv(X.T @ X) @ X.T @ y,
            expert=lambda X, y: spd_solve(X.T @ X, X.T @ y),
            flops=lambda n, m: n * m**2 + m**3 / 3 + 2 * n * m + 2 * m**2,
        ),
        Case(
            "applications/03",
            "optimization",
            {"n": 2000, "m": 1000},
            """def f(
    A: f64[m, n] is full_rank, W: f64[n, n] is spd and diagonal, b: f64[m], c: f64[n]
) -> f64[n] where n > m:
    return W @ (A' @ inv(A @ W @ A') @ b - c)""",
            written=lambda np, A, W, b, c: W @ (A.T @ np.linalg.inv(A @ W @ A.T) @ b - c),
            expert=expert_optimization,
            flops=lambda n, m: m**2 * n + m**3 / 3 + m * n + 2 * m**2 + 2 * m * n + 2 * n,
        ),
        Case(
            "applications/05",
            "signal processing",
            {"n": 2000},
            """def f(
    A: f64[n, n] is nonsingular, B: f64[n, n] is nonsingular, L: f64[n-1, n-1] is spd and diagonal,
    R: f64[n-1, n] is full_rank and upper, y: f64[n]
) -> f64[n]:
    return inv(inv(A)' @ B' @ B @ inv(A) + R' @ L @ R) @ inv(A)' @ B' @ B @ inv(A) @ y""",
            written=lambda np, A, B, L, R, y: (
                np.linalg.inv(np.linalg.inv(A).T @ B.T @ B @ np.linalg.inv(A) + R.T @ L @ R)
                @ np.linalg.inv(A).T
                @ B.T
                @ B
                @ np.linalg.inv(A)
                @ y
            ),
            expert=expert_signal,
            flops=lambda n: 4 * n**3 + 11 * n**2,
        ),
        Case(
            "applications/07",
            "ensemble Kalman filter 1",
            {"N": 200, "n": 2000},
            """def f(
    B: f64[n, n] is spd, H: f64[n, n] is full_rank, R: f64[n, n] is spd, Y: f64[n, N] is full_rank,
    Xb: f64[n, N] is full_rank
) -> f64[n, N]:
    return Xb + inv(inv(B) + H' @ inv(R) @ H) @ (Y - H @ Xb)""",
            written=lambda np, B, H, R, Y, Xb: (
                Xb + np.linalg.inv(np.linalg.inv(B) + H.T @ np.linalg.inv(R) @ H) @ (Y - H @ Xb)
            ),
            expert=expert_ensemble,
            flops=lambda N, n: 11 / 3 * n**3 + 4 * n**2 * N,
        ),
        Case(
            "applications/09",
            "ensemble Kalman filter 3",
            {"N": 200, "n": 5000, "m": 1000},
            """def f(
    H: f64[m, n] is full_rank, R: f64[m, m] is psd, Y: f64[m, N] is full_rank,
    X: f64[n, n] is full_rank and lower, Xb: f64[n, N] is full_rank
) -> f64[n, N]:
    return X @ (H @ X)' @ inv(R + H @ X @ (H @ X)') @ (Y - H @ Xb)""",
            written=lambda np, H, R, Y, X, Xb: X @ (H @ X).T @ np.linalg.inv(R + H @ X @ (H @ X).T) @ (Y - H @ Xb),
            expert=expert_ensemble_3,
            flops=lambda N, n, m: m * n**2 + m**2 * n + m**3 / 3 + 2 * m**2 * N + 4 * m * n * N + n**2 * N,
        ),
        Case(
            "applications/11",
            "image restoration",
            {"n": 5000, "m": 1000},
            """def f(H: f64[m, n] is full_rank, y: f64[m], x: f64[n]) -> (f64[n, m], f64[n]) where n > m:
    Hd = H' @ inv(H @ H')
    yk = Hd @ y + (eye(n) - Hd @ H) @ x
    return Hd, yk""",
            written=image_restoration,
            expert=expert_restoration,
            flops=lambda n, m: 3 * m**2 * n + m**3 / 3 + 4 * m * n,
        ),
        Case(
            "applications/13",
            "randomized matrix inversion 2",
            {"n": 5000, "q": 500},
            """def f(
    A: f64[n, n] is nonsingular, S: f64[n, q] is full_rank, W: f64[n, n] is spd,
    Xin: f64[n, n] is nonsingular
) -> (f64[n, n], f64[n, n]) where n > q:
    Lam = S @ inv(S' @ A' @ W @ A @ S) @ S'
    Xout = Xin + (eye(n) - Xin @ A') @ Lam @ A' @ W
    return Lam, Xout""",
            written=randomized_inversion,
            expert=expert_inversion,
            flops=lambda n, q: 11 * n**2 * q + 5 * n * q**2 + q**3 / 3 + n**2,
        ),
        Case(
            "applications/15",
            "randomized matrix inversion 4",
            {"n": 5000, "q": 500},
            """def f(
    A: f64[n, n] is spd, S: f64[n, q] is full_rank, Xin: f64[n, n] is symmetric and nonsingular
) -> f64[n, n] where n > q:
    left = eye(n) - S @ inv(S' @ A @ S) @ S' @ A
    return S @ inv(S' @ A @ S) @ S' + left @ Xin @ (eye(n) - A @ S @ inv(S' @ A @ S) @ S')""",
            written=randomized_spd_inversion,
            expert=expert_spd_inversion,
            flops=lambda n, q: 6 * n**2 * q + 8 * n * q**2 + 4 / 3 * q**3 + 2 * n**2,
        ),
        Case(
            "applications/17",
            "stochastic Newton",
            {"n": 1000, "m": 5000, "s": 625},
            """def f(
    A: f64[m, n] is full_rank, W: f64[m, s] is full_rank, lam: f64 is positive
) -> f64[n, n] where m > n, n > s:
    inner = lam * eye(s) + W' @ A @ A' @ W
    return (1 / lam) * (eye(n) - A' @ W @ inv(inner) @ W' @ A)""",
            written=stochastic_newton,
            expert=expert_newton,
            flops=lambda n, m, s: 2 * n * m * s + 2 * s**2 * n + n**2 * s + s**3 / 3 + n**2,
        ),
        Case(
            "applications/19",
            "Tikhonov regularization 2",
            {"n": 3000, "m": 200},
            """def f(A: f64[n, m] is full_rank, b: f64[n], al: f64 is positive) -> f64[m] where n > m:
    return inv(A' @ A + al * eye(m)) @ A' @ b""",
            written=lambda np, A, b, al: np.linalg.inv(A.T @ A + al * np.eye(A.shape[1], dtype=A.dtype)) @ A.T @ b,
            expert=lambda A, b, al: spd_solve(plus_identity(A.T @ A, al), A.T @ b),
            flops=lambda n, m: n * m**2 + m**3 / 3 + 2 * n * m + 2 * m**2,
        ),
        Case(
            "applications/21",
            "Tikhonov regularization 4",
            {"n": 3000, "m": 200},
            """def f(
    A: f64[n, m] is full_rank, P: f64[n, n] is psd, Q: f64[m, m] is psd, b: f64[n], x0: f64[m]
) -> f64[m] where n > m:
    return x0 + inv(A' @ P @ A + Q) @ A' @ P @ (b - A @ x0)""",
            written=lambda np, A, P, Q, b, x0: x0 + np.linalg.inv(A.T @ P @ A + Q) @ A.T @ P @ (b - A @ x0),
            expert=expert_tikhonov_4,
            flops=lambda n, m: 2 * n**2 * m + 2 * n * m**2 + m**3 / 3 + 4 * n * m + 2 * m**2,
        ),
        Case(
            "applications/23",
            "LMMSE estimator",
            {"n": 2000, "m": 1500},
            """def f(
    A: f64[m, n] is full_rank, Cx: f64[n, n] is spd, Cz: f64[m, m] is spd, y: f64[m], x: f64[n]
) -> f64[n] where n > m:
    return inv(A' @ inv(Cz) @ A + inv(Cx)) @ A' @ inv(Cz) @ (y - A @ x) + x""",
            written=lambda np, A, Cx, Cz, y, x: (
                np.linalg.inv(A.T @ np.linalg.inv(Cz) @ A + np.linalg.inv(Cx)) @ A.T @ np.linalg.inv(Cz) @ (y - A @ x)
                + x
            ),
            expert=expert_lmmse,
            flops=lambda n, m: n**3 / 3 + m * n**2 + m**2 * n + m**3 / 3 + 4 * m * n + 2 * n**2 + 2 * m**2,
        ),
        Case(
            "applications/25",
            "Kalman filter",
            {"n": 400, "m": 400},
            """def f(
    Pb: f64[n, n] is spd, H: f64[m, n] is full_rank, R: f64[m, m] is psd, xb: f64[n], zk: f64[m]
) -> (f64[n, m], f64[n], f64[n, n]):
    K = Pb @ H' @ inv(H @ Pb @ H' + R)
    xa = xb + K @ (zk - H @ xb)
    Pa = (eye(n) - K @ H) @ Pb
    return K, xa, Pa""",
            written=kalman,
            expert=expert_kalman,
            flops=lambda n, m: n**3 / 3 + 3 * m * n**2 + 3 * m**2 * n + m**3 / 3 + 4 * m * n,
        ),
    ),
)
