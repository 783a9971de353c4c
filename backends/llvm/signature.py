"""The binary interface of a native function.

    int64_t NAME(int64_t size..., void *operand..., void *result..., void *workspace)

Sizes come first, in the order of `sizes`; then a pointer for each operand and each result, all C-contiguous and
aligned to their entries (a value without axes is one entry); last a pointer to `workspace` bytes, aligned to 64, whose
contents do not matter. Operands are never written to, and results overlap nothing. Zero is returned, or the number
(from 1) of one of `errors`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tpc.ir.dims import DimLike
from tpc.ir.types import DType


@dataclass(frozen=True)
class Array:
    """An operand or a result."""

    name: str
    dtype: DType
    dims: tuple[DimLike, ...]


@dataclass(frozen=True)
class Failure:
    """What a number that is not zero means: the exception (`IndexError`, `LinAlgError`, `ValueError`) and its text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Signature:
    """See the module's text."""

    name: str
    sizes: tuple[str, ...]
    operands: tuple[Array, ...]
    results: tuple[Array, ...]
    workspace: DimLike = 0
    errors: tuple[Failure, ...] = ()

    @property
    def axes(self) -> tuple[DimLike, ...]:
        """The loops, about: every different axis of an array, where equal axes of one array are different."""
        counts: Counter[DimLike] = Counter()
        for array in (*self.operands, *self.results):
            counts |= Counter(array.dims)
        return tuple(counts.elements())


@dataclass(frozen=True)
class Native:
    """A native function as LLVM IR; equal functions have equal text. `symbols` are those of BLAS, LAPACK and the
    run-time library (`threads`) that it calls; `remarks` are for who reads it, by names of functions. With more than
    `long` choices of indices on the axes of its signature a call takes microseconds, in which others may run."""

    signature: Signature
    ir: str
    symbols: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    long: int = 4096
