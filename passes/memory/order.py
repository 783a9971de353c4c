"""In which order steps need least memory.

An order is judged by the most bytes that are held while one of its steps runs. Few steps are searched for the best
order; of many, several orders are grown step by step, the best of them are kept, and short stretches of the best one
are put in order exactly.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

EXACT = 24  # steps that are searched for the best order
STATES = 20_000  # sets of steps done that such a search may look at
WIDTH = 6  # orders that are grown side by side
CHOICES = 5  # steps that each of them may go on with
STRETCH = 10  # steps that are put in order exactly, at a place in a longer order
WORK = 4_000_000  # about how many steps may be weighed in a search of many


@dataclass(frozen=True, slots=True)
class Task:
    """One step: bytes of its results, the tasks whose results it reads, and bytes that it takes while it runs.

    `takes` is a task whose result it may put its own into, if nothing else needs that any more.
    """

    bytes: int
    reads: tuple[int, ...] = ()
    workspace: int = 0
    kept: bool = False
    takes: int | None = None


@dataclass(frozen=True)
class Tasks:
    """Tasks, each after those that it reads."""

    all: tuple[Task, ...]

    @cached_property
    def readers(self) -> tuple[frozenset[int], ...]:
        found: list[set[int]] = [set() for _ in self.all]
        for k, task in enumerate(self.all):
            for j in task.reads:
                found[j].add(k)
        return tuple(map(frozenset, found))

    def peak(self, order: Sequence[int]) -> int:
        """The most bytes that an order holds. Raises ValueError if a task comes before one that it reads."""
        state = _State(self)
        for k in order:
            if not state.is_ready(k):
                raise ValueError(f"task {k} comes before one that it reads")
            state.run(k)
        return state.peak


class _State:
    """What is held after some tasks."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.left = [len(readers) for readers in tasks.readers]  # readers of each result that are still to come
        self.missing = [len(set(task.reads)) for task in tasks.all]
        self.held = self.peak = 0
        self.order: list[int] = []
        self.ready = {k for k, missing in enumerate(self.missing) if not missing}

    def copy(self) -> _State:
        made = _State.__new__(_State)
        made.tasks, made.left, made.missing = self.tasks, self.left.copy(), self.missing.copy()
        made.held, made.peak, made.order, made.ready = self.held, self.peak, self.order.copy(), self.ready.copy()
        return made

    def is_ready(self, k: int) -> bool:
        return k in self.ready

    def freed(self, k: int) -> int:
        """Bytes that are let go after a task."""
        all = self.tasks.all
        return sum(all[j].bytes for j in set(all[k].reads) if self.left[j] == 1 and not all[j].kept)

    def needs(self, k: int) -> int:
        """Bytes that are held while a task runs."""
        task = self.tasks.all[k]
        taken = task.takes
        is_free = taken is not None and self.left[taken] == 1 and not self.tasks.all[taken].kept
        return (
            self.held
            + task.bytes
            + task.workspace
            - (self.tasks.all[taken].bytes if is_free and taken is not None else 0)
        )

    def change(self, k: int) -> int:
        """How many more bytes are held after a task; what nothing reads goes at once."""
        task = self.tasks.all[k]
        return (task.bytes if task.kept or self.tasks.readers[k] else 0) - self.freed(k)

    def run(self, k: int) -> None:
        self.peak = max(self.peak, self.needs(k))
        self.held += self.change(k)
        for j in set(self.tasks.all[k].reads):
            self.left[j] -= 1
        self.ready.discard(k)
        for j in self.tasks.readers[k]:
            self.missing[j] -= 1
            if not self.missing[j]:
                self.ready.add(j)
        self.order.append(k)


def best_order(tasks: Tasks) -> list[int]:
    """An order of tasks that holds little, and never more than the order in which they are given."""
    found = list(range(len(tasks.all)))
    least = tasks.peak(found)
    grown = _grown(tasks)
    if tasks.peak(grown) < least:
        found, least = grown, tasks.peak(grown)
    if len(found) <= EXACT:
        return _exact(tasks, least) or found
    return _smoothed(tasks, found, least)


