"""`solve(A, b, method=cg)`: answers, counts of steps, derivatives, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.passes.differentiate import differentiate

REPORT = """
def main(A: f64[n, n]{facts}, b: f64[n]) -> (f64[n], f64, i64):
    x, r, k = solve(A, b, {how}report=true)
    return x, r, k
"""


def system(kind: str, n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(n)
    G = rng.standard_normal((n, n))
    matrix = {
        "definite": G @ G.T + n * np.eye(n),
        "symmetric": G + G.T + np.diag(np.where(np.arange(n) % 2, 3.0 * n, -3.0 * n)),
        "general": G + 4 * np.sqrt(n) * np.eye(n),
    }[kind]
    return matrix, rng.standard_normal(n)


METHODS = [
    ("cg", "definite"),
    ("minres", "symmetric"),
    ("gmres", "general"),
    ("bicgstab", "general"),
    ("lsqr", "general"),
]


@pytest.mark.parametrize("n", [1, 2, 50])
@pytest.mark.parametrize("method, kind", METHODS)
def test_methods_reach_their_tolerance_and_say_what_is_left(method: str, kind: str, n: int) -> None:
    A, b = system(kind, n)
    x, left, steps = tpc.compile(REPORT.format(facts="", how=f"method={method}, tol=1e-9, "))(A, b)
    assert np.linalg.norm(b - A @ x) == pytest.approx(left, abs=1e-12)
    if method != "lsqr":  # which stops at a small gradient, or a small residual
        assert left <= 1e-9 * np.linalg.norm(b)
    np.testing.assert_allclose(x, np.linalg.solve(A, b), atol=1e-6)
    assert 1 <= steps <= 60


@pytest.mark.parametrize("facts, kind, method", [
    (" is spd", "definite", "cg"),
    (" is symmetric", "symmetric", "minres"),
    ("", "general", "gmres"),
])  # fmt: skip
def test_without_a_method_what_is_known_decides_and_the_answer_is_as_good_as_a_direct_one(
    facts: str, kind: str, method: str
) -> None:
    A, b = system(kind, 40)
    program = tpc.compile(REPORT.format(facts=facts, how=""))
    loops = {node["body"].name for node in differentiate(program.program).walk() if node.op.name == "repeat"}
    assert loops == {f"{method}_step"}
    x, left, _ = program(A, b)
    assert left <= 1e-13 * (np.linalg.norm(A, 2) * np.linalg.norm(x) + np.linalg.norm(b))


@pytest.mark.parametrize("backend", ["torch", "llvm"])
def test_other_backends(backend: str) -> None:
    A, b = system("definite", 30)
    x, _, _ = tpc.compile(REPORT.format(facts=" is spd", how="precond=diagonal, tol=1e-9, "), backend=backend)(A, b)
    np.testing.assert_allclose(np.asarray(x), np.linalg.solve(A, b), atol=1e-8)


HERMITIAN = """
def main(A: c128[n, n], b: c128[n]) -> c128[n] = solve(A, b, method=cg, tol=1e-10)

def slope(A: c128[n, n], b: c128[n]) = grad(length, b)(A, b)

def length(A: c128[n, n], b: c128[n]) -> f64 = norm(solve(A, b, method=cg, tol=1e-10))
"""


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_conjugate_gradients_of_hermitian_systems(backend: str) -> None:
    G, (_, b) = system("general", 30)[0] + 1j * system("general", 30)[0].T, system("definite", 30)
    A, b = G @ G.conj().T / 30 + np.eye(30), b * (1 - 2j)
    program = tpc.compile(HERMITIAN, function="main", backend=backend)
    x = np.asarray(program(A, b))
    assert np.linalg.norm(A @ x - b) <= 1e-10 * np.linalg.norm(b)
    with pytest.raises(TpcError, match="positive definite"):
        program(A - 100 * np.eye(30), b)


def test_they_have_no_derivative_here() -> None:
    with pytest.raises(TpcError, match="E0608|no derivative"):
        tpc.compile(HERMITIAN, function="slope", backend="numpy")(np.eye(3) + 0j, np.ones(3) + 0j)


POISSON = """
def main(T: f64[p, p] is symmetric, d: f64[p*p] is nonnegative, b: f64[p*p]) -> (f64[p*p], i64):
    A = kron(T, eye(p)) + kron(eye(p), T) + diag(d)
    x, _r, k = solve(A, b, method=cg, tol=1e-6, {}report=true)
    return x, k
