"""The part of an entry that gives results: new ones, or those that the caller lent with `out`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tpc.backends.llvm.allocator import FROM
from tpc.backends.llvm.entry.layout import CONTIGUOUS, DATA, DIMS, FLAGS, ITEMS, LENGTH, TYPE, WRITEABLE
from tpc.backends.llvm.entry.operands import check
from tpc.backends.llvm.entry.writer import Writer
from tpc.backends.llvm.signature import Array
from tpc.ir.dims import product


def targets(w: Writer, operands: Sequence[Any], is_finished: bool = False) -> list[Any]:
    """Where the results are to be written; nobody can lend what is finished in Python."""
    out = w.held(w.given[-1])
    if is_finished:
        w.need(w.is_null(out), w.slow)
        return [_new(w, array, slot) for array, slot in zip(w.signature.results, w.made)]
    lent, new, go_on = w.block("lent"), w.block("new"), w.block("targets")
    w.b.cbranch(w.is_null(out), new, lent)
    w.b.position_at_end(lent)
    places = [_lent(w, array, one) for array, one in zip(w.signature.results, _unpacked(w, out))]
    _check_apart(w, operands, places)
    lent_from = w.b.block
    w.b.branch(go_on)
    w.b.position_at_end(new)
    made = [_new(w, array, slot) for array, slot in zip(w.signature.results, w.made)]
    new_from = w.b.block
    w.b.branch(go_on)
    w.b.position_at_end(go_on)
    found = []
    for place, other in zip(places, made):
        target = w.b.phi(w.ptr)
        target.add_incoming(place, lent_from)
        target.add_incoming(other, new_from)
        found.append(target)
    return found


def finish(w: Writer, first: Any) -> None:
    """Return what a function of Python makes of an argument and the one array that was made."""
    pair = w.slot(w.ptr, 2)
    made = w.held(w.made[0])
    w.b.store(first, pair)
    w.b.store(made, w.at(pair, 8))
    found = w.call("PyObject_Vectorcall", w.load(w.self, ITEMS + 8, w.ptr), pair, w.i64(2), w.null)
    w.call("Py_DecRef", made)
    w.b.ret(found)


def give(w: Writer, targets: Sequence[Any]) -> None:
    """Return what the caller lent, or what was made."""
    out = w.held(w.given[-1])
    with w.b.if_then(w.b.not_(w.is_null(out))):
        w.call("Py_IncRef", out)
        w.b.ret(out)
    for array, place, slot in zip(w.signature.results, targets, w.made):
        if not array.dims:
            dtype = w.object(f"tpc_numpy_dtype_{array.dtype.name}")
            w.b.store(w.call("tpc_numpy_scalar", place, dtype, w.null), slot)
            w.need_not(w.is_null(w.held(slot)), w.failed)
    made = [w.held(slot) for slot in w.made]
    if len(made) == 1:
        w.b.ret(made[0])
        return
    whole = w.call("PyType_GenericAlloc", w.load(w.self, ITEMS + 8, w.ptr), w.i64(len(made)))
    w.need_not(w.is_null(whole), w.failed)
    for position, one in enumerate(made):
        w.b.store(one, w.at(whole, ITEMS + 8 * position))
    w.b.ret(whole)


def _unpacked(w: Writer, out: Any) -> list[Any]:
    """What was lent for each result: an array, or a tuple of arrays where there are several."""
    count = len(w.signature.results)
    if count == 1:
        return [out]
    w.need(w.equal(w.load(out, TYPE, w.ptr), w.object("PyTuple_Type")), w.slow)
    w.need(w.equal(w.load(out, LENGTH, w.i64), w.i64(count)), w.slow)
    return [w.load(out, ITEMS + 8 * position, w.ptr) for position in range(count)]


def _lent(w: Writer, array: Array, out: Any) -> Any:
    """The data of a lent array, if it fits."""
    check(w, array, out, w.slow)
    w.need(w.has_flags(out, FLAGS, CONTIGUOUS | WRITEABLE), w.slow)
    dims = w.load(out, DIMS, w.ptr)
    for axis, dim in enumerate(array.dims):
        w.need(w.equal(w.load(dims, 8 * axis, w.i64), w.size(dim)), w.slow)
    return w.load(out, DATA, w.ptr)


def _check_apart(w: Writer, operands: Sequence[Any], lent: Sequence[Any]) -> None:
    """Need that lent arrays overlap neither operands nor each other."""
    spans = []
    for array, place in (*zip(w.signature.operands, operands), *zip(w.signature.results, lent)):
        begin = w.b.ptrtoint(place, w.i64)
        spans.append((begin, w.b.add(begin, w.bytes(array))))
    for position in range(len(operands), len(spans)):
        begin, end = spans[position]
        for other_begin, other_end in spans[:position]:
            is_before = w.b.icmp_unsigned("<=", end, other_begin)
            is_after = w.b.icmp_unsigned(">=", begin, other_end)
            w.need(w.b.or_(is_before, is_after), w.slow)


def _new(w: Writer, array: Array, slot: Any) -> Any:
    """The data of a new array; a number is written to a place of ours, and made an object afterwards."""
    if not array.dims:
        return w.slot(w.i64, 2)
    rank = len(array.dims)
    dims = w.slot(w.i64, rank)
    for axis, dim in enumerate(array.dims):
        w.b.store(w.size(dim), w.at(dims, 8 * axis))
    dtype = w.object(f"tpc_numpy_dtype_{array.dtype.name}")
    w.call("Py_IncRef", dtype)  # the array takes one reference
    kind = w.object("tpc_numpy_array")
    with _memory(w, array):
        made = w.call("tpc_numpy_new", kind, dtype, w.i32(rank), dims, w.null, w.null, w.i32(0), w.null)
        w.b.store(made, slot)
    made = w.held(slot)
    w.need_not(w.is_null(made), w.failed)
    return w.load(made, DATA, w.ptr)


@contextmanager
def _memory(w: Writer, array: Array) -> Iterator[None]:
    """Where the memory of an array is large, let it come from our allocator."""
    size = product([*array.dims, array.dtype.size])
    if isinstance(size, int) and size < FROM:
        yield
        return
    is_large = w.b.icmp_unsigned(">=", w.size(size), w.i64(FROM))
    others = w.slot(w.ptr)
    with w.b.if_then(is_large):
        w.b.store(w.call("tpc_numpy_set_handler", w.object("tpc_numpy_handler")), others)
        w.need_not(w.is_null(w.held(others)), w.failed)
    yield
    with w.b.if_then(is_large):
        w.call("Py_DecRef", w.call("tpc_numpy_set_handler", w.held(others)))
        w.call("Py_DecRef", w.held(others))
