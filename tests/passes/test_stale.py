"""`stale(e, every=k)`: values of loops that are computed anew in every k-th pass only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.count import node_flops
from tpc.passes.pipeline import Options, run

PASSES = 7
REPEAT = """
def f(A: f64[n, n], b: f64[n]) -> f64[n]:
    x, B = b, A
    repeat 7:
        P = stale(inv(B), every=3)
        x, B = x - 0.1 * (P @ (B @ x - b)), B + 0.3 * eye(n)
    return x
"""
SCAN = """
def f(A: f64[n, n], b: f64[n]) -> (f64[n], f64[7]):
    x, B = b, A
    scan t in 7:
        P = stale(inv(B), every=3)
        s[t] = P[0, 0] - stale(B[0, 1], every=2)
        x, B = x - 0.1 * (P @ (B @ x - b)), B + 0.3 * eye(n)
    return x, s
"""
STEP = """
def f(A: f64[n, n], t: i64, P: f64[n, n]) -> f64[n, n] = stale(inv(A), every=50, step=t, last=P)
"""


def by_hand(A: NDArray[np.float64], b: NDArray[np.float64], every: int) -> tuple[NDArray[np.float64], list[float]]:
    x, B, P, kept, seen = b, A, A, A, []
    for t in range(PASSES):
        P = np.linalg.inv(B) if t % every == 0 else P
        kept = B if t % 2 == 0 else kept
        seen.append(P[0, 0] - kept[0, 1])
        x, B = x - 0.1 * (P @ (B @ x - b)), B + 0.3 * np.eye(len(b))
    return x, seen


def arguments() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 4)) + 4 * np.eye(4), rng.normal(size=4)


def written(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs["f"]


def flops(text: str) -> int:
    total = [node_flops(node) for node in run(written(text), Options()).program.nodes]
    assert all(isinstance(one, int) for one in total)
    return int(str(sum(total)))


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
def test_a_value_is_kept_until_its_next_turn(backend: str) -> None:
    A, b = arguments()
    given: list[object] = [A, b]
    if backend == "torch":
        import torch

        given = [torch.from_numpy(A), torch.from_numpy(b)]
    x, seen = by_hand(A, b, 3)
    np.testing.assert_allclose(np.asarray(tpc.compile(REPEAT, backend=backend)(*given)), x, rtol=1e-12)
    found = tpc.compile(SCAN, backend=backend)(*given)
    np.testing.assert_allclose(np.asarray(found[0]), x, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(found[1]), seen, rtol=1e-12)


def test_the_reference_says_the_same_and_every_pass_is_the_plain_program() -> None:
    A, b = arguments()
    np.testing.assert_allclose(evaluate(written(REPEAT), [A, b])[0], by_hand(A, b, 3)[0], rtol=1e-12)
    assert abs(by_hand(A, b, 3)[0] - by_hand(A, b, 1)[0]).max() > 1e-3
    plain = REPEAT.replace("stale(inv(B), every=3)", "inv(B)")
    assert written(REPEAT.replace("every=3", "every=1")) is written(plain)


def test_it_is_computed_in_a_branch_and_prints() -> None:
    program = written(SCAN)
    assert check(Source(str(program))).programs["f"] is program
    loop = next(node for node in program.nodes if node.op.name == "scan")
    branches = [node for node in loop["body"].nodes if node.op.name == "if"]
    assert len(branches) == 2 and loop["state"] == 4
    assert not any(node.op.name == "inv" for node in loop["body"].nodes)


def test_its_price_is_that_of_its_share_of_the_passes() -> None:
    loop = "    repeat 100:\n        B = stale(inv(B), every={})\n"
    text = f"def f(A: f64[50, 50]) -> f64[50, 50]:\n    B = A\n{loop}    return B"
    found = {every: flops(text.format(every)) for every in (1, 10, 50)}
    assert 10 * found[10] == pytest.approx(found[1], rel=1e-2) and 50 * found[50] == pytest.approx(found[1], rel=1e-2)


def test_a_caller_may_carry_it() -> None:
    A, _ = arguments()
    f = tpc.compile(STEP, backend="numpy")
    np.testing.assert_allclose(f(A, 100, 0 * A), np.linalg.inv(A))
    assert not f(A, 101, 0 * A).any()


def test_derivatives_go_through_what_is_carried() -> None:
    text = REPEAT.replace("f64[n]:", "f64:").replace("return x", "return sum(x)").replace("def f", "def g")
    text += "\ndef f(A: f64[n, n], b: f64[n]) -> f64[n, n] = grad(g, A)(A, b)\n"
    A, b = arguments()
    found = tpc.compile(text, function="f", backend="numpy")(A, b)
    step = np.zeros((4, 4))
    step[1, 2] = 1e-6
    near = by_hand(A + step, b, 3)[0].sum() - by_hand(A - step, b, 3)[0].sum()
    assert found[1, 2] == pytest.approx(near / 2e-6, rel=1e-6)


LOOP = "def f(x: f64[n]) -> f64[n]:\n    y = x\n    repeat 5:\n        y = {}\n    return y\n"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("E0609", "def f(x: f64[n]) = stale(x, every=3)"),
        ("E0609", LOOP.format("stale(y, every=2) if n > 3 else y")),
        ("E0302", LOOP.format("stale(y)")),
        ("E0302", LOOP.format("stale(y, every=2, step=3)")),
        ("E0216", LOOP.format("stale(y, every=0)")),
        ("E0216", LOOP.format("stale(y, every=1.5)")),
        ("E0301", LOOP.format("stale(z + y, every=2)")),
    ],
)
def test_what_it_cannot_be(code: str, text: str) -> None:
    with pytest.raises(TpcError) as caught:
        written(text)
    assert [d.code for d in caught.value.diagnostics] == [code]
