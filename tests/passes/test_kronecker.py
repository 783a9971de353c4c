"""The pass `kronecker`: no plan holds a Kronecker product unless its entries are asked for, and the values stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.passes.counted import Counted, program

from tpc.backends import backend
from tpc.ir.node import Node, Program
from tpc.ir.ops.kernels import KERNELS
from tpc.ir.ops.structure import INPUT
from tpc.ir.reference import evaluate
from tpc.ir.sizes import with_sizes
from tpc.ir.types import TensorType
from tpc.ir.verify import verify
from tpc.passes.hoist import hoist
from tpc.passes.kronecker import fuse_kronecker, kronecker_products, sunk
from tpc.passes.optimise import Request, optimise

SPD = "A: f64[n, n] is spd, B: f64[m, m] is spd"
PAIR = "A: f64[m, n], B: f64[p, q]"
SQUARE = "A: f64[n, n], B: f64[m, m]"
SYMMETRIC = "A: f64[n, n] is symmetric, B: f64[m, m] is symmetric"
SIZES = {"n": 40, "m": 50, "p": 60, "q": 45, "k": 8, "r": 4, "d": 16}
GRID = {"n": 12, "m": 13, "p": 14}


@dataclass(frozen=True)
class Case:
    parameters: str
    body: str  # an expression, or statements
    sizes: Mapping[str, int]
    rows: int  # entries that no value of the plan may have

    @property
    def text(self) -> str:
        if "return" in self.body:
            return f"def f({self.parameters}) = 0\n".replace(" = 0", ":") + self.body
        return f"def f({self.parameters}) = {self.body}\n"


def case(parameters: str, body: str, *, sizes: Mapping[str, int] = SIZES, rows: int = 40 * 50) -> Case:
    return Case(parameters, body, sizes, rows)


CASES = {
    # products
    "matvec": case(f"{PAIR}, x: f64[n*q]", "kron(A, B) @ x"),
    "unvec of matvec": case(f"{PAIR}, X: f64[n, q]", "unvec(kron(A, B) @ vec(X), m, p)"),
    "many columns": case(f"{PAIR}, X: f64[n*q, k]", "kron(A, B) @ X"),
    "three factors": case(
        "A: f64[n, n], B: f64[m, m], C: f64[p, p], x: f64[n*m*p]", "kron(A, kron(B, C)) @ x", sizes=GRID, rows=2184
    ),
    "powers": case(f"{SQUARE}, x: f64[n*m]", "kron(A, B) @ kron(A, B) @ kron(A, B) @ x"),
    "gradient of a square": case(f"{PAIR}, x: f64[n*q]", "kron(A, B)' @ (kron(A, B) @ x)"),
    "index notation": case(
        f"{SQUARE}, x: f64[n*m]", "    K[i, s, j, t] = A[i, j] * B[s, t]\n    return reshape(K, n*m, n*m) @ x\n"
    ),
    "sum of three tasks": case(
        f"{SQUARE}, C: f64[n, n], D: f64[m, m], E: f64[n, n], F: f64[m, m], x: f64[n*m]",
        "(kron(A, B) - kron(C, D) + 2 * kron(E, F)) @ x",
    ),
    "sum over tasks": case("A: f64[k, n, n], B: f64[k, m, m], x: f64[n*m]", "sum(kron(A, B), axis=0) @ x"),
    "batch": case("A: f64[k, n, n], B: f64[k, m, m], X: f64[k, n*m, 3]", "kron(A, B) @ X", rows=8 * 40 * 50),
    "low-rank adapter": case("A: f64[p, q], x: f64[3*q]", "kron(ones(1, 3), A) @ x", rows=3 * 60),
    "shared keys": case(
        "X: f64[n, m], W: f64[m, 4*d], Q: f64[n, 16*d]",
        "    R = kron(kron(eye(4), ones(1, 4)), eye(d))\n    return Q @ (X @ W @ R)'\n",
        rows=256,
    ),
    # inverses, determinants and functions
    "solve": case(f"{SPD}, x: f64[n*m]", "kron(A, B) \\ x"),
    "negative multiple": case(f"{SPD}, x: f64[n*m]", "inv(-(3 * kron(A, B))) @ x"),
    "least squares": case(f"{PAIR}, y: f64[m*p]", "lstsq(kron(A, B), y)"),
    "log determinant": case(SPD, "logdet(kron(A, B))"),
    "cholesky sample": case(f"{SPD}, z: f64[n*m]", "cholesky(kron(A, B)) @ z"),
    "shampoo": case(f"{SPD}, G: f64[n, m]", "unvec(matpow(kron(A, B), -1/4) @ vec(G), n, m)"),
    "norms": case(PAIR, "norm(kron(A, B)) + norm(kron(A, B), ord=spectral) + max(abs(kron(A, B)))"),
    "root of semidefinite factors": case(
        "A: f64[n, n] is psd, B: f64[m, m] is psd, x: f64[n*m]", "matpow(kron(A, B), 0.5) @ x"
    ),
    "exponential of a product": case(f"{SYMMETRIC}, x: f64[n*m]", "expm(kron(A, B)) @ x"),
    "logarithm of a shift": case(f"{SPD}, s: f64 is positive, x: f64[n*m]", "logm(kron(A, B) + s * eye(n*m)) @ x"),
    "root of a sum": case(f"{SPD}, x: f64[n*m]", "sqrtm(kron(A, eye(m)) + kron(eye(n), B)) @ x"),
    "power of a sum": case(f"{SPD}, x: f64[n*m]", "matpow(kron(A, eye(m)) + kron(eye(n), B), -0.25) @ x"),
    "exponential": case(f"{SQUARE}, x: f64[n*m]", "expm(kron(A, eye(m)) + kron(eye(n), B)) @ x"),
    # shifts and sums
    "shift": case(f"{SPD}, s: f64 is positive, X: f64[n, m]", "inv(kron(A, B) + s * eye(n*m)) @ vec(X)"),
    "shifted multiple": case(f"{SPD}, c: f64, s: f64, x: f64[n*m]", "inv(c * kron(A, B) - s * eye(n*m)) @ x"),
    "many right sides": case(f"{SPD}, s: f64, X: f64[n*m, k]", "inv(kron(A, B) + s * eye(n*m)) @ X"),
    "diagonal of the inverse": case(f"{SPD}, s: f64", "diag(inv(kron(A, B) + s^2 * eye(n*m)))"),
    "sample by the root": case(f"{SPD}, s: f64, z: f64[n*m]", "sqrtm(kron(A, B) + s^2 * eye(n*m)) @ z"),
    "power of a shift": case(f"{SPD}, s: f64, z: f64[n*m]", "matpow(kron(A, B) + s^2 * eye(n*m), -1/4) @ z"),
    "grid of a Gaussian process": case(
        f"{SPD}, s: f64, y: f64[n*m]",
        "    K = kron(A, B) + s^2 * eye(n*m)\n    return dot(y, K \\ y) + logdet(K)\n",
    ),
    "grid in three dimensions": case(
        f"{SPD}, C: f64[p, p] is spd, s: f64, y: f64[n*m*p]",
        "    K = kron(kron(A, B), C) + s^2 * eye(n*m*p)\n    return dot(y, K \\ y) + logdet(K)\n",
        sizes=GRID,
        rows=2184,
    ),
    "poisson": case(f"{SYMMETRIC}, F: f64[n, m]", "unvec((kron(A, eye(m)) + kron(eye(n), B)) \\ vec(F), n, m)"),
    "shifted sum": case(
        f"{SYMMETRIC}, s: f64, f: f64[n*m]", "inv(kron(A, eye(m)) + kron(eye(n), B) + s * eye(n*m)) @ f"
    ),
    "two terms": case(
        f"{SPD}, C: f64[n, n] is spd, E: f64[m, m] is spd, x: f64[n*m]",
        "    K = kron(A, B) + kron(C, E)\n    return dot(x, K \\ x) + logdet(K)\n",
    ),
    "separable noise": case(
        f"{SPD}, c: f64[n] is positive, e: f64[m] is positive, x: f64[n*m]",
        "inv(kron(A, B) + kron(diag(c), diag(e))) @ x",
    ),
    "shifted diagonals": case(
        "s: f64[n], h: f64[m], l: f64, g: f64[n*m]", "inv(kron(diag(s), diag(h)) + l * eye(n*m)) @ g"
    ),
    "ridge": case(
        "A: f64[p, n], B: f64[m, q], y: f64[p*m], s: f64",
        "    K = kron(A, B)\n    return inv(K' @ K + s * eye(n*q)) @ K' @ y\n",
        rows=60 * 50,
    ),
    "repeated blocks": case(
        "S: f64[n, n] is spd, T: f64[n, n] is psd, x: f64[50*n]",
        "inv(kron(eye(50), S - T) + kron(ones(50, 50), T)) @ x",
    ),
    "orthogonally invariant layer": case(
        "a: f64, b: f64, c: f64, X: f64[n, n]",
        "    I = eye(n)\n    M[i, j, u, v] = a * I[i, j] * I[u, v] + b * I[i, u] * I[j, v] + c * I[i, v] * I[j, u]\n"
        "    return unvec(reshape(M, n*n, n*n) @ vec(X), n, n)\n",
        rows=1600,
    ),
    # loops
    "shifts in a loop": case(
        f"{SPD}, s: f64[5], x: f64[n*m]",
        "    scan t in 5:\n        K = kron(A, B) + s[t]^2 * eye(n*m)\n"
        "        r[t] = dot(x, K \\ x) + logdet(K)\n    return r\n",
    ),
    "product before a loop": case(
        f"{SQUARE}, x: f64[n*m]", "    K = kron(A, B)\n    y = x\n    repeat 3:\n        y = K @ y - y\n    return y\n"
    ),
}


def fused(given: Case | str, sizes: Mapping[str, int]) -> Program:
    text = given.text if isinstance(given, Case) else given
    result = fuse_kronecker(program(text, sizes), Request(Counted(), at=SIZES))
    found = result if isinstance(result, Program) else result.program
    verify(found, "kronecker")
    return found


def planned(given: Case | str, sizes: Mapping[str, int], at: Mapping[str, int] = SIZES) -> Program:
    return optimise(hoist(fused(given, sizes)), Request(Counted(), at=at))


def values(given: Program) -> list[Node]:
    return [*given.nodes] + [n for node in given.nodes for body in node.programs for n in values(body)]


def entries(node: Node) -> int:
    return int(np.prod(node.type.dims, dtype=int)) if isinstance(node.type, TensorType) else 0


def assert_no_product(given: Program, rows: int) -> None:
    """Fail where a value has as many entries as a Kronecker product whose smaller side is at least `rows`."""
    large = [n for n in values(given) if n.op is not INPUT and entries(n) >= rows * rows // 4]
    assert not large, f"{large[0]} in\n{given}"


def operands(given: Program, seed: int) -> list[Any]:
    """Random operands with the facts that a program declares."""
    chance = np.random.default_rng(seed)
    facts = {node: {f.name for f in known} for node, known in given.facts}
    made = []
    for node in given.inputs:
        value = chance.normal(size=node.tensor.dims)
        known = facts.get(node, set())
        if known & {"spd", "psd"}:
            value = value @ value.T + np.eye(len(value)) * ("spd" in known) * 3
        elif "symmetric" in known:
            value = value + value.T
        elif "positive" in known:
            value = np.abs(value) + 0.5
        made.append(value)
    return made


def assert_same_values(plan: Program, written: Program, seed: int = 0) -> None:
    numpy = backend("numpy")
    given = operands(written, seed)
    found = numpy.load(numpy.emit(plan))(*given)
    expected = evaluate(written, given)
    for one, other in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        np.testing.assert_allclose(one, np.asarray(other, float), rtol=1e-8, atol=1e-9)


named = pytest.mark.parametrize("name", CASES)


@named
def test_no_value_is_a_product(name: str) -> None:
    here = CASES[name]
    assert any(True for _ in kronecker_products(program(here.text, here.sizes)))
    if name != "shifted diagonals":  # which need no rule on products, and are left to `optimise`
        assert_no_product(fused(here, here.sizes), here.rows)
    assert_no_product(planned(here, here.sizes), here.rows)


@named
@pytest.mark.parametrize("small", ["rectangular", "size 1"])
def test_plans_for_large_sizes_are_right_at_small_ones(name: str, small: str) -> None:
    here = CASES[name]
    sizes = {letter: 2 + k % 3 if small == "rectangular" else 1 + k % 2 for k, letter in enumerate("nmpqkrd")}
    open_plan = planned(here, {}, at={**SIZES, **here.sizes})
    written = with_sizes(program(here.text, {}), sizes)
    assert_same_values(with_sizes(open_plan, sizes), written)


@named
def test_the_pass_leaves_no_kernels_and_does_nothing_more_the_second_time(name: str) -> None:
    once = fused(CASES[name], CASES[name].sizes)
    assert not {n.op.name for n in values(once)} & {op.name for op in KERNELS}
    assert fuse_kronecker(once, Request(Counted())) is once


# ---- what is shown


def ops(given: Program) -> list[str]:
    return [n.op.name for n in values(given)]


def test_a_shift_costs_one_eigendecomposition_for_solve_and_determinant() -> None:
    here = CASES["grid of a Gaussian process"]
    assert ops(planned(here, here.sizes)).count("eigh") == 2


def test_eigendecompositions_go_before_a_loop_over_shifts() -> None:
    here = CASES["shifts in a loop"]
    plan = planned(here, here.sizes)
    assert [n.op.name for n in plan.nodes].count("eigh") == 2
    inside = [n for node in plan.nodes for body in node.programs for n in body.nodes]
    assert not {n.op.name for n in inside} & {"eigh", "matmul", "cholesky", "inv"}


def test_products_go_into_loops_and_only_those() -> None:
    text = "def f(A: f64[3, 3], B: f64[2, 2], x: f64[6]):\n    K = kron(A, B) + eye(6)\n    C = inv(A)\n    y = x\n"
    text += "    repeat 3:\n        y = K @ y * C[0, 0]\n    return y, K\n"
    moved = sunk(program(text, {}))
    (loop,) = (n for n in moved.nodes if n.programs)
    assert {"kron", "eye"} <= {n.op.name for n in loop["body"].nodes}
    assert "inv" not in {n.op.name for n in loop["body"].nodes}
    assert_same_values(moved, program(text, {}))


def test_kfac_keeps_single_precision() -> None:
    text = """