"""


def poisson(p: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(p)
    return 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1), 1e-3 * rng.random(p * p), rng.standard_normal(p * p)


def test_the_kronecker_sum_inside_of_a_matrix_preconditions_it_and_no_matrix_is_formed() -> None:
    p = 24
    T, d, b = poisson(p)
    counts = {}
    for how in ("", "precond=inv(kron(T, eye(p)) + kron(eye(p), T)), "):
        program = tpc.compile(POISSON.format(how), dims={"p": p})
        assert f"[{p * p}, {p * p}]" not in str(program.plan.program)
        x, counts[how] = program(T, d, b)
        A = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T) + np.diag(d)
        assert np.linalg.norm(A @ x - b) <= 1e-6 * np.linalg.norm(b)
    plain, preconditioned = counts.values()
    assert preconditioned <= 3 < 40 < plain
    body = program.source[program.source.index("def main") :]  # its factors are made before the loops
    assert body.count("eigh(") == 1 and body.index("eigh(") < body.index("for _ in")


def test_a_diagonal_preconditioner_helps_where_scales_differ() -> None:
    p = 12
    T, _, b = poisson(p)
    s = 10.0 ** np.random.default_rng(3).uniform(-2, 2, p * p)
    A = s[:, None] * (np.kron(T, np.eye(p)) + np.kron(np.eye(p), T)) * s
    counts = {}
    for word in ("diagonal", "gauss_seidel"):
        x, _, counts[word] = tpc.compile(REPORT.format(facts=" is spd", how=f"precond={word}, tol=1e-8, "))(A, b)
    assert counts["gauss_seidel"] < counts["diagonal"] < 120
    with pytest.raises(TpcError, match="not solved to its tolerance"):
        tpc.compile(REPORT.format(facts=" is spd", how="steps=400, tol=1e-8, "))(A, b)


def test_a_start_close_by_saves_steps_and_the_solution_itself_all_of_them() -> None:
    text = REPORT.format(facts=" is spd", how="start=x0, tol=1e-8, ").replace("b: f64[n]", "b: f64[n], x0: f64[n]")
    A, b = system("definite", 60)
    program = tpc.compile(text)
    x, _, cold = program(A, b, np.zeros(60))
    _, _, warm = program(A, b, x + 1e-5 * np.ones(60))
    _, _, none = program(A, b, x)
    assert none == 0 < warm < cold


def test_many_right_sides_and_unknowns_of_any_shape() -> None:
    A, _ = system("definite", 20)
    B = np.random.default_rng(1).standard_normal((20, 3))
    X = tpc.compile("def main(A: f64[n, n] is spd, B: f64[n, m]) -> f64[n, m] = solve(A, B, tol=1e-10)")(A, B)
    np.testing.assert_allclose(X, np.linalg.solve(A, B), atol=1e-8)
    text = """
def F(X: f64[n, m], A: f64[n, n], C: f64[m, m]) -> f64[n, m] = A @ X + X @ C

def main(A: f64[n, n], C: f64[m, m], B: f64[n, m]) -> f64[n, m]:
    return solve(F, X, method=cg, tol=1e-11)(zeros(n, m), A, C, B)
"""
    C = np.diag([1.0, 2.0, 3.0])
    X = tpc.compile(text)(A, C, B)
    np.testing.assert_allclose(A @ X + X @ C, B, atol=1e-9)


def test_least_squares() -> None:
    rng = np.random.default_rng(2)
    A, y = rng.standard_normal((60, 7)), rng.standard_normal(60)
    x = tpc.compile("def main(A: f64[n, m], y: f64[n]) -> f64[m] = solve(A, y, method=lsqr)")(A, y)
    np.testing.assert_allclose(x, np.linalg.lstsq(A, y, rcond=None)[0], atol=1e-12)


DERIVATIVES = """
def F(v: f64[n], A: f64[n, n], s: f64) -> f64[n] = A @ v + s * v

def loss(A: f64[n, n], s: f64, b: f64[n]) -> f64 = sum(solve(F, v, method={}, tol=1e-12)(zeros(n), A, s, b)^3)

def slope(A: f64[n, n], s: f64, b: f64[n]) -> (f64[n, n], f64, f64[n]) = grad(loss, A, s, b)(A, s, b)

def along(A: f64[n, n], s: f64, b: f64[n]) -> f64 = jvp(loss, s)(A, s, b, 1.0)

