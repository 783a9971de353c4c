"""Matrix products by BLAS, as steps of a native function.

BLAS holds matrices by columns: the product of row-major arrays is that of their transposes, in the other order. An
array that is transposed itself is told so by a flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.contraction import Contraction, contraction
from tpc.backends.llvm.fusion.statement import Buffer, Loop, Statement
from tpc.backends.llvm.fusion.terms import Term
from tpc.backends.llvm.nests import microkernel
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.function import Kernel, buffers_of, opened
from tpc.backends.llvm.nests.turning import turn
from tpc.backends.llvm.nests.types import BYTE, INTEGER, memory, register
from tpc.backends.llvm.nests.values import Values
from tpc.ir.dims import DimLike, is_nonnegative, product
from tpc.ir.types import F32

FEW = 24**3  # products of fewer entries are not worth the call
THREADED = 1 << 18  # products of more entries are shared by the threads of BLAS, unless it is told otherwise
ROWS = 128  # that BLAS takes at a time: it packs the other matrix anew for each part
OWN = 128  # values of each letter, up to which a batch of products is computed in registers rather than by BLAS
STEP = 7  # hundredths of a nanosecond for a product that is added


@dataclass(frozen=True)
class Product:
    """A product that BLAS can compute: one letter of rows, one of columns, one that is summed over."""

    statement: Statement
    terms: Contraction
    row: Loop
    column: Loop
    summed: Loop
    left: tuple[bool, DimLike]  # whether the array is transposed, and how far its lines are apart
    right: tuple[bool, DimLike]
    distance: DimLike  # of the result's rows

    @property
    def size(self) -> DimLike:
        return self.row[1] * self.column[1] * self.summed[1]

    @property
    def is_small(self) -> bool:
        """Whether it is one of many that are better computed in registers."""
        extents = (self.row[1], self.column[1], self.summed[1])
        is_known = all(isinstance(e, int) and e <= OWN for e in extents)
        return bool(self.terms.batch) and is_known and microkernel.is_possible()


def as_product(statement: Statement) -> Product | None:
    """A statement as a product for BLAS; None where it is none, or so small that loops are better."""
    found = contraction(statement)
    if found is None or not found.is_large:
        return None
    if not len(found.rows) == len(found.columns) == len(found.summed) == 1:
        return None
    (row,), (column,), (summed,) = found.rows, found.columns, found.summed
    if places.slope(statement.place, column[0]) != 1:
        return None
    left = _lines(found.left, row, summed)
    right = _lines(found.right, summed, column)
    distance = places.slope(statement.place, row[0])
    if left is None or right is None or distance is None:
        return None
    return Product(statement, found, row, column, summed, left, right, distance)


def _lines(load: Term, row: Loop, column: Loop) -> tuple[bool, DimLike] | None:
    (index,) = load.arguments
    down, along = places.slope(index, row[0]), places.slope(index, column[0])
    if down is None or along is None or not places.is_affine(index):
        return None
    if along == 1 == down:  # BLAS takes lines that are at least their length apart
        return (False, column[1]) if row[1] == 1 else (True, row[1]) if column[1] == 1 else None
    if along == 1:
        return (False, down) if _are_apart(load, down, column[1]) else None
    return (True, along) if down == 1 and _are_apart(load, along, row[1]) else None


def _are_apart(load: Term, distance: DimLike, length: DimLike) -> bool:
    """Whether BLAS takes lines of a length at this distance: they neither overlap nor run backwards."""
    if distance == load.data[0].tensor.dims[-1]:
        return True  # they are those of the array, or parts of them, as in a tile
    if isinstance(distance, int):
        return isinstance(length, int) and distance >= length
    return is_nonnegative(distance)


def write(
    module: ir.Module,
    name: str,
    made: Product,
    sizes: Sequence[str],
    errors: Errors,
    own: bool = False,
    halved: bool = False,
) -> Kernel:
    """Write the kernel of a product into a module: a call of BLAS for each part of the rows, or our `own` code.

    Of a matrix times its own transpose half of the entries are computed where all are there: it is to be `halved`.

    Threads share the parts, so BLAS itself must take one: its own threads wait for each other, which costs dearly
    beside other work.
    """
    function = opened(module, name, buffers_of(made.statement), sizes, errors)
    _batched(function.values, made, list(made.terms.batch), function.begin, function.end, own, halved)
    first, extent = made.statement.letters[0]
    cost = product(e for _, e in (*made.statement.letters, made.summed)) * STEP
    return function.closed(extent, ROWS if made.row[0] == first else 1, cost)


def _batched(
    values: Values, made: Product, batch: list[Loop], begin: ir.Value, end: ir.Value, own: bool, halved: bool
) -> None:
    writer, first = values.writer, made.statement.letters[0][0]
    if batch:
        (name, extent), *rest = batch
        low, high = (begin, end) if name == first else (writer.integer(0), writer.dim(extent))
        with writer.loop(name, low, high) as counter:
            values.letters[name] = counter
            _batched(values, made, rest, begin, end, own, halved)
        return
    rows = writer.dim(made.row[1])
    for name in (made.row[0], made.column[0], made.summed[0]):
        values.letters[name] = writer.integer(0)
    if made.row[0] == first:
        values.letters[first] = begin
        rows = writer.builder.sub(end, begin)
    dtype = made.statement.body.dtype
    type_ = memory(dtype)

    if own:
        left, right = made.terms.left, made.terms.right
        shape = rows, writer.dim(made.column[1]), writer.dim(made.summed[1])
        starts = [_start(values, x.data[0], x.arguments[0], type_) for x in (left, right)]
        target = _start(values, made.statement.target, made.statement.place, type_)
        result = _matrix(values, target, (False, made.distance))
        matrices = _matrix(values, starts[0], made.left), _matrix(values, starts[1], made.right), result
        sizes = [a[1] * made.summed[1] for a in (made.row, made.column)]
        ends = [writer.address(start, type_, writer.dim(size)) for start, size in zip(starts, sizes, strict=True)]
        following = tuple(ends) if made.terms.batch else ()
        is_added = made.statement.is_added
        microkernel.Multiplication(writer, type_, shape, *matrices, is_added, following).write()
        return
    if not halved or not made.terms.is_gram or made.statement.is_added:
        _multiply(values, made, rows, writer.dim(made.column[1]))
        return
    b = writer.builder
    low = values.letters[made.row[0]]
    target, distance = _start(values, made.statement.target, made.statement.place, type_), writer.dim(made.distance)
    whole = b.gep(target, [b.neg(b.mul(low, distance))], source_etype=type_), distance
    high = b.add(low, rows)
    with writer.loop("part", low, high, ROWS) as start:
        values.letters[made.row[0]] = start
        stop = writer.lesser(high, b.add(start, writer.integer(ROWS)))
        _multiply(values, made, b.sub(stop, start), stop)
        turn(writer, type_, whole, whole, (start, stop), (writer.integer(0), start))


def _multiply(values: Values, made: Product, rows: ir.Value, columns: ir.Value) -> None:
    """Call BLAS for so many rows, from the value of their letter on, and the first columns."""
    writer, dtype = values.writer, made.statement.body.dtype
    type_ = memory(dtype)
    left, right = made.terms.left, made.terms.right
    one = _slot(values, ir.Constant(register(dtype), 1.0))
    before = _slot(values, ir.Constant(register(dtype), float(made.statement.is_added)))
    arguments = [
        _flag(values, made.right[0]),
        _flag(values, made.left[0]),
        _whole(values, columns),
        _whole(values, rows),
        _whole(values, writer.dim(made.summed[1])),
        one,
        _start(values, right.data[0], right.arguments[0], type_),
        _whole(values, writer.dim(made.right[1]), 1),
        _start(values, left.data[0], left.arguments[0], type_),
        _whole(values, writer.dim(made.left[1]), 1),
        before,
        _start(values, made.statement.target, made.statement.place, type_),
        _whole(values, writer.dim(made.distance), 1),
    ]
    writer.call("sgemm_" if dtype is F32 else "dgemm_", ir.VoidType(), arguments)


def _start(values: Values, buffer: Buffer, place: Term, type_: ir.Type) -> ir.Value:
    """Where in a buffer the first entry is."""
    return values.writer.address(values.pointers[buffer], type_, values.first_place(place))


def _matrix(values: Values, start: ir.Value, lines: tuple[bool, DimLike]) -> microkernel.Matrix:
    is_transposed, distance = lines
    one, far = values.writer.integer(1), values.writer.dim(distance)
    return microkernel.Matrix(start, *((one, far) if is_transposed else (far, one)), is_transposed)


def _slot(values: Values, value: ir.Value) -> ir.Value:
    """A number in memory, as Fortran takes it."""
    slot = values.writer.variable(value.type, "argument")
    values.builder.store(value, slot)
    return slot


def _flag(values: Values, transposed: bool) -> ir.Value:
    return _slot(values, ir.Constant(BYTE, ord("T" if transposed else "N")))


def _whole(values: Values, value: ir.Value, least: int = 0) -> ir.Value:
    if least:
        value = values.writer.greater(value, ir.Constant(INTEGER, least))
    return _slot(values, values.builder.trunc(value, ir.IntType(32)))
