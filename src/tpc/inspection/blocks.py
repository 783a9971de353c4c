"""Parts that do not touch: block diagonal, also in another order, and permutations with and without scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.ir.node import Fact


def permutation(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """One entry in every row and column."""
    A, n = subject.values, subject.rows
    if not subject.square or n < 2 or subject.nonzeros != n or subject.dropped > subject.tolerance:
        return
    i, j = subject.places
    if len(np.unique(i)) < n or len(np.unique(j)) < n or any(f.name == "diagonal" for f in found):
        return
    scales = A[i, j]
    parts: dict[str, Array] = {"order": j, "scales": scales}
    ones, signs = np.ones(n), np.sign(scales.real)
    for name, about, values in (
        ("permutation", "a single 1 in every row and column", ones),
        ("signed permutation", "a single 1 or -1 in every row and column", signs),
        ("scaled permutation", "a single entry in every row and column", scales),
    ):
        parts = {"order": j, "scales": values}
        error = subject.error(_moved(parts))
        if error <= subject.tolerance:
            exact = name == "permutation" and error == 0
            formula = "eye(n)[order]" if values is ones else "diag(scales) @ eye(n)[order]"
            work = n if name == "scaled permutation" else 0
            yield Finding(
                name, about, error, (Fact("permutation"),) if exact else (), formula, parts, work, work, _moved
            )
            return


def _moved(parts: Mapping[str, Array]) -> Array:
    order, scales = parts["order"], parts["scales"]
    whole = np.zeros((len(order), len(order)), scales.dtype)
    whole[np.arange(len(order)), order] = scales
    return whole


def block_diagonal(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Blocks that share neither rows nor columns, by the components of the graph of entries."""
    A = subject.values
    if min(A.shape) < 2 or not subject.nonzeros or subject.density > 0.9 or subject.dropped > subject.tolerance:
        return
    if any(f.name == "diagonal" or f.name.endswith("permutation") for f in found):
        return
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    i, j = subject.places
    total = subject.rows + subject.columns
    graph = coo_array((np.ones(len(i), np.int8), (i, j + subject.rows)), (total, total))
    number, label = connected_components(graph, directed=False)
    in_row, in_column = label[: subject.rows], label[subject.rows :]
    heights, widths = np.bincount(in_row, minlength=number), np.bincount(in_column, minlength=number)
    real = (heights > 0) & (widths > 0)
    if real.sum() < 2:
        return
    rows, columns = _placed(in_row, in_column, heights, widths)
    corners = np.cumsum(np.concatenate([[[0, 0]], np.stack([heights, widths], 1)[_ranked(in_row, in_column)]]), 0)
    blocks = [
        A[np.ix_(rows[top:bottom], columns[left:right])]
        for (top, left), (bottom, right) in zip(corners[:-1], corners[1:])
    ]
    ordered = bool((rows == np.arange(len(rows))).all() and (columns == np.arange(len(columns))).all())
    parts = {f"B{n}": block for n, block in enumerate(blocks)} | {"rows": rows, "columns": columns}
    inside = int((heights * widths)[real].sum())
    if inside > 0.9 * A.size:
        return
    whole = subject.square and bool((heights[real] == widths[real]).all()) and int(heights[real].sum()) == subject.rows
    solve = int(sum(2 * int(h) ** 3 // 3 + 2 * int(h) ** 2 for h in heights[real])) if whole else None
    name = "block diagonal" if ordered else "block diagonal after a permutation"
    about = f"{int(real.sum())} blocks, of {_sizes(heights[real], widths[real])}"
    yield Finding(name, about, subject.dropped, (), "", parts, 2 * inside, solve, _assembled)


def _ranked(in_row: Array, in_column: Array) -> Array:
    """The components in the order of their first row, those without rows by their first column."""
    first = np.full(int(max(in_row.max(), in_column.max())) + 1, np.inf)
    np.minimum.at(first, in_column, np.arange(len(in_column)) + len(in_row) + 0.0)
    at = np.full(len(first), np.inf)
    np.minimum.at(at, in_row, np.arange(len(in_row)) + 0.0)
    first = np.where(np.isfinite(at), at, first)
    return np.argsort(first, kind="stable")


def _placed(in_row: Array, in_column: Array, heights: Array, widths: Array) -> tuple[Array, Array]:
    """Rows and columns, block after block."""
    rank = np.argsort(_ranked(in_row, in_column))
    return np.argsort(rank[in_row], kind="stable"), np.argsort(rank[in_column], kind="stable")


def _sizes(heights: Array, widths: Array) -> str:
    pairs = sorted({(int(h), int(w)) for h, w in zip(heights, widths)}, reverse=True)
    shown = ", ".join(f"{h} by {w}" for h, w in pairs[:3])
    return shown + (f" and {len(pairs) - 3} other sizes" if len(pairs) > 3 else "")


def _assembled(parts: Mapping[str, Array]) -> Array:
    rows, columns = parts["rows"], parts["columns"]
    blocks = [parts[f"B{n}"] for n in range(len(parts) - 2)]
    whole = np.zeros((len(rows), len(columns)), np.result_type(*blocks))
    top = left = 0
    for block in blocks:
        whole[top : top + block.shape[0], left : left + block.shape[1]] = block
        top, left = top + block.shape[0], left + block.shape[1]
    return whole[np.ix_(np.argsort(rows), np.argsort(columns))]
