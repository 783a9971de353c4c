"""Loop nests: what they compute is what the reference interpreter computes, and they stay inside of their arrays."""

from __future__ import annotations

import ctypes
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.backends.contract import rounded
from tests.backends.test_random import tolerance
from tests.programs import generate

from tpc.backends.llvm import blas, engine
from tpc.backends.llvm.lower import lower, refusal
from tpc.backends.llvm.nests import kernel
from tpc.dsl.diagnostics import InternalError
from tpc.dsl.source import Source
from tpc.ir.build import input_node
from tpc.ir.dims import evaluate as extent
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT
from tpc.ir.reference import evaluate
from tpc.ir.rewrite import replace

from .calls import Function, at_the_edge, compare, program

# Rectangular, one entry, nothing; one less and one more than vectors hold; several panels and chunks.
SIZES = [
    {"n": 5, "m": 7, "k": 3},
    {"n": 1, "m": 1, "k": 1},
    {"n": 0, "m": 3, "k": 2},
    {"n": 3, "m": 0, "k": 2},
    {"n": 33, "m": 31, "k": 4},
    {"n": 2, "m": 300, "k": 33},
    {"n": 270, "m": 8, "k": 0},
    {"n": 9, "m": 15, "k": 17},
]

PROGRAMS = {
    "chain": "def f(x: T[n], a: T, b: T[n], c: T[n]) = sigmoid(a * x + b) * c - x",
    "broadcast": "def f(x: T[n, m], y: T[m], z: T[n, 1]) = (x + y) * z",
    "softmax": "def f(x: T[n, m]) = softmax(x), softmax(x, axis=0), log_softmax(x)",
    "by hand": (
        "def f(x: T[n, m]):\n"
        "    e = exp(x - max(x, axis=1, keepdims=true))\n"
        "    return e / sum(e, axis=1, keepdims=true)"
    ),
    "norms": "def f(x: T[n, m], g: T[m], b: T[m]) = layernorm(x, g, b), rmsnorm(x), norm(x)",
    "moments": "def f(x: T[n, m]) = mean(x, axis=0), var(x, axis=1), std(x, axis=0)",
    "squares": "def f(x: T[n], y: T[n]) = sum((x - y)^2)",
    "totals": "def f(x: T[n, m]) = sum(x), mean(x), logsumexp(x), prod(x)",
    "largest": "def f(x: T[n, m]) = max(x, axis=1), min(x, axis=0), argmax(x, axis=1), argmin(x, axis=0)",
    "place": "def f(x: T[n, m]) = argmax(x)",
    "logarithms": "def f(x: T[n, m]) = logsumexp(x, axis=0), logsumexp(x, axis=1)",
    "truth": "def f(x: T[n, m]) = any(x > 0, axis=1), all(x > -1), sum(x > 0), x > 0, x <= 0 or x > 1",
    "kernel sum": (
        "def f(X: T[n, 3], Y: T[m, 3], v: T[m]):\n    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2))\n    return K @ v"
    ),
    "wide kernel sum": (
        "def f(X: T[n, k], Y: T[m, k], v: T[m]):\n    K[i, j] = exp(-sum[q]((X[i, q] - Y[j, q])^2))\n    return K @ v"
    ),
    "distances": "def f(X: T[n, k], Y: T[m, k]):\n    K[i, j] = sum[q]((X[i, q] - Y[j, q])^2)\n    return K",
    "log product": "def f(A: T[n, k], B: T[m, k]) = logsumexp(A @ B', axis=1)",
    "attention": "def f(Q: T[n, k], K: T[m, k], V: T[m, k]) = softmax(Q @ K') @ V",
    "scaled": "def f(Q: T[n, k], K: T[m, k], V: T[m, 2]) = softmax(Q @ K' / sqrt(k) + 1) @ V",
    "narrow": "def f(Q: T[n, 3], K: T[m, 3], V: T[m, 2]) = softmax(Q @ K' / 2) @ V",
    "causal": (
        "def f(Q: T[n, k], K: T[n, k], V: T[n, m]):\n"
        "    S = Q @ K'\n"
        "    M[i, j] = select(j <= i, S[i, j], -inf)\n"
        "    return softmax(M) @ V"
    ),
    "many heads": "def f(Q: T[2, k, n, 3], K: T[2, k, m, 3], V: T[2, k, m, 4]) = softmax(Q @ K') @ V",
    "reduced products": (
        "def f(A: T[n, k], B: T[m, k]) = max(A @ B', axis=1), sum(exp(A @ B'), axis=0), sum(relu(B @ A'), axis=1)"
    ),
    "kernel matrix": (
        "def f(X: T[n, k], Y: T[m, k], V: T[m, n]):\n"
        "    K[i, j] = exp(-sum[q]((X[i, q] - Y[j, q])^2))\n"
        "    return K @ V"
    ),
    "mixed": "def f(Q: T[k, n, 4], K: T[k, m, 4]) = sum(softmax(Q @ K'), axis=0)",
    "far": "def f(x: T[n], y: T[n], A: T[n, m], B: T[m, n]) = (y @ A) @ (B @ x)",
    "heads": "def f(Q: T[2, n, k], K: T[2, m, k], V: T[2, m, k]) = softmax(Q @ K') @ V",
    "diagonal": "def f(A: T[n, m], B: T[m, n]) = diag(A @ B), trace(A @ B)",
    "products": "def f(A: T[n, m], B: T[m, k], C: T[k, n]) = A @ B @ C",
    "transposed": "def f(A: T[2, n, m], B: T[2, k, m], C: T[m, n]) = A @ B', C' * 2, reshape(C', n * m) * 2",
    "vectors": "def f(A: T[n, m], v: T[m], w: T[n]) = A @ v, w @ A",
    "small": "def f(A: T[n, 8, 8], B: T[n, 8, 8]) = A @ B",
    "triangle": "def f(A: T[n, n], B: T[n, m]) = tril(A) @ B, cumsum(B, axis=0), cumsum(B, axis=1), cumprod(B)",
    "guards": (
        "def f(A: T[n, n], x: T[n]):\n"
        "    y[i] = sum[k where k <= i](A[i, k] * x[k])\n"
        "    z[i] = max[k where k >= i and k < i + 3](A[k, i])\n"
        "    return y, z"
    ),
    "nested": (
        "def f(x: T[n]):\n"
        "    y[i in n] = sum[q](x[q] * sum[r where r <= i](x[r] * x[q - 1, pad=0])) + sum[r where r <= i](x[r])\n"
        "    return y"
    ),
    "moved": "def f(x: T[n, m]) = pad(x, before=1, after=2, value=3), roll(x, shift=2) + flip(x)",
    "joined": "def f(x: T[n, m], y: T[k, m]) = concat(x, y), stack(x, x, axis=1)",
    "parts": "def f(x: T[2*n, m]):\n    a, b = split(x, parts=2)\n    return a - b",
    "slices": "def f(x: T[n + 3, m]) = x[1], x[1:n, :], x[::2, 0:m]",
    "stencil": "def f(x: T[n + 2]):\n    y[i in n] = x[i] - 2 * x[i + 1] + x[i + 2]\n    return y",
    "convolution": "def f(x: T[n, m], k: T[3, 3]) = conv2d(x, k)",
    "kronecker": "def f(A: T[n, m], B: T[k, 2]) = kron(A, B)",
    "made": "def f(x: T[n], y: T[m]) = outer(x, y) + 1, eye(n), zeros(n, m), arange(n), 3",
    "again": "def f(x: T[n, m]):\n    y = x * 2\n    return y, y, x",
    "step": (
        "def f(p: T[n, m], g: T[n, m], v: T[n, m]):\n"
        "    w = 0.9 * v + 0.1 * g\n"
        "    return p - w / (sqrt(abs(w)) + 1), w, sum(w, axis=1)"
    ),
    "integers": "def f(x: i64[n, m], y: i32[n, m]) = x * y + 1, mod(x, 5), sum(y), abs(y), f64(x) / 3, f32(y), i32(x)",
}


