"""Batches of products are computed the way round in which what reads them needs no copies, or short ones."""

import numpy as np
import pytest

import tpc
from tpc.ir.build import input_node, make
from tpc.ir.types import F64, TensorType
from tpc.passes import layout
from tpc.passes.choose.turning import turned
from tpc.passes.cost import profile
from tpc.passes.kernels import kernels_of, node_seconds

MONARCH = "def f(W: monarch(L: f64[q, q, q, r], R: f64[q, q, q, r]), X: f64[b, q*q]) = X @ W'\n"


def given(name: str, *dims: int):
    return input_node(name, TensorType(F64, dims))


@pytest.mark.parametrize("q, r, b", [(8, 1, 40), (8, 3, 40), (4, 2, 1), (3, 1, 5)])
def test_results_stay(q: int, r: int, b: int) -> None:
    draw = np.random.default_rng(0)
    L, R, X = draw.standard_normal((q, q, q, r)), draw.standard_normal((q, q, q, r)), draw.standard_normal((b, q * q))
    W = np.einsum("jiks,kjls->ijkl", L, R).reshape(q * q, q * q)
    f = tpc.compile(MONARCH, dims={"q": q, "r": r, "b": b}, backend="numpy")
    np.testing.assert_allclose(f(L, R, X), X @ W.T, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("r", [1, 4])
def test_no_product_of_a_monarch_matrix_reads_with_gaps(r: int) -> None:
    f = tpc.compile(MONARCH, dims={"q": 32, "r": r, "b": 512}, backend="numpy")
    products = [n for n in f.plan.program.nodes if n.op.name == "matmul"]
    assert len(products) == 2
    for operand in (a for n in products for a in n.args):
        assert layout.is_in_order(layout.view_of(operand))
    for node in f.plan.program.nodes:
        if node.op.name == "reshape" and layout.seen(layout.view_of(node.args[0]), node) is None:
            assert not layout.scattered(layout.view_of(node.args[0]))


def test_a_product_that_is_read_in_order_stays() -> None:
    A, B, C = given("A", 5, 6, 7), given("B", 5, 7, 8), given("C", 5, 8, 9)
    whole = make("matmul", (make("matmul", (A, B)), C))
    assert turned([whole]) == [whole]
    product = make("matmul", (A, B))
    both = [product, make("permute", (product,), axes=(2, 1, 0))]
    assert turned(both) == both  # it is a result


def test_gaps_have_a_price() -> None:
    prices, B = profile("numpy", 1), given("B", 32, 32, 16)
    product = given("P", 32, 512, 32)
    gaps, near = (make("matmul", (make("permute", (product,), axes=axes), B)) for axes in ((2, 1, 0), (0, 1, 2)))
    assert [k.name for k in kernels_of(near)] == ["gemm"] and len(kernels_of(gaps)) > 1
    assert node_seconds(gaps, prices, {}) > 1.5 * node_seconds(near, prices, {})


def test_how_views_lie_in_memory() -> None:
    axes = layout.whole([32, 512, 128])
    cut = layout.seen(axes, make("reshape", (given("P", 32, 512, 128),), dims=(32, 512, 32, 4)))
    assert cut is not None and [layout.size(axis) for axis in cut] == [32, 512, 32, 4]
    moved = [cut[k] for k in (2, 1, 0, 3)]
    assert layout.run(moved) == 4 and layout.scattered(moved) == 4  # from all over, four by four
    assert layout.run(cut) == 32 * 512 * 32 * 4 and layout.scattered(cut) == 0
    turned_round = layout.whole([32, 512, 32])
    assert layout.scattered([turned_round[k] for k in (1, 2, 0)]) == 0  # lines are used up while they are near
    assert layout.scattered([turned_round[k] for k in (2, 1, 0)]) == 1
