"""The routines of BLAS and LAPACK, by their names in Fortran (`dgemm_`), and how many threads they take.

    void tpc_blas_begin(void)                     from here on BLAS takes one thread
    void tpc_blas_end(void)                       until here; then it takes as many as before
    void tpc_blas_threads(int32_t (*get)(void), void (*set)(int32_t))

They are those that SciPy calls: 32-bit integers, all arguments by reference, no lengths of texts. SciPy's own modules
are linked to them, so that the linker finds them; importing `scipy.linalg` would take long. Where the linker does not
know them by a name that is known here, SciPy is asked itself.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MODULES = ("cython_blas", "cython_lapack")
PREFIXES = ("scipy_", "")  # SciPy's wheels have their own OpenBLAS
SETTINGS = (
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)
SYMBOLS = ("tpc_blas_begin", "tpc_blas_end", "tpc_blas_threads")

_NAME = re.compile(r"[sdczi][a-z0-9]{2,7}_")


def is_routine(name: str) -> bool:
    """Whether a symbol looks like a routine of BLAS or LAPACK."""
    return _NAME.fullmatch(name) is not None


@cache
def address(name: str) -> int:
    """Where a routine is. Raises KeyError if there is none of this name."""
    for library in _libraries():
        for prefix in PREFIXES:
            found = _symbol(library, prefix + name)
            if found is not None:
                return found
    return _of_scipy(name)


def set_threads(count: int) -> bool:
    """Let the library take this number of threads from now on; False where there is no way to tell it."""
    places = threads()
    if places is not None:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(places[1])(count)
    return places is not None


@cache
def threads() -> tuple[int, int] | None:
    """Where the functions are that tell and set how many threads the library takes; None where there are none."""
    for library in _libraries():
        for names in SETTINGS:
            get, set = (_symbol(library, name) for name in names)
            if get is not None and set is not None:
                return get, set
    return None


def one_thread() -> str:
    """The functions that have BLAS take one thread while native code runs, as LLVM IR.

    The setting is that of the whole process. Each that begins notes it if it is more than one, and the last that ends
    puts back what was noted: whatever the order in which threads come to that, the setting is the user's own again when
    none is inside. A call that begins while another ends may run with more threads, which is slower and no less right.
    """
    return _ONE_THREAD


_ONE_THREAD = """
@tpc_blas_get = weak hidden global ptr null
@tpc_blas_set = weak hidden global ptr null
@tpc_blas_users = weak hidden global i32 0
@tpc_blas_noted = weak hidden global i32 0

define weak void @tpc_blas_threads(ptr %get, ptr %set) {
  store ptr %set, ptr @tpc_blas_set
  store atomic ptr %get, ptr @tpc_blas_get release, align 8
  ret void
}

define weak void @tpc_blas_begin() {
  %before = atomicrmw add ptr @tpc_blas_users, i32 1 seq_cst
  %get = load atomic ptr, ptr @tpc_blas_get acquire, align 8
  %is_unknown = icmp eq ptr %get, null
  br i1 %is_unknown, label %out, label %ask
ask:
  %threads = call i32 %get()
  %is_several = icmp sgt i32 %threads, 1
  br i1 %is_several, label %note, label %out
note:
  %set = load ptr, ptr @tpc_blas_set
  store atomic i32 %threads, ptr @tpc_blas_noted seq_cst, align 4
  call void %set(i32 1)
  br label %out
out:
  ret void
}

define weak void @tpc_blas_end() {
  %users = atomicrmw sub ptr @tpc_blas_users, i32 1 seq_cst
  %is_last = icmp eq i32 %users, 1
  br i1 %is_last, label %look, label %out
look:
  %noted = atomicrmw xchg ptr @tpc_blas_noted, i32 0 seq_cst
  %is_several = icmp sgt i32 %noted, 1
  br i1 %is_several, label %restore, label %out
restore:
  %set = load ptr, ptr @tpc_blas_set
  call void %set(i32 %noted)
  br label %out
out:
  ret void
}
"""


def of_scipy() -> Path | None:
    """The library that SciPy's wheels bring, in which names begin with `scipy_`."""
    places = (Path(folder).parent / "scipy.libs" for folder in _folders())
    return next((found for place in places for found in sorted(place.glob("*scipy_openblas*"))), None)


def _folders() -> Sequence[str]:
    """Where SciPy is."""
    found = find_spec("scipy")
    return [] if found is None else found.submodule_search_locations or []


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    """SciPy's modules, as libraries through which the linker sees those that they are linked to."""
    from importlib.machinery import EXTENSION_SUFFIXES

    found = []
    for folder in _folders():
        for module in MODULES:
            for suffix in EXTENSION_SUFFIXES:
                place = Path(folder) / "linalg" / f"{module}{suffix}"
                if place.exists():
                    found.append(ctypes.CDLL(str(place)))
                    break
    return tuple(found)


def _symbol(library: ctypes.CDLL, name: str) -> int | None:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    except AttributeError:
        return None


def _of_scipy(name: str) -> int:
    from importlib import import_module

    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    for module in MODULES:
        capsules = import_module(f"scipy.linalg.{module}").__pyx_capi__
        capsule = capsules.get(name.removesuffix("_"))
        if capsule is not None:
            found: int = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
            return found
    raise KeyError(name)
