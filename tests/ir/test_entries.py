"""Facts of matrices that are said entry by entry: each that is found holds, and those that show are found."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.facts import analyse
from tpc.ir.node import Program
from tpc.ir.reference import evaluate

FORMULAS = {
    "select(i == j, 2.0, select(abs(i - j) == 1, -1.0, 0.0))": {"banded(1, 1)", "symmetric"},
    "select(j == i, 1.0, select(j == i + 1, -2.0, select(i + 2 == j, 1.0, 0.0)))": {"banded(0, 2)", "upper"},
    "select(i >= j, x[i] * x[j], 0)": {"lower"},
    "select(j > i, 0, 1) * 2.0": {"lower"},
    "select(abs(j - i) > 2, 0, x[i])": {"banded(2, 2)"},
    "select(3 < abs(i - j + 1), 0, x[i])": {"banded(2, 4)"},
    "select(i < j and j <= i + 3, X[i, 0], 0)": {"banded(0, 3)", "upper"},
    "select(i == j or not (i != j + 1), x[i], 0)": {"banded(1, 0)", "lower"},
    "select(2 * i == 2 * j + 4, 1.5, 0) - select(i == j, x[j] / 3, 0)": {"banded(2, 0)", "lower"},
    "select(i == j, x[i], 0)": {"diagonal"},
    "exp(-((x[i] - x[j]) / 3)^2 / 2)": {"symmetric"},
    "exp(-sum[k]((X[i, k] - X[j, k])^2)) + abs(x[j] - x[i])": {"symmetric"},
    "1 / (i + j + 1)": {"symmetric"},
    "x[i] * x[j] + cos(i - j)": {"symmetric"},
    "x[i] - x[j]": set(),
    "x[i] - 2 * x[j] + abs(i + 2 * j)": set(),
    "(x[i] - x[j])^3": set(),
    "select(i < j, 1.0, 2.0)": set(),
    "select(i == j, 0, 1.0)": {"symmetric"},
    "select(i == j, 1.0, 0) * x[i]": set(),  # zero times an infinity is NaN
    "select(abs(i - j) < 2, x[i], 0)": {"banded(1, 1)"},
    "select(i - j < 3 and i > j, x[j], 0)": {"banded(2, 0)", "lower"},
    "select(i + j == 3, 1.0, 0)": {"symmetric"},
    "select(i == j, 1.0, 0) / x[i]": set(),
}
SHAPES = {"banded", "lower", "upper", "diagonal", "symmetric"}


def matrix(body: str) -> Program:
    text = f"def f(x: f64[n], X: f64[n, m]) -> f64[n, n] where m > 0:\n    T[i in n, j in n] = {body}\n    return T\n"
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    return checked.programs["f"]


def holds(fact: str, values: np.ndarray) -> bool:
    below, above = len(values), len(values)
    if fact.startswith("banded"):
        below, above = map(int, fact[7:-1].split(", "))
    if fact in ("lower", "diagonal"):
        above = 0
    if fact in ("upper", "diagonal"):
        below = 0
    if fact == "symmetric":
        return bool(np.array_equal(values, values.T))
    return bool(np.array_equal(values, np.tril(np.triu(values, -below), above)))


@pytest.mark.parametrize("body", FORMULAS)
def test_facts_of_formulas(body: str) -> None:
    program = matrix(body)
    found = {str(f) for f in analyse(program)[program.outputs[0]] if f.name in SHAPES}
    assert found >= FORMULAS[body]
    assert found or not FORMULAS[body]
    if not FORMULAS[body]:
        assert not found
    rng = np.random.default_rng(0)
    for n in (6, 1):
        (values,) = evaluate(program, [rng.standard_normal(n), rng.standard_normal((n, 2))])
        assert all(holds(fact, np.asarray(values)) for fact in found)


def test_a_wrong_fact_is_seen() -> None:
    assert not holds("banded(1, 0)", np.tri(3)) and not holds("symmetric", np.tri(3)) and holds("lower", np.tri(3))


def test_an_oblong_matrix_has_bands_and_no_symmetry() -> None:
    line = "D[i in n - 1, j in n] = select(abs(j - i) <= 1, 1.0, 0)"
    text = f"def f(x: f64[n]) -> f64[n - 1, n] where n > 1:\n    {line}\n    return D\n"
    program = check(Source(text, "test.tp")).programs["f"]
    assert {str(f) for f in analyse(program)[program.outputs[0]] if f.name in SHAPES} == {"banded(1, 1)"}


MULTIPLES = {
    "a * X' @ X": True,
    "X' @ (a / 2 * X)": True,
    "(a * X)' @ X * 2": True,
    "a * X' @ S @ X": True,
    "b * X' @ X": False,
    "-a * X' @ X": False,
    "a * X' @ Y": False,
}


@pytest.mark.parametrize("product", MULTIPLES)
def test_multiples_of_gram_matrices(product: str) -> None:
    """`a * X' @ X` is read as (a * X') @ X."""
    parameters = "X: f64[n, p], Y: f64[n, p], S: f64[n, n] is psd, a: f64 is positive, b: f64"
    program = check(Source(f"def f({parameters}) -> f64[p, p] = {product}\n", "test.tp")).programs["f"]
    found = analyse(program)
    names = {fact.name for fact in found[program.outputs[0]]}
    assert ("psd" in names) is MULTIPLES[product]
    assert all(found.why(program.outputs[0], fact) for fact in found[program.outputs[0]])
