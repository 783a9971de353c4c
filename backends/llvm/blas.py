"""The routines of BLAS and LAPACK, by their names in Fortran (`dgemm_`), and how many threads they take.

They are those that SciPy calls: 32-bit integers, all arguments by reference, no lengths of texts. SciPy's own modules
are linked to them, so that the linker finds them; importing `scipy.linalg` would take long. Where the linker does not
know them by a name that is known here, SciPy is asked itself.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

MODULES = ("cython_blas", "cython_lapack")
PREFIXES = ("scipy_", "")  # SciPy's wheels have their own OpenBLAS
SETTERS = ("scipy_openblas_set_num_threads", "openblas_set_num_threads", "MKL_Set_Num_Threads")

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
    setter = _setter()
    if setter is None:
        return False
    setter(count)
    return True


@cache
def _setter() -> Any:
    for library in _libraries():
        for name in SETTERS:
            found = _symbol(library, name)
            if found is not None:
                return ctypes.CFUNCTYPE(None, ctypes.c_int)(found)
    return None


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    """SciPy's modules, as libraries through which the linker sees those that they are linked to."""
    from importlib.machinery import EXTENSION_SUFFIXES
    from importlib.util import find_spec
    from pathlib import Path

    scipy = find_spec("scipy")
    folders = scipy.submodule_search_locations or [] if scipy is not None else []
    found = []
    for folder in folders:
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
