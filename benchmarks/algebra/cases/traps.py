"""Facts that must not be concluded, and programs that must not be accepted."""

from __future__ import annotations

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.kernels import triangular_product

TEN = {"n": 10}

SOUNDNESS = Group(
    "soundness",
    "public issue threads",
    (
        Case(
            "soundness/nonsingular-sum",
            "a sum of nonsingular matrices may be singular",
            TEN,
            "def f(A: f64[n, n] is nonsingular, b: f64[n]) -> f64[n] = (A - A) \\ b",
            expect="warn",
        ),
        Case(
            "soundness/triangular",
            "lower times upper has no triangle",
            TEN,
            "def f(L: f64[n, n] is lower, U: f64[n, n] is upper) -> f64[n, n] = L @ U",
            written=lambda np, L, U: L @ U,
            expert=lambda L, U: triangular_product(L, U, lower=True),
            flops=lambda n: n**3,
        ),
        Case(
            "soundness/spd-difference",
            "the difference of positive definite matrices is only symmetric",
            TEN,
            "def f(A: f64[n, n] is spd, B: f64[n, n] is spd) -> f64[n, n] = A - B",
            written=lambda np, A, B: A - B,
            expert=lambda A, B: A - B,
            flops=lambda n: n**2,
        ),
        Case(
            "soundness/zero-times",
            "0 times infinity is not 0",
            {"n": 4},
            "def f(A: f64[n, n]) -> f64[n, n] = 0 * A",
            written=lambda np, A: 0 * A,
            expert=lambda A: 0 * A,
            flops=lambda n: n**2,
        ),
    ),
)

DIAGNOSTICS = Group(
    "diagnostics",
    "Linnea, examples 165 and 166",
    (
        Case(
            "diagnostics/165",
            "use before definition",
            {"n": 1000},
            """def f(A: f64[n, n] is nonsingular, B: f64[n, n] is nonsingular) -> f64[n, n]:
    X = A @ X
    return X""",
            expect="reject",
        ),
        Case(
            "diagnostics/166",
            "a name defined twice",
            {"n": 1000},
            """def f(
    A: f64[n, n] is nonsingular, B: f64[n, n] is nonsingular, C: f64[n, n] is nonsingular
) -> f64[n, n]:
    X = A @ B
    X = A @ C
    return X""",
            expect="reject",
        ),
    ),
)
