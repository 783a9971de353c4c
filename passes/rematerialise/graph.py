"""Steps with bytes and seconds, and plans: what the search for a plan under a budget knows of a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Step:
    """One computation.

    Attributes
    ----------
    bytes
        Of its result.
    cost
        Of running it once, in any unit.
    operands
        The steps that it reads, by their places in the graph; all come before it.
    workspace
        Bytes that it takes beside operands and result while it runs.
    again
        Whether it may be run more than once.
    kept
        Whether its result must be there at the end.
    takes
        An operand whose place the result has, where nothing reads that operand any more.
    """

    bytes: int
    cost: float
    operands: tuple[int, ...] = ()
    workspace: int = 0
    again: bool = True
    kept: bool = False
    takes: int | None = None


@dataclass(frozen=True)
class Graph:
    """Steps in the order in which they run first; `held` are bytes that are taken all the time."""

    steps: tuple[Step, ...]
    held: int = 0

    def __post_init__(self) -> None:
        for place, step in enumerate(self.steps):
            if any(not 0 <= operand < place for operand in step.operands):
                raise ValueError(f"step {place} reads {step.operands}, which are not all before it")
            if step.takes is not None and step.takes not in step.operands:
                raise ValueError(f"step {place} takes the place of {step.takes}, which it does not read")

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """For each step, those that read it, in order."""
        found: list[list[int]] = [[] for _ in self.steps]
        for place, step in enumerate(self.steps):
            for operand in dict.fromkeys(step.operands):
                found[operand].append(place)
        return tuple(tuple(readers) for readers in found)

    @cached_property
    def cost(self) -> float:
        """Of running each step once."""
        return sum(step.cost for step in self.steps)

    @cached_property
    def floor(self) -> int:
        """Bytes below which no plan can go: some step with its operands and what is held."""
        return max((self.needs(place) for place in range(len(self))), default=0) + self.held

    def needs(self, place: int) -> int:
        """Bytes of a step's operands, result and workspace, at least."""
        step = self.steps[place]
        most = sum(self.steps[u].bytes for u in set(step.operands)) + step.bytes + step.workspace
        return most - (0 if step.takes is None else self.steps[step.takes].bytes)


@dataclass(frozen=True)
class Plan:
    """An order of steps, in which some occur more than once."""

    graph: Graph
    order: tuple[int, ...]

    @cached_property
    def live(self) -> tuple[int, ...]:
        """Bytes at each position, while its step runs: a value is held from each of its computations to the last use
        before the next of them."""
        return profile(self.graph, self.order)

    @property
    def peak(self) -> int:
        return max(self.live, default=self.graph.held)

    @cached_property
    def added(self) -> float:
        """The cost of what runs again."""
        seen: set[int] = set()
        total = 0.0
        for place in self.order:
            if place in seen:
                total += self.graph.steps[place].cost
            seen.add(place)
        return total


def once(graph: Graph) -> Plan:
    """The plan that computes nothing twice."""
    return Plan(graph, tuple(range(len(graph))))


def profile(graph: Graph, order: Sequence[int]) -> tuple[int, ...]:
    """The live bytes at each position of an order.

    Raises
    ------
    ValueError
        If a step runs before one that it reads, runs again though it may not, or never runs.
    """
    steps = graph.steps
    start: dict[int, int] = {}  # the latest computation of each value
    end: dict[int, int] = {}  # the latest use of that computation
    changes = [0] * (len(order) + 1)

    def close(value: int, is_kept: bool = False) -> None:
        changes[start[value]] += steps[value].bytes
        is_taken = steps[order[end[value]]].takes == value and not is_kept
        changes[end[value] + (not is_taken)] -= steps[value].bytes

    for position, place in enumerate(order):
        for operand in steps[place].operands:
            if operand not in start:
                raise ValueError(f"step {place} runs before {operand}, which it reads")
            end[operand] = position
        if place in start:
            if not steps[place].again:
                raise ValueError(f"step {place} may not run twice")
            close(place)
        start[place] = end[place] = position
    if len(start) != len(steps):
        raise ValueError("a step never runs")
    for value in start:
        if steps[value].kept:
            end[value] = len(order) - 1
        close(value, steps[value].kept)
    live, total = [], graph.held
    for position, place in enumerate(order):
        total += changes[position]
        live.append(total + steps[place].workspace)
    return tuple(live)
