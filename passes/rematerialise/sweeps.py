"""Moves of many runs at a time.

The order is cut into windows of equal length, and in each of them one run is taken out and put back, where the bytes
above the budget count against each place. All windows are looked at together: what one holds does not depend on the
order in another.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tpc.passes.rematerialise.runs import END, Runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 16  # moves of single runs that a sweep takes the time of, at least
WINDOWS = (8, 16, 32, 64, 128)  # positions, of which one is chosen by chance for each sweep


class Sweeps:
    """The runs of a plan as arrays, as long as no run is added or taken away."""

    def __init__(self, line: Runs) -> None:
        import numpy as np

        self.line, self.budget = line, line.budget
        self.order = np.array(line.order)
        count, many = len(self.order), len(line.step)
        self.place = np.zeros(many, int)
        self.place[END] = count
        values = np.array(line.step)
        self.bytes, self.need, takes = line.sizes[:, values]
        # An edge for each run that reads another, in the order of what they read; and the same by what reads.
        read = [run for run in line.order if line.readers[run]]
        self.read = np.array(read, int)
        readers = [line.readers[run] for run in read]
        counts = np.array([len(found) for found in readers], int)
        self.source = np.repeat(self.read, counts)
        self.reader = np.fromiter(chain.from_iterable(readers), int, len(self.source))
        self.first = np.cumsum(counts) - counts
        self.by_reader = np.argsort(self.reader, kind="stable")
        self.by_reader = self.by_reader[np.count_nonzero(self.reader == END) :]
        ordered = self.reader[self.by_reader]
        self.begin = np.flatnonzero(np.diff(ordered, prepend=END))
        self.reading = ordered[self.begin]
        self.takes: NDArray[np.bool_] | None = None
        if (takes >= 0).any():
            self.takes = (takes[self.reader] == values[self.source]) & (self.reader != END)
        # Neighbours among the runs of one step, which stay in their turn.
        self.before, self.after = np.full((2, many), -1)
        for runs in line.runs:
            if len(runs) > 1:
                self.before[runs[1:]], self.after[runs[:-1]] = runs[:-1], runs[1:]
        self._hold()

    def sweep(self, scale: float, random: np.random.Generator) -> int:
        """Move one run in each window; a place that has `scale` bytes more above the budget is e times less likely.

        Gives the number of changes that this counts as.
        """
        import numpy as np

        count = len(self.order)
        width = min(WINDOWS[random.integers(len(WINDOWS))], count)
        offset = int(random.integers(min(width, count - width + 1)))
        windows = (count - offset) // width
        stop = offset + windows * width
        rows, columns = np.arange(windows), np.arange(width + 1)
        start = offset + rows * width
        at = random.integers(width, size=windows)
        moved = self.order[start + at]
        is_moved = np.zeros(len(self.place), bool)
        is_moved[moved] = True

        # Where each may go: behind what it reads, before what reads it.
        place, last = self.place, self.last
        reader = place[self.reader]
        low, high = np.full(len(place), -1), np.full(len(place), count)
        if len(self.read):
            high[self.read] = np.minimum.reduceat(reader, self.first)
        if len(self.reading):
            low[self.reading] = np.maximum.reduceat(place[self.source[self.by_reader]], self.begin)
        before, after = self.before[moved], self.after[moved]
        lowest = np.maximum(low[moved], np.where(before < 0, -1, place[before])) - start
        highest = np.minimum(high[moved], np.where(after < 0, count, place[after])) - start

        # Its operands are held until it, where nothing reads them behind the window: from their last other reader on.
        freed = np.zeros((windows, width + 1), np.int64)
        room = np.broadcast_to(self.need[moved][:, None], freed.shape)
        taken = np.zeros_like(freed)
        edges = np.flatnonzero(is_moved[self.reader])
        row = (place[self.reader[edges]] - offset) // width
        near = last[self.source[edges]] < start[row] + width
        edges, row = edges[near], row[near]
        if len(edges):
            others = np.maximum.reduceat(np.where(is_moved[self.reader], -1, reader), self.first)
            until = np.full(len(place), -1)
            until[self.read] = others
            source = self.source[edges]
            column = np.maximum(until[source] - start[row] + 1, 0)  # the first at which only it holds the operand
            amount = self.bytes[source]
            np.add.at(freed, (row, column), amount)
            freed = np.cumsum(freed, axis=1)
            if self.takes is not None:
                own = self.takes[edges]
                spared = np.zeros_like(freed)
                np.add.at(spared, (row[own], column[own]), amount[own])
                room = room - np.cumsum(spared, axis=1)
                # Another reader may take the place of the operand, if this one does not come behind it.
                other = np.flatnonzero(self.takes & ~is_moved[self.reader])
                taker = np.full(len(place), -1)
                taker[self.source[other]] = reader[other]
                found = (taker[source] == until[source]) & (column > 0)
                np.add.at(taken, (row[found], column[found] - 1), amount[found])
        is_read = last[moved] > start + at
        more = np.where(is_read, self.bytes[moved], 0)[:, None] - freed  # held before each column, if it comes first

        held = np.take(self.held, start[:, None] + columns)
        live = held[:, :-1] + self.room[offset:stop].reshape(windows, width)
        change = (more - taken)[:, :-1]
        is_before = columns[:-1] < at[:, None]
        late = np.where(is_before, live, live - change) - self.budget  # at each column, if it comes later
        early = np.where(is_before, live + change, live) - self.budget
        late, early = np.maximum(late, 0), np.maximum(early, 0)
        late[rows, at] = early[rows, at] = 0
        itself = np.where(columns <= at[:, None], held, held - more) + room - self.budget
        total = np.maximum(itself, 0)
        total[:, 1:] += np.cumsum(late, axis=1)
        total[:, :-1] += np.cumsum(early[:, ::-1], axis=1)[:, ::-1]
        is_open = (columns > lowest[:, None]) & (columns <= highest[:, None]) & (columns != at[:, None] + 1)
        chance = random.gumbel(size=total.shape) - total / scale
        to = np.where(is_open, chance, -np.inf).argmax(axis=1)

        # Columns between the old place and the new one change by one.
        to -= to > at
        columns = columns[:-1]
        behind = (columns >= at[:, None]) & (columns < to[:, None])
        ahead = (columns <= at[:, None]) & (columns > to[:, None])
        taken_from = columns + behind - ahead
        taken_from[rows, to] = at
        block = self.order[offset:stop].reshape(windows, width)
        self.order[offset:stop] = np.take_along_axis(block, taken_from, axis=1).ravel()
        self._hold()
        return max(windows, LEAST)

    def _hold(self) -> None:
        """Find anew what is held."""
        import numpy as np

        count = len(self.order)
        self.place[self.order] = np.arange(count)
        reader = self.place[self.reader]
        self.last = self.place.copy()
        if len(self.read):
            self.last[self.read] = np.maximum.reduceat(reader, self.first)
        changes = np.zeros(count + 2, np.int64)
        changes[1:-1] = self.bytes[self.order]
        np.subtract.at(changes, self.last[self.order] + 1, changes[1:-1].copy())
        self.held = np.cumsum(changes)[:-1]
        self.room = self.need[self.order]
        if self.takes is not None:
            own = self.takes & (reader == self.last[self.source])
            self.room[reader[own]] -= self.bytes[self.source[own]]

    def done(self) -> None:
        """Give the order to the runs."""
        import numpy as np

        last = np.append(self.order, END)[self.last[self.read]]
        self.line.reorder(self.order.tolist(), dict(zip(self.read.tolist(), last.tolist())), self.held, self.room)