def kfac_step(A: f32[p, p] is spd, G: f32[q, q] is spd, dW: f32[q, p], damping: f32 = 1e-3) -> f32[q, p]:
    F = kron(G, A) + damping * eye(q * p)
    return unvec(inv(F) @ vec(dW), q, p)
"""
    plan = planned(text, {"p": 40, "q": 45})
    assert_no_product(plan, 40 * 45)
    assert {n.type.dtype.name for n in plan.nodes if isinstance(n.type, TensorType) and n.type.dims} == {"f32"}


def test_soap_is_shampoo_in_the_eigenbases() -> None:
    n, m = 5, 4
    text = "def f(L: f64[n, n] is spd, R: f64[m, m] is spd, G: f64[n, m]) = "
    text += "sqrt(trace(L)) * unvec(matpow(kron(L, R), -1/2) @ vec(G), n, m)\n"
    numpy = backend("numpy")
    run = numpy.load(numpy.emit(planned(text, {"n": n, "m": m}, SIZES)))
    chance = np.random.default_rng(0)
    gradients = chance.normal(size=(9, n, m))
    L, R = (gradients @ gradients.transpose(0, 2, 1)).sum(0), (gradients.transpose(0, 2, 1) @ gradients).sum(0)
    P, Q = np.linalg.eigh(L)[1], np.linalg.eigh(R)[1]
    turned = ((P.T @ gradients @ Q) ** 2).sum(0)
    a, c = turned.sum(1), turned.sum(0)
    expected = P @ ((P.T @ gradients[0] @ Q) / np.sqrt(np.outer(a, c) / a.sum())) @ Q.T
    np.testing.assert_allclose(run(L, R, gradients[0]), expected, rtol=1e-12)


# ---- what is left alone


@pytest.mark.parametrize(
    "text",
    [
        f"def f({SPD}, d: f64[n*m] is positive, x: f64[n*m]) = inv(kron(A, B) + diag(d)) @ x\n",  # uneven noise
        f"def f({SPD}, C: f64[n, n], D: f64[m, m], x: f64[n*m], s: f64) = "  # three terms
        "inv(kron(A, B) + kron(C, D) + s * eye(n*m)) @ x\n",
        f"def f({SQUARE}, s: f64, x: f64[n*m]) = inv(kron(A, B) + s * eye(n*m)) @ x\n",  # not symmetric
        f"def f({SYMMETRIC}, s: f64) = logdet(kron(A, B) + s * eye(n*m))\n",  # perhaps not definite
        f"def f({SQUARE}) = expm(kron(A, B))\n",  # only symmetric ones have eigenvectors at right angles
        f"def f({PAIR}) = exp(kron(A, B))\n",
        f"def f({PAIR}) = kron(A, B)\n",  # asked for
        f"def f({SQUARE}) = lu(kron(A, B))\n",  # pivots do not factor
        f"def f({SQUARE}) = logdet(kron(A, B))\n",  # det(A) may be negative
    ],
)
def test_what_has_no_factors_is_left_as_it_is(text: str) -> None:
    given = program(text, SIZES)
    assert fuse_kronecker(given, Request(Counted())) is given
    with pytest.raises(AssertionError):  # and `optimise` finds no way around it either
        assert_no_product(planned(text, SIZES), 40 * 50)


def test_small_products_are_computed_where_that_is_cheaper() -> None:
    here = CASES["shift"]
    small = program(here.text, {"n": 2, "m": 2})
    assert fuse_kronecker(small, Request(Counted())) is small
    assert "eigh" in ops(fused(here, here.sizes))
    assert_same_values(planned(here, {"n": 2, "m": 2}), program(here.text, {"n": 2, "m": 2}))


def test_eigenvalues_stay_sorted() -> None:
    text = f"def f({SYMMETRIC}) = eigvalsh(kron(A, B))\n"
    plan = planned(text, SIZES)
    assert_no_product(plan, 40 * 50)
    assert "sort" in ops(plan)


def test_factors_that_group_differently_are_not_paired() -> None:
    text = "def f(A: f64[2, 3], B: f64[3, 2], x: f64[6]) = trace(kron(A, B)), inv(kron(A, B) + eye(6)) @ x\n"
    assert_same_values(planned(text, {}), program(text, {}))


def test_a_program_without_products_is_the_same_object() -> None:
    given = program("def f(A: f64[n, n], x: f64[n]) = A @ x + kron(x, x)[0]\n", SIZES)
    assert fuse_kronecker(given, Request(Counted())) is given
