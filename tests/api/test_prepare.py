"""Functions prepared for parameters: the handle, and calls that hold what they computed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc
from tpc import staging
from tpc.dsl.diagnostics import TpcError
from tpc.prepared import Prepared
from tpc.staging import FEW, Staging, is_same

RIDGE = """
def ridge(X: f64[n, p] is param, y: f64[n], l: f64 = 0.5) -> f64[p]:
    return inv(X' @ X + l * eye(p)) @ X' @ y
"""
SOLVE = "def solve(A: f64[n, n] is param and nonsingular, B: f64[n, k]) -> (f64[n, k], f64) = (A \\ B, sum(B))\n"
random = np.random.default_rng(0)
X, y = random.standard_normal((60, 7)), random.standard_normal(60)


def expected(X: Any, y: Any, shift: float) -> Any:
    return np.linalg.solve(X.T @ X + shift * np.eye(X.shape[1]), X.T @ y)


# ---- the handle


def test_a_handle_takes_the_other_arguments() -> None:
    f = tpc.compile(RIDGE, calls=1000)
    ridge = f.prepare(X=X)
    assert isinstance(ridge, Prepared)
    for shift in np.logspace(-3, 3, 20):
        assert np.allclose(ridge(y, shift), expected(X, y, shift), rtol=1e-8)
    assert np.allclose(ridge(y), expected(X, y, 0.5)) and np.allclose(ridge(l=2.0, y=y), expected(X, y, 2.0))
    out = np.empty(7)
    assert ridge(y, out=out) is out and np.allclose(out, expected(X, y, 0.5))


def test_a_handle_owns_what_it_holds() -> None:
    mine = X.copy()
    ridge = tpc.compile(RIDGE, calls=2).prepare(X=mine)
    mine[:] = np.nan
    assert np.allclose(ridge(y), expected(X, y, 0.5))
    for value in ridge.held.values():
        with pytest.raises(ValueError):
            value[...] = 0
        assert not np.shares_memory(value, mine)
    assert ridge.bytes == sum(value.nbytes for value in ridge.held.values())


def test_prepared_with_all_arguments_or_none_it_is_the_function() -> None:
    f = tpc.compile(RIDGE)
    assert f.prepare() is f and f.prepare(X, y, 1.0) is f and f.prepare(X=X, y=y) is f
    g = tpc.compile("def f(A: f64[n] is param) = exp(A)\n")
    assert g.prepare(A=y) is g


def test_preparing_again_compiles_nothing_and_gives_the_same_bits() -> None:
    f = tpc.compile(RIDGE, calls=1000)
    first, second = f.prepare(X=X), f.prepare(X=X)
    assert first.each is second.each
    for name, value in first.held.items():
        assert np.array_equal(value, second.held[name])
    assert np.array_equal(first(y), second(y))
    other = tpc.compile(RIDGE, calls=1000).prepare(X=X)
    assert other.source == first.source and other.ahead.source == first.ahead.source


def test_open_sizes_of_the_other_arguments_stay_open() -> None:
    A = random.standard_normal((5, 5))
    solve = tpc.compile(SOLVE).prepare(A=A)
    for k in (1, 3, 0):
        B = random.standard_normal((5, k))
        found = solve(B)
        assert np.allclose(found[0], np.linalg.solve(A, B)) and np.isclose(found[1], B.sum())


def test_formats_are_those_of_the_parameters() -> None:
    f = tpc.compile("def f(A: [n, n] is param, x: [n]) = A @ A @ x\n")
    A = random.standard_normal((4, 4)).astype(np.float32)
    assert f.prepare(A=A)(np.ones(4, np.float32)).dtype == np.float32


@pytest.mark.parametrize("mode", ["bitwise", "stable", "fast"])
def test_modes(mode: Any) -> None:
    ridge = tpc.compile(RIDGE, mode=mode, calls=1000).prepare(X=X)
    assert np.allclose(ridge(y, 0.1), expected(X, y, 0.1))
    if mode == "bitwise":
        assert np.array_equal(ridge(y, 0.1), tpc.compile(RIDGE, mode=mode)(X, y, 0.1))


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    f = tpc.compile(RIDGE, calls=1000)
    ridge = f.prepare(X=torch.from_numpy(X))
    found = ridge(torch.from_numpy(y), 0.5)
    assert isinstance(found, torch.Tensor) and np.allclose(found.numpy(), expected(X, y, 0.5))


def test_native_code() -> None:
    pytest.importorskip("llvmlite")
    ridge = tpc.compile(RIDGE, backend="llvm", calls=1000).prepare(X=X)
    assert np.allclose(ridge(y, 0.5), expected(X, y, 0.5)) and ridge.each.backend == "llvm"


def test_many_threads_share_a_handle() -> None:
    ridge = tpc.compile(RIDGE, calls=1000).prepare(X=X)
    shifts = np.logspace(-2, 2, 64)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda shift: ridge(y, shift), shifts))
    assert all(np.allclose(a, expected(X, y, shift)) for a, shift in zip(found, shifts))


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (lambda f: f.prepare(X=X)(), "E0801", "y: f64[n]"),
        (lambda f: f.prepare(X=X)(y, 1, 2), "E0808", "takes 2 arguments"),
        (lambda f: f.prepare(X=X)(y, X=X), "E0808", "has no parameter `X`"),
        (lambda f: f.prepare(X=X)(y, held1=X), "E0808", "held1"),
        (lambda f: f.prepare(X=X)(y[:3]), "E0805", "needs 60"),
        (lambda f: f.prepare(X=y), "E0802", "matrix"),
        (lambda f: f.prepare(y=y), "E0801", "X: f64[n, p]"),
        (lambda f: f.prepare(Z=y), "E0808", "has no parameter `Z`"),
    ],
)
def test_mistakes(call: Any, code: str, said: str) -> None:
    with pytest.raises(tpc.TpcError) as caught:
        call(tpc.compile(RIDGE))
    assert caught.value.diagnostics[0].code == code and said in str(caught.value)


def test_a_broken_promise_is_told_when_it_is_prepared() -> None:
    f = tpc.compile("def f(S: f64[n, n] is param and spd, b: f64[n]) = S \\ b\n")
    with pytest.raises(tpc.TpcError) as caught:
        f.prepare(S=-np.eye(3))
    assert caught.value.diagnostics[0].code == "E0815"


def test_calls_must_be_a_number() -> None:
    for wrong in (0, True, "many"):
        with pytest.raises(tpc.TpcError) as caught:
            tpc.compile(RIDGE, calls=wrong)  # type: ignore[arg-type]
        assert caught.value.diagnostics[0].code == "E1004"


def test_explanations() -> None:
    f = tpc.compile(RIDGE, calls=1000)
    assert "`.prepare(X=...)`" in f.explain() and "bytes" not in repr(f)
    ridge = f.prepare(X=random.standard_normal((2000, 300)))
    told = ridge.explain()
    assert "prepared ahead\n  of `X`: " in told and "by eigh" in told and "inverse_of_shift_by_eigenvalues" in told
    assert "prepared for X" in repr(ridge) and "eigh" not in ridge.source


# ---- calls without a handle


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are prepared at the second call with equal parameters, and it always pays."""
    monkeypatch.setattr(staging, "LOOK", -1.0)
    monkeypatch.setattr(staging, "LEAST", float("inf"))


def test_calls_with_equal_parameters_hold_what_they_share(at_once: None) -> None:
    f = tpc.compile(RIDGE, calls=1000)
    for shift in (0.1, 1.0, 10.0, 100.0):
        assert np.allclose(f(X, y, shift), expected(X, y, shift))
        assert np.allclose(f(X.copy(), y, l=shift), expected(X, y, shift))  # content counts, not identity
    assert f._staging is not None and f._staging.served == 6 and "are held" in f.explain()


def test_parameters_that_are_edited_in_place_are_noticed(at_once: None) -> None:
    f, mine = tpc.compile(RIDGE, calls=1000), X.copy()
    for k in range(4):
        for _ in range(4):
            assert np.allclose(f(mine, y, 1.0), expected(mine, y, 1.0))
        mine[-1, -1] += 1 + k
    assert f._staging is not None and f._staging.is_open and f._staging.served == 8


def test_parameters_that_change_all_the_time_are_given_up(at_once: None) -> None:
    f = tpc.compile(RIDGE, calls=1000)
    for k in range(2 * FEW):
        mine = X + k
        assert np.allclose(f(mine, y, 1.0), expected(mine, y, 1.0))
    assert f._staging is not None and not f._staging.is_open and "change at nearly every call" in f.explain()


def test_what_does_not_pay_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "LOOK", -1.0)
    monkeypatch.setattr(staging, "LEAST", 0.0)
    f = tpc.compile(RIDGE, calls=1000)
    for _ in range(3 * FEW):
        assert np.allclose(f(X, y, 1.0), expected(X, y, 1.0))
    assert f._staging is not None and not f._staging.is_open and "longer than it spares" in f._staging.words


