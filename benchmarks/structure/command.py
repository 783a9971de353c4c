"""Structured matrices by their parts against the dense matrix, and against what an expert or a library does.

Groups of rows: structures that hold exactly, linear systems by products, both against libraries that have operators or
tensor networks (`peers:`), matrices in few bits, and approximation inside budgets. Calls of a row run in turns, in one
process with one thread, and the median counts; results are compared first.
"""

from __future__ import annotations

import argparse
import sys
from statistics import geometric_mean
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--only", action="append", metavar="TEXT", help="rows whose name has this; may be given again")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each; the median counts (5)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    from threadpoolctl import threadpool_limits

    from benchmarks.structure import approximation, exact, iterations, operators, quantized, solvers, systems, tensors

    groups = (exact, solvers, operators, iterations, systems, tensors, quantized, approximation)
    every = [row for group in groups for row in group.ROWS]
    chosen = [row for row in every if not options.only or any(text in row.name for text in options.only)]
    if not chosen:
        sys.exit(f"no row has {' or '.join(options.only)} in its name")
    rows = []
    with threadpool_limits(1):
        for row in chosen:
            rows.append(row.measured(options.repeat))
            print(_line(rows[-1]), flush=True)
    met = sum(row["met"] for row in rows)
    ratios = [min(row["faster"].values()) for row in rows if row["faster"]]
    mean = geometric_mean(ratios) if ratios else None
    against = f"; {mean:.2f} times as fast as the best other, in the geometric mean" if mean else ""
    print(f"{met} of {len(rows)} rows met their goal{against}")
    return {"met": met == len(rows), "rows met": met, "geometric mean": mean, "rows": rows}


def _line(row: dict[str, Any]) -> str:
    goals = row["goals"]
    against = ", ".join(
        f"{ratio:.3g}x {name}" + (f" (goal {goals[name]:g})" if name in goals else "")
        for name, ratio in row["faster"].items()
    )
    limit = f" (at most {row['limit']:g} s)" if row["limit"] is not None else ""
    mark = "" if row["met"] else "  NOT MET"
    return f"{row['name']:38}{row['seconds']['tpc'] * 1e3:10.3f} ms{limit}  {against}  {row['error']:.0e}{mark}"
