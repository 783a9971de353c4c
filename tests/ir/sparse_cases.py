"""Calls of ops on sparse matrices, here with dense operands."""

from typing import Any

import numpy as np

from tpc.ir.types import I64

from .operands import A, B, S, spd, x

SPARSE_CASES: list[tuple[Any, ...]] = [
    *[(name, (A,), {}, A) for name in ("csr", "to_csr", "from_csr")],
    *[(name, (A[:0],), {}, A[:0]) for name in ("csr", "to_csr", "from_csr")],
    ("csr_sketch", (), {"m": 6, "n": 5}, None),
    ("csr_sketch", (), {"m": 4, "n": 0, "s": 2}, None),
    ("store", (A,), {}, A),
    ("csr_transpose", (A,), {}, A.T),
    *[("csr_map", (A,), {"function": name}, getattr(np, name)(A)) for name in ("tanh", "abs", "square", "conj")],
    ("csr_map", (np.round(A),), {"function": "ne"}, np.round(A) != 0),
    ("csr_cast", (A,), {"dtype": I64}, A.astype(int)),
    ("csr_add", (A, A * 1j), {}, A + A * 1j),
    ("csr_sub", (A, A + 1), {}, -np.ones_like(A)),
    ("csr_mul", (A, A), {}, A * A),
    *[("csr_scale", (A, f), {}, A * f) for f in (np.float64(3), x, A[:, :1], A[:1], A)],
    *[("csr_div", (A, f), {}, A / f) for f in (np.float64(3), x, A[:, :1], A)],
    ("csr_plus_dense", (A, 2 * A), {}, 3 * A),
    ("spmm", (A, B), {}, A @ B),
    ("spmm", (A, x), {}, A @ x),
    ("spmm", (A[:, :0], x[:0]), {}, np.zeros(3)),
    ("spgemm", (A, B), {}, A @ B),
    ("sddmm", (S, A, A.T), {}, S * (A @ A.T)),
    *[("csr_sum", (A,), {"axis": axis}, A.sum(axis)) for axis in (None, 0, 1)],
    *[("csr_max", (A,), {"axis": axis}, A.max(axis)) for axis in (None, 0, 1)],
    *[("csr_min", (A,), {"axis": axis}, A.min(axis)) for axis in (None, 0, 1)],
    ("csr_row", (A, np.int64(1)), {}, A[1]),
    ("csr_take", (A, np.array([2, 0, 2])), {}, A[[2, 0, 2]]),
    ("csr_take", (A, np.array([], int)), {}, A[:0]),
    *[
        (name, (np.array(values), np.array(columns, int), np.array(starts)), {"m": m}, np.array(dense).reshape(-1, m))
        for name in ("sparse_matrix", "csr_parts")
        for values, columns, starts, m, dense in (
            ([1.5, -2.0, 4.0], [2, 0, 1], [0, 1, 1, 3], 3, [[0, 0, 1.5], [0, 0, 0], [-2.0, 4.0, 0]]),
            ([1.0, 2.0, 3.0], [1, 1, 0], [0, 3], 2, [[3.0, 3.0]]),
            (np.zeros(0), [], [0, 0, 0], 4, np.zeros((2, 4))),
        )
    ],
    ("csr_diag", (S,), {}, np.diag(S)),
    ("csr_diagonal", (x,), {}, np.diag(x)),
    ("csr_triangle", (A,), {}, np.tril(A)),
    ("csr_triangle", (A,), {"lower": False, "k": 1}, np.triu(A, 1)),
    ("csr_kron", (A, B), {}, np.kron(A, B)),
    ("splu", (S,), {}, S),
    *[("splu_solve", (S, right), {}, np.linalg.solve(S, right)) for right in (x[:3], S)],
    ("splu_logdet", (spd + 5 * np.eye(3),), {}, np.linalg.slogdet(spd + 5 * np.eye(3))[1]),
    ("csr_solve_triangular", (S, x[:3]), {}, np.linalg.solve(np.tril(S), x[:3])),
    ("csr_solve_triangular", (S, S), {"lower": False}, np.linalg.solve(np.triu(S), S)),
    ("largest", (A,), {"fraction": 0.25}, np.abs(A) >= np.sort(np.abs(A).ravel())[-3]),
    ("largest", (A,), {"fraction": 0.5, "axis": -1}, np.abs(A) >= np.sort(np.abs(A))[:, 2:3]),
    ("largest", (A * 1j,), {"fraction": 0.0}, np.zeros(A.shape, bool)),
    ("largest", (A[:0],), {}, np.zeros((0, 4), bool)),
    ("largest", (np.ones(4),), {"fraction": 0.5}, np.array([True, True, False, False])),
    ("largest_of_group", (A,), {"n": 1, "m": 2}, None),
    ("largest_of_group", (np.array([1.0, -3, 2, 0, 5, 5, 5, 5]),), {}, np.array([0, 1, 1, 0, 1, 1, 0, 0], bool)),
    (
        "largest_blocks",
        (np.kron(np.diag([1.0, 2, 3]), np.ones((2, 1))),),
        {"rows": 2, "columns": 1, "fraction": 0.2},
        np.kron(np.diag([0, 1, 1]), np.ones((2, 1))) > 0,
    ),
]
