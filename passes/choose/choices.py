"""What a selection is made from: values by numbers, their ways, and what each costs if nothing is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from tpc.passes.choose.menu import Menu
from tpc.passes.choose.value import Value, Way

Picks = dict[int, int]
"""The number of the way that is chosen, by the number of the value."""


class Choices:
    """The values that results may need, with the ways that lead to something.

    Attributes
    ----------
    number
        Values by number: what is done with them often is done with numbers, for which equality is cheap.
    ways, seconds, needs
        For each value, its ways, their own seconds, and the numbers of what they need.
    trees
        The price of each value if nothing were shared.
    cheapest
        The way of each value by which it has that price; what no way leads to has none.
    """

    def __init__(self, menu: Menu, results: Sequence[Value]) -> None:
        self.number: dict[Value, int] = {}
        self.values: list[Value] = []
        self.ways: list[tuple[Way, ...]] = []
        self.needs: list[list[tuple[int, ...]]] = []
        self.results = tuple(map(self._numbered, results))
        waiting = list(dict.fromkeys(self.results))
        while waiting:
            value = waiting.pop()
            known = len(self.values)
            self.ways[value] = menu.ways(self.values[value])
            self.needs[value] = [tuple(map(self._numbered, dict.fromkeys(w.needs))) for w in self.ways[value]]
            waiting += range(known, len(self.values))
        self.trees = [float("inf")] * len(self.values)
        self.cheapest: Picks = {}
        self._find_trees()
        for value, needs in enumerate(self.needs):
            kept = [way for way, own in enumerate(needs) if all(n in self.cheapest for n in own)]
            self.ways[value] = tuple(self.ways[value][way] for way in kept)
            self.needs[value] = [needs[way] for way in kept]
            if kept:
                self.cheapest[value] = kept.index(self.cheapest[value])
        self.seconds = [[way.seconds for way in ways] for ways in self.ways]
        self._sorted: dict[int, list[int]] = {}
        self._around: dict[int, frozenset[int]] = {}

    def _numbered(self, value: Value) -> int:
        number = self.number.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
            self.ways.append(())
            self.needs.append([])
        return number

    def _find_trees(self) -> None:
        """The cheapest value whose needs are all known is known next, so that none needs itself.

        D. E. Knuth, A Generalization of Dijkstra's Algorithm (1977).
        """
        users: list[list[tuple[int, int]]] = [[] for _ in self.values]
        missing = [[len(needs) for needs in ways] for ways in self.needs]
        open_values: list[tuple[float, int, int]] = []  # with the way; of equals the form that was found last
        for value, ways in enumerate(self.needs):
            for way, needs in enumerate(ways):
                for need in needs:
                    users[need].append((value, way))
                if not needs:
                    heappush(open_values, (self._tree(value, way), value, -way))
        while open_values:
            price, number, last = heappop(open_values)
            if number in self.cheapest:
                continue
            self.trees[number], self.cheapest[number] = price, -last
            for value, way in users[number]:
                missing[value][way] -= 1
                if not missing[value][way] and value not in self.cheapest:
                    heappush(open_values, (self._tree(value, way), value, -way))

    def _tree(self, value: int, way: int) -> float:
        return float(self.ways[value][way].seconds) + sum(self.trees[n] for n in self.needs[value][way])

    def sorted(self, value: int) -> list[int]:
        """The ways of a value, the cheapest tree first, and of equals the form that was found last."""
        if value not in self._sorted:
            ways = range(len(self.ways[value]))
            self._sorted[value] = sorted(ways, key=lambda way: (self._tree(value, way), -way))
        return self._sorted[value]

    def around(self, value: int) -> frozenset[int]:
        """What any way of a value needs."""
        if value not in self._around:
            self._around[value] = frozenset(n for needs in self.needs[value] for n in needs)
        return self._around[value]

    def picks(self, ways: Mapping[Value, Way]) -> Picks:
        """A selection by numbers; its ways may be those of another menu of the same graph."""
        numbers = {self.number[value]: way for value, way in ways.items()}
        return {value: [*map(_told, self.ways[value])].index(_told(way)) for value, way in numbers.items()}

    def ordered(self, picks: Picks, start: Sequence[int] | None = None) -> tuple[int, ...] | None:
        """What some values (the results) need, in an order of computing; None where a value would need itself."""
        done: dict[int, None] = {}
        open_values: set[int] = set()
        stack = [(value, False) for value in reversed(self.results if start is None else start)]
        while stack:
            value, is_finished = stack.pop()
            if is_finished:
                open_values.discard(value)
                done[value] = None
            elif value not in done:
                if value in open_values:
                    return None
                open_values.add(value)
                stack.append((value, True))
                stack += [(n, False) for n in reversed(self.needs[value][picks[value]]) if n not in done]
        return tuple(done)


def _told(way: Way) -> tuple[object, ...]:
    """What tells a way from the others of a value, at whatever price."""
    return way.kernel, way.needs, way.term
