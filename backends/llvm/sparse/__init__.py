"""Products with sparse matrices as native code, for modules of NumPy and SciPy that run in this process.

A module calls `_spmm`, `_sddmm` and so on, which it has in SciPy and NumPy. Once these have taken a while, the
functions here take their place. What they do not take goes to the functions of the module.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.ir.formats import GROUPS
from tpc.ir.types import F32, F64, I8, I32, I64

if TYPE_CHECKING:
    from tpc.backends.running import Running

LEAST = 0.05  # seconds of calls after which native code is made
NUMBERS, INDICES = {"d": F64, "f": F32}, {"b": I8, "i": I32, "l": I64}
WIDE = 64  # columns of the other matrix that are taken at a time
OFTEN = 64  # times that a row of the other matrix is read, for which it pays to copy its parts
LARGEST = 64  # entries of a block, for which there is code of its own

_made: dict[tuple[object, ...], Callable[..., Any] | None] = {}


def spmm(A: Any, X: Any) -> Any:
    """A @ X, or None where that is for SciPy."""
    format = A.format
    if X.ndim == 2 and X.shape[1] > WIDE and format in ("csr", "bsr") and A.nnz > OFTEN * A.shape[1]:
        return _wide(A, X)
    if format == "dia":
        kernel = _kernel(format, A.data, A.offsets, X)
        return None if kernel is None else kernel(A.data, A.offsets, X, rows=A.shape[0])
    if format not in ("csr", "csc", "bsr"):
        return None
    kernel = _kernel(format, A.data, A.indices, X)
    if kernel is None:
        return None
    if format == "csc":
        return kernel(A.data, A.indices, A.indptr, X, rows=A.shape[0])
    if format == "bsr" and X.ndim == 1:
        return kernel(A.data, A.indices, A.indptr, X.reshape(-1, 1)).reshape(-1)
    return kernel(A.data, A.indices, A.indptr, X)


def _wide(A: Any, X: Any) -> Any:
    """A @ X for X with many columns, some at a time, so that the rows of these lie near each other.

    Rows that are far apart, by a power of two most of all, meet in few places of a cache.
    """
    Y = None
    for start in range(0, X.shape[1], WIDE):
        part = spmm(A, np.ascontiguousarray(X[:, start : start + WIDE]))
        if part is None:
            return None
        if Y is None:
            Y = np.empty((A.shape[0], X.shape[1]), part.dtype)
        Y[:, start : start + WIDE] = part
    return Y


def _spmv(kind: str) -> Callable[..., Any]:
    """A @ x for the entries of A, where they are, where rows begin, and the number of columns.

    It gives None for what is not for native code.
    """

    def product(stored: tuple[Any, Any, Any, int], x: Any) -> Any:
        entries, places, starts, columns = stored
        kernel = _kernel(kind, entries, starts, x) if x.shape == (columns,) else None
        return None if kernel is None else kernel(entries, places, starts, x)

    return product


def spmm_groups(stored: tuple[Any, Any, Any, tuple[int, int]], X: Any) -> Any:
    """A @ X for the groups of A by their patterns, or None where that is not for native code."""
    entries, rows, counts, shape = stored
    if X.ndim != 2 or len(X) != shape[1]:
        return None
    kernel = _kernel("groups", entries, rows, X, (entries.shape[1], shape[1] // counts.shape[1]))
    return None if kernel is None else kernel(entries, rows, counts, X, rows=shape[0])


def sddmm(A: Any, B: Any, C: Any) -> Any:
    """The entries of A * (B @ C) where A has some, or None where that is for NumPy."""
    kernel = _kernel("sampled", A.data, A.indices, B)
    if kernel is None or B.dtype != C.dtype:
        return None
    left, right = (B, C.T) if A.format == "csr" else (C.T, B)
    entries = kernel(A.data, A.indices, A.indptr, left, right)
    return None if entries is None else type(A)((entries, A.indices, A.indptr), shape=A.shape)


def _kernel(kind: str, entries: Any, places: Any, X: Any, block: tuple[int, ...] = ()) -> Callable[..., Any] | None:
    """The native function for arrays of these formats, made at the first call; it gives None for what it cannot take.

    Those of X are contiguous, as those of a matrix always are.
    """
    shape = entries.shape[1:] if kind == "bsr" else block
    key = kind, entries.dtype.char, places.dtype.char, X.dtype.char, X.ndim, shape
    if key not in _made:
        _made[key] = _new(*key)
    return _made[key]


def _new(kind: str, number: str, index: str, right: str, axes: int, block: tuple[int, ...]) -> Any:
    if number != right or number not in NUMBERS or index not in INDICES or axes not in (1, 2):
        return None
    if kind == "bsr" and (block[0] * block[1] > LARGEST**2 or min(block) < 1):
        return None
    from tpc.backends.llvm.entry import entry
    from tpc.backends.llvm.sparse.kernels import native

    name = f"{kind}_vector" if axes == 1 and kind != "bsr" else kind
    code = native(name, NUMBERS[number], INDICES[index], (block[0], block[1]) if block else (1, 1))
    given = {"rows": "rows"} if kind in ("csc", "dia", "groups") else {}

    def refused(*operands: Any, **sizes: Any) -> None:
        """What is called for operands that the native code does not take."""

    return entry(code, refused, size_parameters=given)


class Replacing:
    """A helper of a module, until native code takes its place.

    Attributes
    ----------
    seconds
        That it has taken so far.
    """

    def __init__(self, space: dict[str, Any], name: str, native: Callable[..., Any], after: float = LEAST) -> None:
        self.space, self.name, self.native, self.after = space, name, native, after
        self.plain = space[name]
        self.seconds = 0.0

    def __call__(self, *operands: Any) -> Any:
        if self.seconds >= self.after:
            self.space[self.name] = self.fast
            return self.fast(*operands)
        start = perf_counter()
        found = self.plain(*operands)
        self.seconds += perf_counter() - start
        return found

    def fast(self, *operands: Any) -> Any:
        """By native code, where that takes the operands."""
        found = None if isinstance(operands[0], np.ndarray) else self.native(*operands)
        return self.plain(*operands) if found is None else found


NATIVE: dict[str, Callable[..., Any]] = {
    "_spmm": spmm,
    "_spmm_bits": _spmv("bits"),
    "_spmm_short": _spmv("short"),
    "_sddmm": sddmm,
    **{f"_spmm_groups{n}of{m}": spmm_groups for n, m in GROUPS},
}


def replace(running: Running, after: float = LEAST) -> None:
    """Let a module use native code for sparse products, once it has computed some for so many seconds."""
    space = running.namespace
    for name, native in NATIVE.items():
        if name in space:
            space[name] = Replacing(space, name, native, after)
