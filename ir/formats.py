"""Formats for sparse matrices that do not change, each one record; others may be registered.

The pattern of a constant is known when a program is compiled. If it is used in products alone, it is stored in the
format that is the fastest for these, once, when the program is loaded: `store` in a plan, and `spmm` says with which
kernel. A record holds NumPy functions as text, since a compiled program needs nothing of tpc.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

# Seconds of a byte of what is stored, and of a number of the other matrix that each entry meets, in f64, by measurement
# of native code (one thread).
CALL, BYTE, LINE = 1e-6, 0.034e-9, 0.08e-9
IN_BLOCKS = {4: (0.3e-9, 0.042e-9), 16: (0.25e-9, 0.033e-9)}  # of an entry by itself, and of a number that it meets
FROM_MEMORY = 0.25e-9  # of an entry of blocks more, whose rows do not follow each other in memory
IN_DIAGONALS = 0.35e-9
OF_BITS, BITS_BYTE = 0.85e-9, 0.022e-9  # of as many places as there are in a vector, and of a byte of their entries
GROUPS = {(2, 4): 0.85e-9}  # of a vector of the other matrix that a group meets
HIGH = 240  # rows of which groups are ordered by their patterns
VECTOR = 64  # bytes
CACHE = 2**21  # bytes, beyond which it tells how many are read
MOVED = 1e-9  # of a number that is put in its place
INFINITE = float("inf")


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    name
        A word, by which plans name it.
    about
        What is stored, in a few words.
    seconds
        `(A, columns) -> float`: the predicted seconds of a product of A, a `csr_array` of SciPy, with a matrix of so
        many columns; infinite for a matrix that this format is not for.
    store
        The text of a Python function `store(A)`, which gives what is stored: arrays, or objects of scipy.sparse.
    spmm
        The text of a Python function `spmm(stored, X)`, the product with a matrix or a vector. Formats of our own keep
        the matrix by rows in a list, from the first product on, as long as there is no native code.
    """

    name: str
    about: str
    seconds: Callable[[Any, int], float]
    store: str
    spmm: str


def _rows(A: Any, columns: int) -> float:
    size = int(A.dtype.itemsize)
    return CALL + int(A.nnz) * ((size + 4) * BYTE + (LINE * size / 8 * columns if columns > 1 else 0))


def _blocks(side: int) -> Callable[[Any, int], float]:
    """Of blocks: an entry that is not there is stored as well, but the other matrix is read less often."""

    def seconds(A: Any, columns: int) -> float:
        if A.shape[0] % side or A.shape[1] % side or not A.nnz or columns == 1:
            return INFINITE
        (entry, line), size = IN_BLOCKS[side], int(A.dtype.itemsize)
        stored = side * side * filled_blocks(A, side, side)
        if stored * size > CACHE:
            entry += FROM_MEMORY
        return CALL + stored * (entry + line * size / 8 * columns)

    return seconds


def _diagonals(A: Any, columns: int) -> float:
    """Diagonals with all of their entries, whose places need not be read."""
    if columns > 1 or not A.nnz:
        return INFINITE
    import numpy as np

    coo = A.tocoo()
    count = len(np.unique(coo.coords[1] - coo.coords[0])) * int(A.shape[1])
    return CALL + count * IN_DIAGONALS * int(A.dtype.itemsize) / 8


