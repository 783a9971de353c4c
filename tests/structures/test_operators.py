"""Matrices that are applied, solved with and taken determinants of without being formed; what stays structured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tpc
from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.types import TensorType
from tpc.passes.count import node_flops
from tpc.passes.pipeline import Options, run
from tpc.verification import check_plan

rng = np.random.default_rng(2)
n = 512
c, d, x, f = (rng.standard_normal(n) for _ in range(4))
c[0] += 60
f[0] += 60
X = rng.standard_normal((n, 3))
t = rng.standard_normal(2 * n - 1)
D = rng.standard_normal((3, n)) + [[0], [9], [0]]
B = rng.standard_normal((32, 16, 16)) + 9 * np.eye(16)
a, b, q = rng.uniform(0.5, 1, (n, 2)), *rng.standard_normal((2, n, 2))
p = rng.permutation(n)

CIRCULANT, OTHER = scipy.linalg.circulant(c), scipy.linalg.circulant(d)
TOEPLITZ = scipy.linalg.toeplitz(t[n - 1 :], t[n - 1 :: -1])
HANKEL = scipy.linalg.hankel(t[:n], t[n - 1 :])
XOR = f[np.arange(n)[:, None] ^ np.arange(n)]
BAND = np.diag(D[0, 1:], -1) + np.diag(D[1]) + np.diag(D[2, :-1], 1)
BLOCKS = scipy.linalg.block_diag(*B)
SEMI = np.tril(
    np.einsum(
        "is,ijs,js->ij", q, np.exp(np.minimum(np.cumsum(np.log(a), 0)[:, None] - np.cumsum(np.log(a), 0)[None], 0)), b
    )
)

VECTOR = f"f64[{n}]"
ONE, LONG, BATCH = f"c: {VECTOR}", f"t: f64[{2 * n - 1}]", "B: f64[32, 16, 16]"
THREE = f"D: f64[3, {n}]"
STATES = ", ".join(f"{name}: f64[{n}, 2]" for name in "aBC")


def planned(text: str) -> Program:
    return run(check(Source(text)).programs["f"], Options()).program


def answer(program: Program, *arguments: Any) -> Any:
    numpy = backend("numpy")
    return numpy.load(numpy.emit(program))(*arguments)


def largest(program: Program) -> int:
    """Entries of the largest value that is computed."""
    types = [node.type for node in program.nodes if node.args]
    return max(int(type.size) for type in types if isinstance(type, TensorType))


# parameters, expression, arguments, value
KEPT: list[tuple[str, str, tuple[Any, ...], Any]] = [
    (f"{ONE}, x: {VECTOR}", "circulant(c) @ x", (c, x), CIRCULANT @ x),
    (f"{ONE}, X: f64[{n}, 3]", "circulant(c)' @ X", (c, X), CIRCULANT.T @ X),
    (f"{ONE}, x: {VECTOR}", "solve(circulant(c), x)", (c, x), np.linalg.solve(CIRCULANT, x)),
    (f"{ONE}, x: {VECTOR}", "solve(circulant(c)', x)", (c, x), np.linalg.solve(CIRCULANT.T, x)),
    (ONE, "logdet(circulant(c))", (c,), np.linalg.slogdet(CIRCULANT)[1]),
    (f"{LONG}, x: {VECTOR}", f"toeplitz(t, {n}) @ x", (t, x), TOEPLITZ @ x),
    (f"{LONG}, X: f64[{n}, 3]", f"toeplitz(t, {n})' @ X", (t, X), TOEPLITZ.T @ X),
    (f"{LONG}, x: {VECTOR}", f"hankel(t, {n}) @ x", (t, x), HANKEL @ x),
    (f"{ONE}, x: {VECTOR}", "xor_circulant(c) @ x", (f, x), XOR @ x),
    (f"{ONE}, X: f64[{n}, 3]", "solve(xor_circulant(c), X)", (f, X), np.linalg.solve(XOR, X)),
    (ONE, "logdet(xor_circulant(c))", (f,), np.linalg.slogdet(XOR)[1]),
    (f"{THREE}, x: {VECTOR}", f"from_diagonals(D, 1, {n}) @ x", (D, x), BAND @ x),
    (f"{THREE}, x: {VECTOR}", f"solve(from_diagonals(D, 1, {n}), x)", (D, x), np.linalg.solve(BAND, x)),
    (f"{THREE}, X: f64[{n}, 3]", f"solve(from_diagonals(D, 1, {n})', X)", (D, X), np.linalg.solve(BAND.T, X)),
    (f"{STATES}, x: {VECTOR}", "semiseparable(a, B, C) @ x", (a, b, q, x), SEMI @ x),
    (f"{STATES}, x: {VECTOR}", "semiseparable(a, B, C)' @ x", (a, b, q, x), SEMI.T @ x),
    (f"p: i64[{n}], x: {VECTOR}", "permutation(p) @ x", (p, x), x[p]),
    (f"p: i64[{n}], x: {VECTOR}", "solve(permutation(p), x)", (p, x), x[np.argsort(p)]),
    (f"{BATCH}, x: {VECTOR}", "block_diag(B) @ x", (B, x), BLOCKS @ x),
    (f"{BATCH}, x: {VECTOR}", "solve(block_diag(B), x)", (B, x), np.linalg.solve(BLOCKS, x)),
    (f"{BATCH}, X: f64[{n}, 3]", "solve(block_diag(B)', X)", (B, X), np.linalg.solve(BLOCKS.T, X)),
    (BATCH, "logdet(block_diag(B))", (B,), np.linalg.slogdet(BLOCKS)[1]),
    # sums, multiples, shifts and products
    (f"{ONE}, x: {VECTOR}", f"solve(circulant(c) + 0.5 * eye({n}), x)", (c, x), None),
    (f"{ONE}, d: {VECTOR}, x: {VECTOR}", "solve(circulant(c) + 2 * circulant(d), x)", (c, d, x), None),
    (f"{ONE}, d: {VECTOR}, x: {VECTOR}", "circulant(c) @ circulant(d) @ x", (c, d, x), CIRCULANT @ (OTHER @ x)),
    (ONE, "logdet(circulant(c) @ circulant(c)')", (c,), 2 * np.linalg.slogdet(CIRCULANT)[1]),
    (f"{ONE}, x: {VECTOR}", f"solve(xor_circulant(c) + 0.5 * eye({n}), x)", (f, x), None),
]


@pytest.mark.parametrize(
    ("parameters", "expression", "arguments", "expected"), KEPT, ids=lambda v: v if isinstance(v, str) else ""
)
def test_the_matrix_is_never_formed(parameters: str, expression: str, arguments: Any, expected: Any) -> None:
    program = planned(f"def f({parameters}) = {expression}")
    assert largest(program) <= 32 * n
    if expected is not None:
        np.testing.assert_allclose(answer(program, *arguments), expected, rtol=1e-9, atol=1e-9)


def test_facts_of_dense_operands_lead_to_the_same_kernels() -> None:
    entries = rng.standard_normal(4 * n - 1)
    toeplitz = scipy.linalg.toeplitz(entries[2 * n - 1 :], entries[2 * n - 1 :: -1])
    for fact, matrix in (("circulant", CIRCULANT), ("toeplitz", toeplitz)):
        size = len(matrix)
        program = planned(f"def f(A: f64[{size}, {size}] is {fact}, x: f64[{size}]) = A @ x")
        assert f"{fact}_matmul" in {node.op.name for node in program.nodes}
        y = np.resize(x, size)
        np.testing.assert_allclose(answer(program, matrix, y), matrix @ y, atol=1e-9)


def test_small_matrices_are_formed_where_that_is_cheaper() -> None:
    program = planned("def f(c: f64[4], X: f64[4, 1000]) = circulant(c) @ X")
    assert "circulant_matmul" not in {node.op.name for node in program.nodes}


def test_the_arrow_by_its_schur_complement() -> None:
    g, k, m = 32, 8, 4
    A = rng.standard_normal((g, k, k))
    A = A @ A.transpose(0, 2, 1) + np.eye(k)
    E, F, G = rng.standard_normal((g, k, m)), rng.standard_normal((g, m, k)), 300 * np.eye(m)
    W = np.block([[scipy.linalg.block_diag(*A), E.reshape(g * k, m)], [np.hstack(list(F)), G]])
    y = rng.standard_normal(g * k + m)
    parts = f"A: f64[{g}, {k}, {k}] is spd, E: f64[{g}, {k}, {m}], F: f64[{g}, {m}, {k}], G: f64[{m}, {m}]"
    for expression, expected in (
        ("block_arrow(A, E, F, G) @ y", W @ y),
        ("solve(block_arrow(A, E, F, G), y)", np.linalg.solve(W, y)),
        ("logdet(block_arrow(A, E, F, G))", np.linalg.slogdet(W)[1]),
    ):
        more, arguments = (
            (f", y: f64[{g * k + m}]", (A, E, F, G, y))
            if "y)" in expression or "@ y" in expression
            else ("", (A, E, F, G))
        )
        program = planned(f"def f({parts}{more}) = {expression}")
        assert sum(int(node_flops(node)) for node in program.nodes) < 200_000
        np.testing.assert_allclose(answer(program, *arguments), expected, rtol=1e-9, atol=1e-9)


def test_blocks_of_an_arrow_that_are_computed_are_known_to_be_definite() -> None:
    g, r, k, m = 32, 12, 4, 3
    Z, X = rng.standard_normal((g, r, k)), rng.standard_normal((g, r, m))
    A, B, G = Z.transpose(0, 2, 1) @ Z + np.eye(k), Z.transpose(0, 2, 1) @ X, 1000 * np.eye(m)
    W = np.block([[scipy.linalg.block_diag(*A), B.reshape(g * k, m)], [np.hstack(list(B.transpose(0, 2, 1))), G]])
    y = rng.standard_normal(g * k + m)
    program = planned(
        f"def f(Z: f64[{g}, {r}, {k}], X: f64[{g}, {r}, {m}], G: f64[{m}, {m}], y: f64[{g * k + m}]):\n"
        "    B = Z' @ X\n"
        f"    return block_arrow(Z' @ Z + eye({k}), B, B', G) \\ y"
    )
    assert sum(int(node_flops(node)) for node in program.nodes) < 100_000
    np.testing.assert_allclose(answer(program, Z, X, G, y), np.linalg.solve(W, y), rtol=1e-9, atol=1e-9)


def test_low_rank_plus_diagonal_by_woodbury() -> None:
    size, r = 10**6, 20
    program = planned(
        f"def f(A: low_rank_plus_diag(d: f64[{size}] is positive, U: f64[{size}, {r}], C: f64[{r}, {r}] is spd, V=U), "
        f"b: f64[{size}]) = solve(A, b), logdet(A)"
    )
    (branch,) = (node for node in program.nodes if node.op.name == "if")
    expected = [*(node for node in program.nodes if node is not branch), *branch["then"].nodes]
    sizes = [int(node.tensor.size) for node in expected if isinstance(node.type, TensorType)]
    assert max(sizes) <= r * size


def test_plans_are_right_over_a_field() -> None:
    for text in (
        "def f(c: f64[64], x: f64[64]) = solve(circulant(c), circulant(c)' @ x)",
        "def f(f: f64[64], x: f64[64]) = solve(xor_circulant(f), x)",
        "def f(t: f64[127], x: f64[64]) = toeplitz(t, 64)' @ (hankel(t, 64) @ x)",
        "def f(B: f64[4, 5, 5], x: f64[20]) = solve(block_diag(B)', x)",
        "def f(B: f64[4, 5, 5], x: f64[20]) = solve(block_diag_interleaved(B), x)",
    ):
        program = check(Source(text)).programs["f"]
        plan = run(program, Options()).program
        assert plan is not program
        assert "equals the program" in str(check_plan(program, plan))


def test_a_singular_matrix_is_named() -> None:
    for name in ("circulant", "xor_circulant"):
        program = planned(f"def f(c: f64[256], x: f64[256]) = solve({name}(c), x)")
        with pytest.raises(Exception, match="singular"):
            answer(program, np.ones(256), np.ones(256))


@pytest.mark.parametrize(
    ("structure", "count"),
    [
        ("circulant(c: f64[8])", 8),
        ("xor_circulant(f: f64[8])", 8),
        ("toeplitz(t: f64[15], m=8)", 15),
        ("hankel(t: f64[15], m=8)", 15),
    ],
)
def test_gradients_are_sums_over_where_each_number_stands(structure: str, count: int) -> None:
    name, y = structure.partition("(")[0], rng.standard_normal(8)
    text = f"def g(W: {structure}, x: f64[8]) = sum((W @ x)^2)\ndef f(W: {structure}, x: f64[8]) = grad(g, W)(W, x)"
    options = ", 8" if count == 15 else ""
    form = planned(f"def f(p: f64[{count}]) = {name}(p{options})")
    parts = rng.standard_normal(count)
    bar = 2 * np.outer(answer(form, parts) @ y, y)
    expected = [(answer(form, unit) * bar).sum() for unit in np.eye(count)]
    np.testing.assert_allclose(answer(planned(text), parts, y), expected, atol=1e-12)


@pytest.mark.parametrize(("line", "kernel"), [
    ("W[(h i), (k j)] = select(h == k, B[h, i, j], 0)", "cholesky"),
    ("W[(h i), (k j)] = select(h == k, B[h, j, i], 0)", "cholesky"),
    ("W[(h i), (k j)] = select(h == k, B[i, h, j], 0)", "slogdet"),  # definite in others of its axes
])  # fmt: skip
def test_logdet_of_definite_blocks(line: str, kernel: str) -> None:
    f = tpc.compile(f"def f(B: f64[4, 4, 4] is spd):\n    {line}\n    return logdet(W)\n", backend="numpy")
    assert kernel in f.source
    G = np.random.default_rng(0).standard_normal((4, 4, 4))
    B = G @ G.swapaxes(1, 2) + np.eye(4)
    blocks = B.swapaxes(0, 1) if kernel == "slogdet" else B
    sign, value = np.linalg.slogdet(blocks)
    np.testing.assert_allclose(f(B), value.sum() if sign.prod() > 0 else np.nan)
