"""Two stages: what is known ahead of calls is found, priced by its uses, and computed apart."""

from __future__ import annotations

import numpy as np
import pytest
from tests.passes.counted import program

import tpc
from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.cost import profile
from tpc.passes.differentiate import differentiate
from tpc.passes.egraph.load import load
from tpc.passes.pipeline import Options, run
from tpc.passes.stages.split import Stages, split
from tpc.passes.stages.times import Uses, given_uses, node_uses, seconds_each

RIDGE = """
def ridge(X: f64[n, p] is param, y: f64[n], l: f64) -> f64[p]:
    return inv(X' @ X + l * eye(p)) @ X' @ y

def path(X: f64[n, p] is param, y: f64[n], ls: f64[k]) = vmap(ridge, l)(X, y, ls)
"""
AFFINE = """
def reduced(Q: f64[n, r] is param, A: f64[n, n] is param, B: f64[n, n] is param, f: f64[n] is param, m: f64) -> f64[r]:
    return (Q' @ (A + m * B) @ Q) \\ (Q' @ f)
"""


def stages(text: str, calls: int = 100, mode: str = "stable", name: str | None = None, **sizes: int) -> Stages:
    given = program(text, sizes, name)
    plan = run(given, Options(sizes, mode=mode, calls=calls), stop_after="prune")
    return split(plan.program, plan.notes.names)


def ops(given: Program) -> list[str]:
    """The ops of a program, those in its loops and branches too."""
    return [node.op.name for node in given.walk()]


def joined(found: Stages, arguments: dict[str, object]) -> list[np.ndarray]:
    """What both stages give, one after the other, in NumPy."""
    numpy = backend("numpy")

    def results(stage: Program, values: list[object]) -> tuple[object, ...]:
        returned = numpy.load(numpy.emit(stage))(*values)
        return returned if isinstance(returned, tuple) else (returned,)

    held = results(found.ahead, [arguments[n["name"]] for n in found.ahead.inputs])
    others = found.each.inputs[len(held) :]
    return list(map(np.asarray, results(found.each, [*held, *[arguments[n["name"]] for n in others]])))


def sample(given: Program, seed: int = 0) -> dict[str, object]:
    random = np.random.default_rng(seed)
    return {n["name"]: random.standard_normal(n.tensor.dims) + 0.5 * (not n.tensor.dims) for n in given.inputs}


# ---- times


def test_uses_are_the_least_of_the_operands() -> None:
    given = program(
        "def f(A: f64[n, n] is param, c: f64 is const, x: f64[n]) = (2 * c * A) @ x + A @ ones(n)\n", {"n": 3}
    )
    uses = node_uses(given, given_uses(given, 7))
    by_name = {n["name"]: uses[n] for n in given.inputs}
    assert by_name == {"A": 7, "c": 7, "x": 1}
    products = [node for node in given.nodes if node.op.name == "matvec"]
    assert sorted(uses[node] for node in products) == [1, 7]
    assert given_uses(given, 1) == {}


def test_an_equal_form_that_changes_more_rarely_is_enough() -> None:
    given = program("def f(A: f64[n, n] is param, x: f64[n]) = (A @ A, x + x)\n", {"n": 3})
    graph, classes = load(given, uses=given_uses(given, 5))
    early, late = (classes[node] for node in given.outputs)
    assert (Uses(graph)(early), Uses(graph)(late)) == (5, 1)
    graph.join(early, late)
    graph.rebuild()
    assert Uses(graph)(late) == 5


def test_seconds_count_by_use() -> None:
    given = program("def f(A: f64[n, n] is param, x: f64[n]) = A @ A @ x\n", {"n": 200})
    prices = profile("numpy", 1)
    once, often = (seconds_each(given, prices, {}, given_uses(given, calls)) for calls in (1, 100))
    assert often < 0.5 * once


# ---- plans


def test_one_eigendecomposition_serves_many_calls_of_ridge() -> None:
    found = stages(RIDGE, calls=1000, name="ridge", n=2000, p=300)
    assert ops(found.ahead).count("eigh") == 1
    assert not {"eigh", "cholesky", "lu_factor", "matmul", "solve"} & set(ops(found.each))


