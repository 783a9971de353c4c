"""Tables of 16 entries, one for each row of a matrix, and codes that name them: k-means of one dimension.

Lloyd's method (1957, 1982) on sorted entries: sums over the entries that are nearest to a place are differences of
running sums, so that a step costs a search for 15 borders in each row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.ir.types import DType
from tpc.passes.approximation.projected import Array

ENTRIES = 16
STEPS = 40
BLOCK = 1 << 20  # entries that are worked on at one time


def tabled(A: Array, sizes: Array | None, dtype: DType) -> dict[str, Array] | None:
    """Packed codes and tables; None where an entry is out of range. `sizes` tell how much columns count."""
    from tpc.passes.approximation.projections.quantized import packed

    rows, columns = A.shape
    weights = np.ones(columns) if sizes is None or not sizes.any() else sizes**2
    single = np.float32 if dtype.size == 4 else np.float64
    tables, codes = [], []
    for part in _blocks(A):
        with np.errstate(over="ignore", under="ignore"):
            table: Array = fitted(part, weights).astype(single)
        if not np.isfinite(table).all():
            return None
        borders = 0.5 * table[:, 1:].astype(np.float64) + 0.5 * table[:, :-1]
        code = np.full(part.shape, -8, np.int8)
        for border in borders.T:
            code += part > border[:, None]
        tables.append(table)
        codes.append(packed(code[:, None]))
    return {"codes": np.concatenate(codes), "scales": np.concatenate(tables)[:, None]}


def _blocks(A: Array) -> Iterator[Array]:
    step = max(1, BLOCK // max(A.shape[1], 1))
    for start in range(0, len(A), step):
        yield A[start : start + step]


def fitted(A: Array, weights: Array) -> Array:
    """The table of each row, in order."""
    rows, n = A.shape
    order = np.argsort(A, axis=1)
    ordered, weight = np.take_along_axis(A, order, 1), weights[order]
    low = ordered[:, :1]
    width = np.where(ordered[:, -1:] > low, ordered[:, -1:] - low, 1.0)
    counts, sums = (np.pad(np.cumsum(w, axis=1), ((0, 0), (1, 0))) for w in (weight, weight * ordered))
    at = np.arange(rows)[:, None]
    # all rows as one that is in order, to look for borders in all of them at once
    line = (at + 0.5 * (ordered - low) / width).ravel()

    share = (np.arange(ENTRIES) + 0.5) / ENTRIES  # between equal shares of entries and equal steps
    table = 0.5 * (ordered[:, (share * n).astype(int)] + low + width * share)
    for _ in range(STEPS):
        borders = (table[:, 1:] + table[:, :-1]) / 2
        places = np.searchsorted(line, (at + 0.5 * (borders - low) / width).ravel()).reshape(rows, -1) - n * at
        ends = np.concatenate([np.zeros_like(at), places, np.full_like(at, n)], axis=1)
        count, total = (np.diff(np.take_along_axis(c, ends, 1), axis=1) for c in (counts, sums))
        table = np.sort(np.where(count > 0, total / np.where(count > 0, count, 1.0), table), axis=1)
    few = _few(ordered)
    return np.where(np.isnan(few), table, few)


def _few(ordered: Array) -> Array:
    """The entries of rows that have no more different ones than a table; NaN for all others."""
    is_first = np.diff(ordered, axis=1, prepend=np.nan) != 0
    place = np.cumsum(is_first, axis=1) - 1
    few = np.full((len(ordered), ENTRIES), np.nan)
    rows = np.flatnonzero(place[:, -1] < ENTRIES)
    few[rows] = ordered[rows, -1:]
    few[rows[:, None], place[rows]] = ordered[rows]
    return few
