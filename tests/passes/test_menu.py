"""What the menu of steps has to offer: plans are as good as those of an expert, and hold nothing that is not needed."""

from __future__ import annotations

from itertools import permutations
from math import prod

import numpy as np
import opt_einsum
import pytest
from tests.passes.counted import Counted, program
from tests.passes.test_optimise import assert_same_values, counts, ops, plan

from tpc.cost import cost
from tpc.dsl.source import Source
from tpc.ir.build import input_node, make
from tpc.ir.dims import named
from tpc.ir.elaborate.module import check
from tpc.ir.facts import analyse
from tpc.ir.types import F64, TensorType
from tpc.passes.choose.prices import Sizes
from tpc.passes.count import is_view
from tpc.passes.optimise import Request, optimise

NETWORKS = {  # gradients of layers and attention, with batch axes
    "bias": "nk,kh,nh->h",
    "weight": "nd,nk,kh,nh->dh",
    "batched bias": "bnk,kh,bnh->h",
    "scores": "bqd,de,bke->bqk",
    "attention": "bqk,bkd,de->bqe",
    "bilinear": "nd,ne,dek->nk",
    "gate": "nh,nh,nh->n",
    "rows": "bnh,bnh->bh",
    "weighted rows": "bn,bnh,h->b",
}
SIZES = {"n": 60, "k": 12, "h": 20, "d": 8, "b": 5, "e": 9, "q": 15}


def contraction(equation: str) -> str:
    """An equation of letters as a program."""
    inputs, output = equation.split("->")
    operands = inputs.split(",")
    parameters = ", ".join(f"A{k}: f64[{', '.join(axes)}]" for k, axes in enumerate(operands))
    letters = {letter: letter.upper() for letter in inputs.replace(",", "")}  # sizes have the small ones
    product = " * ".join(f"A{k}[{', '.join(letters[n] for n in axes)}]" for k, axes in enumerate(operands))
    summed = ", ".join(letters[n] for n in dict.fromkeys(inputs.replace(",", "")) if n not in output)
    result = ", ".join(letters[n] for n in output)
    return (
        f"def f({parameters}):\n    R[{result}] = {f'sum[{summed}]({product})' if summed else product}\n    return R\n"
    )


@pytest.mark.parametrize("is_open", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize("equation", NETWORKS.values(), ids=NETWORKS)
def test_networks_are_contracted_along_the_best_path(equation: str, is_open: bool) -> None:
    given = program(contraction(equation), {} if is_open else SIZES)
    found = optimise(given, Request(Counted(), SIZES))
    shapes = [tuple(SIZES[n] for n in axes) for axes in equation.split("->")[0].split(",")]
    _, path = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="optimal")
    assert float(cost(found, SIZES).flops) <= 1.05 * float(path.opt_cost), f"{found}"
    most = max(float(path.largest_intermediate), *map(prod, shapes))
    for node in found.nodes:
        assert Sizes(SIZES).product(node.tensor.dims) <= most, f"{found}"
    if not is_open:
        assert_same_values(found, given)


# ---- what is priced


@pytest.mark.parametrize("axes", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 1, 5), (1, 3, 5)], ids=str)
def test_a_reshaped_array_is_a_view_where_it_is_one_in_numpy(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    turned = make("permute", (input_node("x", TensorType(F64, shape)),), axes=axes)
    a, b, c = x.transpose(axes).shape
    for dims in ((a * b * c,), (a * b, c), (a, b * c), (a, 1, b, c), (a, b, c, 1)):
        viewed = np.shares_memory(x, x.transpose(axes).reshape(dims))
        assert is_view(make("reshape", (turned,), dims=dims)) == viewed, dims


def test_open_sizes_that_are_joined_out_of_order_are_a_copy() -> None:
    n, m, k = named("n"), named("m"), named("k")
    x = input_node("x", TensorType(F64, [n, m, k]))
    turned = make("permute", (x,), axes=(1, 0, 2))
    assert not is_view(make("reshape", (turned,), dims=(m, n * k)))
    assert not is_view(make("reshape", (turned,), dims=(m * n, k)))
    assert is_view(make("reshape", (make("permute", (x,), axes=(1, 2, 0)),), dims=(m * k, n)))


# ---- diagonals, triangles, roots


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("def f(S: f64[n, n], a: f64) = S + a * eye(n)\n", 1),
        ("def f(S: f64[n, n], d: f64[n]) = 2 * S - diag(d)\n", 1),
        ("def f(S: f64[n, n], d: f64[n], a: f64) = S + 3 * diag(d) - 2 * a * eye(n) + eye(n)\n", 1),
        ("def f(S: f64[n, n], a: f64) = S + a\n", 0),
        ("def f(S: f64[n, m], T: f64[n, m]) = S + T\n", 0),
    ],
)
def test_what_is_diagonal_is_added_to_the_diagonal_alone(text: str, added: int) -> None:
    found, given = plan(text), program(text, {"n": 6, "m": 3})
    assert ops(found).count("add_diagonal") == added
    assert "eye" not in ops(found)
    assert_same_values(plan(text, n=6, m=3), given)


