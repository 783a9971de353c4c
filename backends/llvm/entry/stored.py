"""The part of an entry that takes objects with arrays in them: a sparse matrix of SciPy stands for several operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpc.backends.llvm.entry import operands
from tpc.backends.llvm.entry.layout import ITEMS, LENGTH, TYPE
from tpc.backends.llvm.entry.writer import Writer
from tpc.ir.dims import DimLike

CLASS, ATTRIBUTE = "tpc_class_", "tpc_attribute_"


@dataclass(frozen=True)
class Stored:
    """What an argument must be: of one of some classes of scipy.sparse, whose attributes are operands in this order.

    `dims` is its shape, which the operands alone need not tell; `truths` are attributes that must be True.
    """

    classes: tuple[str, ...]
    arrays: tuple[str, ...]
    dims: tuple[DimLike, ...]
    truths: tuple[str, ...] = ()

    @property
    def attributes(self) -> tuple[str, ...]:
        """All that it is asked for."""
        return (*self.arrays, *self.truths, "shape")


def slots(w: Writer, sources: Sequence[int], stored: Mapping[int, Stored]) -> list[Any]:
    """A slot with the array or the number of each operand, given the parameter that it comes from."""
    arrays = {parameter: iter(_arrays(w, w.given[parameter], found)) for parameter, found in stored.items()}
    return [next(arrays[source]) if source in arrays else w.given[source] for source in sources]


def _arrays(w: Writer, slot: Any, stored: Stored) -> list[Any]:
    """The attributes of an object, which are held until the call is over; its shape is among the axes."""
    given = w.held(slot)
    kind, known = w.load(given, TYPE, w.ptr), w.block("is_stored")
    for name in stored.classes:
        with w.b.if_then(w.equal(kind, w.object(f"{CLASS}{name}"))):
            w.b.branch(known)
    w.b.branch(w.slow)
    w.b.position_at_end(known)
    _read_shape(w, given, len(stored.dims))
    for name in stored.truths:
        w.need(w.equal(w.held(_attribute(w, given, name)), w.object("_Py_TrueStruct")), w.slow)
    return [_attribute(w, given, name) for name in stored.arrays]


def _read_shape(w: Writer, given: Any, rank: int) -> None:
    shape = w.held(_attribute(w, given, "shape"))
    w.need(w.equal(w.load(shape, TYPE, w.ptr), w.object("PyTuple_Type")), w.slow)
    w.need(w.equal(w.load(shape, LENGTH, w.i64), w.i64(rank)), w.slow)
    for axis in range(rank):
        size = w.load(shape, ITEMS + 8 * axis, w.ptr)
        w.need(w.equal(w.load(size, TYPE, w.ptr), w.object("PyLong_Type")), w.slow)
        w.axes.append(operands.integer(w, size))


def _attribute(w: Writer, given: Any, name: str) -> Any:
    """A slot with an attribute."""
    slot = w.own()
    w.b.store(w.call("PyObject_GetAttr", given, w.object(f"{ATTRIBUTE}{name}")), slot)
    missing = w.block("missing")
    w.need_not(w.is_null(w.held(slot)), missing)
    with w.b.goto_block(missing):
        w.call("PyErr_Clear")
        w.b.branch(w.slow)
    return slot
