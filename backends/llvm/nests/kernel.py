"""One statement, or several over the same letters, as a loop nest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from llvmlite import ir

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.rows import kept_row
from tpc.backends.llvm.fusion.statement import Statement, Temporary, computed, flops, times
from tpc.backends.llvm.fusion.terms import INSIDE, Term, has_fold, parts
from tpc.backends.llvm.fusion.translation import COMBINE
from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests import crossing, packing, running
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.fetching import ROW
from tpc.backends.llvm.nests.folds import PANEL, TILE, Fold
from tpc.backends.llvm.nests.function import Kernel, buffers_of, opened
from tpc.backends.llvm.nests.lanes import MANY, VECTORS, fold_lane, statement_lane
from tpc.backends.llvm.nests.types import BYTE, INTEGER, memory
from tpc.backends.llvm.nests.values import LINE, Lanes, Values
from tpc.backends.llvm.nests.vectors import for_lanes
from tpc.ir.dims import DimLike
from tpc.ir.scalar import SCALARS

SIDE = 8  # streams of memory that folds of rows side by side read
SHORT, LONG = 256, 2**16  # bytes of a row from which one is gone through after the other, and from which no more
LITTLE = 8  # flops of what a fold does to an entry that memory is slower than
NARROW = 256  # entries of a panel of which guards let pass a part
FEW = 8  # values of a letter that are better gone through one by one, with lanes in folds
UNIT = 256  # entries that a thread takes at least where a letter makes lanes
FLOP, LOAD = 6, 12  # hundredths of a nanosecond, for an entry, as vectors


def write(
    module: ir.Module,
    name: str,
    statement: Statement,
    sizes: Sequence[str],
    errors: Errors,
    is_shared: bool = False,
    is_small: bool = False,
    is_last: bool = False,
    is_brief: bool = False,
) -> Kernel:
    """Write the kernel of a statement into a module.

    In a block, which is shared, its first letter stays outermost. One that is small has lanes in its folds alone. What
    is last is read by no other kernel. What is brief is a little beside other work, unless it folds: it is to be little
    code as well.
    """
    made = opened(module, name, buffers_of(statement), sizes, errors)
    if statement.is_crossed:
        return crossing.write(made, statement, cost(statement))
    nest = _Nest(made.values, statement, is_shared, is_small, is_last, is_brief)
    nest.write(made.begin, made.end)
    nest.fence()
    return made.closed(nest.extent, nest.unit, cost(statement))


class _Nest:
    """The loops of one statement."""

    def __init__(
        self, values: Values, statement: Statement, is_shared: bool, is_small: bool, is_last: bool, is_brief: bool
    ) -> None:
        self.values = values
        self.is_brief = is_brief and not any(map(has_fold, statement.bodies))
        self.past = _past(statement) if is_last else None
        self.running = None if is_shared or statement.beside else running.running_letter(statement)
        if self.running is None:
            self.lane = None if is_small else statement_lane(statement, 1 if self.is_brief else VECTORS)
            self.crosswise = _crosswise(statement, self.lane)
            self.lane = statement_lane(statement, 1) if self.crosswise else self.lane
            values.vectors = 1 if is_small else values.vectors  # which is less to compile
            statement = statement if is_shared else _ordered(statement, self.lane)
        else:
            statement, self.lane = running.ordered(statement, self.running)
            self.crosswise = None
        values.kept = {term: (buffer, place) for term, buffer, place in statement.kept}
        self.row: Temporary | None = None
        is_row = self.lane is not None and statement.letters[-1][0] == self.lane[0] and not statement.beside
        if is_row and not (is_shared and len(statement.letters) == 1):
            row = Temporary("row", statement.target.tensor)
            statement, kept = kept_row(statement, row)
            values.kept |= {term: (row, place) for term, place in kept.items()}
            self.row = row if kept else None
        self.statement = statement
        self.rows = [] if self.running is not None or self.lane is not None else _rows(statement)
        self.side = _side(self.rows, statement)
        self.extent: DimLike = 1
        self.unit = 1
        # what goes through all values of the first letter before the first result is there: nobody shares it
        self.is_whole = not statement.letters or statement.letters[0][0] == self.running
        self.is_whole |= self.row is not None and len(statement.letters) == 1
        if not self.is_whole:
            name, self.extent = statement.letters[0]
            self.unit = UNIT if self.lane is not None and self.lane[0] == name else self.side if self.rows else 1

    def write(self, begin: ir.Value, end: ir.Value) -> None:
        values, statement, writer = self.values, self.statement, self.values.writer
        if self.is_whole:
            with writer.when(writer.builder.icmp_signed("<", begin, end), "all"):
                self._loops(0)
            return
        self._hold(0)
        values.prepare(statement.bodies, frozenset(n for n, _ in statement.letters))
        self._loops(0, begin, end)

    def _loops(self, depth: int, begin: ir.Value | None = None, end: ir.Value | None = None) -> None:
        values, writer, letters = self.values, self.values.writer, self.statement.letters
        if depth == len(letters):
            self._store()
            return
        name, extent = letters[depth]
        if begin is None or end is None:
            self._hold(depth)
            values.prepare(self.statement.bodies, frozenset(n for n, _ in letters[depth:]))
            begin, end = writer.integer(0), writer.dim(extent)
        if name == self.running:
            self._run(name, begin, end)
            return
        folds = self._lines() if depth == len(letters) - 1 else []
        if self.lane is not None and self.lane[0] == name and folds:
            self._panels(name, begin, end, self.lane[1], folds)
            return
        if self.rows and depth == len(letters) - 1:
            self._side_by_side(name, begin, end)
            return
        if self.lane is not None and self.lane[0] == name:
            head = self._before_line if depth == len(letters) - 1 and self._is_aligned() else None
            past = self._is_past if self.past is not None else None
            for_lanes(values, name, begin, end, extent, self.lane[1], lambda: self._loops(depth + 1), head, past)
            return
        packing.loop(values, name, begin, end, self.statement.bodies, lambda: self._loops(depth + 1))

    def _is_aligned(self) -> bool:
        """Whether lanes are stored side by side and have no folds of their own: then lines of the cache matter."""
        assert self.lane is not None
        if self.is_brief:
            return False
        lane, count = self.lane
        is_line = places.slope(self.statement.place, lane) == 1 and count * self.statement.body.dtype.size >= LINE
        return is_line and not _outermost_folds(self.statement.bodies, lane)

    def _before_line(self) -> ir.Value:
        """How many entries lie between the one of the open letters and the next line of the cache."""
        return self.values.builder.sdiv(self._to_line(), self.values.writer.integer(self.statement.body.dtype.size))

    def _to_line(self) -> ir.Value:
        """How many bytes lie between the entry of the open letters and the next line of the cache."""
        values, b, statement = self.values, self.values.builder, self.statement
        place = values.first_place(statement.place)
        address = values.writer.address(values.pointers[statement.target], memory(statement.body.dtype), place)
        return b.and_(b.neg(b.ptrtoint(address, INTEGER)), values.writer.integer(LINE - 1))

    def _is_past(self) -> ir.Value:
        """Whether what is stored from the open letters on goes past the caches."""
        b = self.values.builder
        return b.and_(self._is_large(), b.icmp_signed("==", self._to_line(), self.values.writer.integer(0)))

    def _is_large(self) -> ir.Value:
        """Whether the caches do not hold the result: then memory is written, and need not be read before."""
        writer, b = self.values.writer, self.values.builder
        assert self.past is not None
        is_large = b.icmp_signed(">=", writer.dim(self.past), writer.integer(_past_bytes()))
        if self.row is None:
            return is_large
        _, extent = self.statement.letters[-1]
        row_bytes = writer.dim(extent * self.statement.body.dtype.size)
        return b.and_(is_large, b.icmp_signed("<=", row_bytes, writer.integer(ROW)))

    def _hold(self, depth: int) -> None:
        """Give the row that is kept a place: its own in the result, or one nearby if that goes past the caches."""
        values, writer, b = self.values, self.values.writer, self.values.builder
        letters, dtype = self.statement.letters, self.statement.body.dtype
        if self.row is None or depth != len(letters) - 1:
            return
        name, _ = letters[-1]
        values.letters[name] = writer.integer(0)
        first = values.first_place(self.statement.place)
        del values.letters[name]
        place = writer.address(values.pointers[self.statement.target], memory(dtype), first)
        if self.past is not None:
            near = writer.variable(ir.ArrayType(BYTE, ROW), "row")
            place = b.select(self._is_large(), near, place)
        values.pointers = {**values.pointers, self.row: place}

    def fence(self) -> None:
        """What went past the caches is there for all before what is written from here on."""
        if self.past is not None and self.lane is not None and "sse2" in host().extensions:
            with self.values.writer.when(self._is_large(), "fence"):
                self.values.writer.call("llvm.x86.sse.sfence", ir.VoidType(), [])

    def _run(self, name: str, begin: ir.Value, end: ir.Value) -> None:
        """The innermost loop of a statement with running folds."""
        values, body = self.values, self.statement.body
        folds = [t for t in parts(body) if t.free <= values.letters.keys() | {name}]
        steps = {t: step for t in folds if (step := running.step_of(t, name)) is not None}
        states = {t: Fold(values, step).running() for t, step in steps.items()}

        def advance() -> None:
            for term, state in states.items():
                values.writer.known[-1][term] = state()
            self._store()

        packing.loop(values, name, begin, end, [body, *steps.values()], advance)

    def _side_by_side(self, name: str, begin: ir.Value, end: ir.Value) -> None:
        """A loop over rows that folds reduce: several at a time, whose values make lanes, and the rest one by one."""
        values, writer, b = self.values, self.values.writer, self.values.builder
        whole = b.add(begin, b.and_(b.sub(end, begin), writer.integer(-self.side)))
        whole = b.select(self._are_apart(), whole, begin)
        with writer.loop(f"{name}.side", begin, whole, self.side) as first:
            rows = [b.add(first, writer.integer(n), flags=("nsw",)) for n in range(self.side)]
            found = {term: Fold(values, term).side_by_side(name, rows) for term in self.rows}
            values.letters[name], values.lanes = first, Lanes(name, self.side, None, None)
            with writer.scope():
                writer.known[-1].update(found)
                self._store()
            values.lanes = None
        with writer.loop(name, writer.greater(whole, begin), end) as counter:
            values.letters[name] = counter
            self._store()
        del values.letters[name]

    def _are_apart(self) -> ir.Value:
        """Whether rows are so long that each is a stream of its own, or so short that it counts to add up their lanes.

        Between, one row after the other is one stream, where a few at a time are many that end soon.
        """
        writer, b = self.values.writer, self.values.builder
        (_, extent), *_ = self.rows[0].data[1]
        size = writer.dim(extent * self.rows[0].dtype.size)
        return b.or_(b.icmp_signed("<", size, writer.integer(SHORT)), b.icmp_signed(">=", size, writer.integer(LONG)))

    def _lines(self) -> list[Term]:
        """The folds of the statement, if they read lines of memory: then those are gone through one after the other."""
        if self.lane is None:
            return []
        lane = self.lane[0]
        if self.crosswise is not None:
            return [self.crosswise]
        folds = _outermost_folds(self.statement.bodies, lane)
        if any(packing.is_strided(t, lane, n) for f in folds for n, _ in f.data[1] for t in parts(f)):
            return []  # what lies across the lanes is transposed for a few lanes at a time
        return folds if any(_reads_lines(t, lane) for t in folds) else []

    def _panels(self, name: str, begin: ir.Value, end: ir.Value, count: int, folds: list[Term]) -> None:
        values, writer = self.values, self.values.writer
        width = TILE if self.crosswise else PANEL if all(len(t.arguments) == 1 for t in folds) else NARROW
        with writer.loop(f"{name}.panel", begin, end, width) as first:
            last = writer.lesser(writer.builder.add(first, writer.integer(width)), end)
            ready: dict[Term, Callable[[], ir.Value]] = {}
            is_open = values.letters.keys() | {name}
            for term in parts(*folds):  # those inside of others first
                if term.kind == "fold" and name in term.free <= is_open:
                    fold, panel = Fold(values, term), (name, first, last, count)
                    ready[term] = fold.tiles(*panel) if self.crosswise else fold.panel(*panel, dict(ready))

            def store() -> None:
                for term, value in ready.items():
                    writer.known[-1][term] = value()
                self._store()

            for_lanes(values, name, first, last, None, count, store)

    def _store(self) -> None:
        values = self.values
        for statement in self.statement.together:
            value = values.value(statement.body)
            if statement.is_added:
                before = values.loaded(values.pointers[statement.target], statement.body.dtype, statement.place, None)
                value = values.apply("add", [before, value])
            values.store(values.pointers[statement.target], statement.body.dtype, statement.place, value)


def _past(statement: Statement) -> DimLike | None:
    """The bytes of what a nest stores, if that may go past the caches: it must be memory that it waits for."""
    if statement.beside or statement.kept or statement.is_added or statement.target in statement.reads:
        return None
    bytes_ = statement.target.tensor.bytes
    is_little = isinstance(bytes_, int) and bytes_ < _past_bytes()
    return None if is_little or flops(statement.body) > MANY else bytes_


def _past_bytes() -> int:
    """From where on a result goes past the caches: a core's own one holds little of it for whoever reads it."""
    return 2 * host().caches[1]


