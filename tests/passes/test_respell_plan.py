"""A plan is spelled as one would write it: means and quotients by sizes."""

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.respell import respell_plan


def program(text: str) -> Program:
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    return checked.programs["f"]


def ops(p: Program) -> list[str]:
    return [n.op.name for n in p.walk() if n.op.name not in ("input", "literal", "size", "item")]


MEANS = {
    "sum(X) / (n * m)": ["mean"],
    "sum(X, axis=0) / n": ["mean"],
    "sum(X, axis=1, keepdims=true) / m": ["mean"],
    "X - 1 / n * sum(X, axis=0)": ["mean", "sub"],
    "sum(X - sum(X, axis=0) / n) / (n * m)": ["mean", "mean", "sub"],
    "sum(Y, axis=0) / 5": ["mean"],
    "1 / n * X": ["div"],
}


@pytest.mark.parametrize("text", MEANS)
def test_means_and_quotients(text: str) -> None:
    before = program(f"def f(X: f64[n, m], Y: f64[5, m]) = {text}\n")
    after = respell_plan(before)
    assert sorted(ops(after)) == MEANS[text]
    rng = np.random.default_rng(0)
    for n, m in ((3, 2), (1, 1), (2, 5)):
        operands = [rng.standard_normal((n, m)), rng.standard_normal((5, m))]
        (expected,), (found,) = (evaluate(p, operands, {"n": n, "m": m}) for p in (before, after))
        assert np.allclose(expected, found)


KEPT = [
    "sum(X, axis=0) / m",  # another count
    "sum(X, axis=0) / n, sum(X, axis=0)",  # the sum is needed besides
    "sum(k) / n",  # a sum of integers over another count
]


@pytest.mark.parametrize("text", KEPT)
def test_other_quotients_of_sums_stay(text: str) -> None:
    before = program(f"def f(X: f64[n, m], k: i64[m]) = {text}\n")
    assert respell_plan(before) is before


def test_a_sum_in_a_loop_becomes_a_mean() -> None:
    text = "def f(X: f64[n, m]) -> f64[m]:\n    x = zeros(m)\n    repeat 3:\n"
    text += "        x = tanh(x + sum(X * x, axis=0) / n)\n    return x\n"
    assert "mean" in ops(respell_plan(program(text)))


@pytest.mark.parametrize(
    ("text", "scaled"),
    [
        ("2 * (A @ B)", (5, 2)),
        ("(B' @ A') / 4", (2, 5)),
        ("2 * (C @ B[:, 0:6])", (2, 6)),  # the smallest of the three
        ("2 * outer(A[:, 0], A[:, 1])", (5,)),
        ("2 * (A @ A')", (5, 5)),  # half of it is computed, as long as its sides are one
        ("A @ B + 2 * (A @ B)", (5, 7)),  # the product is needed as it is
        ("2 * (B @ C)", (2, 2)),
    ],
)
def test_numbers_are_multiplied_with_what_is_smallest(text: str, scaled: tuple[int, ...]) -> None:
    before = program(f"def f(A: f64[5, 2], B: f64[2, 7], C: f64[7, 2]) = {text}\n")
    after = respell_plan(before)
    (node,) = [n for n in after.walk() if n.op.name in ("mul", "div")]
    assert node.tensor.dims == scaled
    rng = np.random.default_rng(0)
    operands = [rng.standard_normal(n.tensor.dims) for n in before.inputs]
    (expected,), (found,) = (evaluate(p, operands) for p in (before, after))
    assert np.allclose(expected, found)


def test_the_diagonal_of_a_multiple_of_the_identity_is_no_matrix() -> None:
    for matrix in ("eye(n)", "a * eye(n)"):
        before = program(f"def f(x: f64[n], a: f64) = diag({matrix}) * x\n")
        after = respell_plan(before)
        assert "ones" in ops(after) and not {"eye", "diag"} & set(ops(after))
        np.testing.assert_array_equal(*(evaluate(p, [np.arange(3.0), 2.5])[0] for p in (before, after)))
    assert "eye" in ops(respell_plan(program("def f(x: f64[n], a: f64) = diag(a + eye(n)) * x\n")))
