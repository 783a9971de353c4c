"""Plans as sequences of runs that are changed bit by bit, with the bytes that each position holds.

Each run reads certain runs of its operands, so that two runs of a step are two values: nothing is read but what is
meant, wherever runs are moved. A value is held from its run to the last run that reads it.

A run has a mark, which grows with its position, so that a further run changes the marks of no other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from math import floor, inf
from typing import TYPE_CHECKING

from tpc.passes.rematerialise.graph import Plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

END = 0  # reads what is kept
Change = tuple[str, int, int]  # what is done, to which run, and what with: another run, or a position


class Runs:
    """The runs of a plan in order.

    Attributes
    ----------
    order, marks
        The numbers of the runs, and their marks.
    step, operands, readers, last, mark
        Of each run: its step, the runs that it reads and those that read it, the last of these, and its mark.
    runs
        Of each step, in order.
    sizes
        Of each step: bytes, bytes with workspace, and the step whose place it takes, or -1.
    held
        Bytes before each position, and at the end.
    room
        Bytes that the run at each position takes beside what is held before it.
    excess
        Bytes above the budget, summed over the positions.
    added
        The cost of what runs again.
    """

    held: NDArray[np.int64]
    room: NDArray[np.int64]

    def __init__(self, plan: Plan, budget: float) -> None:
        import numpy as np

        graph = plan.graph
        self.graph, self.budget, self.steps = graph, floor(budget - graph.held), graph.steps
        self.reads = [tuple(dict.fromkeys(step.operands)) for step in graph.steps]
        self.sizes = np.array(
            [(s.bytes, s.bytes + s.workspace, -1 if s.takes is None else s.takes) for s in graph.steps], np.int64
        ).T
        self.step = [0]  # which says nothing
        self.operands: list[set[int]] = [set()]
        self.readers: list[set[int]] = [set()]
        self.last: list[int | None] = [None]
        self.mark = [inf]
        self.order: list[int] = []
        self.marks: list[float] = []
        self.runs: list[list[int]] = [[] for _ in graph.steps]
        self._unused: list[int] = []
        self._held, self._room = np.zeros((2, 2 * len(plan.order) + 2), np.int64)
        self._resize()
        self.added = -graph.cost
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

    def above(self) -> int:
        """The excess, counted anew."""
        over = self.held[:-1] + self.room
        over -= self.budget
        return int(over[over > 0].sum())

    def at(self, run: int) -> int:
        """The position of a run; that behind all others, for what reads what is kept."""
        return bisect_left(self.marks, self.mark[run])

    def until(self, run: int) -> float:
        """The mark of the last run that reads a run; its own, if none does."""
        last = self.last[run]
        return self.mark[run if last is None else last]

    def in_order(self, runs: Iterable[int]) -> list[int]:
        return sorted(runs, key=self.mark.__getitem__)

    def reorder(self, order: list[int], last: dict[int, int], held: NDArray[np.int64], room: NDArray[np.int64]) -> None:
        """Take the same runs in another order, in which those of each step come in the same turn; with the last reader
        of each that is read, and with what is held."""
        self.order, self.marks = order, list(map(float, range(len(order))))
        mark = self.mark
        for position, run in zip(self.marks, order):
            mark[run] = position
        self.held[:], self.room[:] = held, room
        for run, reader in last.items():
            self.last[run] = reader
        self.excess = self.above()

    # ---- more and fewer runs

    def again(self, run: int, late: Sequence[int], most: float, chance: Callable[[], float]) -> list[Change] | None:
        """Compute a run anew just before the first of some of its readers, for these; None if that costs more than
        `most`. Operands that are not held there are computed anew as well, or held until then, by chance."""
        first, steps = late[0], self.steps
        at, value, share = self.mark[first], self.step[run], chance()
        wanted, pending, total = {value}, [value], steps[value].cost
        given: dict[int, int] = {}
        while pending:
            for u in self.reads[pending.pop()]:
                if u in wanted or u in given:
                    continue
                held = next(other for other in reversed(self.runs[u]) if self.mark[other] < at)
                if steps[u].again and self.until(held) < at and chance() < share and total + steps[u].cost <= most:
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
        self._turn(changes, self.in_order(self.readers[run]), run, runs[number - 1])
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
        if self._unused:
            run = self._unused.pop()
            self.step[run], self.last[run] = step, None
            return run
        self.step.append(step)
        self.operands.append(set())
        self.readers.append(set())
        self.last.append(None)
        self.mark.append(0.0)
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
            self._do(changes, "remove", run, self.at(run))
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
        step, marks, count = self.step[run], self.marks, len(self.order)
        before = marks[position - 1] if position else -1.0
        mark = (before + marks[position]) / 2 if position < count else before + 1.0
        if not before < mark or (position < count and not mark < marks[position]):  # no number lies between
            marks[:] = map(float, range(count))
            for other, place in zip(self.order, marks):
                self.mark[other] = place
            mark = position - 0.5
        self.mark[run] = mark
        self.order.insert(position, run)
        marks.insert(position, mark)
        runs = self.runs[step]
        runs.insert(bisect_left(runs, mark, key=self.mark.__getitem__), run)
        self._resize()
        self.held[position + 1 :] = self.held[position:-1].copy()
        self.room[position + 1 :] = self.room[position:-1].copy()
        self.room[position] = self.steps[step].bytes + self.steps[step].workspace
        self.added += self.steps[step].cost

    def _remove(self, run: int) -> None:
        position = self.at(run)
        self.held[position + 1 : -1] = self.held[position + 2 :].copy()
        self.room[position:-1] = self.room[position + 1 :].copy()
        del self.order[position], self.marks[position]
        self._resize()
        self.runs[self.step[run]].remove(run)
        self.added -= self.steps[self.step[run]].cost

    def _resize(self) -> None:
        """Make `held` and `room` as long as the order, with room for more behind them."""
        import numpy as np

        count = len(self.order)
        if count >= len(self._room):
            self._held, self._room = (np.resize(array, 2 * count) for array in (self._held, self._room))
        self.held, self.room = self._held[: count + 1], self._room[:count]

    def _link(self, reader: int, run: int) -> None:
        until = self.until(run)
        self.readers[run].add(reader)
        self.operands[reader].add(run)
        if self.last[run] is None or self.mark[reader] > until:
            self._set_last(run, reader)
            self._hold(until, reader, self.steps[self.step[run]].bytes)

    def _unlink(self, reader: int, run: int) -> None:
        self.readers[run].discard(reader)
        self.operands[reader].discard(run)
        if self.last[run] == reader:
            self._set_last(run, max(self.readers[run], key=self.mark.__getitem__, default=None))
            self._hold(self.until(run), reader, -self.steps[self.step[run]].bytes)

    def _hold(self, mark: float, reader: int, bytes: int) -> None:
        """Add to what is held behind the run with a mark until a reader."""
        self.held[bisect_left(self.marks, mark) + 1 : self.at(reader) + 1] += bytes

    def _set_last(self, run: int, reader: int | None) -> None:
        """The last reader of a run may have the place of its result."""
        steps, step, before = self.steps, self.step, self.last[run]
        value = step[run]
        if before and steps[step[before]].takes == value:
            self.room[self.at(before)] += steps[value].bytes
        if reader and steps[step[reader]].takes == value:
            self.room[self.at(reader)] -= steps[value].bytes
        self.last[run] = reader
