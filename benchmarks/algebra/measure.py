"""Seconds of the contenders, interleaved in one run, after a check that their results are right."""

from __future__ import annotations

import gc
import math
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from statistics import median, quantiles
from typing import Any
from zlib import crc32

import numpy as np

import tpc
from benchmarks.algebra.case import Case, Sizes, cast, reference, relative_error, tolerance
from benchmarks.algebra.contenders import NAMES, Contender, Unavailable, contender

SHORTEST = 1e-3  # seconds of a sample; faster runs are repeated within it
PAUSE = 0.005  # for the threads of the library before, which wait in a loop for more work


def measure(
    case: Case,
    sizes: Sizes,
    seconds: float,
    names: Sequence[str] = NAMES,
    ready: Callable[[str, Case, Sizes], Contender] = contender,
    least: float = 0.0,
) -> dict[str, Any]:
    """Run a case in all ways.

    Parameters
    ----------
    ready
        Makes a case ready to run in one of the ways.
    least
        The relative error that is allowed in any case.
    seconds
        About how long the rounds may take together; there are 3 to 25. Each has fresh operands, the same for all, and
        another order.

    Returns
    -------
    dict
        For JSON: what the case is, and `runs` by name with `seconds` (the samples), `median`, `spread` (the distance of
        the quartiles over the median), `first` (the first call, with its compilation), `error`, `flops`, `peak_bytes`;
        or with `left_out`, the reason.
    """
    case_row: dict[str, Any] = {"name": case.name, "about": case.about, "sizes": dict(sizes), "expect": case.expect}
    if case.expect != "optimise":
        return case_row | {"met": _told(case, sizes), "runs": {}}
    trials, allowed = _trials(case, sizes)
    allowed = max(allowed, least)
    runs: dict[str, dict[str, Any]] = {}
    running: dict[str, tuple[Contender, float]] = {}
    for name in names:
        try:
            with deadline(30 + 10 * seconds):
                made, runs[name], estimate = _first(partial(ready, name, case, sizes), trials)
        except Unavailable as reason:
            runs[name] = {"left_out": str(reason)}
            continue
        except Exception as error:  # whatever a library raises is told in its column, and the others go on
            runs[name] = {"left_out": f"failed: {type(error).__name__}: {error}"[:300]}
            continue
        if not runs[name]["error"] <= allowed:
            runs[name]["left_out"] = f"wrong: an error of {runs[name]['error']:.1e}, {allowed:.1e} allowed"
            continue
        running[name] = made, estimate
    del trials
    _rounds(case, sizes, seconds, running, runs)
    return case_row | {"best_flops": case.best(sizes), "tolerance": allowed, "scored": case.scored, "runs": runs}


@dataclass(frozen=True)
class Trial:
    """Operands, a mark of what they hold, and the right result."""

    operands: list[Any]
    mark: int
    right: Any


def _trials(case: Case, sizes: Sizes) -> tuple[list[Trial], float]:
    """Two sets of operands, so that a result that was kept shows, and the error allowed.

    The right result is that of the form as written where it can be run, and else the expert's, in double precision.
    """
    written, expert = case.written, case.expert
    if written is not None and case.runs_as_written(sizes):
        right: Callable[..., Any] = partial(written, np)
    else:
        assert expert is not None
        right = expert
    first, second = (case.operands(sizes, seed) for seed in (0, 1))
    value, growth = reference(right, first)
    trials = [Trial(first, _mark(first), value), Trial(second, _mark(second), right(*cast(second, np.float64)))]
    return trials, tolerance(first, growth)


def _mark(operands: list[Any]) -> int:
    """A number that changes when an operand is changed."""
    return reduce(lambda mark, x: crc32(np.ascontiguousarray(x).data, mark), operands, 0)


def _told(case: Case, sizes: Sizes) -> bool:
    """Whether the fault of a wrong program is told: by an error, or where that is enough, by a warning."""
    if case.expect == "warn" and case.warnings():
        return True
    try:
        compiled = tpc.compile(case.program)
        if case.expect == "warn":
            compiled(*case.operands(sizes, seed=0))
    except tpc.TpcError:
        return True
    return False


def _first(ready: Callable[[], Contender], trials: Sequence[Trial]) -> tuple[Contender, dict[str, Any], float]:
    """A contender that ran, what is known of it, and about how long a run takes."""
    began = time.perf_counter()
    made = ready()
    took = []
    error = 0.0
    for trial in trials:
        given = made.give(trial.operands)
        result = made.run(given)
        took.append(time.perf_counter() - began)
        error = max(error, relative_error(made.take(result), trial.right))
        if _mark(trial.operands) != trial.mark:
            error = math.inf  # it changed its operands
        del result
        began = time.perf_counter()
    facts = {"first": took[0], "error": error, "flops": made.flops(), "peak_bytes": made.peak(given)}
    return made, facts, took[1]


def _rounds(
    case: Case,
    sizes: Sizes,
    seconds: float,
    ready: dict[str, tuple[Contender, float]],
    runs: dict[str, dict[str, Any]],
) -> None:
    """Add samples, until the time is used up."""
    samples: dict[str, list[float]] = {name: [] for name in ready}
    repeats = {name: min(200, math.ceil(SHORTEST / max(estimate, 1e-7))) for name, (_, estimate) in ready.items()}
    order = list(ready)
    shuffled = random.Random(0)  # turning the order would leave each behind the same other, whose operands it finds
    began = time.perf_counter()
    gc.collect()
    gc.disable()  # its pauses are longer than most runs
    try:
        for number in range(25):
            operands = case.operands(sizes, seed=number + 2)  # others than those of the trials
            shuffled.shuffle(order)
            for name in order:
                made, _ = ready[name]
                given = made.give(operands)
                samples[name].append(_sample(made, given, repeats[name]))
            if number >= 2 and time.perf_counter() - began > seconds:
                break
    finally:
        gc.enable()
    for name, taken in samples.items():
        quarters = quantiles(taken, n=4)
        runs[name] |= {
            "seconds": [float(f"{sample:.4g}") for sample in taken],
            "repeats": repeats[name],
            "median": median(taken),
            "spread": (quarters[2] - quarters[0]) / median(taken),
        }


def _sample(made: Contender, given: list[Any], repeats: int) -> float:
    """Seconds of one run, from as many as `repeats`, with the operands where the run before left them."""
    time.sleep(PAUSE)
    if repeats > 1:
        made.run(given)
    began = time.perf_counter()
    for _ in range(repeats):
        made.run(given)
    return (time.perf_counter() - began) / repeats


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block when the time is over, where the system has such an alarm."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
