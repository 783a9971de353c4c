"""What derivatives are written as before they are optimised: forms that share work, keep digits, and need no roots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node
from tpc.passes.pipeline import Options, run


def differentiated(text: str) -> list[Node]:
    """The nodes of the last function, loops included, once its derivatives are written out."""
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return list(run(list(checked.programs.values())[-1], Options(), "differentiate").program.walk())


def count(nodes: Iterable[Node], name: str) -> int:
    return sum(node.op.name == name for node in nodes)


def test_two_transforms_are_one_and_the_square_of_an_absolute_value_has_no_root() -> None:
    text = "def f(x: f64[n], y: f64[n]) -> f64 = sum(abs(fft(x) - fft(y))^2)\n\n"
    nodes = differentiated(f"{text}def main(x: f64[n], y: f64[n]) = grad(f, x)(x, y)\n")
    assert count(nodes, "fft") == 1 and not count(nodes, "abs")
    x, y = np.random.default_rng(0).standard_normal((2, 8))
    found = tpc.compile(f"{text}def main(x: f64[n], y: f64[n]) = grad(f, x)(x, y)\n", backend="numpy")(x, y)
    np.testing.assert_allclose(found, 16 * (x - y), atol=1e-12)


def test_an_adjoint_that_no_pass_changes_is_not_carried() -> None:
    text = "def f(u: f64[n], x: f64) -> f64:\n    total = 0.0\n    scan i in n:\n        x = tanh(x + u[i])\n"
    text += "        total = total + x^2\n    return total\n\ndef main(u: f64[n], x: f64) = grad(f, x)(u, x)\n"
    loops = [node for node in differentiated(text) if node.op.name == "scan"]
    assert all(o not in node["body"].inputs for node in loops for o in node["body"].outputs[: node["state"]])


def test_what_an_inverse_is_used_for_goes_back_by_itself() -> None:
    """The adjoint of `b @ inv(S) @ b` is an outer product of solutions, whatever else needs the inverse itself."""
    text = "def f(S: f64[n, n] is spd, b: f64[n]) -> f64 = b @ inv(S) @ b + sum(log(diag(inv(S))))\n\n"
    text += "def main(S: f64[n, n] is spd, b: f64[n]) = grad(f, S)(S, b)\n"
    nodes = differentiated(text)
    sums = [n for n in nodes if n.op.name == "add" and any(a.op.name == "outer" for a in n.args)]
    assert not sums
    S = np.array([[2.0, 0.5], [0.5, 1.0]])
    inverse = np.linalg.inv(S)
    b = np.array([1.0, -2.0])
    by_inverse = np.outer(b, b) + np.diag(1 / np.diag(inverse))
    np.testing.assert_allclose(tpc.compile(text)(S, b), -inverse @ by_inverse @ inverse, rtol=1e-12)


def test_powers_of_a_kronecker_product_are_taken_of_its_factors() -> None:
    head = "A: f64[p, p] is spd, B: f64[q, q] is spd, x: f64[p*q]"
    text = f"def f({head}) -> f64 = sum((matpow(kron(A, B), -1 / 4) @ x)^2)\n\ndef main({head}) = grad(f, A)(A, B, x)\n"
    matrices = [n.args[0].tensor.dims for n in differentiated(text) if n.op.name in ("eigh", "matpow")]
    assert matrices and all(len(str(dims[0])) == 1 for dims in matrices)  # p or q, and not p*q
    rng = np.random.default_rng(0)
    A, B = (M @ M.T + np.eye(len(M)) for M in (rng.standard_normal((2, 2)), rng.standard_normal((3, 3))))
    x, way = rng.standard_normal(6), np.array([[1.0, 0.5], [0.5, -1.0]])

    def value(A: Any) -> float:
        w, Q = np.linalg.eigh(np.kron(A, B))
        return float(np.sum(((Q * w**-0.25) @ Q.T @ x) ** 2))

    found = np.sum(tpc.compile(text)(A, B, x) * way)
    assert found == pytest.approx((value(A + 1e-5 * way) - value(A - 1e-5 * way)) / 2e-5, rel=1e-7)


def test_functions_of_entries_are_shared_with_their_derivatives() -> None:
    """As index notation, each adjoint would have the whole formula in it."""
    text = "def f(x: f64[n], y: f64[m]) -> f64:\n    K[i, j] = exp(-sin(x[i] - y[j])^2)\n    return sum(K^2)\n\n"
    nodes = differentiated(f"{text}def main(x: f64[n], y: f64[m]) = grad(f, x, y)(x, y)\n")
    assert count(nodes, "exp") == count(nodes, "sin") == count(nodes, "cos") == 1 and not count(nodes, "index")


KERNELS = {
    "cho_solve(cholesky(A), B)": "A \\ B",
    "cho_solve(C, B)": "(tril(C) @ tril(C)') \\ B",
    "cho_inv(cholesky(A)) @ B": "inv(A) @ B",
    "tri_inv(C) @ B": "inv(tril(C)) @ B",
    "trmm(C, B, lower=false)": "triu(C) @ B",
    "band_matmul(C, B, 1, 0)": "tril(triu(C, k=-1)) @ B",
    "spd_band_solve(A, B, 2)": "A \\ B",
    "circulant_solve(C[0] + 9 * eye(3)[0], B)": "circulant(C[0] + 9 * eye(3)[0]) \\ B",
    "add_diagonal(C, B[:, 0]) @ B": "(C + diag(B[:, 0])) @ B",
}
PAIRS = {
    "LU, p = lu_factor(C)": ("lu_solve(LU, p, B) + lu_det(LU, p)", "C \\ B + det(C)"),
    "LU, p = lu_factor(A)": ("lu_solve(LU, p, B, transposed=true) + lu_logdet(LU, p)", "A' \\ B + logdet(A)"),
    "LD, p = ldl_factor(A)": ("ldl_solve(LD, p, B)", "A \\ B"),
}


@pytest.mark.parametrize(
    ("lines", "kernel", "meaning"),
    [*(("", k, m) for k, m in KERNELS.items()), *((f"    {line}\n", k, m) for line, (k, m) in PAIRS.items())],
)
def test_kernels_of_a_printed_plan_are_differentiated_as_what_they_stand_for(
    lines: str, kernel: str, meaning: str
) -> None:
    head = "C: f64[3, 3], B: f64[3, 2]"
    rng = np.random.default_rng(1)
    C, B = rng.standard_normal((3, 3)) + 3 * np.eye(3), rng.standard_normal((3, 2))
    found = []
    for before, body in ((lines, kernel), ("", meaning)):
        text = (
            f"def f({head}) -> f64:\n    A: f64[3, 3] is spd = C @ C' + eye(3)\n{before}    return sum(({body})^3)\n\n"
        )
        text += f"def main({head}) = grad(f, C, B)(C, B)\n"
        found.append(tpc.compile(text, function="main", backend="numpy", mode="bitwise")(C, B))
    for ours, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", ["numpy", "torch", "llvm"])
def test_a_surrogate_has_the_derivative_of_another(name: str) -> None:
    text = "def rounded(w: f64[n]) -> f64[n] = surrogate(round(w), w)\n\n"
    text += "def loss(w: f64[n], x: f64[n]) -> f64 = (rounded(w) @ x - 1)^2\n\n"
    text += "def main(w: f64[n], x: f64[n]) -> (f64, f64[n]) = value_and_grad(loss, w)(w, x)\n"
    w, x = np.array([0.4, 1.6, -2.2]), np.array([1.0, 2.0, 3.0])
    value, slope = tpc.compile(text, function="main", backend=name)(w, x)
    left = np.round(w) @ x - 1
    assert value == left**2
    np.testing.assert_allclose(slope, 2 * left * x, rtol=1e-14)
    assert "surrogate" not in {n.op.name for n in tpc.compile(text, function="main").plan.program.walk()}


def test_what_a_surrogate_stands_for_is_not_computed() -> None:
    text = "def f(w: f64[n, n]) -> f64[n, n] = surrogate(w, expm(w))\n"
    assert "expm" not in {n.op.name for n in tpc.compile(text, backend="numpy").plan.program.walk()}


FUNCTIONS = ["sqrtm(A)", "logm(A)", "matpow(A, 0.3)", "matpow(A, -1.5)", "expm(A)"]


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_matrices_that_are_not_symmetric(function: str, name: str) -> None:
    """Their derivatives are functions of matrices that have too few eigenvectors."""
    text = f"def f(A: f64[n, n], B: f64[n, n]) -> f64 = sum({function} * B)\n\n"
    text += "def main(A: f64[n, n], B: f64[n, n]) = grad(f, A)(A, B)\n"
    rng = np.random.default_rng(0)
    A = np.array([[2.0, 0.3, 0.1], [-0.2, 1.5, 0.4], [0.1, 0.0, 3.0]])
    B, way = rng.standard_normal((2, 3, 3))
    value = tpc.compile(text, function="f", backend="numpy")
    expected = (value(A + 1e-5 * way, B) - value(A - 1e-5 * way, B)) / 2e-5
    found = np.sum(np.asarray(tpc.compile(text, function="main", backend=name)(A, B)) * way)
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("function", FUNCTIONS[:3])
def test_a_matrix_with_one_eigenvector_has_a_root_under_torch(function: str) -> None:
    A = np.array([[2.0, 1.0], [0.0, 2.0]])
    text = f"def f(A: f64[n, n]) -> f64[n, n] = {function}\n"
    found = tpc.compile(text, backend="torch")(A)
    np.testing.assert_allclose(found, tpc.compile(text, backend="numpy")(A), rtol=1e-12, atol=1e-14)
