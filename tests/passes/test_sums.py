"""Sums in products: distributed beside an identity, joined, and factored on both sides."""

from __future__ import annotations

from tests.passes.test_optimise import counts, plan, searched

from tpc.verification import check_plan

SKETCHED = """def f(A: f64[n, n], S: f64[n, q] is full_rank, W: f64[n, n] is spd, X: f64[n, n]):
    return X + (eye(n) - X @ A') @ S @ inv(S' @ A' @ W @ A @ S) @ S' @ A' @ W
"""
TWICE = """def f(A: f64[n, n] is spd, S: f64[n, q] is full_rank, X: f64[n, n] is symmetric) -> f64[n, n] where n > q:
    left = eye(n) - S @ inv(S' @ A @ S) @ S' @ A
    return S @ inv(S' @ A @ S) @ S' + left @ X @ (eye(n) - A @ S @ inv(S' @ A @ S) @ S')
"""
CONGRUENT = """def f(A: f64[n, n] is nonsingular, B: f64[n, n] is nonsingular, L: f64[n, n] is spd, y: f64[n]):
    return inv(inv(A)' @ B' @ B @ inv(A) + L) @ inv(A)' @ y
"""


def same(text: str, **sizes: int) -> None:
    """Hold a plan to what was written, at operands that have the declared facts."""
    found = searched(text, **sizes)
    assert check_plan(found.written, found.program).method != "none"


def test_an_identity_meets_only_what_is_narrow() -> None:
    n, q = 1000, 100
    found = plan(SKETCHED, n=n, q=q)
    assert counts(found) <= 1.02 * (10 * n**2 * q + 6 * n * q**2 + 2 * q**3)
    same(SKETCHED, n=7, q=3)


def test_a_sum_of_products_is_joined_before_what_is_common_is_taken_out() -> None:
    n, q = 1000, 100
    found = searched(TWICE, n=n, q=q)
    assert counts(found.program) <= 1.03 * (6 * n**2 * q + 8 * n * q**2 + 4 / 3 * q**3 + 3 * n**2)
    same(TWICE, n=7, q=3)
    assert "join_sums" in {step.rule for _, _, step in found.graph.joins if step is not None}


def test_what_is_inverted_inside_of_an_inverse_leaves_it() -> None:
    found = plan(CONGRUENT, n=500)
    assert not {"lu_factor", "lu_solve", "inv", "solve"} & {node.op.name for node in found.nodes}
    same(CONGRUENT, n=4)
