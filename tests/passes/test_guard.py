"""What may lose digits is asked for when the program runs: where it would, the direct form is taken."""

from __future__ import annotations

import numpy as np
import pytest
from tests.backends.contract import BACKENDS, plain
from tests.backends.contract import run as run_on

import tpc
from tpc.dsl.diagnostics import InternalError
from tpc.dsl.source import Source
from tpc.ir.dims import evaluate as evaluate_dim
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.ir.reference import evaluate
from tpc.ir.rewrite import everywhere
from tpc.passes import guard
from tpc.passes.choose.samples import draw
from tpc.passes.cost import profile
from tpc.passes.egraph.explore import Bounds
from tpc.passes.guard import settled
from tpc.passes.kernels import predicted
from tpc.passes.optimise import Optimised, Request, search, with_guard
from tpc.passes.pipeline import Options, run
from tpc.passes.rules import lines
from tpc.passes.variants import variants
from tpc.verification import check_plan

DIAGONAL = "def f(d: f64[n] is positive, U: f64[n, k], b: f64[n]) -> f64[n] = inv(diag(d) + U @ U') @ b\n"
SHIFT = "def f(a: f64 is positive, U: f64[n, k], b: f64[n]) -> f64[n] = inv(a * eye(n) + U @ U') @ b\n"
WEIGHTED = (
    "def f(d: f64[n] is positive, U: f64[n, k], C: f64[k, k] is spd, b: f64[n]) -> f64[n]"
    " = inv(diag(d) + U @ C @ U') @ b\n"
)
LOW_RANK = (
    "def f(A: low_rank_plus_diag(d: f64[n] is positive, U: f64[n, k], C: f64[k, k] is spd, V=U), b: f64[n]) -> f64[n]"
    " = A \\ b\n"
)
SEMIDEFINITE = WEIGHTED.replace("spd", "psd")  # its inverse may not be there
SCALED = WEIGHTED.replace("U @ C", "s * U @ C").replace("b: f64[n]", "b: f64[n], s: f64 is positive")
SHARED = DIAGONAL.replace("U @ U'", "U @ U' / 29")
DOWNDATE = "def f(d: f64[n] is positive, U: f64[n, k], V: f64[k, n], b: f64[n]) -> f64[n] = inv(diag(d) - U @ V) @ b\n"
DENSE = "def f(D: f64[n, n] is spd, U: f64[n, k], b: f64[n]) -> (f64[n], f64[n]) = inv(D) @ b, inv(D + U @ U') @ b\n"
SIZES = {"n": 500, "k": 3}


