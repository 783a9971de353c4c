"""The reference interpreter against values worked out by hand, in its three domains."""

from fractions import Fraction

import numpy as np
import pytest

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import EXACT, FLOAT, evaluate, modular
from tpc.ir.residue import Residue


def program(text: str) -> Program:
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    name = checked.default()
    assert name is not None
    return checked.programs[name]


def value(text: str, *arrays: object, **options: object) -> np.ndarray:
    return evaluate(program(text), arrays, **options)[0]  # type: ignore[arg-type]


CASES = [
    ("sum over a letter", "def f(x: f64[n]) -> f64 = sum[i](x[i]^2)", [[1, 2, 3]], 14),
    ("product over none", "def f(x: f64[n]) -> f64 = prod[i](x[i])", [[]], 1),
    ("guard", "def f(x: f64[n]) -> f64 = sum[i where i > 0](x[i])", [[5, 1, 2]], 3),
    ("two sums with one letter", "def f(x: f64[n], y: f64[m]) -> f64 = sum[i](x[i]) * sum[i](y[i])", [[1, 2], [3]], 9),
    (
        "convolution",
        "def f(x: f64[n], w: f64[m]):\n    y[i] = sum[s](x[i + s] * w[s])\n    return y\n",
        [[1, 2, 3, 4], [1, 10]],
        [21, 32, 43],
    ),
    (
        "padding",
        "def f(x: f64[n]):\n    y[i in n] = x[i - 1, pad=7]\n    return y\n",
        [[1, 2, 3]],
        [7, 1, 2],
    ),
    ("gather", "def f(x: f64[n], p: i64[m]):\n    y[i] = x[p[i]]\n    return y\n", [[5, 6, 7], [2, 0]], [7, 5]),
    (
        "letters as numbers",
        "def f(x: f64[n]):\n    y[i] = x[i] * i + n\n    return y\n",
        [[1, 1, 1]],
        [3, 4, 5],
    ),
    ("first of equal maxima", "def f(x: f64[n]) = argmax[i](x[i])", [[1, 4, 4]], 1),
    (
        "repeat tests before the first pass",
        "def f(x: f64) -> f64:\n    y = x\n    repeat 9 until y >= 8:\n        y = 2 * y\n    return y\n",
        [8.0],
        8,
    ),
    (
        "repeat stops",
        "def f(x: f64) -> f64:\n    y = x\n    repeat 9 until y >= 8:\n        y = 2 * y\n    return y\n",
        [1.0],
        8,
    ),
    (
        "repeat at most",
        "def f(x: f64) -> f64:\n    y = x\n    repeat 2 until y >= 8:\n        y = 2 * y\n    return y\n",
        [1.0],
        4,
    ),
    (
        "scan",
        "def f(x: f64[t]):\n    s = 0.0\n    scan i in t:\n        s = s + x[i]\n        y[i] = s\n    return y\n",
        [[1, 2, 3]],
        [1, 3, 6],
    ),
    (
        "if",
        "def f(x: f64) -> f64:\n    if x > 0:\n        y = x\n    else:\n        y = -2 * x\n    return y\n",
        [-3.0],
        6,
    ),
    ("conditional", "def f(x: f64) -> f64 = 1 if x > 0 else 2", [0.0], 2),
    ("row-major vec", "def f(X: f64[n, m]) = vec(X)", [[[1, 2], [3, 4]]], [1, 2, 3, 4]),
    (
        "kron of vec",
        "def f(A: f64[n, n], B: f64[m, m], X: f64[n, m]) = kron(A, B) @ vec(X) - vec(A @ X @ B')",
        [[[1, 2], [3, 4]], [[5, 6], [7, 9]], [[1, 0], [2, 5]]],
        [0, 0, 0, 0],
    ),
    ("blocks", "def f(A: f64[n, n]) = [A, 0; 0, A]", [[[2]]], [[2, 0], [0, 2]]),
    ("slices", "def f(x: f64[n]) = x[1:n:2]", [[0, 1, 2, 3, 4]], [1, 3]),
]


@pytest.mark.parametrize(("name", "text", "arrays", "expected"), CASES, ids=[c[0] for c in CASES])
def test_by_hand(name: str, text: str, arrays: list[object], expected: object) -> None:
    np.testing.assert_allclose(value(text, *arrays), expected, rtol=1e-15)


GLS = "def gls(X: f64[n, m], M: f64[n, n] is spd, y: f64[n]) = inv(X' @ inv(M) @ X) @ X' @ inv(M) @ y"
DATA = ([[1, 2], [3, -1], [0, 1]], np.diag([1, 2, 3]), [1, 2, 3])


def test_domains_agree() -> None:
    floats = value(GLS, *DATA, domain=FLOAT)
    fractions = value(GLS, *DATA, domain=EXACT)
    assert all(isinstance(v, Fraction) for v in fractions)
    np.testing.assert_allclose(floats, fractions.astype(float), rtol=1e-13)
    prime = 2**61 - 1
    residues = value(GLS, *DATA, domain=modular(prime))
    for fraction, residue in zip(fractions, residues, strict=True):
        assert residue == Residue(fraction.numerator, prime) / Residue(fraction.denominator, prime)


def test_a_wrong_identity_differs_modulo_a_prime() -> None:
    right = "def f(A: f64[n, n], B: f64[n, n]) = (A @ B)' - B' @ A'"
    wrong = "def f(A: f64[n, n], B: f64[n, n]) = (A @ B)' - A' @ B'"
    arrays = [np.arange(4).reshape(2, 2) + 1, np.array([[5, 3], [2, 7]])]
    assert all(v == 0 for v in value(right, *arrays, domain=modular()).ravel())
    assert any(v != 0 for v in value(wrong, *arrays, domain=modular()).ravel())


def test_what_has_no_exact_meaning_says_so() -> None:
    with pytest.raises(TpcError, match="no exact meaning"):
        value("def f(x: f64) = exp(x)", 2, domain=EXACT)


def test_a_grid_that_is_too_large_is_refused() -> None:
    text = "def f(x: f64[n]):\n    y[i, j, k] = x[i] * x[j] * x[k]\n    return y\n"
    with pytest.raises(TpcError, match="grid"):
        value(text, np.zeros(1000))


def test_guards_within_guards_that_span_a_large_grid_are_refused() -> None:
    text = "def f(x: f64[n]) = sum[i, j in n where i > j](x[i] * sum[k where k != i](x[k]))"
    with pytest.raises(TpcError, match="grid of 1,000,000,000 entries"):
        value(text, np.ones(1000))
    assert value(text, [1, 2, 3]) == 2 * (1 + 3) + 2 * 3 * (1 + 2)


def test_an_index_outside_is_an_error() -> None:
    with pytest.raises(IndexError):
        value("def f(x: f64[n], p: i64[m]):\n    y[i] = x[p[i]]\n    return y\n", [1, 2], [2])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (1, 4)])
def test_empty_and_single(shape: tuple[int, int]) -> None:
    x = np.ones(shape)
    np.testing.assert_array_equal(value("def f(X: f64[n, m]) = X' @ X", x), x.T @ x)
