"""`python -m benchmarks derivatives`: derivatives by torch's autograd, torch.compile and jax.jit, and in tpc.

Each case is compiled for its sizes; results are compared with torch's in double precision before anything is timed.
`tpc` is the default backend once it has chosen, which is what counts; the others are there to be compared with it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from math import isnan
from typing import Any

from benchmarks.algebra.command import pin

PEERS = ("torch", "torch.compile", "jax.jit")
OURS = ("tpc", "tpc numpy", "tpc llvm", "tpc torch")
NAMES = (*PEERS, *OURS)
GOAL = 2.0  # times as fast as the fastest peer, in the geometric mean; and never slower


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--only", action="append", metavar="NAME", help="these cases; may be given again")
    parser.add_argument("--quick", action="store_true", help="few rounds, and no torch.compile: about two minutes")
    parser.add_argument("--seconds", type=float, help="about how long the rounds of a case may take together (2)")
    parser.add_argument("--threads", type=int, default=1, help="of each library (1)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    pin(options.threads)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    from threadpoolctl import threadpool_limits

    from benchmarks.algebra.measure import measure
    from benchmarks.algebra.report import geometric_mean
    from benchmarks.derivatives.cases import CASES
    from benchmarks.derivatives.contenders import contender, known
    from benchmarks.derivatives.examples import examples
    from benchmarks.derivatives.figures import rows as beside
    from benchmarks.derivatives.loops import rows as second_derivatives

    threadpool_limits(options.threads)
    names = [n for n in NAMES if not (options.quick and n == "torch.compile")]
    each = options.seconds if options.seconds is not None else 0.3 if options.quick else 2.0
    cases = [c for c in (*CASES, *examples()) if not options.only or c.name in options.only]
    print(f"{options.threads} threads; milliseconds of the fastest of {', '.join(PEERS)}, and times over that\n")
    print(f"{'':28}{'ms':>9}" + "".join(f"{n:>14}" for n in names))
    rows = []
    began = time.perf_counter()
    for case in cases:
        row = measure(known(case), case.sizes, each, names, contender, case.tolerance)
        rows.append(row)
        best = _best(row, PEERS)
        print(f"{case.name:28}{best * 1e3:>9.3g}" + "".join(f"{_cell(row, n, best):>14}" for n in names), flush=True)
    loops = [] if options.only else list(second_derivatives())
    if loops:
        print("\nderivatives along all directions: times as fast as a loop of passes, by torch and by our products")
    for loop in loops:
        of = "  ".join(f"{name}: {times:.0f}" for name, times in loop["times"].items())
        print(f"{loop['name']:28}{loop['directions']:>6} directions  {of}")
    others = [] if options.only else list(beside())
    if others:
        print(
            f"\n{'beside the usual way':32}{'other ms':>10}{'tpc ms':>10}{'faster':>9}{'goal':>6}{'held MB':>9}  error"
        )
    for row in others:
        times = "".join(f"{row['seconds'][name] * 1e3:>10.3g}" for name in ("other", "tpc"))
        print(f"{row['name']:32}{times}{row['faster']:>8.1f}x{row['goal']:>6}{row['held'] / 1e6:>9.3g}", end="")
        print(f"{row['error']:>7.0e}")
    figures = {name: geometric_mean(_ratios(rows, name)) for name in OURS}
    slower = [row["name"] for row in rows if _best(row, OURS[:1]) > 1.05 * _best(row, PEERS)]
    wrong = [f"{r['name']}: {n}" for r in rows for n in OURS if _why(r, n).startswith(("wrong", "failed"))]
    print()
    for name, figure in figures.items():
        print(f"{name}: {figure:.2f} times as fast as the fastest peer, in the geometric mean")
    print(
        f"slower than the fastest peer: {len(slower)}  {' '.join(slower)}\nwrong or failed: {len(wrong)}  {wrong or ''}"
    )
    print(f"took {time.perf_counter() - began:.0f} s")
    result = {
        "met": not wrong and not slower and figures["tpc"] >= GOAL and all(row["met"] for row in others),
        "threads": options.threads,
        "speedup": figures,
        "slower": slower,
        "loops": loops,
        "figures": others,
        "cases": rows,
    }
    return dict(json.loads(json.dumps(result, default=float), parse_constant=lambda name: None))


def _ratios(rows: Sequence[dict[str, Any]], name: str) -> list[float]:
    from benchmarks.algebra.report import seconds

    found = [_best(row, PEERS) / seconds(row, name) for row in rows]
    return [ratio for ratio in found if not isnan(ratio)]


def _best(row: dict[str, Any], names: Sequence[str]) -> float:
    from benchmarks.algebra.report import seconds

    return min((t for n in names if not isnan(t := seconds(row, n))), default=float("nan"))


def _why(row: dict[str, Any], name: str) -> str:
    return str(row["runs"].get(name, {}).get("left_out", ""))


def _cell(row: dict[str, Any], name: str, base: float) -> str:
    from benchmarks.algebra.report import seconds

    if reason := _why(row, name):
        return {"wrong": "WRONG", "failed": "failed"}.get(reason.partition(":")[0], "-")
    return f"{seconds(row, name) / base:.3g}"
