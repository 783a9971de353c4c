"""One comparison: a program over parts of a matrix, and what others do for the same result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import shuffle
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

Make = Callable[[np.random.Generator], Sequence[Any]]
"""The operands of the program: parts and right sides."""

Contender = Callable[..., Callable[[], Any]]
"""From the operands to a call that is timed: what may be done ahead, such as forming the dense matrix, is done here."""


@dataclass(frozen=True)
class Row:
    """A program, and what it is compared with.

    Attributes
    ----------
    goals
        How many times faster than each contender it has to be.
    seconds
        How long it may take at most, where there is nothing to compare it with.
    error
        How far results may differ, relative to the largest entry of all of them.
    """

    name: str
    text: str
    make: Make
    contenders: Mapping[str, Contender] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    error: float = 1e-9
    backend: str = "numpy"

    def measured(self, repeat: int) -> dict[str, Any]:
        """Times of the program and of all contenders, taken in turns in one process; libraries that are missing are
        left out."""
        import tpc

        operands = self.make(np.random.default_rng(0))
        compiled = tpc.compile(self.text, backend=self.backend)
        calls: dict[str, Callable[[], Any]] = {"tpc": lambda: compiled(*operands)}
        for name, contender in self.contenders.items():
            try:
                calls[name] = contender(*operands)
            except ImportError:
                continue
        compiled.prepare(*operands)  # native code is there
        found = {name: _first(call()) for name, call in calls.items()}
        scale = max((float(np.abs(value).max()) for value in found.values()), default=1.0) or 1.0
        error = max(float(np.abs(value - found["tpc"]).max()) / scale for value in found.values())
        seconds = in_turns(calls, max(repeat, 3))
        faster = {name: seconds[name] / seconds["tpc"] for name in calls if name != "tpc"}
        met = error <= self.error and all(faster.get(name, goal) >= goal for name, goal in self.goals.items())
        return {
            "name": self.name,
            "seconds": seconds,
            "faster": faster,
            "goals": dict(self.goals),
            "limit": self.seconds,
            "error": error,
            "peak_bytes": compiled.cost.peak_bytes,
            "met": met and (self.seconds is None or seconds["tpc"] <= self.seconds),
        }


def in_turns(calls: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """The median seconds of each call."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    turns = list(calls)
    for _ in range(repeat):
        shuffle(turns)  # behind the same neighbour a contender always finds its operands warm, or cold
        for name in turns:
            times[name].append(_time(calls[name]))
    return {name: median(taken) for name, taken in times.items()}


def _first(value: Any) -> Any:
    return np.asarray(value[0] if isinstance(value, tuple) else value)


def _time(call: Callable[[], Any]) -> float:
    start = perf_counter()
    call()
    once = perf_counter() - start
    count = max(1, min(200, int(0.02 / max(once, 1e-7))))
    start = perf_counter()
    for _ in range(count):
        call()
    return (perf_counter() - start) / count
