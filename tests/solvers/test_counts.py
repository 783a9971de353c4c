"""Counts of steps and of bytes that iterative methods have to show."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import scipy.sparse as sp

import tpc

SUM = "kron(T, eye(p)) + kron(eye(p), T)"
POISSON = f"""
def F(v: f64[p*p], T: f64[p, p], lo: f64, hi: f64) -> (f64[p*p], f64[p*p]):
    A = {SUM}
    return A @ v, chebyshev(A, v, lo, hi)

def main(T: f64[p, p] is symmetric, b: f64[p*p], lo: f64, hi: f64) -> (i64, i64):
    _x, _r, plain = solve({SUM}, b, method=cg, tol=1e-8, report=true)
    _y, _s, outer = solve(F, v, method=cg, tol=1e-8, report=true)(zeros(p * p), T, lo, hi, b)
    return plain, outer
"""


def laplacian(p: int) -> Any:
    return 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1)


def test_poisson_on_a_grid_of_64_by_64() -> None:
    p = 64
    most = 2 * np.linalg.eigvalsh(laplacian(p))[-1]
    program = tpc.compile(POISSON, dims={"p": p}, backend="numpy")
    b = np.random.default_rng(0).standard_normal(p * p)
    plain, outer = program(laplacian(p), b, most / 60, most)  # below which conjugate gradients do better
    assert abs(plain - 199) <= 15 and outer <= 31


SCALED = """
def main(T: f64[p, p] is symmetric, s: f64[p*p] is positive, b: f64[p*p]) -> i64:
    A = diag(s) @ (kron(T, eye(p)) + kron(eye(p), T)) @ diag(s)
    _x, _r, k = solve(A, b, method=cg, tol=1e-8, steps=5000, {}report=true)
    return k
"""


def test_a_badly_scaled_system_needs_its_diagonal() -> None:
    p = 64
    s = 10.0 ** np.random.default_rng(1).uniform(-2, 2, p * p)
    b = s * np.random.default_rng(0).standard_normal(p * p)
    how = ("", "precond=diag(1 / (4 * s * s)), ")
    plain, fixed = (tpc.compile(SCALED.format(option), dims={"p": p}, backend="numpy") for option in how)
    assert fixed(laplacian(p), s, b) <= 250
    assert plain(laplacian(p), s, b) == 5000  # and not solved then


DIAGONAL = """
def main(d: f64[n] is positive, b: f64[n]) -> i64:
    _x, _r, k = solve(diag(d), b, method=cg, tol=1e-8, steps=5000, report=true)
    return k
"""


def test_steps_grow_with_the_root_of_the_condition() -> None:
    program, n = tpc.compile(DIAGONAL, backend="numpy"), 4000
    conditions = 10.0 ** np.arange(1, 5.5, 0.5)
    angles = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    steps = [program((1 + k) / 2 + (k - 1) / 2 * angles, np.ones(n)) for k in conditions]
    roots = np.sqrt(conditions)
    slope = np.polyfit(roots, steps, 1)
    left = np.sum((np.polyval(slope, roots) - steps) ** 2) / np.sum((steps - np.mean(steps)) ** 2)
    assert 1 - left >= 0.98
    bound = np.log(2 * roots / 1e-8) / -np.log((roots - 1) / (roots + 1))
    assert np.all(np.array(steps) <= bound + 2)


GRID = """
def main(f: f64[p, p]) -> (f64[p, p], i64):
    x, _r, k = solve(laplacian, u, method=cg, tol=1e-3, steps=40, report=true)(zeros(p, p), f)
    return x, k

def laplacian(u: f64[p, p]) -> f64[p, p]:
    v[i, j] = 4.5 * u[i, j] - u[i - 1, j, pad=0] - u[i + 1, j, pad=0] - u[i, j - 1, pad=0] - u[i, j + 1, pad=0]
    return v
"""


def test_a_million_unknowns_hold_a_few_vectors() -> None:
    program = tpc.compile(GRID, function="main", dims={"p": 1000}, backend="numpy")
    f = np.random.default_rng(0).standard_normal((1000, 1000))
    tracemalloc.start()
    x, _ = program(f)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isfinite(x).all() and peak <= 20 * f.nbytes


ROTATIONS = """
def main(T: f64[p, p] is symmetric, b: f64[p*p]) -> f64[p*p]:
    return solve(kron(T, eye(p)) + kron(eye(p), T), b, method=cg, tol=1e-8, steps={})
"""


def test_a_step_allocates_nothing_that_stays() -> None:
    p, peaks = 64, []
    b = np.random.default_rng(0).standard_normal(p * p)
    eigenvector = np.linalg.eigh(laplacian(p))[1][:, :3] @ np.ones(3)
    for right in (np.kron(eigenvector, eigenvector), b):  # solved in a few steps, and in many
        program = tpc.compile(ROTATIONS.format(1000), dims={"p": p}, backend="numpy")
        program(laplacian(p), right)
        tracemalloc.start()
        program(laplacian(p), right)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= peaks[0] + 4096


INCOMPLETE = """
def F(v: f64[n], S: f64[n, n], L: f64[n, n] is lower and nonsingular, U: f64[n, n] is upper and nonsingular):
    return S @ v, U \\ (L \\ v)

def main(S: f64[n, n], L: f64[n, n] is lower and nonsingular, U: f64[n, n] is upper and nonsingular, b: f64[n]) -> i64:
    _x, _r, k = solve(F, v, method=cg, tol=1e-8, report=true)(zeros(n), S, L, U, b)
    return k
"""


def incomplete(A: Any) -> Any:
    """The incomplete Cholesky factor on the pattern of a sparse A: Meijerink and van der Vorst (1977)."""
    rows: list[dict[int, float]] = []
    for i in range(A.shape[0]):
        entries = A.indices[A.indptr[i] : A.indptr[i + 1]]
        values = dict(zip(entries.tolist(), A.data[A.indptr[i] : A.indptr[i + 1]].tolist(), strict=True))
        row: dict[int, float] = {}
        for j in sorted(j for j in values if j < i):
            met = sum(row[k] * rows[j][k] for k in row if k in rows[j])
            row[j] = (values[j] - met) / rows[j][j]
        row[i] = np.sqrt(values[i] - sum(x * x for x in row.values()))
        rows.append(row)
    places = [(i, j, x) for i, row in enumerate(rows) for j, x in row.items()]
    i, j, x = zip(*places, strict=True)
    return sp.csr_array((x, (i, j)), shape=A.shape)


def test_a_sparse_factor_of_the_user_is_applied_by_substitution() -> None:
    p = 64
    T, one = sp.csr_array(laplacian(p)), sp.eye_array(p)
    S = sp.csr_array(sp.kron(T, one) + sp.kron(one, T))
    L = incomplete(S)
    steps = tpc.compile(INCOMPLETE)(S, L, sp.csr_array(L.T), np.random.default_rng(0).standard_normal(p * p))
    assert abs(steps - 66) <= 6
