"""Fast transforms: products of sparse factors, as of a Fourier or Hadamard matrix, by svds of rank one, level by level.

At each level rows are taken apart as (i j) and columns as (k l), or as (l k) as Fourier transforms need: then for each
j and k the slice over i and l has rank one, L[j, i, k] * R[k, j, l], and each R[k] is taken apart likewise (Q.-T. Le,
L. Zheng, E. Riccietti, R. Gribonval, Fast learning of fast transforms, 2022). With as many levels as the size has
prime factors p, it is n times their sum that is stored in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.monarch import slices
from tpc.passes.approximation.projections.trains import balanced
from tpc.passes.approximation.target import Target

SAVED = 0.7
LEVELS = (3, 4)  # with two of them it is a Monarch matrix
SAMPLED = 4  # slices that are looked at first


@dataclass(frozen=True)
class Transform:
    """Factors, of axes k1, .., kt, then the sizes of the rows that are left, r, and k of their own level.

    `columns` says of which levels the columns are, the slowest first.
    """

    factors: tuple[Array, ...]
    columns: tuple[int, ...]

    @property
    def stored(self) -> int:
        return sum(factor.size for factor in self.factors)

    @property
    def term(self) -> Term:
        rows, columns = ascii_lowercase[: len(self.factors)], ascii_uppercase[: len(self.factors)]
        inputs = [f"{columns[:t]}{rows[t + 1 :]}{rows[t]}{columns[t]}" for t in range(len(rows))]
        order = "".join(columns[t] for t in self.columns)
        return Term(f"{','.join(inputs)}->{rows},{order}", tuple(self.parts))

    @property
    def parts(self) -> dict[str, Array]:
        return {f"S{t}": factor for t, factor in enumerate(self.factors, 1)}


def taken_apart(A: Array, radices: Sequence[int], budget: float) -> Transform | None:
    """A square matrix as a fast transform with a level for each factor of its size; None where an error is larger."""
    rest, left = A[None], budget**2
    factors: list[Array] = []
    shuffles = []
    for t, radix in enumerate(radices[:-1]):
        size = rest.shape[1]
        found = None
        for shuffled in (False, True):
            shape = (radix, size // radix, radix, size // radix)
            cut = np.stack([slices(matrix, shape, shuffled) for matrix in rest])  # axes: prefix, j, k, i, l
            if _is_far(cut, left):
                continue
            u, values, v = np.linalg.svd(cut, full_matrices=False)
            error = float((values[..., 1:] ** 2).sum())
            if error <= left and (found is None or error < found[0]):
                # with the scale in what is taken apart further, its errors are those of the matrix
                found = error, shuffled, u[..., 0], values[..., :1] * v[..., 0, :]
        if found is None:
            return None
        error, shuffled, L, R = found
        left -= error
        shuffles.append(shuffled)
        factors.append(L.swapaxes(2, 3).reshape(*radices[:t], *radices[t + 1 :], radix, radix))
        rest = R.swapaxes(1, 2).reshape(-1, size // radix, size // radix)  # the prefix takes in k
    factors.append(rest.reshape(*radices[:-1], radices[-1], radices[-1]))
    columns: list[int] = [len(radices) - 1]
    for t in reversed(range(len(shuffles))):
        columns = [*columns, t] if shuffles[t] else [t, *columns]
    return Transform(tuple(factors), tuple(columns))


def _is_far(cut: Array, left: float) -> bool:
    """Whether some slices show that rank one leaves too much."""
    draw = np.random.default_rng(0)
    some = cut[tuple(draw.integers(size, size=SAMPLED) for size in cut.shape[:3])]
    return bool((np.linalg.svd(some, compute_uv=False)[:, 1:] ** 2).sum() > left * (1 + 1e-9))


def primes(n: int) -> list[int]:
    """The prime factors of a number, the smallest first."""
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p = p + 1 if p * p <= n else max(n, p + 1)
    return found


def fast_transform(target: Target) -> Iterator[Projected]:
    A = target.values
    if not target.is_matrix or A.shape[0] != A.shape[1]:
        return
    best = SAVED * 2 * A.size
    for count in LEVELS:
        radices = balanced(len(A), count)
        if radices is None or 2 * len(A) * sum(radices) >= best:
            continue
        found = taken_apart(A, radices, target.budget)
        if found is not None:
            best = 2 * found.stored
            about = f"{count} factors of {', '.join(map(str, radices))} entries in a row"
            yield Projected("fast transform", about, found.parts, (found.term,), best)
