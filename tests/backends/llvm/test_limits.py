"""Facts and guards as limits of loops: what is known to be zero is not read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpc.backends.llvm.fusion.limits import limits
from tpc.backends.llvm.fusion.plan import statements
from tpc.backends.llvm.fusion.statement import Statement
from tpc.backends.llvm.fusion.terms import Term, parts

from .calls import Function, program

FACTS = {
    "lower": lambda A: np.tril(A),
    "upper": lambda A: np.triu(A),
    "diagonal": lambda A: np.tril(np.triu(A)),
    "banded(1, 2)": lambda A: np.tril(np.triu(A, -1), 2),
    "unit_diagonal": lambda A: A - np.tril(np.triu(A)) + np.eye(len(A)),
}
PRODUCTS = {
    "A @ x": "A @ x",
    "x @ A": "x @ A",
    "index": "y",
    "transposed": "A' @ x",
}
BOUNDED = ("lower", "upper", "diagonal", "banded(1, 2)")


def text(fact: str, product: str) -> str:
    head = f"def f(A: f64[n, n] is {fact}, x: f64[n]):\n"
    return head + f"    y[i] = sum[k](exp(x[k]) * A[i, k] / (1 + x[i]^2))\n    return {PRODUCTS[product]}"


def right(product: str, A: Any, x: Any) -> Any:
    if product == "index":
        return A @ np.exp(x) / (1 + x**2)
    return {"A @ x": A, "x @ A": A.T, "transposed": A.T}[product] @ x


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("fact", FACTS)
def test_products_with_what_is_known_of_a_matrix(fact: str, product: str) -> None:
    function = Function(program(text(fact, product)))
    draw = np.random.default_rng(0)
    for n in (0, 1, 5, 7, 8, 9, 31, 33, 255, 300, 1030):  # around vectors, and several panels
        A, x = FACTS[fact](draw.standard_normal((n, n))), draw.standard_normal(n)
        np.testing.assert_allclose(function([A, x])[0], right(product, A, x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("fact", BOUNDED)
def test_zeros_that_are_known_are_not_read(fact: str, product: str) -> None:
    """NaN stands where there are zeros: it would show in the result."""
    function = Function(program(text(fact, product)))
    n = 600
    draw = np.random.default_rng(0)
    A, x = draw.standard_normal((n, n)), draw.standard_normal(n)
    known = FACTS[fact](np.ones((n, n))) != 0
    wanted = right(product, np.where(known, A, 0), x)
    np.testing.assert_allclose(function([np.where(known, A, np.nan), x])[0], wanted, rtol=1e-11, atol=1e-11)


def guards(source: str) -> list[Term]:
    (step,) = statements(program(source))
    assert isinstance(step, Statement)
    return [t.arguments[1] for t in parts(step.body) if t.kind == "fold" and len(t.arguments) > 1]


def test_where_facts_become_guards() -> None:
    (guard,) = guards("def f(A: f64[n, n] is lower, x: f64[n]) = A @ x")
    assert limits(guard, "k.1") is None or guard.data == "le"
    assert not guards("def f(A: f64[n, n] is symmetric, x: f64[n]) = A @ x")
    # a sum of what is not zero where A is
    assert not guards("def f(A: f64[n, n] is lower, x: f64[n]):\n    y[i] = sum[k](A[i, k] + x[k])\n    return y")
    assert not guards("def f(A: f64[n, n] is lower, x: f64[n]):\n    y[i] = max[k](A[i, k] * x[k])\n    return y")
    # large products are a library's
    assert not guards("def f(A: f64[n, n] is lower, B: f64[n, m]) = A @ B")
