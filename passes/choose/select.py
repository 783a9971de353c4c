"""Selection: one way for each value that is needed, shared values paid once.

First the cheapest tree for every value. Then values that are shared are looked at again: a way that is dearer by
itself may be cheaper where what it needs is there already. Where little is left to choose, all choices are tried by
branch and bound, and the selection is the best there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tpc.passes.choose.menu import Menu
from tpc.passes.choose.value import Built, Value, Way

MOST_TRIALS = 300  # of branch and bound


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
    choices = _reachable(menu, results)
    trees = _trees(choices)
    choices = _possible(choices, trees)
    chosen = _closed({v: _cheapest(v, choices, trees) for v in choices}, results)
    assert chosen is not None
    best, is_best = _bounded(choices, trees, results, _improved(choices, trees, results, chosen))
    order = _ordered(best, results)
    assert order is not None
    return Selection({v: best[v] for v in order}, order, _price(best), is_best)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way for a value of a selection, and the price of the cheapest selection found with it."""

    way: Way
    seconds: float


def alternatives(menu: Menu, results: Sequence[Value], selection: Selection) -> Iterator[tuple[Value, Alternative]]:
    """The best other way for each value that has one."""
    choices = _reachable(menu, results)
    trees = _trees(choices)
    choices = _possible(choices, trees)
    for value in selection.order:
        best: Alternative | None = None
        for way in choices[value]:
            if way.kernel == selection.ways[value].kernel and way.needs == selection.ways[value].needs:
                continue
            if trees[value] == float("inf") or any(trees[n] == float("inf") for n in way.needs):
                continue
            trial = _with(choices, trees, results, selection.ways, value, way)
            if trial is not None and (best is None or _price(trial) < best.seconds):
                best = Alternative(way, _price(trial))
        if best is not None:
            yield value, best


def price_with(menu: Menu, results: Sequence[Value], selection: Selection, value: Value, way: Way) -> float | None:
    """The price of the cheapest selection found in which a value of a selection is computed in another way."""
    choices = _reachable(menu, results)
    trial = _with(choices, _trees(choices), results, selection.ways, value, way)
    return None if trial is None else _price(trial)


Choices = dict[Value, tuple[Way, ...]]


def _reachable(menu: Menu, results: Sequence[Value]) -> Choices:
    found: Choices = {}
    waiting = list(results)
    while waiting:
        value = waiting.pop()
        if value in found:
            continue
        found[value] = menu.ways(value)
        waiting += [n for way in found[value] for n in way.needs]
    return found


def _possible(choices: Choices, trees: dict[Value, float]) -> Choices:
    """The choices without what no way leads to."""
    infinite = float("inf")
    return {
        value: tuple(way for way in ways if all(trees[n] < infinite for n in way.needs))
        for value, ways in choices.items()
        if trees[value] < infinite
    }


def _trees(choices: Choices) -> dict[Value, float]:
    """The price of each value if nothing were shared. (Every way costs something, so no value is its own need.)"""
    infinite = float("inf")
    prices = dict.fromkeys(choices, infinite)
    users: dict[Value, list[Value]] = {}
    for value, ways in choices.items():
        for way in ways:
            for need in way.needs:
                users.setdefault(need, []).append(value)
    waiting = dict.fromkeys(reversed(choices))
    while waiting:
        value, _ = waiting.popitem()
        price = min((_tree(way, prices) for way in choices[value]), default=infinite)
        if price < prices[value] * (1 - 1e-12):
            prices[value] = price
            waiting.update(dict.fromkeys(users.get(value, ())))
    return prices


def _tree(way: Way, prices: dict[Value, float]) -> float:
    return way.seconds + sum(prices[n] for n in dict.fromkeys(way.needs))


def _cheapest(value: Value, choices: Choices, prices: dict[Value, float]) -> Way:
    return min(choices[value], key=lambda way: _tree(way, prices))


def _closed(ways: dict[Value, Way], results: Sequence[Value]) -> dict[Value, Way] | None:
    """Only what the results need; None where a value would need itself."""
    order = _ordered(ways, results)
    return None if order is None else {v: ways[v] for v in order}


def _ordered(ways: dict[Value, Way], results: Sequence[Value]) -> tuple[Value, ...] | None:
    done: dict[Value, None] = {}
    open_values: set[Value] = set()
    stack: list[tuple[Value, bool]] = [(v, False) for v in reversed(results)]
    while stack:
        value, finished = stack.pop()
        if finished:
            open_values.discard(value)
            done[value] = None
        elif value not in done:
            if value in open_values:
                return None
            open_values.add(value)
            stack.append((value, True))
            stack += [(n, False) for n in reversed(ways[value].needs) if n not in done]
    return tuple(done)


def _price(ways: dict[Value, Way]) -> float:
    return sum(way.seconds for way in ways.values())


def _improved(
    choices: Choices, trees: dict[Value, float], results: Sequence[Value], chosen: dict[Value, Way]
) -> dict[Value, Way]:
    """The selection after changes of one value's way, as long as one makes it cheaper."""
    price = _price(chosen)
    changed = True
    while changed:
        changed = False
        for value in list(chosen):
            if value not in chosen or len(choices[value]) < 2:
                continue
            for way in choices[value]:
                if way is chosen[value] or way.seconds >= price:
                    continue
                trial = _with(choices, trees, results, chosen, value, way)
                if trial is not None and (cost := _price(trial)) < price * (1 - 1e-9):
                    chosen, price, changed = trial, cost, True
    return chosen


def _with(
    choices: Choices,
    trees: dict[Value, float],
    results: Sequence[Value],
    chosen: dict[Value, Way],
    value: Value,
    way: Way,
) -> dict[Value, Way] | None:
    """The selection with another way for one value; what that needs anew is chosen with what is there for nothing."""
    ways = {**chosen, value: way}
    waiting = [n for n in way.needs if n not in ways]
    while waiting:
        need = waiting.pop()
        if need in ways:
            continue
        ways[need] = min(
            choices[need], key=lambda w: w.seconds + sum(trees[n] for n in dict.fromkeys(w.needs) if n not in ways)
        )
        waiting += [n for n in ways[need].needs if n not in ways]
    return _closed(ways, results)


def _bounded(
    choices: Choices, trees: dict[Value, float], results: Sequence[Value], best: dict[Value, Way]
) -> tuple[dict[Value, Way], bool]:
    """Branch and bound from the best selection known; and whether all of it was searched."""
    least = {v: min(w.seconds for w in ways) for v, ways in choices.items()}
    price = _price(best)
    trials = 0
    # what is decided, its price, and what is needed and not decided
    stack: list[tuple[dict[Value, Way], float, dict[Value, None]]] = [({}, 0.0, dict.fromkeys(results))]
    while stack:
        ways, spent, needed = stack.pop()
        if not needed:
            if spent < price * (1 - 1e-9) and _ordered(ways, results) is not None:
                best, price = ways, spent
            continue
        if spent + sum(least[n] for n in needed) >= price * (1 - 1e-9):
            continue
        trials += 1
        if trials > MOST_TRIALS:
            return best, False
        value = max(needed, key=lambda n: trees[n])
        rest = {n: None for n in needed if n != value}
        for way in sorted(choices[value], key=lambda w: -_tree(w, trees)):
            more = {n: None for n in way.needs if n not in ways and n not in rest and n != value}
            stack.append(({**ways, value: way}, spent + way.seconds, {**rest, **more}))
    return best, True
