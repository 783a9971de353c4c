"""What is multilinear is one contraction: equal expressions are one class, and the plan is as good as an expert's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.passes.counted import Counted, program
from tests.passes.kronecker_laws import LAWS, Law

from tpc.cost import cost
from tpc.ir.node import Node, Program
from tpc.ir.reference import evaluate, modular
from tpc.ir.types import TensorType
from tpc.ir.verify import verify
from tpc.passes.choose.prices import Sizes
from tpc.passes.contraction import Contraction, Wiring, arranged, compose
from tpc.passes.contraction.rows import best_order
from tpc.passes.egraph.explore import Bounds, explore
from tpc.passes.egraph.load import load
from tpc.passes.optimise import Request, optimise

PRIME = 2**31 - 1
NO_RULES = Bounds(files=("none",))
LETTERS = "mnpqrs"
SHAPES = {
    "rectangular": dict(zip(LETTERS, (2, 3, 4, 5, 2, 3))),
    "size 1": dict(zip(LETTERS, (1, 3, 2, 1, 1, 2))),
    "all of size 1": dict.fromkeys(LETTERS, 1),
    "empty": dict(zip(LETTERS, (2, 0, 3, 2, 2, 2))),
}
LARGE = dict(zip(LETTERS, (8, 9, 10, 11, 12, 8)))


def planned(text: str, sizes: Mapping[str, int], mode: str = "stable") -> Program:
    plan = optimise(program(text, sizes), Request(Counted(), mode=mode, bounds=NO_RULES))
    verify(plan, "test")
    return plan


def operands(given: Program, seed: int) -> list[Any]:
    chance = np.random.default_rng(seed)
    return [chance.integers(1, PRIME, size=n.tensor.dims) for n in given.inputs]


def same(first: Any, second: Any) -> bool:
    return bool(np.array_equal(np.asarray(first, object), np.asarray(second, object)))


def size(node: Node) -> int:
    return int(np.prod(node.type.dims, dtype=int)) if isinstance(node.type, TensorType) else 0


named = pytest.mark.parametrize("law", LAWS, ids=lambda law: re.sub(r"\W+", "-", law.name))


@named
@pytest.mark.parametrize("shape", SHAPES)
def test_the_plan_has_the_value_of_the_other_side(law: Law, shape: str) -> None:
    sizes = SHAPES[shape]
    if law.divides:  # by powers of two, which plans write as exact numbers
        sizes = {name: 1 << max(size.bit_length() - 1, 0) for name, size in sizes.items()}
    written, plan = program(law.side(law.right), sizes), planned(law.side(law.left), sizes, law.mode)
    for seed in (0, 1):
        given = operands(written, seed)
        (expected,) = evaluate(written, given, domain=modular(PRIME))
        (found,) = evaluate(plan, given, domain=modular(PRIME))
        assert same(found, expected), f"{plan}"


@named
def test_both_sides_are_one_class(law: Law) -> None:
    graph, classes = load(program(law.text, LARGE))
    if not law.one_class:
        explore(graph, Sizes({}), mode=law.mode, bounds=NO_RULES)
    assert len({graph.find(number) for number in graph.asked}) == 1


@named
def test_the_plan_takes_no_more_operations_than_the_good_side(law: Law) -> None:
    plan, good = planned(law.side(law.left), LARGE, law.mode), program(law.side(law.right), LARGE)
    assert cost(plan, {}).flops <= cost(good, {}).flops * 1.001, f"{plan}"


@pytest.mark.parametrize("law", [law for law in LAWS if law.product], ids=lambda law: re.sub(r"\W+", "-", law.name))
def test_no_plan_holds_the_product(law: Law) -> None:
    rows, columns = program(law.side(f"zeros({law.product})"), LARGE).result_types[0].dims
    plan = planned(law.side(law.left), LARGE, law.mode)
    limit = max([rows * columns, *(size(n) + 1 for n in (*plan.inputs, *plan.outputs))])
    assert all(size(n) < limit for n in plan.nodes), f"{plan}"


def test_laws_that_do_not_hold_fail() -> None:
    turned = Law("turned", "A: f64[n, n], B: f64[n, n], X: f64[n, n]", "kron(A, B) @ vec(X)", "vec(B @ X @ A')")
    with pytest.raises(AssertionError):
        test_both_sides_are_one_class(turned)
    with pytest.raises(AssertionError):
        test_the_plan_has_the_value_of_the_other_side(turned, "rectangular")
    entries = Law("entries", "A: f64[m, n], B: f64[p, q]", "sum(exp(kron(A, B)))", "0", "m*p, n*q")
    with pytest.raises(AssertionError):
        test_no_plan_holds_the_product(entries)
    dear = Law("dear", "A: f64[m, n], B: f64[n, p], x: f64[p]", "A @ B", "A @ (B @ x)")
    with pytest.raises(AssertionError):
        test_the_plan_takes_no_more_operations_than_the_good_side(dear)


# ---- the normal form itself


def test_groups_of_equal_sizes_in_another_order_do_not_meet() -> None:
    """kron(A[2, 3], B[3, 2]) is square, but its rows are grouped as 2*3 and its columns as 3*2."""
    outer = Contraction((((0,), (0,)),), (), (6,))  # a trace
    inner = Contraction((((0,), (1,)), ((2,), (3,))), ((0, 2), (1, 3)), (2, 3, 3, 2))
    assert compose(outer, 0, inner) is None
    text = "def f(A: f64[2, 3], B: f64[3, 2]) = trace(kron(A, B)), diag(kron(A, B))\n"
    written, plan = program(text, {}), planned(text, {})
    given = operands(written, 0)
    for found, expected in zip(*(evaluate(p, given, domain=modular(PRIME)) for p in (plan, written)), strict=True):
        assert same(found, expected)


PIECES = {
    "in a sum": "x: f64[n + m], c: f64) -> f64[n]:\n    y[i in n] = 3 * x[i]\n    return y + c",
    "in a product": "x: f64[n + m], c: f64[n]) -> f64:\n    y[i in n] = x[i]\n    return dot(y, c)",
    "summed": "x: f64[n + m], c: f64) -> f64:\n    y[i in n] = x[i]\n    return c * sum(y)",
    "of a matrix": "X: f64[n + m, n], c: f64[n, m]) -> f64[n, m]:\n    Y[i in n, j in n] = X[i, j]\n    return Y @ c",
    "on a diagonal": "X: f64[n + m, n], c: f64) -> f64[n]:\n    y[i in n] = X[i, i]\n    return c * y",
}


@pytest.mark.parametrize("name", PIECES)
def test_letters_over_a_part_of_an_axis_are_not_those_of_the_axis(name: str) -> None:
    text, sizes = f"def f({PIECES[name]}\n", {"n": 3, "m": 2}
    given = program(text, sizes)
    arrays = operands(given, 0)
    (expected,), (found,) = (evaluate(p, arrays, {}, modular(PRIME)) for p in (given, planned(text, sizes)))
    assert same(expected, found)


def test_a_finer_grouping_splits_a_coarser_one() -> None:
    wiring = Wiring()
    whole, rows, columns = wiring.letter(6), wiring.letter(2), wiring.letter(3)
    assert wiring.join(((whole,),), ((rows, columns),))
    assert wiring.resolve((whole,)) == (rows, columns)


def test_the_order_of_operands_and_letters_does_not_matter() -> None:
    one = Contraction((((0,), (1,)), ((1,), (2,))), ((0,), (2,)), (2, 3, 4))
    other = Contraction((((1,), (0,)), ((2,), (1,))), ((2,), (0,)), (4, 3, 2))
    first, second = arranged(one, [7, 8]), arranged(other, [8, 7])
    assert first[1] == second[1] and [7, 8] == [[7, 8][k] for k in first[0]] == [[8, 7][k] for k in second[0]]


def test_the_order_of_a_chain_is_that_of_dynamic_programming() -> None:
    chance = np.random.default_rng(0)
    for count in (2, 3, 5, 9):
        for _ in range(20):
            sizes = [int(n) for n in chance.integers(1, 30, size=count + 1)]
            assert _work(best_order(sizes), sizes)[0] == _least(sizes)


def _work(tree: Any, sizes: list[int]) -> tuple[int, int, int]:
    """Operations of an order, its first factor, and the one behind its last."""
    if isinstance(tree, int):
        return 0, tree, tree + 1
    (a, first, middle), (b, again, last) = (_work(side, sizes) for side in tree)
    assert middle == again
    return a + b + sizes[first] * sizes[middle] * sizes[last], first, last


def _least(sizes: list[int]) -> int:
    count = len(sizes) - 1
    least = {(k, k + 1): 0 for k in range(count)}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length
            least[i, j] = min(least[i, k] + least[k, j] + sizes[i] * sizes[k] * sizes[j] for k in range(i + 1, j))
    return least[0, count]
