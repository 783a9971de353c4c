"""Gradients keep the structure of what they are by, jets and estimates: what is computed, and what is not."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError

# A loss, what it is differentiated by, sizes, and the most entries that a value in the plan may have.
PARTS: dict[str, tuple[str, str, str, dict[str, int], int]] = {
    "a Kronecker product": (
        "A: f64[p, p], B: f64[q, q], x: f64[p*q]",
        "sum(tanh(kron(A, B) @ x))",
        "A, B",
        {"p": 40, "q": 30},
        2400,
    ),
    "a quadratic form of one": (
        "A: f64[p, p], B: f64[q, q], x: f64[p*q]",
        "x @ kron(A, B) @ x",
        "A, B",
        {"p": 40, "q": 30},
        2400,
    ),
    "the likelihood of one": (
        "A: f64[p, p] is spd, B: f64[q, q] is spd, x: f64[p*q]",
        "logdet(kron(A, B)) + x @ inv(kron(A, B)) @ x",
        "A, B",
        {"p": 40, "q": 30},
        2400,
    ),
    "a system of one": (
        "A: f64[p, p] is spd, B: f64[q, q] is spd, x: f64[p*q]",
        "sum((kron(A, B) \\ x)^2)",
        "A, B",
        {"p": 40, "q": 30},
        2400,
    ),
    "a diagonal": ("d: f64[n], x: f64[n]", "sum(tanh(diag(d) @ x))", "d", {"n": 1000}, 1000),
    "a diagonal in the middle": (
        "A: f64[m, n], d: f64[n], B: f64[n, m]",
        "sum((A @ diag(d) @ B)^2)",
        "d",
        {"n": 300, "m": 100},
        30_000,
    ),
    "factors of low rank": (
        "U: f64[n, r], V: f64[n, r], x: f64[n]",
        "sum(tanh((U @ V') @ x))",
        "U, V",
        {"n": 1000, "r": 5},
        5000,
    ),
    "the norm of low rank": ("U: f64[n, r], V: f64[n, r]", "norm(U @ V')^2", "U, V", {"n": 1000, "r": 5}, 5000),
    "an adapter of a frozen matrix": (
        "W: f64[n, n], U: f64[n, r], V: f64[r, n], X: f64[b, n]",
        "sum(tanh(X @ (W + U @ V)))",
        "U, V",
        {"n": 400, "r": 4, "b": 50},
        20_000,
    ),
    "the columns of a circulant": (
        "c: f64[n], x: f64[n]",
        "sum(tanh(irfft(rfft(c) * rfft(x), n=n)))",
        "c",
        {"n": 1024},
        1024,
    ),
}


def names(signature: str) -> str:
    return ", ".join(re.findall(r"(\w+): f64", signature))


def test_the_kernel_of_jacobians_makes_no_jacobian_at_any_size() -> None:
    """Unit directions in all passes are an identity matrix, which is not stored however large it would be."""
    head = "W: f64[m, d], X: f64[n, d], v: f64[m]"
    text = f"def u({head}) -> f64[n] = tanh(X @ W') @ v\n\ndef main({head}) -> f64[n, n]:\n"
    text += "    J = reshape(jacobian(u, W)(W, X, v), n, m * d)\n    return J @ J'\n"
    compiled = tpc.compile(text, function="main", dims={"n": 400, "d": 64, "m": 512}, backend="numpy")
    assert int(compiled.cost.peak_bytes) <= 8 * 400 * 512 * 6
    assert int(compiled.cost.flops) <= 2 * 400**2 * (64 + 512) * 1.5


@pytest.mark.parametrize("name", PARTS)
def test_the_product_of_the_parts_is_never_made(name: str) -> None:
    signature, body, by, sizes, most = PARTS[name]
    text = f"def f({signature}) -> f64 = {body}\n\ndef main({signature}) = grad(f, {by})({names(signature)})\n"
    program = tpc.compile(text, function="main", dims=sizes).plan.program
    made = [n for n in program.walk() if n not in program.inputs and not isinstance(n.type, tuple)]
    assert max(int(n.tensor.size) for n in made if isinstance(n.tensor.size, int)) <= most


def diagonal(G: Any) -> Any:
    return np.diag(np.diag(G))


WITHIN = {
    "symmetric": lambda G: (G + G.T) / 2,
    "spd": lambda G: (G + G.T) / 2,
    "diagonal": diagonal,
    "lower": np.tril,
    "upper": np.triu,
    "banded(1, 0)": lambda G: np.tril(np.triu(G, -1)),
}


@pytest.mark.parametrize("fact", WITHIN)
def test_a_gradient_is_within_what_is_declared(fact: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 4))
    types = f"A: f64[n, n] is {fact}, x: f64[n], y: f64[n]"
    text = f"def f({types}) -> f64 = x @ A @ y\n\ndef main({types}) -> f64[n, n] = grad(f, A)(A, x, y)\n"
    np.testing.assert_allclose(tpc.compile(text)(np.eye(4), x, y), WITHIN[fact](np.outer(x, y)), atol=1e-15)


def test_a_gradient_that_has_the_structure_is_left_alone() -> None:
    text = "def f(S: f64[n, n] is spd) -> f64 = logdet(S)\n\ndef main(S: f64[n, n] is spd) = grad(f, S)(S)\n"
    assert not {n.op.name for n in tpc.compile(text).plan.program.walk()} & {"add", "mul"}
    S = np.array([[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(tpc.compile(text)(S), np.linalg.inv(S), atol=1e-14)


# ---- jets and estimates

FIELD = """
def u(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) -> f64 = w @ tanh(V @ tanh(W @ x))

