"""Systems that are solved by steps without being asked for: where, how well, and where not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run
from tpc.passes.solvers.bounds import Spectrum
from tpc.verification import check_plan

RNG = np.random.default_rng(0)


def laplacian(p: int) -> Any:
    return 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1)


def definite(n: int) -> Any:
    G = RNG.standard_normal((n, n))
    return G @ G.T / n + 4 * np.eye(n)


def kernel(n: int) -> Any:
    t = np.linspace(0, 3, n)
    return np.exp(-((t[:, None] - t) ** 2))


GRID = """
def f(T: f64[p, p] is symmetric, d: f64[p*p] is nonnegative, b: f64[p*p]) -> f64[p*p]:
    return (kron(T, eye(p)) + kron(eye(p), T) + diag(d)) \\ b
"""
NOISE = """
def f(K: f64[n, n] is psd, L: f64[m, m] is psd, s: f64[n*m] is positive, y: f64[n*m]) -> f64[n*m]:
    return inv(2 * kron(K, L) + diag(s)) @ y
"""
BLOCK = NOISE.replace("y: f64[n*m]) -> f64[n*m]", "y: f64[n*m, k]) -> f64[n*m, k]")
THREE = """
def f(A: f64[n, n] is spd, B: f64[m, m] is spd, C: f64[n, n] is spd, D: f64[m, m] is spd, E: f64[n, n] is spd,
      F: f64[m, m] is spd, b: f64[n*m]) -> f64[n*m]:
    return (kron(A, B) + kron(C, D) + kron(E, F)) \\ b
