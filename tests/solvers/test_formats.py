"""What has no format yet, such as `zeros(n)`, and mixed formats, where systems are solved step by step."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError

A = np.array([[2.0, 0.5], [0.5, 1.0]])
F = "def F(v, A) = A @ v\n\n"
G = "def G(x, a) = 0.5 * a * x + 1\n\n"
ITERATED = {
    "a start that a loop replaces": (
        "def main(A: f64[n, n] is spd, b: f64[n]):\n    x = zeros(n)\n    repeat 3:\n"
        "        x = solve(A, b + x, method=cg, tol=1e-12, start=x)\n    return x\n",
        np.float64,
    ),
    "a start of single precision": (
        "def main(A: f32[n, n] is spd, b: f32[n]) = solve(A, b, method=cg, start=zeros(n))\n",
        np.float32,
    ),
    "a function as matrix": (
        F + "def main(A: f64[n, n] is spd, b: f64[n]) = solve(F, v, method=cg)(zeros(n), A, b)\n",
        np.float64,
    ),
    "an integer right side": ("def main(A: f64[n, n] is spd, b: i64[n]) = solve(A, b, method=cg)\n", np.int64),
    "a right side of single precision": (
        "def main(A: f64[n, n] is spd, b: f32[n]) = solve(A, b, method=cg, tol=1e-12, start=b)\n",
        np.float32,
    ),
}


@pytest.mark.parametrize("name", ITERATED)
def test_operands_meet_in_one_format(name: str) -> None:
    text, dtype = ITERATED[name]
    single = "A: f32" in text
    b = np.ones(2, dtype)
    found = tpc.compile(text)(A.astype(np.float32) if single else A, b)
    expected = np.linalg.solve(A, b)
    if "repeat" in text:
        expected = np.linalg.solve(A, b + np.linalg.solve(A, b + expected))
    assert found.dtype == (np.float32 if single else np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-5 if single else 1e-9)


def test_a_fixed_point_may_begin_at_what_has_no_format_yet() -> None:
    text = (
        G + "def main(a: f64[n]):\n    x = zeros(n)\n    repeat 2:\n        x = fixed_point(G, x)(x, a)\n    return x\n"
    )
    np.testing.assert_allclose(tpc.compile(text)(np.full(3, 0.5)), np.full(3, 4 / 3))


def test_a_right_side_that_a_function_does_not_fit_is_called_so() -> None:
    text = F + "def main(A: f64[n, n] is spd, b: f32[n]) = solve(F, v, method=cg)(zeros(n), A, b)\n"
    with pytest.raises(TpcError, match="the right side of `solve` is f32"):
        tpc.compile(text)