def test_one_call_prepares_nothing() -> None:
    f = tpc.compile(RIDGE)
    f(X, y)
    assert f._staging is not None and f._staging._ready is None and not f._preparer.pairs


def test_functions_without_parameters_that_stay_have_no_part_in_it() -> None:
    f = tpc.compile(RIDGE.replace(" is param", ""))
    f(X, y)
    assert f._staging is None and f.ahead == () and tpc.compile(RIDGE, calls=1)._staging is None


def test_wrong_arguments_are_told_by_the_function(at_once: None) -> None:
    f = tpc.compile(RIDGE)
    for _ in range(3):
        f(X, y)
    assert isinstance(f._staging, Staging) and f._staging._ready is not None
    with pytest.raises(tpc.TpcError) as caught:
        f(X, y[:3])
    assert caught.value.diagnostics[0].code == "E0805"


def test_arrays_are_the_same_by_their_bits() -> None:
    a = np.arange(10.0)
    assert is_same(a, a.copy()) and is_same(a[::2], a[::2].copy()) and is_same(np.array(np.nan), np.array(np.nan))
    assert is_same(2.0, np.array(2.0)) and is_same(np.zeros((0, 3)), np.zeros((0, 3)))
    assert not is_same(a, a + 1) and not is_same(a, a.astype("f4")) and not is_same(a, a[:5])
    assert not is_same(np.array(0.0), np.array(-0.0)) and not is_same([1.0], np.array([1.0]))
    large = np.zeros(300_001, np.uint8)
    other = large.copy()
    other[-1] = 1
    assert is_same(large, large.copy()) and not is_same(large, other)