"""
TOEPLITZ = """
def f(T: f64[n, n] is toeplitz and psd, b: f64[n]) -> f64[n] = (T + 0.5 * eye(n)) \\ b
"""
UPDATED = """
def f(L: f64[n, n] is lower and nonsingular, U: f64[n, k], b: f64[n]) -> f64[n] = (2 * L @ L' + 0.5 * U @ U') \\ b
"""


def grid(p: int) -> tuple[list[Any], Any]:
    T, d = laplacian(p), 1e-3 * RNG.random(p * p)
    return [T, d], np.kron(T, np.eye(p)) + np.kron(np.eye(p), T) + np.diag(d)


def noise(n: int, m: int) -> tuple[list[Any], Any]:
    K, L, s = kernel(n), kernel(m), 0.2 + 0.1 * RNG.random(n * m)
    return [K, L, s], 2 * np.kron(K, L) + np.diag(s)


def three(n: int, m: int) -> tuple[list[Any], Any]:
    parts = [definite(k) for k in (n, m) * 3]
    return parts, np.kron(*parts[:2]) + np.kron(*parts[2:4]) + np.kron(*parts[4:])


def toeplitz(n: int) -> tuple[list[Any], Any]:
    T = 0.8 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return [T], T + 0.5 * np.eye(n)


def updated(n: int, condition: float = 1e3) -> tuple[list[Any], Any]:
    Q, U = np.linalg.qr(RNG.standard_normal((n, n)))[0], RNG.standard_normal((n, 3))
    L = np.linalg.cholesky(Q * np.geomspace(1, 1 / condition, n) @ Q.T)
    return [L, U], 2 * L @ L.T + 0.5 * U @ U.T


SYSTEMS: dict[str, tuple[str, Callable[[], tuple[list[Any], Any]], dict[str, int]]] = {
    "Kronecker sum with a diagonal": (GRID, lambda: grid(20), {"p": 20}),
    "Kronecker product with a diagonal": (NOISE, lambda: noise(21, 19), {"n": 21, "m": 19}),
    "three Kronecker products": (THREE, lambda: three(24, 25), {"n": 24, "m": 25}),
    "Toeplitz": (TOEPLITZ, lambda: toeplitz(1500), {}),
}


def without_factors(program: Any) -> Callable[..., Any]:
    """What a program gives where it makes steps alone: a factorization would fail."""
    space: dict[str, Any] = {}
    exec(re.sub(r"= _(cholesky|lu|ldl)\(", "= _none(", program.source), space)  # noqa: S102
    made: Callable[..., Any] = space["f"]
    return made


def loops(program: Any) -> int:
    """Loops within loops: rounds of steps."""
    return sum(n.op.name == "repeat" and any(m.op.name == "repeat" for m in n["body"].nodes) for n in program.walk())


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
def test_an_update_is_as_exact_as_a_factorization_whatever_the_condition(backend: str) -> None:
    for n, condition in ((1, 1.0), (6, 1e6), (300, 1e4), (300, 1e9), (400, 1e13)):
        (L, U), A = updated(n, condition)
        b = RNG.standard_normal(n)
        program = tpc.compile(UPDATED, backend=backend)  # type: ignore[arg-type]
        x = program(L, U, b)
        left = np.linalg.norm(A @ x - b)
        assert left <= 4e-14 * (np.linalg.norm(A, 2) * np.linalg.norm(x) + np.linalg.norm(b))
    assert loops(program.plan.program) and "refinement of what Woodbury's formula says" in program.explain()
    small = updated(40)
    few = tpc.compile(UPDATED, dims={"n": 40, "k": 3}, backend=backend)  # type: ignore[arg-type]
    few(*small[0], np.ones(40))
    assert few.plan.iterated is None


@pytest.mark.parametrize("name", SYSTEMS)
def test_steps_give_what_a_factorization_would(name: str) -> None:
    text, make, dims = SYSTEMS[name]
    operands, A = make()
    b = RNG.standard_normal(len(A))
    program = tpc.compile(text, dims=dims, backend="numpy")
    x = program(*operands, b)
    assert program.plan.iterated is not None and loops(program.plan.program)
    left = np.linalg.norm(A @ x - b)
    assert left <= 2e-14 * (np.linalg.norm(A, 2) * np.linalg.norm(x) + np.linalg.norm(b))
    (taken,) = program.plan.iterated.taken
    assert taken.direct
    assert np.array_equal(without_factors(program)(*operands, b), x)


@pytest.mark.parametrize("shift", [0.0, -1.03, -2.51, -4.0])  # definite, indefinite twice, negative definite
def test_indefinite_sums_are_solved_by_minres(shift: float) -> None:
    p = 24
    program = tpc.compile(GRID.replace("d: f64[p*p] is nonnegative", "d: f64[p*p]"), dims={"p": p}, backend="numpy")
    assert "MINRES" in program.explain()
    T, d, b = laplacian(p) + shift * np.eye(p), 1e-3 * RNG.standard_normal(p * p), RNG.standard_normal(p * p)
    A = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T) + np.diag(d)
    x = program(T, d, b)
    assert np.linalg.norm(A @ x - b) <= 2e-14 * (np.linalg.norm(A, 2) * np.linalg.norm(x) + np.linalg.norm(b))
    assert np.array_equal(without_factors(program)(T, d, b), x)
    d[0] = 9.0  # as far as the eigenvalues lie from zero: nothing is known of the steps
    A = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T) + np.diag(d)
    np.testing.assert_allclose(A @ program(T, d, b), b, atol=1e-10)


PICARD = """
def f(T: f64[p, p] is spd, d: f64[p*p] is nonnegative, b: f64[p*p]) -> f64[p*p]:
    x = b
    repeat 5:
        x = (kron(T, eye(p)) + kron(eye(p), T) + diag(d{})) \\ {}
    return x
