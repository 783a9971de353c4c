"""What a call from Python costs, and how long native code takes until it is there: made anew, and from the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Sequence
from statistics import median
from typing import Any

CALL, ANEW, CACHED = 0.25e-6, 0.120, 0.005  # seconds, at most
CALLS, PROCESSES = 20_000, 3
# A process with LLVM ready, in which the code of one plan is made or found.
CHILD = """
import sys, time
from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.passes.pipeline import Options, run

def loaded(text):
    (program,) = check(Source(text)).programs.values()
    target = backend("llvm")
    return target.load(target.emit(run(program, Options(backend="llvm")).program))

loaded("def f(x: f64[n]) -> f64[n] = x + 1").finish()
function = loaded(sys.argv[1])
began = time.perf_counter()
function.finish()
print(time.perf_counter() - began)
assert not function.failure, function.failure
"""


def call() -> dict[str, Any]:
    """Seconds of a call that adds 16 numbers to 16 others, with a new array for the result."""
    import numpy as np

    import tpc

    a, b = np.ones(16), np.ones(16)
    add = tpc.compile("def add(a: f64[n], b: f64[n]) -> f64[n] = a + b", backend="llvm").prepare(a, b)
    add(a, b)
    seconds = median(timeit.repeat(lambda: add(a, b), number=CALLS, repeat=15)) / CALLS
    print(f"call of a sum of 16 entries: {seconds * 1e6:.2f} us, at most {CALL * 1e6:.2f}")
    return {"seconds": seconds, "met": seconds <= CALL}


def compilation(kernels: Sequence[Any]) -> list[dict[str, Any]]:
    """Seconds until the native code of each kernel is there, anew and from the cache, for each format of entries."""
    rows = []
    print(f"{'native code of':34}{'':>5}{'anew':>10}{'cached':>10}  at most {ANEW * 1e3:.0f} and {CACHED * 1e3:.0f} ms")
    for kernel in kernels:
        for dtype in kernel.dtypes:
            anew, cached = _compiled(kernel.program.format(dtype=dtype))
            met = anew <= ANEW and cached <= CACHED
            rows.append({"kernel": kernel.name, "dtype": dtype, "anew": anew, "cached": cached, "met": met})
            print(
                f"{kernel.name:34}{dtype:>5}{anew * 1e3:7.0f} ms{cached * 1e3:7.1f} ms{'' if met else '  missed'}",
                flush=True,
            )
    return rows


def _compiled(text: str) -> tuple[float, float]:
    """Medians of some processes, each of which finds what the one before it has made."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(PROCESSES):
        with tempfile.TemporaryDirectory() as folder:
            for found in times:
                found.append(_in_process(text, folder))
    return median(times[0]), median(times[1])


def _in_process(text: str, folder: str) -> float:
    environment = {**os.environ, "TPC_CACHE": folder}
    done = subprocess.run([sys.executable, "-c", CHILD, text], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout)
