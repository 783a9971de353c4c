"""Tucker forms of arrays with more than two axes: a small core and a factor for each axis that gets shorter.

Factors are singular vectors of the unfoldings, each taken of what the ones before have left (N. Vannieuwenhoven,
R. Vandebril, K. Meerbergen, 2012). Squares of what they drop add: error^2 = norm(T)^2 - norm(core)^2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.trains import BONDS, ROWS
from tpc.passes.approximation.target import Target, kept

SAVED = 0.7


def tucker(target: Target) -> Iterator[Projected]:
    T = target.values
    if not 3 <= T.ndim <= len(ROWS) or not T.size:
        return
    core, factors = hosvd(T, target.budget)
    parts: dict[str, Array] = {"G": core}
    letters = ["".join(BONDS[k] if k in factors else ROWS[k] for k in range(T.ndim))]
    for k, factor in factors.items():
        parts[f"A{k + 1}"] = factor
        letters.append(f"{ROWS[k]}{BONDS[k]}")
    stored = sum(part.size for part in parts.values())
    if not factors or stored > SAVED * T.size:
        return
    meaning = f"{','.join(letters)}->{','.join(ROWS[: T.ndim])}"
    about = f"a core of {' by '.join(map(str, core.shape))}"
    yield Projected("tucker", about, parts, (Term(meaning, tuple(parts)),), 2 * stored)


def hosvd(T: Array, budget: float) -> tuple[Array, dict[int, Array]]:
    """The core, and a factor for each axis that becomes shorter."""
    left, core = budget**2, T
    factors: dict[int, Array] = {}
    # long axes first: what is cut there need not be looked at again
    for number, k in enumerate(sorted(range(T.ndim), key=lambda axis: -T.shape[axis])):
        flat = np.moveaxis(core, k, 0).reshape(core.shape[k], -1)
        u, values, _ = np.linalg.svd(flat, full_matrices=False)
        rank = max(1, kept(values**2, (left / (T.ndim - number)) ** 0.5))
        if rank < core.shape[k]:
            left = max(0.0, left - float((values[rank:] ** 2).sum()))
            factors[k] = u[:, :rank]
            core = np.moveaxis(np.tensordot(u[:, :rank].conj().T, core, (1, k)), 0, k)
    return core, dict(sorted(factors.items()))
