"""`python -m benchmarks algebra`: formulas as written, as an expert writes them, and as tpc runs them."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--scale", type=_scale, default=1 / 3, help="times the sizes of the sources, 0.1 to 1 (1/3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, few rounds: about two minutes")
    parser.add_argument("--seconds", type=float, help="about how long the rounds of a case may take together (2)")
    parser.add_argument("--only", action="append", metavar="GROUP[/NAME]", help="these cases; may be given again")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N random formulas and chains of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the random formulas (0)")
    parser.add_argument("--threads", type=int, default=1, help="of each library (1)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture: .svg, .png; needs matplotlib")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    threads: int = options.threads
    pin(threads)
    from threadpoolctl import threadpool_limits

    from benchmarks.algebra.case import Case, scaled
    from benchmarks.algebra.cases import GROUPS
    from benchmarks.algebra.contenders import AS_WRITTEN, NAMES, has_as_written
    from benchmarks.algebra.measure import measure
    from benchmarks.algebra.random_programs import group
    from benchmarks.algebra.report import heading, line, summary

    threadpool_limits(threads)  # for what was loaded before
    warnings.simplefilter("ignore", FutureWarning)  # of the libraries about themselves
    scale = 0.1 if options.quick else options.scale
    seconds = options.seconds if options.seconds is not None else 0.25 if options.quick else 2.0
    left_out = ["torch.compile"] if options.quick else []  # its compiling takes most of the time
    left_out += [] if has_as_written() else [AS_WRITTEN]
    names = [name for name in NAMES if name not in left_out]
    groups = [group(options.random, options.seed)] if options.random else GROUPS

    def wanted(case: Case) -> bool:
        return not options.only or any(case.name == o or case.name.startswith(o + "/") for o in options.only)

    cases = [case for member in groups for case in member.cases if wanted(case)]
    if not cases:
        sys.exit(f"no case is called {', '.join(options.only)}")
    print(f"sizes times {scale:.3g}, {threads} threads; times over the expert's, or over numpy's where there is none;")
    print("~: the quartiles differ by more than a quarter; -: not run")
    print(f"left out: {', '.join(left_out) or 'nothing'}\n\n{heading(names)}")
    rows = []
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    began = time.perf_counter()
    for case in cases:
        rows.append(measure(case, scaled(case.sizes, scale), seconds, names))
        print(line(rows[-1], names), flush=True)
    lines, figures = summary(rows)
    print("\n" + "\n".join(lines))
    print(f"took {time.perf_counter() - began:.0f} s")
    result = {
        "met": not figures["wrong results"] and not figures["faults that were not told"],
        "scale": scale,
        "threads": threads,
        "processors": os.cpu_count(),
        "load before": load,
        "libraries": {name: _version(name) for name in ("numpy", "scipy", "torch", "jax")},
        "blas": _blas(),
        "summary": figures,
        "cases": rows,
    }
    if options.plot:
        _plot(rows, options.plot, f"sizes times {scale:.3g}, {threads} threads")
    return dict(json.loads(json.dumps(result, default=float), parse_constant=lambda name: None))  # NaN is no JSON


def pin(threads: int) -> None:
    """Give the libraries that many threads each. To be called before they are loaded."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):  # the last is jax's
        os.environ[name] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"


def _scale(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1:  # below, sizes that must differ are no longer different
        raise argparse.ArgumentTypeError("it is between 0.1 and 1")
    return value


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _blas() -> list[str]:
    from threadpoolctl import threadpool_info

    return [f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in threadpool_info()]


def _plot(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    from benchmarks.algebra.plot import draw

    try:
        draw(rows, path, title)
    except ImportError:
        print("no picture: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
        return
    print(f"drawn to {path}")
