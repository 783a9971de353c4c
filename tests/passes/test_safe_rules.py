"""What overflows as it is written gives way to what does not, in derivatives too, even where that is slower."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run

LOSS = "def loss(X: f64[n, m], w: f64[m], y: f64[n]) = {}\ndef main(X: f64[n, m], w: f64[m], y: f64[n]) = {}\n"


def plan(text: str, mode: str = "stable") -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return run(checked.programs["main"], Options(mode=mode, threads=1)).program


def names(text: str, mode: str = "stable") -> set[str]:
    return {node.op.name for node in plan(text, mode).nodes}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("exp(x) / (1 + exp(x))", "sigmoid"),
        ("exp(-x) / (1.0 + exp(-x))", "sigmoid"),
        ("2 * exp(x) / (f64(1) + exp(x))", "sigmoid"),
        ("log(1 + exp(x))", "softplus"),
        ("log(exp(-x) + 1.0)", "softplus"),
        ("log(1 - 1 / (1 + exp(-x)))", "softplus"),
        ("sinh(x) / cosh(x)", "tanh"),
    ],
)
def test_what_overflows_gives_way(text: str, wanted: str) -> None:
    found = plan(f"def main(x: f64[n]) = {text}\n")
    assert wanted in {node.op.name for node in found.nodes}
    (value,) = evaluate(found, [np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])])
    assert np.isfinite(value).all()


@pytest.mark.parametrize(
    "loss",
    [
        "sum(log(1 + exp(X @ w)) - y * (X @ w))",
        "sum(log(1 + exp(-y * (X @ w))))",
        "sum(exp(X @ w) / (1 + exp(X @ w)))",
    ],
)
@pytest.mark.parametrize("what", ["grad(loss, w)(X, w, y)", "loss(X, w, y)"])
def test_derivatives_of_what_overflows_are_finite(loss: str, what: str) -> None:
    found = plan(LOSS.format(loss, what))
    rng = np.random.default_rng(0)
    X, w, y = 1e4 * rng.normal(size=(5, 3)), rng.normal(size=3), np.sign(rng.normal(size=5))
    (value,) = evaluate(found, [X, w, y])
    assert np.isfinite(value).all()


def test_the_fastest_form_is_taken_in_mode_fast() -> None:
    text = "def main(x: f64[n]) = exp(x) / (1 + exp(x))\n"
    assert "sigmoid" not in names(text, "fast") and "sigmoid" in names(text)


def test_a_rule_holds_beside_other_factors_of_a_product() -> None:
    text = "def main(A: f64[n, m], x: f64[n], y: f64[n]) = A' @ (y * exp(x) / (1 + exp(x)))\n"
    assert "sigmoid" in names(text) and "exp" not in names(text)
