"""Native functions in this process: LLVM IR to addresses.

Objects name what they call, and names are resolved when they are loaded: those of the run-time library, of BLAS and
LAPACK, and of the process. Code stays as long as the `Loaded` that it belongs to; the run-time library, whose threads
never end, stays forever.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import count
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

from tpc.backends.llvm import allocator, blas, runtime
from tpc.backends.llvm.host import host
from tpc.backends.llvm.objects import LEVEL, compiled, digest
from tpc.backends.llvm.signature import Native

lock = RLock()  # LLVM is for one thread at a time; a fork waits until nobody has it
_runtimes: list[Loaded] = []
_numbers = count()
_loaded: WeakValueDictionary[object, Loaded] = WeakValueDictionary()


def _before_fork() -> None:
    """Wait until no thread is in LLVM: a child process has but one thread, and would wait for the others forever."""
    lock.acquire()
    for other in _llvm_locks():
        other.__enter__()


def _after_fork() -> None:
    for other in _llvm_locks():
        other.__exit__(None, None, None)
    lock.release()


def _llvm_locks() -> list[Any]:
    """The lock that llvmlite takes for each call, once it is imported; it has no public name."""
    module = sys.modules.get("llvmlite.binding.ffi")
    found = None if module is None else getattr(module.lib, "_lock", None)
    return [] if found is None else [found]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


class Loaded:
    """Native functions that can be called, while this object is there."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def address(self, name: str) -> int:
        """Where a function is. Raises KeyError if it is none of those that were loaded."""
        found: int = self._tracker[name]
        return found


def load(natives: Native | Sequence[Native], level: int = LEVEL, known: Mapping[str, int] | None = None) -> Loaded:
    """Compile native functions, or find them compiled, and load them as one.

    Parameters
    ----------
    natives
        The functions; they may call each other.
    level
        Of optimisation, from 0 to 3.
    known
        Addresses of further symbols.

    Raises
    ------
    RuntimeError
        If the text of a function is not valid, or a symbol is not found.
    """
    natives = [natives] if isinstance(natives, Native) else list(natives)
    known = known or {}
    key = tuple(digest(native.ir, level) for native in natives), frozenset(known.items())
    with lock:
        found = _loaded.get(key)
        if found is None:
            made = [compiled(native.ir, level) for native in natives]
            found = _loaded[key] = Loaded(_linked(made, *_symbols(natives, known)))
        return found


def _symbols(natives: Sequence[Native], known: Mapping[str, int]) -> tuple[list[str], dict[str, int]]:
    """The functions that are asked for, and the addresses of symbols that the process does not know by itself."""
    exports = [native.signature.name for native in natives]
    imports = dict(known)
    for symbol in {s for native in natives for s in native.symbols}.difference(exports, known):
        place = _address(symbol)
        if place is not None:
            imports[symbol] = place
        elif not hasattr(_process(), symbol):
            raise RuntimeError(f"there is no symbol {symbol}")
    return exports, imports


def set_threads(threads: int | None) -> None:
    """How many threads regions of native code take from now on; None is what `TPC_THREADS` says, or else each core."""
    _set_threads(_runtime().address("tpc_set_threads"), threads)


def _set_threads(setter: int, threads: int | None) -> None:
    if threads is None and not os.environ.get("TPC_THREADS"):
        threads = host().cores
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(setter)(threads or 0)


def allocation() -> tuple[int, ...]:
    """Addresses of the functions that allocate large results: as malloc, calloc, realloc and free of NEP 49."""
    return tuple(_runtime().address(name) for name in allocator.SYMBOLS)


@cache
def thread_setting() -> tuple[Callable[[], int], Callable[[int], None]]:
    """What tells how many threads regions take, and what sets it."""
    places = [_runtime().address(name) for name in ("tpc_threads", "tpc_set_threads")]
    return ctypes.CFUNCTYPE(ctypes.c_int64)(places[0]), ctypes.CFUNCTYPE(None, ctypes.c_int64)(places[1])


def _address(symbol: str) -> int | None:
    """Where a symbol is that the process does not know by itself."""
    if symbol in runtime.SYMBOLS:
        return _runtime().address(symbol)
    if blas.is_routine(symbol):
        _tell_blas_threads()
        try:
            return blas.address(symbol)
        except KeyError:
            return None
    if symbol.startswith("_ZGV"):
        _vector_library()
    return None


@cache
def _tell_blas_threads() -> None:
    """Tell the run-time library how BLAS is told its number of threads."""
    places = blas.threads()
    if places is not None:
        setter = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(_runtime().address("tpc_blas_threads"))
        setter(*places)


@cache
def _process() -> ctypes.CDLL:
    """What the process knows by itself."""
    return ctypes.CDLL(None)


@cache
def _vector_library() -> ctypes.CDLL:
    """The vector functions of the C library, which are then known to the process."""
    return ctypes.CDLL("libmvec.so.1", mode=ctypes.RTLD_GLOBAL)


def _runtime() -> Loaded:
    with lock:
        if not _runtimes:
            text = runtime.library(host().triple, hasattr(_process(), "pthread_atfork")) + allocator.allocator()
            tracker = _linked([compiled(text)], (*runtime.SYMBOLS, *allocator.SYMBOLS), {})
            _set_threads(tracker["tpc_set_threads"], None)
            _runtimes.append(Loaded(tracker))
        return _runtimes[0]


@cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    return llvm.create_lljit_compiler(use_jit_link=True, suppress_errors=True)


def _linked(objects: Iterable[bytes], exports: Iterable[str], imports: Mapping[str, int]) -> Any:
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder().add_current_process()
    for made in objects:
        builder.add_object_img(made)
    for name, place in imports.items():
        builder.import_symbol(name, place)
    for name in exports:
        builder.export_symbol(name)
    return builder.link(_engine(), f"tpc{next(_numbers)}")
