"""What people's programs ran into: each stays mended."""

from __future__ import annotations

import pickle
from multiprocessing import get_context

import numpy as np
import pytest

import tpc
from tests.backends.contract import BACKENDS
from tpc.dsl.diagnostics import InternalError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run


def program(text: str) -> Program:
    checked = check(Source(text.lstrip(), "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    return checked.programs[checked.default() or ""]


def in_loops(plan: Program) -> set[str]:
    return {n.op.name for loop in plan.nodes for body in loop.programs for n in body.walk()}


POOL = """
def pool(x: f64[h, w]) -> f64[div(h, 2), div(w, 2)]:
    y[i in div(h, 2), j in div(w, 2)] = max[p in 2, q in 2](x[2 * i + p, 2 * j + q])
    return y

def row(x: f64[h, w]) -> f64[h, div(w, 2)]:
    y[i, j in div(w, 2)] = max[q in 2](x[i, 2 * j + q])
    return y

def loss(x: f64[h, w]) -> f64 = sum(pool(x)^2) + sum(row(x)^2)

def main(x: f64[h, w]) -> f64[h, w] = grad(loss, x)(x)
"""


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("shape", [(4, 6), (5, 3), (1, 1)])
def test_gradients_of_windows_that_lie_side_by_side(name: str, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    expected = np.zeros(shape)
    for i, j in np.ndindex(shape[0] // 2, shape[1] // 2):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        expected[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += 2 * window.max() * (window == window.max())
    for i, j in np.ndindex(shape[0], shape[1] // 2):
        window = x[i, 2 * j : 2 * j + 2]
        expected[i, 2 * j : 2 * j + 2] += 2 * window.max() * (window == window.max())
    assert np.allclose(tpc.compile(POOL, backend=name)(x), expected)


def test_real_numbers_beside_complex_ones() -> None:
    text = (
        "def f(v: c128[n]) -> c128[n]:\n    k[i in n] = 1.0 * select(i < 2, i, -i)\n    return maximum(abs(k), 1) * v\n"
    )
    v = np.array([1, 2j, 3, 4])
    assert np.allclose(tpc.compile(text)(v), [1, 2j, 6, 12])


def test_a_solve_that_a_diagonal_is_read_of() -> None:
    """Its search met a product that reads the diagonal of an inverse."""
    text = (
        "def f(A: f64[n, n], Q: f64[n, n] is symmetric) -> f64[n, n]:\n"
        "    L = kron(A, eye(n)) + kron(eye(n), A)\n    return unvec(-inv(L) @ vec(Q), n, n)\n"
    )
    A, Q = np.diag([-1.0, -2, -3]) + 0.1, np.eye(3)
    X = tpc.compile(text, dims={"n": 30})
    assert X.cost.flops > 0
    X = tpc.compile(text)(A, Q)
    assert np.allclose(A @ X + X @ A.T + Q, 0)


def test_a_factorization_of_constants_and_arguments_goes_before_the_loop() -> None:
    text = (
        "def f(P: f64[n, n] is psd, A: f64[m, n], q: f64[n], rho: f64 is positive) -> f64[n]:\n"
        "    x = q\n    repeat 50:\n"
        "        x = inv(P + 1e-6 * eye(n) + rho * A' @ A) @ (x - q)\n    return x\n"
    )
    plan = run(program(text), Options(at={"n": 40, "m": 60})).program
    assert not in_loops(plan) & {"inv", "solve", "lu_factor", "cholesky", "add_diagonal"}
    assert "cholesky" in {n.op.name for n in plan.nodes}  # rho * A' @ A is read as a multiple of A' @ A


def test_what_a_function_declares_holds_in_its_derivative() -> None:
    text = (
        "def cov(t: f64) -> f64[6, 6] is spd:\n    K[i in 6, j in 6] = exp(-abs(i - j) * t)\n    return K\n\n"
        "def loss(t: f64) -> f64 = logdet(cov(t))\n\ndef main(t: f64) -> f64 = grad(loss, t)(t)\n"
    )
    plan = run(program(text), stop_after="differentiate").program
    assert "spd" in {fact.name for _, facts in plan.facts for fact in facts}


MAPS = """
def logpdf(x: f64[d], mu: f64[d], S: f64[d, d] is spd) -> f64:
    r = x - mu
    return r @ inv(S) @ r + logdet(S)

def main(X: f64[n, d], mu: f64[k, d], S: f64[k, d, d] is spd) -> f64[n, k]:
    return vmap(vmap(logpdf, mu, S), x)(X, mu, S)
"""


def test_a_loop_in_a_loop_is_made_for_all_passes_of_the_outer_one() -> None:
    before = program(MAPS)
    plan = run(before).program
    loops = [n for n in plan.walk() if n.op.name == "scan"]
    assert {str(loop["extent"]) for loop in loops} == {"k"}
    assert not any(n.op.name == "scan" for loop in loops for n in loop["body"].walk())
    names = {n.op.name for n in plan.walk()}
    assert "cholesky" in names and not {"inv", "solve", "lu_factor"} & names  # what is declared of S holds for each
    rng = np.random.default_rng(0)
    for n, k, d in ((5, 3, 2), (1, 1, 1), (0, 2, 2)):
        R = rng.standard_normal((k, d, d))
        given = [rng.standard_normal((n, d)), rng.standard_normal((k, d)), R @ R.transpose(0, 2, 1) + np.eye(d)]
        (expected,) = evaluate(run(before, stop_after="inline").program, given)
        assert np.allclose(tpc.compile(MAPS, backend="numpy")(*given), np.asarray(expected, float))


def test_the_counter_of_the_outer_loop_in_the_inner_one() -> None:
    text = (
        "def f(S: f64[k, d, d] is spd, x: f64[n]) -> f64[n, k]:\n    scan t in n:\n        scan s in k:\n"
        "            z[s] = logdet(S[s]) * x[t] + t\n        y[t] = z\n    return y\n"
    )
    S, x = np.stack([np.eye(2), 2 * np.eye(2)]), np.array([1.0, 2.0, 3.0])
    expected = x[:, None] * np.linalg.slogdet(S)[1] + np.arange(3)[:, None]
    assert np.allclose(tpc.compile(text, backend="numpy")(S, x), expected)


# ---- several targets


def test_targets_with_letters_side_by_side() -> None:
    text = (
        "def g(x: f64) -> (f64, f64) = x, 2 * x\n\n"
        "def main(y: f64[n], a: f64) -> (f64[n], f64[n, 2], f64[n], f64[n], f64, f64[n], f64[n, n]):\n"
        "    x, s = 0.0, 0.0\n"
        "    scan t in n:\n"
        "        old[t], x, both[t, i in 2] = x, a * x + y[t], x * i\n"
        "        p[t], q[t] = g(x)\n"
        "        s = s + x\n"
        "    r[i], T[i, j] = y[i] + 1, y[i] * y[j]\n"
        "    return old, both, p, q, s, r, T\n"
    )
    old, both, p, q, s, r, T = tpc.compile(text)(np.array([1.0, 2, 3]), 0.5)
    assert old.tolist() == [0, 1, 2.5] and both.tolist() == [[0, 0], [0, 1], [0, 2.5]]  # as it was before the line
    assert p.tolist() == [1, 2.5, 4.25] and (q == 2 * p).all() and s == p.sum()
    assert r.tolist() == [2, 3, 4] and T[2, 1] == 6


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("p[t], q[t] = x", "2 names, of which some have letters, need as many values side by side"),
        ("p[t], q[t, i in 2] = g(x)", "2 names, of which some have letters, need as many values side by side"),
        ("x = x + 1\n        x = 2 * x\n        p[t], q[t] = x, x", "`x` is already defined"),
    ],
)
def test_what_does_not_fit_several_targets(line: str, told: str) -> None:
    text = (
        "def g(x: f64) -> (f64, f64) = x, 2 * x\n\ndef main(n_: f64[n]) -> f64[n]:\n    x = 0.0\n    scan t in n:\n"
        f"        {line}\n    return p\n"
    )
    errors = check(Source(text, "test.tp")).diagnostics.errors
    assert [d.title for d in errors] == [told]  # nothing is said of `p` behind it
    if "defined" in told:
        assert "a block replaces a value once" in (errors[0].help or "")


# ---- other processes


def _fails(n: int) -> object:
    return tpc.compile("def f(x: f64[n], y: f64[n]) -> (f64, f64) = sum(x), sum(y)")(np.ones(2), np.ones(n))


def test_results_and_errors_come_back_from_other_processes() -> None:
    with get_context("fork").Pool(1) as pool:
        assert pool.apply(_fails, (2,)).out2 == 2.0
        with pytest.raises(tpc.TpcError, match="`y` has 3 entries") as caught:
            pool.apply(_fails, (3,))
    assert caught.value.diagnostics[0].code == "E0805"
    fault = pickle.loads(pickle.dumps(InternalError("choose", "what it was")))  # noqa: S301
    assert (fault.stage, str(fault)) == ("choose", "choose: what it was")


def test_a_compiled_program_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="send the text of the program"):
        pickle.dumps(tpc.compile("def f(x: f64) = x"))
