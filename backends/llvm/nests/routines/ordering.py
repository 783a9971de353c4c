"""Rows in order: by a network of exchanges where they are short, by insertion where few entries are wanted, else by the
bytes of keys, the lowest first.

A key is an unsigned number that is ordered as the values are, NaN above all; in falling order it is turned over. Equal
entries keep their order in both ways. With the keys go the places of the entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from tpc.backends.llvm.fusion.terms import held
from tpc.backends.llvm.nests.formats import closed, opened
from tpc.backends.llvm.nests.routines.site import Site
from tpc.backends.llvm.nests.types import BYTE, INTEGER, POINTER, memory, register
from tpc.backends.llvm.routines import BUCKETS, FEW, PLACE

SHORT = 16  # entries of a row that are put in order by exchanges, if they are told by two words


def sort(site: Site) -> None:
    rows = _Rows(site, site.node["descending"], signs=True)
    keys = [(rows.key(site.writer.integer(number)),) for number in range(rows.length.constant)]
    for number, (key,) in enumerate(_exchanged(site.b, keys)):
        rows.give(site.results[0], site.writer.integer(number), rows.value(key))


def argsort(site: Site) -> None:
    rows, b = _Rows(site, site.node["descending"]), site.b
    (result,) = site.results
    few = SHORT if rows.bits == 64 else FEW  # entries that are told by one word take fewer instructions
    if not isinstance(rows.length, ir.Constant) or rows.length.constant > few:
        _, places = rows.ordered(rows.length)
        site.copy_bytes(result, places, b.mul(rows.length, site.writer.integer(PLACE)))
        return
    words: list[Words] = []
    for number in range(rows.length.constant):
        place = site.writer.integer(number)
        key = rows.key(place)
        words.append((key, place) if rows.bits == 64 else (b.or_(b.shl(key, site.writer.integer(32)), place),))
    for number, (*_, word) in enumerate(_exchanged(b, words)):
        place = word if rows.bits == 64 else b.and_(word, site.writer.integer(2**32 - 1))
        rows.write(place, result, site.writer.integer(number))


def topk(site: Site) -> None:
    rows = _Rows(site, True)
    wanted = site.writer.dim(site.node["k"])
    site.fail(site.b.icmp_signed(">", wanted, rows.length), "`topk` of fewer entries", "ValueError")
    count = site.writer.lesser(wanted, rows.length)
    _, places = rows.ordered(count)
    values, numbers = site.results
    with site.writer.loop("give", site.writer.integer(0), count) as number:
        place = rows.read(places, number)
        site.b.store(place, site.writer.address(numbers, INTEGER, number), align=PLACE)
        rows.give(values, number, rows.take(place))


Words = tuple[ir.Value, ...]  # unsigned numbers that are compared one after the other


def _exchanged(b: ir.IRBuilder, entries: list[Words]) -> list[Words]:
    """Entries in rising order, by exchanges without branches (Batcher's merge exchange; Knuth, Algorithm 5.2.2M)."""
    count = len(entries)
    top = 1 << max((count - 1).bit_length() - 1, 0)
    part = top if count > 1 else 0
    while part:
        size, rest, distance = top, 0, part
        while True:
            for first in range(count - distance):
                if first & part == rest:
                    pair = entries[first], entries[first + distance]
                    entries[first], entries[first + distance] = _in_turn(b, *pair)
            if size == part:
                break
            distance, size, rest = size - part, size // 2, part
        part //= 2
    return entries


def _in_turn(b: ir.IRBuilder, left: Words, right: Words) -> tuple[Words, Words]:
    is_larger = b.icmp_unsigned(">", left[-1], right[-1])
    for one, other in zip(reversed(left[:-1]), reversed(right[:-1]), strict=True):
        is_equal = b.icmp_unsigned("==", one, other)
        is_larger = b.or_(b.icmp_unsigned(">", one, other), b.and_(is_equal, is_larger))
    low = tuple(b.select(is_larger, y, x) for x, y in zip(left, right, strict=True))
    high = tuple(b.select(is_larger, x, y) for x, y in zip(left, right, strict=True))
    return low, high


@dataclass
class _Rows:
    """The operand, of which one row is put in order where the writer stands."""

    site: Site
    descending: bool
    signs: bool = False  # whether zeros differ by them

    def __post_init__(self) -> None:
        site = self.site
        self.writer, self.tensor = site.writer, site.node.args[0].tensor
        self.length = self.writer.dim(self.tensor.dims[-1])
        self.format = held(self.tensor.dtype)
        wide = register(self.format)
        self.bits = wide.width if isinstance(wide, ir.IntType) else 64 if isinstance(wide, ir.DoubleType) else 32
        assert site.room is not None
        bytes = site.b.mul(self.length, self.writer.integer(PLACE))
        at = [site.b.gep(site.room, [site.b.mul(bytes, self.writer.integer(k))], source_etype=BYTE) for k in range(5)]
        self.arrays, self.counts = at[:4], at[4]  # keys and places, twice; how often there is each byte

    # ---- entries

    def take(self, place: ir.Value) -> ir.Value:
        """An entry of the row as it is stored."""
        type_ = memory(self.format)
        address = self.writer.address(self.site.operands[0], type_, place)
        return self.site.b.load(address, typ=type_, align=self.format.size)

    def give(self, result: ir.Value, number: ir.Value, value: ir.Value) -> None:
        """Store an entry."""
        self.site.b.store(value, self.writer.address(result, memory(self.format), number), align=self.format.size)

    def read(self, array: ir.Value, number: ir.Value) -> ir.Value:
        return self.site.b.load(self.writer.address(array, INTEGER, number), typ=INTEGER, align=PLACE)

    def write(self, value: ir.Value, array: ir.Value, number: ir.Value) -> None:
        self.site.b.store(value, self.writer.address(array, INTEGER, number), align=PLACE)

    def key(self, place: ir.Value) -> ir.Value:
        b, type_ = self.site.b, ir.IntType(self.bits)
        value = opened(self.writer, self.take(place), self.format)
        if self.format.kind == "f":
            if not self.signs:
                value = b.fadd(value, ir.Constant(value.type, 0.0))
            bits = b.bitcast(value, type_)
            sign = b.ashr(bits, ir.Constant(type_, self.bits - 1))
            ordered = b.xor(bits, b.or_(sign, ir.Constant(type_, self.top)))
            key = b.select(b.fcmp_unordered("uno", value, value), ir.Constant(type_, -1), ordered)
        else:
            key = b.xor(value, ir.Constant(type_, self.top)) if self.format.kind == "i" else value
        key = b.not_(key) if self.descending else key
        return key if self.bits == 64 else b.zext(key, INTEGER)

    def value(self, key: ir.Value) -> ir.Value:
        """The entry of a key, as it is stored."""
        b, type_ = self.site.b, ir.IntType(self.bits)
        key = key if self.bits == 64 else b.trunc(key, type_)
        key = b.not_(key) if self.descending else key
        if self.format.kind == "f":
            was_negative = b.icmp_signed(">=", key, ir.Constant(type_, 0))
            turned = b.select(was_negative, ir.Constant(type_, -1), ir.Constant(type_, self.top))
            return closed(self.writer, b.bitcast(b.xor(key, turned), register(self.format)), self.format)
        key = b.xor(key, ir.Constant(type_, self.top)) if self.format.kind == "i" else key
        return closed(self.writer, key, self.format)

    @property
    def top(self) -> int:
        """The bit of the sign."""
        return 1 << (self.bits - 1)

    # ---- order

    def ordered(self, count: ir.Value) -> tuple[ir.Value, ir.Value]:
        """So many of the lowest keys in order, and their places; many keys that are in order are not written."""
        b, writer = self.site.b, self.writer
        keys, places = (writer.variable(POINTER, name) for name in ("keys", "places"))
        for slot, array in zip((keys, places), self.arrays, strict=False):
            b.store(array, slot)
        if isinstance(count, ir.Constant) and count.constant <= FEW:
            self._insert(count)
        else:
            with b.if_else(b.icmp_signed("<=", count, writer.integer(FEW))) as (few, many):
                with few:
                    self._insert(count)
                with many, b.if_else(self._run(">=")) as (rising, others):
                    with rising, writer.loop("place", writer.integer(0), self.length) as number:
                        self.write(number, self.arrays[1], number)
                    with others, b.if_else(self._run("<=")) as (falling, mixed):
                        with falling:
                            self._turn()
                        with mixed:
                            self._by_bytes(keys, places)
        return b.load(keys, typ=POINTER), b.load(places, typ=POINTER)

    def _run(self, relation: str) -> ir.Value:
        """Whether each key of a row is in a relation to the one before, which costs nothing where the first are not."""
        b, writer = self.site.b, self.writer
        slot, last = writer.variable(INTEGER, "slot"), writer.variable(INTEGER, "last")
        b.store(writer.integer(1), slot)
        b.store(self.key(writer.integer(0)), last)
        head, look, on, done = (writer.function.append_basic_block(f"run.{k}") for k in ("head", "look", "on", "done"))
        b.branch(head)
        b.position_at_end(head)
        at = b.load(slot, typ=INTEGER)
        b.cbranch(b.icmp_signed("<", at, self.length), look, done)
        b.position_at_end(look)
        key = self.key(at)
        b.cbranch(b.icmp_unsigned(relation, key, b.load(last, typ=INTEGER)), on, done)
        b.position_at_end(on)
        b.store(key, last)
        b.store(b.add(at, writer.integer(1)), slot)
        b.branch(head)
        b.position_at_end(done)
        return b.icmp_signed("==", b.load(slot, typ=INTEGER), self.length)

    def _turn(self) -> None:
        """Turn over a row that falls; equal entries stay as they are."""
        b, writer, one = self.site.b, self.writer, self.writer.integer(1)
        begin = writer.variable(INTEGER, "begin")
        b.store(writer.integer(0), begin)
        with writer.loop("last", writer.integer(0), self.length) as last:
            end = b.add(last, one)
            is_last = b.icmp_signed("==", end, self.length)
            following = self.key(writer.lesser(end, b.sub(self.length, one)))
            with writer.when(b.or_(is_last, b.icmp_unsigned("!=", following, self.key(last))), "equal"):
                first = b.load(begin, typ=INTEGER)
                before = b.sub(b.sub(self.length, end), first)
                with writer.loop("place", first, end) as number:
                    self.write(number, self.arrays[1], b.add(before, number))
                b.store(end, begin)

    def _insert(self, count: ir.Value) -> None:
        """Put each entry that is among the lowest so far where it belongs."""
        b, writer, one = self.site.b, self.writer, self.writer.integer(1)
        keys, places, *_ = self.arrays
        last = b.sub(count, one)
        slot = writer.variable(INTEGER, "slot")
        some = b.select(b.icmp_signed(">", count, writer.integer(0)), self.length, writer.integer(0))
        with writer.loop("insert", writer.integer(0), some) as number:
            key = self.key(number)
            is_room = b.icmp_signed("<", number, count)
            highest = self.read(keys, b.select(is_room, writer.integer(0), last))
            with writer.when(b.or_(is_room, b.icmp_unsigned("<", key, highest)), "lower"):
                b.store(writer.lesser(number, last), slot)
                head, shift, done = (writer.function.append_basic_block(f"shift.{k}") for k in ("head", "body", "done"))
                look = writer.function.append_basic_block("shift.look")
                b.branch(head)
                b.position_at_end(head)
                at = b.load(slot, typ=INTEGER)
                b.cbranch(b.icmp_signed(">", at, writer.integer(0)), look, done)
                b.position_at_end(look)
                before = b.sub(at, one)
                other = self.read(keys, before)
                b.cbranch(b.icmp_unsigned(">", other, key), shift, done)
                b.position_at_end(shift)
                self.write(other, keys, at)
                self.write(self.read(places, before), places, at)
                b.store(before, slot)
                b.branch(head)
                b.position_at_end(done)
                self.write(key, keys, at)
                self.write(number, places, at)

    def _by_bytes(self, keys: ir.Value, places: ir.Value) -> None:
        """Put all entries in order by each byte of their keys, from the lowest on; the slots say where they end up."""
        b, writer, site = self.site.b, self.writer, self.site
        bytes = max(1, self.bits // 8)
        spare_keys, spare_places = (writer.variable(POINTER, "spare") for _ in range(2))
        for slot, array in zip((spare_keys, spare_places), self.arrays[2:], strict=True):
            b.store(array, slot)
        site.clear(self.counts, writer.integer(bytes * BUCKETS * PLACE))
        with writer.loop("count", writer.integer(0), self.length) as number:
            key = self.key(number)
            self.write(key, self.arrays[0], number)
            self.write(number, self.arrays[1], number)
            for byte in range(bytes):
                place = b.add(self._byte(key, writer.integer(8 * byte)), writer.integer(byte * BUCKETS))
                self.write(b.add(self.read(self.counts, place), writer.integer(1)), self.counts, place)
        with writer.loop("byte", writer.integer(0), writer.integer(bytes)) as byte:
            shift = b.shl(byte, writer.integer(3))
            counts = writer.address(self.counts, INTEGER, b.mul(byte, writer.integer(BUCKETS)))
            source = b.load(keys, typ=POINTER)
            first = self.read(counts, self._byte(self.read(source, writer.integer(0)), shift))
            with writer.when(b.icmp_signed("<", first, self.length), "differ"):
                self._starts(counts)
                self._move(source, shift, counts, (keys, places, spare_keys, spare_places))

    def _starts(self, counts: ir.Value) -> None:
        """Where the entries of each byte begin, in the place of their number."""
        b, writer = self.site.b, self.writer
        total = writer.variable(INTEGER, "total")
        b.store(writer.integer(0), total)
        with writer.loop("start", writer.integer(0), writer.integer(BUCKETS)) as number:
            count, before = self.read(counts, number), b.load(total, typ=INTEGER)
            self.write(before, counts, number)
            b.store(b.add(before, count), total)

    def _move(self, source: ir.Value, shift: ir.Value, counts: ir.Value, slots: tuple[ir.Value, ...]) -> None:
        b, writer = self.site.b, self.writer
        _, places, to, to_places = (b.load(slot, typ=POINTER) for slot in slots)
        with writer.loop("move", writer.integer(0), self.length) as number:
            key = self.read(source, number)
            byte = self._byte(key, shift)
            place = self.read(counts, byte)
            self.write(b.add(place, writer.integer(1)), counts, byte)
            self.write(key, to, place)
            self.write(self.read(places, number), to_places, place)
        for slot, array in zip(slots, (to, to_places, source, places), strict=True):
            b.store(array, slot)

    def _byte(self, key: ir.Value, shift: ir.Value) -> ir.Value:
        return self.site.b.and_(self.site.b.lshr(key, shift), self.writer.integer(BUCKETS - 1))
