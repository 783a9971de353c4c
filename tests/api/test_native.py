"""Functions compiled with `backend="llvm"`, as they are called: like those of numpy in all but speed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from tests.backends.contract import settle

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.ir.dims import evaluate
from tpc.native import _spared

pytest.importorskip("llvmlite")
from tpc.backends.llvm import lowered, stages  # noqa: E402

KERNEL = """
def kernel(X: f64[n, d], Y: f64[m, d], v: f64[m], width: f64 = 0.5) -> f64[n]:
    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2) / (2 * width^2))
    return K @ v
"""
MIXED = """
def mixed(A: f64[n, n], x: f64[n], k: i64) -> (f64[n], f64, i64):
    S = A @ A' + n * eye(n)
    y = inv(S) @ tanh(x)
    return y * exp(-y^2), sum(y * x), k + 1
"""
LOOP = """
const w: f64[3] = load("w.npy")

def loop(x: f64[n, 3]) -> f64[n, 3] where n > 1:
    y = x
    repeat 3:
        y = tanh(y * w) + x / (1 + abs(y))
    return y
"""
RNG = np.random.default_rng(0)
X, Y, V = RNG.standard_normal((7, 3)), RNG.standard_normal((5, 3)), RNG.standard_normal(5)
A = RNG.standard_normal((6, 6))


def by_hand(width: float = 0.5) -> Any:
    return np.exp(-((X[:, None] - Y) ** 2).sum(-1) / (2 * width**2)) @ V


def native(function: tpc.Compiled, *args: Any, **kwargs: Any) -> Any:
    """What a function gives once its native code is there."""
    function(*args, **kwargs)
    settle(function._latest().run)
    return function(*args, **kwargs)


@pytest.fixture(scope="module")
def kernel() -> tpc.Compiled:
    made = tpc.compile(KERNEL, backend="llvm")
    native(made, X, Y, V)
    return made


@pytest.mark.parametrize(
    "given",
    [
        X,
        X.tolist(),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X[::-1][::-1],
        X.astype(">f8"),
        scipy.sparse.csr_array(X),
    ],
    ids=["plain", "list", "fortran", "strided", "negative", "big-endian", "sparse"],
)
def test_kinds_of_arrays(kernel: tpc.Compiled, given: Any) -> None:
    np.testing.assert_allclose(kernel(given, Y, V), by_hand(), rtol=1e-13)
    np.testing.assert_allclose(kernel(given, Y, V, 0.7), by_hand(0.7), rtol=1e-13)
    np.testing.assert_allclose(kernel(v=V, X=given, Y=Y), by_hand(), rtol=1e-13)
    frozen = X.copy()
    frozen.flags.writeable = False
    out = np.empty(7)
    assert kernel(frozen, Y, V, out=out) is out
    np.testing.assert_allclose(out, by_hand(), rtol=1e-13)


def test_tensors(kernel: tpc.Compiled) -> None:
    torch = pytest.importorskip("torch")
    result = kernel(*map(torch.from_numpy, (X, Y, V)))
    assert isinstance(result, torch.Tensor)
    np.testing.assert_allclose(result.numpy(), by_hand(), rtol=1e-13)


WRONG = {
    "missing": lambda f: f(X, Y),
    "shape": lambda f: f(X, Y[:, :2], V),
    "rank": lambda f: f(X[0], Y, V),
    "dtype": lambda f: f(1j * X, Y, V),
    "unknown": lambda f: f(X, Y, V, wide=1),
    "out": lambda f: f(X, Y, V, out=np.empty(6)),
    "out of another dtype": lambda f: f(X, Y, V, out=np.empty(7, np.float32)),
    "text": lambda f: f("X", Y, V),
    "none": lambda f: f(None, Y, V),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_same_is_said_of_what_is_wrong(kernel: tpc.Compiled, wrong: str) -> None:
    said = []
    for function in (kernel, tpc.compile(KERNEL, backend="numpy")):
        with pytest.raises(TpcError) as caught:
            WRONG[wrong](function)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_results_of_several_kinds() -> None:
    made = tpc.compile(MIXED, backend="llvm")
    expected = tpc.compile(MIXED, backend="numpy")(A, A[0], 3)
    result = native(made, A, A[0], 3)
    assert type(result).__name__ == type(expected).__name__ and result._fields == expected._fields
    for value, wanted in zip(result, expected):
        assert type(value) is type(wanted)
        np.testing.assert_allclose(value, wanted, rtol=1e-12)


def test_constants_loops_and_constraints(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array([1.0, 2.0, 3.0]))
    (tmp_path / "loop.tp").write_text(LOOP)
    made, plain = (tpc.load(tmp_path / "loop.tp", backend=b).loop for b in ("llvm", "numpy"))
    np.testing.assert_allclose(native(made, X), plain(X), rtol=1e-13)
    assert made._latest().code.emitted.natives
    with pytest.raises(TpcError, match="n > 1"):
        made(X[:1])


@pytest.mark.parametrize("options", [{"verify": True}, {"check_facts": True}, {"threads": 1}, {"dims": {"d": 3}}])
def test_options(options: dict[str, Any]) -> None:
    made = tpc.compile(KERNEL, backend="llvm", **options)
    np.testing.assert_allclose(native(made, X, Y, V), by_hand(), rtol=1e-13)


@pytest.mark.parametrize("text, at_once", [
    ("def f(a: f64[n, n]) -> f64[n, n] = tanh(a) * 2", True), ("def f(a: f64[n, n]) -> f64[n, n] = a @ a", False),
])  # fmt: skip
def test_a_limit_of_threads_is_that_of_the_code_itself_but_for_blas(text: str, at_once: bool) -> None:
    made = tpc.compile(text, backend="llvm", threads=1)
    a = np.ones((3, 3))
    np.testing.assert_allclose(native(made, a), tpc.compile(text, backend="numpy")(a))
    assert hasattr(type(made), "_calls_at_once") == at_once


@pytest.mark.parametrize("shapes", [(0, 1, 2), (1, 0, 2), (3, 2, 0), (1, 1, 1)])
def test_small_and_empty(kernel: tpc.Compiled, shapes: tuple[int, int, int]) -> None:
    n, m, d = shapes
    plain = tpc.compile(KERNEL, backend="numpy")
    arguments = np.ones((n, d)), np.ones((m, d)), np.ones(m)
    np.testing.assert_allclose(kernel(*arguments), plain(*arguments))


def test_complex_arguments_may_be_results() -> None:
    made = tpc.compile("def f(z: c64[n], p: bool[n]) = not p, z", backend="llvm")
    z = np.array([1 + 2j, 3], np.complex64)
    p, same = native(made, z, [True, False])
    assert p.tolist() == [False, True] and same.tolist() == z.tolist()


def test_plans_for_open_sizes() -> None:
    text = "def f(A: f64[n, m], B: f64[m, k], C: f64[k, p]) -> f64[n, p] = tanh(A) @ B @ exp(C)\n"
    made = tpc.compile(text, backend="llvm")
    for n, p in ((6, 1), (1, 6), (6, 6)):
        expected = np.tanh(A[:n]) @ A @ np.exp(A[:, :p])
        np.testing.assert_allclose(native(made, A[:n], A, A[:, :p]), expected, rtol=1e-12)


def test_types_after_each_other() -> None:
    """Calls go to the native code for their types at once, whichever came first."""
    made = tpc.compile("def f(x: [..., n]) = tanh(x) * exp(x)\n", backend="llvm")
    values = [np.linspace(0, 1, 5, dtype=dtype) for dtype in (np.float64, np.float32)]
    for x in (*values, *values):
        result = native(made, x)
        assert result.dtype == x.dtype
        np.testing.assert_allclose(result, np.tanh(x) * np.exp(x), rtol=1e-6)
    with pytest.raises(TpcError):
        made(values[0] * 1j, 2)


# ---- threads and processes


def test_threads_call_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While native code is put in the place of NumPy too."""
    monkeypatch.setattr(stages, "PATIENCE", 0.0)
    made = tpc.compile(KERNEL, backend="llvm")
    wrong = []

    def call() -> None:
        for _ in range(200):
            if not np.allclose(made(X, Y, V), by_hand(), rtol=1e-13):
                wrong.append(threading.get_ident())

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    settle(made._latest().run)
    assert not wrong


