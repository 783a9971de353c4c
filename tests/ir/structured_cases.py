"""Calls of the ops about matrices that a few numbers fill, as in `op_cases`."""

from typing import Any

import numpy as np
import scipy.linalg

rng = np.random.default_rng(5)
c = rng.standard_normal(6)
t = rng.standard_normal(8)
B = rng.standard_normal((6, 2))
D = rng.standard_normal((3, 6)) + [[0], [6], [0]]
f = rng.standard_normal(8)
Z = c + 1j * rng.standard_normal(6)
a, b, q = rng.standard_normal((3, 5, 2))

C = scipy.linalg.circulant(c)
CZ = scipy.linalg.circulant(Z)
T = scipy.linalg.toeplitz(t[5:], t[5::-1])  # 3 by 6
BAND = np.diag(D[0, 1:], -1) + np.diag(D[1]) + np.diag(D[2, :-1], 1)
F = f[np.arange(8)[:, None] ^ np.arange(8)]


def states(a: Any, b: Any, q: Any) -> Any:
    """The matrix of a recurrence, column by column: what it makes of a unit vector."""
    columns = []
    for u in np.eye(len(a)):
        x, column = np.zeros(a.shape[1]), []
        for t in range(len(a)):
            x = a[t] * x + b[t] * u[t]
            column.append(q[t] @ x)
        columns.append(column)
    return np.array(columns).T


STRUCTURED_CASES: list[tuple[Any, ...]] = [
    ("circulant", (c,), {}, C),
    ("circulant", (c[:1],), {}, c[:1, None]),
    ("toeplitz", (t,), {"m": 3}, T),
    ("toeplitz", (t,), {"m": 8}, t[:, None]),
    ("hankel", (t,), {"m": 3}, scipy.linalg.hankel(t[:3], t[2:])),
    ("circulant_sums", (C,), {}, 6 * c),
    ("diagonal_sums", (T,), {}, t * [1, 2, 3, 3, 3, 3, 2, 1]),
    ("diagonal_sums", (B,), {}, [np.trace(B, 1 - k) for k in range(7)]),
    ("xor_circulant", (f,), {}, F),
    ("semiseparable", (a, b, q), {}, states(a, b, q)),
    ("walsh_hadamard", (f,), {}, scipy.linalg.hadamard(8) @ f),
    ("walsh_hadamard", (B[:4],), {}, scipy.linalg.hadamard(4) @ B[:4]),
    ("circulant_matmul", (c, B), {}, C @ B),
    ("circulant_matmul", (c, B[:, 0]), {"transposed": True}, C.T @ B[:, 0]),
    ("circulant_matmul", (Z, B), {"transposed": True}, CZ.T @ B),
    ("circulant_solve", (c, B), {}, np.linalg.solve(C, B)),
    ("circulant_solve", (c, B[:, 0]), {"transposed": True}, np.linalg.solve(C.T, B[:, 0])),
    ("circulant_solve", (Z, B), {"transposed": True}, np.linalg.solve(CZ.T, B)),
    ("circulant_logdet", (np.abs(c) + [9, 0, 0, 0, 0, 0],), {}, None),
    ("circulant_logdet", (-np.abs(c[:3]) - [9, 0, 0],), {}, np.nan),
    ("toeplitz_matmul", (t, B), {}, T @ B),
    ("toeplitz_matmul", (t, B[:, 0]), {}, T @ B[:, 0]),
    ("toeplitz_matmul", (t[:6], B), {}, t[None, 5::-1] @ B),
    ("diagonals_matmul", (D, B), {"below": 1}, BAND @ B),
    ("diagonals_matmul", (D, B[:, 0]), {"below": 1}, BAND @ B[:, 0]),
    ("diagonals_solve", (D, B), {"below": 1}, np.linalg.solve(BAND, B)),
    ("diagonals_solve", (D, B[:, 0]), {"below": 1}, np.linalg.solve(BAND, B[:, 0])),
    ("diagonals_solve", (D[1:], B), {"below": 0}, np.linalg.solve(np.diag(D[1]) + np.diag(D[2, :-1], 1), B)),
]