def few(statement: Statement) -> tuple[DimLike, int] | None:
    """A size of which nobody knows whether it fills the lanes that it makes, and up to what it does not.

    Its folds must do enough to each entry, and find lanes of their own.
    """
    lane = statement_lane(statement)
    if lane is None or statement.beside or statement.kept or running.running_letter(statement) is not None:
        return None
    extent, folds = dict(statement.letters)[lane[0]], _outermost_folds(statement.bodies, lane[0])
    if isinstance(extent, int) or not folds:
        return None
    fit = all(len(t.data[1]) == len(t.arguments) == 1 and flops(t) > LITTLE and fold_lane(t) is not None for t in folds)
    return (extent, min(FEW, lane[1] // 2)) if fit else None


def _ordered(statement: Statement, lane: tuple[str, int] | None) -> Statement:
    """The statement with its lanes outside of a letter that runs along what would else be read in steps."""
    letters = dict(statement.letters)
    if lane is None:
        return statement
    loads = statement.loads
    along = [n for n in letters if n != lane[0] and any(packing.is_strided(t, lane[0], n) for t in loads)]
    order = [n for n in letters if n != lane[0] and n not in along] + [lane[0], *along]
    if not along:
        return statement
    return replace(statement, letters=tuple((n, letters[n]) for n in order))


def _outermost_folds(bodies: Sequence[Term], lane: str) -> list[Term]:
    """The folds that depend on a letter and stand in no other fold that does."""
    found, stack = [], list(bodies)
    while stack:
        term = stack.pop()
        if term.kind == "fold" and lane in term.free:
            if term not in found:
                found.append(term)
        elif lane in term.free:
            stack.extend(term.arguments)
    return found


def _crosswise(statement: Statement, lane: tuple[str, int] | None) -> Term | None:
    """The fold of a statement that reads an array along its lanes and another across them, both too often to be near:
    the diagonal of a product."""
    folds = _outermost_folds(statement.bodies, lane[0]) if lane is not None else []
    if lane is None or len(folds) != 1 or statement.beside or statement.kept:
        return None
    (fold,) = folds
    if len(fold.data[1]) != 1 or len(fold.arguments) > 1 or fold.height > 1 or fold.data[0] not in COMBINE:
        return None
    ((line, extent),) = fold.data[1]
    is_short = isinstance(extent, int) and extent <= 4 * TILE
    is_across = any(packing.is_strided(t, lane[0], line) for t in parts(fold))
    return fold if is_across and not is_short and flops(fold) <= LITTLE and _reads_lines(fold, lane[0]) else None


def _rows(statement: Statement) -> list[Term]:
    """The folds of a statement, if each does little to what it reads of a row: then memory is what they wait for."""
    if not statement.letters or statement.kept:
        return []
    name, extent = statement.letters[-1]
    folds = _outermost_folds(statement.bodies, name)
    fit = all(len(t.data[1]) == len(t.arguments) == t.height == 1 and t.data[0] in COMBINE for t in folds)
    if not fit or (isinstance(extent, int) and extent < SIDE):
        return []
    cheap = all(flops(t) <= LITTLE and fold_lane(t) is not None and _runs_along(t, name) for t in folds)
    return folds if cheap else []


def _side(folds: Sequence[Term], statement: Statement) -> int:
    """How many rows folds reduce at once: fewer where each is read from several arrays."""
    name = statement.letters[-1][0] if folds else ""
    read = {t.data[0] for fold in folds for t in parts(fold) if t.kind == "load" and name in t.free}
    return SIDE if len(read) < 2 else SIDE // 4


def _runs_along(term: Term, row: str) -> bool:
    """Whether a fold reads lines of memory that differ from row to row."""
    ((letter, _),) = term.data[1]
    indices = [t.arguments[0] for t in parts(term.arguments[0]) if t.kind == "load" and t.data[1] == INSIDE]
    return any(row in index.free and places.slope(index, letter) == 1 for index in indices)


def _reads_lines(term: Term, lane: str) -> bool:
    """Whether a fold goes from line to line of an array along which the lanes lie."""
    letters = {name for name, _ in term.data[1]}
    loads = [t for t in parts(term.arguments[0]) if t.kind == "load" and t.data[1] == INSIDE]
    return any(places.slope(t.arguments[0], lane) == 1 and letters & t.free for t in loads)


def cost(statement: Statement) -> DimLike:
    """The estimated time of a statement on one core, in hundredths of nanoseconds."""
    total: DimLike = times(statement.letters) * LOAD * len(statement.together)
    for term, loops in (pair for body in statement.bodies for pair in computed(body, statement.letters)):
        price = LOAD if term.kind == "load" else 0
        if term.kind == "call" and term.data != "cast":
            price = SCALARS[term.data].flops * FLOP
        if price:
            total = total + times(loops) * price
    return total
