"""Memory under a budget: plans for published graphs beside those of CP-SAT, and training steps at half their memory.

`best.json` has what CP-SAT found for the graphs, which `--record SECONDS` finds anew: in the order in which they are
given, and from the plan of tpc on, in the order of that (`order` says in which the best was found, for which alone a
proof holds). It has figures only.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import thread_time
from typing import Any

from benchmarks.memory import programs
from benchmarks.memory.cases import FOLDER, PEAKS, SHARES, graph
from benchmarks.memory.places import places
from tpc.passes.rematerialise.graph import once
from tpc.passes.rematerialise.rebase import base_of
from tpc.passes.rematerialise.search import Search
from tpc.passes.rematerialise.seeds import checkpoints
from tpc.passes.rematerialise.solve import solve

BEST = Path(__file__).with_name("best.json")
DEARER = 1.05  # than the best that is known
LONGEST = 60.0  # seconds of work for a plan
HALF = 0.5, 1.30  # of the peak, and how many times the time without a budget it may take
TIGHT = 0.4, 1.40  # the same for the deep network in NumPy
STEPS = {  # tokens or rows, and width, are such that values take more than weights
    "64 layers": lambda: programs.layers(64, 2048, 128),
    "12 blocks": lambda: programs.transformer(12, 1024, 128),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=["graphs", "places", "programs"], help="one of the parts")
    parser.add_argument("--case", choices=list(PEAKS), action="append", help="some of the graphs only")
    parser.add_argument(
        "--record", type=float, metavar="SECONDS", help="run CP-SAT on the graphs and keep what it finds"
    )
    parser.add_argument("--repeat", type=int, default=5, help="runs of each program; the fastest counts (5)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    cases = options.case or list(PEAKS)
    if not FOLDER.is_dir():
        print(f"no graphs in {FOLDER}: left out")
        cases = []
    if options.record is not None:
        record(cases, options.record)
    found = plans(cases) if options.only in (None, "graphs") else []
    placed = [places()] if options.only in (None, "places") else []
    steps = [step(*s, options.repeat) for s in _targets()] if options.only in (None, "programs") else []
    return {
        "met": all(r["met"] for r in [*found, *placed, *steps]),
        "graphs": found,
        "places": placed,
        "programs": steps,
    }


def record(cases: list[str], seconds: float) -> None:
    """Let CP-SAT solve the graphs; the better of this and what was kept is kept."""
    from benchmarks.memory.constraint import solved

    kept = json.loads(BEST.read_text("utf-8"))
    for name in cases:
        whole = graph(name)
        for share in SHARES:
            budget = int(PEAKS[name] * share)
            if whole.floor > budget:
                continue
            found = [{"order": "given", **solved(whole, budget, seconds)}]
            own = solve(whole, budget)
            if own.fits:
                base = base_of(own.plan)
                found.append({"order": "own", **solved(base.graph, budget, seconds, start=base.pairs(own.plan))})
            print(f"{name} {share}: {found}", flush=True)
            candidates = [*([kept[f"{name} {share}"]] if f"{name} {share}" in kept else []), *found]
            kept[f"{name} {share}"] = min(candidates, key=lambda row: (row["added"] is None, row["added"]))
            BEST.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def plans(cases: list[str]) -> list[dict[str, Any]]:
    """Plans at shares of each graph's peak: added cost in percent of the cost of all steps."""
    known = json.loads(BEST.read_text("utf-8"))
    print(f"{'graph':17}{'budget':>7}{'added %':>9}{'bound':>8}{'CP-SAT':>8}{'':9}{'check':>8}{'greedy':>8}{'s':>7}")
    rows = []
    for name in cases:
        whole = graph(name)
        assert once(whole).peak == PEAKS[name], name
        for share in SHARES:
            budget = int(PEAKS[name] * share)
            begun = thread_time()
            found = solve(whole, budget)
            seconds = thread_time() - begun
            best = known.get(f"{name} {share}")
            row = {
                "graph": name,
                "share": share,
                "least": found.plan.peak / PEAKS[name],
                "impossible": whole.floor > budget,
                "added": found.plan.added / whole.cost if found.fits else None,
                "bound": found.bound / whole.cost if found.bound < float("inf") else None,
                "cp_sat": best["added"] / whole.cost if best and best["added"] is not None else None,
                "proved": bool(best and best["proved"]),
                "seconds": seconds,
                **simple(whole, budget),
            }
            row["met"] = met(row)
            rows.append(row)
            show(row)
    return rows


def simple(whole: Any, budget: int) -> dict[str, float | None]:
    """The added cost of the best plan with checkpoints, and of a greedy one."""
    base = base_of(once(whole))
    fitting = [plan.added for pairs in checkpoints(whole) if (plan := base.plan(pairs)).peak <= budget]
    search = Search(whole, budget, lambda made: made > 1000 * len(whole))
    greedy = None if whole.floor > budget else search.start(())
    return {
        "checkpoints": min(fitting) / whole.cost if fitting else None,
        "greedy": base.plan(greedy).added / whole.cost if greedy is not None else None,
    }


def met(row: dict[str, Any]) -> bool:
    """Whether a plan is as cheap as it has to be; where none was found, whether nobody found one."""
    others = [row["cp_sat"] * DEARER] if row["cp_sat"] is not None else []
    others += [row[name] for name in ("checkpoints", "greedy") if row[name] is not None]
    if row["added"] is None:
        return row["seconds"] <= LONGEST and not others
    return row["seconds"] <= LONGEST and all(row["added"] <= other + 1e-12 for other in others)


def show(row: dict[str, Any]) -> None:
    def percent(share: float | None) -> str:
        return "-" if share is None else f"{100 * share:.3f}"

    added = percent(row["added"])
    if row["added"] is None:
        added = "none" if row["impossible"] else f">{row['least']:.3f}"
    cells = [percent(row[k]) for k in ("bound", "cp_sat")], [percent(row[k]) for k in ("checkpoints", "greedy")]
    proved = " proved" if row["proved"] else ""
    print(
        f"{row['graph']:17}{row['share']:7.0%}{added:>9}{cells[0][0]:>8}{cells[0][1]:>8}{proved:9}"
        f"{cells[1][0]:>8}{cells[1][1]:>8}{row['seconds']:7.1f}{'' if row['met'] else '  missed'}",
        flush=True,
    )


def _targets() -> list[tuple[str, str, float, float]]:
    half = [(name, library, *HALF) for name in STEPS for library in ("numpy", "torch", "llvm")]
    return [*half, ("64 layers", "numpy", *TIGHT)]


def step(name: str, library: str, share: float, slower: float, repeat: int) -> dict[str, Any]:
    """A training step without a budget and at a share of its peak: time, and bytes as they are measured."""
    from benchmarks.memory.measure import compared

    row = compared(STEPS[name](), library, share, repeat)
    row["met"] = row["measured"] <= row["budget"] and row["slower"] <= slower and row["equal"]
    print(
        f"{name:12}{library:7} peak {row['peak'] / 1e6:8.1f} MB, budget {row['budget'] / 1e6:8.1f} MB, measured "
        f"{row['measured'] / 1e6:8.1f} MB, {row['slower']:.2f} times the time, planned in {row['seconds']:.1f} s"
        f"{'' if row['met'] else '  missed'}",
        flush=True,
    )
    return {"program": name, "library": library, "share": share, **row}
