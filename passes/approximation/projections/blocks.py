"""Block diagonal: what is outside of the blocks is dropped, which is the closest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Projected, Term
from tpc.passes.approximation.projections.monarch import divisors
from tpc.passes.approximation.target import Target


def block_diagonal(target: Target) -> Iterator[Projected]:
    """As many blocks of one size as the budget allows; one entry each, and it is diagonal."""
    A = target.values
    if not target.is_matrix or not A.size:
        return
    rows, columns = A.shape
    squares = np.abs(A) ** 2
    total = float(squares.sum())
    for number in sorted(set(divisors(rows)) & set(divisors(columns)), reverse=True):
        if number == 1:
            return
        a, b = rows // number, columns // number
        at = np.arange(number)
        inside = float(squares.reshape(number, a, number, b)[at, :, at].sum())
        # to all digits: of large numbers that nearly cancel, the difference is too small or too large
        if total - inside > 2 * target.budget**2 + 1e-12 * total:
            continue
        blocks = A.reshape(number, a, number, b)[at, :, at]
        if rows == columns == number:
            diagonal = blocks.reshape(number)
            yield Projected("diagonal", f"of {rows}", {"d": diagonal}, (Term("diagonal", ("d",)),), rows, True)
        else:
            terms = (Term("block diagonal", ("B",)),)
            about = f"{number} blocks of {a} by {b}"
            yield Projected("block diagonal", about, {"B": blocks}, terms, 2 * number * a * b, True)
        return
