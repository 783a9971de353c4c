"""Native functions called with arrays that begin or end where memory does: what reads or writes beyond them crashes."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tpc.backends.llvm import engine
from tpc.backends.llvm.lower import lower
from tpc.backends.llvm.signature import Native
from tpc.dsl.source import Source
from tpc.ir.dims import evaluate as extent
from tpc.ir.dims import solve_linear, substitute
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program

_libc = ctypes.CDLL(None)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def program(text: str) -> Program:
    """The last function of a text."""
    return list(check(Source(text, "test.tp")).programs.values())[-1]


def at_the_edge(shape: Sequence[int], dtype: Any, first: bool = False) -> np.ndarray[Any, Any]:
    """An array behind whose last entry, or before whose `first`, is a page that may neither be read nor written."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, pages + mmap.PAGESIZE)
    whole = np.frombuffer(memory, np.uint8)
    _libc.mprotect(whole.ctypes.data + (0 if first else pages), mmap.PAGESIZE, 0)
    begin = mmap.PAGESIZE if first else pages - size
    return whole[begin : begin + size].view(dtype).reshape(shape)


def fixed(array: np.ndarray[Any, Any]) -> None:
    """Let nobody write to an array of `at_the_edge`."""
    if array.nbytes:
        begin = array.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
        _libc.mprotect(begin, array.ctypes.data + array.nbytes - begin, mmap.PROT_READ)


class Function:
    """A program's native function, which may read its operands and no more.

    Raises
    ------
    IndexError, ValueError, LinAlgError
        When the function is called and fails.
    """

    def __init__(self, program: Program, native: Native | None = None) -> None:
        self.native = native or lower(program, "function")
        self.loaded = engine.load(self.native)
        self.entry = ctypes.CFUNCTYPE(ctypes.c_int64)(self.loaded.address(self.native.signature.name))

    def __call__(self, arrays: Sequence[Any], sizes: Mapping[str, int] | None = None) -> list[np.ndarray[Any, Any]]:
        self._called(arrays, sizes, first=True)
        return self._called(arrays, sizes, first=False)

    def _called(
        self, arrays: Sequence[Any], sizes: Mapping[str, int] | None, first: bool
    ) -> list[np.ndarray[Any, Any]]:
        signature = self.native.signature
        known = dict(sizes or {})
        operands = []
        for array, operand in zip(arrays, signature.operands, strict=True):
            held = at_the_edge(np.shape(array), operand.dtype.numpy, first)
            held[...] = array
            fixed(held)
            operands.append(held)
            for dim, count in zip(operand.dims, held.shape, strict=True):
                found = solve_linear(substitute(dim, known), count)
                if found is not None:
                    known.setdefault(*found)
        results = [at_the_edge([extent(d, known) for d in r.dims], r.dtype.numpy, first) for r in signature.results]
        for result in results:
            result[...] = 99  # whatever was there before
        # of whole lines, so that it is aligned at the end of memory as well
        workspace = at_the_edge([-(-extent(signature.workspace, known) // 64) * 64], np.uint8, first)
        places = [a.ctypes.data for a in (*operands, *results, workspace)]
        arguments = [*(ctypes.c_int64(known[s]) for s in signature.sizes), *map(ctypes.c_void_p, places)]
        status = self.entry(*arguments)
        if status:
            failure = signature.errors[status - 1]
            kinds = {"IndexError": IndexError, "ValueError": ValueError, "LinAlgError": np.linalg.LinAlgError}
            raise kinds[failure.kind](failure.text)
        return [np.array(r) for r in results]


def compare(text: str, arrays: Sequence[Any], sizes: Mapping[str, int] | None = None, room: float = 1e-11) -> None:
    """Hold the native function of a text to the reference interpreter."""
    from tpc.ir.reference import evaluate

    whole = program(text)
    wanted = evaluate(whole, arrays, sizes)
    for value, right in zip(Function(whole)(arrays, sizes), wanted, strict=True):
        assert value.shape == right.shape
        if value.dtype.kind in "bi":
            np.testing.assert_array_equal(value, right)
        else:
            np.testing.assert_allclose(value, right, rtol=room, atol=room)
