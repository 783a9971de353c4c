"""A calibration: time every kernel on a grid of sizes, and fit the prices of its terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

from tpc.passes.cost.calibration import Calibration, Key
from tpc.passes.cost.case import Helpers
from tpc.passes.cost.families import FAMILIES
from tpc.passes.cost.fit import Fit, fit, predicted
from tpc.passes.cost.machine import Machine, this_machine
from tpc.passes.cost.measure import Bench, Sample, blas, pinned
from tpc.passes.cost.points import points

UNSTEADY = 0.10  # mean spread of the runs beyond which nothing can be learnt from them
DOUBTFUL = 1.4  # times what the fit says, from where a point is timed again
WARM_UP = 0.3  # seconds in which the processor comes to its speed
NUMPY = {"f64": "float64", "f32": "float32"}
BYTES = {"f64": 8, "f32": 4}


class Unsteady(Exception):
    """The machine is too busy, or too uneven, for times to mean anything."""


def calibrate(
    backends: Sequence[str],
    threads: Sequence[int],
    helpers: Mapping[str, Helpers],
    quick: bool = False,
    during: Callable[[str], AbstractContextManager[None]] = nullcontext,  # type: ignore[assignment]
) -> Calibration:
    """Measure this machine.

    Parameters
    ----------
    backends
        Of `numpy` and `torch`.
    threads
        Numbers of threads of linear algebra.
    helpers
        The functions that emitted modules of each backend may carry with them; they are timed with the rest.
    quick
        Few and small points: seconds instead of minutes, and worse predictions.
    during
        Makes a context for each part of the work, given what to call it; to show progress.

    Raises
    ------
    Unsteady
        If repeated runs differ too much.
    """
    machine = this_machine()
    keys: list[Key] = [(b, t, d) for b in backends for t in threads for d in NUMPY]
    fits: dict[Key, dict[str, Fit]] = {}
    spreads: list[float] = []
    libraries: dict[str, None] = {}
    for number, (backend, count, dtype) in enumerate(keys, 1):
        name = f"{backend}, {dtype}, {count} thread{'s' if count > 1 else ''} ({number} of {len(keys)})"
        with during(f"timing {name}"), pinned(backend, count):
            bench = Bench(backend, NUMPY[dtype], count, helpers[backend])
            _warm_up(bench)
            samples = {kernel: _samples(bench, kernel, BYTES[dtype], machine, quick) for kernel in FAMILIES}
            libraries |= dict.fromkeys(blas(backend))
        fits[backend, count, dtype] = {k: _fit(k, found, BYTES[dtype], machine) for k, found in samples.items()}
        found = [sample.spread for of_kernel in samples.values() for sample in of_kernel]
        spreads.append(sum(found) / len(found))
        if spreads[-1] > UNSTEADY:
            raise Unsteady(
                f"repeated runs of {name} differ by {spreads[-1]:.0%} on average, and {UNSTEADY:.0%} is the most that "
                "can be used"
            )
    return Calibration(machine, tuple(libraries), datetime.now(UTC).date().isoformat(), max(spreads), fits)


def _warm_up(bench: Bench) -> None:
    action = bench.action(points("gemm", True, quick=True)[0])
    end = perf_counter() + WARM_UP
    while perf_counter() < end:
        action()


def _samples(bench: Bench, kernel: str, item: int, machine: Machine, quick: bool) -> list[Sample]:
    """The times of a kernel; what took far longer than its like is timed again, for the machine may have been busy."""
    found = [bench.time(point) for point in points(kernel, bench.is_batched(kernel), quick=quick)]
    fitted = _fit(kernel, found, item, machine)
    for place, sample in enumerate(found):
        point = sample.point
        terms = FAMILIES[kernel].values(point.asked, point.batch, item, machine.caches)
        if sample.seconds > DOUBTFUL * predicted(fitted.coefficients, terms):
            again = bench.time(point)
            if again.seconds < sample.seconds:
                found[place] = replace(again, spread=max(again.spread, sample.seconds / again.seconds - 1))
    return found


def _fit(kernel: str, samples: Sequence[Sample], item: int, machine: Machine) -> Fit:
    return fit(
        kernel,
        [s.point.asked for s in samples],
        [s.point.batch for s in samples],
        [s.seconds for s in samples],
        item,
        machine.caches,
    )
