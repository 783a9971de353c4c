"""One matrix or row of a routine, where its code is written; and how LAPACK is called for it.

LAPACK holds matrices by columns: what it reads of a row-major array is the transpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from tpc.backends.llvm import rooms
from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.turning import Matrix, Range, turn
from tpc.backends.llvm.nests.types import BYTE, I1, INTEGER, lanes_of, register, vector
from tpc.backends.llvm.nests.writer import Writer
from tpc.backends.llvm.signature import Failure
from tpc.ir.node import Node
from tpc.ir.types import F32, DType

WHOLE = ir.IntType(32)  # integers of LAPACK


@dataclass(frozen=True)
class Site:
    """What a routine is written with: where its operands and results are, and the room that it asked for."""

    writer: Writer
    errors: Errors
    status: ir.Value
    node: Node
    operands: list[ir.Value]
    results: list[ir.Value]
    room: ir.Value | None
    is_turned: bool = False  # whether the first operand is the transpose of its matrix

    @property
    def b(self) -> ir.IRBuilder:
        return self.writer.builder

    @property
    def dtype(self) -> DType:
        return self.node.args[0].tensor.dtype

    @property
    def type(self) -> ir.Type:
        """Of an entry of the first operand, in LAPACK's formats."""
        return register(self.dtype)

    @property
    def order(self) -> ir.Value:
        """The rows of a square matrix, the first operand."""
        return self.writer.dim(self.node.args[0].tensor.dims[-1])

    @property
    def shape(self) -> tuple[ir.Value, ir.Value]:
        """The rows and columns of the first operand."""
        rows, columns = map(self.writer.dim, self.node.args[0].tensor.dims[-2:])
        return rows, columns

    def columns(self) -> ir.Value | None:
        """Of a matrix on the right, the last operand; None where that is a vector."""
        right = self.node.args[-1].tensor
        return None if right.rank == 1 else self.writer.dim(right.dims[-1])

    # ---- memory

    def arrays(self) -> tuple[list[tuple[ir.Value, ir.Value]], ir.Value]:
        """The arrays of the room, each with its entries; behind them the integers of LAPACK."""
        assert self.room is not None
        found, place = [], self.room
        for count in rooms.counts(self.node)[0]:
            entries = self.writer.dim(count)
            found.append((place, entries))
            place = self.entry(place, entries)
        return found, place

    def entry(self, array: ir.Value, place: ir.Value) -> ir.Value:
        """Where an entry of an array of the routine's format is."""
        return self.writer.address(array, self.type, place)

    def load(self, array: ir.Value, place: ir.Value) -> ir.Value:
        return self.b.load(self.entry(array, place), typ=self.type, align=self.dtype.size)

    def store(self, value: ir.Value, array: ir.Value, place: ir.Value) -> None:
        self.b.store(value, self.entry(array, place), align=self.dtype.size)

    def copy(self, target: ir.Value, source: ir.Value, entries: ir.Value) -> None:
        self.copy_bytes(target, source, self.b.mul(entries, self.writer.integer(self.dtype.size)))

    def copy_bytes(self, target: ir.Value, source: ir.Value, size: ir.Value) -> None:
        arguments = [target, source, size, ir.Constant(I1, 0)]
        self.writer.intrinsic("llvm.memcpy", [target.type, target.type, INTEGER], ir.VoidType(), arguments)

    def clear(self, target: ir.Value, bytes: ir.Value) -> None:
        arguments = [target, ir.Constant(BYTE, 0), bytes, ir.Constant(I1, 0)]
        self.writer.intrinsic("llvm.memset", [target.type, INTEGER], ir.VoidType(), arguments)

    def copy_square(self, target: ir.Value, source: ir.Value) -> None:
        self.copy(target, source, self.b.mul(self.order, self.order))

    def copy_triangle(self, target: ir.Value, source: ir.Value, lower: bool) -> None:
        """A triangle of a matrix, with zeros in the other."""
        n, one = self.order, self.writer.integer(1)
        with self.writer.loop("row", self.writer.integer(0), n) as row:
            start = self.b.mul(row, n)
            first = start if lower else self.b.add(start, row)
            count = self.b.add(row, one) if lower else self.b.sub(n, row)
            self.copy(self.entry(target, first), self.entry(source, first), count)
            zeros = self.b.add(start, count) if lower else start
            rest = self.b.mul(self.b.sub(n, count), self.writer.integer(self.dtype.size))
            self.clear(self.entry(target, zeros), rest)

    def transpose(self, target: ir.Value, source: ir.Value, shape: tuple[ir.Value, ir.Value] | None = None) -> None:
        """The transpose of a matrix, which has the shape of the first operand if none is given."""
        rows, columns = shape or self.shape
        zero = self.writer.integer(0)
        self.turn((source, columns), (target, rows), (zero, rows), (zero, columns))

    def turn(self, source: Matrix, target: Matrix, rows: Range, columns: Range) -> None:
        """See `turning`."""
        turn(self.writer, self.type, source, target, rows, columns)

    # ---- calls

    def call(self, name: str, *arguments: ir.Value | str | int | float) -> None:
        """Call a routine of LAPACK or BLAS in the format; letters and numbers are passed by their places."""
        given = [a if isinstance(a, ir.Value) and a.type.is_pointer else self._slot(a) for a in arguments]
        self.writer.call(f"{'s' if self.dtype is F32 else 'd'}{name}_", ir.VoidType(), given)

    def _slot(self, value: ir.Value | str | int | float) -> ir.Value:
        if isinstance(value, str):
            value = ir.Constant(BYTE, ord(value))
        elif isinstance(value, float):
            value = ir.Constant(self.type, value)
        elif isinstance(value, int):
            value = ir.Constant(WHOLE, value)
        elif value.type == INTEGER:
            value = self.b.trunc(value, WHOLE)
        slot = self.writer.variable(value.type, "argument")
        self.b.store(value, slot)
        return slot

    def least(self, size: ir.Value) -> ir.Value:
        """A distance of lines, which LAPACK wants to be positive."""
        return self.writer.greater(size, self.writer.integer(1))

    def info(self) -> ir.Value:
        """Where LAPACK says whether it failed."""
        return self._slot(0)

    def has_failed(self, info: ir.Value) -> ir.Value:
        return self.b.icmp_signed("!=", self.b.load(info, typ=WHOLE), ir.Constant(WHOLE, 0))

    def is_finite(self, array: ir.Value, entries: ir.Value) -> ir.Value:
        """Whether an array has neither infinities nor NaN: the products with zero are added up."""
        b, writer, size = self.b, self.writer, self.dtype.size
        lanes = host().vector_bits // (8 * size)
        whole = b.and_(entries, writer.integer(-lanes))
        found: ir.Value = ir.Constant(ir.IntType(lanes), 0)
        wide = vector(self.type, lanes), writer.integer(0), whole, lanes
        for type_, begin, end, step in (wide, (self.type, whole, entries, 1)):
            total = writer.variable(type_, "total")
            b.store(ir.Constant(type_, None), total)
            with writer.loop("check", begin, end, step) as place:
                value = b.load(self.entry(array, place), typ=type_, align=size)
                product = b.fmul(value, ir.Constant(type_, None))
                b.store(b.fadd(b.load(total, typ=type_), product), total)
            value = b.load(total, typ=type_)
            bad = b.fcmp_unordered("uno", value, value)
            bits = b.bitcast(bad, found.type) if lanes_of(value) else b.zext(bad, found.type)
            found = b.or_(found, bits)
        return b.icmp_signed("==", found, ir.Constant(found.type, 0))

    # ---- errors

    def fail(self, condition: ir.Value, text: str, kind: str = "LinAlgError") -> None:
        """Note an error where a condition holds."""
        number = self.writer.integer(self.errors.number(Failure(kind, text)))
        before = self.b.load(self.status, typ=INTEGER)
        self.b.store(self.b.select(condition, number, before), self.status)

    def refuse_zeros(self, matrix: ir.Value, what: str = "a matrix is singular") -> None:
        """Note an error where a number on the diagonal is zero."""
        n, one = self.order, self.writer.integer(1)
        found = self.writer.variable(I1, "found")
        self.b.store(ir.Constant(I1, 0), found)
        with self.writer.loop("diagonal", self.writer.integer(0), n) as row:
            value = self.load(matrix, self.b.mul(row, self.b.add(n, one)))
            is_zero = self.b.fcmp_ordered("==", value, ir.Constant(self.type, 0.0))
            self.b.store(self.b.or_(self.b.load(found, typ=I1), is_zero), found)
        self.fail(self.b.load(found, typ=I1), what)
