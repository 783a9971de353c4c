"""Budgets in programs: what is spent of them, what is promised, and what stays exact, with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.approximation.programs import away, compiled, decaying
from tpc.dsl.diagnostics import InternalError
from tpc.ir.reference import evaluate

N = 256
ONE = f"""
def f(x: f64[b, {N}]) -> f64[b, {N}]:
    Ws ~= W within 1e-2
    return relu(x @ Ws')
"""


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def low(noise: float = 1e-4) -> np.ndarray:
    random = draw(1)
    A = random.standard_normal((N, 8)) @ random.standard_normal((8, N))
    return A + noise * np.linalg.norm(A) / N * random.standard_normal((N, N))


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
def test_a_constant_gives_way_to_its_parts(tmp_path: Path, backend: str) -> None:
    pytest.importorskip({"torch": "torch", "llvm": "llvmlite"}.get(backend, "numpy"))
    W, x = low(), draw().standard_normal((5, N))
    f = compiled(ONE, tmp_path, {"W": W}, backend=backend)
    wanted = np.maximum(x @ W.T, 0)
    assert 1e-9 < away(f(x), wanted) < 1e-2
    (found,) = f.certificates
    assert found.kind == "sure" and found.is_met and 0 < found.bound < 1e-3
    assert found.spent[0].structure == "low rank" and found.spent[0].about == f"rank 8 of {N}"
    assert found.bytes[1] * 10 < found.bytes[0] and found.seconds[1] < found.seconds[0]
    text = f.explain()
    assert "Ws within 0.01: error at most" in text and "rank 8 of 256" in text


def test_what_runs_is_within_the_certificate_of_what_is_stored(tmp_path: Path) -> None:
    text = ONE.replace("relu(x @ Ws')", "x @ Ws'")
    f = compiled(text, tmp_path, {"W": low().astype(np.float32)})
    (found,) = f.certificates
    W = low().astype(np.float32).astype(np.float64)
    assert np.linalg.norm(f(np.eye(N)) - W.T) <= found.bound * np.linalg.norm(W)


def test_the_reference_takes_the_exact_value(tmp_path: Path) -> None:
    W, x = low(), draw().standard_normal((2, N))
    f = compiled(ONE, tmp_path, {"W": W})
    (value,) = evaluate(f.program, [x])
    assert away(value, np.maximum(x @ W.T, 0)) < 1e-14


def test_what_is_not_known_stays_exact_and_says_why(tmp_path: Path) -> None:
    for before, after, reason in (
        ("within 1e-2", "within 0", "the budget is 0"),
        ("~= W within", "~= x' @ x within", "no constant that it is computed with is large enough to be replaced"),
    ):
        f = compiled(ONE.replace(before, after), tmp_path, {"W": low()})
        assert f.certificates[0].kind == "exact" and reason in f.certificates[0].reason and reason in f.explain()


def test_mode_bitwise_is_exact(tmp_path: Path) -> None:
    W, x = low(), draw().standard_normal((5, N))
    f = compiled(ONE, tmp_path, {"W": W}, mode="bitwise")
    assert away(f(x), np.maximum(x @ W.T, 0)) < 1e-14
    assert f.certificates[0].kind == "exact" and "in this mode" in f.certificates[0].reason


def test_a_random_matrix_stays(tmp_path: Path) -> None:
    f = compiled(ONE, tmp_path, {"W": draw().standard_normal((N, N))})
    assert f.certificates[0].reason == "no structure that saves anything is within 0.01 of it"
    f = compiled(ONE, tmp_path, {"W": np.zeros((N, N))})
    assert f.certificates[0].reason == "it is zero"
    W = low()
    W[3, 4] = np.nan
    assert compiled(ONE, tmp_path, {"W": W}).certificates[0].reason == "not all of its entries are finite"


def test_what_does_not_pay_is_declined(tmp_path: Path) -> None:
    text = f"def f() -> f64[{N}, {N}]:\n    Ws ~= W within 1e-2\n    return Ws\n"
    (found,) = compiled(text, tmp_path, {"W": low()}).certificates
    assert found.kind == "exact" and "not predicted to be faster" in found.reason


def test_a_declared_fact_is_kept(tmp_path: Path) -> None:
    text = ONE.replace("Ws ~=", f"Ws: f64[{N}, {N}] is symmetric ~=")
    W = low()
    (found,) = compiled(text, tmp_path, {"W": W + W.T}).certificates
    assert found.kind == "exact" and "symmetric" in found.reason


def test_loops_see_the_parts(tmp_path: Path) -> None:
    text = f"""
def f(x: f64[{N}]) -> f64[{N}]:
    Ws ~= W within 1e-2
    repeat 4:
        x = tanh(Ws @ x)
    return x
"""
    W, x = low() / 100, draw().standard_normal(N)
    f = compiled(text, tmp_path, {"W": W})
    assert f.certificates[0].spent and "@ (Ws_V @" in f.source
    wanted = x
    for _ in range(4):
        wanted = np.tanh(W @ wanted)
    assert away(f(x), wanted) < 5e-2


def test_derivatives_are_those_of_what_is_computed(tmp_path: Path) -> None:
    text = f"""
def loss(x: f64[{N}]) -> f64:
    Ws ~= W within 1e-2
    return sum((Ws @ x)^2)

def near(x: f64[{N}]) -> f64:
    y ~= tanh(x) within 1e-2
    return sum(y^2)

def slope(x: f64[{N}]) -> f64[{N}] = grad(loss, x)(x)
def other(x: f64[{N}]) -> f64[{N}] = grad(near, x)(x)
"""
    W, x = low(), draw().standard_normal(N)
    f = compiled(text, tmp_path, {"W": W}, function="slope")
    assert f.certificates[0].spent and away(f(x), 2 * W.T @ (W @ x)) < 2e-2
    f = compiled(text, tmp_path, {"W": W}, function="other")
    assert away(f(x), 2 * np.tanh(x) / np.cosh(x) ** 2) < 1e-12


def test_a_plan_is_verified_against_what_stands_in_the_place_of_values(tmp_path: Path) -> None:
    W = np.kron(np.ones((5, 5)), draw().standard_normal((8, 8)))
    text = "def f(x: f64[40]) -> f64[40]:\n    Ws ~= W within 1e-2\n    return Ws @ x\n"
    f = compiled(text, tmp_path, {"W": W + 1e-5 * draw(1).standard_normal((40, 40))}, verify=True)
    if f.certificates[0].spent:
        assert "verified" in f"{f(np.ones(40))} {f.verification}"
        found = f._found()
        wrong = found.plans[0].plan.approximated.exact  # type: ignore[union-attr]
        from tpc.verification.results import verify_results

        with pytest.raises(InternalError):
            verify_results(wrong, [np.ones(40)], [f(np.ones(40)) + 1.0], {})


# ---- on data


TWO = f"""
def f(x: f64[b, {N}]) -> f64[b, {N}]:
    y ~= relu(x @ W1') @ W2' within BUDGET
    return y
"""


def pair() -> dict[str, np.ndarray]:
    return {"W1": decaying(N, 0.9, draw(1)), "W2": decaying(N, 0.9, draw(2))}


def exact(x: np.ndarray) -> np.ndarray:
    arrays = pair()
    return np.maximum(x @ arrays["W1"].T, 0) @ arrays["W2"].T


def test_a_budget_on_data_is_spent_over_constants(tmp_path: Path) -> None:
    X = draw(3).standard_normal((100, N))
    f = compiled(TWO.replace("BUDGET", "1e-2 on X"), tmp_path, {**pair(), "X": X})
    (found,) = f.certificates
    assert found.kind == "measured" and [r.name for r in found.spent] == ["W1", "W2"]
    assert "says nothing of other data" in found.promise
    assert away(f(X), exact(X)) == pytest.approx(found.bound, rel=1e-6) and found.bound <= 1e-2


def test_a_matrix_is_measured_on_data(tmp_path: Path) -> None:
    random = draw()
    X = random.standard_normal((100, 5)) @ random.standard_normal((5, N))
    W = random.standard_normal((N, N))
    for use, product in (("x @ Ws", X @ W), ("x @ Ws'", X @ W.T)):
        text = ONE.replace("1e-2", "1e-3 on X").replace("relu(x @ Ws')", use)
        f = compiled(text, tmp_path, {"W": W, "X": X})
        assert f.certificates[0].kind == "measured" and f.certificates[0].on == "X"
        assert away(f(X), product) < 1e-3
    x = random.standard_normal((3, N))
    assert away(f(x), x @ W.T) > 0.5  # off the data


def test_data_that_is_not_known_is_refused(tmp_path: Path) -> None:
    text = ONE.replace("1e-2", "1e-2 on x")
    assert "is not known when" in compiled(text, tmp_path, {"W": low()}).certificates[0].reason


# ---- bounds at each call


def test_a_budget_without_data_is_bounded_at_each_call(tmp_path: Path) -> None:
    f = compiled(TWO.replace("BUDGET", "5e-2"), tmp_path, pair())
    (found,) = f.certificates
    assert found.kind == "guarded" and found.measured is not None and found.measured < found.bound < 5e-2
    x = draw(5).standard_normal((20, N))
    assert 1e-9 < away(f(x), exact(x)) < found.bound
    # inputs that the constants nearly cancel: the exact value is taken
    _, _, V = np.linalg.svd(pair()["W1"])
    x = V[-5:]
    assert away(f(x), exact(x)) < 1e-12


def test_tolerance_is_a_budget_for_every_result(tmp_path: Path) -> None:
    text = f"def f(x: f64[b, {N}]) -> f64[b, {N}] = relu(x @ W1') @ W2'\n"
    f = compiled(text, tmp_path, pair(), tolerance=5e-2)
    (found,) = f.certificates
    assert found.kind == "guarded" and found.name == "out"
    x = draw(5).standard_normal((20, N))
    assert 1e-9 < away(f(x), exact(x)) < 5e-2
    assert compiled(text, tmp_path, pair()).certificates == ()


@pytest.mark.parametrize(
    ("expression", "op"),
    [
        ("layernorm(x @ W1')", "layernorm"),
        ("1 / (x @ W1')", "div"),
        ("log(x @ W1')", "log"),
    ],
)
def test_the_bound_stops_where_none_is_known(tmp_path: Path, expression: str, op: str) -> None:
    text = f"def f(x: f64[b, {N}]) -> f64[b, {N}] = {expression}\n"
    (found,) = compiled(text, tmp_path, {"W1": pair()["W1"]}, tolerance=5e-2).certificates
    assert found.kind == "exact" and f"stops at `{op}`" in found.reason and "on X" in found.reason


def test_a_wrong_tolerance_is_refused() -> None:
    with pytest.raises(tpc.TpcError):
        tpc.compile("def f(x: f64) -> f64 = x", tolerance=1.5)