def arguments(whole: Program, sizes: dict[str, int], seed: int = 0) -> list[Any]:
    draw = np.random.default_rng(seed)
    made = []
    for node in whole.inputs:
        shape = [extent(d, sizes) for d in node.tensor.dims]
        value = draw.integers(-20, 20, shape) if node.tensor.dtype.kind == "i" else draw.standard_normal(shape)
        made.append(np.asarray(value).astype(node.tensor.dtype.numpy))
    return made


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str, dtype: str) -> None:
    whole = program(PROGRAMS[name].replace("T[", f"{dtype}[").replace(": T", f": {dtype}"))
    function = Function(whole)
    for sizes in SIZES:
        arrays = arguments(whole, sizes)
        try:
            wanted = evaluate(whole, arrays, sizes)
        except ValueError as error:
            if "over nothing" in str(error):  # else a shape of these sizes has less than no entries
                with pytest.raises(ValueError, match="of no entries has no value"):
                    function(arrays, sizes)
            continue
        room = 1e-11 if dtype == "f64" else 1e-4
        for value, right in zip(function(arrays, sizes), wanted, strict=True):
            assert value.shape == right.shape
            if value.dtype.kind in "bi":
                np.testing.assert_array_equal(value, right)
            else:
                np.testing.assert_allclose(value, right, rtol=room, atol=room)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize(
    "body", ["sum[k](A[i, k] * B[k, i])", "max[k](A[i, k] - B[k, i])", "min[k](A[i, k] + B[k, i])"]
)
def test_folds_across_lines_go_tile_by_tile(body: str, dtype: str) -> None:
    text = f"def f(A: {dtype}[n, m], B: {dtype}[m, n]):\n    y[i] = {body}\n    return y"
    open_sizes = Function(program(text))
    for n, m in ((1, 600), (130, 257), (257, 130), (300, 1), (128, 128), (9, 515)):
        sizes = {"n": n, "m": m}
        arrays = arguments(program(text), sizes)
        (wanted,) = evaluate(program(text), arrays, sizes)
        known = Function(program(text.replace("n,", f"{n},").replace("n]", f"{n}]").replace("m", str(m), 2)))
        for function, given in ((open_sizes, sizes), (known, {})):
            (found,) = function(arrays, given)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 if dtype == "f64" else 1e-3)


