"""The structures that every program can name: what they mean, and what a product with one costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.build import input_node
from tpc.ir.elaborate.module import check
from tpc.ir.library import read
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.structures import FILE, standard
from tpc.ir.types import F64, I64, TensorType
from tpc.passes.count import node_flops
from tpc.passes.pipeline import Options, run
from tpc.passes.structures import meaning

rng = np.random.default_rng(0)


def dense(name: str, *parts: Any) -> Any:
    """What parts mean, by the reference interpreter."""
    types = [TensorType(I64 if p.dtype.kind == "i" else F64, p.shape) for p in parts]
    nodes = [input_node(f"p{k}", type) for k, type in enumerate(types)]
    (value,) = evaluate(Program("meaning", nodes, [meaning(name, nodes)], ["out"]), list(parts))
    return np.asarray(value, float)


def draw(*shapes: tuple[int, ...]) -> list[Any]:
    return [rng.standard_normal(shape) for shape in shapes]


def chain(*cores: Any) -> Any:
    """The matrix of a tensor train or ring, one core after the other."""
    whole = cores[0]  # r, rows, columns, s
    for core in cores[1:]:
        whole = np.einsum("ximy,yjnz->xijmnz", whole, core)
        x, i, j, m, n, z = whole.shape
        whole = whole.reshape(x, i * j, m * n, z)
    return np.einsum("xijx->ij", whole)


def butterfly_of(B: Any) -> Any:
    """The matrix of blocks B[h, :, t, :] at h and h with the t-th digit changed."""
    g, a, levels, b = B.shape
    whole = np.zeros((g, a, g, b))
    for h in range(g):
        for t in range(levels):
            whole[h, :, h ^ (1 << t >> 1)] = B[h, :, t]
    return whole.reshape(g * a, g * b)


d, U, C, V = draw((5,), (5, 2), (2, 2), (5, 2))
B = rng.standard_normal((3, 2, 4))
A2, B2 = draw((2, 3), (4, 5))
L, R = draw((3, 4, 5, 2), (5, 3, 6, 2))
G1, G2, G3, G4 = draw((2, 3, 2), (2, 2, 2, 3), (3, 2, 4, 2), (2, 3, 2))
E1, E2 = G1[None], G4[..., None]
S = draw((2, 2, 2), (2, 2, 1), (2, 1, 2), (1, 1))
F = rng.standard_normal((8, 2, 4, 3))
p = rng.permutation(5)

CASES: list[tuple[str, tuple[Any, ...], Any]] = [
    ("low_rank", (U, V), U @ V.T),
    ("low_rank_plus_diag", (d, U, C, V), np.diag(d) + U @ C @ V.T),
    ("cur", (U, C, V.T), U @ C @ V.T),
    ("block_diag", (B,), scipy.linalg.block_diag(*B)),
    (
        "block_diag_interleaved",
        (B,),
        scipy.linalg.block_diag(*B).reshape(3, 2, 3, 4).transpose(1, 0, 3, 2).reshape(6, 12),
    ),
    (
        "block_arrow",
        tuple(S),
        np.block([[scipy.linalg.block_diag(*S[0]), S[1].reshape(4, 1)], [np.hstack(list(S[2])), S[3]]]),
    ),
    ("block_low_rank", tuple(draw((2, 3, 2, 1), (2, 3, 4, 1))), None),
    ("flat_butterfly", (F,), butterfly_of(F)),
    ("kron_terms", (np.stack([A2, 2 * A2]), np.stack([B2, B2 + 1])), np.kron(A2, B2) + np.kron(2 * A2, B2 + 1)),
    ("kron_sum", (C, B[0] @ B[0].T), np.kron(C, np.eye(2)) + np.kron(np.eye(2), B[0] @ B[0].T)),
    ("face_splitting", (U, V), np.einsum("ni,nj->nij", U, V).reshape(5, 4)),
    ("monarch", (L, R), np.einsum("jiks,kjms->ijkm", L, R).reshape(12, 30)),
    ("tensor_train", (G1, G4), chain(E1, E2)),
    ("tensor_train", (G1, G2, G3[..., 0]), chain(E1, G2, G3[..., :1])),
    ("tensor_train", (G1, G2, G3, G4), chain(E1, G2, G3, E2)),
    ("tensor_ring", (G2, G3.transpose(0, 1, 2, 3)), chain(G2, G3)),
    ("tensor_ring", (G2, G3, rng.standard_normal((2, 1, 2, 2))), None),
    ("tucker", tuple(draw((2, 1, 3), (4, 2), (2, 1), (3, 3))), None),
    ("cp", (U, V, C), np.einsum("ir,jr,kr->ijk", U, V, C)),
    ("cp_matrix", (U, V, C, C), np.einsum("ir,kr,jr,lr->ikjl", U, V, C, C).reshape(25, 4)),
    ("fast_transform", (U, C, V.T), U @ C @ V.T),
    ("tridiagonal", (d[1:], d, -d[1:]), np.diag(d[1:], -1) + np.diag(d) + np.diag(-d[1:], 1)),
    ("permutation", (p,), np.eye(5)[p]),
    (
        "boxes",
        (np.array([0, 2]), np.array([3, 5]), np.array([1, 0]), np.array([4, 2]), U.T.copy(), V.T.copy()),
        np.outer(U[:, 0] * [1, 1, 1, 0, 0], V[:, 0] * [0, 1, 1, 1, 0])
        + np.outer(U[:, 1] * [0, 0, 1, 1, 1], V[:, 1] * [1, 1, 0, 0, 0]),
    ),
]


@pytest.mark.parametrize(
    ("name", "parts", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_meaning(name: str, parts: tuple[Any, ...], expected: Any) -> None:
    found = dense(name, *parts)
    if expected is not None:
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_all_of_them_check() -> None:
    checked = check(read(FILE))
    assert not checked.diagnostics.items
    assert set(standard()) == set(checked.module.definitions)
    assert all(checked.module.generic(definition) for definition in checked.module.definitions.values())


def test_parts_that_do_not_fit() -> None:
    nodes = [input_node("U", TensorType(F64, [4, 2])), input_node("V", TensorType(F64, [4, 3]))]
    with pytest.raises(TpcError, match="has 3 entries on an axis where r = 2 are needed"):
        meaning("low_rank", nodes)


# ---- what a product costs: multiply-adds of the table in the specification, twice

COSTS = [
    ("low_rank", "U: f64[600, 7], V: f64[500, 7]", 500, 7 * (600 + 500)),
    ("low_rank_plus_diag", "d: f64[500], U: f64[500, 6], C: f64[6, 6], V: f64[500, 6]", 500, 500 * 13 + 36),
    ("block_diag", "B: f64[20, 30, 40]", 800, 20 * 30 * 40),
    ("block_diag_interleaved", "B: f64[20, 30, 40]", 800, 20 * 30 * 40),
    ("kron_sum", "A: f64[20, 20], B: f64[30, 30]", 600, 600 * 50),
    ("kron_terms", "A: f64[2, 20, 30], B: f64[2, 30, 20]", 600, 2 * (20 * 600 + 20 * 30 * 20)),
    ("monarch", "L: f64[16, 16, 16, 1], R: f64[16, 16, 16, 1]", 256, 256 * 32),
    ("monarch", "L: f64[16, 16, 16, 2], R: f64[16, 16, 16, 2]", 256, 2 * 256 * 32),
    ("tensor_train2", "A: f64[16, 16, 3], B: f64[3, 16, 16]", 256, 3 * 16 * 16 * 16 * 2),
    ("cp_matrix", "A: f64[16, 4], B: f64[16, 4], C: f64[16, 4], D: f64[16, 4]", 256, 4 * (256 + 16 + 16 + 256)),
    ("fast_transform2", "A: f64[300, 20], B: f64[20, 300]", 300, 2 * 300 * 20),
    ("flat_butterfly", "B: f64[16, 32, 5, 32]", 512, 2 * 5 * 16 * 32 * 32),  # with what puts its blocks in their places
]


@pytest.mark.parametrize(("name", "parts", "columns", "expected"), COSTS)
def test_products_never_form_the_matrix(name: str, parts: str, columns: int, expected: int) -> None:
    text = f"def f(W: {name}({parts}), x: f64[{columns}]) = W @ x"
    program = run(check(Source(text)).programs["f"], Options()).program
    flops = sum(int(node_flops(node)) for node in program.nodes)
    assert flops <= 2.2 * expected
    rows = program.outputs[0].tensor.dims[0]
    assert not any(node.tensor.dims == (rows, columns) for node in program.nodes)


def test_stored_blocks_alone_have_gradients() -> None:
    text = "def loss(W: flat_butterfly(B: f64[8, 2, 4, 3]), x: f64[24]) = sum((W @ x)^3)\n"
    text += "def main(W: flat_butterfly(B: f64[8, 2, 4, 3]), x: f64[24]) = grad(loss, W)(W, x)\n"
    slope, x = tpc.compile(text, backend="numpy"), rng.standard_normal(24)
    whole = np.outer(3 * (butterfly_of(F) @ x) ** 2, x).reshape(8, 2, 8, 3)
    stored = [[whole[h, :, h ^ (1 << t >> 1)] for t in range(4)] for h in range(8)]
    np.testing.assert_allclose(slope(F, x), np.array(stored).transpose(0, 2, 1, 3), atol=1e-12)
    assert not any(node.tensor.dims == (16, 24) for node in slope.program.nodes)


# ---- facts that hold exactly


def test_monarch_contains_kronecker_products_rank_one_and_block_diagonal_matrices() -> None:
    A, B, u, v, D = draw((4, 4), (4, 4), (16,), (16,), (4, 4, 4))
    ones = np.ones((4, 4, 4))
    # M[(i j), (k l)] = L[j, i, k] * R[k, j, l]
    kron = (ones * A)[..., None], (ones * B)[..., None]
    np.testing.assert_allclose(dense("monarch", *kron), np.kron(A, B), atol=1e-14)
    rank_one = (ones * u.reshape(4, 4).T[:, :, None])[..., None], (ones * v.reshape(4, 1, 4))[..., None]
    np.testing.assert_allclose(dense("monarch", *rank_one), np.outer(u, v), atol=1e-14)
    blocks = (ones * np.eye(4))[..., None], D[..., None]
    np.testing.assert_allclose(dense("monarch", *blocks), scipy.linalg.block_diag(*D), atol=1e-14)


def test_a_train_of_two_cores_is_a_sum_of_kronecker_products() -> None:
    A, B = draw((3, 4, 2), (2, 2, 5))
    np.testing.assert_allclose(
        dense("tensor_train", A, B), dense("kron_terms", A.transpose(2, 0, 1).copy(), B), atol=1e-14
    )


def test_hadamard_is_a_product_of_kronecker_factors() -> None:
    H = scipy.linalg.hadamard(2).astype(float)
    factors = [np.kron(np.kron(np.eye(2**k), H), np.eye(2 ** (2 - k))) for k in range(3)]
    np.testing.assert_array_equal(dense("fast_transform", *factors), scipy.linalg.hadamard(8))
