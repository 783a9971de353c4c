"""Functions with a state that each call replaces."""

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError

SPRING = "def spring(x: f64[n], v: f64[n], dt: f64) -> (f64[n], f64[n], f64) = x + dt * v, v - dt * x, x @ x + v @ v\n"


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm", "auto"])
def test_steps_are_calls_with_the_results_of_the_last_one(backend: str) -> None:
    f = tpc.compile(SPRING, backend=backend)
    for n in (3, 1, 0):
        x, v = np.arange(n) + 1.0, np.ones(n)
        run = f.start(x, v)
        for dt in (0.1, 0.2, 0.1):
            energy = x @ x + v @ v
            np.testing.assert_allclose(run(dt) if dt > 0.1 else run(dt=dt), energy)
            x, v = x + dt * v, v - dt * x
            for found, wanted in zip(run.state, (x, v), strict=True):
                np.testing.assert_allclose(found, wanted)


def test_torch_tensors_stay_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    run = tpc.compile("def f(x: f32[n]) -> f32[n] = 2 * x\n").start(torch.ones(3))
    assert run() is None and isinstance(run.state, torch.Tensor)
    torch.testing.assert_close(run.state, torch.full((3,), 2.0))


def test_what_was_given_is_not_written_to_and_may_grow() -> None:
    grown = tpc.compile("def f(x: f64[n], y: f64) -> f64[n + 1] = concat(x, [y])\n")
    x = np.zeros(1)
    run = grown.start(x)
    for k in range(3):
        run(float(k))
    np.testing.assert_array_equal(run.state, [0, 0, 1, 2])
    np.testing.assert_array_equal(x, [0])


def test_several_further_results_are_a_tuple() -> None:
    run = tpc.compile("def f(x: f64) -> (f64, f64, f64) = x + 1, x + 2, x + 3\n").start(0.0)
    assert run() == (2.0, 3.0) and run.state == 1.0 and "f" in repr(run)


def test_a_step_that_fails_changes_nothing() -> None:
    run = tpc.compile("def f(x: f64[n], A: f64[n, n]) -> f64[n] = A \\ x\n").start(np.ones(2))
    run(2 * np.eye(2))
    for wrong in (np.zeros((2, 2)), np.eye(3)):
        with pytest.raises(TpcError):
            run(wrong)
        np.testing.assert_array_equal(run.state, [0.5, 0.5])


def test_a_state_must_be_replaced() -> None:
    f = tpc.compile("def f(x: f64[n], v: f64[n]) -> f64[n] = x + v\n")
    with pytest.raises(TpcError, match="E0816"):
        f.start(np.ones(2), np.ones(2))()
    with pytest.raises(TpcError, match="E0801"):
        f.start()
