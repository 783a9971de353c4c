"""Plans as sequences of runs that are changed bit by bit, with the bytes that each position holds.

Each run reads certain runs of its operands, so that two runs of a step are two values: nothing is read but what is
meant, wherever runs are moved. A value is held from its run to the last run that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tpc.passes.rematerialise.graph import Plan

END = -1  # reads what is kept
Change = tuple[str, int, int]  # what is done, to which run, and what with: another run, or a position


class Runs:
    """The runs of a plan in order.

    Attributes
    ----------
    order
        The numbers of the runs.
    step, operands, readers, last, place
        Of each run: its step, the runs that it reads and those that read it, the last of these, and its position.
    held
        Bytes before each position, and at the end.
    room
        Bytes that each run takes beside what is held before it.
    excess
        Bytes above the budget, summed over the positions.
    added
        The cost of what runs again.
    """

    def __init__(self, plan: Plan, budget: float) -> None:
        graph = plan.graph
        self.graph, self.budget, self.steps = graph, budget - graph.held, graph.steps
        self.reads = [tuple(dict.fromkeys(step.operands)) for step in graph.steps]
        self.step: list[int] = []
        self.room: list[int] = []
        self.operands: list[set[int]] = []
        self.readers: list[set[int]] = []
        self.last: list[int | None] = []
        self.place: list[int] = []
        self.order: list[int] = []
        self.runs: list[list[int]] = [[] for _ in graph.steps]  # of each step, in order
        self._unused: list[int] = []
        self.held = [0]
        self.added = -graph.cost
        self.excess = 0.0
        for value in plan.order:
            run = self.new(value)
            self._insert(run, len(self.order))
            for operand in self.reads[value]:
                self._link(run, self.runs[operand][-1])
        for value, step in enumerate(graph.steps):
            if step.kept:
                self._link(END, self.runs[value][-1])
        self.excess = self.above()

    def plan(self) -> Plan:
        return Plan(self.graph, tuple(self.step[run] for run in self.order))

    def above(self) -> float:
        """The excess, counted anew."""
        room, budget = self.room, self.budget
        return sum([x for held, run in zip(self.held, self.order) if (x := held + room[run] - budget) > 0])

    def at(self, run: int) -> int:
        return len(self.order) if run == END else self.place[run]

    def end(self, run: int) -> int:
        """The position at which a run is read last; its own, if it is not read."""
        last = self.last[run]
        return self.place[run] if last is None else self.at(last)

    def latest(self, step: int, position: int) -> int:
        """The last run of a step before a position; there has to be one."""
        place, runs = self.place, self.runs[step]
        return next(run for run in reversed(runs) if place[run] < position)

    # ---- moving a run

    def shift(self, position: int, up: bool, limit: int, most: float, far: bool) -> None:
        """Move the run at a position past its neighbours, at most `limit` of them, to where the excess is lowest; not
        at all, if it is there higher by more than `most`. Of places that are as good, the next or the farthest."""
        order, held, operands = self.order, self.held, self.operands
        room, step, budget = self.room, self.step, self.budget
        end = len(order) - 1
        q = position if up else position - 1
        total, best, kept = 0.0, None, 0
        passed: list[int] = []  # what was held between the neighbours
        while 0 <= q < end and len(passed) < limit:
            x, y = order[q], order[q + 1]
            if x in operands[y] or step[x] == step[y]:
                break
            free, then = budget - held[q], budget - held[q + 1]
            if room[x] > free:
                total += free - room[x]
            if room[y] > then:
                total += then - room[y]
            passed.append(held[q + 1])
            then = budget - self._swap(q, x, y, self._between(q, x, y))
            if room[y] > free:
                total += room[y] - free
            if room[x] > then:
                total += room[x] - then
            if best is None or total < best or (far and total == best):
                best, kept = total, len(passed)
            q += 1 if up else -1
        if best is None:
            return
        if best > most:
            best, kept = 0.0, 0
        for between in reversed(passed[kept:]):
            q -= 1 if up else -1
            self._swap(q, order[q], order[q + 1], between)
        self.excess += best

    def _between(self, q: int, x: int, y: int) -> int:
        """Bytes that are held between y and x, if they change places at positions q and q + 1."""
        last, steps, step, beside = self.last, self.steps, self.step, self.operands[x]
        found = self.held[q] + (steps[step[y]].bytes if last[y] is not None else 0)
        for u in self.operands[y]:
            if last[u] == y and u not in beside:
                found -= steps[step[u]].bytes
        return found

    def _swap(self, q: int, x: int, y: int, between: int) -> int:
        last, beside = self.last, self.operands[x]
        for u in self.operands[y]:
            if last[u] == y and u in beside:
                self._set_last(u, x)
        self.held[q + 1] = between
        self.order[q], self.order[q + 1] = y, x
        self.place[y], self.place[x] = q, q + 1
        return between

    # ---- more and fewer runs

    def again(self, run: int, late: Sequence[int], most: float, chance: Callable[[], float]) -> list[Change] | None:
        """Compute a run anew just before the first of some of its readers, for these; None if that costs more than
        `most`. Operands that are not held there are computed anew as well, or held until then, by chance."""
        first, steps = late[0], self.steps
        at, value, share = self.at(first), self.step[run], chance()
        wanted, pending, total = {value}, [value], steps[value].cost
        given: dict[int, int] = {}
        while pending:
            for u in self.reads[pending.pop()]:
                if u in wanted or u in given:
                    continue
                held = self.latest(u, at)
                if steps[u].again and self.end(held) < at and chance() < share and total + steps[u].cost <= most:
                    wanted.add(u)
                    pending.append(u)
                    total += steps[u].cost
                else:
                    given[u] = held
        if total > most:
            return None
        changes: list[Change] = []
        for v in sorted(wanted):  # which is an order in which they can run
            given[v] = made = self.new(v)
            self._do(changes, "insert", made, self.at(first))
            for u in self.reads[v]:
                self._do(changes, "link", made, given[u])
        self._turn(changes, late, run, given[value])
        self._drop(changes, run)
        return changes

    def merge(self, run: int) -> list[Change] | None:
        """Let the readers of a run read the one of the same step before it; None if there is none."""
        runs = self.runs[self.step[run]]
        number = runs.index(run)
        if not number:
            return None
        changes: list[Change] = []
        self._turn(changes, sorted(self.readers[run], key=self.at), run, runs[number - 1])
        self._drop(changes, run)
        return changes

    def undo(self, changes: Sequence[Change]) -> None:
        for kind, run, other in reversed(changes):
            if kind == "link":
                self._unlink(run, other)
            elif kind == "unlink":
                self._link(run, other)
            elif kind == "insert":
                self._remove(run)
                self._unused.append(run)
            else:
                self._insert(run, other)

    def settle(self, changes: Iterable[Change]) -> None:
        """Changes are there to stay: the numbers of runs that have gone may be used again."""
        self._unused += [run for kind, run, _ in changes if kind == "remove"]

    def new(self, step: int) -> int:
        """The number of a further run, which is not there yet."""
        need = self.steps[step].bytes + self.steps[step].workspace
        if self._unused:
            run = self._unused.pop()
            self.step[run], self.room[run], self.last[run] = step, need, None
            return run
        self.step.append(step)
        self.room.append(need)
        self.operands.append(set())
        self.readers.append(set())
        self.last.append(None)
        self.place.append(0)
        return len(self.step) - 1

    def _turn(self, changes: list[Change], readers: Sequence[int], run: int, other: int) -> None:
        """Let readers, in order, read another run; in turns such that what is held changes once for each of the two."""
        for reader in readers:
            self._do(changes, "unlink", reader, run)
        for reader in reversed(readers):
            self._do(changes, "link", reader, other)

    def _drop(self, changes: list[Change], run: int) -> None:
        """Take away a run that nothing reads, and those that only it read."""
        pending = [run]
        while pending:
            run = pending.pop()
            runs = self.runs[self.step[run]]
            if self.readers[run] or len(runs) == 1 or run not in runs:
                continue
            operands = sorted(self.operands[run])
            for operand in operands:
                self._do(changes, "unlink", run, operand)
            self._do(changes, "remove", run, self.place[run])
            pending += operands

    def _do(self, changes: list[Change], kind: str, run: int, other: int) -> None:
        if kind == "link":
            self._link(run, other)
        elif kind == "unlink":
            self._unlink(run, other)
        elif kind == "insert":
            self._insert(run, other)
        else:
            self._remove(run)
        changes.append((kind, run, other))

    def _insert(self, run: int, position: int) -> None:
        self.order.insert(position, run)
        self.held.insert(position + 1, self.held[position])
        self._number(position)
        runs, step = self.runs[self.step[run]], self.step[run]
        number = len(runs)
        while number and self.place[runs[number - 1]] > position:
            number -= 1
        runs.insert(number, run)
        self.added += self.steps[step].cost

    def _remove(self, run: int) -> None:
        position = self.place[run]
        del self.order[position], self.held[position + 1]
        self._number(position)
        self.runs[self.step[run]].remove(run)
        self.added -= self.steps[self.step[run]].cost

    def _number(self, start: int) -> None:
        place = self.place
        for position, run in enumerate(self.order[start:], start):
            place[run] = position

    def _link(self, reader: int, run: int) -> None:
        end, at = self.end(run), self.at(reader)
        self.readers[run].add(reader)
        if reader != END:
            self.operands[reader].add(run)
        if self.last[run] is None or at > end:
            self._set_last(run, reader)
            self._hold(end + 1, at + 1, self.steps[self.step[run]].bytes)

    def _unlink(self, reader: int, run: int) -> None:
        self.readers[run].discard(reader)
        if reader != END:
            self.operands[reader].discard(run)
        if self.last[run] == reader:
            self._set_last(run, max(self.readers[run], key=self.at, default=None))
            self._hold(self.end(run) + 1, self.at(reader) + 1, -self.steps[self.step[run]].bytes)

    def _hold(self, start: int, stop: int, bytes: int) -> None:
        self.held[start:stop] = [held + bytes for held in self.held[start:stop]]

    def _set_last(self, run: int, reader: int | None) -> None:
        """The last reader of a run may have the place of its result."""
        steps, step, before = self.steps, self.step, self.last[run]
        value = step[run]
        if before is not None and before != END and steps[step[before]].takes == value:
            self.room[before] += steps[value].bytes
        if reader is not None and reader != END and steps[step[reader]].takes == value:
            self.room[reader] -= steps[value].bytes
        self.last[run] = reader
