"""Expressions whose result is sparse, for every combination of formats of their operands (taco issue 297)."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

N = 40
rng = np.random.default_rng(0)
FORMATS = ("dense", "csr", "csc", "coo", "bsr", "dia")


def matrix():
    """A matrix with 80 entries, some rows without any."""
    dense = np.zeros((N, N))
    rows, columns = np.unravel_index(rng.choice(N * N // 2, 80, replace=False), (N, N))
    dense[2 * (rows % (N // 2)), columns] = rng.integers(1, 5, 80)
    return dense


A, B, C, D = matrix(), matrix(), matrix(), np.diag(rng.integers(1, 5, N).astype(float))
OPERANDS = {"A": A, "B": B, "C": C, "D": D, "c0": 2.0, "c1": 3.0}
EXPRESSIONS = {
    "A @ B": ("AB", A @ B),
    "A' @ D @ A": ("AD", A.T @ D @ A),
    "A' @ A": ("A", A.T @ A),
    "(c0*A + B)' @ (c1*B' + C)": ("ABC", (2 * A + B).T @ (3 * B.T + C)),
    "A @ B @ C": ("ABC", A @ B @ C),
    "(A + B) @ (A + B + C)": ("ABC", (A + B) @ (A + B + C)),
}


def stored(dense, format):
    if format == "dense":
        return dense
    return getattr(sp, f"{format}_array")(dense)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_combination_of_formats(expression, always_sparse):
    letters, expected = EXPRESSIONS[expression]
    facts = {"D": " is diagonal"}
    parameters = ", ".join(f"{letter}: f64[n, n]{facts.get(letter, '')}" for letter in letters)
    f = tpc.compile(f"def f({parameters}, c0: f64, c1: f64) -> f64[n, n] = {expression}\n")
    for formats in product(FORMATS, repeat=len(letters)):
        given = [stored(OPERANDS[letter], format) for letter, format in zip(letters, formats)]
        result = f(*given, 2.0, 3.0)
        # what is dense or a diagonal matrix makes no pattern of its own; a sum with a dense matrix has none
        sparse = {letter for letter, format in zip(letters, formats) if format != "dense" or letter == "D"}
        wanted = sparse == set(letters) and set(formats) != {"dense"}
        assert sp.issparse(result) == wanted, formats
        assert np.array_equal(result.toarray() if wanted else result, expected), formats


def test_a_wrong_product_would_be_seen(always_sparse):
    f = tpc.compile("def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = A @ B\n")
    assert not np.array_equal(f(sp.csr_array(A), sp.csr_array(A)).toarray(), EXPRESSIONS["A @ B"][1])
