"""Tensor trains, of matrices whose sizes have factors and of arrays with more axes, by svds one after the other.

W[(i1 i2 ..), (j1 j2 ..)] is a chain of cores G_k[a, i_k, j_k, b]. What each truncation drops is orthogonal to what the
others drop, so that squares of errors add (Oseledets, Tensor-train decomposition, 2011).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.kronecker import fewest
from tpc.passes.approximation.projections.monarch import divisors
from tpc.passes.approximation.target import Target, measured, split

SAVED = 0.7
ROWS, COLUMNS, BONDS = "ijklmnop", "uvwxyzqr", "abcdefgh"
LONGEST = 4  # cores of a matrix


def tensor_trains(target: Target) -> Iterator[Projected]:
    A = target.values
    if A.ndim < 2 or A.ndim > len(ROWS) or not A.size:
        return
    if A.ndim > 2:
        found = train(A, target.budget, SAVED * A.size)
        if found is not None:
            yield _of_array(A, found)
        return
    best = SAVED * 2 * A.size
    for rows, columns in factorizations(*A.shape):
        first, second = (rows[k] * columns[k] for k in (0, 1))
        if fewest(target, rows[0], columns[0]) > best / 2 / (first + second):
            continue
        found_ = matrix_train(A, rows, columns, target.budget, best)
        if found_ is not None:
            best = found_.work
            yield found_


def factorizations(m: int, n: int) -> Iterator[tuple[list[int], list[int]]]:
    """Sizes of cores: factors of about the same size, in both orders."""
    for length in range(3, LONGEST + 1):
        rows, columns = balanced(m, length), balanced(n, length)
        if rows is None or columns is None:
            return
        yield rows, columns
        if rows[::-1] != rows or columns[::-1] != columns:
            yield rows[::-1], columns[::-1]


def balanced(n: int, count: int) -> list[int] | None:
    """Factors of n, none of them 1 and of about the same size; None where it has too few."""
    found = []
    for left in range(count, 1, -1):
        wanted = n ** (1 / left)
        choices = [d for d in divisors(n) if 1 < d < n]
        if not choices:
            return None
        found.append(min(choices, key=lambda d: abs(np.log(d / wanted))))
        n //= found[-1]
    return [*found, n] if n > 1 else None


def train(T: Array, budget: float, most: float) -> list[Array] | None:
    """The cores of an array, of axes a, i, b, within a budget; None where they have more than `most` numbers."""
    cores: list[Array] = []
    left, stored = budget**2, 0
    rest = T.reshape(1, -1)
    for k, size in enumerate(T.shape[:-1]):
        flat = rest.reshape(rest.shape[0] * size, -1)
        u, inner = split(flat, (left / (T.ndim - 1 - k)) ** 0.5)
        rank = len(inner)
        stored += rest.shape[0] * size * rank
        if stored > most or rank == len(flat) > 8:  # a core that only renames its axis has found nothing
            return None
        left = max(0.0, left - max(0.0, measured(rest) ** 2 - measured(inner) ** 2))
        cores.append(u.reshape(rest.shape[0], size, rank))
        rest = inner
    cores.append(rest.reshape(rest.shape[0], T.shape[-1], 1))
    return cores if stored + rest.size <= most else None


def matrix_train(A: Array, rows: Sequence[int], columns: Sequence[int], budget: float, best: float) -> Projected | None:
    d = len(rows)
    order = [axis for k in range(d) for axis in (k, d + k)]
    T = A.reshape(*rows, *columns).transpose(order).reshape([m * n for m, n in zip(rows, columns)])
    cores = train(T, budget, best / 2)
    if cores is None:
        return None
    parts: dict[str, Array] = {}
    letters = []
    ranks = [len(core) for core in cores]
    for k, core in enumerate(cores):
        whole = core.reshape(core.shape[0], rows[k], columns[k], core.shape[2])
        inner = ROWS[k] + COLUMNS[k]
        if k == 0:
            parts[f"G{k + 1}"], inner = whole[0], f"{inner}{BONDS[k]}"
        elif k == d - 1:
            parts[f"G{k + 1}"], inner = whole[..., 0], f"{BONDS[k - 1]}{inner}"
        else:
            parts[f"G{k + 1}"], inner = whole, f"{BONDS[k - 1]}{inner}{BONDS[k]}"
        letters.append(inner)
    meaning = f"{','.join(letters)}->{ROWS[:d]},{COLUMNS[:d]}"
    after = [*ranks[1:], 1]
    work = sum(
        2 * prod(rows[:k]) * ranks[k] * rows[k] * columns[k] * after[k] * prod(columns[k + 1 :]) for k in range(d)
    )
    if work >= best:
        return None
    sizes = " x ".join(f"{m} by {n}" for m, n in zip(rows, columns))
    about = f"cores of {sizes}, ranks {', '.join(map(str, ranks[1:]))}"
    return Projected("tensor train", about, parts, (Term(meaning, tuple(parts)),), work)


def _of_array(T: Array, cores: Sequence[Array]) -> Projected:
    d = T.ndim
    parts = {"G1": cores[0][0], **{f"G{k + 1}": cores[k] for k in range(1, d - 1)}, f"G{d}": cores[-1][..., 0]}
    letters = [f"{ROWS[0]}{BONDS[0]}", *(f"{BONDS[k - 1]}{ROWS[k]}{BONDS[k]}" for k in range(1, d - 1))]
    letters.append(f"{BONDS[d - 2]}{ROWS[d - 1]}")
    meaning = f"{','.join(letters)}->{','.join(ROWS[:d])}"
    ranks = ", ".join(str(core.shape[2]) for core in cores[:-1])
    work = 2 * sum(core.size for core in cores)
    return Projected("tensor train", f"ranks {ranks}", parts, (Term(meaning, tuple(parts)),), work)
