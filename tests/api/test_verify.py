"""`verify=True`: a plan is held against the program as written, and wrong plans do not pass."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tests.api.wrong_plans import miscompiled
from tests.programs.algebra import algebra

import tpc
from tpc.dsl.source import Source
from tpc.ir.dims import evaluate as evaluate_dim
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import Domain, evaluate
from tpc.ir.sizes import free_sizes, with_sizes
from tpc.passes.cost import profile
from tpc.passes.egraph.explore import Bounds
from tpc.passes.optimise import Request, optimise
from tpc.passes.pipeline import Options, run
from tpc.samples import sample
from tpc.verification import PlanCheck, check_plan, check_plans
from tpc.verification.operands import NoOperands, declared, field_operands
from tpc.verification.plans import PRIMES
from tpc.verification.shrinking import shrunk
from tpc.verification.sizes import small_sizes

PROGRAMS = {
    "least squares": "def f(X: f64[n, m] is full_rank, M: f64[n, n] is spd, y: f64[n]) -> f64[m] where n > m:\n"
    "    return inv(X' @ inv(M) @ X) @ X' @ inv(M) @ y\n",
    "woodbury": "def f(d: f64[n] is positive, U: f64[n, k], b: f64[n]) -> f64[n] where n > k:\n"
    "    return inv(diag(d) + U @ U') @ b\n",
    "kronecker": "def f(A: f64[n, n], B: f64[m, m], x: f64[n*m]) -> f64[n*m] = kron(A, B) @ x + 2 * x\n",
    "likelihood": "def f(K: f64[n, n] is spd, y: f64[n], s: f64) -> f64:\n    A = K + s * s * eye(n)\n"
    "    return -0.5 * (y @ inv(A) @ y) - 0.5 * logdet(A)\n",
    "chain": "def f(A: f64[n, m], B: f64[m, k], L: f64[k, k] is lower and nonsingular, x: f64[k]) -> f64[n]:\n"
    "    return A @ B @ inv(L) @ x - A @ (B @ x)\n",
    "trace": "def f(A: f64[n, m], B: f64[m, n], Q: f64[n, n] is orthogonal) -> f64:\n"
    "    return trace(Q' @ A @ B @ Q) + sum(A * B')\n",
    "entries": "def f(x: f64[n], A: f64[n, n], w: f64[n]) -> f64[n]:\n"
    "    h = relu(A @ x - w)\n    return softmax(h) * exp(-h) + maximum(h, w)\n",
    "loop": "def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n]:\n    x = b\n    repeat 20:\n"
    "        x = x + 0.1 * (b - A @ x)\n    return inv(A) @ x\n",
}


def program(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return next(reversed(checked.programs.values()))


def optimised(written: Program, seed: int, mode: str = "stable") -> Program:
    """The plan that a search finds for sizes drawn by the seed."""
    rng = random.Random(seed)
    at = {name: rng.choice((4, 50, 1000)) for name in free_sizes(written)}
    spelled = run(written, stop_after="respell").program
    return optimise(spelled, Request(profile("numpy", 1), at, mode, Bounds(rounds=3, work=20_000)))


def means_the_same(written: Program, other: Program, seed: int) -> bool:
    """Whether two programs agree in floats at other points than those of the check."""
    for number, sizes in enumerate(small_sizes(written, seed + 100)):
        arrays = []
        for node, facts in declared(written, sizes).items():
            shape = [evaluate_dim(d, sizes) for d in node.tensor.dims]
            arrays.append(sample(node.tensor.dtype, shape, facts, seed=seed + number, name=node["name"]))
        try:
            pairs = zip(*(evaluate(p, arrays, sizes, Domain("float", passes=3)) for p in (written, other)), strict=True)
        except (ValueError, np.linalg.LinAlgError):
            return False
        if not all(np.allclose(a, b, 1e-7, 1e-7) for a, b in pairs):
            return False
    return True


# ---- what is said


@pytest.mark.parametrize("name", PROGRAMS)
def test_right_plans_pass_with_a_small_bound(name: str) -> None:
    written = program(PROGRAMS[name])
    found = check_plan(written, optimised(written, 0, "fast"))
    assert found.method in ("same", "field", "floats"), found
    assert found.bound is None or found.bound < 1e-9
    assert found.digits is None or found.digits >= 9
    assert name in ("likelihood", "entries") or found.method != "floats", found


def test_a_plan_that_is_the_program_needs_no_points() -> None:
    written = program(PROGRAMS["chain"])
    assert check_plan(written, written) == PlanCheck("same")


def test_of_several_plans_the_least_shown_one_is_told() -> None:
    written = program(PROGRAMS["chain"])
    assert check_plans(written, [written, optimised(written, 1), written], {}).method == "field"


def test_the_verification_of_a_call_tells_of_the_results_and_of_the_plan() -> None:
    f = tpc.compile(PROGRAMS["least squares"], verify=True)
    f(np.arange(8.0).reshape(4, 2) ** 2, np.eye(4), [1, 2, 3, 5])
    assert f.verification is not None and f.verification.startswith("verified: within")
    assert str(f.verify_plan()) in f.verification


# ---- wrong plans


def wrong_plans(name: str, count: int) -> list[tuple[str, Program, Program]]:
    """Miscompilations of a program, drawn by its name, that mean something else."""
    written = program(PROGRAMS[name])
    plan = optimised(written, len(name), "fast")
    wrong = [(what, mutant) for what, mutant in miscompiled(plan) if not means_the_same(written, mutant, 7)]
    random.Random(name).shuffle(wrong)
    return [(what, written, mutant) for what, mutant in wrong[:count]]


@pytest.mark.parametrize("name", PROGRAMS)
def test_wrong_plans_do_not_pass(name: str) -> None:
    mutants = wrong_plans(name, 16)
    assert len(mutants) >= 5
    for what, written, mutant in mutants:
        with pytest.raises(tpc.InternalError, match="verify|plan|means"):
            pytest.fail(f"{what} passed: {check_plan(written, mutant)}\n{mutant}")


SLIPS = {
    "another size": ("def f(x: f64[n], y: f64[m]) = x * n", "def f(x: f64[n], y: f64[m]) = x * m"),
    "a condition dropped": ("def f(L: f64[n, n]) = inv(L)", "def f(L: f64[n, n]) = inv(tril(L))"),
    "half of a symmetric sum": ("def f(A: f64[n, n]) = A + A'", "def f(A: f64[n, n]) = 2 * A"),
    "a number rounded too far": ("def f(x: f64[n]) = x / 3", "def f(x: f64[n]) = 0.3333 * x"),
    "a pass less": (
        "def f(x: f64[n]):\n    repeat 3:\n        x = x * x\n    return x",
        "def f(x: f64[n]):\n    repeat 2:\n        x = x * x\n    return x",
    ),
    "another sign of the root": ("def f(x: f64[n]) = sqrt(x * x)", "def f(x: f64[n]) = x"),
    "an edge of a comparison": ("def f(x: i64[n]) = select(x < 1, x, 5)", "def f(x: i64[n]) = select(x <= 1, x, 5)"),
    "a function beside": ("def f(x: f64[n]) = exp(x)", "def f(x: f64[n]) = exp2(x)"),
    "a maximum of the others": ("def f(x: f64[n]) = max(x)", "def f(x: f64[n]) = max(abs(x))"),
    "the wrong triangle": ("def f(A: f64[n, n] is spd) = cholesky(A)", "def f(A: f64[n, n] is spd) = cholesky(A)'"),
    "complex conjugates": ("def f(A: c128[n, m]) = adjoint(A)", "def f(A: c128[n, m]) = A'"),
    "an axis": ("def f(A: f64[n, n]) = sum(A, axis=0)", "def f(A: f64[n, n]) = sum(A, axis=1)"),
}


@pytest.mark.parametrize("what", SLIPS)
def test_slips_are_found(what: str) -> None:
    right, wrong = (program(f"{text}\n") for text in SLIPS[what])
    assert check_plan(right, right).method == "same"
    with pytest.raises(tpc.InternalError):
        check_plan(right, wrong.replace(inputs=right.inputs) if wrong.inputs == right.inputs else wrong)


# ---- large sizes

LARGE = {"n": 1000, "m": 200, "k": 37}


@pytest.mark.parametrize("name", ["least squares", "woodbury", "kronecker", "chain", "trace", "loop"])
def test_plans_for_large_sizes_are_checked_at_small_ones(name: str) -> None:
    generic = program(PROGRAMS[name])
    fixed = {size: LARGE[size] for size in free_sizes(generic)}
    plan = run(generic, Options(fixed)).program
    found = check_plans(generic, [plan], fixed)
    assert found.method == "field" and found.is_telling and found.instead == fixed
    (sizes,) = found.sizes
    assert max(sizes.values()) < 40 and sorted(sizes, key=sizes.__getitem__) == sorted(fixed, key=fixed.__getitem__)
    assert f"n = {sizes['n']}" in str(found) and "in the place of n = 1000" in str(found)


@pytest.mark.parametrize("name", ["least squares", "chain", "trace"])
def test_wrong_plans_for_large_sizes_do_not_pass(name: str) -> None:
    generic = program(PROGRAMS[name])
    fixed = {size: LARGE[size] for size in free_sizes(generic)}
    plan = run(generic, Options(fixed)).program
    wrong = []
    for _, mutant in miscompiled(plan):
        small = shrunk(generic, with_sizes(generic, fixed), [mutant], fixed, 0)
        if small is not None and small.is_sure and not means_the_same(small.written, small.plans[0], 7):
            wrong.append(mutant)
    assert len(wrong) >= 3
    for mutant in wrong[:6]:
        with pytest.raises(tpc.InternalError):
            pytest.fail(f"passed: {check_plans(generic, [mutant], fixed)}\n{mutant}")


def test_numbers_made_of_sizes_become_those_of_small_ones() -> None:
    generic = program("def f(x: f64[n], m: f64[n, n + 1]) = sum(x) / n + log(2 * pi) * n / 2 + sqrt(n) * sum(m)\n")
    plan = run(generic, Options({"n": 1000})).program
    found = check_plans(generic, [plan], {"n": 1000})
    assert found.instead == {"n": 1000} and found.method in ("field", "floats")


def test_a_number_of_unknown_origin_is_no_alarm() -> None:
    generic = program("def f(A: f64[n, n], x: f64[n]) = A @ x * n^3\n")
    odd = program("def f(A: f64[1000, 1000], x: f64[1000]) = A @ x * 1000000000.1234567\n")
    small = shrunk(generic, with_sizes(generic, {"n": 1000}), [odd], {"n": 1000}, 0)
    assert small is not None and not small.is_sure


# ---- right plans


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_right_plans_raise_no_alarm(start: int) -> None:
    methods: dict[str, int] = {}
    for seed in range(start, start + 100):
        written = program(algebra(seed, 2))
        found = check_plan(written, optimised(written, seed, ("stable", "fast")[seed % 2]), seed)
        methods[found.method] = methods.get(found.method, 0) + 1
        assert found.bound is None or found.bound < 1e-9
        assert found.digits is None or found.digits >= 6, (seed, found)
    assert methods.get("none", 0) <= 3 and methods.get("field", 0) >= 40, methods


# ---- operands


@pytest.mark.parametrize(
    "facts",
    ["spd", "symmetric", "skew", "orthogonal", "permutation", "lower and nonsingular", "banded(1, 0)", "toeplitz",
     "circulant", "spd and banded(1, 1)", "projection(1)", "low_rank(1)", "unit_diagonal and upper", "row_stochastic",
     "diagonal and orthogonal", "symmetric and toeplitz", "orthogonal and symmetric", "psd and low_rank(1)"],
)  # fmt: skip
def test_operands_over_a_field_have_the_facts(facts: str) -> None:
    drawn = program(f"def f(A: f64[n, n] is {facts}) = A\n")
    for seed in range(3):
        (A,) = field_operands(drawn, {"n": 4}, PRIMES[seed % 2], seed)  # which checks what it draws
        assert A.shape == (4, 4)


def test_facts_that_cannot_be_drawn_are_told() -> None:
    drawn = program("def f(A: f64[n, n] is orthogonal and skew) = A\n")
    with pytest.raises(NoOperands):
        field_operands(drawn, {"n": 4}, PRIMES[0], 0)


def test_the_judge_of_mutants_can_say_either() -> None:
    written: Any = program(PROGRAMS["chain"])
    assert means_the_same(written, optimised(written, 0), 1)
    assert not means_the_same(written, next(iter(miscompiled(written)))[1], 1)