def _is_harmless(state: _State, k: int) -> bool:
    """Whether no order is worse for running a task at once: it holds no more then, nor afterwards."""
    return state.needs(k) <= state.peak and state.change(k) <= 0


def _exact(tasks: Tasks, most: int) -> list[int] | None:
    """The order that holds least, if that is below `most`: the way of the lowest height to all tasks done, over the
    sets of tasks done. None where there is none, or the search grows too long."""
    start = _State(tasks)
    heap: list[tuple[int, int, int, _State]] = [(0, 0, 0, start)]
    seen: set[int] = set()
    count = 0
    while heap:
        _, _, done, state = heapq.heappop(heap)
        if done in seen:
            continue
        seen.add(done)
        if len(state.order) == len(tasks.all):
            return state.order
        if len(seen) > STATES:
            return None
        ready = sorted(state.ready)
        harmless = next((k for k in ready if _is_harmless(state, k)), None)
        for k in ready if harmless is None else [harmless]:
            if max(state.peak, state.needs(k)) >= most or done | 1 << k in seen:
                continue
            further = state.copy()
            further.run(k)
            count += 1
            heapq.heappush(heap, (further.peak, -len(further.order) * (1 << 20) + count, done | 1 << k, further))
    return None


def _grown(tasks: Tasks) -> list[int]:
    """An order grown step by step, several at once, of which those are kept that hold least so far."""
    states = [(0, _State(tasks))]
    width = max(1, min(WIDTH, WORK // max(40 * len(tasks.all) * CHOICES * max(len(tasks.all) // 8, 1), 1)))
    for _ in tasks.all:
        found: dict[int, _State] = {}
        for done, state in states:
            for k in _choices(state):
                key = done | 1 << k
                known = found.get(key)
                if known is None or max(state.peak, state.needs(k)) < known.peak:
                    further = state.copy() if width > 1 else state
                    further.run(k)
                    found[key] = further
                if width == 1:
                    break
        states = heapq.nsmallest(width, found.items(), key=lambda item: (item[1].peak, item[1].held, item[1].order[-1]))
    return states[0][1].order if states else []


def _choices(state: _State) -> list[int]:
    """The tasks to go on with: a harmless one, or those that need least and leave least."""
    scored = []
    for k in state.ready:
        needs, change = state.needs(k), state.change(k)
        if needs <= state.peak and change <= 0:
            return [k]
        scored.append((max(needs, state.peak), change, k))
    return [k for _, _, k in heapq.nsmallest(CHOICES, scored)]


def _smoothed(tasks: Tasks, order: list[int], peak: int) -> list[int]:
    """The order with short stretches around the step that holds most put in the best order, while that helps."""
    for _ in range(20):
        place = _top(tasks, order)
        better = next((o for o in _around(tasks, order, place) if tasks.peak(o) < peak), None)
        if better is None:
            return order
        order, peak = better, tasks.peak(better)
    return order


def _top(tasks: Tasks, order: Sequence[int]) -> int:
    state = _State(tasks)
    top = 0
    for place, k in enumerate(order):
        before = state.peak
        state.run(k)
        if state.peak > before:
            top = place
    return top


def _around(tasks: Tasks, order: list[int], place: int) -> Iterator[list[int]]:
    """The order with one stretch near a place sorted by what tasks leave, for several stretches."""
    for start in (place - STRETCH + 1, place - STRETCH // 2, place):
        start = max(start, 0)
        state = _State(tasks)
        for k in order[:start]:
            state.run(k)
        left = set(order[start : start + STRETCH])
        stretch: list[int] = []
        while left:
            k = min(
                (k for k in state.ready if k in left),
                key=lambda k: (max(state.needs(k), state.peak), state.change(k), k),
            )
            state.run(k)
            left.discard(k)
            stretch.append(k)
        yield [*order[:start], *stretch, *order[start + STRETCH :]]
