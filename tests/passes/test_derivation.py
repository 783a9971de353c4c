"""Derivations: the steps that were taken, that they give the plan by themselves, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tpc.dsl.format import format_expression
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.passes.cost import profile
from tpc.passes.count import node_flops
from tpc.passes.derivation import Derivation, derive
from tpc.passes.derivation.replay import Replay
from tpc.passes.derivation.trace import Trace
from tpc.passes.kernels import kernels_of, predicted, totals
from tpc.passes.optimise import Optimised, Request, search

PUSHED = """
def f(A: f64[m, n], b: f64[n]) -> f64[n] = inv(eye(n) + A' @ A) @ A' @ A @ b
"""
SHIFTED = "def f(A: f64[n, n], H: f64[n, n], x: f64[n]) -> f64[n] = (A - H' @ H) @ x"
UPDATED = "def f(C: f64[n, r], d: f64[n] is positive, b: f64[n]) -> f64[n] = inv(diag(d) + C @ C') @ b"
KRON = "def f(A: f64[p, p] is spd, B: f64[q, q] is spd) -> f64 = logdet(kron(A, B))"
TURNED = "def f(Q: f64[n, n] is orthogonal, x: f64[n]) -> f64[n] = inv(Q) @ x"


def program(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs[checked.default() or ""]


def found(text: str, sizes: Mapping[str, int]) -> Optimised:
    return search(program(text), Request(profile(threads=1), sizes))


def derived(text: str, **sizes: int) -> Derivation:
    return derive(found(text, sizes))


@pytest.mark.parametrize(
    ("text", "sizes", "rule"),
    [
        (SHIFTED, {"n": 2000}, "distribute"),
        (UPDATED, {"n": 5000, "r": 10}, "woodbury_product"),
        (KRON, {"p": 40, "q": 40}, "logdet_of_kron"),
        (TURNED, {"n": 500}, "inverse_of_orthogonal"),
        (PUSHED, {"m": 20, "n": 2000}, "push_through"),
    ],
)
def test_a_derivation_names_its_rule_gives_the_plan_and_gains(text: str, sizes: dict[str, int], rule: str) -> None:
    derivation = derived(text, **sizes)
    assert rule in [stage.rule for stage in derivation.stages]
    assert derivation.is_complete
    last = derivation.stages[-1].totals
    assert last is not None and last.flops <= 1.01 * derivation.chosen.flops
    assert derivation.chosen.flops < derivation.planned.flops <= derivation.written.flops


def test_both_sides_of_a_step_stand_in_the_words_of_the_program() -> None:
    (stage,) = (s for s in derived(UPDATED, n=5000, r=10).stages if s.rule == "woodbury_product")
    assert format_expression(stage.before) == "inv(diag(d) + C @ C')"
    assert format_expression(stage.after).startswith("inv(diag(d)) - inv(diag(d)) @ C @ inv(eye(r) + C' @ inv(diag(d))")
    (fact, lines), (bounded, asked) = stage.facts
    assert fact == "nonsingular(diag(d))" and any("positive(d): declared" in line for line in lines)
    assert bounded == "bounded(C' @ inv(diag(d)) @ C)" and asked == ("looked at when the program runs",)


def test_without_the_steps_there_is_no_such_plan() -> None:
    """The check of a derivation can fail: with one step fewer the price is not reached."""
    result = found(SHIFTED, {"n": 2000})
    trace = Trace(result)
    steps = [k for k in trace.run() if result.graph.joins[k][2] is not None]
    assert Replay(result, trace.first).plan()[1].seconds > 2 * result.selection.seconds
    replay = Replay(result, trace.first)
    for k in steps:
        replay.join(k)
    assert replay.plan(trace.roots)[1].seconds == pytest.approx(result.selection.seconds)


def test_what_needs_no_rule_has_no_steps() -> None:
    for text in (
        "def f(a: f64, b: f64) -> f64 = a + 2 * b",
        "def f(x: f64[n]) -> f64[n] = x",
        "def f() -> f64 = 1.0",
        "def f(A: f64[n, n], B: f64[n, n], x: f64[n]) -> f64[n] = A @ B @ x",
    ):
        derivation = derived(text, n=50)
        assert derivation.stages == () and derivation.is_complete


def test_a_body_of_a_loop_has_a_search_of_its_own() -> None:
    text = """
def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n]:
    x = b
    repeat 10:
        x = x + inv(A) @ (b - A @ x)
    return x
"""
    (body,) = found(text, {"n": 100}).bodies
    assert "inverse_cancels_left" in [stage.rule for stage in derive(body).stages]


# ---- counting


def test_the_product_of_a_matrix_with_its_transpose_takes_half_the_operations() -> None:
    gram = program("def f(A: f64[m, n]) -> f64[n, n] = A' @ A").outputs[0]
    other = program("def f(A: f64[m, n], B: f64[m, n]) -> f64[n, n] = A' @ B").outputs[0]
    names = {"m": 100, "n": 30}
    assert [kernel.name for node in (gram, other) for kernel in kernels_of(node)] == ["syrk", "gemm"]
    prices = profile(threads=1)
    sizes = [totals(Program("f", (), (node,)), prices, names).flops for node in (gram, other)]
    assert sizes == [30 * 31 * 100, 2 * 30 * 30 * 100]
    assert str(node_flops(other)) == "2*m*n^2"


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("def f(A: f64[n, m], x: f64[m]) -> f64[n] = A @ x", "gemv"),
        ("def f(A: f64[n, m], x: f64[n]) -> f64[m] = x @ A", "gevm"),
        ("def f(A: f64[n, n]) -> f64[n, n] = inv(A)", "getri"),
        ("def f(A: f64[n, n] is spd) -> f64[n, n] = cholesky(A)", "potrf"),
        ("def f(A: f64[n, m]) -> f64[n] = sum(A, axis=1)", "reduce"),
        ("def f(A: f64[n, m], B: f64[n, m]) -> f64[n]:\n    C[i] = sum[k](A[i, k] * B[i, k])\n    return C", "einsum"),
        ("def f(A: f64[n, m]) -> f64[n, m] = exp(A)", "elementwise"),
        ("def f(A: f64[n, m]) -> f64[m, n] = A'", ""),
    ],
)
def test_each_op_has_its_kernel(text: str, kernel: str) -> None:
    node = program(text).outputs[0]
    assert " ".join(chosen.name for chosen in kernels_of(node)) == kernel
    seconds = predicted(program(text), profile(threads=1), {"n": 200, "m": 100})
    assert seconds > 0 if kernel else seconds == 0


def test_a_loop_takes_as_often_as_it_runs() -> None:
    text = "def f(A: f64[n, n], x: f64[n]) -> f64[n]:\n    repeat {}:\n        x = A @ x\n    return x"
    once, often = (predicted(program(text.format(k)), profile(threads=1), {"n": 100}) for k in (1, 7))
    assert often == pytest.approx(7 * once)


def test_every_shipped_price_is_used_by_name() -> None:
    """A kernel that the profile does not know would fail; so it is asked for an unknown one."""
    (kernel,) = kernels_of(program("def f(A: f64[n, n]) -> f64[n, n] = inv(A)").outputs[0])
    with pytest.raises(KeyError):
        profile(threads=1).seconds(replace(kernel, name="nothing").name, (3,), kernel.dtype)