IN_HALVES = ("chain", "softmax", "norms", "totals", "largest", "transposed", "wide kernel sum", "joined", "triangle")


@pytest.mark.parametrize("name", IN_HALVES)
def test_halves_are_computed_in_f32(name: str) -> None:
    """Results are off by their own rounding, and by little more; sums do not lose what f16 would."""
    whole = program(PROGRAMS[name].replace("T[", "f16[").replace(": T", ": f16"))
    function = Function(whole)
    for sizes in SIZES[:6]:
        arrays = arguments(whole, sizes)
        try:
            wanted = evaluate(whole, arrays, sizes)
        except ValueError:
            continue
        for value, right in zip(function(arrays, sizes), wanted, strict=True):
            assert value.dtype == (np.float16 if value.dtype.kind == "f" else value.dtype)
            np.testing.assert_allclose(value, right, rtol=2e-3, atol=2e-3)


def test_formats_that_are_rounded_on_the_way() -> None:
    x = np.array([0.1, 1e-8, 70000.0, 2049.0, -0.0, np.nan, np.inf])
    there_and_back, single, twice = Function(program("def f(x: f64[n]) = f64(f16(x)), f16(f32(x)), f16(x) * 2"))([x])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(there_and_back, x.astype(np.float16).astype(np.float64))
        np.testing.assert_array_equal(single, x.astype(np.float16))
        np.testing.assert_array_equal(twice, x.astype(np.float16) * np.float16(2))


def test_statistics_of_columns_are_computed_once() -> None:
    """What is folded inside of a fold over lines does not depend on the line."""
    whole = program("def f(x: f64[n, m], w: f64[n]) = w @ ((x - mean(x, axis=0)) / std(x, axis=0))")
    panels = re.findall(r"alloca \[\d+ x double\]", lower(whole, "f").ir)
    draw = np.random.default_rng(0)
    x, w = draw.standard_normal((40, 1030)), draw.standard_normal(40)
    assert len(panels) >= 3  # of the mean, the deviation and the product
    np.testing.assert_allclose(Function(whole)([x, w])[0], w @ ((x - x.mean(0)) / x.std(0)), rtol=1e-10, atol=1e-10)


def _cut(whole: Program) -> tuple[Program, list[Node]] | None:
    """A program with what has no native code as inputs; None where their formats have none either."""
    cut = {n: input_node(f"cut{k}", n.tensor) for k, n in enumerate(whole.nodes) if _is_refused(n)}
    made = Program(whole.name, [*whole.inputs, *cut.values()], replace(whole.outputs, cut), whole.output_names)
    return None if any(refusal(n) for n in (*made.inputs, *made.nodes)) else (made, list(cut))


