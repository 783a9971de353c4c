"""`backend="auto"`: when native code is made, and when it is taken."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tpc
from tpc import upgrade
from tpc.upgrade import Upgrade

KERNEL = """
def kernel(X: f64[n, d], Y: f64[m, d], v: f64[m]) -> f64[n]:
    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2))
    return K @ v
"""
rng = np.random.default_rng(0)
X, Y, v = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)), rng.standard_normal(5)
EXPECTED = np.exp(-((X[:, None] - Y) ** 2).sum(-1)) @ v


class Clock:
    """A clock that goes on when a function runs, and what is done in a thread is done at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(upgrade, "perf_counter", lambda: self.now)
        monkeypatch.setattr(upgrade.threading, "Thread", _Now)

    def function(self, name: str, seconds: float) -> SimpleNamespace:
        def run(*arguments: Any) -> str:
            self.now += seconds
            return name

        return SimpleNamespace(checked=lambda sizes, variant: run, finish=lambda: None, failure=None)


class _Now:
    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **more: Any) -> None:
        self.start = lambda: target(*args)

    def is_alive(self) -> bool:
        return False

    def join(self) -> None:
        pass


def candidate(run: SimpleNamespace, gain: float) -> Any:
    """A native function that is predicted to spare some seconds at a call."""
    code = SimpleNamespace(
        gain=lambda sizes: gain,
        gains=[((1, gain),)] if gain else [()],
        gain_sizes={"n"},
        emitted=SimpleNamespace(natives={"f_1": None}),
    )
    return SimpleNamespace(run=run, code=code, variant=lambda sizes: None)


def made(clock: Clock, plain: float, native: float, gain: float) -> Upgrade:
    changes: list[Any] = []
    found = Upgrade(
        clock.function("numpy", plain),  # type: ignore[arg-type]
        lambda sizes: plain,
        lambda: candidate(clock.function("native", native), gain),
        changes.append,
    )
    found.changes = changes  # type: ignore[attr-defined]
    return found


def calls(found: Upgrade, count: int, n: int = 3) -> list[str]:
    return [found.on({"n": n}, None)() for _ in range(count)]


def test_native_code_is_made_when_it_has_been_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=2e-3, native=1e-4, gain=5e-4)
    assert set(calls(found, 511)) == {"numpy"}
    assert found.candidate is not None and found.native is None  # 0.3 s are 600 calls
    assert set(calls(found, 513)) == {"numpy"}
    assert found.native is not None
    assert calls(found, upgrade.TURNS) == ["numpy", "native"] * (upgrade.TURNS // 2)
    assert set(calls(found, 20)) == {"native"}
    assert "runs in native code: measured, 100 us against 2 ms" in found.words({"n": 3})
    assert found.changes == [None, found.native]  # type: ignore[attr-defined]


def test_what_is_not_faster_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=1e-3, native=0.99e-3, gain=5e-4)
    found.finish({"n": 3})
    assert calls(found, upgrade.TURNS).count("native") == upgrade.TURNS // 2
    assert set(calls(found, 20)) == {"numpy"}
    assert "runs in NumPy: measured" in found.words({"n": 3})
    assert found.changes == [None, None]  # type: ignore[attr-defined]


def test_what_is_clearly_slower_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=1e-3, native=1e-1, gain=5e-4)
    found.finish({"n": 3})
    assert calls(found, 100).count("native") == upgrade.FEW // 2


def test_of_long_calls_a_few_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=0.05, native=0.04, gain=0.01)
    found.finish({"n": 3})
    assert calls(found, 20) == ["numpy", "native"] * (upgrade.FEW // 2) + ["native"] * (20 - upgrade.FEW)


def test_what_fails_each_time_is_given_up_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=1e-3, native=1e-4, gain=5e-4)
    kept: list[Any] = []
    found._decisions = lambda: SimpleNamespace(find=dict, keep=kept.append)  # type: ignore[assignment,return-value]
    found.finish({"n": 3})

    def fails(*arguments: Any) -> None:
        raise MemoryError

    found.native.run.checked = lambda sizes, variant: fails  # type: ignore[union-attr]
    for _ in range(upgrade.FEW):
        with suppress(MemoryError):
            found.on({"n": 3}, None)()
    assert calls(found, 20) == ["numpy"] * 20 and not kept


def test_each_size_has_a_contest_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found = made(clock, plain=1e-3, native=1e-4, gain=5e-4)
    found.finish({"n": 3})
    calls(found, 20)
    assert calls(found, 4, n=5) == ["numpy", "native"] * 2
    assert set(calls(found, 3)) == {"native"}


