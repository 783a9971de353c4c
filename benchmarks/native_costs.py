"""What native code costs besides running: to make it, to load it from the cache, and to call it.

A function is made in fresh processes, after all imports: with an empty cache, and then with what was kept. The first of
a process pays for the start of LLVM too, and with an empty cache for the library that all of them share. Seconds are
those of the processor; the least of all processes counts. A call is timed by the clock, with a new result.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import timeit
from typing import Any

FUSED = {
    "elementwise": "def f(x: f64[n], a: f64) = sigmoid(a * x + x) * x - a",
    "kernel sum": """
def f(X: f64[n, d], Y: f64[m, d], v: f64[m]) -> f64[n]:
    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2))
    return K @ v
""",
}
ADD = "def f(x: f64[n], y: f64[n]) = x + y"
ENTRIES, CALLS = 16, 100_000
GOALS = {"made": 120e-3, "loaded": 5e-3, "call": 0.25e-6}

CHILD = """
import json, pkgutil, sys, time
from importlib import import_module
import numpy, tpc, tpc.native, llvmlite.binding
import tpc.backends.llvm as llvm

for module in pkgutil.walk_packages(llvm.__path__, "tpc.backends.llvm."):
    import_module(module.name)
found = []
for text in json.loads(sys.argv[1]):
    function = tpc.compile(text, backend="llvm")
    arguments = [numpy.ones([4] * node.tensor.rank) for node in function.program.inputs]
    function(*arguments)
    staged = function._latest().run
    began = time.process_time()
    staged.finish()
    found.append(time.process_time() - began)
print(json.dumps(found))
"""


def measured(repeat: int) -> list[dict[str, Any]]:
    """A row for each figure: seconds, and the goal where there is one."""
    seconds: dict[str, float] = {}
    for name, text in FUSED.items():
        (other,) = set(FUSED.values()) - {text}
        for _ in range(repeat):
            with tempfile.TemporaryDirectory() as folder:
                for state in ("made", "loaded"):
                    first, second = _child([other, text], folder)
                    for key, value in ((f"{name}, {state}", second), (f"first of a process, {state}", first)):
                        seconds[key] = min(seconds.get(key, value), value)
    seconds[f"x + y of {ENTRIES} entries, call"] = _call(repeat)
    rows = []
    for name, value in seconds.items():
        goal = None if name.startswith("first") else GOALS[name.rpartition(", ")[2]]
        rows.append({"name": name, "seconds": value, "goal": goal, "met": goal is None or value <= goal})
    return rows


def _child(texts: list[str], cache: str) -> list[float]:
    """The seconds that functions take in a process of their own."""
    environment = {**os.environ, "TPC_CACHE": cache, "OMP_NUM_THREADS": "1", "TPC_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", CHILD, json.dumps(texts)]
    found: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
    return found


def _call(repeat: int) -> float:
    import numpy as np

    import tpc

    x = np.arange(float(ENTRIES))
    function = tpc.compile(ADD, backend="llvm")
    function.prepare(x, x)
    return min(timeit.repeat(lambda: function(x, x), number=CALLS, repeat=max(repeat, 5))) / CALLS


def table(rows: list[dict[str, Any]]) -> None:
    """Print the figures."""
    print(f"\n{'native code':40}{'seconds':>12}{'goal':>12}")
    for row in rows:
        goal = "" if row["goal"] is None else _text(row["goal"])
        print(f"{row['name']:40}{_text(row['seconds']):>12}{goal:>12}{'' if row['met'] else '  missed'}")


def _text(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds > 1e-4 else f"{seconds * 1e6:.3f} us"
