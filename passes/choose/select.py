"""Selection: one way for each value that is needed, shared values paid once.

First the cheapest tree for every value. Then values that are shared are looked at again: a way that is dearer by
itself may be cheaper where what it needs is there already. Where little is left to choose, all choices are tried by
branch and bound, and the selection is the best there is. Trials are counted, and end when there were many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tpc.passes.choose.choices import Choices, Picks
from tpc.passes.choose.menu import Menu
from tpc.passes.choose.value import Built, Value, Way

MOST_BRANCHES = 100_000  # of branch and bound, times the values of the selection
MOST_CHANGES = 100_000  # values that are looked at in changes that should make a selection cheaper
DETOUR = 0.2  # how much dearer a selection may become by a change, as a share, when others may make up for it
CHEAPER = 1 - 1e-9  # what counts as cheaper, as a share of the price: sums differ by how they were rounded


@dataclass(frozen=True)
class Selection:
    """A way for each value that the results need, in an order in which they can be computed."""

    ways: dict[Value, Way]
    order: tuple[Value, ...]
    seconds: float
    is_best: bool  # whether it is known that no other is cheaper

    def build(self) -> dict[Value, Built]:
        """The values as nodes."""
        done: dict[Value, Built] = {}
        for value in self.order:
            way = self.ways[value]
            done[value] = way.build([done[n] for n in way.needs])
        return done


def select(menu: Menu, results: Sequence[Value]) -> Selection:
    """The cheapest selection found for the results."""
    choices = Choices(menu, results)
    plan = Plan(choices, choices.cheapest)
    plan.improve()
    best, is_best = _bounded(choices, plan.picks)
    if not is_best:
        plan = Plan(choices, best, plan.changes)
        plan.explore()
        best = plan.picks
    order = choices.ordered(best)
    assert order is not None
    ways = {choices.values[v]: choices.ways[v][best[v]] for v in order}
    return Selection(ways, tuple(ways), sum(way.seconds for way in ways.values()), is_best)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way for a value of a selection, and the price of the cheapest selection found with it."""

    way: Way
    seconds: float


def alternatives(menu: Menu, results: Sequence[Value], selection: Selection) -> Iterator[tuple[Value, Alternative]]:
    """The best other way for each value that has one."""
    choices = Choices(menu, results)
    plan = Plan(choices, choices.picks(selection.ways))
    for value in selection.order:
        number, own = choices.number[value], selection.ways[value]
        best: Alternative | None = None
        for k, way in enumerate(choices.ways[number]):
            if way.kernel == own.kernel and way.needs == own.needs:
                continue
            price = plan.price_with(number, k)
            if price is not None and (best is None or price < best.seconds):
                best = Alternative(way, price)
        if best is not None:
            yield value, best


