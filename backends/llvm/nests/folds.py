"""Folds as loops with running state: in a register, or in several that make the lanes of a vector.

Inside of a nest whose lanes another letter makes, a fold is a plain loop, and each lane has its own state. Else one of
its own letters makes lanes; their states are merged in halves at the end, so the order does not depend on threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from llvmlite import ir

from tpc.backends.llvm.fusion import places as affine
from tpc.backends.llvm.fusion.limits import conjuncts, limits
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Loop
from tpc.backends.llvm.fusion.terms import Term, number_of, parts
from tpc.backends.llvm.fusion.translation import COMBINE, identity
from tpc.backends.llvm.nests import fetching, packing
from tpc.backends.llvm.nests.lanes import fold_lane
from tpc.backends.llvm.nests.types import constant, lanes_of, register, shuffled, vector
from tpc.backends.llvm.nests.values import Values, product_of
from tpc.backends.llvm.nests.vectors import for_lanes
from tpc.ir.dims import DimLike

PANEL = 1024  # entries of a line that are reduced side by side
TILE = 128  # lines, and entries of a line, that stay in the second cache
JAM = 8  # lines that are taken into a panel at once: so many streams of memory, and states are loaded once for all
ENTRY = 8  # a state is no better aligned than one entry
State = tuple[ir.Value, ...]


class Fold:
    """One fold that is being written."""

    def __init__(self, values: Values, term: Term) -> None:
        self.values, self.writer = values, values.writer
        self.operator, self.letters = term.data
        self.body, *guard = term.arguments
        self.guards = [g for whole in guard for g in conjuncts(whole)]
        self.term = term
        self.outer: frozenset[str] = frozenset()  # the letter of a panel, whose loop is inside of those of the fold
        self.ends = frozenset(name for name, _ in self.letters)  # the letters whose last lanes are not to be taken in
        self.rows: frozenset[str] = frozenset()  # the letter of rows that are taken side by side
        self.jam: tuple[str, ir.Value, int] = (
            "",
            self.writer.integer(0),
            1,
        )  # the letter of lines, the first, how many
        self.width = 0
        self.types = [v.type for v in self._start(0)]

    def value(self) -> ir.Value:
        """The value of the fold, behind its loops."""
        values, outer = self.values, self.values.lanes
        order = list(self.letters)
        lane = None
        if outer is None:
            lane = fold_lane(self.term, values.vectors)
            if lane is not None:
                order.sort(key=lambda loop: loop[0] == lane[0])  # the lanes go innermost
        count = lane[1] if lane is not None else outer.count if outer is not None else 0
        wide = lane is not None or values.lanes_in(self.body) > 0 or any(values.lanes_in(g) for g in self.guards)
        self.width = count if wide else 0
        first = self._start(self.width)
        state = [self.writer.variable(v.type, f"{self.operator}.{order[0][0]}") for v in first]
        for variable, value in zip(state, first, strict=True):
            self.writer.builder.store(value, variable)
        self._loops(order, self.guards, lane, lambda guards: self._step(guards, state))
        final = self._state(state)
        if lane is not None:
            final = self._merged(final)
        return self._result(final)

    def running(self) -> Callable[[], ir.Value]:
        """A state that takes in the body whenever the result is called, and gives the value so far."""
        outer = self.values.lanes
        self.width = outer.count if outer is not None and outer.name in self.body.free else 0
        first = self._start(self.width)
        state = [self.writer.variable(v.type, f"running.{self.operator}") for v in first]
        for variable, value in zip(state, first, strict=True):
            self.writer.builder.store(value, variable, align=ENTRY)

        def step() -> ir.Value:
            self._step(self.guards, state)
            return self._result(self._state(state))

        return step

    def panel(
        self, name: str, begin: ir.Value, end: ir.Value, count: int, ready: Mapping[Term, Callable[[], ir.Value]]
    ) -> Callable[[], ir.Value]:
        """Run the fold for a panel of the lanes' letter, line by line, with a running state for each entry of it.

        Gives what reads the value at the lanes that are open; `ready` has that of folds inside of this one.
        """
        values, writer = self.values, self.writer
        places = self._states(name, begin, end, count)
        inside = [t for t in parts(self.body, *self.guards) if t in ready]

        def line(guards: list[Term]) -> None:
            writer.known[-1].update((t, ready[t]()) for t in inside)
            self._lines(guards, places())

        def lines(guards: list[Term], low: ir.Value = begin, high: ir.Value = end) -> None:
            for_lanes(values, name, low, high, None, count, lambda: line(guards))

        self.outer = frozenset([name])
        ranges = self._line_ranges(name, begin, end)
        if ranges is None:
            self._loops(list(self.letters), self.guards, None, lines)
        else:
            self._by_ranges(name, begin, end, ranges, lines)
        return lambda: self._result(self._state(places()))

    def tiles(self, name: str, begin: ir.Value, end: ir.Value, count: int) -> Callable[[], ir.Value]:
        """Run the fold for a panel of the lanes' letter, tile by tile of lines; gives what reads the value.

        What steps through memory from lane to lane and what steps from line to line are both read along lines of the
        cache this way, and the lines of the next tile are asked for ahead.
        """
        values, writer, b = self.values, self.writer, self.writer.builder
        places = self._states(name, begin, end, count)
        ((line, extent),) = self.letters
        values.prepare([self.body], frozenset([name, line]))
        with writer.loop(f"{line}.block", writer.integer(0), writer.dim(extent), TILE) as low:
            high = writer.lesser(b.add(low, writer.integer(TILE)), writer.dim(extent))

            def tile() -> None:
                there = places()
                states = [writer.variable(v.type, f"{self.operator}.{line}") for v in self._start(count)]
                for state, value in zip(states, self._state(there), strict=True):
                    b.store(value, state, align=ENTRY)
                values.prepare([self.body], frozenset([line]))
                packing.loop(values, line, low, high, [self.body], lambda: self._step([], states))
                for place, value in zip(there, self._state(states), strict=True):
                    b.store(value, place, align=ENTRY)

            values.ahead = fetching.lines(values, line, TILE)
            for_lanes(values, name, begin, end, None, count, tile)
            values.ahead = None
        return lambda: self._result(self._state(places()))

    def _states(self, name: str, begin: ir.Value, end: ir.Value, count: int) -> Callable[[], list[ir.Value]]:
        """Give each entry of a panel a state to begin with; gives what says where those of the open lanes are."""
        values, writer = self.values, self.writer
        self.width = count
        first = self._start(count)
        # a line that ends inside of the panel may have lanes beyond it
        arrays = [
            writer.variable(ir.ArrayType(v.type.element, PANEL + count), f"{self.operator}.{name}") for v in first
        ]

        def places() -> list[ir.Value]:
            offset = writer.builder.sub(values.letters[name], begin)
            return [writer.address(a, v.type.element, offset) for a, v in zip(arrays, first, strict=True)]

        def start() -> None:
            for place, value in zip(places(), first, strict=True):
                writer.builder.store(value, place, align=ENTRY)

        for_lanes(values, name, begin, end, None, count, start)
        return places

    def side_by_side(
        self, name: str, rows: list[ir.Value], across: tuple[Fold, Callable[[], ir.Value]] | None = None
    ) -> ir.Value:
        """The values at several values of a letter around the fold, whose loop is run once for all, as one vector.

        So many streams of memory are read at once, and what does not depend on that letter is read once for all.
        A fold `across` takes in the same entries, with its state in memory where the second of the pair says.
        """
        values, writer = self.values, self.writer
        lane = fold_lane(self.term)
        if lane is not None and lane[1] % (2 * len(rows)) == 0:
            lane = lane[0], lane[1] // 2  # the values side by side keep vectors busy that else wait for each other
        self.width = lane[1] if lane is not None else 0
        start = self._start(self.width)
        states = [[writer.variable(v.type, f"{self.operator}.{name}") for v in start] for _ in rows]
        for variables in states:
            for variable, value in zip(variables, start, strict=True):
                writer.builder.store(value, variable)

        def step(guards: list[Term]) -> None:
            values.prepare([self.body, *guards], frozenset([name]))
            sums = [] if across is None else [across[1]()]
            for row, variables in zip(rows, states, strict=True):
                with writer.scope():
                    values.letters[name] = row
                    self._step(guards, variables)
                    if across is not None:
                        across[0].width = self.width
                        across[0]._step([], sums)
            values.letters[name] = rows[0]

        values.letters[name] = rows[0]
        self.rows = frozenset([name])
        self._loops(list(self.letters), self.guards, lane, step)
        found = [self._state(variables)[0] for variables in states]
        return packing.merged(writer, found, self._combined, self._start(0)[0])

    # ---- loops

    def _loops(
        self,
        order: list[Loop],
        guards: list[Term],
        lane: tuple[str, int] | None,
        step: Callable[[list[Term]], None],
    ) -> None:
        if not order:
            step(guards)
            return
        values = self.values
        (name, extent), *rest = order
        inner = self.outer | self.rows | {n for n, _ in rest}
        values.prepare([self.body, *guards], inner | {name})
        guards, begin, end = self._bounds(name, self.writer.integer(0), self.writer.dim(extent), guards, inner)
        if self.outer and not rest:
            self._jammed(name, begin, end, lambda: step(guards))
            return
        if lane is None or lane[0] != name:
            packing.loop(values, name, begin, end, [self.body, *guards], lambda: self._loops(rest, guards, lane, step))
            return
        values.ahead = fetching.ahead(values, self.body, dict(self.letters), extent)
        for_lanes(values, name, begin, end, extent, lane[1], lambda: self._loops(rest, guards, lane, step))
        values.ahead = None

    def _line_ranges(self, name: str, begin: ir.Value, end: ir.Value) -> list[ir.Value] | None:
        """The ends of three ranges of lines: all of a panel takes in the middle one, and some of it the others.

        None where the guards are no limits of lines.
        """
        writer, b = self.writer, self.writer.builder
        if not self.guards or len(self.letters) > 1:
            return None
        ((line, extent),) = self.letters
        found = [limits(guard, line) for guard in self.guards]
        if not all(found):
            return None
        some, every = [[writer.integer(0), writer.dim(extent)] for _ in range(2)]
        length = b.sub(b.sub(end, begin), writer.integer(1))
        self.values.letters[name] = begin
        for slope, rest in (pair for pairs in found for pair in pairs or ()):
            first = self.values.first_place(rest)
            step = affine.slope(rest, name)
            last = b.add(first, b.mul(writer.dim(step or 0), length))
            most, least = writer.greater(first, last), writer.lesser(first, last)
            for range_, value in ((some, most), (every, least)):
                if slope < 0:
                    range_[1] = writer.lesser(range_[1], b.add(value, writer.integer(1)))
                else:
                    range_[0] = writer.greater(range_[0], b.neg(value))
        del self.values.letters[name]
        low, high = some
        middle = writer.lesser(writer.greater(every[0], low), writer.greater(high, low))
        return [low, middle, writer.greater(writer.lesser(every[1], high), middle), high]

    def _by_ranges(
        self, name: str, begin: ir.Value, end: ir.Value, ends: list[ir.Value], step: Callable[..., None]
    ) -> None:
        """The lines of a panel; where not all of it takes them in, a line goes from where to where its guards say."""
        ((line, _),) = self.letters
        for guards, first, last in zip((self.guards, [], self.guards), ends, ends[1:], strict=False):
            self.values.prepare([self.body, *guards], self.outer | {line})
            if not guards:
                self._jammed(line, first, last, partial(step, []))
                continue
            with self.writer.loop(line, first, last) as counter:
                self.jam = line, counter, 1
                self.values.letters[line] = counter
                self.ends |= {name}
                step(*self._bounds(name, begin, end, guards, frozenset()))
                self.ends -= {name}
            del self.values.letters[line]

    def _jammed(self, name: str, begin: ir.Value, end: ir.Value, step: Callable[[], None]) -> None:
        """A loop over lines, several at a time and then the rest one by one: the order is that of the lines."""
        writer, b = self.writer, self.writer.builder
        whole = b.add(begin, b.and_(b.sub(end, begin), writer.integer(-JAM)))
        for first, last, count in ((begin, whole, JAM), (writer.greater(whole, begin), end, 1)):
            with writer.loop(name, first, last, count) as counter:
                self.jam = name, counter, count
                step()
        del self.values.letters[name]

    def _lines(self, guards: list[Term], variables: list[ir.Value]) -> None:
        """Take the entries of the lines that are open into the state."""
        name, first, count = self.jam
        for offset in range(count):
            with self.writer.scope():
                self.values.letters[name] = self.writer.builder.add(first, self.writer.integer(offset))
                self._step(guards, variables)

    def _bounds(
        self, name: str, begin: ir.Value, end: ir.Value, guards: list[Term], inner: frozenset[str]
    ) -> tuple[list[Term], ir.Value, ir.Value]:
        """The part of a letter's range that guards leave, behind those that say more than that."""
        left = []
        for guard in guards:
            found = limits(guard, name)
            if found is None or any(rest.free & inner for _, rest in found):
                left.append(guard)
                continue
            for slope, rest in found:  # slope * letter + rest >= 0
                value, varies = self._extreme(rest)
                if varies:
                    left.append(guard)
                if slope < 0:
                    end = self.writer.lesser(end, self.writer.builder.add(value, self.writer.integer(1)))
                else:
                    begin = self.writer.greater(begin, self.writer.builder.neg(value))
        return left, begin, end

    def _extreme(self, rest: Term) -> tuple[ir.Value, bool]:
        """The largest value of an index in the lanes, and whether lanes differ."""
        values = self.values
        first = values.first_place(rest)
        step = values.step(rest)
        if step == 0:
            return first, False
        assert values.lanes is not None and isinstance(step, int)
        reach = step * (values.lanes.count - 1)
        return (self.writer.builder.add(first, self.writer.integer(reach)) if reach > 0 else first), True

    # ---- state

    def _start(self, lanes: int) -> State:
        dtype = self.body.dtype
        start = constant(register(dtype), number_of(identity(self.operator, dtype)) or 0)
        match self.operator:
            case "argmax" | "argmin":
                found: State = (start, self.writer.integer(-1))
            case "logsumexp":
                found = (start, constant(register(dtype), 0.0))
            case _:
                found = (start,)
        return tuple(self.writer.spread(v, lanes) for v in found)

    def _step(self, guards: list[Term], variables: list[ir.Value]) -> None:
        """Take one more value of the body into the state."""
        values = self.values
        old = self._state(variables)
        mask: ir.Value | None = None
        for guard in guards:
            mask = values.both(mask, values.value(guard))
        if values.lanes is not None and values.lanes.name in self.ends:
            mask = values.both(mask, values.lanes.counted)
        for variable, after in zip(variables, self._taken(old, mask), strict=True):
            self.writer.builder.store(after, variable, align=ENTRY)

    def _state(self, variables: list[ir.Value]) -> State:
        """The running state: as wide as the lanes that are open, or as the variables where a fold has its own."""
        return tuple(
            self.writer.builder.load(v, typ=vector(t, self.width) if self.width else t, align=ENTRY)
            for v, t in zip(variables, self.types, strict=True)
        )

    def _taken(self, old: State, mask: ir.Value | None) -> State:
        """The state with the value of the body, or the neutral value where the mask is false, taken in."""
        values, lanes = self.values, lanes_of(old[0])

        def kept(value: ir.Value, neutral: float | int | bool) -> ir.Value:
            value = self.writer.spread(value, lanes)
            if mask is None:
                return value
            return self.writer.builder.select(self.writer.spread(mask, lanes), value, constant(value.type, neutral))

        factors = product_of(self.body) if self.operator == "sum" else None
        if factors is not None and not values.is_known(self.body):
            a, b = (kept(values.value(f), 0.0) for f in factors)
            return (values.multiply_add(a, b, old[0]),)
        x = kept(values.value(self.body), number_of(identity(self.operator, self.body.dtype)) or 0)
        if self.operator in COMBINE:
            return (values.apply(COMBINE[self.operator], [old[0], x]),)
        if self.operator == "logsumexp":
            return self._log_step(old, (x, kept(constant(self.types[1], 1.0), 0.0)))
        return self._better(old, (x, kept(self._position(), -1)))

    def _position(self) -> ir.Value:
        """Where a body stands among all, in row-major order."""
        total = Sum()
        step: DimLike = 1
        for name, extent in reversed(self.letters):
            total.slopes[name] = step
            step = step * extent
        return self.values.value(total.term())

    def _better(self, old: State, new: State) -> State:
        """The first of the best: a NaN is better than any number."""
        b = self.writer.builder
        (best, at), (x, position) = old, new
        if self.body.dtype.kind == "f":
            relation = "lt" if self.operator == "argmin" else "gt"
            better = self.values.apply(relation, [x, best])
            nan, was = b.fcmp_unordered("uno", x, x), b.fcmp_unordered("uno", best, best)
            better = b.or_(b.and_(better, b.not_(was)), b.and_(nan, b.not_(was)))
            same = b.or_(b.fcmp_ordered("==", x, best), b.and_(nan, was))
        else:
            better = b.icmp_signed("<" if self.operator == "argmin" else ">", x, best)
            same = b.icmp_signed("==", x, best)
        none = b.icmp_signed("<", at, constant(at.type, 0))
        some = b.icmp_signed(">=", position, constant(at.type, 0))
        earlier = b.and_(same, b.icmp_unsigned("<", position, at))
        better = b.and_(some, b.or_(none, b.or_(better, earlier)))
        return b.select(better, x, best), b.select(better, position, at)

    def _log_step(self, old: State, new: State) -> State:
        """exp(m) * s of both, as one: the exponential of the larger is taken out, so that nothing overflows."""
        b = self.writer.builder
        (m, s), (x, t) = old, new
        apply = self.values.apply
        zero = constant(x.type, 0.0)
        # equal infinities are no distance apart
        distance = b.select(b.fcmp_ordered("==", x, m), zero, b.fsub(x, m))
        larger = b.fcmp_ordered(">", distance, zero)
        factor = apply("exp", [b.fneg(apply("abs", [distance]))])
        low, high = b.select(larger, s, t), b.select(larger, t, s)
        total = self.values.multiply_add(low, factor, high)
        return b.select(larger, x, m), total

    def _merged(self, state: State) -> State:
        """The states of all lanes as one, by halves."""
        while (lanes := lanes_of(state[0])) > 1:
            halves = (
                [self._half(v, range(lanes // 2)) for v in state],
                [self._half(v, range(lanes // 2, lanes)) for v in state],
            )
            state = self._both_states(tuple(halves[0]), tuple(halves[1]))
        zero = ir.Constant(ir.IntType(32), 0)
        return tuple(self.writer.builder.extract_element(v, zero) for v in state)

    def _both_states(self, left: State, right: State) -> State:
        if self.operator in COMBINE:
            return (self.values.apply(COMBINE[self.operator], [left[0], right[0]]),)
        return self._log_step(left, right) if self.operator == "logsumexp" else self._better(left, right)

    def _combined(self, left: ir.Value, right: ir.Value) -> ir.Value:
        return self.values.apply(COMBINE[self.operator], [left, right])

    def _half(self, value: ir.Value, lanes: range) -> ir.Value:
        return shuffled(self.writer.builder, value, None, lanes)

    def _result(self, state: State) -> ir.Value:
        match self.operator:
            case "argmax" | "argmin":
                return state[1]
            case "logsumexp":
                return self.writer.builder.fadd(state[0], self.values.apply("log", [state[1]]))
        return state[0]
