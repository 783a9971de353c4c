"""How fast text becomes a program: by the number of statements, and how long tpc takes to start.

Each figure is the median of several runs in this process; parts are timed one by one on the same text. `growth` is the
time over that of half as many statements: 2 is linear.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.parser import parse
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.passes.pipeline import Options
from tpc.passes.pipeline import run as run_passes

# What has been promised, in seconds (trust.md and the issue).
LIMITS = {
    "a 300-line program, read and checked": 0.150,
    "a 5,000-node program, read and checked": 3.0,
    "import tpc": 0.1,
    "tpc --help": 0.2,
    "tpc check, 50 lines": 0.35,
}

# Statements as people write them: products, elementwise functions, index notation, slices, calls, loops.
PATTERN = (
    "a{k} = A @ a{j} + 0.5 * b{j}",
    "b{k} = exp(-square(a{k})) / (1 + norm(a{k}))",
    "a{k}x: f64[n] = affine(A, b{k}, s=0.5) - a{j}",
    "K{k}[i, j] = exp(-(a{k}[i] - b{k}[j])^2) * sum[k where k <= i](A[i, k] * a{k}x[k])",
    "c{k}, d{k} = K{k} @ a{k}, maximum(K{k}', 0) @ b{k}",
    "a{k}y = select(c{k} > 0, c{k}, d{k}) + tanh(a{k}x[0]) * d{k}",
    "w{k} = a{k}y",
    "repeat 3 until norm(w{k}) <= 1:",
    "    w{k} = 0.5 * w{k} + A @ a{k}y",
    "b{k}z = w{k} + cumsum(c{k})",
)
HEADER = "def affine(W: f64[a, b], x: f64[b], s: f64 = 1.0) -> f64[a]:\n    return s * (W @ x)\n\n"


def program(lines: int) -> str:
    """A program of about this many lines, in functions of 60 and one that calls them all."""
    parts, count = [HEADER], max(1, (lines + 30) // 60)
    for number in range(count):
        body = []
        for k in range(1, 7):
            body += [line.format(k=k, j=k - 1) for line in PATTERN]
        parts.append(
            f"def f{number}(A: f64[n, n], x: f64[n]) -> f64[n]:\n    a0, b0 = x, 2 * x\n    "
            + "\n    ".join(body)
            + "\n    return b6z\n\n"
        )
    calls = "".join(f"    y{k + 1} = f{k}(A, y{k})\n" for k in range(count))
    main = f"def main(A: f64[n, n], y0: f64[n]) -> f64[n]:\n{calls}    return y{count}\n"
    return "".join([*parts, main])


def chain(nodes: int) -> str:
    """One function of this many nodes."""
    forms = ("x{k} = A @ x{j}", "x{k} = x{j} + y", "x{k} = exp(x{j})", "x{k} = x{j} * x{j}", "x{k} = y - x{j}")
    body = "\n".join(f"    {forms[k % 5].format(k=k, j=k - 1)}" for k in range(1, nodes + 1))
    return f"def f(A: f64[n, n], x0: f64[n], y: f64[n]) -> f64[n]:\n{body}\n    return x{nodes}\n"


def timed(action: Callable[[], object], repeat: int) -> float:
    """The median time of an action, with garbage collected before each run."""
    times = []
    for _ in range(repeat):
        gc.collect()
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return median(times)


def started(command: list[str], repeat: int) -> float:
    """The median time of a process."""

    def start() -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "NO_COLOR": "1"})

    start()  # once for the file cache
    return timed(start, repeat)


def run(repeat: int) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    check(Source(program(60)))  # op lines and grammar tables are read once
    rows = sizes(repeat)
    figures = {
        "a 300-line program, read and checked": rows[0]["check"],
        "a 5,000-node program, read and checked": timed(lambda: check(Source(chain(5000))), repeat),
        **starts(repeat),
    }
    print(f"\n{'':42}{'seconds':>9}{'promised':>10}")
    for name, seconds in figures.items():
        verdict = "" if seconds < LIMITS[name] else "  missed"
        print(f"{name:42}{seconds:9.3f}{LIMITS[name]:10.3f}{verdict}")
    met = all(figures[name] < limit for name, limit in LIMITS.items())
    return {"met": met, "sizes": rows, "seconds": figures, "promised": LIMITS, "runs": repeat}


def sizes(repeat: int) -> list[dict[str, float]]:
    """Times by the number of statements, doubling."""
    print(f"{'lines':>7}{'nodes':>8}{'parse':>9}{'check':>9}{'growth':>8}{'passes':>9}{'growth':>8}{'lines/s':>9}")
    rows: list[dict[str, float]] = []
    for lines in (300, 600, 1200, 2400, 4800, 9600):
        text = program(lines)
        runs = repeat if lines < 2000 else max(3, repeat // 2)
        checked = check(Source(text))
        checked.diagnostics.raise_errors()
        result = checked.programs[checked.default() or ""]
        row = {
            "lines": text.count("\n"),
            "nodes": sum(1 for _ in result.walk()),
            "parse": timed(lambda text=text: parse(Source(text), Diagnostics()), runs),
            "check": timed(lambda text=text: check(Source(text)), runs),
            "passes": timed(lambda result=result: run_passes(result, Options({"n": 10})), runs),
        }
        growth = [
            row[part] / rows[-1][part] * rows[-1]["lines"] * 2 / row["lines"] if rows else 0
            for part in ("check", "passes")
        ]
        print(
            f"{row['lines']:7}{row['nodes']:8}{row['parse']:9.3f}{row['check']:9.3f}{growth[0]:8.2f}"
            f"{row['passes']:9.3f}{growth[1]:8.2f}{row['lines'] / row['check']:9.0f}"
        )
        row |= {"growth_check": growth[0], "growth_passes": growth[1]}
        rows.append(row)
    return rows


def starts(repeat: int) -> dict[str, float]:
    """How long an import, the help and a check of 50 lines take, without the start of Python for the import."""
    bare = started([sys.executable, "-c", "pass"], repeat)
    tpc = [sys.executable, "-m", "tpc"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fifty.tp"
        path.write_text(program(60))
        return {
            "import tpc": started([sys.executable, "-c", "import tpc"], repeat) - bare,
            "tpc --help": started([*tpc, "--help"], repeat),
            "tpc check, 50 lines": started([*tpc, "check", str(path)], repeat),
        }
