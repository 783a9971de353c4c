"""`python -m benchmarks NAME`: run one benchmark, print its table and write `benchmarks/results/NAME.json`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import cost, frontend, kronecker, stages, symbolic
from benchmarks.algebra import command as algebra
from benchmarks.derivatives import command as derivatives
from benchmarks.kernels import command as kernels
from benchmarks.memory import command as memory

BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "cost": cost.run,
    "frontend": frontend.run,
    "kronecker": kronecker.run,
    "stages": stages.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    for name in BENCHMARKS:
        command = commands.add_parser(name)
        command.add_argument("--repeat", type=int, default=5, help="runs of each; the median counts (5)")
    algebra.arguments(commands.add_parser("algebra", description=algebra.__doc__))
    derivatives.arguments(commands.add_parser("derivatives", description=derivatives.__doc__))
    symbolic.arguments(commands.add_parser("symbolic", description=symbolic.__doc__))
    kernels.arguments(commands.add_parser("kernels", description=kernels.__doc__))
    memory.arguments(commands.add_parser("memory", description=memory.__doc__))
    options = parser.parse_args()
    own = {"algebra": algebra, "derivatives": derivatives, "kernels": kernels}
    own |= {"memory": memory, "symbolic": symbolic}
    result = own[options.name].run(options) if options.name in own else BENCHMARKS[options.name](options.repeat)
    machine = {"python": platform.python_version(), "machine": platform.platform(), "processor": platform.machine()}
    result = {"tpc": version("tpc"), **machine, **result}
    path = getattr(options, "json", None) or Path(__file__).parent / "results" / f"{options.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
