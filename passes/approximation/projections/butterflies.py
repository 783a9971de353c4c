"""Flat butterflies: the blocks h, h xor m of a row h of blocks, m = 0, 1, 2, 4 .., and a low rank beside them (T. Dao
et al., Pixelated Butterfly, 2022). Both are fitted by turns.

Blocks are stored as in the structure `flat_butterfly` of the language, with what says where they are. Where there are
kernels for sparse constants, they are offered by rows, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.low_rank import PRODUCT, SPARE
from tpc.passes.approximation.projections.sparse import BLOCKS, stored, term_of_rows
from tpc.passes.approximation.target import Target, kept, measured

RANKS, TURNS = (4, 16), 12
ENOUGH = 0.3  # of the budget, below which ranks are cut
TURNED = 0.8  # share of the error that a turn may leave, so that there is another
IN_BLOCKS = Term("htk,hitj->hi,kj", ("E", "B"))  # E[h, t, k]: whether block t of row h stands in column k


def flat_butterfly(target: Target) -> Iterator[Projected]:
    """With as small a rank beside it as the budget allows."""
    A = target.values
    if not target.is_matrix or A.shape[0] != A.shape[1] or len(A) < 256:
        return
    for block in BLOCKS:
        count = len(A) // block
        if len(A) % block or count & (count - 1) or count < 8:
            continue
        mask = butterfly(count).repeat(block, 0).repeat(block, 1)
        found = next((f for rank in RANKS if (f := _fitted(A, mask, target.budget, rank)) is not None), None)
        if found is None:
            continue
        S, U, V = found
        E = places(count)
        B = np.einsum("htk,hikj->hitj", E, S.reshape(count, block, count, block), optimize=True)
        about = f"{E.shape[1]} of {count} blocks in a row"
        work = 2 * B.size + 2 * E.size * block
        plain = Projected("flat butterfly", about, {"E": E, "B": B}, (IN_BLOCKS,), work)
        if not U.shape[1]:
            yield replace(plain, optimal=True)
            return
        about += f", beside rank {U.shape[1]}"
        work += 2 * U.shape[1] * sum(A.shape)
        yield replace(plain, about=about, parts={**plain.parts, "U": U, "V": V}, terms=(IN_BLOCKS, *PRODUCT), work=work)
        return


def by_rows(found: Projected) -> Projected:
    """The same with its blocks as a sparse matrix."""
    E, B = found.parts["E"], found.parts["B"]
    S = IN_BLOCKS.dense(found.parts)
    mask = butterfly(len(E)).repeat(B.shape[1], 0).repeat(B.shape[3], 1)
    rest = {name: part for name, part in found.parts.items() if name not in IN_BLOCKS.parts}
    terms = (term_of_rows(S), *found.terms[1:])
    return replace(found, parts={**stored(S, mask), **rest}, terms=terms, work=found.work - 2 * E.size * B.shape[1])


def places(count: int) -> Array:
    """Which columns of blocks the blocks of each row stand in, the diagonal first."""
    row, step = np.arange(count)[:, None], np.append(0, 1 << np.arange(count.bit_length() - 1))
    found: Array = np.eye(count)[row ^ step]
    return found


def butterfly(count: int) -> Array:
    """Which blocks there are, of a power of two of them."""
    index = np.arange(count)
    apart = index[:, None] ^ index
    found: Array = (apart & (apart - 1)) == 0
    return found


def _fitted(A: Array, mask: Array, budget: float, most: int) -> tuple[Array, Array, Array] | None:
    """Blocks for what the low rank leaves, and a low rank for what blocks leave, by turns; None where it is too far."""
    S = np.where(mask, A, 0)
    last = measured(A - S)
    if last <= budget:
        return S, A[:, :0], A[:0]
    basis = np.random.default_rng(0).standard_normal((len(A), most + SPARE))
    for _ in range(TURNS):
        rest = A - S
        basis = rest.conj().T @ np.linalg.qr(rest @ basis)[0]  # the last basis is a good start for the next
        range_ = np.linalg.qr(rest @ np.linalg.qr(basis)[0])[0]
        u, values, v = np.linalg.svd(range_.conj().T @ rest, full_matrices=False)
        U, V = range_ @ (u[:, :most] * values[:most]), v[:most]
        error = measured((A - U @ V)[~mask])
        is_last = error > TURNED * last
        if error <= budget and (is_last or error <= ENOUGH * budget):
            rank = max(1, kept(values[:most] ** 2, 0.9 * (budget**2 - error**2) ** 0.5))
            U, V = U[:, :rank], V[:rank]
            return np.where(mask, A - U @ V, 0), U, V
        if is_last:
            return None
        last, S = error, np.where(mask, A - U @ V, 0)
    return None
