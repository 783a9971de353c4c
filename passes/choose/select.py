"""Selection: one way for each value that is needed, shared values paid once.

First the cheapest tree for every value. Then values that are shared are looked at again: a way that is dearer by
itself may be cheaper where what it needs is there already. Where little is left to choose, all choices are tried by
branch and bound, and the selection is the best there is. Trials are counted, and end when there were many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tpc.passes.choose.choices import Choices, Picks
from tpc.passes.choose.local import CHEAPER, MOST_CHANGES, Plan
from tpc.passes.choose.menu import Menu
from tpc.passes.choose.value import Built, Value, Way

BRANCHES = 2  # of branch and bound, times the values of the selection, for each change that may be tried


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


def select(menu: Menu, results: Sequence[Value], changes: int = MOST_CHANGES) -> Selection:
    """The cheapest selection found for the results, after not many more changes were tried than are told."""
    choices = Choices(menu, results)
    plan = Plan(choices, choices.cheapest, changes)
    plan.improve()
    best, is_best = _bounded(choices, plan.picks, BRANCHES * changes)
    if not is_best:
        plan = Plan(choices, best, changes - plan.changes)
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


def _bounded(choices: Choices, best: Picks, most: int) -> tuple[Picks, bool]:
    """Branch and bound from the best selection known; and whether all of it was searched with so many branches."""
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
            if looked > most:
                return best, False
            stack.append(branches(picks, spent, needed))
        elif choices.ordered(picks) is not None:
            best, price = picks, spent
    return best, True
