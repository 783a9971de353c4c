"""Calls of kernels, with factors in the packed form in which they are passed on."""

from typing import Any

import numpy as np

from .operands import A, B, S, b, bs, spd, x

eye, nothing, none = np.eye(3), np.zeros((0, 0)), np.zeros(0, int)
stack = bs + 2 * eye
M, N = S + 2 * eye, stack @ stack.swapaxes(-1, -2)
exchanged = np.array([2, 2, 2])
indefinite = np.array([[0.0, 2, 1], [2, 0, 3], [1, 3, -1]])
blocks = np.array([[1.0, 2, 9], [0, -1, 0], [0.5, -3, 2]])  # blocks of 2 and of 1
turned = np.array([2, 0, 1])
tridiagonal = np.tril(np.triu(S, -1), 1) + 3 * eye

KERNEL_CASES: list[tuple[Any, ...]] = [
    ("add_diagonal", (M, x[:3]), {}, M + np.diag(x[:3])),
    ("add_diagonal", (stack, np.array(2.0)), {}, stack + 2 * eye),
    ("add_diagonal", (M, np.array(1j)), {}, M + 1j * eye),
    ("add_diagonal", (nothing, none * 1.0), {}, nothing),
    ("harmless", (np.array(2.0), np.array(3.0)), {}, np.array(True)),
    ("harmless", (np.array(4.0), np.array(3.0)), {}, np.array(False)),
    ("harmless", (np.array(np.nan), np.array(3.0)), {}, np.array(False)),
    ("solved", (np.array(2.0), np.array(3.0)), {}, np.array(True)),
    ("solved", (np.array(np.inf), np.array(3.0)), {}, np.array(False)),
    *[
        (n, (matrix, right), {"lower": lower}, None)
        for n in ("trmm", "solve_triangular")
        for matrix, right in (
            (M, x[:3]),
            (M, S),
            (stack, x[:3]),
            (stack, S),
            (M, bs),
            (M[:1, :1], S[:1]),
            (stack[:0], S),
        )
        for lower in (True, False)
    ],
    ("trmm", (M, S), {"lower": False}, np.triu(M) @ S),
    ("trmm", (M * 1j, S * (1 + 1j)), {}, np.tril(M * 1j) @ (S * (1 + 1j))),
    ("trmm", (nothing, nothing), {}, nothing),
    ("trmm", (M, S[:, :0]), {}, S[:, :0]),
    *[("tri_inv", (m,), {"lower": k}, None) for m in (M, stack, M * 1j, nothing, M[:1, :1]) for k in (True, False)],
    ("tri_inv", (M,), {}, np.linalg.inv(np.tril(M))),
    *[
        ("cho_solve", (m, right), {}, None)
        for m, right in (
            (M, x[:3]),
            (M, S),
            (stack, x[:3]),
            (stack, S),
            (M + 1j * S, S),
            (nothing, nothing),
            (M, S[:, :0]),
        )
    ],
    ("cho_solve", (np.linalg.cholesky(spd), S), {}, np.linalg.solve(spd, S)),
    *[("cho_inv", (m,), {}, None) for m in (M, stack, stack[:0], M + 1j * np.tril(S, -1), nothing)],
    ("cho_inv", (np.linalg.cholesky(spd),), {}, np.linalg.inv(spd)),
    *[("qr_triangle", (m,), {}, None) for m in (A, A.T, S, S * (1 + 2j), bs, bs[:0], nothing, A[:, :0], A[:1])],
    *[("lu_factor", (m,), {}, None) for m in (S, S * (1 + 2j), bs, bs[:0], nothing, S[:1, :1], np.ones((2, 2)))],
    *[
        ("lu_solve", (m, exchanged, right), {"transposed": t}, None)
        for m, right in ((M, x[:3]), (M, S), (stack, x[:3]), (stack, S), (stack[:0], x[:3]), (M + 1j * S, S))
        for t in (True, False)
    ],
    ("lu_solve", (nothing, none, nothing), {}, nothing),
    ("lu_det", (M, exchanged), {}, -M[0, 0] * M[1, 1] * M[2, 2] * -1),
    *[
        (n, (m, p), {}, None)
        for n in ("lu_det", "lu_logdet")
        for m, p in (
            (stack, exchanged),
            (stack, np.array([[[0, 1, 2]], [[0, 2, 2]]])),
            (M + 1j * S, exchanged),
            (nothing, none),
            (np.diag([1.0, 0, -1]), exchanged),
            (np.diag([1.0, 2, -1]), exchanged),
        )
    ],
    *[("ldl_factor", (m,), {}, None) for m in (indefinite, spd, N, N[:0], nothing, S[:1, :1])],
    ("ldl_factor", (indefinite + 1j * (S - S.T),), {}, None),
    *[
        ("ldl_solve", (m, turned, right), {}, None)
        for m, right in ((blocks, x[:3]), (blocks, S), (blocks, bs), (blocks * (1 + 1j), S))
    ],
    ("ldl_solve", (np.stack([blocks, np.tril(M)]), np.stack([turned, [0, 1, 2]]), S), {}, None),
    ("ldl_solve", (N[:0], turned, x[:3]), {}, None),
    ("ldl_solve", (nothing, none, nothing), {}, nothing),
    ("ldl_solve", (S[:1, :1], turned[1:2], S[:1]), {}, S[:1] / S[0, 0]),
    *[
        ("band_matmul", (matrix, right), {"below": below, "above": above}, None)
        for matrix, right in ((A, x), (A, B), (A.T, S), (b, x), (b, B), (A * 1j, B), (A[:0], x), (A[:, :0], B[:0]))
        for below, above in ((0, 0), (1, 0), (0, 2), (7, 7))
    ],
    ("band_matmul", (tridiagonal, S), {"below": 1, "above": 1}, tridiagonal @ S),
    *[
        ("band_solve", (matrix, right), {"below": below, "above": above}, None)
        for matrix, right in ((M, x[:3]), (M, S), (stack, x[:3]), (stack, S), (M + 1j * S, S), (nothing, nothing))
        for below, above in ((0, 0), (1, 0), (0, 2), (1, 1), (7, 7))
    ],
    ("band_solve", (tridiagonal, S), {"below": 1, "above": 1}, np.linalg.solve(tridiagonal, S)),
    ("band_solve", (S[:1, :1], S[:1]), {"below": 1, "above": 1}, S[:1] / S[0, 0]),
    *[
        ("spd_band_solve", (matrix, right), {"width": width}, None)
        for matrix, right in ((spd + 5 * eye, x[:3]), (spd + 5 * eye, S), (N + 5 * eye, S), (nothing, nothing))
        for width in (0, 1, 2, 7)
    ],
    ("spd_band_solve", (spd + 5 * eye + 1j * np.tril(S - S.T), S), {"width": 2}, None),
]
