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

from benchmarks import frontend

BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "frontend": frontend.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each; the median counts (5)")
    options = parser.parse_args()
    result = BENCHMARKS[options.name](options.repeat)
    machine = {"python": platform.python_version(), "machine": platform.platform(), "processor": platform.machine()}
    result = {"tpc": version("tpc"), **machine, **result}
    path = Path(__file__).parent / "results" / f"{options.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
