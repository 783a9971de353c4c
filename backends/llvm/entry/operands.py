"""The part of an entry that takes operands: arrays of the very dtype and rank, and numbers."""

from __future__ import annotations

from typing import Any

from tpc.backends.llvm.entry.layout import CONTIGUOUS, DATA, DIMS, DTYPE, FLAGS, NUMBER, RANK, TYPE
from tpc.backends.llvm.entry.writer import Writer
from tpc.backends.llvm.signature import Array
from tpc.ir.types import DType


def data(w: Writer, array: Array, slot: Any) -> Any:
    """The data of an operand; arrays are checked but for their sizes and their layout."""
    given = w.held(slot)
    if not array.dims:
        return _number(w, array, given)
    check(w, array, given, w.slow)
    dims = w.load(given, DIMS, w.ptr)
    w.axes += [w.load(dims, 8 * axis, w.i64) for axis in range(len(array.dims))]
    return w.load(given, DATA, w.ptr)


def check(w: Writer, array: Array, given: Any, otherwise: Any) -> None:
    """Need an array of NumPy, of this dtype and rank."""
    w.need(w.equal(w.load(given, TYPE, w.ptr), w.object("tpc_numpy_array")), otherwise)
    w.need(w.equal(w.load(given, RANK, w.i32), w.i32(len(array.dims))), otherwise)
    w.need(w.equal(w.load(given, DTYPE, w.ptr), w.object(f"tpc_numpy_dtype_{array.dtype.name}")), otherwise)


def contiguous(w: Writer, data: Any, slot: Any, copy: Any) -> Any:
    """The data of an array in the order of its axes: its own, or that of a copy."""
    given = w.held(slot)
    before, other, go_on = w.b.block, w.block("copy"), w.block("laid_out")
    w.b.cbranch(w.has_flags(given, FLAGS, CONTIGUOUS), go_on, other)
    w.b.position_at_end(other)
    made = w.call("tpc_numpy_copy", given, w.i32(0))
    w.b.store(made, copy)
    w.need_not(w.is_null(made), w.failed)
    copied = w.load(made, DATA, w.ptr)
    after = w.b.block
    w.b.branch(go_on)
    w.b.position_at_end(go_on)
    place = w.b.phi(w.ptr)
    place.add_incoming(data, before)
    place.add_incoming(copied, after)
    return place


def _number(w: Writer, array: Array, given: Any) -> Any:
    """Where a number is: in an object of NumPy or Python, or in a slot of ours."""
    dtype, done = array.dtype, w.block()
    found: list[tuple[Any, Any]] = []
    type = w.load(given, TYPE, w.ptr)

    def of(symbol: str) -> Any:
        return w.b.if_then(w.equal(type, w.object(symbol)))

    def take(place: Any) -> None:
        found.append((place, w.b.block))
        w.b.branch(done)

    with of(f"tpc_numpy_scalar_{dtype.name}"):
        take(w.at(given, NUMBER))
    if dtype.name in ("f64", "f32"):
        with of("PyFloat_Type"):
            take(_stored(w, dtype, w.load(given, NUMBER, w.double)))
    if dtype.name == "c128":
        with of("PyComplex_Type"):
            take(w.at(given, NUMBER))
    if dtype.name in ("f64", "f32", "i64", "i32", "i8"):
        with of("PyLong_Type"):
            take(_stored(w, dtype, integer(w, given)))
    with of("tpc_numpy_array"):
        check(w, array, given, w.slow)
        w.need(w.has_flags(given, FLAGS, CONTIGUOUS), w.slow)
        take(w.load(given, DATA, w.ptr))
    w.b.branch(w.slow)
    w.b.position_at_end(done)
    place = w.b.phi(w.ptr)
    for value, block in found:
        place.add_incoming(value, block)
    return place


def _stored(w: Writer, dtype: DType, value: Any) -> Any:
    """A slot with the double or the i64 as a number of the dtype."""
    if dtype.kind == "f":
        value = value if value.type is w.double else w.b.sitofp(value, w.double)
        value = value if dtype.size == 8 else w.b.fptrunc(value, w.ir.FloatType())
    elif dtype.size < 8:
        narrow = w.b.trunc(value, w.ir.IntType(8 * dtype.size))
        w.need(w.equal(w.b.sext(narrow, w.i64), value), w.slow)
        value = narrow
    slot = w.slot(value.type)
    w.b.store(value, slot)
    return slot


def integer(w: Writer, given: Any) -> Any:
    """The value of an int of Python, if it has 64 bits."""
    overflow = w.slot(w.i32)
    value = w.call("PyLong_AsLongLongAndOverflow", given, overflow)
    w.need(w.equal(w.b.load(overflow, typ=w.i32), w.i32(0)), w.slow)
    return value
