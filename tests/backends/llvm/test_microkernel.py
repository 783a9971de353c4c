"""Products in registers: every edge of a square, a panel and a block; what lies beyond is neither read nor written."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.backends.llvm.host import host
from tpc.backends.llvm.lower import lower
from tpc.backends.llvm.nests import microkernel

from .calls import Function, program

pytestmark = pytest.mark.skipif(not microkernel.is_possible(), reason="too few registers")
ROOM = {"f64": 1e-12, "f32": 1e-4}
# One row and column; one less and one more than a square, a panel and a block have.
SHAPES = [(1, 1, 1), (7, 15, 8), (9, 17, 7), (8, 33, 9), (255, 31, 3), (257, 257, 5), (5, 3, 257), (300, 260, 64)]


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("left", ["A: T[n, k]", "A: T[k, n]"])
@pytest.mark.parametrize("right", ["B: T[k, m]", "B: T[m, k]"])
def test_largest_entries_of_products(left: str, right: str, dtype: str) -> None:
    turned = [p.split("[")[1] != wanted for p, wanted in ((left, "n, k]"), (right, "k, m]"))]
    a, b = (f"{name}'" if t else name for name, t in zip("AB", turned, strict=True))
    made = program(f"def f({left}, {right}) = max({a} @ {b}, axis=1)".replace("T[", f"{dtype}["))
    assert "gemm_" not in lower(made, "f").ir
    function = Function(made)
    draw = np.random.default_rng(0)
    for n, m, k in SHAPES:
        first, second = draw.standard_normal((n, k)), draw.standard_normal((k, m))
        first, second = (x.astype(np.float32 if dtype == "f32" else np.float64) for x in (first, second))
        given = [x.T if t else x for x, t in zip((first, second), turned, strict=True)]
        (found,) = function(given)
        np.testing.assert_allclose(found, (first @ second).max(1), rtol=ROOM[dtype], atol=ROOM[dtype])


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_products_that_are_added_up(dtype: str) -> None:
    """What is multiplied with the weights of a tile has more columns than a panel, and is added tile by tile."""
    text = "def f(Q: T[n, k], K: T[m, k], V: T[m, d]) = softmax(Q @ K' / sqrt(k), axis=1) @ V"
    function = Function(program(text.replace("T[", f"{dtype}[")))
    draw = np.random.default_rng(1)
    for (n, m, k), d in zip(SHAPES, (1, 16, 33, 7, 40, 65, 2, 31), strict=True):
        q, key, v = (draw.standard_normal(s) for s in ((n, k), (m, k), (m, d)))
        weights = np.exp((s := q @ key.T / k**0.5) - s.max(1, keepdims=True))
        (found,) = function([x.astype(np.float32 if dtype == "f32" else np.float64) for x in (q, key, v)])
        np.testing.assert_allclose(found, weights / weights.sum(1, keepdims=True) @ v, rtol=ROOM[dtype], atol=1e-4)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize(("n", "m", "k"), [(25, 1, 26), (32, 32, 32), (33, 15, 40), (128, 17, 127)])
def test_batches_of_products(n: int, m: int, k: int, dtype: str) -> None:
    made = program(f"def f(A: {dtype}[b, {n}, {k}], B: {dtype}[b, {k}, {m}]) = A @ B")
    draw = np.random.default_rng(2)
    a, b = (
        draw.standard_normal(s).astype(np.float32 if dtype == "f32" else np.float64) for s in ((3, n, k), (3, k, m))
    )
    (found,) = Function(made)([a, b])
    np.testing.assert_allclose(found, a @ b, rtol=ROOM[dtype], atol=ROOM[dtype])
    assert found.shape == (3, n, m)


def test_a_product_over_nothing_is_zero() -> None:
    (found,) = Function(program("def f(A: f64[n, k], B: f64[k, m]) = max(A @ B, axis=1)"))(
        [np.zeros((9, 0)), np.zeros((0, 20))], {"n": 9, "m": 20, "k": 0}
    )
    np.testing.assert_array_equal(found, np.zeros(9))


@pytest.mark.parametrize(("dtype", "kind"), [("f64", np.float64), ("f32", np.float32)])
def test_quotients_by_sizes_are_those_of_divisions(dtype: str, kind: type) -> None:
    """A product with the reciprocal, corrected, is what dividing gives, in the last digit too."""
    made = program(f"def f(x: {dtype}[n]) = x / sqrt(n), x / n")
    assert lower(made, "f").ir.count("fdiv") == 2  # of the reciprocals alone
    function = Function(made)
    draw = np.random.default_rng(3)
    for n in (7, 64, 1001, 40001):
        x = (draw.standard_normal(n) * np.exp2(draw.integers(-60, 60, n))).astype(kind)
        x[:6] = [np.inf, -np.inf, np.nan, 0.0, -0.0, np.finfo(kind).max]
        by_root, by_size = function([x])
        np.testing.assert_array_equal(by_root, x / np.sqrt(kind(n)))
        np.testing.assert_array_equal(by_size, x / kind(n))
        assert np.signbit(by_size[4])


@pytest.mark.parametrize(("dtype", "kind"), [("f64", np.float64), ("f32", np.float32)])
def test_quotients_by_any_number_are_those_of_divisions(dtype: str, kind: type) -> None:
    made = program(f"def f(x: {dtype}[n], s: {dtype}) = x / s")
    assert lower(made, "f").ir.count("fdiv") == 1  # of the reciprocal alone
    function = Function(made)
    draw = np.random.default_rng(6)
    largest, smallest = np.finfo(kind).max, np.finfo(kind).smallest_subnormal
    divisors = [1, -3, 0.1, 0, -0.0, np.inf, -np.inf, np.nan, largest, largest / 3, smallest, 5 * smallest, 1 / largest]
    with np.errstate(all="ignore"):
        for s in map(kind, divisors):
            x = (
                draw.standard_normal(101) * np.exp2(draw.integers(-60, 60, 101)) * (s if np.isfinite(s) else 1)
            ).astype(kind)
            x[:7] = [np.inf, -np.inf, np.nan, 0.0, -0.0, largest, smallest]
            (found,) = function([x, s])
            np.testing.assert_array_equal(found, x / s)
            np.testing.assert_array_equal(np.signbit(found[3:5]), np.signbit((x / s)[3:5]))


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_largest_and_smallest_pass_on_what_is_no_number(dtype: str) -> None:
    function = Function(program(f"def f(x: {dtype}[n, m]) = max(x, axis=1), min(x, axis=1), max(x), min(x)"))
    draw = np.random.default_rng(4)
    x = draw.standard_normal((5, 200)).astype(np.float32 if dtype == "f32" else np.float64)
    x[1, 3], x[2, 199], x[3, 64] = np.nan, np.nan, np.inf
    for found, right in zip(function([x]), (x.max(1), x.min(1), x.max(), x.min()), strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("text", ["sum((x - y)^2)", "sum(abs(x) + y)"])
def test_sums_of_whole_chunks_and_of_the_rest(text: str) -> None:
    from tpc.backends.llvm.fusion.chunks import LENGTH

    function = Function(program(f"def f(x: f64[n], y: f64[n]) = {text}"))
    draw = np.random.default_rng(5)
    for n in (0, 1, LENGTH - 1, LENGTH, LENGTH + 1, 5 * LENGTH + 3):
        x, y = draw.standard_normal((2, n))
        right = ((x - y) ** 2).sum() if "^" in text else (abs(x) + y).sum()
        np.testing.assert_allclose(function([x, y])[0], right, rtol=1e-12)


def test_narrow_vectors_leave_products_to_blas() -> None:
    from tpc.backends.llvm.host import targeting

    with targeting("x86-64-v2"):
        assert host().vector_bits == 128
        text = lower(program("def f(A: f64[n, k], B: f64[k, m]) = max(A @ B, axis=1)"), "f").ir
    assert "dgemm_" in text
