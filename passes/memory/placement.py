"""Where buffers lie in one block of memory: those that are alive at one time must not overlap.

Several orders are tried, each buffer going to the lowest place that is free while it lives; then the best order is
changed where it hurts, by taking the buffers at the top and putting them first. Nothing is random, so equal buffers
lie in equal places.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike, divide, is_nonnegative

ALIGNMENT = 64
MOVES = 400  # changes of an order that are tried for 100 buffers; fewer for more
WORK = 400_000  # comparisons of buffers that the search may take


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that are needed from step `start` to before step `stop`."""

    bytes: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The offset of each buffer, and the bytes of the block."""

    offsets: tuple[int, ...]
    bytes: int


def place(spans: Sequence[Span], alignment: int = ALIGNMENT) -> Placement:
    """Places for buffers in one block, aligned.

    The methods are those of offset calculation by greedy orders (Pisarchyk and Lee, Efficient memory management for
    deep neural net inference, 2020), with a search over orders behind them.
    """
    sizes = [_aligned(span.bytes, alignment) for span in spans]
    found = _Search(spans, sizes).run()
    return Placement(tuple(found), max((o + s for o, s in zip(found, sizes, strict=True)), default=0))


def lower_bound(spans: Sequence[Span], alignment: int = ALIGNMENT) -> int:
    """The largest sum of the bytes of buffers that are alive at one time: no placement takes less."""
    return _most_alive(spans, [_aligned(span.bytes, alignment) for span in spans])


def _most_alive(spans: Sequence[Span], sizes: Sequence[int]) -> int:
    changes: dict[int, int] = {}
    for span, size in zip(spans, sizes, strict=True):
        if span.stop > span.start:
            changes[span.start] = changes.get(span.start, 0) + size
            changes[span.stop] = changes.get(span.stop, 0) - size
    most = held = 0
    for step in sorted(changes):
        held += changes[step]
        most = max(most, held)
    return most


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


class _Search:
    def __init__(self, spans: Sequence[Span], sizes: Sequence[int]) -> None:
        self.spans, self.sizes = spans, sizes
        self.least = _most_alive(spans, sizes)
        self.near = _overlapping(spans)
        self.best: list[int] = [0] * len(spans)
        self.bytes = -1
        self.order: list[int] = []

    def run(self) -> list[int]:
        numbers = range(len(self.spans))
        spans, sizes = self.spans, self.sizes
        keys: list[Callable[[int], tuple[int, ...]]] = [
            lambda k: (-sizes[k], spans[k].start, k),
            lambda k: (-sizes[k] * (spans[k].stop - spans[k].start), k),
            lambda k: (spans[k].start, -sizes[k], k),
            lambda k: (-spans[k].stop, -sizes[k], k),
            lambda k: (-(spans[k].stop - spans[k].start), -sizes[k], k),
        ]
        for key in keys:
            self.tried(sorted(numbers, key=key))
        self.improve()
        return self.best

    def tried(self, order: list[int]) -> bool:
        """Place in an order; whether that is better than all before."""
        offsets = self.placed(order)
        top = max((offsets[k] + self.sizes[k] for k in order), default=0)
        if self.bytes >= 0 and top >= self.bytes:
            return False
        self.best, self.bytes, self.order = offsets, top, order
        return True

    def placed(self, order: Sequence[int]) -> list[int]:
        """Each buffer at the lowest place that is free of those placed before it and alive with it."""
        offsets = [-1] * len(self.spans)
        sizes = self.sizes
        for k in order:
            taken = sorted([(offsets[j], sizes[j]) for j in self.near[k] if offsets[j] >= 0])
            place = 0
            for start, size in taken:
                if start - place >= sizes[k]:
                    break
                place = max(place, start + size)
            offsets[k] = place
        return offsets

    def improve(self) -> None:
        """Move a buffer that reaches the top to the front, or before what it lies on, while that helps."""
        pairs = sum(map(len, self.near)) + len(self.spans)
        left = min(MOVES, WORK // max(pairs, 1))
        seen: set[tuple[int, ...]] = set()
        while left > 0 and self.bytes > self.least:
            for order in self.neighbours():
                left -= 1
                if left < 0:
                    return
                if tuple(order) in seen:
                    continue
                seen.add(tuple(order))
                if self.tried(order):
                    break
            else:
                return

    def neighbours(self) -> list[list[int]]:
        """Orders in which something of the topmost buffers, or of what they lie on, comes earlier."""
        tops = [k for k in self.order if self.best[k] + self.sizes[k] == self.bytes]
        found = []
        for k in tops:
            below = sorted(self.near[k], key=lambda j: (-self.best[j], j))
            at = self.order.index(k)
            rest = self.order[:at] + self.order[at + 1 :]
            for place in dict.fromkeys([0, *(rest.index(j) for j in below[:12]), at // 2, max(at - 1, 0)]):
                found.append([*rest[:place], k, *rest[place:]])
            for j in below[:12]:  # what it lies on goes first, or last
                others = [i for i in self.order if i != j]
                found.append([j, *others])
                found.append([*others, j])
        return found


def _overlapping(spans: Sequence[Span]) -> list[list[int]]:
    """For each buffer those that are alive at some time with it."""
    near: list[list[int]] = [[] for _ in spans]
    alive: list[tuple[int, int]] = []  # by when they end
    for k in sorted(range(len(spans)), key=lambda k: (spans[k].start, k)):
        if spans[k].stop <= spans[k].start:
            continue
        alive = alive[bisect_left(alive, (spans[k].start + 1, -1)) :]
        for _, j in alive:
            near[j].append(k)
            near[k].append(j)
        insort(alive, (spans[k].stop, k))
    return near


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """Bytes as a polynomial of sizes that are not known yet, needed from step `start` to before step `stop`."""

    bytes: DimLike
    start: int
    stop: int


def place_open(spans: Sequence[OpenSpan], alignment: int = ALIGNMENT) -> tuple[list[DimLike], DimLike]:
    """Offsets of buffers whose sizes are open, and the bytes of the block: a buffer takes the place of another that is
    not needed any more where that is as large for all sizes."""
    slots: list[tuple[DimLike, int]] = []  # how large each is, and from when on it is free
    chosen: list[int] = []
    for span in spans:
        size = divide(span.bytes + (alignment - 1), alignment) * alignment
        found = next((k for k, (room, free) in enumerate(slots) if free <= span.start and room == size), None)
        if found is None:
            found = next(
                (k for k, (room, free) in enumerate(slots) if free <= span.start and is_nonnegative(room - size)), None
            )
        if found is None:
            found = len(slots)
            slots.append((size, 0))
        slots[found] = (slots[found][0], span.stop)
        chosen.append(found)
    starts: list[DimLike] = [0]
    for room, _ in slots:
        starts.append(starts[-1] + room)
    return [starts[k] for k in chosen], starts[-1]