def _is_refused(node: Node) -> bool:
    if node.op is INPUT or isinstance(node.type, tuple):
        return False
    return refusal(node) is not None or (node.op.name == "item" and refusal(node.args[0]) is not None)


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_random_programs(start: int) -> None:
    compared = 0
    for seed in range(start, start + 20):
        sample = generate(seed)
        whole = check(Source(sample.text, "random.tp")).programs.get("main")
        found = None if whole is None else _cut(whole)
        if whole is None or found is None:
            continue
        native, cut = found
        sizes = {size: max(1, count) for size, count in sample.sizes(seed).items()}
        arrays = [rounded(a, i.tensor.dtype) for a, i in zip(sample.arrays(sizes, seed), whole.inputs, strict=True)]
        arrays += evaluate(Program("cut", whole.inputs, cut), arrays, sizes) if cut else []
        room = tolerance(native)
        for value, right in zip(Function(native)(arrays, sizes), evaluate(native, arrays, sizes), strict=True):
            assert value.shape == np.shape(right), sample.text
            if value.dtype.kind in "bi":
                np.testing.assert_array_equal(value, right, err_msg=sample.text)
            elif room is not None:
                size = float(np.max(np.abs(right), initial=1.0))
                np.testing.assert_allclose(value, right, rtol=room, atol=room * size, err_msg=sample.text)
        compared += 1
    assert compared >= 5


def test_a_total_of_several_chunks() -> None:
    x = np.random.default_rng(0).standard_normal(100_000)
    compare("def f(x: f64[n]) = sum(x * x), logsumexp(x), max(x), mean(x)", [x])


@pytest.mark.parametrize("text", ["max(x[:, 1])", "prod(x[:, 1])", "logsumexp(x[:, 1])"])
def test_a_chunk_that_is_not_whole_is_read_no_further(text: str) -> None:
    x = np.random.default_rng(0).uniform(0.9999, 1.0001, (64_100, 17))
    compare(f"def f(x: f64[n, 17]) = {text}", [x])


def test_a_sum_over_columns_inside_of_another_fold() -> None:
    text = "def f(a: f64[n, 2], b: f64[n, n], x: f64[n]):\n    v[i, j] = b[i, j] * cos(x[j])\n"
    text += "    y[i in n] = logsumexp[q in 2](a[i, q] * sum[r in n](v[i, r] * x[r] * a[r, q]))\n    return y"
    draw = np.random.default_rng(0)
    compare(text, [draw.standard_normal(shape) for shape in ((5, 2), (5, 5), (5,))])


def test_a_block_at_a_time() -> None:
    draw = np.random.default_rng(0)
    Q, K, V = (draw.standard_normal((s, 8)) for s in (70, 20_000, 20_000))
    whole = program("def f(Q: f64[n, d], K: f64[m, d], V: f64[m, d]) = softmax(Q @ K') @ V")
    (value,) = Function(whole)([Q, K, V])
    weights = np.exp(Q @ K.T - (Q @ K.T).max(1, keepdims=True))
    np.testing.assert_allclose(value, weights @ V / weights.sum(1, keepdims=True), rtol=1e-11)


def test_rows_that_are_masked_are_as_without_tiles() -> None:
    """Rows without finite entries, in the first tiles or at all, and rows of infinities and NaN."""
    inf, nan = np.inf, np.nan
    draw = np.random.default_rng(0)
    Q, K, V = (draw.standard_normal(s) for s in ((70, 3), (600, 3), (600, 2)))
    B = np.zeros((70, 600))
    B[0], B[1, :400], B[2, 300:], B[3, 17], B[4, 599], B[5, 3:], B[6, 0] = -inf, -inf, -inf, inf, nan, inf, nan
    B[7, :256], B[7, 256] = -inf, inf
    compare("def f(Q: f64[n, d], K: f64[m, d], V: f64[m, e], B: f64[n, m]) = softmax(Q @ K' + B) @ V", [Q, K, V, B])
    compare("def f(Q: f64[n, d], K: f64[m, d], B: f64[n, m]) = logsumexp(Q @ K' + B, axis=1)", [Q, K, B])


