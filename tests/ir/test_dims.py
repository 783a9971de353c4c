"""Sizes are polynomials: what is done to them symbolically agrees with what is done to integers."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tpc.ir import dims
from tpc.ir.dims import Dim, DimLike, assuming, dim_text, divide, is_nonnegative, maximum, minimum, named

NAMES = ("n", "m", "k")
SIZES = st.fixed_dictionaries({name: st.integers(0, 9) for name in NAMES})


def _dims() -> st.SearchStrategy[DimLike]:
    leaves = st.one_of(st.integers(-3, 5), st.sampled_from([named(n) for n in NAMES]))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(dims.add, inner, inner),
            st.builds(dims.multiply, inner, inner),
            st.builds(minimum, inner, inner),
            st.builds(maximum, inner, inner),
            st.builds(divide, inner, st.integers(1, 4)),
        ),
        max_leaves=6,
    )


OPERATIONS = {
    "+": (dims.add, lambda a, b: a + b),
    "*": (dims.multiply, lambda a, b: a * b),
    "min": (minimum, min),
    "max": (maximum, max),
}


@given(_dims(), _dims(), SIZES)
@settings(max_examples=300)
def test_arithmetic_agrees_with_integers(a: DimLike, b: DimLike, sizes: dict[str, int]) -> None:
    x, y = dims.evaluate(a, sizes), dims.evaluate(b, sizes)
    for symbolic, plain in OPERATIONS.values():
        assert dims.evaluate(symbolic(a, b), sizes) == plain(x, y)


@given(_dims(), st.integers(1, 5), SIZES)
def test_division_rounds_down(a: DimLike, by: int, sizes: dict[str, int]) -> None:
    assert dims.evaluate(divide(a, by), sizes) == dims.evaluate(a, sizes) // by


@given(_dims(), SIZES)
@settings(max_examples=300)
def test_what_is_called_nonnegative_is(a: DimLike, sizes: dict[str, int]) -> None:
    if is_nonnegative(a):
        assert dims.evaluate(a, sizes) >= 0


@given(_dims())
def test_equal_dims_are_one_object(a: DimLike) -> None:
    again = dims.add(dims.add(a, named("n")), dims.multiply(named("n"), -1))
    assert again is a or (isinstance(a, int) and again == a)


@given(_dims(), _dims())
def test_exact_division_undoes_a_product(a: DimLike, b: DimLike) -> None:
    if b != 0 and not (isinstance(a, Dim) and "(" in str(a)) and "(" not in str(b):
        assert dims.divide_exactly(dims.multiply(a, b), b) == a


def test_text_reads_as_mathematics() -> None:
    n, m = named("n"), named("m")
    assert dim_text(2 * n * m - n + 3) == "2*m*n - n + 3"
    assert dim_text(-n) == "-n"
    assert dim_text(n * n) == "n^2"
    assert dim_text(minimum(n, m)) == "min(m, n)"


def test_assumptions_hold_inside_of_their_context_only() -> None:
    n, m = named("n"), named("m")
    assert not is_nonnegative(n - m)
    with assuming([n - m - 1]):
        assert is_nonnegative(n - m)
        assert minimum(n, m) is m
    assert not is_nonnegative(n - m)


def test_solve_linear() -> None:
    n = named("n")
    assert dims.solve_linear(2 * n + 1, 7) == ("n", 3)
    assert dims.solve_linear(2 * n + 1, 8) is None  # not whole
    assert dims.solve_linear(2 * n + 1, -1) is None  # negative
    assert dims.solve_linear(n * n, 9) is None  # not linear
    assert dims.solve_linear(n * named("m"), 9) is None  # two unknowns


def test_a_size_that_is_not_given_is_named() -> None:
    with pytest.raises(KeyError, match="m"):
        dims.evaluate(named("n") + named("m"), {"n": 3})


@pytest.mark.parametrize("size", [2**31 - 1, 2**32, 2**53 + 1, 2**62, 10**30])
def test_huge_sizes_are_exact(size: int) -> None:
    n = named("n")
    assert dims.evaluate(n * n + 1, {"n": size}) == size * size + 1
