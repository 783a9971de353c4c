"""The value of a term at the letters of the loops around: a scalar, or a vector over the letter that makes lanes.

A term is computed in the scope of the loop that is open when it is first asked for; `prepare` asks, before a loop is
opened, for all that does not depend on it. So everything is computed in the outermost loop in which it is defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from llvmlite import ir

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.statement import Buffer
from tpc.backends.llvm.fusion.terms import CHECKED, INSIDE, Term, number_of
from tpc.backends.llvm.host import host
from tpc.backends.llvm.mathematics import emit
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.formats import closed, convert, opened
from tpc.backends.llvm.nests.lanes import NEAR, VECTORS
from tpc.backends.llvm.nests.lookup import looked_up, lookup, lookup_lanes
from tpc.backends.llvm.nests.types import (
    BYTE,
    I1,
    INTEGER,
    POINTER,
    constant,
    lanes_of,
    memory,
    register,
    shuffled,
    vector,
)
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.types import I64, DType

LINE = 64  # bytes
Ahead = Callable[[Term, DType], ir.Value | None]


@dataclass(frozen=True)
class Lanes:
    """The letter whose values from that of the first lane on are the lanes of vectors.

    `mask` tells loads and stores which of them there are, and `counted` tells reductions. They are equal, but LLVM must
    not know: it folds a masked load into an operation under the same mask, and may take the two apart again as a load
    without a mask (LLVM 22, `vfmadd` with zeroing), which reads beyond the array.
    """

    name: str
    count: int
    mask: ir.Value | None
    counted: ir.Value | None


class Values:
    """Terms as values in a function."""

    def __init__(
        self,
        writer: Writer,
        pointers: Mapping[Buffer, ir.Value],
        errors: Errors,
        status: ir.Value,
    ) -> None:
        self.writer, self.pointers, self.errors, self.status = writer, pointers, errors, status
        self.letters: dict[str, ir.Value] = {}  # the value of each letter whose loop is open; the first of the lanes
        self.lanes: Lanes | None = None
        self.vectors = VECTORS  # that a fold computes side by side
        self.is_past = False  # whether whole vectors, which start with lines of the cache, are stored past the caches
        # how many bytes behind what is loaded at an index, if any, memory is asked for meanwhile
        self.ahead: Ahead | None = None
        self.kept: dict[Term, tuple[Buffer, Term]] = {}  # what is stored as soon as it is computed, and where

    @property
    def builder(self) -> ir.IRBuilder:
        return self.writer.builder

    def prepare(self, terms: Iterable[Term], inner: frozenset[str]) -> None:
        """Compute what is in terms and does not depend on the inner letters."""
        done: set[tuple[Term, frozenset[str]]] = set()
        stack = [(t, inner) for t in terms]
        while stack:
            term, bound = stack.pop()
            if (term, bound) in done or term.kind in ("number", "letter", "size"):
                continue
            done.add((term, bound))
            if not term.free & bound:
                self.value(term)
                continue
            if term.kind == "fold":
                bound = bound | {name for name, _ in term.data[1]}
            stack.extend((a, bound) for a in reversed(term.arguments))

    def value(self, term: Term) -> ir.Value:
        for scope in reversed(self.writer.known):
            if term in scope:
                return scope[term]
        value = self._made(term)
        self.writer.known[-1][term] = value
        if term in self.kept:
            buffer, place = self.kept[term]
            self.store(self.pointers[buffer], term.dtype, place, value)
        return value

    def lanes_in(self, term: Term) -> int:
        """How many lanes the value of a term has (0: it is a scalar)."""
        return self.lanes.count if self.lanes is not None and self.lanes.name in term.free else 0

    def _made(self, term: Term) -> ir.Value:
        match term.kind:
            case "number":
                return constant(register(term.dtype), number_of(term) or 0)
            case "size":
                return self.writer.dim(term.data)
            case "letter":
                return self._counted(self.letters[term.data], 1 if self.lanes_in(term) else 0)
            case "place":
                return self.place(term)
            case "load":
                return self._load(term)
            case "fold":
                from tpc.backends.llvm.nests.folds import Fold

                return Fold(self, term).value()
        return self._call(term)

    # ---- arithmetic

    def _call(self, term: Term) -> ir.Value:
        if term.data == "cast":
            (operand,) = term.arguments
            return convert(self.writer, self.value(operand), operand.dtype, term.dtype)
        fused = self._fused(term)
        if fused is not None:
            return fused
        return self.apply(term.data, [self.value(a) for a in term.arguments])

    def apply(self, function: str, values: list[ir.Value]) -> ir.Value:
        """A scalar function of values, of which some may be vectors."""
        lanes = max(lanes_of(v) for v in values)
        return emit(self.builder, function, [self.writer.spread(v, lanes) for v in values], host().extensions)

    def _fused(self, term: Term) -> ir.Value | None:
        """A product and a sum in one step."""
        if term.data not in ("add", "sub") or term.dtype.kind != "f":
            return None
        left, right = term.arguments
        for one, other, swapped in ((right, left, True), (left, right, False)):
            factors = product_of(one)
            if factors is None or self.is_known(one):
                continue
            a, b = (self.value(f) for f in factors)
            c = self.value(other)
            if term.data == "sub":
                if swapped:
                    a = self.builder.fneg(a)
                else:
                    c = self.builder.fneg(c)
            return self.multiply_add(a, b, c)
        return None

    def is_known(self, term: Term) -> bool:
        return any(term in scope for scope in self.writer.known)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        lanes = max(lanes_of(v) for v in (a, b, c))
        a, b, c = (self.writer.spread(v, lanes) for v in (a, b, c))
        return self.writer.intrinsic("llvm.fma", [a.type], a.type, [a, b, c])

    # ---- places

    def _counted(self, first: ir.Value, step: int) -> ir.Value:
        """`first`, or first, first + step, ... in the lanes."""
        if not step:
            return first
        assert self.lanes is not None
        lanes = self.lanes.count
        steps = constant(vector(INTEGER, lanes), step)
        up = self.writer.count_up(lanes)
        return self.builder.add(
            self.writer.spread(first, lanes), up if step == 1 else self.builder.mul(up, steps), flags=("nsw",)
        )

    def place(self, term: Term) -> ir.Value:
        """The value of an index in all lanes."""
        first = self.first_place(term)
        step = self.step(term)
        if step is None:
            return first
        if isinstance(step, int):
            return self._counted(first, step)
        assert self.lanes is not None
        lanes = self.lanes.count
        return self.builder.add(
            self.writer.spread(first, lanes),
            self.builder.mul(self.writer.count_up(lanes), self.writer.spread(self.writer.dim(step), lanes)),
        )

    def step(self, term: Term) -> DimLike | None:
        """How much an index grows from lane to lane; None where that differs."""
        return places.slope(term, self.lanes.name) if self.lanes is not None else 0

    def first_place(self, term: Term) -> ir.Value:
        """The value of an index in the first lane; in all lanes, where it does not grow evenly."""
        if term.kind != "place":
            return self.letters[term.data] if term.kind == "letter" else self.value(term)
        constant_, slopes, factors = term.data
        total: ir.Value | None = self.writer.dim(constant_) if constant_ != 0 else None
        for name, slope in slopes:
            value = self.letters[name]
            value = value if slope == 1 else self.builder.mul(value, self.writer.dim(slope), flags=("nsw",))
            total = value if total is None else self.builder.add(total, value, flags=("nsw",))
        lanes = 0
        for argument, factor in zip(term.arguments, factors, strict=True):
            value = convert(self.writer, self.value(argument), argument.dtype, term.dtype)
            lanes = lanes or lanes_of(value)
            if factor != 1:
                value = self.builder.mul(value, self.writer.spread(self.writer.dim(factor), lanes_of(value)))
            if total is not None:
                both = max(lanes, lanes_of(total))
                value = self.builder.add(self.writer.spread(total, both), self.writer.spread(value, both))
            total = value
        if lanes:  # the letters among the slopes grow from lane to lane as well
            assert self.lanes is not None
            step = dict(slopes).get(self.lanes.name, 0)
            if step != 0:
                up = self.builder.mul(self.writer.count_up(lanes), self.writer.spread(self.writer.dim(step), lanes))
                total = self.builder.add(total, up)
        return total if total is not None else self.writer.integer(0)

    # ---- memory

    def _load(self, term: Term) -> ir.Value:
        node, mode, axes = term.data
        dtype = term.dtype
        if mode == INSIDE:
            table = lookup(term)
            if table is not None and not self.lanes_in(table.first):
                lanes, count = self.lanes_in(table.index), lookup_lanes(dtype)
                if lanes and count and not lanes % count:
                    address = self.writer.address(self.pointers[node], memory(dtype), self.first_place(table.first))
                    return looked_up(self.writer, address, dtype, table, self.value(table.index))
            (index,) = term.arguments
            return self.loaded(self.pointers[node], dtype, index, None)
        indices, guard = term.arguments[:axes], term.arguments[axes:]
        inside: ir.Value | None = None
        for index, dim in zip(indices, node.tensor.dims, strict=True):
            value = convert(self.writer, self.value(index), index.dtype, I64)
            limit = self.writer.spread(self.writer.opaque(self.writer.dim(dim)), lanes_of(value))
            inside = self.both(inside, self.builder.icmp_unsigned("<", value, limit))
        if mode == CHECKED:
            self._check(node, inside, [self.value(g) for g in guard])
        flat = places.composed(indices, node.tensor.dims)
        return self.loaded(self.pointers[node], dtype, flat, inside)

    def both(self, left: ir.Value | None, right: ir.Value | None) -> ir.Value | None:
        if left is None or right is None:
            return left if right is None else right
        lanes = max(lanes_of(left), lanes_of(right))
        return self.builder.and_(self.writer.spread(left, lanes), self.writer.spread(right, lanes))

    def _check(self, node: Node, inside: ir.Value | None, guards: list[ir.Value]) -> None:
        """Note an error where an index leaves its array."""
        if inside is None:
            return
        bad: ir.Value | None = self.builder.not_(inside)
        for guard in guards:
            bad = self.both(bad, guard)
        if self.lanes is not None:
            bad = self.both(bad, self.lanes.mask)
        assert bad is not None
        lanes = lanes_of(bad)
        if lanes:
            bad = self.writer.intrinsic("llvm.vector.reduce.or", [bad.type], I1, [bad])
        with self.writer.when(bad, "outside", likely=False):
            self.builder.store(self.writer.integer(self.errors.outside(node)), self.status)

    def loaded(self, pointer: ir.Value, dtype: DType, index: Term, inside: ir.Value | None) -> ir.Value:
        """The entry of a buffer at an index, or 0 where it is not inside."""
        step = self.step(index)
        type_ = memory(dtype)
        if step == 0 and lanes_of(inside or self.writer.integer(0)) == 0:
            return self._entry(pointer, dtype, self.first_place(index), inside)
        assert self.lanes is not None
        lanes = self.lanes.count
        mask = self.both(self.lanes.mask, inside)
        mask = None if mask is None else self.writer.spread(mask, lanes)
        wide = vector(type_, lanes)
        if step == 1:
            address = self.writer.address(pointer, type_, self.first_place(index))
            if mask is None:
                self._fetch(address, index, dtype)
                value = self.builder.load(address, typ=wide, align=dtype.size)
            else:
                value = self.writer.intrinsic(
                    "llvm.masked.load",
                    [wide, POINTER],
                    wide,
                    [address, ir.Constant(ir.IntType(32), dtype.size), mask, constant(wide, 0)],
                )
        elif isinstance(step, int) and 1 < step <= NEAR and mask is None:
            # all that lies between is loaded too, in vectors, and left out
            address = self.writer.address(pointer, type_, self.first_place(index))
            between = vector(type_, step * (lanes - 1) + 1)
            several = self.builder.load(address, typ=between, align=dtype.size)
            value = shuffled(self.builder, several, None, range(0, step * lanes, step))
        else:
            addresses = self.writer.address(pointer, type_, self.writer.spread(self.place(index), lanes))
            mask = constant(vector(I1, lanes), 1) if mask is None else mask
            value = self.writer.intrinsic(
                "llvm.masked.gather",
                [wide, addresses.type],
                wide,
                [addresses, ir.Constant(ir.IntType(32), dtype.size), mask, constant(wide, 0)],
            )
        return self.opened(value, dtype)

    def _fetch(self, address: ir.Value, index: Term, dtype: DType) -> None:
        """Ask for the vector that will be loaded so many bytes behind the one at an address."""
        distance = self.ahead(index, dtype) if self.ahead is not None else None
        if distance is None or self.lanes is None:
            return
        for line in range(0, self.lanes.count * dtype.size, LINE):
            place = self.builder.add(distance, self.writer.integer(line))
            self.writer.fetch(self.builder.gep(address, [place], source_etype=BYTE))

    def _entry(self, pointer: ir.Value, dtype: DType, index: ir.Value, inside: ir.Value | None) -> ir.Value:
        type_ = memory(dtype)
        address = self.writer.address(pointer, type_, index)
        if inside is not None:  # a place that can always be read
            address = self.builder.select(inside, address, self.errors.nothing)
        value = self.builder.load(address, typ=type_, align=dtype.size)
        value = self.opened(value, dtype)
        return value if inside is None else self.builder.select(inside, value, constant(value.type, 0))

    def opened(self, value: ir.Value, dtype: DType) -> ir.Value:
        """What was loaded, as it is computed with."""
        return opened(self.writer, value, dtype)

    def store(self, pointer: ir.Value, dtype: DType, index: Term, value: ir.Value) -> None:
        """Write an entry, or one in every lane."""
        step = self.step(index)
        if self.lanes is None or step == 0:
            self.builder.store(
                closed(self.writer, value, dtype), self.writer.address(pointer, memory(dtype), self.first_place(index))
            )
            return
        lanes, mask = self.lanes.count, self.lanes.mask
        value = closed(self.writer, self.writer.spread(value, lanes), dtype)
        if step == 1:
            address = self.writer.address(pointer, memory(dtype), self.first_place(index))
            if mask is None:
                stored = self.builder.store(value, address, align=LINE if self.is_past else dtype.size)
                if self.is_past:
                    one = self.writer.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
                    stored.set_metadata("nontemporal", one)
                return
            name, where = "llvm.masked.store", [value, address]
        else:
            address = self.writer.address(pointer, memory(dtype), self.place(index))
            name, where = "llvm.masked.scatter", [value, address]
        mask = constant(vector(I1, lanes), 1) if mask is None else mask
        arguments = [*where, ir.Constant(ir.IntType(32), dtype.size), mask]
        self.writer.intrinsic(name, [value.type, address.type], ir.VoidType(), arguments)


def product_of(term: Term) -> tuple[Term, Term] | None:
    """The two factors of a product or a square."""
    if term.kind != "call" or term.dtype.kind != "f" or term.data not in ("mul", "square"):
        return None
    return (term.arguments[0], term.arguments[-1])
