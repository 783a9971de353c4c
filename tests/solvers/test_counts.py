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


FACTOR = "def main(S: f64[n, n]) -> f64[n, n] = incomplete_cholesky(S)"


def poisson(p: int) -> Any:
    T, one = sp.csr_array(laplacian(p)), sp.eye_array(p)
    return sp.csr_array(sp.kron(T, one) + sp.kron(one, T))


def test_an_incomplete_factor_of_poisson_and_one_of_the_user() -> None:
    p = 64
    S, b = poisson(p), np.random.default_rng(0).standard_normal(p * p)
    L = tpc.compile(FACTOR)(S)
    assert sp.issparse(L) and L.nnz == sp.tril(S).nnz
    assert abs((L @ L.T - S).multiply(S != 0)).max() <= 1e-2  # IC(0) agrees with S on its pattern
    assert abs(tpc.compile(INCOMPLETE)(S, L, sp.csr_array(L.T), b) - 66) <= 4
    text = """
def main(S: f64[n, n] is spd, b: f64[n]) -> (f64[n], i64):
    x, _r, k = solve(S, b, method=cg, tol=1e-8, precond=incomplete_cholesky, report=true)
    return x, k
"""
    x, steps = tpc.compile(text)(S, b)
    assert abs(steps - 66) <= 4 and np.linalg.norm(S @ x - b) <= 1e-8 * np.linalg.norm(b)


def test_incomplete_factors_without_symmetry() -> None:
    p = 24
    skew = 0.7 * sp.diags_array(np.ones(p * p - 1), offsets=1)
    A, b = sp.csr_array(poisson(p) + skew - skew.T), np.random.default_rng(1).standard_normal(p * p)
    text = """
def main(A: f64[n, n], b: f64[n]) -> (f64[n], i64, i64, f64[n, n]):
    L, U = incomplete_lu(A)
    x, _r, fast = solve(A, b, method=gmres, tol=1e-8, precond=inv(U) @ inv(L), report=true)
    _x, _s, plain = solve(A, b, method=gmres, tol=1e-8, report=true)
    return x, fast, plain, A - (A != 0) * (L @ U)
"""
    x, fast, plain, left = tpc.compile(text)(A, b)
    assert np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b) and 2 * fast <= plain
    assert abs(left).max() <= 1e-2


COILS = """
def E(u: c128[p, p], mask: f64[p, p], maps: c128[c, p, p], s: f64) -> c128[p, p]:
    return sum(conj(maps) * ifft2(mask * fft2(maps * u)), axis=0) + s * u

def main(mask: f64[p, p], maps: c128[c, p, p], s: f64, b: c128[p, p]) -> (c128[p, p], i64):
    x, _r, k = solve(E, u, method=cg, tol=1e-3, report=true)(0 * b, mask, maps, s, b)
    return x, k
"""


def test_an_operator_of_masks_transforms_and_coil_maps() -> None:
    p, s, rng = 96, 1.0, np.random.default_rng(0)  # a matrix of 9216 by 9216 complex numbers would take 1.4 GB
    place = np.linspace(-1, 1, p)
    at = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    maps = np.stack([np.exp((1j * a - (place[:, None] - a) ** 2) + 1j * b - (place - b) ** 2) for a, b in at])
    maps /= np.sqrt((abs(maps) ** 2).sum(0))
    mask = np.outer(rng.random(p) < 0.6, np.ones(p))
    u, b = (rng.standard_normal((p, p)) + 1j * rng.standard_normal((p, p)) for _ in range(2))
    product = tpc.compile(COILS, function="E", backend="numpy")
    left, right = np.vdot(u, product(b, mask, maps, s)), np.vdot(product(u, mask, maps, s), b)
    assert abs(left - right) <= 1e-12 * abs(left)
    program = tpc.compile(COILS, function="main", backend="numpy")
    tracemalloc.start()
    x, steps = program(mask, maps, s, b)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.linalg.norm(product(x, mask, maps, s) - b) <= 1e-3 * np.linalg.norm(b)
    assert steps <= 5 and peak <= 100 * b.nbytes


DEFLATED = """
def main(A: f64[n, n], Z: f64[n, k], b: f64[n]) -> (f64[n], i64, i64):
    _x, _r, plain = solve(A, b, method=cg, tol=1e-8, report=true)
    x, _s, fast = solve(A, b, method=cg, tol=1e-8, precond=deflation(A, Z), report=true)
    return x, plain, fast
"""


def test_six_related_systems_share_a_deflation_space_that_is_paid_for() -> None:
    p, parts, rng = 64, 8, np.random.default_rng(0)
    piece = np.kron(np.eye(parts), np.full((p // parts, 1), (p // parts) ** -0.5))
    Z = np.kron(piece, piece)  # constant on each of 64 squares of the grid: Nicolaides (1987)
    program, cold, warm = tpc.compile(DEFLATED), 0, Z.shape[1]  # products for A @ Z
    for _ in range(6):
        A = sp.csr_array(poisson(p) + sp.diags_array(1e-3 * rng.random(p * p)))
        b = rng.standard_normal(p * p)
        x, plain, fast = program(A, Z, b)
        assert np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b)
        cold, warm = cold + plain, warm + fast
    assert warm <= 0.6 * cold
