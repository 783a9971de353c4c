"""Calls of linear algebra: name, operands, attributes, and the value expected (or None)."""

from typing import Any

import numpy as np

from .operands import A, S, b, bs, spd, x

FACTORED = (
    "inv",
    "pinv",
    "det",
    "logdet",
    "slogdet",
    "lu",
    "qr",
    "svd",
    "svdvals",
    "eig",
    "eigvals",
    "expm",
    "logm",
    "sqrtm",
)
SYMMETRIC = ("cholesky", "ldl", "eigh", "eigvalsh", "sqrtm", "logm")

LINALG_CASES: list[tuple[Any, ...]] = [
    *[(n, (m,), {}, None) for n in (*FACTORED, "matrix_rank", "cond") for m in (S, bs, bs[:0])],
    *[(n, (np.zeros((0, 0)),), {}, None) for n in (*FACTORED, "cholesky", "ldl", "eigh", "eigvalsh")],
    *[
        (n, (q,), {}, None)
        for n in ("pinv", "lu", "qr", "svd", "svdvals")
        for q in (A, A.T, b, np.zeros((0, 2)), np.zeros((2, 0)))
    ],
    *[(n, (m,), {}, None) for n in SYMMETRIC for m in (spd, bs @ bs.swapaxes(-1, -2) + np.eye(3))],
    ("solve", (S, x[:3]), {}, np.linalg.solve(S, x[:3])),
    ("solve", (S, S), {}, np.eye(3)),
    ("solve", (bs, x[:3]), {}, None),
    ("solve", (bs, S), {}, None),
    ("solve_triangular", (S, x[:3]), {}, np.linalg.solve(np.tril(S), x[:3])),
    ("solve_triangular", (bs, S), {"lower": False}, np.linalg.solve(np.triu(bs), S)),
    ("lstsq", (A, x[:3]), {}, np.linalg.pinv(A) @ x[:3]),
    ("lstsq", (A.T, x), {}, np.linalg.pinv(A.T) @ x),
    ("lstsq", (b, S), {}, np.linalg.pinv(b) @ S),
    ("sylvester", (S, spd[:2, :2], A[:, :2]), {}, None),
    ("sylvester", (S, x[:1, None], x[:3, None]), {}, np.linalg.solve(S + x[0] * np.eye(3), x[:3, None])),
    ("sylvester", (spd, spd.T, spd @ S + S @ spd), {}, S),
    ("sylvester", (bs, spd, S), {}, None),
    ("sylvester", (spd, bs[:0], S), {}, None),
    ("sylvester", (S, np.zeros((0, 0)), np.zeros((3, 0))), {}, None),
    ("matpow", (S, np.int64(3)), {}, S @ S @ S),
    ("matpow", (S, np.float64(-2)), {}, np.linalg.inv(S @ S)),
    ("matpow", (spd, np.float64(0.5)), {}, None),
]
