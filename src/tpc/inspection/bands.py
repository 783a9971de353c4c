"""Where the zeros stand: diagonal, triangular, banded, banded after a permutation, sparse, n of m, blocks of zeros."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.ir.node import Fact

NARROW = 0.5  # share of the entries that a band may hold to be worth telling
SPARSE = 0.5
GROUPS = ((1, 4), (2, 4), (1, 8), (2, 8), (4, 8), (1, 2))
BLOCKS = (64, 32, 16, 8, 4, 2)
FULL = 0.9  # share of a group or a block that is not zero where it is the group that is meant


def reach(subject: Subject) -> tuple[int, int]:
    """How far entries stand below and above the diagonal."""
    if subject.nonzeros == subject.values.size:
        return subject.rows - 1, subject.columns - 1
    pattern = subject.pattern
    rows = np.flatnonzero(pattern.any(1))
    first, last = pattern.argmax(1)[rows], subject.columns - 1 - pattern[:, ::-1].argmax(1)[rows]
    return max(int((rows - first).max()), 0), max(int((last - rows).max()), 0)


def triangles(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Diagonal, lower and upper triangular, banded."""
    A, n = subject.values, min(subject.values.shape)
    if n < 2 or not subject.nonzeros or subject.dropped > subject.tolerance:
        return
    below, above = reach(subject)
    error = subject.dropped
    unit = bool((np.abs(np.diagonal(A) - 1) <= subject.tolerance).all())
    ones = (Fact("unit_diagonal"),) if unit else ()
    about = ", with ones on the diagonal" if unit else ""
    if below == above == 0:
        shape = A.shape
        yield Finding(
            "diagonal", "zero off the diagonal" + about, error, (Fact("diagonal"), *ones), "diag(d)",
            {"d": np.diagonal(A).copy()}, n, n if subject.square else None, lambda parts: _diagonal(parts["d"], shape),
        )  # fmt: skip
        return
    for name, none, cut in (("lower triangular", above, np.tril), ("upper triangular", below, np.triu)):
        if not none:
            half = n**2 if subject.square else None
            side = "above" if cut is np.tril else "below"
            facts = (Fact(name.split()[0]), *ones)
            unit_name = f"unit {name}" if unit else name
            yield Finding(
                unit_name, f"zero {side} the diagonal{about}", error, facts, "", {"T": cut(A)}, 2 * subject.nonzeros,
                half, lambda parts: parts["T"],
            )  # fmt: skip
    held = (below + above + 1) * n
    if held <= NARROW * A.size:
        yield Finding(
            "banded", f"{below} diagonals below and {above} above the main one", error,
            (Fact("banded", (below, above)),), "", _stored(A, below, above), 2 * held,
            2 * n * (below + 1) * (below + 2 * above + 2) if subject.square else None,
            lambda parts: _unstored(parts, A.shape),
        )  # fmt: skip


def _diagonal(d: Array, shape: tuple[int, ...]) -> Array:
    whole = np.zeros(shape, d.dtype)
    np.fill_diagonal(whole, d)
    return whole


def _stored(A: Array, below: int, above: int) -> Mapping[str, Array]:
    """The diagonals as rows, the highest first, as LAPACK has them."""
    bands = np.zeros((below + above + 1, A.shape[1]), A.dtype)
    for number, k in enumerate(range(above, -below - 1, -1)):
        d = np.diagonal(A, k)
        start = max(k, 0)
        bands[number, start : start + len(d)] = d
    return {"bands": bands, "above": np.asarray(above)}


