"""The code between Python and a native function, as LLVM IR.

    PyObject *tpc_entry(PyObject *self, PyObject **arguments, Py_ssize_t count, PyObject *keywords)

Takes what needs no conversion: arrays of the very dtype and rank, whose sizes agree, and numbers for values without
axes. Arrays that are not contiguous are copied. Whatever else is given, and where the native function fails, the slow
function is called with the same arguments: it does everything that is legal, and says what is wrong.

`self` is a tuple; its first entry is the slow function, its second the type of several results, or what finishes one.
The code is the same for all native functions of like operands and results, so that it is compiled once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tpc.backends.llvm import arena, sizes
from tpc.backends.llvm.entry import operands, results, stored
from tpc.backends.llvm.entry.layout import ITEMS, LENGTH, TYPE
from tpc.backends.llvm.entry.stored import Stored
from tpc.backends.llvm.entry.writer import Writer
from tpc.backends.llvm.lowered import kept
from tpc.backends.llvm.signature import Array, Native, Signature
from tpc.ir.dims import DimLike
from tpc.ir.types import STRONG

# symbols; words have the numbers of parameters, and at no address are numbers: of the points that make a call long, and
# of the threads that it may take
ENTRY, NATIVE, WORD, LONG, MOST = "tpc_entry", "tpc_native", "tpc_word_", "tpc_long", "tpc_most_threads"


@dataclass(frozen=True)
class Manner:
    """How a native function is called from Python.

    Attributes
    ----------
    sources
        The number of the parameter that each operand comes from.
    stored
        The parameters that stand for several operands.
    given
        Sizes that are parameters after those of the operands.
    nonnegative
        What must not be negative at the sizes of a call.
    is_finished
        Whether the first of `stored` and the array that is made go to a function of Python, which gives the result.
    is_limited
        Whether there is a limit to its threads.
    """

    sources: tuple[int, ...]
    stored: tuple[tuple[int, Stored], ...] = ()
    given: tuple[str, ...] = ()
    nonnegative: tuple[DimLike, ...] = ()
    is_finished: bool = False
    is_limited: bool = False

    @property
    def parameters(self) -> int:
        """How many there are for operands."""
        return max(self.sources, default=-1) + 1


def glue(signature: Signature, manner: Manner) -> Native:
    """The entry of native functions of this signature."""
    like = replace(
        signature, name="", operands=_unnamed(signature.operands), results=_unnamed(signature.results), errors=()
    )
    return _glue(like, manner)


def _unnamed(arrays: Sequence[Array]) -> tuple[Array, ...]:
    return tuple(Array("", STRONG.get(array.dtype, array.dtype), array.dims) for array in arrays)


@lru_cache(256)
def _glue(signature: Signature, manner: Manner) -> Native:
    return kept(["glue", signature, manner], lambda: _written(signature, manner))


def _written(signature: Signature, manner: Manner) -> Native:
    writer = Writer(ENTRY, signature, manner.parameters + len(manner.given) + 1)
    _write(writer, manner)
    symbols = tuple(g.name for g in writer.module.global_values if g.name != ENTRY)
    return Native(Signature(ENTRY, (), (), ()), str(writer.module), symbols)


def _write(w: Writer, manner: Manner) -> None:
    arrays, objects = w.signature.operands, dict(manner.stored)
    read = w.block("read")
    w.b.branch(read)
    w.b.position_at_end(read)
    _read_arguments(w, manner.parameters)
    slots = stored.slots(w, manner.sources, objects)
    data = [operands.data(w, array, slot) for array, slot in zip(arrays, slots)]
    dims = [dim for shape in (*(found.dims for found in objects.values()), *(a.dims for a in arrays)) for dim in shape]
    _read_sizes(w, dims, manner)
    _check_sizes(w, dims, manner.nonnegative)
    data = [
        place if copy is None else operands.contiguous(w, place, slot, copy)
        for place, slot, copy in zip(data, slots, w.copies)
    ]
    targets = results.targets(w, data, manner.is_finished)
    w.need(w.equal(_run(w, data, targets, manner.is_limited), w.i64(0)), w.slow)
    for slot in w.passing:
        with w.b.if_then(w.b.not_(w.is_null(w.held(slot)))):
            w.call("Py_DecRef", w.held(slot))
            w.b.store(w.null, slot)
    if manner.is_finished:
        results.finish(w, w.held(w.given[manner.stored[0][0]]))
    else:
        results.give(w, targets)
    _write_ends(w)


# ---- arguments


def _read_arguments(w: Writer, count: int) -> None:
    """Put each argument into the slot of its parameter, so many by position; all but `out` must be there."""
    plain, named, ready = w.block("plain"), w.block("named"), w.block("ready")
    positions = range(count)
    w.b.cbranch(w.is_null(w.keywords), plain, named)
    w.b.position_at_end(plain)
    w.need(w.equal(w.count, w.i64(len(positions))), w.slow)
    for position in positions:
        w.b.store(w.load(w.arguments, 8 * position, w.ptr), w.given[position])
    w.b.branch(ready)
    w.b.position_at_end(named)
    w.need(w.b.icmp_signed("<=", w.count, w.i64(len(positions))), w.slow)
    for position in positions:
        with w.b.if_then(w.b.icmp_signed("<", w.i64(position), w.count)):
            w.b.store(w.load(w.arguments, 8 * position, w.ptr), w.given[position])
    _read_keywords(w)
    w.b.branch(ready)
    w.b.position_at_end(ready)
    for slot in w.given[:-1]:
        w.need_not(w.is_null(w.held(slot)), w.slow)


def _read_keywords(w: Writer) -> None:
    """The arguments that are given by name; names are interned, so that they are the same objects."""
    total = w.load(w.keywords, LENGTH, w.i64)
    values = w.at(w.arguments, w.b.mul(w.count, w.i64(8)))
    before, head, body, after = w.b.block, w.block("keyword"), w.block("known"), w.block("keywords")
    w.b.branch(head)
    w.b.position_at_end(head)
    number = w.b.phi(w.i64)
    number.add_incoming(w.i64(0), before)
    w.b.cbranch(w.b.icmp_signed("<", number, total), body, after)
    w.b.position_at_end(body)
    offset = w.b.mul(number, w.i64(8))
    name = w.load(w.at(w.keywords, ITEMS), offset, w.ptr)
    value = w.load(values, offset, w.ptr)
    found = w.block("found")
    for position, slot in enumerate(w.given):
        with w.b.if_then(w.equal(name, w.object(f"{WORD}{position}"))):
            w.need(w.is_null(w.held(slot)), w.slow)  # not given twice
            w.b.store(value, slot)
            w.b.branch(found)
    w.b.branch(w.slow)
    w.b.position_at_end(found)
    number.add_incoming(w.b.add(number, w.i64(1)), found)
    w.b.branch(head)
    w.b.position_at_end(after)


# ---- sizes


def _read_sizes(w: Writer, dims: Sequence[DimLike], manner: Manner) -> None:
    """The named sizes, of shapes and of parameters; where both tell them, they must agree."""
    for name, (position, slope, offset) in sizes.told(dims).items():
        rest = w.b.sub(w.axes[position], w.i64(offset)) if offset else w.axes[position]
        w.sizes[name] = w.b.sdiv(rest, w.i64(slope)) if slope != 1 else rest
    for name, slot in zip(manner.given, w.given[manner.parameters :]):
        w.need(w.equal(w.load(w.held(slot), TYPE, w.ptr), w.object("PyLong_Type")), w.slow)
        value = operands.integer(w, w.held(slot))
        w.need(w.equal(w.sizes.setdefault(name, value), value), w.slow)
    for name in w.signature.sizes:
        if name not in w.sizes:
            raise ValueError(f"nothing tells the size {name}")


def _check_sizes(w: Writer, dims: Sequence[DimLike], nonnegative: Sequence[DimLike]) -> None:
    for dim, axis in zip(dims, w.axes):
        expected = w.size(dim)
        if expected is not axis:
            w.need(w.equal(expected, axis), w.slow)
    for size in (*w.sizes.values(), *map(w.size, nonnegative)):
        if size not in w.axes:
            w.need(w.b.icmp_signed(">=", size, w.i64(0)), w.slow)


# ---- the native function


def _run(w: Writer, data: Sequence[Any], targets: Sequence[Any], is_limited: bool) -> Any:
    """Call the native function; its status."""
    workspace, size = w.null, None
    if w.signature.workspace != 0:
        size = w.size(w.signature.workspace)
        workspace = w.call("tpc_workspace", size)
        w.need_not(w.is_null(workspace), w.slow)  # which of two branches takes the one with less
    arguments = [*(w.sizes[name] for name in w.signature.sizes), *data, *targets, workspace]
    native = w.ir.Function(w.module, w.ir.FunctionType(w.i64, [a.type for a in arguments]), NATIVE)
    long = w.b.sitofp(w.number(LONG), w.double)
    is_long = w.b.fcmp_ordered(">", _points(w), long)
    state = w.slot(w.ptr)
    w.b.store(w.null, state)
    with w.b.if_then(is_long):
        w.b.store(w.call("PyEval_SaveThread"), state)
    if is_limited:
        w.call("tpc_limit_begin", w.number(MOST))
    status = w.b.call(native, arguments)
    if is_limited:
        w.call("tpc_limit_end")
    if size is not None:
        with w.b.if_then(w.b.icmp_signed(">", size, w.i64(arena.KEPT))):
            w.call("tpc_trim")
    with w.b.if_then(is_long):
        w.call("PyEval_RestoreThread", w.held(state))
    return status


def _points(w: Writer) -> Any:
    """The points of the loops: one for each choice of an index on every axis."""
    points = w.double(1.0)
    for dim in w.signature.axes:
        points = w.b.fmul(points, w.b.sitofp(w.size(dim), w.double))
    return points


def _write_ends(w: Writer) -> None:
    for block in (w.slow, w.failed):
        w.b.position_at_end(block)
        for slot in (*w.passing, *w.made):
            w.call("Py_DecRef", w.held(slot))  # which takes null as well
        if block is w.failed:
            w.b.ret(w.null)
    w.b.position_at_end(w.slow)
    slow = w.load(w.self, ITEMS, w.ptr)
    w.b.ret(w.call("PyObject_Vectorcall", slow, w.arguments, w.count, w.keywords))