"""


def test_a_matrix_that_changes_in_a_loop_is_solved_with_by_steps() -> None:
    p = 20
    T, d, b = laplacian(p), 1e-2 * RNG.random(p * p), RNG.standard_normal(p * p)
    K, x = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T), b
    for _ in range(5):
        x = np.linalg.solve(K + np.diag(d + 1e-3 * x**2), b)
    program = tpc.compile(PICARD.format(" + 1e-3 * x^2", "b"), dims={"p": p}, backend="numpy")
    np.testing.assert_allclose(program(T, d, b), x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(without_factors(program)(T, d, b), x, rtol=1e-10, atol=1e-12)
    assert program.source.count("eigh(") == 1 and "solved by steps" in program.explain()
    steady = check(Source(PICARD.format("", "x"))).programs["f"]  # factored once, for all passes
    assert run(steady, Options(sizes={"p": p}), stop_after="iterate").iterated is None


def test_a_sparse_matrix_with_a_shift() -> None:
    p, s = 40, 0.5
    S = sp.csr_array(sp.kron(laplacian(p), sp.eye_array(p)) + sp.kron(sp.eye_array(p), laplacian(p)))
    text = "def f(S: f64[n, n] is psd, s: f64 is positive, b: f64[n]) -> f64[n] = (S + s * eye(n)) \\ b"
    program, b = tpc.compile(text), RNG.standard_normal(p * p)
    x = program(S, s, b)
    assert program.plan.iterated is not None
    np.testing.assert_allclose(S @ x + s * x, b, atol=1e-12)


def test_many_right_sides_and_derivatives_share_the_way() -> None:
    operands, A = noise(21, 19)
    B = RNG.standard_normal((len(A), 3))
    program = tpc.compile(BLOCK, backend="numpy")
    np.testing.assert_allclose(A @ program(*operands, B), B, atol=1e-11)
    assert program.plan.iterated is not None
    text = NOISE + "\ndef q(K: f64[n, n], L: f64[m, m], s: f64[n*m], y: f64[n*m]) -> f64:\n"
    text += "    return y @ inv(2 * kron(K, L) + diag(s)) @ y\n\n"
    text += NOISE.replace("def f", "def main").split("    return")[0] + "    return grad(q, s)(K, L, s, y)\n"
    slope = tpc.compile(text, backend="numpy")
    np.testing.assert_allclose(slope(*operands, B[:, 0]), -(np.linalg.solve(A, B[:, 0]) ** 2), rtol=1e-8, atol=1e-9)
    assert slope.plan.iterated is not None and loops(slope.plan.program) == 1


def test_where_bounds_do_not_prove_it_the_factors_are_taken() -> None:
    p = 20
    program = tpc.compile(GRID, dims={"p": p}, backend="numpy")
    T, d, b = laplacian(p) - 2 * np.eye(p), np.ones(p * p), RNG.standard_normal(p * p)  # indefinite
    A = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T) + np.diag(d)
    np.testing.assert_allclose(A @ program(T, d, b), b, atol=1e-9)
    hard = 10.0 ** RNG.uniform(0, 12, p * p)  # more steps than are worth it
    A = np.kron(laplacian(p), np.eye(p)) + np.kron(np.eye(p), laplacian(p)) + np.diag(hard)
    np.testing.assert_allclose(program(laplacian(p), hard, b), np.linalg.solve(A, b), rtol=1e-8)
    tiny = program(laplacian(p), 0 * hard, 1e-200 * b)  # whose squares vanish
    np.testing.assert_allclose(tiny, np.linalg.solve(A - np.diag(hard), 1e-200 * b), rtol=1e-9)
    with pytest.raises(tpc.TpcError, match="singular"):
        program(np.zeros((p, p)), np.zeros(p * p), b)


DECLINED = {
    "not known to be symmetric": GRID.replace(" is symmetric", ""),
    "small": GRID,
    "its determinant is needed, too": GRID.replace("-> f64[p*p]", "").replace(
        "return (kron(T, eye(p)) + kron(eye(p), T) + diag(d)) \\ b",
        "A = kron(T, eye(p)) + kron(eye(p), T) + diag(d)\n    return A \\ b, logdet(A)",
    ),
    "eigenvectors do it alone": GRID.replace("diag(d)", "sum(d) * eye(p * p)"),
    "Woodbury": "def f(d: f64[n] is positive, U: f64[n, r], b: f64[n]) -> f64[n] = (diag(d) + U @ U') \\ b",
    "no bound": "def f(K: f64[n, n] is spd, b: f64[n]) -> f64[n] = K \\ b",
}


@pytest.mark.parametrize("why", DECLINED)
def test_where_it_is_declined(why: str) -> None:
    program = check(Source(DECLINED[why])).programs["f"]
    sizes = {"p": 6} if why == "small" else {"n": 2000, "r": 5, "p": 30}
    plan = run(program, Options(sizes=sizes), stop_after="kronecker")
    assert plan.iterated is None and not loops(plan.program)


def test_never_in_mode_bitwise() -> None:
    program = check(Source(GRID)).programs["f"]
    assert run(program, Options(sizes={"p": 30}, mode="bitwise"), stop_after="iterate").iterated is None


def test_a_matrix_that_does_not_fit_is_never_made() -> None:
    p = 150
    program = tpc.compile(GRID, dims={"p": p}, backend="numpy")
    T, d, b = laplacian(p), 1e-3 * RNG.random(p * p), RNG.standard_normal(p * p)
    X = program(T, d, b).reshape(p, p)
    np.testing.assert_allclose((T @ X + X @ T).ravel() + d * X.ravel(), b, atol=1e-12)
    assert program.cost.peak_bytes < 10**8
    with pytest.raises(tpc.TpcError, match="not solved to its tolerance"):
        program(-T, d, b)


def test_it_is_told_and_checked() -> None:
    program = tpc.compile(GRID, backend="numpy")
    told = program.explain()
    assert "solved by steps" in told and "eigenvectors" in told
    assert check_plan(program.program, program.plan.program).is_telling


def test_a_right_side_may_be_a_solution_with_another_matrix() -> None:
    n = 20
    text = """