def _unstored(parts: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    bands, above = parts["bands"], int(parts["above"])
    whole = np.zeros(shape, bands.dtype)
    for number, row in enumerate(bands):
        k = above - number
        length = len(np.diagonal(whole, k))
        j = np.arange(max(k, 0), max(k, 0) + length)
        whole[j - k, j] = row[j]
    return whole


def reordered_band(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """A narrow band once rows and columns are put in another order (reverse Cuthill-McKee)."""
    if not subject.square or subject.rows < 6 or not subject.nonzeros or subject.density > 0.2:
        return
    if subject.dropped > subject.tolerance or any("permutation" in f.name for f in found):
        return
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    A, n = subject.values, subject.rows
    i, j = subject.places
    before = int(np.abs(i - j).max())
    graph = csr_array(coo_array((np.ones(2 * len(i)), (np.concatenate([i, j]), np.concatenate([j, i]))), (n, n)))
    order = reverse_cuthill_mckee(graph, symmetric_mode=True)
    place = np.empty(n, np.intp)
    place[order] = np.arange(n)
    apart = place[i] - place[j]
    below, above = max(int(apart.max()), 0), max(int(-apart.min()), 0)
    held = (below + above + 1) * n
    if 2 * max(below, above) > before or held > NARROW / 2 * A.size or below == above == 0:
        return
    inner = A[np.ix_(order, order)]
    parts = {**_stored(inner, below, above), "order": np.asarray(order)}
    yield Finding(
        "banded after a permutation", f"bandwidth {max(below, above)} in another order, {before} as it stands",
        subject.dropped, (), "", parts, 2 * held + 2 * n, 2 * n * (below + 1) * (below + 2 * above + 2),
        _reordered,
    )  # fmt: skip


def _reordered(parts: Mapping[str, Array]) -> Array:
    order = parts["order"]
    place = np.argsort(order)
    return _unstored(parts, (len(order), len(order)))[np.ix_(place, place)]


def sparse(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Few entries that are not zero, n of every m, or whole blocks of zeros."""
    A = subject.values
    if not subject.nonzeros or subject.density > SPARSE or min(A.shape) < 2 or subject.dropped > subject.tolerance:
        return
    i, j = subject.places
    in_row, in_column = np.bincount(i, minlength=subject.rows), np.bincount(j, minlength=subject.columns)
    about = f"{subject.nonzeros} entries are not zero, {subject.density:.3g} of all"
    for what, counts in (("row", in_row), ("column", in_column)):
        usual = max(float(np.median(counts)), 1)
        many = int((counts > 10 * usual).sum())
        empty = int((counts == 0).sum())
        about += f"; {many} {what}s with many" if many else ""
        about += f"; {empty} empty {what}s" if empty else ""
    parts = {"data": A[i, j], "row": i, "column": j}
    shape = A.shape
    density = _up(subject.density)
    facts = (Fact("sparse", (density,)),) if subject.nonzeros == np.count_nonzero(A) else ()
    yield Finding(
        "sparse", about, subject.dropped, facts, "", parts, 2 * subject.nonzeros, None,
        lambda parts: _scattered(parts, shape),
    )  # fmt: skip
    yield from _groups(subject)
    yield from _blocks(subject)


def _up(density: float) -> float:
    """The density with three digits, and not below it."""
    digits = 2 - int(np.floor(np.log10(density)))
    return float(round(np.ceil(density * 10**digits - 1e-9) / 10**digits, digits))


def _scattered(parts: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    whole = np.zeros(shape, parts["data"].dtype)
    whole[parts["row"], parts["column"]] = parts["data"]
    return whole


def _groups(subject: Subject) -> Iterator[Finding]:
    """At most n of every m neighbours in a row."""
    for n, m in GROUPS:
        if subject.columns % m or subject.values.size < 8 * m or not FULL * n / m <= subject.density <= n / m:
            continue
        groups = subject.pattern.reshape(subject.rows, -1, m)
        if int(groups.sum(-1).max()) > n:
            continue
        # the n largest of each group, in their order
        chosen = np.sort(np.argsort(~groups, axis=-1, kind="stable")[..., :n], axis=-1)
        values = np.take_along_axis(np.where(groups, subject.values.reshape(groups.shape), 0), chosen, -1)
        yield Finding(
            f"{n}:{m} sparse", f"at most {n} of every {m} neighbours in a row are not zero", subject.dropped, (), "",
            {"values": values, "index": chosen}, 2 * values.size, None, partial(_spread, size=m),
        )  # fmt: skip
        return


def _spread(parts: Mapping[str, Array], size: int) -> Array:
    values = parts["values"]
    groups = np.zeros((*values.shape[:2], size), values.dtype)
    np.put_along_axis(groups, parts["index"], values, -1)
    return groups.reshape(len(values), -1)


def _blocks(subject: Subject) -> Iterator[Finding]:
    """Blocks of one size that are full or empty."""
    for b in BLOCKS:
        if subject.rows % b or subject.columns % b or min(subject.values.shape) < 4 * b:
            continue
        tiled = subject.pattern.reshape(subject.rows // b, b, subject.columns // b, b)
        used = tiled.any((1, 3))
        kept = int(used.sum())
        if kept * b * b * FULL > subject.nonzeros or kept == used.size:
            continue
        values = subject.values.reshape(tiled.shape).swapaxes(1, 2)[used]
        yield Finding(
            "block sparse", f"{kept} of {used.size} blocks of {b} by {b} are not zero", subject.dropped, (), "",
            {"blocks": values, "used": np.asarray(used)}, 2 * values.size, None, _tiled,
        )  # fmt: skip
        return


def _tiled(parts: Mapping[str, Array]) -> Array:
    blocks, used = parts["blocks"], parts["used"]
    whole = np.zeros((*used.shape, *blocks.shape[1:]), blocks.dtype)
    whole[used] = blocks
    (high, wide), (height, width) = used.shape, blocks.shape[1:]
    return whole.swapaxes(1, 2).reshape(high * height, wide * width)