def program(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs["f"]


def found(text: str, mode: str = "stable", bounds: Bounds | None = None) -> Optimised:
    spelled = run(program(text), stop_after="respell").program
    return search(spelled, Request(profile("numpy", 1), SIZES, mode, bounds or Bounds()))


def guards(plan: Program) -> list[Node]:
    return [node for node in plan.walk() if node.op.name == "harmless"]


def taken(plan: Program, *arrays: object) -> bool:
    """Whether the branch behind the guard is taken."""
    (guard,) = guards(plan)
    (holds,) = evaluate(plan.replace(outputs=[guard], facts=[]), list(arrays))
    return bool(holds)


def backward_error(S: np.ndarray, x: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(S @ x - b) / (np.linalg.norm(S, 2) * np.linalg.norm(x) + np.linalg.norm(b)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", [DIAGONAL, SHIFT])
def test_digits_are_kept_where_the_shift_is_tiny(text: str, backend: str) -> None:
    plan = found(text).program
    rng = np.random.default_rng(1)
    n, k = 60, 3
    U = rng.standard_normal((n, k))
    b = U @ np.ones(k)  # in the range of U the shift cancels
    for a, holds in ((1.0, True), (1e-12, False)):
        shift = np.full(n, a) if text is DIAGONAL else np.array(a)
        assert taken(plan, shift, U, b) == holds
        S = a * np.eye(n) + U @ U.T
        (x,) = run_on(backend, plan, [shift, U, b])
        assert backward_error(S, plain(x), b) < 1e-13
        (lost,) = evaluate(settled(plan, True), [shift, U, b])
        assert (backward_error(S, lost, b) < 1e-8) == holds  # so there was something to guard


@pytest.mark.parametrize("text", [DIAGONAL, SHIFT, WEIGHTED, DOWNDATE, SEMIDEFINITE, SCALED, SHARED])
def test_both_branches_mean_what_was_written(text: str) -> None:
    written, result = program(text), found(text)
    assert len(guards(result.program)) == 1 and result.guard is not None
    assert all(lines()[rule].is_guarded for rule in result.guard.rules)
    assert check_plan(written, result.program).is_telling


def test_a_wrong_branch_is_found() -> None:
    """Whichever side of the guard is wrong, the check of the plan sees it."""
    written, plan = program(DIAGONAL), found(DIAGONAL).program

    def slip(node: Node, side: str) -> Node:
        if node.op.name != "if":
            return node
        inner = node[side]
        (output,) = inner.outputs
        wrong = inner.replace(outputs=[Node(operation("neg"), (output,), (), output.type)])
        return Node(node.op, node.args, {**dict(node.attributes), side: wrong}.items(), node.type)

    from tpc.ir.build import operation

    for side in ("then", "other"):
        with pytest.raises(InternalError):
            check_plan(written, everywhere(plan, lambda node, side=side: slip(node, side)))


def test_the_direct_form_is_taken_where_the_bound_is_no_number() -> None:
    plan = found(DIAGONAL).program
    U = np.ones((5, 2))
    assert not taken(plan, np.array([1.0, 1.0, np.nan, 1.0, 1.0]), U, np.ones(5))
    assert not taken(plan, np.array([1.0, 1.0, 0.0, 1.0, 1.0]), U, np.ones(5))
    assert taken(plan, np.ones(0), np.ones((0, 2)), np.ones(0))


@pytest.mark.parametrize("text", [SEMIDEFINITE, SCALED, SHARED])
def test_the_bound_takes_little_time(text: str) -> None:
    """It is found from the small matrix that is there already, where that is semidefinite or such a one is in it."""
    result, plain = found(text), found(text, "fast")
    assert result.selection.seconds < 2 * plain.selection.seconds


def test_no_diagonal_matrix_is_held_where_a_bound_was_met() -> None:
    result = found(WEIGHTED, "fast", Bounds(classes=250))
    assert result.outcome.stopped_by == "classes"
    assert not any(str(node.type) == "f64[n, n]" for node in result.program.nodes)


def test_mode_fast_does_not_ask() -> None:
    result = found(DIAGONAL, "fast")
    assert not guards(result.program) and result.selection.seconds < found(DIAGONAL).selection.seconds


def test_a_matrix_of_which_the_inverse_may_lose_digits_is_not_updated() -> None:
    """How far the inverse of a dense matrix can be trusted is not cheap to say."""
    assert not guards(found(DENSE).program)
    used = {step.rule for _, _, step in found(DENSE).graph.joins if step is not None}
    assert not any(rule in lines() and lines()[rule].is_guarded for rule in used)


def test_the_expected_branch_is_what_counts() -> None:
    result, prices = found(DIAGONAL), profile("numpy", 1)
    expected = predicted(settled(result.program, True), prices, SIZES)
    direct = found(DIAGONAL, bounds=Bounds(guarded=False)).program
    assert predicted(result.program, prices, SIZES) < 2 * result.selection.seconds < predicted(direct, prices, SIZES)
    assert expected >= predicted(result.program, prices, SIZES) * 0.99


def test_plans_for_open_sizes_are_guarded() -> None:
    plans = [variant.plan for variant in variants(program(DIAGONAL), Options()).plans]
    assert any(guards(plan.program) for plan in plans)
    for plan in plans:
        assert plan.search is not None
        used = plan.search.guard is not None
        assert used == bool(guards(plan.program))


@pytest.mark.parametrize("clearly", [guard.CLEARLY, float("inf")])
@pytest.mark.parametrize("text", [WEIGHTED, SCALED])
def test_plans_for_open_sizes_take_what_they_are_chosen_by(
    monkeypatch: pytest.MonkeyPatch, text: str, clearly: float
) -> None:
    monkeypatch.setattr(guard, "CLEARLY", clearly)  # with the second, no guard pays
    wanted, prices, at = program(text), profile("numpy", 1), {"n": 100_000, "k": 20}
    plans = variants(wanted, Options(at=at), prices=prices)
    for sizes in [at, *draw(wanted, 60)]:
        chosen = plans.plans[plans.choose(sizes)]
        told = sum(seconds * evaluate_dim(dim, sizes) for dim, seconds in chosen.seconds)
        assert predicted(chosen.plan.program, prices, sizes) < 4 * told


def test_what_pays_at_some_sizes_alone_is_found_where_sizes_stay_open() -> None:
    """For as many columns as rows no form by parts is worth a look; for few it takes several."""
    wanted, prices, sizes = program(LOW_RANK), profile("numpy", 1), {"n": 2000, "k": 20}
    plans = variants(wanted, Options(), prices=prices)
    chosen = plans.plans[plans.choose(sizes)].plan.program
    own = run(wanted, Options(at=sizes)).program
    assert predicted(chosen, prices, sizes) < 2 * predicted(own, prices, sizes)


def test_no_plan_gets_much_dearer_by_its_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bound to pay for, a plan may rest on other rules, which need bounds as well."""
    pairs: list[tuple[Optimised, Optimised]] = []

    def watched(found: Optimised) -> Optimised:
        pairs.append((found, with_guard(found)))
        return pairs[-1][1]

    monkeypatch.setattr("tpc.passes.variants.with_guard", watched)
    at, prices = {"n": 100_000, "k": 20}, profile("numpy", 1)
    variants(program(WEIGHTED), Options(at=at), prices=prices)
    assert any(guards(made.program) for _, made in pairs)
    for before, made in pairs:
        assert predicted(made.program, prices, made.request.at) < 2 * before.selection.seconds


def test_native_code_needs_no_memory_for_a_branch_that_is_not_taken() -> None:
    pytest.importorskip("llvmlite")
    n, k = 100_000, 3  # the other branch makes a matrix of n by n
    rng = np.random.default_rng(0)
    d, U, C, b = rng.uniform(1, 2, n), rng.standard_normal((n, k)) / n**0.5, np.eye(k), rng.standard_normal(n)
    f = tpc.compile(WEIGHTED, backend="llvm").prepare(d, U, C, b)
    x = f(d, U, C, b)
    np.testing.assert_allclose(d * x + U @ (U.T @ x), b, atol=1e-12)


def test_a_guarded_plan_prints_and_parses() -> None:
    plan = found(DIAGONAL).program
    assert program(str(plan)) is plan
