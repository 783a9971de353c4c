"""Small matrices with facts, and op calls small enough to evaluate by hand."""

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

from tpc.ir.facts import satisfies
from tpc.ir.facts.lines import Statement
from tpc.ir.node import Fact

# Numbers to try for the names in premises such as `banded(A, a, b)`.
NUMBERS = {
    "banded": [(0, 1), (1, 0), (1, 1)],
    "low_rank": [(0,), (1,), (2,)],
    "projection": [(1,), (2,)],
    "sparse": [(0.25,), (0.5,)],
    "at_least": [(-1,), (0,), (0.1,), (0.5,), (2,)],
    "at_most": [(-2,), (-0.5,), (0,), (0.5,), (0.6,), (1,), (2,)],
}


def candidates(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Arrays of a shape, between them with every fact that the shape allows."""
    yield rng.standard_normal(shape)
    yield rng.random(shape) + 0.1
    yield rng.random(shape) * (rng.random(shape) < 0.5)
    yield -rng.random(shape) - 0.6
    yield rng.random(shape) - 0.5
    yield rng.random(shape) + 2
    yield -rng.random(shape) - 2
    yield rng.random(shape) / 2 + 0.05
    yield np.full(shape, 2.0)
    if len(shape) < 2:
        return
    m, n = shape[-2:]
    eye = np.broadcast_to(np.eye(m, n), shape)
    yield eye.copy()
    yield np.zeros(shape)
    yield np.ones(shape)
    yield np.ones(shape) / max(n, 1)
    noise = rng.standard_normal(shape)
    yield np.tril(noise) + 3 * eye
    yield np.triu(noise) + 3 * eye
    yield np.tril(noise, -1) + eye
    yield np.triu(noise, 1) + eye
    yield eye * rng.standard_normal(shape)
    yield eye * (rng.random(shape) + 0.5)
    for below, above in ((0, 1), (1, 0), (1, 1)):
        yield np.triu(np.tril(noise, above), -below)
    for rank in (1, 2):
        yield rng.standard_normal((*shape[:-1], rank)) @ rng.standard_normal((*shape[:-2], rank, n))
    column, row = rng.standard_normal(m), rng.standard_normal(n)
    places = np.subtract.outer(np.arange(m), np.arange(n))
    if m and n:
        yield np.broadcast_to(np.where(places >= 0, column[places % m], row[-places % n]), shape).copy()
    positive = rng.random(shape) + 0.1
    yield positive / positive.sum(-1, keepdims=True)
    if m >= n:
        yield np.linalg.qr(noise)[0]
    if m != n:
        return
    yield noise + noise.swapaxes(-1, -2)
    yield noise - noise.swapaxes(-1, -2)
    for rank in range(1, n):
        basis = np.linalg.qr(noise)[0][..., :rank]
        yield basis @ basis.swapaxes(-1, -2)
    yield noise @ noise.swapaxes(-1, -2) + np.eye(n)
    yield positive @ positive.swapaxes(-1, -2) + np.eye(n)
    thin = rng.standard_normal((*shape[:-1], 1))
    yield thin @ thin.swapaxes(-1, -2)
    yield -eye
    yield (positive + positive.swapaxes(-1, -2)) / 3
    yield positive + positive.swapaxes(-1, -2) + 2
    yield np.broadcast_to(np.eye(n)[rng.permutation(n)], shape).copy()
    if n:
        yield np.broadcast_to(column[places % n] + 5 * np.eye(n), shape).copy()
        yield np.broadcast_to(np.abs(column)[places % n], shape).copy()


@cache
def pool(shape: tuple[int, ...], facts: tuple[Fact, ...], seed: int = 0) -> list[np.ndarray]:
    """Arrays that have all of the facts; the same ones at each call, so that many lines can be tried on them."""
    return with_facts(np.random.default_rng(seed), shape, list(facts))


def with_facts(rng: np.random.Generator, shape: tuple[int, ...], facts: list[Fact]) -> list[np.ndarray]:
    """The candidates that have all of the facts."""
    return [a for a in candidates(rng, shape) if all(satisfies(np, a, f, 1e-9) is None for f in facts)]


def premises_of(statement: Statement, about: str) -> list[list[Fact]]:
    """The premises about one operand, for every choice of numbers."""
    names = [premise.fact for premise in statement.premises if premise.about == about]
    choices = [[Fact(name, a) for a in NUMBERS[name]] if name in NUMBERS else [Fact(name)] for name in names]
    return [list(choice) for choice in product(*choices)]