def _bits(A: Any, columns: int) -> float:
    """A bit for each place: a walk over all places, which reads the entries and little else."""
    if columns > 1 or A.dtype.char not in "fd":
        return INFINITE
    size = int(A.dtype.itemsize)
    return CALL + int(A.shape[0]) * -(-int(A.shape[1]) * size // VECTOR) * OF_BITS + int(A.nnz) * size * BITS_BYTE


def patterns(n: int, m: int) -> list[tuple[int, ...]]:
    """The places that n entries of m may have, in the order in which groups are stored."""
    return list(combinations(range(m), n))


def _groups(n: int, m: int) -> Callable[[Any, int], float]:
    """Of n entries in each group of m columns: of many rows at a time, by pattern."""

    def seconds(A: Any, columns: int) -> float:
        rows, width = A.shape
        if columns == 1 or A.dtype.char not in "fd" or width % m or not A.nnz or A.nnz != rows * width // m * n:
            return INFINITE
        import numpy as np

        if (A.indptr[1:] - A.indptr[:-1] != width // m * n).any():
            return INFINITE
        places = np.sort(A.indices.reshape(rows, -1), axis=1)
        is_once = (places[:, 1:] != places[:, :-1]).all()
        if not is_once or (places.reshape(rows, -1, n) // m != np.arange(width // m)[:, None]).any():
            return INFINITE
        size = int(A.dtype.itemsize)
        each = (n * size + 1) * BYTE + GROUPS[n, m] * -(-columns * size // VECTOR)
        return float(CALL + rows * width // m * each)

    return seconds


def _short(A: Any, columns: int) -> float:
    """Columns of two bytes, which pays where entries come from memory."""
    size = int(A.dtype.itemsize)
    if columns > 1 or A.dtype.char not in "fd" or A.shape[1] > 2**16 or A.nnz * (size + 4) < CACHE:
        return INFINITE
    return CALL + int(A.nnz) * (size + 2) * BYTE


def filled_blocks(A: Any, high: int, wide: int) -> int:
    """How many blocks of a matrix have entries."""
    import numpy as np

    coo = A.tocoo()
    across = -(-A.shape[1] // wide)
    return len(np.unique(coo.coords[0] // high * np.int64(across) + coo.coords[1] // wide))


STORE_BITS = '''
def store(A):
    """The entries by rows, a bit for each place, where rows begin, the number of columns, and a list to keep it in."""
    A = scipy.sparse.csr_array(A)
    mask = np.zeros((A.shape[0], A.shape[1] + -A.shape[1] % 16), bool)
    mask[np.repeat(np.arange(A.shape[0]), A.indptr[1:] - A.indptr[:-1]), A.indices] = True
    return A.data, np.packbits(mask, axis=1, bitorder="little").view(np.int8), A.indptr, A.shape[1], []
'''
SPMM_BITS = """
def spmm(stored, X):
    entries, bits, starts, columns, kept = stored
    found = kept[:]  # which another thread may empty
    if not found:
        places = np.nonzero(np.unpackbits(bits.view(np.uint8), axis=1, count=columns, bitorder="little"))[1]
        found = [scipy.sparse.csr_array((entries, places, starts), shape=(len(starts) - 1, columns))]
        kept.append(found[0])
    return found[0] @ X
"""
STORE_SHORT = '''
def store(A):
    """The entries by rows, their columns in two bytes, where rows begin, their number, and a list to keep it in."""
    A = scipy.sparse.csr_array(A)
    return A.data, A.indices.astype(np.uint16).view(np.int8).reshape(-1, 2), A.indptr, A.shape[1], []
'''
SPMM_SHORT = """
def spmm(stored, X):
    entries, places, starts, columns, kept = stored
    found = kept[:]  # which another thread may empty
    if not found:
        places = places.view(np.uint16).ravel()
        found = [scipy.sparse.csr_array((entries, places, starts), shape=(len(starts) - 1, columns))]
        kept.append(found[0])
    return found[0] @ X
"""
STORE_GROUPS = '''
def store(A):
    """The entries of groups, the row of each, how many groups have which pattern, the shape, and a list to keep it in.

    HIGH rows are taken at a time: the first groups of these by their patterns, then the second ones, and so on.
    """
    A = scipy.sparse.csr_array(A, copy=True)
    A.sort_indices()
    entries, places = (part.reshape(A.shape[0], -1, N) for part in (A.data, A.indices % M))
    code = (places * M ** np.arange(N)[::-1]).sum(-1)
    parts = []
    for start in range(0, A.shape[0], HIGH):
        of_rows = code[start : start + HIGH].T
        order = np.argsort(of_rows, axis=1, kind="stable")
        taken = np.take_along_axis(entries[start : start + HIGH].swapaxes(0, 1), order[:, :, None], 1)
        kinds = np.array(PATTERNS) @ M ** np.arange(N)[::-1]
        counts = (of_rows[:, :, None] == kinds).sum(1)
        parts.append((taken.reshape(-1, N), order.ravel(), counts[None]))
    entries, rows, counts = map(np.concatenate, zip(*parts))
    return entries, rows.astype(np.uint8).view(np.int8), counts.astype(np.uint8).view(np.int8), A.shape, []
'''
SPMM_GROUPS = """
def spmm(stored, X):
    entries, rows, counts, shape, kept = stored
    found = kept[:]  # which another thread may empty
    if not found:
        counts = counts.view(np.uint8)
        part, group, kind = (np.repeat(index, counts.ravel()) for index in np.nonzero(counts >= 0))
        columns = M * group[:, None] + np.array(PATTERNS)[kind]
        places = np.broadcast_to((HIGH * part + rows.view(np.uint8))[:, None], columns.shape)
        found = [scipy.sparse.csr_array((entries.ravel(), (places.ravel(), columns.ravel())), shape=shape)]
        kept.append(found[0])
    return found[0] @ X
"""
AS_IT_IS = "def spmm(A, X):\n    return A @ X\n"


def _filled(text: str, n: int, m: int) -> str:
    """A function for groups with its numbers."""
    for name, value in {"PATTERNS": patterns(n, m), "HIGH": HIGH, "N": n, "M": m}.items():
        text = re.sub(rf"\b{name}\b", str(value), text)
    return text


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("rows", "row after row (CSR)", _rows, "def store(A):\n    return scipy.sparse.csr_array(A)\n", AS_IT_IS),
        *[
            Format(
                f"blocks{side}",
                f"blocks of {side} by {side} (BSR)",
                _blocks(side),
                f"def store(A):\n    return scipy.sparse.bsr_array(A, blocksize=({side}, {side}))\n",
                AS_IT_IS,
            )
            for side in IN_BLOCKS
        ],
        Format(
            "diagonals",
            "whole diagonals (DIA)",
            _diagonals,
            "def store(A):\n    return scipy.sparse.dia_array(A)\n",
            AS_IT_IS,
        ),
        Format("short", "row after row, columns in two bytes", _short, STORE_SHORT, SPMM_SHORT),
        Format("bits", "entries, and a bit for each place", _bits, STORE_BITS, SPMM_BITS),
        *[
            Format(
                f"groups{n}of{m}",
                f"{n} entries of each {m} in a row, many rows at a time by their patterns",
                _groups(n, m),
                _filled(STORE_GROUPS, n, m),
                _filled(SPMM_GROUPS, n, m),
            )
            for n, m in GROUPS
        ],
    )
}


def register(format: Format) -> None:
    """Let plans store constants in a format.

    Raises
    ------
    ValueError
        If there is one of this name, or the name is no word.
    """
    if format.name in FORMATS or not format.name.isidentifier():
        raise ValueError(f"a format needs a name of its own that is a word, and `{format.name}` is none")
    FORMATS[format.name] = format


def seconds(A: Any, name: str, columns: Sequence[int]) -> float:
    """The predicted seconds of the products of A with matrices of so many columns."""
    return sum(FORMATS[name].seconds(A, count) for count in columns)


def fastest(A: Any, columns: Sequence[int]) -> str:
    """The format in which these products take the least time."""
    return min(FORMATS, key=lambda name: seconds(A, name, columns))
