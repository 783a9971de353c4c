"""Selections improved by local search: another way for one value at a time.

A trial that made the selection no cheaper makes it no cheaper later on, until something that the trial looked at has
changed; it is not made again before.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

from tpc.passes.choose.choices import Choices, Picks

MOST_CHANGES = 50_000  # values that are looked at in changes that should make a selection cheaper
FEW_CHANGES = 4_000  # enough to tell about what a selection costs
DETOUR = 0.2  # how much dearer a selection may become by a change, as a share, when others may make up for it
CHEAPER = 1 - 1e-9  # what counts as cheaper, as a share of the price: sums differ by how they were rounded


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

    def __init__(self, choices: Choices, picks: Picks, most: int = MOST_CHANGES) -> None:
        self.choices, self.most, self.changes = choices, most, 0
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
        self.idle: set[tuple[int, int]] = set()  # other ways that were looked at and make it no cheaper
        self.watched: dict[int, set[tuple[int, int]]] = {}  # which of them looked at a value

    def improve(self, kept: int | None = None) -> None:
        """Change one value's way as long as it makes the whole cheaper; that of a value to be kept is not changed."""
        changed = True
        while changed:
            changed = False
            for value, way in self._others():
                if value == kept or (value, way) in self.idle:
                    continue
                change = self.change(value, way)
                if self.seconds + change.seconds >= self.seconds * CHEAPER:
                    self._rest(value, way, change)
                elif kept not in change.gone and self._is_possible(change, value):
                    self._apply(change)
                    changed = True

    def explore(self) -> None:
        """Make one change that costs a little, and see whether others make up for it."""
        self.improve()
        changed = True
        while changed:
            changed = False
            for value, way in self._others():
                change = self.change(value, way)
                if change.seconds > self.seconds * DETOUR or not self._is_possible(change, value):
                    continue
                trial = self._copy()
                trial._apply(change)
                trial.improve(kept=value)
                trial.improve()
                self.changes = trial.changes
                if trial.seconds < self.seconds * CHEAPER:
                    self.__dict__.update(trial.__dict__)
                    changed = True

    def _copy(self) -> Plan:
        made = copy(self)
        made.picks, made.users, made.idle = dict(self.picks), list(self.users), set(self.idle)
        return made

    def _rest(self, value: int, way: int, change: Change) -> None:
        """Another way makes it no cheaper; what was looked at to know it is watched."""
        self.idle.add((value, way))
        around = self.choices.around
        for seen in {value, *change.users, *(n for made in change.picks if made != value for n in around(made))}:
            self.watched.setdefault(seen, set()).add((value, way))

    def _others(self) -> Iterator[tuple[int, int]]:
        """Every way that is not taken of a value that is needed, until many changes have been looked at."""
        for value in self.choices.ordered(self.picks) or ():
            for way in range(len(self.choices.ways[value])):
                if self.changes > self.most:
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
        for value in {*change.picks, *change.users}:
            self.idle.difference_update(self.watched.get(value, ()))
