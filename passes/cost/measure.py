"""Timing kernels: many short runs, threads pinned, minima kept, and a measure of how far the machine can be trusted."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from time import get_clock_info, perf_counter, thread_time
from typing import Any

from tpc.passes.cost.case import Call, Case, Helpers, call, operands
from tpc.passes.cost.families import FAMILIES
from tpc.passes.cost.points import Point

SHORTEST = 3e-4  # seconds of one run, in which a short call is repeated
LONG = 0.03  # seconds of a call that needs no company in a run
RUNS = 7
SPREAD = 0.15  # median over minimum, less one, beyond which a point is timed again
AGAIN = 3

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one point took."""

    point: Point
    seconds: float
    spread: float


def time_call(
    action: Call, runs: int = RUNS, shortest: float = SHORTEST, clock: Clock = perf_counter
) -> tuple[float, float]:
    """The least time of a call in seconds, and by what part the median of the runs is above it."""
    began = clock()
    action()
    once = clock() - began
    if once < LONG:  # the first call loads code and touches new memory
        began = clock()
        action()
        once = clock() - began
    times = max(1, min(10_000, int(shortest / max(once, 1e-8))))
    enabled = gc.isenabled()
    gc.disable()
    try:
        found = []
        for _ in range(runs if once < LONG else min(runs, 3)):
            began = clock()
            for _ in range(times):
                action()
            found.append((clock() - began) / times)
    finally:
        if enabled:
            gc.enable()
    least = max(min(found), 1e-9)
    return least, median(found) / least - 1


def clock_for(threads: int) -> Clock:
    """What to time by: one thread by its own clock where that is fine enough, since it stands still while other
    programs have the core; several by the clock on the wall."""
    fine = get_clock_info("thread_time").resolution < 1e-6
    return thread_time if threads == 1 and fine else perf_counter


class Bench:
    """The kernels of one backend in one dtype, ready to be timed; within `pinned` to so many threads.

    `helpers` are the functions that its emitted modules carry with them.
    """

    def __init__(self, backend: str, dtype: str, threads: int, helpers: Helpers) -> None:
        self.dtype = dtype
        self.clock = clock_for(threads)
        self.tensor: Callable[[Any], Any] = lambda array: array
        if backend == "torch":
            import torch

            from tpc.passes.cost.torch_cases import cases, functions

            self.tensor = torch.from_numpy
        else:
            from tpc.passes.cost.numpy_cases import cases, functions
        self.cases = cases(helpers)
        self.functions = functions()
        self.empty = time_call(lambda: None, clock=self.clock)[0]  # an emitted step is a line, not a call of a closure

    def is_batched(self, kernel: str) -> bool:
        """Whether one call of a kernel takes a whole batch."""
        return kernel in self.cases and self.cases[kernel].batched

    def action(self, point: Point) -> Call:
        """The call of a point, on operands of its own."""
        if point.function:
            entries, count, _ = point.asked
            case = Case(("n",) * count, self.functions[point.function])
            arrays = [abs(x) + 0.5 for x in operands(case, ("n",), (entries,), 1, self.dtype)]
            return call(case, [self.tensor(x) for x in arrays], (entries,))
        case = self.cases[point.kernel]
        letters = ("m", "n", "k") if point.kernel == "einsum" else FAMILIES[point.kernel].sizes
        arrays = operands(case, letters, point.sizes, point.batch, self.dtype)
        return call(case, [self.tensor(x) for x in arrays], point.sizes)

    def time(self, point: Point, runs: int = RUNS) -> Sample:
        """Time a point; one whose runs differ too much is timed again, and the best try counts."""
        action = self.action(point)
        best = Sample(point, float("inf"), float("inf"))
        for _ in range(AGAIN):
            least, spread = time_call(action, runs, clock=self.clock)
            best = Sample(point, min(best.seconds, max(least - self.empty, 1e-9)), min(best.spread, spread))
            if spread <= SPREAD:
                break
        return best


@contextmanager
def pinned(backend: str, threads: int) -> Iterator[None]:
    """Within this context linear algebra uses so many threads."""
    from threadpoolctl import threadpool_limits

    if backend == "torch":
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
    else:
        import numpy  # noqa: F401  (a library that is not loaded cannot be limited)
        import scipy.linalg  # noqa: F401

        with threadpool_limits(threads, user_api="blas"):
            yield


def blas(backend: str) -> list[str]:
    """The linear algebra libraries of a backend, as far as they make themselves known."""
    if backend == "torch":
        torch: Any = import_module("torch")
        return [f"torch with {'mkl' if torch.backends.mkl.is_available() else 'its own'}"]
    from threadpoolctl import threadpool_info

    return [
        f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip()
        for info in threadpool_info()
        if info["user_api"] == "blas" and "torch" not in info["filepath"]
    ]