def bend(A: f64[n, n], s: f64, b: f64[n]) -> f64[n, n] = hessian(loss, b)(A, s, b)
"""


@pytest.mark.parametrize("method, kind", METHODS[:4])
def test_gradients_are_systems_with_the_transpose(method: str, kind: str) -> None:
    A, b = system(kind, 9)
    K = A + 0.5 * np.eye(9)
    x = np.linalg.solve(K, b)
    multiplier = np.linalg.solve(K.T, 3 * x**2)
    by_A, by_s, by_b = tpc.compile(DERIVATIVES.format(method), function="slope")(A, 0.5, b)
    np.testing.assert_allclose(by_A, -np.outer(multiplier, x), rtol=1e-7, atol=1e-10)
    assert by_s == pytest.approx(-multiplier @ x, rel=1e-8)
    np.testing.assert_allclose(by_b, multiplier, rtol=1e-7, atol=1e-10)


def test_forward_and_second_derivatives() -> None:
    A, b = system("definite", 6)
    inverse = np.linalg.inv(A + 0.5 * np.eye(6))
    x = inverse @ b
    assert tpc.compile(DERIVATIVES.format("cg"), function="along")(A, 0.5, b) == pytest.approx(
        -3 * x**2 @ inverse @ x, rel=1e-8
    )
    bend = tpc.compile(DERIVATIVES.format("cg"), function="bend")(A, 0.5, b)
    np.testing.assert_allclose(bend, inverse @ np.diag(6 * x) @ inverse, atol=1e-10)


def test_least_squares_have_no_derivative_here() -> None:
    A, b = system("general", 4)
    with pytest.raises(TpcError, match="has no derivative"):
        tpc.compile(DERIVATIVES.format("lsqr"), function="slope")(A, 0.5, b)


# ---- what must be refused


def test_conjugate_gradients_on_a_matrix_that_is_not_definite_stop_with_a_word() -> None:
    A, b = system("symmetric", 30)
    with pytest.raises(TpcError, match="symmetric positive definite"):
        tpc.compile(REPORT.format(facts="", how="method=cg, "))(A, b)
    minus = "def main(A: f64[n, n] is spd, b: f64[n]) -> f64[n] = solve(A, b, precond=-eye(n), method=cg)"
    with pytest.raises(TpcError, match="symmetric positive definite"):
        tpc.compile(minus)(system("definite", 30)[0], b)


@pytest.mark.parametrize("method, kind", METHODS)
def test_an_answer_below_tolerance_is_never_given_as_solved(method: str, kind: str) -> None:
    A, b = system(kind, 40)
    program = tpc.compile(REPORT.format(facts="", how=f"method={method}, tol=1e-10, steps=3, "))
    with pytest.raises(TpcError, match="not solved to its tolerance"):
        program(A, b)
    if method != "lsqr":  # least squares have an answer
        with pytest.raises(TpcError, match="not solved to its tolerance|positive definite"):
            program(np.diag([*np.ones(39), 0.0]), b)


def test_what_was_not_solved_is_told_with_its_place() -> None:
    A, b = system("definite", 30)
    text = (
        "def main(A: f64[n, n], b: f64[n]) -> f64[n]:\n    x = solve(A, b, method=cg, tol=1e-9, {})\n    return 2 * x"
    )
    for how, matrix in (("steps=3", A), ("steps=30", -A)):
        with pytest.raises(TpcError) as caught:
            tpc.compile(text.format(how))(matrix, b)
        (label,) = caught.value.diagnostics[0].labels
        assert label.span.text.startswith("solve(A, b") and label.span.source.position(label.span.start)[0] == 2


@pytest.mark.parametrize("method, kind", METHODS)
def test_a_right_side_whose_squares_vanish_is_not_taken_for_zero(method: str, kind: str) -> None:
    A, b = system(kind, 8)
    program = tpc.compile(REPORT.format(facts="", how=f"method={method}, tol=1e-9, "))
    for scale in (1e-200, 1e200):
        with pytest.raises(TpcError, match="too small or too large"):
            program(A, scale * b)
    if method == "lsqr":
        with pytest.raises(TpcError, match="too small or too large"):
            program(1e-140 * A, 1e-140 * b)
    assert not np.any(program(A, 0 * b)[0])


@pytest.mark.parametrize("call, code", [
    ("solve(A, b, method=fast)", "E0217"),
    ("solve(A, b, tol=2)", "E0217"),
    ("solve(A, b, steps=0)", "E0217"),
    ("solve(A, b, metod=cg)", "E0304"),
    ("solve(A, method=cg)", "E0302"),
    ("solve(A, b[1:], method=cg)", "E0203"),
    ("solve(A, b, precond=b, method=cg)", "E0203"),
    ("solve(1j * A, 1j * b, method=gmres)", "E0221"),
    ("solve(A[1:], b[1:], method=cg)", "E0203"),
])  # fmt: skip
def test_mistakes(call: str, code: str) -> None:
    found = check(Source(f"def main(A: f64[n, n], b: f64[n]) where n > 1 = {call}\n"))
    assert [d.code for d in found.diagnostics.errors] == [code]


def test_the_text_form_is_read_back_as_the_same_program() -> None:
    program = check(Source(REPORT.format(facts=" is spd", how="precond=diagonal, tol=1e-9, "))).programs["main"]
    assert check(Source(str(program))).programs["main"] is program
    loss = check(Source(DERIVATIVES.format("cg"))).programs["loss"]
    assert check(Source(str(loss))).programs["loss"] is loss


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
def test_gmres_stops_within_a_round(backend: Any) -> None:
    """The length of the residual is known at every step, and is the true one."""
    text = "def f(A: f64[n, n], b: f64[n]) = solve(A, b, method=gmres, tol=1e-10, report=true)\n"
    f, rng = tpc.compile(text, backend=backend), np.random.default_rng(0)
    two = np.diag(np.r_[np.ones(20), 3 * np.ones(20)])
    near = np.eye(80) + 0.01 * rng.standard_normal((80, 80))
    for A, most in ((np.eye(5), 1), (two, 2), (near, 14), (np.eye(7)[::-1].copy(), 2), (np.array([[2.0]]), 1)):
        b = rng.standard_normal(len(A))
        x, left, steps = f(A, b)
        assert int(steps) <= most
        np.testing.assert_allclose(np.linalg.norm(A @ np.asarray(x) - b), float(left), atol=1e-13)
        assert float(left) <= 1e-10 * np.linalg.norm(b)