def test_a_triangle_that_is_too_long_meets_only_a_part() -> None:
    text = "def f(C: f64[m, n], D: f64[n, n] is upper, E: f64[n, k] is upper) -> f64[m, k] where n > k = C @ D @ E\n"
    m, k = 100, 30
    assert counts(plan(text)) == 2 * m * k * k
    lower = "def f(E: f64[k, n] is lower, C: f64[n, m]) -> f64[k, m] where n > k = E @ C\n"
    assert counts(plan(lower)) == k * k * m


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("def f(E: f64[k, n] is upper, C: f64[n, m]) -> f64[k, m] where n > k = E @ C\n", "m"),
        ("def f(E: f64[k, n] is upper, C: f64[k, m]) -> f64[n, m] where n > k = E' @ C\n", "m"),
        ("def f(E: f64[n, k] is lower, C: f64[k, m]) -> f64[n, m] where n > k = E @ C\n", "m"),
        ("def f(E: f64[n, k] is lower, C: f64[n, m]) -> f64[k, m] where n > k = E' @ C\n", "m"),
        ("def f(E: f64[k, n] is upper, c: f64[n]) -> f64[k] where n > k = E @ c\n", ""),
    ],
)
def test_a_trapezoid_is_a_triangle_and_a_rest(text: str, right: str) -> None:
    found = plan(text)
    m, n, k = 100 if right else 1, 200, 30
    assert ops(found).count("trmm") == 1
    assert counts(found) <= k * k * m + 2 * k * (n - k) * m + n * m
    assert_same_values(plan(text, n=5, k=3, m=2), program(text, {"n": 5, "k": 3, "m": 2}))
    unknown = program(text.replace("where n > k", ""), {})  # where n may be less than k
    assert "subscript" not in ops(optimise(unknown, Request(Counted(), {"n": 200, "k": 30, "m": 100})))


@pytest.mark.parametrize(("part", "facts"), [("1:3, 1:3", {"upper"}), ("0:3, 0:2", {"upper"}), ("1:3, 0:3", set())])
def test_blocks_on_the_diagonal_have_zeros_where_the_matrix_has(part: str, facts: set[str]) -> None:
    checked = check(Source(f"def f(U: f64[4, 4] is upper) = U[{part}]\n"))
    (block,) = checked.programs["f"].outputs
    assert {f.name for f in analyse(checked.programs["f"])[block]} & {"upper", "lower"} == facts


def test_what_is_solved_with_one_triangle_serves_two_results() -> None:
    """Gain and covariance of a Kalman filter: the rest of the work is one factorization of each matrix."""
    text = """def f(P: f64[n, n] is spd, H: f64[k, n] is full_rank, R: f64[k, k] is spd) -> (f64[n, k], f64[n, n]):
    K = P @ H' @ inv(H @ P @ H' + R)
    return K, (eye(n) - K @ H) @ P
"""
    found = plan(text)
    n, k = 200, 30
    assert counts(found) <= 1.02 * (n**3 / 3 + 3 * k * n**2 + 3 * k**2 * n + k**3 / 3)
    assert ops(found).count("solve_triangular") == 2
    assert "cho_solve" not in ops(found)


def test_a_symmetric_sum_is_one_product_and_its_transpose() -> None:
    text = """def f(X: f64[n, n] is symmetric, S: f64[n, k], A: f64[n, n] is symmetric, M: f64[k, k] is symmetric):
    return X + S @ M @ S' @ A @ X @ A @ S @ M @ S' - S @ M @ S' @ A @ X - X @ A @ S @ M @ S'
"""
    n, k = 500, 50
    assert counts(plan(text, n=n, k=k)) <= 1.02 * (6 * n**2 * k + 8 * n * k**2 + 3 * n**2)