def main(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h], v: f64[d]) = """


def field() -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal(s) / 2 for s in (4, (5, 4), (5, 5), 5, 4)]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_jets_are_derivatives_along_a_line(order: int) -> None:
    x, W, V, w, v = field()
    found = tpc.compile(f"{FIELD}jet(u, x, order={order})(x, W, V, w, v)\n", function="main")(x, W, V, w, v)
    # by the coefficients of a circle around x (Lyness and Moler 1967)
    circle = 0.2 * np.exp(2j * np.pi * np.arange(32) / 32)
    values = [w @ np.tanh(V @ np.tanh(W @ (x + z * v))) for z in circle]
    factor = np.prod(np.arange(1, order + 1))
    assert found == pytest.approx((np.fft.fft(values)[order] / 32 / 0.2**order).real * factor, rel=1e-9)


def test_an_estimate_of_the_laplacian_is_right_in_the_mean() -> None:
    x, W, V, w, v = field()
    exact = tpc.compile(f"{FIELD}laplacian(u, x)(x, W, V, w)\n", function="main")(x, W, V, w, v)
    text = f"{FIELD}laplacian(u, x, samples=400, seed=7)(x, W, V, w)\n"
    found = tpc.compile(text, function="main")(x, W, V, w, v)
    assert found == tpc.compile(text, function="main")(x, W, V, w, v)  # the same seed
    hessian = tpc.compile(f"{FIELD}hessian(u, x)(x, W, V, w)\n", function="main")(x, W, V, w, v)
    variance = 2 * (np.sum(hessian**2) - np.sum(np.diag(hessian) ** 2))
    assert abs(found - exact) <= 3 * np.sqrt(variance / 400) and found != exact


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("laplacian(u, x, samples=4)", "E0302"),
        ("laplacian(u, x, samples=0, seed=1)", "E0217"),
        ("laplacian(u, x, seed=x)", "E0217"),
        ("jet(u, x, order=0)", "E0217"),
    ],
)
def test_nothing_is_random_in_silence(written: str, code: str) -> None:
    with pytest.raises(TpcError) as caught:
        tpc.compile(f"{FIELD}{written}(x, W, V, w)\n")
    assert caught.value.diagnostics[0].code == code


def test_the_laplacian_of_many_variables_takes_no_memory() -> None:
    text = "def u(x: f64[d], W: f64[h, d], w: f64[h]) -> f64 = w @ tanh(W @ x)\n\n"
    text += "def main(x: f64[d], W: f64[h, d], w: f64[h]) -> f64 = laplacian(u, x)(x, W, w)\n"
    compiled = tpc.compile(text, dims={"d": 100_000, "h": 20}, backend="numpy")
    operands = np.ones(100_000), np.ones((20, 100_000)), np.ones(20)
    compiled(*operands)
    tracemalloc.start()
    compiled(*operands)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most <= 1_000_000
