"""Programs that tempt the optimizer: facts that look implied and are not, odd sizes and numbers, names in loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.reference import evaluate

RNG = np.random.default_rng(5)
BIG = np.array([[2.0, 1], [1, 2]])
FLIP = np.array([[0.0, 1], [1, 0]])
TURN = np.array([[0.0, -1], [1, 0]])
WIDE = np.array([[1.0, 0, 1], [0, 1, 1]])
UP = np.array([[1.0, 0], [2, 3]])
G3 = RNG.standard_normal((3, 3))
X = RNG.standard_normal((5, 2))
S3 = G3 @ G3.T + np.eye(3)
b3, b2 = np.array([1.0, -2, 3]), np.array([1.0, -2])
Z = np.array([[1 + 1j, 2 - 1j], [0.5j, 3]])
NAN, INF = np.nan, np.inf

# What tempts, the program, its operands.
PROGRAMS: dict[str, tuple[str, list[Any]]] = {
    "symmetric is not definite": ("def f(A: f64[n, n] is symmetric, b: f64[n]) = inv(A) @ b", [FLIP, b2]),
    "symmetric with a zero diagonal": ("def f(A: f64[n, n] is symmetric) = det(A)", [FLIP]),
    "logdet of an indefinite matrix": ("def f(A: f64[n, n] is symmetric) = logdet(A)", [-np.eye(2)]),
    "logdet of what has a negative determinant": ("def f(A: f64[n, n] is symmetric) = logdet(A)", [FLIP]),
    "two orders of a product of symmetric ones": (
        "def f(A: f64[n, n] is symmetric, B: f64[n, n] is symmetric) = A @ B - B @ A",
        [BIG, np.diag([1.0, 2])],
    ),
    "inverse of a product of symmetric ones": (
        "def f(A: f64[n, n] is symmetric, B: f64[n, n] is symmetric, b: f64[n]) = inv(A @ B) @ b",
        [FLIP, np.diag([1.0, 2]), b2],
    ),
    "difference of definite ones solved": (
        "def f(A: f64[n, n] is spd, B: f64[n, n] is spd, b: f64[n]) = inv(A - B) @ b",
        [np.eye(2), BIG * 2, b2],
    ),
    "gram plus an indefinite one": (
        "def f(X: f64[n, m], D: f64[m, m] is symmetric, y: f64[m]) = inv(X' @ X + D) @ y",
        [X, -20 * np.eye(2), b2],
    ),
    "ridge with a negative penalty": (
        "def f(X: f64[n, m], a: f64, y: f64[n]) = inv(X' @ X + a * eye(m)) @ X' @ y",
        [X, -7.5, np.ones(5)],
    ),
    "ridge with no penalty": (
        "def f(X: f64[n, m], a: f64, y: f64[n]) = inv(X' @ X + a * eye(m)) @ X' @ y",
        [X, 0.0, np.ones(5)],
    ),
    "ridge of a wide matrix with a negative penalty": (
        "def f(X: f64[n, m], a: f64, y: f64[n]) = X' @ inv(X @ X' + a * eye(n)) @ y",
        [WIDE, -0.5, b2],
    ),
    "the root of a square has a sign": ("def f(A: f64[n, n] is symmetric) = sqrtm(A @ A)", [np.diag([1.0, -2])]),
    "the root of a square of entries": ("def f(x: f64[n]) = sqrt(x * x)", [np.array([-1.0, 0, 2])]),
    "log of a product of negative ones": ("def f(x: f64[n], y: f64[n]) = log(x * y)", [b2 - 2, b2 - 4]),
    "exp and log": ("def f(x: f64[n]) = log(exp(x))", [np.array([1.0, -3, 0])]),
    "power of a power": ("def f(x: f64[n]) = (x^2)^0.5", [np.array([-2.0, 0, 3])]),
    "max of a negative multiple": ("def f(x: f64[n], a: f64) = max(a * x)", [b3, -2.0]),
    "norm of a negative multiple": ("def f(x: f64[n], a: f64) = norm(a * x)", [b3, -2.0]),
    "zero times infinity": ("def f(x: f64[n]) = 0 * x", [np.array([INF, 1, NAN])]),
    "a number minus itself": ("def f(x: f64[n]) = x - x", [np.array([INF, 1, NAN])]),
    "a number over itself": ("def f(x: f64[n]) = x / x", [np.array([0.0, 1, INF])]),
    "relu of nan": ("def f(x: f64[n]) = relu(x)", [np.array([NAN, -1, 2])]),
    "select hides nothing of the other side": ("def f(x: f64[n]) = select(x > 0, log(x), 0)", [np.array([1.0, -1, 0])]),
    "negative zero": ("def f(x: f64[n]) = 1 / (x * x + 1) - x", [np.array([-0.0, 0.0])]),
    "softmax of large ones": ("def f(x: f64[n]) = log(softmax(x))", [np.array([300.0, 0, -300])]),
    "logsumexp as it is written": ("def f(x: f64[n]) = log(sum(exp(x)))", [np.array([1.0, 2, 3])]),
    "transpose of a complex matrix is no adjoint": ("def f(A: c128[n, n], b: c128[n]) = inv(A' @ A) @ b", [Z, b2 + 1j]),
    "complex symmetric": ("def f(A: c128[n, n]) = det(A + A')", [Z]),
    "complex square is no norm": ("def f(z: c128[n]) = sum(z * z)", [np.array([1j, 1 + 1j])]),
    "complex conjugates stay": ("def f(z: c128[n], w: c128[n]) = sum(conj(z) * w)", [np.array([1j, 2]), b2 + 2j]),
    "wide matrix of full rank": ("def f(A: f64[n, m] is full_rank, b: f64[n]) = inv(A @ A') @ b", [WIDE, b2]),
    "pseudoinverse of a product": (
        "def f(A: f64[n, m], B: f64[m, k]) = pinv(A @ B)",
        [np.array([[1.0, 1]]), np.array([[1.0], [2]])],
    ),
    "pseudoinverse of rank one": ("def f(A: f64[n, m]) = pinv(A)", [np.outer([1.0, 2, 3], [1.0, -1])]),
    "rank deficient gram with a shift": (
        "def f(A: f64[n, m], b: f64[m]) = inv(A' @ A + eye(m)) @ b",
        [np.outer([1.0, 2], [1.0, 1, 1]), b3],
    ),
    "columns that are orthonormal, rows that are not": (
        "def f(Q: f64[n, m] is orthonormal, x: f64[n]) = Q @ Q' @ x",
        [np.linalg.qr(X)[0], np.arange(5.0)],
    ),
    "projection subtracted": (
        "def f(Q: f64[n, m] is orthonormal, x: f64[n]) = norm(x - Q @ Q' @ x)",
        [np.linalg.qr(X)[0], np.arange(5.0)],
    ),
    "norm under orthonormal rows": (
        "def f(Q: f64[n, m] is orthonormal, x: f64[n]) = norm(Q' @ x)",
        [np.linalg.qr(X)[0], np.arange(5.0)],
    ),
    "kron of rectangular ones": (
        "def f(A: f64[n, m], B: f64[m, n]) = det(kron(A, B))",
        [np.array([[1.0, 2]]), np.array([[1.0], [3]])],
    ),
    "inverse of kron of rectangular ones": (
        "def f(A: f64[n, m], B: f64[m, n], c: f64) = inv(kron(A, B) + c * eye(n * m))",
        [np.array([[1.0, 2]]), np.array([[1.0], [3]]), 4.0],
    ),
    "trace of a product of three": (
        "def f(A: f64[n, n], B: f64[n, n], C: f64[n, n]) = trace(A @ B @ C) - trace(A @ C @ B)",
        [UP, TURN, BIG],
    ),
    "lower times upper": (
        "def f(L: f64[n, n] is lower, U: f64[n, n] is upper, b: f64[n]) = inv(L @ U) @ b",
        [UP, UP.T, b2],
    ),
    "lower of a rectangular matrix": ("def f(L: f64[n, m] is lower, x: f64[m]) = L @ x", [np.array([[1.0, 0]]), b2]),
    "one by one": ("def f(A: f64[n, n] is spd, b: f64[n]) = inv(A) @ b + logdet(A)", [np.array([[4.0]]), np.ones(1)]),
    "empty": ("def f(A: f64[n, n] is spd, b: f64[n]) = inv(A) @ b", [np.zeros((0, 0)), np.zeros(0)]),
    "empty determinant": ("def f(X: f64[n, m]) = logdet(X' @ X + eye(m))", [np.zeros((0, 3))]),
    "gram of no rows": ("def f(X: f64[n, m], a: f64) = inv(X' @ X + a * eye(m))", [np.zeros((0, 2)), 2.0]),
    "sums over nothing": (
        "def f(A: f64[n, m], B: f64[m, n]) = sum(A @ B) + trace(B @ A)",
        [np.zeros((2, 0)), np.zeros((0, 2))],
    ),
    "whole numbers divide": ("def f(x: i64[n], y: i64[n]) = x / y", [np.array([1, 7]), np.array([2, 2])]),
    "whole numbers of large products": ("def f(x: i64[n]) = sum(x * x)", [np.array([2**31, 1])]),
    "truth is counted": ("def f(x: f64[n]) = sum(select(x > 0, 1, 0))", [b3]),
    "sparse updates of rank one": (
        "def f(D: f64[n, n] is diagonal and nonsingular, u: f64[n], v: f64[n], b: f64[n]) = inv(D + outer(u, v)) @ b",
        [np.diag([1.0, -2, 3]), b3, b3[::-1].copy(), b3],
    ),
    "an update of an indefinite shift": (
        "def f(U: f64[n, k], a: f64, b: f64[n]) = inv(a * eye(n) - U @ U') @ b",
        [X, 0.3, np.arange(5.0)],
    ),
    "the sum is nonsingular, what is updated is not": (
        "def f(D: f64[n, n], U: f64[n, k], b: f64[n]) = inv(D + U @ U') @ b",
        [np.diag([1.0, 1, 1, 0, 0]), np.eye(5)[:, 3:], np.arange(5.0)],
    ),
    "circulant is not symmetric": (
        "def f(C: f64[n, n] is circulant and nonsingular, b: f64[n]) = inv(C) @ b",
        [np.array([[3.0, 1, 0], [0, 3, 1], [1, 0, 3]]), b3],
    ),
    "permutation is no involution": (
        "def f(P: f64[n, n] is permutation, b: f64[n]) = P @ P @ b",
        [np.eye(3)[[1, 2, 0]], b3],
    ),
    "orthogonal is not symmetric": ("def f(Q: f64[n, n] is orthogonal, b: f64[n]) = inv(Q) @ b", [TURN, b2]),
}
STATEMENTS: dict[str, tuple[str, list[Any]]] = {
    "state changes places": (
        "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n]:\n    repeat 3:\n        A, B = B, A @ B\n    return A",
        [UP, BIG],
    ),
    "state loses its fact": (
        "def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n]:\n    S = A\n    repeat 2:\n        S = S - 3 * eye(n)\n"
        "    return inv(S) @ b",
        [np.diag([1.0, 2.5]), b2],
    ),
    "state was symmetric at first": (
        "def f(A: f64[n, n] is symmetric, B: f64[n, n], b: f64[n]) -> f64[n]:\n    S = A\n    repeat 2:\n"
        "        S = S @ B\n    return S' @ b",
        [BIG, UP, b2],
    ),
    "an inverse inside of a loop": (
        "def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n]:\n    x, S = b, A\n    repeat 3:\n"
        "        x, S = inv(S) @ x, S + A\n    return x",
        [BIG, b2],
    ),
    "a loop that is never run": (
        "def f(A: f64[n, n], b: f64[n]) -> f64[n]:\n    x = b\n    repeat 0:\n        x = inv(A) @ x\n    return x",
        [np.zeros((2, 2)), b2],
    ),
    "one branch is diagonal": (
        "def f(A: f64[n, n], b: f64[n], s: f64) -> f64[n]:\n    D = eye(n) if s > 0 else A\n    return inv(D) @ b",
        [UP, b2, -1.0],
    ),
    "a select of symmetric ones by a matrix that is not": (
        "def f(A: f64[n, n] is symmetric, B: f64[n, n] is symmetric, C: f64[n, n], b: f64[n]) -> f64[n]:\n"
        "    S = select(C > 0, A, B)\n    return S' @ b",
        [BIG, FLIP * 5, UP, b2],
    ),
    "a select of definite ones by a number": (
        "def f(A: f64[n, n] is spd, b: f64[n], s: f64) -> f64[n]:\n    S = select(s > 0, A, -A)\n    return inv(S) @ b",
        [BIG, b2, -1.0],
    ),
}
ALL = PROGRAMS | STATEMENTS


@pytest.mark.parametrize("mode", ["stable", "fast"])
@pytest.mark.parametrize("name", ALL)
def test_what_tempts_does_not_mislead(name: str, mode: str) -> None:
    text, operands = ALL[name]
    checked = check(Source(text + "\n", "tempting.tp"))
    assert not checked.diagnostics.errors, [e.title for e in checked.diagnostics.errors]
    with np.errstate(all="ignore"):
        expected = evaluate(checked.programs["f"], operands)
        found = tpc.compile(text + "\n", backend="numpy", mode=mode)(*operands)  # type: ignore[arg-type]
    results = found if isinstance(found, tuple) else (found,)
    for value, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9)
