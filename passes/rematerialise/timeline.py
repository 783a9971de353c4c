"""Plans that are changed bit by bit.

The steps run for the first time in the order of the graph. What runs again before step `t` runs for the first time
belongs to *stage* t, and stages are in the order of the graph inside: so a plan is a set of pairs (stage, step), and
every such set is a plan, since each operand has been computed before in some stage. A pair is one number, its *key*,
and keys grow with time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tpc.passes.rematerialise.graph import Graph, Plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Timeline:
    """A set of pairs with the live bytes at each of its positions.

    Parameters
    ----------
    again
        Keys of what runs again.
    """

    def __init__(self, graph: Graph, again: Iterable[int] = ()) -> None:
        import numpy as np

        self.graph = graph
        self.n = n = len(graph)
        self.steps = graph.steps
        self.operands = [tuple(dict.fromkeys(step.operands)) for step in graph.steps]
        self.keys = [t * n + t for t in range(n)]
        self.runs = [[key] for key in self.keys]  # of each value, in time
        self.uses = [[r * n + r for r in graph.readers[v]] for v in range(n)]
        for v, step in enumerate(graph.steps):
            if step.kept:
                self.uses[v].append(n * n)
        self.again: set[int] = set()
        self.moves = 0
        self.added = 0.0
        changes = np.zeros(n + 1)
        for v, step in enumerate(graph.steps):
            end = self.end(v, self.keys[v])
            changes[v] += step.bytes
            changes[min(end // n, n - 1) + 1] -= step.bytes
            changes[min(end // n, n)] -= self.taken(v, end)
            changes[min(end // n, n - 1) + 1] += self.taken(v, end)
        taken = np.array([step.workspace for step in graph.steps], float)
        self.live: NDArray[np.float64] = np.cumsum(changes)[:n] + taken + graph.held
        for key in sorted(again):
            self.add(key)

    def plan(self) -> Plan:
        return Plan(self.graph, tuple(key % self.n for key in self.keys))

    def run_before(self, value: int, key: int) -> int:
        """The key at which a value was computed last before `key`."""
        runs = self.runs[value]
        return runs[bisect_left(runs, key) - 1]

    def end(self, value: int, run: int) -> int:
        """The last use of what was computed at key `run`, which is that key itself if there is none."""
        runs, uses = self.runs[value], self.uses[value]
        place = bisect_right(runs, run)
        last = bisect_left(uses, runs[place]) if place < len(runs) else len(uses)
        # A use at the very key of the next run cannot be, since a step does not read itself.
        return max(uses[last - 1], run) if last else run

    def end_before(self, value: int, key: int) -> int:
        """The last use before `key` of what was computed last before it."""
        uses = self.uses[value]
        last = bisect_left(uses, key)
        run = self.run_before(value, key)
        return max(uses[last - 1], run) if last else run

    def is_live(self, value: int, key: int) -> bool:
        """Whether a value is held just before `key`, to be used then or later."""
        return self.end(value, self.run_before(value, key)) >= key

    def taken(self, value: int, end: int) -> int:
        """Bytes that are spared at the last use of a value, where its place is taken."""
        return self.steps[value].bytes if self.steps[end % self.n].takes == value else 0

    def held_over(self, key: int) -> list[int]:
        """Values that are held over a position without being used there, and one whose place could be taken there."""
        n = self.n
        near = {key % n, *self.operands[key % n]} - {self.steps[key % n].takes}
        found = []
        for value in range(min(n, key // n)):
            uses, runs = self.uses[value], self.runs[value]
            if value in near or not uses or uses[-1] < key:
                continue
            place = bisect_left(runs, key)
            following = bisect_right(uses, key)
            if following < len(uses) and (place == len(runs) or runs[place] >= uses[following]):
                found.append(value)
        return found

    @property
    def cost(self) -> float:
        """Of what runs again, without the runs that nothing reads before the next one of the same step."""
        total = self.added
        for value in {key % self.n for key in self.again}:
            for run in self.runs[value][:-1]:
                if self.end(value, run) == run:
                    total -= self.steps[value].cost
        return total

    def excess(self, budget: float) -> float:
        """Bytes above a budget, summed over the positions."""
        over = self.live - budget
        return float(over[over > 0].sum())

    def _change(self, after: int, until: int, bytes: int) -> None:
        """Add to what is live at keys k with after < k < until."""
        if bytes:
            self.live[bisect_right(self.keys, after) : bisect_left(self.keys, until)] += bytes

    def _change_at(self, key: int, bytes: int) -> None:
        if bytes:
            self.live[bisect_left(self.keys, key)] += bytes

    def add(self, key: int) -> None:
        """Let a step run again."""
        import numpy as np

        n, steps = self.n, self.steps
        value = key % n
        self.moves += 1
        place = bisect_left(self.keys, key)
        before = self.keys[place - 1]
        runner = before % n
        live = self.live[place - 1] - steps[runner].workspace
        for operand in self.operands[runner]:
            if self.end(operand, self.run_before(operand, before)) == before:
                live -= steps[operand].bytes - self.taken(operand, before)
        if self.end(runner, before) == before:
            live -= steps[runner].bytes
        self.keys.insert(place, key)
        self.live = np.concatenate((self.live[:place], (live + steps[value].workspace,), self.live[place:]))
        run = self.run_before(value, key)
        is_held = self.end(value, run) > key
        insort(self.runs[value], key)
        if is_held:
            end = self.end(value, run)
            self._change(end, key, -steps[value].bytes)
            self._change_at(end, -self.taken(value, end))
        else:
            self.live[place] += steps[value].bytes
        for operand in self.operands[value]:
            end = self.end(operand, self.run_before(operand, key))
            insort(self.uses[operand], key)
            if end < key:
                self._change_at(end, self.taken(operand, end))
                self._change(end, key + 1, steps[operand].bytes)
                self._change_at(key, -self.taken(operand, key))
        self.again.add(key)
        self.added += steps[value].cost

    def remove(self, key: int) -> None:
        """Undo `add`."""
        import numpy as np

        n, steps = self.n, self.steps
        value = key % n
        self.moves += 1
        for operand in self.operands[value]:
            uses = self.uses[operand]
            uses.pop(bisect_left(uses, key))
            end = self.end(operand, self.run_before(operand, key))
            if end < key:
                self._change(end, key + 1, -steps[operand].bytes)
                self._change_at(end, -self.taken(operand, end))
        is_used = self.end(value, key) > key
        run = self.run_before(value, key)
        end = self.end(value, run)
        self.runs[value].remove(key)
        if is_used:
            self._change(end, key, steps[value].bytes)
            self._change_at(end, self.taken(value, end))
        place = bisect_left(self.keys, key)
        self.keys.pop(place)
        self.live = np.concatenate((self.live[:place], self.live[place + 1 :]))
        self.again.discard(key)
        self.added -= steps[value].cost
