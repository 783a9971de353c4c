"""Kernels: functions over a range of a statement's outermost letter, which threads may share.

    void NAME(int64_t size..., void *buffer..., int64_t *status, int64_t begin, int64_t end)

Begin and end are values of the outermost letter; a statement without letters has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from tpc.backends.llvm.fusion.statement import Buffer, Statement, Temporary
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.types import INTEGER, POINTER
from tpc.backends.llvm.nests.values import Values
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.dims import DimLike


@dataclass(frozen=True)
class Kernel:
    """A kernel that has been written: what it takes, how many values its outermost letter has, of which `unit` stay
    together, and what all of them cost."""

    function: ir.Function
    buffers: tuple[Buffer, ...]
    extent: DimLike
    unit: int
    cost: DimLike  # hundredths of nanoseconds


@dataclass(frozen=True)
class Opened:
    """A kernel that is being written."""

    function: ir.Function
    buffers: tuple[Buffer, ...]
    values: Values
    begin: ir.Value
    end: ir.Value

    def closed(self, extent: DimLike, unit: int, cost: DimLike) -> Kernel:
        self.values.builder.ret_void()
        return Kernel(self.function, self.buffers, extent, unit, cost)


def buffers_of(statement: Statement) -> tuple[Buffer, ...]:
    """What a statement writes and reads."""
    written = [*(s.target for s in statement.together), *(buffer for _, buffer, _ in statement.kept)]
    return tuple(dict.fromkeys([*written, *(t.data[0] for t in statement.loads)]))


def opened(module: ir.Module, name: str, buffers: tuple[Buffer, ...], sizes: Sequence[str], errors: Errors) -> Opened:
    """A function on buffers, none of which overlaps another."""
    types = [INTEGER] * len(sizes) + [POINTER] * (len(buffers) + 1) + [INTEGER] * 2
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    arguments = list(function.args)
    for argument, size in zip(arguments, sizes, strict=False):
        argument.name = size
    pointers = dict(zip(buffers, arguments[len(sizes) :], strict=False))
    for buffer, argument in pointers.items():
        argument.name = buffer_name(buffer)
        argument.add_attribute("noalias")
    status, begin, end = arguments[-3:]
    status.name, begin.name, end.name = "status", "begin", "end"
    writer = Writer(function, dict(zip(sizes, arguments, strict=False)))
    # so that what is tested of letters is known where it can be
    not_negative = writer.builder.icmp_signed(">=", begin, writer.integer(0))
    writer.call("llvm.assume", ir.VoidType(), [not_negative])
    return Opened(function, buffers, Values(writer, pointers, errors, status), begin, end)


def buffer_name(buffer: Buffer) -> str:
    """What a pointer is called in the code."""
    if isinstance(buffer, Temporary):
        return buffer.name
    return str(buffer["name"]) if buffer.op.name == "input" else str(buffer.op.name)
