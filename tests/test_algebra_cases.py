"""The cases of `benchmarks/algebra`: at small sizes the program, the form as written and the expert agree.

Nothing here takes the time; that is what `python -m benchmarks algebra` is for.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np
import pytest
from benchmarks.algebra import random_programs
from benchmarks.algebra.case import Case, reference, relative_error, scaled, small, tolerance
from benchmarks.algebra.cases import GROUPS
from benchmarks.algebra.chain import Factor, Order
from benchmarks.algebra.contraction import pairwise_flops
from benchmarks.algebra.measure import deadline, measure
from benchmarks.algebra.report import enough, summary

import tpc

CASES = [case for group in GROUPS for case in group.cases]
RUNNABLE = [case for case in CASES if case.expect == "optimise"]
RANDOM = random_programs.group(6, seed=1).cases


def named(cases: list[Case] | tuple[Case, ...]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def sizes_of(case: Case) -> dict[str, int]:
    if case.group == "contractions":  # with 20 letters even small sizes make a large grid
        return {name: min(size, 2) for name, size in case.sizes.items()}
    return small(case.sizes)


def assert_agree(case: Case) -> None:
    """Fail unless tpc, the form as written and the expert give one value, within rounding."""
    operands = case.operands(sizes_of(case), seed=0)
    written, expert = case.written, case.expert
    assert written is not None
    expected, growth = reference(lambda *given: written(np, *given), operands)
    allowed = tolerance(operands, growth)
    assert allowed < 1e-2  # or nothing would be tested
    compiled = tpc.compile(case.program, backend="numpy", check_facts=True)
    result = compiled(*operands)
    assert relative_error(tuple(result) if isinstance(result, tuple) else result, expected) <= allowed
    assert relative_error(written(np, *operands), expected) <= allowed
    if expert is not None:
        assert relative_error(expert(*operands), expected) <= allowed
    told = compiled.verify_plan()
    # that the logarithm of a product is a sum of logarithms is seen in floats alone
    methods = ("floats",) if case.name == "structured/kron-logdet" else ("same", "field")
    assert told.method in methods and (told.bound or 0) < 1e-9, told


@named(RUNNABLE)
def test_program_formula_and_expert_agree(case: Case) -> None:
    assert_agree(case)


@named(RUNNABLE)
def test_the_best_form_has_a_count(case: Case) -> None:
    for sizes in (case.sizes, scaled(case.sizes, 0.1), small(case.sizes)):
        assert 0 < case.best(sizes) < math.inf


@named([case for case in CASES if case.expect == "reject"])
def test_a_wrong_program_is_rejected(case: Case) -> None:
    with pytest.raises(tpc.TpcError) as caught:
        case.checked()
    assert caught.value.diagnostics[0].labels  # with its place


@named([case for case in CASES if case.expect == "warn"])
def test_a_promise_that_cannot_hold_is_told(case: Case) -> None:
    assert measure(case, small(case.sizes), 0)["met"]
    honest = dataclasses.replace(case, program="def f(A: f64[n, n]) -> f64[n, n] = A")
    assert not measure(honest, small(case.sizes), 0)["met"]


@named(RANDOM)
def test_random_programs_agree_with_their_formula(case: Case) -> None:
    assert_agree(case)


def test_random_programs_depend_on_the_seed_alone() -> None:
    def texts(seed: int) -> list[str]:
        return [case.program for case in random_programs.group(3, seed).cases]

    assert texts(1) == texts(1) != texts(2)


def test_names_are_unique_and_laab_scores_17() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) == 104
    assert sum(case.scored for case in CASES) == 17


# ---- counts


def test_the_order_of_a_chain_is_the_best() -> None:
    factors = [Factor("A", "10", "100"), Factor("B", "100", "5"), Factor("C", "5", "50")]
    assert Order(factors, {}).flops == 2 * (10 * 100 * 5 + 10 * 5 * 50)  # the example of Cormen et al.
    triangle = [Factor("L", "n", "n", "lower", inverted=True), Factor("B", "n", "m")]
    assert Order(triangle, {"n": 10, "m": 3}).flops == 10 * 10 * 3


def test_the_order_of_a_contraction_is_the_best() -> None:
    assert pairwise_flops("ij,jk,kl->il", dict.fromkeys("ijkl", 10)) == 4 * 10**3
    assert pairwise_flops("abc,cfd,dbe,efa->", dict.fromkeys("abcdef", 20)) == 4 * 20**5 + 2 * 20**3
    assert pairwise_flops("ij,k->k", {"i": 2, "j": 3, "k": 4}) == 2 * 3 + 4  # what stands alone is summed first


def test_counts_may_differ_in_terms_of_lower_order_only() -> None:
    assert enough(1000**3 + 3 * 1000**2, 1000**3, [1000])
    assert not enough(2 * 1000**3, 1000**3, [1000])
    assert not enough(1000**2, 1, [1000])
    assert not enough(None, 1, [1000])


def test_more_operations_are_told_apart_where_they_take_no_longer() -> None:
    def row(name: str, tpc: float) -> dict[str, Any]:
        runs = {"expert": {"median": 1.0}, "tpc": {"median": tpc, "flops": 2e9}}
        return {
            "name": name,
            "expect": "optimise",
            "scored": False,
            "best_flops": 1e9,
            "sizes": {"n": 1000},
            "runs": runs,
        }

    lines, figures = summary([row("a/slow", 1.2), row("a/fast", 0.8)])
    assert figures["a"]["operations"] == 0 and figures["a"]["more operations and not slower"] == ["a/fast"]
    assert any("0/2 by operations, 1 with more and not slower (a/fast)" in line for line in lines)


# ---- the helpers can fail


def test_errors_are_found() -> None:
    right = np.eye(3)
    assert relative_error(right, right) == 0
    assert relative_error(right + 1e-3, right) > 1e-4
    assert relative_error(right[:2], right) == relative_error(right * np.nan, right) == math.inf
    assert relative_error((right,), (right, right)) == math.inf


def test_a_wrong_expert_is_found() -> None:
    case = next(case for case in CASES if case.name == "laab/2a")
    with pytest.raises(AssertionError):
        assert_agree(dataclasses.replace(case, expert=lambda A, B: 2 * (B.T @ A)))


def test_tolerance_grows_with_the_condition() -> None:
    operands: list[Any] = [np.array([[1.0, 1.0], [1.0, 1.0 + 1e-6]])]
    assert reference(np.linalg.inv, operands)[1] > 1e5
    assert reference(lambda A: 2 * A, operands)[1] == 1


# ---- measuring


def test_a_measurement_has_samples() -> None:
    case = next(case for case in CASES if case.name == "laab/2a")
    row = measure(case, {"n": 8}, 0, ["expert", "numpy", "tpc numpy"])
    runs = row["runs"]
    assert all(len(run["seconds"]) == 3 and run["median"] > 0 and run["peak_bytes"] > 0 for run in runs.values())
    assert runs["tpc numpy"]["flops"] > 0
    lines, figures = summary([row])
    assert figures["laab"]["of"] == 1 and any("by operations" in line for line in lines)


def cheats() -> dict[str, Any]:
    """Ways to be fast on A'B + A'B that are none."""
    kept: list[Any] = []

    def cached(A: Any, B: Any) -> Any:
        kept.append(2 * (A.T @ B))
        return kept[0]

    def mutated(A: Any, B: Any) -> Any:
        right = 2 * (A.T @ B)
        A *= 2
        return right

    def skipped(A: Any, B: Any) -> Any:
        right = 2 * (A.T @ B)
        right[-1] = 0
        return right

    return {"constant": lambda A, B: np.ones_like(A), "cached": cached, "mutated": mutated, "skipped": skipped}


@pytest.mark.parametrize("name", cheats())
def test_cheats_are_found(name: str) -> None:
    case = next(case for case in CASES if case.name == "laab/2a")
    row = measure(dataclasses.replace(case, expert=cheats()[name]), {"n": 8}, 0, ["expert"])
    assert row["runs"]["expert"]["left_out"].startswith("wrong")


def test_what_takes_too_long_is_stopped() -> None:
    with pytest.raises(TimeoutError), deadline(0.05):
        time.sleep(5)