# ---- files


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_what_is_held_is_saved_and_read_to_the_last_bit(tmp_path: Path, kind: str) -> None:
    given: Any = X, y
    if kind == "torch":
        torch = pytest.importorskip("torch")
        given = torch.from_numpy(X), torch.from_numpy(y)
    ridge = tpc.compile(RIDGE, calls=1000).prepare(X=given[0])
    ridge.save(tmp_path / "ridge.npz")
    again = tpc.compile(RIDGE, calls=1000).restore(tmp_path / "ridge.npz")
    assert again.held.keys() == ridge.held.keys()
    assert all(np.array_equal(np.asarray(again.held[name]), np.asarray(ridge.held[name])) for name in ridge.held)
    assert np.array_equal(np.asarray(again(given[1], 2.0)), np.asarray(ridge(given[1], 2.0)))
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "ridge.npz").read_bytes()


def test_what_was_saved_for_another_function_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "solve.npz"
    tpc.compile(SOLVE).prepare(A=np.eye(3)).save(file)
    assert np.array_equal(tpc.compile(SOLVE).restore(file)(np.ones((3, 1)))[0], np.ones((3, 1)))
    others = [tpc.compile(RIDGE), tpc.compile(SOLVE.replace("sum(B)", "sum(B) + 1"))]
    held = dict(np.load(file))
    np.savez(tmp_path / "plain.npz", A=np.eye(3))
    np.savez(tmp_path / "other.npz", **{**held, **{n: a[:2] for n, a in held.items() if n != "_about"}})
    cases = [(other, file) for other in others]
    cases += [(tpc.compile(SOLVE), tmp_path / name) for name in ("plain.npz", "other.npz", "none.npz", "a.npy")]
    for compiled, path in cases:
        with pytest.raises(TpcError) as caught:
            compiled.restore(path)
        assert caught.value.diagnostics[0].code in ("E0705", "E0708", "E0710"), path