def test_a_long_call_waits_for_native_code_that_pays_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found = made(clock, plain=10.0, native=0.1, gain=8.0)
    found.hasten({"n": 3})
    assert calls(found, 3) == ["native"] * 3
    assert "runs in native code: measured, 100 ms against 10 s" in found.words({"n": 3})
    assert clock.now == pytest.approx(0.3)


def test_native_code_that_is_no_faster_at_a_long_call_has_a_contest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=2.0, native=3.0, gain=1.0)
    found.hasten({"n": 3})
    assert calls(found, 3) == ["native", "numpy", "native"]


@pytest.mark.parametrize(("plain", "gain"), [(0.5, 0.4), (2.0, 0.2)])
def test_a_call_that_is_short_or_spared_little_does_not_wait(
    plain: float, gain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(Clock(monkeypatch), plain=plain, native=plain / 2, gain=gain)
    found.hasten({"n": 3})
    assert found.native is None and calls(found, 1) == ["numpy"]


def test_native_code_of_a_long_loop_is_made_before_it_runs() -> None:
    text = "def f(x: f64[n]) -> f64:\n    s = 0.0\n    scan i in n:\n        s = sin(s) + x[i]\n    return s\n"
    short, long = (tpc.compile(text, backend="llvm") for _ in range(2))
    short(np.ones(3)), long(np.ones(1_000_000))
    settled = [list(f._specialiser.made.values())[0].run._is_settled for f in (short, long)]
    assert settled == [False, True]


def test_nothing_is_made_that_spares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=1.0, native=1.0, gain=0.0)
    assert set(calls(found, 100)) == {"numpy"}
    assert found.declined == "it would spare nothing"
    assert "it would spare nothing" in found.words({"n": 3})


def test_a_program_that_is_called_once_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(Clock(monkeypatch), plain=100.0, native=1.0, gain=99.0)
    calls(found, 1)
    assert found.candidate is None


