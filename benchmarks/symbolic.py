"""Chains of matrices compiled once for all sizes: how far the plan that a call chooses is from the best for its sizes.

The chains are those of `benchmarks.algebra.cases.symbolic` and random ones by the protocol of the GMC compiler; sizes
are drawn from the multiples of 50 up to 1000, as published. Two measures:

operations   plans are chosen by operations alone, and compared with the best order of the chain, which dynamic
             programming over all orders finds independently of tpc
time         plans are chosen by predicted time, as users get them, and compared with a search of its own for these
             sizes (on some of the chains, since each size takes a search)
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from statistics import mean, median
from time import perf_counter, process_time
from typing import Any

from benchmarks.algebra.case import Case
from benchmarks.algebra.cases.symbolic import GROUP
from benchmarks.algebra.random_programs import symbolic_chains

CALLS = 200  # of a choice, to time it
SEARCHES = 4  # sizes at which predicted times are compared
GOALS = {"share of sizes within 10 %": 0.95, "microseconds to choose": 20.0, "variants at most": 5}


class Operations:
    """Prices that count operations alone, a billion a second."""

    def seconds(self, kernel: str, sizes: Sequence[int], dtype: Any, batch: int = 1) -> float:
        from tpc.passes.cost.families import FAMILIES

        flops = sizes[0] if kernel == "other" else FAMILIES[kernel].flops(*sizes)
        return 1e-9 * batch * flops + 1e-15


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--chains", type=int, default=1000, help="random chains (1000)")
    parser.add_argument("--sizes", type=int, default=20, help="sizes for each of them (20)")
    parser.add_argument("--timed", type=int, default=25, help="chains on which predicted times are compared (25)")
    parser.add_argument("--most", type=int, default=5, help="variants of one program (5)")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["TPC_OPTIMISE"] = "1"  # TEMPORARY, until the optimizer is always on
    named, chosen = list(GROUP.cases), list(symbolic_chains(options.chains, options.seed))
    chance = random.Random(options.seed)
    print(
        f"{'by operations':24}{'variants':>9}{'best plans':>11}{'within 10 %':>12}{'15 %':>7}{'mean':>8}"
        f"{'compiled':>10}"
    )
    rows = [_operations(case, options, chance, True) for case in named]
    drawn = [_operations(case, options, chance, False) for case in chosen]
    times = [_times(case, options, chance) for case in [*named, *chosen[: options.timed]]]
    figures = {
        "share of sizes within 10 %": _share(drawn, 1.10),
        "share of sizes within 15 %": _share(drawn, 1.15),
        "share of chains with a mean within 15 %": mean(mean(r["ratios"]) <= 1.15 for r in drawn),
        "share of named cases' sizes within 10 %": _share(rows, 1.10),
        "share of sizes within 10 %, by predicted time": _share(times, 1.10),
        "share of sizes within 15 %, by predicted time": _share(times, 1.15),
        "variants at most": max(r["variants"] for r in [*rows, *drawn, *times]),
        "variants in the mean": mean(r["variants"] for r in drawn),
        "microseconds to choose": max(r["choice"] for r in times) * 1e6,
        "seconds to compile, median": median(r["seconds"] for r in times),
        "seconds to compile, longest": max(r["seconds"] for r in times),
    }
    print(f"\n{len(drawn)} random chains with {options.sizes} sizes each")
    for name, figure in figures.items():
        print(f"{name:50}{figure:9.3f}")
    by_dims = _by_dims(drawn)
    print("\nopen sizes   chains   within 10 %")
    for count, (chains, share) in by_dims.items():
        print(f"{count:10}{chains:9}{share:14.3f}")
    met = (
        figures["share of sizes within 10 %"] >= GOALS["share of sizes within 10 %"]
        and figures["microseconds to choose"] <= GOALS["microseconds to choose"]
        and figures["variants at most"] <= GOALS["variants at most"]
    )
    samples = {"cases": rows, "random": drawn, "times": times}
    return {"met": met, "goals": GOALS, "figures": figures, "by open sizes": by_dims, **samples}


def _share(rows: Sequence[dict[str, Any]], bound: float) -> float:
    return mean(ratio <= bound for row in rows for ratio in row["ratios"])


def _by_dims(rows: Sequence[dict[str, Any]]) -> dict[int, tuple[int, float]]:
    counts = sorted({r["open"] for r in rows})
    grouped = {count: [r for r in rows if r["open"] == count] for count in counts}
    return {count: (len(group), _share(group, 1.10)) for count, group in grouped.items()}


def _sizes(case: Case, chance: random.Random) -> dict[str, int]:
    return {name: 50 * chance.randint(1, 20) for name in case.sizes}


def _compiled(case: Case, most: int, prices: Any = None) -> tuple[Any, Any, float]:
    """The program of a case, its variants, and the seconds of this process that they took."""
    from tpc.dsl.source import Source
    from tpc.ir.elaborate.module import check
    from tpc.passes.variants import variants

    (program,) = check(Source(f"{case.program}\n")).programs.values()
    began = process_time()
    return program, variants(program, most=most, prices=prices), process_time() - began


def _operations(case: Case, options: argparse.Namespace, chance: random.Random, is_shown: bool) -> dict[str, Any]:
    """How many times the operations of the best order the chosen plans take."""
    from tpc.passes.kernels import predicted

    prices = Operations()
    _, found, seconds = _compiled(case, options.most, prices)
    ratios = []
    for _ in range(options.sizes):
        sizes = _sizes(case, chance)
        plan = found.plans[found.choose(sizes)].plan
        ratios.append(1e9 * predicted(plan.program, prices, sizes) / case.flops(**sizes))
    row = {
        "name": case.name, "program": case.program, "open": len(case.sizes), "variants": len(found.plans),
        "best plans": found.found, "ratios": ratios, "seconds": seconds,
    }  # fmt: skip
    if is_shown:
        print(
            f"{case.name:24}{row['variants']:9}{found.found:11}{_share([row], 1.1):12.1%}{_share([row], 1.15):7.0%}"
            f"{mean(ratios):8.3f}{seconds:9.2f}s",
            flush=True,
        )
    return row


def _times(case: Case, options: argparse.Namespace, chance: random.Random) -> dict[str, Any]:
    """How many times the predicted time of a plan for the sizes alone is taken; and how long a choice takes."""
    from tpc.passes.cost import profile
    from tpc.passes.kernels import predicted
    from tpc.passes.pipeline import Options, run

    prices = profile()
    program, found, seconds = _compiled(case, options.most)
    ratios = []
    for _ in range(SEARCHES):
        sizes = _sizes(case, chance)
        chosen = predicted(found.plans[found.choose(sizes)].plan.program, prices, sizes)
        own = predicted(run(program, Options(at=sizes)).program, prices, sizes)
        ratios.append(chosen / own)
    return {
        "name": case.name, "variants": len(found.plans), "ratios": ratios, "seconds": seconds,
        "choice": _choice(found, list(sizes.values())),
    }  # fmt: skip


def _choice(found: Any, sizes: Sequence[int]) -> float:
    """Seconds in which the emitted module tells the fastest plan."""
    from tpc.backends import guard
    from tpc.code import emitted

    if len(found.plans) == 1:
        return 0.0
    import numpy
    import scipy

    source = emitted(found, "numpy").emitted.source
    told = guard.namespace(guard.check(source), {"np": numpy, "scipy": scipy}, {})["_seconds"]
    given = sizes[: told.__code__.co_argcount]
    best = float("inf")
    for _ in range(5):
        began = perf_counter()
        for _ in range(CALLS):
            seconds = told(*given)
            seconds.index(min(seconds))
        best = min(best, (perf_counter() - began) / CALLS)
    return best
