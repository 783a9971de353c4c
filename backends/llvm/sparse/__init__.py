"""Products with sparse matrices as native code, for modules of NumPy and SciPy that run in this process.

A module calls `_spmm`, `_sddmm` and so on, which it has in SciPy and NumPy. Once these have taken a while, the
functions here take their place. What they do not take goes to the functions of the module.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.backends.llvm.sparse.entries import INDICES, NUMBERS, TURNED, WIDE, Kernel
from tpc.ir.formats import GROUPS

if TYPE_CHECKING:
    from tpc.backends.running import Running

LEAST = 0.05  # seconds of calls after which native code is made
OFTEN = 64  # times that a row of the other matrix is read, for which it pays to copy its parts
MOST = 8  # kernels of one helper that calls go to at once
FORMATS = ("csr", "csc", "bsr", "dia")
UNKNOWN = Kernel("", "", "", "")

_made: dict[object, Callable[..., Any] | None] = {}


def refused(*operands: Any, **sizes: Any) -> None:
    """What is called for operands that the native code does not take."""


def product(A: Any, X: Any) -> Kernel:
    """The kernel for A @ X, which need not be known."""
    format = A.format
    if format not in FORMATS or X.dtype != A.dtype or X.ndim not in (1, 2):
        return UNKNOWN
    places = A.offsets if format == "dia" else A.indices
    right, block = "vector" if X.ndim == 1 else "matrix", A.data.shape[1:] if format == "bsr" else (1, 1)
    return Kernel(format, A.dtype.char, places.dtype.char, right, block)


def spmm(A: Any, X: Any) -> Any:
    """A @ X, or None where that is for SciPy."""
    if X.ndim == 2 and X.shape[1] > WIDE and A.format in ("csr", "bsr") and A.nnz > OFTEN * A.shape[1]:
        return _wide(A, X)
    if A.format == "bsr" and X.ndim == 1:
        found = spmm(A, X.reshape(-1, 1))
        return None if found is None else found.reshape(-1)
    return _of(product(A, X))(A, X)


def sampling(A: Any, B: Any, C: Any) -> Kernel:
    """The kernel for A * (B @ C), which need not be known."""
    if A.format not in TURNED or not A.dtype == B.dtype == C.dtype:
        return UNKNOWN
    return Kernel(A.format, A.dtype.char, A.indices.dtype.char, "sampled")


def sddmm(A: Any, B: Any, C: Any) -> Any:
    """The entries of A * (B @ C) where A has some, or None where that is for NumPy."""
    left, right = (B, C.T) if A.format == "csr" else (C.T, B)
    return _of(sampling(A, B, C))(A, left, right)


def solve_triangular(A: Any, B: Any, lower: bool) -> Any:
    """X with A @ X = B for a triangle, or None where that is for SciPy, which also tells of zeros on the diagonal."""
    if A.format not in TURNED:
        return None
    return _of(triangle(A, B, lower))(A, B)


def triangle(A: Any, B: Any, lower: bool) -> Kernel:
    """The kernel for X with A @ X = B, which need not be known."""
    return product(A, B)._replace(side="lower" if lower else "upper")


def _of(kernel: Kernel) -> Callable[..., Any]:
    """The native function, made at the first call; it gives None for what it cannot take."""
    found = _made.get(kernel)
    if found is None:
        found = _made[kernel] = kernel.entry(refused) if kernel.is_known else refused
    return found


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

    def product(stored: tuple[Any, Any, Any, int, list[Any]], x: Any) -> Any:
        entries, places, starts, columns, kept = stored
        found = _kernel(kind, entries, starts, x)(entries, places, starts, x) if x.shape == (columns,) else None
        if found is not None:
            kept.clear()  # what products without native code need
        return found

    return product


def spmm_groups(stored: tuple[Any, Any, Any, tuple[int, int], list[Any]], X: Any) -> Any:
    """A @ X for the groups of A by their patterns, or None where that is not for native code."""
    entries, rows, counts, shape, kept = stored
    if X.ndim != 2 or len(X) != shape[1]:
        return None
    kernel = _kernel("groups", entries, rows, X, (entries.shape[1], shape[1] // counts.shape[1]))
    found = kernel(entries, rows, counts, X, rows=shape[0])
    if found is not None:
        kept.clear()
    return found


def _kernel(kind: str, entries: Any, places: Any, X: Any, block: tuple[int, int] = (1, 1)) -> Callable[..., Any]:
    """The native function for arrays of formats of our own, made at the first call."""
    key = kind, entries.dtype.char, places.dtype.char, X.dtype.char, X.ndim, block
    found = _made.get(key)
    if found is None:
        found = _made[key] = _new(*key)
    return found


def _new(kind: str, number: str, index: str, right: str, axes: int, block: tuple[int, int]) -> Callable[..., Any]:
    if number != right or number not in NUMBERS or index not in INDICES or axes not in (1, 2):
        return refused
    from tpc.backends.llvm.entry import entry
    from tpc.backends.llvm.sparse.kernels import native

    code = native(f"{kind}_vector" if axes == 1 else kind, NUMBERS[number], INDICES[index], block)
    return entry(code, refused, size_parameters={"rows": "rows"} if kind == "groups" else {})


class Replacing:
    """A helper of a module, until native code takes its place.

    Parameters
    ----------
    space, name, native, after
        The module, the helper in it, what takes its place, and after how many seconds.
    ready
        What is called with the name and a kernel, when that has been made.

    Attributes
    ----------
    seconds
        That it has taken so far.
    """

    def __init__(
        self,
        space: dict[str, Any],
        name: str,
        native: Callable[..., Any],
        after: float = LEAST,
        ready: Callable[[str, Kernel], None] | None = None,
    ) -> None:
        self.space, self.name, self.native, self.after, self.ready = space, name, native, after, ready
        self.plain = space[name]
        self.seconds = 0.0
        self.known: set[Kernel] = set()

    def __call__(self, *operands: Any) -> Any:
        if self.seconds >= self.after:
            self.space[self.name] = self.fast
            return self.fast(*operands)
        start = perf_counter()
        found = self.plain(*operands)
        self.seconds += perf_counter() - start
        return found

    def hurry(self) -> None:
        """Let native code take its place from the next call on."""
        self.after = 0.0

    def fast(self, *operands: Any) -> Any:
        """By native code, where that takes the operands."""
        found = None if isinstance(operands[0], np.ndarray) else self.native(*operands)
        if found is None:
            return self.plain(*operands)
        if self.name in KERNELS and len(self.known) < MOST:
            self._shorten(KERNELS[self.name](*operands))
        return found

    def _shorten(self, kernel: Kernel) -> None:
        """Let the next calls with operands like these go to a kernel at once; it hands on all others."""
        if kernel in self.known or not kernel.is_known:
            return
        self.known.add(kernel)
        if kernel.right != "sampled" and not kernel.side:  # whose helpers have other operands
            self.space[self.name] = kernel.entry(self.space[self.name], nonnegative=kernel.narrow)
        if self.ready is not None:
            self.ready(self.name, kernel)


NATIVE: dict[str, Callable[..., Any]] = {
    "_spmm": spmm,
    "_spmm_bits": _spmv("bits"),
    "_spmm_short": _spmv("short"),
    "_sddmm": sddmm,
    "_csr_solve_triangular": solve_triangular,
    **{f"_spmm_groups{n}of{m}": spmm_groups for n, m in GROUPS},
}
KERNELS: dict[str, Callable[..., Kernel]] = {"_spmm": product, "_sddmm": sampling, "_csr_solve_triangular": triangle}


def replace(
    running: Running, after: float = LEAST, ready: Callable[[str, Kernel], None] | None = None
) -> list[Replacing]:
    """Let a module use native code for sparse products, once it has computed some for so many seconds."""
    space = running.namespace
    made = [Replacing(space, name, native, after, ready) for name, native in NATIVE.items() if name in space]
    space.update((helper.name, helper) for helper in made)
    return made