def price_with(menu: Menu, results: Sequence[Value], selection: Selection, value: Value, way: Way) -> float | None:
    """The price of the cheapest selection found in which a value of a selection is computed in another way."""
    choices = Choices(menu, results)
    number = choices.number[value]
    if way not in choices.ways[number]:
        return None
    return Plan(choices, choices.picks(selection.ways)).price_with(number, choices.ways[number].index(way))


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a selection with another way for one value.

    Attributes
    ----------
    seconds
        By how much it becomes dearer.
    picks
        The way of this value, and those of what it needs anew.
    users
        How many more values need a value.
    gone
        What is no longer needed.
    """

    seconds: float
    picks: Picks
    users: dict[int, int]
    gone: list[int]


class Plan:
    """A selection that is changed one value at a time, at the expense of what changes."""

    def __init__(self, choices: Choices, picks: Picks, changes: int = 0) -> None:
        self.choices, self.changes = choices, changes
        order = choices.ordered(picks)
        assert order is not None
        self.picks: Picks = {value: picks[value] for value in order}
        self.users = [0] * len(choices.values)
        for value in choices.results:
            self.users[value] += 1
        for value, way in self.picks.items():
            for need in choices.needs[value][way]:
                self.users[need] += 1
        self.seconds = sum(choices.seconds[value][way] for value, way in self.picks.items())

    def improve(self, kept: int | None = None) -> None:
        """Change one value's way as long as it makes the whole cheaper; that of a value to be kept is not changed."""
        changed = True
        while changed:
            changed = False
            for value, way in self._others():
                change = self.change(value, way)
                if self.seconds + change.seconds >= self.seconds * CHEAPER or value == kept:
                    continue
                if kept not in change.gone and self._is_possible(change, value):
                    self._apply(change)
                    changed = True

    def explore(self) -> None:
        """Make one change that costs a little, and see whether others make up for it."""
        changed = True
        while changed:
            changed = False
            for value, way in self._others():
                change = self.change(value, way)
                if change.seconds > self.seconds * DETOUR or not self._is_possible(change, value):
                    continue
                trial = Plan(self.choices, {**self.picks, **change.picks}, self.changes)
                trial.improve(kept=value)
                trial.improve()
                self.changes = trial.changes
                if trial.seconds < self.seconds * CHEAPER:
                    self.picks, self.users, self.seconds = trial.picks, trial.users, trial.seconds
                    changed = True

    def _others(self) -> Iterator[tuple[int, int]]:
        """Every way that is not taken of a value that is needed, until many changes have been looked at."""
        for value in self.choices.ordered(self.picks) or ():
            for way in range(len(self.choices.ways[value])):
                if self.changes > MOST_CHANGES:
                    return
                if value in self.picks and way != self.picks[value]:
                    yield value, way

    def price_with(self, value: int, way: int) -> float | None:
        """The price with another way for one value; None where a value would need itself."""
        change = self.change(value, way)
        return self.seconds + change.seconds if self._is_possible(change, value) else None

    def change(self, value: int, way: int) -> Change:
        """Another way for one value; what that needs anew is chosen with what is there for nothing."""
        choices = self.choices
        picks: Picks = {value: way}
        users: dict[int, int] = {}
        seconds = choices.seconds[value][way] - choices.seconds[value][self.picks[value]]
        waiting = list(choices.needs[value][way])
        while waiting:
            need = waiting.pop()
            users[need] = users.get(need, 0) + 1
            if need not in self.picks and need not in picks:
                picks[need] = own = self._cheapest(need, picks)
                seconds += choices.seconds[need][own]
                waiting += choices.needs[need][own]
        gone: list[int] = []
        waiting = list(choices.needs[value][self.picks[value]])
        while waiting:
            need = waiting.pop()
            users[need] = users.get(need, 0) - 1
            if not self.users[need] + users[need]:
                gone.append(need)
                seconds -= choices.seconds[need][self.picks[need]]
                waiting += choices.needs[need][self.picks[need]]
        self.changes += 1 + len(users)
        return Change(seconds, picks, users, gone)

    def _cheapest(self, value: int, picks: Picks) -> int:
        """The way of a value that is cheapest with what is there."""
        choices = self.choices
        prices = [
            own + sum(choices.trees[n] for n in needs if n not in self.picks and n not in picks)
            for own, needs in zip(choices.seconds[value], choices.needs[value])
        ]
        return prices.index(min(prices))

    def _is_possible(self, change: Change, value: int) -> bool:
        """Whether no value would need itself; a circle would go through the value, or what it needs anew."""
        found = self.choices.ordered({**self.picks, **change.picks}, [value])
        self.changes += len(self.picks)
        return found is not None

    def _apply(self, change: Change) -> None:
        self.picks.update(change.picks)
        for value in change.gone:
            del self.picks[value]
        for value, more in change.users.items():
            self.users[value] += more
        self.seconds += change.seconds


def _bounded(choices: Choices, best: Picks) -> tuple[Picks, bool]:
    """Branch and bound from the best selection known; and whether all of it was searched."""
    least = [min(seconds, default=0.0) for seconds in choices.seconds]
    price = sum(choices.seconds[value][way] for value, way in best.items())
    looked = 0

    def branches(picks: Picks, spent: float, needed: dict[int, None]) -> Iterator[tuple[Picks, float, dict[int, None]]]:
        """What is decided, its price, and what is needed and not decided, for each way of one value more."""
        value = max(needed, key=lambda n: choices.trees[n])
        rest = {n: None for n in needed if n != value}
        known = sum(least[n] for n in rest)
        for way in choices.sorted(value):
            more = [n for n in choices.needs[value][way] if n not in picks and n not in rest and n != value]
            own = spent + choices.seconds[value][way]
            if own + known + sum(least[n] for n in more) < price * CHEAPER:
                yield {**picks, value: way}, own, {**rest, **dict.fromkeys(more)}

    stack = [branches({}, 0.0, dict.fromkeys(choices.results))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        picks, spent, needed = found
        if needed:
            looked += len(picks) + len(needed)
            if looked > MOST_BRANCHES:
                return best, False
            stack.append(branches(picks, spent, needed))
        elif choices.ordered(picks) is not None:
            best, price = picks, spent
    return best, True
