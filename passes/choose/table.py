"""The ways of a menu, priced at many sizes at once, and the cheapest selections there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tpc.ir.dims import DimLike
from tpc.passes.choose.menu import Menu
from tpc.passes.choose.prices import Prices
from tpc.passes.choose.samples import Point
from tpc.passes.choose.select import Selection, select
from tpc.passes.choose.value import Value, Way
from tpc.passes.kernels import Kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Picks = tuple[tuple[Value, int], ...]
"""For each value that a plan needs, in the order of computing, which of its ways is taken."""


def values_of(dim: DimLike, columns: Mapping[str, Array]) -> Any:
    """A dim at many sizes at once, as floats; below zero it is zero."""
    import numpy as np

    if isinstance(dim, int):
        return float(dim)
    total: Any = 0.0
    for monomial, coefficient in dim.terms:
        term: Any = float(coefficient)
        for atom, exponent in monomial:
            if isinstance(atom, str):
                value: Any = columns[atom]
            else:
                left, right = values_of(atom.left, columns), values_of(atom.right, columns)
                value = (
                    {"min": np.minimum, "max": np.maximum}[atom.kind](left, right)
                    if atom.kind != "div"
                    else (np.floor(left / np.maximum(right, 1.0)))
                )
            term = term * value**exponent
        total = total + term
    return np.maximum(total, 0.0)


class Table:
    """What every way costs at every point."""

    def __init__(self, menu: Menu, results: Sequence[Value], points: Sequence[Point], prices: Prices) -> None:
        import numpy as np

        self.results, self.prices, self.count = results, prices, len(points)
        self.columns = {name: np.array([p[name] for p in points], float) for name in points[0]}
        self.choices = _reachable(menu, results)
        self._known: dict[Kernel, Array] = {}
        self.rows = {value: [self._row(way) for way in ways] for value, ways in self.choices.items()}

    def _row(self, way: Way) -> Array:
        import numpy as np

        if not way.kernels:
            return np.full(self.count, way.seconds)
        total: Array = np.sum([self._seconds(kernel) for kernel in way.kernels], axis=0)
        return way.charge * total

    def _seconds(self, kernel: Kernel) -> Array:
        import numpy as np

        found = self._known.get(kernel)
        if found is None:
            dims = (*kernel.sizes, kernel.batch, kernel.times)
            sides = [np.broadcast_to(values_of(d, self.columns), self.count).tolist() for d in dims]
            seconds = self.prices.seconds
            found = self._known[kernel] = kernel.share * np.array(
                [
                    times * seconds(kernel.name, tuple(map(int, sizes)), kernel.dtype, batch=max(1, int(batch)))
                    for *sizes, batch, times in zip(*sides)
                ]
            )
        return found

    def trees(self) -> list[Picks]:
        """The cheapest selections at the points, if a value that two others need were computed for each of them."""
        import numpy as np

        values = list(self.choices)
        number = {value: k for k, value in enumerate(values)}
        needs = [[[number[n] for n in dict.fromkeys(way.needs)] for way in self.choices[value]] for value in values]
        rows = [self.rows[value] for value in values]
        prices = [np.full(self.count, np.inf)] * len(values)
        best: dict[int, Array] = {}
        users: list[dict[int, None]] = [{} for _ in values]
        for value, ways in enumerate(needs):
            for way in ways:
                for need in way:
                    users[need][value] = None
        waiting = dict.fromkeys(reversed(range(len(values))))
        while waiting:
            value, _ = waiting.popitem()
            if not needs[value]:
                continue  # what nothing computes costs more than anything
            whole = np.array([row + sum(prices[n] for n in way) for way, row in zip(needs[value], rows[value])])
            price = whole.min(axis=0)
            cheaper = price < prices[value] * (1 - 1e-12)
            if cheaper.any():  # among equals the way stays, so that no value needs itself
                best[value] = np.where(cheaper, whole.argmin(axis=0), best.get(value, 0))
                prices[value] = np.where(cheaper, price, prices[value])
                waiting.update(users[value])
        picked = {value: chosen.tolist() for value, chosen in best.items()}
        wanted = [number[value] for value in self.results]
        found = dict.fromkeys(tuple(_closed(wanted, needs, picked, k)) for k in range(self.count))
        return [tuple((values[value], way) for value, way in picks) for picks in found]

    def best(self, point: int) -> Picks:
        """The cheapest selection at a point that `select` finds, with shared values paid once."""
        priced = _Priced(self, point)
        selection = select(priced, self.results)  # type: ignore[arg-type]  # it asks for ways and no more
        return tuple(
            (v, next(k for k, w in enumerate(priced.ways(v)) if w is selection.ways[v])) for v in selection.order
        )

    def seconds(self, picks: Picks) -> Array:
        """What a selection costs at every point."""
        total: Array = sum(self.rows[value][way] for value, way in picks)  # type: ignore[assignment]
        return total

    def total(self, kernels: Mapping[Kernel, float]) -> Array:
        """What some kernels cost at every point, each of them so many times."""
        import numpy as np

        rows = [times * self._seconds(kernel) for kernel, times in kernels.items()]
        return np.sum(rows, axis=0) if rows else np.zeros(self.count)

    def kernels(self, picks: Picks) -> tuple[dict[Kernel, float], float]:
        """The kernels of a selection, how often each of them counts, and the seconds of what costs the same always."""
        found: dict[Kernel, float] = {}
        constant = 0.0
        for value, k in picks:
            way = self.choices[value][k]
            constant += 0.0 if way.kernels else way.seconds
            for kernel in way.kernels:
                found[kernel] = found.get(kernel, 0) + way.charge
        return found, constant

    def selection(self, picks: Picks, point: int) -> Selection:
        """The picks as a selection, priced at a point."""
        priced = _Priced(self, point)
        ways = {value: priced.ways(value)[k] for value, k in picks}
        return Selection(ways, tuple(ways), sum(way.seconds for way in ways.values()), False)


def _closed(
    results: Sequence[int], needs: Sequence[Sequence[Sequence[int]]], picked: Mapping[int, Sequence[int]], point: int
) -> Iterator[tuple[int, int]]:
    """Only what the results need at a point, in the order of computing, each with its way."""
    done: set[int] = set()
    stack = [(value, False) for value in reversed(results)]
    while stack:
        value, is_finished = stack.pop()
        if value in done:
            continue
        way = picked[value][point]
        if is_finished:
            done.add(value)
            yield value, way
        else:
            stack.append((value, True))
            stack += [(n, False) for n in reversed(needs[value][way]) if n not in done]


class _Priced:
    """The menu at one of the points."""

    def __init__(self, table: Table, point: int) -> None:
        self.table, self.point = table, point
        self.known: dict[Value, tuple[Way, ...]] = {}

    def ways(self, value: Value) -> tuple[Way, ...]:
        if value not in self.known:
            pairs = zip(self.table.choices[value], self.table.rows[value])
            self.known[value] = tuple(replace(way, seconds=float(row[self.point])) for way, row in pairs)
        return self.known[value]


def _reachable(menu: Menu, results: Sequence[Value]) -> dict[Value, tuple[Way, ...]]:
    found: dict[Value, tuple[Way, ...]] = {}
    waiting = list(results)
    while waiting:
        value = waiting.pop()
        if value not in found:
            found[value] = menu.ways(value)
            waiting += [n for way in found[value] for n in way.needs]
    return found