def test_blas_has_one_thread_within_and_as_many_as_before_behind() -> None:
    places = blas.threads()
    assert places is not None
    threads = ctypes.CFUNCTYPE(ctypes.c_int)(places[0])
    before = threads()
    whole = program("def f(A: f64[n, m], B: f64[m, k]) = A @ B")
    native = lower(whole, "function")
    A, B = np.ones((300, 100)), np.ones((100, 200))
    seen = []
    spy = ctypes.CFUNCTYPE(None)(lambda: seen.append(threads()))
    function = Function(whole, native)
    watched = Function(whole, native)
    watched.loaded = engine.load(native, known={"dgemm_": ctypes.cast(spy, ctypes.c_void_p).value or 0})
    watched.entry = ctypes.CFUNCTYPE(ctypes.c_int64)(watched.loaded.address("function"))
    try:
        blas.set_threads(3)
        watched([A, B])
        assert set(seen) == {1}
        assert threads() == 3
        with ThreadPoolExecutor(4) as pool:
            for (value,) in pool.map(lambda _: function([A, B]), range(40)):
                np.testing.assert_array_equal(value, A @ B)
        assert threads() == 3
    finally:
        blas.set_threads(before)


def test_special_values() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[1.0, inf, -inf, 2.0], [-inf, -inf, -inf, -inf], [nan, 1.0, 2.0, nan], [inf, inf, 0.0, -inf]])
    compare("def f(x: f64[n, m]) = max(x, axis=1), min(x, axis=0), argmax(x, axis=1), argmin(x, axis=0)", [x])
    compare("def f(x: f64[n, m]) = logsumexp(x, axis=1), logsumexp(x, axis=0), sum(x, axis=1), softmax(x)", [x])


def test_positions_that_are_values() -> None:
    text = "def f(x: f64[n, m], at: i64[k]) = take(x, at)"
    x, at = np.arange(35.0).reshape(5, 7), np.array([4, 0, 2])
    compare(text, [x, at])
    for wrong in (-1, 5, 2**62, -(2**62)):
        with pytest.raises(IndexError, match=r"outside of an array of shape \[n, m\]"):
            Function(program(text))([x, np.array([0, wrong, 2])])


def test_a_guard_holds_back_errors() -> None:
    text = "def f(x: f64[n], at: i64[n]):\n    y[i in n] = sum[k where at[k] >= 0](x[at[k]] * (i + 1))\n    return y"
    x = np.arange(6.0)
    compare(text, [x, np.array([0, -1, 5, 3, -7, 1])])
    with pytest.raises(IndexError):
        Function(program(text))([x, np.array([0, -1, 6, 3, -7, 1])])


