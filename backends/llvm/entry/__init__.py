"""Native functions as functions of Python, at the least cost of a call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tpc.backends.llvm.engine import load
from tpc.backends.llvm.entry import layout
from tpc.backends.llvm.entry.glue import ENTRY, LONG, MOST, NATIVE, WORD, Manner, glue
from tpc.backends.llvm.entry.stored import ATTRIBUTE, CLASS, Stored
from tpc.backends.llvm.signature import Native
from tpc.ir.dims import DimLike
from tpc.ir.types import STRONG

METH_FASTCALL, METH_KEYWORDS = 0x80, 0x02


class Record(ctypes.Structure):
    """What Python knows of a built-in function."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("about", ctypes.c_char_p),
    ]


def entry(
    native: Native,
    slow: Callable[..., Any],
    parameters: Sequence[str] | None = None,
    size_parameters: Mapping[str, str] | None = None,
    nonnegative: Sequence[DimLike] = (),
    results: type[tuple[Any, ...]] = tuple,
    sources: Sequence[int] = (),
    stored: Mapping[int, Stored] | None = None,
    finish: Callable[[Any, Any], Any] | None = None,
    threads: int | None = None,
) -> Callable[..., Any]:
    """A native function as a built-in function of Python.

    It takes arrays and numbers of the dtypes of its operands, by position or name, and `out`: an array, or a tuple of
    arrays where there are several results. Without `out` it gives new arrays, and NumPy's numbers for results without
    axes. The lock of Python is released where the work may be long.

    Parameters
    ----------
    native
        The function.
    slow
        What is called with the same arguments where they are anything else, and where the native function gives an
        error: it must do all that is legal, and raise what is to be said. Where generated code cannot be called from
        this Python, it is what is given back.
    parameters
        The names of the operands in Python; else those of the signature.
    size_parameters
        Sizes that are given by name: the name of the size, and of its parameter. Sizes that no operand tells must be
        among them.
    nonnegative
        What must not be negative at the sizes of a call; else `slow` is called.
    results
        The type of several results: `tuple`, or a class of named tuples.
    sources
        The number of the parameter that each operand comes from, where there is not one for each.
    stored
        The parameters that stand for several operands, by their numbers.
    finish
        What makes the result of the first of `stored` and the array that the native function gives.
    threads
        How many it may take, where that is not left open. Routines of BLAS that it calls are not told.

    Raises
    ------
    RuntimeError
        If the text of the function is not valid, or a symbol is not found.
    ValueError
        If nothing tells a size.
    """
    signature, given, stored = native.signature, size_parameters or {}, stored or {}
    dtypes = {STRONG.get(a.dtype, a.dtype).name for a in (*signature.operands, *signature.results)}
    if not layout.is_known() or not dtypes <= layout.DTYPES_OF_ARRAYS:
        return slow
    operands = [a.name for a in signature.operands] if parameters is None else parameters
    words = {f"{WORD}{n}": layout.word(name) for n, name in enumerate([*operands, *given.values(), "out"])}
    loaded = load(native)
    of_objects = {f"{CLASS}{name}": layout.of_class(name) for found in stored.values() for name in found.classes}
    attributes = {name for found in stored.values() for name in found.attributes}
    of_objects |= {f"{ATTRIBUTE}{name}": layout.word(name) for name in attributes}
    known = {**layout.numpy_symbols(), **of_objects, **words}
    known |= {NATIVE: loaded.address(signature.name), LONG: native.long, MOST: threads or 0}
    numbers = tuple(sources) or tuple(range(len(signature.operands)))
    manner = Manner(
        numbers, tuple(stored.items()), tuple(given), tuple(nonnegative), finish is not None, threads is not None
    )
    code = glue(signature, manner)
    entered = load(code, 0, {symbol: known[symbol] for symbol in code.symbols if symbol in known})
    name = getattr(slow, "__name__", signature.name)
    about = f"{name}({', '.join([*operands, '*', *given.values(), 'out=None'])})\n--\n\n{slow.__doc__ or ''}"
    record = Record(name.encode(), entered.address(ENTRY), METH_FASTCALL | METH_KEYWORDS, about.encode())
    # Python holds the tuple as long as the function: with it the code, and the record
    held = (slow, finish or results, loaded, entered, record)
    made: Callable[..., Any] = layout.new_function()(ctypes.byref(record), held, None)
    return made


def call_at_once(instance: Any, function: Callable[..., Any]) -> None:
    """Let calls of an object go to a function, past the `__call__` of its class.

    The object gets a class of its own below the one that it has.
    """
    kind = type(instance)
    if "_calls_at_once" not in vars(kind):
        same = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        kind = type(kind.__name__, (kind,), {**same, "_calls_at_once": True})
        instance.__class__ = kind
    kind.__call__ = function
