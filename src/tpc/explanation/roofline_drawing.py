"""A roofline as a drawing: as SVG, on a page of HTML, and as PNG by matplotlib."""

from __future__ import annotations

from html import escape
from math import log10
from pathlib import Path
from typing import Any

from tpc.explanation.picture import Picture
from tpc.explanation.roofline import Roofline, table, title
from tpc.ir.types import F64

WIDTH, HEIGHT, LEFT, BELOW, EDGE = 640, 400, 64, 44, 16  # pixels
DECADES_BELOW = 3  # that are shown below the highest roof, at least


def drawing(found: Roofline) -> str:
    """An `svg` element: operations in a second over operations for each byte, both logarithmic, below the limits."""
    limits, memory = found.limits, found.limits.memory
    roofs = {dtype: limits.arithmetic(dtype) for dtype in found.dtypes} or {F64: limits.arithmetic(F64)}
    points = [p for p in found.points if p.flops and p.bytes and p.seconds]
    rates = [*roofs.values(), *(p.flops / p.seconds for p in points)]
    across = [*(rate / memory for rate in roofs.values()), *(p.intensity for p in points)]
    low, high = int(log10(min(across)) // 1) - 1, int(log10(max(across)) // 1) + 2
    top = int(log10(max(rates)) // 1) + 1
    bottom = min(int(log10(min(rates)) // 1), top - DECADES_BELOW)

    def x(intensity: float) -> float:
        return LEFT + (log10(intensity) - low) / (high - low) * (WIDTH - LEFT - EDGE)

    def y(rate: float) -> float:
        return EDGE + (top - log10(rate)) / (top - bottom) * (HEIGHT - BELOW - EDGE)

    style = "text{font:11px sans-serif}line{stroke:#ddd}path{fill:none;stroke:#333;stroke-width:1.5}circle{fill:#c33}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f"<title>{escape(title(found))}</title><style>{style}</style>",
    ]
    for decade in range(low, high + 1):
        at = x(10.0**decade)
        parts.append(f'<line x1="{at:.1f}" y1="{EDGE}" x2="{at:.1f}" y2="{HEIGHT - BELOW}"/>')
        parts.append(_label(at, HEIGHT - BELOW + 16, f"{10.0**decade:g}", "middle"))
    for decade in range(bottom, top + 1):
        at = y(10.0**decade)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - EDGE}" y2="{at:.1f}"/>')
        parts.append(_label(LEFT - 6, at + 4, f"{10.0 ** (decade - 9):g}", "end"))
    parts.append(_label((LEFT + WIDTH) / 2, HEIGHT - 10, "flops/byte", "middle"))
    parts.append(_label(4, 11, "Gflop/s", "start"))
    for dtype, rate in roofs.items():
        start = max(10.0**low, 10.0**bottom / memory)
        line = f"M{x(start):.1f} {y(start * memory):.1f}L{x(rate / memory):.1f} {y(rate):.1f}H{WIDTH - EDGE}"
        parts.append(f'<path d="{line}"/>' + _label(WIDTH - EDGE, y(rate) - 5, f"{dtype}", "end"))
    for p in points:
        at, rate = x(p.intensity), y(p.flops / p.seconds)
        parts.append(f'<circle cx="{at:.1f}" cy="{rate:.1f}" r="4"/>' + _label(at + 7, rate + 4, p.name, "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def write(found: Roofline, path: Path) -> None:
    """Write the picture in the format that the name of the file says: `.png`, `.svg` or `.html`."""
    size = (WIDTH, HEIGHT)
    picture = Picture(f"{found.name}: roofline", drawing(found), table(found), size, lambda axes: _plot(found, axes))
    picture.write(path)


def _plot(found: Roofline, axes: Any) -> None:
    memory = found.limits.memory
    points = [p for p in found.points if p.flops and p.bytes and p.seconds]
    for dtype in found.dtypes or [F64]:
        rate = found.limits.arithmetic(dtype)
        ends = [min([p.intensity for p in points], default=1.0) / 10, rate / memory, 1e3 * rate / memory]
        axes.loglog(ends, [min(rate, memory * end) / 1e9 for end in ends], color="#333", label=f"limit in {dtype}")
    axes.loglog([p.intensity for p in points], [p.flops / p.seconds / 1e9 for p in points], "o", color="#c33")
    for p in points:
        axes.annotate(p.name, (p.intensity, p.flops / p.seconds / 1e9), (6, 4), textcoords="offset points")
    axes.set(xlabel="flops/byte", ylabel="Gflop/s", title=found.name)
