"""What generated code knows of Python and NumPy: functions, objects, and where things are in them."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

from tpc.backends.llvm import engine, threads
from tpc.backends.llvm.host import host
from tpc.ir.types import DTYPES, STRONG

# Functions, with the letters of the types of their result and parameters: p(ointer), l(ong), i(nt), v(oid).
FUNCTIONS = {
    "PyObject_Vectorcall": "ppplp",
    "Py_IncRef": "vp",
    "Py_DecRef": "vp",
    "PyEval_SaveThread": "p",
    "PyEval_RestoreThread": "vp",
    "PyErr_Clear": "v",
    "PyObject_GetAttr": "ppp",
    "PyLong_AsLongLongAndOverflow": "lpp",
    "PyType_GenericAlloc": "ppl",
    "tpc_numpy_new": "pppipppip",
    "tpc_numpy_copy": "ppi",
    "tpc_numpy_scalar": "pppp",
    "tpc_numpy_set_handler": "pp",
    "tpc_workspace": "pl",
    "tpc_trim": "v",
    "tpc_limit_begin": "vl",
    "tpc_limit_end": "v",
}
TABLE = {  # PyArray_NewFromDescr, PyArray_NewCopy, PyArray_Scalar, PyDataMem_SetHandler
    "tpc_numpy_new": 94,
    "tpc_numpy_copy": 85,
    "tpc_numpy_scalar": 60,
    "tpc_numpy_set_handler": 304,
}
DTYPES_OF_ARRAYS = {"f64", "f32", "f16", "c128", "c64", "i64", "i32", "i8", "bool"}  # that NumPy has

# Where things are, in bytes.
TYPE = 8  # of each object
LENGTH, ITEMS = 16, tuple.__basicsize__  # of a tuple
NUMBER = 16  # in a float or complex of Python, and in a number of NumPy
DATA, RANK, DIMS, DTYPE, FLAGS = 16, 24, 32, 56, 64  # of an array
HANDLER = b"mem_handler"  # the name of capsules with a `Handler`
CONTIGUOUS, WRITEABLE = 0x101, 0x400  # flags of an array; contiguous and aligned


class Handler(ctypes.Structure):
    """How NumPy allocates the memory of arrays: `PyDataMem_Handler`, version 1."""

    _fields_ = [
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("functions", ctypes.c_void_p * 4),
    ]


_words: dict[str, str] = {}


@cache
def is_known() -> bool:
    """Whether the objects of this Python and this NumPy are as generated code expects them."""
    is_usual = sys.implementation.name == "cpython" and not hasattr(sys, "gettotalrefcount")  # no build for debugging
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not (is_usual and has_lock and threads.is_known(host().triple)):
        return False
    import numpy as np

    array, several = np.arange(6.0).reshape(2, 3), (object(), object())

    def at(offset: int, kind: Any = ctypes.c_ssize_t) -> int:
        found: int = kind.from_address(id(array) + offset).value
        return found

    return (
        ctypes.c_size_t.from_address(id(several) + ITEMS + 8).value == id(several[1])
        and at(RANK, ctypes.c_int) == 2
        and tuple((ctypes.c_ssize_t * 2).from_address(at(DIMS))) == (2, 3)
        and at(DATA) == array.ctypes.data
        and at(DTYPE) == id(np.dtype(np.float64))
        and at(FLAGS, ctypes.c_int) & (CONTIGUOUS | WRITEABLE) == CONTIGUOUS | WRITEABLE
    )


def word(name: str) -> int:
    """Where the text is that Python has for a name; it stays there, since code refers to it."""
    return id(_words.setdefault(name, sys.intern(name)))


@cache
def numpy_symbols() -> dict[str, int]:
    """The addresses of what is NumPy's."""
    import numpy as np

    core = getattr(np, "_core", None) or np.core
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = get(core._multiarray_umath._ARRAY_API, None)
    found = {name: ctypes.c_size_t.from_address(table + 8 * place).value for name, place in TABLE.items()}
    found["tpc_numpy_array"] = id(np.ndarray)
    for dtype in set(DTYPES.values()) - set(STRONG):
        kind = np.dtype(dtype.numpy)
        found[f"tpc_numpy_dtype_{dtype.name}"] = id(kind)
        found[f"tpc_numpy_scalar_{dtype.name}"] = id(kind.type)
    found["tpc_numpy_handler"] = id(_handler())
    return found


@cache
def of_class(name: str) -> int:
    """Where a class of scipy.sparse is."""
    import scipy.sparse

    return id(getattr(scipy.sparse, name))


@cache
def _handler() -> Any:
    """What NumPy is told of the allocator of large results; arrays may outlast this module, so it stays forever."""
    record = Handler(b"tpc_results", 1, None, engine.allocation())
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = make(ctypes.addressof(record), HANDLER, None)
    for kept in (record, capsule, HANDLER):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    return capsule


@cache
def new_function() -> Any:
    """Python's function that makes built-in functions."""
    made = ctypes.pythonapi.PyCFunction_NewEx
    made.restype, made.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    return made
