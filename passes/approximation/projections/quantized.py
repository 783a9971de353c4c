"""Fewer bits for each entry: codes, and a scale for each group of entries of a row, or a table for each row.

    4 bits    two codes in a byte, in groups of 128      -7 .. 7
    codebook  the same, each naming an entry of a table  16 entries, by k-means
    8 bits    in groups of 128, or fewer                 -127 .. 127
    16 bits   half precision, each group scaled to 1     never out of its range

Codes are rounded to the nearest, and none is clipped, as the largest of a group is its scale. An entry is then off by
half a scale at most (of 16 bits, by 2^-11 of it), so that a product with x is off by at most the sum over the groups of
half their scale times norm1(x_g). What is certified is the error of the matrix as it is stored.

What is exact makes it better before it is rounded:

    widened   X @ W' = (X / t) @ (W * t)': columns that the data makes large are rounded more finely, at the expense of
              others in their group (AffineQuant, 2024)
    rotated   X @ W' = (X @ Q) @ (W @ Q)', Q a Hadamard matrix for each group: what stands out is spread over its group
    centred   X @ W' = X @ (W - 1 m')' + (X @ m) 1', m the mean row: what all rows have in common is not rounded
              (SageAttention2, 2024, for keys)

It pays where a product is bound by the reading of the matrix, in code that reads the codes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tpc.ir.types import DType
from tpc.passes.approximation.coded import rotated
from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.codebooks import tabled
from tpc.passes.approximation.target import Target, measured

GROUPS = (128, 64, 32)  # entries of a row with one scale; the first that divides it
LARGE = 1 << 16  # entries from which on a matrix is more than a cache line or two
POWERS = (0.25, 0.5, 0.75)  # of the size of columns of the data, that columns are widened by
COMMON = 0.1  # share of the norm that the mean row has to have
FORMATS = ("4 bits", "codebook", "8 bits", "16 bits")
MOST = {"4 bits": 7.0, "8 bits": 127.0, "16 bits": 1.0}  # the largest code


def quantized(target: Target) -> Iterator[Projected]:
    """The fewest bits that the budget allows; without any change, if that will do."""
    A = target.values
    if not target.is_matrix or A.dtype.kind != "f" or A.size < LARGE:
        return
    length = next((g for g in GROUPS if A.shape[1] % g == 0), None)
    if length is None:
        return
    for name in FORMATS:
        best = least = None
        for found in rounded(target, name, length):
            error = target.error(found.dense())
            if least is None or error < least:
                best, least = found, error
            if best is found and least <= target.within and not found.terms[0].parts[2:]:
                break
        if best is None or least is None:
            return
        if least <= target.within:
            yield best
            return


@dataclass(frozen=True)
class Change:
    """What is done to a matrix before it is rounded, and what undoes it; `rest` is what is rounded."""

    kind: str
    about: str
    rest: Array
    part: str = ""
    other: Array | None = None


def rounded(target: Target, name: str, length: int) -> Iterator[Projected]:
    """The matrix in a format: as it is, and changed in ways that are exact."""
    columns = target.values.shape[1]
    sizes = None if target.columns is None else np.linalg.norm(target.columns, axis=0)
    for change in changes(target.values, sizes, length) if name != "16 bits" else [plain(target.values)]:
        if name == "codebook":
            parts: dict[str, Array] | None = tabled(change.rest, sizes, target.dtype)
            about = "a table of 16 for each row"
        else:
            parts, about = coded(change.rest, name, length, target.dtype), f"groups of {length}"
        if parts is None:
            continue
        if change.other is not None:
            parts[change.part] = change.other.astype(parts["scales"].dtype)
        kind = "codes" if name in ("8 bits", "16 bits") else "packed"
        work = 2 * target.values.size + columns // length * len(target.values)
        yield Projected(name, about + change.about, parts, (Term(kind + change.kind, tuple(parts)),), work)


def plain(A: Array) -> Change:
    return Change("", "", A)


def changes(A: Array, sizes: Array | None, length: int) -> Iterator[Change]:
    """None first. `sizes` are those of the columns of the data."""
    yield plain(A)
    mean = A.mean(axis=0)
    if measured(mean) * len(A) ** 0.5 > COMMON * measured(A):
        yield Change(" beside means", ", beside the mean row", A - mean, "means", mean)
    Q = hadamard(length)
    yield Change(" of rotated groups", ", rotated by Hadamard matrices", rotated(A, Q), "rotation", Q)
    if sizes is not None and sizes.all():
        for power in POWERS:
            widths = sizes**power
            yield Change(" of widened columns", ", columns widened by the data", A * widths, "widths", 1 / widths)


def hadamard(n: int) -> Array:
    """The orthogonal and symmetric matrix with equal sizes of entries, for a power of two (Sylvester 1867)."""
    found = np.ones((1, 1))
    while len(found) < n:
        found = np.block([[found, found], [found, -found]])
    unit: Array = found / n**0.5
    return unit


def coded(A: Array, name: str, length: int, dtype: DType) -> dict[str, Array] | None:
    """Codes and scales; None where a scale is out of range."""
    rows, columns = A.shape
    groups = A.reshape(rows, columns // length, length)
    largest = np.abs(groups).max(axis=2)
    with np.errstate(over="ignore", under="ignore"):
        scales = (np.where(largest > 0, largest, 1.0) / MOST[name]).astype(np.float32 if dtype.size == 4 else float)
    if not np.isfinite(scales).all() or (scales == 0).any():
        return None
    codes = groups / scales[:, :, None]
    codes = codes.astype(np.float16) if name == "16 bits" else np.rint(codes).astype(np.int8)
    return {"codes": packed(codes) if name == "4 bits" else codes, "scales": scales}


def packed(codes: Array) -> Array:
    """Codes of -8 to 7 as bytes: those of the first half of a group below those of the second."""
    half = codes.shape[2] // 2
    low, high = codes[:, :, :half].astype(np.int16), codes[:, :, half:].astype(np.int16)
    return (16 * high + low + 8).astype(np.int8)
