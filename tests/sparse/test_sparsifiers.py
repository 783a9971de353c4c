"""Masks by magnitude, and gradients under them."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

rng = np.random.default_rng(3)


def test_gradients_take_masks_as_constant():
    f = tpc.compile(
        "def loss(W: f64[n, m], x: f64[m]) -> f64 = sum((select(largest(W, fraction=0.25), W, 0) @ x)^2)\n"
        "def g(W: f64[n, m], x: f64[m]) -> f64[n, m] = grad(loss, W)(W, x)\n"
    )
    W, x = rng.normal(size=(4, 6)), rng.normal(size=6)
    mask = np.abs(W) >= np.sort(np.abs(W).ravel())[-6]
    assert np.allclose(f(W, x), np.outer(2 * (W * mask) @ x, x) * mask)


def test_most_energy_is_kept_by_two_of_four():
    f = tpc.compile("def f(W: f64[n, m]) -> f64 = sum(select(largest_of_group(W, n=2, m=4), W, 0)^2) / sum(W^2)\n")
    assert abs(f(rng.normal(size=(256, 256))) - 0.868) < 0.005


def test_random_masks_have_their_density():
    f = tpc.compile("def f(n: i64) -> f64 = mean(f64(uniform(2000, 2000, seed=1) < 0.05))\n")
    assert abs(f(0) - 0.05) < 0.0005


@pytest.mark.parametrize(
    "call, code",
    [
        ("largest(W, fraction=2)", "E0222"),
        ("largest(W, axis=0)", "E0222"),
        ("largest_of_group(W, n=5, m=4)", "E0222"),
        ("largest_of_group(W, n=2, m=5)", "E0203"),
        ("largest_blocks(W, rows=0)", "E0222"),
        ("largest_blocks(W, rows=3, columns=1)", "E0203"),
    ],
)
def test_masks_that_mean_nothing(call, code):
    with pytest.raises(tpc.TpcError, match=code):
        tpc.compile(f"def f(W: f64[4, 4]) = {call}\n")


def test_open_sizes_are_checked_at_the_call():
    f = tpc.compile("def f(W: f64[n, m]) = largest_of_group(W)\n")
    with pytest.raises(tpc.TpcError, match="groups of 4"):
        f(np.ones((2, 6)))


def test_what_is_kept_can_be_stored_sparse():
    f = tpc.compile("def f(W: f64[n, m]) = select(largest_blocks(W, rows=2, columns=2, fraction=0.25), W, 0)\n")
    assert sp.csr_array(f(rng.normal(size=(8, 8)))).nnz == 16
