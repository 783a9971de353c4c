"""Fewer bits for each entry: codes, and a scale for each group of entries of a row.

    4 bits  two codes in a byte, in groups of 128      -7 .. 7
    8 bits  in groups of 128, or fewer                 -127 .. 127
    16 bits half precision, each group scaled to 1     never out of its range

Codes are rounded to the nearest, and none is clipped, as the largest of a group is its scale. An entry is then off by
half a scale at most (of 16 bits, by 2^-11 of it), so that a product with x is off by at most the sum over the groups of
half their scale times norm1(x_g). What is certified is the error of the matrix as it is stored.

Where data multiplies the columns, X @ W' = (X / t) @ (W * t)' for any t: columns that the data makes large are widened
before they are rounded, at the expense of others in their group (AffineQuant, 2024).

It pays where a product is bound by the reading of the matrix, in code that reads the codes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.ir.types import DType
from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target

GROUPS = (128, 64, 32)  # entries of a row with one scale; the first that divides it
LARGE = 1 << 16  # entries from which on a matrix is more than a cache line or two
POWERS = (0.0, 0.25, 0.5, 0.75)  # of the size of columns of the data, that columns are widened by


def quantized(target: Target) -> Iterator[Projected]:
    """The fewest bits that the budget allows."""
    A = target.values
    if not target.is_matrix or A.dtype.kind != "f" or A.size < LARGE:
        return
    rows, columns = A.shape
    length = next((g for g in GROUPS if columns % g == 0), None)
    if length is None:
        return
    work = 2 * A.size + columns // length * rows
    for bits in (4, 8, 16):
        found = [(target.error(p.dense()), p) for p in _rounded(target, bits, length, work)]
        if not found:
            return
        plain, _ = found[0]
        error, best = found[0] if plain <= target.within else min(found, key=lambda pair: pair[0])
        if error <= target.within:
            yield best
            return


def _rounded(target: Target, bits: int, length: int, work: int) -> Iterator[Projected]:
    """Codes of as many bits: of the matrix as it is, and of columns widened by powers of the data's."""
    sizes = None if target.columns is None else np.linalg.norm(target.columns, axis=0)
    meaning, about = "packed" if bits == 4 else "codes", f"groups of {length}"
    for power in POWERS[: None if sizes is not None and sizes.all() and bits < 16 else 1]:
        widths = sizes**power if sizes is not None and power else None
        parts = coded(target.values if widths is None else target.values * widths, bits, length, target.dtype)
        if parts is None:
            continue
        if widths is None:
            yield Projected(f"{bits} bits", about, parts, (Term(meaning, ("codes", "scales")),), work)
        else:
            parts["widths"] = (1 / widths).astype(parts["scales"].dtype)
            terms = (Term(f"{meaning} of widened columns", ("codes", "scales", "widths")),)
            yield Projected(f"{bits} bits", f"{about}, columns widened by the data", parts, terms, work)


def coded(A: Array, bits: int, length: int, dtype: DType) -> dict[str, Array] | None:
    """Codes and scales; None where a scale is out of range."""
    rows, columns = A.shape
    groups = A.reshape(rows, columns // length, length)
    largest = np.abs(groups).max(axis=2)
    most = {4: 7.0, 8: 127.0, 16: 1.0}[bits]
    with np.errstate(over="ignore", under="ignore"):
        scales = (np.where(largest > 0, largest, 1.0) / most).astype(np.float32 if dtype.size == 4 else np.float64)
    if not np.isfinite(scales).all() or (scales == 0).any():
        return None
    codes = groups / scales[:, :, None]
    codes = codes.astype(np.float16) if bits == 16 else np.rint(codes).astype(np.int8)
    return {"codes": packed(codes) if bits == 4 else codes, "scales": scales}


def packed(codes: Array) -> Array:
    """Codes of -7 to 7 as bytes: those of the first half of a group below those of the second."""
    half = codes.shape[2] // 2
    low, high = codes[:, :, :half].astype(np.int16), codes[:, :, half:].astype(np.int16)
    return (16 * high + low + 8).astype(np.int8)
