"""`python -m benchmarks NAME ...`: run benchmarks, print their tables and write `benchmarks/results/NAME.json`.

Options follow the names and hold for all of them; `python -m benchmarks NAME --help` says which there are. Several
benchmarks run one after the other, each in a process of its own: threads are counted when libraries are loaded.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

BENCHMARKS = {
    "algebra": "benchmarks.algebra.command",
    "cost": "benchmarks.cost",
    "derivatives": "benchmarks.derivatives.command",
    "frontend": "benchmarks.frontend",
    "kernels": "benchmarks.kernels.command",
    "kronecker": "benchmarks.kronecker",
    "memory": "benchmarks.memory.command",
    "recurrences": "benchmarks.recurrences",
    "sparse": "benchmarks.sparse",
    "stages": "benchmarks.stages",
    "structure": "benchmarks.structure.command",
    "symbolic": "benchmarks.symbolic",
}


def main() -> int:
    names = list(takewhile(BENCHMARKS.__contains__, sys.argv[1:]))
    given = sys.argv[1 + len(names) :]
    if not names:
        usage().parse_args(given[:1])
    options = [arguments(name).parse_args(given) for name in names]  # wrong ones are told before anything runs
    if len(names) == 1:
        return run(names[0], options[0])
    if any(o.json for o in options):
        usage().error("--json is for one benchmark")
    codes = [subprocess.run([sys.executable, "-m", "benchmarks", name, *given]).returncode for name in names]
    return 1 if any(codes) else 0


def usage() -> argparse.ArgumentParser:
    """The command without a benchmark that is known."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", usage="%(prog)s NAME [NAME ...] [options]", description=__doc__
    )
    parser.add_argument("name", choices=list(BENCHMARKS))
    return parser


def arguments(name: str) -> argparse.ArgumentParser:
    """The options of a benchmark: its own, or how often it repeats."""
    module = import_module(BENCHMARKS[name])
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=module.__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"where the samples go (results/{name}.json)")
    if hasattr(module, "arguments"):
        module.arguments(parser)
    else:
        parser.add_argument("--repeat", type=int, default=5, help="runs of each; the median counts (5)")
    return parser


def run(name: str, options: argparse.Namespace) -> int:
    """Measure, print and write; 1 where a goal is not met."""
    module = import_module(BENCHMARKS[name])
    result = module.run(options if hasattr(module, "arguments") else options.repeat)
    machine = {"python": platform.python_version(), "machine": platform.platform(), "processor": platform.machine()}
    result = {"tpc": version("tpc"), **machine, **result}
    path = options.json or Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(f"written to {path}")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
