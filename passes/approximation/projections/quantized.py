"""Fewer bits for each entry: codes, and a scale for each group of entries of a row.

    4 bits  two codes in a byte, in groups of 128      -7 .. 7
    8 bits  in groups of 128, or fewer                 -127 .. 127
    16 bits half precision, each group scaled to 1     never out of its range

Codes are rounded to the nearest, and none is clipped, as the largest of a group is its scale. An entry is then off by
half a scale at most (of 16 bits, by 2^-11 of it), so that a product with x is off by at most the sum over the groups of
half their scale times norm1(x_g). What is certified is the error of the matrix as it is stored.

It pays where a product is bound by the reading of the matrix, in code that reads the codes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target

GROUPS = (128, 64, 32)  # entries of a row with one scale; the first that divides it
LARGE = 1 << 16  # entries from which on a matrix is more than a cache line or two


def quantized(target: Target) -> Iterator[Projected]:
    """The fewest bits that the budget allows."""
    A = target.values
    if not target.is_matrix or A.dtype.kind != "f" or A.size < LARGE:
        return
    rows, columns = A.shape
    length = next((g for g in GROUPS if columns % g == 0), None)
    if length is None:
        return
    groups = A.reshape(rows, columns // length, length)
    largest = np.abs(groups).max(axis=2)
    for bits, most in ((4, 7.0), (8, 127.0), (16, 1.0)):
        stored = np.float32 if target.dtype.size == 4 else np.float64
        with np.errstate(over="ignore", under="ignore"):
            scales = (np.where(largest > 0, largest, 1.0) / most).astype(stored)
        if not np.isfinite(scales).all() or (scales == 0).any():
            return
        codes = groups / scales[:, :, None]
        codes = codes.astype(np.float16) if bits == 16 else np.rint(codes).astype(np.int8)
        rounded = (codes.astype(np.float64) * scales[:, :, None]).reshape(A.shape)
        if target.error(rounded) > target.within:
            continue
        parts = {"codes": packed(codes) if bits == 4 else codes, "scales": scales}
        terms = (Term("packed" if bits == 4 else "codes", ("codes", "scales")),)
        yield Projected(f"{bits} bits", f"groups of {length}", parts, terms, 2 * A.size + columns // length * rows)
        return


def packed(codes: Array) -> Array:
    """Codes of -7 to 7 as bytes: those of the first half of a group below those of the second."""
    half = codes.shape[2] // 2
    low, high = codes[:, :, :half].astype(np.int16), codes[:, :, half:].astype(np.int16)
    return (16 * high + low + 8).astype(np.int8)
