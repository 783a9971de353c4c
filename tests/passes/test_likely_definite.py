"""Symmetric matrices that are likely to be definite are tried by Cholesky's method."""

from __future__ import annotations

import numpy as np
import pytest
from tests.backends.contract import BACKENDS, plain
from tests.backends.contract import run as run_on

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.passes.cost import profile
from tpc.passes.optimise import Request, optimise
from tpc.passes.pipeline import run

SUM = "def f(X: f64[m, n], S: f64[n, n] is symmetric, b: f64[n]) -> f64[n] where m > n = inv(X' @ X + S) @ b\n"
DIFFERENCE = "def f(X: f64[m, n], S: f64[n, n] is symmetric, b: f64[n]) -> f64[n] where m > n = inv(S - X' @ X) @ b\n"
ALONE = "def f(S: f64[n, n] is symmetric, b: f64[n]) -> f64[n] = inv(S) @ b\n"
PROMISED = "def f(X: f64[m, n], b: f64[n]) -> f64[n] = inv(X' @ X) @ b\n"


def plan(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    spelled = run(checked.programs["f"], stop_after="respell").program
    return optimise(spelled, Request(profile("numpy", 1), {"n": 800, "m": 1000}))


def tried(program: Program) -> list[Node]:
    return [n for n in program.nodes if n.op.name == "lu_factor" and n["symmetric"]]


def test_a_sum_with_a_definite_part_is_tried() -> None:
    assert len(tried(plan(SUM))) == 1


@pytest.mark.parametrize("text", [DIFFERENCE, ALONE])
def test_what_may_well_be_indefinite_is_not_tried(text: str) -> None:
    assert not tried(plan(text))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_solution_is_right_definite_or_not(scale: float, backend: str) -> None:
    rng = np.random.default_rng(2)
    X, S, b = rng.standard_normal((30, 20)), rng.standard_normal((20, 20)), rng.standard_normal(20)
    S = scale * (S + S.T)
    A = X.T @ X + S
    assert (np.linalg.eigvalsh(A)[0] > 0) == (scale < 1)
    (x,) = run_on(backend, plan(SUM), [X, S, b])
    np.testing.assert_allclose(A @ plain(x), b, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_broken_promise_is_named(backend: str) -> None:
    """That `inv(X' @ X)` exists is promised; there is no other way that would hide that it does not."""
    promised = plan(PROMISED)
    assert not tried(promised)
    with pytest.raises((TpcError, ValueError, RuntimeError), match="not positive definite"):
        run_on(backend, promised, [np.zeros((5, 3)), np.ones(3)])