def f(T: f64[n, n] is spd, d: f64[n*n] is nonnegative, e: f64[n*n] is nonnegative, b: f64[n*n]) -> f64[n*n]:
    A = kron(T, eye(n)) + kron(eye(n), T)
    return (A + diag(d)) \\ ((A + diag(e)) \\ b)
"""
    program = tpc.compile(text, dims={"n": n}, backend="numpy")
    T, d, e = laplacian(n), RNG.random(n * n), RNG.random(n * n)
    A, b = np.kron(T, np.eye(n)) + np.kron(np.eye(n), T), RNG.standard_normal(n * n)
    expected = np.linalg.solve(A + np.diag(d), np.linalg.solve(A + np.diag(e), b))
    np.testing.assert_allclose(program(T, d, e, b), expected, atol=1e-11)
    assert program.plan.iterated is not None and len(program.plan.iterated.taken) == 2
    assert loops(program.plan.program) == 2


LEAST = "def f(A: f64[n, d], b: f64[n]) -> f64[d] = lstsq(A, b)"


def test_tall_least_squares_are_as_good_as_by_singular_values() -> None:
    n, d = 8000, 100
    program = tpc.compile(LEAST, dims={"n": n, "d": d}, backend="numpy")
    assert program.plan.iterated is not None and "LSQR" in program.explain()
    A, b = RNG.standard_normal((n, d)) * np.logspace(0, -5, d), RNG.standard_normal(n)
    x, best = program(A, b), np.linalg.lstsq(A, b, rcond=None)[0]
    np.testing.assert_allclose(x, best, rtol=1e-6, atol=1e-9 * np.abs(best).max())
    assert np.linalg.norm(A.T @ (A @ x - b)) <= 4 * np.linalg.norm(A.T @ (A @ best - b))
    np.testing.assert_allclose(program(A, A @ np.ones(d)), np.ones(d), atol=1e-9)
    assert not program(A, 0 * b).any()
    broken = re.sub(r"np.linalg.lstsq\(", "none(", program.source)  # what ran were the steps
    space: dict[str, Any] = {}
    exec(broken, space)  # noqa: S102
    assert np.array_equal(space["f"](A, b), x)
    for hard in (A * np.logspace(0, -4, d), A @ np.diag(np.arange(d) > 0), np.outer(A[:, 0], np.ones(d))):
        np.testing.assert_array_equal(program(hard, b), np.linalg.lstsq(hard, b, rcond=None)[0])
    assert run(check(Source(LEAST)).programs["f"], Options(sizes={"n": 300, "d": 100}), "iterate").iterated is None


BOUNDS = """
def f(K: f64[4, 4] is symmetric, L: f64[3, 3] is psd, T: f64[12, 12] is toeplitz and symmetric, U: f64[12, 2],
      d: f64[12], s: f64) -> f64[12, 12]:
    return kron(K, L) + s * T + (diag(d) + U @ U' + s * eye(12))
"""


def test_bounds_enclose_the_eigenvalues() -> None:
    program = check(Source(BOUNDS)).programs["f"]
    from tpc.ir.facts import analyse

    found = Spectrum(analyse(program), ()).bounds(program.outputs[0])
    assert found is not None
    both = program.replace(outputs=[*program.outputs, *found])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        K, G, t = rng.standard_normal((4, 4)), rng.standard_normal((3, 2)), rng.standard_normal(12)
        T = t[np.abs(np.subtract.outer(np.arange(12), np.arange(12)))]
        operands = [K + K.T, G @ G.T, T, rng.standard_normal((12, 2)), rng.standard_normal(12), rng.standard_normal()]
        A, low, high = evaluate(both, operands)
        values = np.linalg.eigvalsh(A)
        assert low <= values[0] + 1e-9 and values[-1] <= high + 1e-9
        assert high - low < 40 * (values[-1] - values[0])
