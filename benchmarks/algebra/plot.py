"""The measurement as a picture: for each case, times over the expert's on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.algebra.report import best_peer, seconds

SERIES = {
    "numpy": ("o", "#9aa5b1"),
    "best of torch.compile, jax.jit": ("s", "#c77d2e"),
    "tpc torch": ("^", "#6aa84f"),
    "tpc numpy": ("v", "#6f9fd0"),
    "tpc": ("D", "#1f5fa8"),
}


def draw(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Write a picture of the rows; the suffix of the path says its format (svg, png, pdf).

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = [row for row in rows if row["runs"].get("expert", {}).get("median")][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 1.5 + 0.19 * len(shown)), layout="constrained")
    for name, (marker, colour) in SERIES.items():
        times = [best_peer(row) if name.startswith("best") else seconds(row, name) for row in shown]
        ratios = [time / seconds(row, "expert") for time, row in zip(times, shown)]
        axes.scatter(ratios, range(len(shown)), marker=marker, s=16, color=colour, label=name, linewidths=0)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [row["name"] for row in shown], fontsize=6)
    axes.set_ylim(-1, len(shown))
    axes.set_xlabel("time over the expert's (left is faster)")
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", linewidth=0.3)
    figure.legend(loc="outside upper center", ncols=5, fontsize=7, frameon=False)
    figure.savefig(path)
    pyplot.close(figure)
