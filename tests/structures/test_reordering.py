"""Products are made in the order in which what reads them needs no copy."""

import numpy as np
import pytest

import tpc
from tpc.ir.build import input_node, make
from tpc.ir.node import Node, Program, topological
from tpc.ir.reference import evaluate
from tpc.ir.types import F64, TensorType
from tpc.passes import layout
from tpc.passes.choose.reordering import reordered

CORE = "f64[{r}, {q}, {q}, {r}]"
TRAIN = f"tensor_train4(A: f64[{{q}}, {{q}}, {{r}}], B: {CORE}, C: {CORE}, D: f64[{{r}}, {{q}}, {{q}}])"
MONARCH = "monarch(L: f64[{q}, {q}, {q}, {r}], R: f64[{q}, {q}, {q}, {r}])"


def given(name: str, *dims: int) -> Node:
    return input_node(name, TensorType(F64, dims))


def copies(outputs: list[Node] | tuple[Node, ...]) -> list[int]:
    """How many numbers each reshape copies."""
    nodes = topological(outputs)
    moved = [n for n in nodes if n.op.name == "reshape" and layout.seen(layout.view_of(n.args[0]), n) is None]
    return [int(str(n.tensor.size)) for n in moved]


def value(outputs: list[Node], arrays: dict[Node, np.ndarray]) -> np.ndarray:
    (found,) = evaluate(Program("value", list(arrays), outputs), list(arrays.values()))
    return np.asarray(found)


def by_hand(parts: list[np.ndarray], X: np.ndarray) -> np.ndarray:
    """X @ W', a part at a time."""
    if len(parts) == 2:
        return np.einsum("jiks,kjms,bkm->bij", *parts, X, optimize=True)
    A, B, C, D = parts
    for part, axes in ((D, ([4], [2])), (C, ([3, 4], [2, 3])), (B, ([2, 4], [2, 3])), (A, ([1, 4], [1, 2]))):
        X = np.tensordot(X, part, axes)
    return X.transpose(0, 4, 3, 2, 1)


@pytest.mark.parametrize("structure, q, r, b", [(MONARCH, 16, 4, 64), (TRAIN, 8, 16, 16)])
def test_nothing_between_the_products_of_a_structure_is_copied(structure: str, q: int, r: int, b: int) -> None:
    axes = (q,) * (2 if structure is MONARCH else 4)
    n = int(np.prod(axes))
    f = tpc.compile(f"def f(W: {structure.format(q=q, r=r)}, X: f64[{b}, {n}]) = X @ W'\n", backend="numpy")
    draw = np.random.default_rng(0).standard_normal
    *parts, X = (draw([int(str(dim)) for dim in node.tensor.dims]) for node in f.program.inputs)
    expected = by_hand(parts, X.reshape(b, *axes)).reshape(b, n)
    np.testing.assert_allclose(f(*parts, X), expected, atol=1e-9 * np.abs(expected).max())
    assert max(copies(f.plan.program.outputs)) <= X.size  # what is between the products is r times as large
    assert max(int(str(node.tensor.size)) for node in f.plan.program.nodes) >= r * X.size


def test_rows_are_reordered_by_the_factor_that_they_come_from() -> None:
    A, B = given("A", 3, 8, 5), given("B", 3, 5, 40)
    apart = make("permute", (make("reshape", (make("matmul", (A, B)),), dims=(3, 4, 2, 40)),), axes=(1, 0, 2, 3))
    needed = make("reshape", (apart,), dims=(4, 6, 40))  # (k s) for each j, of A[k, (j s), b]
    (found,) = reordered([make("sum", (needed,), axis=1)])
    draw = np.random.default_rng(0).standard_normal
    arrays = {node: draw([int(str(d)) for d in node.tensor.dims]) for node in (A, B)}
    assert copies([needed]) == [960] and copies([found]) == [120]
    np.testing.assert_allclose(value([found], arrays), value([make("sum", (needed,), axis=1)], arrays), atol=1e-12)


@pytest.mark.parametrize("side", [0, 1])
def test_what_is_summed_over_may_be_in_any_order(side: int) -> None:
    P, Q = given("P", 5 * 16, 7), given("Q", 7, 16 * 2)
    product = make("reshape", (make("matmul", (P, Q)),), dims=(5, 16, 16, 2))  # b c i r
    if side == 0:
        needed = make("reshape", (make("permute", (product,), axes=(0, 2, 1, 3)),), dims=(80, 32))
        whole = make("matmul", (needed, given("S", 32, 3)))
    else:
        needed = make("reshape", (make("permute", (product,), axes=(1, 3, 0, 2)),), dims=(32, 80))
        whole = make("matmul", (given("S", 3, 32), needed))
    (found,) = reordered([whole])
    draw = np.random.default_rng(0).standard_normal
    inputs = [node for node in topological([whole]) if node.op.name == "input"]
    arrays = {node: draw([int(str(d)) for d in node.tensor.dims]) for node in inputs}
    assert copies([whole]) == [5 * 16 * 32] and sum(copies([found])) <= 7 * 32 + 3 * 32
    np.testing.assert_allclose(value([found], arrays), value([whole], arrays), atol=1e-12)


def test_what_else_is_read_stays() -> None:
    A, B = given("A", 3, 8, 5), given("B", 3, 5, 40)
    product = make("matmul", (A, B))
    apart = make("permute", (make("reshape", (product,), dims=(3, 4, 2, 40)),), axes=(1, 0, 2, 3))
    both = [make("reshape", (apart,), dims=(4, 6, 40)), product]
    assert reordered(both) == both
    P, Q, S = given("P", 80, 7), given("Q", 7, 32), given("S", 32, 3)
    split = make("permute", (make("reshape", (make("matmul", (P, Q)),), dims=(5, 16, 16, 2)),), axes=(0, 2, 1, 3))
    twice = [make("matmul", (make("reshape", (split,), dims=(80, 32)), S)), make("sum", (split,), axis=0)]
    assert reordered(twice) == twice
    large = make("matmul", (given("A", 3, 8, 500), given("B", 3, 500, 4)))  # the factor is larger than the product
    apart = make("permute", (make("reshape", (large,), dims=(3, 4, 2, 4)),), axes=(1, 0, 2, 3))
    alone = [make("reshape", (apart,), dims=(4, 6, 4))]
    assert reordered(alone) == alone