def test_few_calls_factor_each_time() -> None:
    found = stages(RIDGE, calls=2, name="ridge", n=2000, p=300)
    assert "eigh" not in [*ops(found.ahead), *ops(found.each)]
    assert ops(found.ahead).count("matmul") == 1 and "lu_factor" in ops(found.each)  # the Gram matrix is held


def test_a_path_of_twenty_shifts_has_one_factorization() -> None:
    found = stages(RIDGE, name="path", n=1000, p=200, k=20)
    both = [*ops(found.ahead), *ops(found.each)]
    assert both.count("eigh") == 1 and not {"cholesky", "lu_factor", "inv", "solve"} & set(both)


def test_a_loop_of_unknown_length_is_priced_as_it_runs() -> None:
    """What may fail stays behind a branch; so it must not be taken for work that is done ahead."""
    found = stages(RIDGE, calls=1000, name="path", n=1000, p=200)
    assert "eigh" not in ops(found.each)


def test_what_needs_a_size_that_a_call_tells_is_not_computed_ahead() -> None:
    for text in (
        "def f(X: f64[n, p] is param, y: f64[k]) = (X' @ X) * f64(k) + sum(y)\n",
        "def f(X: f64[n, p] is param, y: f64[k]):\n    Z[i, j] = X[i, j] / k\n    return Z' @ Z + sum(y)\n",
        "def f(X: f64[n, n] is param, y: f64[k]):\n    Z = X\n    repeat k:\n        Z = X @ Z\n    return Z, y\n",
    ):
        f, X = tpc.compile(text), np.arange(4.0).reshape(2, 2)
        prepared = f.prepare(X=X)
        for k in (3, 0, 1):
            for value, wanted in zip(prepared(np.ones(k)), f(X, np.ones(k)), strict=True):
                np.testing.assert_allclose(value, wanted)


def test_an_affine_family_is_projected_part_by_part() -> None:
    found = stages(AFFINE, n=2000, r=12)
    large = [n for n in found.each.nodes if 2000 in n.tensor.dims]
    assert not large and ops(found.ahead).count("matmul") == 4
    assert found.bytes == (2 * 12 * 12 + 12) * 8


def test_products_of_constant_weights_are_folded() -> None:
    text = "def f(W: f64[a, b] is param, V: f64[b, c] is param, x: f64[m, a]) = x @ (W @ V)\n"
    folded = stages(text, a=300, b=600, c=100, m=40)
    assert ops(folded.each).count("matmul") == 1
    assert [n.tensor.dims for n in folded.ahead.outputs] == [(300, 100)]
    apart = stages(text, a=300, b=2, c=300, m=5)  # to fold it would make calls slower
    assert ops(apart.each).count("matmul") == 2 and "matmul" not in ops(apart.ahead)


def test_a_factorization_is_held() -> None:
    found = stages("def f(S: f64[n, n] is param and spd, b: f64[n]) = (S \\ b, logdet(S))\n", n=300)
    assert ops(found.ahead).count("cholesky") == 1 and "cholesky" not in ops(found.each)
    assert "cho_solve" in ops(found.each) and "log" not in ops(found.each)


def test_tables_of_exponentials_are_folded() -> None:
    found = stages("def f(L: f64[n, n] is param, dt: f64 is param, u: f64[n]) = expm(dt * L) @ u\n", n=20)
    assert "expm" in ops(found.ahead) and ops(found.each) == ["input", "input", "matvec"]


def test_a_basis_by_recursion_is_a_table() -> None:
    text = """
def f(x: f64[m] is param, c: f64[k]) -> f64[m]:
    scan i in k:
        B[i] = cos(i * x)
    return B' @ c
"""
    found = stages(text, m=50, k=8)
    assert "cos" in ops(found.ahead) and not {"cos", "scan"} & set(ops(found.each))


# ---- what is not done ahead


def test_nothing_is_computed_for_a_branch_that_may_not_be_taken() -> None:
    text = """
def f(S: f64[n, n] is param, b: f64[n], wanted: bool) -> f64[n]:
    if wanted:
        x = cholesky(S) @ b
    else:
        x = b
    return x
"""
    found = stages(text, n=5)
    assert "cholesky" not in ops(found.ahead)
    bad = {"S": -np.eye(5), "b": np.ones(5), "wanted": np.array(False)}
    assert np.allclose(joined(found, bad)[0], 1)
    with pytest.raises(np.linalg.LinAlgError):
        joined(found, {**bad, "wanted": np.array(True)})