def test_equal_functions_have_equal_text() -> None:
    text = "def f(x: f64[n, m]) = softmax(x) @ x'"
    assert lower(program(text), "f").ir == lower(program(text), "f").ir


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(A: f64[n, n]) = expm(A)", "`expm` has no formula"),
        ("def f(x: c128[n]) = x + 1", "c128 has no native code"),
        ("def f(A: c128[n, n]) = inv(A)", "`inv` of c128 has no native code"),
        ("def f(x: f64[n]) = sort(x)", "NumPy has vector code for `sort` of more than 8 entries"),
        ("def f(x: f64[n, 3]) = argsort(x, axis=0)", "`argsort` along another axis than the last has no native code"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    whole = program(text)
    assert reason in [refusal(node) for node in whole.nodes]
    with pytest.raises(InternalError):
        lower(whole)


def test_the_comparison_can_fail() -> None:
    whole, other = program("def f(x: f64[n]) = x + 1"), program("def f(x: f64[n]) = x + 2")
    x = np.arange(3.0)
    (value,) = Function(whole, lower(other, "function"))([x])
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(value, evaluate(whole, [x])[0])
    assert at_the_edge([3], np.float64).shape == (3,)


def test_threads_change_no_bit() -> None:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((700, 900))
    texts = [
        "def f(x: f64[n, m]) = sum(exp(x)), softmax(x), mean(x, axis=0), logsumexp(x, axis=1), cumsum(x)",
        "def f(x: f64[n, m]) = softmax(reshape(x, n * m))",
    ]
    try:
        for function in (Function(program(text)) for text in texts):
            engine.set_threads(1)
            alone = function([x])
            engine.set_threads(2)
            for value, right in zip(function([x]), alone, strict=True):
                np.testing.assert_array_equal(value, right)
    finally:
        engine.set_threads(None)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_rows_are_reduced_side_by_side_or_one_after_the_other(dtype: str) -> None:
    text = f"def f(x: {dtype}[n, m], y: {dtype}[n, m]) = sum(x * x, axis=1), sum((x - y)^2, axis=1), max(x, axis=1)"
    function = Function(program(text))
    kind = np.dtype(np.float32 if dtype == "f32" else np.float64)
    edges = [kernel.SHORT // kind.itemsize, kernel.LONG // kind.itemsize]
    draw = np.random.default_rng(5)
    for n in (0, 1, 7, 8, 9, 18):
        for m in (1, 5, *(edge + more for edge in edges for more in (-1, 0, 1))):
            x, y = draw.standard_normal((2, n, m)).astype(kind)
            wide, other = x.astype(np.float64), y.astype(np.float64)
            wanted = (wide**2).sum(1), ((wide - other) ** 2).sum(1), wide.max(1)
            for found, right in zip(function([x, y]), wanted, strict=True):
                np.testing.assert_allclose(found, right, rtol=(m + 2) * np.finfo(kind).eps)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_few_rows_have_lanes_along_columns(dtype: str) -> None:
    text = f"def f(X: {dtype}[n, d], Y: {dtype}[m, d], v: {dtype}[m]):\n"
    text += "    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2) / 2)\n    return K @ v\n"
    whole = program(text)
    assert any(".few" in line for line in lower(whole, "f").ir.splitlines() if line.startswith("define"))
    function = Function(whole)
    draw = np.random.default_rng(5)
    for n in (0, 1, 7, 8, 9, 40):
        for m in (1, 15, 16, 100):
            kind = np.float32 if dtype == "f32" else np.float64
            x, y, v = (draw.standard_normal(shape).astype(kind) for shape in ((n, 3), (m, 3), (m,)))
            (found,) = function([x, y, v])
            wanted = np.exp(-((x[:, None].astype(np.float64) - y) ** 2).sum(2) / 2) @ v
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 if dtype == "f64" else 1e-4)


@pytest.mark.parametrize("dtype", ["f64", "f32", "i8", "bool"])
def test_stores_along_lines_wherever_a_result_lies(dtype: str) -> None:
    text = f"def f(x: {dtype}[n]) = " + ("not x" if dtype == "bool" else "x + x")
    native = lower(program(text), "f")
    loaded = engine.load(native)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 3)(loaded.address("f"))
    kind = np.dtype({"f64": "f8", "f32": "f4", "i8": "i1", "bool": "?"}[dtype])
    draw = np.random.default_rng(7)
    for start in range(0, 64, kind.itemsize):
        for n in (0, 1, 255, 256, 300, 1025):
            x, memory = draw.integers(0, 2, n).astype(kind), np.full(n * kind.itemsize + 256, 85, np.uint8)
            first = -memory.ctypes.data % 64 + start
            assert call(n, x.ctypes.data, memory.ctypes.data + first, None) == 0
            last = first + n * kind.itemsize
            np.testing.assert_array_equal(memory[first:last].view(kind), ~x if dtype == "bool" else x + x)
            assert (memory[:first] == 85).all() and (memory[last:] == 85).all()


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_large_results_go_past_the_caches(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "def f(x: T[n, m]) = softmax(x)",
        "def f(x: T[n, m]) = layernorm(x) * x[:, 0:1]",
        "def f(x: T[n, m]) = sigmoid(x) * x",
        "def f(x: T[n, m]) = x / norm(x)",
    ]
    draw = np.random.default_rng(3)
    kind = np.float32 if dtype == "f32" else np.float64
    for text in texts:
        whole = program(text.replace("T", dtype))
        plain = Function(whole)
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "_past_bytes", lambda: 4096)
            native = lower(whole, "past")
        assert "!nontemporal" in native.ir
        past = Function(whole, native)
        # below the limit; rows that are too short, not whole lines, and longer than what is kept near
        for shape in ((2, 30), (70, 33), (3, 1025), (5, 1040), (2, 9001), (0, 900)):
            x = draw.standard_normal(shape).astype(kind)
            for value, right in zip(past([x]), plain([x]), strict=True):
                np.testing.assert_array_equal(value, right)


def test_what_is_read_again_stays_in_the_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_past_bytes", lambda: 4096)
    for text in ("y, y @ y'", "y @ y', y", "y @ y'"):
        whole = program(f"def f(x: f64[n, n]):\n    y = sigmoid(x)\n    return {text}")
        assert "!nontemporal" not in lower(whole, "f").ir
