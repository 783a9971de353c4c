"""Tempting facts that do not hold: none may be found, and each is refuted by an array. Beside them, twins that hold."""

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.facts import analyse, closure, satisfies
from tpc.ir.node import Fact, Program
from tpc.ir.reference import evaluate

from .traps import TRAPS


def compiled(text: str) -> Program:
    checked = check(Source(text, "trap.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors
    return checked.programs["f"]


def found(text: str) -> frozenset[Fact]:
    """The facts of the first result of `f`."""
    program = compiled(text)
    return analyse(program)[program.outputs[0]]


def fact_of(text: str) -> Fact:
    name, _, rest = text.partition("(")
    return Fact(name, tuple(float(a) if "." in a else int(a) for a in rest.rstrip(")").split(",") if a))


def holds(text: str, fact: Fact) -> bool:
    """Whether the analysis finds a fact, or one that says more."""
    program = compiled(text)
    output = program.outputs[0]
    known = analyse(program)[output]
    return closure(output.tensor, known | {fact}) == closure(output.tensor, known)


# The same with one more condition, after which the fact holds and must be found.
TWINS = [
    ("def f(A: f64[n, n] is spd, B: f64[n, n] is psd) -> f64[n, n] = A + B", "spd"),
    ("def f(A: f64[n, n] is symmetric, B: f64[n, n] is symmetric) -> f64[n, n] = A - B", "symmetric"),
    ("def f(A: f64[n, n] is symmetric) -> f64[n, n] = A @ A", "psd"),
    ("def f(A: f64[n, n] is symmetric and nonsingular) -> f64[n, n] = A @ A", "spd"),
    ("def f(A: f64[n, n] is lower, B: f64[n, n] is lower) -> f64[n, n] = A @ B + inv(A)", "lower"),
    ("def f(U: f64[n, n] is upper) -> f64[n, n] = inv(U)'", "lower"),
    ("def f(X: f64[n, m] is full_rank) -> f64[m, m] where n >= m = X' @ X", "spd"),
    ("def f(X: f64[n, m]) -> f64[m, m] = inv(X' @ X)", "spd"),
    ("def f(S: f64[n, n] is psd, X: f64[n, m]) -> f64[m, m] = X' @ S @ X", "psd"),
    ("def f(S: f64[n, n] is spd, X: f64[n, m] is full_rank) -> f64[m, m] where n >= m = X' @ S @ X", "spd"),
    ("def f(S: f64[n, n] is spd, X: f64[n, m]) -> f64[m, m] = X' @ inv(S) @ X", "psd"),
    ("def f(A: f64[n, m], B: f64[m, k]) -> f64[n, n] = A @ B @ (A @ B)'", "psd"),
    ("def f(L: f64[n, n] is lower and nonsingular) -> f64[n, n] = inv(L') @ inv(L)", "spd"),
    ("def f(S: f64[n, n] is spd, x: f64[n]) -> f64 = x @ S @ x", "nonnegative"),
    ("def f(A: f64[n, m], x: f64[m]) -> f64 = dot(A @ x, A @ x)", "nonnegative"),
    ("def f(A: f64[n, n]) -> f64[n, n] = A + A'", "symmetric"),
    ("def f(A: f64[n, n]) -> f64[n, n] = A - A'", "skew"),
    ("def f(A: f64[n, n] is skew) -> f64[n, n] = eye(n) + A", "nonsingular"),
    ("def f(A: f64[n, n] is skew) -> f64[n, n] = expm(A)", "orthogonal"),
    ("def f(A: f64[n, n] is psd, a: f64 is positive) -> f64[n, n] = A + a * eye(n)", "spd"),
    ("def f(A: f64[n, n] is nonsingular, a: f64 is negative) -> f64[n, n] = a * A", "nonsingular"),
    ("def f(A: f64[n, n] is psd, B: f64[n, n] is psd) -> f64[n, n] = A * B", "psd"),
    ("def f(A: f64[n, n] is psd, B: f64[n, n] is psd) -> f64[n, n] = eye(n) + A @ B", "nonsingular"),
    (
        "def f(A: f64[n, n] is psd, U: f64[m, n], a: f64 is positive) -> f64[n, n] = A @ U' @ U + a * eye(n)",
        "nonsingular",
    ),
    ("def f(A: f64[n, n] is spd) -> f64[n, n] = A^2", "psd"),
    ("def f(x: f64[n]) -> f64[n, n] = outer(x, x)", "psd"),
    ("def f(A: f64[n, n] is spd, B: f64[m, m] is spd) -> f64[n*m, n*m] = kron(A, B)", "spd"),
    ("def f(A: f64[3, 2] is full_rank, B: f64[4, 3] is full_rank) -> f64[12, 6] = kron(A, B)", "full_rank"),
    ("def f(A: f64[4, 3] is full_rank, B: f64[3, 2] is full_rank) -> f64[4, 2] = A @ B", "full_rank"),
    ("def f(A: f64[3, 2] is full_rank, B: f64[5, 2]) -> f64[8, 2] = [A; B]", "full_rank"),
    ("def f(A: f64[n, n] is spd, B: f64[m, m] is spd) -> f64[n+m, n+m] = [A, 0; 0, B]", "spd"),
    ("def f(A: f64[n, n] is symmetric, B: f64[n, m]) -> f64[n+m, n+m] = [A, B; B', zeros(m, m)]", "symmetric"),
    (
        "def f(A: f64[2, 2] is nonsingular, B: f64[2, 2], C: f64[2, 2] is nonsingular) -> f64[4, 4] = [A, B; 0, C]",
        "nonsingular",
    ),
    ("def f(Q: f64[n, n] is orthogonal, P: f64[n, n] is permutation) -> f64[n, n] = Q' @ P", "orthogonal"),
    ("def f(Q: f64[n, m] is orthonormal) -> f64[m, m] = Q' @ Q", "permutation"),
    ("def f(Q: f64[5, 2] is orthonormal) -> f64[5, 5] = Q @ Q'", "projection(2)"),
    ("def f(Q: f64[5, 2] is orthonormal) -> f64[5, 5] = eye(5) - Q @ Q'", "projection(3)"),
    ("def f(X: f64[5, 2]) -> f64[5, 5] = X @ inv(X' @ X) @ X'", "projection(2)"),
    ("def f(D: f64[n, n] is diagonal) -> f64[n, n] = 3 * D - eye(n)", "diagonal"),
    ("def f(A: f64[9, 9] is banded(1, 1), B: f64[9, 9] is banded(1, 2)) -> f64[9, 9] = A @ B + A", "banded(2,3)"),
    ("def f(x: f64[n]) -> f64 where n > 1 = 1 / (n - 1)", "positive"),
    ("def f(x: f64[n]) -> f64[n] = 1 / (1 + exp(-x))", "at_most(1)"),
    ("def f(x: f64[n]) -> f64[n] = log(1 + x^2)", "nonnegative"),
    ("def f(x: f64[n]) -> f64[n] = sigmoid(x) + cos(x) + 2", "positive"),
    ("def f(x: f64[n]) -> f64[n] = exp(sigmoid(x))", "positive"),
    ("def f(x: f64[n]) -> f64[n] = clip(x, 0.5, 2)", "positive"),
    ("def f(A: f64[n, m], x: f64[m]) -> f64[n] = softmax(A) @ sigmoid(x)", "at_most(1)"),
    ("def f(x: f64[3] is positive) -> f64 = sum(x)", "positive"),
    ("def f(x: f64[n], y: f64[m]) -> f64[n+m] = concat(exp(x) + 1, sigmoid(y) + 1)", "at_least(1)"),
    ("def f(A: f64[n, n] is nonsingular) -> f64 = det(A)", "nonzero"),
]


@pytest.mark.parametrize(("text", "fact", "arguments"), [t[1:] for t in TRAPS], ids=[t[0] for t in TRAPS])
def test_a_trap_is_not_fallen_into(text: str, fact: str, arguments: list) -> None:  # type: ignore[type-arg]
    tempting = fact_of(fact)
    program = compiled(text)
    values = [np.asarray(a, float) for a in arguments]
    declared = dict(program.facts)
    for node, value in zip(program.inputs, values, strict=True):
        assert all(satisfies(np, value, f) is None for f in declared.get(node, ())), "the example breaks a declaration"
    (result,) = evaluate(program, values)
    assert satisfies(np, np.asarray(result, float), tempting) is not None, "the fact holds here: this is no trap"
    assert not holds(text, tempting)


@pytest.mark.parametrize(("text", "fact"), TWINS)
def test_a_twin_is_found(text: str, fact: str) -> None:
    assert holds(text, fact_of(fact)), sorted(map(str, found(text)))


def test_symmetry_of_complex_matrices_is_not_called_definite() -> None:
    """A' is the transpose: A' @ A of a complex matrix is symmetric in that sense, not Hermitian, and not psd."""
    assert not {f.name for f in found("def f(A: c128[n, m]) -> c128[m, m] = A' @ A")} & {"psd", "spd", "symmetric"}
    assert not {f.name for f in found("def f(z: c128[n]) -> c128[n] = z * z")} & {"nonnegative", "at_least"}
    A = np.array([[1.0, 1j]])
    assert (A.T @ A == (A.T @ A).T).all() and np.linalg.eigvals(A.T @ A).real.min() <= 0


def test_zero_times_a_matrix_is_not_called_zero() -> None:
    """0 * inf is NaN: what is known to be finite only would be rewritten to zeros."""
    assert not found("def f(A: f64[n, n]) -> f64[n, n] = 0 * A")


def test_a_dropped_where_is_noticed() -> None:
    """The positive twins rest on their conditions: without them the facts are not found."""
    text = "def f(X: f64[n, m] is full_rank) -> f64[m, m] where n >= m = X' @ X"
    assert holds(text, Fact("spd"))
    assert not holds(text.replace(" where n >= m", ""), Fact("spd"))
    assert not holds(text.replace("n >= m", "n <= m"), Fact("spd"))