def test_nothing_is_computed_for_a_loop_that_may_make_no_pass() -> None:
    text = """
def f(S: f64[n, n] is param, b: f64[n], tol: f64) -> f64[n]:
    x = b
    repeat 10 until norm(x) <= tol:
        x = 0.5 * (cholesky(S) @ x)
    return x
"""
    found = stages(text, n=4)
    assert "cholesky" not in [node.op.name for node in found.ahead.nodes]
    assert np.allclose(joined(found, {"S": -np.eye(4), "b": np.zeros(4), "tol": np.float64(1)})[0], 0)


def test_a_residual_norm_is_not_expanded() -> None:
    text = """
def f(A: f64[n, n] is param, B: f64[n, n] is param, b: f64[n] is param, m: f64, x: f64[n]) -> f64:
    return norm((A + m * B) @ x - b)
"""
    found = stages(text, n=200)
    assert "norm" in ops(found.each) and not any(n.op.name in ("dot", "sqrt") for n in found.each.nodes)


def test_bitwise_moves_code_alone() -> None:
    found = stages(RIDGE, calls=1000, mode="bitwise", name="ridge", n=30, p=5)
    assert "inv" in ops(found.each) and "eigh" not in ops(found.ahead)


# ---- the split

PROGRAMS = {
    "ridge": (RIDGE, "ridge", {"n": 40, "p": 6}),
    "path": (RIDGE, "path", {"n": 40, "p": 6, "k": 4}),
    "affine": (AFFINE, None, {"n": 30, "r": 4}),
    "whole": ("def f(A: f64[n, m] is param, x: f64[m]) = (A', A @ x, sum(A))\n", None, {"n": 3, "m": 2}),
    "part": ("def f(A: f64[n, m] is param, x: f64[m]) = A[0] * x\n", None, {"n": 3, "m": 2}),
    "numbers": ("def f(a: f64 is param, x: f64[m]) = exp(a) * x + ones(m)\n", None, {"m": 3}),
    "empty": ("def f(A: f64[n, m] is param, x: f64[m]) = A @ x\n", None, {"n": 0, "m": 2}),
    "dynamic": ("def f(x: f64[m]) = exp(x)\n", None, {"m": 3}),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("calls", [1, 10_000])
def test_both_stages_are_the_program(name: str, calls: int) -> None:
    text, function, sizes = PROGRAMS[name]
    given = program(text, sizes, function)
    found = stages(text, calls, name=function, **sizes)
    for seed in range(3):
        arguments = sample(given, seed)
        expected = evaluate(differentiate(given), list(arguments.values()))
        for one, other in zip(joined(found, arguments), expected, strict=True):
            assert np.allclose(one, np.asarray(other, float), rtol=1e-8, atol=1e-10)


def test_splitting_is_deterministic_and_prints() -> None:
    for text, function, sizes in PROGRAMS.values():
        first, second = (stages(text, 1000, name=function, **sizes) for _ in range(2))
        assert first.ahead is second.ahead and first.each is second.each
        for stage in (first.ahead, first.each):
            if stage.outputs:
                assert str(check(Source(str(stage))).programs[stage.name]) == str(stage)


def test_a_stage_that_is_split_again_stays() -> None:
    found = stages(RIDGE, calls=1000, name="ridge", n=100, p=10)
    again = split(found.each)
    assert not again.ahead.outputs and again.each.outputs == found.each.outputs


def test_views_are_made_of_what_is_held() -> None:
    found = stages(PROGRAMS["whole"][0], n=3, m=2)
    assert [n.tensor.dims for n in found.ahead.outputs].count((3, 2)) == 1 and "transpose" in ops(found.each)
    part = stages(PROGRAMS["part"][0], n=300, m=2)
    assert [n.tensor.dims for n in part.ahead.outputs] == [(2,)]


def test_sizes_of_other_inputs_are_not_known_ahead() -> None:
    text = "def f(a: f64 is param, x: f64[m]) = exp(a * ones(m)) + x\n"
    plan = run(program(text, {}), Options(calls=100), stop_after="prune")
    found = split(plan.program)
    assert all(not n.tensor.dims for n in found.ahead.outputs)
