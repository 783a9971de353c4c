"""What the samples say: a table by group, and the lines that a promise is held against.

`tpc` alone is the backend `auto`, which is what a caller gets who names none: it is the one that is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, isnan, log
from textwrap import fill
from typing import Any

from benchmarks.algebra.contenders import AS_WRITTEN, PEERS, TPC

Row = dict[str, Any]
SHORT = {"torch.compile": "compile", "jax.jit": "jax", AS_WRITTEN: "as written"}


def seconds(row: Row, name: str) -> float:
    """The median of a contender; NaN where it was not run."""
    return float(row["runs"].get(name, {}).get("median", float("nan")))


def best_peer(row: Row) -> float:
    times = [t for name in PEERS if not isnan(t := seconds(row, name))]
    return min(times, default=float("nan"))


def enough(flops: float | None, best: float, sizes: Iterable[int]) -> bool:
    """Whether a count is that of the best form, but for 5 % and terms of lower order.

    These are what eight times the best form's operations are over the largest size, and eight operations.
    """
    return flops is not None and flops <= best * (1.05 + 8 / max(sizes)) + 8


def by_operations(row: Row) -> bool:
    return enough(row["runs"].get(TPC[0], {}).get("flops"), row["best_flops"], row["sizes"].values())


def by_seconds(row: Row) -> bool:
    """Whether a form with more operations than the best takes no longer than the expert's, who has that form."""
    return not by_operations(row) and _over(row, seconds(row, "expert")) <= 1


def geometric_mean(values: Sequence[float]) -> float:
    return exp(sum(map(log, values)) / len(values)) if values else float("nan")


# ---- the table


def heading(names: Sequence[str]) -> str:
    columns = "".join(f"{SHORT.get(name, name):>12}" for name in names if name != "expert")
    return f"{'':28}{'best':>9}{'tpc':>9}{'expert':>10}{columns}\n{'':28}{'Mflop':>9}{'x best':>9}{'ms':>10}"


def line(row: Row, names: Sequence[str]) -> str:
    """A case: operations, the expert's milliseconds, and the time of each contender over the expert's."""
    if row["expect"] != "optimise":
        return f"{row['name']:28}{'told' if row['met'] else 'NOT TOLD':>9}"
    expert, flops = seconds(row, "expert"), row["runs"].get(TPC[0], {}).get("flops")
    base = expert if not isnan(expert) else seconds(row, "numpy")
    cells = [_cell(row, name, base) for name in names if name != "expert"]
    best = row["best_flops"]
    ratio = f"{flops / best:.3g}" if flops and best > 0 else "-"
    count = f"{best / 1e6:.3g}" if not isnan(best) else "-"
    return f"{row['name']:28}{count:>9}{ratio:>9}{_number(expert * 1e3):>10}" + "".join(f"{cell:>12}" for cell in cells)


def _cell(row: Row, name: str, base: float) -> str:
    run = row["runs"].get(name, {})
    if "left_out" in run:
        return {"wrong": "WRONG", "failed": "failed"}.get(run["left_out"].partition(":")[0], "-")
    time = seconds(row, name)
    wide = "~" if run.get("spread", 0) > 0.25 else ""  # the quartiles lie far from each other
    return f"{wide}{_number(time / base)}" if not isnan(time / base) else "-"


def _number(value: float) -> str:
    return "-" if isnan(value) else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


# ---- the lines


def summary(rows: Sequence[Row]) -> tuple[list[str], dict[str, Any]]:
    """The lines to print, and the figures in them."""
    timed = [row for row in rows if row["expect"] == "optimise"]
    lines: list[str] = []
    figures: dict[str, Any] = {}
    scored = [row for row in timed if row["scored"]]
    if scored:
        operations = sum(by_operations(row) for row in scored)
        fast = sum(_over(row, seconds(row, "expert")) <= 1.05 for row in scored)
        figures["laab"] = {"operations": operations, "time": fast, "of": len(scored)}
        lines.append(
            f"laab: {operations}/{len(scored)} by operations, {fast}/{len(scored)} within 5 % of the expert's time"
        )
    for group, members in _groups(timed):
        lines += _group_lines(group, members, figures)
    if symbolic := [row for row in timed if "symbolic" in row["name"] and row["runs"].get(TPC[0], {}).get("flops")]:
        near = sum(row["runs"][TPC[0]]["flops"] <= 1.15 * row["best_flops"] for row in symbolic)
        figures["symbolic chains within 15 %"] = {"near": near, "of": len(symbolic)}
        lines.append(f"symbolic chains: {near}/{len(symbolic)} at most 15 % above the best order's operations")
    lists = {
        "slower than 1.1 x the expert": [r for r in timed if _over(r, seconds(r, "expert")) > 1.1],
        "slower than 1.05 x the best of torch.compile and jax.jit": [r for r in timed if _over(r, best_peer(r)) > 1.05],
        "slower than 1.05 x tpc as written": [r for r in timed if _over(r, seconds(r, AS_WRITTEN)) > 1.05],
        "wrong results": [r for r in timed if _left_out(r, "wrong")],
        "failures of tpc": [r for r in timed if _left_out(r, "failed")],
        "faults that were not told": [r for r in rows if r["expect"] != "optimise" and not r["met"]],
    }
    for title, found in lists.items():
        names = [row["name"] for row in found]
        figures[title] = names
        lines += fill(
            f"{title}: {len(names)}  {' '.join(names)}", 120, subsequent_indent="    ", break_on_hyphens=False
        ).splitlines()
    return lines, figures


def _group_lines(group: str, members: Sequence[Row], figures: dict[str, Any]) -> list[str]:
    known = [row for row in members if not isnan(row["best_flops"])]
    counted = sum(by_operations(row) for row in known)
    parts = [f"{counted}/{len(known)} by operations"] if known else []
    faster = [row["name"] for row in known if by_seconds(row)]
    if faster:
        parts.append(f"{len(faster)} with more and not slower ({' '.join(faster)})")
    figures[group] = {"operations": counted, "of": len(known), "more operations and not slower": faster}
    bases = {"the best peer": best_peer, "the expert": lambda row: seconds(row, "expert")}
    for title, base in bases.items():
        for name in TPC:
            ratios = [ratio for row in members if not isnan(ratio := base(row) / seconds(row, name))]
            if ratios:
                figures[group][f"{name} over {title}"] = geometric_mean(ratios)
                parts.append(f"{name} {geometric_mean(ratios):.2f} x {title}")
    return [f"{group}: {', '.join(parts)}"]


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    names = dict.fromkeys(row["name"].partition("/")[0] for row in rows)
    return [(name, [row for row in rows if row["name"].startswith(name + "/")]) for name in names]


def _over(row: Row, base: float) -> float:
    """The time of tpc over another; NaN, which is beyond no bound, where one of them is unknown."""
    return seconds(row, TPC[0]) / base


def _left_out(row: Row, why: str) -> bool:
    """Whether tpc was left out in some way for this reason."""
    return any(row["runs"].get(name, {}).get("left_out", "").startswith(why) for name in (*TPC, AS_WRITTEN))
