"""The long check of the rules: `python -m tpc.passes.rules [NAME ...] [--deep] [--points N] [--seed N]` prints a table.

A name is that of a rule, or of a file without `.rules`. The exit status is 1 if a rule has a problem.
"""

from __future__ import annotations

import argparse
import sys
import warnings

from tpc.passes.rules import rules
from tpc.passes.rules.checker import POINTS, check


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tpc.passes.rules", description="check the rewrite rules")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a rule, or a file of rules; all if none is given")
    parser.add_argument("--points", type=int, default=POINTS, help="random points at each of six settings of sizes")
    parser.add_argument("--deep", action="store_true", help="sizes above the degree of each rule too")
    parser.add_argument("--seed", type=int, default=0, help="of the random operands")
    parser.add_argument("--survivors", action="store_true", help="list the mutants that nothing refuted")
    options = parser.parse_args(arguments)
    files = {law.span.source.name.removesuffix(".rules") for law in rules().values()}
    unknown = [name for name in options.names if name not in rules() and name not in files]
    if unknown:
        parser.error(f"no rule or file is called {', '.join(unknown)}")
    chosen = [
        law
        for name, law in rules().items()
        if not options.names or {name, law.span.source.name.removesuffix(".rules")} & set(options.names)
    ]
    warnings.simplefilter("ignore")  # of SciPy, about singular operands, which are drawn on purpose
    print(f"{'rule':42} {'numbers':9} {'shapes':>6} {'points':>7} {'mutants':>8} {'refuted':>8}  above degree")
    failed = above = 0
    for law in chosen:
        report = check(law, options.seed, options.points, options.deep)
        above += report.above_degree
        failed += not report.sound
        counts = f"{report.shapes:6} {report.points:7} {report.mutants:8} {report.refuted:8}"
        print(f"{report.name:42} {report.domain:9} {counts}{'  yes' * report.above_degree}")
        for what, lines in (("problem", report.problems), ("needless", report.needless)):
            for line in lines:
                print(f"    {what}: {line}")
        for line in report.survivors if options.survivors else []:
            print(f"    survivor: {line}")
    print(f"{len(chosen)} rules and facts, {failed} with a problem, {above} shown at sizes above their degree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
