"""Sequences of systems: what the first one tells of the matrix saves steps of those after it."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

import tpc

FIRST = """
def main(A: f64[n, n], b: f64[n], k: f64[m, p]) -> (f64[n], f64[n, p], f64[p], i64):
    x0, Z, l = harvest(A, b, k)
    x, _r, more = solve(A, b, method=cg, tol=1e-8, start=x0, precond=spectral_preconditioner(Z, l), report=true)
    return x, Z, l, m + more
"""
NEXT = """
def main(A: f64[n, n], Z: f64[n, p], l: f64[p], b: f64[n]) -> (f64[n], i64, i64):
    x, _r, steps = solve(A, b, method=cg, tol=1e-8, precond=spectral_preconditioner(Z, l), report=true)
    _x, _s, plain = solve(A, b, method=cg, tol=1e-8, report=true)
    return x, steps, plain
"""


def test_vectors_of_the_first_system_save_steps_of_all_others() -> None:
    """Of a grid that is no square: of eigenvalues that are equal, one right side shows one vector."""
    rng, (p, q) = np.random.default_rng(0), (48, 30)
    A0 = sp.kron(line(p), sp.eye_array(q)) + sp.kron(sp.eye_array(p), line(q))
    first, after, warm, cold, kept = tpc.compile(FIRST), tpc.compile(NEXT), 0, 0, ()
    for number in range(12):
        A = sp.csr_array(A0 + sp.diags_array(1e-3 * rng.random(p * q)))
        b = rng.standard_normal(p * q)
        if number == 0:
            x, *kept, steps = first(A, b, np.zeros((160, 20)))
            plain = after(A, *kept, b)[2]
        else:
            x, steps, plain = after(A, *kept, b)
        assert np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b)
        warm, cold = warm + int(steps), cold + int(plain)
    assert warm <= 0.6 * cold


def line(p: int) -> sp.sparray:
    return sp.diags_array([np.full(p - 1, -1.0), np.full(p, 2.0), np.full(p - 1, -1.0)], offsets=(-1, 0, 1))


HARVEST = "def main(A: f64[n, n], b: f64[n], k: f64[m, p]) = harvest(A, b, k)\n"


def test_the_solution_is_that_of_as_many_steps_and_pairs_are_those_of_the_matrix() -> None:
    rng = np.random.default_rng(1)
    Q, values = np.linalg.qr(rng.standard_normal((80, 80)))[0], np.append([0.01, 0.02, 0.04], np.linspace(1, 2, 77))
    A, b = (Q * values) @ Q.T, rng.standard_normal(80)
    x, Z, found = tpc.compile(HARVEST)(A, b, np.zeros((30, 3)))
    assert np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b)
    assert np.allclose(found, values[:3], rtol=1e-8)
    assert np.linalg.norm(A @ Z - Z * found) <= 1e-6


def test_spaces_that_end_early() -> None:
    harvest = tpc.compile(HARVEST)
    A = np.diag(np.arange(1.0, 9))
    for b, expected in ((np.eye(8)[2], np.eye(8)[2] / 3), (np.zeros(8), np.zeros(8))):
        x, Z, values = harvest(A, b, np.zeros((4, 2)))
        assert np.allclose(x, expected) and np.all(values > 0) and np.isfinite(Z).all()
    x, _, values = harvest(np.full((1, 1), 4.0), np.ones(1), np.zeros((1, 1)))
    assert x == 0.25 and values == 4
