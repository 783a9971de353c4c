"""Seconds of kernels, in turns, against the best peer that is installed, then of a call and of compilations."""

from __future__ import annotations

import argparse
import gc
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

SHORTEST = 1e-3  # seconds of a sample; faster calls are repeated within it
PAUSE = 0.002  # for the threads of the library before, which wait in a loop for more work
LEAST, GOAL = 1.0, 2.5  # the ratio on each row, and the geometric mean over all
BUSY = "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, [{core}])\nwhile True: pass"
Bandwidth = dict[str, dict[int, dict[int, float]]]
PACKAGES = ("numpy", "scipy", "numba", "torch", "jax", "pykeops", "llvmlite")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help="kernels whose name has this")
    parser.add_argument("--size", default="", help="the size with this name alone")
    parser.add_argument("--dtype", default="", choices=["", "f64", "f32"], help="entries of this format alone")
    parser.add_argument("--threads", type=int, default=1, help="cores that all may use (1)")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a row is measured (1)")
    parser.add_argument("--busy", action="store_true", help="time tpc beside a busy process on each core as well")
    parser.add_argument("--without", default="", help="peers to leave out, separated by commas")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Time all rows, and say how far tpc is ahead of the best peer."""
    _pin(options.threads)
    from benchmarks.kernels import calls
    from benchmarks.kernels.bandwidth import measured
    from benchmarks.kernels.cases import KERNELS

    kernels = [kernel for kernel in KERNELS if options.only in kernel.name]
    memory = measured(options.threads)
    _print_bandwidth(memory)
    rows = []
    head = f"{'kernel':34}{'size':>8}{'':>5}{'tpc':>10}{'best peer':>24}{'ratio':>8}{'GB/s':>8}{'of memory':>11}"
    print(f"{head}{'GFLOP/s':>9}{'busy' if options.busy else '':>8}")
    for kernel in kernels:
        for size, sizes in kernel.sizes.items():
            for dtype in kernel.dtypes:
                if options.size in ("", size) and options.dtype in ("", dtype):
                    rows.append(_row(kernel, size, sizes, dtype, options, memory))
                    _print(rows[-1])
    ratios = [row["ratio"] for row in rows if row.get("ratio")]
    mean = geometric_mean(ratios) if ratios else math.nan
    least = min(ratios, default=math.nan)
    print(f"{len(ratios)} of {len(rows)} rows: geometric mean {mean:.2f}, least {least:.2f}")
    call, compilation = calls.call(), calls.compilation([k for k in kernels if k.density is None])
    return {
        "threads": options.threads,
        "versions": _versions(),
        "memory": memory,
        "rows": rows,
        "geometric_mean": mean,
        "least": least,
        "call": call,
        "compilation": compilation,
        "met": len(ratios) == len(rows)
        and least >= LEAST
        and mean >= GOAL
        and all(r["met"] for r in (call, *compilation)),
    }


def _pin(threads: int) -> None:
    """One core for each thread, before libraries make theirs."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TPC_THREADS"):
        os.environ[name] = str(threads)


