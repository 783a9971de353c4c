"""Pairs and triples of facts against many small matrices: what is refused has no witness, and what follows holds.

What a matrix has is told here by a second implementation, for many matrices at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
import pytest

from tpc.ir.dims import named
from tpc.ir.facts import check_declared, closure, satisfies
from tpc.ir.node import Fact
from tpc.ir.types import F64, TensorType

NEAR = 1e-9
VALUES = (-2, -1, -0.5, 0, 0.5, 1, 2)
SHAPES = [(1, 1), (2, 2), (3, 3), (1, 2), (2, 1), (2, 3), (3, 2), (1, 3), (3, 1)]
NUMBERS = {
    "banded": list(product((0, 1), repeat=2)),
    "low_rank": [(0,), (1,), (2,)],
    "projection": [(0,), (1,), (2,), (3,), (4,)],
    "at_least": [(-1.0,), (0.0,), (0.5,), (1.0,), (2.0,)],
    "at_most": [(-1.0,), (0.0,), (0.25,), (0.5,), (1.0,)],
}
RECTANGULAR = [
    "lower",
    "upper",
    "diagonal",
    "unit_diagonal",
    "banded",
    "full_rank",
    "low_rank",
    "toeplitz",
    "nonnegative",
    "positive",
    "negative",
    "nonzero",
    "at_least",
    "at_most",
    "row_stochastic",
    "orthonormal",
]
SQUARE = ["symmetric", "spd", "psd", "skew", "projection", "orthogonal", "permutation", "nonsingular", "circulant"]


def named_facts(shape: tuple[int, int]) -> list[Fact]:
    names = RECTANGULAR + (SQUARE if shape[0] == shape[1] else [])
    return [Fact(name, numbers) for name in names for numbers in NUMBERS.get(name, [()])]


@cache
def matrices(shape: tuple[int, int]) -> Any:
    """Matrices of a shape of all kinds, each once."""
    rng = np.random.default_rng(0)
    found = list(_any_kind(rng, shape))
    if shape[0] == shape[1]:
        found += _square_kinds(rng, shape[0])
    found += [0.1 * A for A in found[::7]]
    return np.unique(np.round(np.stack(found), 12) + 0.0, axis=0)


def _any_kind(rng: Any, shape: tuple[int, int]) -> Iterator[Any]:
    rows, columns = shape
    i, j = np.indices(shape)
    most = max(shape)
    if rows * columns <= 4:
        yield from (np.reshape(v, shape) for v in product(VALUES, repeat=rows * columns))
    else:
        yield from rng.choice(VALUES, (4000, *shape))
        yield from rng.choice((-1, 0, 1), (4000, *shape))
    for number in (1, 2, -1, 0.5, 3, 0.9, 0.1, 0.25, 1 / columns, rows**-0.5, -(rows**-0.5)):
        yield np.full(shape, number)
    yield np.eye(*shape) * 0.2 + 0.05
    for _ in range(300):
        few, all_positive = rng.integers(0, 3, shape), rng.integers(1, 4, shape)
        yield from (w / w.sum(1, keepdims=True) for w in (few, all_positive) if w.any(1).all())
        yield from (all_positive, -all_positive, all_positive + 0.9)
        yield np.outer(rng.choice(VALUES, rows), rng.choice(VALUES, columns))
        yield np.outer(rng.integers(1, 3, rows), rng.integers(1, 3, columns))
        for below, above in product((0, 1, rows), (0, 1, columns)):
            band = few * ((i - j <= below) & (j - i <= above))
            yield from (band / band.sum(1, keepdims=True) for _ in range(bool(band.any(1).all())))
        yield np.linalg.qr(rng.standard_normal((most, most)))[0][:rows, :columns]
        line = rng.choice(VALUES, rows + columns + 1)
        yield from (line[j - i + rows], abs(line)[j - i + rows])
    for order in permutations(range(most)):
        for signs in product((1, -1), repeat=most):
            yield (np.eye(most)[list(order)] * signs)[:rows, :columns]
    for v in map(np.array, product(range(-2, 3), repeat=most)):
        if v.any():
            mirror = np.eye(most) - 2 * np.outer(v, v) / (v @ v)
            yield from (mirror[:rows, :columns], -mirror[:rows, :columns])


def _square_kinds(rng: Any, n: int) -> Iterator[Any]:
    i, j = np.indices((n, n))
    eye = np.eye(n)
    for line in map(np.array, product(VALUES, repeat=n)):
        yield from (line[(j - i) % n], np.diag(line))
    for line in map(np.array, product(range(4), repeat=n)):
        if line.any():
            yield (line / line.sum())[(j - i) % n]
    for v in map(np.array, product(range(-2, 3), repeat=n)):
        if v.any():
            onto = np.outer(v, v) / (v @ v)
            yield from (onto, eye - onto, np.outer(v, v), -np.outer(v, v), np.outer(v, v) + eye)
    for upper in rng.choice(VALUES, (4000, n * (n + 1) // 2)):
        A = np.zeros((n, n))
        A[np.triu_indices(n)] = upper
        yield A + np.triu(A, 1).T
    for above in product(VALUES, repeat=n * (n - 1) // 2):
        A = np.zeros((n, n))
        A[np.triu_indices(n, 1)] = above
        yield from (A - A.T, np.linalg.solve(eye + A - A.T, eye - A + A.T))
    for share in np.linspace(0, 1, 21):
        yield from (share / n + (1 - share) * eye, eye * (1 - share) + share, eye * (1 + share) + 1)
    for pair in combinations(range(n), 2):
        mixed = eye.copy()
        mixed[np.ix_(pair, pair)] = 0.5
        yield mixed


@cache
def table(shape: tuple[int, int]) -> dict[Fact, Any]:
    """Which of the matrices have each fact."""
    A = matrices(shape)
    rows, columns = shape
    i, j = np.indices(shape)
    turned = A.swapaxes(1, 2)
    rank = (np.linalg.svd(A, compute_uv=False) > 1e-7).sum(1)

    def zero(X: Any) -> Any:
        return (abs(X) < NEAR).reshape(len(A), -1).all(1)

    orthonormal = zero(turned @ A - np.eye(columns)) if rows >= columns else np.zeros(len(A), bool)
    has: dict[str, Any] = {
        "lower": zero(A[:, j > i]),
        "upper": zero(A[:, j < i]),
        "diagonal": zero(A[:, j != i]),
        "unit_diagonal": zero(A[:, i == j] - 1),
        "banded": lambda below, above: zero(A[:, (i - j > below) | (j - i > above)]),
        "full_rank": rank == min(shape),
        "low_rank": lambda r: rank <= r,
        "toeplitz": zero(A[:, 1:, 1:] - A[:, :-1, :-1]),
        "nonnegative": (A > -NEAR).all((1, 2)),
        "positive": (A > NEAR).all((1, 2)),
        "negative": (A < -NEAR).all((1, 2)),
        "nonzero": (abs(A) > NEAR).all((1, 2)),
        "at_least": lambda bound: (bound - NEAR < A).all((1, 2)),
        "at_most": lambda bound: (bound + NEAR > A).all((1, 2)),
        "row_stochastic": (A > -NEAR).all((1, 2)) & zero(A.sum(2) - 1),
        "orthonormal": orthonormal,
    }
    if rows == columns:
        symmetric = zero(A - turned)
        least = np.linalg.eigvalsh((A + turned) / 2)[:, 0]
        idempotent = symmetric & zero(A @ A - A)
        has |= {
            "symmetric": symmetric,
            "spd": symmetric & (least > 1e-7),
            "psd": symmetric & (least > -1e-7),
            "skew": zero(A + turned),
            "projection": lambda r: idempotent & (rank == r),
            "orthogonal": orthonormal,
            "permutation": orthonormal & zero(A * (A - 1)),
            "nonsingular": rank == rows,
            "circulant": zero(A - np.roll(A, (1, 1), (1, 2))),
        }
    return {f: has[f.name](*f.arguments) if f.arguments else has[f.name] for f in named_facts(shape)}


def of(facts: tuple[Fact, ...], shape: tuple[int, int]) -> Any:
    """Which matrices have all of these facts."""
    return np.logical_and.reduce([table(shape)[f] for f in facts])


def holds(fact: Fact, shape: tuple[int, int], which: Any) -> bool:
    """Whether each of the matrices has the fact; facts with other numbers than those of the table are tried singly."""
    if fact in table(shape):
        return bool(table(shape)[fact][which].all())
    return all(satisfies(np, A, fact, NEAR) is None for A in matrices(shape)[which][:5])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_implementations_agree(shape: tuple[int, int]) -> None:
    for fact, has in table(shape).items():
        for n in np.linspace(0, len(has) - 1, 40).astype(int):
            assert (satisfies(np, matrices(shape)[n], fact, NEAR) is None) == has[n], (fact, matrices(shape)[n])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_two_facts_are_refused_just_where_nothing_has_them(shape: tuple[int, int]) -> None:
    type = TensorType(F64, shape)
    for count in (1, 2):
        for facts in combinations(table(shape), count):
            refused = bool(check_declared(type, facts))
            assert refused == (not of(facts, shape).any()), [str(f) for f in facts]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_follows_from_two_facts_holds(shape: tuple[int, int]) -> None:
    for facts in combinations(table(shape), 2):
        which = of(facts, shape)
        if which.any():
            for fact in closure(TensorType(F64, shape), facts):
                assert holds(fact, shape, which), ([str(f) for f in facts], str(fact))


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0)], ids=str)
def test_two_facts_of_no_entries(shape: tuple[int, int]) -> None:
    type, A = TensorType(F64, shape), np.zeros(shape)
    has = {fact: satisfies(np, A, fact) is None for fact in named_facts(shape)}
    for facts in combinations(has, 2):
        possible = all(has[f] for f in facts)
        assert not (possible and check_declared(type, facts)), [str(f) for f in facts]
        if possible:
            for fact in closure(type, facts):
                assert satisfies(np, A, fact) is None, ([str(f) for f in facts], str(fact))


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (3, 2), (2, 3), (1, 1)], ids=str)
def test_three_facts_are_refused_just_where_nothing_has_them(shape: tuple[int, int]) -> None:
    type = TensorType(F64, shape)
    pairs = {pair: of(pair, shape) for pair in combinations(table(shape), 2)}
    for pair, both in pairs.items():
        if not both.any():
            continue
        for fact in table(shape):
            if all((other, fact) in pairs and pairs[other, fact].any() for other in pair):
                refused = bool(check_declared(type, (*pair, fact)))
                assert refused == (not (both & table(shape)[fact]).any()), [str(f) for f in (*pair, fact)]


def test_what_holds_at_size_1_alone_is_refused_where_the_size_is_a_name() -> None:
    n, m = named("n"), named("m")
    square, vector = TensorType(F64, (n, n)), TensorType(F64, (n,))
    (problem,) = check_declared(square, [Fact("diagonal"), Fact("positive")])
    assert problem.title == "`diagonal` and `positive` cannot both hold"
    assert [text for _, text in problem.places] == ["so it is lower", "so it is nonzero"]
    assert check_declared(vector, [Fact("positive"), Fact("at_most", (-1.0,))])
    assert not check_declared(square, [Fact("skew"), Fact("nonsingular")])  # fine where n is even
    assert not check_declared(square, [Fact("low_rank", (1,)), Fact("projection", (m,))])  # m may be 1
    assert check_declared(square, [Fact("low_rank", (1,)), Fact("projection", (n,))])
    assert not check_declared(TensorType(F64, (1, 1)), [Fact("diagonal"), Fact("positive")])


def test_a_wrong_line_would_be_found() -> None:
    """The table has matrices against plausible lines that are wrong."""
    wrong = [
        (("symmetric", "nonsingular", "nonnegative"), "psd"),
        (("orthogonal", "symmetric"), "permutation"),
        (("toeplitz", "symmetric"), "circulant"),
        (("psd", "unit_diagonal"), "spd"),
    ]
    for premises, conclusion in wrong:
        which = of(tuple(map(Fact, premises)), (3, 3))
        assert not holds(Fact(conclusion), (3, 3), which), (premises, conclusion)