@pytest.mark.parametrize("where", ["made", "compiled", "missing"])
def test_calls_go_on_without_native_code(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    clock = Clock(monkeypatch)
    found = made(clock, plain=1.0, native=0.1, gain=0.9)
    if where == "made":
        found.make = lambda: 1 / 0  # type: ignore[assignment, return-value]
    elif where == "compiled":
        broken = clock.function("native", 0.1)
        broken.failure = RuntimeError("no symbol")
        found.make = lambda: candidate(broken, 0.9)
    else:
        monkeypatch.setattr(upgrade, "find_spec", lambda name: None)
    assert set(calls(found, 64)) == {"numpy"}
    expected = {"made": "division by zero", "compiled": "no symbol", "missing": "llvmlite is not installed"}
    assert expected[where] in (found.declined or "") and expected[where] in found.words({"n": 3})


# ---- what is kept


class Kept:
    """Decisions without a disk."""

    def __init__(self) -> None:
        self.times: dict[tuple[int, ...], tuple[float, float]] = {}

    def find(self) -> dict[tuple[int, ...], tuple[float, float]]:
        return dict(self.times)

    def keep(self, times: dict[tuple[int, ...], tuple[float, float]]) -> None:
        self.times |= times


@pytest.mark.parametrize("seconds", [1e-4, 5e-3])
def test_what_was_decided_holds_for_the_next(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock, kept = Clock(monkeypatch), Kept()
    first = made(clock, plain=2e-3, native=seconds, gain=5e-4)
    first._decisions = lambda: kept  # type: ignore[assignment, return-value]
    first.finish({"n": 3})
    calls(first, upgrade.TURNS)
    assert set(kept.times) == {(3,)}
    again = made(clock, plain=2e-3, native=1.0, gain=5e-4)
    again._decisions = lambda: kept  # type: ignore[assignment, return-value]
    again.finish({"n": 3})
    assert set(calls(again, 20)) == {"native" if seconds < 1e-3 else "numpy"}  # without another contest
    assert (again.native is not None) == (seconds < 1e-3)
    assert "measured" in again.words({"n": 3})


def test_decisions_are_kept_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("TPC_CACHE", str(tmp_path))
    first = tpc.compile(KERNEL)
    decided = native(first).times
    before = {path.name for path in tmp_path.iterdir()}
    again = tpc.compile(KERNEL)
    again.prepare(X, Y, v)
    found = again._latest().upgrade
    assert found is not None and found.times == decided and len(found.times) == 1
    assert again.runs == first.runs
    (entry,) = (p for p in tmp_path.glob("*.json") if "[[[7, 5, 3]" in p.read_text() or "[[[7, 3, 5]" in p.read_text())
    for damage in ("", "{}", entry.read_text().replace("[[[7", "[[[8")):
        entry.write_text(damage)
        afresh = tpc.compile(KERNEL)
        afresh.prepare(X, Y, v)
        assert afresh._latest().upgrade.times == {}  # type: ignore[union-attr]
    assert {path.name for path in tmp_path.iterdir()} == before


# ---- on programs


def native(f: tpc.Compiled) -> Upgrade:
    """Have native code, and all contests over that it is in."""
    f.prepare(X, Y, v)
    found = f._latest().upgrade
    assert found is not None
    for _ in range(upgrade.TURNS):
        np.testing.assert_allclose(f(X, Y, v), EXPECTED, rtol=1e-13)
    return found


def test_results_are_right_before_meanwhile_and_after() -> None:
    pytest.importorskip("llvmlite")
    f = tpc.compile(KERNEL)
    np.testing.assert_allclose(f(X, Y, v), EXPECTED, rtol=1e-13)
    found = native(f)
    assert found.native is not None and found.times
    np.testing.assert_allclose(f(X.tolist(), Y, v=v), EXPECTED, rtol=1e-13)
    np.testing.assert_allclose(f(X[:4], Y, v), EXPECTED[:4], rtol=1e-13)
    with pytest.raises(tpc.TpcError):
        f(X, Y, v[:4])
    assert "measured" in f.explain() and "def kernel" in f.source


def test_limits_of_threads_hold_for_native_code_too() -> None:
    pytest.importorskip("llvmlite")
    f = tpc.compile(KERNEL, threads=1)
    native(f)
    from tpc.backends.llvm.engine import thread_setting

    limit = f._latest().limit
    assert limit is not None and thread_setting() in limit.settings


def test_bitwise_stays_in_numpy() -> None:
    f = tpc.compile(KERNEL, mode="bitwise")
    f(X, Y, v)
    assert f._latest().upgrade is None and f.runs == ""


def test_tensors_are_served_by_torch() -> None:
    torch = pytest.importorskip("torch")
    f = tpc.compile(KERNEL)
    f(X, Y, v)
    result = f(*map(torch.from_numpy, (X, Y, v)))
    assert isinstance(result, torch.Tensor) and f._latest().backend == "torch" and f._latest().upgrade is None


def test_a_few_calls_import_no_llvm() -> None:
    code = (
        "import sys, numpy as np, tpc\n"
        "f = tpc.compile('def f(x: f64[n]) -> f64[n] = exp(-x) * tanh(x)')\n"
        "for _ in range(20): f(np.ones(3))\n"
        "f.explain()\n"
        "assert 'llvmlite' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("mode", ["stable", "fast"])
def test_native_code_knows_the_mode(monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("TPC_CACHE", "off")
    from tpc.backends.llvm import lower

    modes: list[bool] = []
    before = lower.lower

    def lowering(program: Any, name: str, *, fast: bool = False) -> Any:
        modes.append(fast)
        return before(program, name, fast=fast)

    monkeypatch.setattr(lower, "lower", lowering)
    tpc.compile(KERNEL, backend="llvm", mode=mode).prepare(X, Y, v)
    assert set(modes) == {mode == "fast"}


def test_functions_of_both_modes_are_kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("TPC_CACHE", str(tmp_path))
    text = "def f(x: f64[n], s: f64) -> f64[n] = tanh(x) / s"
    irs = []
    for mode in ("stable", "fast", "stable"):
        f = tpc.compile(text, backend="llvm", mode=mode)  # type: ignore[arg-type]
        f.prepare(v, 3.0)
        irs.append([native.ir for native in f._latest().run.lowered.values()])  # type: ignore[attr-defined]
    assert irs[0] == irs[2] != irs[1]


def test_native_code_of_a_plan_for_certain_sizes_serves_these_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path))
    compiled = tpc.compile(KERNEL)
    special = compiled._alone(compiled._bound_by_name((X, Y, v), {}))  # as where plans for all sizes need too much
    assert special.upgrade is not None
    special.upgrade.consider()
    more = tpc.compile(KERNEL, backend="llvm")(X[:4], Y, v)  # what is on disk for all sizes is not what was made here
    np.testing.assert_allclose(more, EXPECTED[:4], rtol=1e-12)
    again = tpc.compile(KERNEL)
    special = again._alone(again._bound_by_name((X, Y, v), {}))
    assert special.upgrade is not None
    special.upgrade.consider()  # from the disk, where there is one for all sizes as well
    native: Any = special.upgrade.candidate
    assert native is not None and "(7, 3)" in native.code.emitted.source