def _child(made: tpc.Compiled, queue: Any) -> None:
    settle(made._latest().run)
    queue.put(made(X, Y, V))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("is_begun", [False, True])
def test_a_forked_child_has_native_code(is_begun: bool) -> None:
    made = tpc.compile(KERNEL, backend="llvm")
    made(X, Y, V)
    if is_begun:
        made._latest().run._started()  # type: ignore[attr-defined]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(made, queue))
    child.start()
    try:
        np.testing.assert_allclose(queue.get(timeout=60), by_hand(), rtol=1e-13)
    finally:
        child.join(10)
        child.kill()


# ---- the cache


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def count_lowered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions that are lowered from now on."""
    from tpc.backends.llvm import lower

    found: list[str] = []
    before = lower.lower

    def lowering(program: Any, name: str, **options: bool) -> Any:
        found.append(name)
        return before(program, name, **options)

    monkeypatch.setattr(lower, "lower", lowering)
    return found


@pytest.mark.parametrize("text", [KERNEL, MIXED], ids=["whole", "parts"])
def test_what_is_kept_is_not_lowered_again(place: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    arguments: tuple[Any, ...] = (X, Y, V) if text is KERNEL else (A, A[0], 3)
    found = count_lowered(monkeypatch)
    first = native(tpc.compile(text, backend="llvm"), *arguments)
    once = len(found)
    again = tpc.compile(text, backend="llvm")
    second = native(again, *arguments)
    assert again._latest().found is None and again._latest().code.emitted.natives
    assert len(found) == once > 0
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("m", [1, 40])
def test_products_alone_are_native_with_single_lines_too(m: int) -> None:
    """BLAS asks that lines are at least their length apart; the transpose of a column has them one apart."""
    made = tpc.compile(
        f"def f(H: f64[n, n], Y: f64[n, {m}]) -> f64[{m}, n] = Y' @ H' @ H", dims={"n": 60}, backend="llvm"
    )
    H, Y = RNG.standard_normal((60, 60)), RNG.standard_normal((60, m))
    np.testing.assert_allclose(native(made, H, Y), Y.T @ H.T @ H, rtol=1e-12, atol=1e-10)
    assert made._latest().code.emitted.whole


def test_calls_go_to_native_code_at_once_where_sizes_of_a_constraint_are_fixed() -> None:
    made = tpc.compile(
        "def f(x: f64[n], y: f64[m]) -> f64 where n > 2, m > 1 = sum(x * x) + y[1]", dims={"n": 4}, backend="llvm"
    )
    x, y = np.arange(4.0), np.arange(3.0)
    assert native(made, x, y) == 15 and made._latest().run.failure is None
    assert type(made).__call__ is not tpc.Compiled.__call__
    with pytest.raises(TpcError):
        made(x, y[:1])


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b.replace(b"fadd", b"fsub"), lambda b: b"{}"])
def test_damaged_functions_are_lowered_again(place: Path, monkeypatch: pytest.MonkeyPatch, damage: Any) -> None:
    native(tpc.compile(KERNEL, backend="llvm"), X, Y, V)
    files = [path for path in place.glob("*.json") if b"define" in path.read_bytes()]
    assert files
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    found = count_lowered(monkeypatch)
    np.testing.assert_allclose(native(tpc.compile(KERNEL, backend="llvm"), X, Y, V), by_hand(), rtol=1e-13)
    assert len(found) == len(files)


def test_text_of_a_region_that_is_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy goes on, and `failure` says why."""
    monkeypatch.setattr(lowered, "lowered", lambda region, name: 1 / 0)
    made = tpc.compile(KERNEL, backend="llvm")
    np.testing.assert_allclose(made(X, Y, V), by_hand(), rtol=1e-13)
    with pytest.raises(ZeroDivisionError):
        native(made, X, Y, V)
    np.testing.assert_allclose(made(X, Y, V), by_hand(), rtol=1e-13)


def test_calls_choose_between_plans_that_are_native_as_a_whole() -> None:
    """At each size the plan is taken that the module would take; the sizes of the first call do not matter."""
    made = tpc.compile("def f(A: f64[n, m], B: f64[m, n]) = diag(A @ B)", backend="llvm")
    for n, m in ((40, 50), (4, 300), (1, 1), (0, 3), (3, 0), (64, 2)):
        A, B = RNG.standard_normal((n, m)), RNG.standard_normal((m, n))
        np.testing.assert_allclose(native(made, A, B), np.diag(A @ B), rtol=1e-12, atol=1e-12)
    code = made._latest().code
    assert len(code.seconds) == len(code.emitted.whole) > 1
    assert type(made).__call__ is not tpc.Compiled.__call__
    with pytest.raises(TpcError):
        made(A, B[:1])
    spared = _spared(code.seconds, 0, 1)
    for n, m in RNG.integers(1, 3000, (200, 2)):
        sizes = {"n": int(n), "m": int(m)}
        first, second = (sum(c * evaluate(dim, sizes) for dim, c in terms) for terms in code.seconds[:2])
        if abs(first - second) > 0.02 * first:
            assert (evaluate(spared, sizes) >= 0) == (first < second)