def _row(
    kernel: Any, size: str, sizes: Any, dtype: str, options: argparse.Namespace, memory: Bandwidth
) -> dict[str, Any]:
    import numpy as np
    from scipy.sparse import issparse

    from benchmarks.kernels.bandwidth import best as best_bandwidth
    from benchmarks.kernels.peers import NAMES, Unavailable, way
    from benchmarks.kernels.sparse import in_parts

    arrays = kernel.arrays(sizes, dtype, 1)
    row: dict[str, Any] = {"kernel": kernel.name, "size": size, "sizes": dict(sizes), "dtype": dtype, "runs": {}}
    right = None
    entries = kernel.traffic(**sizes) * (8 if dtype == "f64" else 4)
    held = sum(part.nbytes for a in arrays for part in (in_parts(a) if issparse(a) else (a,)))
    ready: dict[str, tuple[Any, list[Any], float]] = {}
    for name in NAMES:
        if name in options.without.split(","):
            continue
        try:
            began = time.perf_counter()
            made = way(name, kernel, sizes, dtype, options.threads)
            given = made.give(arrays)
            result = made.take(made.run(*given))
            first = time.perf_counter() - began
            began = time.perf_counter()
            made.run(*given)
            took = time.perf_counter() - began
        except Unavailable as reason:
            row["runs"][name] = {"left_out": str(reason)}
            continue
        except Exception as error:  # whatever a library raises is told in its column, and the others go on
            row["runs"][name] = {"left_out": f"failed: {type(error).__name__}: {error}"[:300]}
            continue
        right = np.asarray(result, np.float64) if right is None else right
        off = float(np.abs(result - right).max() / max(np.abs(right).max(), 1e-300)) if right.size else 0.0
        row["runs"][name] = {"first": first, "error": off}
        if off > (1e-9 if dtype == "f64" else 1e-3):
            row["runs"][name]["left_out"] = "differs from the first"
            continue
        ready[name] = made.run, given, took
    samples = _samples(ready, options.seconds)
    for name, taken in samples.items():
        row["runs"][name] |= {"seconds": median(taken), "samples": [float(f"{s:.4g}") for s in taken]}
    peers = {name: median(taken) for name, taken in samples.items() if name != "tpc"}
    if "tpc" in samples and peers:
        best = min(peers, key=lambda name: peers[name])
        own = median(samples["tpc"])
        row |= {"best": best, "ratio": peers[best] / own}
        row |= {"bandwidth": entries / own, "rate": kernel.work(**sizes) / own, "operand_bytes": held}
        most = best_bandwidth(memory, held, entries > 1.1 * held)
        if most is not None:
            row["share_of_memory"] = row["bandwidth"] / most
    if options.busy and "tpc" in samples:
        with _busy():
            beside = _samples({"tpc": ready["tpc"]}, options.seconds, is_busy=True)["tpc"]
        row["busy"] = fmean(beside) / median(samples["tpc"])  # a call waits or it does not
    return row


@contextmanager
def _busy() -> Iterator[None]:
    """A process that does nothing but run on each core of this one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    loops = [subprocess.Popen([sys.executable, "-c", BUSY.format(core=core)]) for core in cores]
    try:
        time.sleep(0.2)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _samples(
    ready: dict[str, tuple[Any, list[Any], float]], seconds: float, is_busy: bool = False
) -> dict[str, list[float]]:
    """Seconds of calls in turns; samples in which the thread had to wait for a core are left out, where that shows.

    Beside busy processes waiting is what is measured.
    """
    samples: dict[str, list[float]] = {name: [] for name in ready}
    order = list(ready)
    shuffled = random.Random(0)  # turning the order would leave each behind the same other, whose operands it finds
    began = time.perf_counter()
    gc.collect()
    gc.disable()  # its pauses are longer than most calls
    try:
        for number in range(200):
            shuffled.shuffle(order)
            for name in order:
                run, given, took = ready[name]
                time.sleep(PAUSE)
                repeats = min(1000, math.ceil(SHORTEST / max(took, 1e-7)))
                waited, start = _waited(), time.perf_counter()
                for _ in range(repeats):
                    run(*given)
                spent = time.perf_counter() - start
                if is_busy or _waited() - waited < 0.02 * spent or (number > 10 and not samples[name]):
                    samples[name].append(spent / repeats)
            enough = all(len(taken) >= 3 for taken in samples.values())
            if enough and time.perf_counter() - began > seconds or time.perf_counter() - began > 8 * seconds + 5:
                break
    finally:
        gc.enable()
    return {name: taken for name, taken in samples.items() if taken}


def _waited() -> float:
    """Seconds that this thread was ready to run and did not."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0


def _print_bandwidth(memory: Bandwidth) -> None:
    for name, sizes in memory.items():
        for size, found in sizes.items():
            told = ", ".join(f"{streams}: {value / 1e9:.1f}" for streams, value in found.items())
            print(f"{name} {size} MiB, GB/s by streams: {told}")


def _print(row: dict[str, Any]) -> None:
    start = f"{row['kernel']:34}{row['size']:>8}{row['dtype']:>5}"
    if "ratio" not in row:
        said = row["runs"].get("tpc", {}).get("left_out", "no peer")
        print(f"{start}  {said}", flush=True)
        return
    share = f"{row['share_of_memory']:.0%}" if "share_of_memory" in row else ""
    busy = f"{row['busy']:.2f}" if "busy" in row else ""
    own, best = row["runs"]["tpc"]["seconds"], row["runs"][row["best"]]["seconds"]
    print(
        f"{start}{_time(own):>10}{row['best'] + ' ' + _time(best):>24}{row['ratio']:8.2f}"
        f"{row['bandwidth'] / 1e9:8.1f}{share:>11}{row['rate'] / 1e9:9.1f}{busy:>8}",
        flush=True,
    )


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
