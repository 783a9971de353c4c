"""Matrix products in registers: a square of the result is there while a panel of the right matrix runs past it.

A panel, as many columns as fit in two vectors, is put in order in the first cache; then some rows of the left matrix
at a time are multiplied with it, entry by entry (Goto and van de Geijn, Anatomy of high-performance matrix
multiplication, 2008). At the edges the last row stands for those beyond it, and lanes beyond the last column are not
stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from llvmlite import ir

from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests.packing import TILE, transposed
from tpc.backends.llvm.nests.types import POINTER, constant, vector
from tpc.backends.llvm.nests.writer import Writer

ROWS = 8  # of a square: with two vectors of columns 16 sums, twice what it takes to keep the multipliers busy
VECTORS = 2
DEPTH = 256  # rows of a panel, which is then 32 KiB
NEAR = 1 << 13  # bytes of a right matrix that is in the first cache as it is, and stays there
WIDTHS = (256, 512)  # bits of vectors that are worth this


def is_possible() -> bool:
    """Whether the machine has registers enough."""
    return host().vector_bits in WIDTHS


@dataclass(frozen=True)
class Matrix:
    """The first entry of a matrix, and how far apart its rows and its columns are, of which one are side by side."""

    start: ir.Value
    down: ir.Value
    along: ir.Value
    is_transposed: bool = False


@dataclass(frozen=True)
class Multiplication:
    """`result = left @ right`, or what is added to the result, of an m x k and a k x n matrix; `shape` is m, n, k.

    `following` is where the matrices begin that come next, left and right, if those of a batch lie side by side.
    """

    writer: Writer
    type: ir.Type
    shape: tuple[ir.Value, ir.Value, ir.Value]
    left: Matrix
    right: Matrix
    result: Matrix
    is_added: bool
    following: tuple[ir.Value, ...] = ()

    @property
    def b(self) -> ir.IRBuilder:
        return self.writer.builder

    @property
    def bytes(self) -> int:
        return 8 if isinstance(self.type, ir.DoubleType) else 4

    @property
    def lanes(self) -> int:
        return host().vector_bits // (8 * self.bytes)

    @property
    def width(self) -> int:
        return VECTORS * self.lanes

    @property
    def wide(self) -> ir.Type:
        return vector(self.type, self.lanes)

    @cached_property
    def panel(self) -> ir.Value:
        return self.writer.variable(ir.ArrayType(self.wide, DEPTH * VECTORS), "panel")

    def write(self) -> None:
        writer, b = self.writer, self.b
        rows, columns, summed = self.shape
        # where there is nothing to add up, the result is zero
        with writer.loop("depth", writer.integer(0), writer.greater(summed, writer.integer(1)), DEPTH) as top:
            depth = writer.lesser(b.sub(summed, top), writer.integer(DEPTH))
            before = b.or_(b.icmp_signed(">", top, writer.integer(0)), ir.Constant(ir.IntType(1), int(self.is_added)))
            with writer.loop("columns", writer.integer(0), columns, self.width) as first:
                count = writer.lesser(b.sub(columns, first), writer.integer(self.width))
                masks = self._masks(count)
                hidden = self._masks(writer.opaque(count))  # LLVM must not know that these are the same
                if not self.is_near:
                    pack = self._pack_transposed if self.right.is_transposed else self._pack
                    pack(top, depth, first, count)
                with writer.loop("rows", writer.integer(0), rows, ROWS) as row:
                    last = b.sub(rows, writer.integer(1))
                    places = [writer.lesser(b.add(row, writer.integer(n)), last) for n in range(ROWS)]
                    lines = [self._place(self.left, place, top) for place in places]
                    starts = [self._place(self.result, place, first) for place in places]
                    targets = [self._beside(start) for start in starts]
                    sums = self._begun(targets, hidden, before)
                    self._multiply(lines, sums, depth, (row, first, top))
                    for line, variables in zip(targets, sums, strict=True):
                        for place, mask, variable in zip(line, masks, variables, strict=True):
                            self._store(place, b.load(variable, typ=self.wide), mask)

    @cached_property
    def is_near(self) -> bool:
        """Whether the right matrix is read where it is: it is small, and has whole panels of columns side by side."""
        _, columns, summed = (n.constant if isinstance(n, ir.Constant) else None for n in self.shape)
        if columns is None or summed is None or self.right.is_transposed:
            return False
        return bool(columns % self.width == 0 and columns * summed * self.bytes <= NEAR)

    def _factors(self, corner: tuple[ir.Value, ir.Value, ir.Value], step: ir.Value) -> ir.Value:
        """Where a row of the right matrix is, or of the panel."""
        _, first, top = corner
        return self._place(self.right, self.b.add(top, step), first) if self.is_near else self._line(step)

    # ---- panels

    def _pack(self, top: ir.Value, depth: ir.Value, first: ir.Value, count: ir.Value) -> None:
        masks = self._masks(count)
        start = self._place(self.right, top, first)
        with self.writer.loop("pack", self.writer.integer(0), depth) as step:
            line = self._at(start, self.b.mul(step, self.right.down))
            for place, target, mask in zip(self._beside(line), self._beside(self._line(step)), masks, strict=True):
                self.b.store(self._load(place, self.wide, mask), target, align=self.bytes)

    def _pack_transposed(self, top: ir.Value, depth: ir.Value, first: ir.Value, count: ir.Value) -> None:
        writer, b = self.writer, self.b
        last = b.sub(count, writer.integer(1))
        with writer.loop("group", writer.integer(0), writer.integer(self.width), TILE) as group:
            columns = [writer.lesser(b.add(group, writer.integer(n)), last) for n in range(TILE)]
            starts = [self._place(self.right, top, b.add(first, column)) for column in columns]
            with writer.loop("pack", writer.integer(0), depth, TILE) as step:
                there = b.icmp_signed("<", writer.count_up(TILE), writer.spread(b.sub(depth, step), TILE))
                places = [self._at(start, step) for start in starts]
                lines = [self._load(place, vector(self.type, TILE), there) for place in places]
                for n, piece in enumerate(transposed(b, lines)):
                    line = self._line(b.add(step, writer.integer(n)))
                    b.store(piece, self._at(line, group), align=self.bytes)

    def _line(self, step: ir.Value) -> ir.Value:
        """Where a row of the panel is."""
        return self._at(self.panel, self.b.mul(step, self.writer.integer(self.width)))

    # ---- squares

    def _begun(self, targets: list[list[ir.Value]], masks: list[ir.Value], before: ir.Value) -> list[list[ir.Value]]:
        """The sums of a square: from zero on, or from what is there before."""
        sums = [[self.writer.variable(self.wide, "square") for _ in line] for line in targets]
        for variable in (v for variables in sums for v in variables):
            self.b.store(constant(self.wide, 0), variable)
        with self.writer.when(before, "before"):
            for line, variables in zip(targets, sums, strict=True):
                for place, mask, variable in zip(line, masks, variables, strict=True):
                    self.b.store(self._load(place, self.wide, mask), variable)
        return sums

    def _multiply(
        self,
        lines: list[ir.Value],
        sums: list[list[ir.Value]],
        depth: ir.Value,
        corner: tuple[ir.Value, ir.Value, ir.Value],
    ) -> None:
        writer, b = self.writer, self.b
        with writer.loop("step", writer.integer(0), depth) as step:
            if self.following:
                self._fetch(*corner, step)
            right = [b.load(p, typ=self.wide, align=self.bytes) for p in self._beside(self._factors(corner, step))]
            offset = b.mul(step, self.left.along)
            for line, variables in zip(lines, sums, strict=True):
                entry = b.load(self._at(line, offset), typ=self.type, align=self.bytes)
                entries = writer.spread(entry, self.lanes)
                for factor, variable in zip(right, variables, strict=True):
                    total = b.load(variable, typ=self.wide)
                    total = writer.intrinsic("llvm.fma", [self.wide], self.wide, [entries, factor, total])
                    b.store(total, variable)

    def _fetch(self, row: ir.Value, column: ir.Value, top: ir.Value, step: ir.Value) -> None:
        """Ask for a line of each of the matrices that come next: in time for all of them."""
        writer, b = self.writer, self.b
        _, columns, depth = self.shape
        left, right = self.following
        place = b.add(b.mul(row, depth), b.mul(b.add(top, step), writer.integer(ROWS)))
        writer.fetch(self._at(left, place))
        half = b.and_(row, writer.integer(ROWS))  # of a row of the panel, which is two lines: one in every other square
        place = b.add(b.add(b.mul(b.add(top, step), columns), column), b.mul(half, writer.integer(8 // self.bytes)))
        writer.fetch(self._at(right, place))

    # ---- places

    def _at(self, start: ir.Value, place: ir.Value) -> ir.Value:
        """Where an entry is; it may lie beyond the matrix, where it is masked."""
        return self.b.gep(start, [place], source_etype=self.type)

    def _place(self, matrix: Matrix, row: ir.Value, column: ir.Value) -> ir.Value:
        offset = self.b.add(self.b.mul(row, matrix.down), self.b.mul(column, matrix.along))
        return self._at(matrix.start, offset)

    def _beside(self, start: ir.Value) -> list[ir.Value]:
        """Where the vectors of a row begin."""
        steps = [self.writer.integer(v * self.lanes) for v in range(VECTORS)]
        return [self._at(start, step) for step in steps]

    def _masks(self, count: ir.Value) -> list[ir.Value]:
        """Which lanes of the vectors of a row there are."""
        rests = [self.b.sub(count, self.writer.integer(v * self.lanes)) for v in range(VECTORS)]
        up = self.writer.count_up(self.lanes)
        return [self.b.icmp_signed("<", up, self.writer.spread(rest, self.lanes)) for rest in rests]

    def _load(self, address: ir.Value, wide: ir.Type, mask: ir.Value) -> ir.Value:
        arguments = [address, ir.Constant(ir.IntType(32), self.bytes), mask, constant(wide, 0)]
        return self.writer.intrinsic("llvm.masked.load", [wide, POINTER], wide, arguments)

    def _store(self, address: ir.Value, value: ir.Value, mask: ir.Value) -> None:
        arguments = [value, address, ir.Constant(ir.IntType(32), self.bytes), mask]
        self.writer.intrinsic("llvm.masked.store", [self.wide, POINTER], ir.VoidType(), arguments)
