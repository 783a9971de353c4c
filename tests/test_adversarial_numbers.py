"""Programs that tempt by their numbers: rank, sign, infinities, sizes of 0 and 1, dtypes; on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.reference import evaluate

RNG = np.random.default_rng(11)
NAN, INF = np.nan, np.inf
H = np.array([[2.0, 1 + 1j], [1 - 1j, 3]])  # Hermitian
C = np.array([[2.0, 1j], [1j, 1]])  # symmetric, not Hermitian
R3 = np.outer([1.0, 2, 3], [1.0, -1, 2])  # of rank 1
U2 = np.array([[1.0, 2], [0, 0]])
TALL, WIDE = RNG.standard_normal((4, 2)), RNG.standard_normal((2, 4))
S3 = np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 2]])
IND = np.array([[1.0, 2], [2, 1]])  # indefinite
x3, x2 = np.array([1.0, -2, 0.5]), np.array([3.0, -1])
whole = np.array([3, -5, 7], dtype=np.int64)

PROGRAMS: dict[str, tuple[str, list[Any]]] = {
    # facts that must not be inferred
    "gram of a wide matrix is singular": ("def f(A: f64[n, m], b: f64[m]) = det(A' @ A)", [WIDE, np.ones(4)]),
    "gram of a deficient matrix": ("def f(A: f64[n, m], b: f64[m]) = pinv(A' @ A) @ b", [R3, x3]),
    "a Schur complement that is indefinite": (
        "def f(A: f64[n, n] is spd, B: f64[n, n] is symmetric) = logdet(B @ inv(A) @ B + A) + det(B - inv(A))",
        [np.eye(2), IND],
    ),
    "a definite one minus a projection": (
        "def f(S: f64[n, n] is spd, u: f64[n]) = det(S - outer(u, u))",
        [np.eye(2) * 0.5, x2],
    ),
    "entrywise square of indefinite": ("def f(A: f64[n, n] is symmetric, b: f64[n]) = inv(A * A) @ b", [IND, x2]),
    "entrywise product of definite ones": (
        "def f(A: f64[n, n] is spd, B: f64[n, n] is spd, b: f64[n]) = inv(A * B) @ b",
        [S3, S3 + np.eye(3), x3],
    ),
    "nonnegative is not positive": ("def f(x: f64[n] is nonnegative) = log(x * x) - 2 * log(x)", [np.array([1.0, 2])]),
    "congruence by a singular matrix": (
        "def f(S: f64[n, n] is spd, B: f64[n, n]) = det(B' @ S @ B) + det(B @ S)",
        [S3, R3],
    ),
    "psd plus psd may be singular": (
        "def f(A: f64[n, n] is psd, B: f64[n, n] is psd) = det(A + B)",
        [np.diag([1.0, 0]), np.diag([2.0, 0])],
    ),
    "a block matrix with a zero corner": (
        "def f(A: f64[n, n] is spd, B: f64[n, m], b: f64[n], c: f64[m]) = inv([A, B; B', zeros(m, m)]) @ concat(b, c)",
        [S3, np.array([[1.0], [0], [1]]), x3, np.array([2.0])],
    ),
    "upper with a zero on the diagonal": ("def f(U: f64[n, n] is upper, b: f64[n]) = pinv(U) @ b", [U2, x2]),
    "trace of a square is no norm": ("def f(A: f64[n, n]) = trace(A @ A)", [np.array([[0.0, 1], [-1, 0]])]),
    "rank of a sum": ("def f(u: f64[n], v: f64[n]) = matrix_rank(outer(u, u) + outer(v, v))", [x3, 2 * x3]),
    "a skew matrix of odd size": ("def f(K: f64[n, n] is skew) = det(K)", [np.cross(np.eye(3), x3)]),
    "stochastic rows, not columns": (
        "def f(P: f64[n, n] is row_stochastic) = sum(P, axis=0) + sum(P, axis=1)",
        [np.array([[0.5, 0.5], [0.1, 0.9]])],
    ),
    # complex: Hermitian against symmetric
    "Hermitian solve": ("def f(A: c128[n, n], b: c128[n]) = inv(A) @ b", [H, x2 + 1j]),
    "complex symmetric solve": ("def f(A: c128[n, n], b: c128[n]) = inv(A + A') @ b", [C, x2 + 0j]),
    "transpose of a product of complex ones": ("def f(A: c128[n, n], B: c128[n, n]) = (A @ B)' - B' @ A'", [H, C]),
    "gram by transposes may be singular": (
        "def f(A: c128[n, m]) = det(A' @ A)",
        [np.array([[1.0 + 0j, 0], [1j, 1]])],
    ),
    "norm of complex entries": ("def f(z: c128[n]) = norm(z)^2 - sum(re(conj(z) * z))", [np.array([3 + 4j, 1j])]),
    "absolute values of a complex product": ("def f(z: c128[n], w: c128[n]) = abs(z * w)", [x2 + 1j, x2 - 2j]),
    "the root of a complex square": ("def f(z: c128[n]) = sqrt(z * z)", [np.array([-1 + 1j, 2 - 1j])]),
    "complex dot is bilinear": ("def f(z: c128[n]) = dot(z, z)", [np.array([1 + 1j, 2j])]),
    "a squared norm of a complex difference": ("def f(z: c128[n], w: c128[n]) = norm(z - w)^2", [x2 + 1j, x2 * 1j]),
    "a spectral norm of a complex matrix": ("def f(A: c128[n, n]) = norm(A, ord=spectral)^2", [C]),
    "the logarithm of a complex exponential": ("def f(z: c128[n]) = log(exp(z))", [np.array([4j, 1 - 5j])]),
    # NaN, infinities, signs of zero
    "infinity in a product": (
        "def f(A: f64[n, m], x: f64[m]) = A @ x",
        [np.array([[1.0, INF], [0, 1]]), np.array([1.0, 2])],
    ),
    "nan stays in a sum that is weighted by zero": ("def f(x: f64[n], w: f64[n]) = sum(x * w)", [[1, NAN], [2.0, 0]]),
    "maximum of nan": ("def f(x: f64[n], y: f64[n]) = maximum(x, y)", [np.array([NAN, 1]), np.array([0.0, 2])]),
    "nan in the largest": ("def f(x: f64[n]) = max(x) + min(x)", [np.array([1.0, NAN, 3])]),
    "infinite differences": ("def f(x: f64[n]) = (x + 1) - x", [np.array([INF, -INF, 1.0])]),
    "comparison with nan": ("def f(x: f64[n]) = select(not (x < 1), 1.0, 2.0)", [np.array([NAN, 0, 2])]),
    "softmax with minus infinity": ("def f(x: f64[n]) = softmax(x)", [np.array([-INF, 0.0, 1])]),
    "logsumexp of minus infinities": ("def f(x: f64[n]) = logsumexp(x)", [np.array([-INF, -INF])]),
    "power zero of nan and zero": ("def f(x: f64[n]) = x^0", [np.array([NAN, 0.0, INF])]),
    "clip of nan": ("def f(x: f64[n]) = clip(x, 0, 1)", [np.array([NAN, 2, -1])]),
    # sizes of 0 and 1
    "an empty sum and an empty product": ("def f(x: f64[n]) = sum(x) + prod(x)", [np.zeros(0)]),
    "broadcast of one row": ("def f(A: f64[1, m], B: f64[n, m]) = A * B + sum(A)", [WIDE[:1], RNG.random((3, 4))]),
    "one column against one row": ("def f(A: f64[n, 1], B: f64[1, m]) = A * B - A @ B", [TALL[:, :1], WIDE[:1]]),
    "a product through an axis of 1": (
        "def f(A: f64[n, k], B: f64[k, n]) = A @ B @ A",
        [np.ones((3, 1)), 2 * np.ones((1, 3))],
    ),
    "kron with nothing": ("def f(A: f64[n, m], B: f64[p, q]) = kron(A, B)", [np.zeros((0, 2)), np.ones((3, 1))]),
    "cumulated nothing": ("def f(x: f64[n]) = cumsum(x) * 2", [np.zeros(0)]),
    # outputs that are one value, or an operand
    "outputs that are one": ("def f(x: f64[n]):\n    y = x + 0\n    return x, y, x * 1", [x3]),
    "an operand as it is and turned": ("def f(A: f64[n, n]):\n    return A, A', A''", [S3 + np.triu(S3)]),
    # dtypes
    "integers overflow": ("def f(x: i64[n]) = x * x * x", [np.array([3_000_000, -2, 2**31])]),
    "whole division of negative ones": ("def f(x: i64[n]) = floor_div(x, 2) + mod(x, 3)", [whole]),
    "integers in sums with floats": ("def f(x: i64[n], y: f64[n]) = sum(x * y) / sum(x)", [whole, x3]),
    "mean of whole numbers": ("def f(x: i64[n]) = mean(x) + sum(x) / 2", [whole]),
    "arithmetic of truths": ("def f(x: f64[n]) = sum(x > 0) * 2 + sum(select(x > 0, 1, 0))", [x3]),
    "any and all of nothing": ("def f(x: f64[n]) = select(any(x > 0), 1, 0) + select(all(x > 0), 2, 0)", [np.zeros(0)]),
    "single and double": ("def f(x: f32[n], y: f64[n]) = sum(x * y) + sum(x)", [np.float32(x3), x3 / 3]),
    "narrow whole numbers wrap": ("def f(x: i8[n]) = x + x", [np.array([100, -100, 5], dtype=np.int8)]),
}

WAYS = [("numpy", "stable"), ("numpy", "fast"), ("numpy", "bitwise"), ("torch", "stable"), ("llvm", "stable")]


@pytest.mark.parametrize(("backend", "mode"), WAYS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers_that_tempt_do_not_mislead(name: str, backend: str, mode: str) -> None:
    text, operands = PROGRAMS[name]
    if backend != "numpy":
        pytest.importorskip({"torch": "torch", "llvm": "llvmlite"}[backend])
    checked = check(Source(text + "\n", "tempting.tp"))
    assert not checked.diagnostics.errors, [e.title for e in checked.diagnostics.errors]
    with np.errstate(all="ignore"):
        expected = evaluate(checked.programs["f"], [np.asarray(o) for o in operands])
        given = [np.asarray(o) for o in operands]
        found = tpc.compile(text + "\n", backend=backend, mode=mode)(*given)  # type: ignore[arg-type]
    results = found if isinstance(found, tuple) else (found,)
    types = [t for o in checked.programs["f"].outputs for t in (o.type if isinstance(o.type, tuple) else (o.type,))]
    for value, wanted, type in zip(results, expected, types, strict=True):
        tight = 1e-5 if type.dtype.name == "f32" else 1e-9
        if type.dtype.kind == "i":
            wanted = wanted.astype(type.dtype.numpy)  # the reference holds whole numbers in 64 bits
        np.testing.assert_allclose(np.asarray(value), wanted, rtol=tight, atol=tight)
    for operand, before in zip(given, operands, strict=True):
        np.testing.assert_array_equal(operand, before)
